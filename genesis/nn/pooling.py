"""Pooling layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..tensor import Tensor
from . import functional as F
from .functional.conv import Ints, spread
from .module import Module


class _MaxPool(Module):
    def __init__(self, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
                 return_indices: bool = False, ceil_mode: bool = False):
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def extra_repr(self) -> str:
        """The sizes."""
        return (f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
                f"dilation={self.dilation}, ceil_mode={self.ceil_mode}")


class MaxPool1d(_MaxPool):
    """The largest element of each window: (N, C, L) -> (N, C, L').

    Args:
        kernel_size: length of the windows.
        stride: distance between them; by default their length.
        padding: elements that count as -inf on both sides, at most half a window.
        dilation: distance between a window's elements.
        return_indices: whether to return positions too, int64.
        ceil_mode: whether a last window may reach over the end.
    """

    def forward(self, input: Tensor) -> Any:
        """(N, C, L) -> (N, C, L'), or without the batch."""
        return F.max_pool1d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
                            self.return_indices)


class MaxPool2d(_MaxPool):
    """The largest element of each window: (N, C, H, W) -> (N, C, H', W').

    Args:
        kernel_size: height and width of the windows; one number for both.
        stride: distance between them; by default their size.
        padding: rows and columns that count as -inf on each side, at most half a window.
        dilation: distance between a window's elements.
        return_indices: whether to return positions (in the flattened plane) too, int64.
        ceil_mode: whether a last window may reach over the end.

    Example:
        >>> genesis.nn.MaxPool2d(2)(genesis.zeros(4, 16, 32, 32)).shape
        genesis.Size([4, 16, 16, 16])
    """

    def forward(self, input: Tensor) -> Any:
        """(N, C, H, W) -> (N, C, H', W'), or without the batch."""
        return F.max_pool2d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
                            self.return_indices)


class MaxPool3d(_MaxPool):
    """The largest element of each window: (N, C, D, H, W) -> (N, C, D', H', W'); arguments as of `MaxPool2d`."""

    def forward(self, input: Tensor) -> Any:
        """(N, C, D, H, W) -> (N, C, D', H', W'), or without the batch."""
        return F.max_pool3d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
                            self.return_indices)


class _AvgPool(Module):
    kernel_size: Any
    stride: Any
    padding: Any

    def extra_repr(self) -> str:
        """The sizes."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """The mean of each window: (N, C, L) -> (N, C, L').

    Args:
        kernel_size: length of the windows.
        stride: distance between them; by default their length.
        padding: zeros on both sides, at most half a window.
        ceil_mode: whether a last window may reach over the end.
        count_include_pad: whether padding counts among the elements that sums are divided by.
    """

    def __init__(self, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, ceil_mode: bool = False,
                 count_include_pad: bool = True):
        super().__init__()
        self.kernel_size = spread("kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else spread("stride", stride, 1)
        self.padding = spread("padding", padding, 1)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, L) -> (N, C, L'), or without the batch."""
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class _WideAvgPool(_AvgPool):
    def __init__(self, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, ceil_mode: bool = False,
                 count_include_pad: bool = True, divisor_override: int | None = None):
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode, self.count_include_pad, self.divisor_override = ceil_mode, count_include_pad, divisor_override


class AvgPool2d(_WideAvgPool):
    """The mean of each window: (N, C, H, W) -> (N, C, H', W').

    Args:
        kernel_size: height and width of the windows; one number for both.
        stride: distance between them; by default their size.
        padding: rows and columns of zeros on each side, at most half a window.
        ceil_mode: whether a last window may reach over the end.
        count_include_pad: whether padding counts among the elements that sums are divided by.
        divisor_override: what sums are divided by instead.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H', W'), or without the batch."""
        return F.avg_pool2d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad,
                            self.divisor_override)


class AvgPool3d(_WideAvgPool):
    """The mean of each window: (N, C, D, H, W) -> (N, C, D', H', W'); arguments as of `AvgPool2d`."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, D, H, W) -> (N, C, D', H', W'), or without the batch."""
        return F.avg_pool3d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad,
                            self.divisor_override)


class _Adaptive(Module):
    def __init__(self, output_size: Any):
        super().__init__()
        self.output_size = tuple(output_size) if isinstance(output_size, Sequence) else output_size

    def extra_repr(self) -> str:
        """The size."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_Adaptive):
    """The means of ``output_size`` even parts: (N, C, L) -> (N, C, output_size)."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, L) -> (N, C, L'), or without the batch."""
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_Adaptive):
    """The means of even parts of the input, whatever its size: (N, C, H, W) -> (N, C, H', W').

    Args:
        output_size: (H', W'), or one number for both; None for the input's own.

    Example:
        >>> genesis.nn.AdaptiveAvgPool2d(1)(genesis.zeros(4, 16, 7, 9)).shape
        genesis.Size([4, 16, 1, 1])
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H', W'), or without the batch."""
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_Adaptive):
    """The means of even parts of the input: (N, C, D, H, W) -> (N, C, D', H', W').

    Args:
        output_size: (D', H', W'), or one number for all; None for the input's own.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, D, H, W) -> (N, C, D', H', W'), or without the batch."""
        return F.adaptive_avg_pool3d(input, self.output_size)


class _AdaptiveMax(_Adaptive):
    def __init__(self, output_size: Any, return_indices: bool = False):
        super().__init__(output_size)
        self.return_indices = return_indices


class AdaptiveMaxPool1d(_AdaptiveMax):
    """The largest elements of ``output_size`` even parts: (N, C, L) -> (N, C, output_size).

    Args:
        output_size: number of parts.
        return_indices: whether to return positions too, int64.
    """

    def forward(self, input: Tensor) -> Any:
        """(N, C, L) -> (N, C, L'), or without the batch."""
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMax):
    """The largest elements of even parts of the input: (N, C, H, W) -> (N, C, H', W').

    Args:
        output_size: (H', W'), or one number for both; None for the input's own.
        return_indices: whether to return positions (in the flattened plane) too, int64.
    """

    def forward(self, input: Tensor) -> Any:
        """(N, C, H, W) -> (N, C, H', W'), or without the batch."""
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMax):
    """The largest elements of even parts of the input: (N, C, D, H, W) -> (N, C, D', H', W').

    Args:
        output_size: (D', H', W'), or one number for all; None for the input's own.
        return_indices: whether to return positions (in the flattened volume) too, int64.
    """

    def forward(self, input: Tensor) -> Any:
        """(N, C, D, H, W) -> (N, C, D', H', W'), or without the batch."""
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)


class _FractionalMaxPool(Module):
    n: int

    def __init__(self, kernel_size: Ints, output_size: Any = None, output_ratio: Any = None,
                 return_indices: bool = False, _random_samples: Tensor | None = None):
        super().__init__()
        self.kernel_size, self.return_indices = kernel_size, return_indices
        self.register_buffer("_random_samples", _random_samples)
        if (output_size is None) == (output_ratio is None):
            raise ValueError(f"{type(self).__name__} needs output_size or output_ratio, and not both")
        self.output_size = None if output_size is None else spread("output_size", output_size, self.n)
        self.output_ratio = output_ratio if output_ratio is None or isinstance(output_ratio, Sequence) else (
            (output_ratio,) * self.n)
        if self.output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1, not {output_ratio!r}")


class FractionalMaxPool2d(_FractionalMaxPool):
    """The largest elements of windows at drawn distances: (N, C, H, W) -> (N, C, H', W').

    See `genesis.nn.functional.fractional_max_pool2d`.

    Args:
        kernel_size: height and width of the windows; one number for both.
        output_size: H' and W'; one number for both.
        output_ratio: instead of it, what part of H and W they are to be, between 0 and 1.
        return_indices: whether to return positions (in the flattened plane) too, int64.

    Raises:
        ValueError: neither a size nor a ratio, or both, or a ratio out of range.
    """

    n = 2

    def forward(self, input: Tensor) -> Any:
        """(N, C, H, W) -> (N, C, H', W'), or without the batch."""
        return F.fractional_max_pool2d(input, self.kernel_size, self.output_size, self.output_ratio,
                                       self.return_indices, self._random_samples)


class FractionalMaxPool3d(_FractionalMaxPool):
    """The largest elements of windows of volumes: (N, C, D, H, W) -> (N, C, D', H', W'); see `FractionalMaxPool2d`."""

    n = 3

    def forward(self, input: Tensor) -> Any:
        """(N, C, D, H, W) -> (N, C, D', H', W'), or without the batch."""
        return F.fractional_max_pool3d(input, self.kernel_size, self.output_size, self.output_ratio,
                                       self.return_indices, self._random_samples)
