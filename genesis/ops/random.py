"""Arrays of random numbers: the host half of ``cl/ops/random.cl``.

Every function takes ``(seed, stream)``; a stream is used for one call only.
"""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes
from .array import Array, empty
from .elementwise import contiguous
from .operation import Context, Operation


def _fill(name: str, out: Array, key: tuple[int, int], parameters: str, *values: Any) -> Array:
    if out.size:
        seed, stream = key
        kernel = out.device.programs.kernel("ops/random.cl", name, f"PllLL{parameters}", _defines(out))
        kernel((-(-out.size // 4),), None, out.buffer.handle, out.offset, out.size, stream, seed, *values)
    return out


_SPECIAL = {dtypes.float64: ("REAL64", 1), dtypes.float16: ("BITS", 11), dtypes.bfloat16: ("BITS", 8)}


def _defines(x: Array) -> tuple[tuple[str, Any], ...]:
    type_ = ("TYPE", x.dtype.name)
    return (type_, _SPECIAL[x.dtype]) if x.dtype in _SPECIAL else (type_,)


def uniform(out: Array, key: tuple[int, int], low: float, high: float) -> Array:
    """Fill a contiguous array uniformly from [low, high)."""
    return _fill("uniform", out, key, "ff", low, high)


def normal(out: Array, key: tuple[int, int], mean: float, deviation: float) -> Array:
    """Fill a contiguous array from a normal distribution."""
    return _fill("normal", out, key, "ff", mean, deviation)


def truncated(out: Array, key: tuple[int, int], mean: float, deviation: float, low: float, high: float) -> Array:
    """Fill a contiguous array from a normal distribution between two bounds."""
    if out.size:
        seed, stream = key
        kernel = out.device.programs.kernel("ops/random.cl", "truncated", "PllLLifffffffff", _defines(out))
        kernel((out.size,), None, out.buffer.handle, out.offset, out.size, stream, seed,
               *_proposal(mean, deviation, low, high), low, high)
    return out


def _proposal(mean: float, deviation: float, low: float, high: float) -> tuple[float, ...]:
    """How to propose numbers (Robert 1995): the arguments of the kernel from ``proposal`` to ``mass``."""
    below, above = (low - mean) / deviation, (high - mean) / deviation
    span = above - below
    if below <= 0 <= above and span >= math.sqrt(2 * math.pi):
        return 0, mean, deviation, 0.0, 0.0, 0.0, 1.0, 0.0
    if below <= 0 <= above:
        return 1, low, deviation, span, -below, 0.0, 1.0, 0.0
    # A tail: distances t from its nearer end, which is the origin.
    origin, scale, end = (low, deviation, below) if below > 0 else (high, -deviation, -above)
    rate = (end + math.sqrt(end * end + 4)) / 2
    centre = rate - end
    return 2, origin, scale, span, centre, max(0.0, centre - span) ** 2, rate, -math.expm1(-rate * span)


def integers(out: Array, key: tuple[int, int], low: int, high: int) -> Array:
    """Fill a contiguous array with integers from [low, high)."""
    return _fill("integers", out, key, "lL", low, high - low)


def dropout_rows(out: Array, key: tuple[int, int], p: float) -> Array:
    """Fill a contiguous array (..., n) with what attention with dropout multiplies the weights of its rows by."""
    if out.size:
        seed, stream = key
        n = out.shape[-1]
        kernel = out.device.programs.kernel("ops/random.cl", "dropout_rows", "PlLLf", _defines(out))
        kernel((-(-n // 4), out.size // n), None, out.buffer.handle, n, stream, seed, p)
    return out


class Dropout(Operation):
    """Zero elements with probability ``p`` and scale the rest by ``1 / (1 - p)``; no mask is stored."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, p: float, key: tuple[int, int]) -> Array:
        """Drop."""
        ctx.p, ctx.key = p, key
        return cls._apply(x, p, key)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The same elements are dropped again."""
        return cls._apply(g, ctx.p, ctx.key)

    @staticmethod
    def _apply(x: Array, p: float, key: tuple[int, int]) -> Array:
        x = contiguous(x)
        out = empty(x.device, x.shape, x.dtype)
        if x.size:
            seed, stream = key
            kernel = x.device.programs.kernel("ops/random.cl", "dropout", "PlPlLLf", _defines(x))
            kernel((-(-x.size // 4),), None, x.buffer.handle, x.offset, out.buffer.handle, x.size, stream, seed, p)
        return out
