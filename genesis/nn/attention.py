"""Attention layers, and the rotary embedding of positions."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd import apply
from ..creation import empty
from ..ops.rotary import Rotary
from ..tensor import Tensor, tensor
from . import init
from .functional.multihead import Projections, attend
from .linear import Linear
from .module import Module
from .parameter import Parameter

__all__ = ["MultiheadAttention", "RotaryEmbedding", "SDPBackend", "sdpa_kernel"]


class MultiheadAttention(Module):
    """Attention of several heads between projections (Vaswani et al. 2017, arXiv:1706.03762).

    Args:
        embed_dim: E, the width of queries and results; a multiple of ``num_heads``.
        num_heads: H; each head has E / H elements.
        dropout: in training, the probability with which an attention weight is dropped.
        bias: whether the projections have biases.
        add_bias_kv: append a learned vector to the keys and to the values.
        add_zero_attn: append a vector of zeros to the keys and to the values.
        kdim: width of the keys, E by default.
        vdim: width of the values, E by default.
        batch_first: whether sequences come as (N, L, E) instead of (L, N, E).

    Attributes:
        in_proj_weight: (3 * E, E), the projections of queries, keys and values; None where widths differ, and then
            q_proj_weight (E, E), k_proj_weight (E, kdim) and v_proj_weight (E, vdim).
        in_proj_bias: (3 * E,) or None.
        out_proj: the linear layer after the heads.
        bias_k, bias_v: (1, 1, E) or None.

    Example:
        >>> attention = genesis.nn.MultiheadAttention(8, 2, batch_first=True)
        >>> x = genesis.randn(3, 5, 8)
        >>> y, weights = attention(x, x, x)
        >>> tuple(y.shape), tuple(weights.shape)
        ((3, 5, 8), (3, 5, 5))
    """

    def __init__(self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True,
                 add_bias_kv: bool = False, add_zero_attn: bool = False, kdim: int | None = None,
                 vdim: int | None = None, batch_first: bool = False, device: Any = None, dtype: Any = None):
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(f"embed_dim and num_heads must be greater than 0, not {embed_dim} and {num_heads}")
        if embed_dim % num_heads:
            raise ValueError(f"embed_dim must be a multiple of num_heads, not {embed_dim} with {num_heads} heads")
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.kdim, self.vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn

        def parameter(*shape: int) -> Parameter:
            return Parameter(empty(*shape, device=device, dtype=dtype))

        if self.kdim == self.vdim == embed_dim:
            self.in_proj_weight = parameter(3 * embed_dim, embed_dim)
            for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
                self.register_parameter(name, None)
        else:
            self.q_proj_weight = parameter(embed_dim, embed_dim)
            self.k_proj_weight = parameter(embed_dim, self.kdim)
            self.v_proj_weight = parameter(embed_dim, self.vdim)
            self.register_parameter("in_proj_weight", None)
        self.register_parameter("in_proj_bias", parameter(3 * embed_dim) if bias else None)
        self.out_proj = Linear(embed_dim, embed_dim, bias, device=device, dtype=dtype)
        self.register_parameter("bias_k", parameter(1, 1, embed_dim) if add_bias_kv else None)
        self.register_parameter("bias_v", parameter(1, 1, embed_dim) if add_bias_kv else None)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.xavier_normal_(extra)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
                need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
                is_causal: bool = False) -> tuple[Tensor, Tensor | None]:
        """Attend.

        Args:
            query: (L, N, E), (N, L, E) if ``batch_first``, or (L, E).
            key: (S, N, kdim), (N, S, kdim) or (S, kdim).
            value: (S, N, vdim), (N, S, vdim) or (S, vdim).
            key_padding_mask: (N, S) or (S,). Boolean: True for keys to leave out; floating point: added to the scores.
            need_weights: whether to return the attention weights, for which they have to be stored; without them it
                is faster.
            attn_mask: (L, S), (N * H, L, S) or (N, H, L, S). Boolean: True where a query may *not* look; floating
                point: added to the scores.
            average_attn_weights: return the weights' mean over the heads instead of each head's.
            is_causal: query i sees keys 0 to i only; ``attn_mask`` is then taken to say the same, and not read.

        Returns:
            The result, shaped as ``query``, and the weights (N, L, S), or (N, H, L, S) if they are not averaged
            (without N for inputs without), or None.

        Raises:
            RuntimeError: shapes or types that do not fit.
        """
        if query.ndim not in (2, 3) or key.ndim != query.ndim or value.ndim != query.ndim:
            raise RuntimeError(f"query, key and value must all have 2 or all 3 dimensions; shapes "
                               f"{tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}")
        for name, x, width in (("query", query, self.embed_dim), ("key", key, self.kdim), ("value", value, self.vdim)):
            if x.shape[-1] != width:
                raise RuntimeError(f"the last dimension of {name} must be {width}; its shape is {tuple(x.shape)}")
        batched, alone = query.ndim == 3, query is key and key is value
        query, key, value = (self._batch_first(x, batched) for x in (query, key, value))
        if alone:
            key = value = query
        projections = Projections(self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight,
                                  self.in_proj_bias, self.bias_k, self.bias_v, self.add_zero_attn)
        y, weights = attend(query, key, value, self.num_heads, projections, self.dropout if self.training else 0.0,
                            key_padding_mask, need_weights, None if is_causal else attn_mask, is_causal)
        y = self.out_proj(y)
        if weights is not None:
            weights = weights.mean(1) if average_attn_weights else weights
            weights = weights if batched else weights.squeeze(0)
        if not batched:
            return y.squeeze(0), weights
        return y if self.batch_first else y.transpose(0, 1), weights

    def _batch_first(self, x: Tensor, batched: bool) -> Tensor:
        return x.unsqueeze(0) if not batched else x if self.batch_first else x.transpose(0, 1)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}, batch_first={self.batch_first}"


class RotaryEmbedding(Module):
    """Rotary position embedding, RoPE (Su et al. 2021, arXiv:2104.09864): turns queries and keys before attention.

    Pair i of a head's elements at position m is turned by the angle ``m * base ** (-2 i / dim)``:
    ``(a cos - b sin, b cos + a sin)``. A product of a query and a key then depends on their distance only.

    Args:
        dim: how many of a head's elements are turned, from the first; even. The rest stay as they are.
        base: sets the longest wave, about ``2 pi base`` positions.
        interleaved: which elements are a pair: False for i and i + dim / 2 (GPT-NeoX, Llama as published by Hugging
            Face), True for 2 i and 2 i + 1 (the paper, Llama as published by Meta).

    Example:
        >>> rope = genesis.nn.RotaryEmbedding(8)
        >>> q, k = genesis.randn(8), genesis.randn(8)
        >>> def product(m, n):
        ...     return (rope(q.expand(9, 8))[m] * rope(k.expand(9, 8))[n]).sum().item()
        >>> abs(product(5, 3) - product(8, 6)) < 1e-5
        True
    """

    def __init__(self, dim: int, base: float = 10000.0, interleaved: bool = False):
        super().__init__()
        if dim < 2 or dim % 2:
            raise ValueError(f"dim must be even and at least 2, not {dim}")
        if not base > 0:
            raise ValueError(f"base must be greater than 0, not {base}")
        self.dim, self.base, self.interleaved = dim, float(base), bool(interleaved)
        object.__setattr__(self, "_tables", {})

    def _angles(self, count: int, like: Tensor) -> Tensor:
        """Cosines and sines (P, 2, dim / 2) of at least ``count`` positions, kept for the next call."""
        dtype = np.float64 if like.dtype is dtypes.float64 else np.float32
        key = like.device, dtype
        table = self._tables.get(key)
        if table is None or table.shape[0] < count:
            positions = np.arange(1 << (count - 1).bit_length() if count > 1 else 1)
            angles = np.outer(positions, self.base ** (-2 * np.arange(self.dim // 2) / self.dim))
            table = self._tables[key] = tensor(np.stack([np.cos(angles), np.sin(angles)], 1).astype(dtype),
                                               device=like.device)
        return table

    def forward(self, x: Tensor, offset: int = 0, positions: Tensor | None = None) -> Tensor:
        """Turn.

        Args:
            x: (..., L, E), E at least ``dim``; typically (N, H, L, E).
            offset: position of the first of the L rows, for generating piece by piece.
            positions: (L,), int64: the rows' positions, instead of ``offset`` and the following. Reading their maximum
                waits for the device.

        Returns:
            The same shape.

        Raises:
            RuntimeError: shapes or types that do not fit.
            IndexError: a negative position.
        """
        if x.ndim < 2 or x.shape[-1] < self.dim or not x.is_floating_point():
            raise RuntimeError(f"rotary embedding needs a floating-point tensor (..., L, E), E at least {self.dim}; "
                               f"got {x.dtype} of shape {tuple(x.shape)}")
        rows = x.shape[-2]
        if positions is None:
            if offset < 0:
                raise IndexError(f"offset must not be negative, got {offset}")
            count = offset + rows
        else:
            if tuple(positions.shape) != (rows,) or positions.dtype is not dtypes.int64:
                raise RuntimeError(f"positions must be int64 of shape {(rows,)}, not {positions.dtype} of shape "
                                   f"{tuple(positions.shape)}")
            low, high = (int(positions.amin().item()), int(positions.amax().item())) if rows else (0, 0)
            if low < 0:
                raise IndexError(f"positions must not be negative, got {low}")
            count = high + 1
        four = x if x.ndim == 4 else x.reshape(*_four(tuple(x.shape)))
        y = apply(Rotary, four, angles=self._angles(count, x)._array, first=offset,
                  positions=None if positions is None else positions._array, interleaved=self.interleaved)
        return y if x.ndim == 4 else y.reshape(*x.shape)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{self.dim}, base={self.base:g}, interleaved={self.interleaved}"


def _four(shape: tuple[int, ...]) -> tuple[int, ...]:
    lead = shape[:-2]
    return (*(1,) * (2 - len(lead)), *shape) if len(lead) < 2 else (math.prod(lead[:-1]), *shape[-3:])


class SDPBackend(enum.Enum):
    """PyTorch's ways to compute attention, for `sdpa_kernel`."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextmanager
def sdpa_kernel(backends: SDPBackend | Sequence[SDPBackend], set_priority: bool = False) -> Iterator[None]:
    """Choose how `scaled_dot_product_attention` computes in a ``with`` block; here there is one way, and it stays.

    Args:
        backends, set_priority: accepted as PyTorch has them.

    Raises:
        TypeError: ``backends`` is no `SDPBackend` nor a sequence of them.

    Example:
        >>> from genesis.nn.attention import SDPBackend, sdpa_kernel
        >>> q = genesis.zeros(1, 2, 3, 4)
        >>> with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        ...     genesis.nn.functional.scaled_dot_product_attention(q, q, q).shape
        genesis.Size([1, 2, 3, 4])
    """
    for backend in [backends] if isinstance(backends, SDPBackend) else backends:
        if not isinstance(backend, SDPBackend):
            raise TypeError(f"backends must be of SDPBackend, not {backend!r}")
    yield
