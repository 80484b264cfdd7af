"""The older place of `genesis.amp`'s names, for programs written for PyTorch."""

from ..amp import GradScaler, autocast

__all__ = ["GradScaler", "autocast"]
