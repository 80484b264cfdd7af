"""Negative log-likelihood: the host half of ``cl/ops/nll.cl``."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from .array import Array, empty
from .elementwise import cast, contiguous, full, run
from .operation import Context, Operation
from .reduce import reduce

_LOCAL = 64


class NLL(Operation):
    """Negative log-likelihood of log-probabilities (N, C, ...) or (C,) and class indices (N, ...) or ()."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, target: Array, weight: Array | None, *, ignore_index: int,
                reduction: str) -> Array:
        """Each row's loss, or their sum or weighted mean."""
        x, target = contiguous(x), contiguous(target)
        device, rows = x.device, target.size
        classes = x.shape[1] if x.ndim > 1 else x.shape[0]
        inner = max(1, rows // x.shape[0]) if x.ndim > 1 and x.shape[0] else 1
        real = dtypes.float64 if x.dtype is dtypes.float64 else dtypes.float32
        weight = full(device, (classes,), 1.0, real) if weight is None else contiguous(cast(weight, real))
        loss, share = empty(device, target.shape, real), empty(device, target.shape, real)
        ctx.tail = classes, inner, ignore_index
        ctx.shape, ctx.reduction = x.shape, reduction
        if rows:
            device.faults.launch(
                _kernel(x.dtype, device, "nll", "PlPlPlPPllllPil"),
                (-(-rows // _LOCAL) * _LOCAL,), (_LOCAL,), x.buffer.handle, x.offset, target.buffer.handle,
                target.offset, weight.buffer.handle, weight.offset, loss.buffer.handle, share.buffer.handle, rows,
                *ctx.tail, operation="nll_loss", low=0)
        divisor = reduce("sum", share) if reduction == "mean" else full(device, (), 1.0, real)
        ctx.dtype = x.dtype
        ctx.save(target, weight, divisor)
        if reduction == "none":
            return cast(loss, x.dtype)
        return run("div", [reduce("sum", loss), divisor], x.dtype)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, None, None]:
        """Minus the weight, over the divisor, at the targets; 0 elsewhere."""
        target, weight, divisor = ctx.saved
        out = empty(g.device, ctx.shape, ctx.dtype)
        g = contiguous(cast(g, divisor.dtype))
        if out.size:
            _kernel(ctx.dtype, g.device, "nll_backward", "PllPPlPlPllll")(
                (-(-out.size // _LOCAL) * _LOCAL,), (_LOCAL,), g.buffer.handle, g.offset,
                int(ctx.reduction == "none"), divisor.buffer.handle, target.buffer.handle, target.offset,
                weight.buffer.handle, weight.offset, out.buffer.handle, out.size, *ctx.tail)
        return out, None, None


def _kernel(dtype: dtypes.DType, device: Any, name: str, signature: str) -> Any:
    double = dtype is dtypes.float64
    defines: tuple[tuple[str, Any], ...] = (("TYPE", dtype.name), ("WEIGHT", "float64" if double else "float32"))
    if double:
        defines += (("REAL64", 1),)
    return device.programs.kernel("ops/nll.cl", name, signature, defines)
