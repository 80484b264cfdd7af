"""Operations that only look at memory in another way, and those that join arrays."""

from __future__ import annotations

from typing import Any

from .array import Array, Shape, contiguous_strides, empty
from .elementwise import assign, cast, copy, dtype_of, full, sum_to
from .operation import Context, Operation


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


def reshaped(x: Array, shape: Shape) -> Array:
    """The array in another shape, copied only when its layout makes that necessary."""
    view = x.reshape_view(shape)
    if view is None:
        x = copy(x)
        view = x.view(shape, contiguous_strides(shape))
    return view


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

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, selection: Selection) -> Array:
        """Select."""
        ctx.shape, ctx.selection = x.shape, selection
        return select_view(x, selection)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The gradient in the selected places, 0 elsewhere."""
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
            parts.append(cast(_part(g, ctx.axis, start, size), dtype) if need else None)
            start += size
        return tuple(parts)


def _part(x: Array, axis: int, start: int, size: int) -> Array:
    shape = (*x.shape[:axis], size, *x.shape[axis + 1:])
    return x.view(shape, x.strides, x.offset + start * x.strides[axis])

