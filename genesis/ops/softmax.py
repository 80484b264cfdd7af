"""Softmax and its logarithm: the host half of ``cl/ops/softmax.cl``."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..dtypes import DType
from ..opencl import Kernel
from .array import Array, empty
from .elementwise import cast, contiguous, run
from .operation import Context, Operation
from .reduce import reduce
from .rows import Rows, as_middle, columns_launch, is_double, rows_launch, too_long

_MAX_PLANS = 10_000
_plans: dict[Any, tuple[Kernel, Rows, tuple[int, ...]] | None] = {}


def _plan(x: Array, out: DType, axis: int, log: bool, backward: bool) -> tuple[Kernel, Rows, tuple[int, ...]] | None:
    """The kernel, its launch and its sizes; None where the device needs several launches."""
    device = x.buffer.device
    key = (device, device.type, x.dtype, out, x.shape, axis, log, backward)
    if key in _plans:
        return _plans[key]
    outer, n, inner = as_middle(x.shape, axis)
    double = is_double(x, out)
    passes = 2 if backward or inner > 1 else 3
    plan = None
    if not too_long(device, n, passes, double, inner > 1):
        launch = columns_launch(device, outer, n, inner, passes, double) if inner > 1 else rows_launch(
            device, outer, n, passes, double)
        sizes = (outer, n, inner, launch.block) if inner > 1 else (outer, n, launch.block)
        name = ("softmax_columns" if inner > 1 else "softmax_rows") + ("_backward" if backward else "")
        defines = (("IN", x.dtype.name), ("OUT", out.name), ("LOG", int(log)), ("KEEP", int(out.itemsize >= 4)),
                   *launch.defines)
        signature = ("PlPlP" if backward else "PlP") + "l" * len(sizes)
        plan = device.programs.kernel("ops/softmax.cl", name, signature, defines), launch, sizes
    if len(_plans) >= _MAX_PLANS:
        _plans.clear()
    _plans[key] = plan
    return plan


def softmax(x: Array, axis: int, log: bool, dtype: DType) -> Array:
    """Softmax of a floating-point array along a dimension, or its logarithm, in an element type."""
    x = contiguous(x)
    y = empty(x.device, x.shape, dtype)
    if y.size == 0:
        return y
    plan = _plan(x, dtype, axis, log, False)
    if plan is None:
        return _stepwise(x, axis, log, y)
    kernel, launch, sizes = plan
    kernel(launch.size, launch.local, x.buffer.handle, x.offset, y.buffer.handle, *sizes)
    return y


def softmax_backward(y: Array, g: Array, axis: int, log: bool, dtype: DType) -> Array:
    """The gradient of the input, from the result and the result's gradient."""
    y, g = contiguous(y), contiguous(cast(g, y.dtype))
    gx = empty(y.device, y.shape, dtype)
    if gx.size == 0:
        return gx
    plan = _plan(gx, y.dtype, axis, log, True)
    if plan is None:
        return _stepwise_backward(y, g, axis, log, gx)
    kernel, launch, sizes = plan
    kernel(launch.size, launch.local, y.buffer.handle, y.offset, g.buffer.handle, g.offset, gx.buffer.handle, *sizes)
    return gx


def _stepwise(x: Array, axis: int, log: bool, y: Array) -> Array:
    """For rows longer than a work-item of the device may loop over: one launch for each step."""
    real = _real(x, y)
    x = cast(x, real)
    top = reduce("amax", x, (axis,), keepdim=True)
    shifted = run("sub", [x, top], real)
    total = reduce("sum", run("exp", [shifted], real), (axis,), keepdim=True)
    if log:
        return run("sub", [shifted, run("log", [total], real)], y.dtype, out=y, compute=real.compute)
    return run("div", [run("exp", [shifted], real), total], y.dtype, out=y, compute=real.compute)


def _stepwise_backward(y: Array, g: Array, axis: int, log: bool, gx: Array) -> Array:
    real = _real(y, gx)
    y, g = cast(y, real), cast(g, real)
    addends = g if log else run("mul", [g, y], real)
    total = reduce("sum", addends, (axis,), keepdim=True)
    if log:
        product = run("mul", [run("exp", [y], real), total], real)
        return run("sub", [g, product], gx.dtype, out=gx, compute=real.compute)
    difference = run("sub", [g, total], real)
    return run("mul", [y, difference], gx.dtype, out=gx, compute=real.compute)


def _real(*arrays: Array) -> DType:
    return dtypes.float64 if is_double(*arrays) else dtypes.float32


class Softmax(Operation):
    """Softmax along a dimension."""

    log = False

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axis: int, dtype: DType | None = None) -> Array:
        """Exponentials divided by their sum."""
        ctx.axis, ctx.dtype = axis, x.dtype
        y = softmax(x, axis, cls.log, dtype or x.dtype)
        ctx.save(y)
        return y

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """What a change of each input does to all results of its row."""
        y, = ctx.saved
        return softmax_backward(y, g, ctx.axis, cls.log, ctx.dtype)


class LogSoftmax(Softmax):
    """Logarithm of the softmax along a dimension."""

    log = True
