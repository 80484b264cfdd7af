"""Extreme elements with their positions: the host half of ``cl/ops/argument.cl``."""

from __future__ import annotations

import functools
from typing import Any

from .. import dtypes
from ..dtypes import DType
from .array import Array, empty
from .elementwise import contiguous, reshaped
from .index import put_distinct
from .operation import Context, Operation
from .reduce import accumulator, as_three, no_value, reduced_shape

_BLOCK = 4096         # elements a work-item compares at the most before another launch joins the blocks
_SHORT = 32           # elements of a short row at the most


@functools.cache
def _defines(op: str, dtype: DType, joining: bool) -> tuple[tuple[str, Any], ...]:
    acc = accumulator("amax", dtype)
    defines: tuple[tuple[str, Any], ...] = (
        ("IN", dtype.name), ("ACC", acc), ("COMPARE", ">" if op == "max" else "<"),
        ("SELECT", "isgreater" if op == "max" else "isless"), ("WIDTH", 16 if acc == "float" else 1))
    if acc == "double":
        defines += (("REAL64", 1),)
    return (*defines, ("JOINING", 1)) if joining else defines


def extreme(op: str, x: Array, axis: int | None, keepdim: bool) -> tuple[Array, Array]:
    """The largest (``"max"``) or smallest (``"min"``) elements along a dimension, and their positions.

    Args:
        op: ``"max"`` or ``"min"``.
        x: array of any type.
        axis: dimension; None for the flattened array.
        keepdim: keep the dimension with size 1.

    Returns:
        Values, of x's type, and int64 positions: the first of equal elements, the first NaN where there is one.

    Raises:
        IndexError: the dimension is empty and the result is not.
    """
    axes = tuple(range(x.ndim)) if axis is None else (axis,)[:x.ndim]
    shape = reduced_shape(x, None if axis is None else axes, keepdim)
    values, out = empty(x.device, shape, x.dtype), empty(x.device, shape, dtypes.int64)
    if x.size == 0 and out.size:
        raise no_value(op, x)
    if not out.size:
        return values, out
    x, outer, n, inner = as_three(x, axes) if axes else (contiguous(x), x.size, 1, 1)
    busy = x.device.compute_units * x.device.quirks.parallel
    positions: Array | None = None
    while True:
        many = outer * inner >= busy
        block = n if n <= (_BLOCK if many else max(256, -(-x.size // busy))) and n <= _BLOCK else min(
            _BLOCK, max(64, -(-x.size // busy)))
        blocks = -(-n // block)
        if blocks == 1:
            _launch(op, x, positions, values, out, outer, n, inner, block, 1)
            return values, out
        some, where = empty(x.device, (outer, blocks, inner), x.dtype), empty(
            x.device, (outer, blocks, inner), dtypes.int64)
        _launch(op, x, positions, some, where, outer, n, inner, block, blocks)
        x, positions, n = some, where, blocks


def _launch(op: str, x: Array, positions: Array | None, values: Array, out: Array, outer: int, n: int, inner: int,
            block: int, blocks: int) -> None:
    defines = _defines(op, x.dtype, positions is not None)
    programs = x.device.programs
    args = (x.buffer.handle, x.offset, (out if positions is None else positions).buffer.handle, values.buffer.handle,
            out.buffer.handle)
    if inner == 1 and n <= _SHORT:
        kernel = programs.kernel("ops/argument.cl", "argument_short", "PlPPPli", defines)
        kernel((-(-outer // 64) * 64,), (64,), *args, outer, n)
    elif inner == 1:
        kernel = programs.kernel("ops/argument.cl", "argument_rows", "PlPPPll", defines)
        kernel((blocks, outer), None, *args, n, block)
    else:
        kernel = programs.kernel("ops/argument.cl", "argument_columns", "PlPPPlll", defines)
        local = min(64, 1 << (inner - 1).bit_length())
        kernel((-(-inner // local) * local, blocks, outer), (local, 1, 1), *args, n, inner, block)


def argument(op: str, x: Array, axis: int | None, keepdim: bool) -> Array:
    """Positions of the largest (``"argmax"``) or smallest elements along a dimension, or in the flattened array."""
    return extreme(op.removeprefix("arg"), x, axis, keepdim)[1]


class Extreme(Operation):
    """The extreme elements along a dimension and their positions."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, op: str, axis: int | None, keepdim: bool) -> tuple[Array, Array]:
        """Values and positions in one pass."""
        values, positions = extreme(op, x, axis, keepdim)
        ctx.shape, ctx.axis = x.shape, axis
        ctx.save(positions)
        return values, positions

    @classmethod
    def backward(cls, ctx: Context, g: Array, _: None) -> Array:
        """The gradient goes to the element that was chosen."""
        (positions,) = ctx.saved
        shape = (*ctx.shape[:ctx.axis], 1, *ctx.shape[ctx.axis + 1:]) if ctx.shape else ()
        return put_distinct(ctx.shape, ctx.axis, reshaped(positions, shape), reshaped(g, shape))
