"""Blocks of images as columns, and back, as layers."""

from __future__ import annotations

from ..tensor import Tensor
from . import functional as F
from .functional.conv import Ints
from .module import Module


class Unfold(Module):
    """Blocks as columns: (N, C, H, W) -> (N, C * kh * kw, L); see `genesis.nn.functional.unfold`.

    Args:
        kernel_size: height and width of the blocks; one number for both.
        dilation: distance between a block's elements.
        padding: rows and columns of zeros on each side.
        stride: distance between blocks.
    """

    def __init__(self, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1):
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C * kh * kw, L), or without N."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """The sizes."""
        return (f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
                f"stride={self.stride}")


class Fold(Module):
    """Columns added up to images: (N, C * kh * kw, L) -> (N, C, H, W); see `genesis.nn.functional.fold`.

    Args:
        output_size: (H, W); one number for both.
        kernel_size: height and width of the blocks.
        dilation: distance between a block's elements.
        padding: rows and columns of the blocks that lie outside of the image, on each side.
        stride: distance between blocks.
    """

    def __init__(self, output_size: Ints, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1):
        super().__init__()
        self.output_size, self.kernel_size = output_size, kernel_size
        self.dilation, self.padding, self.stride = dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        """(N, C * kh * kw, L) -> (N, C, H, W), or without N."""
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """The sizes."""
        return (f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
                f"padding={self.padding}, stride={self.stride}")
