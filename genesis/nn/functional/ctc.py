"""Connectionist temporal classification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import dtypes
from ...autograd import apply
from ...creation import arange, full
from ...joining import stack
from ...ops.ctc import CTC
from ...tensor import Tensor, tensor
from .loss import check_reduction, reduced
from .padding import pad

Lengths = Tensor | Sequence[int] | int


def ctc_loss(log_probs: Tensor, targets: Tensor, input_lengths: Lengths, target_lengths: Lengths, blank: int = 0,
             reduction: str = "mean", zero_infinity: bool = False) -> Tensor:
    """Negative logarithm of the probability of a sequence of labels, over all its alignments with longer inputs.

    Graves et al. 2006, "Connectionist temporal classification: labelling unsegmented sequence data with recurrent
    neural networks", equations 5 to 15, in logarithms: a launch each for all steps of time forward and backward.

    Args:
        log_probs: (T, N, C), or (T, C) without a batch: logarithms of the probabilities of the classes, as
            `log_softmax` gives them. Their gradient is the exact one, while PyTorch's supposes that they come from
            `log_softmax`; before that, both are equal.
        targets: (N, S), or (S,) without a batch: classes other than the blank, int64 or int32, anything after each
            sequence; or all sequences one after the other, (sum of the target lengths,).
        input_lengths: (N,), how many steps of time count; integers, or a number without a batch.
        target_lengths: (N,), how many targets count; integers, or a number without a batch. For targets one after the
            other, reading them waits for the device.
        blank: the class that separates labels.
        reduction: ``"mean"`` (over N, of losses divided by the target lengths), ``"sum"`` or ``"none"``.
        zero_infinity: whether inputs too short for their targets, whose loss is infinite, count 0.

    Raises:
        DeviceIndexError: a length or a target out of range; see there for when.
        RuntimeError: shapes or types that do not fit.

    Example:
        >>> import math
        >>> even = genesis.full((4, 1, 3), 1 / 3).log()
        >>> loss = genesis.nn.functional.ctc_loss(even, genesis.tensor([[1, 2]]), [4], [2], reduction="sum")
        >>> round(math.exp(-loss.item()) * 3 ** 4)        # of 81 ways to fill four steps, so many read 1, 2
        15
    """
    check_reduction(reduction)
    if log_probs.ndim not in (2, 3) or not log_probs.is_floating_point():
        raise RuntimeError(f"ctc_loss needs floating-point log-probabilities (T, N, C) or (T, C), not "
                           f"{log_probs.dtype} of shape {tuple(log_probs.shape)}")
    batched = log_probs.ndim == 3
    x: Any = log_probs if batched else log_probs.unsqueeze(1)
    x = x.float() if x.dtype.itemsize == 2 else x
    steps, samples, classes = x.shape
    if not 0 <= blank < classes:
        raise RuntimeError(f"blank must be one of {classes} classes, not {blank}")
    if not steps or targets.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(f"ctc_loss needs at least one step of time, and int64 or int32 targets; got "
                           f"{tuple(log_probs.shape)} and {targets.dtype}")
    inputs, counts = (_lengths(name, given, samples, x) for name, given in (("input_lengths", input_lengths),
                                                                            ("target_lengths", target_lengths)))
    labels = _rows(targets.long(), counts, target_lengths, samples, batched)
    width = labels.shape[1]
    labels = labels.masked_fill(arange(width, device=x.device) >= counts.unsqueeze(1), blank)
    states = stack([full((samples, width), blank, device=x.device, dtype=dtypes.int64), labels], 2).flatten(1)
    states = pad(states, (0, 1), value=blank)                                                    # (N, 2 S + 1)
    losses = apply(CTC, x, states, inputs, counts, blank=blank)
    if zero_infinity:
        losses = losses.masked_fill(losses.detach().isinf(), 0.0)
    if reduction == "mean":
        losses = losses / counts.clamp_min(1).to(x.dtype)
    result: Tensor = reduced(losses if batched else losses.squeeze(0), reduction).to(log_probs.dtype)
    return result


def _lengths(name: str, given: Lengths, samples: int, like: Tensor) -> Any:
    """Lengths as an int64 tensor (N,)."""
    lengths = given if isinstance(given, Tensor) else tensor(np.asarray(given, dtype=np.int64), device=like.device)
    if lengths.is_floating_point() or lengths.numel() != samples or lengths.ndim > 1:
        raise RuntimeError(f"{name} must be {samples} integers, not {lengths.dtype} of shape {tuple(lengths.shape)}")
    return lengths.long().reshape(samples)


def _rows(targets: Tensor, counts: Any, given: Lengths, samples: int, batched: bool) -> Any:
    """Targets as (N, S)."""
    if targets.ndim == 2 and targets.shape[0] == samples:
        return targets
    if targets.ndim != 1:
        raise RuntimeError(f"targets must be ({samples}, S), or all one after the other, not of shape "
                           f"{tuple(targets.shape)}")
    if not batched:
        return targets.unsqueeze(0)
    host = np.asarray(counts.numpy() if isinstance(given, Tensor) else given).reshape(-1)
    if host.sum() != targets.shape[0]:
        raise RuntimeError(f"targets one after the other must be as many as target_lengths say, {host.sum()}, not "
                           f"{targets.shape[0]}")
    width = int(host.max()) if host.size else 0
    places = np.cumsum(host)[:, None] - host[:, None] + np.arange(width)
    places = np.where(np.arange(width) < host[:, None], places, 0)
    return targets.index_select(0, tensor(places.reshape(-1), device=targets.device)).reshape(samples, width)


__all__ = ["ctc_loss"]
