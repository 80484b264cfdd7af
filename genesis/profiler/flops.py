"""How many floating-point operations an operation takes, for those that PyTorch's profiler counts."""

from __future__ import annotations

import math
from typing import Any


def count(operation: Any, inputs: tuple[Any, ...], result: Any) -> int:
    """Additions and multiplications of a product, a convolution, a sum or a product of elements; 0 for others.

    Args:
        operation: the operation's class.
        inputs: what it was given; tensors and numbers.
        result: the tensor it returned.
    """
    name = operation.__name__
    if name in ("MatMul", "Linear", "AddProduct"):
        return 2 * result.numel() * inputs[0].shape[-1]
    if name == "Convolution":
        return 2 * result.numel() * math.prod(inputs[1].shape[1:])
    if name == "TransposedConvolution":
        return 2 * inputs[0].numel() * math.prod(inputs[1].shape[1:])
    return result.numel() if name in ("Add", "Mul") else 0
