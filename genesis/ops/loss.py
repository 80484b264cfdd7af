"""Cross-entropy: the host half of ``cl/ops/loss.cl``."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import dtypes
from ..opencl import Kernel
from .array import Array, Shape, empty
from .elementwise import assign, cast, contiguous
from .operation import Context, Operation
from .rows import Rows, columns_launch, is_double, rows_launch, too_long

_MOST = 2048          # teams, each of which leaves a sum for the last launch to add up
_PASSES = 2
_MAX_PLANS = 10_000
_plans: dict[Any, _Plan] = {}


class _Plan(NamedTuple):
    """How cross-entropy of one kind of arguments runs."""

    forward: Kernel
    backward: Kernel
    total: Kernel
    launch: Rows
    sizes: tuple[int, ...]
    final: int


def _plan(logits: Array, target: Array, weighted: bool) -> _Plan:
    device = logits.buffer.device
    key = (device, device.type, device.quirks, logits.dtype, logits.shape, target.dtype, weighted)
    plan = _plans.get(key)
    if plan is not None:
        return plan
    shape = logits.shape
    outer, classes = (shape[0], shape[1]) if len(shape) > 1 else (1, shape[0])
    inner = 1
    for n in shape[2:]:
        inner *= n
    double = is_double(logits, target)
    columns = inner > 1
    if too_long(device, classes, _PASSES, double, columns):
        raise RuntimeError(f"{device.name} ends loops early and cannot be trusted with {classes} classes")
    launch = columns_launch(device, outer, classes, inner, _PASSES, double, _MOST, span=1) if columns else rows_launch(
        device, outer, classes, _PASSES, double, _MOST)
    chances = target.dtype.is_floating_point
    defines = (("TYPE", logits.dtype.name), ("TARGET", target.dtype.name), ("WEIGHTED", int(weighted)),
               ("PROBABILITIES", int(chances)), *launch.defines)
    real = "d" if double else "f"
    sizes = (outer, classes, inner) if columns else (outer, classes)
    numbers = "l" * len(sizes)
    layout = "columns" if columns else "rows"
    kernel = device.programs.kernel
    final = dict(launch.defines).get("TEAM", 1)
    plan = _Plan(
        kernel("ops/loss.cl", f"cross_entropy_{layout}",
               "PlPlPlPPP" + numbers + ("llll" if columns else "lll") + real + "Pil", defines),
        kernel("ops/loss.cl", f"cross_entropy_{layout}_backward", "PlPlPlPPllPP" + numbers + "lll" + real, defines),
        kernel("ops/loss.cl", "cross_entropy_total", "PPPll", defines), launch, sizes, final)
    if len(_plans) >= _MAX_PLANS:
        _plans.clear()
    _plans[key] = plan
    return plan


class CrossEntropy(Operation):
    """Cross-entropy of logits (N, C, ...) with class indices (N, ...), int64, or with probabilities (N, C, ...)."""

    @classmethod
    def forward(cls, ctx: Context, logits: Array, target: Array, weight: Array | None, *, ignore_index: int,
                reduction: str, label_smoothing: float) -> Array:
        """Each row's loss, or their sum or weighted mean."""
        logits, target = contiguous(logits), contiguous(target)
        device, dtype = logits.device, logits.dtype
        shape: Shape = logits.shape[:1] + logits.shape[2:] if logits.ndim > 1 else ()
        real = dtypes.float64 if is_double(logits, target) else dtypes.float32
        weight = None if weight is None else contiguous(cast(weight, real))
        mean, each = reduction == "mean", reduction == "none"
        ctx.options = ignore_index, mean, each, label_smoothing
        ctx.plan = None
        losses = empty(device, shape if each else (), dtype)
        rows = logits.size // max(logits.shape[1] if logits.ndim > 1 else logits.shape[0], 1)
        if not losses.size or not rows:
            ctx.save(logits, target, weight, losses, losses)
            return losses if each else assign(losses, float("nan") if mean else 0.0)
        plan = ctx.plan = _plan(logits, target, weight is not None)
        launch = plan.launch
        kept, sums = empty(device, (3, rows), real), empty(device, (launch.teams, 2), real)
        divisor = empty(device, (), real)
        first = kept if weight is None else weight
        columns = (launch.teams,) if len(plan.sizes) == 3 else ()
        device.faults.launch(
            plan.forward, launch.size, launch.local, logits.buffer.handle, logits.offset, target.buffer.handle,
            target.offset, first.buffer.handle, first.offset, kept.buffer.handle, sums.buffer.handle,
            losses.buffer.handle, *plan.sizes, ignore_index, int(each), *columns, launch.block, label_smoothing,
            operation="cross_entropy", low=0)
        if not each:
            plan.total((plan.final,), (plan.final,), sums.buffer.handle, losses.buffer.handle, divisor.buffer.handle,
                       launch.teams, int(mean))
        ctx.save(logits, target, weight, kept, divisor)
        return losses

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, None, None]:
        """Probability minus target, scaled."""
        logits, target, weight, kept, divisor = ctx.saved
        ignore_index, mean, each, smoothing = ctx.options
        gx = empty(logits.device, logits.shape, logits.dtype)
        plan = ctx.plan
        if plan is None or gx.size == 0:
            return gx, None, None
        g = contiguous(cast(g, logits.dtype))
        first, launch = kept if weight is None else weight, plan.launch
        plan.backward(launch.size, launch.local, logits.buffer.handle, logits.offset, target.buffer.handle,
                      target.offset, first.buffer.handle, first.offset, kept.buffer.handle, g.buffer.handle, g.offset,
                      int(each), divisor.buffer.handle, gx.buffer.handle, *plan.sizes, ignore_index, int(mean),
                      launch.block, smoothing)
        return gx, None, None
