"""Layers that go back from the largest elements of windows, and pooling by norms."""

from __future__ import annotations

from collections.abc import Sequence

from ..tensor import Tensor
from . import functional as F
from .functional.conv import Ints, spread
from .module import Module

__all__ = ["LPPool1d", "LPPool2d", "LPPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"]


class _MaxUnpool(Module):
    dims = 1

    def __init__(self, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0):
        super().__init__()
        self.kernel_size = spread("kernel_size", kernel_size, self.dims)
        self.stride = self.kernel_size if stride is None else spread("stride", stride, self.dims)
        self.padding = spread("padding", padding, self.dims)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Goes back from `MaxPool1d`: (N, C, L) -> (N, C, L'); arguments as of `MaxUnpool2d`."""

    def forward(self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """What was pooled, and where it was; ``output_size`` chooses L' among those that fit."""
        return F.max_unpool1d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool2d(_MaxUnpool):
    """Goes back from `MaxPool2d`: the largest elements in their places, and zeros everywhere else.

    Args:
        kernel_size: height and width of the windows; one number for both.
        stride: distance between them; by default their size.
        padding: rows and columns on each side.

    Example:
        >>> pool = genesis.nn.MaxPool2d(2, return_indices=True)
        >>> genesis.nn.MaxUnpool2d(2)(*pool(genesis.arange(4.0).view(1, 2, 2))).tolist()
        [[[0.0, 0.0], [0.0, 3.0]]]
    """

    dims = 2

    def forward(self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """What was pooled, and where it was; ``output_size`` chooses among the sizes that fit."""
        return F.max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool3d(_MaxUnpool):
    """Goes back from `MaxPool3d`: (N, C, D, H, W) -> (N, C, D', H', W'); arguments as of `MaxUnpool2d`."""

    dims = 3

    def forward(self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """What was pooled, and where it was; ``output_size`` chooses among the sizes that fit."""
        return F.max_unpool3d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class _LPPool(Module):
    def __init__(self, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False):
        super().__init__()
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def extra_repr(self) -> str:
        """The order and the sizes."""
        return (f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
                f"ceil_mode={self.ceil_mode}")


class LPPool1d(_LPPool):
    """The p-norm of each window: (N, C, L) -> (N, C, L'); arguments as of `LPPool2d`."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, L) -> (N, C, L'), or without the batch."""
        return F.lp_pool1d(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)


class LPPool2d(_LPPool):
    """The p-norm of each window, ``(sum of x^p)^(1/p)``: (N, C, H, W) -> (N, C, H', W').

    Args:
        norm_type: p; an odd one is for elements that are not negative.
        kernel_size: height and width of the windows; one number for both.
        stride: distance between them; by default their size.
        ceil_mode: whether a last window may reach over the end.

    Example:
        >>> genesis.nn.LPPool2d(2, (1, 2))(genesis.tensor([[[3.0, 4.0]]])).tolist()
        [[[5.0]]]
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H', W'), or without the batch."""
        return F.lp_pool2d(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)


class LPPool3d(_LPPool):
    """The p-norm of each window: (N, C, D, H, W) -> (N, C, D', H', W'); arguments as of `LPPool2d`."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, D, H, W) -> (N, C, D', H', W'), or without the batch."""
        return F.lp_pool3d(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)
