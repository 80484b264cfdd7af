"""Apple's Metal, of which genesis knows nothing: it reaches these GPUs by OpenCL, where there is a runtime."""

from __future__ import annotations

__all__ = ["is_available", "is_built"]


def is_available() -> bool:
    """False, so that programs go on to ask for the CPU; `genesis.accelerator` asks for any GPU.

    Example:
        >>> genesis.backends.mps.is_available()
        False
    """
    return False


def is_built() -> bool:
    """False."""
    return False
