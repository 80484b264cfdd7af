"""Batches: parameters of one shape that lie at even distances in an arena, seen as one array."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..dtypes import DType
from ..gradients import GradientArena
from ..opencl import Buffer
from ..ops.array import Array, Shape, contiguous_strides


class Batch(NamedTuple):
    """Some parameters of an arena.

    Attributes:
        arena: where they live.
        shape: the shape of each.
        slots: their positions; ``arena.starts`` of these are evenly spaced.
        chosen: for optimizers without passes, the scalars of this step on the device, as ``cl/optim/choose.cl`` says.
    """

    arena: GradientArena
    shape: Shape
    slots: tuple[int, ...]
    chosen: Buffer | None = None

    def array(self, name: str, dtype: DType) -> Array:
        """A flat buffer's part of these parameters as (count, *shape); nothing is copied."""
        starts = self.arena.arena.starts
        spacing = starts[self.slots[1]] - starts[self.slots[0]] if len(self.slots) > 1 else 0
        return Array(self.arena.arena.buffer(name, dtype.itemsize), dtype, (len(self.slots), *self.shape),
                     (spacing, *contiguous_strides(self.shape)), starts[self.slots[0]])


def batches(arena: GradientArena, slots: Sequence[int], most: int, chosen: Buffer | None = None) -> Iterator[Batch]:
    """The parameters in some slots, in as few batches as possible; those without elements are left out.

    Args:
        arena: where they live.
        slots: their positions.
        most: elements of a batch at the most, unless it is a single parameter.
        chosen: their scalars.
    """
    of_shape: dict[Shape, list[int]] = {}
    for slot in sorted(slots):
        if math.prod(arena.shapes[slot]):
            of_shape.setdefault(arena.shapes[slot], []).append(slot)
    starts = arena.arena.starts
    for shape, members in of_shape.items():
        limit = max(1, most // math.prod(shape))
        run: list[int] = []
        for slot in members:
            uneven = len(run) > 1 and starts[slot] - starts[run[-1]] != starts[run[1]] - starts[run[0]]
            if uneven or len(run) == limit:
                yield Batch(arena, shape, tuple(run), chosen)
                run = []
            run.append(slot)
        yield Batch(arena, shape, tuple(run), chosen)
