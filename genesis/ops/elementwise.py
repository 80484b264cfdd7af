"""Operations on corresponding elements: the host half of ``cl/ops/elementwise.cl``.

`run` broadcasts, merges dimensions, and launches; what it works out for a combination of operation, types and
layouts is kept, so that a repeated call costs little more than the launch.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..dtypes import DType, Scalar
from . import transpose
from .array import Array, Shape, broadcast_shapes, contiguous_strides, empty, upload

Operand = Array | Scalar

_BITS = {"int": 32, "long": 64}
_NARROW = {dtypes.uint8: (0, 0xff), dtypes.int8: (1 << 7, 0xff), dtypes.int16: (1 << 15, 0xffff)}
_NUMBERS = {"float": "f", "double": "d", "int": "i", "long": "l", "float2": "f", "double2": "d"}
# What cl/ops/complex.h defines: operations that give complex numbers, and others.
_WITH_BACKWARD = """div exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal square cube sin cos tan sinh cosh
    tanh asin acos atan asinh acosh atanh sigmoid silu sgn pow""".split()
_COMPLEX = frozenset([*_WITH_BACKWARD, *(f"{name}_backward" for name in _WITH_BACKWARD), *"""identity neg add sub mul
    conj where add_scaled addcmul_scaled mul_scaled add_turned mul_conj abs_backward angle_backward
    pow_backward_exponent div_conj polar""".split()])
_OF_COMPLEX = frozenset("abs angle eq ne isnan isinf isfinite logical_not logical_and logical_or logical_xor".split())
_SPECIAL = frozenset(f"{name}{end}" for end in ("", "_backward") for name in (    # operations of cl/ops/special.h
    "lgamma", "digamma", "trigamma", "zeta", "gammainc", "gammaincc", "gamma_density", "erfinv", "ndtri", "log_ndtr",
    "i0", "i0e", "i1", "i1e"))
_MAX_PLANS = 20_000

_plans: dict[Any, transpose.Plan] = {}


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


def _plan(op: str, out: Array, operands: Sequence[Operand], compute: str) -> transpose.Plan:
    arrays = [x for x in operands if isinstance(x, Array)]
    sizes, steps = _merge(out.shape, [out.strides, *(x.expand(out.shape).strides for x in arrays)])
    if op == "identity" and len(arrays) == 1 and arrays[0].dtype is out.dtype:
        by_tiles = transpose.plan(out.device, out.dtype, sizes, *steps)
        if by_tiles is not None:
            return by_tiles
    dims = len(sizes)
    wide = any(x.dtype.compute in ("double", "double2") for x in arrays)
    if out.dtype.is_complex or any(x.dtype.is_complex for x in arrays):
        _check_complex(op, out, arrays)
        wide = wide or out.dtype.compute in ("double", "double2") or compute in ("double", "double2")
        compute = "double2" if wide else "float2"
    elif compute == "float" and wide:
        compute = "double"          # a float64 of no dimensions beside a float32, whose type the result has
    defines: list[tuple[str, Any]] = [
        ("OP", f"OP_{op}"), ("INPUTS", len(operands)), ("OUT", out.dtype.name), ("COMPUTE", compute), ("DIMS", dims),
        ("INTEGER", int(compute in ("int", "long"))), ("OUT_STEP", _step("out", steps[0][0]))]
    if compute in ("double", "double2"):
        defines.append(("REAL64", 1))
    if compute in ("float2", "double2"):
        defines.append(("COMPLEX", 1))
    if op in _SPECIAL:
        defines.append(("SPECIAL", 1))
    signature = "Pl"
    layout = sizes + steps[0]
    rest = iter(steps[1:])
    for name, x in zip("ABCDE", operands):
        if isinstance(x, Array):
            step = next(rest)
            defines += [(name, x.dtype.name), (f"{name}_KIND", "array"),
                        (f"{name}_STEP", _step(name.lower(), step[0]))]
            layout = layout + step
            signature += "Pl"
        else:
            defines += [(f"{name}_KIND", "scalar"), (name, "none"), (f"{name}_STEP", 0)]
            layout = layout + [0] * dims
            signature += _NUMBERS[compute]
    packed = struct.pack(f"{len(layout)}q", *layout)
    device = out.device
    kernel = device.programs.kernel("ops/elementwise.cl", "elementwise", f"{signature}l({len(packed)})",
                                    tuple(defines))
    outer = out.size // sizes[0]
    # Groups of short rows have many of them: on CPUs a group costs as much as a hundred elements.
    x_most, most = (1024, 4096) if device.type == "cpu" else (256, 256)
    most = min(most, device.handle.max_work_group_size)
    x_local = min(_power_of_two(sizes[0]), x_most, most)
    y_local = min(_power_of_two(outer), most // x_local, device.max_items[1])
    if x_local >= 64 and y_local < most // x_local:
        y_local = 1                    # one size of group more for each length of rows: PoCL compiles a kernel for each
    global_size = (-(-sizes[0] // x_local) * x_local, -(-outer // y_local) * y_local)
    return kernel, global_size, (x_local, y_local), outer, packed


def _check_complex(op: str, out: Array, arrays: list[Array]) -> None:
    """Raise where an operation is not defined for complex numbers, or its result has no place for them."""
    kinds = ", ".join(dict.fromkeys(str(x.dtype) for x in arrays))
    if op not in _COMPLEX and op not in _OF_COMPLEX:
        raise NotImplementedError(f"{op}() is not defined for complex numbers ({kinds}); use .real, .imag or .abs()")
    if (op in _COMPLEX) != out.dtype.is_complex:
        raise RuntimeError(f"{op}() of {kinds} does not give {out.dtype}; take .real, or convert with to()")


def _step(name: str, stride: int) -> str:
    return str(stride) if stride in (0, 1) else f"layout.{name}[0]"


def run(op: str, operands: Sequence[Operand], dtype: DType, out: Array | None = None,
        compute: str | None = None) -> Array:
    """Apply an operation of ``elementwise.cl`` to arrays and numbers that broadcast together.

    Args:
        op: name of an ``OP_`` macro.
        operands: one to five, at least one of them an array unless ``out`` is given.
        dtype: element type of the result.
        out: where to write instead of a new array; may be one of the operands.
        compute: C type to work in; by default the one that ``dtype`` computes in.
    """
    if out is None:
        shape: Shape | None = None
        for x in operands:
            if isinstance(x, Array):
                if shape is None:
                    shape, device = x.shape, x.buffer.device
                elif x.shape != shape:
                    shape = broadcast_shapes(*[y.shape for y in operands if isinstance(y, Array)])
                    break
        assert shape is not None
        out = empty(device, shape, dtype)
    else:
        for i, x in enumerate(operands):
            # Reading and writing the same memory is only sound element by element.
            if isinstance(x, Array) and x.buffer.handle is out.buffer.handle and (
                    x.offset != out.offset or x.expand(out.shape).strides != out.strides) and _overlap(x, out):
                operands = [*operands[:i], copy(x), *operands[i + 1:]]
    if out.size == 0:
        return out
    if compute is None:
        compute = dtype.compute
    if compute == "uchar":
        compute = "int"
    key: list[Any] = [op, compute, out.dtype, out.shape, out.strides, out.buffer.device]
    args: list[Any] = [out.buffer.handle, out.offset]
    for x in operands:
        if isinstance(x, Array):
            key += (x.dtype, x.shape, x.strides)
            args += (x.buffer.handle, x.offset)
        else:
            key.append(None)
            args.append(_wrapped(int(x), dtype, _BITS[compute]) if compute in _BITS else float(x))
    entry = tuple(key)
    plan = _plans.get(entry)
    if plan is None:
        if len(_plans) >= _MAX_PLANS:
            _plans.clear()
        plan = _plans[entry] = _plan(op, out, operands, compute)
    kernel, global_size, local_size, outer, layout = plan
    kernel(global_size, local_size, *args, outer, layout)
    return out


def _wrapped(value: int, dtype: DType, bits: int) -> int:
    """An integer as a result's type holds it, or where that is none or a wider one, a signed type of so many bits."""
    if dtype in _NARROW:
        half, mask = _NARROW[dtype]
        return (value + half & mask) - half
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


def reshaped(x: Array, shape: Shape) -> Array:
    """The array in another shape, copied only when its layout makes that necessary."""
    view = x.reshape_view(shape)
    return view if view is not None else copy(x).view(shape, contiguous_strides(shape))


def assign(target: Array, value: Operand) -> Array:
    """Write an array, broadcast and converted, or a number into every element of ``target``."""
    if isinstance(value, complex):
        value = number(target.device, value, target.dtype)
    if isinstance(value, Array):
        return run("identity", [value], target.dtype, out=target, compute=_wider(value.dtype, target.dtype))
    if target.dtype is dtypes.bool_:
        value = bool(value)
    dtypes.check_fits(value, value, target.dtype)
    return run("identity", [value], target.dtype, out=target)


def number(device: Any, value: complex, dtype: DType) -> Array:
    """A complex number as an array of no dimensions; ``RuntimeError`` where a type cannot hold it."""
    if not dtype.is_complex:
        raise RuntimeError(f"the complex number {value} cannot be written into a tensor of {dtype}")
    return upload(device, np.asarray(value, dtype.numpy))


def full(device: Any, shape: Shape, value: Scalar, dtype: DType) -> Array:
    """An array with the same number everywhere."""
    return assign(empty(device, shape, dtype), value)


def cast(x: Array, dtype: DType) -> Array:
    """The array in another element type; the array itself when it has that type."""
    return x if x.dtype is dtype else copy(x, dtype)


def fitting(g: Array, dtype: DType) -> Array:
    """A gradient in the element type of its operand; that of a real operand is the real part."""
    return cast(g.part(0) if g.dtype.is_complex and not dtype.is_complex else g, dtype)


def _wider(a: DType, b: DType) -> str:
    """The C type through which a conversion loses nothing that its ends can hold."""
    if a.is_complex or b.is_complex:
        return (a if a.is_complex else b).compute
    if "double" in (a.compute, b.compute):
        return "double"
    if a.is_floating_point:
        return "float"
    return "float" if b.is_floating_point and a is not dtypes.int64 else "long"


def dtype_of(*operands: Operand) -> DType:
    """The element type that operands promote to; numbers decide only by a higher kind."""
    result: DType | None = None
    for x in operands:             # mostly all arrays have one type, whatever their dimensions
        if isinstance(x, Array):
            if result is None:
                result = x.dtype
            elif x.dtype is not result:
                result = _promoted([x for x in operands if isinstance(x, Array)])
                break
    for number in operands:
        if not isinstance(number, Array):
            result = dtypes.of_scalar(number) if result is None else dtypes.promote_scalar(result, number)
    assert result is not None
    return result


def _promoted(arrays: list[Array]) -> DType:
    """The element type that arrays promote to, among which one without dimensions counts like a number."""
    arrays.sort(key=lambda x: x.ndim == 0)
    result = arrays[0].dtype
    for x in arrays[1:]:
        weak = x.ndim == 0 and arrays[0].ndim > 0
        result = dtypes.promote_weak(result, x.dtype) if weak else dtypes.promote(result, x.dtype)
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
    return reshaped(g, shape)
