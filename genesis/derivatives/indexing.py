"""Rules of selecting, sorting and scattering: linear maps, once it is known which element goes where."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import dtypes
from ..creation import arange, ones
from ..functions import searchsorted
from ..ops import argument, bags, embedding, index, put, scatter, topk
from ..ops.array import Array, Shape, contiguous_strides
from ..ops.elementwise import assign, copy, full, reshaped, run
from ..ops.operation import Context
from ..tensor import Tensor
from .rules import linear, rule, vjp, where


def _transposed(ctx: Any, g: Tensor, operation: Any, back: Callable[[Array], Array]) -> Tensor:
    """An operation's own backward as a linear map; ``back`` is what its forward does to a gradient's gradient."""
    plain = ctx.plain
    return linear(g, lambda a: operation.backward(plain, a), back)


@rule(index.IndexSelect)
def _index_select(ctx: Any, g: Tensor) -> Tensor:
    (chosen,), axis, bounds, merged = ctx.plain.saved, ctx.axis, ctx.bounds, ctx.merged
    return _transposed(ctx, g, index.IndexSelect, lambda a: index.select(reshaped(a, merged), axis, chosen, bounds))


@rule(index.Gather)
def _gather(ctx: Any, g: Tensor) -> Tensor:
    (chosen,), axis, bounds = ctx.plain.saved, ctx.axis, ctx.bounds
    return _transposed(ctx, g, index.Gather, lambda a: index.gather(a, axis, chosen, bounds) if a.ndim else copy(
        a.expand(chosen.shape)))


@rule(embedding.Embedding, embedding.SparseEmbedding)
def _embedding(ctx: Any, g: Tensor) -> Tensor:
    (chosen,), plain = ctx.plain.saved, ctx.plain

    def back(a: Array) -> Array:
        if plain.padding is not None and a.size:
            a = copy(a)
            assign(a.view((a.shape[1],), (1,), a.offset + plain.padding * a.shape[1]), 0)
        found = index.select(a, 0, chosen, embedding.BOUNDS)
        if plain.by_frequency:
            ones = full(a.device, (), 1, dtypes.float32).expand((chosen.size,))
            counts = index.select(index.add_rows(ones, (a.shape[0],), 0, chosen, None, embedding.BOUNDS), 0, chosen,
                                  embedding.BOUNDS)
            found = run("div", [found, counts.view((*counts.shape, 1), (*counts.strides, 0))], found.dtype)
        return found

    return _transposed(ctx, g, embedding.Embedding, back)


@rule(bags.EmbeddingBag)
def _embedding_bag(ctx: Any, g: Tensor) -> Tensor:
    plain = ctx.plain
    return linear(g, lambda a: embedding.Embedding.backward(plain, bags.EmbeddingBag.of_rows(plain, a)),
                  lambda a: bags.EmbeddingBag.forward(Context((False,)), a, **plain.options))


@rule(argument.Extreme)
def _extreme(ctx: Any, g: Tensor, _: Any) -> Tensor:
    (positions,), axis, plain = ctx.plain.saved, ctx.axis, ctx.plain
    shape = (*ctx.shape[:axis], 1, *ctx.shape[axis + 1:]) if ctx.shape else ()
    result = g._array.shape

    def back(a: Array) -> Array:
        if not a.ndim:
            return copy(a)
        return reshaped(index.gather(a, axis, reshaped(positions, shape)), result)

    return linear(g, lambda a: argument.Extreme.backward(plain, a, None), back)


@rule(topk.TopK)
def _topk(ctx: Any, g: Tensor, _: Any) -> Tensor:
    (positions,), axis, plain = ctx.plain.saved, ctx.axis, ctx.plain
    return linear(g, lambda a: topk.TopK.backward(plain, a, None),
                  lambda a: index.gather(a, axis, positions) if a.ndim else copy(a))


@rule(put.IndexPut)
def _index_put(ctx: Any, g: Tensor) -> tuple[Any, Any]:
    (chosen,), axis, join, plain = ctx.plain.saved, ctx.axis, ctx.join, ctx.plain
    shape = g._array.shape

    def part(i: int) -> Callable[[Array], Any]:
        alone = _with_needs(plain, i)
        return lambda a: put.IndexPut.backward(alone, a)[i]

    def back(a: Array) -> Array:
        """The values into rows of zeros."""
        out = full(a.device, shape, 0, a.dtype)
        index.put(out, axis, chosen, a, join)
        return out

    gx = (g if join == "add" else linear(g, part(0), part(0))) if ctx.needs[0] else None
    return gx, linear(g, part(1), back) if ctx.needs[1] else None


@rule(scatter.Joined)
def _joined(ctx: Any, g: Tensor) -> tuple[Any, Any]:
    (chosen,), plain = ctx.plain.saved, ctx.plain
    axis, join, rows, scale, bounds = ctx.options
    shape = g._array.shape

    def part(i: int) -> Callable[[Array], Any]:
        alone = _with_needs(plain, i)
        return lambda a: scatter.Joined.backward(alone, a)[i]

    def back(a: Array) -> Array:
        """The values, of which some may go nowhere, added at their places in zeros."""
        if not rows and a.shape != chosen.shape:
            a = a.view(chosen.shape, a.strides)
        out = full(a.device, shape, 0, a.dtype)
        value = run("mul", [a, scale], a.dtype) if scale != 1 else a
        scatter.join_values(out, axis, chosen, value, "add", rows, bounds)
        return out

    gx = (g if join == "add" else linear(g, part(0), part(0))) if ctx.needs[0] else None
    return gx, linear(g, part(1), back) if ctx.needs[1] else None


@rule(scatter.ScatterExtreme)
def _scatter_extreme(ctx: Any, g: Tensor) -> tuple[Any, Any]:
    chosen, (axis, _, bounds), plain = ctx.plain.saved[3], ctx.options, ctx.plain

    def part(i: int) -> Callable[[Array], Any]:
        alone = _with_needs(plain, i)
        return lambda a: scatter.ScatterExtreme.backward(alone, a)[i]

    def back(a: Array) -> Array:
        _, its, count = scatter.ScatterExtreme.candidates(plain, a.dtype)
        a = run("mul", [a.view(chosen.shape, a.strides), its], a.dtype)
        share = run("maximum", [count, 1.0], a.dtype)
        return run("div", [index.put_along(count.shape, axis, chosen, a, "add", bounds), share], a.dtype)

    return (linear(g, part(0), part(0)) if ctx.needs[0] else None,
            linear(g, part(1), back) if ctx.needs[1] else None)


@rule(scatter.ScatterProd, saved=(0, 1))
def _scatter_prod(ctx: Any, g: Tensor) -> tuple[Any, ...]:
    x, value, _ = ctx.saved
    places = _places(ctx.plain.saved[2], ctx.axis, x._array.shape)
    return vjp(lambda x, value: x * _products(value, places, x._array.shape), (x, value), g)


def _places(chosen: Array, axis: int, shape: Shape) -> Tensor:
    """Where in an array, read row by row, the elements at indices along a dimension are."""
    strides = contiguous_strides(shape)
    places: Tensor = Tensor._wrap(chosen) * strides[axis]
    for a, n in enumerate(chosen.shape):
        if a != axis:
            along = [n if b == a else 1 for b in range(chosen.ndim)]
            places = places + strides[a] * arange(n, device=chosen.device).view(*along)
    return places


def _products(value: Tensor, places: Tensor, shape: Shape) -> Tensor:
    """For each place the product of the values that belong there, or 1: pair by pair, so that values may be 0."""
    value = value[tuple(slice(n) for n in places.shape)].reshape(-1)
    order = places.view(-1).argsort(stable=True)
    value, places = value[order], places.view(-1)[order]
    while True:
        place_in_run = arange(places.numel(), device=places.device) - searchsorted(places, places)
        first = place_in_run.remainder(2).eq(0).nonzero().view(-1)
        if first.numel() == places.numel():
            break
        second = (first + 1).clamp(max=places.numel() - 1)
        pairs = (places[second] == places[first]) & (second > first)
        value = value[first] * where(pairs, value[second], 1.0)
        places = places[first]
    return ones(math.prod(shape), dtype=value.dtype, device=value.device).scatter(0, places, value).view(*shape)


def _with_needs(plain: Any, i: int) -> Any:
    """A copy of the context of an operation with two inputs of which only one needs a gradient."""
    alone = Context((i == 0, i == 1))
    alone.__dict__.update({name: value for name, value in vars(plain).items() if name not in ("needs", "targets")})
    return alone
