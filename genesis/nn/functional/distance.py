"""Distances and similarities of vectors."""

from __future__ import annotations

from typing import Any

from ...joining import broadcast_tensors, triu_indices
from ...tensor import Tensor


def at_least(x: Any, least: float) -> Any:
    """``x`` clamped from below; its gradient goes through as if it were not."""
    return x + (x.clamp_min(least) - x).detach()


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Cosine of the angle between vectors: their product, divided by both norms.

    Args:
        x1: any shape, floating point.
        x2: broadcasts with it.
        dim: the dimension that the vectors lie along.
        eps: what norms are at least.

    Returns:
        The shape that both broadcast to, without ``dim``.

    Raises:
        RuntimeError: neither input is floating point.

    Example:
        >>> genesis.nn.functional.cosine_similarity(genesis.tensor([[3.0, 4.0]]), genesis.tensor([[4.0, 3.0]]))
        tensor([0.96])
    """
    if not x1.is_floating_point() and not x2.is_floating_point():
        raise RuntimeError(f"cosine_similarity needs floating-point numbers, not {x1.dtype} and {x2.dtype}")
    one, other = (x / at_least(x.norm(2, dim, True), eps) for x in broadcast_tensors(x1, x2))
    similarity: Tensor = (one * other).sum(dim)
    return similarity


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of ``x1 - x2 + eps`` along the last dimension.

    Args:
        x1: (N, D) or (D,).
        x2: broadcasts with it.
        p: of the norm.
        eps: added to every difference, so that equal vectors have a gradient.
        keepdim: whether to keep the last dimension, with size 1.

    Returns:
        (N,) or (); with ``keepdim`` (N, 1) or (1,).

    Example:
        >>> genesis.nn.functional.pairwise_distance(genesis.zeros(1, 2), genesis.tensor([[3.0, 4.0]]), eps=0.0)
        tensor([5.])
    """
    distance: Tensor = (x1 - x2 + eps).norm(p, -1, keepdim)
    return distance


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """Distances of all pairs of rows: the part of ``cdist(input, input, p)`` above the diagonal, row by row.

    Args:
        input: (N, M), floating point.
        p: the order of the norm, at least 0 (0 counts elements that differ), or infinity.

    Returns:
        (N * (N - 1) / 2,). All differences are formed, M times as much.

    Raises:
        RuntimeError: the input is no matrix of floating-point numbers, or ``p`` is negative.

    Example:
        >>> genesis.nn.functional.pdist(genesis.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]]))
        tensor([5., 3., 4.])
    """
    if input.ndim != 2 or not input.is_floating_point():
        raise RuntimeError(f"pdist() needs a matrix of floating-point numbers, not {input.dtype} of shape "
                           f"{tuple(input.shape)}")
    if not p >= 0:
        raise RuntimeError(f"pdist() needs p >= 0, got {p}")
    n = input.shape[0]
    first, second = triu_indices(n, n, 1, device=input.device)
    distances: Tensor = (input.index_select(0, first) - input.index_select(0, second)).norm(p, -1)
    return distances


__all__ = ["at_least", "cosine_similarity", "pairwise_distance", "pdist"]
