"""Sums, products and extrema: the host half of ``cl/ops/reduce.cl``."""

from __future__ import annotations

import functools
import math
from typing import Any

from .. import dtypes
from ..dtypes import DType
from .array import Array, Shape, contiguous_strides, empty
from .elementwise import assign, cast, contiguous, copy, run
from .operation import Context, Operation

_BLOCK = 4096         # elements a work-item adds up at the most before a second launch joins the blocks
_TILE = 256           # columns of a tile on CPUs

LIMITS = {"float": ("-INFINITY", "INFINITY"), "double": ("-(double)INFINITY", "(double)INFINITY"),
           "long": ("LONG_MIN", "LONG_MAX"), "int": ("INT_MIN", "INT_MAX")}


_SUMS = ("sum", "sumsq", "sumabs", "count")
_EXTREMA = ("amax", "amin", "absmax", "absmin")
_JOINS = {"sumsq": "sum", "sumabs": "sum", "count": "sum", "absmax": "amax", "absmin": "amin", "any": "amax",
          "all": "amin"}      # what joins the results of blocks

_NAMES = {"any": "some", "all": "every"}      # in the kernel


def result_dtype(op: str, dtype: DType) -> DType:
    """The element type that reducing a type gives: sums and products of integers are int64."""
    if op in ("any", "all"):
        return dtypes.bool_
    if op == "count" or (op in (*_SUMS, "prod") and not dtype.is_floating_point):
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
        op: ``"sum"``, ``"sumsq"`` (sum of squares), ``"sumabs"``, ``"prod"``, ``"amax"``, ``"amin"``, ``"absmax"``,
            ``"absmin"`` (of absolute values), ``"count"`` (of elements that are not 0), ``"any"`` or ``"all"``. Those
            with absolute values are for floating-point arrays.
        axes: dimensions counted from the front, in rising order; None for all.
        keepdim: keep the reduced dimensions with size 1.
        dtype: element type of the result, by default that of `result_dtype`.
        out: contiguous array of the result's size to write into and return; its own element type counts.
        divisor: what to divide a floating-point result by.

    Raises:
        IndexError: an extremum of no elements.
    """
    shape = reduced_shape(x, axes, keepdim)
    axes = tuple(range(x.ndim)) if axes is None else axes
    dtype = out.dtype if out is not None else dtype or result_dtype(op, x.dtype)
    if x.size == 0:
        out = empty(x.device, shape, dtype) if out is None else out
        if op in _EXTREMA and out.size:
            raise no_value(op, x)
        return assign(out, math.nan if divisor == 0 else 1 if op in ("prod", "all") else 0)
    if not axes:
        x, outer, n, inner = contiguous(x), x.size, 1, 1
    else:
        x, outer, n, inner = as_three(x, axes)
    while True:
        block = _block(x, outer, n, inner)
        blocks = -(-n // block)
        last = blocks == 1
        if not last:
            target = empty(x.device, (outer, blocks, inner), _partial(op, dtype, x.dtype))
        else:
            target = empty(x.device, shape, dtype) if out is None else out
        _launch(op, x, target, outer, n, inner, block, blocks, divisor if last else 1.0)
        if last:
            return target
        x, n = target, blocks
        op = _JOINS.get(op, op)


def _block(x: Array, outer: int, n: int, inner: int) -> int:
    """How many elements of the dimension a work-item takes."""
    device = x.device
    busy = device.compute_units * device.quirks.parallel
    if _tiled(x, inner):
        items = outer * -(-inner // _TILE)
        if items >= busy or n < 64:
            return n if n <= _BLOCK else _BLOCK
        return min(_BLOCK, max(32, -(-n * items // (2 * busy))))
    per_item = max(256, min(_BLOCK, -(-x.size // busy)))
    return n if n <= per_item or (outer * inner >= busy and n <= _BLOCK) else per_item


def _tiled(x: Array, inner: int) -> bool:
    """Whether a CPU's kernel for tiles of columns takes the reduction."""
    return inner >= 16 and x.dtype.compute == "float" and x.device.type == "cpu"


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
        ("WIDTH", width), ("LANES", _TILE // 16))
    if "double" in (acc, out.compute, x.compute):
        defines += (("REAL64", 1),)
    if op in ("any", "all", "count"):
        defines += (("TRUTH", 1),)
    if width > 1 and op in _EXTREMA:
        defines += (("SELECT", "isgreater" if op in ("amax", "absmax") else "isless"),)
    return defines


def _launch(op: str, x: Array, out: Array, outer: int, n: int, inner: int, block: int, blocks: int,
            divisor: float) -> None:
    defines = _defines(op, x.dtype, out.dtype)
    programs = x.device.programs
    number = "d" if ("REAL64", 1) in defines else "f"
    args = (x.buffer.handle, x.offset, out.buffer.handle, out.offset)
    if inner == 1:
        kernel = programs.kernel("ops/reduce.cl", "reduce_rows", "PlPlll" + number, defines)
        kernel((blocks, outer), None, *args, n, block, divisor)
    elif _tiled(x, inner) and ("WIDTH", 16) in defines:
        kernel = programs.kernel("ops/reduce.cl", "reduce_tiles", "PlPllll" + number, defines)
        kernel((-(-inner // _TILE), blocks, outer), (1, 1, 1), *args, n, inner, block, divisor)
    else:
        kernel = programs.kernel("ops/reduce.cl", "reduce_columns", "PlPllll" + number, defines)
        local = min(64, 1 << (inner - 1).bit_length())
        kernel((-(-inner // local) * local, blocks, outer), (local, 1, 1), *args, n, inner, block, divisor)


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
        view = g.reshape_view(shape)
        if view is None:
            view = copy(g).view(shape, contiguous_strides(shape), 0)
        return view.expand(ctx.shape)


class Sum(_Reduce):
    """Sum over dimensions."""

    op = "sum"

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The gradient goes to every element."""
        return cast(cls.spread(ctx, g), ctx.dtype)


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
        share = run("div", [_like(g, count), count], g.dtype)
        return run("mul", [mask, cls.spread(ctx, share)], g.dtype)


def _like(g: Array, other: Array) -> Array:
    view = g.reshape_view(other.shape)
    return view if view is not None else copy(g).view(other.shape, other.strides, 0)


class Amax(_Extreme):
    """Largest element over dimensions."""

    op = "amax"


class Amin(_Extreme):
    """Smallest element over dimensions."""

    op = "amin"
