"""Losses."""

from __future__ import annotations

from typing import Any

from ...autograd import apply
from ...ops.loss import CrossEntropy
from ...tensor import Tensor

_REDUCTIONS = ("mean", "sum", "none")


def _reduced(x: Any, reduction: str) -> Any:
    check_reduction(reduction)
    return x if reduction == "none" else getattr(x, reduction)()


def check_reduction(reduction: str) -> None:
    """``ValueError`` unless the name is one of ``mean``, ``sum`` and ``none``."""
    if reduction not in _REDUCTIONS:
        raise ValueError(f"reduction must be one of {_REDUCTIONS}, not {reduction!r}")


def cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100,
                  reduction: str = "mean", label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy between logits and class indices.

    Args:
        input: logits (C,), (N, C) or (N, C, d1, ...).
        target: class indices, int64, (), (N,) or (N, d1, ...).
        weight: (C,), a factor a class.
        ignore_index: a target that counts for nothing.
        reduction: ``"mean"`` (weighted), ``"sum"`` or ``"none"``.
        label_smoothing: share of the target spread evenly over all classes, from 0 to 1.

    Raises:
        ValueError: shapes, types or options that do not fit. A target outside [0, C) that is not ``ignore_index``
            makes the loss NaN: checking it would wait for the device.
    """
    check_reduction(reduction)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be between 0 and 1, not {label_smoothing}")
    if not input.is_floating_point():
        raise ValueError(f"logits must be floating point, not {input.dtype}")
    if target.is_floating_point():
        raise ValueError("targets must be class indices (integers); probabilities as targets are not supported")
    classes = input.shape[:1] if input.ndim == 1 else input.shape[1:2]
    expected = () if input.ndim == 1 else (*input.shape[:1], *input.shape[2:])
    if not input.ndim or tuple(target.shape) != tuple(expected):
        raise ValueError(f"logits of shape {tuple(input.shape)} need targets of shape {tuple(expected)}, not "
                         f"{tuple(target.shape)}")
    if weight is not None and tuple(weight.shape) != tuple(classes):
        raise ValueError(f"weight needs one entry a class, shape {tuple(classes)}, not {tuple(weight.shape)}")
    return apply(CrossEntropy, input, target.long(), None if weight is None else weight.detach(),
                 ignore_index=ignore_index, reduction=reduction, label_smoothing=float(label_smoothing))


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Squared differences."""
    return _reduced((input - target) ** 2, reduction)


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Absolute differences."""
    return _reduced((input - target).abs(), reduction)
