"""Distributions of real numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from ..creation import rand, randn
from ..special import ndtri
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution, Number, exponential, parameters


class Normal(Distribution):
    """The normal distribution.

    Args:
        loc: mean.
        scale: standard deviation, above 0; shapes broadcast.
        validate_args: check the scale, which waits for the device.

    Example:
        >>> policy = genesis.distributions.Normal(genesis.zeros(3), 1.0)
        >>> policy.log_prob(genesis.zeros(3)).exp()
        tensor([0.3989, 0.3989, 0.3989])
    """

    has_rsample = True
    arg_constraints: ClassVar[Any] = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real

    def __init__(self, loc: Number, scale: Number, validate_args: bool | None = None):
        self.loc, self.scale = parameters(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes that carry gradients to mean and deviation."""
        noise = randn(self._extended(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + noise * self.scale

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density."""
        apart = (value - self.loc) / self.scale
        result: Tensor = -0.5 * apart.square() - self.scale.log() - 0.5 * math.log(2 * math.pi)
        return result

    def cdf(self, value: Tensor) -> Tensor:
        """Probability of an outcome up to each value."""
        result: Tensor = 0.5 * (1 + ((value - self.loc) / (self.scale * math.sqrt(2))).erf())
        return result

    def icdf(self, value: Tensor) -> Tensor:
        """The outcome up to which each probability lies."""
        return self.loc + self.scale * ndtri(value)

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        result: Tensor = self.scale.log() + 0.5 * (1 + math.log(2 * math.pi))
        return result

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self.loc

    mode = mean

    @property
    def variance(self) -> Tensor:
        """The square of the deviation."""
        result: Tensor = self.scale.square()
        return result

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return self.scale


class Uniform(Distribution):
    """The uniform distribution of [low, high).

    Args:
        low, high: the ends; shapes broadcast.
        validate_args: check that low is below high, which waits for the device.
    """

    has_rsample = True
    def __init__(self, low: Number, high: Number, validate_args: bool | None = None):
        self.low, self.high = parameters(low, high)
        super().__init__(self.low.shape, validate_args=validate_args)

    @property
    def arg_constraints(self) -> Any:
        """Where the bounds may lie: each on its side of the other."""
        return {"low": constraints.less_than(self.high), "high": constraints.greater_than(self.low)}

    @property
    def support(self) -> Any:
        """Where outcomes lie."""
        return constraints.interval(self.low, self.high)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes that carry gradients to both ends."""
        u = rand(self._extended(sample_shape), dtype=self.low.dtype, device=self.low.device)
        return self.low + u * (self.high - self.low)

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density; minus infinity outside."""
        inside = (self.low <= value).logical_and(value < self.high)
        result: Tensor = (-(self.high - self.low).log()).where(inside, -math.inf)
        return result

    def cdf(self, value: Tensor) -> Tensor:
        """Probability of an outcome up to each value."""
        return ((value - self.low) / (self.high - self.low)).clamp(0, 1)

    def icdf(self, value: Tensor) -> Tensor:
        """The outcome up to which each probability lies."""
        return self.low + value * (self.high - self.low)

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        return (self.high - self.low).log()

    @property
    def mean(self) -> Tensor:
        """The middle."""
        return (self.low + self.high) / 2

    @property
    def mode(self) -> Tensor:
        """NaN: no outcome is more likely than others."""
        return self.low.new_full(self.batch_shape, math.nan)

    @property
    def variance(self) -> Tensor:
        """A twelfth of the squared width."""
        return (self.high - self.low).square() / 12


class Exponential(Distribution):
    """The exponential distribution.

    Args:
        rate: 1 / mean, above 0.
        validate_args: check the rate, which waits for the device.
    """

    has_rsample = True
    arg_constraints: ClassVar[Any] = {"rate": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, rate: Number, validate_args: bool | None = None):
        self.rate, = parameters(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes that carry gradients to the rate."""
        return exponential(self.rate, self._extended(sample_shape)) / self.rate

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density at values from 0 on."""
        return self.rate.log() - self.rate * value

    def cdf(self, value: Tensor) -> Tensor:
        """Probability of an outcome up to each value."""
        return -(-self.rate * value).expm1()

    def icdf(self, value: Tensor) -> Tensor:
        """The outcome up to which each probability lies."""
        return -(-value).log1p() / self.rate

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        return 1 - self.rate.log()

    @property
    def mean(self) -> Tensor:
        """1 / rate."""
        return self.rate.reciprocal()

    @property
    def mode(self) -> Tensor:
        """0."""
        return self.rate.new_zeros(self.batch_shape)

    @property
    def variance(self) -> Tensor:
        """1 / rate²."""
        return self.rate.pow(-2)
