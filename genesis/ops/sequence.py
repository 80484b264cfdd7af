"""Numbers at equal distances, made on the device: the host half of ``cl/ops/sequence.cl``."""

from __future__ import annotations

import functools
from typing import Any

from .. import dtypes
from ..dtypes import DType
from ..opencl import Device
from .array import Array, empty


@functools.cache
def _defines(dtype: DType) -> tuple[tuple[str, Any], ...]:
    return (("OUT", dtype.name), ("REAL64", 1)) if dtype is dtypes.float64 else (("OUT", dtype.name),)


def sequence(device: Device, start: int, step: int, count: int, dtype: DType) -> Array:
    """``start``, ``start + step`` and so on: all of them fit in 64 bits, and in 24 for a floating-point type."""
    out = empty(device, (count,), dtype)
    if count:
        kernel = device.programs.kernel("ops/sequence.cl", "sequence", "Plll", _defines(dtype))
        most = min(1024 if device.type == "cpu" else 256, device.handle.max_work_group_size)
        local = min(most, 1 << (count - 1).bit_length())
        kernel((-(-count // local) * local,), (local,), out.buffer.handle, start, step, count)
    return out
