"""Dropout."""

from __future__ import annotations

from ...autograd import apply
from ...ops.random import Dropout
from ...random import default_generator
from ...tensor import Tensor


def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Elements set to 0 with probability ``p`` and the rest scaled by ``1 / (1 - p)`` (Srivastava et al. 2014)."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability must be between 0 and 1, not {p}")
    if not training or p == 0:
        return input
    return apply(Dropout, input, p=float(p), key=default_generator.stream())
