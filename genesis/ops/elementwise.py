"""Operations on corresponding elements: the host half of ``cl/ops/elementwise.cl``.

`run` broadcasts, merges dimensions, and launches; what it works out for a combination of operation, types and
layouts is kept, so that a repeated call costs little more than the launch.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from .. import dtypes
from ..dtypes import DType, Scalar
from ..opencl import Kernel
from .array import Array, Shape, broadcast_shapes, contiguous_strides, empty

Operand = Array | Scalar

_BITS = {"int": 32, "long": 64}
_SPECIAL = frozenset(f"{name}{end}" for end in ("", "_backward") for name in (    # operations of cl/ops/special.h
    "lgamma", "digamma", "trigamma", "zeta", "gammainc", "gammaincc", "erfinv", "ndtri", "log_ndtr",
    "i0", "i0e", "i1", "i1e"))
_MAX_PLANS = 20_000
Plan = tuple[Kernel, tuple[int, int], tuple[int, int], int, bytes]

_plans: dict[Any, Plan] = {}


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


def _plan(op: str, out: Array, operands: Sequence[Operand], compute: str) -> Plan:
    arrays = [x for x in operands if isinstance(x, Array)]
    sizes, steps = _merge(out.shape, [out.strides, *(x.expand(out.shape).strides for x in arrays)])
    dims = len(sizes)
    if compute == "float" and any(x.dtype.compute == "double" for x in arrays):
        compute = "double"          # a float64 of no dimensions beside a float32, whose type the result has
    defines: list[tuple[str, Any]] = [
        ("OP", f"OP_{op}"), ("INPUTS", len(operands)), ("OUT", out.dtype.name), ("COMPUTE", compute), ("DIMS", dims),
        ("INTEGER", int(compute in ("int", "long"))), ("OUT_STEP", _step("out", steps[0][0]))]
    if compute == "double":
        defines.append(("REAL64", 1))
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
            signature += {"float": "f", "double": "d", "int": "i", "long": "l"}[compute]
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
        operands: one to five, at least one of them an array unless ``out`` is given.
        dtype: element type of the result.
        out: where to write instead of a new array; may be one of the operands.
        compute: C type to work in; by default the one that ``dtype`` computes in.
    """
    if out is None:
        arrays = [x for x in operands if isinstance(x, Array)]
        shape = arrays[0].shape
        for array in arrays:
            if array.shape != shape:
                shape = broadcast_shapes(*[x.shape for x in arrays])
                break
        out = empty(arrays[0].buffer.device, shape, dtype)
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
            args.append(_wrapped(int(x), _BITS[compute]) if compute in _BITS else float(x))
    entry = tuple(key)
    plan = _plans.get(entry)
    if plan is None:
        if len(_plans) >= _MAX_PLANS:
            _plans.clear()
        plan = _plans[entry] = _plan(op, out, operands, compute)
    kernel, global_size, local_size, outer, layout = plan
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
