"""Functions of each element."""

from __future__ import annotations

import math
from typing import Any, cast

from .. import dtypes
from ..autograd import Function, apply
from ..ops import complex, pointwise
from ..ops import elementwise as ew
from .support import Methods, plain, real_only


def _unary(operation: Any, doc: str) -> Any:
    def method(self: Any) -> Any:
        return apply(operation, self)

    method.__doc__ = doc
    return method


def _rounding(operation: Any, doc: str) -> Any:
    def method(self: Any) -> Any:
        if self.dtype.is_complex:
            raise NotImplementedError(f"{operation.__name__.lower()}() is not defined for complex numbers")
        return apply(operation, self) if self.dtype.is_floating_point else self.clone()

    method.__doc__ = doc
    return method


def _test(op: str, doc: str) -> Any:
    def method(self: Any) -> Any:
        return plain(ew.run(op, [self._array], dtypes.bool_, compute=self.dtype.compute))

    method.__doc__ = doc
    return method


class _Sinc(Function):
    """sin(y) / y with y = πx."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        """Compute, but for the 1 at 0."""
        ctx.save_for_backward(x)
        y = x * math.pi
        there = y != 0
        y = y.where(there, 1.0)
        return (y.sin() / y).where(there, 1.0)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        """(cos(y) - sin(y) / y) / y; near 0, where that is a difference of equals, its power series."""
        (x,) = ctx.saved_tensors
        y = x * math.pi
        near = y.detach().abs() < 0.25
        series = y.where(near, 0.0)
        square = series * series
        factor: Any = 1.0
        for divisor in (130, 88, 54, 28, 10):
            factor = 1 - square * factor / divisor
        far = y.where(near.logical_not(), 1.0)
        slope = (series * factor / -3).where(near, (far.cos() - far.sin() / far) / far)
        return g * (slope * math.pi).conj()


class Pointwise(Methods):
    """Functions of each element."""

    __slots__ = ()
    FUNCTIONS = ("abs absolute acos acosh arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh ceil "
                 "cos cosh deg2rad erf erfc exp exp2 expm1 fix floor frac hardshrink isfinite isinf isnan isneginf "
                 "isposinf log log10 log1p log2 logical_not logit neg negative positive prelu rad2deg reciprocal "
                 "relu round rsqrt sgn sigmoid sign signbit sin sinc sinh sqrt square tan tanh trunc")

    exp = _unary(pointwise.Exp, "e to the power of each element.")
    exp2 = _unary(pointwise.Exp2, "2 to the power of each element.")
    expm1 = _unary(pointwise.Expm1, "``exp(x) - 1``, exact near 0.")
    log = _unary(pointwise.Log, "Natural logarithm.")
    log2 = _unary(pointwise.Log2, "Logarithm to base 2.")
    log10 = _unary(pointwise.Log10, "Logarithm to base 10.")
    log1p = _unary(pointwise.Log1p, "``log(1 + x)``, exact near 0.")
    sqrt = _unary(pointwise.Sqrt, "Square root.")
    rsqrt = _unary(pointwise.Rsqrt, "One over the square root.")
    reciprocal = _unary(pointwise.Reciprocal, "One over each element.")
    abs = _unary(pointwise.Abs, "Absolute value.")
    neg = _unary(pointwise.Neg, "The negative.")
    sin = _unary(pointwise.Sin, "Sine.")
    cos = _unary(pointwise.Cos, "Cosine.")
    tan = _unary(pointwise.Tan, "Tangent.")
    asin = _unary(pointwise.Asin, "Inverse sine, NaN outside [-1, 1].")
    acos = _unary(pointwise.Acos, "Inverse cosine, NaN outside [-1, 1].")
    atan = _unary(pointwise.Atan, "Inverse tangent.")
    sinh = _unary(pointwise.Sinh, "Hyperbolic sine.")
    cosh = _unary(pointwise.Cosh, "Hyperbolic cosine.")
    tanh = _unary(pointwise.Tanh, "Hyperbolic tangent.")
    asinh = _unary(pointwise.Asinh, "Inverse hyperbolic sine.")
    acosh = _unary(pointwise.Acosh, "Inverse hyperbolic cosine, NaN below 1.")
    atanh = _unary(pointwise.Atanh, "Inverse hyperbolic tangent, NaN outside [-1, 1].")
    erf = _unary(pointwise.Erf, "Error function.")
    erfc = _unary(pointwise.Erfc, "``1 - erf(x)``, exact where erf is near 1.")
    sigmoid = _unary(pointwise.Sigmoid, "``1 / (1 + exp(-x))``.")
    relu = _unary(pointwise.Relu, "``max(x, 0)``.")
    frac = _unary(pointwise.Frac, "What `trunc` cuts off.")
    floor = _rounding(pointwise.Floor, "The largest integer that is not larger.")
    ceil = _rounding(pointwise.Ceil, "The smallest integer that is not smaller.")
    trunc = _rounding(pointwise.Trunc, "The integer part.")
    sign = _unary(pointwise.Sign, "-1, 0 or 1; 0 for NaN.")
    isnan = _test("isnan", "Whether each element is not a number.")
    isinf = _test("isinf", "Whether each element is infinite.")
    isposinf = _test("isposinf", "Whether each element is positive infinity.")
    isneginf = _test("isneginf", "Whether each element is negative infinity.")
    isfinite = _test("isfinite", "Whether each element is finite.")
    signbit = _test("signbit", "Whether each element is negative; true for -0.0.")
    logical_not = _test("logical_not", "Whether each element is 0.")
    __neg__ = negative = neg
    __abs__ = absolute = abs
    arcsin, arccos, arctan = asin, acos, atan
    arcsinh, arccosh, arctanh = asinh, acosh, atanh
    fix = trunc

    def round(self, *, decimals: int = 0) -> Any:
        """The nearest number of so many decimals (tens, hundreds, ... if negative), halves to even."""
        if not self.dtype.is_floating_point:
            if decimals or self.dtype.is_complex:
                raise RuntimeError(f"round(decimals={decimals}) is not defined for {self.dtype}")
            return self.clone()
        if decimals == 0:
            return apply(pointwise.Round, self)
        scale, x = 10.0 ** abs(decimals), cast(Any, self)
        return (x * scale).round() / scale if decimals > 0 else (x / scale).round() * scale

    def square(self) -> Any:
        """``self ** 2``."""
        return self ** 2

    def positive(self) -> Any:
        """The tensor itself."""
        if self.dtype is dtypes.bool_:
            raise RuntimeError("booleans have no sign")
        return self

    def sgn(self) -> Any:
        """`sign`, of complex numbers ``x / abs(x)``, 0 where x is 0."""
        return apply(complex.Sgn, self) if self.dtype.is_complex else self.sign()

    def sinc(self) -> Any:
        """sin(πx) / (πx), and 1 at 0."""
        return _Sinc.apply(self if self.dtype.has_gradients else self.float())

    def deg2rad(self) -> Any:
        """Degrees as radians."""
        real_only("deg2rad", self)
        return self * (math.pi / 180)

    def rad2deg(self) -> Any:
        """Radians as degrees."""
        real_only("rad2deg", self)
        return self * (180 / math.pi)

    def logit(self, eps: float | None = None) -> Any:
        """``log(x / (1 - x))``; with ``eps`` of elements limited to [eps, 1 - eps]."""
        return apply(pointwise.Logit, self, -1.0 if eps is None else float(eps))

    def hardshrink(self, lambd: float = 0.5) -> Any:
        """0 between -lambd and lambd."""
        return apply(pointwise.Hardshrink, self, float(lambd))

    def prelu(self, weight: Any) -> Any:
        """The element where it is positive, elsewhere times a weight: one for all, or one a channel (dimension 1)."""
        if weight.numel() != 1:
            channels = self._array.shape[1] if self.ndim > 1 else 1
            if weight.ndim > 1 or weight.numel() != channels:
                raise RuntimeError(f"prelu() needs one weight or one a channel ({channels}), not {tuple(weight.shape)}")
            weight = weight.reshape((-1,) + (1,) * max(self.ndim - 2, 0))
        elif weight.ndim != self.ndim:
            weight = weight.reshape((1,) * self.ndim)
        return apply(pointwise.Prelu, self, weight)
