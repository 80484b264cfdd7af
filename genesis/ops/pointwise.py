"""Operations on the elements of one array, with their gradients."""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes
from ..dtypes import DType, Scalar
from .array import Array
from .elementwise import cast, copy, dtype_of, fitting, full, run, sum_to
from .operation import Context, Operation


class Unary(Operation):
    """An operation on one array and perhaps some numbers.

    Attributes:
        op: name of the macro of ``cl/ops`` that computes it.
        save: what backward needs: ``"x"``, ``"y"``, or nothing.
        backward_op: the macro that backward applies to the gradient, what was saved, and the numbers; ``"zero"`` for a
            gradient of zeros, ``"same"`` for one that passes unchanged.
        integers: what integers become: ``"float"`` (the default type), ``"keep"``, or ``"refuse"`` for an error.
    """

    op = ""
    save = ""
    backward_op = ""
    integers = "float"

    @classmethod
    def forward(cls, ctx: Context, x: Array, *numbers: float) -> Array:
        """Apply ``op``."""
        dtype = x.dtype
        if not dtype.has_gradients:
            if cls.integers == "refuse":
                raise NotImplementedError(f"{cls.__name__.lower()}() is not defined for {dtype}; convert to float32")
            if cls.integers == "float":
                dtype = dtypes.get_default_dtype()
        y = run(cls.op, [x, *numbers], dtype)
        if cls.save:
            ctx.save(x if cls.save == "x" else y)
        ctx.numbers = numbers
        return y

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Any:
        """Apply ``backward_op``."""
        if cls.backward_op == "same":
            gradient = g
        elif cls.backward_op == "zero":
            gradient = full(g.device, (), 0.0, g.dtype).expand(g.shape)
        else:
            gradient = run(cls.backward_op, [g, *ctx.saved, *ctx.numbers], g.dtype)
        return (gradient, *(None for _ in ctx.numbers))


def _unary(name: str, save: str, backward_op: str = "", integers: str = "float", op: str = "") -> type[Unary]:
    op = op or name.lower()
    return type(name, (Unary,), {"op": op, "save": save, "backward_op": backward_op or f"{op}_backward",
                                 "integers": integers, "__doc__": f"``{op}`` of each element."})


Exp = _unary("Exp", "y")
Exp2 = _unary("Exp2", "y")
Expm1 = _unary("Expm1", "y")
Log = _unary("Log", "x")
Log2 = _unary("Log2", "x")
Log10 = _unary("Log10", "x")
Log1p = _unary("Log1p", "x")
Sqrt = _unary("Sqrt", "y")
Rsqrt = _unary("Rsqrt", "y")
Reciprocal = _unary("Reciprocal", "y")
Abs = _unary("Abs", "x", integers="keep")
Square = _unary("Square", "x", integers="keep")
Relu = _unary("Relu", "y", integers="keep")
Sigmoid = _unary("Sigmoid", "y")
Sin = _unary("Sin", "x")
Cos = _unary("Cos", "x")
Tan = _unary("Tan", "y")
Asin = _unary("Asin", "x")
Acos = _unary("Acos", "x")
Atan = _unary("Atan", "x")
Sinh = _unary("Sinh", "x")
Cosh = _unary("Cosh", "x")
Tanh = _unary("Tanh", "y")
Asinh = _unary("Asinh", "x")
Acosh = _unary("Acosh", "x")
Atanh = _unary("Atanh", "x")
Erf = _unary("Erf", "x")
Erfc = _unary("Erfc", "x")
Lgamma = _unary("Lgamma", "x")
Digamma = _unary("Digamma", "x")
Erfinv = _unary("Erfinv", "y")
Ndtri = _unary("Ndtri", "y")
LogNdtr = _unary("LogNdtr", "x", op="log_ndtr")
I0 = _unary("I0", "x")
I0e = _unary("I0e", "x")
I1 = _unary("I1", "x")
I1e = _unary("I1e", "x")
Logit = _unary("Logit", "x")                      # numbers: eps, negative for none
Floor = _unary("Floor", "", "zero", "keep")
Ceil = _unary("Ceil", "", "zero", "keep")
Round = _unary("Round", "", "zero", "keep")
Trunc = _unary("Trunc", "", "zero", "keep")
Sign = _unary("Sign", "", "zero", "keep")
Frac = _unary("Frac", "", "same", "refuse")

Gelu = _unary("Gelu", "x", integers="refuse")
GeluTanh = _unary("GeluTanh", "x", integers="refuse", op="gelu_tanh")
Silu = _unary("Silu", "x", integers="refuse")
Mish = _unary("Mish", "x", integers="refuse")
Softplus = _unary("Softplus", "x", integers="refuse")             # numbers: beta, threshold
LogSigmoid = _unary("LogSigmoid", "x", integers="refuse")
Softsign = _unary("Softsign", "x")
LeakyRelu = _unary("LeakyRelu", "x", integers="refuse", op="leaky_relu")    # numbers: slope
Elu = _unary("Elu", "x", integers="refuse")                       # numbers: alpha, scale, rate
Hardtanh = _unary("Hardtanh", "x", "hardtanh_backward", "keep", "clamp")    # numbers: low, high
Hardsigmoid = _unary("Hardsigmoid", "x", integers="refuse")
Hardswish = _unary("Hardswish", "x", integers="refuse")
Hardshrink = _unary("Hardshrink", "x", "shrink_backward", "refuse")         # numbers: edge
Softshrink = _unary("Softshrink", "x", "shrink_backward", "refuse")         # numbers: edge


class Neg(Unary):
    """The negative of each element."""

    op = backward_op = "neg"
    integers = "keep"

    @classmethod
    def forward(cls, ctx: Context, x: Array, *numbers: float) -> Array:
        """Negate."""
        if x.dtype is dtypes.bool_:
            raise RuntimeError("booleans have no negative; use ~")
        return super().forward(ctx, x)


class Polygamma(Operation):
    """The n-th derivative of digamma, n from 1."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, n: int) -> Array:
        """By trigamma, or (-1)^(n + 1) n! times the Hurwitz zeta function at n + 1."""
        ctx.n = n
        ctx.save(x)
        return cls.values(x, n, x.dtype if x.dtype.is_floating_point else dtypes.get_default_dtype())

    @staticmethod
    def values(x: Array, n: int, dtype: DType) -> Array:
        """The function."""
        if n == 1:
            return run("trigamma", [x], dtype)
        wide = dtypes.float32 if dtype.itemsize < 4 else dtype         # the factor may be more than 16 bits hold
        y = run("mul", [run("zeta", [x, n + 1.0], wide), math.factorial(n) * (-1.0) ** (n + 1)], wide)
        return cast(y, dtype)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The gradient times the next derivative."""
        (x,) = ctx.saved
        return run("mul", [g, cls.values(x, ctx.n + 1, g.dtype)], g.dtype)


class NanToNum(Unary):
    """Numbers in place of NaN, infinity and negative infinity."""

    op = "nan_to_num"
    save = "x"
    integers = "keep"

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Any:
        """The gradient passes where nothing was replaced."""
        return run("finite_backward", [g, *ctx.saved], g.dtype), None, None, None


class Threshold(Unary):
    """``x`` where it is above a number (the first), another number elsewhere."""

    op = "threshold"
    save = "x"
    integers = "keep"

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Any:
        """The gradient passes above the threshold."""
        return run("threshold_backward", [g, *ctx.saved, ctx.numbers[0]], g.dtype), None, None


class Clamp(Operation):
    """Elements limited to ``low`` and ``high``; either may be infinite."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, low: Scalar, high: Scalar) -> Array:
        """Limit; integers with a floating-point bound become float32."""
        dtype = dtype_of(x, *(bound for bound in (low, high) if not math.isinf(bound)))
        if not dtype.is_floating_point:
            limits = (0, 1) if dtype is dtypes.bool_ else (dtypes.iinfo(dtype).min, dtypes.iinfo(dtype).max)
            if low > limits[1] or high < limits[0]:        # nothing that the type holds lies between
                raise RuntimeError(f"clamp(): nothing in [{low}, {high}] fits into {dtype}; convert the tensor")
            low, high = (int(max(limits[0], min(bound, limits[1]))) for bound in (low, high))
        ctx.save(x)
        ctx.bounds = low, high
        return run("clamp", [x, low, high], dtype)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The gradient passes where nothing was cut."""
        return run("clamp_backward", [g, *ctx.saved, *ctx.bounds], g.dtype)


class Prelu(Operation):
    """``x`` where positive, elsewhere times a weight that broadcasts."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, weight: Array) -> Array:
        """Apply."""
        ctx.save(x, weight)
        return run("leaky_relu", [x, weight], x.dtype)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """To ``x`` the gradient or its product with the weight; to the weight the sums where ``x`` is not positive."""
        x, weight = ctx.saved
        gx = run("leaky_relu_backward", [g, x, weight], g.dtype) if ctx.needs[0] else None
        gw = None
        if ctx.needs[1]:
            gw = cast(sum_to(run("prelu_backward_weight", [g, x], g.dtype), weight.shape), weight.dtype)
        return gx, gw


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
        return fitting(g, ctx.dtype)


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
