"""Norms of vectors, with their gradients."""

from __future__ import annotations

import math

from .. import dtypes
from .array import Array
from .elementwise import cast, reshaped, run
from .operation import Context, Operation
from .reduce import reduce, reduced_shape


class VectorNorm(Operation):
    """The p-norm over dimensions; p may be any number, 0 (how many elements are not 0) and infinite ones included."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, p: float, axes: tuple[int, ...] | None, keepdim: bool) -> Array:
        """Add up powers of absolute values, in float32 for 16-bit types."""
        real = dtypes.float64 if x.dtype is dtypes.float64 else dtypes.float32
        if p == 2:
            y = reduce("sumsq", x, axes, keepdim, real)
            run("sqrt", [y], real, out=y)
        elif p == 1:
            y = reduce("sumabs", x, axes, keepdim, real)
        elif math.isinf(p):
            y = reduce("absmax" if p > 0 else "absmin", x, axes, keepdim, real)
        elif p == 0:
            y = cast(reduce("count", x, axes, keepdim), real)
        else:
            powers = run("pow", [run("abs", [x], real), float(p)], real)
            y = reduce("sum", powers, axes, keepdim, real)
            y = run("pow", [y, 1.0 / p], real)
        ctx.p, ctx.axes = p, axes
        ctx.save(x, y)
        return cast(y, x.dtype)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The derivative; 0 where the norm is 0, and shared among the largest for an infinite p."""
        x, y = ctx.saved
        p, real = ctx.p, y.dtype
        shape = reduced_shape(x, None if ctx.axes is None else ctx.axes, True)
        g, y = reshaped(cast(g, real), shape), reshaped(y, shape)
        zero = run("eq", [y, 0.0], dtypes.bool_, compute=real.compute)
        if p == 0:
            return run("mul", [x, 0.0], x.dtype)
        if p == 2:
            share = run("where", [zero, 0.0, run("div", [g, y], real)], real)
            return run("mul", [x, share], x.dtype)
        sign = run("sign", [x], real)
        if p == 1:
            return run("mul", [sign, g], x.dtype)
        size = run("abs", [x], real)
        if math.isinf(p):
            chosen = run("eq", [size, y], real, compute=real.compute)
            count = reduce("sum", chosen, ctx.axes, True)
            share = run("div", [g, reshaped(count, shape)], real)
            return run("mul", [run("mul", [sign, chosen], real), share], x.dtype)
        # p > 0 or p < 0: sign(x) * (|x| / y) ** (p - 1) * g, where neither |x| (for p < 1) nor y is 0
        ratio = run("pow", [run("div", [size, y], real), p - 1.0], real)
        still = zero
        if p < 1:
            still = run("maximum", [zero, run("eq", [size, 0.0], dtypes.bool_, compute=real.compute)], dtypes.bool_)
        ratio = run("where", [still, 0.0, ratio], real)
        return run("mul", [run("mul", [sign, ratio], real), g], x.dtype)
