"""Attention of several heads between projections, as functions."""

from __future__ import annotations

import math
from typing import NamedTuple

from ... import dtypes
from ...creation import zeros
from ...joining import cat
from ...tensor import Tensor
from .attention import additive_mask, attention_weights, packed_self_attention, scaled_dot_product_attention
from .dropout import dropout
from .linear import linear


class Projections(NamedTuple):
    """The weights of the layers before the heads.

    Attributes:
        packed: (3 * E, E), those of queries, keys and values; or None, and then
        query, key, value: (E, E), (E, kdim) and (E, vdim).
        bias: (3 * E,) or None.
        bias_k, bias_v: (1, 1, E), appended to keys and values, or None.
        zero: whether to append zeros, too.
    """

    packed: Tensor | None
    query: Tensor | None
    key: Tensor | None
    value: Tensor | None
    bias: Tensor | None
    bias_k: Tensor | None
    bias_v: Tensor | None
    zero: bool


def attend(query: Tensor, key: Tensor, value: Tensor, num_heads: int, projections: Projections, dropout_p: float,
           key_padding_mask: Tensor | None, need_weights: bool, attn_mask: Tensor | None,
           is_causal: bool) -> tuple[Tensor, Tensor | None]:
    """What `multi_head_attention_forward` does before its last layer, of tensors (N, L, E), (N, S, kdim), (N, S, vdim).

    Returns:
        (N, L, E), and the weights (N, H, L, S) or None.
    """
    mask = _mask(query, key.shape[1], num_heads, key_padding_mask, attn_mask)
    simple = projections.bias_k is None and not projections.zero
    if query is key and key is value and simple and not need_weights and projections.packed is not None:
        packed = linear(query, projections.packed, projections.bias)
        return packed_self_attention(packed, num_heads, mask, dropout_p, is_causal), None
    q, k, v, mask = _heads(query, key, value, num_heads, projections, mask)                    # (N, H, L, E / H)
    weights = None
    if need_weights:
        weights = attention_weights(q, k, mask, is_causal, 1 / math.sqrt(q.shape[-1]))
        weights = dropout(weights.to(query.dtype), dropout_p)      # a mask of a wider type has widened them
        y = weights @ v
    else:
        y = scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal)
    return y.transpose(1, 2).flatten(2), weights


def _heads(query: Tensor, key: Tensor, value: Tensor, num_heads: int, projections: Projections,
           mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Projections, with what is appended to keys and values, split into heads; and the mask for them."""
    bias = projections.bias
    parts = [projections.query, projections.key, projections.value]
    if projections.packed is not None:
        e = projections.packed.shape[0] // 3
        parts = [projections.packed[i * e:(i + 1) * e] for i in range(3)]
    if any(part is None for part in parts):
        raise RuntimeError("attention needs either a packed weight of its projections or one for each of query, key "
                           "and value")
    e = parts[0].shape[0]                                                           # type: ignore[union-attr]
    q, k, v = (linear(x, w, None if bias is None else bias[i * e:(i + 1) * e])      # type: ignore[arg-type]
               for i, (x, w) in enumerate(zip((query, key, value), parts)))
    batch = q.shape[0]
    if projections.bias_k is not None and projections.bias_v is not None:
        k = cat([k, projections.bias_k.expand(batch, 1, e)], 1)
        v = cat([v, projections.bias_v.expand(batch, 1, e)], 1)
    if projections.zero:
        k, v = (cat([x, zeros(batch, 1, e, device=x.device, dtype=x.dtype)], 1) for x in (k, v))
    added = k.shape[1] - key.shape[1]
    if mask is not None and added:
        mask = cat([mask, zeros(*mask.shape[:-1], added, device=mask.device, dtype=mask.dtype)], -1)
    q, k, v = (x.reshape(batch, x.shape[1], num_heads, e // num_heads).transpose(1, 2) for x in (q, k, v))
    return q, k, v, mask


def _mask(query: Tensor, keys: int, heads: int, padding: Tensor | None, mask: Tensor | None) -> Tensor | None:
    """Both masks as one that is added to the scores and broadcasts to (N, H, L, S)."""
    batch, rows = query.shape[:2]
    result = None
    if padding is not None:
        if tuple(padding.shape) not in ((batch, keys), (keys,)) or (padding.ndim == 1 and batch != 1):
            raise RuntimeError(f"key_padding_mask must have shape {(batch, keys)}, not {tuple(padding.shape)}")
        result = _forbidding(padding, query).reshape(batch, 1, 1, keys)
    if mask is not None:
        if tuple(mask.shape) not in ((rows, keys), (batch * heads, rows, keys), (batch, heads, rows, keys)):
            raise RuntimeError(f"attn_mask must have shape {(rows, keys)} or {(batch * heads, rows, keys)}, not "
                               f"{tuple(mask.shape)}")
        mask = _forbidding(mask, query)
        mask = mask if mask.ndim == 2 else mask.reshape(batch, heads, rows, keys)
        result = mask if result is None else result + mask
    return result


def _forbidding(mask: Tensor, like: Tensor) -> Tensor:
    """A mask that is True where a query may not look, or is added, as one to be added."""
    if not mask.is_floating_point() and mask.dtype is not dtypes.bool_:
        raise RuntimeError(f"masks must be boolean or floating point, not {mask.dtype}")
    return additive_mask(mask.logical_not() if mask.dtype is dtypes.bool_ else mask, like)


def multi_head_attention_forward(
        query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int,
        in_proj_weight: Tensor | None, in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None,
        add_zero_attn: bool, dropout_p: float, out_proj_weight: Tensor, out_proj_bias: Tensor | None,
        training: bool = True, key_padding_mask: Tensor | None = None, need_weights: bool = True,
        attn_mask: Tensor | None = None, use_separate_proj_weight: bool = False, q_proj_weight: Tensor | None = None,
        k_proj_weight: Tensor | None = None, v_proj_weight: Tensor | None = None, static_k: Tensor | None = None,
        static_v: Tensor | None = None, average_attn_weights: bool = True,
        is_causal: bool = False) -> tuple[Tensor, Tensor | None]:
    """What `genesis.nn.MultiheadAttention` does, of given weights.

    Args:
        query: (L, N, E), or (L, E).
        key: (S, N, kdim), or without N.
        value: (S, N, vdim), or without N.
        embed_dim_to_check: E.
        num_heads: H, which divides E.
        in_proj_weight: (3 * E, E).
        in_proj_bias: (3 * E,) or None.
        bias_k, bias_v: (1, 1, E), appended to keys and values, or None.
        add_zero_attn: append zeros to keys and values.
        dropout_p: probability with which an attention weight is dropped when training.
        out_proj_weight, out_proj_bias: (E', E), and (E',) or None: the layer after the heads.
        training: whether to drop.
        key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal: as for
            `genesis.nn.MultiheadAttention`.
        use_separate_proj_weight: take the next three instead of ``in_proj_weight``.
        q_proj_weight, k_proj_weight, v_proj_weight: (E, E), (E, kdim) and (E, vdim).
        static_k, static_v: None.

    Returns:
        (L, N, E'), and the weights (N, L, S), or (N, H, L, S) if they are not averaged, or None; without N for inputs
        without.

    Raises:
        NotImplementedError: ``static_k`` or ``static_v``.
        RuntimeError: shapes or types that do not fit.
    """
    if static_k is not None or static_v is not None:
        raise NotImplementedError("static_k and static_v are not supported: give keys and values to "
                                  "scaled_dot_product_attention")
    if query.ndim not in (2, 3) or key.ndim != query.ndim or value.ndim != query.ndim:
        raise RuntimeError(f"query, key and value must all have 2 or all 3 dimensions; shapes "
                           f"{tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}")
    if query.shape[-1] != embed_dim_to_check or embed_dim_to_check % num_heads:
        raise RuntimeError(f"the width of the query must be embed_dim_to_check, {embed_dim_to_check}, a multiple of "
                           f"num_heads, {num_heads}; its shape is {tuple(query.shape)}")
    batched, alone = query.ndim == 3, query is key and key is value
    query, key, value = (x.transpose(0, 1) if batched else x.unsqueeze(0) for x in (query, key, value))
    if alone:
        key = value = query
    projections = Projections(None if use_separate_proj_weight else in_proj_weight, q_proj_weight, k_proj_weight,
                              v_proj_weight, in_proj_bias, bias_k, bias_v, add_zero_attn)
    y, weights = attend(query, key, value, num_heads, projections, dropout_p if training else 0.0, key_padding_mask,
                        need_weights, None if is_causal else attn_mask, is_causal)
    y = linear(y, out_proj_weight, out_proj_bias)
    if weights is not None:
        weights = weights.mean(1) if average_attn_weights else weights
    if batched:
        return y.transpose(0, 1), weights
    return y.squeeze(0), None if weights is None else weights.squeeze(0)


__all__ = ["Projections", "attend", "multi_head_attention_forward"]
