"""Tensor: an array on a device, with its gradient."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any, Protocol

import numpy as np

from . import autograd, dtypes
from .autograd import Node, View, apply, inplace
from .dtypes import DType, Scalar, as_dtype
from .hooks import Hooks, RemovableHandle, register
from .indexing import get_item, set_item
from .layouts import MemoryFormat, preserve_format
from .methods import Conversion, Layout, Pickling, TensorMethods
from .opencl import Device, default_device, find_device
from .ops import elementwise
from .ops.array import Array, contiguous_strides, empty, upload
from .ops.pointwise import Copy
from .sizes import Size


class Slot(Protocol):
    """A place for a tensor's gradient outside the tensor: an optimizer's arena keeps one a parameter."""

    def grad(self, owner: Tensor) -> Tensor | None:
        """The gradient as a tensor; None when there is none."""

    def set_grad(self, owner: Tensor, value: Tensor | None) -> None:
        """Replace the gradient."""

    def target(self, owner: Tensor) -> Array | None:
        """Memory that backward may write the first gradient into; None when it has to be added."""

    def accumulate(self, owner: Tensor, g: Array, written: bool) -> None:
        """Add a gradient; ``written`` says that it is in `target`'s memory already."""

    def moved(self, owner: Tensor) -> None:
        """The tensor's data now lies elsewhere."""


class Tensor(Conversion, Layout, Pickling, TensorMethods):
    """An n-dimensional array of elements of one type on an OpenCL device, which can record its history.

    Make one with `genesis.tensor`, `genesis.zeros` and their kin. Operations follow PyTorch's names and
    rules. They are enqueued and run later; reading a value (``item``, ``numpy``, printing) waits for the device.

    Args:
        data: sizes, for memory with whatever it holds; a tensor, whose memory is shared; or data that
            `genesis.tensor` takes.
        dtype: element type; the default type, float32, where it is not given.
        device: where to put it; the default device if None.
        requires_grad: whether gradients are to be computed for it.

    Example:
        >>> genesis.Tensor(2, 3).shape, genesis.Tensor([1, 2])
        (genesis.Size([2, 3]), tensor([1., 2.]))
    """

    __slots__ = ("__weakref__", "_array", "_grad", "_hooks", "_node", "_requires_grad", "_retains", "_slot", "_view")
    __array_priority__ = 1000
    _copies_gradient = True      # whether deepcopy() does

    _array: Array
    _grad: Tensor | None
    _node: Node | None
    _slot: Slot | None
    _retains: _Retained | None
    _requires_grad: bool
    _view: View | None

    def __init__(self, *data: Any, dtype: Any = None, device: Device | str | None = None,
                 requires_grad: bool = False):
        whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in data)
        if not whole and len(data) > 1:
            raise TypeError(f"Tensor() takes sizes, or one argument with data, not {len(data)} of other types")
        if isinstance(data[0] if data else None, Tensor):
            array = data[0].to(dtype=dtype, device=device)._array
        elif whole or isinstance(data[0], Size):
            sizes = tuple(int(n) for n in (data if whole else data[0])) if data else (0,)
            if any(n < 0 for n in sizes):
                raise RuntimeError(f"sizes cannot be negative: {sizes}")
            array = empty(find_device(device), sizes, as_dtype(dtype or dtypes.get_default_dtype()))
        else:
            array = tensor(data[0], dtype=dtype or dtypes.get_default_dtype(), device=device)._array
        self._setup(array, None, requires_grad)

    def _setup(self, array: Array, node: Node | None, requires_grad: bool) -> None:
        self._array = array
        self._node = node
        self._grad = None
        self._slot = None
        self._hooks: Hooks | None = None
        self._retains = None
        self._view = None
        if requires_grad and not array.dtype.has_gradients:
            raise RuntimeError(f"only floating-point and complex tensors can require gradients, not {array.dtype}")
        self._requires_grad = requires_grad

    @classmethod
    def _wrap(cls, array: Array, node: Node | None = None) -> Tensor:
        self = Tensor.__new__(Tensor)
        self._array = array
        self._node = node
        self._grad = self._slot = self._hooks = self._retains = self._view = None
        self._requires_grad = node is not None
        return self

    # What it is ------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """Sizes of the dimensions."""
        return Size(self._array.shape)

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self._array.dtype

    @property
    def device(self) -> Device:
        """The device that holds it."""
        return self._array.buffer.device

    @property
    def is_cpu(self) -> bool:
        """Whether the device is a CPU."""
        return self.device.type == "cpu"

    def get_device(self) -> int:
        """The device's position among those of its type; -1 for CPUs."""
        return -1 if self.is_cpu else self.device.index

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self._array.shape)

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are computed for it."""
        if self._view is not None:
            autograd.refresh(self)
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user rather than by a recorded operation."""
        return self.grad_fn is None

    @property
    def grad_fn(self) -> Node | None:
        """The recorded operation that made it."""
        if self._view is not None:
            autograd.refresh(self)
        return self._node

    def __len__(self) -> int:
        if not self._array.shape:
            raise TypeError("a 0-d tensor has no len()")
        return self._array.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self._array.shape:
            raise TypeError("a 0-d tensor cannot be iterated over")
        return (self[i] for i in range(len(self)))

    def __reversed__(self) -> Tensor:
        return self.flip(0) if self._array.shape else self

    def __contains__(self, element: Any) -> bool:
        if not isinstance(element, Tensor | bool | int | float | complex | np.number):
            raise RuntimeError(f"a tensor contains numbers; {type(element).__name__} is no number or tensor")
        return bool(self.eq(element).any())

    # Data and gradient -----------------------------------------------------------------------------------------

    @property
    def data(self) -> Tensor:
        """The same memory without history. Assigning replaces the memory and keeps the tensor's identity."""
        return Tensor._wrap(self._array)

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"data must be a Tensor, not {type(value).__name__}")
        if self._requires_grad and not value.is_floating_point():
            raise RuntimeError(f"data of a tensor that requires gradients must be floating point, not {value.dtype}")
        self._rebind(value._array)

    def _rebind(self, array: Array) -> None:
        """Let the tensor, which stays the same object, look at other memory."""
        slot = self._slot
        before = self._array
        self._array = array
        if array is not before:
            self._view = None
        if slot is not None and (array.buffer is not before.buffer or array.offset != before.offset
                                 or array.strides != before.strides or array.shape != before.shape):
            slot.moved(self)

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward has added up; None before."""
        return self._grad if self._slot is None else self._slot.grad(self)

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"grad must be a Tensor or None, not {type(value).__name__}")
            for name in ("shape", "dtype", "device"):
                mine, its = getattr(self, name), getattr(value, name)
                if mine != its:
                    mine, its = (tuple(mine), tuple(its)) if name == "shape" else (mine, its)
                    raise RuntimeError(f"a gradient must have the tensor's {name} {mine}, not {its}")
        if self._slot is None:
            self._grad = value
        else:
            self._slot.set_grad(self, value)

    @grad.deleter
    def grad(self) -> None:
        self.grad = None

    def _grad_target(self) -> Array | None:
        return None if self._slot is None or self._hooks else self._slot.target(self)

    def _accumulate_grad(self, g: Array, written: bool = False, free: bool = False) -> None:
        """Add a gradient; it may be ``written`` to `_grad_target` already, or ``free`` to be kept as it is."""
        if self._slot is not None:
            self._slot.accumulate(self, g, written)
        elif self._grad is None:
            self._grad = Tensor._wrap(g if free and g.dtype is self.dtype else elementwise.copy(g, self.dtype))
        else:
            if self._grad.is_sparse:
                self._grad = self._grad.to_dense()
            if self._grad._node is not None or inplace.is_expanded(self._grad._array):
                # With a history, other tensors may need the values; expanded, elements share memory.
                self._grad = Tensor._wrap(elementwise.copy(self._grad._array))
            into = self._grad._array
            elementwise.run("add", [into, g], into.dtype, out=into)

    def backward(self, gradient: Tensor | None = None, retain_graph: Any = None, create_graph: Any = False,
                 inputs: Any = None) -> None:
        """Compute the gradients of everything this tensor was made from; see `genesis.autograd.backward`."""
        autograd.backward(self, gradient, retain_graph, create_graph, inputs)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set ``requires_grad``; returns the tensor."""
        if self.grad_fn is not None and not requires_grad:
            raise RuntimeError("only leaves can stop requiring gradients; use detach()")
        if requires_grad and not self.dtype.has_gradients:
            raise RuntimeError(f"only floating-point and complex tensors can require gradients, not {self.dtype}")
        self._requires_grad = bool(requires_grad)
        return self

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call ``hook(gradient)`` when the tensor's gradient is computed; what it returns replaces the gradient.

        Returns a handle whose ``remove()`` unregisters the hook.
        """
        if not self.requires_grad:
            raise RuntimeError("a tensor that requires no gradient never calls a hook")
        if self._node is not None:
            hooks = self._node.hooks = self._node.hooks or Hooks()
        else:
            hooks = self._hooks = self._hooks or Hooks()
        return register(hooks, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Call ``hook(tensor)`` each time that backward has added to the ``.grad`` of this leaf.

        Returns a handle whose ``remove()`` unregisters the hook.

        Raises:
            RuntimeError: the tensor is not a leaf, or requires no gradient.
        """
        if not self.requires_grad or self._node is not None:
            raise RuntimeError("only leaves that require gradients have a .grad for backward to add to")
        hooks = self._hooks = self._hooks or Hooks()
        return register(hooks, autograd.Afterwards(hook))

    def retain_grad(self) -> None:
        """Keep the gradient of a tensor that is not a leaf in ``.grad``."""
        if not self.requires_grad:
            raise RuntimeError("a tensor that requires no gradient has none to keep")
        if self._node is not None and self._retains is None:
            self._retains = _Retained(self)

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad` was called on this tensor, which is not a leaf."""
        return self._retains is not None

    def detach(self) -> Tensor:
        """The same memory without history."""
        return Tensor._wrap(self._array)

    def detach_(self) -> Tensor:
        """Forget the tensor's history; returns the tensor.

        Raises:
            RuntimeError: it is a view, whose history is another tensor's too.
        """
        if self._view is not None and self._view.holds(self):
            raise RuntimeError("a view cannot be detached in place; use detach()")
        self._node, self._requires_grad, self._retains = None, False, None
        return self

    def clone(self, *, memory_format: MemoryFormat = preserve_format) -> Tensor:
        """A copy; gradients flow through. ``memory_format`` is accepted as PyTorch has it."""
        return apply(Copy, self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self.grad_fn is not None:
            raise RuntimeError("only leaves can be deep-copied; use clone() or detach()")
        result = type(self).__new__(type(self))
        result._setup(elementwise.copy(self._array), None, self.requires_grad)
        memo[id(self)] = result
        if self._copies_gradient:
            result._grad = deepcopy(self.grad, memo)
        return result

    def __hash__(self) -> Any:
        return id(self)

    # Indexing and change in place -------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Tensor:
        return get_item(self, index)

    def __setitem__(self, index: Any, value: Tensor | Scalar | np.ndarray) -> None:
        set_item(self, index, value)

    def copy_(self, src: Tensor, non_blocking: bool = False) -> Tensor:
        """Overwrite with the values of another tensor, broadcast and converted; it may live on another device.

        Gradients flow to the source; ``non_blocking`` changes nothing.
        """
        source = src if isinstance(src, Tensor) else tensor(src, device=self.device)
        if inplace.check(self, source):
            values = source.to(device=self.device, dtype=self.dtype)
            return inplace.change(self, values if values.shape == self.shape else values.expand(*self.shape))
        return self._assign(source.detach().to(self.device))

    def _assign(self, value: Tensor | Scalar) -> Tensor:
        elementwise.assign(self._array, value._array if isinstance(value, Tensor) else value)
        self._array.version.count += 1
        return self

    def fill_(self, value: Scalar | Tensor) -> Tensor:
        """Set every element to a number, or to the value of a 0-d tensor."""
        if isinstance(value, Tensor):
            if value.ndim:
                raise RuntimeError(f"fill_() needs a number or a 0-d tensor, not one of shape {tuple(value.shape)}")
            return self.copy_(value)
        needs = inplace.check(self)
        self._assign(value)
        if needs:
            inplace.record(self, None)
        return self

    def zero_(self) -> Tensor:
        """Set every element to 0."""
        return self.fill_(0)


class _Retained:
    """Keeps a tensor's gradient in its ``.grad``, whichever node of the graph its history ends with."""

    __slots__ = ("_handle", "_tensor")

    def __init__(self, tensor: Tensor):
        self._tensor = weakref.ref(tensor)     # the node must not keep alive the tensor that keeps it
        self._handle = tensor.register_hook(self.keep)

    def keep(self, g: Tensor) -> None:
        """Add the gradient to what is there."""
        tensor = self._tensor()
        if tensor is not None:
            tensor._grad = g if tensor._grad is None else tensor._grad + g

    def move(self, node: Node) -> None:
        """The tensor's history ends with another node now."""
        self._handle.remove()
        node.hooks = node.hooks or Hooks()
        self._handle = register(node.hooks, self.keep)


autograd.bind(Tensor)


def as_array(data: Any, dtype: DType | None) -> np.ndarray:
    """Host data as a NumPy array with genesis' defaults: Python floats become float32, ints int64."""
    if isinstance(data, np.ndarray | np.generic):
        values = np.asarray(data)
    else:
        if isinstance(data, Sequence) and not isinstance(data, str) and any(isinstance(x, Tensor) for x in data):
            data = [x.detach().numpy() if isinstance(x, Tensor) else x for x in data]
        try:
            values = np.asarray(data)
        except ValueError as error:
            raise ValueError(f"the nested lists do not form a rectangular array: {error}") from None
        if dtype is None and values.dtype == np.float64 and not hasattr(data, "__array__"):
            typed = isinstance(data, list | tuple) and any(
                isinstance(x, np.ndarray | np.generic) and x.dtype == np.float64 for x in data)
            dtype = None if typed else dtypes.get_default_dtype()
        elif dtype is None and values.dtype == np.complex128 and not hasattr(data, "__array__"):
            dtype = dtypes.of_scalar(0j)
    if values.dtype.kind in "OUSV" and values.dtype != dtypes.bfloat16.numpy:
        raise TypeError(f"cannot make a tensor from {type(data).__name__} with elements of type {values.dtype}")
    if dtype is not None:
        if dtype.kind in "iu" and values.size and values.dtype.kind in "iuf" and not hasattr(data, "__array__"):
            dtypes.check_fits(values.min(), values.max(), dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            return values.astype(dtype.numpy, copy=False)
    return values


def tensor(data: Any, *, dtype: Any = None, device: Device | str | int | None = None,
           requires_grad: bool = False) -> Tensor:
    """A new tensor with a copy of ``data``.

    Args:
        data: number, nested lists, NumPy array, another tensor or anything with ``__array__``.
        dtype: element type; by default int64 for Python ints, float32 for floats, bool for bools, else the array's.
        device: where to put it; the default device if None.
        requires_grad: whether gradients are to be computed for it.

    Raises:
        TypeError: the elements have a type that genesis does not know.
        ValueError: nested lists of unequal lengths.

    Example:
        >>> genesis.tensor([[1, 2], [3, 4]]).sum()
        tensor(10)
    """
    wanted = None if dtype is None else as_dtype(dtype)
    where = find_device(device) if device is not None else (
        data.device if isinstance(data, Tensor) else default_device())
    if isinstance(data, Tensor):
        result = data.detach().to(where)
        result = Tensor._wrap(elementwise.copy(result._array, wanted))
    else:
        result = Tensor._wrap(upload(where, as_array(data, wanted)))
    return result.requires_grad_(requires_grad)


def from_array(array: Array) -> Tensor:
    """A tensor on an array, without copying."""
    return Tensor._wrap(array)


__all__ = ["Size", "Slot", "Tensor", "as_array", "contiguous_strides", "from_array", "tensor"]
