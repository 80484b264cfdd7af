"""Clipping of gradients, by their norm together or each by its value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ...gradients import pieces
from ...norms import TotalNorm
from ...ops import elementwise, grad_norm
from ...ops.array import download
from ...ops.grad_norm import Gradients, PartialNorms
from ...sparse import elements
from ...tensor import Tensor


def _listed(parameters: Any) -> list[Tensor]:
    return [parameters] if isinstance(parameters, Tensor) else list(parameters)


def _norm(parts: Sequence[Gradients], others: Sequence[Tensor], norm_type: float) -> TotalNorm:
    p = float(norm_type)
    if not p > 0:
        raise ValueError(f"norm_type must be above 0, got {norm_type}")
    kinds: dict[Any, list[Gradients]] = {}
    for part in [*parts, *(Gradients(elementwise.contiguous(g._array).reals(), None) for g in others)]:
        array = part.array
        kinds.setdefault((array.device, array.dtype.itemsize == 8), []).append(part)
    partials = [PartialNorms(found, p).run() for found in kinds.values()]
    return TotalNorm(grad_norm.join_on_host([download(x) for x in partials if x is not None], p))


def _scale(parameters: Sequence[Tensor], factor: float, bound: float = math.inf) -> None:
    parts, others = pieces(parameters)
    if math.isnan(factor):      # one by one: the zeros between the gradients in an arena must stay zeros
        parts, others = [], list({id(x.grad): elements(x.grad) for x in parameters if x.grad is not None}.values())
    dense = [g for g in others if g.is_contiguous()]
    grad_norm.scale([*parts, *(Gradients(g._array.reals(), None) for g in dense)], factor, bound)
    for g in others:
        if not g.is_contiguous():
            copied = elementwise.copy(g._array)
            grad_norm.scale([Gradients(copied.reals(), None)], factor, bound)
            g._assign(Tensor._wrap(copied))


def _coefficient(max_norm: float, total_norm: float) -> float:
    if not max_norm >= 0:
        raise ValueError(f"max_norm must be at least 0, got {max_norm}")
    return max_norm / (total_norm + 1e-6)


def clip_grad_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0,
                    error_if_nonfinite: bool = False) -> TotalNorm:
    """Scale gradients down, in place, so that the norm of all of them together is at most ``max_norm``.

    Two launches however many gradients there are (those of an optimizer's parameters lie side by side). To clip as
    part of a step and without waiting for the device, give the optimizer ``max_grad_norm``.

    Args:
        parameters: a tensor or an iterable of tensors; those without a gradient are ignored.
        max_norm: the limit, at least 0.
        norm_type: p of the p-norm, above 0; ``inf`` for the largest absolute value.
        error_if_nonfinite: raise when the norm is NaN or infinite, leaving the gradients as they were. Otherwise they
            are scaled by what follows from the formula: NaN for a NaN norm, 0 for an infinite one.

    Returns:
        The norm before clipping, a float with the method ``item``; 0 when there is no gradient.

    Raises:
        RuntimeError: the norm is not finite and ``error_if_nonfinite`` is True.
        ValueError: ``norm_type`` or ``max_norm`` is out of range.

    References:
        Pascanu et al. 2013, "On the difficulty of training recurrent neural networks", arXiv:1211.5063.

    Example:
        >>> x = genesis.zeros(2, requires_grad=True)
        >>> x.grad = genesis.tensor([3.0, 4.0])
        >>> genesis.nn.utils.clip_grad_norm_([x], max_norm=1.0)
        5.0
        >>> x.grad
        tensor([0.6, 0.8])
    """
    parameters = _listed(parameters)
    if norm_type != 2 and any(x.is_complex() for x in parameters):
        raise NotImplementedError(f"gradients of complex parameters are clipped by norm_type 2 only, not {norm_type}")
    total = _norm(*pieces(parameters), norm_type)
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(f"the total norm of order {norm_type} is {total}, so the gradients cannot be clipped; "
                           "error_if_nonfinite=False scales them all the same")
    factor = _coefficient(max_norm, total)
    if not factor >= 1:
        _scale(parameters, factor)
    return total


def get_total_norm(tensors: Tensor | Iterable[Tensor], norm_type: float = 2.0,
                   error_if_nonfinite: bool = False) -> TotalNorm:
    """The norm of tensors together, as if they were one vector.

    Args:
        tensors: a tensor or an iterable of tensors (gradients, not parameters).
        norm_type: p of the p-norm, above 0; ``inf`` for the largest absolute value.
        error_if_nonfinite: raise ``RuntimeError`` when the norm is NaN or infinite.
    """
    total = _norm([], [elements(x) for x in _listed(tensors)], norm_type)
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(f"the total norm of order {norm_type} is {total}")
    return total


def clip_grads_with_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: float | Tensor) -> None:
    """Scale gradients as `clip_grad_norm_` does, by a norm computed before.

    Args:
        parameters: a tensor or an iterable of tensors.
        max_norm: the limit, at least 0.
        total_norm: the norm, from `get_total_norm`.
    """
    factor = _coefficient(max_norm, float(total_norm))
    if not factor >= 1:
        _scale(_listed(parameters), factor)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limit every element of the gradients, in place, to [-clip_value, clip_value].

    Args:
        parameters: a tensor or an iterable of tensors; those without a gradient are ignored.
        clip_value: the limit, at least 0.
    """
    if not clip_value >= 0:
        raise ValueError(f"clip_value must be at least 0, got {clip_value}")
    _scale(_listed(parameters), 1.0, float(clip_value))
