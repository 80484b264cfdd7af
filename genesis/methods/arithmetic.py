"""Arithmetic and comparison of tensors."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..autograd import apply, same_device
from ..dtypes import Scalar
from ..ops import binary
from ..ops import elementwise as ew
from .support import Methods, operand, plain, raw

_KINDS = {"b": 0, "u": 1, "i": 1, "f": 2}


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
        return plain(binary.compare(op, self._array, raw(other)))

    return method


def _integer(op: str, swapped: bool = False) -> Any:
    """An operation that is not differentiated."""
    def method(self: Any, other: Any) -> Any:
        other = operand(other, self)
        if other is NotImplemented:
            return NotImplemented
        same_device(self, other)
        operands = [raw(other), self._array] if swapped else [self._array, raw(other)]
        return plain(ew.run(op, operands, ew.dtype_of(*operands)))

    return method


def _bitwise(op: str) -> Any:
    method = _integer(op)

    def checked(self: Any, other: Any) -> Any:
        if self.dtype.is_floating_point:
            raise TypeError(f"{op} needs integers or booleans, not {self.dtype}")
        return method(self, other)

    return checked


def _in_place(operation: Any) -> Any:
    def method(self: Any, other: Any) -> Any:
        other = operand(other, self)
        if other is NotImplemented:
            return NotImplemented
        same_device(self, other)
        self._check_in_place(other)
        dtype = operation.result_dtype(self._array, raw(other))
        if _KINDS[dtype.kind] > _KINDS[self.dtype.kind]:
            raise RuntimeError(f"the result is {dtype}, which a tensor of {self.dtype} cannot hold in place")
        ew.run(operation.op, [self._array, raw(other)], self.dtype, out=self._array, compute=dtype.compute)
        self._array.version.count += 1
        return self

    return method


class Arithmetic(Methods):
    """Operators and the methods of the same meaning."""

    __slots__ = ()
    FUNCTIONS = "add div eq ge gt le lt maximum minimum mul ne pow sub"

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
    __eq__, __ne__ = _comparison("eq"), _comparison("ne")
    __lt__, __le__ = _comparison("lt"), _comparison("le")
    __gt__, __ge__ = _comparison("gt"), _comparison("ge")
    __iadd__, __isub__ = _in_place(binary.Add), _in_place(binary.Sub)
    __imul__, __itruediv__ = _in_place(binary.Mul), _in_place(binary.Div)
    add_, sub_ = _named(__iadd__, "add_"), _named(__isub__, "sub_")
    mul_, div_ = _named(__imul__, "mul_"), _named(__itruediv__, "div_")
    mul, div, pow = _named(__mul__, "mul"), _named(__truediv__, "div"), _named(__pow__, "pow")
    maximum, minimum = _named(_binary(binary.Maximum), "maximum"), _named(_binary(binary.Minimum), "minimum")
    eq, ne, lt = _named(__eq__, "eq"), _named(__ne__, "ne"), _named(__lt__, "lt")
    le, gt, ge = _named(__le__, "le"), _named(__gt__, "gt"), _named(__ge__, "ge")

    def __pos__(self) -> Any:
        return self

    def __invert__(self) -> Any:
        if self.dtype.is_floating_point:
            raise TypeError(f"~ needs integers or booleans, not {self.dtype}")
        return plain(ew.run("logical_not" if self.dtype is dtypes.bool_ else "bitwise_not", [self._array],
                             self.dtype))

    def add(self, other: Any, *, alpha: Scalar = 1) -> Any:
        """``self + alpha * other``."""
        return self + (other if alpha == 1 else other * alpha)

    def sub(self, other: Any, *, alpha: Scalar = 1) -> Any:
        """``self - alpha * other``."""
        return self - (other if alpha == 1 else other * alpha)
