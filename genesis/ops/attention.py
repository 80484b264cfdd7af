"""Scaled dot-product attention: the host half of ``cl/ops/attention.cl`` and ``attention_keys.cl``."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from .. import dtypes
from ..opencl import Device
from .array import Array, empty
from .elementwise import assign, cast, contiguous
from .operation import Context, Operation
from .vectors import lanes_of, registers

LARGEST_HEAD = 256      # beyond it a work-item's private memory grows out of the caches

_MAX_PLANS = 2000
_plans: dict[Any, Any] = {}


class Options(NamedTuple):
    """What an attention is computed with, beside its arrays.

    Attributes:
        causal: whether row i sees keys 0 to i only.
        scale: factor of the scores.
        dropout: probability with which an entry of the softmax is dropped, below 1.
        key: seed and stream of the random numbers for that.
    """

    causal: bool
    scale: float
    dropout: float = 0.0
    key: tuple[int, int] = (0, 0)


def supported(device: Device, size: int, value_size: int) -> bool:
    """Whether the kernels serve a device and head sizes; else attention is put together from matrix products."""
    return not device.quirks.max_loop and 0 < size <= LARGEST_HEAD and 0 < value_size <= LARGEST_HEAD


def _rows_whole(x: Array) -> Array:
    """The array, copied if the elements of its last dimension do not lie side by side."""
    return x if x.strides[-1] == 1 or x.shape[-1] == 1 else contiguous(x)


def _heads_inside(device: Device, shape: tuple[int, ...], dtype: dtypes.DType) -> Array:
    """A new array (batch, heads, rows, size) whose memory is in the order (batch, rows, heads, size).

    That is the order in which the layers before and after attention hold it.
    """
    batch, heads, rows, size = shape
    return empty(device, (batch, rows, heads, size), dtype).permute((0, 2, 1, 3))


def _tile(q: Array, rows: int) -> dict[str, int]:
    """Macros: lanes of a work-item's vectors, and how many of them are in registers at once."""
    if q.device.type == "gpu":
        return {"WIDTH": 1, "VECTORS": 1, "KEYS": 12}
    width = lanes_of(q.device, q.dtype)
    few = {"TILE": 6, "DEEPEST": 6} if registers(q.device, q.dtype) == 16 else {}
    return {"WIDTH": width, "VECTORS": 1 if rows <= width else 2, **few}


def _plan(q: Array, k: Array, v: Array, mask: Array | None, out: Array, o: Options, many: int,
          gradients: tuple[Array, ...] = (), **defines: int) -> tuple[Any, ...]:
    """Kernels' macros, lanes, and packed sizes and strides; kept by shapes and strides.

    Args:
        many: rows, or keys, that lie on the lanes of the kernel's work-items.
    """
    arrays = (q, k, v, out, *gradients)
    key = (q.device, q.device.type, q.dtype, many, None if mask is None else mask.strides, o.causal, o.dropout > 0,
           *((x.shape, x.strides) for x in arrays), *defines.items())
    plan = _plans.get(key)
    if plan is None:
        if len(_plans) >= _MAX_PLANS:
            _plans.clear()
        _, heads, rows, size = q.shape
        tile = _tile(q, many)
        macros: tuple[tuple[str, Any], ...] = (
            ("SIZE", size), ("VSIZE", v.shape[3]), *tile.items(),
            ("MASK", int(mask is not None)), ("DROPOUT", int(o.dropout > 0)), *defines.items())
        if q.dtype is dtypes.float64:
            macros += (("REAL64", 1),)
        sizes = struct.pack("21q", rows, k.shape[2], heads, heads // k.shape[1],
                            *q.strides[:3], *k.strides[:3], *v.strides[:3], *out.strides[:3],
                            *((0, 0, 0, 0) if mask is None else mask.strides), int(o.causal))
        strides = struct.pack("12q", *(s for x in gradients for s in x.strides[:3])) if gradients else b""
        plan = _plans[key] = macros, tile["WIDTH"] * tile["VECTORS"], sizes, strides
    return plan


def _global_size(device: Device, blocks: int, heads: int, batch: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    local = 64 if device.type == "gpu" else 1
    return (-(-blocks // local) * local, heads, batch), (local, 1, 1)


def forward(q: Array, k: Array, v: Array, mask: Array | None, o: Options, out: Array) -> Array:
    """Attention of ``q`` (B, H, L, E) to ``k`` (B, H / group, S, E) and ``v`` (B, H / group, S, Ev).

    Args:
        q, k, v: float32 or float64, the last dimension without gaps.
        mask: (B, H, L, S) of any strides, of the same type, added to the scores.
        o: the options.
        out: (B, H, L, Ev), the last dimension without gaps, to write into.

    Returns:
        For each row (B, H, L) log2 of the sum of its exponentials, which `backward` needs.
    """
    batch, heads, rows, _ = q.shape
    lse = empty(q.device, (batch, heads, rows), q.dtype)
    if not out.size:
        return lse
    macros, lanes, sizes, _ = _plan(q, k, v, mask, out, o, rows)
    m = q if mask is None else mask
    kernel = q.device.programs.kernel("ops/attention.cl", "attention", f"PlPlPlPlPlP{_real(q)}(168)(24)", macros)
    kernel(*_global_size(q.device, -(-rows // lanes), heads, batch), q.buffer.handle, q.offset, k.buffer.handle,
           k.offset, v.buffer.handle, v.offset, m.buffer.handle, m.offset, out.buffer.handle, out.offset,
           lse.buffer.handle, o.scale, sizes, _dropout(o))
    return lse


def backward(q: Array, k: Array, v: Array, mask: Array | None, o: Options, out: Array, lse: Array, g: Array,
             dq: Array, dk: Array, dv: Array) -> None:
    """Write the gradients of q, k and v, given that of the result; arrays as in `forward`.

    Where there are enough heads to keep the device busy, a work-item computes all gradients of one: five matrix
    products a block of scores. Otherwise two kernels share the work by blocks, and compute the scores twice.
    """
    device = q.device
    (batch, heads, rows, _), keys = q.shape, k.shape[2]
    if not rows or not keys:
        for x in (dq, dk, dv):
            assign(x, 0)
        return
    m = q if mask is None else mask
    delta = empty(device, lse.shape, lse.dtype)
    common: tuple[Any, ...] = (
        q.buffer.handle, q.offset, k.buffer.handle, k.offset, v.buffer.handle, v.offset, m.buffer.handle, m.offset,
        out.buffer.handle, out.offset, g.buffer.handle, g.offset, lse.buffer.handle, delta.buffer.handle,
        dq.buffer.handle, dq.offset)
    parts = batch * k.shape[1]
    turns = -(-parts // device.compute_units)
    whole = device.type != "gpu" and turns * device.compute_units <= 1.35 * parts
    gradients = (g, dq, dk, dv)
    if not whole:
        macros, lanes, sizes, strides = _plan(q, k, v, mask, out, o, rows, gradients)
        kernel = device.programs.kernel("ops/attention.cl", "attention_rows",
                                        f"PlPlPlPlPlPlPPPl{_real(q)}(168)(96)(24)", macros)
        kernel(*_global_size(device, -(-rows // lanes), heads, batch), *common, o.scale, sizes, strides, _dropout(o))
    macros, lanes, sizes, strides = _plan(q, k, v, mask, out, o, keys, gradients, WHOLE=int(whole))
    kernel = device.programs.kernel("ops/attention_keys.cl", "attention_keys",
                                    f"PlPlPlPlPlPlPPPlPlPl{_real(q)}(168)(96)(24)", macros)
    kernel(*_global_size(device, 1 if whole else -(-keys // lanes), k.shape[1], batch), *common, dk.buffer.handle,
           dk.offset, dv.buffer.handle, dv.offset, o.scale, sizes, strides, _dropout(o))


def _real(x: Array) -> str:
    return "d" if x.dtype is dtypes.float64 else "f"


def _dropout(o: Options) -> bytes:
    seed, stream = o.key
    return struct.pack("QQff", stream & (1 << 64) - 1, seed & (1 << 64) - 1, o.dropout, 0.0)


def _wide(x: Array) -> Array:
    """16-bit floats as float32."""
    return cast(x, dtypes.float32) if x.dtype.itemsize == 2 else x


class Attention(Operation):
    """Attention of separate arrays: q (B, H, L, E), k (B, Hk, S, E), v (B, Hk, S, Ev), mask (B, H, L, S) or None."""

    @classmethod
    def forward(cls, ctx: Context, q: Array, k: Array, v: Array, *, mask: Array | None, options: Options) -> Array:
        """Attend; the result (B, H, L, Ev) lies in memory as (B, L, H, Ev)."""
        ctx.dtype = q.dtype
        q, k, v = (_rows_whole(_wide(x)) for x in (q, k, v))
        out = _heads_inside(q.device, (*q.shape[:3], v.shape[3]), q.dtype)
        lse = forward(q, k, v, mask, options, out)
        ctx.options = options
        if True in ctx.needs:
            ctx.save(q, k, v, mask, out, lse)
        return cast(out, ctx.dtype)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, ...]:
        """Compute the scores again, block by block."""
        q, k, v, mask, out, lse = ctx.saved
        grads = tuple(_heads_inside(x.device, x.shape, x.dtype) for x in (q, k, v))
        backward(q, k, v, mask, ctx.options, out, lse, _rows_whole(cast(g, q.dtype)), *grads)
        return tuple(cast(x, ctx.dtype) if need else None for x, need in zip(grads, ctx.needs))


class PackedAttention(Operation):
    """Self-attention of one array (B, L, 3 * H * E) that holds queries, keys and values one after the other.

    Neither the three parts nor their gradients are copied together or apart.
    """

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, mask: Array | None, heads: int, options: Options) -> Array:
        """Attend; (B, L, H * E)."""
        ctx.dtype = x.dtype
        x = contiguous(_wide(x))
        batch, rows, width = x.shape
        out = empty(x.device, (batch, rows, width // 3), x.dtype)
        seen = _heads_of(out, heads, 1)[0]
        q, k, v = _heads_of(x, heads, 3)
        lse = forward(q, k, v, mask, options, seen)
        ctx.heads, ctx.options = heads, options
        if True in ctx.needs:
            ctx.save(x, mask, out, lse)
        return cast(out, ctx.dtype)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The gradient, in the layout of the input."""
        x, mask, out, lse = ctx.saved
        dx = empty(x.device, x.shape, x.dtype)
        seen, gradient = (_heads_of(contiguous(y), ctx.heads, 1)[0] for y in (out, cast(g, x.dtype)))
        (q, k, v), (dq, dk, dv) = _heads_of(x, ctx.heads, 3), _heads_of(dx, ctx.heads, 3)
        backward(q, k, v, mask, ctx.options, seen, lse, gradient, dq, dk, dv)
        return cast(dx, ctx.dtype)


def _heads_of(x: Array, heads: int, parts: int) -> list[Array]:
    """Views (B, H, L, E) of the parts of a contiguous array (B, L, parts * H * E)."""
    batch, rows, width = x.shape
    size = width // (parts * heads)
    strides = (rows * width, size, width, 1)
    return [x.view((batch, heads, rows, size), strides, x.offset + i * heads * size) for i in range(parts)]
