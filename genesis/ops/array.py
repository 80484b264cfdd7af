"""Array: a strided view of device memory, what operations work on below tensors and gradients."""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

import numpy as np

from ..dtypes import DType, complex128, float64, from_numpy
from ..opencl import Alias, Buffer, Device

Shape = tuple[int, ...]
_WIDE = (float64.rank, complex128.rank)


class Version:
    """Counts the changes made in place to the memory that an array and its views share.

    ``base`` is a counter that also counts, for memory that is changed together with much else (an optimizer's arena).
    """

    __slots__ = ("base", "count")

    def __init__(self, base: Version | None = None):
        self.count = 0
        self.base = base

    @property
    def now(self) -> int:
        """The number of changes so far."""
        return self.count + (self.base.count if self.base is not None else 0)


@functools.lru_cache(4096)
def contiguous_strides(shape: Shape) -> Shape:
    """Strides, in elements, of an array stored row by row without gaps."""
    strides = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


class Array:
    """Elements in a device buffer, addressed by offset, shape and strides (in elements).

    Attributes:
        buffer: the memory.
        offset: position of the first element in it.
        shape, strides: as in NumPy, strides in elements.
        dtype: element type.
        size: number of elements.
        version: counter of changes in place, shared with every view.
    """

    __slots__ = ("buffer", "dtype", "offset", "shape", "size", "strides", "version")

    def __init__(self, buffer: Buffer | Alias, dtype: DType, shape: Shape, strides: Shape | None = None,
                 offset: int = 0, version: Version | None = None):
        self.buffer = buffer
        self.dtype = dtype
        self.shape = shape
        self.strides = contiguous_strides(shape) if strides is None else strides
        self.offset = offset
        self.size = math.prod(shape)
        self.version = version or Version()

    @property
    def device(self) -> Device:
        """The device that holds the elements."""
        return self.buffer.device

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.size * self.dtype.itemsize

    def is_contiguous(self) -> bool:
        """Whether the elements lie row by row without gaps."""
        if self.strides == contiguous_strides(self.shape):
            return True
        step = 1
        for size, stride in zip(reversed(self.shape), reversed(self.strides)):
            if size != 1:
                if stride != step:
                    return self.size == 0
                step *= size
        return True

    def view(self, shape: Shape, strides: Shape, offset: int | None = None) -> Array:
        """Another look at the same memory."""
        return Array(self.buffer, self.dtype, shape, strides, self.offset if offset is None else offset, self.version)

    def permute(self, axes: tuple[int, ...]) -> Array:
        """The dimensions in another order."""
        return self.view(tuple(self.shape[a] for a in axes), tuple(self.strides[a] for a in axes))

    def expand(self, shape: Shape) -> Array:
        """Repeat dimensions of size 1, and new leading ones, without copying; ``RuntimeError`` if it does not fit."""
        if shape == self.shape:
            return self
        added = len(shape) - self.ndim
        if added < 0 or any(a not in (1, b) for a, b in zip(self.shape, shape[added:])):
            raise RuntimeError(f"a tensor of shape {self.shape} does not broadcast to {shape}")
        strides = (0,) * added + tuple(0 if a != b else s for a, b, s in zip(self.shape, shape[added:], self.strides))
        return self.view(shape, strides)

    def reshape_view(self, shape: Shape) -> Array | None:
        """The elements in the same order in another shape, without copying; None when only a copy can do it."""
        if shape == self.shape:
            return self
        if self.is_contiguous():
            return self.view(shape, contiguous_strides(shape))
        if self.size == 0:
            return self.view(shape, contiguous_strides(shape))
        # Groups of old and new dimensions that hold equally many elements; each old group must lie evenly.
        old = [(n, s) for n, s in zip(self.shape, self.strides) if n != 1]
        strides = [1] * len(shape)
        i = j = 0
        while i < len(old) and j < len(shape):
            i_end, j_end = i + 1, j + 1
            held, wanted = old[i][0], shape[j]
            while held != wanted:
                if held < wanted:
                    held *= old[i_end][0]
                    i_end += 1
                else:
                    wanted *= shape[j_end]
                    j_end += 1
            for k in range(i, i_end - 1):
                if old[k][1] != old[k + 1][0] * old[k + 1][1]:
                    return None
            step = old[i_end - 1][1]
            for k in range(j_end - 1, j - 1, -1):
                strides[k] = step
                step *= shape[k]
            i, j = i_end, j_end
        return self.view(shape, tuple(strides))

    def as_real(self) -> Array:
        """Complex numbers as (..., 2) real ones, without copying."""
        return Array(self.buffer, self.dtype.to_real(), (*self.shape, 2), (*(2 * s for s in self.strides), 1),
                     2 * self.offset, self.version)

    def reals(self) -> Array:
        """The real numbers that it is made of: complex ones as `as_real` has them, real ones as they are."""
        return self.as_real() if self.dtype.is_complex else self

    def as_complex(self) -> Array | None:
        """Real numbers (..., 2) as complex ones, without copying; None where the pairs do not lie as those would."""
        *steps, last = self.strides
        if last != 1 or self.offset % 2 or any(s % 2 for s in steps):
            return None
        return Array(self.buffer, self.dtype.to_complex(), self.shape[:-1], tuple(s // 2 for s in steps),
                     self.offset // 2, self.version)

    def part(self, which: int) -> Array:
        """The real (0) or imaginary (1) parts of complex numbers; a view."""
        pairs = self.as_real()
        return pairs.view(self.shape, pairs.strides[:-1], pairs.offset + which)

    def __repr__(self) -> str:
        return f"<Array {self.shape} of {self.dtype.name} on {self.device}>"


def empty(device: Device, shape: Shape, dtype: DType) -> Array:
    """A contiguous array with undefined contents.

    Raises:
        TypeError: float64 or complex128 on a device without it.
    """
    if dtype.rank in _WIDE and not device.fp64:
        raise TypeError(f"{device.name} has no {dtype.name}; use {'complex64' if dtype.is_complex else 'float32'}")
    return Array(device.empty(math.prod(shape) * dtype.itemsize), dtype, shape)


def upload(device: Device, values: np.ndarray) -> Array:
    """A contiguous array with the values of a NumPy array."""
    dtype = from_numpy(values.dtype)
    array = empty(device, values.shape, dtype)
    device.write(array.buffer, 0, np.ascontiguousarray(values))
    return array


def download(array: Array) -> np.ndarray:
    """The elements of a contiguous array as a NumPy array; waits for the device."""
    values: np.ndarray[Any, Any] = np.empty(array.shape, array.dtype.numpy)
    array.device.read(array.buffer, array.offset * array.dtype.itemsize, values)
    return values


def broadcast_shapes(*shapes: Shape) -> Shape:
    """The shape that all shapes broadcast to; ``RuntimeError`` when they do not fit."""
    if all(s == shapes[0] for s in shapes):
        return shapes[0]
    ndim = max(map(len, shapes))
    result = []
    for axis in range(-ndim, 0):
        sizes = {s[axis] for s in shapes if -axis <= len(s)} - {1}
        if len(sizes) > 1:
            raise RuntimeError("shapes " + " and ".join(map(str, shapes)) + " do not broadcast together")
        result.append(sizes.pop() if sizes else 1)
    return tuple(result)


def whole(name: str, x: Any) -> int:
    """An argument as a Python integer; ``TypeError`` for what is none: a float, even if it has no fraction."""
    try:
        return operator.index(x)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {x!r}") from None


def sizes_of(given: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes that are given one by one or as one sequence; ``TypeError`` for what is no whole number."""
    listed = given[0] if len(given) == 1 and not _is_number(given[0]) else given
    try:
        return tuple([operator.index(n) for n in listed])
    except TypeError:
        raise TypeError(f"sizes must be whole numbers, one by one or in a sequence, not {listed!r}") from None


def _is_number(x: Any) -> bool:
    return isinstance(x, int | np.integer) or getattr(x, "ndim", None) == 0      # a size may be a tensor: x.max()


def normalize_axis(axis: int, ndim: int) -> int:
    """A dimension's number counted from the front; ``IndexError`` when there is no such dimension."""
    if not -max(ndim, 1) <= axis < max(ndim, 1):
        raise IndexError(f"dimension {axis} does not exist in a tensor of {ndim} dimensions")
    return axis % max(ndim, 1)
