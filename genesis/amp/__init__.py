"""Mixed precision: `autocast` chooses each operation's precision, `GradScaler` keeps float16 gradients in range."""

from .autocast_mode import autocast, get_autocast_dtype, is_autocast_enabled
from .custom import custom_bwd, custom_fwd
from .grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "get_autocast_dtype", "is_autocast_enabled"]
