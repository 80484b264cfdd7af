"""Normal distributions of vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from ..creation import randn
from ..joining import broadcast_shapes
from ..linalg import cholesky, solve_triangular
from ..linalg.factors import cholesky_inverse
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution, check


def tril_of_precision(precision: Tensor) -> Tensor:
    """The lower triangular L of L Lᵀ = P⁻¹, without inverting P: by Cholesky's factor of P turned upside down."""
    turned = cholesky(precision.flip(-2, -1)).flip(-2, -1).mT      # lower triangular, turned.mT @ turned = P
    one = turned.new_ones(turned.shape[-1]).diag().expand(*turned.shape)
    result: Tensor = solve_triangular(turned, one, upper=False)
    return result


class MultivariateNormal(Distribution):
    """The normal distribution of vectors.

    Args:
        loc: mean, (..., k).
        covariance_matrix: (..., k, k), symmetric positive definite; or else
        precision_matrix: its inverse; or else
        scale_tril: its `genesis.linalg.cholesky` factor, lower triangular with a positive diagonal, which the other two
            are turned into; that waits for the device.
        validate_args: check the diagonal of ``scale_tril``, which waits for the device.

    Raises:
        ValueError: not one of the three is given, or the shapes do not fit.
        genesis.linalg.LinAlgError: a matrix is not positive definite.

    Example:
        >>> loc, covariance = genesis.zeros(2), genesis.tensor([[4.0, 2.0], [2.0, 5.0]])
        >>> genesis.distributions.MultivariateNormal(loc, covariance).log_prob(loc)
        tensor(-3.2242)
    """

    has_rsample = True
    arg_constraints: ClassVar[Any] = {"loc": constraints.real_vector,
                                     "covariance_matrix": constraints.positive_definite,
                                     "precision_matrix": constraints.positive_definite,
                                     "scale_tril": constraints.lower_cholesky}
    support = constraints.real_vector

    def __init__(self, loc: Tensor, covariance_matrix: Any = None, precision_matrix: Any = None,
                 scale_tril: Any = None, validate_args: bool | None = None):
        given = [x for x in (covariance_matrix, precision_matrix, scale_tril) if x is not None]
        if len(given) != 1:
            raise ValueError("MultivariateNormal takes one of covariance_matrix, precision_matrix and scale_tril")
        if loc.ndim < 1 or given[0].ndim < 2:
            raise ValueError(f"MultivariateNormal needs a mean (..., k) and a matrix (..., k, k), not shapes "
                             f"{tuple(loc.shape)} and {tuple(given[0].shape)}")
        if scale_tril is not None:
            if validate_args:
                check("the diagonal of scale_tril", scale_tril.diagonal(0, -2, -1).gt(0), "positive")
            tril = scale_tril
        else:
            tril = cholesky(covariance_matrix) if precision_matrix is None else tril_of_precision(precision_matrix)
        batch = broadcast_shapes(tril.shape[:-2], loc.shape[:-1])
        k = loc.shape[-1]
        if tuple(tril.shape[-2:]) != (k, k):
            raise ValueError(f"MultivariateNormal needs a mean (..., k) and a matrix (..., k, k), not shapes "
                             f"{tuple(loc.shape)} and {tuple(given[0].shape)}")
        self.loc, self.scale_tril = loc.expand(*batch, k), tril.expand(*batch, k, k)
        super().__init__(batch, (k,), validate_args=validate_args)

    @property
    def covariance_matrix(self) -> Tensor:
        """The covariances, (..., k, k)."""
        result: Tensor = self.scale_tril @ self.scale_tril.mT
        return result

    @property
    def precision_matrix(self) -> Tensor:
        """Their inverse."""
        result: Tensor = cholesky_inverse(self.scale_tril)
        return result

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes that carry gradients to mean and covariances."""
        noise = randn(self._extended(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        result: Tensor = self.loc + (self.scale_tril @ noise.unsqueeze(-1)).squeeze(-1)
        return result

    def _half_log_det(self) -> Tensor:
        """Half the logarithm of the covariances' determinant."""
        result: Tensor = self.scale_tril.diagonal(0, -2, -1).log().sum(-1)
        return result

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density at vectors (..., k)."""
        apart = solve_triangular(self.scale_tril, (value - self.loc).unsqueeze(-1), upper=False).squeeze(-1)
        k = self.event_shape[0]
        result: Tensor = -0.5 * apart.square().sum(-1) - self._half_log_det() - 0.5 * k * math.log(2 * math.pi)
        return result

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        return self._half_log_det() + 0.5 * self.event_shape[0] * (1 + math.log(2 * math.pi))

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self.loc

    mode = mean

    @property
    def variance(self) -> Tensor:
        """Variances of the elements."""
        result: Tensor = self.scale_tril.square().sum(-1)
        return result
