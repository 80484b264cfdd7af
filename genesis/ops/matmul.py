"""Matrix products: the host half of ``cl/ops/matmul.cl``."""

from __future__ import annotations

import math
import struct
from typing import Any

from .. import dtypes
from .array import Array, Shape, broadcast_shapes, contiguous_strides, empty
from .elementwise import assign, cast, contiguous, run, sum_to
from .operation import Context, Operation
from .views import reshaped

_ROWS, _WIDTH = 12, 16      # a CPU work-item's tile: 12 rows of 32 columns
_SIDE, _PER = 16, 4         # a GPU group's tile: 64 by 64


def product(a: Array, b: Array, out: Array | None = None) -> Array:
    """``a @ b`` for floating-point arrays of two or more dimensions; leading dimensions broadcast.

    float16 and bfloat16 are multiplied in float32 and rounded once. ``out`` is a contiguous array to write into.
    """
    if a.shape[-1] != b.shape[-2]:
        raise RuntimeError(f"cannot multiply matrices of shapes {a.shape} and {b.shape}: "
                         f"{a.shape[-1]} columns meet {b.shape[-2]} rows")
    dtype = dtypes.promote(a.dtype, b.dtype)
    if dtype.itemsize == 2:
        wide = product(cast(a, dtypes.float32), cast(b, dtypes.float32))
        return cast(wide, dtype) if out is None else assign(out, wide)
    a, b = cast(a, dtype), cast(b, dtype)
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    (m, k), n = a.shape[-2:], b.shape[-1]
    if out is None:
        out = empty(a.device, (*batch, m, n), dtype)
    if out.size == 0:
        return out
    if k == 0:
        return assign(out, 0)
    limit = a.device.quirks.max_loop
    if 0 < limit < k:
        for first in range(0, k, limit):
            part = slice(first, min(first + limit, k))
            partial = product(_columns(a, part), _rows(b, part))
            out = assign(out, partial) if first == 0 else run("add", [out, partial], dtype, out=out)
        return out
    if b.strides[-1] != 1 and n > 1:
        b = contiguous(b)
    a3, a_batch = _batched(a, batch)
    b3, b_batch = _batched(b, batch)
    count = math.prod(batch)
    sizes = struct.pack("10q", m, n, k, a3.strides[-2], a3.strides[-1], b3.strides[-2], n, a_batch, b_batch, m * n)
    device = a.device
    defines: tuple[tuple[str, Any], ...] = (("TYPE", dtype.name),)
    if dtype is dtypes.float64:
        defines += (("REAL64", 1),)
    args = (a3.buffer.handle, a3.offset, b3.buffer.handle, b3.offset, out.buffer.handle, out.offset, sizes)
    if device.type == "gpu":
        defines += (("LOCAL", 1), ("SIDE", _SIDE), ("PER", _PER))
        kernel = device.programs.kernel("ops/matmul.cl", "matmul_local", "PlPlPl(80)", defines)
        tile = _SIDE * _PER
        kernel((-(-n // tile) * _SIDE, -(-m // tile) * _SIDE, count), (_SIDE, _SIDE, 1), *args)
    else:
        rows = min(_ROWS, m)
        width = next(w for w in (16, 8, 4, 2) if w * 2 <= max(n, 4)) if dtype is not dtypes.float64 else 4
        defines += (("ROWS", rows), ("WIDTH", width))
        kernel = device.programs.kernel("ops/matmul.cl", "matmul_tile", "PlPlPl(80)", defines)
        kernel((-(-n // (2 * width)), -(-m // rows), count), (1, 1, 1), *args)
    return out


def _columns(a: Array, part: slice) -> Array:
    shape = (*a.shape[:-1], part.stop - part.start)
    return a.view(shape, a.strides, a.offset + part.start * a.strides[-1])


def _rows(b: Array, part: slice) -> Array:
    shape = (*b.shape[:-2], part.stop - part.start, b.shape[-1])
    return b.view(shape, b.strides, b.offset + part.start * b.strides[-2])


def _batched(x: Array, batch: Shape) -> tuple[Array, int]:
    """The array with all leading dimensions merged into one, and that dimension's stride."""
    if not batch:
        return x, 0
    if math.prod(x.shape[:-2]) == 1:
        return x.view(x.shape[-2:], x.strides[-2:]), 0
    x = x.expand((*batch, *x.shape[-2:]))
    flat = x.reshape_view((math.prod(batch), *x.shape[-2:]))
    if flat is None:
        x = contiguous(x)
        shape = (math.prod(batch), *x.shape[-2:])
        flat = x.view(shape, contiguous_strides(shape))
    return flat, flat.strides[0]


def transposed(x: Array) -> Array:
    """The last two dimensions swapped, without copying."""
    return x.permute((*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


class MatMul(Operation):
    """``a @ b`` of arrays of two or more dimensions."""

    @classmethod
    def forward(cls, ctx: Context, a: Array, b: Array) -> Array:
        """Multiply."""
        ctx.save(a, b)
        return product(a, b)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """``g @ b.T`` and ``a.T @ g``."""
        a, b = ctx.saved
        ga = gb = None
        if ctx.needs[0]:
            ga = _fit(_into(ctx, 0, g, transposed(b), a), a)
        if ctx.needs[1]:
            gb = _fit(_into(ctx, 1, transposed(a), g, b), b)
        return ga, gb


class Linear(Operation):
    """``x @ weight.T + bias``: x (..., in), weight (out, in), bias (out,) or None.

    One operation instead of three, so that the weight's gradient, in the weight's own layout, goes straight into its
    slot.
    """

    @classmethod
    def forward(cls, ctx: Context, x: Array, weight: Array, bias: Array | None) -> Array:
        """Multiply and add."""
        ctx.save(x, weight)
        ctx.bias = None if bias is None else (bias.shape, bias.dtype)
        y = product(x, transposed(weight))
        if bias is None:
            return y
        dtype = dtypes.promote(y.dtype, bias.dtype)
        return run("add", [y, bias], dtype, out=y if dtype is y.dtype else None)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None, Array | None]:
        """``g @ weight``, ``g.T @ x`` over all rows, and the sum of g's rows."""
        x, weight = ctx.saved
        gx = cast(product(g, weight), x.dtype) if ctx.needs[0] else None
        gw = gb = None
        if ctx.needs[1]:
            left, right, target = transposed(_rows_of(g)), _rows_of(x), ctx.targets[1]
            direct = target is not None and dtypes.promote(left.dtype, right.dtype) is target.dtype
            gw = cast(product(left, right, out=target if direct else None), weight.dtype)
        if ctx.needs[2]:
            shape, dtype = ctx.bias
            gb = cast(sum_to(g, shape), dtype)
        return gx, gw, gb


def _rows_of(x: Array) -> Array:
    """All leading dimensions merged into one: a matrix."""
    count, columns = math.prod(x.shape[:-1]), x.shape[-1]
    view = x.reshape_view((count, columns))
    return view if view is not None else contiguous(x).view((count, columns), (columns, 1), 0)


def _into(ctx: Context, i: int, left: Array, right: Array, like: Array) -> Array:
    """The product, written into the input's own gradient memory where shapes and types allow it."""
    if like.ndim == 2 and max(left.ndim, right.ndim) > 2 and i == 1:
        # A batch of rows times one matrix: one product over all rows together.
        rows = left.permute((left.ndim - 2, *range(left.ndim - 2), left.ndim - 1))
        count = math.prod(right.shape[:-1])
        left, right = reshaped(rows, (rows.shape[0], count)), reshaped(right, (count, right.shape[-1]))
    target = ctx.targets[i]
    if target is not None:
        batch = broadcast_shapes(left.shape[:-2], right.shape[:-2])
        if (*batch, left.shape[-2], right.shape[-1]) == like.shape and dtypes.promote(
                left.dtype, right.dtype) is target.dtype:
            return product(left, right, out=target)
    return product(left, right)


def _fit(g: Array, like: Array) -> Array:
    return cast(sum_to(g, like.shape), like.dtype)
