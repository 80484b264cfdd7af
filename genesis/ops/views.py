"""Operations that only look at memory in another way, and those that join arrays."""

from __future__ import annotations

import math
from typing import Any

from ..dtypes import bool_, int64
from ..opencl import Device
from .array import Array, Shape, contiguous_strides, empty
from .elementwise import assign, copy, dtype_of, fitting, full, reshaped, run, sum_to
from .operation import Context, Operation
from .pad import pad_by


class Reshape(Operation):
    """The elements in the same order in another shape; a view where possible."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, shape: Shape) -> Array:
        """Reshape."""
        ctx.shape = x.shape
        return reshaped(x, shape)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Reshape back."""
        return reshaped(g, ctx.shape)


class AsStrided(Operation):
    """Any look at an array's memory: ``shift`` elements from its first one, with the given sizes and strides."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, shape: Shape, strides: Shape, shift: int) -> Array:
        """Look."""
        ctx.source, ctx.look = (x.shape, x.strides), (shape, strides, shift)
        return x.view(shape, strides, x.offset + shift)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Each element of memory gets the sum of the gradients of those that look at it."""
        return unstrided(g, ctx.source, ctx.look)


def _looked_at(device: Device, source: tuple[Shape, Shape], look: tuple[Shape, Shape, int]) -> tuple[int, Array]:
    """How much memory an array of some shape and strides lies in, and where in it a look has its elements.

    What lies outside, in memory that is not the array's, is said to lie behind it.
    """
    from .search import positions

    (shape, strides), (sizes, steps, shift) = source, look
    extent = 1 + sum((n - 1) * s for n, s in zip(shape, strides)) if math.prod(shape) else 0
    at = full(device, (1,) * len(sizes), shift, int64)
    for axis, (n, step) in enumerate(zip(sizes, steps)):
        after = len(sizes) - 1 - axis
        places = positions(device, n).view((n, *(1,) * after), (1, *(0,) * after))
        at = run("add", [at, run("mul", [places, step], int64)], int64)
    inside = run("logical_and", [run("ge", [at, 0], bool_, compute="long"),
                                 run("lt", [at, extent], bool_, compute="long")], bool_)
    return extent, run("where", [inside, at, extent], int64).view((math.prod(sizes),), (1,))


def strided(x: Array, source: tuple[Shape, Shape], look: tuple[Shape, Shape, int]) -> Array:
    """What a look would find if an array lay as ``source`` says, and 0 outside of it."""
    from .index import select

    extent, at = _looked_at(x.device, source, look)
    memory = full(x.device, (extent + 1,), 0, x.dtype)
    assign(memory.view(*source), x)
    return select(memory, 0, at).view(look[0], contiguous_strides(look[0]))


def unstrided(g: Array, source: tuple[Shape, Shape], look: tuple[Shape, Shape, int]) -> Array:
    """The transpose of `strided`."""
    from .index import add_rows

    extent, at = _looked_at(g.device, source, look)
    memory = add_rows(copy(g).view((g.size,), (1,)), (extent + 1,), 0, at)
    return copy(memory.view(*source))


class Permute(Operation):
    """The dimensions in another order."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axes: tuple[int, ...]) -> Array:
        """Permute."""
        ctx.axes = axes
        return x.permute(axes)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Permute back."""
        back = [0] * len(ctx.axes)
        for new, old in enumerate(ctx.axes):
            back[old] = new
        return g.permute(tuple(back))


class Expand(Operation):
    """Dimensions of size 1 repeated without copying."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, shape: Shape) -> Array:
        """Expand."""
        ctx.shape = x.shape
        return x.expand(shape)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Sum over what was repeated."""
        return sum_to(g, ctx.shape)


# What an index asks of each dimension in turn: a position (int), (start, step, count), or None for a new dimension.
Selection = tuple[int | tuple[int, int, int] | None, ...]


def select_view(x: Array, selection: Selection) -> Array:
    """The part of an array that integers, slices and None select, without copying. Dimensions not named stay whole."""
    shape, strides, offset, axis = [], [], x.offset, 0
    for item in selection:
        if item is None:
            shape.append(1)
            strides.append(0)
            continue
        if isinstance(item, int):
            offset += item * x.strides[axis]
        else:
            start, step, count = item
            offset += start * x.strides[axis]
            shape.append(count)
            strides.append(step * x.strides[axis])
        axis += 1
    return x.view((*shape, *x.shape[axis:]), (*strides, *x.strides[axis:]), offset)


class Slice(Operation):
    """The part that integers, slices and None select; a view."""

    adds = True

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, selection: Selection) -> Array:
        """Select."""
        ctx.shape, ctx.selection = x.shape, selection
        return select_view(x, selection)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The gradient in the selected places, added to what is there already; 0 elsewhere."""
        if ctx.so_far is not None and ctx.so_far.dtype is g.dtype:
            place = select_view(ctx.so_far, ctx.selection)
            run("add", [place, g], g.dtype, out=place)
            return ctx.so_far
        out = full(g.device, ctx.shape, 0, g.dtype)
        assign(select_view(out, ctx.selection), g)
        return out


class Cat(Operation):
    """Arrays joined along a dimension."""

    @classmethod
    def forward(cls, ctx: Context, *arrays: Array, axis: int) -> Array:
        """Join."""
        ctx.axis = axis
        ctx.sizes, ctx.dtypes = [x.shape[axis] for x in arrays], [x.dtype for x in arrays]
        shape = list(arrays[0].shape)
        shape[axis] = sum(ctx.sizes)
        out = empty(arrays[0].device, tuple(shape), dtype_of(*arrays))
        start = 0
        for x in arrays:
            assign(_part(out, axis, start, x.shape[axis]), x)
            start += x.shape[axis]
        return out

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Any, ...]:
        """Each array gets its part."""
        parts = []
        start = 0
        for size, dtype, need in zip(ctx.sizes, ctx.dtypes, ctx.needs):
            parts.append(fitting(_part(g, ctx.axis, start, size), dtype) if need else None)
            start += size
        return tuple(parts)


def _part(x: Array, axis: int, start: int, size: int) -> Array:
    shape = (*x.shape[:axis], size, *x.shape[axis + 1:])
    return x.view(shape, x.strides, x.offset + start * x.strides[axis])



class Parts(Operation):
    """Several parts of an array that together are all of it; views."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, selections: tuple[Selection, ...]) -> tuple[Array, ...]:
        """Select."""
        ctx.shape, ctx.dtype, ctx.selections = x.shape, x.dtype, selections
        return tuple(select_view(x, selection) for selection in selections)

    @classmethod
    def backward(cls, ctx: Context, *gradients: Array | None) -> Array:
        """Each part's gradient in its place."""
        device = next(g.device for g in gradients if g is not None)
        out = empty(device, ctx.shape, ctx.dtype)
        for selection, g in zip(ctx.selections, gradients):
            assign(select_view(out, selection), 0 if g is None else g)
        return out


def diagonal(x: Array, offset: int, first: int, second: int) -> Array:
    """The diagonal of two dimensions as the last one; a view."""
    rows, columns = x.shape[first], x.shape[second]
    size = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    start = (offset * x.strides[second] if offset > 0 else -offset * x.strides[first]) if size else 0
    kept = [a for a in range(x.ndim) if a not in (first, second)]
    return x.view((*(x.shape[a] for a in kept), size),
                  (*(x.strides[a] for a in kept), x.strides[first] + x.strides[second]), x.offset + start)


class Diagonal(Operation):
    """The diagonal of two dimensions; a view."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, offset: int, first: int, second: int) -> Array:
        """Select."""
        ctx.shape, ctx.place = x.shape, (offset, first, second)
        return diagonal(x, offset, first, second)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The gradient on the diagonal, 0 elsewhere."""
        out = full(g.device, ctx.shape, 0, g.dtype)
        assign(diagonal(out, *ctx.place), g)
        return out


class DiagonalMatrix(Operation):
    """A matrix with a vector, or matrices with vectors, on a diagonal and 0 elsewhere."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, offset: int, first: int, second: int) -> Array:
        """Write the diagonal."""
        ctx.place = offset, first, second
        size = x.shape[-1] + abs(offset)
        shape = list(x.shape[:-1])
        for axis in sorted((first, second)):
            shape.insert(axis, size)
        out = full(x.device, tuple(shape), 0, x.dtype)
        assign(diagonal(out, *ctx.place), x)
        return out

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The gradient's diagonal."""
        return diagonal(g, *ctx.place)


def windows(x: Array, axis: int, size: int, step: int) -> Array:
    """All windows of a dimension, the positions in a window as the last dimension; a view."""
    if not x.ndim:
        return x.view((size,), (1,))
    count, shape, strides = (x.shape[axis] - size) // step + 1, x.shape, x.strides
    return x.view((*shape[:axis], count, *shape[axis + 1:], size),
                  (*strides[:axis], strides[axis] * step, *strides[axis + 1:], strides[axis]))


class Unfold(Operation):
    """All windows of a dimension; a view."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axis: int, size: int, step: int) -> Array:
        """Look."""
        ctx.shape, ctx.place = x.shape, (axis, size, step)
        return windows(x, axis, size, step)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Each position of the windows is added at once: it never meets an element twice."""
        axis, size, step = ctx.place
        out = full(g.device, ctx.shape, 0, g.dtype)
        view = windows(out, axis, size, step)
        for k in range(size):
            target = select_view(view, (*((0, 1, n) for n in view.shape[:-1]), k))
            run("add", [target, select_view(g, (*((0, 1, n) for n in g.shape[:-1]), k))], g.dtype, out=target)
        return out


def flipped(x: Array, axes: tuple[int, ...]) -> Array:
    """A copy with dimensions in reverse order."""
    offset = x.offset + sum((x.shape[a] - 1) * x.strides[a] for a in axes) if x.size else x.offset
    return copy(x.view(x.shape, tuple(-s if a in axes else s for a, s in enumerate(x.strides)), offset))


class Flip(Operation):
    """Dimensions in reverse order."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axes: tuple[int, ...]) -> Array:
        """Copy backwards."""
        ctx.axes = axes
        return flipped(x, axes)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Flip back."""
        return flipped(g, ctx.axes)


def rolled(x: Array, shifts: tuple[tuple[int, int], ...]) -> Array:
    """A copy with each (axis, shift): what leaves at the end comes in at the start. Every corner is one launch."""
    out = empty(x.device, x.shape, x.dtype)
    pieces = [(x, out)]
    for axis, shift in shifts:
        size = x.shape[axis]
        shift = shift % size if size else 0
        if shift:
            pieces = [(_part(a, axis, source, n), _part(b, axis, target, n)) for a, b in pieces
                      for source, target, n in ((0, shift, size - shift), (size - shift, 0, shift))]
    for source, target in pieces:
        assign(target, source)
    return out


class Roll(Operation):
    """Dimensions turned round by so many places."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, shifts: tuple[tuple[int, int], ...]) -> Array:
        """Roll."""
        ctx.shifts = shifts
        return rolled(x, shifts)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Roll back."""
        return rolled(g, tuple((axis, -shift) for axis, shift in ctx.shifts))


class Pad(Operation):
    """A number around an array: (axis, before, after) for each dimension that grows."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, pads: tuple[tuple[int, int, int], ...], value: float) -> Array:
        """Copy the array, write the number beside it."""
        ctx.selection = tuple((0, 1, n) for n in x.shape)
        for axis, before, _ in pads:
            ctx.selection = (*ctx.selection[:axis], (before, 1, x.shape[axis]), *ctx.selection[axis + 1:])
        return pad_by(x, pads, value)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The gradient's inner part; a view."""
        return select_view(g, ctx.selection)
