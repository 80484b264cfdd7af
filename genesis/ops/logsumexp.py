"""The logarithm of the sum of exponentials; the kernels are in ``cl/ops/softmax.cl``."""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes
from ..dtypes import DType
from ..opencl import Device, Kernel
from .array import Array, contiguous_strides, empty
from .elementwise import assign, cast, contiguous, run
from .operation import Context, Operation
from .reduce import as_three, reduce, reduced_shape
from .rows import Rows, columns_launch, is_double, rows_launch, too_long

_PASSES = 2
_MAX_PLANS = 10_000
_plans: dict[Any, tuple[Kernel, Rows, tuple[int, ...]] | None] = {}


def _plan(device: Device, dtype: DType, sizes: tuple[int, int, int],
          backward: bool) -> tuple[Kernel, Rows, tuple[int, ...]] | None:
    """The kernel, its launch and its numbers for (outer, n, inner); None where the device needs several launches."""
    key = (device, device.type, device.quirks.max_loop, dtype, sizes, backward)
    if key in _plans:
        return _plans[key]
    outer, n, inner = sizes
    double, columns = is_double(dtype), inner > 1
    plan = None
    if not too_long(device, n, _PASSES, double, columns):
        launch = columns_launch(device, outer, n, inner, _PASSES, double, span=1) if columns else rows_launch(
            device, outer, n, _PASSES, double)
        numbers = (outer, n, inner, launch.block) if columns else (outer, n, launch.block)
        name = ("logsumexp_columns" if columns else "logsumexp_rows") + ("_backward" if backward else "")
        defines = (("IN", dtype.name), ("OUT", dtype.name), *launch.defines)
        signature = ("PlPlPlP" if backward else "PlP") + "l" * len(numbers)
        plan = device.programs.kernel("ops/softmax.cl", name, signature, defines), launch, numbers
    if len(_plans) >= _MAX_PLANS:
        _plans.clear()
    _plans[key] = plan
    return plan


def _stepwise(x: Array, out: Array) -> Array:
    """For what is longer than a work-item of the device may loop over: (outer, n, inner) in several launches."""
    x = cast(x, _real(x))
    top = reduce("amax", x, (1,), keepdim=True)
    finite = run("where", [run("isfinite", [top], x.dtype), top, 0.0], x.dtype)
    total = reduce("sum", run("exp", [run("sub", [x, finite], x.dtype)], x.dtype), (1,), keepdim=True)
    result = run("add", [run("log", [total], x.dtype), finite], x.dtype)
    return assign(out, result.view(out.shape, contiguous_strides(out.shape), 0))


def _real(x: Array) -> DType:
    return dtypes.float64 if is_double(x) else dtypes.float32


class LogSumExp(Operation):
    """``log(sum(exp(x)))`` over dimensions."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axes: tuple[int, ...] | None, keepdim: bool) -> Array:
        """One launch."""
        out = empty(x.device, reduced_shape(x, axes, keepdim), x.dtype)
        axes = tuple(range(x.ndim)) if axes is None else axes
        ctx.axes = axes
        if x.size == 0:
            ctx.save(x, out)
            return assign(out, -math.inf) if out.size else out
        three, *sizes = as_three(x, axes) if axes else (contiguous(x), x.size, 1, 1)
        plan = _plan(x.device, x.dtype, (sizes[0], sizes[1], sizes[2]), False)
        if plan is None:
            parts = three.view((sizes[0], sizes[1], sizes[2]), contiguous_strides((sizes[0], sizes[1], sizes[2])))
            _stepwise(parts, out)
        else:
            kernel, launch, numbers = plan
            kernel(launch.size, launch.local, three.buffer.handle, three.offset, out.buffer.handle, *numbers)
        ctx.save(x, out)
        return out

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The softmax of each row, times the gradient of its result; one launch."""
        x, y = ctx.saved
        axes, shape = ctx.axes, x.shape
        gx = empty(x.device, shape, x.dtype)
        if x.size == 0:
            return gx
        g = contiguous(g)
        merged = list(axes) == list(range(axes[0], axes[0] + len(axes))) if axes else True
        if merged:
            first, last = (axes[0], axes[-1] + 1) if axes else (x.ndim, x.ndim)
            sizes = math.prod(shape[:first]), math.prod(shape[first:last]), math.prod(shape[last:])
            plan = _plan(x.device, x.dtype, sizes, True)
            if plan is not None:
                kernel, launch, numbers = plan
                x = contiguous(x)
                kernel(launch.size, launch.local, x.buffer.handle, x.offset, y.buffer.handle, y.offset,
                       g.buffer.handle, g.offset, gx.buffer.handle, *numbers)
                return gx
        kept = tuple(1 if a in axes else n for a, n in enumerate(shape))
        y, g = (contiguous(a).view(kept, contiguous_strides(kept)) for a in (y, g))
        softmax = run("exp", [run("sub", [x, y], _real(x))], _real(x))
        return run("mul", [softmax, g], x.dtype, out=gx, compute=_real(x).compute)
