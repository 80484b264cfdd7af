"""Losses that ask for a margin: between scores, or between distances of vectors.

``reduction`` is ``"mean"``, ``"sum"`` or ``"none"``; another name is a ``ValueError``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import dtypes
from ...creation import arange, zeros_like
from ...functions import where
from ...tensor import Tensor
from .activation import logsigmoid
from .distance import pairwise_distance
from .loss import check_reduction, older_reduction, reduced


@older_reduction
def margin_ranking_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, *,
                        reduction: str = "mean") -> Tensor:
    """``max(0, -target * (input1 - input2) + margin)``: which of two scores is to be the larger.

    Args:
        input1, input2: scores, any shape.
        target: 1 where the first is to be larger, -1 where the second is.
        margin: by how much.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        RuntimeError: the tensors have different numbers of dimensions.
    """
    check_reduction(reduction)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(f"margin_ranking_loss needs tensors of as many dimensions, not of shapes "
                           f"{tuple(input1.shape)}, {tuple(input2.shape)} and {tuple(target.shape)}")
    loss: Tensor = reduced((-target * (input1 - input2) + margin).clamp_min(0), reduction)
    return loss


@older_reduction
def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, *, reduction: str = "mean") -> Tensor:
    """``input`` where the target is 1, ``max(0, margin - input)`` where it is -1.

    Args:
        input: distances, any shape.
        target: 1 for pairs that are alike, -1 for others.
        margin: how far others are to be apart.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """
    check_reduction(reduction)
    missing: Any = margin - input
    apart = where(target.ne(1), missing.clamp_min(0), 0.0)
    loss: Tensor = reduced(apart + where(target.ne(-1), input, 0.0), reduction)
    return loss


@older_reduction
def cosine_embedding_loss(input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, *,
                          reduction: str = "mean") -> Tensor:
    """``1 - c`` where the target is 1, ``max(0, c - margin)`` where it is -1, c the cosine of two vectors.

    Args:
        input1, input2: (N, D), or (D,).
        target: (N,), or (): 1 for pairs that are alike, -1 for others.
        margin: from -1 to 1; 0 to 0.5 is usual.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        RuntimeError: shapes that do not fit.
    """
    check_reduction(reduction)
    if target.ndim > 1 or not input1.ndim == input2.ndim == target.ndim + 1:
        raise RuntimeError(f"cosine_embedding_loss needs vectors (N, D) and targets (N,), or both without N, not "
                           f"shapes {tuple(input1.shape)}, {tuple(input2.shape)} and {tuple(target.shape)}")
    squares = [(x * x).sum(-1) + 1e-12 for x in (input1, input2)]
    cosine = (input1 * input2).sum(-1) / (squares[0] * squares[1]).sqrt()
    apart = where(target.eq(-1), (cosine - margin).clamp_min(0), 0.0)
    loss: Tensor = reduced(where(target.eq(1), 1 - cosine, 0.0) + apart, reduction)
    return loss


@older_reduction
def triplet_margin_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2,
                        eps: float = 1e-6, swap: bool = False, *, reduction: str = "mean") -> Tensor:
    """``max(0, d(anchor, positive) - d(anchor, negative) + margin)``, d being `pairwise_distance`.

    Balntas et al. 2016, "Learning local feature descriptors with triplets and shallow convolutional neural networks".

    Args:
        anchor: (N, D) or (D,).
        positive: vectors that are to be near.
        negative: vectors that are to be further away.
        margin: by how much; above 0.
        p: of the norm.
        eps: added to differences.
        swap: take the distance of positive and negative instead of the anchor's to the negative, where it is smaller.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        RuntimeError: the tensors have different numbers of dimensions.
        ValueError: a margin that is not positive.

    Example:
        >>> a, b, c = (genesis.tensor([[x]]) for x in (0.0, 1.0, 5.0))
        >>> genesis.nn.functional.triplet_margin_loss(a, b, c, margin=6.0)
        tensor(2.)
    """
    return triplet_margin_with_distance_loss(anchor, positive, negative, margin=margin, swap=swap, reduction=reduction,
                                             distance_function=lambda x, y: pairwise_distance(x, y, p, eps))


def triplet_margin_with_distance_loss(anchor: Tensor, positive: Tensor, negative: Tensor, *,
                                      distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
                                      margin: float = 1.0, swap: bool = False, reduction: str = "mean") -> Tensor:
    """`triplet_margin_loss` with any distance.

    Args:
        anchor, positive, negative: as for `triplet_margin_loss`.
        distance_function: of two tensors; `pairwise_distance` by default.
        margin, swap, reduction: as for `triplet_margin_loss`.

    Raises:
        RuntimeError: the tensors have different numbers of dimensions.
        ValueError: a margin that is not positive.
    """
    check_reduction(reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(f"anchor, positive and negative need as many dimensions; their shapes are "
                           f"{tuple(anchor.shape)}, {tuple(positive.shape)} and {tuple(negative.shape)}")
    distance: Any = pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    loss: Tensor = reduced((margin + near - far).clamp_min(0), reduction)
    return loss


@older_reduction
def soft_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """``log(1 + exp(-target * input))``, without overflow.

    Args:
        input: scores, any shape.
        target: 1 or -1.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """
    loss: Tensor = reduced(-logsigmoid(input * target), reduction)
    return loss


@older_reduction
def multilabel_soft_margin_loss(input: Tensor, target: Tensor, weight: Tensor | None = None, *,
                                reduction: str = "mean") -> Tensor:
    """Binary cross-entropy of logits, its mean over the classes.

    Args:
        input: logits (N, C) or (C,).
        target: 0 or 1, of the same shape.
        weight: (C,), a factor a class.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``, over N.
    """
    check_reduction(reduction)
    losses = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        losses = losses * weight
    loss: Tensor = reduced(losses.mean(-1), reduction)
    return loss


@older_reduction
def multilabel_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """The sum of ``max(0, 1 - (x[j] - x[i]))`` over the labels j and the other classes i, divided by C.

    All pairs are stored: C * C numbers for each sample.

    Args:
        input: scores (N, C) or (C,).
        target: int64, of the same shape: the labels of each sample, and -1 after the last of them.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``, over N.

    Raises:
        RuntimeError: shapes or types that do not fit.
        DeviceIndexError: a label outside [0, C) before the first -1; see there for when.

    Example:
        >>> x = genesis.tensor([0.1, 0.2, 0.4, 0.8])
        >>> round(genesis.nn.functional.multilabel_margin_loss(x, genesis.tensor([3, 0, -1, 1])).item(), 4)
        0.85
    """
    check_reduction(reduction)
    if input.ndim not in (1, 2) or input.shape != target.shape or target.dtype is not dtypes.int64:
        raise RuntimeError(f"multilabel_margin_loss needs scores (N, C) or (C,) and int64 labels of the same shape, "
                           f"not {tuple(input.shape)} and {target.dtype} {tuple(target.shape)}")
    given = target.eq(-1).long().cumsum(-1).eq(0)
    labels = target.masked_fill(given.logical_not(), 0)
    others = zeros_like(target).scatter_add(-1, labels, given.long()).eq(0)
    counted = given.unsqueeze(-1).logical_and(others.unsqueeze(-2))
    gaps = (1 - input.gather(-1, labels).unsqueeze(-1) + input.unsqueeze(-2)).relu()              # (N, label, class)
    losses = gaps.masked_fill(counted.logical_not(), 0).sum((-2, -1)) / max(input.shape[-1], 1)
    loss: Tensor = reduced(losses, reduction)
    return loss


@older_reduction
def multi_margin_loss(input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None, *,
                      reduction: str = "mean") -> Tensor:
    """The sum of ``max(0, margin - x[y] + x[i]) ** p`` over the classes i other than the target y, divided by C.

    Args:
        input: scores (N, C) or (C,).
        target: class indices, int64, (N,) or ().
        p: 1 or 2.
        margin: by how much the target's score is to be above all others.
        weight: (C,), a factor for the losses of each target class.
        reduction: ``"mean"`` (over N, whatever the weights), ``"sum"`` or ``"none"``.

    Raises:
        ValueError: another ``p``, or a weight that is no vector.
        RuntimeError: shapes or types that do not fit.
        DeviceIndexError: a class outside [0, C); see there for when.
    """
    check_reduction(reduction)
    if p not in (1, 2):
        raise ValueError(f"p must be 1 or 2, not {p}")
    if weight is not None and weight.ndim != 1:
        raise ValueError(f"weight must have one dimension, not {weight.ndim}")
    if input.ndim not in (1, 2) or target.dtype is not dtypes.int64 or (
            target.numel() != (1 if input.ndim == 1 else input.shape[0])) or target.ndim > 1:
        raise RuntimeError(f"multi_margin_loss needs scores (N, C) and int64 classes (N,), or both without N, not "
                           f"{tuple(input.shape)} and {target.dtype} {tuple(target.shape)}")
    classes = input.shape[-1]
    if weight is not None and weight.shape[0] != classes:
        raise RuntimeError(f"weight needs one entry for each of {classes} classes, not shape {tuple(weight.shape)}")
    index = target.reshape(*input.shape[:-1], 1)
    gaps = (margin - input.gather(-1, index) + input).relu()
    gaps = gaps if p == 1 else gaps * gaps
    losses = gaps.masked_fill(arange(classes, device=input.device).eq(index), 0).sum(-1) / max(classes, 1)
    if weight is not None:
        losses = losses * weight.gather(0, index.reshape(-1)).reshape(losses.shape)
    loss: Tensor = reduced(losses.reshape(target.shape) if reduction == "none" else losses, reduction)
    return loss


__all__ = ["cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss",
           "multilabel_margin_loss", "multilabel_soft_margin_loss", "soft_margin_loss", "triplet_margin_loss",
           "triplet_margin_with_distance_loss"]
