"""Several outcomes as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..tensor import Tensor
from . import constraints
from .distribution import Distribution


class Independent(Distribution):
    """The last dimensions of a batch seen as one outcome, whose elements are independent of one another.

    Args:
        base_distribution: the distribution of the elements.
        reinterpreted_batch_ndims: how many dimensions of its batch become part of the outcome.
        validate_args: check outcomes, which waits for the device.

    Example:
        >>> pixels = genesis.distributions.Bernoulli(probs=0.5 * genesis.ones(4, 28, 28))
        >>> image = genesis.distributions.Independent(pixels, 2)
        >>> image.batch_shape, image.event_shape
        (genesis.Size([4]), genesis.Size([28, 28]))
    """

    def __init__(self, base_distribution: Distribution, reinterpreted_batch_ndims: int,
                 validate_args: bool | None = None):
        shape, n = base_distribution.batch_shape, reinterpreted_batch_ndims
        if not 0 <= n <= len(shape):
            raise ValueError(f"reinterpreted_batch_ndims must be from 0 to {len(shape)}, the dimensions of the "
                             f"batch, not {n}")
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, n
        self.has_rsample = base_distribution.has_rsample
        kept = len(shape) - n
        super().__init__(shape[:kept], (*shape[kept:], *base_distribution.event_shape), validate_args)

    @property
    def support(self) -> Any:
        """Where outcomes lie."""
        return constraints.independent(self.base_dist.support, self.reinterpreted_batch_ndims)

    def __repr__(self) -> str:
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"

    def _sum(self, x: Tensor) -> Tensor:
        n = self.reinterpreted_batch_ndims
        result: Tensor = x.sum(tuple(range(-n, 0))) if n else x
        return result

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes, without gradient."""
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes that carry gradients to the parameters."""
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """The sum of the elements' logarithms of probabilities."""
        return self._sum(self.base_dist.log_prob(value))

    def entropy(self) -> Tensor:
        """The sum of the elements' entropies."""
        return self._sum(self.base_dist.entropy())

    @property
    def mean(self) -> Tensor:
        """Means of the elements."""
        return self.base_dist.mean

    @property
    def mode(self) -> Tensor:
        """Modes of the elements."""
        return self.base_dist.mode

    @property
    def variance(self) -> Tensor:
        """Variances of the elements."""
        return self.base_dist.variance
