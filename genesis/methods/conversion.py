"""Tensors as something else: of another type, on another device, as numbers, arrays and text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cuda, dtypes, layouts, tracing
from ..autograd import apply
from ..dtypes import DType, as_dtype
from ..opencl import Device, cpu_device, find_device
from ..opencl.foreign import lend
from ..ops import elementwise
from ..ops.array import download
from ..ops.pointwise import Cast
from ..ops.transfer import Transfer
from . import printing
from .support import Methods

if TYPE_CHECKING:
    from ..tensor import Tensor


TYPE = type       # `Conversion` has a method of that name
OLD_NAMES = {f"torch.{name}Tensor": dtype for name, dtype in (
    ("Float", dtypes.float32), ("Double", dtypes.float64), ("Half", dtypes.float16), ("BFloat16", dtypes.bfloat16),
    ("ComplexFloat", dtypes.complex64), ("ComplexDouble", dtypes.complex128),
    ("Long", dtypes.int64), ("Int", dtypes.int32), ("Short", dtypes.int16), ("Char", dtypes.int8),
    ("Byte", dtypes.uint8), ("Bool", dtypes.bool_))}


class Conversion(Methods):
    """Conversions; none of them is a function at the top level.

    ``memory_format`` is accepted as PyTorch has it; the layout stays as it is.
    """

    __slots__ = ()

    def to(self, *args: Any, dtype: DType | None = None, device: Device | str | None = None,
           non_blocking: bool = False, copy: bool = False, memory_format: Any = None) -> Tensor:
        """Convert: ``to(dtype)``, ``to(device)``, ``to(device, dtype)`` or ``to(other_tensor)``.

        Returns the tensor itself when nothing changes, unless ``copy`` is True.

        Args:
            args: what to convert to, as above; a truth value after it is ``non_blocking``, a second one ``copy``.
            dtype, device: the same by name.
            non_blocking: accepted as PyTorch has it; genesis waits for the device only where it must.
            copy: make a copy in any case.
            memory_format: accepted as PyTorch has it; the layout stays as it is.
        """
        while args and isinstance(args[-1], bool):
            copy = args[-1] if len(args) > 2 and isinstance(args[-2], bool) else copy
            args = args[:-1]
        for arg in args:
            if hasattr(arg, "_array"):
                dtype, device = arg.dtype, arg.device
            elif isinstance(arg, DType) or arg in (float, int, bool, complex):
                dtype = as_dtype(arg)
            else:
                device = arg
        result: Any = self
        where = self.device if device is None else find_device(device)
        if where is not self.device:
            result = apply(Transfer, self, device=where)
        wanted = result.dtype if dtype is None else as_dtype(dtype)
        if wanted is not result.dtype:
            result = apply(Cast, result, dtype=wanted)
        return result.clone() if copy and result is self else result

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """Convert to another element type; without one, the name of the tensor's type, as ``"torch.FloatTensor"``.

        Args:
            dtype: an element type, one of the old classes (`genesis.FloatTensor` and its kin), or the name of one.
            non_blocking: accepted as PyTorch has it.

        Raises:
            TypeError: no such type.

        Example:
            >>> genesis.ones(2).type(genesis.LongTensor)
            tensor([1, 1])
        """
        if dtype is None:
            return next(name for name, kind in OLD_NAMES.items() if kind is self.dtype)
        if isinstance(dtype, str):
            dtype = OLD_NAMES.get(dtype, dtype)
        elif isinstance(dtype, TYPE):
            dtype = getattr(dtype, "dtype", dtype)
        return self.to(dtype=as_dtype(dtype))

    def cfloat(self, memory_format: Any = None) -> Tensor:
        """As complex64."""
        return self.to(dtypes.complex64)

    def cdouble(self, memory_format: Any = None) -> Tensor:
        """As complex128."""
        return self.to(dtypes.complex128)

    def float(self, memory_format: Any = None) -> Tensor:
        """As float32."""
        return self.to(dtypes.float32)

    def double(self, memory_format: Any = None) -> Tensor:
        """As float64."""
        return self.to(dtypes.float64)

    def half(self, memory_format: Any = None) -> Tensor:
        """As float16."""
        return self.to(dtypes.float16)

    def bfloat16(self, memory_format: Any = None) -> Tensor:
        """As bfloat16."""
        return self.to(dtypes.bfloat16)

    def byte(self, memory_format: Any = None) -> Tensor:
        """As uint8."""
        return self.to(dtypes.uint8)

    def char(self, memory_format: Any = None) -> Tensor:
        """As int8."""
        return self.to(dtypes.int8)

    def short(self, memory_format: Any = None) -> Tensor:
        """As int16."""
        return self.to(dtypes.int16)

    def long(self, memory_format: Any = None) -> Tensor:
        """As int64."""
        return self.to(dtypes.int64)

    def int(self, memory_format: Any = None) -> Tensor:
        """As int32."""
        return self.to(dtypes.int32)

    def bool(self, memory_format: Any = None) -> Tensor:
        """As booleans: whether each element is not 0."""
        return self.to(dtypes.bool_)

    def cpu(self, memory_format: Any = None) -> Tensor:
        """On the CPU device; where no CPU has an OpenCL runtime, the tensor itself.

        So ``x.cpu().numpy()`` works on every machine; `numpy` alone does, too.
        """
        return self.to(device=cpu_device() or self.device)

    def cuda(self, device: Any = None, non_blocking: Any = False, memory_format: Any = None) -> Tensor:
        """On a device of NVIDIA's platform: ``to("cuda")``; a number counts those devices.

        Raises:
            NoDeviceError: there is none; ``to("gpu")`` finds any vendor's.
        """
        return self.to(device=cuda.named(device))

    @property
    def is_sparse(self) -> Any:
        """Whether only some rows are there, as in the gradients of `genesis.sparse`."""
        return False

    @property
    def layout(self) -> Any:
        """``genesis.strided``; ``genesis.sparse_coo`` where the tensor is sparse."""
        return layouts.strided

    def to_dense(self) -> Tensor:
        """A tensor with all elements: itself, unless it is sparse."""
        tensor: Any = self
        return tensor

    def to_sparse(self, sparse_dim: Any = None) -> Any:
        """The elements that are not 0, with their places: a `genesis.sparse.CooTensor`; waits for the device.

        Args:
            sparse_dim: how many dimensions, from the first, the places have; all by default.
        """
        from ..coo import places_of

        tensor: Any = self
        return places_of(tensor, sparse_dim)

    @property
    def is_cuda(self) -> Any:
        """Whether the tensor lies on one of the devices that `genesis.cuda` counts."""
        return self.device in cuda.its_devices()

    @property
    def is_mps(self) -> Any:
        """False: Apple's GPUs, too, are reached by OpenCL."""
        return False

    def is_complex(self) -> Any:
        """Whether the element type is complex64 or complex128."""
        return self.dtype.is_complex

    def item(self) -> Any:
        """The value of a one-element tensor as a Python number; waits for the device."""
        if self._array.size != 1:
            raise RuntimeError(f"item() needs a tensor of one element; this one has shape {tuple(self.shape)}")
        if tracing.recorder is not None and tracing.recorder.takes():
            return tracing.recorder.method("aten::item", Conversion.item, self)
        return self.detach().numpy().reshape(-1)[0].item()

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self.detach().numpy().tolist()

    def numpy(self) -> np.ndarray:
        """A NumPy copy of the values (bfloat16 as ``ml_dtypes.bfloat16``); waits for the device."""
        if self.requires_grad:
            raise RuntimeError("numpy() would lose the history of a tensor that requires gradients; use detach() first")
        return download(elementwise.contiguous(self._array))

    def to_pyopencl(self) -> Any:
        """A ``pyopencl.array.Array`` on the tensor's memory, without copying; it works on genesis' queue."""
        array = self._array
        return lend(array.buffer, array.offset, array.shape, array.strides, array.dtype.numpy)

    def __dlpack_device__(self) -> tuple[Any, ...]:
        """DLPack's name for where the tensor is: host memory for CPU devices, OpenCL for others."""
        from .. import dlpack

        return (dlpack.CPU, 0) if self.device.type == "cpu" else (dlpack.OPENCL, self.device.index)

    def __dlpack__(self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None,
                   copy: Any = None) -> Any:
        """A DLPack capsule on the tensor's memory, for ``numpy.from_dlpack`` and ``torch.from_dlpack``.

        Waits for the device. Nothing is copied; for what is computed later the borrower has to wait by
        `genesis.synchronize`. See `genesis.from_dlpack` for the other way.

        Raises:
            BufferError: the device is no CPU or has memory of its own, or the tensor requires a gradient.
        """
        from .. import dlpack

        if stream is not None:
            raise BufferError(f"a tensor in host memory has no stream, but {stream!r} was asked for")
        if dl_device is not None and tuple(dl_device) != (dlpack.CPU, 0):
            raise BufferError(f"the tensor can be exported to host memory, not to device {tuple(dl_device)}")
        tensor: Any = self
        return dlpack.lend(tensor, max_version, copy)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        if copy is False:
            raise ValueError("a NumPy array of a tensor is always a copy; numpy.from_dlpack() may share memory")
        values = self.detach().numpy()
        return values if dtype is None else values.astype(dtype)

    def __complex__(self) -> Any:
        return complex(self.item())

    def __float__(self) -> Any:
        return float(self.item())

    def __int__(self) -> Any:
        return int(self.item())

    def __index__(self) -> Any:
        if self.dtype.has_gradients or self._array.size != 1:
            raise TypeError("only integer tensors of one element can be used as an index")
        return int(self.item())

    def __bool__(self) -> Any:
        if self._array.size != 1:
            raise RuntimeError(f"the truth of a tensor of shape {tuple(self.shape)} is ambiguous; use any() or all()")
        return bool(self.item())

    def __format__(self, spec: str) -> str:
        # f"{loss}" gives the number alone, as in PyTorch; a parameter says what it is
        number = self.ndim == 0 and (spec or TYPE(self).__name__ == "Tensor")
        return format(self.item(), spec) if number else str(self)

    def __repr__(self) -> str:
        values = self.detach().numpy()
        if self.dtype is dtypes.bfloat16:
            values = values.astype(np.float32)
        text = printing.text_of(values, "tensor(")
        if self._array.size == 0:
            text = f"[], size={tuple(self.shape)}"
        plain = (dtypes.get_default_dtype(), dtypes.of_scalar(0j), dtypes.int64, dtypes.bool_)
        notes = "" if self.dtype in plain else f", dtype={self.dtype}"
        if self.grad_fn is not None:
            notes += f", grad_fn={self.grad_fn}"
        elif self.requires_grad:
            notes += ", requires_grad=True"
        return f"tensor({text}{notes})"
