"""Mixtures of distributions of one kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..tensor import Tensor
from .discrete import Categorical
from .distribution import Distribution


class MixtureSameFamily(Distribution):
    """One of several distributions of one class, drawn anew for every outcome.

    Args:
        mixture_distribution: of the choice, batch (...).
        component_distribution: the distributions, the last dimension of whose batch (..., components) is chosen from.
        validate_args: accepted for PyTorch's sake.

    Example:
        >>> D = genesis.distributions
        >>> places = genesis.tensor([-1.0, 1.0])
        >>> d = D.MixtureSameFamily(D.Categorical(probs=genesis.tensor([0.5, 0.5])), D.Normal(places, 0.1))
        >>> d.mean
        tensor(0.)
    """

    def __init__(self, mixture_distribution: Categorical, component_distribution: Distribution,
                 validate_args: bool | None = None):
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(f"a mixture is chosen by a Categorical, not by a {type(mixture_distribution).__name__}")
        batch = component_distribution.batch_shape
        if not batch or batch[-1] != mixture_distribution.probs.shape[-1]:
            raise ValueError(f"the choice is between {mixture_distribution.probs.shape[-1]} distributions, but the "
                             f"components have the batch {tuple(batch)}")
        self.mixture_distribution, self.component_distribution = mixture_distribution, component_distribution
        self._events = len(component_distribution.event_shape)
        super().__init__(batch[:-1], component_distribution.event_shape, validate_args)

    @property
    def support(self) -> Any:
        """Where outcomes lie."""
        return self.component_distribution.support

    def _weighted(self, x: Tensor) -> Tensor:
        """The mean of something of the components, weighted by their probabilities."""
        weights = self.mixture_distribution.probs
        weights = weights.reshape(*weights.shape, *(1,) * self._events)
        result: Tensor = (weights * x).sum(-1 - self._events)
        return result

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes, without gradient."""
        drawn = self.component_distribution.sample(sample_shape)
        lead = (*sample_shape, *self.batch_shape)
        chosen = self.mixture_distribution.sample(sample_shape).expand(*lead)
        chosen = chosen.reshape(*lead, 1, *(1,) * self._events).expand(*lead, 1, *self.event_shape)
        result: Tensor = drawn.gather(len(lead), chosen).squeeze(len(lead))
        return result

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density, or the probability."""
        each = self.component_distribution.log_prob(value.unsqueeze(-1 - self._events))
        result: Tensor = (each + self.mixture_distribution.logits.log_softmax(-1)).logsumexp(-1)
        return result

    def cdf(self, value: Tensor) -> Tensor:
        """Probability of an outcome up to each value."""
        result: Tensor = (self.component_distribution.cdf(value.unsqueeze(-1))
                          * self.mixture_distribution.probs).sum(-1)
        return result

    @property
    def mean(self) -> Tensor:
        """The components' mean."""
        return self._weighted(self.component_distribution.mean)

    @property
    def variance(self) -> Tensor:
        """The mean of the components' variances and the variance of their means."""
        apart = self.component_distribution.mean - self.mean.unsqueeze(-1 - self._events)
        return self._weighted(self.component_distribution.variance) + self._weighted(apart.square())
