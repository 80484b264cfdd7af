"""Connectionist temporal classification."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import dtypes
from ...creation import arange, full
from ...functions import where
from ...joining import stack
from ...tensor import Tensor, tensor
from .loss import check_reduction, reduced
from .padding import pad

# The logarithm of 0: sums of it stay finite, so that no gradient is NaN.
_NEVER = -1e30

Lengths = Tensor | Sequence[int] | int


def ctc_loss(log_probs: Tensor, targets: Tensor, input_lengths: Lengths, target_lengths: Lengths, blank: int = 0,
             reduction: str = "mean", zero_infinity: bool = False) -> Tensor:
    """Negative logarithm of the probability of a sequence of labels, over all its alignments with longer inputs.

    Graves et al. 2006, "Connectionist temporal classification: labelling unsegmented sequence data with recurrent
    neural networks", equations 6 to 8, in logarithms. A step of time is a handful of launches.

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
    ends = _forward(x, states, blank, inputs)
    final = counts * 2
    last = ends.gather(1, stack([final, (final - 1).clamp_min(0)], 1))
    none = pad(counts.eq(0).unsqueeze(1).to(x.dtype) * _NEVER, (1, 0))         # without targets there is one last state
    losses = -(last + none).logsumexp(1)
    # Without any step of time, only the empty sequence is certain.
    losses = where(inputs.eq(0), where(counts.eq(0), 0.0, -_NEVER).to(x.dtype), losses)
    losses = losses.masked_fill(losses.detach() > -_NEVER / 2, 0.0 if zero_infinity else math.inf)
    if reduction == "mean":
        losses = losses / counts.clamp_min(1).to(x.dtype)
    result: Tensor = reduced(losses if batched else losses.squeeze(0), reduction).to(log_probs.dtype)
    return result


def _forward(x: Any, states: Any, blank: int, inputs: Any) -> Any:
    """Log-probabilities (N, 2 S + 1) of being in each state at the end of each input."""
    samples, width = states.shape
    emitted = x.gather(2, states.unsqueeze(0).expand(x.shape[0], samples, width)).clamp_min(_NEVER)
    # From a label to the next without a blank between them, if they differ.
    skips = states.ne(blank).logical_and(states.ne(pad(states, (2, -2), value=blank)))
    into = pad(where(skips, 0.0, _NEVER).to(x.dtype).unsqueeze(2), (0, 2))                # (N, 2 S + 1, 3)
    first = where(arange(width, device=x.device).lt(2), 0.0, _NEVER).to(x.dtype)
    alphas: list[Any] = []
    for t, here in enumerate(emitted.unbind(0)):
        if t:
            before = (pad(alphas[-1], (2, 0), value=_NEVER).unfold(1, 3, 1) + into).logsumexp(2)
        else:
            before = first
        alphas.append(before + here)
    index = (inputs - 1).clamp_min(0).reshape(1, samples, 1).expand(1, samples, width)
    return stack(alphas, 0).gather(0, index).squeeze(0)


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
