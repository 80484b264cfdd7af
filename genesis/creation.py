"""Functions that make tensors."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from . import dtypes, tracing
from .dtypes import DType, Scalar, as_dtype, get_default_dtype, int64
from .opencl import Device, find_device
from .opencl.foreign import adopt
from .ops import elementwise, random
from .ops.array import Array, Shape, broadcast_shapes, sizes_of, whole
from .ops.array import empty as empty_array
from .ops.sequence import sequence
from .random import Generator, default_generator
from .tensor import Tensor, tensor

Where = Device | str | int | None


def _shape(sizes: tuple[Any, ...], named: Any = None) -> Shape:
    if named is not None:
        if sizes:
            raise TypeError("sizes are given by place or as size=, not both")
        sizes = (named,)
    shape = sizes_of(sizes)
    if any(n < 0 for n in shape):
        raise RuntimeError(f"sizes cannot be negative: {shape}")
    return shape


def full(size: Any, fill_value: Scalar, *, dtype: Any = None, device: Where = None,
         requires_grad: bool = False) -> Tensor:
    """A tensor with the same number everywhere; its type is that of the number unless ``dtype`` is given."""
    shape = _shape((size,))
    kind = dtypes.of_scalar(fill_value) if dtype is None else as_dtype(dtype)
    args = find_device(device), shape, fill_value, kind
    array = elementwise.full(*args) if tracing.recorder is None else tracing.recorder.function(
        "aten::full", elementwise.full, *args)
    return Tensor._wrap(array).requires_grad_(requires_grad)


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


def arange(start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Where = None,
           requires_grad: bool = False) -> Tensor:
    """Numbers from ``start`` (0 if only one is given) up to, not including, ``end``.

    Of int64 the arguments are whole numbers too: their fractions are cut off first, as in PyTorch.

    Raises:
        RuntimeError: the step is 0 or leads away from the end, or a number is not finite.
    """
    first, last, step = (_number("arange", x) for x in ((0, start, step) if end is None else (start, end, step)))
    if not all(math.isfinite(x) for x in (first, last, step)):
        raise RuntimeError(f"arange() needs finite numbers, got {first}, {last} and {step}")
    if step == 0:
        raise RuntimeError("the step of arange must not be 0")
    whole = all(isinstance(v, int) for v in (first, last, step))
    kind = as_dtype(dtype) if dtype is not None else int64 if whole else get_default_dtype()
    if kind is int64 and not whole:      # the arguments have the type of the result, as in PyTorch
        return arange(int(first), int(last), int(step), dtype=kind, device=device, requires_grad=requires_grad)
    if (last - first) * step < 0:
        raise RuntimeError(f"arange cannot come from {first} to {last} in steps of {step}")
    where = find_device(device)
    most = 62 if kind.kind in "ui" else 24 if kind.is_floating_point and (kind.itemsize < 8 or where.fp64) else 0
    if whole and max(abs(first), abs(last), abs(step)) < 1 << most:
        args = where, first, step, len(builtins.range(first, last, step)), kind
        array = sequence(*args) if tracing.recorder is None else tracing.recorder.function(
            "aten::arange", sequence, *args)
        return Tensor._wrap(array).requires_grad_(requires_grad)
    if kind.kind in "ui" and not whole:
        count = math.ceil((last - first) / step)
        values = (int(first) + int(step) * np.arange(count)).astype(kind.numpy)
    else:
        values = np.arange(first, last, step).astype(kind.numpy)
    return tensor(values, device=where, requires_grad=requires_grad)


def _number(name: str, x: Any) -> Any:
    """An argument of a sequence as a Python number."""
    if getattr(x, "ndim", 0):
        raise RuntimeError(f"{name}() takes numbers or 0-d tensors, not shape {tuple(x.shape)}")
    number = x.item() if hasattr(x, "item") else x
    return int(number) if isinstance(number, bool) else number


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


def linspace(start: Any, end: Any, steps: int, *, dtype: Any = None, device: Where = None,
             requires_grad: bool = False) -> Tensor:
    """``steps`` numbers at equal distances from ``start`` to ``end``, both included.

    Args:
        start, end: numbers or 0-d tensors; of an integer type their fractions are cut off, and those of the result.
        steps: how many.

    Raises:
        RuntimeError: ``steps`` is negative, or a bound is a tensor with dimensions.

    Example:
        >>> genesis.linspace(0, 1, 5)
        tensor([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    values = _evenly("linspace", start, end, steps, dtype)
    return tensor(values, device=device, requires_grad=requires_grad)


def logspace(start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any = None, device: Where = None,
             requires_grad: bool = False) -> Tensor:
    """``steps`` numbers from ``base`` to the power ``start`` to that to the power ``end``, at equal ratios.

    Arguments as for `linspace`.
    """
    values = _evenly("logspace", start, end, steps, dtype, base)
    return tensor(values, device=device, requires_grad=requires_grad)


def _evenly(name: str, start: Any, end: Any, steps: int, dtype: Any, base: float | None = None) -> np.ndarray:
    """Numbers at equal distances, or a number to the power of these."""
    first, last, steps = _number(name, start), _number(name, end), whole("steps", steps)
    if steps < 0:
        raise RuntimeError(f"{name}() needs a number of steps that is not negative, got {steps}")
    default = get_default_dtype()
    if isinstance(first, complex) or isinstance(last, complex):
        default = default.to_complex()
    kind = as_dtype(dtype or default)
    if kind.kind in "ui":
        first, last = int(first), int(last)
        if base is None:
            dtypes.check_fits(min(first, last), max(first, last), kind)
    values = np.linspace(first, last, steps)
    return (values if base is None else np.power(base, values)).astype(kind.numpy)


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
    n, m = whole("n", n), None if m is None else whole("m", m)
    if n < 0 or (m or 0) < 0:
        raise RuntimeError(f"eye() needs sizes that are not negative, got {n} and {m}")
    values = np.eye(n, m, dtype=as_dtype(dtype or get_default_dtype()).numpy)
    return tensor(values, device=device, requires_grad=requires_grad)


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor with a copy of a NumPy array (device memory cannot share the host's)."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected a NumPy array, not {type(array).__name__}")
    return tensor(array)


def frombuffer(buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Tensor:
    """A vector with a copy of the bytes of an object such as ``bytes``, ``bytearray`` or a mapped file.

    Args:
        buffer: an object with Python's buffer interface.
        dtype: the type as whose elements the bytes are read.
        count: how many elements; a negative number: as many as there are.
        offset: how many bytes come before them.

    Raises:
        ValueError: there are fewer bytes, or not a whole number of elements.

    Example:
        >>> genesis.frombuffer(b"abc", dtype=genesis.uint8, offset=1)
        tensor([98, 99], dtype=genesis.uint8)
    """
    values = np.frombuffer(buffer, as_dtype(dtype).numpy, count, offset)
    return tensor(values, dtype=dtype, requires_grad=requires_grad)


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
    random.uniform(drawn.reals(), key, 0.0, 1.0)
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
    if isinstance(std, Tensor) and std.is_complex():
        raise RuntimeError("normal() needs a real standard deviation, not a complex one")
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
    if high is None or isinstance(high, list | tuple):
        size = size if high is None else high
        low, high = 0, low
    low, high = whole("low", low), whole("high", high)
    if high <= low:
        raise RuntimeError(f"randint needs low < high, got {low} and {high}")
    drawn = _drawn(_shape((size,)), dtype, device, int64)
    dtypes.check_fits(low, high - 1, drawn.dtype)
    key = (generator or default_generator).stream()
    return Tensor._wrap(random.integers(drawn, key, low, high)).requires_grad_(requires_grad)


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
    values = (generator or default_generator).host_rng().permutation(whole("n", n))
    return tensor(values.astype(as_dtype(dtype or int64).numpy), device=device)
