"""What the methods of tensors share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..ops.array import Array, normalize_axis

if TYPE_CHECKING:
    from ..tensor import Tensor

Dims = int | Sequence[int] | None


def numpy_names(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which then also takes NumPy's names ``axis`` for ``dim`` and ``keepdims`` for ``keepdim``."""
    @functools.wraps(function)
    def renaming(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            if "axis" in kwargs and "dim" not in kwargs:
                kwargs["dim"] = kwargs.pop("axis")
            if "keepdims" in kwargs and "keepdim" not in kwargs:
                kwargs["keepdim"] = kwargs.pop("keepdims")
        return function(*args, **kwargs)

    return renaming


class Methods:
    """Base of the mixins that `genesis.Tensor` is made of.

    ``FUNCTIONS`` names the methods that are functions at the top level of genesis too. ``IN_PLACE`` names those
    that get an in-place twin (``exp_`` for ``exp``), where that is not all of ``FUNCTIONS``; see `twins`.
    """

    __slots__ = ()
    FUNCTIONS = ""
    IN_PLACE = ""
    _array: Array

    def __init_subclass__(cls) -> None:
        """Let the methods that take ``dim`` take it by NumPy's name too, as PyTorch's do."""
        for name in cls.FUNCTIONS.split():
            method = vars(cls).get(name)
            if inspect.isfunction(method) and "dim" in inspect.signature(method).parameters:
                setattr(cls, name, numpy_names(method))

    if TYPE_CHECKING:
        dtype = property(lambda self: dtypes.float32)
        ndim = property(lambda self: 0)

        def __getattr__(self, name: str) -> Any: ...
        def __mul__(self, other: Any) -> Any: ...
        def __pow__(self, other: Any) -> Any: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...


def operand(x: Any, like: Any) -> Any:
    """A tensor or a number, from anything that can stand beside a tensor in an expression."""
    if hasattr(x, "_array"):
        return x
    if isinstance(x, bool | int | float):
        return x
    if isinstance(x, np.generic) and not isinstance(x, np.complexfloating):
        return x.item()
    if isinstance(x, np.ndarray | complex | np.complexfloating):
        from ..tensor import tensor

        if isinstance(x, np.ndarray):
            return tensor(x, device=like.device)
        wide = dtypes.complex128 if like.dtype in (dtypes.float64, dtypes.complex128) else None
        return tensor(complex(x), dtype=wide, device=like.device)
    return NotImplemented


def real_only(name: str, *operands: Any) -> None:
    """``NotImplementedError`` where a tensor is complex and a method is not defined for those."""
    for x in operands:
        if hasattr(x, "_array") and x.dtype.is_complex:
            raise NotImplementedError(f"{name}() is not defined for {x.dtype}; use .real, .imag or abs()")


def raw(x: Any) -> Any:
    """The array of a tensor; a number as it is."""
    return x._array if hasattr(x, "_array") else x


def nothing(x: Any) -> Any:
    """Zeros in the shape of a tensor that they depend on, with a gradient of 0."""
    return x.where(x.new_zeros((), dtype=dtypes.bool_), 0.0)


def plain(array: Array) -> Any:
    """A tensor without history on an array."""
    from ..tensor import Tensor

    return Tensor._wrap(array)


def axes_of(dim: Dims, ndim: int) -> tuple[int, ...] | None:
    """Dimensions counted from the front, in rising order; None for all of them."""
    if dim is None:
        return None
    listed = (dim,) if isinstance(dim, int) else tuple(dim)
    if not listed:
        return None
    axes = tuple(sorted(normalize_axis(d, ndim) for d in listed))
    if len(set(axes)) != len(axes):
        raise RuntimeError(f"a dimension is named twice in {dim}")
    return axes if ndim else None
