"""Distributions of functions of outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..autograd import no_grad
from ..tensor import Tensor
from .distribution import Distribution
from .transforms import ComposeTransform, Transform, summed


class TransformedDistribution(Distribution):
    """Invertible functions of the outcomes of a distribution.

    Args:
        base_distribution: of the arguments.
        transforms: one `Transform` or several, the first to be applied first.
        validate_args: accepted for PyTorch's sake.

    Example:
        >>> D = genesis.distributions
        >>> action = D.TransformedDistribution(D.Normal(0.0, 1.0), [D.TanhTransform()])
        >>> action.log_prob(genesis.tensor(0.0))
        tensor(-0.9189)
    """

    def __init__(self, base_distribution: Distribution, transforms: Any, validate_args: bool | None = None):
        self.transforms = [transforms] if isinstance(transforms, Transform) else list(transforms)
        if not all(isinstance(t, Transform) for t in self.transforms):
            raise ValueError(f"transforms must be a Transform or a list of them, not {transforms!r}")
        self.base_dist, self._all = base_distribution, ComposeTransform(self.transforms)
        self.has_rsample = base_distribution.has_rsample
        whole = (*base_distribution.batch_shape, *base_distribution.event_shape)
        self._events = max(len(base_distribution.event_shape), self._all.event_dim)
        if self._events > len(whole):
            raise ValueError(f"the transforms mix {self._events} dimensions, more than the {len(whole)} of outcomes")
        with no_grad():
            shape = tuple(self._all(base_distribution.sample()).shape) if self._all.event_dim else whole
        cut = len(shape) - self._events
        super().__init__(shape[:cut], shape[cut:], validate_args)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes, without gradient."""
        with no_grad():
            return self._all(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes that carry gradients to the parameters of the distribution and of the transforms."""
        return self._all(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density: the distribution's, less that of the stretching."""
        total: Any = 0.0
        for transform in reversed(self.transforms):
            x = transform.inv(value)
            stretched = transform.log_abs_det_jacobian(x, value)
            total = total - summed(stretched, self._events - transform.event_dim)
            value = x
        base = self.base_dist.log_prob(value)
        result: Tensor = total + summed(base, self._events - len(self.base_dist.event_shape))
        return result

    def cdf(self, value: Tensor) -> Tensor:
        """Probability of an outcome up to each value, of transforms of single elements."""
        return self._turned(self.base_dist.cdf(self._all.inv(value)))

    def icdf(self, value: Tensor) -> Tensor:
        """The outcome up to which each probability lies."""
        return self._all(self.base_dist.icdf(self._turned(value)))

    def _turned(self, p: Tensor) -> Tensor:
        """A probability, or where the transforms fall the other one."""
        sign = self._all.sign
        if isinstance(sign, int) and sign == 1:
            return p
        result: Tensor = sign * (p - 0.5) + 0.5
        return result
