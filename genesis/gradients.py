"""Where the parameters of an optimizer live: flat storage, in which backward leaves gradients for the update to read.

A parameter in an arena is a view of flat memory and has a :class:`GradientSlot`; the first gradient that backward
computes for it is written into the slot, further ones are added there. What does not fit is handled beside it: a
gradient assigned by hand keeps its own memory and is copied into the slot before the update; a parameter whose memory
is shared with something else, or belongs to another arena, stays where it is and is copied in and out.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Sequence
from typing import Any

from .dtypes import DType
from .opencl import Alias, Arena, Buffer, Device
from .ops import elementwise
from .ops.array import Array, Version
from .ops.grad_norm import Gradients
from .tensor import Tensor


class GradientArena:
    """Parameters of one device and element type in flat storage.

    Args:
        owner: who updates the parameters; once it is gone, another arena may take them over.
        tensors: the parameters.

    Attributes:
        arena: layout and buffers: ``"param"``, ``"grad"`` and what the owner adds.
        present: bit i is set when slot i holds a gradient. Recording it in one integer makes "the same gradients as in
            the last step" a single comparison.
        assigned: gradients that lie elsewhere, by slot.
        outside: slots of parameters whose data lies elsewhere.
        polled: slots of parameters whose gradients another arena keeps.
    """

    def __init__(self, owner: Any, tensors: Sequence[Tensor]):
        self.owner = weakref.ref(owner)
        self.device: Device = tensors[0].device
        self.dtype: DType = tensors[0].dtype
        self.arena = Arena(self.device, [t.numel() for t in tensors])
        self.shapes = [t._array.shape for t in tensors]
        self.present = 0
        self.generation = 0
        self.assigned: dict[int, Tensor] = {}
        self.outside: set[int] = set()
        self.polled: set[int] = set()
        self.version = Version()
        self._rows: tuple[int, Buffer] | None = None
        self._slots: list[GradientSlot | None] = []
        for i, tensor in enumerate(tensors):
            self._slots.append(None)
            self._take_in(i, tensor)

    def flat(self, name: str, index: int, dtype: DType) -> Array:
        """The part of a flat buffer that belongs to a slot."""
        buffer = self.arena.buffer(name, dtype.itemsize)
        return Array(buffer, dtype, self.shapes[index], offset=self.arena.starts[index],
                     version=Version(self.version) if name == "param" else None)

    def _take_in(self, index: int, tensor: Tensor) -> None:
        """Give the tensor a slot and move its data into the flat buffer, where neither has another claim on it."""
        other = tensor._slot
        if isinstance(other, GradientSlot) and other.arena is not self and other.arena.owner() is not None:
            self.polled.add(index)
            self.outside.add(index)
            return
        gradient = tensor.grad
        tensor._slot = None
        tensor._grad = None
        tensor._slot = self._slots[index] = GradientSlot(self, index)
        if is_shared(tensor):
            self.outside.add(index)
        else:
            self.move_in(index, tensor)
        if gradient is not None:
            self.assigned[index] = gradient

    def move_in(self, index: int, tensor: Tensor) -> None:
        """Make the tensor a view of its slot in the flat buffer, with the values that it has."""
        home = self.flat("param", index, self.dtype)
        home.buffer = Alias(home.buffer)      # a name of its own, so that is_shared() can tell who looks at it
        if home.size:
            elementwise.assign(home, tensor._array)
        tensor._array = home
        self.outside.discard(index)

    def release(self, index: int, tensor: Tensor) -> None:
        """Forget a slot: its parameter goes elsewhere."""
        if tensor._slot is self._slots[index] and tensor._slot is not None:
            tensor._grad = tensor._slot.grad(tensor)
            tensor._slot = None
        self._slots[index] = None
        self.present &= ~(1 << index)
        self.assigned.pop(index, None)
        self.outside.discard(index)
        self.polled.discard(index)

    def gather(self, tensors: Sequence[Tensor]) -> int:
        """Bring what lies elsewhere into the flat buffers; returns the bits of all slots with a gradient."""
        if not (self.assigned or self.outside or self.polled):
            return self.present
        mask = self.present
        for index in self.polled:
            gradient = tensors[index].grad
            if gradient is not None:
                elementwise.assign(self.flat("grad", index, self.dtype), gradient._array)
                mask |= 1 << index
        for index, gradient in self.assigned.items():
            elementwise.assign(self.flat("grad", index, self.dtype), gradient._array)
            mask |= 1 << index
        for index in list(self.outside):
            tensor = tensors[index]
            if index not in self.polled and not is_shared(tensor):
                self.move_in(index, tensor)
            elif mask >> index & 1:
                elementwise.assign(self.flat("param", index, self.dtype), tensor._array)
        return mask

    def scatter(self, tensors: Sequence[Tensor], mask: int) -> None:
        """After an update: bring new values back to the parameters that lie elsewhere, and count the change."""
        self.version.count += 1
        for index in self.outside:
            if mask >> index & 1:
                array = tensors[index]._array
                elementwise.assign(array, self.flat("param", index, self.dtype))
                array.version.count += 1

    def gradients(self, mask: int) -> Gradients:
        """The gradients of the slots in ``mask``, all in one piece."""
        array = Array(self.arena.buffer("grad", self.dtype.itemsize), self.dtype, (self.arena.elements,))
        if mask == (1 << len(self.shapes)) - 1:
            return Gradients(array, None)
        if self._rows is None or self._rows[0] != mask:
            self._rows = mask, self.arena.row_map((i, 0) for i in range(len(self.shapes)) if mask >> i & 1)
        return Gradients(array, self._rows[1])

    def clear(self, tensors: Sequence[Tensor], set_to_none: bool) -> None:
        """Clear all gradients: forget them, or set those that exist to 0."""
        if set_to_none:
            self.generation += 1
            self.present = 0
            self.assigned.clear()
            for index in self.polled:
                tensors[index].grad = None
            return
        if self.present:
            elementwise.assign(Array(self.arena.buffer("grad", self.dtype.itemsize), self.dtype,
                                     (self.arena.elements,)), 0)
        for gradient in [*self.assigned.values(), *(tensors[i].grad for i in self.polled)]:
            if gradient is not None:
                gradient.zero_()


class GradientSlot:
    """One parameter's place in a :class:`GradientArena`; see :class:`genesis.tensor.Slot` for the methods."""

    __slots__ = ("_generation", "_handed_out", "_view", "arena", "index")

    def __init__(self, arena: GradientArena, index: int):
        self.arena = arena
        self.index = index
        self._view: Tensor | None = None
        self._generation = -1
        self._handed_out: weakref.ref[Alias] | None = None

    def grad(self, owner: Tensor) -> Tensor | None:
        """The gradient: the tensor that was assigned, or a view of the slot."""
        arena = self.arena
        if arena.assigned and self.index in arena.assigned:
            return arena.assigned[self.index]
        if not arena.present >> self.index & 1:
            return None
        if self._view is None or self._generation != arena.generation:
            array = arena.flat("grad", self.index, arena.dtype)
            alias = Alias(array.buffer)
            array.buffer = alias
            self._view, self._generation = Tensor._wrap(array), arena.generation
            self._handed_out = weakref.ref(alias)
        return self._view

    def set_grad(self, owner: Tensor, value: Tensor | None) -> None:
        """Forget the gradient, or take over a tensor as it."""
        arena, index = self.arena, self.index
        if value is not None and value is self._view and self._generation == arena.generation and (
                arena.present >> index & 1):
            return
        arena.present &= ~(1 << index)
        arena.assigned.pop(index, None)
        if value is not None:
            arena.assigned[index] = value

    def target(self, owner: Tensor) -> Array | None:
        """The slot's memory, when it holds no gradient and nobody still looks at the last one."""
        arena = self.arena
        if arena.present >> self.index & 1 or self.index in arena.assigned:
            return None
        if self._handed_out is not None:
            self._view = None
            if self._handed_out() is not None:
                return None
            self._handed_out = None
        if owner.dtype is not arena.dtype or owner._array.shape != arena.shapes[self.index]:
            return None
        return arena.flat("grad", self.index, arena.dtype)

    def accumulate(self, owner: Tensor, g: Array, written: bool) -> None:
        """Add a gradient that backward computed."""
        arena, index = self.arena, self.index
        if written:
            arena.present |= 1 << index
            return
        held = self.grad(owner)
        if held is not None:
            into = held._array
            elementwise.run("add", [into, g], into.dtype, out=into)
            return
        target = self.target(owner)
        if target is None:
            arena.assigned[index] = Tensor._wrap(elementwise.copy(g, owner.dtype))
        else:
            if target.size:
                elementwise.assign(target, g)
            arena.present |= 1 << index

    def moved(self, owner: Tensor) -> None:
        """The parameter looks at other memory now."""
        self.arena.outside.add(self.index)


def _references(tensor: Any) -> tuple[int, int]:
    array = tensor._array
    return sys.getrefcount(array), sys.getrefcount(array.buffer)


class _Alone:
    """Something built like a tensor, whose memory nobody else refers to."""

    def __init__(self) -> None:
        self._array = type("", (), {})()
        self._array.buffer = type("", (), {})()


_ALONE = _references(_Alone())


def is_shared(tensor: Tensor) -> bool:
    """Whether a tensor's memory has other users: views, detached copies, a saved graph, a foreign buffer.

    Told from reference counts, compared with those of an object known to be alone; where an implementation of Python
    does not count references, everything counts as shared, which is slower and still right.
    """
    buffer = tensor._array.buffer
    if getattr(buffer, "foreign", False) or not hasattr(sys, "getrefcount"):
        return True
    del buffer
    counts = _references(tensor)
    return counts[0] > _ALONE[0] or counts[1] > _ALONE[1]
