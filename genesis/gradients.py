"""Where the parameters of an optimizer live: flat storage, in which backward leaves gradients for the update to read.

A parameter in an arena is a view of flat memory and has a `GradientSlot`; the first gradient that backward
computes for it is written into the slot, further ones are added there. What does not fit is handled beside it: a
gradient assigned by hand keeps its own memory and is copied into the slot before the update; a parameter whose memory
is shared with something else, or belongs to another arena, stays where it is and is copied in and out.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .autograd import inplace
from .dtypes import DType
from .opencl import Alias, Arena, Buffer, Device
from .ops import elementwise
from .ops.array import Array, Version
from .ops.grad_norm import Gradients
from .ops.ownership import is_shared
from .ops.sparse import SparseRows
from .sparse import SparseTensor, elements
from .tensor import Tensor


class SlotVersion(Version):
    """Counts the changes of a slot's parameter: its own, updates of all slots, and updates of some that included it."""

    __slots__ = ("index", "updates")

    def __init__(self, whole: Version, updates: np.ndarray, index: int):
        super().__init__(whole)
        self.updates = updates
        self.index = index

    @property
    def now(self) -> int:
        """The number of changes so far."""
        return super().now + int(self.updates[self.index])


class GradientArena:
    """Parameters of one device and element type in flat storage.

    Args:
        owner: who updates the parameters; once it is gone, another arena may take them over.
        tensors: the parameters.

    Attributes:
        arena: layout and buffers: ``"param"``, ``"grad"`` and what the owner adds.
        stored: element type of the buffers, in which a complex number is two real ones.
        present: bit i is set when slot i holds a gradient. Recording it in one integer makes "the same gradients as in
            the last step" a single comparison.
        assigned: gradients that lie elsewhere, by slot.
        outside: slots of parameters whose data lies elsewhere.
        polled: slots of parameters whose gradients are kept elsewhere, such as in another arena.
        source: the flat buffer that holds the gradients of the next update: ``"grad"``, or ``"staged"`` when writing
            assigned gradients into their slots would overwrite gradients that somebody still looks at.
        lent: by slot, the name by which its gradient was handed out last.
        touched: bit i is set when `gather` found a sparse gradient for slot i, which an update takes row by row.
        rows: those gradients by slot, every row once.
        version: counts the updates of all slots together.
        updates: for each slot, how many updates of a part of the slots included it.
    """

    def __init__(self, owner: Any, tensors: Sequence[Tensor]):
        self.device: Device = tensors[0].device
        self.dtype: DType = tensors[0].dtype
        self.stored = self.dtype.to_real()
        self.arena = Arena(self.device, [t.numel() * self.dtype.itemsize // self.stored.itemsize for t in tensors])
        self.owner = weakref.ref(owner, _forget_states(self.arena.buffers))
        self.shapes = [t._array.shape for t in tensors]
        self.present = 0
        self.generation = 0
        self.source = "grad"
        self.assigned: dict[int, Tensor] = {}
        self.outside: set[int] = set()
        self.polled: set[int] = set()
        self.lent: dict[int, weakref.ref[Alias]] = {}
        self.touched = 0
        self.rows: dict[int, SparseRows] = {}
        self.version = Version()
        self.updates = np.zeros(len(tensors), np.int64)
        self._homes: dict[int, weakref.ref[Alias]] = {}
        self._slot_at = {self._start(i): i for i in range(len(tensors)) if self.arena.sizes[i]}
        self._rows: tuple[int, Buffer] | None = None
        self._grads: Array | None = None
        for i, tensor in enumerate(tensors):
            self._take_in(i, tensor)

    def flat(self, name: str, index: int, dtype: DType) -> Array:
        """The part of a flat buffer that belongs to a slot."""
        buffer = self.arena.buffer(name, dtype.to_real().itemsize)
        return Array(buffer, dtype, self.shapes[index], offset=self._start(index),
                     version=SlotVersion(self.version, self.updates, index) if name == "param" else None)

    def _start(self, index: int) -> int:
        """Where a slot begins, in elements of the tensors' type."""
        return self.arena.starts[index] * self.stored.itemsize // self.dtype.itemsize

    def full(self, mask: int) -> bool:
        """Whether a set of slots is all of them."""
        return mask == (1 << len(self.shapes)) - 1

    def _take_in(self, index: int, tensor: Tensor) -> None:
        """Give the tensor a slot and move its data into the flat buffer, where neither has another claim on it."""
        if self._belongs_elsewhere(tensor):
            self.polled.add(index)
            self.outside.add(index)
            return
        self.polled.discard(index)
        gradient = tensor.grad
        tensor._grad = None
        tensor._slot = GradientSlot(self, index)
        self.outside.add(index)
        if not is_shared(tensor):
            self.move_in(index, tensor)
        if gradient is not None:
            self.assigned[index] = gradient

    def _belongs_elsewhere(self, tensor: Tensor) -> bool:
        """Whether another optimizer has the tensor, or a graph does."""
        slot = tensor._slot
        return not tensor.is_leaf or (isinstance(slot, GradientSlot) and slot.arena is not self
                                      and slot.arena.owner() is not None)

    def _take_over(self, tensors: Sequence[Tensor]) -> None:
        """Take in tensors whose other optimizer is gone."""
        for index in list(self.polled):
            if not self._belongs_elsewhere(tensors[index]):
                self._take_in(index, tensors[index])

    def move_in(self, index: int, tensor: Tensor) -> None:
        """Make the tensor a view of its slot in the flat buffer, with the values that it has."""
        home = self.flat("param", index, self.dtype)
        home.buffer = Alias(home.buffer)      # a name of its own, so that is_shared() can tell who looks at it
        self._homes[index] = weakref.ref(home.buffer)
        if home.size:
            elementwise.assign(home, tensor._array)
        tensor._array = home
        self.outside.discard(index)

    def must_leave(self, index: int, tensor: Tensor) -> bool:
        """Whether a parameter whose data lies elsewhere cannot have the slot again.

        It is of another device or type now, or somebody still looks at the data that it had in the slot.
        """
        if tensor.device is not self.device or tensor.dtype is not self.dtype:
            return True
        home = self._homes.get(index)
        return home is not None and home() not in (None, tensor._array.buffer)

    def release(self, index: int, tensor: Tensor) -> None:
        """Forget a slot: its parameter goes elsewhere."""
        slot = tensor._slot
        if isinstance(slot, GradientSlot) and slot.arena is self:
            tensor._grad = slot.grad(tensor)
            tensor._slot = None
        self.present &= ~(1 << index)
        self.assigned.pop(index, None)
        self.outside.discard(index)
        self.polled.discard(index)

    def gather(self, tensors: Sequence[Tensor], by_rows: Callable[[int], bool]) -> int:
        """Bring gradients that lie elsewhere into a flat buffer.

        Args:
            tensors: the parameters.
            by_rows: whether a slot's sparse gradient goes to `rows`; else what it stands for goes into the buffer.

        Returns:
            The bits of all slots with a gradient in the buffer.
        """
        self.source = "grad"
        self.touched = 0
        if not (self.assigned or self.polled):
            return self.present
        self._take_over(tensors)
        found = dict(self.assigned)
        for index in self.polled:
            gradient = tensors[index].grad
            if gradient is not None:
                found[index] = gradient
        mask = self.present
        for index, gradient in list(found.items()):
            if tuple(gradient.shape) != self.shapes[index] or gradient.device is not self.device:
                raise RuntimeError(f"a gradient of shape {tuple(gradient.shape)} on {gradient.device} does not fit its "
                                   f"parameter, of shape {self.shapes[index]} on {self.device}")
            if isinstance(gradient, SparseTensor):
                if by_rows(index):
                    self._take_rows(index, found.pop(index)._rows)
                    continue
                found[index] = gradient.to_dense()
            mask |= 1 << index
        found = {index: gradient for index, gradient in found.items() if not self._in_place(index, gradient)}
        if any(self.is_lent(index) for index in found):
            self.source = "staged"
            grads, staged = (self.arena.buffer(name, self.stored.itemsize) for name in ("grad", "staged"))
            self.device.copy(grads, 0, staged, 0, grads.nbytes)
        for index, gradient in found.items():
            self._put(index, gradient._array)
        return mask

    def _take_rows(self, index: int, rows: SparseRows) -> None:
        if rows.dtype is not self.dtype:
            rows = rows.copy(self.dtype)
        rows.join()
        self.rows[index] = rows
        self.touched |= 1 << index

    def _put(self, index: int, values: Array) -> None:
        """Copy a gradient into its slot of `source`; for the host the device's own copy is less work than a launch."""
        home, size = self.flat(self.source, index, self.dtype), self.dtype.itemsize
        assert isinstance(home.buffer, Buffer)
        if values.dtype is not self.dtype or not values.is_contiguous():
            elementwise.assign(home, values)
        elif values.size:
            self.device.copy(values.buffer, values.offset * size, home.buffer, home.offset * size, values.nbytes)

    def _in_place(self, index: int, gradient: Tensor) -> bool:
        array = gradient._array
        return (array.offset == self._start(index) and array.dtype is self.dtype and array.is_contiguous()
                and array.buffer.handle is self.arena.buffer("grad", self.stored.itemsize).handle)

    def is_lent(self, index: int) -> bool:
        """Whether somebody still looks at the gradient that was in a slot."""
        return index in self.lent and self.lent[index]() is not None

    def turns(self, tensors: Sequence[Tensor], mask: int) -> dict[int, int]:
        """Parameters that share their memory with another: how many of those come before them in an update."""
        sharing: dict[tuple[int, int], list[int]] = {}
        for index in self.outside:
            array = tensors[index]._array
            if mask >> index & 1 and array.size:
                sharing.setdefault((id(array.buffer.handle), array.offset), []).append(index)
        home = id(self.arena.buffer("param", self.stored.itemsize).handle)
        for (handle, offset), indices in sharing.items():
            inside = self._slot_at.get(offset) if handle == home else None
            if inside is not None and mask >> inside & 1 and inside not in self.outside:
                indices.append(inside)
        return {index: turn for indices in sharing.values() for turn, index in enumerate(sorted(indices)) if turn}

    def collect(self, tensors: Sequence[Tensor], mask: int) -> None:
        """Before an update: bring the values of parameters that lie elsewhere into the flat buffer."""
        for index in list(self.outside):
            if mask >> index & 1:
                tensor = tensors[index]
                if index not in self.polled and not is_shared(tensor):
                    self.move_in(index, tensor)
                else:
                    elementwise.assign(self.flat("param", index, self.dtype), tensor._array)

    def scatter(self, tensors: Sequence[Tensor], mask: int, slots: np.ndarray | None) -> None:
        """After an update: count the change, and bring new values back to the parameters that lie elsewhere.

        Args:
            tensors: the parameters.
            mask: bits of the slots that were updated.
            slots: their numbers; None for all.
        """
        if slots is None:
            self.version.count += 1
        else:
            self.updates[slots] += 1
        for index in self.outside:
            if mask >> index & 1:
                array = tensors[index]._array
                elementwise.assign(array, self.flat("param", index, self.dtype))
                array.version.count += 1

    def gradients(self, mask: int, source: str = "grad") -> Gradients:
        """The gradients of the slots in ``mask``, all in one piece."""
        if source == "grad" and self._grads is not None:
            array = self._grads
        else:
            array = Array(self.arena.buffer(source, self.stored.itemsize), self.stored, (self.arena.elements,))
            if source == "grad":       # the same array each time, by which launches planned for it are found again
                self._grads = array
        if self.full(mask):
            return Gradients(array, None)
        if self._rows is None or self._rows[0] != mask:
            self._rows = mask, self.arena.row_map((i, 0) for i in range(len(self.shapes)) if mask >> i & 1)
        return Gradients(array, self._rows[1])

    def clear(self, tensors: Sequence[Tensor], set_to_none: bool) -> None:
        """Clear all gradients: forget them, or set those that exist to 0."""
        self._take_over(tensors)
        if set_to_none:
            self.generation += 1
            self.present = 0
            self.assigned.clear()
            for index in self.polled:
                tensors[index].grad = None
            return
        if self.full(self.present):
            elementwise.assign(self.gradients(self.present).array, 0)
        else:
            for index in range(len(self.shapes)):
                if self.present >> index & 1:
                    elementwise.assign(self.flat("grad", index, self.dtype), 0)
        for gradient in [*self.assigned.values(), *(tensors[i].grad for i in self.polled)]:
            if gradient is not None:
                gradient.detach().zero_()


def pieces(parameters: Iterable[Tensor]) -> tuple[list[Gradients], list[Tensor]]:
    """The gradients of tensors that lie in arenas, in as few pieces as possible, and those elsewhere; each once.

    Of sparse ones, what has their elements.
    """
    masks: dict[GradientArena, int] = {}
    others: dict[int, Tensor] = {}
    for x in parameters:
        slot = x._slot
        if isinstance(slot, GradientSlot) and slot.arena.present >> slot.index & 1:
            masks[slot.arena] = masks.get(slot.arena, 0) | 1 << slot.index
        else:
            g = x.grad
            if g is not None:
                others[id(g)] = elements(g)
    return [arena.gradients(mask) for arena, mask in masks.items()], list(others.values())


def _forget_states(buffers: dict[str, Buffer]) -> Callable[[Any], None]:
    """What to do when an arena's owner is gone: its parameters stay in the arena, what else it kept there goes."""
    def forget(_: Any) -> None:
        for name in buffers.keys() - {"param", "grad"}:
            del buffers[name]

    return forget


class GradientSlot:
    """One parameter's place in a `GradientArena`; see `genesis.tensor.Slot` for the methods."""

    __slots__ = ("__weakref__", "_generation", "_view", "arena", "index")

    def __init__(self, arena: GradientArena, index: int):
        self.arena = arena
        self.index = index
        self._view: Tensor | None = None
        self._generation = -1

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
            self._view._slot = _ViewSlot(self)
            arena.lent[self.index] = weakref.ref(alias)
        return self._view

    def set_grad(self, owner: Tensor, value: Tensor | None) -> None:
        """Forget the gradient, or take over a tensor as it."""
        arena, index = self.arena, self.index
        if value is not None and self.holds(value):
            return
        self._view = None
        arena.present &= ~(1 << index)
        arena.assigned.pop(index, None)
        if value is not None:
            arena.assigned[index] = value

    def holds(self, value: Tensor) -> bool:
        """Whether a tensor is the gradient in the slot's memory."""
        arena = self.arena
        return value is self._view and self._generation == arena.generation and bool(arena.present >> self.index & 1)

    def target(self, owner: Tensor) -> Array | None:
        """The slot's memory, when it holds no gradient and nobody still looks at the last one."""
        arena = self.arena
        if arena.present >> self.index & 1 or self.index in arena.assigned:
            return None
        self._view = None
        if arena.is_lent(self.index):
            return None
        if (owner.dtype is not arena.dtype or owner._array.shape != arena.shapes[self.index]
                or owner.device is not arena.device):
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
            if held.is_sparse:
                held = arena.assigned[index] = held.to_dense()
            into = held._array
            # Expanded, its elements share memory; with a history, other tensors may need its values.
            kept = held._node is not None or inplace.is_expanded(into)
            total = elementwise.run("add", [into, g], into.dtype, out=None if kept else into)
            if kept:
                arena.assigned[index] = Tensor._wrap(total)
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


class _ViewSlot:
    """What a gradient in a slot has for a slot itself: notices when it gets other data (``p.grad.data = x``)."""

    __slots__ = ("_slot",)

    def __init__(self, slot: GradientSlot):
        self._slot = weakref.ref(slot)

    def moved(self, owner: Tensor) -> None:
        """The gradient is now like one that was assigned."""
        slot = self._slot()
        if slot is not None and slot.holds(owner):
            slot.arena.present &= ~(1 << slot.index)
            slot.arena.assigned[slot.index] = owner
            slot._view = None
        owner._slot = None

    def grad(self, owner: Tensor) -> Tensor | None:
        """The gradient's own gradient, kept as any tensor's."""
        return owner._grad

    def set_grad(self, owner: Tensor, value: Tensor | None) -> None:
        """Replace it."""
        owner._grad = value

    def target(self, owner: Tensor) -> None:
        """Nowhere."""

    def accumulate(self, owner: Tensor, g: Array, written: bool) -> None:
        """Add to it."""
        owner._slot = None
        owner._accumulate_grad(g)
        owner._slot = self
