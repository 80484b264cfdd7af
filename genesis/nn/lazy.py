"""Layers that take the size of their input from the first input they see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..creation import empty
from . import conv, linear, normalization
from .functional.conv import Ints
from .module import Module
from .parameter import Parameter


class UninitializedParameter(Parameter):
    """A parameter whose size is not known yet; it holds device and type, and no elements."""

    __slots__ = ()
    uninitialized = True

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None):
        super().__init__(empty(0, device=device, dtype=dtype), requires_grad)

    def _become(self, parameter: Parameter) -> None:
        """Take over the elements of a parameter; the object stays the same one."""
        self._rebind(parameter._array)
        self.__class__ = Parameter

    def __repr__(self) -> str:
        return f"UninitializedParameter({self.dtype}, on {self.device})"


class _Lazy(Module):
    """A layer of no input channels until the first input; then one of the class ``becomes``, and the same object.

    Attributes:
        becomes: that class.
        size_name: the name of its first argument.
        weight_axis: the dimension of the weight that has it.
    """

    becomes: Any
    size_name: str
    weight_axis = 0

    def _set_up(self, device: Any, dtype: Any, **options: Any) -> None:
        self.becomes.__init__(self, **{self.size_name: 0}, **options, device=device, dtype=dtype)
        self._options = options
        for name, parameter in self._parameters.items():
            if parameter is not None:
                self._parameters[name] = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Nothing, until there are parameters."""

    def _initialize(self, size: int) -> None:
        """Become a layer for inputs of this size, where the layer is now."""
        held = next((x for x in (*self._parameters.values(), *self._buffers.values()) if x is not None), None)
        where = {} if held is None else {"device": held.device, "dtype": held.dtype}
        made = self.becomes(**{self.size_name: size}, **self._options, **where)
        for name, parameter in self._parameters.items():
            if isinstance(parameter, UninitializedParameter):
                parameter._become(made._parameters[name])
        self._buffers.update(made._buffers)
        setattr(self, self.size_name, size)
        del self._options
        self.__class__ = self.becomes

    def forward(self, input: Any, *args: Any, **kwargs: Any) -> Any:
        """Become an ordinary layer, and apply it."""
        self._initialize(input.shape[self._axis()])
        return self.forward(input, *args, **kwargs)

    def _axis(self) -> int:
        """The dimension of an input that has the size."""
        return 1

    def _expect(self, state_dict: Mapping[str, Any], prefix: str) -> None:
        """Become the layer that a state is from."""
        weight = state_dict.get(f"{prefix}weight", state_dict.get(f"{prefix}running_mean"))
        if weight is None or not len(weight):
            return
        groups = self._options.get("groups", 1) if self.weight_axis else 1
        axis = self.weight_axis % len(weight.shape)
        self._initialize(weight.shape[axis] * groups)


class LazyLinear(_Lazy, linear.Linear):
    """A `Linear` layer whose ``in_features`` are those of its first input.

    Run the model once, after moving it to its device and before making an optimizer:

    Example:
        >>> net = genesis.nn.Sequential(genesis.nn.LazyLinear(8), genesis.nn.ReLU(), genesis.nn.LazyLinear(2))
        >>> net(genesis.zeros(1, 5)).shape
        genesis.Size([1, 2])
        >>> net
        Sequential(
          (0): Linear(in_features=5, out_features=8, bias=True)
          (1): ReLU()
          (2): Linear(in_features=8, out_features=2, bias=True)
        )
    """

    becomes, size_name, weight_axis = linear.Linear, "in_features", 1

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None):
        self._set_up(device, dtype, out_features=out_features, bias=bias)

    def _axis(self) -> int:
        return -1


class _LazyConv(_Lazy):
    size_name, weight_axis = "in_channels", 1
    dims: int

    def __init__(self, out_channels: int, kernel_size: Ints, stride: Ints = 1, padding: str | Ints = 0,
                 dilation: Ints = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros",
                 device: Any = None, dtype: Any = None):
        self._set_up(device, dtype, out_channels=out_channels, kernel_size=kernel_size, stride=stride, padding=padding,
                     dilation=dilation, groups=groups, bias=bias, padding_mode=padding_mode)

    def _axis(self) -> int:
        return -1 - self.dims


class LazyConv1d(_LazyConv, conv.Conv1d):
    """A `Conv1d` whose ``in_channels`` are those of its first input; see `LazyLinear`."""

    becomes = conv.Conv1d


class LazyConv2d(_LazyConv, conv.Conv2d):
    """A `Conv2d` whose ``in_channels`` are those of its first input; see `LazyLinear`."""

    becomes = conv.Conv2d


class LazyConv3d(_LazyConv, conv.Conv3d):
    """A `Conv3d` whose ``in_channels`` are those of its first input; see `LazyLinear`."""

    becomes = conv.Conv3d


class _LazyConvTranspose(_LazyConv):
    weight_axis = 0

    def __init__(self, out_channels: int, kernel_size: Ints, stride: Ints = 1, padding: Ints = 0,
                 output_padding: Ints = 0, groups: int = 1, bias: bool = True, dilation: Ints = 1,
                 padding_mode: str = "zeros", device: Any = None, dtype: Any = None):
        self._set_up(device, dtype, out_channels=out_channels, kernel_size=kernel_size, stride=stride, padding=padding,
                     output_padding=output_padding, groups=groups, bias=bias, dilation=dilation,
                     padding_mode=padding_mode)


class LazyConvTranspose1d(_LazyConvTranspose, conv.ConvTranspose1d):
    """A `ConvTranspose1d` whose ``in_channels`` are those of its first input; see `LazyLinear`."""

    becomes = conv.ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, conv.ConvTranspose2d):
    """A `ConvTranspose2d` whose ``in_channels`` are those of its first input; see `LazyLinear`."""

    becomes = conv.ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, conv.ConvTranspose3d):
    """A `ConvTranspose3d` whose ``in_channels`` are those of its first input; see `LazyLinear`."""

    becomes = conv.ConvTranspose3d


class _LazyNorm(_Lazy):
    size_name = "num_features"

    def __init__(self, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
                 track_running_stats: bool = True, device: Any = None, dtype: Any = None, *, bias: bool = True):
        self._set_up(device, dtype, eps=eps, momentum=momentum, affine=affine, track_running_stats=track_running_stats,
                     bias=bias)


class LazyBatchNorm1d(_LazyNorm, normalization.BatchNorm1d):
    """A `BatchNorm1d` whose ``num_features`` are those of its first input; see `LazyLinear`."""

    becomes = normalization.BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, normalization.BatchNorm2d):
    """A `BatchNorm2d` whose ``num_features`` are those of its first input; see `LazyLinear`."""

    becomes = normalization.BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, normalization.BatchNorm3d):
    """A `BatchNorm3d` whose ``num_features`` are those of its first input; see `LazyLinear`."""

    becomes = normalization.BatchNorm3d


class _LazyInstanceNorm(_LazyNorm):
    dims: Any

    def _axis(self) -> int:
        return 1 - max(self.dims)


class LazyInstanceNorm1d(_LazyInstanceNorm, normalization.InstanceNorm1d):
    """An `InstanceNorm1d` whose ``num_features`` are those of its first input; see `LazyLinear`.

    As in PyTorch it learns a weight and a bias and keeps running statistics, unless told not to.
    """

    becomes = normalization.InstanceNorm1d


class LazyInstanceNorm2d(_LazyInstanceNorm, normalization.InstanceNorm2d):
    """An `InstanceNorm2d` whose ``num_features`` are those of its first input; see `LazyLinear`."""

    becomes = normalization.InstanceNorm2d


class LazyInstanceNorm3d(_LazyInstanceNorm, normalization.InstanceNorm3d):
    """An `InstanceNorm3d` whose ``num_features`` are those of its first input; see `LazyLinear`."""

    becomes = normalization.InstanceNorm3d


__all__ = ["LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConv1d", "LazyConv2d", "LazyConv3d",
           "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d", "LazyInstanceNorm1d",
           "LazyInstanceNorm2d", "LazyInstanceNorm3d", "LazyLinear", "UninitializedParameter"]
