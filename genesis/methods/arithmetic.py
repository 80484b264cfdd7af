"""Arithmetic and comparison of tensors."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, cast

from .. import dtypes, tracing
from ..autograd import apply, same_device
from ..dtypes import Scalar
from ..ops import binary, ternary
from ..ops import elementwise as ew
from .support import Methods, operand, plain, raw

if TYPE_CHECKING:
    from ..tensor import Tensor


def _binary(operation: Any, swapped: bool = False) -> Any:
    def method(self: Any, other: Any) -> Any:
        other = operand(other, self)
        if other is NotImplemented:
            return NotImplemented
        return apply(operation, other, self) if swapped else apply(operation, self, other)

    return method


def _named(operator: Any, name: str) -> Any:
    """An operator as a method: what it cannot work with is an error here, not left to the other operand."""
    def method(self: Any, other: Any) -> Any:
        result = operator(self, other)
        if result is NotImplemented:
            raise TypeError(f"{name}() needs a tensor or a number, not {type(other).__name__}")
        return result

    return method


def _comparison(op: str) -> Any:
    def method(self: Any, other: Any) -> Any:
        other = operand(other, self)
        if other is NotImplemented:
            return NotImplemented
        same_device(self, other)
        if tracing.recorder is None:
            return plain(binary.compare(op, self._array, raw(other)))
        compare = functools.partial(binary.compare, op)
        return plain(tracing.recorder.function(f"aten::{op}", compare, self._array, raw(other)))

    return method


def _integer(op: str, swapped: bool = False) -> Any:
    """An operation that is not differentiated."""
    def method(self: Any, other: Any) -> Any:
        other = operand(other, self)
        if other is NotImplemented:
            return NotImplemented
        same_device(self, other)
        operands = [raw(other), self._array] if swapped else [self._array, raw(other)]
        dtype = ew.dtype_of(*operands)
        if op == "floor_divide" and dtype is dtypes.bool_:
            raise NotImplementedError("booleans cannot be divided; convert them")
        return plain(ew.run(op, operands, dtype))

    return method


def _bitwise(op: str, swapped: bool = False) -> Any:
    method = _integer(op, swapped)

    def checked(self: Any, other: Any) -> Any:
        for x in (self, other):
            if isinstance(x, float) or (hasattr(x, "_array") and x.dtype.is_floating_point):
                raise TypeError(f"{op} needs integers or booleans, not {getattr(x, 'dtype', 'float')}")
        return method(self, other)

    return checked


class Arithmetic(Methods):
    """Operators and the methods of the same meaning."""

    __slots__ = ()
    FUNCTIONS = ("add addcdiv addcmul arctan2 atan2 bitwise_and bitwise_left_shift bitwise_not bitwise_or "
                 "bitwise_right_shift bitwise_xor copysign div divide eq float_power floor_divide fmax fmin fmod ge "
                 "greater greater_equal gt heaviside hypot ldexp le lerp less less_equal logaddexp logaddexp2 "
                 "logical_and logical_or logical_xor lt maximum minimum mul multiply ne not_equal pow remainder sub "
                 "subtract true_divide xlogy")

    __add__ = __radd__ = _binary(binary.Add)
    __sub__, __rsub__ = _binary(binary.Sub), _binary(binary.Sub, swapped=True)
    __mul__ = __rmul__ = _binary(binary.Mul)
    __truediv__, __rtruediv__ = _binary(binary.Div), _binary(binary.Div, swapped=True)
    __pow__, __rpow__ = _binary(binary.Pow), _binary(binary.Pow, swapped=True)
    __floordiv__, __rfloordiv__ = _integer("floor_divide"), _integer("floor_divide", swapped=True)
    __mod__, __rmod__ = _binary(binary.Remainder), _binary(binary.Remainder, swapped=True)
    __and__ = __rand__ = _bitwise("bitwise_and")
    __or__ = __ror__ = _bitwise("bitwise_or")
    __xor__ = __rxor__ = _bitwise("bitwise_xor")
    __lshift__, __rlshift__ = _bitwise("left_shift"), _bitwise("left_shift", swapped=True)
    __rshift__, __rrshift__ = _bitwise("right_shift"), _bitwise("right_shift", swapped=True)
    __eq__, __ne__ = _comparison("eq"), _comparison("ne")
    __lt__, __le__ = _comparison("lt"), _comparison("le")
    __gt__, __ge__ = _comparison("gt"), _comparison("ge")
    mul, pow, remainder = _named(__mul__, "mul"), _named(__pow__, "pow"), _named(__mod__, "remainder")
    floor_divide = _named(__floordiv__, "floor_divide")
    true_divide = _named(__truediv__, "true_divide")
    maximum, minimum = _named(_binary(binary.Maximum), "maximum"), _named(_binary(binary.Minimum), "minimum")
    fmax, fmin = _named(_binary(binary.Fmax), "fmax"), _named(_binary(binary.Fmin), "fmin")
    fmod, hypot = _named(_binary(binary.Fmod), "fmod"), _named(_binary(binary.Hypot), "hypot")
    atan2, copysign = _named(_binary(binary.Atan2), "atan2"), _named(_binary(binary.Copysign), "copysign")
    xlogy, _logaddexp = _named(_binary(binary.Xlogy), "xlogy"), _named(_binary(binary.Logaddexp), "logaddexp")
    heaviside = _named(_integer("heaviside"), "heaviside")
    eq, ne, lt = _named(__eq__, "eq"), _named(__ne__, "ne"), _named(__lt__, "lt")
    le, gt, ge = _named(__le__, "le"), _named(__gt__, "gt"), _named(__ge__, "ge")
    logical_and, logical_or = _named(_comparison("logical_and"), "logical_and"), _named(
        _comparison("logical_or"), "logical_or")
    logical_xor = _named(_comparison("logical_xor"), "logical_xor")
    bitwise_and, bitwise_or = _named(__and__, "bitwise_and"), _named(__or__, "bitwise_or")
    bitwise_xor = _named(__xor__, "bitwise_xor")
    bitwise_left_shift = _named(__lshift__, "bitwise_left_shift")
    bitwise_right_shift = _named(__rshift__, "bitwise_right_shift")
    multiply, arctan2, not_equal = mul, atan2, ne
    less, less_equal, greater, greater_equal = lt, le, gt, ge

    def __pos__(self) -> Any:
        return self

    def __invert__(self) -> Any:
        if self.dtype.is_floating_point:
            raise TypeError(f"~ needs integers or booleans, not {self.dtype}")
        return plain(ew.run("logical_not" if self.dtype is dtypes.bool_ else "bitwise_not", [self._array],
                             self.dtype))

    bitwise_not = __invert__

    def add(self, other: Any, *, alpha: Scalar = 1) -> Any:
        """``self + alpha * other``."""
        return self + other if alpha == 1 else self._scaled(other, alpha)

    def sub(self, other: Any, *, alpha: Scalar = 1) -> Any:
        """``self - alpha * other``."""
        return self - other if alpha == 1 else self._scaled(other, -alpha)

    subtract = sub

    def _scaled(self, other: Any, alpha: Scalar) -> Any:
        other = operand(other, self)
        if other is NotImplemented:
            raise TypeError("add() and sub() need a tensor or a number")
        dtype = ew.dtype_of(self._array, raw(other))
        if isinstance(alpha, complex):
            if not dtype.is_complex:
                raise RuntimeError(f"alpha must not be complex where the result is {dtype}")
            return self + other * alpha
        if isinstance(alpha, float) and not dtype.has_gradients:
            raise RuntimeError(f"alpha must be an integer where the result is {dtype}, not {alpha}")
        return apply(ternary.AddScaled, self, other, alpha)

    def div(self, other: Any, *, rounding_mode: str | None = None) -> Any:
        """``self / other``; rounded down with ``rounding_mode="floor"``, towards 0 with ``"trunc"``."""
        if rounding_mode is None:
            return self.true_divide(other)
        if rounding_mode not in ("floor", "trunc"):
            raise RuntimeError(f"rounding_mode must be None, 'floor' or 'trunc', not {rounding_mode!r}")
        other = operand(other, self)
        if other is NotImplemented:
            raise TypeError("div() needs a tensor or a number")
        return apply(binary.FloorDivide if rounding_mode == "floor" else binary.TruncDivide, self, other)

    divide = div

    def addcmul(self, tensor1: Any, tensor2: Any, *, value: Scalar = 1) -> Any:
        """``self + value * tensor1 * tensor2``."""
        if isinstance(value, complex):
            return self + tensor1 * tensor2 * value
        return apply(ternary.Addcmul, self, tensor1, tensor2, value)

    def addcdiv(self, tensor1: Any, tensor2: Any, *, value: Scalar = 1) -> Any:
        """``self + value * tensor1 / tensor2``, of floating-point or complex tensors."""
        if not (tensor1.dtype.has_gradients or tensor2.dtype.has_gradients):
            raise RuntimeError("addcdiv() does not divide integers; convert them to float32")
        if self.dtype.is_complex or tensor1.dtype.is_complex or tensor2.dtype.is_complex:
            return self.add(tensor1 / tensor2, alpha=value)
        return apply(ternary.Addcdiv, self, tensor1, tensor2, value)

    def lerp(self, end: Any, weight: Any) -> Any:
        """``self + weight * (end - self)``; the weight is a number or a tensor."""
        if self.dtype is not end.dtype or getattr(weight, "dtype", self.dtype) is not self.dtype:
            raise RuntimeError(f"lerp() needs tensors of one type, not {self.dtype} and {end.dtype}")
        if self.dtype.is_complex:
            return self + weight * (end - self)
        return apply(ternary.Lerp, self, end, weight)

    def float_power(self, exponent: Any) -> Any:
        """``self ** exponent`` in float64, or complex128; in float32 or complex64 on a device without it."""
        wide = dtypes.float64 if self.device.fp64 else dtypes.float32
        if self.dtype.is_complex or isinstance(exponent, complex) or getattr(exponent, "dtype", wide).is_complex:
            wide = wide.to_complex()
        elif not hasattr(exponent, "_array"):
            exponent = float(exponent)
        return self.to(wide).pow(exponent.to(wide) if hasattr(exponent, "_array") else exponent)

    def ldexp(self, other: Any) -> Any:
        """Each element times 2 to the power ``other``."""
        return self * (2.0 ** other)

    def logaddexp(self, other: Any) -> Any:
        """log(exp(self) + exp(other)), without overflow."""
        if not self.dtype.is_complex and not getattr(other, "dtype", self.dtype).is_complex:
            return self._logaddexp(other)
        larger = (self.real >= other.real) | self.isnan()
        high, low = self.where(larger, other), cast(Any, other).where(larger, self)
        same = (high == low) & ~high.isfinite()                # of infinities, which have no difference
        return high + (low - high).where(~same, 0.0).exp().log1p()

    def logaddexp2(self, other: Tensor) -> Any:
        """log2(2^self + 2^other), without overflow."""
        return (self * math.log(2)).logaddexp(other * math.log(2)) * (1 / math.log(2))
