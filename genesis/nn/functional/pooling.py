"""Pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...autograd import apply
from ...ops.pool import AvgPool, MaxPool, Windows
from ...tensor import Tensor
from .conv import Ints, spread

Sizes = tuple[int, ...]


def check_input(name: str, n: int, input: Tensor) -> None:
    """``RuntimeError`` unless an input has n spatial dimensions, and nothing but its batch is empty."""
    if input.ndim not in (n + 1, n + 2) or 0 in tuple(input.shape)[-n - 1:]:
        raise RuntimeError(f"{name} needs an input of {n + 1} or {n + 2} dimensions, of which only the batch may be "
                           f"empty, not of shape {tuple(input.shape)}")


def pooled_sizes(name: str, sizes: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes,
            ceil_mode: bool) -> Sizes:
    """The sizes of the result."""
    for what, values, least in (("kernel_size", kernel, 1), ("stride", stride, 1), ("padding", padding, 0),
                                ("dilation", dilation, 1)):
        if min(values) < least:
            raise RuntimeError(f"{name}: {what} must be at least {least}, not {values}")
    result = []
    for size, k, s, p, d in zip(sizes, kernel, stride, padding, dilation):
        reach = d * (k - 1) + 1
        if p > k // 2:
            raise RuntimeError(f"{name}: padding must be at most half of the kernel's size; padding={p}, "
                               f"kernel_size={k}")
        n = -(-(size + 2 * p - reach) // s) + 1 if ceil_mode else (size + 2 * p - reach) // s + 1
        if ceil_mode and (n - 1) * s >= size + p:      # the last window has to start inside the input or before it
            n -= 1
        result.append(n)
    if min(result) < 1:
        raise RuntimeError(f"{name}: an input of size {sizes} gives an output of size {tuple(result)}, which is too "
                           "small")
    return tuple(result)


def _two(values: tuple[int, ...], fill: int) -> Any:
    return (fill, *values) if len(values) == 1 else values


def _apply(operation: Any, n: int, input: Tensor, **options: Any) -> Any:
    if input.ndim == n + 2:
        return apply(operation, input, **options)
    result = apply(operation, input.unsqueeze(0), **options)
    return tuple(x.squeeze(0) for x in result) if isinstance(result, tuple) else result.squeeze(0)


def _max_pool(name: str, n: int, input: Tensor, kernel_size: Ints, stride: Ints | None, padding: Ints, dilation: Ints,
              ceil_mode: bool, return_indices: bool) -> Any:
    check_input(name, n, input)
    kernel = spread("kernel_size", kernel_size, n)
    steps = kernel if stride is None or stride in ((), []) else spread("stride", stride, n)
    before, spacing = spread("padding", padding, n), spread("dilation", dilation, n)
    size = pooled_sizes(name, tuple(input.shape)[-n:], kernel, steps, before, spacing, ceil_mode)
    if input.dtype.name == "bool":
        raise RuntimeError(f"{name} of bool is not supported; convert to uint8")
    windows = Windows(_two(kernel, 1), _two(steps, 1), _two(before, 0), _two(spacing, 1))
    return _apply(MaxPool, n, input, windows=windows, size=size, positions=return_indices)


def max_pool1d(input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
               ceil_mode: bool = False, return_indices: bool = False) -> Any:
    """The largest element of each window along one dimension; as `max_pool2d` without the height.

    Args:
        input: (N, C, L) or (C, L).
        kernel_size: as for `max_pool2d`, as are the arguments after it.
        stride: distance between windows.
        padding: elements that count as -inf on both sides.
        dilation: distance between a window's elements.
        ceil_mode: whether a last window may reach over the end.
        return_indices: whether to return positions too.

    Returns:
        (N, C, L') or (C, L'); with ``return_indices`` a pair.
    """
    return _max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
               ceil_mode: bool = False, return_indices: bool = False) -> Any:
    """The largest element of each window; the first of equal ones gets the gradient.

    Args:
        input: (N, C, H, W) or (C, H, W), of any type but bool.
        kernel_size: height and width of the windows; one number for both.
        stride: distance between windows; by default their size.
        padding: rows and columns that count as -inf on each side, at most half of the kernel's.
        dilation: distance between a window's elements.
        ceil_mode: whether a last window may reach over the end.
        return_indices: whether to return where in its plane, flattened, each largest element is, too.

    Returns:
        (N, C, H', W') or (C, H', W'); with ``return_indices`` a pair, the second int64.

    Raises:
        RuntimeError: shapes or sizes that do not fit.

    Example:
        >>> genesis.nn.functional.max_pool2d(genesis.arange(16.).reshape(1, 4, 4), 2).tolist()
        [[[5.0, 7.0], [13.0, 15.0]]]
    """
    return _max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _avg_pool(name: str, n: int, input: Tensor, kernel_size: Ints, stride: Ints | None, padding: Ints, ceil_mode: bool,
              count_include_pad: bool, divisor: int | None) -> Tensor:
    check_input(name, n, input)
    check_floating(name, input)
    if divisor == 0:
        raise RuntimeError(f"{name}: divisor_override must not be 0; None divides by the windows' sizes")
    kernel = spread("kernel_size", kernel_size, n)
    steps = kernel if stride is None or stride in ((), []) else spread("stride", stride, n)
    before = spread("padding", padding, n)
    size = pooled_sizes(name, tuple(input.shape)[-n:], kernel, steps, before, (1,) * n, ceil_mode)
    windows = Windows(_two(kernel, 1), _two(steps, 1), _two(before, 0), include_pad=bool(count_include_pad),
                      divisor=divisor or 0)
    result: Tensor = _apply(AvgPool, n, input, windows=windows, size=size)
    return result


def check_floating(name: str, input: Tensor) -> None:
    """``RuntimeError`` for an input of whole numbers."""
    if not input.is_floating_point():
        raise RuntimeError(f"{name} of {input.dtype.name} is not supported; convert to float32")


def avg_pool1d(input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, ceil_mode: bool = False,
               count_include_pad: bool = True) -> Tensor:
    """The mean of each window along one dimension; as `avg_pool2d` without the height.

    Args:
        input: (N, C, L) or (C, L).
        kernel_size: as for `avg_pool2d`, as are the arguments after it.
        stride: distance between windows.
        padding: zeros on both sides.
        ceil_mode: whether a last window may reach over the end.
        count_include_pad: whether padding counts.

    Returns:
        (N, C, L') or (C, L').
    """
    return _avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, ceil_mode: bool = False,
               count_include_pad: bool = True, divisor_override: int | None = None) -> Tensor:
    """The mean of each window.

    Args:
        input: (N, C, H, W) or (C, H, W), floating point.
        kernel_size: height and width of the windows; one number for both.
        stride: distance between windows; by default their size.
        padding: rows and columns of zeros on each side, at most half a window.
        ceil_mode: whether a last window may reach over the end.
        count_include_pad: whether the padding counts among the elements that sums are divided by.
        divisor_override: what sums are divided by instead.

    Returns:
        (N, C, H', W') or (C, H', W').

    Raises:
        RuntimeError: shapes or sizes that do not fit.

    Example:
        >>> genesis.nn.functional.avg_pool2d(genesis.arange(16.).reshape(1, 4, 4), 2).tolist()
        [[[2.5, 4.5], [10.5, 12.5]]]
    """
    return _avg_pool("avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
                     divisor_override)


def adaptive_sizes(name: str, n: int, input: Tensor, output_size: Any) -> tuple[int, ...]:
    """The sizes of an adaptive pooling's result, from one number or n, or None for the input's own."""
    if n > 1 and input.ndim <= n:      # as in PyTorch: another class of error than in one dimension
        raise ValueError(f"{name} needs an input of {n + 1} or {n + 2} dimensions, not of shape {tuple(input.shape)}")
    check_input(name, n, input)
    given = output_size if isinstance(output_size, Sequence) else (output_size,) * n
    if len(given) != n:
        raise RuntimeError(f"{name}: output_size must be a number or {n} of them, not {output_size!r}")
    size = tuple(m if wanted is None else wanted for wanted, m in zip(given, tuple(input.shape)[-n:]))
    if min(size) < 0:
        raise RuntimeError(f"{name}: output_size must not be negative; it is {output_size!r}")
    return size


def _adaptive_avg(name: str, n: int, input: Tensor, output_size: Any) -> Tensor:
    size = adaptive_sizes(name, n, input, output_size)
    check_floating(name, input)
    if size == (1,) * n:
        mean: Tensor = input.mean(dim=tuple(range(-n, 0)), keepdim=True)
        return mean
    result: Tensor = _apply(AvgPool, n, input, windows=Windows(adaptive=True, include_pad=False), size=size)
    return result


def adaptive_avg_pool1d(input: Tensor, output_size: int | Sequence[int]) -> Tensor:
    """The means of as many even parts as ``output_size`` says, along one dimension: (N, C, L) or (C, L)."""
    return _adaptive_avg("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """The means of even parts of the input, whatever its size.

    Args:
        input: (N, C, H, W) or (C, H, W), floating point.
        output_size: (H', W'), or one number for both; None for the input's own. Output h is the mean over the rows from
            floor(h H / H') to before ceil((h + 1) H / H').

    Returns:
        (N, C, H', W') or (C, H', W').

    Example:
        >>> genesis.nn.functional.adaptive_avg_pool2d(genesis.arange(16.).reshape(1, 4, 4), (1, 2)).tolist()
        [[[6.5, 8.5]]]
    """
    return _adaptive_avg("adaptive_avg_pool2d", 2, input, output_size)


def _adaptive_max(name: str, n: int, input: Tensor, output_size: Any, return_indices: bool) -> Any:
    size = adaptive_sizes(name, n, input, output_size)
    return _apply(MaxPool, n, input, windows=Windows(adaptive=True), size=size, positions=return_indices)


def adaptive_max_pool1d(input: Tensor, output_size: int | Sequence[int], return_indices: bool = False) -> Any:
    """The largest elements of as many even parts as ``output_size`` says: (N, C, L) or (C, L)."""
    return _adaptive_max("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of the parts that `adaptive_avg_pool2d` takes means of.

    Args:
        input: (N, C, H, W) or (C, H, W).
        output_size: (H', W'), or one number for both; None for the input's own.
        return_indices: whether to return where in its plane, flattened, each largest element is, too.

    Returns:
        (N, C, H', W') or (C, H', W'); with ``return_indices`` a pair, the second int64.
    """
    return _adaptive_max("adaptive_max_pool2d", 2, input, output_size, return_indices)
