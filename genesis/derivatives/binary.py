"""Rules of operations on corresponding elements of several operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ops import binary as ops
from ..ops import ternary
from ..tensor import Tensor
from .rules import RESULT, conj, constant, fitted, passing, rule, where, zeros


def _each(ctx: Any, *gradients: Callable[[], Tensor]) -> tuple[Any, ...]:
    """The gradients of the operands that need one."""
    return tuple([fitted(gradient(), shape, dtype) if need else None
                  for gradient, need, shape, dtype in zip(gradients, ctx.needs, ctx.shapes, ctx.dtypes)])


@rule(ops.Add)
def _add(ctx: Any, g: Tensor) -> Any:
    return _each(ctx, lambda: g, lambda: g)


@rule(ops.Sub)
def _sub(ctx: Any, g: Tensor) -> Any:
    return _each(ctx, lambda: g, lambda: -g)


@rule(ops.Mul, saved=(0, 1))
def _mul(ctx: Any, g: Tensor) -> Any:
    a, b = ctx.saved
    return _each(ctx, lambda: g * conj(b), lambda: g * conj(a))


@rule(ops.Div, saved=(0, 1))
def _div(ctx: Any, g: Tensor) -> Any:
    a, b = ctx.saved
    return _each(ctx, lambda: g / conj(b), lambda: -g * conj(a / b / b))


@rule(ops.FloorDivide)
def _floor_divide(ctx: Any, g: Tensor) -> Any:
    return _each(ctx, lambda: zeros(g), lambda: zeros(g))


@rule(ops.Remainder, saved=(0, 1))
def _remainder(ctx: Any, g: Tensor) -> Any:
    return _each(ctx, lambda: g, lambda: -g * _quotient(ctx, "floor"))


@rule(ops.Fmod, saved=(0, 1))
def _fmod(ctx: Any, g: Tensor) -> Any:
    return _each(ctx, lambda: g, lambda: -g * _quotient(ctx, "trunc"))


def _quotient(ctx: Any, rounding: str) -> Tensor:
    a, b = (x.detach() if isinstance(x, Tensor) else x for x in ctx.saved)
    a = a if isinstance(a, Tensor) else constant(a, b)
    quotient: Tensor = a.div(b, rounding_mode=rounding)
    return quotient


@rule(ops.Pow, saved=(0, 1))
def _pow(ctx: Any, g: Tensor) -> Any:
    a, b = ctx.saved

    def base() -> Tensor:
        if isinstance(b, Tensor):
            return where(b == 0, 0.0, g * conj(b * a ** (b - 1)))
        return zeros(g) if b == 0 else g * conj(b * a ** (b - 1))

    def exponent() -> Tensor:
        flat = (a == 0) & ((b.real if isinstance(b, Tensor) else b) >= 0)
        # 1 in place of 0, so that no infinite logarithm is multiplied by 0 further back.
        positive = where(flat, 1.0, a if isinstance(a, Tensor) else constant(a, b))
        return where(flat, 0.0, g * conj(positive ** b * positive.log()))

    return _each(ctx, base, exponent)


def _sided(ctx: Any, g: Tensor, first: Tensor) -> Any:
    """The gradient goes to the operand that was taken, half to each where both are equal."""
    a, b = ctx.saved
    equal, half = a == b, g / 2
    return _each(ctx, lambda: where(equal, half, passing(first, g)), lambda: where(equal, half, passing(~first, g)))


@rule(ops.Maximum, saved=(0, 1))
def _maximum(ctx: Any, g: Tensor) -> Any:
    a, b = ctx.saved
    return _sided(ctx, g, ~(a < b))


@rule(ops.Minimum, saved=(0, 1))
def _minimum(ctx: Any, g: Tensor) -> Any:
    a, b = ctx.saved
    return _sided(ctx, g, ~(a > b))


@rule(ops.Fmax, saved=(0, 1))
def _fmax(ctx: Any, g: Tensor) -> Any:
    a, b = ctx.saved
    first = (a >= b) | (b != b)
    return _each(ctx, lambda: passing(first, g), lambda: passing(~first, g))


@rule(ops.Fmin, saved=(0, 1))
def _fmin(ctx: Any, g: Tensor) -> Any:
    a, b = ctx.saved
    first = (a <= b) | (b != b)
    return _each(ctx, lambda: passing(first, g), lambda: passing(~first, g))


@rule(ops.Hypot, saved=(0, 1, RESULT))
def _hypot(ctx: Any, g: Tensor) -> Any:
    a, b, y = ctx.saved
    return _each(ctx, lambda: g * (a / y), lambda: g * (b / y))


@rule(ops.Atan2, saved=(0, 1))
def _atan2(ctx: Any, g: Tensor) -> Any:
    a, b = ctx.saved
    square = a * a + b * b
    zero = square == 0
    square = where(zero, 1.0, square)
    return _each(ctx, lambda: passing(~zero, g * (b / square)), lambda: passing(~zero, -g * (a / square)))


@rule(ops.Xlogy, saved=(0, 1))
def _xlogy(ctx: Any, g: Tensor) -> Any:
    a, b = ctx.saved

    def factor() -> Tensor:
        outside = (a == 0) & (b <= 0)
        positive = where(outside, 1.0, b if isinstance(b, Tensor) else constant(b, a))
        return passing(~outside, g * positive.log())

    return _each(ctx, factor, lambda: g * (a / b))


@rule(ops.Logaddexp, saved=(0, 1))
def _logaddexp(ctx: Any, g: Tensor) -> Any:
    a, b = ctx.saved
    return _each(ctx, lambda: g * (a - b).sigmoid(), lambda: g * (b - a).sigmoid())


@rule(ops.Copysign, saved=(0, 1))
def _copysign(ctx: Any, g: Tensor) -> Any:
    a, b = ctx.saved

    def size() -> Tensor:
        one = constant(1.0, g)
        mine, its = (one.copysign(x.detach() if isinstance(x, Tensor) else x) for x in (a, b))
        return passing(a != 0, g * (mine * its))

    return _each(ctx, size, lambda: zeros(g))


@rule(ternary.Addcmul, saved=(0, 1, 2, 3))
def _addcmul(ctx: Any, g: Tensor) -> Any:
    _, b, c, value = ctx.saved
    return _each(ctx, lambda: g, lambda: g * (value * conj(c)), lambda: g * (value * conj(b)))


@rule(ternary.Addcdiv, saved=(0, 1, 2, 3))
def _addcdiv(ctx: Any, g: Tensor) -> Any:
    _, b, c, value = ctx.saved
    return _each(ctx, lambda: g, lambda: g * value / c, lambda: -g * value * (b / c) / c)


@rule(ternary.AddScaled, saved=(0, 1, 2))
def _add_scaled(ctx: Any, g: Tensor) -> Any:
    return _each(ctx, lambda: g, lambda: g * ctx.saved[2])


@rule(ternary.Lerp, saved=(0, 1, 2))
def _lerp(ctx: Any, g: Tensor) -> Any:
    a, b, weight = ctx.saved
    return _each(ctx, lambda: g * (1 - weight), lambda: g * weight, lambda: g * (b - a))


@rule(ternary.ClampBetween, saved=(0, 1, 2))
def _clamp_between(ctx: Any, g: Tensor) -> Any:
    x, low, high = ctx.saved
    return _each(ctx, lambda: passing((x >= low) & (x <= high), g),
                 lambda: passing((x < low) & (low < high), g),
                 lambda: passing((x > high) | (high < low), g))


@rule(ternary.Where, saved=(None,))
def _where(ctx: Any, g: Tensor) -> Any:
    (condition,) = ctx.saved
    return (None,
            fitted(where(condition, g, 0.0), ctx.shapes[0], ctx.dtypes[0]) if ctx.needs[1] else None,
            fitted(where(condition, 0.0, g), ctx.shapes[1], ctx.dtypes[1]) if ctx.needs[2] else None)
