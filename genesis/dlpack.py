"""Exchange of tensors with other libraries by DLPack (https://dmlc.github.io/dlpack), for devices that are CPUs.

Nothing is copied: both sides work in the same memory. Kernels run later than they are called, so call
`genesis.synchronize` before the other library reads what genesis wrote; and let the other library finish before
genesis goes on. What one side writes the other then sees, on CPU devices whose OpenCL runtime works in host memory
itself, which is tried out the first time; on others, and on GPUs, nothing can be lent.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from . import dtypes
from .dtypes import DType
from .opencl import Device, default_device, find_device
from .opencl.host import HostBuffer, mapped, shares_memory
from .ops import elementwise
from .ops.array import Array, contiguous_strides, empty, upload
from .tensor import Tensor

CPU, OPENCL = 1, 4                    # DLDeviceType
_READ_ONLY = 1
_CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}
_ALIGNMENT = 64


class _Device(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int), ("id", ctypes.c_int))


class _Type(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Tensor(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("device", _Device), ("ndim", ctypes.c_int32), ("dtype", _Type),
                ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
                ("byte_offset", ctypes.c_uint64))


_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Managed(ctypes.Structure):
    _fields_ = (("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", _Deleter))


class _Versioned(ctypes.Structure):
    _fields_ = (("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p),
                ("deleter", _Deleter), ("flags", ctypes.c_uint64), ("tensor", _Tensor))


_FORMS: dict[bytes, Any] = {b"dltensor": _Managed, b"dltensor_versioned": _Versioned}
_api = ctypes.pythonapi
_api.PyCapsule_New.restype = ctypes.py_object
_api.PyCapsule_New.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_IsValid", _api))
_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_GetPointer", _api))
_rename = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_SetName", _api))

_kept = {name: ctypes.create_string_buffer(name) for name in (*_FORMS, *(b"used_" + name for name in _FORMS))}
_name_of = {name: ctypes.cast(text, ctypes.c_char_p) for name, text in _kept.items()}      # capsules do not copy names

# What was lent out, by the address of its description, until the borrower calls the deleter.
_lent: dict[int, tuple[Any, ...]] = {}


@_Deleter
def _delete(address: int) -> None:
    _lent.pop(address, None)


@_Deleter
def _destroy(capsule: int) -> None:
    for name in _FORMS:
        if _is_valid(capsule, name):       # nobody took it
            _lent.pop(_pointer(capsule, name), None)


def lend(x: Tensor, version: tuple[int, int] | None, copy: bool | None) -> Any:
    """A DLPack capsule on a tensor's memory.

    Args:
        x: the tensor.
        version: the newest version of DLPack that the borrower knows; None for those before 1.0.
        copy: True for a copy of the memory.

    Raises:
        BufferError: the tensor requires a gradient, or its device's memory cannot be shared with the host.
    """
    if x.requires_grad:
        raise BufferError("a tensor that requires gradients cannot be exported, as its history would be lost; "
                          "detach() it")
    if not shares_memory(x.device):
        raise BufferError(f"the memory of {x.device.name} cannot be shared with the host; use numpy() for a copy")
    array = elementwise.copy(x._array) if copy else x._array
    bytes_ = mapped(array.buffer) if array.size else np.zeros(1, np.uint8)
    form = _FORMS[b"dltensor_versioned" if version and version >= (1, 0) else b"dltensor"]
    managed = form()
    described = managed.tensor
    described.data = bytes_.ctypes.data + array.offset * array.dtype.itemsize * bool(array.size)
    described.device = _Device(CPU, 0)
    described.ndim = array.ndim
    code = 4 if array.dtype is dtypes.bfloat16 else _CODES[array.dtype.kind]
    described.dtype = _Type(code, 8 * array.dtype.itemsize, 1)
    sizes = (ctypes.c_int64 * max(array.ndim, 1))(*array.shape)
    strides = (ctypes.c_int64 * max(array.ndim, 1))(*array.strides)
    described.shape, described.strides = (ctypes.cast(v, ctypes.POINTER(ctypes.c_int64)) for v in (sizes, strides))
    managed.deleter = _delete
    if form is _Versioned:
        managed.major, managed.minor = 1, 0
    address = ctypes.addressof(managed)
    _lent[address] = managed, sizes, strides, bytes_, array.buffer
    name = next(name for name, f in _FORMS.items() if f is form)
    return _api.PyCapsule_New(address, _name_of[name], ctypes.cast(_destroy, ctypes.c_void_p))


class _Borrowed:
    """A tensor of another library's, given back when this object goes."""

    def __init__(self, capsule: Any):
        self.name = next((name for name in _FORMS if _is_valid(id(capsule), name)), None)
        if self.name is None:
            raise BufferError("this DLPack capsule was used already, or is none")
        self.address = _pointer(id(capsule), self.name)
        self.managed = _FORMS[self.name].from_address(self.address)
        if self.name == b"dltensor_versioned" and self.managed.major > 1:
            raise BufferError(f"DLPack {self.managed.major}.{self.managed.minor} is newer than what genesis knows, 1.0")
        _rename(capsule, _name_of[b"used_" + self.name])

    def __del__(self) -> None:
        if getattr(self, "managed", None) is not None and self.managed.deleter:
            self.managed.deleter(self.address)


def _dtype(t: _Type) -> DType:
    for dtype in dtypes.ALL + dtypes.COMPLEX:
        code = 4 if dtype is dtypes.bfloat16 else _CODES[dtype.kind]
        if (t.code, t.bits, t.lanes) == (code, 8 * dtype.itemsize, 1):
            return dtype
    raise BufferError(f"genesis has no element type for DLPack's code {t.code} with {t.bits} bits and {t.lanes} lanes")


def from_dlpack(x: Any, *, device: Device | str | None = None, copy: bool | None = None) -> Tensor:
    """A tensor on the memory of another library's tensor on the CPU, as of NumPy or PyTorch.

    Where the device is a CPU that works in host memory nothing is copied, and what either side writes the other sees
    (after `genesis.synchronize`); elsewhere, and from memory that may only be read, the values are copied.

    Args:
        x: has ``__dlpack__`` and ``__dlpack_device__``, and lies in host memory.
        device: where the tensor is to be; the default device if None.
        copy: True to copy in any case, False to copy in none.

    Raises:
        BufferError: ``x`` is not in host memory or of an unknown element type, or ``copy`` is False and a copy needed.
        TypeError: ``x`` cannot be exchanged by DLPack; float64 on a device without it.

    Example:
        >>> values = np.arange(3.0)
        >>> genesis.from_dlpack(values).shape
        genesis.Size([3])
    """
    where = default_device() if device is None else find_device(device)
    if isinstance(x, Tensor) and x.device is where:
        return x.detach().clone() if copy else x.detach()
    if not hasattr(x, "__dlpack__") or not hasattr(x, "__dlpack_device__"):
        raise TypeError(f"from_dlpack() needs an object with __dlpack__ and __dlpack_device__, not {type(x).__name__}")
    if int(x.__dlpack_device__()[0]) != CPU:
        raise BufferError(f"from_dlpack() needs a tensor in host memory; this one is on device {x.__dlpack_device__()}")
    try:
        capsule = x.__dlpack__(max_version=(1, 0))
    except TypeError:
        capsule = x.__dlpack__()          # from before DLPack 1.0
    borrowed = _Borrowed(capsule)
    described = borrowed.managed.tensor
    dtype, ndim = _dtype(described.dtype), described.ndim
    shape = tuple(described.shape[:ndim]) if ndim else ()
    strides = tuple(described.strides[:ndim]) if ndim and described.strides else contiguous_strides(shape)
    array = empty(where, (0,), dtype)             # an error where the device has not got the type
    if 0 in shape:
        return Tensor._wrap(Array(array.buffer, dtype, shape))
    address = described.data + described.byte_offset
    read_only = borrowed.name == b"dltensor_versioned" and borrowed.managed.flags & _READ_ONLY
    sharable = (not read_only and min(strides, default=1) >= 0 and address % dtype.itemsize == 0
                and shares_memory(where))
    if copy or not sharable:
        if copy is False:
            raise BufferError("this tensor cannot be used without a copy: the device is no CPU that works in host "
                              "memory, or the memory may only be read, or its layout is none that genesis has")
        return Tensor._wrap(upload(where, _values(address, shape, strides, dtype)))
    start = address // _ALIGNMENT * _ALIGNMENT
    extent = 1 + sum((n - 1) * step for n, step in zip(shape, strides))
    buffer = HostBuffer(where, start, address - start + extent * dtype.itemsize, borrowed)
    return Tensor._wrap(Array(buffer, dtype, shape, strides, (address - start) // dtype.itemsize))


def _values(address: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: DType) -> np.ndarray:
    low = address + dtype.itemsize * sum((n - 1) * step for n, step in zip(shape, strides) if step < 0)
    high = address + dtype.itemsize * (1 + sum((n - 1) * step for n, step in zip(shape, strides) if step > 0))
    memory = (ctypes.c_char * (high - low)).from_address(low)
    return np.ndarray(shape, dtype.numpy, memory, address - low, tuple(s * dtype.itemsize for s in strides)).copy()
