"""Functions of each element."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..autograd import apply
from ..ops import elementwise as ew
from ..ops import pointwise
from .support import Methods, plain


def _unary(operation: Any, doc: str) -> Any:
    def method(self: Any) -> Any:
        return apply(operation, self)

    method.__doc__ = doc
    return method


def _rounding(op: str, doc: str) -> Any:
    def method(self: Any) -> Any:
        return plain(ew.run(op, [self._array], self.dtype)) if self.dtype.is_floating_point else self.clone()

    method.__doc__ = doc
    return method


def _test(op: str, doc: str) -> Any:
    def method(self: Any) -> Any:
        return plain(ew.run(op, [self._array], dtypes.bool_, compute=self.dtype.compute))

    method.__doc__ = doc
    return method


class Pointwise(Methods):
    """Functions of each element."""

    __slots__ = ()
    FUNCTIONS = ("abs ceil cos exp expm1 floor isfinite isinf isnan log log1p logical_not neg relu round rsqrt "
                 "sigmoid sign sin sqrt square tanh")

    exp = _unary(pointwise.Exp, "e to the power of each element.")
    expm1 = _unary(pointwise.Expm1, "``exp(x) - 1``, exact near 0.")
    log = _unary(pointwise.Log, "Natural logarithm.")
    log1p = _unary(pointwise.Log1p, "``log(1 + x)``, exact near 0.")
    sqrt = _unary(pointwise.Sqrt, "Square root.")
    rsqrt = _unary(pointwise.Rsqrt, "One over the square root.")
    abs = _unary(pointwise.Abs, "Absolute value.")
    neg = _unary(pointwise.Neg, "The negative.")
    sin = _unary(pointwise.Sin, "Sine.")
    cos = _unary(pointwise.Cos, "Cosine.")
    tanh = _unary(pointwise.Tanh, "Hyperbolic tangent.")
    sigmoid = _unary(pointwise.Sigmoid, "``1 / (1 + exp(-x))``.")
    relu = _unary(pointwise.Relu, "``max(x, 0)``.")
    floor = _rounding("floor", "The largest integer that is not larger.")
    ceil = _rounding("ceil", "The smallest integer that is not smaller.")
    round = _rounding("round", "The nearest integer, halves to even.")
    isnan = _test("isnan", "Whether each element is not a number.")
    isinf = _test("isinf", "Whether each element is infinite.")
    isfinite = _test("isfinite", "Whether each element is finite.")
    logical_not = _test("logical_not", "Whether each element is 0.")
    __neg__ = neg
    __abs__ = abs

    def sign(self) -> Any:
        """-1, 0 or 1; 0 for NaN."""
        return plain(ew.run("sign", [self._array], self.dtype))

    def square(self) -> Any:
        """``self ** 2``."""
        return self ** 2
