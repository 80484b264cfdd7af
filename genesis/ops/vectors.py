"""A CPU's vectors: what tiles of sums that stay in registers are cut by."""

from __future__ import annotations

from .. import dtypes
from ..dtypes import DType
from ..opencl import Device


def lanes_of(device: Device, real: DType) -> int:
    """Elements of the device's vectors of a type that is computed in."""
    return max(4, min(device.vector_width, 16)) // (2 if real is dtypes.float64 else 1)


def registers(device: Device, real: DType) -> int:
    """Vectors that the device's registers hold: AVX-512 has twice as many as narrower instructions."""
    return 32 if lanes_of(device, real) * real.itemsize >= 64 else 16
