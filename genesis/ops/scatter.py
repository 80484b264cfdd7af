"""Writing and adding at indices, with gradients; the kernels are in ``cl/ops/index.cl``."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from .array import Array
from .bounds import ANY, Bounds
from .elementwise import cast, contiguous, copy, full, run
from .index import gather, put_along, scatter_along, scatter_into, select
from .operation import Context, Operation


def join_values(out: Array, axis: int, index: Array, value: Array, join: str, rows: bool, bounds: Bounds) -> None:
    """Join values with an array at indices; see `Joined`."""
    if rows:
        scatter_into(out, axis, index, value, join, bounds)
    else:
        scatter_along(out, axis, index, value, join, bounds)


def _at(g: Array, axis: int, index: Array, rows: bool, bounds: Bounds) -> Array:
    """What an array has at the indices."""
    return select(g, axis, index, bounds) if rows else gather(g, axis, index, bounds)


class Joined(Operation):
    """A copy in which values were added or written at indices along a dimension.

    Options: ``join`` is ``"add"`` or ``"put"`` (the last of several wins); ``rows``: the index is (count,) and the
    values are whole rows, else both have the array's number of dimensions; ``scale`` multiplies the values.
    """

    @classmethod
    def forward(cls, ctx: Context, x: Array, value: Any, *, axis: int, index: Array, join: str, rows: bool,
                scale: float = 1, bounds: Bounds = ANY) -> Array:
        """Copy and join."""
        ctx.options = axis, join, rows, scale, bounds
        index = contiguous(cast(index, dtypes.int64))
        ctx.save(index)
        ctx.from_shape = value.shape if isinstance(value, Array) else None
        out = copy(x)
        if not isinstance(value, Array):
            shape = (*x.shape[:axis], index.size, *x.shape[axis + 1:]) if rows else index.shape
            value = full(x.device, (), value, x.dtype).expand(shape)
        elif scale != 1:
            value = run("mul", [value, scale], value.dtype)
        if not rows and value.shape != index.shape:
            value = value.view(index.shape, value.strides)
        join_values(out, axis, index, value, join, rows, bounds)
        return out

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """The array keeps the gradient except where it was overwritten; the values get what is at their places."""
        (index,) = ctx.saved
        axis, join, rows, scale, bounds = ctx.options
        gx = gv = None
        if ctx.needs[0]:
            gx = g
            if join == "put":
                gx = copy(g)
                zeros = full(g.device, (), 0, g.dtype)
                shape = (*g.shape[:axis], index.size, *g.shape[axis + 1:]) if rows else index.shape
                join_values(gx, axis, index, zeros.expand(shape), "put", rows, bounds)
        if ctx.needs[1]:
            gv = _at(g, axis, index, rows, bounds)
            if scale != 1:
                gv = run("mul", [gv, scale], gv.dtype)
            gv = _padded(gv, ctx.from_shape)
        return gx, gv


class ScatterProd(Operation):
    """Each element times the values scattered to it."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, value: Array, *, axis: int, index: Array, bounds: Bounds) -> Array:
        """Multiply."""
        out = copy(x)
        ctx.axis, ctx.bounds = axis, bounds
        ctx.save(x, value, index)
        join_values(out, axis, index, value.view(index.shape, value.strides), "prod", False, bounds)
        return out

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """The gradient times the other factors: exact also where some are 0."""
        x, whole, index = ctx.saved
        axis, bounds = ctx.axis, ctx.bounds
        value = whole.view(index.shape, whole.strides)

        def parts(a: Array) -> tuple[Array, Array]:
            """Which factors are 0, and the factors with 1 in their place."""
            zero = run("eq", [a, 0.0], a.dtype)
            return zero, run("add", [a, zero], a.dtype)

        def others(zero: Array, factor: Array, zeros: Array, product: Array, g: Array) -> Array:
            """The gradient times the product of the other factors, where none of those is 0."""
            share = run("div", [run("mul", [g, product], g.dtype), factor], g.dtype)
            return run("where", [run("ne", [zeros, zero], dtypes.bool_, compute=g.dtype.compute), 0.0, share], g.dtype)

        (zero, factor), (its_zero, its_factor) = parts(x), parts(value)
        zeros, product = copy(zero), copy(factor)
        join_values(zeros, axis, index, its_zero, "add", False, bounds)
        join_values(product, axis, index, its_factor, "prod", False, bounds)
        gx = others(zero, factor, zeros, product, g) if ctx.needs[0] else None
        gv = None
        if ctx.needs[1]:
            gv = others(its_zero, its_factor, *(gather(a, axis, index, bounds) for a in (zeros, product, g)))
            gv = _padded(gv, whole.shape)
        return gx, gv


def _padded(g: Array, shape: tuple[int, ...]) -> Array:
    """A gradient with zeros behind it, where the index was smaller than the values."""
    if g.shape == shape:
        return g
    whole = full(g.device, shape, 0, g.dtype)
    run("identity", [g], g.dtype, out=whole.view(g.shape, whole.strides))
    return whole


class ScatterExtreme(Operation):
    """The largest (``"amax"``) or smallest of each element and the values scattered to it."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, value: Array, *, axis: int, index: Array, join: str,
                include_self: bool, bounds: Bounds) -> Array:
        """Compare."""
        out = copy(x)
        ctx.shape = value.shape
        value = value.view(index.shape, value.strides)
        if not include_self:
            low = dtypes.promote(x.dtype, dtypes.float32) is x.dtype
            worst = float("-inf") if join == "amax" else float("inf")
            if not low and not x.dtype.is_floating_point:
                join_values(out, axis, index, value, "put", False, bounds)
            else:
                worst_values = full(x.device, (), worst, x.dtype).expand(index.shape)
                join_values(out, axis, index, worst_values, "put", False, bounds)
        join_values(out, axis, index, value, join, False, bounds)
        ctx.options = axis, include_self, bounds
        ctx.save(x, value, out, index)
        return out

    @classmethod
    def candidates(cls, ctx: Context, dtype: dtypes.DType) -> tuple[Array, Array, Array]:
        """1 for each element, and for each value, that is as extreme as the result; and how many are, by element."""
        x, value, y, index = ctx.saved
        axis, include_self, bounds = ctx.options
        mine = run("eq", [x, y], dtype, compute=x.dtype.compute)
        if not include_self:
            join_values(mine, axis, index, full(x.device, (), 0, dtype).expand(index.shape), "put", False, bounds)
        its = run("eq", [value, gather(y, axis, index, bounds)], dtype, compute=x.dtype.compute)
        return mine, its, run("add", [mine, put_along(x.shape, axis, index, its, "add", bounds)], dtype)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """Equal candidates share the gradient."""
        index, (axis, _, bounds) = ctx.saved[3], ctx.options
        mine, its, count = cls.candidates(ctx, g.dtype)
        share = run("div", [g, run("maximum", [count, 1.0], g.dtype)], g.dtype)
        gx = gv = None
        if ctx.needs[0]:
            gx = run("mul", [mine, share], g.dtype)
            untouched = run("eq", [count, 0.0], g.dtype)
            gx = run("where", [untouched, g, gx], g.dtype)
        if ctx.needs[1]:
            gv = _padded(run("mul", [its, gather(share, axis, index, bounds)], g.dtype), ctx.shape)
        return gx, gv
