"""Activation functions as layers."""

from __future__ import annotations

from ..tensor import Tensor
from .module import Module


class ReLU(Module):
    """``max(x, 0)``; ``inplace`` is accepted and has no effect."""

    def __init__(self, inplace: bool = False):
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """Apply."""
        return x.relu()


class Tanh(Module):
    """Hyperbolic tangent."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply."""
        return x.tanh()


class Sigmoid(Module):
    """``1 / (1 + exp(-x))``."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply."""
        return x.sigmoid()
