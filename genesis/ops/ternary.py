"""Operations on corresponding elements of three operands and more, with their gradients."""

from __future__ import annotations

from ..dtypes import DType, check_fits
from .array import Array
from .binary import Binary
from .elementwise import Operand, dtype_of, run
from .operation import Context, Operation


class Several(Operation):
    """An operation on operands that broadcast, any of which may be a number.

    Attributes:
        op: name of the macro that computes it.
        rules: for each operand, the macro that gives its gradient (``""``: the gradient unchanged, None: there is no
            gradient) and which operands it needs, by their position.
    """

    op = ""
    rules: tuple[tuple[str | None, tuple[int, ...]], ...] = ()

    @classmethod
    def forward(cls, ctx: Context, *operands: Operand) -> Array:
        """Broadcast, promote, apply ``op``."""
        ctx.shapes = [x.shape if isinstance(x, Array) else None for x in operands]
        ctx.dtypes = [x.dtype if isinstance(x, Array) else None for x in operands]
        needed = {j for (_, order), need in zip(cls.rules, ctx.needs) if need for j in order}
        ctx.save(*(x if i in needed else None for i, x in enumerate(operands)))
        return run(cls.op, operands, cls.result_dtype(*operands))

    @classmethod
    def result_dtype(cls, *operands: Operand) -> DType:
        """The element type of the result."""
        return dtype_of(*operands)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, ...]:
        """Apply the rules."""
        saved = ctx.saved
        return tuple(
            Binary.fit(ctx, i, run(macro, [g, *(saved[j] for j in order)], g.dtype) if macro else g)
            if need and macro is not None else None
            for i, ((macro, order), need) in enumerate(zip(cls.rules, ctx.needs)))


class Addcmul(Several):
    """``a + value * b * c``."""

    op = "addcmul_scaled"
    rules = (("", ()), ("mul_scaled", (2, 3)), ("mul_scaled", (1, 3)), (None, ()))


class Addcdiv(Several):
    """``a + value * b / c``."""

    op = "addcdiv"
    rules = (("", ()), ("div_scaled", (2, 3)), ("addcdiv_backward", (1, 2, 3)), (None, ()))


class AddScaled(Several):
    """``a + value * b``."""

    op = "add_scaled"
    rules = (("", ()), ("mul", (2,)), (None, ()))


class Lerp(Several):
    """``a + w * (b - a)``."""

    op = "lerp"
    rules = (("lerp_backward_start", (2,)), ("mul", (2,)), ("lerp_backward", (0, 1)))


class ClampBetween(Several):
    """Elements limited to bounds that are tensors; a bound that is missing is an infinite number."""

    op = "clamp"
    rules = (("clamp_backward", (0, 1, 2)), ("clamp_backward_low", (0, 1, 2)), ("clamp_backward_high", (0, 1, 2)))

    @classmethod
    def result_dtype(cls, *operands: Operand) -> DType:
        """Numbers are only there in place of missing bounds."""
        return dtype_of(*(x for x in operands if isinstance(x, Array)))


class Where(Operation):
    """``a`` where the condition holds, ``b`` elsewhere."""

    @classmethod
    def forward(cls, ctx: Context, condition: Array, a: Operand, b: Operand) -> Array:
        """Choose."""
        ctx.save(condition)
        ctx.shapes = [x.shape if isinstance(x, Array) else None for x in (a, b)]
        ctx.dtypes = [x.dtype if isinstance(x, Array) else None for x in (a, b)]
        dtype = dtype_of(a, b)
        for x in (a, b):
            if not isinstance(x, Array):
                check_fits(x, x, dtype)
        return run("where", [condition, a, b], dtype)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[None, Array | None, Array | None]:
        """The gradient goes to the chosen side."""
        (condition,) = ctx.saved
        return (None,
                Binary.fit(ctx, 0, run("where", [condition, g, 0.0], g.dtype)) if ctx.needs[1] else None,
                Binary.fit(ctx, 1, run("where", [condition, 0.0, g], g.dtype)) if ctx.needs[2] else None)
