"""What programs written for PyTorch ask about accelerators, answered for GPUs of any vendor."""

from __future__ import annotations

from .opencl import Device, devices
from .opencl import synchronize as _synchronize


def _found() -> tuple[Device, ...]:
    return tuple(d for d in devices() if d.type == "gpu" and d.quirks.rank >= 0)


def is_available() -> bool:
    """Whether there is a GPU that genesis would choose unasked."""
    return bool(_found())


def device_count() -> int:
    """The number of such GPUs."""
    return len(_found())


def current_accelerator(check_available: bool = False) -> Device | None:
    """The GPU that genesis would choose; None where there is none.

    Args:
        check_available: accepted as PyTorch has it; what is found is available.

    Example:
        >>> device = genesis.accelerator.current_accelerator() or genesis.device("cpu")
    """
    return max(_found(), key=lambda d: d.quirks.rank, default=None)


def synchronize(device: Device | str | int | None = None) -> None:
    """Wait until everything enqueued on a device, by default the one that new tensors go to, has run."""
    _synchronize(device)


__all__ = ["current_accelerator", "device_count", "is_available", "synchronize"]
