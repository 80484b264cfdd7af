"""Distributions of yes and no, and of one of several classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from ..dtypes import finfo
from ..joining import broadcast_shapes
from ..nn import functional as F
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution, check, either
from .utils import clamp_probs, probs_to_logits


def odds(name: str, probs: Any, logits: Any, validate_args: bool | None) -> tuple[Tensor, Tensor]:
    """A probability and the logarithm of its odds, from the one that is given."""
    given = either(name, probs, logits)
    if probs is None:
        return given.sigmoid(), given
    if validate_args:
        check("probs", given.ge(0).logical_and(given.le(1)), "in [0, 1]")
    return given, probs_to_logits(given, is_binary=True)


class Bernoulli(Distribution):
    """1 with a probability, else 0.

    Args:
        probs: the probability of 1, in [0, 1]; or else
        logits: the logarithm of its odds.
        validate_args: check the probabilities, which waits for the device.
    """

    arg_constraints: ClassVar[Any] = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.boolean

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        self.probs, self.logits = odds("Bernoulli", probs, logits, validate_args)
        super().__init__(self.probs.shape, validate_args=validate_args)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Zeros and ones of the parameters' type."""
        result: Tensor = self.probs.detach().expand(self._extended(sample_shape)).bernoulli()
        return result

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the probability of 0 or 1."""
        result: Tensor = -F.softplus(-self.logits) * value - F.softplus(self.logits) * (1 - value)
        return result

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        return -self.log_prob(self.probs)

    @property
    def mean(self) -> Tensor:
        """The probability of 1."""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """0 or 1, whichever is more likely; NaN where both are as likely."""
        even = self.probs.detach() == 0.5
        return (self.probs.detach() > 0.5).to(self.probs.dtype).masked_fill(even, math.nan)

    @property
    def variance(self) -> Tensor:
        """Product of the probabilities of 1 and 0."""
        return self.probs * (1 - self.probs)


class Categorical(Distribution):
    """One of several classes.

    Args:
        probs: (..., classes), not negative; divided by their sum. Or else
        logits: (..., classes), logarithms of the probabilities but for a constant.
        validate_args: check the probabilities, which waits for the device.

    Example:
        >>> policy = genesis.distributions.Categorical(logits=genesis.tensor([0.0, 0.0]))
        >>> policy.log_prob(policy.sample()).exp()
        tensor(0.5)
    """

    arg_constraints: ClassVar[Any] = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        given = either("Categorical", probs, logits)
        if not given.ndim:
            raise ValueError("Categorical needs parameters of at least one dimension, the classes")
        if probs is None:
            self.logits = given - given.logsumexp(-1, keepdim=True)
            self.probs = given.softmax(-1)
        else:
            if validate_args:
                check("probs", given.ge(0).all(-1).logical_and(given.sum(-1).gt(0)), "not negative, nor all 0,")
            self.probs = given / given.sum(-1, keepdim=True)
            self.logits = clamp_probs(self.probs).log()
        super().__init__(given.shape[:-1], validate_args=validate_args)

    @property
    def support(self) -> Any:
        """Where outcomes lie."""
        return constraints.integer_interval(0, self.probs.shape[-1] - 1)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """int64 numbers of classes. The race of arrival times whose rates are the probabilities; waits for nothing."""
        shape = (*self._extended(sample_shape), self.probs.shape[-1])
        race = self.probs.new_empty(shape).exponential_()
        result: Tensor = (self.probs.detach() / race).argmax(-1)
        return result

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the probability of each class in ``value``, integers of a shape that broadcasts to the batch."""
        shape = broadcast_shapes(value.shape, self.batch_shape)
        classes = self.logits.expand(*shape, self.logits.shape[-1])
        result: Tensor = classes.gather(-1, value.long().expand(shape).unsqueeze(-1)).squeeze(-1)
        return result

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        logits = self.logits.clamp(min=finfo(self.logits.dtype).min)
        result: Tensor = -(logits * self.probs).sum(-1)
        return result

    @property
    def mode(self) -> Tensor:
        """The most likely class."""
        result: Tensor = self.probs.argmax(-1)
        return result

    @property
    def mean(self) -> Tensor:
        """NaN: classes have no mean."""
        return self.probs.new_full(self.batch_shape, math.nan)

    @property
    def variance(self) -> Tensor:
        """NaN: classes have no variance."""
        return self.mean
