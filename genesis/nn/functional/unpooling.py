"""What goes back from the largest elements of windows, and pooling by norms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...tensor import Tensor
from .activation import relu
from .conv import Ints, spread
from .pooling import avg_pool1d, avg_pool2d
from .pooling3d import avg_pool3d


def _unpooled_sizes(name: str, sizes: tuple[int, ...], kernel: tuple[int, ...], steps: tuple[int, ...],
                    before: tuple[int, ...], output_size: Any) -> tuple[int, ...]:
    n = len(sizes)
    usual = tuple((size - 1) * s + k - 2 * p for size, s, k, p in zip(sizes, steps, kernel, before))
    if output_size is None:
        return usual
    if not isinstance(output_size, Sequence) or len(output_size) not in (n, n + 2):
        raise ValueError(f"{name}: output_size needs {n} or {n + 2} entries, not {output_size!r}")
    wanted = tuple(output_size)[-n:]
    if any(not u - s < w < u + s for u, s, w in zip(usual, steps, wanted)):
        raise ValueError(f"{name}: output_size must be less than a stride, {steps}, from {usual}, not {wanted}")
    return wanted


def _unpool(name: str, n: int, input: Tensor, indices: Tensor, kernel_size: Ints, stride: Ints | None, padding: Ints,
            output_size: Any) -> Tensor:
    kernel = spread("kernel_size", kernel_size, n)
    steps = kernel if stride is None or stride in ((), []) else spread("stride", stride, n)
    before = spread("padding", padding, n)
    if input.ndim not in (n + 1, n + 2) or input.shape != indices.shape:
        raise RuntimeError(f"{name} needs an input of {n + 1} or {n + 2} dimensions and indices of the same shape, not "
                           f"{tuple(input.shape)} and {tuple(indices.shape)}")
    if indices.dtype.name != "int64":
        raise RuntimeError(f"{name} needs indices of type int64, not {indices.dtype}")
    if min(steps) < 1:
        raise RuntimeError(f"{name}: stride must be at least 1, not {steps}")
    size = _unpooled_sizes(name, tuple(input.shape)[-n:], kernel, steps, before, output_size)
    if min(size) < 1:
        raise RuntimeError(f"{name}: an input of shape {tuple(input.shape)} gives an output of size {size}, which is "
                           "too small")
    lead = tuple(input.shape)[:-n]
    values = input.flatten(-n) if n > 1 else input
    result: Tensor = values.new_zeros((*lead, math.prod(size))).scatter(
        -1, indices.flatten(-n) if n > 1 else indices, values)
    return result.reshape(*lead, *size)


def max_unpool1d(input: Tensor, indices: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0,
                 output_size: Sequence[int] | None = None) -> Tensor:
    """Goes back from `max_pool1d`: (N, C, L) or (C, L); as `max_unpool2d` without the height.

    Args:
        input: what was pooled.
        indices: where it was.
        kernel_size: as for `max_unpool2d`, as are the arguments after it.
        stride: distance between windows.
        padding: elements on both sides.
        output_size: which of the possible sizes.
    """
    return _unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input: Tensor, indices: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0,
                 output_size: Sequence[int] | None = None) -> Tensor:
    """Goes back from `max_pool2d`: the largest elements in their places, and zeros everywhere else.

    Args:
        input: (N, C, H, W) or (C, H, W), what was pooled.
        indices: int64, of the same shape: what ``return_indices=True`` gave. Of values for one place one remains.
        kernel_size: height and width of the windows; one number for both.
        stride: distance between windows; by default their size.
        padding: that of the pooling.
        output_size: the size before pooling, (H', W') or the whole shape, where a stride makes several equal; by
            default ``(H - 1) * stride + kernel_size - 2 * padding``, and so across.

    Returns:
        (N, C, H', W') or (C, H', W').

    Raises:
        RuntimeError: shapes or types that do not fit.
        ValueError: an ``output_size`` that is no size before pooling.

    Example:
        >>> y, at = genesis.nn.functional.max_pool2d(genesis.arange(4.).view(1, 2, 2), 2, return_indices=True)
        >>> genesis.nn.functional.max_unpool2d(y, at, 2).tolist()
        [[[0.0, 0.0], [0.0, 3.0]]]
    """
    return _unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input: Tensor, indices: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0,
                 output_size: Sequence[int] | None = None) -> Tensor:
    """Goes back from `max_pool3d`: (N, C, D, H, W) or (C, D, H, W); as `max_unpool2d` with a depth.

    Args:
        input: what was pooled.
        indices: where it was.
        kernel_size: as for `max_unpool2d`, as are the arguments after it.
        stride: distance between windows.
        padding: elements on each side.
        output_size: which of the possible sizes.
    """
    return _unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)


def _lp_pool(n: int, mean: Any, input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None,
             ceil_mode: bool) -> Tensor:
    count = math.prod(spread("kernel_size", kernel_size, n))
    means: Tensor = mean(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    return (means.sign() * relu(means.abs()) * count).pow(1 / norm_type)


def lp_pool1d(input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None = None,
              ceil_mode: bool = False) -> Tensor:
    """The p-norm of each window along one dimension: (N, C, L) or (C, L); as `lp_pool2d` without the height.

    Args:
        input: floating point.
        norm_type: p.
        kernel_size: as for `lp_pool2d`, as are the arguments after it.
        stride: distance between windows.
        ceil_mode: whether a last window may reach over the end.
    """
    return _lp_pool(1, avg_pool1d, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None = None,
              ceil_mode: bool = False) -> Tensor:
    """The p-norm of each window, ``(sum of x^p)^(1/p)``: with p = 1 sums, and nearer the largest element as p grows.

    As in PyTorch, there are no absolute values: an odd p is for elements that are not negative.

    Args:
        input: (N, C, H, W) or (C, H, W), floating point.
        norm_type: p.
        kernel_size: height and width of the windows; one number for both.
        stride: distance between windows; by default their size.
        ceil_mode: whether a last window may reach over the end; its mean of powers counts as for a whole one.

    Returns:
        (N, C, H', W') or (C, H', W').

    Raises:
        RuntimeError: shapes or sizes that do not fit.

    Example:
        >>> genesis.nn.functional.lp_pool2d(genesis.tensor([[[3.0, 4.0]]]), 2, (1, 2)).tolist()
        [[[5.0]]]
    """
    return _lp_pool(2, avg_pool2d, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None = None,
              ceil_mode: bool = False) -> Tensor:
    """The p-norm of each window: (N, C, D, H, W) or (C, D, H, W); as `lp_pool2d` with a depth.

    Args:
        input: floating point.
        norm_type: p.
        kernel_size: as for `lp_pool2d`, as are the arguments after it.
        stride: distance between windows.
        ceil_mode: whether a last window may reach over the end.
    """
    return _lp_pool(3, avg_pool3d, input, norm_type, kernel_size, stride, ceil_mode)


__all__ = ["lp_pool1d", "lp_pool2d", "lp_pool3d", "max_unpool1d", "max_unpool2d", "max_unpool3d"]
