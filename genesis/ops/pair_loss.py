"""Losses of corresponding elements of predictions and targets: the host half of ``cl/ops/pair_loss.cl``."""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes
from .array import Array, broadcast_shapes, empty
from .binary import Binary
from .elementwise import cast, dtype_of, run
from .operation import Context, Operation
from .reduce import reduce
from .ternary import Several

_BLOCK = 16384       # elements that a work-item adds up
_ITEMS = 65536       # work-items at the most, where they interleave


def total(loss: str, x: Array, t: Array, parameter: float, scale: float, dtype: dtypes.DType) -> Array:
    """The sum of a loss over all elements times ``scale``; both arrays contiguous and of one shape."""
    n, device = x.size, x.device
    real = dtypes.float64 if dtypes.float64 in (x.dtype, t.dtype) else dtypes.float32
    defines: tuple[tuple[str, Any], ...] = (
        ("LOSS", f"LOSS_{loss}"), ("X", x.dtype.name), ("T", t.dtype.name), ("OUT", real.name))
    if real is dtypes.float64:
        defines += (("REAL64", 1),)
    if device.type == "cpu":
        defines += (("WIDTH", 8 if real is dtypes.float64 else 16),)
        block = min(_BLOCK, max(256, -(-n // (2 * device.compute_units))))
        items = -(-n // block)
    else:
        defines += (("INTERLEAVED", 1), ("WIDTH", 1))
        block = 0
        items = max(1, min(n // 16, _ITEMS), n // _BLOCK)
    sums = empty(device, (items,), real)
    kernel = device.programs.kernel("ops/pair_loss.cl", "pair_loss",
                                    "PlPlPll" + ("dd" if real is dtypes.float64 else "ff"), defines)
    kernel((items,), None, x.buffer.handle, x.offset, t.buffer.handle, t.offset, sums.buffer.handle, n, block,
           parameter, scale)
    return cast(sums.view((), ()) if items == 1 else reduce("sum", sums), dtype)


class PairLoss(Operation):
    """A loss of ``cl/ops/losses.h``; sums and means read both arrays once and write nothing else."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, t: Array, *, loss: str, parameter: float = 0.0, reduction: str = "mean",
                divisor: float | None = None) -> Array:
        """The losses, their sum, or their mean (their sum over ``divisor``, if that is given)."""
        dtype = dtype_of(x, t)
        shape = broadcast_shapes(x.shape, t.shape)
        count = math.prod(shape)
        if reduction == "mean" and divisor is None:
            divisor = count
        ctx.save(x, t)
        ctx.shapes, ctx.dtypes = [x.shape, t.shape], [x.dtype, t.dtype]
        ctx.loss, ctx.parameter, ctx.shape = loss, parameter, shape
        ctx.scale = 1.0 if divisor is None else 1 / divisor if divisor else math.nan
        if reduction == "none":
            return run(loss, [x, t, parameter], dtype)
        if x.shape == t.shape and x.is_contiguous() and t.is_contiguous() and count \
                and x.dtype.is_floating_point and t.dtype.is_floating_point:
            return total(loss, x, t, parameter, ctx.scale, dtype)
        wide = dtype if dtype.itemsize > 2 else dtypes.float32
        losses = run(loss, [x, t, parameter], wide)
        return run("mul", [reduce("sum", losses), ctx.scale], dtype)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """One launch for each array."""
        x, t = ctx.saved
        operands = [g.expand(ctx.shape), x, t, ctx.parameter, ctx.scale]
        return (Binary.fit(ctx, 0, run(f"{ctx.loss}_backward", operands, g.dtype)) if ctx.needs[0] else None,
                Binary.fit(ctx, 1, run(f"{ctx.loss}_target", operands, g.dtype)) if ctx.needs[1] else None)


class WeightedLogits(Several):
    """Binary cross-entropy of logits, with a weight for positive targets."""

    op = "bce_logits_weighted"
    rules = (("bce_logits_weighted_backward", (0, 1, 2)), ("bce_logits_weighted_target", (0, 1, 2)), (None, ()))
