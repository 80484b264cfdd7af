"""Sums, products and extrema: the host half of ``cl/ops/reduce.cl``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..dtypes import DType
from .array import Array, Shape, contiguous_strides, download, empty, upload
from .elementwise import assign, cast, contiguous, copy, run
from .operation import Context, Operation

_BLOCK = 4096         # elements a work-item adds up at the most before a second launch joins the blocks

_LIMITS = {"float": ("-INFINITY", "INFINITY"), "double": ("-(double)INFINITY", "(double)INFINITY"),
           "long": ("LONG_MIN", "LONG_MAX"), "int": ("INT_MIN", "INT_MAX")}


def result_dtype(op: str, dtype: DType) -> DType:
    """The element type that reducing a type gives: sums and products of integers are int64."""
    if op in ("sum", "sumsq", "prod") and not dtype.is_floating_point:
        return dtypes.int64
    return dtype


def _accumulator(op: str, dtype: DType) -> str:
    if dtype.is_floating_point:
        return dtype.compute
    return "long" if op in ("sum", "sumsq", "prod") else "int" if dtype.compute == "uchar" else dtype.compute


def as_three(x: Array, axes: tuple[int, ...]) -> tuple[Array, int, int, int]:
    """A contiguous array that reads as (outer, n, inner) with ``axes`` merged into the middle; and those sizes."""
    kept = [a for a in range(x.ndim) if a not in axes]
    n = math.prod(x.shape[a] for a in axes)
    if x.is_contiguous() and list(axes) == list(range(axes[0], axes[0] + len(axes))):
        return x, math.prod(x.shape[:axes[0]]), n, math.prod(x.shape[axes[-1] + 1:])
    x = contiguous(x.permute((*kept, *axes)))
    return x, x.size // max(n, 1), n, 1


def reduce(op: str, x: Array, axes: tuple[int, ...] | None = None, keepdim: bool = False,
           dtype: DType | None = None, out: Array | None = None) -> Array:
    """Reduce dimensions.

    Args:
        op: ``"sum"``, ``"sumsq"`` (sum of squares), ``"prod"``, ``"amax"`` or ``"amin"``.
        axes: dimensions counted from the front, in rising order; None for all.
        keepdim: keep the reduced dimensions with size 1.
        dtype: element type of the result, by default that of `result_dtype`.
        out: contiguous array to write into.
    """
    axes = tuple(range(x.ndim)) if axes is None else axes
    shape = tuple(1 if a in axes else n for a, n in enumerate(x.shape) if keepdim or a not in axes)
    dtype = dtype or result_dtype(op, x.dtype)
    if not axes or x.size == 0:
        out = empty(x.device, shape, dtype) if out is None else out
        if not axes:
            return run("mul", [x, x], dtype, out=out) if op == "sumsq" else assign(out, x)
        if op in ("amax", "amin") and out.size:
            raise _no_value(op, x)
        return assign(out, 1 if op == "prod" else 0)
    x, outer, n, inner = as_three(x, axes)
    device = x.device
    busy = device.compute_units * device.quirks.parallel
    columns = inner > 1
    per_item = max(256, min(_BLOCK, -(-x.size // busy)))
    block = n if n <= per_item or (outer * inner >= busy and n <= _BLOCK) else per_item
    while True:
        blocks = -(-n // block)
        last = blocks == 1
        target = out if last and out is not None else empty(
            device, shape if last else (outer, blocks, inner), dtype if last else _partial(op, dtype, x.dtype))
        _launch(op, x, target, outer, n, inner, block, blocks, columns)
        if last:
            return target
        x, n = target, blocks
        block = n if n <= 2 * _BLOCK else _BLOCK
        op = "sum" if op == "sumsq" else op


def _no_value(op: str, x: Array) -> IndexError:
    return IndexError(f"{op} of an empty dimension has no value; the shape is {x.shape}")


def _partial(op: str, out: DType, x: DType) -> DType:
    """Element type of the blocks' results: never narrower than what they are added up in."""
    if out.compute == "double" or x.compute == "double":
        return dtypes.float64
    if x.is_floating_point:
        return dtypes.float32
    return result_dtype(op, x)


def _launch(op: str, x: Array, out: Array, outer: int, n: int, inner: int, block: int, blocks: int,
            columns: bool) -> None:
    acc = _accumulator(op, x.dtype)
    if x.dtype.is_floating_point and out.dtype.compute == "double":
        acc = "double"
    low, high = _LIMITS[acc]
    width = 16 if acc == "float" and not columns else 1
    defines: tuple[tuple[str, Any], ...] = (
        ("OP", op), ("IN", x.dtype.name), ("OUT", out.dtype.name), ("ACC", acc), ("LOWEST", low), ("HIGHEST", high),
        ("WIDTH", width))
    if "double" in (acc, out.dtype.compute):
        defines += (("REAL64", 1),)
    if width > 1 and op in ("amax", "amin"):
        defines += (("SELECT", "isgreater" if op == "amax" else "isless"),)
    programs = x.device.programs
    if columns:
        kernel = programs.kernel("ops/reduce.cl", "reduce_columns", "PlPlll", defines)
        local = min(64, 1 << (inner - 1).bit_length())
        kernel((-(-inner // local) * local, blocks, outer), (local, 1, 1),
               x.buffer.handle, x.offset, out.buffer.handle, n, inner, block)
    else:
        kernel = programs.kernel("ops/reduce.cl", "reduce_rows", "PlPll", defines)
        kernel((blocks, outer), None, x.buffer.handle, x.offset, out.buffer.handle, n, block)


def argument(op: str, x: Array, axis: int | None, keepdim: bool) -> Array:
    """Positions of the largest (``"argmax"``) or smallest elements along a dimension, or in the flattened array."""
    axes = tuple(range(x.ndim)) if axis is None else (axis,)
    shape = tuple(1 if a in axes else n for a, n in enumerate(x.shape) if keepdim or a not in axes)
    out = empty(x.device, shape, dtypes.int64)
    if x.size == 0 and out.size:
        raise _no_value(op, x)
    if not axes or not out.size:
        return assign(out, 0)
    x, outer, n, inner = as_three(x, axes)
    if 0 < x.device.quirks.max_loop < n:      # more steps than a work-item of this device can be trusted with
        values = download(x).reshape(outer, n, inner).astype(np.float64 if x.dtype.is_floating_point else np.int64)
        return upload(x.device, getattr(np, op)(values, axis=1).astype(np.int64).reshape(shape))
    acc = _accumulator(op, x.dtype)
    defines: tuple[tuple[str, Any], ...] = (
        ("IN", x.dtype.name), ("ACC", acc), ("COMPARE", ">" if op == "argmax" else "<"))
    if acc == "double":
        defines += (("REAL64", 1),)
    kernel = x.device.programs.kernel("ops/reduce.cl", "argument", "PlPll", defines)
    kernel((inner, outer), None, x.buffer.handle, x.offset, out.buffer.handle, n, inner)
    return out


class _Reduce(Operation):
    op = ""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axes: tuple[int, ...] | None, keepdim: bool,
                dtype: DType | None = None) -> Array:
        """Reduce."""
        ctx.shape, ctx.dtype, ctx.axes = x.shape, x.dtype, axes
        y = reduce(cls.op, x, axes, keepdim, dtype)
        cls.remember(ctx, x, y)
        return y

    @classmethod
    def remember(cls, ctx: Context, x: Array, y: Array) -> None:
        """Save what backward needs."""

    @staticmethod
    def spread(ctx: Context, g: Array) -> Array:
        """A result-shaped array seen in the input's shape."""
        axes = tuple(range(len(ctx.shape))) if ctx.axes is None else ctx.axes
        shape: Shape = tuple(1 if a in axes else n for a, n in enumerate(ctx.shape))
        view = g.reshape_view(shape)
        if view is None:
            view = copy(g).view(shape, contiguous_strides(shape), 0)
        return view.expand(ctx.shape)


class Sum(_Reduce):
    """Sum over dimensions."""

    op = "sum"

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The gradient goes to every element."""
        return cast(cls.spread(ctx, g), ctx.dtype)


class Mean(_Reduce):
    """Mean over dimensions."""

    op = "sum"

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axes: tuple[int, ...] | None, keepdim: bool,
                dtype: DType | None = None) -> Array:
        """Sum, then divide by the number of elements."""
        total = super().forward(ctx, x, axes=axes, keepdim=keepdim, dtype=dtypes.float32
                                if x.dtype in (dtypes.float16, dtypes.bfloat16) else dtype)
        count = x.size / max(total.size, 1) if total.size else 1
        ctx.count = count
        return run("div", [total, float(count)], x.dtype)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """An equal share of the gradient goes to every element."""
        return cast(cls.spread(ctx, run("div", [g, float(ctx.count)], g.dtype)), ctx.dtype)


class _Extreme(_Reduce):
    @classmethod
    def remember(cls, ctx: Context, x: Array, y: Array) -> None:
        """Input and result."""
        ctx.save(x, y)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The gradient goes to the extreme elements, in equal shares."""
        x, y = ctx.saved
        mask = run("eq", [x, cls.spread(ctx, y)], g.dtype, compute=x.dtype.compute)
        count = reduce("sum", mask, ctx.axes)
        share = run("div", [_like(g, count), count], g.dtype)
        return run("mul", [mask, cls.spread(ctx, share)], g.dtype)


def _like(g: Array, other: Array) -> Array:
    view = g.reshape_view(other.shape)
    return view if view is not None else copy(g).view(other.shape, other.strides, 0)


class Amax(_Extreme):
    """Largest element over dimensions."""

    op = "amax"


class Amin(_Extreme):
    """Smallest element over dimensions."""

    op = "amin"
