"""Selecting and scattering by integer indices: the host half of ``cl/ops/index.cl``."""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Sequence
from typing import Any

from .. import dtypes
from ..dtypes import DType
from ..opencl import Device
from .array import Array, Shape, empty
from .bounds import ANY, Bounds, launch
from .elementwise import assign, cast, contiguous, copy, full, reshaped
from .operation import Context, Operation
from .reduce import accumulator, reduce
from .scan import grid
from .sort import sort_keys

ELEMENTS = {1: "uchar", 2: "ushort", 4: "uint", 8: "ulong", 16: "ulong2"}
_PIECE = 16384        # elements of whole rows that a CPU's work-item copies
_GATHERED = 4096       # elements that a CPU's work-item gathers
_TOGETHER = 4         # index arrays that one launch joins
_JOINED = struct.Struct("9q")
_SEGMENT = 64         # sorted indices that a work-item joins before another launch joins the blocks


def sizes_of(x: Array, axis: int) -> tuple[int, int, int]:
    """An array's shape as (outer, n, inner) around a dimension; of a 0-d array (1, 1, 1)."""
    return math.prod(x.shape[:axis]), x.shape[axis] if x.ndim else 1, math.prod(x.shape[axis + 1:])


@functools.cache
def _copying(itemsize: int, last: bool) -> tuple[tuple[str, Any], ...]:
    return (("ELEMENT", ELEMENTS[itemsize]), *((("LAST", 1),) if last else ()))


def select(x: Array, axis: int, index: Array, bounds: Bounds = ANY) -> Array:
    """Rows ``index`` of dimension ``axis``, which becomes the dimensions of ``index``; 0 at indices out of range."""
    x, index = contiguous(x), contiguous(cast(index, dtypes.int64))
    outer, n, inner = sizes_of(x, axis)
    out = empty(x.device, (*x.shape[:axis], *index.shape, *x.shape[axis + 1:]), x.dtype)
    if out.size and inner >= 16 and x.device.type == "cpu":
        parts = max(1, x.dtype.itemsize // 8)               # vectors of 16 elements are of 8 bytes each at the most
        kernel = x.device.programs.kernel("ops/index.cl", "copy_rows", "PlPlPllllPil",
                                          _copying(x.dtype.itemsize // parts, False))
        rows = min(max(1, _PIECE // inner), max(1, index.size * outer // (8 * x.device.compute_units)))
        launch(kernel, (-(-index.size // rows), outer), (1, 1), x.buffer.handle, parts * x.offset, index.buffer.handle,
               index.offset, out.buffer.handle, n, parts * inner, index.size, rows, bounds=bounds, n=n)
    elif out.size:
        _read("select_rows", x, index, out, n, inner, index.size, outer, bounds)
    elif not n and index.size:
        raise IndexError(f"{bounds.operation}: no index is in range for a dimension of size 0")
    return out


def gather(x: Array, axis: int, index: Array, bounds: Bounds = ANY) -> Array:
    """Elements at ``index``, of x's number of dimensions, along a dimension; sizes of the others at most x's.

    0 at indices out of range.
    """
    if any(a != axis and n < x.shape[a] for a, n in enumerate(index.shape)):
        x = x.view(tuple(x.shape[a] if a == axis else n for a, n in enumerate(index.shape)), x.strides)
    x, index = contiguous(x), contiguous(cast(index, dtypes.int64))
    out = empty(x.device, index.shape, x.dtype)
    if out.size:
        outer, count, inner = sizes_of(index, axis)
        if inner == 1 and x.device.type == "cpu":
            kernel = x.device.programs.kernel("ops/index.cl", "gather_blocks", "PlPlPlllllPil",
                                              _copying(x.dtype.itemsize, True))
            block = min(count, _GATHERED)
            rows = max(1, min(_GATHERED // block, outer // (4 * x.device.compute_units)))
            n = sizes_of(x, axis)[1]
            launch(kernel, (-(-count // block), -(-outer // rows)), (1, 1), x.buffer.handle, x.offset,
                   index.buffer.handle, index.offset, out.buffer.handle, n, count, block, outer, rows, bounds=bounds,
                   n=n)
            return out
        _read("gather", x, index, out, sizes_of(x, axis)[1], inner, count, outer, bounds)
    return out


def _read(name: str, x: Array, index: Array, out: Array, n: int, inner: int, count: int, outer: int,
          bounds: Bounds) -> None:
    kernel = x.device.programs.kernel("ops/index.cl", name, "PlPlPlllPil", _copying(x.dtype.itemsize, inner == 1))
    launch(kernel, *grid(inner, count, outer), x.buffer.handle, x.offset, index.buffer.handle, index.offset,
           out.buffer.handle, n, inner, count, bounds=bounds, n=n)


def joined_indices(indices: Sequence[Array], sizes: Sequence[int], bounds: Bounds = ANY) -> Array:
    """Indices of neighbouring dimensions as those in one of their product, where none counts from the end any more.

    Args:
        indices: int64 arrays of one shape, any layout, for each dimension one.
        sizes: of the dimensions.
        bounds: what is in range; the rest becomes the smallest int64, which never is.
    """
    if len(indices) > _TOGETHER:
        first = joined_indices(indices[:_TOGETHER], sizes[:_TOGETHER], bounds)
        return joined_indices([first, *indices[_TOGETHER:]], [math.prod(sizes[:_TOGETHER]), *sizes[_TOGETHER:]], bounds)
    out = empty(indices[0].device, indices[0].shape, dtypes.int64)
    if out.size:
        _launch_joined("join_indices", "P", indices, sizes, (), bounds, out.buffer.handle)
    return out


def _launch_joined(name: str, signature: str, indices: Sequence[Array], sizes: Sequence[int],
                   defines: tuple[tuple[str, Any], ...], bounds: Bounds, *args: Any) -> None:
    indices = [contiguous(i) for i in indices]
    count, rest = indices[0].size, _TOGETHER - len(indices)
    kernel = indices[0].device.programs.kernel("ops/index.cl", name, f"PPPP(72){signature}Pil",
                                               (*defines, ("INDICES", len(indices))))
    local = min(64, 1 << (count - 1).bit_length())
    handles = [i.buffer.handle for i in indices]
    packed = _JOINED.pack(*(i.offset for i in indices), *[0] * rest, *sizes, *[1] * rest, count)
    launch(kernel, (-(-count // local) * local,), (local,), *handles, *handles[:1] * rest, packed, *args,
           bounds=bounds, n=min(sizes))


@functools.cache
def _joining(join: str, value: DType, out: DType, last: bool) -> tuple[tuple[str, Any], ...]:
    acc = accumulator("amax", out)
    defines: tuple[tuple[str, Any], ...] = (("IN", value.name), ("OUT", out.name), ("ACC", acc), ("JOIN", join))
    if "double" in (acc, value.compute):
        defines += (("REAL64", 1),)
    return (*defines, ("LAST", 1)) if last else defines


def scatter_into(out: Array, axis: int, index: Array, value: Array, join: str, bounds: Bounds = ANY) -> None:
    """Join values with the elements of a contiguous array at int64 indices, in rising order of their position.

    Args:
        out: (outer, n, inner) around ``axis``, changed in place.
        axis: dimension that is indexed.
        index: contiguous; (count,) for whole rows, or (outer, count, inner) like ``value``.
        value: (outer, count, inner), in any layout whose leading and trailing dimensions can be merged.
        join: ``"add"``, ``"prod"``, ``"amax"``, ``"amin"`` or ``"put"``: the last one wins.
        bounds: which indices are in range; the others are passed over.
    """
    if out.dtype.is_complex:
        if join not in ("add", "put"):
            raise NotImplementedError(f"joining complex numbers by {join!r} is not defined")
        if index.ndim > 1:
            index = copy(index.view((*index.shape, 1), (*index.strides, 1)).expand((*index.shape, 2)))
        out, value = out.as_real(), cast(value, out.dtype).as_real()
    outer, n, inner = sizes_of(out, axis)
    rows = index.ndim == 1
    count = index.size if rows else sizes_of(index, axis)[1]
    if not count or not out.size:
        return
    three = reshaped(value, (outer, count, inner))
    if out.dtype.itemsize == 2 and join != "put":
        wide = cast(out, dtypes.float32)      # so that a sum is rounded once
        scatter_into(wide, axis, index, value, join, bounds)
        assign(out, wide)
    elif (rows and join == "add" and inner >= 16 and out.dtype is dtypes.float32 and out.device.type == "cpu"
          and not out.device.quirks.max_loop and three.dtype.compute == "float" and count > 1
          and by_columns(out.device, outer * inner, count, rows)):
        _tiles(out, outer, n, inner, index, count, contiguous(three), bounds)
    elif by_columns(out.device, outer * inner, count, rows):
        _columns(out, outer, n, inner, index, (0, 1, 0) if rows else (count * inner, inner, 1), count, three, join,
                 bounds)
    elif rows:
        _segments(out, outer, n, inner, places_of(index, 1, n, 1, count, bounds), count, three, join)
    else:      # every element has a place of its own: one long row
        places, size = places_of(index, outer, n, inner, count, bounds), outer * n * inner
        flat = contiguous(three).view((1, places.size, 1), (places.size, 1, 1))
        _segments(out, 1, size, 1, places, places.size, flat, join)


def by_columns(device: Device, columns: int, count: int, rows: bool) -> bool:
    """Whether one work-item a column is quicker than sorting the indices."""
    if count <= 64:
        return True
    if device.type == "cpu":
        return columns * 8 >= device.compute_units
    return columns >= 64 * device.compute_units and (count <= 512 or not rows)


def _columns(out: Array, outer: int, n: int, inner: int, index: Array, steps: tuple[int, int, int], count: int,
             value: Array, join: str, bounds: Bounds) -> None:
    device = out.device
    kernel = device.programs.kernel("ops/index.cl", "scatter_columns", "PllllPllllPllllllPil",
                                    _joining(join, value.dtype, out.dtype, inner == 1))
    size, local = grid(1, outer, 1) if inner == 1 else grid(inner, outer, 1)
    if inner == 1:
        size, local = size[:1], local[:1]
    else:
        size, local = size[:2], local[:2]
    each = device.quirks.max_loop or count
    for first in range(0, count, each):
        launch(kernel, size, local, value.buffer.handle, value.offset, *value.strides, index.buffer.handle,
               index.offset, *steps, out.buffer.handle, out.offset, n, inner, outer, first, min(first + each, count),
               bounds=bounds, n=n)


def _tiles(out: Array, outer: int, n: int, inner: int, index: Array, count: int, value: Array,
           bounds: Bounds) -> None:
    """Add whole rows of floats on a CPU."""
    device = out.device
    parts = max(1, min(-(-2 * device.compute_units // outer), inner // 64))
    tile = -(-inner // parts // 16) * 16
    kernel = device.programs.kernel("ops/index.cl", "add_tiles", "PlPlPlllllPil",
                                    (*_joining("add", value.dtype, out.dtype, False), ("WIDTH", 16)))
    launch(kernel, (-(-inner // tile), outer), (1, 1), value.buffer.handle, value.offset, index.buffer.handle,
           index.offset, out.buffer.handle, out.offset, n, inner, count, tile, bounds=bounds, n=n)


def places_of(index: Array, outer: int, n: int, inner: int, count: int, bounds: Bounds,
              left_out: int | None = None) -> Array:
    """Where contiguous indices point to in the array (outer, n, inner) seen as flat, as one row.

    The array's size stands for no place: that of indices that are out of range, or equal to ``left_out``.
    """
    places = empty(index.device, (1, index.size), dtypes.int64)
    kernel = index.device.programs.kernel("ops/index.cl", "places", "PlPllllllPil")
    size, local = grid(1, index.size, 1)
    launch(kernel, size[:1], local[:1], index.buffer.handle, index.offset, places.buffer.handle, n, inner, count,
           index.size, outer * n * inner, n if left_out is None else left_out, bounds=bounds, n=n)
    return places


def _segments(out: Array, outer: int, n: int, inner: int, places: Array, count: int, value: Array, join: str) -> None:
    keys, order = sort_keys(places, max(1, n.bit_length()))
    _join_sorted(out, outer, n, inner, keys, order, count, value, join)


def _join_sorted(out: Array, outer: int, n: int, inner: int, keys: Array, order: Array, count: int, value: Array,
                 join: str) -> None:
    device = out.device
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


def add_at_places(out: Array, places: Array, value: Array) -> None:
    """Add row i of ``value`` to row ``places[i]`` of a contiguous array, in place; its number of rows is no place."""
    count, n, inner = sizes_of(value, 0)[1], out.shape[0], math.prod(out.shape[1:])
    if not count or not out.size:
        return
    if out.dtype.itemsize == 2:
        wide = cast(out, dtypes.float32)      # so that a sum is rounded once
        add_at_places(wide, places, value)
        assign(out, wide)
        return
    if out.dtype.is_complex:
        add_at_places(out.as_real(), places, cast(value, out.dtype).as_real())
        return
    _segments(out, 1, n, inner, places.view((1, count), (count, 1)), count, _three(value), "add")


def joined_rows(places: Array, value: Array, n: int) -> tuple[Array, Array]:
    """Rows of values in rising order of their places in [0, n), those of one place added up; n is no place.

    Nothing waits for the device, which alone knows how many places there are: there are as many rows as before, and
    those that are left over are 0 and have the place n. The others' order is that of their places.

    Returns:
        Places and rows of values.
    """
    if value.dtype.is_complex:
        places, pairs = joined_rows(places, value.as_real(), n)
        found = pairs.as_complex()
        assert found is not None
        return places, found
    count, inner = value.shape[0], math.prod(value.shape[1:])
    device = value.device
    keys, order = sort_keys(places.view((1, count), (count, 1)), max(1, n.bit_length()))
    firsts, rows = (empty(device, (count,), dtypes.int64) for _ in range(2))
    size, local = grid(1, count, 1)
    device.programs.kernel("ops/index.cl", "first_of_each", "PPPll")(
        size[:1], local[:1], keys.buffer.handle, firsts.buffer.handle, rows.buffer.handle, n, count)
    out = full(device, value.shape, 0, dtypes.float32 if value.dtype.itemsize == 2 else value.dtype)
    if out.size:
        _join_sorted(out, 1, count, inner, firsts, order, count, _three(value), "add")
    return rows, cast(out, value.dtype)


def _three(value: Array) -> Array:
    """Contiguous rows as (1, count, inner)."""
    shape = 1, value.shape[0], math.prod(value.shape[1:])
    return value.view(shape, (value.size, shape[2], 1))


def put(x: Array, axis: int, index: Array, value: Array, join: str = "put") -> None:
    """Write ``value`` into rows ``index`` of dimension ``axis`` of a contiguous array, or join it with them.

    Of several values for a row the last wins.
    """
    index = contiguous(cast(index, dtypes.int64))
    scatter_into(x, axis, index.view((index.size,), (1,)), cast(value, x.dtype), join)


def put_along(shape: Shape, axis: int, index: Array, value: Array, join: str = "put", bounds: Bounds = ANY) -> Array:
    """Zeros of a shape with ``value`` joined in at ``index``, which has as many dimensions, along a dimension."""
    out = full(value.device, shape, 0, value.dtype)
    scatter_along(out, axis, index, value, join, bounds)
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


def scatter_along(out: Array, axis: int, index: Array, value: Array, join: str, bounds: Bounds = ANY) -> None:
    """Join ``value`` into a contiguous array at ``index`` along a dimension; sizes of the others may be smaller."""
    if not out.ndim:
        out, index, value = (x.view((1,), (1,)) for x in (out, index, value))
    index = contiguous(cast(index, dtypes.int64))
    smaller = any(a != axis and n < out.shape[a] for a, n in enumerate(index.shape))
    if not smaller:
        scatter_into(out, axis, index, value, join, bounds) if out.ndim > 1 else scatter_into(
            out.view((1, out.size), (out.size, 1)), 1, index.view((1, index.size), (index.size, 1)),
            reshaped(value, (1, value.size)), join, bounds)
        return
    part = out.view(tuple(out.shape[a] if a == axis else n for a, n in enumerate(index.shape)), out.strides)
    whole = copy(part)
    scatter_into(whole, axis, index, value, join, bounds)
    assign(part, whole)


def add_rows(g: Array, shape: Shape, axis: int, index: Array, out: Array | None = None,
             bounds: Bounds = ANY) -> Array:
    """Rows of ``g`` added up at ``index`` of dimension ``axis`` of an array of zeros, in ``out`` if it is given."""
    index = contiguous(cast(index, dtypes.int64))
    fits = out is not None and out.is_contiguous() and out.dtype is g.dtype
    out = assign(out, 0) if fits and out is not None else full(g.device, shape, 0, g.dtype)
    scatter_into(out, axis, index.view((index.size,), (1,)), g, "add", bounds)
    return out


class IndexSelect(Operation):
    """Rows of a dimension at integer indices."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axis: int, index: Array, bounds: Bounds = ANY) -> Array:
        """Select."""
        ctx.shape, ctx.merged, ctx.axis, ctx.bounds = x.shape, x.shape, axis, bounds
        ctx.save(index)
        return select(x, axis, index, bounds)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Each row gets the sum of the gradients of its copies, added in a fixed order."""
        (index,) = ctx.saved
        target = ctx.targets[0] if ctx.targets else None
        if ctx.merged == ctx.shape:
            return add_rows(g, ctx.shape, ctx.axis, index, target, ctx.bounds)
        if target is not None and target.is_contiguous() and target.dtype is g.dtype:
            add_rows(g, ctx.merged, ctx.axis, index, reshaped(target, ctx.merged), ctx.bounds)
            return target
        return reshaped(add_rows(g, ctx.merged, ctx.axis, index, None, ctx.bounds), ctx.shape)


class Index(IndexSelect):
    """What stands where neighbouring dimensions, from ``axis`` on, have the indices of several arrays.

    The arrays are int64, of one shape, and may count from the end. Each has one dimension, or some: ``sizes`` says of
    how many elements.
    """

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axis: int, indices: Sequence[Array], sizes: Sequence[int],  # type: ignore[override]
                width: int) -> Array:
        """Select from ``width`` dimensions."""
        x = contiguous(x)
        ctx.shape, ctx.axis, ctx.bounds = x.shape, axis, ANY
        ctx.merged = (*x.shape[:axis], math.prod(sizes), *x.shape[axis + width:])
        if width < x.ndim or len(indices) > _TOGETHER or not indices[0].size:
            index = indices[0] if len(indices) == 1 else joined_indices(indices, sizes)
            ctx.save(index)
            return select(reshaped(x, ctx.merged), axis, index)
        out = empty(x.device, indices[0].shape, x.dtype)
        places = empty(x.device, out.shape, dtypes.int64) if ctx.needs[0] else None
        _launch_joined("select_joined", "PlPPi", indices, sizes, _copying(x.dtype.itemsize, True), ANY,
                       x.buffer.handle, x.offset, out.buffer.handle, (out if places is None else places).buffer.handle,
                       int(ctx.needs[0]))
        ctx.save(places)
        return out


class Gather(Operation):
    """Elements at indices along a dimension."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axis: int, index: Array, bounds: Bounds = ANY,
                values: Array | None = None) -> Array:
        """Gather, unless ``values`` has what that gives."""
        ctx.shape, ctx.axis, ctx.bounds = x.shape, axis, bounds
        ctx.save(index)
        if values is not None:
            return values
        return gather(x, axis, index, bounds) if x.ndim else copy(x.expand(index.shape))

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Each element gets the sum of the gradients of its copies, added in a fixed order."""
        (index,) = ctx.saved
        if not ctx.shape:
            return reduce("sum", g)
        return put_along(ctx.shape, ctx.axis, index, g, "add", ctx.bounds)
