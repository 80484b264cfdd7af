"""Blocks of images as columns, and columns added up to images: the host half of ``cl/ops/fold.cl``."""

from __future__ import annotations

import math
import struct
from typing import Any, NamedTuple

from .array import Array, empty
from .elementwise import contiguous
from .operation import Context, Operation
from .pool import spatial_grid

Pair = tuple[int, int]


class Blocks(NamedTuple):
    """Images and their blocks; all fields are of height and width.

    Attributes:
        size: of the images.
        counts: how many blocks there are.
        kernel, stride, padding, dilation: as those of a convolution.
    """

    size: Pair
    counts: Pair
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair


def _run(name: str, x: Array, out: Array, blocks: Blocks) -> Array:
    if not out.size:
        return out
    compute, planes = x.dtype.compute, out.size // math.prod(out.shape[1:])
    defines: tuple[tuple[str, Any], ...] = (("TYPE", x.dtype.name), ("ACC", "int" if compute == "uchar" else compute))
    if blocks.stride == (1, 1):
        defines += (("FIXED_STRIDE", 1),)
    if compute == "double":
        defines += (("REAL64", 1),)
    kernel = x.device.programs.kernel("ops/fold.cl", name, "PlP(56)", defines)
    (rows, columns), layers = (blocks.size, planes) if name == "col2im" else (
        blocks.counts, planes * math.prod(blocks.kernel))
    sizes = struct.pack("q12i", planes, *blocks.size, *blocks.counts, *blocks.kernel, *blocks.stride, *blocks.padding,
                        *blocks.dilation)
    kernel(*spatial_grid(x.device, columns, rows, layers), x.buffer.handle, x.offset, out.buffer.handle, sizes)
    return out


def _columns(x: Array, blocks: Blocks) -> Array:
    out = empty(x.device, (x.shape[0], math.prod(blocks.kernel), math.prod(blocks.counts)), x.dtype)
    return _run("im2col", contiguous(x), out, blocks)


def _images(x: Array, blocks: Blocks) -> Array:
    return _run("col2im", contiguous(x), empty(x.device, (x.shape[0], *blocks.size), x.dtype), blocks)


class Im2Col(Operation):
    """Planes (P, H, W) to the blocks of each, (P, kh * kw, L)."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, blocks: Blocks) -> Array:
        """Copy."""
        ctx.blocks = blocks
        return _columns(x, blocks)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """A pixel gets the sum of the gradients of its copies."""
        return _images(g, ctx.blocks)


class Col2Im(Operation):
    """Blocks (P, kh * kw, L) added up to planes (P, H, W)."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, blocks: Blocks) -> Array:
        """Add up."""
        ctx.blocks = blocks
        return _images(x, blocks)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Each element gets the gradient of its pixel."""
        return _columns(g, ctx.blocks)
