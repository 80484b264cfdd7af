"""Losses."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from ...autograd import apply
from ...ops.loss import CrossEntropy
from ...tensor import Tensor
from .linear import linear

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


def check_classes(scores: str, input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    """Errors, of the classes PyTorch has, unless targets and weights fit scores (C,), (N, C) or (N, C, d1, ...)."""
    if not input.is_floating_point():
        raise NotImplementedError(f"{scores} must be floating point, not {input.dtype}")
    classes = input.shape[:1] if input.ndim == 1 else input.shape[1:2]
    chances = target.is_floating_point()
    expected = input.shape if chances else () if input.ndim == 1 else (*input.shape[:1], *input.shape[2:])
    if not input.ndim or tuple(target.shape) != tuple(expected):
        kind = "probabilities" if chances else "class indices"
        batches = expected and target.ndim == len(expected) and target.shape[0] != expected[0]
        raise (ValueError if batches else RuntimeError)(
            f"{scores} of shape {tuple(input.shape)} need {kind} of shape {tuple(expected)}, not "
            f"{tuple(target.shape)}")
    if weight is not None and tuple(weight.shape) != tuple(classes):
        raise RuntimeError(f"weight needs one entry a class, shape {tuple(classes)}, not {tuple(weight.shape)}")


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
        RuntimeError: shapes, types or options that do not fit.
        ValueError: another number of targets than of rows, or another ``reduction``.
        DeviceIndexError: an index outside [0, C) that is not ``ignore_index``, which makes the loss NaN; see there
            for when it is raised.

    Example:
        >>> loss = genesis.nn.functional.cross_entropy(genesis.zeros(2, 4), genesis.tensor([1, 3]))
        >>> round(loss.item(), 4)        # log(4)
        1.3863
    """
    check_reduction(reduction)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0 and 1, not {label_smoothing}")
    check_classes("logits", input, target, weight)
    chances = target.is_floating_point()
    weight = None if weight is None else weight.detach()
    if chances:
        if ignore_index >= 0:
            raise RuntimeError("ignore_index goes with class indices, not with probabilities as targets")
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


def linear_cross_entropy(input: Tensor, linear_weight: Tensor, target: Tensor, *, linear_bias: Tensor | None = None,
                         weight: Tensor | None = None, reduction: str = "mean", ignore_index: int | None = None,
                         label_smoothing: float = 0.0, options: Any = None) -> Tensor:
    """`cross_entropy` of the logits ``linear(input, linear_weight, linear_bias)``.

    Args:
        input: (E,) or (N, E).
        linear_weight: (C, E), or (C, d1, ..., E) for several predictions a row, (N, E) being needed then.
        target: class indices (), (N,) or (N, d1, ...), or probabilities (C,), (N, C) or (N, C, d1, ...).
        linear_bias: (C,) or (C, d1, ...).
        weight, reduction, label_smoothing: as for `cross_entropy`.
        ignore_index: as there, None being -100.
        options: None: the logits are computed as a whole, while PyTorch can do so piece by piece.

    Raises:
        RuntimeError: shapes, types or options that do not fit.
        ValueError: another number of targets than of rows, or another ``reduction``.
        NotImplementedError: ``options`` are given.

    Example:
        >>> x, head = genesis.ones(2, 3), genesis.zeros(4, 3)
        >>> round(genesis.nn.functional.linear_cross_entropy(x, head, genesis.tensor([1, 3])).item(), 4)
        1.3863
    """
    if options is not None:
        raise NotImplementedError("linear_cross_entropy computes logits as a whole; options must be None")
    classes, *others = linear_weight.shape[:-1] or (0,)
    if not 1 <= input.ndim <= 2 or linear_weight.ndim < 2 or input.shape[-1] != linear_weight.shape[-1] or (
            others and input.ndim < 2):
        raise RuntimeError(f"linear_cross_entropy needs an input (N, E), or (E,) for a weight (C, E), and a weight "
                           f"(C, ..., E), not shapes {tuple(input.shape)} and {tuple(linear_weight.shape)}")
    if linear_bias is not None and tuple(linear_bias.shape) != (classes, *others):
        raise RuntimeError(f"linear_bias must have shape {(classes, *others)}, not {tuple(linear_bias.shape)}")
    if ignore_index is not None and target.is_floating_point():
        raise RuntimeError("ignore_index goes with class indices, not with probabilities as targets")
    logits = linear(input, linear_weight.reshape(-1, input.shape[-1]),
                    None if linear_bias is None else linear_bias.flatten())
    return cross_entropy(logits.reshape(*input.shape[:-1], classes, *others), target, weight,
                         -100 if ignore_index is None else ignore_index, reduction, label_smoothing)
