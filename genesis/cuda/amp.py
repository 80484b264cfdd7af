"""The older place of `genesis.amp`'s names, for programs written for PyTorch."""

from ..amp import GradScaler, autocast, custom_bwd, custom_fwd

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]
