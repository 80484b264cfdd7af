"""What L-BFGS needs of the device: parameters and gradients as one vector, and the history of steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import float64
from ..gradients import GradientArena
from ..opencl import CHUNK
from ..ops.array import Array, empty, upload
from ..tensor import Tensor
from .rule import state_dtype


class Measure(NamedTuple):
    """What the host wants to know of a vector a and another, b."""

    largest: float      # max |a|
    total: float        # sum |a|
    product: float      # a * b


class Flat:
    """The parameters of an optimizer as one vector, in the order in which they are given.

    Vectors are 1-D arrays of all parameters' elements, in float32, or float64 for parameters of that type.

    Args:
        optimizer: whose parameters they are.
        tensors: all of one device and element type.

    Attributes:
        tensors: the parameters.
        size: elements of a vector.
        dtype: their type.
        device: where they are.
    """

    def __init__(self, optimizer: Any, tensors: Sequence[Tensor]):
        self.tensors = list(tensors)
        self.arena = GradientArena(optimizer, tensors)
        self.device = self.arena.device
        self.size = sum(x.numel() for x in tensors)
        self.dtype = state_dtype(self.arena.dtype)
        group = 1 if self.device.type == "cpu" else 256
        width = 1 if group > 1 else 8 if self.dtype is float64 else 16
        self._group = group
        self._defines: tuple[tuple[str, Any], ...] = (
            ("PARAM", self.arena.dtype.name), ("GROUP", group), ("WIDTH", width), ("CHUNK", CHUNK))
        self._scalar = "f"
        if self.dtype is float64:
            self._defines += (("REAL64", 1),)
            self._scalar = "d"
        self._spans = upload(self.device, self._where())

    def _where(self) -> np.ndarray:
        """For each chunk of the arena its first element in a vector, and how many are there."""
        spans, first = [], 0
        for x in self.tensors:
            spans += [(first + at, min(CHUNK, x.numel() - at)) for at in range(0, x.numel(), CHUNK)]
            first += x.numel()
        return np.array(spans or [(0, 0)], np.int32)

    def still(self, tensors: Sequence[Tensor]) -> bool:
        """Whether the parameters are these, where and as large as they were."""
        return len(tensors) == len(self.tensors) and all(
            x is known and x._array.shape == shape for x, known, shape in zip(tensors, self.tensors, self.arena.shapes)
        ) and not any(self.arena.must_leave(slot, tensors[slot]) for slot in self.arena.outside)

    def release(self) -> None:
        """Give the parameters back."""
        for slot, x in enumerate(self.tensors):
            self.arena.release(slot, x)

    def launch(self, name: str, signature: str, size: tuple[int, ...], local: tuple[int, ...] | None,
               *arguments: Any) -> None:
        """Launch a kernel of ``lbfgs.cl``; S in a signature is the type of scalars."""
        signature = signature.replace("S", self._scalar)
        kernel = self.device.programs.kernel("optim/lbfgs.cl", name, signature, self._defines)
        if size[0]:
            kernel(size, local, *arguments)

    def vector(self) -> Array:
        """A new vector, not yet filled."""
        return empty(self.device, (self.size,), self.dtype)

    def gradient(self) -> Array:
        """All gradients, as a new vector; 0 where there is none."""
        arena, g = self.arena, self.vector()
        mask = arena.gather(self.tensors, lambda slot: False)
        found = arena.gradients(mask, arena.source)
        rows = found.array.buffer if found.rows is None else found.rows
        self.launch("gather", "PPiPP", (arena.arena.elements,), None, found.array.buffer.handle, rows.handle,
                    int(found.rows is not None), self._spans.buffer.handle, g.buffer.handle)
        return g

    def _buffer(self, name: str) -> Any:
        return self.arena.arena.buffer(name, self.arena.dtype.itemsize)

    def remember(self) -> None:
        """Keep the parameters as they are, for `move`."""
        self.arena.collect(self.tensors, (1 << len(self.tensors)) - 1)
        params = self._buffer("param")
        self.device.copy(params, 0, self._buffer("start"), 0, params.nbytes)

    def move(self, t: float, direction: Array, start: str = "param") -> None:
        """The parameters become ``start + t * direction``; ``"start"`` is what `remember` kept."""
        everything = (1 << len(self.tensors)) - 1
        if start == "param":
            self.arena.collect(self.tensors, everything)
        self.launch("move", "PPPPS", (self.arena.arena.elements,), None, self._buffer("param").handle,
                    self._buffer(start).handle, self._spans.buffer.handle, direction.buffer.handle, t)
        self.arena.scatter(self.tensors, everything, None)

    def measure(self, a: Array, b: Array) -> Array:
        """Begin to measure a vector; `read` gives what came of it."""
        count = max(1, -(-self.size // CHUNK))
        parts = empty(self.device, (3 * count,), self.dtype)
        self.launch("measure", "PPlP", (count * self._group,), (self._group,), a.buffer.handle, b.buffer.handle,
                    self.size, parts.buffer.handle)
        return self._joined(parts, count, 3, 1)

    def _joined(self, parts: Array, count: int, results: int, maxima: int) -> Array:
        joined = empty(self.device, (results,), self.dtype)
        self.launch("join", "PliP", (results * self._group,), (self._group,), parts.buffer.handle, count, maxima,
                    joined.buffer.handle)
        return joined

    def read(self, results: Array) -> np.ndarray:
        """Results, in float64; waits for them."""
        values = np.empty(results.shape, self.dtype.numpy)
        self.device.read(results.buffer, 0, values)
        return values.astype(np.float64)

    def dots(self, rows: Array, count: int, gradient: Array, at: int) -> np.ndarray:
        """Products of rows 0 to ``count`` with the gradient and with the rows ``at`` and ``at + 1``, (count, 3)."""
        parts_each = max(1, -(-self.size // CHUNK))
        parts = empty(self.device, (3 * count * parts_each,), self.dtype)
        self.launch("dots", "PPllP", (parts_each * self._group, count), (self._group, 1), rows.buffer.handle,
                    gradient.buffer.handle, at * self.size, self.size, parts.buffer.handle)
        return self.read(self._joined(parts, parts_each, 3 * count, 0)).reshape(count, 3)


class History:
    """The last steps s and changes of the gradient y of L-BFGS, and the products among them.

    With the products s·y and y·y at hand, the two loops of Nocedal & Wright's Algorithm 7.4 take place on the host, on
    numbers, and the device reads the history twice: for the products with a new gradient, and for the direction, which
    is a weighted sum of its rows, as in Chen, Wang & Zhou 2014, "Large-Scale L-BFGS Using MapReduce".

    Args:
        flat: the parameters.
        size: how many pairs to keep.
    """

    def __init__(self, flat: Flat, size: int):
        self.flat = flat
        self.size = size
        self.slots: list[int] = []           # where pairs lie, from the oldest to the newest
        self._capacity = 0
        self._rows = empty(flat.device, (0,), flat.dtype)
        self._sy = np.zeros((0, 0))          # by slot: s_i · y_j
        self._yy = np.zeros((0, 0))
        self._products = np.zeros((0, 3))    # of all rows with gradient, s and y of the last pair that was offered

    def _free_slot(self) -> int:
        """A slot that no pair has; makes room for more pairs when there is none."""
        used = set(self.slots)
        free = next((i for i in range(self._capacity) if i not in used), None)
        if free is not None:
            return free
        old, rows, self._capacity = self._capacity, self._rows, min(max(4, 2 * self._capacity), self.size + 1)
        self._rows = empty(self.flat.device, (2 * self._capacity * self.flat.size,), self.flat.dtype)
        if old:
            self.flat.device.copy(rows.buffer, 0, self._rows.buffer, 0, rows.nbytes)  # type: ignore[arg-type]
        grown = [np.zeros((self._capacity, self._capacity)) for _ in range(2)]
        for new, known in zip(grown, (self._sy, self._yy)):
            new[:old, :old] = known
        self._sy, self._yy = grown
        return old

    def offer(self, gradient: Array, former: Array, direction: Array, t: float) -> float | None:
        """A step by ``t * direction`` has changed the gradient; returns s·y / y·y if the pair is kept.

        Curvature along the step must be positive, s·y > 1e-10; otherwise the history stays as it is.
        """
        slot, flat = self._free_slot(), self.flat
        flat.launch("pair", "PPPSPll", (flat.size,), None, gradient.buffer.handle, former.buffer.handle,
                    direction.buffer.handle, t, self._rows.buffer.handle, 2 * slot * flat.size, flat.size)
        return self._take(slot, gradient)

    def _take(self, slot: int, gradient: Array) -> float | None:
        count = max([slot, *self.slots]) + 1
        products = self._products = self.flat.dots(self._rows, 2 * count, gradient, 2 * slot)
        ys = products[2 * slot, 2]
        if not ys > 1e-10:
            return None
        if len(self.slots) == self.size:
            self.slots.pop(0)
        self.slots.append(slot)
        self._sy[:count, slot] = products[0::2, 2]
        self._sy[slot, :count] = products[1::2, 1]
        self._yy[:count, slot] = self._yy[slot, :count] = products[1::2, 2]
        return float(ys / self._yy[slot, slot])

    def direction(self, gradient: Array, scale: float) -> Array:
        """Minus the inverse Hessian's approximation times the gradient that was offered last.

        Args:
            gradient: that gradient.
            scale: the approximation to begin with is this number times the identity.
        """
        slots = np.array(self.slots, np.int32)
        sg, yg = self._products[2 * slots, 0], self._products[2 * slots + 1, 0]
        sy, yy = self._sy[np.ix_(slots, slots)], self._yy[np.ix_(slots, slots)]
        # Beginning with q = -g, from the newest pair on: q = q - alpha_i y_i.
        alpha = np.zeros(len(slots))
        for i in reversed(range(len(slots))):
            alpha[i] = (-sg[i] - sy[i, i + 1:] @ alpha[i + 1:]) / sy[i, i]
        # Beginning with r = scale q, from the oldest pair on: r = r + gain_i s_i, where gain_i = alpha_i - beta_i.
        yr, gain = scale * (-yg - yy @ alpha), np.zeros(len(slots))
        for i in range(len(slots)):
            gain[i] = alpha[i] - (yr[i] + gain[:i] @ sy[:i, i]) / sy[i, i]
        weights = np.stack([gain, -scale * alpha], axis=1)
        # The oldest pair first, wherever pairs lie, so that a history that was saved and loaded gives the same bits.
        flat, result = self.flat, self.flat.vector()
        order, own = upload(flat.device, slots), upload(flat.device, weights.astype(flat.dtype.numpy))
        flat.launch("direction", "PSPPPilP", (flat.size,), None, gradient.buffer.handle, scale,
                    self._rows.buffer.handle, order.buffer.handle, own.buffer.handle, len(slots), flat.size,
                    result.buffer.handle)
        return result

    def lists(self) -> tuple[list[Tensor], list[Tensor], list[float]]:
        """All y, all s and 1 / s·y, from the oldest pair to the newest; the tensors look at the history's memory."""
        n = self.flat.size

        def row(i: int) -> Tensor:
            return Tensor._wrap(self._rows.view((n,), (1,), i * n))

        return ([row(2 * i + 1) for i in self.slots], [row(2 * i) for i in self.slots],
                [float(1 / self._sy[i, i]) for i in self.slots])

    def restore(self, pairs: Sequence[tuple[Array, Array]]) -> None:
        """Take over pairs of y and s, from the oldest to the newest, as they are."""
        for y, s in pairs[-self.size:]:
            slot = self._free_slot()
            for i, x in enumerate((s, y)):
                self.flat.device.copy(x.buffer, x.offset * x.dtype.itemsize, self._rows.buffer,  # type: ignore[arg-type]
                                      (2 * slot + i) * x.nbytes, x.nbytes)
            self._take(slot, y)
