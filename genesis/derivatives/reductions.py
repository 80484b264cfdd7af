"""Rules of reductions, running sums and softmax."""

from __future__ import annotations

import math
from typing import Any

from ..halving import product, running
from ..ops import logsumexp, reduce, scan, softmax, variance, vector_norm
from ..tensor import Tensor
from .rules import RESULT, linear, passing, rule, vjp, where, zeros


def _kept(shape: tuple[int, ...], axes: tuple[int, ...] | None) -> tuple[int, ...]:
    """The shape of a reduction's result with the reduced dimensions, of size 1; None stands for all."""
    return tuple(1 if axes is None or a in axes else n for a, n in enumerate(shape))


def _spread(ctx: Any, g: Any, shape: tuple[int, ...]) -> Any:
    return g.reshape(_kept(shape, ctx.axes)).expand(*shape)


def _add_up(x: Tensor, axes: tuple[int, ...] | None) -> Tensor:
    """The sum over dimensions, which stay; over none, the tensor."""
    return x if axes == () else x.sum(axes, True)


@rule(reduce.Sum)
def _sum(ctx: Any, g: Tensor) -> Tensor:
    return _spread(ctx, g, ctx.shape).to(ctx.dtype)


@rule(reduce.NanSum, saved=(0,))
def _nansum(ctx: Any, g: Tensor) -> Tensor:
    return where(ctx.saved[0].isnan(), 0.0, _spread(ctx, g, ctx.shape)).to(ctx.dtype)


@rule(reduce.Mean)
def _mean(ctx: Any, g: Tensor) -> Tensor:
    return _spread(ctx, g / float(ctx.count), ctx.shape).to(ctx.dtype)


@rule(reduce.Amax, reduce.Amin, saved=(0, RESULT))
def _extreme(ctx: Any, g: Tensor) -> Tensor:
    x, y = ctx.saved
    chosen = (x == y.reshape(_kept(ctx.shape, ctx.axes))).to(g.dtype)
    return chosen * (g.reshape(_kept(ctx.shape, ctx.axes)) / _add_up(chosen, ctx.axes))


@rule(variance.Var, saved=(0, None, RESULT))
def _var(ctx: Any, g: Tensor) -> Tensor:
    x, mean, y = ctx.saved
    shape, wide = x._array.shape, x.to(mean.dtype)
    mean = wide if ctx.axes == () else wide.mean(ctx.axes, True)
    share = g * (math.inf if ctx.divisor == 0 else (1.0 if ctx.root else 2.0) / ctx.divisor)
    if ctx.root:
        share = passing(y != 0, share / where(y == 0, 1.0, y))
    return ((wide - mean) * share.reshape(_kept(shape, ctx.axes))).to(x.dtype)


@rule(vector_norm.VectorNorm, saved=(0, RESULT))
def _vector_norm(ctx: Any, g: Tensor) -> Tensor:
    x, y = ctx.saved
    p, shape = ctx.p, _kept(x._array.shape, ctx.axes)
    if p == 0:
        return zeros(x)
    g, y = g.reshape(shape), y.reshape(shape)
    if p == 1:
        return (x.sign() * g).to(x.dtype)
    if math.isinf(p):
        chosen = (x.abs() == y).to(g.dtype)
        return (x.sign() * chosen * (g / _add_up(chosen, ctx.axes))).to(x.dtype)
    still = y == 0
    whole = where(still, 1.0, y)
    if p == 2:
        return (x * passing(~still, g / whole)).to(x.dtype)
    size = x.abs()
    if p < 2:      # where a power of 0, here or further back, is infinite
        still = still | (size == 0)
        size = where(size == 0, 1.0, size)
    return (x.sign() * passing(~still, g * (size / whole) ** (p - 1))).to(x.dtype)


@rule(logsumexp.LogSumExp, saved=(0, RESULT))
def _logsumexp(ctx: Any, g: Tensor) -> Tensor:
    x, y = ctx.saved
    shape = _kept(x._array.shape, ctx.axes)
    return ((x - y.reshape(shape)).exp() * g.reshape(shape)).to(x.dtype)


@rule(softmax.Softmax, saved=(RESULT,))
def _softmax(ctx: Any, g: Tensor) -> Tensor:
    (y,) = ctx.saved
    product = g * y
    return (product - y * _add_up(product, (ctx.axis,) if y.ndim else None)).to(ctx.dtype)


@rule(softmax.LogSoftmax, saved=(RESULT,))
def _log_softmax(ctx: Any, g: Tensor) -> Tensor:
    (y,) = ctx.saved
    return (g - y.exp() * _add_up(g, (ctx.axis,) if y.ndim else None)).to(ctx.dtype)


@rule(scan.LogCumSumExp, saved=(0, RESULT))
def _logcumsumexp(ctx: Any, g: Tensor) -> Any:
    return vjp(lambda x: running(x, ctx.axis, Tensor.logaddexp), [ctx.saved[0]], g)[0]


@rule(scan.CumSum)
def _cumsum(ctx: Any, g: Tensor) -> Tensor:
    axis = ctx.axis
    return linear(g, lambda a: scan.running("sum", a, axis, reverse=True),
                  lambda a: scan.running("sum", a, axis)).to(ctx.dtype)


@rule(scan.CumProd, saved=(0,))
def _cumprod(ctx: Any, g: Tensor) -> Any:
    x = ctx.saved[0]
    if x.ndim == 0 or not x.numel():
        return g.to(x.dtype)
    return vjp(lambda x: running(x, ctx.axis, Tensor.mul), (x,), g)


@rule(scan.Prod, saved=(0,))
def _prod(ctx: Any, g: Tensor) -> Any:
    (x,) = ctx.saved
    if x.ndim == 0 or not x.numel():
        return g.expand(*x.shape).to(x.dtype)
    shape = (*x._array.shape[:ctx.axis], 1, *x._array.shape[ctx.axis + 1:])
    return vjp(lambda x: product(x, ctx.axis), (x.to(g.dtype),), g.reshape(shape))[0].to(x.dtype)
