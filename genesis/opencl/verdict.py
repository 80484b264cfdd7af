"""What `genesis doctor` found out about a device: kernels that gave wrong results, whose use is warned of."""

from __future__ import annotations

import hashlib
import warnings
from typing import TYPE_CHECKING, Any

from ..errors import GenesisError, KernelWarning
from . import tuning

if TYPE_CHECKING:
    from .device import Device

_NAME = "doctor"


def _source(kernel: str) -> str:
    """A digest of a kernel's source, so that a verdict ends with what it was passed on."""
    from .program import read

    if kernel == "*":
        return "*"
    try:
        return hashlib.sha256(read(kernel.rpartition(":")[0]).encode()).hexdigest()[:16]
    except GenesisError:
        return ""


def store(device: Device, failed: dict[str, str]) -> bool:
    """Keep the verdict on a device and its driver; it replaces the one before.

    Args:
        device: the device.
        failed: kernel, as ``"ops/matmul.cl:matmul_tile"``, or ``"*"`` for the device as a whole -> what went wrong.

    Returns:
        False when the cache folder cannot be written.
    """
    return tuning.store(device, _NAME, {"failed": {name: {"why": why, "source": _source(name)}
                                                   for name, why in failed.items()}})


def load(device: Device) -> dict[str, str] | None:
    """Kernels that failed, as given to `store`; None if the device has not been checked.

    A kernel whose source has changed since is left out.
    """
    found = tuning.load(device, _NAME)
    if found is None:
        return None
    failed: Any = found.get("failed")
    result = {}
    for name, about in failed.items() if isinstance(failed, dict) else ():
        if isinstance(about, dict) and about.get("source") == _source(name):
            result[name] = str(about.get("why", ""))
    return result


class Verdict:
    """The verdict on a device as its programs ask for it: read once, each kernel warned of once.

    Args:
        device: the device.
    """

    def __init__(self, device: Device):
        self._device = device
        self._failed: dict[str, str] | None = None

    def warn(self, kernel: str) -> None:
        """Warn if a kernel that is about to be used failed its check.

        Warns:
            KernelWarning: naming kernel, device and what went wrong.
        """
        if self._failed is None:
            self._failed = load(self._device) or {}
        for name in ("*", kernel) if self._failed else ():
            why = self._failed.pop(name, None)
            if why is not None:
                what = "training" if name == "*" else f"kernel {name}"
                device = self._device
                warnings.warn(
                    f"{what} went wrong on {device.name} ({device.platform}, driver {device.driver}) when "
                    f"`genesis doctor` checked it: {why}. Do not trust what it computes: update the driver or choose "
                    "another device (GENESIS_DEVICE), and run `genesis doctor` again", KernelWarning, stacklevel=4)
