"""Distances and similarities as layers."""

from __future__ import annotations

from ..tensor import Tensor
from . import functional as F
from .module import Module


class CosineSimilarity(Module):
    """Cosine of the angle between vectors; see `genesis.nn.functional.cosine_similarity`.

    Args:
        dim: the dimension that the vectors lie along.
        eps: what norms are at least.
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8):
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """(..., D, ...) twice -> the same without ``dim``."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The p-norm of differences of vectors; see `genesis.nn.functional.pairwise_distance`.

    Args:
        p: of the norm.
        eps: added to every difference.
        keepdim: whether to keep the last dimension, with size 1.
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False):
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """(N, D) twice, or without N -> (N,)."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
