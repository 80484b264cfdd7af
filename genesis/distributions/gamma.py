"""The gamma distribution and those made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ..autograd import apply
from ..creation import zeros_like
from ..dtypes import finfo
from ..joining import stack
from ..ops.draw import LogGamma
from ..random import default_generator
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution, Number, parameters


def log_gamma_sample(concentration: Tensor, shape: Sequence[int]) -> Tensor:
    """Logarithms of numbers drawn from gamma distributions of rate 1, which do not underflow; with gradients."""
    result: Tensor = apply(LogGamma, concentration.expand(*shape), key=default_generator.stream())
    return result


class Gamma(Distribution):
    """The gamma distribution, of density ``rate^a x^(a - 1) exp(-rate x) / Γ(a)``.

    Outcomes are drawn by the method of Marsaglia & Tsang (2000). Their gradients are implicit ones (Figurnov, Mohamed &
    Mnih 2018, arXiv:1805.08498): how an outcome moves where its place in the distribution stays.

    Args:
        concentration: the shape a, above 0.
        rate: 1 / scale, above 0; shapes broadcast.
        validate_args: check the parameters, which waits for the device.

    Example:
        >>> genesis.distributions.Gamma(3.0, 2.0).mean
        tensor(1.5)
    """

    has_rsample = True
    arg_constraints: ClassVar[Any] = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, concentration: Number, rate: Number, validate_args: bool | None = None):
        self.concentration, self.rate = parameters(concentration, rate)
        super().__init__(self.concentration.shape, validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes, above 0, that carry gradients to both parameters."""
        drawn = log_gamma_sample(self.concentration, self._extended(sample_shape))
        result: Tensor = drawn.exp() / self.rate
        return result + (result.detach().clamp(min=finfo(result.dtype).tiny) - result.detach())

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density at positive values."""
        result: Tensor = (self.concentration.xlogy(self.rate) + (self.concentration - 1).xlogy(value)
                          - self.rate * value - self.concentration.lgamma())
        return result

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        a = self.concentration
        result: Tensor = a - self.rate.log() + a.lgamma() + (1 - a) * a.digamma()
        return result

    @property
    def mean(self) -> Tensor:
        """``concentration / rate``."""
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        """The most likely outcome."""
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Tensor:
        """``concentration / rate²``."""
        return self.concentration / self.rate.square()


class Chi2(Gamma):
    """The sum of the squares of ``df`` standard normal numbers.

    Args:
        df: degrees of freedom, above 0; need not be whole.
        validate_args: check them, which waits for the device.
    """

    arg_constraints: ClassVar[Any] = {"df": constraints.positive}

    def __init__(self, df: Number, validate_args: bool | None = None):
        self.df, = parameters(df)
        super().__init__(0.5 * self.df, 0.5, validate_args)


class Dirichlet(Distribution):
    """Vectors of positive numbers whose sum is 1.

    Args:
        concentration: (..., k), above 0.
        validate_args: check it, which waits for the device.

    Example:
        >>> shares = genesis.distributions.Dirichlet(genesis.ones(3)).sample()
        >>> shares.shape, round(shares.sum().item(), 5)
        (genesis.Size([3]), 1.0)
    """

    has_rsample = True
    arg_constraints: ClassVar[Any] = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex

    def __init__(self, concentration: Tensor, validate_args: bool | None = None):
        if concentration.ndim < 1:
            raise ValueError("Dirichlet needs a concentration of at least one dimension")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes that carry gradients to the concentration: gamma numbers divided by their sum."""
        drawn = log_gamma_sample(self.concentration, self._extended(sample_shape))
        result: Tensor = drawn.softmax(-1)
        return result

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density."""
        a = self.concentration
        result: Tensor = (a - 1).xlogy(value).sum(-1) + a.sum(-1).lgamma() - a.lgamma().sum(-1)
        return result

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        a, total, k = self.concentration, self.concentration.sum(-1), self.concentration.shape[-1]
        result: Tensor = (a.lgamma().sum(-1) - total.lgamma() - (k - total) * total.digamma()
                          - ((a - 1) * a.digamma()).sum(-1))
        return result

    @property
    def mean(self) -> Tensor:
        """The concentrations' shares."""
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def mode(self) -> Tensor:
        """The most likely outcome; where all concentrations are below 1, all of the largest."""
        above = (self.concentration - 1).clamp(min=0)
        total = above.sum(-1, True)
        peak = zeros_like(above).scatter(-1, self.concentration.detach().argmax(-1, True), 1.0)
        return (above / total.where(total > 0, 1.0)).where(total > 0, peak)

    @property
    def variance(self) -> Tensor:
        """Variances of the elements."""
        total = self.concentration.sum(-1, True)
        result: Tensor = self.concentration * (total - self.concentration) / (total.square() * (total + 1))
        return result


class Beta(Distribution):
    """Numbers from 0 to 1, of density proportional to ``x^(a - 1) (1 - x)^(b - 1)``.

    Args:
        concentration1: a, above 0.
        concentration0: b, above 0; shapes broadcast.
        validate_args: check both, which waits for the device.
    """

    has_rsample = True
    arg_constraints: ClassVar[Any] = {"concentration1": constraints.positive, "concentration0": constraints.positive}
    support = constraints.unit_interval

    def __init__(self, concentration1: Number, concentration0: Number, validate_args: bool | None = None):
        self.concentration1, self.concentration0 = parameters(concentration1, concentration0)
        super().__init__(self.concentration1.shape, validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes that carry gradients to both parameters: the first of two gamma numbers over their sum."""
        shape = self._extended(sample_shape)
        one, other = (log_gamma_sample(a, shape) for a in (self.concentration1, self.concentration0))
        result: Tensor = (one - other).sigmoid()
        return result

    def _constant(self) -> Tensor:
        """The logarithm of the beta function."""
        a, b = self.concentration1, self.concentration0
        result: Tensor = a.lgamma() + b.lgamma() - (a + b).lgamma()
        return result

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density at values from 0 to 1."""
        result: Tensor = ((self.concentration1 - 1).xlogy(value) + (self.concentration0 - 1).xlogy(1 - value)
                          - self._constant())
        return result

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        a, b = self.concentration1, self.concentration0
        result: Tensor = (self._constant() - (a - 1) * a.digamma() - (b - 1) * b.digamma()
                          + (a + b - 2) * (a + b).digamma())
        return result

    @property
    def mean(self) -> Tensor:
        """``a / (a + b)``."""
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def mode(self) -> Tensor:
        """The most likely outcome; where both parameters are below 1, the end of the larger."""
        return Dirichlet(stack([self.concentration1, self.concentration0], -1)).mode[..., 0]

    @property
    def variance(self) -> Tensor:
        """``a b / ((a + b)² (a + b + 1))``."""
        a, b = self.concentration1, self.concentration0
        result: Tensor = a * b / ((a + b).square() * (a + b + 1))
        return result
