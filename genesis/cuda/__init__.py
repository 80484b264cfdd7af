"""What programs written for PyTorch ask about CUDA, answered for the devices of NVIDIA's OpenCL platform.

``genesis.device("cuda")`` is the first of them, ``"cuda:1"`` the second. `genesis.accelerator` asks the same of GPUs
of any vendor.
"""

from __future__ import annotations

from .. import random
from ..opencl import Device, devices, find_device
from ..opencl import synchronize as _synchronize


def its_devices() -> tuple[Device, ...]:
    """The devices of NVIDIA's platform."""
    return tuple(d for d in devices() if "cuda" in d.platform.lower())


def is_available() -> bool:
    """Whether ``genesis.device("cuda")`` finds a device.

    Example:
        >>> device = genesis.device("cuda" if genesis.cuda.is_available() else "cpu")
    """
    return bool(its_devices())


def device_count() -> int:
    """The number of such devices."""
    return len(its_devices())


def named(device: Device | str | int | None) -> Device:
    """The device that a name, a number among NVIDIA's devices, or None (the first of them) means."""
    if isinstance(device, Device):
        return device
    return find_device("cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device)


def get_device_name(device: Device | str | int | None = None) -> str:
    """The name of a device, by default of the first; a number counts NVIDIA's devices.

    Raises:
        NoDeviceError: there is no such device.
    """
    return named(device).name


def synchronize(device: Device | str | int | None = None) -> None:
    """Wait until everything enqueued on a device, by default the first, has run.

    Raises:
        NoDeviceError: there is no such device.
    """
    _synchronize(named(device))


def manual_seed(seed: int) -> None:
    """Seed the generator of all devices, as `genesis.manual_seed` does."""
    random.manual_seed(seed)


def manual_seed_all(seed: int) -> None:
    """The same as `manual_seed`: genesis draws the same numbers on every device."""
    random.manual_seed(seed)


def current_device() -> int:
    """The number of the device that ``genesis.device("cuda")`` is: 0.

    Raises:
        NoDeviceError: there is no such device.
    """
    return its_devices().index(named(None))


def is_bf16_supported() -> bool:
    """Whether tensors on such a device may be bfloat16: they may on every device, if there is one."""
    return is_available()


def empty_cache() -> None:
    """Give memory that is kept for later tensors back to the devices."""
    for device in its_devices():
        device.pool.empty_cache()


def memory_allocated(device: Device | str | int | None = None) -> int:
    """Bytes of a device's memory, by default of the first's, that tensors use; 0 where there are no such devices.

    Raises:
        NoDeviceError: the one that is named is not there.
    """
    return _memory(device)[0]


def max_memory_allocated(device: Device | str | int | None = None) -> int:
    """The most that `memory_allocated` has been since `reset_peak_memory_stats`."""
    return _memory(device)[1]


def memory_reserved(device: Device | str | int | None = None) -> int:
    """Bytes that tensors use, and those that are kept for later ones."""
    return _memory(device)[2]


def reset_peak_memory_stats(device: Device | str | int | None = None) -> None:
    """Start measuring `max_memory_allocated` anew."""
    if device is not None or its_devices():
        named(device).pool.reset_peak()


def _memory(device: Device | str | int | None) -> tuple[int, int, int]:
    if device is None and not its_devices():
        return 0, 0, 0
    pool = named(device).pool
    return pool.allocated, pool.peak, pool.allocated + pool.cached


__all__ = ["current_device", "device_count", "empty_cache", "get_device_name", "is_available", "is_bf16_supported",
           "its_devices", "manual_seed", "manual_seed_all", "max_memory_allocated", "memory_allocated",
           "memory_reserved", "named", "reset_peak_memory_stats", "synchronize"]
