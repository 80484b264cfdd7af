"""Pooling over three dimensions: over height and width, and then along the depth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...tensor import Tensor
from .conv import Ints, spread
from .pooling import (
    adaptive_avg_pool2d,
    adaptive_max_pool2d,
    adaptive_sizes,
    avg_pool2d,
    check_floating,
    check_input,
    max_pool2d,
    pooled_sizes,
)


def _planes(x: Tensor, pool: Callable[[Any], Any]) -> Any:
    """Pool the planes of (N, C, D, H, W), or without N; a pair of results with the second holding positions, or one."""
    return _each(pool(x.flatten(-4, -3)), lambda y: y.unflatten(-3, tuple(x.shape[-4:-2])))


def _depths(x: Tensor, pool: Callable[[Any], Any]) -> Any:
    """Pool along the depth of (N, C, D, H, W), or without N; ``pool`` gets planes (D, H * W)."""
    return _each(pool(x.flatten(-2)), lambda y: y.unflatten(-1, tuple(x.shape[-2:])))


def _each(results: Any, function: Callable[[Any], Any]) -> Any:
    return tuple(map(function, results)) if isinstance(results, tuple) else function(results)


def _largest(input: Tensor, planes: Callable[[Any], Any], depths: Callable[[Any], Any], indices: bool) -> Any:
    found = _planes(input, planes)
    if not indices:
        return _depths(found, depths)
    values, places = found                                            # places in planes (H, W)
    values, rows = _depths(values, depths)                            # places in planes (D, h * w)
    first = places.flatten(-3).gather(-1, rows.flatten(-3)).reshape(rows.shape)
    return values, rows.floor_divide(places.shape[-2] * places.shape[-1]) * (input.shape[-2] * input.shape[-1]) + first


def _window(name: str, input: Tensor, kernel_size: Ints, stride: Ints | None, padding: Ints, dilation: Ints,
            ceil_mode: bool) -> tuple[tuple[int, ...], ...]:
    """Sizes, strides, padding and dilation along depth, height and width; ``RuntimeError`` for what does not fit."""
    check_input(name, 3, input)
    kernel = spread("kernel_size", kernel_size, 3)
    steps = kernel if stride is None or stride in ((), []) else spread("stride", stride, 3)
    before, spacing = spread("padding", padding, 3), spread("dilation", dilation, 3)
    pooled_sizes(name, tuple(input.shape)[-3:], kernel, steps, before, spacing, ceil_mode)
    return kernel, steps, before, spacing


def max_pool3d(input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
               ceil_mode: bool = False, return_indices: bool = False) -> Any:
    """The largest element of each window; the first of equal ones gets the gradient.

    Args:
        input: (N, C, D, H, W) or (C, D, H, W), of any type but bool.
        kernel_size: depth, height and width of the windows; one number for all.
        stride: as for `max_pool2d`, as are the arguments after it.
        padding: elements that count as -inf on each side.
        dilation: distance between a window's elements.
        ceil_mode: whether a last window may reach over the end.
        return_indices: whether to return where in its volume, flattened, each largest element is, too.

    Returns:
        (N, C, D', H', W') or (C, D', H', W'); with ``return_indices`` a pair, the second int64.

    Raises:
        RuntimeError: shapes or sizes that do not fit.

    Example:
        >>> genesis.nn.functional.max_pool3d(genesis.arange(16.).reshape(1, 2, 2, 4), 2).tolist()
        [[[[13.0, 15.0]]]]
    """
    (kd, *k), (sd, *s), (pd, *p), (dd, *d) = _window("max_pool3d", input, kernel_size, stride, padding, dilation,
                                                     ceil_mode)
    return _largest(input, lambda x: max_pool2d(x, k, s, p, d, ceil_mode, return_indices),
                    lambda x: max_pool2d(x, (kd, 1), (sd, 1), (pd, 0), (dd, 1), ceil_mode, return_indices),
                    return_indices)


def avg_pool3d(input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, ceil_mode: bool = False,
               count_include_pad: bool = True, divisor_override: int | None = None) -> Tensor:
    """The mean of each window.

    Args:
        input: (N, C, D, H, W) or (C, D, H, W), floating point.
        kernel_size: depth, height and width of the windows; one number for all.
        stride: as for `avg_pool2d`, as are the arguments after it.
        padding: zeros on each side.
        ceil_mode: whether a last window may reach over the end.
        count_include_pad: whether the padding counts among the elements that sums are divided by.
        divisor_override: what sums are divided by instead.

    Returns:
        (N, C, D', H', W') or (C, D', H', W').

    Raises:
        RuntimeError: shapes or sizes that do not fit.

    Example:
        >>> genesis.nn.functional.avg_pool3d(genesis.arange(16.).reshape(1, 2, 2, 4), 2).tolist()
        [[[[6.5, 8.5]]]]
    """
    (kd, *k), (sd, *s), (pd, *p), _ = _window("avg_pool3d", input, kernel_size, stride, padding, 1, ceil_mode)
    check_floating("avg_pool3d", input)
    once = None if divisor_override is None else 1
    rows: Tensor = _planes(input, lambda x: avg_pool2d(x, k, s, p, ceil_mode, count_include_pad, once))
    result: Tensor = _depths(rows, lambda x: avg_pool2d(x, (kd, 1), (sd, 1), (pd, 0), ceil_mode, count_include_pad,
                                                        divisor_override))
    return result


def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """The means of even parts of the input, whatever its size; see `adaptive_avg_pool2d`.

    Args:
        input: (N, C, D, H, W) or (C, D, H, W), floating point.
        output_size: (D', H', W'), or one number for all; None for the input's own.

    Returns:
        (N, C, D', H', W') or (C, D', H', W').

    Example:
        >>> genesis.nn.functional.adaptive_avg_pool3d(genesis.arange(16.).reshape(1, 2, 2, 4), (1, 1, 2)).tolist()
        [[[[6.5, 8.5]]]]
    """
    depth, *size = adaptive_sizes("adaptive_avg_pool3d", 3, input, output_size)
    check_floating("adaptive_avg_pool3d", input)
    rows: Tensor = _planes(input, lambda x: adaptive_avg_pool2d(x, size))
    result: Tensor = _depths(rows, lambda x: adaptive_avg_pool2d(x, (depth, None)))
    return result


def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of the parts that `adaptive_avg_pool3d` takes means of.

    Args:
        input: (N, C, D, H, W) or (C, D, H, W).
        output_size: (D', H', W'), or one number for all; None for the input's own.
        return_indices: whether to return where in its volume, flattened, each largest element is, too.

    Returns:
        (N, C, D', H', W') or (C, D', H', W'); with ``return_indices`` a pair, the second int64.
    """
    depth, *size = adaptive_sizes("adaptive_max_pool3d", 3, input, output_size)
    return _largest(input, lambda x: adaptive_max_pool2d(x, size, return_indices),
                    lambda x: adaptive_max_pool2d(x, (depth, None), return_indices), return_indices)


__all__ = ["adaptive_avg_pool3d", "adaptive_max_pool3d", "avg_pool3d", "max_pool3d"]
