"""Bilinear forms as a function."""

from __future__ import annotations

from ...tensor import Tensor
from .linear import linear


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``y_o = input1 @ weight[o] @ input2 + bias[o]``.

    The outer products of the inputs are stored: in1 * in2 numbers for each row.

    Args:
        input1: (..., in1).
        input2: (..., in2), the same leading dimensions.
        weight: (out, in1, in2).
        bias: (out,) or None.

    Returns:
        (..., out).

    Raises:
        RuntimeError: shapes that do not fit.
    """
    if weight.ndim != 3 or tuple(weight.shape[1:]) != (input1.shape[-1], input2.shape[-1]) or (
            input1.shape[:-1] != input2.shape[:-1]):
        raise RuntimeError(f"bilinear: inputs of shapes {tuple(input1.shape)} and {tuple(input2.shape)} do not fit a "
                           f"weight of shape {tuple(weight.shape)}")
    products = (input1.unsqueeze(-1) * input2.unsqueeze(-2)).flatten(-2)
    return linear(products, weight.flatten(1), bias)
