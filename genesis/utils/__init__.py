"""Tools for training: activation checkpointing, and `genesis.data` under PyTorch's name."""

from . import checkpoint, data

__all__ = ["checkpoint", "data"]
