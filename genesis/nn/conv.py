"""Convolutional layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..creation import empty
from ..tensor import Tensor
from . import functional as F
from . import init
from .functional.conv import Ints, spread
from .module import Module
from .parameter import Parameter

_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """What the convolutional layers share."""

    dims = 0
    transposed = False

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Ints, stride: Ints, padding: str | Ints,
                 output_padding: Ints, dilation: Ints, groups: int, bias: bool, padding_mode: str,
                 device: Any, dtype: Any):
        super().__init__()
        if groups < 1:
            raise ValueError(f"groups must be at least 1, not {groups}")
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"{name} must be divisible by groups: {channels} is not by {groups}")
        if padding_mode not in _MODES:
            raise ValueError(f"padding_mode must be one of {_MODES}, not {padding_mode!r}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = spread("kernel_size", kernel_size, self.dims)
        self.stride = spread("stride", stride, self.dims)
        self.dilation = spread("dilation", dilation, self.dims)
        self.output_padding = spread("output_padding", output_padding, self.dims)
        self.padding_mode = padding_mode
        self.padding: Any
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"padding must be 'same', 'valid' or numbers, not {padding!r}")
            if padding == "same" and max(self.stride) > 1:
                raise ValueError(f"padding='same' does not go with a stride of {self.stride}: give it as numbers")
            self.padding = padding
        else:
            self.padding = spread("padding", padding, self.dims)
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = Parameter(empty(first, second // groups, *self.kernel_size, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew: all from U(-1/sqrt(fan), 1/sqrt(fan)), fan being the weight's elements a filter."""
        if self.weight.numel():
            init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan = math.prod(self.weight.shape[1:])
        if self.bias is not None:
            bound = 1 / math.sqrt(fan) if fan else 0.0
            init.uniform_(self.bias, -bound, bound)

    def _edges(self) -> list[int]:
        """The padding as `genesis.nn.functional.pad` takes it: before and after, last dimension first."""
        sides = []
        for i in reversed(range(self.dims)):
            if self.padding == "same":
                total = self.dilation[i] * (self.kernel_size[i] - 1)
                sides += [total // 2, total - total // 2]
            else:
                sides += [0, 0] if self.padding == "valid" else [self.padding[i]] * 2
        return sides

    def _convolve(self, x: Tensor, function: Any) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            x = F.pad(x, self._edges(), mode=self.padding_mode)  # type: ignore[attr-defined,unused-ignore]
            padding = 0
        result: Tensor = function(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
        return result

    def extra_repr(self) -> str:
        """Sizes, and what differs from the defaults."""
        zeros, ones = (0,) * self.dims, (1,) * self.dims
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        if self.padding != zeros:
            parts.append(f"padding={self.padding}")
        if self.dilation != ones:
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != zeros:
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class _PlainConvNd(_ConvNd):
    """What the layers of convolution share that is not transposed."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Ints, stride: Ints = 1,
                 padding: str | Ints = 0, dilation: Ints = 1, groups: int = 1, bias: bool = True,
                 padding_mode: str = "zeros", device: Any = None, dtype: Any = None):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, 0, dilation, groups, bias,
                         padding_mode, device, dtype)


class Conv1d(_PlainConvNd):
    """Convolution over one dimension, with learned filters: (N, C, L) -> (N, O, L').

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: length of the filters.
        stride: distance between their positions.
        padding: elements added on both sides; ``"same"`` keeps the length (stride 1), ``"valid"`` adds none.
        dilation: distance between the filters' elements.
        groups: the channels are split into so many groups; both numbers of channels must be divisible by it.
        bias: whether to add a learned number to each output channel.
        padding_mode: what is added: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.

    Attributes:
        weight: (out_channels, in_channels / groups, kernel_size), drawn from U(-b, b) with
            b = 1 / sqrt(in_channels / groups * kernel_size).
        bias: (out_channels,), from the same distribution; or None.

    Example:
        >>> genesis.nn.Conv1d(3, 8, 5, padding="same")(genesis.zeros(2, 3, 20)).shape
        genesis.Size([2, 8, 20])
    """

    dims = 1

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, L) -> (N, O, L'), or without the batch."""
        return self._convolve(input, F.conv1d)


class Conv2d(_PlainConvNd):
    """Convolution over two dimensions, with learned filters: (N, C, H, W) -> (N, O, H', W').

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: height and width of the filters; one number for both.
        stride: distance between their positions.
        padding: rows and columns added on each side; ``"same"`` keeps the size (stride 1), ``"valid"`` adds none.
        dilation: distance between the filters' elements.
        groups: the channels are split into so many groups; both numbers of channels must be divisible by it.
        bias: whether to add a learned number to each output channel.
        padding_mode: what is added: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.

    Attributes:
        weight: (out_channels, in_channels / groups, kh, kw), drawn from U(-b, b) with
            b = 1 / sqrt(in_channels / groups * kh * kw).
        bias: (out_channels,), from the same distribution; or None.

    Example:
        >>> genesis.nn.Conv2d(3, 16, 3, stride=2, padding=1)(genesis.zeros(4, 3, 32, 32)).shape
        genesis.Size([4, 16, 16, 16])
    """

    dims = 2

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H', W'), or without the batch."""
        return self._convolve(input, F.conv2d)


class Conv3d(_PlainConvNd):
    """Convolution over three dimensions, with learned filters: (N, C, D, H, W) -> (N, O, D', H', W').

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: depth, height and width of the filters; one number for all.
        stride: distance between their positions.
        padding: elements added on each side; ``"same"`` keeps the size (stride 1), ``"valid"`` adds none.
        dilation: distance between the filters' elements.
        groups: the channels are split into so many groups; both numbers of channels must be divisible by it.
        bias: whether to add a learned number to each output channel.
        padding_mode: what is added: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.

    Attributes:
        weight: (out_channels, in_channels / groups, kd, kh, kw), drawn from U(-b, b) with
            b = 1 / sqrt(in_channels / groups * kd * kh * kw).
        bias: (out_channels,), from the same distribution; or None.

    Example:
        >>> genesis.nn.Conv3d(1, 4, 3, padding=1)(genesis.zeros(2, 1, 5, 8, 8)).shape
        genesis.Size([2, 4, 5, 8, 8])
    """

    dims = 3

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, D, H, W) -> (N, O, D', H', W'), or without the batch."""
        return self._convolve(input, F.conv3d)


class _ConvTransposeNd(_ConvNd):
    """What the layers of transposed convolution share."""

    transposed = True

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Ints, stride: Ints = 1, padding: Ints = 0,
                 output_padding: Ints = 0, groups: int = 1, bias: bool = True, dilation: Ints = 1,
                 padding_mode: str = "zeros", device: Any = None, dtype: Any = None):
        if padding_mode != "zeros":
            raise ValueError(f"{type(self).__name__} has no padding_mode but 'zeros', not {padding_mode!r}")
        if isinstance(padding, str):
            raise TypeError(f"{type(self).__name__} takes its padding as numbers, not {padding!r}")
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, output_padding, dilation, groups,
                         bias, padding_mode, device, dtype)

    def _extra(self, x: Tensor, output_size: Sequence[int] | None) -> tuple[int, ...]:
        """The output padding that gives an output size; ``ValueError`` when none does."""
        if output_size is None:
            return self.output_padding
        if len(output_size) not in (self.dims, x.ndim):
            raise ValueError(f"output_size needs {self.dims} or {x.ndim} entries, not {len(output_size)}")
        wanted = tuple(output_size)[-self.dims:]
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in zip(
            x.shape[-self.dims:], self.stride, self.padding, self.dilation, self.kernel_size)]
        most = [n + s - 1 for n, s in zip(least, self.stride)]
        if any(not low <= n <= high for low, n, high in zip(least, wanted, most)):
            raise ValueError(f"an input of shape {tuple(x.shape)} gives output sizes from {least} to {most}, not "
                             f"{wanted}")
        return tuple(n - low for n, low in zip(wanted, least))


class ConvTranspose1d(_ConvTransposeNd):
    """Transposed convolution over one dimension: (N, C, L) -> (N, O, L').

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: length of the filters.
        stride: distance in the output of the areas of neighbouring elements.
        padding: elements cut off on both sides.
        output_padding: elements more at the end.
        groups: number of groups of channels.
        bias: whether to add a learned number to each output channel.
        dilation: distance between the filters' elements.
        padding_mode: ``"zeros"``.

    Attributes:
        weight: (in_channels, out_channels / groups, kernel_size), drawn from U(-b, b) with
            b = 1 / sqrt(out_channels / groups * kernel_size).
        bias: (out_channels,), from the same distribution; or None.
    """

    dims = 1

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """(N, C, L) -> (N, O, L'), or without the batch; ``output_size`` chooses L' among those that fit."""
        return F.conv_transpose1d(input, self.weight, self.bias, self.stride, self.padding,
                                  self._extra(input, output_size), self.groups, self.dilation)


class ConvTranspose2d(_ConvTransposeNd):
    """Transposed convolution over two dimensions: (N, C, H, W) -> (N, O, H', W').

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: height and width of the filters.
        stride: distance in the output of the areas of neighbouring pixels.
        padding: rows and columns cut off on each side.
        output_padding: rows and columns more at the end.
        groups: number of groups of channels.
        bias: whether to add a learned number to each output channel.
        dilation: distance between the filters' elements.
        padding_mode: ``"zeros"``.

    Attributes:
        weight: (in_channels, out_channels / groups, kh, kw), drawn from U(-b, b) with
            b = 1 / sqrt(out_channels / groups * kh * kw).
        bias: (out_channels,), from the same distribution; or None.

    Example:
        >>> genesis.nn.ConvTranspose2d(16, 3, 2, stride=2)(genesis.zeros(4, 16, 8, 8)).shape
        genesis.Size([4, 3, 16, 16])
    """

    dims = 2

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """(N, C, H, W) -> (N, O, H', W'), or without the batch; ``output_size`` chooses among the sizes that fit."""
        return F.conv_transpose2d(input, self.weight, self.bias, self.stride, self.padding,
                                  self._extra(input, output_size), self.groups, self.dilation)


class ConvTranspose3d(_ConvTransposeNd):
    """Transposed convolution over three dimensions: (N, C, D, H, W) -> (N, O, D', H', W').

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: depth, height and width of the filters; one number for all.
        stride: distance in the output of the volumes of neighbouring elements.
        padding: elements cut off on each side.
        output_padding: elements more at the end.
        groups: number of groups of channels.
        bias: whether to add a learned number to each output channel.
        dilation: distance between the filters' elements.
        padding_mode: ``"zeros"``.

    Attributes:
        weight: (in_channels, out_channels / groups, kd, kh, kw), drawn from U(-b, b) with
            b = 1 / sqrt(out_channels / groups * kd * kh * kw).
        bias: (out_channels,), from the same distribution; or None.
    """

    dims = 3

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """(N, C, D, H, W) -> (N, O, D', H', W'), or without the batch; ``output_size`` as of `ConvTranspose2d`."""
        return F.conv_transpose3d(input, self.weight, self.bias, self.stride, self.padding,
                                  self._extra(input, output_size), self.groups, self.dilation)
