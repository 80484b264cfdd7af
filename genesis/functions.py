"""Functions on tensors at the top level of genesis: those of the methods, and those that take several tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .autograd import apply
from .methods import FAMILIES, TensorMethods
from .ops.array import normalize_axis
from .ops.ternary import Where
from .ops.views import Cat
from .tensor import Tensor


def _of_method(name: str) -> Callable[..., Any]:
    method = getattr(TensorMethods, name)

    def function(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(input, Tensor):
            raise TypeError(f"{name}() works on a Tensor, not on {type(input).__name__}")
        return getattr(input, name)(*args, **kwargs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{method.__doc__ or name}\n\n    The same as ``input.{name}(...)``.\n    "
    return function


OF_METHODS = sorted(name for family in FAMILIES for name in family.FUNCTIONS.split())
globals().update({name: _of_method(name) for name in OF_METHODS})


def where(condition: Tensor, input: Any, other: Any) -> Tensor:
    """``input`` where the condition holds, ``other`` elsewhere; both may be numbers."""
    return apply(Where, condition, input, other)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along a dimension; the others must have equal sizes."""
    tensors = list(tensors)
    if not tensors:
        raise RuntimeError("cat() needs at least one tensor")
    axis = normalize_axis(dim, tensors[0].ndim)
    first = tensors[0].shape
    for i, x in enumerate(tensors):
        if x.ndim != len(first) or x.shape[:axis] + x.shape[axis + 1:] != first[:axis] + first[axis + 1:]:
            raise RuntimeError(f"cat() along dimension {axis}: tensor {i} has shape {tuple(x.shape)}, "
                               f"which does not fit {tuple(first)}")
    return apply(Cat, *tensors, axis=axis)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension."""
    tensors = list(tensors)
    shapes = {tuple(x.shape) for x in tensors}
    if len(shapes) != 1:
        raise RuntimeError(f"stack() needs tensors of one shape, got {sorted(shapes)}")
    return cat([x.unsqueeze(dim) for x in tensors], dim)


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether all elements differ by at most ``atol + rtol * abs(other)``."""
    return bool(np.allclose(input.detach().numpy(), other.detach().numpy(), rtol=rtol, atol=atol,
                            equal_nan=equal_nan))


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and the same elements."""
    return input.shape == other.shape and bool(input.eq(other).all())


def is_tensor(obj: Any) -> bool:
    """Whether an object is a Tensor."""
    return isinstance(obj, Tensor)


__all__ = [*OF_METHODS, "allclose", "cat", "equal", "is_tensor", "stack", "where"]
