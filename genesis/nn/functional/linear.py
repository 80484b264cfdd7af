"""Linear layers as functions."""

from __future__ import annotations

from ...autograd import apply
from ...ops.matmul import Linear
from ...tensor import Tensor


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input @ weight.T + bias``: (..., in) with weight (out, in) gives (..., out)."""
    if input.ndim < 2 or weight.ndim != 2 or not input.is_floating_point():      # a vector, or an error to be told
        result = input @ weight.t()
        return result if bias is None else result + bias
    return apply(Linear, input, weight, bias)
