"""Elements around an image, its own or a number: the host half of ``cl/ops/pad.cl``."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np

from .. import dtypes
from .array import Array, Shape, empty
from .elementwise import contiguous
from .index import ELEMENTS
from .operation import Context, Operation

MODES = {"reflect": 0, "replicate": 1, "circular": 2, "constant": 3}
_PIECE = 16384        # elements that a CPU's work-item copies


class PadAround(Operation):
    """Up to three neighbouring dimensions with elements of their own on both sides.

    ``pads`` are (axis, before, after), the axes in rising order. A negative number cuts off what stands there.
    """

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, pads: tuple[tuple[int, int, int], ...], mode: str) -> Array:
        """Pad."""
        x = contiguous(x)
        shape = list(x.shape)
        for axis, before, after in pads:
            shape[axis] += before + after
        ctx.shape, ctx.pads, ctx.mode = x.shape, pads, mode
        y = empty(x.device, tuple(shape), x.dtype)
        _pad(x, y, pads, mode, 0)
        return y

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Each element gets the gradients of all its places, added in a fixed order."""
        g = contiguous(g)
        out = empty(g.device, ctx.shape, g.dtype)
        defines: tuple[tuple[str, Any], ...] = (("MODE", MODES[ctx.mode]), ("TYPE", g.dtype.name))
        rows = g.device.type == "cpu" and g.dtype.itemsize > 2
        if rows:
            defines += (("WIDTH", 16),)
        if g.dtype is dtypes.float64:
            defines += (("REAL64", 1),)
        _launch("gather", g, out, ctx.shape, g.shape, ctx.pads, defines, rows)
        return out


def pad_by(x: Array, pads: tuple[tuple[int, int, int], ...], value: Any) -> Array:
    """A number around an array: (axis, before, after), none negative, for each dimension that grows."""
    x = contiguous(x)
    while pads:
        last = max(axis for axis, _, _ in pads)
        near = {axis: (before, after) for axis, before, after in pads if axis > last - 3}
        pads = tuple(pad for pad in pads if pad[0] not in near)
        sides = tuple((axis, *near.get(axis, (0, 0))) for axis in range(min(near), last + 1))
        shape = list(x.shape)
        for axis, before, after in sides:
            shape[axis] += before + after
        y = empty(x.device, tuple(shape), x.dtype)
        _pad(x, y, sides, "constant", value)
        x = y
    return x


def _pad(x: Array, y: Array, pads: tuple[tuple[int, int, int], ...], mode: str, value: Any) -> None:
    with np.errstate(all="ignore"):                  # a number that the type does not have becomes what C makes of it
        fill = np.asarray(value).astype(x.dtype.numpy).tobytes()
    _launch("pad", x, y, x.shape, y.shape, pads, (("MODE", MODES[mode]), ("ELEMENT", ELEMENTS[x.dtype.itemsize])),
            x.device.type == "cpu" and x.dtype.itemsize <= 8, (fill,))           # of larger ones there are no vectors


def _launch(name: str, source: Array, out: Array, x: Shape, y: Shape, pads: tuple[tuple[int, int, int], ...],
            defines: tuple[tuple[str, Any], ...], rows: bool, fill: tuple[bytes, ...] = ()) -> None:
    if not out.size:
        return
    first, last, missing = pads[0][0], pads[-1][0], [1] * (3 - len(pads))
    outer, inner = math.prod(x[:first]), math.prod(x[last + 1:])
    n, m = ([*reversed(shape[first:last + 1]), *missing] for shape in (x, y))
    before = [*(b for _, b, _ in reversed(pads)), *([0] * len(missing))]
    size = m if name == "pad" else n
    device, count = source.device, outer * size[1] * size[2]
    rows = rows and inner == 1 and not device.quirks.max_loop
    signature = "PlP(96)" + "".join(f"({len(x)})" for x in fill)
    each = max(1, min(_PIECE // size[0], count // (8 * device.compute_units)))
    defines += (("LAST", 1),) if inner == 1 else ()
    kernel = device.programs.kernel("ops/pad.cl", f"{name}_{'rows' if rows else 'elements'}", signature, defines)
    local = min(64, 1 << (size[0] * inner - 1).bit_length())
    where = ((-(-count // each),), (1,)) if rows else (
        (-(-size[0] * inner // local) * local, size[1], size[2] * outer), (local, 1, 1))
    kernel(*where, source.buffer.handle, source.offset, out.buffer.handle,
           struct.pack("12q", *n, *m, *before, inner, count, each), *fill)
