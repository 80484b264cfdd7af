"""Triangles of matrices: the host half of ``cl/ops/triangle.cl``."""

from __future__ import annotations

from .array import Array, empty
from .elementwise import contiguous
from .operation import Context, Operation

_ELEMENTS = {1: "uchar", 2: "ushort", 4: "uint", 8: "ulong", 16: "ulong2"}
_LOCAL = 256


def triangle(x: Array, sign: int, limit: int) -> Array:
    """The elements (i, j) with ``sign * (j - i) <= limit``, 0 elsewhere."""
    x = contiguous(x)
    out = empty(x.device, x.shape, x.dtype)
    if out.size:
        kernel = x.device.programs.kernel("ops/triangle.cl", "triangle", "PlPllll",
                                          (("ELEMENT", _ELEMENTS[x.dtype.itemsize]),))
        rows, columns = x.shape[-2:]
        local = min(_LOCAL, 1 << (columns - 1).bit_length())
        kernel((-(-columns // local) * local, out.size // columns), (local, 1), x.buffer.handle, x.offset,
               out.buffer.handle, rows, columns, sign, limit)
    return out


class Triangle(Operation):
    """One triangle of the matrices of the last two dimensions."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, sign: int, limit: int) -> Array:
        """Keep the triangle."""
        ctx.place = sign, limit
        return triangle(x, sign, limit)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The same triangle of the gradient."""
        return triangle(g, *ctx.place)
