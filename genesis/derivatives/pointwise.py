"""Rules of operations on the elements of one tensor."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..autograd import apply
from ..ops import pointwise as ops
from ..ops.draw import LogGamma
from ..tensor import Tensor
from .rules import RESULT, conj, fitted, passing, rule, where, zeros

_RSQRT_2, _RSQRT_2PI = 1 / math.sqrt(2), 1 / math.sqrt(2 * math.pi)
_GELU, _CUBIC = 2 * math.sqrt(2 / math.pi), 0.044715


def _gelu(x: Any) -> Any:
    return 0.5 * (-_RSQRT_2 * x).erfc() + x * _RSQRT_2PI * (-0.5 * x * x).exp()


def _gelu_tanh(x: Any) -> Any:
    s = (_GELU * (x + _CUBIC * x ** 3)).sigmoid()
    return s + x * s * (1 - s) * (_GELU * (1 + 3 * _CUBIC * x * x))


def _silu(x: Any) -> Any:
    s = x.sigmoid()
    return s * (1 + x * (1 - s))


def _mish(x: Any) -> Any:
    t = where(x > 20, x, (x.clamp(max=20.0).exp() + 1).log()).tanh()
    return t + x * x.sigmoid() * (1 - t * t)


def _i1_slope(x: Any, i0: Any, i1: Any) -> Any:
    still = x == 0
    return where(still, 0.5 * i0, i0 - i1 / where(still, 1.0, x))


def _logit(x: Any, eps: float) -> Any:
    edge = max(eps, 0.0)
    inside = (x >= edge) & (x <= 1 - edge)
    middle = where(inside, x, 0.5)
    return where(inside, 1 / (middle * (1 - middle)), math.nan if eps < 0 else 0.0)


# By operation the derivative as a function of what it saves (x or the result y) and of its numbers.
_SLOPES: dict[type[ops.Unary], Callable[..., Any]] = {
    ops.Exp: lambda y: y,
    ops.Exp2: lambda y: math.log(2) * y,
    ops.Expm1: lambda y: y + 1,
    ops.Log: lambda x: 1 / x,
    ops.Log2: lambda x: 1 / (math.log(2) * x),
    ops.Log10: lambda x: 1 / (math.log(10) * x),
    ops.Log1p: lambda x: 1 / (1 + x),
    ops.Sqrt: lambda y: 0.5 / y,
    ops.Rsqrt: lambda y: -0.5 * y ** 3,
    ops.Reciprocal: lambda y: -y * y,
    ops.Abs: lambda x: x.sign(),
    ops.Square: lambda x: 2 * x,
    ops.Sigmoid: lambda y: y * (1 - y),
    ops.Sin: lambda x: x.cos(),
    ops.Cos: lambda x: -x.sin(),
    ops.Tan: lambda y: 1 + y * y,
    ops.Asin: lambda x: ((1 - x) * (1 + x)).rsqrt(),
    ops.Acos: lambda x: -((1 - x) * (1 + x)).rsqrt(),
    ops.Atan: lambda x: 1 / (1 + x * x),
    ops.Sinh: lambda x: x.cosh(),
    ops.Cosh: lambda x: x.sinh(),
    ops.Tanh: lambda y: 1 - y * y,
    ops.Asinh: lambda x: (x * x + 1).rsqrt(),
    # A root of each, whose product is not the root of the product left of 0 in the complex plane.
    ops.Acosh: lambda x: (x - 1).rsqrt() * (x + 1).rsqrt() if x.is_complex() else ((x - 1) * (x + 1)).rsqrt(),
    ops.Atanh: lambda x: 1 / ((1 - x) * (1 + x)),
    ops.Erf: lambda x: 2 / math.sqrt(math.pi) * (-x * x).exp(),
    ops.Erfc: lambda x: -2 / math.sqrt(math.pi) * (-x * x).exp(),
    ops.Lgamma: lambda x: x.digamma(),
    ops.Digamma: lambda x: x.polygamma(1),
    ops.Erfinv: lambda y: 0.5 * math.sqrt(math.pi) * (y * y).exp(),
    ops.Ndtri: lambda y: math.sqrt(2 * math.pi) * (0.5 * y * y).exp(),
    ops.LogNdtr: lambda x: _RSQRT_2PI * (-0.5 * x * x - apply(ops.LogNdtr, x)).exp(),
    ops.I0: lambda x: apply(ops.I1, x),
    ops.I0e: lambda x: apply(ops.I1e, x) - x.sign() * apply(ops.I0e, x),
    ops.I1: lambda x: _i1_slope(x, apply(ops.I0, x), apply(ops.I1, x)),
    ops.I1e: lambda x: _i1_slope(x, apply(ops.I0e, x), apply(ops.I1e, x)) - x.sign() * apply(ops.I1e, x),
    ops.Logit: _logit,
    ops.Gelu: _gelu,
    ops.GeluTanh: _gelu_tanh,
    ops.Silu: _silu,
    ops.Mish: _mish,
    ops.LogSigmoid: lambda x: (-x).sigmoid(),
    ops.Softsign: lambda x: 1 / (1 + x.abs()) ** 2,
}

# By operation where the gradient passes unchanged; elsewhere it is 0.
_MASKS: dict[type[ops.Unary], Callable[..., Any]] = {
    ops.Relu: lambda y: ~(y <= 0),
    ops.Hardtanh: lambda x, low, high: (x > low) & (x < high),
    ops.Hardshrink: lambda x, edge: (x > edge) | (x < -edge),
    ops.Softshrink: lambda x, edge: (x > edge) | (x < -edge),
    ops.NanToNum: lambda x, *_: x - x == 0,
    ops.Threshold: lambda x, edge, _: ~(x <= edge),
}

_ROLES: dict[str, tuple[int, ...]] = {"x": (0,), "y": (RESULT,), "": ()}


def _enter() -> None:
    def by_slope(slope: Callable[..., Any]) -> Callable[..., Any]:
        return lambda ctx, g: (g * conj(slope(*ctx.saved, *ctx.numbers))).to(g.dtype)

    def by_mask(mask: Callable[..., Any]) -> Callable[..., Any]:
        return lambda ctx, g: passing(mask(*ctx.saved, *ctx.numbers), g)

    for operation, slope in _SLOPES.items():
        rule(operation, saved=_ROLES[operation.save])(by_slope(slope))
    for operation, mask in _MASKS.items():
        rule(operation, saved=_ROLES[operation.save])(by_mask(mask))


_enter()


@rule(ops.Floor, ops.Ceil, ops.Round, ops.Trunc, ops.Sign)
def _flat(ctx: Any, g: Tensor) -> Tensor:
    return zeros(g)


@rule(ops.Frac, ops.Copy)
def _same(ctx: Any, g: Tensor) -> Tensor:
    return g


@rule(ops.Neg)
def _neg(ctx: Any, g: Tensor) -> Tensor:
    return -g


@rule(ops.Cast)
def _cast(ctx: Any, g: Tensor) -> Tensor:
    return fitted(g, g._array.shape, ctx.dtype)


@rule(ops.Polygamma, saved=(0,))
def _polygamma(ctx: Any, g: Tensor) -> Tensor:
    return (g * ctx.saved[0].polygamma(ctx.n + 1)).to(g.dtype)


@rule(ops.Softplus, saved=(0,))
def _softplus(ctx: Any, g: Tensor) -> Tensor:
    (x,), (beta, threshold) = ctx.saved, ctx.numbers
    return where(x * beta > threshold, g, g * (x * beta).sigmoid())


@rule(ops.LeakyRelu, saved=(0,))
def _leaky_relu(ctx: Any, g: Tensor) -> Tensor:
    return where(ctx.saved[0] > 0, g, g * ctx.numbers[0])


@rule(ops.Elu, saved=(0,))
def _elu(ctx: Any, g: Tensor) -> Tensor:
    (x,), (alpha, scale, rate) = ctx.saved, ctx.numbers
    return where(x > 0, g * scale, g * (scale * alpha * rate) * (x.clamp(max=0.0) * rate).exp())


@rule(ops.Hardsigmoid, saved=(0,))
def _hardsigmoid(ctx: Any, g: Tensor) -> Tensor:
    (x,) = ctx.saved
    return passing((x > -3) & (x < 3), g / 6)


@rule(ops.Hardswish, saved=(0,))
def _hardswish(ctx: Any, g: Tensor) -> Tensor:
    (x,) = ctx.saved
    return where(x >= 3, g, passing(x > -3, g * (x / 3 + 0.5)))


@rule(ops.Clamp, saved=(0,))
def _clamp(ctx: Any, g: Tensor) -> Tensor:
    (x,), (low, high) = ctx.saved, ctx.bounds
    return passing((x >= low) & (x <= high), g)


@rule(ops.Prelu, saved=(0, 1))
def _prelu(ctx: Any, g: Tensor) -> Any:
    x, weight = ctx.saved
    gx = where(x > 0, g, g * weight) if ctx.needs[0] else None
    return gx, fitted(passing(~(x > 0), g * x), weight._array.shape, weight.dtype) if ctx.needs[1] else None


@rule(LogGamma)
def _log_gamma(ctx: Any, g: Tensor) -> Any:
    """The implicit derivative is a quadrature, which has no derivative here, as it has none in PyTorch."""
    return NotImplemented
