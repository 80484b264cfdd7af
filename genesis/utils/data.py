"""`genesis.data` under the name that PyTorch gives it."""

from ..data import *  # noqa: F403 - the same names
from ..data import __all__ as __all__
