"""What distributions that users write are made with, under PyTorch's names.

Example:
    >>> from genesis.distributions.utils import broadcast_all, lazy_property
    >>> loc, scale = broadcast_all(0.0, genesis.ones(2))
    >>> loc
    tensor([0., 0.])
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Number as _Number
from typing import Any

from ..autograd import enable_grad
from ..dtypes import finfo
from ..functions import broadcast_tensors
from ..nn import functional as F
from ..tensor import Tensor, tensor

__all__ = ["broadcast_all", "clamp_probs", "lazy_property", "logits_to_probs", "probs_to_logits"]


def broadcast_all(*values: Tensor | float) -> tuple[Tensor, ...]:
    """Tensors and numbers as tensors of one shape; numbers have the first tensor's type and device.

    Raises:
        ValueError: something else is among the values.
    """
    for value in values:
        if not isinstance(value, Tensor | _Number):
            raise ValueError(f"broadcast_all takes tensors and numbers, not {type(value).__name__}")
    like = next((value for value in values if isinstance(value, Tensor)), tensor(0.0))
    return broadcast_tensors(*(value if isinstance(value, Tensor) else
                               tensor(value, dtype=like.dtype, device=like.device) for value in values))


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities kept so far from 0 and 1 that their logarithms are finite."""
    eps = finfo(probs.dtype).eps
    return probs.clamp(eps, 1 - eps)


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Probabilities from logarithms: of odds if ``is_binary``, else of chances along the last dimension."""
    return logits.sigmoid() if is_binary else F.softmax(logits, -1)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """The reverse, of probabilities clamped by `clamp_probs`."""
    inside = clamp_probs(probs)
    return inside.log() - (-inside).log1p() if is_binary else inside.log()


class lazy_property:
    """A property that is computed when it is first asked for, and kept; also to be assigned by `__init__`.

    Args:
        wrapped: the method; gradients are recorded while it runs.
    """

    def __init__(self, wrapped: Callable[[Any], Any]):
        self.wrapped = wrapped
        self.__doc__ = wrapped.__doc__

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        with enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value
