"""Selecting rows by integer indices: the host half of ``cl/ops/index.cl``."""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes
from .array import Array, empty
from .elementwise import cast, contiguous
from .operation import Context, Operation
from .reduce import reduce

_ELEMENTS = {1: "uchar", 2: "ushort", 4: "uint", 8: "ulong"}


def check_range(index: Array, n: int) -> None:
    """``IndexError`` when an index lies outside [-n, n). Waits for the device."""
    from .array import download

    if index.size:
        low = int(download(reduce("amin", index)))
        high = int(download(reduce("amax", index)))
        if low < -n or high >= n:
            raise IndexError(f"index {low if low < -n else high} is out of range for a dimension of size {n}")


def _sizes(x: Array, axis: int) -> tuple[int, int, int]:
    return math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1:])


def _parts(x: Array, count: int) -> list[tuple[int, int]]:
    """The range of indices in parts that the loops of the array's device can be trusted with."""
    step = x.device.quirks.max_loop or max(count, 1)
    return [(first, min(first + step, count)) for first in range(0, max(count, 1), step)]


def select(x: Array, axis: int, index: Array) -> Array:
    """Rows ``index`` of dimension ``axis``, which becomes the dimensions of ``index``."""
    x, index = contiguous(x), contiguous(cast(index, dtypes.int64))
    outer, n, inner = _sizes(x, axis)
    out = empty(x.device, (*x.shape[:axis], *index.shape, *x.shape[axis + 1:]), x.dtype)
    if out.size:
        kernel = x.device.programs.kernel("ops/index.cl", "select_rows", "PlPlPll",
                                          (("ELEMENT", _ELEMENTS[x.dtype.itemsize]),))
        kernel((inner, index.size, outer), None, x.buffer.handle, x.offset, index.buffer.handle, index.offset,
               out.buffer.handle, n, inner)
    return out


def put(x: Array, axis: int, index: Array, value: Array) -> None:
    """Write ``value`` into rows ``index`` of dimension ``axis`` of a contiguous array; the last of equal ones wins."""
    index, value = contiguous(cast(index, dtypes.int64)), contiguous(cast(value, x.dtype))
    outer, n, inner = _sizes(x, axis)
    if value.size:
        kernel = x.device.programs.kernel("ops/index.cl", "put_rows", "PlPlPllllll",
                                          (("ELEMENT", _ELEMENTS[x.dtype.itemsize]),))
        for first, last in _parts(x, index.size):
            kernel((inner, outer), None, value.buffer.handle, value.offset, index.buffer.handle, index.offset,
                   x.buffer.handle, x.offset, n, inner, index.size, first, last)


class IndexSelect(Operation):
    """Rows of a dimension at integer indices."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axis: int, index: Array) -> Array:
        """Select."""
        ctx.shape, ctx.axis = x.shape, axis
        ctx.save(index)
        return select(x, axis, index)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Each row gets the sum of the gradients of its copies, added in a fixed order."""
        (index,) = ctx.saved
        g, index = contiguous(g), contiguous(cast(index, dtypes.int64))
        out = empty(g.device, ctx.shape, g.dtype)
        outer, n, inner = _sizes(out, ctx.axis)
        defines: tuple[tuple[str, Any], ...] = (("TYPE", g.dtype.name),)
        if g.dtype is dtypes.float64:
            defines += (("REAL64", 1),)
        if out.size:
            kernel = g.device.programs.kernel("ops/index.cl", "add_rows", "PlPlPlllll", defines)
            for first, last in _parts(g, index.size):
                kernel((inner, n, outer), None, g.buffer.handle, g.offset, index.buffer.handle, index.offset,
                       out.buffer.handle, n, inner, index.size, first, last)
        return out
