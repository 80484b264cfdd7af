"""Negative log-likelihoods as layers; see the functions in `genesis.nn.functional`."""

from __future__ import annotations

from ..tensor import Tensor
from . import functional as F
from .functional.loss import older_reduction
from .loss import _Loss


class PoissonNLLLoss(_Loss):
    """Of counts, with predicted rates; see `genesis.nn.functional.poisson_nll_loss`.

    Args:
        log_input: whether the logarithms of the rates are predicted.
        full: whether to add Stirling's approximation.
        eps: added to rates whose logarithm is taken.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """

    @older_reduction
    def __init__(self, log_input: bool = True, full: bool = False, *, eps: float = 1e-8, reduction: str = "mean"):
        super().__init__(reduction=reduction)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return F.poisson_nll_loss(log_input, target, self.log_input, self.full, eps=self.eps,
                                  reduction=self.reduction)


class GaussianNLLLoss(_Loss):
    """Of normal numbers, with predicted means and variances; see `genesis.nn.functional.gaussian_nll_loss`.

    Args:
        full: whether to add ``log(2 pi) / 2``.
        eps: what variances are at least.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean"):
        super().__init__(reduction=reduction)
        self.full, self.eps = full, eps

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        """Means, observations and variances, to the loss."""
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)
