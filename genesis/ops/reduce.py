"""Sums, products and extrema: the host half of ``cl/ops/reduce.cl``."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

from .. import dtypes
from ..dtypes import DType
from ..opencl import Kernel
from .array import Array, Shape, contiguous_strides, empty
from .elementwise import assign, cast, contiguous, reshaped, run
from .operation import Context, Operation

_BLOCK = 4096         # elements a work-item adds up at the most before a second launch joins the blocks
_TILE = 256           # columns of a tile on CPUs
_NARROW = 64          # the same of a small array, which one launch is to finish
_SMALL = 1 << 19      # its elements at the most
_SHORT = 32           # elements of a short row at the most
_MAX_PLANS = 10_000
_plans: dict[Any, tuple[_Stage, ...]] = {}

LIMITS = {"float": ("-INFINITY", "INFINITY"), "double": ("-(double)INFINITY", "(double)INFINITY"),
           "long": ("LONG_MIN", "LONG_MAX"), "int": ("INT_MIN", "INT_MAX")}


_SUMS = ("sum", "sumsq", "sumabs", "nansum", "count")
_EXTREMA = ("amax", "amin", "absmax", "absmin")
_JOINS = {"sumsq": "sum", "sumabs": "sum", "nansum": "sum", "count": "sum", "absmax": "amax", "absmin": "amin",
          "any": "amax", "all": "amin"}      # what joins the results of blocks

_NAMES = {"any": "some", "all": "every"}      # in the kernel


def result_dtype(op: str, dtype: DType) -> DType:
    """The element type that reducing a type gives: sums and products of integers are int64."""
    if op in ("any", "all"):
        return dtypes.bool_
    if op == "count" or (op in (*_SUMS, "prod") and not dtype.has_gradients):
        return dtypes.int64
    return dtype


def accumulator(op: str, dtype: DType) -> str:
    """The C type that elements of a type are reduced in."""
    if op in ("any", "all"):
        return "int"
    if op == "count":
        return "long"
    if dtype.is_floating_point:
        return dtype.compute
    return "long" if op in (*_SUMS, "prod") else "int" if dtype.compute == "uchar" else dtype.compute


def as_three(x: Array, axes: tuple[int, ...]) -> tuple[Array, int, int, int]:
    """A contiguous array that reads as (outer, n, inner) with ``axes`` merged into the middle; and those sizes."""
    n = math.prod(x.shape[a] for a in axes)
    if not x.is_contiguous():
        # The dimensions in the order of memory, if those that are kept stay in the order that they have.
        order = sorted(range(x.ndim), key=lambda a: -x.strides[a])
        kept = [a for a in order if a not in axes]
        first = order.index(axes[0]) if axes else 0
        if kept == sorted(kept) and set(order[first:first + len(axes)]) == set(axes):
            turned = x.permute(tuple(order))
            if turned.is_contiguous():
                x, axes = turned, tuple(range(first, first + len(axes)))
    if x.is_contiguous() and list(axes) == list(range(axes[0], axes[0] + len(axes))):
        return x, math.prod(x.shape[:axes[0]]), n, math.prod(x.shape[axes[-1] + 1:])
    x = contiguous(x.permute((*(a for a in range(x.ndim) if a not in axes), *axes)))
    return x, x.size // max(n, 1), n, 1


def reduced_shape(x: Array, axes: tuple[int, ...] | None, keepdim: bool) -> Shape:
    """The shape without the reduced dimensions, or with 1 in their place; None stands for all of them."""
    if axes is None:
        return (1,) * x.ndim if keepdim else ()
    return tuple(1 if a in axes else n for a, n in enumerate(x.shape) if keepdim or a not in axes)


def reduce(op: str, x: Array, axes: tuple[int, ...] | None = None, keepdim: bool = False,
           dtype: DType | None = None, out: Array | None = None, divisor: float = 1.0) -> Array:
    """Reduce dimensions.

    Args:
        op: ``"sum"``, ``"sumsq"`` (sum of squares), ``"sumabs"``, ``"nansum"`` (NaN counts as 0), ``"prod"``,
            ``"amax"``, ``"amin"``, ``"absmax"``, ``"absmin"`` (of absolute values), ``"count"`` (of elements that are
            not 0), ``"any"`` or ``"all"``. Those with absolute values and ``"nansum"`` are for floating-point arrays.
        axes: dimensions counted from the front, in rising order; None for all.
        keepdim: keep the reduced dimensions with size 1.
        dtype: element type of the result, by default that of `result_dtype`.
        out: contiguous array of the result's size to write into and return; its own element type counts.
        divisor: what to divide a floating-point result by.

    Raises:
        IndexError: an extremum of no elements; over all dimensions ``RuntimeError``, as PyTorch has it.
    """
    device = x.buffer.device
    if out is not None:
        dtype = out.dtype
    key = (op, x.shape, x.strides, x.dtype, axes, keepdim, dtype, device, device.type, device.quirks.parallel)
    plan = _plans.get(key)
    if plan is not None:
        return _run(plan, x, out, divisor)
    if x.dtype.is_complex:
        return _reduce_complex(op, x, axes, keepdim, dtype, out, divisor)
    shape, unnamed = reduced_shape(x, axes, keepdim), axes is None
    axes = tuple(range(x.ndim)) if axes is None else axes
    dtype = dtype or result_dtype(op, x.dtype)
    if x.size == 0:
        out = empty(x.device, shape, dtype) if out is None else out
        if op in _EXTREMA and out.size:
            raise RuntimeError(str(no_value(op, x))) if unnamed else no_value(op, x)
        return assign(out, math.nan if divisor == 0 else 1 if op in ("prod", "all") else 0)
    last = _last_run(axes)
    if len(last) < len(axes) and x.is_contiguous():
        # In two steps, without the copy that one would need.
        part = reduce(op, x, last, True, _partial(op, dtype, x.dtype))
        whole = reduce(_JOINS.get(op, op), part, axes[:-len(last)], True, dtype, out, divisor)
        return whole if out is not None else Array(whole.buffer, dtype, shape, contiguous_strides(shape), whole.offset)
    if not axes:
        three, outer, n, inner = contiguous(x), x.size, 1, 1
    else:
        three, outer, n, inner = as_three(x, axes)
    plan = _stages(op, three, outer, n, inner, shape, dtype)
    if three.buffer is x.buffer:      # not a copy
        if len(_plans) >= _MAX_PLANS:
            _plans.clear()
        _plans[key] = plan
    return _run(plan, three, out, divisor)


def _reduce_complex(op: str, x: Array, axes: tuple[int, ...] | None, keepdim: bool, dtype: DType | None,
                    out: Array | None, divisor: float) -> Array:
    """Reduce complex numbers: sums of both parts together, and what asks whether numbers are 0."""
    if op in ("any", "all", "count"):
        return reduce(op, run("ne", [x, 0.0], dtypes.bool_, compute=x.dtype.compute), axes, keepdim, dtype, out)
    dtype = dtype or x.dtype
    if op != "sum" or not dtype.is_complex:
        raise NotImplementedError(f"{op} of {x.dtype} to {dtype} is not defined; complex numbers have no order")
    axes = tuple(range(x.ndim)) if axes is None else axes
    whole = reduce("sum", x.as_real(), axes, keepdim, dtype.to_real(), None, divisor).as_complex()
    assert whole is not None
    return whole if out is None else assign(out, whole)


def _last_run(axes: tuple[int, ...]) -> tuple[int, ...]:
    """Those of the dimensions, in rising order, that follow one another up to the last one."""
    first = len(axes)
    while first and (first == len(axes) or axes[first - 1] + 1 == axes[first]):
        first -= 1
    return axes[first:]


class _Stage(NamedTuple):
    """A launch of a reduction: its kernel and work sizes, its last arguments, shape and type of what it gives."""

    kernel: Kernel
    size: tuple[int, ...]
    local: tuple[int, ...] | None
    numbers: tuple[int, ...]
    shape: Shape
    dtype: DType


def _run(plan: tuple[_Stage, ...], x: Array, out: Array | None, divisor: float) -> Array:
    """Launch the stages one after the other; the last one divides and writes into ``out`` if it is given."""
    for i, (kernel, size, local, numbers, shape, dtype) in enumerate(plan, 1):
        last = i == len(plan)
        target = out if last and out is not None else empty(x.buffer.device, shape, dtype)
        kernel(size, local, x.buffer.handle, x.offset, target.buffer.handle, target.offset, *numbers,
               divisor if last else 1.0)
        x = target
    return x


def _stages(op: str, x: Array, outer: int, n: int, inner: int, shape: Shape, dtype: DType) -> tuple[_Stage, ...]:
    """What reduces (outer, n, inner), in blocks until one is left."""
    found, kind, size = [], x.dtype, x.size
    while True:
        tile = _tile(x, kind, outer, n, inner, size)
        block = _block(x, tile, outer, n, inner, size)
        blocks = -(-n // block)
        last = blocks == 1
        result = dtype if last else _partial(op, dtype, kind)
        found.append(_stage(op, x, kind, tile, outer, n, inner, block, blocks, shape if last else
                            (outer, blocks, inner), result))
        if last:
            return tuple(found)
        n, kind, size = blocks, result, outer * blocks * inner
        op = _JOINS.get(op, op)


def _block(x: Array, tile: int, outer: int, n: int, inner: int, size: int) -> int:
    """How many elements of the dimension a work-item takes."""
    device = x.device
    busy = device.compute_units * device.quirks.parallel
    if tile:
        items = outer * -(-inner // tile)
        if items >= busy or n < 64 or tile == _NARROW:
            return n if n <= _BLOCK else _BLOCK
        return min(_BLOCK, max(32, -(-n * items // (2 * busy))))
    # A second launch costs a CPU more than some thousand elements do.
    per_item = _BLOCK if device.type == "cpu" else max(256, min(_BLOCK, -(-size // busy)))
    return n if n <= per_item or (outer * inner >= busy and n <= _BLOCK) else per_item


def _tile(x: Array, kind: DType, outer: int, n: int, inner: int, size: int) -> int:
    """Columns of a tile, where a CPU's kernel for tiles of columns takes the reduction; else 0."""
    device = x.device
    if inner < 16 or kind.compute != "float" or device.type != "cpu":
        return 0
    few = outer * -(-inner // _TILE) < device.compute_units * device.quirks.parallel
    narrow = few and size <= _SMALL and n <= _BLOCK and outer * -(-inner // _NARROW) >= 2 * device.compute_units
    return _NARROW if narrow else _TILE


def no_value(op: str, x: Array) -> IndexError:
    """The error of an extremum over no elements."""
    return IndexError(f"{op} of an empty dimension has no value; the shape is {x.shape}")


def _partial(op: str, out: DType, x: DType) -> DType:
    """Element type of the blocks' results: never narrower than what they are added up in."""
    if op in ("any", "all", "count"):
        return result_dtype(op, x)
    if out.compute == "double" or x.compute == "double":
        return dtypes.float64
    if x.is_floating_point:
        return dtypes.float32
    return result_dtype(op, x)


@functools.cache
def _defines(op: str, x: DType, out: DType) -> tuple[tuple[str, Any], ...]:
    acc = accumulator(op, x)
    if x.is_floating_point and out.compute == "double" and acc == "float":
        acc = "double"
    low, high = LIMITS[acc]
    width = 16 if acc == "float" and (op not in ("any", "all", "count")) else 1
    defines: tuple[tuple[str, Any], ...] = (
        ("OP", _NAMES.get(op, op)), ("IN", x.name), ("OUT", out.name), ("ACC", acc), ("LOWEST", low), ("HIGHEST", high),
        ("WIDTH", width))
    if "double" in (acc, out.compute, x.compute):
        defines += (("REAL64", 1),)
    if op in ("any", "all", "count"):
        defines += (("TRUTH", 1),)
    if width > 1 and op in _EXTREMA:
        defines += (("SELECT", "isgreater" if op in ("amax", "absmax") else "isless"),)
    return defines


def _stage(op: str, x: Array, kind: DType, tile: int, outer: int, n: int, inner: int, block: int, blocks: int,
           shape: Shape, result: DType) -> _Stage:
    device = x.device
    defines = _defines(op, kind, result)
    kernel = functools.partial(device.programs.kernel, "ops/reduce.cl")
    number = "d" if ("REAL64", 1) in defines else "f"
    local: tuple[int, ...] | None
    if inner == 1 and n <= _SHORT:
        local = (256,) if device.type == "cpu" and device.handle.max_work_group_size >= 256 else None
        return _Stage(kernel("reduce_short", "PlPlli" + number, defines), (-(-outer // 256) * 256,), local, (outer, n),
                      shape, result)
    if inner == 1:
        # On CPUs work-groups of some thousand elements, or of as many rows as leave each core some: it then reads on
        # without a pause. Leaving the size to the runtime costs it time at each launch.
        wanted = max(1, _BLOCK // max(block, 1), outer // (16 * device.compute_units))
        local = (1, math.gcd(outer, 1 << (min(wanted, device.handle.max_work_group_size).bit_length() - 1)))
        if device.type != "cpu" or local[1] * block < 256:
            local = None
        return _Stage(kernel("reduce_rows", "PlPlll" + number, defines), (blocks, outer), local, (n, block), shape,
                      result)
    if tile and ("WIDTH", 16) in defines:
        defines = (*defines, ("LANES", tile // 16))
        return _Stage(kernel("reduce_tiles", "PlPllll" + number, defines), (-(-inner // tile), blocks, outer),
                      (1, 1, 1), (n, inner, block), shape, result)
    width = min(64, 1 << (inner - 1).bit_length())
    return _Stage(kernel("reduce_columns", "PlPllll" + number, defines), (-(-inner // width) * width, blocks, outer),
                  (width, 1, 1), (n, inner, block), shape, result)


class _Reduce(Operation):
    op = ""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axes: tuple[int, ...] | None, keepdim: bool,
                dtype: DType | None = None) -> Array:
        """Reduce."""
        ctx.shape, ctx.dtype, ctx.axes = x.shape, x.dtype, axes
        y = reduce(cls.op, x, axes, keepdim, dtype)
        cls.remember(ctx, x, y)
        return y

    @classmethod
    def remember(cls, ctx: Context, x: Array, y: Array) -> None:
        """Save what backward needs."""

    @staticmethod
    def spread(ctx: Context, g: Array) -> Array:
        """A result-shaped array seen in the input's shape."""
        axes = tuple(range(len(ctx.shape))) if ctx.axes is None else ctx.axes
        shape: Shape = tuple(1 if a in axes else n for a, n in enumerate(ctx.shape))
        return reshaped(g, shape).expand(ctx.shape)


class Sum(_Reduce):
    """Sum over dimensions."""

    op = "sum"

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The gradient goes to every element."""
        return cast(cls.spread(ctx, g), ctx.dtype)


class NanSum(_Reduce):
    """Sum over dimensions that counts NaN as 0."""

    op = "nansum"

    @classmethod
    def remember(cls, ctx: Context, x: Array, y: Array) -> None:
        """The input."""
        ctx.save(x)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The gradient goes to every element that is not NaN."""
        return run("nansum_backward", [cls.spread(ctx, g), *ctx.saved], ctx.dtype)


class Mean(_Reduce):
    """Mean over dimensions."""

    op = "sum"

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axes: tuple[int, ...] | None, keepdim: bool,
                dtype: DType | None = None) -> Array:
        """Sum, divided by the number of elements before it is rounded."""
        ctx.shape, ctx.dtype, ctx.axes = x.shape, x.dtype, axes
        ctx.count = math.prod(x.shape if axes is None else [x.shape[a] for a in axes])
        return reduce("sum", x, axes, keepdim, dtype or x.dtype, divisor=float(ctx.count))

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """An equal share of the gradient goes to every element."""
        return cast(cls.spread(ctx, run("div", [g, float(ctx.count)], g.dtype)), ctx.dtype)


class _Extreme(_Reduce):
    @classmethod
    def remember(cls, ctx: Context, x: Array, y: Array) -> None:
        """Input and result."""
        ctx.save(x, y)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The gradient goes to the extreme elements, in equal shares."""
        x, y = ctx.saved
        mask = run("eq", [x, cls.spread(ctx, y)], g.dtype, compute=x.dtype.compute)
        count = reduce("sum", mask, ctx.axes)
        share = run("div", [reshaped(g, count.shape), count], g.dtype)
        return run("mul", [mask, cls.spread(ctx, share)], g.dtype)


class Amax(_Extreme):
    """Largest element over dimensions."""

    op = "amax"


class Amin(_Extreme):
    """Smallest element over dimensions."""

    op = "amin"
