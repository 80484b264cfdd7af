"""Rules of operations that look at memory in another way, and of those that move elements about."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from ..autograd import apply, inplace
from ..ops import fold, pad, pool, random, resize, rotary, transfer, triangle, views
from ..ops.array import Array
from ..ops.elementwise import assign, copy, full
from ..ops.index import gather
from ..ops.operation import Context
from ..tensor import Tensor
from .rules import fitted, linear, rule, zeros


@rule(views.Reshape)
def _reshape(ctx: Any, g: Tensor) -> Tensor:
    return g.reshape(ctx.shape)


@rule(views.AsStrided)
def _as_strided(ctx: Any, g: Tensor) -> Tensor:
    source, look = ctx.source, ctx.look
    return linear(g, lambda x: views.unstrided(x, source, look), lambda x: views.strided(x, source, look))


@rule(views.Permute)
def _permute(ctx: Any, g: Tensor) -> Tensor:
    back = [0] * len(ctx.axes)
    for new, old in enumerate(ctx.axes):
        back[old] = new
    return g.permute(*back)


@rule(views.Expand)
def _expand(ctx: Any, g: Tensor) -> Tensor:
    return g.sum_to_size(ctx.shape)


@rule(views.Cat)
def _cat(ctx: Any, g: Tensor) -> tuple[Any, ...]:
    parts, start = [], 0
    for size, dtype, need in zip(ctx.sizes, ctx.dtypes, ctx.needs):
        parts.append(fitted(part := g.narrow(ctx.axis, start, size), part._array.shape, dtype) if need else None)
        start += size
    return tuple(parts)


def _placed(g: Tensor, shape: tuple[int, ...], view: Callable[[Array], Array]) -> Tensor:
    """A gradient in the part of zeros that a view shows, whose elements are all different."""
    def there(a: Array) -> Array:
        out = full(a.device, shape, 0, a.dtype)
        assign(view(out), a)
        return out

    return linear(g, there, view)


@rule(views.Slice)
def _slice(ctx: Any, g: Tensor) -> Tensor:
    return _placed(g, ctx.shape, functools.partial(views.select_view, selection=ctx.selection))


@rule(views.Parts)
def _parts(ctx: Any, *gradients: Tensor | None) -> Any:
    total: Any = None
    for selection, g in zip(ctx.selections, gradients):
        if g is not None:
            part = _placed(g, ctx.shape, functools.partial(views.select_view, selection=selection))
            total = part if total is None else total + part
    return total.to(ctx.dtype)


@rule(views.Diagonal)
def _diagonal(ctx: Any, g: Tensor) -> Tensor:
    place = ctx.place
    return _placed(g, ctx.shape, lambda a: views.diagonal(a, *place))


@rule(views.DiagonalMatrix)
def _diagonal_matrix(ctx: Any, g: Tensor) -> Tensor:
    place, shape = ctx.place, g._array.shape

    def back(a: Array) -> Array:
        out = full(a.device, shape, 0, a.dtype)
        assign(views.diagonal(out, *place), a)
        return out

    return linear(g, lambda a: views.diagonal(a, *place), back)


@rule(pad.PadAround)
def _pad_around(ctx: Any, g: Tensor) -> Tensor:
    plain = ctx.plain
    return linear(g, lambda a: pad.PadAround.backward(plain, a),
                  lambda a: pad.PadAround.forward(Context((False,)), a, pads=plain.pads, mode=plain.mode))


@rule(views.Pad)
def _pad(ctx: Any, g: Tensor) -> Tensor:
    selection, shape = ctx.selection, g._array.shape

    def back(a: Array) -> Array:
        out = full(a.device, shape, 0, a.dtype)
        assign(views.select_view(out, selection), a)
        return out

    return linear(g, lambda a: views.select_view(a, selection), back)


@rule(views.Unfold)
def _unfold(ctx: Any, g: Tensor) -> Tensor:
    place, plain = ctx.place, ctx.plain
    return linear(g, lambda a: views.Unfold.backward(plain, a), lambda a: copy(views.windows(a, *place)))


@rule(views.Flip)
def _flip(ctx: Any, g: Tensor) -> Tensor:
    axes = ctx.axes
    return linear(g, lambda a: views.flipped(a, axes), lambda a: views.flipped(a, axes))


@rule(views.Roll)
def _roll(ctx: Any, g: Tensor) -> Tensor:
    shifts = ctx.shifts
    back = tuple((axis, -shift) for axis, shift in shifts)
    return linear(g, lambda a: views.rolled(a, back), lambda a: views.rolled(a, shifts))


@rule(triangle.Triangle)
def _triangle(ctx: Any, g: Tensor) -> Tensor:
    place = ctx.place
    return linear(g, lambda a: triangle.triangle(a, *place), lambda a: triangle.triangle(a, *place))


@rule(rotary.Rotary)
def _rotary(ctx: Any, g: Tensor) -> Tensor:
    (angles, positions), first, interleaved = ctx.plain.saved, ctx.first, ctx.interleaved

    def turn(sign: float) -> Callable[[Array], Array]:
        return lambda a: rotary.rotate(a, angles, positions, first, interleaved, sign)

    return linear(g, turn(-1.0), turn(1.0))


@rule(random.Dropout)
def _dropout(ctx: Any, g: Tensor) -> Tensor:
    plain = ctx.plain
    return linear(g, lambda a: random.Dropout.backward(plain, a), lambda a: random.Dropout.backward(plain, a))


@rule(transfer.Transfer)
def _transfer(ctx: Any, g: Tensor) -> Tensor:
    return g.to(ctx.device)


@rule(pool.AvgPool)
def _avg_pool(ctx: Any, g: Tensor) -> Tensor:
    plain, size = ctx.plain, g._array.shape[2:]
    return linear(g, lambda a: pool.AvgPool.backward(plain, a),
                  lambda a: pool.AvgPool.forward(Context((False,)), a, windows=plain.windows, size=size))


@rule(fold.Im2Col)
def _im2col(ctx: Any, g: Tensor) -> Tensor:
    result: Tensor = apply(fold.Col2Im, g, blocks=ctx.blocks)
    return result


@rule(fold.Col2Im)
def _col2im(ctx: Any, g: Tensor) -> Tensor:
    result: Tensor = apply(fold.Im2Col, g, blocks=ctx.blocks)
    return result


@rule(pool.MaxPool)
def _max_pool(ctx: Any, *gradients: Any) -> Tensor:
    plain, g = ctx.plain, gradients[0]
    (index,), shape = plain.saved, g._array.shape
    planes, rows = shape[0] * shape[1], math.prod(shape[2:])

    def chosen(a: Array) -> Array:
        """The elements that were the largest of their windows: their positions are counted in each plane."""
        flat = views.reshaped(a, (planes, math.prod(a.shape[2:])))
        return views.reshaped(gather(flat, 1, views.reshaped(index, (planes, rows))), shape)

    return linear(g, lambda a: pool.MaxPool.backward(plain, a), chosen)


@rule(resize.Resize)
def _resize(ctx: Any, g: Tensor) -> Tensor:
    plain = ctx.plain
    return linear(g, lambda a: resize.Resize.backward(plain, a),
                  lambda a: resize.Resize.forward(Context((False,)), a, axes=plain.axes))


@rule(inplace.Put)
def _put(ctx: Any, g: Tensor) -> tuple[Any, Any]:
    steps, strides, (rest, values) = ctx.steps, ctx.strides, ctx.needs
    if steps is None:
        return zeros(g) if rest else None, g if values else None
    shape, dtype = g._array.shape, g.dtype

    def part(whole: Array) -> Array:
        for operation, options in steps:
            whole = operation.forward(Context((False,)), whole, **options)
        return whole

    def laid_out(a: Array | None, like: Array) -> Array:
        """A new array in the layout that the views expect, of the values of another or zeros."""
        whole = inplace.laid_out(like.device, shape, dtype, strides)
        return assign(whole, 0 if a is None else a)

    def around(a: Array) -> Array:
        """0 where it was overwritten."""
        whole = laid_out(a, a)
        assign(part(whole), 0)
        return whole

    def inside(a: Array) -> Array:
        return part(laid_out(a, a))

    def placed(a: Array) -> Array:
        whole = laid_out(None, a)
        assign(part(whole), a)
        return whole

    return linear(g, around, around) if rest else None, linear(g, inside, placed) if values else None
