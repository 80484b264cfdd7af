"""Cross-entropy: the host half of ``cl/ops/loss.cl``."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from .array import Array, empty
from .elementwise import cast, contiguous, full, run
from .operation import Context, Operation
from .reduce import reduce


class CrossEntropy(Operation):
    """Cross-entropy of logits (N, C, ...) and class indices (N, ...)."""

    @classmethod
    def forward(cls, ctx: Context, logits: Array, target: Array, weight: Array | None, *, ignore_index: int,
                reduction: str, label_smoothing: float) -> Array:
        """Each row's loss, or their sum or weighted mean."""
        logits, target = contiguous(logits), contiguous(target)
        device = logits.device
        classes = logits.shape[1] if logits.ndim > 1 else logits.shape[0]
        rows = target.size
        if 0 < device.quirks.max_loop < 4 * classes:
            raise RuntimeError(f"{device.name} ends loops early and cannot be trusted with {classes} classes")
        inner = rows // logits.shape[0] if logits.ndim > 1 and logits.shape[0] else 1
        real = dtypes.float64 if logits.dtype is dtypes.float64 else dtypes.float32
        weight = full(device, (classes,), 1.0, real) if weight is None else contiguous(cast(weight, real))
        loss = empty(device, target.shape, real)
        share = empty(device, target.shape, real)
        ctx.tail = (classes, inner, ignore_index, label_smoothing)
        if rows:
            _kernel(logits, "cross_entropy", "PlPlPlPPlll")(
                (rows,), None, logits.buffer.handle, logits.offset, target.buffer.handle, target.offset,
                weight.buffer.handle, weight.offset, loss.buffer.handle, share.buffer.handle, *ctx.tail)
        divisor = reduce("sum", share) if reduction == "mean" else full(device, (), 1.0, real)
        ctx.save(logits, target, weight, divisor)
        ctx.reduction = reduction
        if reduction == "none":
            return run("identity", [loss], logits.dtype)
        total = reduce("sum", loss)
        return run("div", [total, divisor], logits.dtype)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, None, None]:
        """Probability minus target, scaled."""
        logits, target, weight, divisor = ctx.saved
        out = empty(logits.device, logits.shape, logits.dtype)
        g = run("identity", [g], divisor.dtype) if g.dtype is not divisor.dtype or not g.is_contiguous() else g
        step = 0 if ctx.reduction != "none" else 1
        if target.size:
            _kernel(logits, "cross_entropy_backward", "PlPlPlPllPPlll")(
                (target.size,), None, logits.buffer.handle, logits.offset, target.buffer.handle, target.offset,
                weight.buffer.handle, weight.offset, g.buffer.handle, g.offset, step, divisor.buffer.handle,
                out.buffer.handle, *ctx.tail)
        return out, None, None


def _kernel(logits: Array, name: str, signature: str) -> Any:
    defines: tuple[tuple[str, Any], ...] = (("TYPE", logits.dtype.name),)
    double = logits.dtype is dtypes.float64
    if double:
        defines += (("REAL64", 1),)
    return logits.device.programs.kernel("ops/loss.cl", name, signature + ("d" if double else "f"), defines)
