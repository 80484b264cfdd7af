"""Sequences of different lengths, packed without gaps: step after step, of each step one row a sequence that has it.

Sequences are in order of falling length, so that a step has the rows of the first ones: ``sizes[t]`` of them.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..opencl import Device
from .array import Array, empty, upload
from .elementwise import assign
from .index import scatter_into, select
from .operation import Context, Operation


class Ragged:
    """Which rows the steps have, among the N = sum(sizes) rows of all.

    A recurrent layer keeps a state before the first step and after each: a history of B + N rows, which holds B rows
    and then those of the steps in their order. Forward, the first B rows are the first states, and each step's rows are
    the states after it; backwards, each step's rows are the states before it, and the first B rows the last states.

    Args:
        sizes: rows of each step, none more than the one before.
        batch: B, the rows of the first step, if there is one.
        device: where arrays of indices lie.
    """

    def __init__(self, sizes: tuple[int, ...], batch: int, device: Device):
        self.sizes, self.batch, self.device = sizes, batch, device
        self.starts = [0]
        for size in sizes:
            self.starts.append(self.starts[-1] + size)
        self.total = self.starts[-1]
        self.even = self.total == len(sizes) * batch
        self.own = [batch + start for start in self.starts]      # places of each step in a history
        self.earlier = [0, *self.own]                            # and of the step before it

    def before(self, t: int, reverse: bool) -> int:
        """First row in a history of the states before a step."""
        return self.own[t] if reverse else self.earlier[t]

    def after(self, t: int, reverse: bool) -> int:
        """First row in a history of the states after a step."""
        return self.earlier[t] if reverse else self.own[t]

    def order(self, reverse: bool) -> range:
        """The steps, in the order of a direction."""
        return range(len(self.sizes) - 1, -1, -1) if reverse else range(len(self.sizes))

    @cached_property
    def lengths(self) -> np.ndarray:
        """Length of each sequence."""
        return (np.asarray(self.sizes)[:, None] > np.arange(self.batch)).sum(0)

    @cached_property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Step and sequence of each row."""
        step = np.repeat(np.arange(len(self.sizes)), self.sizes)
        return step, np.arange(self.total) - np.asarray(self.starts)[step]

    def begins(self, reverse: bool) -> np.ndarray:
        """Row of each sequence's first step in a direction, (B,)."""
        return np.asarray(self.starts)[self.lengths - 1 if reverse else 0] + np.arange(self.batch)

    @cached_property
    def _ends(self) -> Array:
        return upload(self.device, self.begins(True))

    @cached_property
    def _end_states(self) -> Array:
        return upload(self.device, np.asarray(self.own)[self.lengths - 1] + np.arange(self.batch))

    @cached_property
    def _previous(self) -> Array:
        step, sequence = self.places
        return upload(self.device, np.asarray(self.earlier)[step] + sequence)

    def ends(self, x: Array) -> Array:
        """Of rows (N, n), those of each sequence's last step: (B, n)."""
        return part(x, self.total - self.batch, self.batch) if self.even else select(x, 0, self._ends)

    def at_ends(self, history: Array) -> Array:
        """Of a history, the states in the places of the last steps: (B, n)."""
        return part(history, self.total, self.batch) if self.even else select(history, 0, self._end_states)

    def befores(self, history: Array, reverse: bool) -> Array:
        """The states before all steps, (N, n)."""
        return self._of_steps(history, reverse)

    def afters(self, history: Array, reverse: bool) -> Array:
        """The states after all steps, (N, n)."""
        return self._of_steps(history, not reverse)

    def _of_steps(self, history: Array, own: bool) -> Array:
        if own:
            return part(history, self.batch, self.total)
        return part(history, 0, self.total) if self.even else select(history, 0, self._previous)

    def add_to_ends(self, out: Array, value: Array) -> None:
        """Add (B, n) to the rows (N, n) of the last steps."""
        scatter_into(out, 0, self._ends, value, "add")

    def history(self, first: Array, reverse: bool) -> Array:
        """Memory (B + N, n) for the states, with the first ones (B, n) in their places."""
        out = empty(first.device, (self.batch + self.total, first.shape[1]), first.dtype)
        if not reverse or self.even:
            assign(part(out, self.total if reverse else 0, self.batch), first)
        else:
            scatter_into(out, 0, self._end_states, first, "put")
        return out

    def first(self, history: Array, reverse: bool) -> Array:
        """The states (B, n) that a direction begins with."""
        return self.at_ends(history) if reverse else part(history, 0, self.batch)

    def last(self, history: Array, reverse: bool) -> Array:
        """The states (B, n) that a direction ends with."""
        return part(history, 0, self.batch) if reverse else self.at_ends(history)


def part(x: Array, first: int, count: int) -> Array:
    """Rows of an array, without a copy."""
    return x.view((count, *x.shape[1:]), x.strides, x.offset + first * x.strides[0])


class Rearrange(Operation):
    """Rows of x (n, ...) in another order, each at most once; ``fill`` where the index is n.

    ``index`` (m,) says for each row of the result which one of x it is, and ``inverse`` (n,) the other way, with m for
    what the result lacks.
    """

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, index: Array, inverse: Array, fill: float = 0) -> Array:
        """Rearrange."""
        ctx.index, ctx.inverse = index, inverse
        return _rearranged(x, index, fill)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The gradients of rows go back to where these were."""
        return _rearranged(g, ctx.inverse, 0)


def _rearranged(x: Array, index: Array, fill: float) -> Array:
    longer = empty(x.device, (x.shape[0] + 1, *x.shape[1:]), x.dtype)
    assign(part(longer, 0, x.shape[0]), x)
    assign(part(longer, x.shape[0], 1), fill)
    return select(longer, 0, index)
