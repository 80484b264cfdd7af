"""Operations on corresponding elements: the host half of ``cl/ops/elementwise.cl``.

:func:`run` broadcasts, merges dimensions, and launches; what it works out for a combination of operation, types and
layouts is kept, so that a repeated call costs little more than the launch.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

from .. import dtypes
from ..dtypes import DType, Scalar
from ..opencl import Kernel
from .array import Array, Shape, broadcast_shapes, contiguous_strides, empty
from .operation import Context, Operation

Operand = Array | Scalar

_BITS = {"int": 32, "long": 64}
_MAX_PLANS = 20_000
_plans: dict[Any, tuple[Kernel, tuple[int, int], tuple[int, int], int, bytes]] = {}


def _merge(shape: Shape, strides: list[Shape]) -> tuple[list[int], list[list[int]]]:
    """Merge dimensions that all operands step through evenly; sizes and strides, innermost dimension first."""
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for axis in range(len(shape) - 1, -1, -1):
        if shape[axis] == 1:
            continue
        if sizes and all(s[axis] == t[-1] * sizes[-1] for s, t in zip(strides, steps)):
            sizes[-1] *= shape[axis]
            continue
        sizes.append(shape[axis])
        for s, t in zip(strides, steps):
            t.append(s[axis])
    if not sizes:
        return [1], [[0] for _ in strides]
    return sizes, steps


def _power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()


def _plan(op: str, out: Array, operands: Sequence[Operand], compute: str) -> Any:
    names = "ABC"
    arrays = [x for x in operands if isinstance(x, Array)]
    sizes, steps = _merge(out.shape, [out.strides, *(x.expand(out.shape).strides for x in arrays)])
    dims = len(sizes)
    defines: list[tuple[str, Any]] = [
        ("OP", f"OP_{op}"), ("INPUTS", len(operands)), ("OUT", out.dtype.name), ("COMPUTE", compute), ("DIMS", dims),
        ("INTEGER", int(compute in ("int", "long"))), ("OUT_STEP", _step("out", steps[0][0]))]
    if compute == "double":
        defines.append(("REAL64", 1))
    signature = "Pl"
    layout = sizes + steps[0]
    rest = iter(steps[1:])
    for name, x in zip(names, operands):
        if isinstance(x, Array):
            step = next(rest)
            defines += [(name, x.dtype.name), (f"{name}_STEP", _step(name.lower(), step[0]))]
            layout = layout + step
            signature += "Pl"
        else:
            defines.append((f"SCALAR_{name}", 1))
            layout = layout + [0] * dims
            signature += {"float": "f", "double": "d", "int": "i", "long": "l"}[compute]
    layout = layout + [0] * (dims * (5 - len(layout) // dims))
    packed = struct.pack(f"{len(layout)}q", *layout)
    device = out.device
    kernel = device.programs.kernel("ops/elementwise.cl", "elementwise", f"{signature}l({len(packed)})",
                                    tuple(defines))
    outer = out.size // sizes[0]
    most = min(1024 if device.type == "cpu" else 256, device.handle.max_work_group_size)
    x_local = min(_power_of_two(sizes[0]), most)
    y_local = min(_power_of_two(outer), max(1, most // x_local), device.max_items[1]) if x_local < 64 else 1
    global_size = (-(-sizes[0] // x_local) * x_local, -(-outer // y_local) * y_local)
    return kernel, global_size, (x_local, y_local), outer, packed


def _step(name: str, stride: int) -> str:
    return str(stride) if stride in (0, 1) else f"layout.{name}[0]"


def run(op: str, operands: Sequence[Operand], dtype: DType, out: Array | None = None,
        compute: str | None = None) -> Array:
    """Apply an operation of ``elementwise.cl`` to arrays and numbers that broadcast together.

    Args:
        op: name of an ``OP_`` macro.
        operands: one to three, at least one of them an array unless ``out`` is given.
        dtype: element type of the result.
        out: where to write instead of a new array; may be one of the operands.
        compute: C type to work in; by default the one that ``dtype`` computes in.
    """
    arrays = [x for x in operands if isinstance(x, Array)]
    if out is None:
        shape = broadcast_shapes(*(x.shape for x in arrays))
        out = empty(arrays[0].device, shape, dtype)
    if out.size == 0:
        return out
    if compute is None:
        compute = dtype.compute
    if compute == "uchar":
        compute = "int"
    for i, x in enumerate(operands):
        # Reading and writing the same memory is only sound element by element.
        if isinstance(x, Array) and x.buffer.handle is out.buffer.handle and (
                x.offset != out.offset or x.expand(out.shape).strides != out.strides) and _overlap(x, out):
            operands = [*operands[:i], copy(x), *operands[i + 1:]]
    key = (op, compute, out.dtype, out.shape, out.strides, out.buffer.device,
           *((x.dtype, x.shape, x.strides) if isinstance(x, Array) else None for x in operands))
    plan = _plans.get(key)
    if plan is None:
        if len(_plans) >= _MAX_PLANS:
            _plans.clear()
        plan = _plans[key] = _plan(op, out, operands, compute)
    kernel, global_size, local_size, outer, layout = plan
    args: list[Any] = [out.buffer.handle, out.offset]
    for x in operands:
        if isinstance(x, Array):
            args += (x.buffer.handle, x.offset)
        elif compute in _BITS:
            args.append(_wrapped(int(x), _BITS[compute]))
        else:
            args.append(float(x))
    kernel(global_size, local_size, *args, outer, layout)
    return out


def _wrapped(value: int, bits: int) -> int:
    """An integer as a signed type of so many bits holds it."""
    half = 1 << (bits - 1)
    return value if -half <= value < half else (value + half) % (2 * half) - half


def _extent(x: Array) -> tuple[int, int]:
    low = high = x.offset
    for n, s in zip(x.shape, x.strides):
        low, high = low + min(0, (n - 1) * s), high + max(0, (n - 1) * s)
    return low * x.dtype.itemsize, (high + 1) * x.dtype.itemsize


def _overlap(a: Array, b: Array) -> bool:
    (a0, a1), (b0, b1) = _extent(a), _extent(b)
    return a0 < b1 and b0 < a1


def copy(x: Array, dtype: DType | None = None) -> Array:
    """A contiguous copy, in another element type if one is given."""
    dtype = dtype or x.dtype
    return run("identity", [x], dtype, out=empty(x.device, x.shape, dtype), compute=_wider(x.dtype, dtype))


def contiguous(x: Array) -> Array:
    """The array itself when its elements lie row by row without gaps, else a copy."""
    return x if x.is_contiguous() else copy(x)


def assign(target: Array, value: Operand) -> Array:
    """Write an array, broadcast and converted, or a number into every element of ``target``."""
    if isinstance(value, Array):
        return run("identity", [value], target.dtype, out=target, compute=_wider(value.dtype, target.dtype))
    if target.dtype is dtypes.bool_:
        value = bool(value)
    return run("identity", [value], target.dtype, out=target)


def full(device: Any, shape: Shape, value: Scalar, dtype: DType) -> Array:
    """An array with the same number everywhere."""
    return assign(empty(device, shape, dtype), value)


def cast(x: Array, dtype: DType) -> Array:
    """The array in another element type; the array itself when it has that type."""
    return x if x.dtype is dtype else copy(x, dtype)


def _wider(a: DType, b: DType) -> str:
    """The C type through which a conversion loses nothing that its ends can hold."""
    if "double" in (a.compute, b.compute):
        return "double"
    if a.is_floating_point:
        return "float"
    return "float" if b.is_floating_point and a is not dtypes.int64 else "long"


def dtype_of(*operands: Operand) -> DType:
    """The element type that operands promote to; numbers decide only by a higher kind."""
    result: DType | None = None
    for x in sorted((x for x in operands if isinstance(x, Array)), key=lambda x: x.ndim == 0):
        if result is None:
            result = x.dtype
        elif x.ndim == 0 and any(isinstance(y, Array) and y.ndim > 0 for y in operands):
            # A 0-d tensor counts like a number: only by its kind.
            same = {"u": "i"}.get(x.dtype.kind, x.dtype.kind) == {"u": "i"}.get(result.kind, result.kind)
            result = result if same or x.dtype.rank < result.rank else x.dtype
        else:
            result = dtypes.promote(result, x.dtype)
    for number in operands:
        if not isinstance(number, Array):
            result = dtypes.of_scalar(number) if result is None else dtypes.promote_scalar(result, number)
    assert result is not None
    return result


def sum_to(g: Array, shape: Shape) -> Array:
    """Undo a broadcast: add up a gradient over the dimensions that were repeated."""
    if g.shape == shape:
        return g
    from .reduce import reduce

    added = g.ndim - len(shape)
    axes = tuple(range(added)) + tuple(i + added for i, n in enumerate(shape) if n == 1 and g.shape[i + added] != 1)
    if axes:
        g = reduce("sum", g, axes)
    return g if g.shape == shape else _reshaped(g, shape)


def _reshaped(g: Array, shape: Shape) -> Array:
    view = g.reshape_view(shape)
    return view if view is not None else copy(g).view(shape, contiguous_strides(shape))


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
