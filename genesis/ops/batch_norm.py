"""Batch normalization: the host half of ``cl/ops/batch_norm.cl``."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .. import dtypes
from ..opencl import Kernel
from .array import Array, empty
from .elementwise import assign, cast, contiguous, run
from .norm import ParameterGradients, handles_of, same_type
from .operation import Context, Operation
from .rows import is_double, width_of

_PIECE = 32768            # elements of a channel in a piece: they stay in the cache between two passes
_ROWS = 128               # samples in a piece where a sample has one position: their lines share few sets of the cache
_MAX_PLANS = 10_000
_plans: dict[Any, _Plan] = {}


class _Plan(NamedTuple):
    """Kernels and launch for arguments of one kind; ``cuts`` is the number of pieces of the samples."""

    stats: Kernel
    apply: Kernel
    sums: Kernel
    backward: Kernel
    size: tuple[int, ...]
    local: tuple[int, ...]
    cuts: int
    sizes: tuple[int, ...]      # samples, channels, run, cuts, piece, block


def _plan(x: Array, weight: Array | None, bias: Array | None, running: Array | None) -> _Plan:
    device = x.buffer.device
    params = bias if weight is None else weight
    key = (device, device.type, x.dtype, x.shape, weight is None, bias is None,
           None if params is None else params.dtype, None if running is None else running.dtype)
    plan = _plans.get(key)
    if plan is not None:
        return plan
    samples, channels, run = x.shape[0], x.shape[1], math.prod(x.shape[2:])
    double = any(a is not None and is_double(a) for a in (x, params, running))
    columns, gpu = run == 1, device.type == "gpu"
    width = 1 if columns and gpu else width_of(device, channels if columns else run, double)
    lanes, groups = (width, 1) if columns else (1, -(-run // width))
    tasks = -(-channels // lanes)              # in each piece of the samples
    busy = device.compute_units * device.quirks.parallel
    held = samples // _ROWS if columns else samples * run // _PIECE
    cuts = min(samples, max(held, -(-(1024 if gpu else busy) // tasks), 1))
    piece = -(-samples // cuts)
    limit = device.quirks.max_loop
    if limit:
        piece = max(1, min(piece, limit // (2 * groups + 4)))
        if limit < 2 * (groups + 8):
            raise RuntimeError(f"{device.name} ends loops early and cannot be trusted with {run} positions")
    cuts = -(-samples // piece)
    tasks *= cuts
    block = 1 if gpu or limit else max(1, min(8192 // (piece * run * lanes), tasks // busy))
    teams = -(-tasks // block)
    team = min(256 if not columns else 64, device.handle.max_work_group_size) if gpu else 1
    if columns:
        size, local = (-(-teams // team) * team,), (team,)
    else:
        team = min(team, max(32, 1 << (groups * piece - 1).bit_length())) if gpu else 1
        size, local = (teams * team,), (team,)
    defines = (("TYPE", x.dtype.name), ("PARAM", (dtypes.float32 if params is None else params.dtype).name),
               ("STATS", (dtypes.float32 if running is None else running.dtype).name),
               ("WEIGHT", int(weight is not None)), ("BIAS", int(bias is not None)), ("COLUMNS_MODE", int(columns)),
               ("WIDTH", width), ("COLUMNS" if columns else "TEAM", team), *((("REAL64", 1),) if double else ()))

    def kernel(name: str, signature: str) -> Kernel:
        return device.programs.kernel("ops/batch_norm.cl", name, signature, defines)

    real = "dd" if double else "ff"
    plan = _Plan(kernel("batch_norm_stats", "PlPP" + "l" * 8),
                 kernel("batch_norm_apply", "PlPlPlPlPlPPlPP" + "l" * 8 + real),
                 kernel("batch_norm_sums", "PlPlPP" + "l" * 6),
                 kernel("batch_norm_backward", "PlPlPlPPPPlPl" + "l" * 10), size, local, cuts,
                 (samples, channels, run, cuts, piece, block))
    if len(_plans) >= _MAX_PLANS:
        _plans.clear()
    _plans[key] = plan
    return plan


class BatchNorm(Operation):
    """Batch normalization of x (samples, channels, ...), with weight and bias (channels,) or None."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, weight: Array | None, bias: Array | None, *,
                running_mean: Array | None, running_var: Array | None, tracked: Array | None, training: bool,
                momentum: float, eps: float) -> Array:
        """Normalize.

        Args:
            running_mean, running_var: (channels,), contiguous, of one element type; both None to have none. Training
                changes them in place.
            tracked: 0-d int64, the number of batches seen, which training raises by one; None not to count.
            training: whether to take the statistics of the batch.
            momentum: share of the new statistics in the running ones; negative: 1 / tracked.
            eps: added to the variance.
        """
        x = contiguous(x)
        params = bias if weight is None else weight
        ctx.kinds = [None if p is None else p.dtype for p in (weight, bias)]
        ctx.shape = None if params is None else params.shape
        weight, bias = same_type(weight, bias)
        double = any(a is not None and is_double(a) for a in (x, weight, bias, running_mean))
        real = dtypes.float64 if double else dtypes.float32
        y = empty(x.device, x.shape, x.dtype)
        ctx.training, ctx.plan, ctx.eps = training, None, eps
        if y.size == 0:
            ctx.save(x, weight, y)
            if training and tracked is not None:      # it was a batch, which changes no statistics
                assign(tracked, run("add", (tracked, 1), tracked.dtype))
            return y
        plan = ctx.plan = _plan(x, weight, bias, running_mean)
        kept = empty(x.device, (2, x.shape[1]), real)
        parts = empty(x.device, (plan.cuts, *kept.shape), real) if training else kept
        count, count_at = handles_of(tracked, kept)
        if training:
            plan.stats(plan.size, plan.local, x.buffer.handle, x.offset, parts.buffer.handle, count, count_at,
                       int(tracked is not None), *plan.sizes)
        update = training and running_mean is not None
        plan.apply(plan.size, plan.local, x.buffer.handle, x.offset, *handles_of(weight, kept),
                   *handles_of(bias, kept), *handles_of(running_mean, kept), *handles_of(running_var, kept),
                   parts.buffer.handle, count, count_at, y.buffer.handle, kept.buffer.handle, int(training),
                   int(update), *plan.sizes, momentum, eps)
        if training:
            for array in (running_mean, running_var, tracked):
                if array is not None:
                    array.version.count += 1
        ctx.save(x, weight, kept)
        return y

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None, Array | None]:
        """Sums of the gradient in one launch, the gradients of all inputs in a second one."""
        x, weight, kept = ctx.saved
        g, device, plan = contiguous(cast(g, x.dtype)), x.device, ctx.plan
        kinds = [k for k in ctx.kinds if k is not None]
        dtype = kinds[0] if len(set(kinds)) == 1 else kept.dtype
        grads = ParameterGradients(ctx, device, dtype)
        gx = empty(device, x.shape, x.dtype) if ctx.needs[0] else None
        if plan is None:
            grads.zero()
            return gx, *grads.results()
        parts = kept
        if ctx.training or grads.wanted:
            parts = empty(device, (plan.cuts, *kept.shape), kept.dtype)
            plan.sums(plan.size, plan.local, x.buffer.handle, x.offset, g.buffer.handle, g.offset, kept.buffer.handle,
                      parts.buffer.handle, *plan.sizes)
        g_weight, g_bias = grads.arrays
        plan.backward(plan.size, plan.local, x.buffer.handle, x.offset, g.buffer.handle, g.offset,
                      *handles_of(weight, kept), kept.buffer.handle, parts.buffer.handle,
                      (x if gx is None else gx).buffer.handle, *handles_of(g_weight, kept), *handles_of(g_bias, kept),
                      int(ctx.training), int(gx is not None), int(g_weight is not None), int(g_bias is not None),
                      *plan.sizes)
        return gx, *grads.results()
