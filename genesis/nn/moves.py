"""A module's moves: to other devices and element types, in place."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from .. import cuda, dtypes
from ..creation import empty
from ..dtypes import DType, as_dtype
from ..opencl import Device, cpu_device, find_device
from ..tensor import Tensor

T = TypeVar("T", bound="Moves")


class Moves:
    """Moves and conversions: the part of `Module` that lets parameters and buffers be something else."""

    _parameters: OrderedDict[str, Any]
    _buffers: OrderedDict[str, Any]
    modules: Callable[[], Iterator[Any]]

    def to(self: T, *args: Any, dtype: DType | None = None, device: Device | str | None = None,
           non_blocking: bool = False, memory_format: Any = None) -> T:
        """Move to a device, or convert floating-point parameters and buffers to a type; in place.

        Parameters stay the same objects, so an optimizer made before goes on updating them. ``non_blocking`` and
        ``memory_format`` are accepted as PyTorch has them: genesis waits only where it must, and layouts stay.
        """
        for arg in args:
            if isinstance(arg, DType) or arg is float:
                dtype = as_dtype(arg)
            elif isinstance(arg, Tensor):
                dtype, device = arg.dtype, arg.device
            else:
                device = arg
        if dtype is not None and not as_dtype(dtype).is_floating_point:
            raise TypeError(f"a module can be converted to a floating-point type, not to {dtype}")
        where = None if device is None else find_device(device)
        return self._apply(lambda x: x.to(dtype=dtype if x.is_floating_point() else None, device=where))

    def _apply(self: T, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> T:
        """Let parameters, buffers and gradients be what a function makes of them; they stay the same objects."""
        for module in self.modules() if recurse else [self]:
            for store in (module._parameters, module._buffers):
                for name, value in store.items():
                    if value is not None and value.is_sparse:           # parts, not an array to be exchanged
                        store[name] = fn(value)
                    elif value is not None:
                        changed = fn(value.detach())
                        if changed._array is not value._array:
                            gradient = value.grad
                            value.grad = None
                            value._rebind(changed._array)
                            if gradient is not None:
                                value.grad = fn(gradient)
        return self

    def type(self: T, dst_type: DType) -> T:
        """Parameters and buffers, those of integers too, converted to a type; in place."""
        return self._apply(lambda x: x.to(as_dtype(dst_type)))

    def cuda(self: T, device: Device | str | int | None = None) -> T:
        """All parameters and buffers on a device of NVIDIA's platform, by default the first; in place.

        Raises:
            NoDeviceError: there is none; ``to("gpu")`` finds any vendor's.
        """
        return self.to(device=cuda.named(device))

    def cpu(self: T) -> T:
        """Move to the CPU device; in place. Where no CPU has an OpenCL runtime, the module stays where it is."""
        host = cpu_device()
        return self if host is None else self.to(device=host)

    def to_empty(self: T, *, device: Device | str | None, recurse: bool = True) -> T:
        """Move to a device without copying anything: parameters and buffers have any values then.

        Args:
            device: the device; None for where they are.
            recurse: whether the modules below move, too.
        """
        return self._apply(lambda x: empty(*x.shape, dtype=x.dtype, device=x.device if device is None else device),
                           recurse)

    def float(self: T) -> T:
        """Parameters and buffers as float32."""
        return self.to(dtype=as_dtype(float))

    def half(self: T) -> T:
        """Floating-point parameters and buffers as float16."""
        return self.to(dtype=dtypes.float16)

    def bfloat16(self: T) -> T:
        """Floating-point parameters and buffers as bfloat16."""
        return self.to(dtype=dtypes.bfloat16)

    def double(self: T) -> T:
        """Floating-point parameters and buffers as float64."""
        return self.to(dtype=dtypes.float64)
