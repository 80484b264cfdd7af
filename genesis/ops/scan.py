"""Running sums, products, extrema: the host half of ``cl/ops/scan.cl``."""

from __future__ import annotations

import functools
import math
from typing import Any

from .. import dtypes
from ..dtypes import DType
from ..opencl import Device
from .array import Array, empty
from .elementwise import assign, cast, contiguous, copy, reshaped, run
from .operation import Context, Operation
from .reduce import result_dtype
from .vectors import lanes_of

_BLOCK = 1024         # fewest elements of a column that a work-item takes when columns are cut
_SHORT = 32           # elements of a short row at the most


def grid(inner: int, count: int, outer: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Global and local size over (inner, count, outer), or (count, outer) when inner is 1, which kernels call LAST.

    The first size is rounded up to whole work-groups: kernels check it.
    """
    wide = (count, outer) if inner == 1 else (inner, count, outer)
    local = min(64, 1 << (wide[0] - 1).bit_length())
    return (-(-wide[0] // local) * local, *wide[1:]), (local, *(1 for _ in wide[1:]))


def _accumulator(x: Array, out: DType) -> DType:
    """What a column is added up in: on CPUs with float64 that, which costs nothing there, as in PyTorch."""
    if not out.is_floating_point:
        return dtypes.int64
    double = out is dtypes.float64 or (x.device.fp64 and x.device.type == "cpu")
    return dtypes.float64 if double else dtypes.float32


@functools.cache
def _defines(op: tuple[str, str], x: DType, out: DType, acc: DType, reverse: bool,
             last: bool) -> tuple[tuple[str, Any], ...]:
    defines: tuple[tuple[str, Any], ...] = (op, ("IN", x.name), ("OUT", out.name), ("ACC", acc.compute))
    for name, wanted in (("REVERSE", reverse), ("LAST", last), ("REAL64", acc is dtypes.float64)):
        if wanted:
            defines += ((name, 1),)
    return defines


def running(op: str, x: Array, axis: int, dtype: DType | None = None, reverse: bool = False) -> Array:
    """The running sum (``"sum"``), product (``"prod"``) or logarithm of the sum of exponentials along a dimension.

    Args:
        op: ``"sum"``, ``"prod"`` or ``"logaddexp"``, for which a type must be given.
        x: array; integers give int64.
        axis: dimension.
        dtype: element type of the result.
        reverse: run from the last element to the first.
    """
    dtype = dtype or result_dtype(op, x.dtype)
    if x.dtype.is_complex and op == "sum":
        both = running(op, cast(x, dtype).as_real(), axis, dtype.to_real(), reverse) if x.ndim else copy(x).as_real()
        whole = both.as_complex()
        assert whole is not None
        return whole
    if x.ndim == 0 or x.size == 0:
        return assign(empty(x.device, x.shape, dtype), x)
    x = contiguous(x)
    shape = x.shape
    outer, n, inner = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1:])
    out = empty(x.device, shape, dtype)
    _run(op, x, out, outer, n, inner, _accumulator(x, dtype), reverse)
    return out


def _block(x: Array, outer: int, n: int, inner: int) -> int:
    """How many elements of a column a work-item takes."""
    device = x.device
    busy = 2 * device.compute_units * device.quirks.parallel
    most = min(1 << 20, device.quirks.max_loop or 1 << 20)
    if (outer * inner < busy and n >= 2 * _BLOCK) or n > most:
        return min(most, max(_BLOCK, -(-n * outer * inner // busy)))
    return n


def _run(op: str, x: Array, out: Array, outer: int, n: int, inner: int, acc: DType, reverse: bool) -> None:
    device = x.device
    block = _block(x, outer, n, inner)
    blocks = -(-n // block)
    last = inner == 1
    before = out
    sizes, local = grid(inner, blocks, outer)
    if last:      # the number of blocks is read from the global size
        sizes, local = (blocks, outer), (1, 1)
    name = ""
    more: tuple[tuple[str, Any], ...] = ()
    if op == "logaddexp" and last and n > _SHORT and _by_vectors(device):
        name, more = "_exponentials", (("WIDTH", lanes_of(device, acc)), ("LOGARITHMS", 1))
    if blocks > 1:
        folded = empty(device, (outer, blocks, inner), acc)
        kernel = device.programs.kernel("ops/scan.cl", f"fold{name}", "PlPlll",
                                        _defines(("OP", op), x.dtype, acc, acc, reverse, last) + more)
        kernel(sizes, local, x.buffer.handle, x.offset, folded.buffer.handle, n, inner, block)
        before = empty(device, folded.shape, acc)
        _run(op, folded, before, outer, blocks, inner, acc, False)
    defines = _defines(("OP", op), x.dtype, out.dtype, acc, reverse, last) + more
    if blocks == 1 and op == "logaddexp":
        defines += (("ALONE", 1),)
    if last and blocks == 1 and n <= _SHORT:
        sizes, local, block, defines = (-(-outer // 64) * 64,), (64,), outer, (*defines, ("SHORT", 1))
    kernel = device.programs.kernel("ops/scan.cl", f"scan{name}", "PlPPlll", defines)
    kernel(sizes, local, x.buffer.handle, x.offset, before.buffer.handle, out.buffer.handle, n, inner, block)


def _by_vectors(device: Device) -> bool:
    """Whether rows are gone through by vectors, in loops within loops."""
    return device.type == "cpu" and not device.quirks.max_loop


def zeros_like(x: Array, dtype: DType) -> Array:
    """Zeros in the shape of an array."""
    return assign(empty(x.device, x.shape, dtype), 0)


def running_extremes(compare: str, x: Array, axis: int) -> tuple[Array, Array]:
    """The largest (``"ge"``) or smallest (``"le"``) element so far, and its int64 position, the last of equal ones.

    NaN counts as more extreme than any number.
    """
    from .index import gather

    x = contiguous(x)
    shape, device = x.shape, x.device
    outer, n, inner = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1:])
    compute = {"uchar": dtypes.int32, "int": dtypes.int32, "long": dtypes.int64, "double": dtypes.float64}
    defines = _defines(("WINS", compare), x.dtype, dtypes.int64, compute.get(x.dtype.compute, dtypes.float32), False,
                       inner == 1)
    block = _block(x, outer, n, inner)
    blocks = -(-n // block)
    out = before = empty(device, shape, dtypes.int64)
    values = empty(device, shape, x.dtype)
    sizes, local = ((blocks, outer), (1, 1)) if inner == 1 else grid(inner, blocks, outer)
    if inner == 1 and n > _SHORT and x.dtype.is_floating_point and _by_vectors(device):
        defines = (*defines, ("WIDTH", lanes_of(device, x.dtype)))
    if blocks > 1:
        folded = empty(device, (*shape[:axis], blocks, *shape[axis + 1:]), dtypes.int64)
        kernel = device.programs.kernel("ops/scan.cl", "fold_extremes", "PlPlll", defines)
        kernel(sizes, local, x.buffer.handle, x.offset, folded.buffer.handle, n, inner, block)
        before = gather(folded, axis, running_extremes(compare, gather(x, axis, folded), axis)[1])
    elif inner == 1 and n <= _SHORT:
        sizes, local, block, defines = (-(-outer // 64) * 64,), (64,), outer, (*defines, ("SHORT", 1))
    kernel = device.programs.kernel("ops/scan.cl", "scan_extremes", "PlPPPlll", defines)
    kernel(sizes, local, x.buffer.handle, x.offset, before.buffer.handle, values.buffer.handle, out.buffer.handle, n,
           inner, block)
    return values, out


class LogCumSumExp(Operation):
    """Logarithm of the running sum of exponentials along a dimension."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axis: int) -> Array:
        """Add up in float32 at least."""
        wide = x if x.dtype.itemsize > 2 else cast(x, dtypes.float32)
        y = running("logaddexp", wide, axis, wide.dtype)
        ctx.axis, ctx.dtype = axis, x.dtype
        ctx.save(wide, y)
        return cast(y, x.dtype)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The sum of ``g exp(x - y)`` over what follows, apart for positive and negative ``g``, in logarithms."""
        x, y = ctx.saved
        wide = x.dtype
        parts = []
        for sign in (1, -1):
            size = run("maximum", [run("mul", [g, sign], wide), 0], wide)
            rest = run("sub", [run("log", [size], wide), y], wide)
            # Where no gradient flows it is -infinity, also where y is.
            rest = run("where", [run("gt", [size, 0], dtypes.bool_, compute=wide.compute), rest, -math.inf], wide)
            total = running("logaddexp", rest, ctx.axis, wide, True)
            share = run("exp", [run("add", [x, total], wide)], wide)
            none = run("eq", [x, -math.inf], dtypes.bool_, compute=wide.compute)
            parts.append(run("where", [none, 0, share], wide))
        return cast(run("sub", parts, wide), ctx.dtype)


class CumSum(Operation):
    """Running sum along a dimension."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axis: int, dtype: DType | None = None) -> Array:
        """Add up."""
        ctx.axis, ctx.dtype = axis, x.dtype
        return running("sum", x, axis, dtype)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Each element's gradient is the sum of those after it: the running sum from the end."""
        return cast(running("sum", g, ctx.axis, reverse=True), ctx.dtype)


class CumProd(Operation):
    """Running product along a dimension."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axis: int, dtype: DType | None = None) -> Array:
        """Multiply."""
        y = running("prod", x, axis, dtype)
        ctx.axis = axis
        ctx.save(x, y)
        return y

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Exact also where elements are 0."""
        x, y = ctx.saved
        if x.ndim == 0 or x.size == 0:
            return cast(g, x.dtype)
        return cast(prod_backward(contiguous(g), contiguous(cast(x, g.dtype)), y, ctx.axis), x.dtype)


def prod_backward(g: Array, x: Array, y: Array, axis: int) -> Array:
    """The gradient of a running product ``y`` of ``x``, all contiguous and of one type."""
    if 0 < x.device.quirks.max_loop < 4 * x.shape[axis]:
        raise RuntimeError(f"{x.device.name} ends loops early and cannot be trusted with the gradient of a product of "
                           f"{x.shape[axis]} elements")
    out = empty(x.device, x.shape, x.dtype)
    outer, n, inner = math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1:])
    double = dtypes.float64 if x.dtype is dtypes.float64 else dtypes.float32
    sizes, local = ((1, outer), (1, 1)) if inner == 1 else grid(inner, 1, outer)
    kernel = x.device.programs.kernel("ops/scan.cl", "prod_backward", "PlPlPPll",
                                      _defines(("OP", "prod"), x.dtype, x.dtype, double, False, inner == 1))
    kernel(sizes, local, g.buffer.handle, g.offset, x.buffer.handle, x.offset, y.buffer.handle, out.buffer.handle,
           n, inner)
    return out


class Prod(Operation):
    """Product along one dimension."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axis: int, keepdim: bool, dtype: DType | None = None) -> Array:
        """Multiply."""
        from .reduce import reduce

        ctx.axis = axis
        ctx.save(x)
        return reduce("prod", x, (axis,) if x.ndim else (), keepdim, dtype)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The product of the others: running products from both sides, so that elements may be 0."""
        (x,) = ctx.saved
        if x.ndim == 0 or x.size == 0:
            return cast(g.expand(x.shape), x.dtype) if x.ndim == 0 else empty(x.device, x.shape, x.dtype)
        axis, n = ctx.axis, x.shape[ctx.axis]
        x = cast(x, g.dtype)
        shape = (*x.shape[:axis], 1, *x.shape[axis + 1:])
        before, after = _shifted(x, axis, False), _shifted(x, axis, True)
        others = run("mul", [before, after], g.dtype) if n > 1 else assign(empty(x.device, x.shape, g.dtype), 1)
        return cast(run("mul", [others, reshaped(g, shape).expand(x.shape)], g.dtype), ctx.saved[0].dtype)


def _shifted(x: Array, axis: int, reverse: bool) -> Array:
    """The product of the elements before each one (after it, with ``reverse``)."""
    y = running("prod", x, axis, reverse=reverse)
    out = empty(x.device, x.shape, x.dtype)
    n, step = x.shape[axis], out.strides[axis]
    edge = out.offset + (step * (n - 1) if reverse else 0)
    assign(out.view((*x.shape[:axis], 1, *x.shape[axis + 1:]), out.strides, edge), 1)
    inner = (*x.shape[:axis], n - 1, *x.shape[axis + 1:])
    to, source = (0, step) if reverse else (step, 0)
    assign(out.view(inner, out.strides, out.offset + to), y.view(inner, y.strides, y.offset + source))
    return out
