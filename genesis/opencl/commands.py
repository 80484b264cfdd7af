"""Commands on their way to a device's queue, where a profiler sees them pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import pyopencl as cl

from .. import tracing

if TYPE_CHECKING:
    from .device import Device


class Kind(NamedTuple):
    """What a command is.

    Attributes:
        call: the function of OpenCL by which the host enqueues it.
        name: what the device does; empty for a kernel, which has a name of its own.
        category: what traces call it.
    """

    call: str
    name: str
    category: str


KERNEL = Kind("clEnqueueNDRangeKernel", "", "kernel")
WRITE = Kind("clEnqueueWriteBuffer", "Memcpy HtoD", "gpu_memcpy")
READ = Kind("clEnqueueReadBuffer", "Memcpy DtoH", "gpu_memcpy")
COPY = Kind("clEnqueueCopyBuffer", "Memcpy DtoD", "gpu_memcpy")
FILL = Kind("clEnqueueFillBuffer", "Memset (Device)", "gpu_memset")


def enqueue(device: Device, kind: Kind, nbytes: int, function: Callable[..., cl.Event], *args: Any,
            **options: Any) -> cl.Event:
    """Enqueue a copy or a fill: ``function(device.queue, *args, **options)``."""
    if tracing.recorder is None:
        return function(device.queue, *args, **options)
    return tracing.recorder.command(device, kind, {"bytes": nbytes}, function, *args, **options)


def wait(call: str, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Call a function that waits for the device, or its compiler, and which OpenCL knows as ``call``."""
    if tracing.recorder is None:
        return function(*args, **options)
    return tracing.recorder.wait(call, function, *args, **options)
