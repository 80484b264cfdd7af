"""Losses of predictions and targets, element by element; and of log-probabilities and class indices.

Predictions and targets have one shape. ``reduction`` is ``"mean"``, ``"sum"`` or ``"none"``; sums and means read both
tensors once and store nothing of their size. Gradients go to predictions and targets alike.
"""

from __future__ import annotations

import warnings

from ...autograd import apply
from ...ops.nll import NLL
from ...ops.pair_loss import PairLoss, WeightedLogits
from ...tensor import Tensor
from .loss import check_classes, check_reduction, older_reduction


def _warn_of_sizes(name: str, input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        warnings.warn(f"{name}: a target of size {tuple(target.shape)} broadcasts with an input of size "
                      f"{tuple(input.shape)}, which is seldom meant; give both one size", stacklevel=3)


def _same_sizes(name: str, input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        raise ValueError(f"{name}: target size {tuple(target.shape)} must be the same as input size "
                         f"{tuple(input.shape)}")


def _reduced(losses: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    if weight is not None:
        losses = losses * weight
    result: Tensor = losses if reduction == "none" else getattr(losses, reduction)()
    return result


@older_reduction
def mse_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """Squared differences.

    Args:
        input: predictions, any shape.
        target: of the same shape; another one that broadcasts warns.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        weight: a factor an element, of the same shape; the mean then is over the sum of the weights.
    """
    check_reduction(reduction)
    _warn_of_sizes("mse_loss", input, target)
    if weight is None:
        return apply(PairLoss, input, target, loss="mse", reduction=reduction)
    return _weighted("mse", input, target, weight, reduction)


@older_reduction
def l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """Absolute differences; arguments as of `mse_loss`, but that numbers may be complex."""
    check_reduction(reduction)
    _warn_of_sizes("l1_loss", input, target)
    if input.is_complex() or target.is_complex():
        input, target = (input - target).abs(), input.real.new_zeros(())
        target = target.expand(*input.shape)
    if weight is None:
        return apply(PairLoss, input, target, loss="l1", reduction=reduction)
    return _weighted("l1", input, target, weight, reduction)


def _weighted(loss: str, input: Tensor, target: Tensor, weight: Tensor, reduction: str) -> Tensor:
    losses = apply(PairLoss, input, target, loss=loss, reduction="none")
    if weight.shape != losses.shape:
        raise ValueError(f"weight needs the shape of the losses, {tuple(losses.shape)}, not {tuple(weight.shape)}")
    total: Tensor = losses * weight
    if reduction == "none":
        return total
    return total.sum() / weight.sum() if reduction == "mean" else total.sum()


@older_reduction
def smooth_l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """``d**2 / (2 beta)`` where the difference d is smaller than ``beta``, else ``abs(d) - beta / 2``.

    Girshick 2015, arXiv:1504.08083. ``beta=0`` is `l1_loss`.
    """
    check_reduction(reduction)
    _warn_of_sizes("smooth_l1_loss", input, target)
    if beta < 0:
        raise RuntimeError(f"beta must not be negative, got {beta}")
    return apply(PairLoss, input, target, loss="smooth_l1" if beta else "l1", reduction=reduction,
                 parameter=float(beta))


def huber_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", delta: float = 1.0,
               weight: Tensor | None = None) -> Tensor:
    """``d**2 / 2`` where the difference d is at most ``delta``, else ``delta * (abs(d) - delta / 2)`` (Huber 1964)."""
    check_reduction(reduction)
    _warn_of_sizes("huber_loss", input, target)
    if delta <= 0:
        raise RuntimeError(f"delta must be positive, got {delta}")
    if weight is None:
        return apply(PairLoss, input, target, loss="huber", reduction=reduction, parameter=float(delta))
    losses = apply(PairLoss, input, target, loss="huber", reduction="none", parameter=float(delta))
    return _reduced(losses, weight, reduction)


@older_reduction
def binary_cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None = None, *,
                         reduction: str = "mean") -> Tensor:
    """``-(t log(x) + (1 - t) log(1 - x))`` of probabilities x and targets t, logarithms not below -100.

    Args:
        input: probabilities. One outside [0, 1] gives NaN: checking it would wait for the device.
        target: between 0 and 1, of the same shape.
        weight: a factor that broadcasts to that shape.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """
    check_reduction(reduction)
    _same_sizes("binary_cross_entropy", input, target)
    if weight is None:
        return apply(PairLoss, input, target, loss="bce", reduction=reduction)
    return _reduced(apply(PairLoss, input, target, loss="bce", reduction="none"), weight, reduction)


@older_reduction
def binary_cross_entropy_with_logits(input: Tensor, target: Tensor, weight: Tensor | None = None, *,
                                     reduction: str = "mean", pos_weight: Tensor | None = None) -> Tensor:
    """`binary_cross_entropy` of ``sigmoid(input)``, without overflow.

    Args:
        input: logits, any shape.
        target: between 0 and 1, of the same shape.
        weight: a factor that broadcasts to that shape.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        pos_weight: a factor of the term of positive targets, that broadcasts to that shape.
    """
    check_reduction(reduction)
    _same_sizes("binary_cross_entropy_with_logits", input, target)
    if weight is None and pos_weight is None:
        return apply(PairLoss, input, target, loss="bce_logits", reduction=reduction)
    if pos_weight is None:
        losses = apply(PairLoss, input, target, loss="bce_logits", reduction="none")
    else:
        losses = apply(WeightedLogits, input, target, pos_weight.detach())
    return _reduced(losses, weight, reduction)


@older_reduction
def kl_div(input: Tensor, target: Tensor, *, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """Kullback-Leibler divergence ``t * (log t - x)`` of probabilities t from log-probabilities x.

    Args:
        input: log-probabilities, (N, ...).
        target: probabilities, or their logarithms with ``log_target``.
        reduction: ``"batchmean"`` (the sum over N: the divergence itself), ``"sum"``, ``"none"`` or ``"mean"`` (over
            all elements, which warns).
        log_target: whether the target holds logarithms, too.
    """
    if reduction != "batchmean":
        check_reduction(reduction)
    if reduction == "mean":
        warnings.warn("kl_div: reduction='mean' divides by the number of elements; 'batchmean' gives the mean "
                      "divergence", stacklevel=2)
    divisor = float(input.shape[0]) if reduction == "batchmean" and input.ndim else None
    return apply(PairLoss, input, target, loss="kl_log" if log_target else "kl",
                 reduction="sum" if reduction == "batchmean" else reduction, divisor=divisor)


@older_reduction
def nll_loss(input: Tensor, target: Tensor, weight: Tensor | None = None, *, ignore_index: int = -100,
             reduction: str = "mean") -> Tensor:
    """Negative log-likelihood of class indices.

    Args:
        input: log-probabilities (C,), (N, C) or (N, C, d1, ...).
        target: class indices, integers, (), (N,) or (N, d1, ...).
        weight: (C,), a factor a class.
        ignore_index: a class index that counts for nothing.
        reduction: ``"mean"`` (over the sum of the targets' weights), ``"sum"`` or ``"none"``.

    Raises:
        RuntimeError: shapes or types that do not fit.
        ValueError: another number of targets than of rows, or another ``reduction``.
        DeviceIndexError: an index outside [0, C) that is not ``ignore_index``, which makes the loss NaN; see there
            for when it is raised.
    """
    check_reduction(reduction)
    if target.is_floating_point():
        raise RuntimeError(f"class indices must be integers, not {target.dtype}")
    check_classes("log-probabilities", input, target, weight)
    return apply(NLL, input, target.long(), None if weight is None else weight.detach(), ignore_index=ignore_index,
                 reduction=reduction)


__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits", "huber_loss", "kl_div", "l1_loss", "mse_loss",
           "nll_loss", "smooth_l1_loss"]
