"""Rules of normalizations: the gradients by way of means and products."""

from __future__ import annotations

import math
from typing import Any

from ..ops import batch_norm, norm
from ..tensor import Tensor
from .rules import rule, vjp


def _parameter(ctx: Any, i: int, g: Any) -> Any:
    """The gradient of weight (1) or bias (2) in the type and shape that it has."""
    return None if g is None or not ctx.needs[i] else g.reshape(ctx.shape).to(ctx.kinds[i - 1])


@rule(norm.Norm, saved=(0, 1))
def _norm(ctx: Any, g: Tensor) -> tuple[Any, Any, Any]:
    x, weight, kept = ctx.saved
    rows, n, groups, center = ctx.layout
    if not x.numel():
        return NotImplemented
    shape = x._array.shape
    split: tuple[int, ...] = (rows, n)
    shared: tuple[int, ...] = (n,)
    inner: tuple[int, ...] = (1,)
    outer: tuple[int, ...] = (0,)
    if groups:      # a row is a group: channels, and in each the positions that share its weight
        run = math.prod(shape[2:])
        split, shared, inner, outer = (rows // groups, groups, n // run, run), (groups, n // run, 1), (2, 3), (0, 3)

    def normalize(x: Tensor, weight: Any) -> Tensor:
        parts = x.to(kept.dtype).reshape(split)
        if center:
            parts = parts - parts.mean(inner, True)
        parts = parts * ((parts * parts).mean(inner, True) + ctx.eps).rsqrt()
        parts = parts if weight is None else parts * weight.reshape(shared)
        return parts.reshape(shape).to(x.dtype)

    gx, gw = vjp(normalize, (x, weight), g)
    gb = g.reshape(split).sum(outer) if ctx.needs[2] else None
    return gx, _parameter(ctx, 1, gw), _parameter(ctx, 2, gb)


@rule(batch_norm.BatchNorm, saved=(0, 1))
def _batch_norm(ctx: Any, g: Tensor) -> tuple[Any, Any, Any]:
    x, weight, kept = ctx.saved
    if ctx.plan is None:
        return NotImplemented
    others = [0, *range(2, x.ndim)]
    shared = (1, -1, *[1] * (x.ndim - 2))

    def normalize(x: Tensor, weight: Any) -> Tensor:
        parts = x.to(kept.dtype)
        if ctx.training:
            parts = parts - parts.mean(others, True)
            parts = parts * ((parts * parts).mean(others, True) + ctx.eps).rsqrt()
        else:
            parts = (parts - kept[0].reshape(shared)) * kept[1].reshape(shared)
        return (parts if weight is None else parts * weight.reshape(shared)).to(x.dtype)

    gx, gw = vjp(normalize, (x, weight), g)
    return gx, _parameter(ctx, 1, gw), _parameter(ctx, 2, g.sum(others) if ctx.needs[2] else None)
