"""Complex numbers: which operations take them, and those that make, convert and multiply them.

Most operations on corresponding elements are those of real numbers: ``cl/ops/complex.h`` has the functions by the
same names. Sums, copies and matrix products see complex numbers as twice as many real ones.
"""

from __future__ import annotations

import warnings

from .. import dtypes
from ..dtypes import DType
from . import binary, index, pointwise, put, reduce, scan, scatter, ternary, transfer, triangle, views
from .array import Array, broadcast_shapes, contiguous_strides, empty
from .elementwise import assign, contiguous, copy, fitting, run, sum_to
from .matmul import MatMul, product, transposed
from .operation import Context, Operation
from .pointwise import Unary


class Conj(Operation):
    """The conjugate of each element."""

    @classmethod
    def forward(cls, ctx: Context, x: Array) -> Array:
        """Negate the imaginary parts."""
        return run("conj", [x], x.dtype)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The same again."""
        return run("conj", [g], g.dtype)


class ViewAsReal(Operation):
    """Complex numbers as pairs of real ones; a view."""

    @classmethod
    def forward(cls, ctx: Context, x: Array) -> Array:
        """Look."""
        return x.as_real()

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Pairs as complex numbers."""
        return paired(g)


class ViewAsComplex(Operation):
    """Pairs of real numbers as complex ones; a view."""

    @classmethod
    def forward(cls, ctx: Context, x: Array) -> Array:
        """Look."""
        if not x.ndim or x.shape[-1] != 2:
            raise RuntimeError(f"view_as_complex() needs a last dimension of size 2, not the shape {x.shape}")
        y = x.as_complex()
        if y is None:
            raise RuntimeError(f"pairs with strides {x.strides} at offset {x.offset} do not lie in memory as complex "
                               "numbers do; call contiguous() or clone() first")
        return y

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Complex numbers as pairs."""
        return g.as_real()


def paired(x: Array) -> Array:
    """Pairs of real numbers as complex ones, copied only where their layout makes that necessary."""
    y = x.as_complex()
    if y is None:
        y = copy(x).as_complex()
    assert y is not None
    return y


class FromParts(Operation):
    """``a + i b`` of two real operands of one type."""

    @classmethod
    def forward(cls, ctx: Context, a: Array, b: Array) -> Array:
        """Write both parts."""
        ctx.shapes, ctx.dtypes = (a.shape, b.shape), (a.dtype, b.dtype)
        out = empty(a.device, broadcast_shapes(a.shape, b.shape), a.dtype.to_complex())
        assign(out.part(0), a)
        assign(out.part(1), b)
        return out

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """The parts of the gradient."""
        return tuple(sum_to(g.part(i), shape) if need else None  # type: ignore[return-value]
                     for i, (shape, need) in enumerate(zip(ctx.shapes, ctx.needs)))


class Abs(Operation):
    """The absolute value of complex numbers, which is real; its gradient at 0 is 0."""

    op = "abs"

    @classmethod
    def forward(cls, ctx: Context, x: Array) -> Array:
        """Apply ``op``."""
        ctx.save(x)
        return run(cls.op, [x], x.dtype.to_real(), compute=x.dtype.compute)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Away from 0."""
        (x,) = ctx.saved
        return run(f"{cls.op}_backward", [g, x], x.dtype)


class Angle(Abs):
    """The angle of complex numbers in (-π, π]; its gradient at 0 is 0."""

    op = "angle"

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Around 0."""
        return super().backward(ctx, g)


class Sgn(Unary):
    """``x / abs(x)``, 0 where x is 0."""

    op = "sgn"
    save = "x"
    backward_op = "sgn_backward"


class Cast(pointwise.Cast):
    """Complex numbers in another type; real ones are their real parts, booleans whether they are not 0."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, dtype: DType) -> Array:
        """Convert."""
        ctx.dtype = x.dtype
        if dtype is dtypes.bool_:
            return run("ne", [x, 0.0], dtype, compute=x.dtype.compute)
        if not dtype.is_complex:
            warnings.warn("casting complex numbers to real ones discards the imaginary part; use .real for what is "
                          "meant to", UserWarning, stacklevel=2)
            x = x.part(0)
        return copy(x, dtype)


def product_of(a: Array, b: Array) -> Array:
    """``a @ b`` of complex matrices, as one real product.

    The rows of a's real and of its imaginary parts, one below the other, meet b with its parts in neighbouring columns:
    ``[re a; im a] @ [re b, im b]`` has every product there is.
    """
    dtype = dtypes.promote(a.dtype, b.dtype)
    (m, k), n = a.shape[-2:], b.shape[-1]
    if k != b.shape[-2]:
        raise RuntimeError(f"cannot multiply matrices of shapes {a.shape} and {b.shape}: {k} columns meet "
                           f"{b.shape[-2]} rows")
    pairs = a.as_real()
    last = pairs.ndim - 1
    planes = copy(pairs.permute((*range(last - 2), last, last - 2, last - 1)), dtype.to_real())
    stacked = (*a.shape[:-2], 2 * m, k)
    left = planes.view(stacked, contiguous_strides(stacked), planes.offset)
    columns = contiguous(b) if b.dtype is dtype else copy(b, dtype)
    right = columns.as_real().reshape_view((*b.shape[:-1], 2 * n))
    assert right is not None
    whole = product(left, right)
    four = (*whole.shape[:-2], 2, m, n, 2)            # parts of a, times pairs of parts of b
    parts = whole.view(four, contiguous_strides(four)).as_complex()
    assert parts is not None
    outer = tuple((0, 1, size) for size in parts.shape[:-3])
    by_real, by_imaginary = (views.select_view(parts, (*outer, i)) for i in (0, 1))
    return run("add_turned", [by_real, by_imaginary], dtype)


class Product(Operation):
    """``a @ b`` of complex matrices."""

    @classmethod
    def forward(cls, ctx: Context, a: Array, b: Array) -> Array:
        """Multiply."""
        ctx.save(a, b)
        return product_of(a, b)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """``g @ b.H`` and ``a.H @ g``."""
        a, b = ctx.saved
        ga = product_of(g, _adjoint(b)) if ctx.needs[0] else None
        gb = product_of(_adjoint(a), g) if ctx.needs[1] else None
        return tuple(None if x is None else fitting(sum_to(x, of.shape), of.dtype)  # type: ignore[return-value]
                     for x, of in ((ga, a), (gb, b)))


def _adjoint(x: Array) -> Array:
    return run("conj", [transposed(x)], x.dtype)


# Operations that take complex numbers as they are, because all that they do is defined for them.
_AS_THEY_ARE: set[type[Operation]] = {
    Conj, ViewAsReal, Abs, Angle, Sgn, Product,
    binary.Add, binary.Sub, binary.Mul, binary.Div, binary.Pow,
    ternary.AddScaled, ternary.Addcmul, ternary.Where,
    pointwise.Neg, pointwise.Copy, pointwise.Square, pointwise.Reciprocal, pointwise.Exp, pointwise.Exp2,
    pointwise.Expm1, pointwise.Log, pointwise.Log2, pointwise.Log10, pointwise.Log1p, pointwise.Sqrt, pointwise.Rsqrt,
    pointwise.Sin, pointwise.Cos, pointwise.Tan, pointwise.Sinh, pointwise.Cosh, pointwise.Tanh, pointwise.Asin,
    pointwise.Acos, pointwise.Atan, pointwise.Asinh, pointwise.Acosh, pointwise.Atanh, pointwise.Sigmoid,
    pointwise.Silu,
    reduce.Sum, reduce.Mean, scan.CumSum,
    index.IndexSelect, index.Index, index.Gather, put.IndexPut, scatter.Joined, transfer.Transfer,
    views.Reshape, views.AsStrided, views.Permute, views.Expand, views.Slice, views.Cat, views.Parts, views.Diagonal,
    views.DiagonalMatrix, views.Unfold, views.Flip, views.Roll, views.Pad,
    triangle.Triangle,
}
# Those in whose place another stands.
_INSTEAD: dict[type[Operation], type[Operation]] = {pointwise.Abs: Abs, pointwise.Cast: Cast, MatMul: Product}


def allow(operation: type[Operation]) -> type[Operation]:
    """Enter an operation that takes complex numbers as they are; a decorator."""
    _AS_THEY_ARE.add(operation)
    return operation


def complex_form(operation: type[Operation]) -> type[Operation]:
    """What an operation is for complex numbers: itself or another one.

    Raises:
        NotImplementedError: it is not defined for complex numbers.
    """
    if operation in _AS_THEY_ARE:
        return operation
    found = _INSTEAD.get(operation)
    if found is None:
        if operation in _INSTEAD.values():
            return operation
        raise NotImplementedError(f"{operation.__name__} is not defined for complex tensors; use .real, .imag, abs() "
                                  "or view_as_real()")
    return found
