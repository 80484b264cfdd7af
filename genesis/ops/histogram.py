"""Counting elements by bins: the host half of ``cl/ops/histogram.cl``."""

from __future__ import annotations

import functools
from typing import Any

from .. import dtypes
from ..dtypes import DType
from .array import Array, download, empty
from .elementwise import contiguous, full
from .reduce import reduce

_FEWEST = 4096        # elements of a CPU's work-item
_MOST = 1 << 16       # counts of a GPU, in all rows, unless one row has more


@functools.cache
def _defines(dtype: DType, numbers: bool) -> tuple[tuple[str, Any], ...]:
    defines: tuple[tuple[str, Any], ...] = (("IN", dtype.name),)
    if numbers:
        return (*defines, ("NUMBERS", 1))
    return (*defines, ("REAL64", 1)) if dtype is dtypes.float64 else defines


def count_bins(x: Array, bins: int, bounds: tuple[float, float] | None = None) -> Array:
    """How many elements each bin has: int64, (bins,).

    Args:
        x: whole numbers, not negative, which are the bins' own; with bounds, floating-point numbers.
        bins: how many there are.
        bounds: the ends of the range whose equal parts the bins are. It is the only one to be counted, ends included.
    """
    device, n = x.device, x.size
    if not n or not bins:
        return full(device, (bins,), 0, dtypes.int64)
    x = contiguous(x)
    blocks = device.type == "cpu" and not device.quirks.max_loop
    if blocks:
        rows = max(1, min(4 * device.compute_units, n // _FEWEST, 2 * n // bins))
        counts = empty(device, (rows, bins), dtypes.int32)
        block = -(-n // rows)
        size, local = (rows,), (1,)
    else:
        rows = max(1, min(_MOST // bins, n // 64))
        counts = full(device, (rows, bins), 0, dtypes.int32)
        block, local = rows, (min(256, 1 << (n - 1).bit_length()),)
        size = (-(-n // local[0]) * local[0],)
    kernel = device.programs.kernel("ops/histogram.cl", "count_blocks" if blocks else "count_each",
                                    "PlPllldd" if x.dtype is dtypes.float64 else "PlPlllff",
                                    _defines(x.dtype, bounds is None))
    kernel(size, local, x.buffer.handle, x.offset, counts.buffer.handle, n, block, bins,
           *(bounds or (0.0, 0.0)))
    return reduce("sum", counts, (0,), dtype=dtypes.int64)


def extent(x: Array) -> tuple[Any, Any]:
    """The smallest and the largest element of some, for which the host waits; NaN where one is."""
    found = empty(x.device, (2,), x.dtype)
    for i, op in enumerate(("amin", "amax")):
        reduce(op, x, out=found.view((), (), found.offset + i))
    low, high = download(found).tolist()
    return low, high
