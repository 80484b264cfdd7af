"""Distributions of counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from ..creation import arange
from ..dtypes import finfo
from ..nn import functional as F
from ..ops import draw
from ..random import default_generator
from ..tensor import Tensor
from . import constraints
from .discrete import Categorical, odds
from .distribution import Distribution, Number, parameters
from .gamma import Gamma


class Poisson(Distribution):
    """How often something happens that happens independently at a rate.

    Args:
        rate: the mean, not negative.
        validate_args: check it, which waits for the device.

    Example:
        >>> genesis.distributions.Poisson(2.0).log_prob(genesis.tensor(0.0)).exp()
        tensor(0.1353)
    """

    arg_constraints: ClassVar[Any] = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer

    def __init__(self, rate: Number, validate_args: bool | None = None):
        self.rate, = parameters(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Counts, in the type of the rate."""
        rate = self.rate.detach().expand(*self._extended(sample_shape))
        return Tensor._wrap(draw.poisson(rate._array, default_generator.stream()))

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the probability of counts."""
        result: Tensor = value.xlogy(self.rate) - self.rate - (value + 1).lgamma()
        return result

    @property
    def mean(self) -> Tensor:
        """The rate."""
        return self.rate

    variance = mean

    @property
    def mode(self) -> Tensor:
        """The most likely count."""
        return self.rate.floor()


class _OfOdds(Distribution):
    """What distributions of a probability, or the logarithm of its odds, share."""

    probs: Tensor
    logits: Tensor


class Geometric(_OfOdds):
    """How many trials fail before the first success.

    Args:
        probs: the probability of success, in (0, 1]; or else
        logits: the logarithm of its odds.
        validate_args: check the probabilities, which waits for the device.
    """

    arg_constraints: ClassVar[Any] = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        self.probs, self.logits = odds("Geometric", probs, logits, validate_args)
        super().__init__(self.probs.shape, validate_args=validate_args)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Counts, in the type of the parameter."""
        shape = self._extended(sample_shape)
        waited = self.probs.new_empty(shape).exponential_()
        result: Tensor = (waited / -(-self.probs.detach()).log1p()).floor()
        return result

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the probability of counts."""
        return value.xlogy(1 - self.probs) + self.probs.log()

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        return F.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs

    @property
    def mean(self) -> Tensor:
        """``1 / probs - 1``."""
        result: Tensor = self.probs.reciprocal() - 1
        return result

    @property
    def mode(self) -> Tensor:
        """0."""
        return self.probs.new_zeros(self.batch_shape)

    @property
    def variance(self) -> Tensor:
        """``(1 / probs - 1) / probs``."""
        return self.mean / self.probs


class Binomial(_OfOdds):
    """How many of some independent trials succeed.

    Args:
        total_count: the number of trials, not negative.
        probs: the probability of success, in [0, 1]; or else
        logits: the logarithm of its odds; shapes broadcast.
        validate_args: check the parameters, which waits for the device.
    """

    arg_constraints: ClassVar[Any] = {"total_count": constraints.nonnegative_integer,
                                     "probs": constraints.unit_interval, "logits": constraints.real}

    def __init__(self, total_count: Number = 1, probs: Any = None, logits: Any = None,
                 validate_args: bool | None = None):
        self.probs, self.logits = odds("Binomial", probs, logits, validate_args)
        self.total_count, self.probs = parameters(total_count, self.probs)
        self.total_count, self.logits = self.total_count.to(self.probs.dtype), self.logits.expand_as(self.probs)
        super().__init__(self.probs.shape, validate_args=validate_args)

    @property
    def support(self) -> Any:
        """Where outcomes lie."""
        return constraints.integer_interval(0, self.total_count)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Counts, in the type of the probabilities."""
        shape = self._extended(sample_shape)
        count, probs = (x.detach().expand(*shape)._array for x in (self.total_count, self.probs))
        return Tensor._wrap(draw.binomial(count, probs, default_generator.stream()))

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the probability of counts."""
        n = self.total_count
        ways = (n + 1).lgamma() - (value + 1).lgamma() - (n - value + 1).lgamma()
        return ways + value * self.logits - n * F.softplus(self.logits)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All outcomes, along a new first dimension.

        Args:
            expand: repeat them for each distribution of the batch.

        Raises:
            NotImplementedError: the numbers of trials differ. Waits for the device.
        """
        most = int(self.total_count.max().item())
        if int(self.total_count.min().item()) != most:
            raise NotImplementedError("outcomes can only be listed where all numbers of trials are equal")
        values = arange(most + 1, dtype=self.probs.dtype, device=self.probs.device)
        values = values.reshape(-1, *(1,) * len(self.batch_shape))
        return values.expand(most + 1, *self.batch_shape) if expand else values

    def entropy(self) -> Tensor:
        """Entropy in nats, where all numbers of trials are equal."""
        logs = self.log_prob(self.enumerate_support(False))
        result: Tensor = -(logs.exp() * logs).sum(0)
        return result

    @property
    def mean(self) -> Tensor:
        """``total_count * probs``."""
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        """The most likely count."""
        return ((self.total_count + 1) * self.probs).floor().minimum(self.total_count)

    @property
    def variance(self) -> Tensor:
        """``total_count * probs * (1 - probs)``."""
        return self.mean * (1 - self.probs)


class NegativeBinomial(_OfOdds):
    """How many trials succeed before so many have failed.

    Args:
        total_count: the number of failures, above 0; need not be whole.
        probs: the probability of success, in [0, 1); or else
        logits: the logarithm of its odds; shapes broadcast.
        validate_args: check the parameters, which waits for the device.
    """

    arg_constraints: ClassVar[Any] = {"total_count": constraints.greater_than_eq(0),
                                     "probs": constraints.half_open_interval(0.0, 1.0),
                                     "logits": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(self, total_count: Number, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        self.probs, self.logits = odds("NegativeBinomial", probs, logits, validate_args)
        self.total_count, self.probs = parameters(total_count, self.probs)
        self.total_count, self.logits = self.total_count.to(self.probs.dtype), self.logits.expand_as(self.probs)
        super().__init__(self.probs.shape, validate_args=validate_args)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Counts, in the type of the probabilities: Poisson ones whose rates are gamma numbers."""
        rates = Gamma(self.total_count.detach(), (-self.logits.detach()).exp()).sample(sample_shape)
        return Poisson(rates).sample()

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the probability of counts."""
        n = self.total_count
        ways = (n + value).lgamma() - (value + 1).lgamma() - n.lgamma()
        return n * F.logsigmoid(-self.logits) + value * F.logsigmoid(self.logits) + ways

    @property
    def mean(self) -> Tensor:
        """``total_count`` times the odds."""
        return self.total_count * self.logits.exp()

    @property
    def mode(self) -> Tensor:
        """The most likely count."""
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0)

    @property
    def variance(self) -> Tensor:
        """The mean over the probability of failure."""
        return self.mean / (-self.logits).sigmoid()


class Multinomial(Distribution):
    """How often each of several classes occurs among some independent draws.

    Args:
        total_count: the number of draws.
        probs: (..., classes), not negative; divided by their sum. Or else
        logits: (..., classes), logarithms of the probabilities but for a constant.
        validate_args: check the probabilities, which waits for the device.

    Raises:
        NotImplementedError: ``total_count`` is no number.
    """

    arg_constraints: ClassVar[Any] = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(self, total_count: int = 1, probs: Any = None, logits: Any = None,
                 validate_args: bool | None = None):
        if not isinstance(total_count, int):
            raise NotImplementedError(f"Multinomial takes one number of draws, not {type(total_count).__name__}")
        self.total_count, self._categorical = total_count, Categorical(probs, logits, validate_args)
        self.probs, self.logits = self._categorical.probs, self._categorical.logits
        super().__init__(self._categorical.batch_shape, self.probs.shape[-1:], validate_args=validate_args)

    @property
    def support(self) -> Any:
        """Where outcomes lie."""
        return constraints.multinomial(self.total_count)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Counts, in the type of the probabilities."""
        drawn = self._categorical.sample((self.total_count, *sample_shape))
        counts = self.probs.new_zeros(self._extended(sample_shape))
        at = drawn.movedim(0, -1)
        return counts.scatter_add(-1, at, self.probs.new_ones(at.shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the probability of counts."""
        ways = (value.sum(-1) + 1).lgamma() - (value + 1).lgamma().sum(-1)
        logits = self.logits.clamp(min=finfo(self.logits.dtype).min)
        result: Tensor = ways + (value * logits).sum(-1)
        return result

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        n = self.total_count
        each = Binomial(n, self.probs)
        counts = each.enumerate_support(False)[1:]
        repeated = (each.log_prob(counts).exp() * (counts + 1).lgamma()).sum((0, -1))
        result: Tensor = n * self._categorical.entropy() - math.lgamma(n + 1) + repeated
        return result

    @property
    def mean(self) -> Tensor:
        """``total_count * probs``."""
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        """``total_count * probs * (1 - probs)``."""
        return self.total_count * self.probs * (1 - self.probs)
