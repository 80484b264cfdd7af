"""Rules of attention: by way of the matrix of scores, which is stored here."""

from __future__ import annotations

import math
from typing import Any

from ..ops import attention, random
from ..ops.array import empty
from ..ops.attention import Options
from ..tensor import Tensor
from .rules import constant, passing, rule, vjp, where


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Any, o: Options) -> Tensor:
    """(B, H, L, Ev) of q (B, H, L, E), k (B, Hk, S, E), v (B, Hk, S, Ev) and mask (B, H, L, S) or None."""
    (batch, heads, rows, size), (_, few, keys, _) = q._array.shape, k._array.shape
    q = q.reshape(batch, few, heads // few, rows, size)
    scores = q @ k.unsqueeze(2).mT * o.scale
    if mask is not None:
        scores = scores + mask.reshape(batch, few, heads // few, rows, keys)
    if o.causal:
        seen = constant(1.0, q).expand(rows, keys).tril() != 0
        scores = where(seen, scores, -math.inf)
    # A row that may look nowhere gives zeros.
    nowhere = scores.detach().amax(-1, True) == -math.inf
    weights = passing(~nowhere, where(nowhere, 0.0, scores).softmax(-1))
    if o.dropout:
        kept = random.dropout_rows(empty(q.device, weights._array.shape, q.dtype), o.key, o.dropout)
        weights = weights * Tensor._wrap(kept)
    return (weights @ v.unsqueeze(2)).reshape(batch, heads, rows, v.shape[3])


@rule(attention.Attention)
def _attention(ctx: Any, g: Tensor) -> Any:
    q, k, v = (ctx.input(i, array, ctx.dtype) for i, array in enumerate(ctx.plain.saved[:3]))
    mask = ctx.saved[3]
    if not q.numel() or not k.numel():
        return NotImplemented
    found = vjp(lambda q, k, v: _attend(q, k, v, mask, ctx.options), (q, k, v), g)
    return tuple([None if x is None else x.to(ctx.dtype) for x in found])


@rule(attention.PackedAttention)
def _packed_attention(ctx: Any, g: Tensor) -> Any:
    x, mask = ctx.input(0, ctx.plain.saved[0], ctx.dtype), ctx.saved[1]
    if not x.numel():
        return NotImplemented
    batch, rows, width = x._array.shape

    def attend(x: Tensor) -> Tensor:
        parts = x.reshape(batch, rows, 3, ctx.heads, width // 3 // ctx.heads).permute(2, 0, 3, 1, 4)
        seen = _attend(parts[0], parts[1], parts[2], mask, ctx.options)
        return seen.transpose(1, 2).reshape(batch, rows, width // 3)

    return vjp(attend, (x,), g)[0].to(ctx.dtype)
