"""Attention as a function."""

from __future__ import annotations

import math
from typing import Any

from ... import dtypes
from ...autograd import apply, is_grad_enabled, same_device
from ...ops import elementwise as ew
from ...ops.array import broadcast_shapes
from ...ops.attention import Attention, Options, PackedAttention, supported
from ...random import default_generator
from ...tensor import Tensor
from .dropout import dropout


def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
                                 dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
                                 enable_gqa: bool = False) -> Tensor:
    """``softmax(scale * query @ key.T + mask) @ value``, without storing the matrix of scores.

    The memory it takes is linear in the lengths: the kernels go through the keys in blocks (FlashAttention, Dao et al.
    2022, arXiv:2205.14135), and backward computes the scores again. Only where ``attn_mask`` requires a gradient, for
    heads of more than 256 elements, and on devices that end long loops early is it put together from matrix products.

    Args:
        query: (..., H, L, E); the dimensions before L may be missing, and broadcast with those of key and value.
        key: (..., H, S, E).
        value: (..., H, S, Ev).
        attn_mask: broadcasts to (..., H, L, S). Boolean: True where a query may look; floating point: added to the
            scores. A row that may look nowhere gives zeros.
        dropout_p: probability with which an entry of the softmax is dropped, from 0 to 1; the rest is scaled up.
        is_causal: query i sees keys 0 to i only, also where L and S differ; with a mask, only what that allows too.
        scale: factor of the scores; ``1 / sqrt(E)`` by default.
        enable_gqa: let every ``Hq / Hk`` heads of the query share a head of key and value.

    Returns:
        (..., H, L, Ev). In memory the head comes after L, so that ``transpose(-3, -2).flatten(-2)`` copies nothing.

    Raises:
        RuntimeError: shapes or types that do not fit, or ``dropout_p`` out of range.

    Example:
        >>> x = genesis.randn(1, 2, 5, 8)
        >>> genesis.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True).shape
        genesis.Size([1, 2, 5, 8])
    """
    _check(query, key, value, attn_mask, dropout_p)
    scale = 1 / math.sqrt(query.shape[-1] or 1) if scale is None else float(scale)
    lead = query.shape[:-2]
    group = 1
    if enable_gqa:
        if query.ndim < 3 or key.shape[:-2] != value.shape[:-2] or not key.shape[-3] or (
                query.shape[-3] % key.shape[-3]):
            raise RuntimeError(f"enable_gqa needs as many heads of key as of value, and a multiple of them of query; "
                               f"shapes {tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}")
        group = query.shape[-3] // key.shape[-3]
        lead = broadcast_shapes(tuple(lead[:-1]), tuple(key.shape[:-3])) + tuple(lead[-1:])
        few = (*lead[:-1], key.shape[-3])
    else:
        lead = few = broadcast_shapes(tuple(lead), tuple(key.shape[:-2]), tuple(value.shape[:-2]))
    mask_learns = attn_mask is not None and attn_mask.requires_grad and is_grad_enabled()
    query, key, value = _lead(query, lead), _lead(key, few), _lead(value, few)
    if mask_learns or dropout_p == 1 or not supported(query.device, query.shape[-1], value.shape[-1]):
        return _composed(query, key, value, attn_mask, dropout_p, is_causal, scale, group)
    mask = None
    if attn_mask is not None:
        same_device(query, attn_mask)
        mask = _four(additive_mask(attn_mask, query).expand(*lead, query.shape[-2], key.shape[-2]))._array
    options = Options(is_causal, scale, dropout_p, default_generator.stream() if dropout_p else (0, 0))
    result = apply(Attention, _four(query), _four(key), _four(value), mask=mask, options=options)
    return result if len(lead) == 2 else result.reshape(*lead, *result.shape[-2:])


def packed_self_attention(qkv: Tensor, num_heads: int, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
                          is_causal: bool = False) -> Tensor:
    """Self-attention of the result of one linear layer that holds queries, keys and values one after the other.

    The same as splitting ``qkv`` into three parts and their last dimensions into heads, calling
    `scaled_dot_product_attention`, and joining the heads again, but without copies, in backward neither.

    Args:
        qkv: (B, L, 3 * E), E a multiple of ``num_heads``.
        num_heads: H.
        attn_mask: broadcasts to (B, H, L, L); as for `scaled_dot_product_attention`.
        dropout_p: probability with which an entry of the softmax is dropped.
        is_causal: query i sees keys 0 to i only.

    Returns:
        (B, L, E).

    Raises:
        RuntimeError: shapes or types that do not fit, or ``dropout_p`` out of range.
    """
    if qkv.ndim != 3 or num_heads < 1 or qkv.shape[2] % (3 * num_heads):
        raise RuntimeError(f"packed self-attention with {num_heads} heads needs a tensor (B, L, 3 * E), E a multiple "
                           f"of {num_heads}; got shape {tuple(qkv.shape)}")
    _check(qkv, qkv, qkv, attn_mask, dropout_p)
    batch, rows, width = qkv.shape
    size = width // (3 * num_heads)
    learns = attn_mask is not None and attn_mask.requires_grad and is_grad_enabled()
    if learns or dropout_p == 1 or not supported(qkv.device, size, size):
        parts = qkv.reshape(batch, rows, 3, num_heads, size).permute(2, 0, 3, 1, 4)
        result = scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask, dropout_p, is_causal)
        return result.transpose(1, 2).reshape(batch, rows, width // 3)
    mask = None
    if attn_mask is not None:
        same_device(qkv, attn_mask)
        mask = additive_mask(attn_mask, qkv).expand(batch, num_heads, rows, rows)._array
    options = Options(is_causal, 1 / math.sqrt(size or 1), dropout_p,
                      default_generator.stream() if dropout_p else (0, 0))
    return apply(PackedAttention, qkv, mask=mask, heads=num_heads, options=options)


def _check(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, p: float) -> None:
    shapes = f"{tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}"
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise RuntimeError(f"attention needs query, key and value of two dimensions or more, not of shapes {shapes}")
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise RuntimeError(f"query and key must agree in the last dimension, key and value in the one before; "
                           f"shapes {shapes}")
    if not query.dtype.is_floating_point or not query.dtype is key.dtype is value.dtype:
        raise RuntimeError(f"query, key and value must have one floating-point type, not {query.dtype}, {key.dtype} "
                           f"and {value.dtype}")
    if not 0 <= p <= 1:
        raise RuntimeError(f"dropout_p must be between 0 and 1, not {p}")
    if mask is not None and mask.dtype not in (dtypes.bool_, dtypes.float32, query.dtype):
        raise RuntimeError(f"attn_mask must be boolean or of the query's type {query.dtype}, not {mask.dtype}")


def additive_mask(mask: Tensor, like: Tensor) -> Tensor:
    """A mask to be added to scores: 0 and minus infinity for a boolean one; float64 if ``like`` is, else float32."""
    dtype = dtypes.float64 if like.dtype is dtypes.float64 else dtypes.float32
    if mask.dtype is dtypes.bool_:
        return Tensor._wrap(ew.run("where", [mask._array, 0.0, -math.inf], dtype))
    return mask.to(dtype)


def _lead(x: Tensor, lead: tuple[int, ...]) -> Tensor:
    """The tensor with its leading dimensions broadcast."""
    return x if tuple(x.shape[:-2]) == tuple(lead) else x.expand(*lead, *x.shape[-2:])


def _four(x: Tensor) -> Tensor:
    """The tensor with exactly two leading dimensions."""
    if x.ndim == 4:
        return x
    if x.ndim < 4:
        return x.reshape(*(1,) * (4 - x.ndim), *x.shape)
    return x.reshape(math.prod(x.shape[:-3]), *x.shape[-3:])


def _composed(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, p: float, causal: bool,
              scale: float, group: int) -> Tensor:
    """Attention from matrix products; stores the scores."""
    dtype = query.dtype
    if dtype.itemsize == 2:
        query, key, value = query.float(), key.float(), value.float()
    if group > 1:
        key, value = (_shared(x, group) for x in (key, value))
    weights = attention_weights(query, key, attn_mask, causal, scale)
    return (dropout(weights, p) @ value).to(dtype)


def _shared(x: Tensor, group: int) -> Tensor:
    """Each head ``group`` times."""
    *lead, heads, keys, size = x.shape
    return x.unsqueeze(-3).expand(*lead, heads, group, keys, size).reshape(*lead, heads * group, keys, size)


def attention_weights(query: Tensor, key: Tensor, attn_mask: Tensor | None, causal: bool, scale: float) -> Tensor:
    """``softmax(scale * query @ key.T + mask)``, (..., L, S); zeros in rows that may look nowhere."""
    scores: Any = (query * scale) @ key.mT
    if attn_mask is not None:
        scores = scores + additive_mask(attn_mask, query)
    if causal:
        scores = scores.masked_fill(causal_mask(scores.shape[-2], scores.shape[-1], scores), -math.inf)
    if attn_mask is None or not scores.shape[-1]:
        return scores.softmax(-1)
    blind = scores.detach().amax(-1, keepdim=True) == -math.inf
    return scores.masked_fill(blind, 0.0).softmax(-1).masked_fill(blind, 0.0)


def causal_mask(rows: int, keys: int, like: Tensor) -> Tensor:
    """(rows, keys), True where a key comes after the row."""
    from ...creation import arange

    places = arange(max(rows, keys), device=like.device)
    return places[:keys] > places[:rows].unsqueeze(1)


__all__: list[Any] = ["additive_mask", "attention_weights", "causal_mask", "packed_self_attention",
                      "scaled_dot_product_attention"]
