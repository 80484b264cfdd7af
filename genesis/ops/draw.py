"""Numbers drawn from gamma, Poisson and binomial distributions: the host half of ``cl/ops/draw.cl``."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from .array import Array, empty
from .elementwise import cast, contiguous, run
from .operation import Context, Operation


def _launch(name: str, signature: str, like: Array, *args: Any) -> Array:
    """A new array in the shape of another that a kernel fills, an element a work-item."""
    out = empty(like.device, like.shape, like.dtype)
    if out.size:
        wide: tuple[tuple[str, Any], ...] = (("REAL64", 1),) if like.dtype is dtypes.float64 else ()
        defines = (("TYPE", like.dtype.name), ("COMPUTE", like.dtype.compute), *wide)
        kernel = like.device.programs.kernel("ops/draw.cl", name, signature, defines)
        local = min(64, 1 << (out.size - 1).bit_length())
        given = [a.buffer.handle if isinstance(a, Array) else a for a in args]
        inputs, rest = given[:signature.index("l") - 1], given[signature.index("l") - 1:]
        kernel((-(-out.size // local) * local,), (local,), *inputs, out.buffer.handle, out.size, *rest)
    return out


def _whole(x: Array) -> Array:
    """The array without gaps and at the beginning of its memory, as the kernels take it."""
    x = contiguous(x)
    return x if x.offset == 0 else run("identity", [x], x.dtype)


def poisson(rates: Array, key: tuple[int, int]) -> Array:
    """Counts from the Poisson distributions of some rates, in their type."""
    seed, stream = key
    rates = _whole(rates)
    return _launch("poisson", "PPlLL", rates, rates, stream, seed)


def binomial(counts: Array, probs: Array, key: tuple[int, int]) -> Array:
    """Successes among some numbers of trials of some probabilities, arrays of one shape and type."""
    seed, stream = key
    counts = _whole(counts)
    return _launch("binomial", "PPPlLL", counts, counts, _whole(probs), stream, seed)


class LogGamma(Operation):
    """Logarithms of numbers drawn from the gamma distributions of some shapes, with gradients to these."""

    @classmethod
    def forward(cls, ctx: Context, alpha: Array, *, key: tuple[int, int]) -> Array:
        """Draw."""
        seed, stream = key
        alpha = _whole(alpha)
        drawn = _launch("log_gamma_draw", "PPlLL", alpha, alpha, stream, seed)
        ctx.save(alpha, drawn)
        return drawn

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The implicit derivative of the drawn numbers."""
        alpha, drawn = ctx.saved
        slope = _launch("log_gamma_slope", "PPPl", alpha, alpha, drawn)
        return run("mul", [g, cast(slope, g.dtype)], g.dtype)
