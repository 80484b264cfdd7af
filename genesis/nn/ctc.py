"""Connectionist temporal classification as a layer."""

from __future__ import annotations

from ..tensor import Tensor
from . import functional as F
from .functional.ctc import Lengths
from .loss import _Loss


class CTCLoss(_Loss):
    """Of labels whose alignment with a longer input is unknown; see `genesis.nn.functional.ctc_loss`.

    Args:
        blank: the class that separates labels.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        zero_infinity: whether inputs too short for their targets count 0.
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False):
        super().__init__(reduction=reduction)
        self.blank, self.zero_infinity = blank, zero_infinity

    def forward(self, log_probs: Tensor, targets: Tensor, input_lengths: Lengths, target_lengths: Lengths) -> Tensor:
        """Log-probabilities (T, N, C), targets (N, S) and both lengths (N,), or all without N, to the loss."""
        return F.ctc_loss(log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction,
                          self.zero_infinity)
