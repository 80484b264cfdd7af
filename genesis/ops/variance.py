"""Variance and standard deviation: the host half of ``cl/ops/variance.cl``."""

from __future__ import annotations

import functools
import math
from typing import Any

from .. import dtypes
from ..dtypes import DType
from .array import Array, empty
from .elementwise import contiguous, reshaped, run
from .operation import Context, Operation
from .reduce import as_three, reduced_shape
from .scan import grid

_BLOCK = 4096         # elements of a row that a work-item takes at the most


@functools.cache
def _defines(x: DType, out: DType, root: bool, last: bool) -> tuple[tuple[str, Any], ...]:
    double = x.compute == "double"
    defines: tuple[tuple[str, Any], ...] = (("IN", x.name), ("OUT", out.name), ("WIDTH", 1 if double else 16))
    for name, wanted in (("REAL64", double), ("ROOT", root), ("LAST", last)):
        if wanted:
            defines += ((name, 1),)
    return defines


def variance(x: Array, axes: tuple[int, ...] | None, keepdim: bool, divisor: float,
             root: bool) -> tuple[Array, Array]:
    """The sum of squared differences from the mean over ``divisor``, or its root; and the mean, in float32 or float64.

    Args:
        x: floating-point array with at least one element.
        axes: dimensions counted from the front, in rising order; None for all.
        keepdim: keep the reduced dimensions with size 1.
        divisor: number to divide by; 0 gives NaN or infinity.
        root: whether to take the root.
    """
    shape = reduced_shape(x, axes, keepdim)
    axes = tuple(range(x.ndim)) if axes is None else axes
    x, outer, n, inner = as_three(x, axes) if axes else (contiguous(x), x.size, 1, 1)
    device = x.device
    real = dtypes.float64 if x.dtype is dtypes.float64 else dtypes.float32
    busy = device.compute_units * device.quirks.parallel
    block = min(n, _BLOCK if outer * inner >= busy else max(256, min(_BLOCK, -(-x.size // busy))))
    blocks = -(-n // block)
    means, squares = (empty(device, (outer, blocks, inner), real) for _ in range(2))
    number = "d" if real is dtypes.float64 else "f"
    defines = _defines(x.dtype, x.dtype, root, False)
    args = (x.buffer.handle, x.offset, means.buffer.handle, squares.buffer.handle, n)
    local = min(64, 1 << (inner - 1).bit_length())
    columns = -(-inner // local) * local
    if inner == 1:
        kernel = device.programs.kernel("ops/variance.cl", "moments_rows", "PlPPll", defines)
        kernel((blocks, outer), None, *args, block)
    else:
        kernel = device.programs.kernel("ops/variance.cl", "moments_columns", "PlPPlll", defines)
        kernel((columns, blocks, outer), (local, 1, 1), *args, inner, block)
    out, mean = empty(device, shape, x.dtype), empty(device, shape, real)
    kernel = device.programs.kernel("ops/variance.cl", "moments_join", "PPPlPllll" + number, defines)
    kernel((columns, outer), (local, 1), means.buffer.handle, squares.buffer.handle, out.buffer.handle, out.offset,
           mean.buffer.handle, n, inner, block, blocks, divisor)
    return out, mean


class Var(Operation):
    """Variance over dimensions; with ``root``, standard deviation."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axes: tuple[int, ...] | None, keepdim: bool, correction: float,
                root: bool) -> Array:
        """Compute."""
        count = math.prod(x.shape if axes is None else [x.shape[a] for a in axes])
        ctx.divisor = max(0.0, float(count - correction))
        ctx.axes, ctx.root = axes, root
        y, mean = variance(x, axes, keepdim, ctx.divisor, root)
        ctx.save(x, mean, y)
        return y

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """``2 * (x - mean) / divisor`` for each element; for the root that over twice the result, 0 where it is 0."""
        x, mean, y = ctx.saved
        scale = run("mul", [g, math.inf if ctx.divisor == 0 else (1.0 if ctx.root else 2.0) / ctx.divisor], mean.dtype)
        if ctx.root:
            scale = run("where", [run("eq", [y, 0.0], dtypes.bool_, compute=y.dtype.compute), 0.0,
                                  run("div", [scale, y], mean.dtype)], mean.dtype)
        axes = tuple(range(x.ndim)) if ctx.axes is None else ctx.axes
        if x.is_contiguous() and axes and list(axes) == list(range(axes[0], axes[0] + len(axes))):
            out = empty(x.device, x.shape, x.dtype)
            _, outer, n, inner = as_three(x, axes)
            scale = contiguous(scale)
            kernel = x.device.programs.kernel("ops/variance.cl", "centered", "PlPPPlll",
                                              _defines(x.dtype, x.dtype, False, inner == 1))
            kernel(*grid(inner, n, outer), x.buffer.handle, x.offset, mean.buffer.handle, scale.buffer.handle,
                   out.buffer.handle, out.offset, n, inner)
            return out
        shape = reduced_shape(x, axes, True)
        mean, scale = reshaped(mean, shape), reshaped(scale, shape)
        return run("mul", [run("sub", [x, mean], mean.dtype), scale], x.dtype)
