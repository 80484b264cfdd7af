"""Operations on the elements of one array, with their gradients."""

from __future__ import annotations

from .. import dtypes
from ..dtypes import DType
from .array import Array
from .elementwise import cast, copy, run
from .operation import Context, Operation


class Unary(Operation):
    """An operation on one array. ``save`` says what backward needs: ``"x"``, ``"y"`` or nothing."""

    op = ""
    save = ""
    backward_op = ""
    floating = True       # integers become float32

    @classmethod
    def forward(cls, ctx: Context, x: Array) -> Array:
        """Apply ``op``."""
        dtype = dtypes.float32 if cls.floating and not x.dtype.is_floating_point else x.dtype
        y = run(cls.op, [x], dtype)
        if cls.save:
            ctx.save(x if cls.save == "x" else y)
        return y

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Apply ``backward_op`` to the gradient and to what was saved."""
        return run(cls.backward_op, [g, *ctx.saved], g.dtype)


def _unary(name: str, op: str, save: str, backward_op: str, floating: bool = True) -> type[Unary]:
    return type(name, (Unary,), {"op": op, "save": save, "backward_op": backward_op, "floating": floating,
                                 "__doc__": f"``{op}`` of each element."})


Exp = _unary("Exp", "exp", "y", "mul")
Expm1 = _unary("Expm1", "expm1", "y", "expm1_backward")
Log = _unary("Log", "log", "x", "div")
Log1p = _unary("Log1p", "log1p", "x", "log1p_backward")
Sqrt = _unary("Sqrt", "sqrt", "y", "sqrt_backward")
Abs = _unary("Abs", "abs", "x", "abs_backward", floating=False)
Relu = _unary("Relu", "relu", "y", "relu_backward", floating=False)
Sigmoid = _unary("Sigmoid", "sigmoid", "y", "sigmoid_backward")
Tanh = _unary("Tanh", "tanh", "y", "tanh_backward")
Sin = _unary("Sin", "sin", "x", "sin_backward")
Cos = _unary("Cos", "cos", "x", "cos_backward")


class Neg(Unary):
    """The negative of each element."""

    op = backward_op = "neg"
    floating = False

    @classmethod
    def forward(cls, ctx: Context, x: Array) -> Array:
        """Negate."""
        if x.dtype is dtypes.bool_:
            raise RuntimeError("booleans have no negative; use ~")
        return super().forward(ctx, x)


class Rsqrt(Unary):
    """One over the square root of each element."""

    op = "rsqrt"
    save = "y"

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """-1/2 of the gradient times the cube of the result."""
        return run("rsqrt_backward", [g, *ctx.saved, -0.5], g.dtype)


class Cast(Operation):
    """Conversion to another element type."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, dtype: DType) -> Array:
        """Convert."""
        ctx.dtype = x.dtype
        return copy(x, dtype)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Convert back."""
        return cast(g, ctx.dtype)


class Copy(Operation):
    """A contiguous copy."""

    @classmethod
    def forward(cls, ctx: Context, x: Array) -> Array:
        """Copy."""
        return copy(x)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Pass the gradient on."""
        return g
