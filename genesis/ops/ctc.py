"""Connectionist temporal classification: the host half of ``cl/ops/ctc.cl``."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..opencl import Device
from .array import Array, empty
from .bounds import ANY
from .elementwise import cast, contiguous, full
from .index import scatter_along
from .operation import Context, Operation


class CTC(Operation):
    """Losses (N,) of log-probabilities (T, N, C), float32 or float64; infinite where no path reads the labels.

    Further inputs, all int64: the classes of all states (N, 2 S + 1), blanks and labels by turns; how many steps of
    time count, (N,); how many labels count, (N,). Option ``blank`` is the class of the blanks.
    """

    @classmethod
    def forward(cls, ctx: Context, x: Array, states: Array, lengths: Array, counts: Array, *, blank: int) -> Array:
        """Add up the probabilities of all paths that read the labels."""
        x, states, lengths, counts = (contiguous(a) for a in (x, states, lengths, counts))
        (steps, samples, classes), width = x.shape, states.shape[1]
        device = x.device
        alpha, losses = empty(device, (steps, samples, width), x.dtype), empty(device, (samples,), x.dtype)
        ctx.sizes = steps, samples, classes, width, blank
        ctx.save(x, states, lengths, counts, alpha, losses)
        if samples:
            kernel, team = _kernel(device, x.dtype, width, "ctc", "PlPlPlPlPPlllllPil")
            device.faults.launch(kernel, (team * samples,), (team,), *_places(x, states, lengths, counts),
                                 alpha.buffer.handle, losses.buffer.handle, *ctx.sizes, operation="ctc_loss", low=0)
        return losses

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array, None, None, None]:
        """Minus the probabilities of being in a state, added up by classes."""
        x, states, lengths, counts, alpha, losses = ctx.saved
        device, (_, samples, _, width, _) = x.device, ctx.sizes
        gx = full(device, x.shape, 0, x.dtype)
        if samples:
            g, slope = cast(g, x.dtype), empty(device, alpha.shape, x.dtype)
            beta = empty(device, (2, samples, width), x.dtype)
            kernel, team = _kernel(device, x.dtype, width, "ctc_backward", "PlPlPlPlPPPllPPlllll")
            kernel((team * samples,), (team,), *_places(x, states, lengths, counts), alpha.buffer.handle,
                   losses.buffer.handle, g.buffer.handle, g.offset, g.strides[0], beta.buffer.handle,
                   slope.buffer.handle, *ctx.sizes)
            scatter_along(gx, 2, contiguous(states.expand(alpha.shape)), slope, "add", ANY)
        return gx, None, None, None


def _places(*arrays: Array) -> list[Any]:
    return [part for a in arrays for part in (a.buffer.handle, a.offset)]


def _kernel(device: Device, dtype: dtypes.DType, width: int, name: str, signature: str) -> tuple[Any, int]:
    """The kernel, and how many work-items share a sample."""
    many = device.type == "gpu" or device.quirks.max_loop
    team = min(256, device.handle.max_work_group_size, 1 << (width - 1).bit_length()) if many else 1
    defines: tuple[tuple[str, Any], ...] = (("TEAM", team),)
    if dtype is dtypes.float64:
        defines += (("REAL64", 1),)
    return device.programs.kernel("ops/ctc.cl", name, signature, defines), team
