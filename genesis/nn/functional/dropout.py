"""Dropout: of elements, of channels, and of a kind that keeps mean and variance."""

from __future__ import annotations

import math
import warnings

from ...autograd import apply
from ...creation import rand
from ...ops.random import Dropout
from ...random import default_generator
from ...tensor import Tensor

_ALPHA = 1.7580993408473766          # scale times alpha of SELU: minus the least value that it takes


def _check(p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability must be between 0 and 1, not {p}")


def _check_real(input: Tensor) -> None:
    if input.is_complex():
        raise NotImplementedError(f"dropout is not defined for {input.dtype}; multiply by dropout of real ones")


def _given(result: Tensor, input: Tensor, inplace: bool) -> Tensor:
    return input.copy_(result) if inplace else result


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Elements set to 0 with probability ``p`` and the rest scaled by ``1 / (1 - p)`` (Srivastava et al. 2014).

    Args:
        input: any shape, floating point.
        p: from 0 to 1.
        training: False returns the input.
        inplace: whether to overwrite the input.

    Raises:
        ValueError: ``p`` is out of range.
    """
    _check(p)
    if not training or p == 0:
        return input
    _check_real(input)
    return _given(apply(Dropout, input, p=float(p), key=default_generator.stream()), input, inplace)


def _kept(input: Tensor, p: float, lead: int) -> Tensor:
    """True, with probability ``1 - p``, for each index of the first dimensions; of size 1 in the others."""
    _check_real(input)
    if lead > input.ndim:
        raise RuntimeError(f"dropout of channels needs an input (N, C, ...), not of shape {tuple(input.shape)}")
    kept: Tensor = rand((*input.shape[:lead], *[1] * (input.ndim - lead)), device=input.device).ge(p)
    return kept


def _channels(input: Tensor, p: float, training: bool, inplace: bool, lead: int = 2) -> Tensor:
    if not training or p == 0:
        return input
    kept = _kept(input, p, lead)
    scale = 0.0 if p == 1 else 1 / (1 - p)
    return _given(input * (kept.to(input.dtype) * scale), input, inplace)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Whole channels set to 0 with probability ``p`` and the rest scaled by ``1 / (1 - p)``.

    Tompson et al. 2015, arXiv:1411.4280: neighbours in a channel resemble each other, so that dropping single elements
    would hide little.

    Args:
        input: (N, C, L) or (C, L).
        p: from 0 to 1.
        training: False returns the input.
        inplace: whether to overwrite the input.

    Raises:
        RuntimeError: an input of another number of dimensions.
        ValueError: ``p`` is out of range.
    """
    _check(p)
    if input.ndim not in (2, 3):
        raise RuntimeError(f"dropout1d needs an input (N, C, L) or (C, L), not of shape {tuple(input.shape)}")
    return _channels(input, p, training, inplace, input.ndim - 1)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout1d` for channels that are images.

    Args:
        input: (N, C, H, W). Three dimensions are taken for (N, C, L), as in PyTorch, and warn; so do other numbers.
        p: from 0 to 1.
        training: False returns the input.
        inplace: whether to overwrite the input.

    Raises:
        RuntimeError: an input of fewer than two dimensions.
        ValueError: ``p`` is out of range.

    Example:
        >>> y = genesis.nn.functional.dropout2d(genesis.ones(1, 64, 2, 2))
        >>> sorted(set(y.sum((2, 3)).flatten().tolist()))        # a channel is dropped or doubled, as a whole
        [0.0, 8.0]
    """
    _check(p)
    if input.ndim != 4:
        use = "is taken for (N, C, L): use dropout1d" if input.ndim == 3 else "is no (N, C, H, W): use dropout"
        warnings.warn(f"dropout2d: an input of shape {tuple(input.shape)} {use}", stacklevel=2)
    return _channels(input, p, training, inplace)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout1d` for channels of three dimensions.

    Args:
        input: (N, C, D, H, W) or (C, D, H, W). Other numbers of dimensions warn.
        p: from 0 to 1.
        training: False returns the input.
        inplace: whether to overwrite the input.

    Raises:
        ValueError: ``p`` is out of range.
    """
    _check(p)
    if input.ndim not in (4, 5):
        warnings.warn(f"dropout3d: an input of shape {tuple(input.shape)} is neither (N, C, D, H, W) nor "
                      "(C, D, H, W): use dropout", stacklevel=2)
    return _channels(input, p, training, inplace, 2 if input.ndim == 5 else 1)


def _alpha(input: Tensor, p: float, training: bool, inplace: bool, lead: int) -> Tensor:
    _check(p)
    if not training or p == 0:
        return input
    if p == 1:
        return _given(input * 0.0, input, inplace)
    kept = _kept(input, p, lead)
    scale = 1 / math.sqrt((_ALPHA * _ALPHA * p + 1) * (1 - p))
    return _given(input.masked_fill(kept.logical_not(), -_ALPHA) * scale + _ALPHA * scale * p, input, inplace)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout for networks of `selu`: mean 0 and variance 1 stay so (Klambauer et al. 2017, arXiv:1706.02515).

    Elements become the least value of `selu` with probability ``p``, and all are then scaled and shifted.

    Args:
        input: any shape, floating point.
        p: from 0 to 1.
        training: False, the default, returns the input.
        inplace: whether to overwrite the input.

    Raises:
        ValueError: ``p`` is out of range.
    """
    return _alpha(input, p, training, inplace, input.ndim)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels of an input (N, C, ...)."""
    return _alpha(input, p, training, inplace, 2)


__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]
