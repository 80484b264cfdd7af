"""Tools for training: activation checkpointing."""

from . import checkpoint

__all__ = ["checkpoint"]
