"""The runtime layer: devices, memory, programs. The only package that imports pyopencl."""

from . import icd

icd.prepare()      # before anything, the user's own pyopencl calls included, asks for platforms

from . import tuning
from .advice import gpu_message, no_device_message
from .arena import CHUNK, Arena, split_by_limit
from .device import (
    Device,
    Reading,
    cpu_device,
    default_device,
    device,
    devices,
    find_device,
    set_default_device,
    synchronize,
    use,
)
from .memory import Alias, Buffer
from .program import Kernel, sources

__all__ = [
    "CHUNK", "Alias", "Arena", "Buffer", "Device", "Kernel", "Reading", "cpu_device", "default_device", "device",
    "devices", "find_device", "gpu_message", "no_device_message", "set_default_device", "sources", "split_by_limit",
    "synchronize", "tuning", "use",
]
