"""Layers in the place where PyTorch keeps them; `genesis.places` adds its modules, such as ``nn.modules.batchnorm``."""

from .. import nn as _nn

__all__ = [name for name in _nn.__all__ if isinstance(getattr(_nn, name), type)]

globals().update((name, getattr(_nn, name)) for name in __all__)
