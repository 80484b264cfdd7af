"""Sorting rows: the host half of ``cl/ops/sort.cl``."""

from __future__ import annotations

import functools
import math
from typing import Any

from .. import dtypes
from ..dtypes import DType
from .array import Array, empty
from .elementwise import contiguous
from .scan import running

_WIDE = (dtypes.float64, dtypes.int64)


@functools.cache
def _defines(dtype: DType, descending: bool = False, digit: int = 0, first: bool = False) -> Any:
    defines: tuple[tuple[str, Any], ...] = ()
    if digit:
        defines += (("DIGIT", digit),)
    else:
        defines += (("IN", dtype.name),)
    if dtype in _WIDE:
        defines += (("KEYS64", 1),)
    if dtype is dtypes.float64 and not digit:
        defines += (("REAL64", 1),)
    return defines + ((("DESCENDING", 1),) if descending else ()) + ((("FIRST", 1),) if first else ())


def keys_of(x: Array, descending: bool = False) -> Array:
    """Unsigned keys, in an int32 or int64 array of x's shape, that compare as the elements of a contiguous array do."""
    keys = empty(x.device, x.shape, dtypes.int64 if x.dtype in _WIDE else dtypes.int32)
    kernel = x.device.programs.kernel("ops/sort.cl", "make_keys", "PlPl", _defines(x.dtype, descending))
    local = min(64, 1 << (x.size - 1).bit_length())
    kernel((-(-x.size // local) * local,), (local,), x.buffer.handle, x.offset, keys.buffer.handle, x.size)
    return keys


def sort_keys(keys: Array, bits: int) -> tuple[Array, Array]:
    """Sort each row of a contiguous (rows, n) array of unsigned keys, of which only the low ``bits`` may differ from 0.

    Equal keys keep their order.

    Returns:
        The sorted keys and the int64 position in its row that each one had.
    """
    device, (rows, n) = keys.device, keys.shape
    cpu = device.type == "cpu"
    order = empty(device, keys.shape, dtypes.int64)
    if n <= (128 if cpu else 4096) and rows * n * n <= 1 << 33:
        out = empty(device, keys.shape, keys.dtype)
        kernel = device.programs.kernel("ops/sort.cl", "rank_sort", "PPPl", _defines(keys.dtype, digit=1))
        local = min(64, 1 << (n - 1).bit_length())
        kernel((-(-n // local) * local, rows), (local, 1), keys.buffer.handle, out.buffer.handle, order.buffer.handle,
               n)
        return out, order
    digit = (11 if n >= 1 << 15 else 8) if cpu else 4
    digit = -(-bits // max(1, -(-bits // digit)))       # digits of equal length
    busy = 2 * device.compute_units * device.quirks.parallel
    chunk = max(4 << digit, -(-n * rows // busy)) if cpu else 256
    chunk = min(chunk, n, (device.quirks.max_loop or 1 << 30) - (3 << digit))
    chunks = -(-n // chunk)
    source, order_before = keys, order
    for shift in range(0, bits, digit):
        counts = empty(device, (rows, (1 << digit) * chunks), dtypes.int64)
        defines = _defines(keys.dtype, digit=digit)
        count = device.programs.kernel("ops/sort.cl", "radix_count", "PPlli", defines)
        count((chunks, rows), (1, 1), source.buffer.handle, counts.buffer.handle, n, chunk, shift)
        starts = running("sum", counts, 1)
        sorted_, new_order = empty(device, keys.shape, keys.dtype), empty(device, keys.shape, dtypes.int64)
        move = device.programs.kernel("ops/sort.cl", "radix_move", "PPPPPlli",
                                      _defines(keys.dtype, digit=digit, first=shift == 0))
        move((chunks, rows), (1, 1), source.buffer.handle, order_before.buffer.handle, starts.buffer.handle,
             sorted_.buffer.handle, new_order.buffer.handle, n, chunk, shift)
        source, order_before = sorted_, new_order
    return source, order_before


def order_of(x: Array, axis: int, descending: bool = False) -> Array:
    """The positions, int64, in x's shape, that sort an array along a dimension; equal elements keep their order."""
    axes = (*(a for a in range(x.ndim) if a != axis), axis)
    turned = contiguous(x.permute(axes))
    n = x.shape[axis]
    bits = {dtypes.bool_: 1, dtypes.uint8: 8}.get(x.dtype, 64 if x.dtype in _WIDE else 32)
    keys = keys_of(turned, descending)
    if descending and bits < 32:
        bits = 32      # the keys were negated as a whole
    _, order = sort_keys(keys.view((math.prod(turned.shape[:-1]), n), (n, 1)), bits)
    strides = turned.strides
    back = [0] * x.ndim
    for new, old in enumerate(axes):
        back[old] = new
    return order.view(turned.shape, strides).permute(tuple(back))
