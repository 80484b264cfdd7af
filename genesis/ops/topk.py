"""The largest or smallest elements of rows: the host half of ``cl/ops/topk.cl``."""

from __future__ import annotations

import functools
from typing import Any

from .. import dtypes
from ..dtypes import DType
from .array import Array, empty
from .elementwise import contiguous
from .index import gather, put_distinct
from .operation import Context, Operation
from .reduce import accumulator
from .sort import order_of

_LONGEST = 128        # a list this long is kept sorted while a row is gone through; above it the row is sorted


@functools.cache
def _defines(dtype: DType, largest: bool, joining: bool) -> tuple[tuple[str, Any], ...]:
    acc = accumulator("amax", dtype)
    defines: tuple[tuple[str, Any], ...] = (
        ("IN", dtype.name), ("ACC", acc), ("WIDTH", 16 if acc == "float" and not joining else 1))
    for name, wanted in (("REAL64", acc == "double"), ("LARGEST", largest), ("JOINING", joining)):
        if wanted:
            defines += ((name, 1),)
    return defines


def topk(x: Array, k: int, axis: int, largest: bool) -> tuple[Array, Array]:
    """The k largest (or smallest) elements along a dimension, best first, and their int64 positions.

    NaN counts as the largest; equal elements come in their order.
    """
    axes = (*(a for a in range(x.ndim) if a != axis), axis)
    back = [0] * x.ndim
    for new, old in enumerate(axes):
        back[old] = new
    shape = (*(x.shape[a] for a in axes[:-1]), k)
    device, n = x.device, x.shape[axis]
    if k > _LONGEST or device.quirks.max_loop or k * 4 > n:
        order = order_of(x, axis, largest)
        part = order.view((*x.shape[:axis], k, *x.shape[axis + 1:]), order.strides)
        return gather(x, axis, part), part
    x = contiguous(x.permute(axes))
    values, out = empty(device, shape, x.dtype), empty(device, shape, dtypes.int64)
    rows = x.size // n if n else 0
    positions: Array | None = None
    busy = device.compute_units * (4 if device.type == "cpu" else 256)
    while out.size:
        block = n if rows >= busy else min(n, max(4 * k, -(-n * rows // busy), 256))
        blocks = -(-n // block)
        some, where = (values, out) if blocks == 1 else (
            empty(device, (rows, blocks, k), x.dtype), empty(device, (rows, blocks, k), dtypes.int64))
        kernel = device.programs.kernel("ops/topk.cl", "top", "PlPPPlll",
                                        _defines(x.dtype, largest, positions is not None))
        kernel((blocks, rows), (1, 1), x.buffer.handle, x.offset,
               (where if positions is None else positions).buffer.handle, some.buffer.handle, where.buffer.handle, n,
               block, k)
        if blocks == 1:
            break
        x, positions, n = some, where, blocks * k
    return values.permute(tuple(back)), out.permute(tuple(back))


class TopK(Operation):
    """The k largest or smallest elements along a dimension, and their positions."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, k: int, axis: int, largest: bool) -> tuple[Array, Array]:
        """Find."""
        values, positions = topk(x, k, axis, largest)
        return _remember(ctx, x, axis, values, positions)

    @classmethod
    def backward(cls, ctx: Context, g: Array, _: None) -> Array:
        """The gradient goes to where the elements were."""
        (positions,) = ctx.saved
        return put_distinct(ctx.shape, ctx.axis, positions, g)


class Sort(TopK):
    """All elements along a dimension in rising or falling order, and their positions."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axis: int, descending: bool) -> tuple[Array, Array]:  # type: ignore[override]
        """Sort; equal elements keep their order."""
        positions = order_of(x, axis, descending)
        return _remember(ctx, x, axis, gather(x, axis, positions), positions)


class Kth(TopK):
    """The element at position ``k`` in rising order along a dimension, and where it was; the dimension stays, as 1."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, k: int, axis: int) -> tuple[Array, Array]:  # type: ignore[override]
        """Sort and take one."""
        order = order_of(x, axis)
        shape = (*x.shape[:axis], 1, *x.shape[axis + 1:])
        positions = contiguous(order.view(shape, order.strides, order.offset + k * order.strides[axis]))
        return _remember(ctx, x, axis, gather(x, axis, positions), positions)


def _remember(ctx: Context, x: Array, axis: int, values: Array, positions: Array) -> tuple[Array, Array]:
    ctx.shape, ctx.axis = x.shape, axis
    ctx.save(positions)
    return values, positions
