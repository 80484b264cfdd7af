"""Functions that make tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import dtypes
from .dtypes import DType, Scalar, as_dtype, get_default_dtype, int64
from .opencl import Device, find_device
from .opencl.foreign import adopt
from .ops import elementwise, random
from .ops.array import Array, Shape, broadcast_shapes
from .ops.array import empty as empty_array
from .random import Generator, default_generator
from .tensor import Tensor, tensor

Where = Device | str | int | None


def _shape(sizes: tuple[Any, ...], named: Any = None) -> Shape:
    if named is not None:
        if sizes:
            raise TypeError("sizes are given by place or as size=, not both")
        sizes = (named,)
    listed = sizes[0] if len(sizes) == 1 and not isinstance(sizes[0], int | np.integer) else sizes
    shape = tuple(int(n) for n in listed)
    if any(n < 0 for n in shape):
        raise RuntimeError(f"sizes cannot be negative: {shape}")
    return shape


def full(size: Any, fill_value: Scalar, *, dtype: Any = None, device: Where = None,
         requires_grad: bool = False) -> Tensor:
    """A tensor with the same number everywhere; its type is that of the number unless ``dtype`` is given."""
    shape = _shape((size,))
    kind = dtypes.of_scalar(fill_value) if dtype is None else as_dtype(dtype)
    return Tensor._wrap(elementwise.full(find_device(device), shape, fill_value, kind)).requires_grad_(requires_grad)


def zeros(*sizes: Any, size: Any = None, dtype: Any = None, device: Where = None,
          requires_grad: bool = False) -> Tensor:
    """A tensor of zeros, of the default type unless another is given."""
    return full(_shape(sizes, size), 0, dtype=dtype or get_default_dtype(), device=device, requires_grad=requires_grad)


def ones(*sizes: Any, size: Any = None, dtype: Any = None, device: Where = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ones, of the default type unless another is given."""
    return full(_shape(sizes, size), 1, dtype=dtype or get_default_dtype(), device=device, requires_grad=requires_grad)


def empty(*sizes: Any, size: Any = None, dtype: Any = None, device: Where = None,
          requires_grad: bool = False) -> Tensor:
    """A tensor whose elements are whatever the memory holds."""
    array = empty_array(find_device(device), _shape(sizes, size), as_dtype(dtype or get_default_dtype()))
    return Tensor._wrap(array).requires_grad_(requires_grad)


def full_like(input: Tensor, fill_value: Scalar, *, dtype: Any = None, device: Where = None,
              requires_grad: bool = False, memory_format: Any = None) -> Tensor:
    """A tensor of the same shape, type and device with the same number everywhere.

    ``memory_format`` is accepted as PyTorch has it, here and in the functions like this one; elements lie row by row.
    """
    return full(input.shape, fill_value, dtype=dtype or input.dtype, device=device or input.device,
                requires_grad=requires_grad)


def zeros_like(input: Tensor, *, dtype: Any = None, device: Where = None, requires_grad: bool = False,
               memory_format: Any = None) -> Tensor:
    """Zeros of the same shape, type and device."""
    return full_like(input, 0, dtype=dtype, device=device, requires_grad=requires_grad)


def ones_like(input: Tensor, *, dtype: Any = None, device: Where = None, requires_grad: bool = False,
              memory_format: Any = None) -> Tensor:
    """Ones of the same shape, type and device."""
    return full_like(input, 1, dtype=dtype, device=device, requires_grad=requires_grad)


def empty_like(input: Tensor, *, dtype: Any = None, device: Where = None, requires_grad: bool = False,
               memory_format: Any = None) -> Tensor:
    """Uninitialised memory of the same shape, type and device."""
    return empty(input.shape, dtype=dtype or input.dtype, device=device or input.device, requires_grad=requires_grad)


def arange(start: Scalar, end: Scalar | None = None, step: Scalar = 1, *, dtype: Any = None, device: Where = None,
           requires_grad: bool = False) -> Tensor:
    """Numbers from ``start`` (0 if only one is given) up to, not including, ``end``."""
    first, last = (0, start) if end is None else (start, end)
    if step == 0:
        raise RuntimeError("the step of arange must not be 0")
    if (last - first) * step < 0:
        raise RuntimeError(f"arange cannot come from {first} to {last} in steps of {step}")
    whole = all(isinstance(v, int | np.integer) for v in (first, last, step))
    kind = as_dtype(dtype) if dtype is not None else int64 if whole else get_default_dtype()
    values = np.arange(first, last, step).astype(kind.numpy)
    return tensor(values, device=device, requires_grad=requires_grad)


def range(start: Scalar, end: Scalar | None = None, step: Scalar = 1, *, dtype: Any = None, device: Where = None,
          requires_grad: bool = False) -> Tensor:
    """Numbers from ``start`` (0 if only one is given) to ``end``, which is included; floating-point ones by default.

    PyTorch keeps it for old programs; `arange` leaves the end out, as Python's ``range`` does.

    Raises:
        RuntimeError: the step is 0, or leads away from the end.

    Example:
        >>> genesis.range(1, 3)
        tensor([1., 2., 3.])
    """
    first, last = (0, start) if end is None else (start, end)
    if step == 0 or (last - first) * step < 0:
        raise RuntimeError(f"range cannot come from {first} to {last} in steps of {step}")
    values = first + step * np.arange(math.floor((last - first) / step) + 1)
    return tensor(values, dtype=dtype or get_default_dtype(), device=device, requires_grad=requires_grad)


def linspace(start: float, end: float, steps: int, *, dtype: Any = None, device: Where = None,
             requires_grad: bool = False) -> Tensor:
    """``steps`` numbers at equal distances from ``start`` to ``end``, both included."""
    values = np.linspace(start, end, steps).astype(as_dtype(dtype or get_default_dtype()).numpy)
    return tensor(values, device=device, requires_grad=requires_grad)


def logspace(start: float, end: float, steps: int, base: float = 10.0, *, dtype: Any = None, device: Where = None,
             requires_grad: bool = False) -> Tensor:
    """``steps`` numbers from ``base`` to the power ``start`` to that to the power ``end``, at equal ratios."""
    values = np.logspace(start, end, steps, base=base).astype(as_dtype(dtype or get_default_dtype()).numpy)
    return tensor(values, device=device, requires_grad=requires_grad)


def scalar_tensor(s: Scalar, *, dtype: Any = None, device: Where = None, requires_grad: bool = False) -> Tensor:
    """A 0-d tensor of a number, of the default type unless another is given."""
    return full((), s, dtype=dtype or get_default_dtype(), device=device, requires_grad=requires_grad)


def as_tensor(data: Any, *, dtype: Any = None, device: Where = None) -> Tensor:
    """A tensor of ``data``: a tensor itself, with its history, unless type or device change; else a copy.

    What `genesis.tensor` takes is taken. Memory is not shared with NumPy, since devices have their own.
    """
    if isinstance(data, Tensor):
        return data.to(device=None if device is None else find_device(device),
                       dtype=None if dtype is None else as_dtype(dtype))
    return tensor(data, dtype=dtype, device=device)


def asarray(obj: Any, *, dtype: Any = None, device: Where = None, copy: bool | None = None,
            requires_grad: bool = False) -> Tensor:
    """A tensor of ``obj``, which may be anything that `genesis.tensor` takes.

    Args:
        obj: data; of a tensor the memory is shared if that is possible.
        dtype, device: if others are wanted than those of the data.
        copy: True for memory of its own, False for an error where that is needed, None for whatever is possible.
        requires_grad: whether the result, which has no history, is to require a gradient.

    Raises:
        ValueError: ``copy`` is False and the data is no tensor of that type on that device.

    Example:
        >>> x = genesis.zeros(2)
        >>> genesis.asarray(x)[0] = 1
        >>> x
        tensor([1., 0.])
    """
    if isinstance(obj, Tensor) and not copy:
        result = obj.to(device=None if device is None else find_device(device),
                        dtype=None if dtype is None else as_dtype(dtype))
        if copy is None or result is obj:
            return result.detach().requires_grad_(requires_grad)
    if copy is False:
        raise ValueError("asarray(copy=False) shares memory with tensors of the wanted type and device only; leave "
                         "copy out")
    return tensor(obj, dtype=dtype, device=device, requires_grad=requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Where = None,
        requires_grad: bool = False) -> Tensor:
    """A matrix with ones on the diagonal."""
    values = np.eye(n, m, dtype=as_dtype(dtype or get_default_dtype()).numpy)
    return tensor(values, device=device, requires_grad=requires_grad)


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor with a copy of a NumPy array (device memory cannot share the host's)."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected a NumPy array, not {type(array).__name__}")
    return tensor(array)


def from_pyopencl(array: Any, *, requires_grad: bool = False) -> Tensor:
    """A tensor on the memory of a ``pyopencl.array.Array``, without copying.

    What either side writes, the other sees. An optimizer updates the array's own memory.

    Raises:
        TypeError: not such an array, or of an element type that genesis does not have.
        ValueError: the array's context is not genesis'; call `genesis.opencl.use` with your queue first.
    """
    buffer, offset, shape, strides, dtype = adopt(array)
    return Tensor._wrap(Array(buffer, dtypes.from_numpy(dtype), shape, strides, offset)).requires_grad_(requires_grad)


def _drawn(shape: Shape, dtype: Any, device: Where, default: DType | None = None) -> Any:
    return empty_array(find_device(device), shape, as_dtype(dtype or default or get_default_dtype()))


def rand(*sizes: Any, size: Any = None, generator: Generator | None = None, dtype: Any = None, device: Where = None,
         requires_grad: bool = False) -> Tensor:
    """Numbers drawn uniformly from [0, 1); of a complex type both parts are."""
    key = (generator or default_generator).stream()
    drawn = _drawn(_shape(sizes, size), dtype, device)
    random.uniform(drawn.as_real() if drawn.dtype.is_complex else drawn, key, 0.0, 1.0)
    return Tensor._wrap(drawn).requires_grad_(requires_grad)


def randn(*sizes: Any, size: Any = None, generator: Generator | None = None, dtype: Any = None, device: Where = None,
          requires_grad: bool = False) -> Tensor:
    """Numbers drawn from the standard normal distribution; complex ones, whose parts have the variance 1/2, too."""
    key = (generator or default_generator).stream()
    drawn = _drawn(_shape(sizes, size), dtype, device)
    if drawn.dtype.is_complex:
        random.normal(drawn.as_real(), key, 0.0, math.sqrt(0.5))
    else:
        random.normal(drawn, key, 0.0, 1.0)
    return Tensor._wrap(drawn).requires_grad_(requires_grad)


def normal(mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None,
           dtype: Any = None, device: Where = None, requires_grad: bool = False) -> Tensor:
    """Numbers drawn from normal distributions.

    Args:
        mean, std: numbers, or tensors of each result's mean and standard deviation, whose shapes broadcast.
        size: the shape, where both are numbers.

    Raises:
        RuntimeError: a standard deviation is a negative number.
        TypeError: ``size`` is given beside a tensor, or missing beside two numbers.
    """
    tensors = [x for x in (mean, std) if isinstance(x, Tensor)]
    if bool(tensors) == (size is not None):
        raise TypeError("normal() takes a size with two numbers, and none with a tensor, whose shape it takes")
    if not isinstance(std, Tensor) and not std >= 0:
        raise RuntimeError(f"normal() needs a standard deviation that is not negative, got {std}")
    if not tensors:
        drawn = randn(size, generator=generator, dtype=dtype, device=device)
        return drawn.mul_(std).add_(mean).requires_grad_(requires_grad)
    shape = broadcast_shapes(*(x._array.shape for x in tensors))
    drawn = randn(shape, generator=generator, dtype=dtype or tensors[0].dtype, device=device or tensors[0].device)
    mean, std = (x.detach() if isinstance(x, Tensor) else x for x in (mean, std))
    return (drawn * std + mean).requires_grad_(requires_grad)


def rand_like(input: Tensor, *, dtype: Any = None, device: Where = None, requires_grad: bool = False,
              memory_format: Any = None) -> Tensor:
    """Uniform numbers in the shape of another tensor."""
    return rand(input.shape, dtype=dtype or input.dtype, device=device or input.device, requires_grad=requires_grad)


def randn_like(input: Tensor, *, dtype: Any = None, device: Where = None, requires_grad: bool = False,
               memory_format: Any = None) -> Tensor:
    """Normal numbers in the shape of another tensor."""
    return randn(input.shape, dtype=dtype or input.dtype, device=device or input.device, requires_grad=requires_grad)


def randint(low: int, high: int | None = None, size: Any = (), *, generator: Generator | None = None,
            dtype: Any = None, device: Where = None, requires_grad: bool = False) -> Tensor:
    """Integers drawn from [low, high), or from [0, low) when only one bound is given with ``size``."""
    if not isinstance(high, int | np.integer):
        if high is not None:
            size = high
        low, high = 0, low
    if high <= low:
        raise RuntimeError(f"randint needs low < high, got {low} and {high}")
    key = (generator or default_generator).stream()
    values = random.integers(_drawn(_shape((size,)), dtype, device, int64), key, low, high)
    return Tensor._wrap(values).requires_grad_(requires_grad)


def randint_like(input: Tensor, low: int, high: int | None = None, *, dtype: Any = None,
                 device: Where = None, requires_grad: bool = False, memory_format: Any = None) -> Tensor:
    """Integers drawn from [low, high), or from [0, low) when only one bound is given, in the shape of another tensor.

    They have the other tensor's type, which may be a floating one.
    """
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, input.shape, dtype=dtype or input.dtype, device=device or input.device,
                   requires_grad=requires_grad)


def randperm(n: int, *, generator: Generator | None = None, dtype: Any = None, device: Where = None) -> Tensor:
    """The integers from 0 to n - 1 in random order."""
    values = (generator or default_generator).host_rng().permutation(n)
    return tensor(values.astype(as_dtype(dtype or int64).numpy), device=device)
