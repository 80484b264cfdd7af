"""Fractional max-pooling: windows at distances that are drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ... import dtypes
from ...creation import arange, rand
from ...functions import cat
from ...tensor import Tensor
from .conv import Ints, spread


def _output(name: str, n: int, sizes: tuple[int, ...], output_size: Any, output_ratio: Any) -> tuple[int, ...]:
    if (output_size is None) == (output_ratio is None):
        raise ValueError(f"{name} needs output_size or output_ratio, and not both")
    if output_size is not None:
        return spread("output_size", output_size, n)
    ratios = tuple(output_ratio) if isinstance(output_ratio, Sequence) else (output_ratio,) * n
    if len(ratios) != n or not all(0 < r < 1 for r in ratios):
        raise ValueError(f"{name}: output_ratio must be a number between 0 and 1, or {n} of them, not {output_ratio!r}")
    return tuple(int(size * r) for size, r in zip(sizes, ratios))


def _starts(sample: Any, size: int, window: int, count: int) -> Any:
    """Where windows begin, (N, C, count): at ``floor(a (i + u)) - floor(a u)``, a their mean distance."""
    last = sample.new_full((*sample.shape, 1), size - window)
    if count > 1:
        a = (size - window) / (count - 1)
        u = sample.unsqueeze(-1)
        last = cat([((arange(count - 1, device=sample.device) + u) * a).floor() - (u * a).floor(), last], -1)
    return last.to(dtypes.int64)


def _pool(n: int, input: Any, kernel_size: Ints, output_size: Any, output_ratio: Any, return_indices: bool,
          samples: Any) -> Any:
    name = f"fractional_max_pool{n}d"
    if input.ndim not in (n + 1, n + 2):
        raise RuntimeError(f"{name} needs an input of {n + 1} or {n + 2} dimensions, not of shape {tuple(input.shape)}")
    sizes, kernel = tuple(input.shape[-n:]), spread("kernel_size", kernel_size, n)
    wanted = _output(name, n, sizes, output_size, output_ratio)
    if any(not 1 <= w <= s - k + 1 or k < 1 for w, s, k in zip(wanted, sizes, kernel)):
        raise RuntimeError(f"{name}: an input of size {sizes} has no {wanted} windows of size {kernel} at different "
                           "places")
    x = input if input.ndim == n + 2 else input.unsqueeze(0)
    if samples is None:
        samples = rand(*x.shape[:2], n, device=x.device)
    if tuple(samples.shape) != (*x.shape[:2], n):
        raise RuntimeError(f"{name}: samples must have shape {(*x.shape[:2], n)}, not {tuple(samples.shape)}")
    order = (1, 0) if n == 2 else (0, 1, 2)                # images name x first, volumes z
    index: Any = 0
    for axis, (size, window, count) in enumerate(zip(sizes, kernel, wanted)):
        places = _starts(samples[..., order[axis]], size, window, count).unsqueeze(-1) + arange(window, device=x.device)
        shape = [1] * (2 * n)
        shape[axis], shape[n + axis] = count, window
        index = index * size + places.reshape(*x.shape[:2], *shape)
    index = index.reshape(*x.shape[:2], math.prod(wanted), math.prod(kernel))        # (N, C, windows, elements)
    values = x.flatten(2).gather(2, index.flatten(2)).reshape(*index.shape)
    largest, chosen = values.max(-1)
    shape = [*input.shape[:-n], *wanted]
    if not return_indices:
        return largest.reshape(*shape)
    return largest.reshape(*shape), index.gather(-1, chosen.unsqueeze(-1)).reshape(*shape)


def fractional_max_pool2d(input: Tensor, kernel_size: Ints, output_size: Any = None, output_ratio: Any = None,
                          return_indices: bool = False, _random_samples: Tensor | None = None) -> Any:
    """The largest elements of windows whose distances are drawn (Graham 2014, arXiv:1412.6071).

    The size shrinks by any factor, not by a whole number, as windows are now one element more apart and now one less.

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size: height and width of the windows; one number for both.
        output_size: H' and W'; one number for both.
        output_ratio: instead of it, what part of H and W they are to be, between 0 and 1.
        return_indices: whether to return positions (in the flattened plane) too, int64.

    Returns:
        (N, C, H', W').

    Raises:
        ValueError: neither a size nor a ratio, or both, or a ratio out of range.
        RuntimeError: windows that the input has no place for.

    Example:
        >>> genesis.nn.functional.fractional_max_pool2d(genesis.randn(1, 3, 32, 32), 2, output_ratio=0.7).shape
        genesis.Size([1, 3, 22, 22])
    """
    return _pool(2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


def fractional_max_pool3d(input: Tensor, kernel_size: Ints, output_size: Any = None, output_ratio: Any = None,
                          return_indices: bool = False, _random_samples: Tensor | None = None) -> Any:
    """The largest elements of windows of volumes (N, C, D, H, W) or (C, D, H, W); see `fractional_max_pool2d`."""
    return _pool(3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


__all__ = ["fractional_max_pool2d", "fractional_max_pool3d"]
