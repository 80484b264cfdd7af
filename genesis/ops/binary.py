"""Operations on corresponding elements of two operands, with their gradients; comparisons."""

from __future__ import annotations

from .. import dtypes
from ..dtypes import DType
from .array import Array
from .elementwise import Operand, dtype_of, fitting, full, run, sum_to
from .operation import Context, Operation


class Binary(Operation):
    """An operation on two operands, either of which may be a number."""

    op = ""

    @classmethod
    def forward(cls, ctx: Context, a: Operand, b: Operand) -> Array:
        """Broadcast, promote, apply ``op``."""
        if True in ctx.needs:
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
        return None if g is None else fitting(sum_to(g, ctx.shapes[i]), ctx.dtypes[i])


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
        if any(isinstance(x, bool) or (isinstance(x, Array) and x.dtype is dtypes.bool_) for x in (a, b)):
            raise RuntimeError("booleans cannot be subtracted; use ^ for whether they differ, ~ to negate, or convert")
        return dtype_of(a, b)

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
        """``g * b`` and ``g * a``, of complex numbers with the factors conjugated."""
        a, b = ctx.saved
        times = "mul_conj" if g.dtype.is_complex else "mul"
        return (cls.fit(ctx, 0, run(times, [g, b], g.dtype)) if ctx.needs[0] else None,
                cls.fit(ctx, 1, run(times, [g, a], g.dtype)) if ctx.needs[1] else None)


class Div(Binary):
    """``a / b``; integers divide to float32."""

    op = "div"

    @classmethod
    def result_dtype(cls, a: Operand, b: Operand) -> DType:
        """Floating point."""
        dtype = dtype_of(a, b)
        return dtype if dtype.has_gradients else dtypes.get_default_dtype()

    @classmethod
    def remember(cls, ctx: Context, a: Operand, b: Operand) -> None:
        """``b``, and ``a`` when b needs a gradient."""
        ctx.save(a if ctx.needs[1] else None, b)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """``g / b`` and ``-g * a / b**2``, of complex numbers with conjugated factors."""
        a, b = ctx.saved
        over = "div_conj" if g.dtype.is_complex else "div"
        return (cls.fit(ctx, 0, run(over, [g, b], g.dtype)) if ctx.needs[0] else None,
                cls.fit(ctx, 1, run("div_backward", [g, a, b], g.dtype)) if ctx.needs[1] else None)


class FloorDivide(Binary):
    """``a / b`` rounded down; its gradient is 0."""

    op = "floor_divide"

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """Zeros."""
        zero = full(g.device, (), 0.0, g.dtype).expand(g.shape)
        return tuple(cls.fit(ctx, i, zero) if ctx.needs[i] else None for i in (0, 1))  # type: ignore[return-value]


class TruncDivide(FloorDivide):
    """``a / b`` rounded towards 0; its gradient is 0."""

    op = "trunc_divide"


class Remainder(Binary):
    """``a % b``, with the sign of ``b``."""

    op = "remainder"

    @classmethod
    def result_dtype(cls, a: Operand, b: Operand) -> DType:
        """As for other operations; booleans have no remainder."""
        dtype = dtype_of(a, b)
        if dtype is dtypes.bool_:
            raise NotImplementedError("booleans have no remainder; convert them")
        return dtype

    @classmethod
    def remember(cls, ctx: Context, a: Operand, b: Operand) -> None:
        """Both operands, when b needs a gradient."""
        ctx.save(*((a, b) if ctx.needs[1] else ()))

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """``g`` and ``-g * floor(a / b)``."""
        gb = run(f"{cls.op}_backward", [g, *ctx.saved], g.dtype) if ctx.needs[1] else None
        return cls.fit(ctx, 0, g) if ctx.needs[0] else None, cls.fit(ctx, 1, gb)


class Fmod(Remainder):
    """The remainder with the sign of ``a``."""

    op = "fmod"


# Powers that have a quicker form.
_POWERS = {1: "identity", 2: "square", 3: "cube", 0.5: "sqrt", -0.5: "rsqrt", -1: "reciprocal"}


class Pow(Binary):
    """``a ** b``."""

    op = "pow"

    @classmethod
    def forward(cls, ctx: Context, a: Operand, b: Operand) -> Array:
        """Choose the quick form where there is one."""
        if isinstance(a, Array) and not isinstance(b, Array) and b in _POWERS:
            dtype = cls.result_dtype(a, b)
            if dtype.has_gradients or b > 0:
                ctx.shapes, ctx.dtypes = [a.shape, None], [a.dtype, None]
                ctx.save(a, b)
                return run(_POWERS[b], [a], dtype)
        return super().forward(ctx, a, b)

    @classmethod
    def result_dtype(cls, a: Operand, b: Operand) -> DType:
        """As for other operations; integers have no negative integer powers."""
        dtype = dtype_of(a, b)
        if not isinstance(b, Array) and b < 0 and not dtype.has_gradients:
            raise RuntimeError(f"integers cannot be raised to the negative integer power {b}; convert to float32")
        if not isinstance(b, Array):
            dtypes.check_fits(b, b, dtype)
        return dtype

    @classmethod
    def remember(cls, ctx: Context, a: Operand, b: Operand) -> None:
        """Both operands."""
        ctx.save(a, b)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """``g * b * a**(b-1)`` and ``g * a**b * log(a)``, 0 where a is 0 and b is not negative."""
        a, b = ctx.saved
        ga = gb = None
        if ctx.needs[0]:
            square = not isinstance(b, Array) and b == 2
            ga = run("square_backward", [g, a], g.dtype) if square else run("pow_backward", [g, a, b], g.dtype)
        if ctx.needs[1]:
            gb = run("pow_backward_exponent", [g, a, b], g.dtype)
        return cls.fit(ctx, 0, ga), cls.fit(ctx, 1, gb)


class _Saving(Binary):
    """An operation whose backward needs both operands: ``rules`` has a macro of (g, first, second) for each.

    The second macro gets the operands in the order that ``swapped`` says.
    """

    rules = ("", "")
    swapped = True
    floating = False

    @classmethod
    def result_dtype(cls, a: Operand, b: Operand) -> DType:
        """As for other operations, or floating point."""
        dtype = dtype_of(a, b)
        return dtypes.get_default_dtype() if cls.floating and not dtype.is_floating_point else dtype

    @classmethod
    def remember(cls, ctx: Context, a: Operand, b: Operand) -> None:
        """Both operands."""
        ctx.save(a, b)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """Apply the rules."""
        a, b = ctx.saved
        second = (b, a) if cls.swapped else (a, b)
        return (cls.fit(ctx, 0, run(cls.rules[0], [g, a, b], g.dtype)) if ctx.needs[0] else None,
                cls.fit(ctx, 1, run(cls.rules[1], [g, *second], g.dtype)) if ctx.needs[1] else None)


class Maximum(_Saving):
    """The larger of both; NaN if either is. Where both are equal, each gets half of the gradient."""

    op = "maximum"
    rules = ("larger_backward", "larger_backward")


class Minimum(_Saving):
    """The smaller of both; NaN if either is. Where both are equal, each gets half of the gradient."""

    op = "minimum"
    rules = ("smaller_backward", "smaller_backward")


class Fmax(_Saving):
    """The larger of both; the other where one is NaN. The gradient goes to the one that was taken."""

    op = "fmax"
    test = "fmax_first"

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """The gradient goes to one of them, ``a`` where both are equal."""
        a, b = ctx.saved
        first = run(cls.test, [a, b], dtypes.bool_, compute=g.dtype.compute)
        return (cls.fit(ctx, 0, run("where", [first, g, 0.0], g.dtype)) if ctx.needs[0] else None,
                cls.fit(ctx, 1, run("where", [first, 0.0, g], g.dtype)) if ctx.needs[1] else None)


class Fmin(Fmax):
    """The smaller of both; the other where one is NaN. The gradient goes to the one that was taken."""

    op = "fmin"
    test = "fmin_first"


class Hypot(_Saving):
    """``sqrt(a**2 + b**2)`` without overflow."""

    op = "hypot"
    floating = True

    @classmethod
    def forward(cls, ctx: Context, a: Operand, b: Operand) -> Array:
        """Keep the result too."""
        y = super().forward(ctx, a, b)
        ctx.save(a, b, y)
        return y

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """``g * a / y`` and ``g * b / y``."""
        a, b, y = ctx.saved
        return (cls.fit(ctx, 0, run("hypot_backward", [g, a, y], g.dtype)) if ctx.needs[0] else None,
                cls.fit(ctx, 1, run("hypot_backward", [g, b, y], g.dtype)) if ctx.needs[1] else None)


class Atan2(_Saving):
    """The angle of the point (b, a)."""

    op = "atan2"
    rules = ("atan2_backward", "atan2_backward_x")
    swapped = False
    floating = True


class Xlogy(_Saving):
    """``a * log(b)``, 0 where a is 0."""

    op = "xlogy"
    rules = ("xlogy_backward", "xlogy_backward_log")
    swapped = False
    floating = True


class Logaddexp(_Saving):
    """``log(exp(a) + exp(b))`` without overflow."""

    op = "logaddexp"
    rules = ("logaddexp_backward", "logaddexp_backward")
    floating = True


class Copysign(_Saving):
    """The size of ``a`` with the sign of ``b``."""

    op = "copysign"
    rules = ("copysign_backward", "zero_backward")
    floating = True


def compare(op: str, a: Operand, b: Operand) -> Array:
    """``eq ne lt le gt ge`` of two operands, as booleans."""
    return run(op, [a, b], dtypes.bool_, compute=truth_compute(a, b))


def truth_compute(*operands: Operand) -> str:
    """The C type in which operands that give a truth value are compared."""
    compute = dtype_of(*operands).compute
    if compute in ("int", "uchar") and any(isinstance(x, int) and not -(1 << 31) <= x < 1 << 31 for x in operands):
        return "long"
    return compute
