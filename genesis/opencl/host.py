"""Memory that a device and the host both work in: only where the device is a CPU."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np
import pyopencl as cl

from . import commands
from .device import Device
from .memory import Alias, Buffer


class HostBuffer(Buffer):
    """Host memory of somebody else's as device memory; ``owner`` is kept alive for as long as the device needs it."""

    __slots__ = ("owner",)

    def __init__(self, device: Device, address: int, nbytes: int, owner: Any):
        memory: Any = (ctypes.c_char * nbytes).from_address(address)
        view: Any = np.ndarray((nbytes,), np.uint8, memory)
        flags = cl.mem_flags.READ_WRITE | cl.mem_flags.USE_HOST_PTR
        super().__init__(device, nbytes, cl.Buffer(device.context, flags, hostbuf=view))
        self.owner = owner

    def __del__(self) -> None:
        self.device.finish()       # kernels that were enqueued may still work in the memory
        del self.handle            # before the memory under it goes
        self.owner = None


def mapped(buffer: Buffer | Alias) -> np.ndarray:
    """The bytes of a CPU device's buffer, where they are; waits for the device. Unmapped when the array goes."""
    buffer.device.faults.check()
    flags: Any = cl.map_flags.READ | cl.map_flags.WRITE
    element: Any = np.uint8
    found: Any = commands.wait("clEnqueueMapBuffer", cl.enqueue_map_buffer, buffer.device.queue, buffer.handle, flags,
                               0, (buffer.nbytes,), element, is_blocking=True)
    return found[0]


@functools.cache
def shares_memory(device: Device) -> bool:
    """Whether a device works in host memory itself, so that both see what the other writes. Tried out once."""
    if device.type != "cpu":
        return False
    ones, sevens = np.full(1, 1, np.uint8), np.full(1, 7, np.uint8)
    memory = np.zeros(4096, np.uint8)
    adopted, own = HostBuffer(device, memory.ctypes.data, memory.nbytes, memory), device.empty(4096)
    seen = mapped(own)
    for buffer, view in ((adopted, memory), (own, seen)):
        device.fill(buffer, 0, 4096, ones)
        device.finish()
        if not (view == 1).all():
            return False
        view[:] = sevens
        back = np.zeros(4096, np.uint8)
        device.read(buffer, 0, back)
        if not (back == 7).all():
            return False
    return True
