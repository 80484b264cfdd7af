"""Distributions of real numbers around a place, with heavier tails or a shape unlike the normal one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from ..creation import randn
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution, Number, exponential, parameters
from .real import Normal

EULER = 0.5772156649015329


class Located(Distribution):
    """What distributions of a place and a width share.

    Args:
        loc: the place.
        scale: the width, above 0; shapes broadcast.
        validate_args: check the scale, which waits for the device.
    """

    has_rsample = True
    arg_constraints: ClassVar[Any] = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real

    def __init__(self, loc: Number, scale: Number, validate_args: bool | None = None):
        self.loc, self.scale = parameters(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mode(self) -> Tensor:
        """The most likely outcome, the place."""
        return self.loc


class Laplace(Located):
    """The Laplace distribution, of density ``exp(-|x - loc| / scale) / (2 scale)``.

    Args:
        loc: mean.
        scale: mean distance from it, above 0; shapes broadcast.
        validate_args: check the scale, which waits for the device.

    Example:
        >>> genesis.distributions.Laplace(0.0, 1.0).log_prob(genesis.tensor(0.0)).exp()
        tensor(0.5)
    """

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes that carry gradients to place and width."""
        shape = self._extended(sample_shape)
        side = 2 * self.loc.new_full(shape, 0.5).bernoulli() - 1
        return self.loc + self.scale * (side * exponential(self.loc, shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density."""
        return -(self.scale * 2).log() - (value - self.loc).abs() / self.scale

    def cdf(self, value: Tensor) -> Tensor:
        """Probability of an outcome up to each value."""
        apart = value - self.loc
        result: Tensor = 0.5 - 0.5 * apart.sign() * (-apart.abs() / self.scale).expm1()
        return result

    def icdf(self, value: Tensor) -> Tensor:
        """The outcome up to which each probability lies."""
        apart = value - 0.5
        return self.loc - self.scale * apart.sign() * (-2 * apart.abs()).log1p()

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        return 1 + (self.scale * 2).log()

    @property
    def mean(self) -> Tensor:
        """The place."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """Twice the squared width."""
        result: Tensor = 2 * self.scale.square()
        return result


class Cauchy(Located):
    """The Cauchy distribution, whose mean does not exist.

    Args:
        loc: median.
        scale: half width at half height, above 0; shapes broadcast.
        validate_args: check the scale, which waits for the device.
    """

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes that carry gradients to place and width."""
        return self.loc + self.scale * self.loc.new_empty(self._extended(sample_shape)).cauchy_()

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density."""
        result: Tensor = -math.log(math.pi) - self.scale.log() - ((value - self.loc) / self.scale).square().log1p()
        return result

    def cdf(self, value: Tensor) -> Tensor:
        """Probability of an outcome up to each value."""
        result: Tensor = ((value - self.loc) / self.scale).atan() / math.pi + 0.5
        return result

    def icdf(self, value: Tensor) -> Tensor:
        """The outcome up to which each probability lies."""
        return ((value - 0.5) * math.pi).tan() * self.scale + self.loc

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        result: Tensor = math.log(4 * math.pi) + self.scale.log()
        return result

    @property
    def mean(self) -> Tensor:
        """NaN: there is none."""
        return self.loc.new_full(self.batch_shape, math.nan)

    @property
    def variance(self) -> Tensor:
        """Infinite."""
        return self.loc.new_full(self.batch_shape, math.inf)


class Gumbel(Located):
    """The Gumbel distribution, that of the largest of many outcomes.

    Args:
        loc: mode.
        scale: width, above 0; shapes broadcast.
        validate_args: check the scale, which waits for the device.
    """

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes that carry gradients to place and width."""
        return self.loc - self.scale * exponential(self.loc, self._extended(sample_shape)).log()

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density."""
        apart = (self.loc - value) / self.scale
        result: Tensor = apart - apart.exp() - self.scale.log()
        return result

    def cdf(self, value: Tensor) -> Tensor:
        """Probability of an outcome up to each value."""
        return (-((self.loc - value) / self.scale).exp()).exp()

    def icdf(self, value: Tensor) -> Tensor:
        """The outcome up to which each probability lies."""
        return self.loc - self.scale * (-value.log()).log()

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        result: Tensor = self.scale.log() + (1 + EULER)
        return result

    @property
    def mean(self) -> Tensor:
        """The mode and Euler's constant times the width."""
        result: Tensor = self.loc + self.scale * EULER
        return result

    @property
    def variance(self) -> Tensor:
        """π² / 6 times the squared width."""
        result: Tensor = self.scale.square() * (math.pi ** 2 / 6)
        return result


class StudentT(Distribution):
    """Student's t distribution.

    Args:
        df: degrees of freedom, above 0.
        loc: place of the mode.
        scale: width, above 0; shapes broadcast.
        validate_args: check ``df`` and scale, which waits for the device.
    """

    has_rsample = True
    arg_constraints: ClassVar[Any] = {"df": constraints.positive, "loc": constraints.real,
                                     "scale": constraints.positive}
    support = constraints.real

    def __init__(self, df: Number, loc: Number = 0.0, scale: Number = 1.0, validate_args: bool | None = None):
        self.df, self.loc, self.scale = parameters(df, loc, scale)
        super().__init__(self.df.shape, validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes that carry gradients to all parameters: a normal number over the root of a chi-squared one."""
        from .gamma import Chi2

        normal = randn(self._extended(sample_shape), dtype=self.df.dtype, device=self.df.device)
        return self.loc + self.scale * (normal * (Chi2(self.df).rsample(sample_shape) / self.df).rsqrt())

    def _constant(self) -> Tensor:
        """The logarithm of Γ(df / 2) + log √π - log Γ((df + 1) / 2)."""
        result: Tensor = (self.df / 2).lgamma() + 0.5 * math.log(math.pi) - ((self.df + 1) / 2).lgamma()
        return result

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density."""
        apart = (value - self.loc) / self.scale
        result: Tensor = (-0.5 * (self.df + 1) * (apart.square() / self.df).log1p()
                          - self.scale.log() - 0.5 * self.df.log() - self._constant())
        return result

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        half = (self.df + 1) / 2
        result: Tensor = (self.scale.log() + half * (half.digamma() - (self.df / 2).digamma())
                          + 0.5 * self.df.log() + self._constant())
        return result

    @property
    def mean(self) -> Tensor:
        """The place; NaN where ``df`` is not above 1."""
        return self.loc.masked_fill(self.df.detach() <= 1, math.nan)

    @property
    def mode(self) -> Tensor:
        """The place."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """Infinite where ``df`` is not above 2, NaN where it is not above 1."""
        df = self.df.detach()
        wide = self.scale.square() * self.df / (self.df - 2).where(df > 2, 1.0)
        return wide.masked_fill(df <= 2, math.inf).masked_fill(df <= 1, math.nan)


class _Half(Distribution):
    """The absolute value of an outcome of a distribution that is symmetric about 0."""

    has_rsample = True
    arg_constraints: ClassVar[Any] = {"scale": constraints.positive}
    support = constraints.nonnegative
    base_dist: Normal | Cauchy

    @property
    def scale(self) -> Tensor:
        """The width."""
        return self.base_dist.scale

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes that carry gradients to the width."""
        return self.base_dist.rsample(sample_shape).abs()

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density; minus infinity below 0."""
        return (self.base_dist.log_prob(value) + math.log(2)).where(value >= 0, -math.inf)

    def cdf(self, value: Tensor) -> Tensor:
        """Probability of an outcome up to each value."""
        return self.base_dist.cdf(value) * 2 - 1

    def icdf(self, value: Tensor) -> Tensor:
        """The outcome up to which each probability lies."""
        return self.base_dist.icdf((value + 1) / 2)

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        return self.base_dist.entropy() - math.log(2)

    @property
    def mode(self) -> Tensor:
        """0."""
        return self.scale.new_zeros(self.batch_shape)


class HalfNormal(_Half):
    """The absolute value of a normal outcome of mean 0.

    Args:
        scale: standard deviation of that, above 0.
        validate_args: check the scale, which waits for the device.
    """

    def __init__(self, scale: Number, validate_args: bool | None = None):
        self.base_dist = Normal(0.0, scale, validate_args)
        super().__init__(self.base_dist.batch_shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """√(2 / π) times the scale."""
        result: Tensor = self.scale * math.sqrt(2 / math.pi)
        return result

    @property
    def variance(self) -> Tensor:
        """1 - 2 / π times the squared scale."""
        result: Tensor = self.scale.square() * (1 - 2 / math.pi)
        return result


class HalfCauchy(_Half):
    """The absolute value of a Cauchy outcome of median 0.

    Args:
        scale: half width of that at half height, above 0.
        validate_args: check the scale, which waits for the device.
    """

    def __init__(self, scale: Number, validate_args: bool | None = None):
        self.base_dist = Cauchy(0.0, scale, validate_args)
        super().__init__(self.base_dist.batch_shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """Infinite."""
        return self.scale.new_full(self.batch_shape, math.inf)

    @property
    def variance(self) -> Tensor:
        """Infinite."""
        return self.base_dist.variance
