"""Negative log-likelihoods of distributions whose parameters are predicted."""

from __future__ import annotations

import math
from typing import Any

from ...creation import full_like
from ...tensor import Tensor
from .distance import at_least
from .loss import check_reduction, older_reduction, reduced


@older_reduction
def poisson_nll_loss(input: Tensor, target: Tensor, log_input: bool = True, full: bool = False, *, eps: float = 1e-8,
                     reduction: str = "mean") -> Tensor:
    """Negative log-likelihood of counts, of a Poisson distribution whose rate is predicted.

    Args:
        input: logarithms of the rates, any shape; with ``log_input=False`` the rates.
        target: counts.
        log_input: ``exp(input) - target * input`` if True, else ``input - target * log(input + eps)``.
        full: add Stirling's approximation of ``log(target!)`` where the target is above 1.
        eps: added to rates whose logarithm is taken.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """
    check_reduction(reduction)
    rates: Any = None if log_input else input + eps
    losses = input.exp() - target * input if log_input else input - target * rates.log()
    if full:
        few = target <= 1
        counts = target.masked_fill(few, 1)
        term = counts * counts.log() - counts + 0.5 * (2 * math.pi * counts).log()
        losses = losses + term.masked_fill(few, 0)
    loss: Tensor = reduced(losses, reduction)
    return loss


def gaussian_nll_loss(input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6,
                      reduction: str = "mean") -> Tensor:
    """``(log(var) + (input - target) ** 2 / var) / 2``: of a normal distribution, its mean and variance predicted.

    Nix & Weigend 1994, "Estimating the mean and variance of the target probability distribution".

    Args:
        input: predicted means, any shape.
        target: observations; broadcasts.
        var: predicted variances, of the shape of the input, or with 1 instead of one of its sizes, or without its last
            dimension; or a number. A negative one in a tensor makes the loss NaN: an error would wait for the device.
        full: add ``log(2 pi) / 2``.
        eps: what variances are at least; their gradients are as if they were not raised to it.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ValueError: a variance of another shape, or a negative number.

    Example:
        >>> zero = genesis.zeros(3)
        >>> genesis.nn.functional.gaussian_nll_loss(zero, zero + 2, genesis.ones(3))
        tensor(2.)
    """
    check_reduction(reduction)
    if isinstance(var, Tensor):
        spread: Any = var
    elif var < 0:
        raise ValueError(f"var must not be negative, got {var}")
    else:
        spread = full_like(input, var)
    if spread.shape != input.shape:
        if spread.shape == input.shape[:-1]:
            spread = spread.unsqueeze(-1)
        elif spread.ndim != input.ndim or sum(v for n, v in zip(input.shape, spread.shape) if n != v) != 1:
            raise ValueError(f"var of shape {tuple(spread.shape)} does not fit an input of shape {tuple(input.shape)}")
    spread = at_least(spread.masked_fill(spread < 0, math.nan), eps)
    losses = 0.5 * (spread.log() + (input - target) ** 2 / spread)
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    loss: Tensor = reduced(losses, reduction)
    return loss


__all__ = ["gaussian_nll_loss", "poisson_nll_loss"]
