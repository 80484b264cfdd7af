"""Selecting and scattering by integer indices: the host half of ``cl/ops/index.cl``."""

from __future__ import annotations

import functools
import math
from typing import Any

from .. import dtypes
from ..dtypes import DType
from .array import Array, Shape, download, empty
from .elementwise import assign, cast, contiguous, copy, full
from .operation import Context, Operation
from .reduce import accumulator, reduce
from .scan import grid
from .sort import sort_keys
from .views import reshaped

_ELEMENTS = {1: "uchar", 2: "ushort", 4: "uint", 8: "ulong"}
_FEW = 4096           # indices whose range one work-item finds
_PIECE = 16384        # elements of whole rows that a CPU's work-item copies
_GATHERED = 4096       # elements that a CPU's work-item gathers
_SEGMENT = 64         # sorted indices that a work-item joins before another launch joins the blocks


def check_range(index: Array, n: int, low: int | None = None, error: type[Exception] = IndexError) -> None:
    """Raise an error when an index lies outside [-n, n), or [``low``, n). Waits for the device."""
    if not index.size:
        return
    low = -n if low is None else low
    ends = empty(index.device, (2,), dtypes.int64)
    if index.size <= _FEW and index.is_contiguous() and index.dtype is dtypes.int64:
        kernel = index.device.programs.kernel("ops/search.cl", "range", "PlPl")
        kernel((1,), None, index.buffer.handle, index.offset, ends.buffer.handle, index.size)
    else:
        reduce("amin", index, out=ends.view((), (), 0))
        reduce("amax", index, out=ends.view((), (), 1))
    least, most = download(ends).tolist()
    if least < low or most >= n:
        raise error(f"index {least if least < low else most} is out of range for a dimension of size {n}")


def sizes_of(x: Array, axis: int) -> tuple[int, int, int]:
    """An array's shape as (outer, n, inner) around a dimension; of a 0-d array (1, 1, 1)."""
    return math.prod(x.shape[:axis]), x.shape[axis] if x.ndim else 1, math.prod(x.shape[axis + 1:])


@functools.cache
def _copying(itemsize: int, last: bool) -> tuple[tuple[str, Any], ...]:
    return (("ELEMENT", _ELEMENTS[itemsize]), *((("LAST", 1),) if last else ()))


def select(x: Array, axis: int, index: Array) -> Array:
    """Rows ``index`` of dimension ``axis``, which becomes the dimensions of ``index``."""
    x, index = contiguous(x), contiguous(cast(index, dtypes.int64))
    outer, n, inner = sizes_of(x, axis)
    out = empty(x.device, (*x.shape[:axis], *index.shape, *x.shape[axis + 1:]), x.dtype)
    if out.size and inner >= 16 and x.device.type == "cpu":
        kernel = x.device.programs.kernel("ops/index.cl", "copy_rows", "PlPlPllll", _copying(x.dtype.itemsize, False))
        rows = min(max(1, _PIECE // inner), max(1, index.size * outer // (8 * x.device.compute_units)))
        kernel((-(-index.size // rows), outer), (1, 1), x.buffer.handle, x.offset, index.buffer.handle, index.offset,
               out.buffer.handle, n, inner, index.size, rows)
    elif out.size:
        _read("select_rows", x, index, out, n, inner, index.size, outer)
    return out


def gather(x: Array, axis: int, index: Array) -> Array:
    """Elements at ``index``, of x's number of dimensions, along a dimension; sizes of the others at most x's."""
    if any(a != axis and n < x.shape[a] for a, n in enumerate(index.shape)):
        x = x.view(tuple(x.shape[a] if a == axis else n for a, n in enumerate(index.shape)), x.strides)
    x, index = contiguous(x), contiguous(cast(index, dtypes.int64))
    out = empty(x.device, index.shape, x.dtype)
    if out.size:
        outer, count, inner = sizes_of(index, axis)
        if inner == 1 and x.device.type == "cpu":
            kernel = x.device.programs.kernel("ops/index.cl", "gather_blocks", "PlPlPlllll",
                                              _copying(x.dtype.itemsize, True))
            block = min(count, _GATHERED)
            rows = max(1, min(_GATHERED // block, outer // (4 * x.device.compute_units)))
            kernel((-(-count // block), -(-outer // rows)), (1, 1), x.buffer.handle, x.offset, index.buffer.handle,
                   index.offset, out.buffer.handle, sizes_of(x, axis)[1], count, block, outer, rows)
            return out
        _read("gather", x, index, out, sizes_of(x, axis)[1], inner, count, outer)
    return out


def _read(name: str, x: Array, index: Array, out: Array, n: int, inner: int, count: int, outer: int) -> None:
    kernel = x.device.programs.kernel("ops/index.cl", name, "PlPlPlll", _copying(x.dtype.itemsize, inner == 1))
    kernel(*grid(inner, count, outer), x.buffer.handle, x.offset, index.buffer.handle, index.offset, out.buffer.handle,
           n, inner, count)


@functools.cache
def _joining(join: str, value: DType, out: DType, last: bool) -> tuple[tuple[str, Any], ...]:
    acc = accumulator("amax", out)
    defines: tuple[tuple[str, Any], ...] = (("IN", value.name), ("OUT", out.name), ("ACC", acc), ("JOIN", join))
    if "double" in (acc, value.compute):
        defines += (("REAL64", 1),)
    return (*defines, ("LAST", 1)) if last else defines


def scatter_into(out: Array, axis: int, index: Array, value: Array, join: str) -> None:
    """Join values with the elements of a contiguous array at int64 indices, in rising order of their position.

    Args:
        out: (outer, n, inner) around ``axis``, changed in place.
        axis: dimension that is indexed.
        index: contiguous, in range; (count,) for whole rows, or (outer, count, inner) like ``value``.
        value: (outer, count, inner), in any layout whose leading and trailing dimensions can be merged.
        join: ``"add"``, ``"prod"``, ``"amax"``, ``"amin"`` or ``"put"``: the last one wins.
    """
    outer, n, inner = sizes_of(out, axis)
    rows = index.ndim == 1
    count = index.size if rows else sizes_of(index, axis)[1]
    if not count or not out.size:
        return
    three = value.reshape_view((outer, count, inner))
    if three is None:
        three = copy(value).view((outer, count, inner), (count * inner, inner, 1), 0)
    if out.dtype.itemsize == 2 and join != "put":
        wide = cast(out, dtypes.float32)      # so that a sum is rounded once
        scatter_into(wide, axis, index, value, join)
        assign(out, wide)
    elif (rows and join == "add" and inner >= 16 and out.dtype is dtypes.float32 and out.device.type == "cpu"
          and not out.device.quirks.max_loop and three.dtype.compute == "float" and count > 1
          and _by_columns(out, outer * inner, count, rows)):
        _tiles(out, outer, n, inner, index, count, contiguous(three))
    elif _by_columns(out, outer * inner, count, rows):
        _columns(out, outer, n, inner, index, (0, 1, 0) if rows else (count * inner, inner, 1), count, three, join)
    else:
        if not rows:      # every element has a place of its own kind: one long row
            three, index = _flat_places(three, index, outer, n, inner, count)
            outer, n, inner, count = 1, outer * n * inner, 1, index.size
        _segments(out, outer, n, inner, index, count, three, join)


def _by_columns(out: Array, columns: int, count: int, rows: bool) -> bool:
    """Whether one work-item a column is quicker than sorting the indices."""
    device = out.device
    if count <= 64:
        return True
    if device.type == "cpu":
        return columns * 8 >= device.compute_units
    return columns >= 64 * device.compute_units and (count <= 512 or not rows)


def _columns(out: Array, outer: int, n: int, inner: int, index: Array, steps: tuple[int, int, int], count: int,
             value: Array, join: str) -> None:
    device = out.device
    kernel = device.programs.kernel("ops/index.cl", "scatter_columns", "PllllPllllPllllll",
                                    _joining(join, value.dtype, out.dtype, inner == 1))
    size, local = grid(1, outer, 1) if inner == 1 else grid(inner, outer, 1)
    if inner == 1:
        size, local = size[:1], local[:1]
    else:
        size, local = size[:2], local[:2]
    each = device.quirks.max_loop or count
    for first in range(0, count, each):
        kernel(size, local, value.buffer.handle, value.offset, *value.strides, index.buffer.handle, index.offset,
               *steps, out.buffer.handle, out.offset, n, inner, outer, first, min(first + each, count))


def _tiles(out: Array, outer: int, n: int, inner: int, index: Array, count: int, value: Array) -> None:
    """Add whole rows of floats on a CPU."""
    device = out.device
    parts = max(1, min(-(-2 * device.compute_units // outer), inner // 64))
    tile = -(-inner // parts // 16) * 16
    kernel = device.programs.kernel("ops/index.cl", "add_tiles", "PlPlPlllll",
                                    (*_joining("add", value.dtype, out.dtype, False), ("WIDTH", 16)))
    kernel((-(-inner // tile), outer), (1, 1), value.buffer.handle, value.offset, index.buffer.handle, index.offset,
           out.buffer.handle, out.offset, n, inner, count, tile)


def _flat_places(value: Array, index: Array, outer: int, n: int, inner: int, count: int) -> tuple[Array, Array]:
    flat = empty(index.device, (index.size,), dtypes.int64)
    kernel = index.device.programs.kernel("ops/index.cl", "places", "PlPllll")
    local = min(64, 1 << (flat.size - 1).bit_length())
    kernel((-(-flat.size // local) * local,), (local,), index.buffer.handle, index.offset, flat.buffer.handle, n, inner,
           count, flat.size)
    return contiguous(value).view((1, flat.size, 1), (flat.size, 1, 1)), flat


def _segments(out: Array, outer: int, n: int, inner: int, index: Array, count: int, value: Array, join: str) -> None:
    device = out.device
    wrapped = empty(device, (1, count), dtypes.int64)
    kernel = device.programs.kernel("ops/index.cl", "places", "PlPllll")
    size, local = grid(1, count, 1)
    kernel(size[:1], local[:1], index.buffer.handle, index.offset, wrapped.buffer.handle, n, 1, count, count)
    keys, order = sort_keys(wrapped, max(1, (n - 1).bit_length()))
    blocks = -(-count // _SEGMENT)
    acc = dtypes.float64 if out.dtype is dtypes.float64 else dtypes.float32 if out.dtype.is_floating_point else (
        dtypes.int64 if out.dtype is dtypes.int64 else dtypes.int32)
    partial = empty(device, (outer, blocks, 2, inner), acc)
    defines = _joining(join, value.dtype, out.dtype, False)
    width = min(64, 1 << (inner - 1).bit_length())
    where = (-(-inner // width) * width, blocks, outer), (width, 1, 1)
    kernel = device.programs.kernel("ops/index.cl", "segment_blocks", "PllllPPPlPllll", defines)
    kernel(*where, value.buffer.handle, value.offset, *value.strides, keys.buffer.handle, order.buffer.handle,
           out.buffer.handle, out.offset, partial.buffer.handle, n, inner, count, _SEGMENT)
    kernel = device.programs.kernel("ops/index.cl", "segment_join", "PPlPllll", defines)
    kernel(*where, keys.buffer.handle, out.buffer.handle, out.offset, partial.buffer.handle, n, inner, count, _SEGMENT)


def put(x: Array, axis: int, index: Array, value: Array) -> None:
    """Write ``value`` into rows ``index`` of dimension ``axis`` of a contiguous array; the last of equal ones wins."""
    index = contiguous(cast(index, dtypes.int64))
    scatter_into(x, axis, index.view((index.size,), (1,)), cast(value, x.dtype), "put")


def put_along(shape: Shape, axis: int, index: Array, value: Array, join: str = "put") -> Array:
    """Zeros of a shape with ``value`` joined in at ``index``, which has as many dimensions, along a dimension."""
    out = full(value.device, shape, 0, value.dtype)
    scatter_along(out, axis, index, value, join)
    return out


def put_distinct(shape: Shape, axis: int, index: Array, value: Array) -> Array:
    """Zeros of a shape with ``value`` at ``index`` along a dimension, where no two indices of a column are equal."""
    if not shape:
        return copy(value).view((), (), 0)
    out = full(value.device, shape, 0, value.dtype)
    index, value = contiguous(index), contiguous(value)
    if value.size:
        outer, n, inner = sizes_of(out, axis)
        count = sizes_of(index, axis)[1]
        kernel = out.device.programs.kernel("ops/index.cl", "put_elements", "PlPlPlll",
                                            _copying(out.dtype.itemsize, inner == 1))
        kernel(*grid(inner, count, outer), value.buffer.handle, value.offset, index.buffer.handle, index.offset,
               out.buffer.handle, n, inner, count)
    return out


def scatter_along(out: Array, axis: int, index: Array, value: Array, join: str) -> None:
    """Join ``value`` into a contiguous array at ``index`` along a dimension; sizes of the others may be smaller."""
    if not out.ndim:
        out, index, value = (x.view((1,), (1,)) for x in (out, index, value))
    index = contiguous(cast(index, dtypes.int64))
    smaller = any(a != axis and n < out.shape[a] for a, n in enumerate(index.shape))
    if not smaller:
        scatter_into(out, axis, index, value, join) if out.ndim > 1 else scatter_into(
            out.view((1, out.size), (out.size, 1)), 1, index.view((1, index.size), (index.size, 1)),
            reshaped(value, (1, value.size)), join)
        return
    part = out.view(tuple(out.shape[a] if a == axis else n for a, n in enumerate(index.shape)), out.strides)
    whole = copy(part)
    scatter_into(whole, axis, index, value, join)
    assign(part, whole)


def add_rows(g: Array, shape: Shape, axis: int, index: Array, out: Array | None = None) -> Array:
    """Rows of ``g`` added up at ``index`` of dimension ``axis`` of an array of zeros, in ``out`` if it is given."""
    index = contiguous(cast(index, dtypes.int64))
    fits = out is not None and out.is_contiguous() and out.dtype is g.dtype
    out = assign(out, 0) if fits and out is not None else full(g.device, shape, 0, g.dtype)
    scatter_into(out, axis, index.view((index.size,), (1,)), g, "add")
    return out


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
        return add_rows(g, ctx.shape, ctx.axis, index, ctx.targets[0] if ctx.targets else None)


class Gather(Operation):
    """Elements at indices along a dimension."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axis: int, index: Array) -> Array:
        """Gather."""
        ctx.shape, ctx.axis = x.shape, axis
        ctx.save(index)
        return gather(x, axis, index) if x.ndim else copy(x.expand(index.shape))

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Each element gets the sum of the gradients of its copies, added in a fixed order."""
        (index,) = ctx.saved
        if not ctx.shape:
            return reduce("sum", g)
        return put_along(ctx.shape, ctx.axis, index, g, "add")
