"""Choosing between elements."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .. import dtypes
from ..autograd import apply, same_device
from ..dtypes import Scalar
from ..ops import elementwise as ew
from ..ops import pointwise, ternary
from ..ops.complex import ViewAsComplex, ViewAsReal
from .support import Methods, operand, plain

if TYPE_CHECKING:
    from ..tensor import Tensor

_LARGEST = {"float16": 65504.0, "bfloat16": 3.3895313892515355e38, "float32": 3.4028234663852886e38,
            "float64": 1.7976931348623157e308}


class Choice(Methods):
    """Choosing between elements."""

    __slots__ = ()
    FUNCTIONS = "clamp clamp_max clamp_min clip isclose masked_fill nan_to_num"

    def where(self, condition: Tensor, other: Any) -> Any:
        """``self`` where the condition holds, ``other`` elsewhere."""
        return apply(ternary.Where, condition, self, operand(other, self))

    def masked_fill(self, mask: Tensor, value: Any) -> Any:
        """``value`` where the mask is True.

        Args:
            mask: booleans that broadcast with the tensor.
            value: a number, or a 0-d tensor.
        """
        if not hasattr(mask, "_array") or mask.dtype is not dtypes.bool_:
            kind = getattr(mask, "dtype", type(mask).__name__)
            raise RuntimeError(f"masked_fill needs a mask of booleans, not {kind}")
        if hasattr(value, "_array"):
            if value.ndim:
                raise RuntimeError(f"masked_fill needs a number or a 0-d tensor, not one of shape {tuple(value.shape)}")
            if value.dtype.is_complex and not self.dtype.is_complex:
                raise RuntimeError(f"complex numbers cannot be written into a tensor of {self.dtype}")
            value = value.to(self.dtype)
        elif isinstance(value, complex):
            value = plain(ew.number(self._array.device, value, self.dtype))
        elif not self.dtype.has_gradients and isinstance(value, float):
            raise RuntimeError(f"{value} cannot be written into a tensor of {self.dtype}")
        elif self.dtype is dtypes.bool_:
            value = bool(value)
        return apply(ternary.Where, mask, value, self)

    def clamp(self, min: Any = None, max: Any = None) -> Any:
        """Elements limited to [min, max]; where min > max, max.

        Args:
            min, max: numbers, or tensors that broadcast; None for no bound.
        """
        if min is None and max is None:
            raise RuntimeError("clamp() needs min, max or both")
        if not hasattr(min, "_array") and not hasattr(max, "_array"):
            return apply(pointwise.Clamp, self, low=-math.inf if min is None else min,
                         high=math.inf if max is None else max)
        if None not in (min, max) and hasattr(min, "_array") != hasattr(max, "_array"):
            raise TypeError("clamp() needs both bounds as numbers or both as tensors")
        if None not in (min, max):
            return apply(ternary.ClampBetween, self, min, max)
        if not ew.dtype_of(*(x._array for x in (self, min, max) if x is not None)).is_floating_point:
            return self.minimum(max) if min is None else self.maximum(min)
        return apply(ternary.ClampBetween, self, -math.inf if min is None else min, math.inf if max is None else max)

    clip = clamp

    def clamp_min(self, min: Any) -> Any:
        """Elements not smaller than a number or the elements of a tensor."""
        return self.clamp(min)

    def clamp_max(self, max: Any) -> Any:
        """Elements not larger than a number or the elements of a tensor."""
        return self.clamp(None, max)

    def nan_to_num(self, nan: float | None = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
        """NaN and infinities replaced, by default by 0 and by the largest and the smallest finite number.

        Of complex numbers in either part.
        """
        if not self.dtype.is_floating_point:
            if self.dtype.is_complex:
                pairs = apply(ViewAsReal, self).nan_to_num(nan, posinf, neginf)
                return apply(ViewAsComplex, pairs)
            return self.clone()
        largest = _LARGEST[self.dtype.name]
        return apply(pointwise.NanToNum, self, 0.0 if nan is None else nan, largest if posinf is None else posinf,
                     -largest if neginf is None else neginf)

    def isclose(self, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
        """Whether each element differs from the other by at most ``atol + rtol * abs(other)``; infinities equal."""
        if not hasattr(other, "_array"):
            raise TypeError(f"isclose() needs two tensors, not a {type(other).__name__}")
        same_device(self, other)
        if self.dtype is other.dtype and self.dtype.is_complex:
            return self._isclose_complex(other, _number(rtol), _number(atol), equal_nan)
        if self.dtype is not other.dtype:
            raise RuntimeError(f"isclose() needs tensors of one type, not {self.dtype} and {other.dtype}")
        compute = self.dtype.compute if self.dtype.is_floating_point else "float"
        return plain(ew.run("isclose_nan" if equal_nan else "isclose",
                            [self._array, other._array, _number(rtol), _number(atol)], dtypes.bool_, compute=compute))


    def _isclose_complex(self, other: Any, rtol: float, atol: float, equal_nan: bool) -> Any:
        """`isclose` by the absolute value of the difference; either part may make a number NaN."""
        one, two = (plain(x._array) for x in (self, other))
        size = two.abs()
        close = (one == two) | (size.isfinite() & ((one - two).abs() <= atol + rtol * size))
        return close | (one.isnan() & two.isnan()) if equal_nan else close


def _number(x: Scalar) -> float:
    if x < 0:
        raise RuntimeError(f"rtol and atol must not be negative, got {x}")
    return float(x)
