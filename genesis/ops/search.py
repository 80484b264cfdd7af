"""Finding positions: the host half of ``cl/ops/search.cl``."""

from __future__ import annotations

import functools
import math
from typing import Any

from .. import dtypes
from ..dtypes import DType
from ..opencl import Device
from .array import Array, Shape, download, empty
from .elementwise import contiguous, run
from .scan import running
from .sequence import sequence
from .sort import order_of

_BLOCK = 1024         # elements that a work-item looks through


@functools.cache
def _defines(dtype: DType, name: str = "") -> tuple[tuple[str, Any], ...]:
    defines: tuple[tuple[str, Any], ...] = (("IN", dtype.name),)
    if dtype is dtypes.float64:
        defines += (("REAL64", 1),)
    return (*defines, (name, 1)) if name else defines


def _find(x: Array, name: str) -> tuple[Array, Array]:
    """Positions in a contiguous array where something holds, and the running sum of how many each block has."""
    programs, blocks = x.device.programs, -(-x.size // _BLOCK)
    counts = empty(x.device, (blocks,), dtypes.int64)
    defines = _defines(x.dtype, name)
    if not blocks:
        return counts, counts
    kernel = programs.kernel("ops/search.cl", "count_found", "PlPll", defines)
    kernel((blocks,), None, x.buffer.handle, x.offset, counts.buffer.handle, x.size, _BLOCK)
    sums = running("sum", counts, 0)
    out = empty(x.device, (int(download(sums.view((1,), (1,), blocks - 1))[0]),), dtypes.int64)
    if out.size:
        kernel = programs.kernel("ops/search.cl", "write_found", "PlPPll", defines)
        kernel((blocks,), None, x.buffer.handle, x.offset, sums.buffer.handle, out.buffer.handle, x.size, _BLOCK)
    return out, sums


def flat_nonzero(x: Array) -> Array:
    """Positions, in the array read row by row, of elements that are not 0. Waits for the device."""
    if x.dtype.is_complex:
        x = run("ne", [x, 0.0], dtypes.bool_, compute=x.dtype.compute)
    return _find(contiguous(x), "")[0]


def coordinates(positions: Array, shape: Shape) -> Array:
    """Flat positions (count,) as (count, ndim) coordinates in a shape."""
    out = empty(positions.device, (positions.size, len(shape)), dtypes.int64)
    for axis, n in enumerate(shape):
        step = math.prod(shape[axis + 1:])
        column = out.view((positions.size,), (len(shape),), out.offset + axis)
        if column.size:
            rest = run("floor_divide", [positions, step], dtypes.int64) if step > 1 else positions
            run("remainder", [rest, n], dtypes.int64, out=column)
    return out


def unique(x: Array, consecutive: bool = False, places: bool = True) -> tuple[Array, Array | None, Array]:
    """The distinct elements of an array in rising order, or of each run of equal ones in the array's order.

    Returns:
        The elements, the int64 position among them of each element of x in x's shape (None without
        ``places``), and the int64 counts. Each NaN is an element of its own. Waits for the device.
    """
    from .index import select

    x = contiguous(x)
    shape, flat = x.shape, x.view((x.size,), (1,))
    if x.size == 0:
        none = empty(x.device, (0,), dtypes.int64)
        return flat, empty(x.device, shape, dtypes.int64), none
    order = None if consecutive else order_of(flat, 0)
    ordered = flat if order is None else select(flat, 0, order)
    starts, sums = _find(ordered, "CHANGES")
    inverse = None
    if places:
        inverse = empty(x.device, shape, dtypes.int64)
        order = positions(x.device, x.size) if order is None else order
        kernel = x.device.programs.kernel("ops/search.cl", "write_groups", "PlPPPll", _defines(x.dtype, "CHANGES"))
        kernel((sums.size,), None, ordered.buffer.handle, ordered.offset, sums.buffer.handle, order.buffer.handle,
               inverse.buffer.handle, x.size, _BLOCK)
    counts = empty(x.device, starts.shape, dtypes.int64)
    last = counts.view((1,), (1,), counts.size - 1)
    run("sub", [x.size, starts.view((1,), (1,), starts.size - 1)], dtypes.int64, out=last)
    if counts.size > 1:
        inner = (counts.size - 1,)
        run("sub", [starts.view(inner, (1,), 1), starts.view(inner, (1,), 0)], dtypes.int64,
            out=counts.view(inner, (1,), 0))
    return select(ordered, 0, starts), inverse, counts


def positions(device: Device, count: int) -> Array:
    """The int64 numbers 0, 1, ..., count - 1, made on the device."""
    return sequence(device, 0, 1, count, dtypes.int64)


def belongs(sequence: Array, values: Array, right: bool) -> Array:
    """Where values belong in sorted rows: the number of elements before each.

    Args:
        sequence: (n,), or (..., n) with the values' leading dimensions; of the values' type.
        values: any shape, or (..., m).
        right: after equal elements instead of before them.
    """
    sequence, values = contiguous(sequence), contiguous(values)
    out = empty(values.device, values.shape, dtypes.int64)
    if out.size:
        n = sequence.shape[-1]
        one = sequence.ndim == 1
        m = values.size if one else values.shape[-1]
        local = min(64, 1 << (m - 1).bit_length())
        kernel = values.device.programs.kernel("ops/search.cl", "belongs", "PllPlPll",
                                               _defines(values.dtype, "RIGHT" if right else ""))
        kernel((-(-m // local) * local, out.size // m), (local, 1), sequence.buffer.handle, sequence.offset,
               0 if one else n, values.buffer.handle, values.offset, out.buffer.handle, n, m)
    return out
