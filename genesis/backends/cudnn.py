"""NVIDIA's cuDNN, which genesis does without. ``benchmark`` and the others may be set and change nothing."""

from __future__ import annotations

__all__ = ["is_available", "version"]

enabled = True
benchmark = False
deterministic = False
allow_tf32 = True


def is_available() -> bool:
    """False.

    Example:
        >>> genesis.backends.cudnn.benchmark = True           # as programs do; it changes nothing
        >>> genesis.backends.cudnn.is_available()
        False
    """
    return False


def version() -> None:
    """None."""
    return
