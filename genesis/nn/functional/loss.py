"""Losses."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from ...autograd import apply
from ...ops.loss import CrossEntropy
from ...tensor import Tensor

R = TypeVar("R")
_REDUCTIONS = ("mean", "sum", "none")


def reduced(x: Any, reduction: str) -> Any:
    """Losses, or their sum or mean; ``ValueError`` for another reduction."""
    check_reduction(reduction)
    return x if reduction == "none" else getattr(x, reduction)()


def check_reduction(reduction: str) -> None:
    """``ValueError`` unless the name is one of ``mean``, ``sum`` and ``none``."""
    if reduction not in _REDUCTIONS:
        raise ValueError(f"reduction must be one of {_REDUCTIONS}, not {reduction!r}")


def reduction_of(size_average: bool | None, reduce: bool | None, reduction: str = "mean", stacklevel: int = 3) -> str:
    """The reduction that PyTorch's older arguments ask for, with its warning; the newer one where both are None."""
    if size_average is None and reduce is None:
        return reduction
    found = "none" if reduce is not None and not reduce else "mean" if size_average in (None, True) else "sum"
    warnings.warn(f"size_average and reduce are older arguments; use reduction={found!r}", stacklevel=stacklevel)
    return found


def older_reduction(function: Callable[..., R]) -> Callable[..., R]:
    """Let a loss, or the ``__init__`` of its layer, take ``size_average`` and ``reduce`` by name."""
    @functools.wraps(function)
    def loss(*args: Any, size_average: bool | None = None, reduce: bool | None = None, **kwargs: Any) -> Any:
        if size_average is not None or reduce is not None:
            kwargs["reduction"] = reduction_of(size_average, reduce)
        return function(*args, **kwargs)

    return loss


@older_reduction
def cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100,
                  reduction: str = "mean", label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy between logits and class indices, or class probabilities.

    Args:
        input: logits (C,), (N, C) or (N, C, d1, ...).
        target: class indices, integers, (), (N,) or (N, d1, ...); or probabilities of the classes, floating point, in
            the shape of ``input``.
        weight: (C,), a factor a class.
        ignore_index: a class index that counts for nothing.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``. The mean divides by the sum of the targets' weights, or, with
            probabilities, by the number of rows.
        label_smoothing: share of the target spread evenly over all classes, from 0 to 1.

    Raises:
        ValueError: shapes, types or options that do not fit.
        DeviceIndexError: an index outside [0, C) that is not ``ignore_index``, which makes the loss NaN; see there
            for when it is raised.

    Example:
        >>> loss = genesis.nn.functional.cross_entropy(genesis.zeros(2, 4), genesis.tensor([1, 3]))
        >>> round(loss.item(), 4)        # log(4)
        1.3863
    """
    check_reduction(reduction)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be between 0 and 1, not {label_smoothing}")
    if not input.is_floating_point():
        raise ValueError(f"logits must be floating point, not {input.dtype}")
    classes = input.shape[:1] if input.ndim == 1 else input.shape[1:2]
    chances = target.is_floating_point()
    expected = input.shape if chances else () if input.ndim == 1 else (*input.shape[:1], *input.shape[2:])
    if not input.ndim or tuple(target.shape) != tuple(expected):
        kind = "probabilities" if chances else "class indices"
        raise ValueError(f"logits of shape {tuple(input.shape)} need {kind} of shape {tuple(expected)}, not "
                         f"{tuple(target.shape)}")
    if weight is not None and tuple(weight.shape) != tuple(classes):
        raise ValueError(f"weight needs one entry a class, shape {tuple(classes)}, not {tuple(weight.shape)}")
    weight = None if weight is None else weight.detach()
    if chances:
        if ignore_index >= 0:
            raise ValueError("ignore_index goes with class indices, not with probabilities as targets")
        if target.requires_grad:
            return _cross_entropy_of_chances(input, target, weight, reduction, label_smoothing)
    return apply(CrossEntropy, input, target if chances else target.long(), weight, ignore_index=ignore_index,
                 reduction=reduction, label_smoothing=float(label_smoothing))


def _cross_entropy_of_chances(input: Tensor, target: Tensor, weight: Tensor | None, reduction: str,
                              label_smoothing: float) -> Tensor:
    """Step by step, for a gradient of the target too."""
    axis = 0 if input.ndim == 1 else 1
    log_p = input.log_softmax(axis)
    if weight is not None:
        log_p = log_p * weight.reshape(-1, *[1] * (input.ndim - 1 - axis))
    mixed = target * (1 - label_smoothing) + label_smoothing / max(input.shape[axis], 1)
    return reduced(-(log_p * mixed).sum(axis), reduction)
