"""Embeddings of bags of indices."""

from __future__ import annotations

import math
from typing import Any

from ... import dtypes
from ...autograd import apply, same_device
from ...creation import arange, zeros
from ...functions import searchsorted
from ...ops.bags import EmbeddingBag
from ...tensor import Tensor
from .embedding import embedding, padding_row, prepare


def embedding_bag(input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None,
                  norm_type: float = 2, scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False,
                  per_sample_weights: Tensor | None = None, include_last_offset: bool = False,
                  padding_idx: int | None = None) -> Tensor:
    """The sum, mean or maximum of the rows of a table that bags of indices name.

    Args:
        input: int64 or int32 indices in [0, rows): (B, n), each row a bag; or (n,), the bags one after the other.
        weight: (rows, width).
        offsets: for an input (n,): (B,), where each bag begins, rising from 0.
        max_norm, norm_type, scale_grad_by_freq, sparse: as for `embedding`.
        mode: ``"sum"``, ``"mean"`` or ``"max"``.
        per_sample_weights: for sums, factors of the rows, in the shape of the input and the type of the weight.
        include_last_offset: whether ``offsets`` is (B + 1,), with the end of the last bag.
        padding_idx: an index that counts for nothing; negative ones count from the end.

    Returns:
        (B, width), 0 for a bag without indices.

    Raises:
        DeviceIndexError: an index is out of range, or the first offset is not 0; see there for when.
        NotImplementedError: factors with another mode than sum.
        ValueError: shapes or options that do not fit.

    Example:
        >>> weight = genesis.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
        >>> genesis.nn.functional.embedding_bag(genesis.tensor([0, 1, 2]), weight, genesis.tensor([0, 1]), mode="sum")
        tensor([[0., 1.],
                [6., 8.]])
    """
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"mode must be 'sum', 'mean' or 'max', not {mode!r}")
    if mode == "max" and (scale_grad_by_freq or sparse):
        raise ValueError("mode 'max' goes with neither scale_grad_by_freq nor sparse")
    if per_sample_weights is not None:
        if per_sample_weights.shape != input.shape:
            raise ValueError(f"per_sample_weights needs the shape of the input, {tuple(input.shape)}, not "
                             f"{tuple(per_sample_weights.shape)}")
        if mode != "sum":
            raise NotImplementedError(f"per_sample_weights only goes with mode 'sum', not {mode!r}")
        if per_sample_weights.dtype is not weight.dtype:
            raise RuntimeError(f"per_sample_weights must have the weight's type, {weight.dtype}, not "
                               f"{per_sample_weights.dtype}")
    if weight.ndim != 2:
        raise ValueError(f"embedding_bag needs a weight (rows, width), not of shape {tuple(weight.shape)}")
    if input.ndim not in (1, 2):
        raise ValueError(f"embedding_bag needs indices (B, n) or (n,), not of shape {tuple(input.shape)}")
    if (offsets is None) == (input.ndim == 1) or (offsets is not None and offsets.ndim != 1):
        raise ValueError("offsets must be a vector for indices (n,), and None for indices (B, n); indices of shape "
                         f"{tuple(input.shape)} came with {'none' if offsets is None else tuple(offsets.shape)}")
    prepare(input, weight, max_norm, norm_type)
    padding = padding_row(padding_idx, weight.shape[0])
    ended = offsets is not None and include_last_offset
    if include_last_offset and offsets is not None and not offsets.shape[0]:
        raise ValueError("include_last_offset needs at least one offset")
    if not (mode == "max" or scale_grad_by_freq or per_sample_weights is not None or weight.is_complex()
            or weight.device.quirks.max_loop):
        if offsets is not None:
            same_device(offsets, weight)
        starts = None if offsets is None else offsets._array
        bag: Tensor = apply(EmbeddingBag, weight, index=input._array, offsets=starts, ended=ended, mean=mode == "mean",
                            padding=padding, sparse=sparse and weight.is_leaf)
        return bag
    rows: Any = embedding(input, weight, padding_idx, None, norm_type, scale_grad_by_freq, sparse)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.unsqueeze(-1)
    used = input.ne(-1 if padding is None else padding)
    if padding is not None:
        rows = rows.masked_fill(used.logical_not().unsqueeze(-1), -math.inf if mode == "max" else 0.0)
    result: Tensor
    if offsets is None:
        result = _of_rows(rows, used, mode)
        return result
    bags = offsets.shape[0] - ended
    # Indices after the end of the last bag, where that is told, go into one more bag, which is cut off.
    of = searchsorted(offsets.long(), arange(input.shape[0], device=input.device), right=True) - 1
    result = _of_bags(rows, used, mode, of, bags + 1)[:bags]
    return result


def _of_rows(rows: Any, used: Any, mode: str) -> Any:
    """Reduce (B, n, width), of which (B, n) count."""
    if mode == "sum" or not rows.shape[1]:
        return rows.sum(1)
    if mode == "max":
        return rows.max(1).values.masked_fill(used.any(1, True).logical_not(), 0.0)
    return rows.sum(1) / used.sum(1, True).clamp_min(1).to(rows.dtype)


def _of_bags(rows: Any, used: Any, mode: str, bag: Any, bags: int) -> Any:
    """Reduce (n, width), of which (n,) count, over the rows of each bag."""
    start = zeros(bags, rows.shape[1], device=rows.device, dtype=rows.dtype)
    if mode == "sum":
        return start.index_add(0, bag, rows)
    counts = zeros(bags, device=rows.device, dtype=dtypes.int64).index_add(0, bag, used.long()).unsqueeze(1)
    if mode == "mean":
        return start.index_add(0, bag, rows) / counts.clamp_min(1).to(rows.dtype)
    most = start.scatter_reduce(0, bag.unsqueeze(1).expand(*rows.shape), rows, "amax", include_self=False)
    return most.masked_fill(counts.eq(0), 0.0)


__all__ = ["embedding_bag"]
