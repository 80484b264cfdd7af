"""Losses that ask for a margin, as layers; see the functions in `genesis.nn.functional`.

``reduction`` is ``"mean"``, ``"sum"`` or ``"none"``; another name is a ``ValueError``.
"""

from __future__ import annotations

from collections.abc import Callable

from ..tensor import Tensor
from . import functional as F
from .distance import PairwiseDistance
from .functional.loss import older_reduction
from .loss import _Loss, _WeightedLoss


class _Margin(_Loss):
    def __init__(self, margin: float, reduction: str):
        super().__init__(reduction=reduction)
        self.margin = margin


class MarginRankingLoss(_Margin):
    """Which of two scores is to be the larger; see `genesis.nn.functional.margin_ranking_loss`."""

    @older_reduction
    def __init__(self, margin: float = 0.0, *, reduction: str = "mean"):
        super().__init__(margin, reduction)

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return F.margin_ranking_loss(input1, input2, target, self.margin, reduction=self.reduction)


class HingeEmbeddingLoss(_Margin):
    """Small distances of pairs that are alike, large ones of others; see `functional.hinge_embedding_loss`."""

    @older_reduction
    def __init__(self, margin: float = 1.0, *, reduction: str = "mean"):
        super().__init__(margin, reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return F.hinge_embedding_loss(input, target, self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(_Margin):
    """Small angles of pairs that are alike, large ones of others; see `functional.cosine_embedding_loss`."""

    @older_reduction
    def __init__(self, margin: float = 0.0, *, reduction: str = "mean"):
        super().__init__(margin, reduction)

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """(N, D), (N, D) and (N,), or all without N, to the loss."""
        return F.cosine_embedding_loss(input1, input2, target, self.margin, reduction=self.reduction)


class TripletMarginLoss(_Margin):
    """An anchor nearer to a positive than to a negative; see `genesis.nn.functional.triplet_margin_loss`.

    Args:
        margin: by how much nearer; above 0.
        p: of the norm.
        eps: added to differences.
        swap: take the distance of positive and negative instead, where it is smaller.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ValueError: a margin that is not positive.
    """

    @older_reduction
    def __init__(self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False, *,
                 reduction: str = "mean"):
        super().__init__(_positive(margin), reduction)
        self.p, self.eps, self.swap = p, eps, swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """(N, D) three times, or without N, to the loss."""
        return F.triplet_margin_loss(anchor, positive, negative, self.margin, self.p, self.eps, self.swap,
                                     reduction=self.reduction)


class TripletMarginWithDistanceLoss(_Margin):
    """`TripletMarginLoss` with any distance.

    Args:
        distance_function: of two tensors; a `PairwiseDistance` by default.
        margin: by how much nearer; above 0.
        swap: take the distance of positive and negative instead, where it is smaller.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ValueError: a margin that is not positive.
    """

    def __init__(self, *, distance_function: Callable[[Tensor, Tensor], Tensor] | None = None, margin: float = 1.0,
                 swap: bool = False, reduction: str = "mean"):
        super().__init__(_positive(margin), reduction)
        self.distance_function = PairwiseDistance() if distance_function is None else distance_function
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """Three tensors that the distance takes, to the loss."""
        return F.triplet_margin_with_distance_loss(anchor, positive, negative, margin=self.margin, swap=self.swap,
                                                   distance_function=self.distance_function, reduction=self.reduction)


def _positive(margin: float) -> float:
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    return margin


class SoftMarginLoss(_Loss):
    """``log(1 + exp(-target * input))``; see `genesis.nn.functional.soft_margin_loss`."""

    @older_reduction
    def __init__(self, *, reduction: str = "mean"):
        super().__init__(reduction=reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """Binary cross-entropy of logits, its mean over classes; see `functional.multilabel_soft_margin_loss`.

    Args:
        weight: (C,), a factor a class.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """

    @older_reduction
    def __init__(self, weight: Tensor | None = None, *, reduction: str = "mean"):
        super().__init__(weight, reduction=reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """(N, C) twice, or without N, to the loss."""
        return F.multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)


class MultiLabelMarginLoss(_Loss):
    """Scores of several labels above those of other classes; see `genesis.nn.functional.multilabel_margin_loss`."""

    @older_reduction
    def __init__(self, *, reduction: str = "mean"):
        super().__init__(reduction=reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Scores (N, C) and labels (N, C), or both without N, to the loss."""
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiMarginLoss(_Margin):
    """The score of one class above those of others; see `genesis.nn.functional.multi_margin_loss`.

    Args:
        p: 1 or 2.
        margin: by how much.
        weight: (C,), a factor a class.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ValueError: another ``p``, or a weight that is no vector.
    """

    @older_reduction
    def __init__(self, p: int = 1, margin: float = 1.0, weight: Tensor | None = None, *, reduction: str = "mean"):
        super().__init__(margin, reduction)
        if p not in (1, 2):
            raise ValueError(f"p must be 1 or 2, not {p}")
        if weight is not None and weight.ndim != 1:
            raise ValueError(f"weight must have one dimension, not {weight.ndim}")
        self.register_buffer("weight", weight)
        self.p = p

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Scores (N, C) and classes (N,), or both without N, to the loss."""
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, reduction=self.reduction)
