"""Rules of matrix products and convolutions."""

from __future__ import annotations

import math
from typing import Any

from ..autograd import apply
from ..ops import conv, matmul
from ..tensor import Tensor
from .rules import fitted, rule


@rule(matmul.MatMul, saved=(0, 1))
def _matmul(ctx: Any, g: Tensor) -> tuple[Any, Any]:
    a, b = ctx.saved
    return (fitted(g @ b.mT, a._array.shape, a.dtype) if ctx.needs[0] else None,
            fitted(a.mT @ g, b._array.shape, b.dtype) if ctx.needs[1] else None)


@rule(matmul.AddProduct, saved=(0, 1))
def _add_product(ctx: Any, g: Tensor) -> tuple[Any, Any, Any]:
    a, b = ctx.saved
    return (fitted(g @ b.mT * ctx.alpha, a._array.shape, a.dtype) if ctx.needs[0] else None,
            fitted(a.mT @ g * ctx.alpha, b._array.shape, b.dtype) if ctx.needs[1] else None,
            fitted(g * ctx.beta, *ctx.x) if ctx.needs[2] else None)


@rule(matmul.Linear, saved=(0, 1))
def _linear(ctx: Any, g: Tensor) -> tuple[Any, Any, Any]:
    x, weight = ctx.saved
    gx = gw = gb = None
    if ctx.needs[0]:
        gx = (g @ weight).to(x.dtype)
    if ctx.needs[1]:
        count = math.prod(g._array.shape[:-1])
        rows, columns = g.reshape(count, g.shape[-1]), x.reshape(count, x.shape[-1])
        gw = (rows.mT @ columns).to(weight.dtype)
    if ctx.needs[2]:
        gb = fitted(g, *ctx.bias)
    return gx, gw, gb


@rule(conv.Convolution, saved=(0, 1))
def _convolution(ctx: Any, g: Tensor) -> tuple[Any, Any, Any]:
    x, weight = ctx.saved
    gx = gw = None
    if ctx.needs[0]:
        gx = apply(conv.TransposedConvolution, g, weight, None, geometry=ctx.geometry, size=x._array.shape[2:])
    if ctx.needs[1]:
        gw = apply(conv.WeightGradient, x, g, geometry=ctx.geometry, shape=weight._array.shape)
    return gx, gw, _bias(ctx, g)


@rule(conv.TransposedConvolution, saved=(0, 1))
def _transposed_convolution(ctx: Any, g: Tensor) -> tuple[Any, Any, Any]:
    x, weight = ctx.saved
    gx = gw = None
    if ctx.needs[0]:
        gx = apply(conv.Convolution, g, weight, None, geometry=ctx.geometry, size=x._array.shape[2:])
    if ctx.needs[1]:
        gw = apply(conv.WeightGradient, g, x, geometry=ctx.geometry, shape=weight._array.shape)
    return gx, gw, _bias(ctx, g)


def _bias(ctx: Any, g: Tensor) -> Any:
    return g.sum([0, *range(2, g.ndim)]).to(ctx.bias.dtype) if ctx.needs[2] else None


@rule(conv.WeightGradient, saved=(0, 1))
def _weight_gradient(ctx: Any, g: Tensor) -> tuple[Any, Any]:
    x, given = ctx.saved
    gx = ggiven = None
    if ctx.needs[0]:
        gx = apply(conv.TransposedConvolution, given, g, None, geometry=ctx.geometry, size=x._array.shape[2:])
    if ctx.needs[1]:
        ggiven = apply(conv.Convolution, x, g, None, geometry=ctx.geometry, size=given._array.shape[2:])
    return gx, ggiven
