"""Distributions of positive numbers that are functions of normal and exponential ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ..creation import randn
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution, Number, exponential, parameters
from .location import EULER
from .real import Normal


class LogNormal(Distribution):
    """Numbers whose logarithms are normal.

    Args:
        loc: mean of the logarithm.
        scale: standard deviation of the logarithm, above 0; shapes broadcast.
        validate_args: check the scale, which waits for the device.

    Example:
        >>> genesis.distributions.LogNormal(0.0, 1.0).cdf(genesis.tensor(1.0))
        tensor(0.5)
    """

    has_rsample = True
    arg_constraints: ClassVar[Any] = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.positive

    def __init__(self, loc: Number, scale: Number, validate_args: bool | None = None):
        self.base_dist = Normal(loc, scale, validate_args)
        self.loc, self.scale = self.base_dist.loc, self.base_dist.scale
        super().__init__(self.loc.shape, validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes that carry gradients to both parameters."""
        return (self.loc + self.scale * randn(self._extended(sample_shape), dtype=self.loc.dtype,
                                              device=self.loc.device)).exp()

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density at positive values."""
        logarithm = value.log()
        return self.base_dist.log_prob(logarithm) - logarithm

    def cdf(self, value: Tensor) -> Tensor:
        """Probability of an outcome up to each value."""
        return self.base_dist.cdf(value.log())

    def icdf(self, value: Tensor) -> Tensor:
        """The outcome up to which each probability lies."""
        return self.base_dist.icdf(value).exp()

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        return self.base_dist.entropy() + self.loc

    @property
    def mean(self) -> Tensor:
        """``exp(loc + scale² / 2)``."""
        return (self.loc + self.scale.square() / 2).exp()

    @property
    def mode(self) -> Tensor:
        """``exp(loc - scale²)``."""
        return (self.loc - self.scale.square()).exp()

    @property
    def variance(self) -> Tensor:
        """``(exp(scale²) - 1) exp(2 loc + scale²)``."""
        square = self.scale.square()
        result: Tensor = square.expm1() * (2 * self.loc + square).exp()
        return result


class Weibull(Distribution):
    """The Weibull distribution, of ``cdf(x) = 1 - exp(-(x / scale) ** concentration)``.

    Args:
        scale: above 0.
        concentration: the shape, above 0; shapes broadcast.
        validate_args: check the parameters, which waits for the device.
    """

    has_rsample = True
    arg_constraints: ClassVar[Any] = {"scale": constraints.positive, "concentration": constraints.positive}
    support = constraints.positive

    def __init__(self, scale: Number, concentration: Number, validate_args: bool | None = None):
        self.scale, self.concentration = parameters(scale, concentration)
        super().__init__(self.scale.shape, validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes that carry gradients to both parameters."""
        drawn = exponential(self.scale, self._extended(sample_shape))
        result: Tensor = self.scale * drawn ** (1 / self.concentration)
        return result

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density at positive values."""
        part = value / self.scale
        result: Tensor = ((self.concentration / self.scale).log() + (self.concentration - 1) * part.log()
                          - part ** self.concentration)
        return result

    def cdf(self, value: Tensor) -> Tensor:
        """Probability of an outcome up to each value."""
        return -(-(value / self.scale) ** self.concentration).expm1()

    def icdf(self, value: Tensor) -> Tensor:
        """The outcome up to which each probability lies."""
        result: Tensor = self.scale * (-(-value).log1p()) ** (1 / self.concentration)
        return result

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        result: Tensor = EULER * (1 - 1 / self.concentration) + (self.scale / self.concentration).log() + 1
        return result

    @property
    def mean(self) -> Tensor:
        """``scale Γ(1 + 1 / concentration)``."""
        result: Tensor = self.scale * (self.concentration.reciprocal() + 1).lgamma().exp()
        return result

    @property
    def mode(self) -> Tensor:
        """The most likely outcome, for a concentration above 1."""
        result: Tensor = self.scale * ((self.concentration - 1) / self.concentration) ** (1 / self.concentration)
        return result

    @property
    def variance(self) -> Tensor:
        """``scale² (Γ(1 + 2 / concentration) - Γ(1 + 1 / concentration)²)``."""
        one, two = ((self.concentration.reciprocal() * n + 1).lgamma() for n in (1, 2))
        result: Tensor = self.scale.square() * (two.exp() - (2 * one).exp())
        return result


class Pareto(Distribution):
    """The Pareto distribution (type 1), of ``cdf(x) = 1 - (scale / x) ** alpha``.

    Args:
        scale: the least outcome, above 0.
        alpha: the shape, above 0; shapes broadcast.
        validate_args: check the parameters, which waits for the device.
    """

    has_rsample = True
    arg_constraints: ClassVar[Any] = {"scale": constraints.positive, "alpha": constraints.positive}

    def __init__(self, scale: Number, alpha: Number, validate_args: bool | None = None):
        self.scale, self.alpha = parameters(scale, alpha)
        super().__init__(self.scale.shape, validate_args=validate_args)

    @property
    def support(self) -> Any:
        """Where outcomes lie."""
        return constraints.greater_than_eq(self.scale)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes that carry gradients to both parameters."""
        result: Tensor = self.scale * (exponential(self.scale, self._extended(sample_shape)) / self.alpha).exp()
        return result

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density at values from the scale on."""
        result: Tensor = self.alpha.log() + self.alpha * self.scale.log() - (self.alpha + 1) * value.log()
        return result

    def cdf(self, value: Tensor) -> Tensor:
        """Probability of an outcome up to each value."""
        result: Tensor = -(self.alpha * (self.scale / value).log()).expm1()
        return result

    def icdf(self, value: Tensor) -> Tensor:
        """The outcome up to which each probability lies."""
        result: Tensor = self.scale * (-(-value).log1p() / self.alpha).exp()
        return result

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        return (self.scale / self.alpha).log() + (1 + 1 / self.alpha)

    @property
    def mean(self) -> Tensor:
        """Infinite where alpha is not above 1."""
        a = self.alpha.clamp(min=1)
        result: Tensor = a * self.scale / (a - 1)
        return result

    @property
    def mode(self) -> Tensor:
        """The least outcome, the scale."""
        return self.scale

    @property
    def variance(self) -> Tensor:
        """Infinite where alpha is not above 2."""
        a = self.alpha.clamp(min=2)
        result: Tensor = self.scale.square() * a / ((a - 1).square() * (a - 2))
        return result
