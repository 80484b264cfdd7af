"""What programs written for PyTorch ask about CUDA, answered for the devices of NVIDIA's OpenCL platform.

``genesis.device("cuda")`` is the first of them, ``"cuda:1"`` the second. `genesis.accelerator` asks the same of GPUs
of any vendor.
"""

from __future__ import annotations

from .. import random
from ..opencl import Device, devices
from ..opencl import device as find_device
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


__all__ = ["device_count", "get_device_name", "is_available", "its_devices", "manual_seed", "manual_seed_all", "named",
           "synchronize"]
