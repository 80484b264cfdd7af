"""Window functions of signal processing: weights that fall off towards both ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .creation import Where
from .dtypes import as_dtype, get_default_dtype
from .tensor import Tensor, tensor


def _window(name: str, n: int, periodic: bool, formula: Callable[[np.ndarray], np.ndarray], dtype: Any, device: Where,
            requires_grad: bool) -> Tensor:
    """Values of a formula of the position, from -1 to 1; of a periodic window the last is left out."""
    kind = as_dtype(dtype or get_default_dtype())
    if not kind.is_floating_point:
        raise RuntimeError(f"{name}() needs a floating-point type, not {kind}")
    if n < 0:
        raise RuntimeError(f"{name}() needs a window_length that is not negative, got {n}")
    steps = n if periodic and n > 1 else n - 1
    values = formula(2 * np.arange(n) / max(steps, 1) - 1) if n > 1 else np.ones(n)
    return tensor(values.astype(kind.numpy), device=device, requires_grad=requires_grad)


def hann_window(window_length: int, periodic: bool = True, *, dtype: Any = None, device: Where = None,
                requires_grad: bool = False) -> Tensor:
    """The Hann window, ``(1 - cos(2πk / N)) / 2``.

    Args:
        window_length: number of weights.
        periodic: for spectra: N is the length, and the window goes on with its first weight; else symmetric, N being
            one less.

    Raises:
        RuntimeError: the length is negative or the type is no floating-point type.

    Example:
        >>> genesis.hann_window(4)
        tensor([0. , 0.5, 1. , 0.5])
    """
    return _window("hann_window", window_length, periodic, lambda x: 0.5 + 0.5 * np.cos(np.pi * x), dtype, device,
                   requires_grad)


def hamming_window(window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, *,
                   dtype: Any = None, device: Where = None, requires_grad: bool = False) -> Tensor:
    """The Hamming window, ``alpha - beta * cos(2πk / N)``; see `hann_window`."""
    return _window("hamming_window", window_length, periodic, lambda x: alpha + beta * np.cos(np.pi * x), dtype,
                   device, requires_grad)


def blackman_window(window_length: int, periodic: bool = True, *, dtype: Any = None, device: Where = None,
                    requires_grad: bool = False) -> Tensor:
    """The Blackman window, ``0.42 - 0.5 * cos(2πk / N) + 0.08 * cos(4πk / N)``; see `hann_window`."""
    return _window("blackman_window", window_length, periodic,
                   lambda x: 0.42 + 0.5 * np.cos(np.pi * x) + 0.08 * np.cos(2 * np.pi * x), dtype, device,
                   requires_grad)


def bartlett_window(window_length: int, periodic: bool = True, *, dtype: Any = None, device: Where = None,
                    requires_grad: bool = False) -> Tensor:
    """The triangular window; see `hann_window`."""
    return _window("bartlett_window", window_length, periodic, lambda x: 1 - np.abs(x), dtype, device, requires_grad)


def kaiser_window(window_length: int, periodic: bool = True, beta: float = 12.0, *, dtype: Any = None,
                  device: Where = None, requires_grad: bool = False) -> Tensor:
    """The Kaiser window, ``i0(beta * sqrt(1 - x²)) / i0(beta)`` for x from -1 to 1; see `hann_window`."""
    return _window("kaiser_window", window_length, periodic,
                   lambda x: np.i0(beta * np.sqrt(np.maximum(1 - x * x, 0))) / np.i0(beta), dtype, device,
                   requires_grad)
