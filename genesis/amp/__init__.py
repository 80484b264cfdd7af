"""Mixed precision: `autocast` chooses each operation's precision, `GradScaler` keeps float16 gradients in range."""

from .autocast_mode import autocast, get_autocast_dtype, is_autocast_enabled
from .grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "get_autocast_dtype", "is_autocast_enabled"]
