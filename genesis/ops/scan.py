"""Running sums and products: the host half of ``cl/ops/scan.cl``."""

from __future__ import annotations

import functools
import math
from typing import Any

from .. import dtypes
from ..dtypes import DType
from .array import Array, empty
from .elementwise import assign, cast, contiguous, copy, run
from .operation import Context, Operation
from .reduce import result_dtype

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
def _defines(op: str, x: DType, out: DType, acc: DType, reverse: bool, last: bool) -> tuple[tuple[str, Any], ...]:
    defines: tuple[tuple[str, Any], ...] = (("OP", op), ("IN", x.name), ("OUT", out.name), ("ACC", acc.compute))
    for name, wanted in (("REVERSE", reverse), ("LAST", last), ("REAL64", acc is dtypes.float64)):
        if wanted:
            defines += ((name, 1),)
    return defines


def running(op: str, x: Array, axis: int, dtype: DType | None = None, reverse: bool = False) -> Array:
    """The running sum (``"sum"``) or product (``"prod"``) along a dimension.

    Args:
        op: ``"sum"`` or ``"prod"``.
        x: array; integers give int64.
        axis: dimension.
        dtype: element type of the result.
        reverse: run from the last element to the first.
    """
    dtype = dtype or result_dtype(op, x.dtype)
    if x.ndim == 0 or x.size == 0:
        return assign(empty(x.device, x.shape, dtype), x)
    x = contiguous(x)
    shape = x.shape
    outer, n, inner = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1:])
    out = empty(x.device, shape, dtype)
    _run(op, x, out, outer, n, inner, _accumulator(x, dtype), reverse)
    return out


def _run(op: str, x: Array, out: Array, outer: int, n: int, inner: int, acc: DType, reverse: bool) -> None:
    device = x.device
    busy = 2 * device.compute_units * device.quirks.parallel
    most = min(1 << 20, device.quirks.max_loop or 1 << 20)
    block = n
    if (outer * inner < busy and n >= 2 * _BLOCK) or n > most:
        block = min(most, max(_BLOCK, -(-n * outer * inner // busy)))
    blocks = -(-n // block)
    last = inner == 1
    before = out
    sizes, local = grid(inner, blocks, outer)
    if last:      # the number of blocks is read from the global size
        sizes, local = (blocks, outer), (1, 1)
    if blocks > 1:
        folded = empty(device, (outer, blocks, inner), acc)
        kernel = device.programs.kernel("ops/scan.cl", "fold", "PlPlll",
                                        _defines(op, x.dtype, acc, acc, reverse, last))
        kernel(sizes, local, x.buffer.handle, x.offset, folded.buffer.handle, n, inner, block)
        before = empty(device, folded.shape, acc)
        _run(op, folded, before, outer, blocks, inner, acc, False)
    defines = _defines(op, x.dtype, out.dtype, acc, reverse, last)
    if last and blocks == 1 and n <= _SHORT:
        sizes, local, block, defines = (-(-outer // 64) * 64,), (64,), outer, (*defines, ("SHORT", 1))
    kernel = device.programs.kernel("ops/scan.cl", "scan", "PlPPlll", defines)
    kernel(sizes, local, x.buffer.handle, x.offset, before.buffer.handle, out.buffer.handle, n, inner, block)


def zeros_like(x: Array, dtype: DType) -> Array:
    """Zeros in the shape of an array."""
    return assign(empty(x.device, x.shape, dtype), 0)


def _ends(x: Array, axis: int, step: int, reverse: bool = False) -> tuple[Array, Array]:
    """The elements from ``step`` on, and for each of them the one that many before it (after it, with ``reverse``)."""
    shape = (*x.shape[:axis], x.shape[axis] - step, *x.shape[axis + 1:])
    later, earlier = x.view(shape, x.strides, x.offset + step * x.strides[axis]), x.view(shape, x.strides)
    return (earlier, later) if reverse else (later, earlier)


def running_extremes(compare: str, x: Array, axis: int) -> Array:
    """Positions, int64, of the largest (``"ge"``) or smallest (``"le"``) element so far, the last of equal ones.

    By doubling: after each step an element knows the extreme of twice as many before it (Hillis & Steele 1986, "Data
    parallel algorithms"). NaN counts as more extreme than any number.
    """
    from .search import positions

    n = x.shape[axis]
    value = copy(x)
    at = copy(positions(x.device, n).view((n,) + (1,) * (x.ndim - 1 - axis), (1,) + (0,) * (x.ndim - 1 - axis)).expand(
        x.shape))
    step = 1
    while step < n:
        (mine, its), (at_mine, at_its) = (_ends(y, axis, step) for y in (value, at))
        kept = run(compare, [mine, its], dtypes.bool_, compute=x.dtype.compute)
        if x.dtype.is_floating_point:
            whole = run("eq", [its, its], dtypes.bool_, compute=x.dtype.compute)          # not NaN
            nan = run("ne", [mine, mine], dtypes.bool_, compute=x.dtype.compute)
            kept = run("logical_or", [nan, run("logical_and", [kept, whole], dtypes.bool_)], dtypes.bool_)
        # Both are new arrays: the next elements still need the old ones.
        best = run("where", [kept, mine, its], x.dtype), run("where", [kept, at_mine, at_its], at.dtype)
        assign(mine, best[0])
        assign(at_mine, best[1])
        step *= 2
    return at


def running_logsumexp(x: Array, axis: int, reverse: bool = False) -> Array:
    """The logarithm of the running sum of exponentials, by doubling as `running_extremes`."""
    value, step = copy(x), 1
    while x.ndim and step < x.shape[axis]:
        mine, its = _ends(value, axis, step, reverse)
        assign(mine, run("logaddexp", [mine, its], x.dtype))
        step *= 2
    return value


class LogCumSumExp(Operation):
    """Logarithm of the running sum of exponentials along a dimension."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axis: int) -> Array:
        """Add up in float32 at least."""
        wide = x if x.dtype.itemsize > 2 else cast(x, dtypes.float32)
        y = running_logsumexp(wide, axis)
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
            total = running_logsumexp(rest, ctx.axis, True)
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
                                      _defines("prod", x.dtype, x.dtype, double, False, inner == 1))
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
        view = contiguous(g).reshape_view(shape)
        assert view is not None
        return cast(run("mul", [others, view.expand(x.shape)], g.dtype), ctx.saved[0].dtype)


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
