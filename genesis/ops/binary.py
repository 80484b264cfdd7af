"""Operations on corresponding elements of two or three operands, with their gradients; comparisons."""

from __future__ import annotations

import math

from .. import dtypes
from ..dtypes import DType, Scalar
from .array import Array
from .elementwise import Operand, cast, dtype_of, full, run, sum_to
from .operation import Context, Operation


class Binary(Operation):
    """An operation on two operands, either of which may be a number."""

    op = ""

    @classmethod
    def forward(cls, ctx: Context, a: Operand, b: Operand) -> Array:
        """Broadcast, promote, apply ``op``."""
        ctx.shapes = [x.shape if isinstance(x, Array) else None for x in (a, b)]
        ctx.dtypes = [x.dtype if isinstance(x, Array) else None for x in (a, b)]
        cls.remember(ctx, a, b)
        return run(cls.op, [a, b], cls.result_dtype(a, b))

    @classmethod
    def result_dtype(cls, a: Operand, b: Operand) -> DType:
        """The element type of the result."""
        return dtype_of(a, b)

    @classmethod
    def remember(cls, ctx: Context, a: Operand, b: Operand) -> None:
        """Save what backward needs."""

    @classmethod
    def fit(cls, ctx: Context, i: int, g: Array | None) -> Array | None:
        """The gradient of operand ``i``, summed over what was broadcast and in the operand's type."""
        return None if g is None else cast(sum_to(g, ctx.shapes[i]), ctx.dtypes[i])


class Add(Binary):
    """``a + b``."""

    op = "add"

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """The gradient goes to both."""
        return tuple(cls.fit(ctx, i, g) if ctx.needs[i] else None for i in (0, 1))  # type: ignore[return-value]


class Sub(Binary):
    """``a - b``."""

    op = "sub"

    @classmethod
    def result_dtype(cls, a: Operand, b: Operand) -> DType:
        """As for other operations; booleans have no difference."""
        dtype = dtype_of(a, b)
        if dtype is dtypes.bool_:
            raise RuntimeError("booleans cannot be subtracted; use ^ for whether they differ, ~ to negate")
        return dtype

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """The gradient goes to ``a``, its negative to ``b``."""
        return (cls.fit(ctx, 0, g) if ctx.needs[0] else None,
                cls.fit(ctx, 1, run("neg", [g], g.dtype)) if ctx.needs[1] else None)


class Mul(Binary):
    """``a * b``."""

    op = "mul"

    @classmethod
    def remember(cls, ctx: Context, a: Operand, b: Operand) -> None:
        """Each operand's gradient needs the other."""
        ctx.save(a if ctx.needs[1] else None, b if ctx.needs[0] else None)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """``g * b`` and ``g * a``."""
        a, b = ctx.saved
        return (cls.fit(ctx, 0, run("mul", [g, b], g.dtype)) if ctx.needs[0] else None,
                cls.fit(ctx, 1, run("mul", [g, a], g.dtype)) if ctx.needs[1] else None)


class Div(Binary):
    """``a / b``; integers divide to float32."""

    op = "div"

    @classmethod
    def result_dtype(cls, a: Operand, b: Operand) -> DType:
        """Floating point."""
        dtype = dtype_of(a, b)
        return dtype if dtype.is_floating_point else dtypes.float32

    @classmethod
    def remember(cls, ctx: Context, a: Operand, b: Operand) -> None:
        """``b``, and ``a`` when b needs a gradient."""
        ctx.save(a if ctx.needs[1] else None, b)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """``g / b`` and ``-g * a / b**2``."""
        a, b = ctx.saved
        ga = run("div", [g, b], g.dtype)
        gb = None
        if ctx.needs[1]:
            gb = run("neg", [run("div", [run("mul", [ga, a], g.dtype), b], g.dtype)], g.dtype)
        return cls.fit(ctx, 0, ga) if ctx.needs[0] else None, cls.fit(ctx, 1, gb)


class Remainder(Binary):
    """``a % b``, with the sign of ``b``."""

    op = "remainder"

    @classmethod
    def remember(cls, ctx: Context, a: Operand, b: Operand) -> None:
        """Both operands, when b needs a gradient."""
        ctx.save(*((a, b) if ctx.needs[1] else ()))

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """``g`` and ``-g * floor(a / b)``."""
        gb = None
        if ctx.needs[1]:
            gb = run("neg", [run("mul", [g, run("floor_divide", [*ctx.saved], g.dtype)], g.dtype)], g.dtype)
        return cls.fit(ctx, 0, g) if ctx.needs[0] else None, cls.fit(ctx, 1, gb)


class Pow(Binary):
    """``a ** b``."""

    op = "pow"

    @classmethod
    def result_dtype(cls, a: Operand, b: Operand) -> DType:
        """As for other operations; integers have no negative integer powers."""
        dtype = dtype_of(a, b)
        if not isinstance(b, Array) and b < 0 and not dtype.is_floating_point:
            raise RuntimeError(f"integers cannot be raised to the negative integer power {b}; convert to float32")
        return dtype

    @classmethod
    def remember(cls, ctx: Context, a: Operand, b: Operand) -> None:
        """Both operands."""
        ctx.save(a, b)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """``g * b * a**(b-1)`` and ``g * a**b * log(a)``, 0 where a is 0."""
        a, b = ctx.saved
        ga = run("pow_backward", [g, a, b], g.dtype) if ctx.needs[0] else None
        gb = None
        if ctx.needs[1]:
            dtype = g.dtype
            base = a if isinstance(a, Array) else full(g.device, (), a, dtype)
            y = run("pow", [base, b], dtype)
            log = run("log", [base], dtype)
            zero = run("eq", [base, 0.0], dtypes.bool_, compute=dtype.compute)
            gb = run("where", [zero, 0.0, run("mul", [run("mul", [g, y], dtype), log], dtype)], dtype)
        return cls.fit(ctx, 0, ga), cls.fit(ctx, 1, gb)


class _Extremum(Binary):
    @classmethod
    def remember(cls, ctx: Context, a: Operand, b: Operand) -> None:
        """Both operands."""
        ctx.save(a, b)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """The gradient goes to the operand that was chosen, half to each where they are equal."""
        a, b = ctx.saved
        tie = run("mul", [run("eq", [a, b], dtypes.float32, compute=g.dtype.compute), -0.5], g.dtype)
        share = run("addcmul", [g, g, tie], g.dtype)      # g, or g / 2 where both are equal
        y = run(cls.op, [a, b], g.dtype)
        return (cls.fit(ctx, 0, run("extremum_backward", [share, a, y], g.dtype)) if ctx.needs[0] else None,
                cls.fit(ctx, 1, run("extremum_backward", [share, b, y], g.dtype)) if ctx.needs[1] else None)


class Maximum(_Extremum):
    """The larger of both; NaN if either is."""

    op = "maximum"


class Minimum(_Extremum):
    """The smaller of both; NaN if either is."""

    op = "minimum"


class Where(Operation):
    """``a`` where the condition holds, ``b`` elsewhere."""

    @classmethod
    def forward(cls, ctx: Context, condition: Array, a: Operand, b: Operand) -> Array:
        """Choose."""
        ctx.save(condition)
        ctx.shapes = [x.shape if isinstance(x, Array) else None for x in (a, b)]
        ctx.dtypes = [x.dtype if isinstance(x, Array) else None for x in (a, b)]
        return run("where", [condition, a, b], dtype_of(a, b))

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[None, Array | None, Array | None]:
        """The gradient goes to the chosen side."""
        (condition,) = ctx.saved
        return (None,
                Binary.fit(ctx, 0, run("where", [condition, g, 0.0], g.dtype)) if ctx.needs[1] else None,
                Binary.fit(ctx, 1, run("where", [condition, 0.0, g], g.dtype)) if ctx.needs[2] else None)


class Clamp(Operation):
    """Elements limited to ``low`` and ``high``; either may be infinite."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, low: Scalar, high: Scalar) -> Array:
        """Limit; integers with a floating-point bound become float32."""
        dtype = dtype_of(x, *(bound for bound in (low, high) if not math.isinf(bound)))
        if not dtype.is_floating_point:
            most = (1 << 63) - 1 if dtype.compute == "long" else (1 << 31) - 1
            low, high = (int(max(-most - 1, min(bound, most))) for bound in (low, high))
        y = run("clamp", [x, low, high], dtype)
        ctx.save(x, y)
        return y

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The gradient passes where nothing was cut."""
        return run("extremum_backward", [g, *ctx.saved], g.dtype)


def compare(op: str, a: Operand, b: Operand) -> Array:
    """``eq ne lt le gt ge`` of two operands, as booleans."""
    compute = dtype_of(a, b).compute
    if compute in ("int", "uchar") and any(isinstance(x, int) and not -(1 << 31) <= x < 1 << 31 for x in (a, b)):
        compute = "long"
    return run(op, [a, b], dtypes.bool_, compute=compute)
