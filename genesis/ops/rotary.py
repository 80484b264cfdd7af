"""Rotary position embedding: the host half of ``cl/ops/rotary.cl``."""

from __future__ import annotations

import struct
from typing import Any

from .. import dtypes
from .array import Array, empty
from .elementwise import contiguous
from .operation import Context, Operation


def rotate(x: Array, angles: Array, positions: Array | None, first: int, interleaved: bool, sign: float) -> Array:
    """Turn pairs of elements of ``x`` (B, H, L, E).

    Args:
        x: floating point, of any strides.
        angles: (P, 2, pairs): cosines and sines; float64 for a float64 ``x``, else float32.
        positions: (L,) int64 below P, or None for ``first`` and the following.
        first: position of the first row.
        interleaved: whether neighbours are a pair, instead of elements half the rotated part apart.
        sign: 1, or -1 to turn back.
    """
    batch, heads, rows, size = x.shape
    # In memory (B, L, H, E), as the projections before and the attention after hold it.
    out = empty(x.device, (batch, rows, heads, size), x.dtype).permute((0, 2, 1, 3))
    if not x.size:
        return out
    pairs = angles.shape[2]
    double = x.dtype is dtypes.float64
    defines: tuple[tuple[str, Any], ...] = (("TYPE", x.dtype.name), ("INTERLEAVED", int(interleaved)))
    kernel = x.device.programs.kernel("ops/rotary.cl", "rotate_pairs", f"PlPlPPli{'d' if double else 'f'}(80)",
                                      (*defines, ("REAL64", 1)) if double else defines)
    layout = struct.pack("10q", heads, pairs, first, *x.strides, *out.strides[:3])
    places = x if positions is None else positions
    kernel((size - pairs, rows, batch * heads), None, x.buffer.handle, x.offset, out.buffer.handle, out.offset,
           angles.buffer.handle, places.buffer.handle, places.offset, int(positions is not None), sign, layout)
    return out


class Rotary(Operation):
    """Rotary position embedding of x (B, H, L, E)."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, angles: Array, positions: Array | None, first: int,
                interleaved: bool) -> Array:
        """Turn by each position's angles."""
        if positions is not None:
            positions = contiguous(positions)
        ctx.save(angles, positions)
        ctx.first, ctx.interleaved = first, interleaved
        return rotate(x, angles, positions, first, interleaved, 1.0)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Turn back."""
        angles, positions = ctx.saved
        return rotate(g, angles, positions, ctx.first, ctx.interleaved, -1.0)
