"""Activation functions."""

from __future__ import annotations

from ...tensor import Tensor


def relu(input: Tensor) -> Tensor:
    """``max(input, 0)``."""
    return input.relu()


def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return input.tanh()


def sigmoid(input: Tensor) -> Tensor:
    """``1 / (1 + exp(-input))``."""
    return input.sigmoid()


def softmax(input: Tensor, dim: int) -> Tensor:
    """Exponentials divided by their sum over a dimension."""
    return input.softmax(dim)


def log_softmax(input: Tensor, dim: int) -> Tensor:
    """Logarithm of the softmax."""
    return input.log_softmax(dim)
