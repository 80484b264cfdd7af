"""Sharing device memory with a program that uses pyopencl itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from .device import Device, default_device, devices
from .memory import Alias, Buffer


def adopt(array: Any) -> tuple[Buffer, int, tuple[int, ...], tuple[int, ...], np.dtype]:
    """A ``pyopencl.array.Array`` as a buffer that genesis does not own; and its offset, shape and strides in elements.

    Raises:
        TypeError: not such an array.
        ValueError: it belongs to a context that genesis does not work in.
    """
    if not all(hasattr(array, name) for name in ("base_data", "offset", "strides", "context")):
        raise TypeError(f"expected a pyopencl.array.Array, not {type(array).__name__}")
    known = [d for d in (default_device(), *devices()) if d.works_in(array.context)]
    if not known:
        raise ValueError("the array's context is not one that genesis works in; call genesis.opencl.use(queue) with "
                         "your queue before making tensors, or make the array with genesis.device().queue")
    itemsize = array.dtype.itemsize
    if array.offset % itemsize or any(s % itemsize for s in array.strides):
        raise ValueError(f"the array's offset and strides must be multiples of its element size, {itemsize}")
    buffer = Buffer(known[0], array.base_data.size, array.base_data)
    return (buffer, array.offset // itemsize, tuple(array.shape), tuple(s // itemsize for s in array.strides),
            array.dtype)


def lend(buffer: Buffer | Alias, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: np.dtype) -> Any:
    """Device memory as a ``pyopencl.array.Array``; offset and strides count elements.

    The array keeps the memory from being handed out again for as long as it lives.
    """
    import pyopencl.array  # slow to import, and rarely needed

    device: Device = buffer.device
    array: Any = pyopencl.array.Array(device.queue, shape, dtype, strides=tuple(s * dtype.itemsize for s in strides),
                                 data=buffer.handle, offset=offset * dtype.itemsize)
    array.genesis_buffer = buffer
    return array

