"""Around convolutions on CPUs: the host half of ``cl/ops/conv_stage.cl``."""

from __future__ import annotations

import struct

from .array import Array, empty
from .conv_axis import Axis, Pair, defines, real_type

SCRATCH = 32 << 20      # bytes of staged input at the most, where one image fits: larger batches go in parts


class Stage:
    """Makes the padded copy that ``conv_stage.cl`` describes of some images of x (N, C, H, W)."""

    def __init__(self, x: Array, rows: Axis, columns: Axis, slack: int, joined: bool = False):
        real = real_type(x.dtype)
        self.real = real
        self.channels = x.shape[1]
        self.plane = rows.planes * columns.planes * rows.staged * columns.staged
        self.pitch = columns.staged
        self.size = self.plane * self.channels               # of an image
        self.joined = joined
        self.slack = slack + rows.share * self.pitch + columns.share
        self.step = x.strides[0]
        self.packed = struct.pack("14q", *x.strides, *x.shape[2:], rows.pad, columns.pad, rows.stride, columns.stride,
                                  rows.staged, self.pitch, rows.planes, columns.planes)
        self.kernel = x.device.programs.kernel("ops/conv_stage.cl", "stage", "PlP(136)", defines(
            real, ("IN", x.dtype.name)))

    def images(self) -> int:
        """How many images to stage at once."""
        return max(1, SCRATCH // max(1, self.size * self.real.itemsize))

    def __call__(self, x: Array, first: int, count: int) -> Array:
        """Copy ``count`` images from the ``first``."""
        out = empty(x.device, (count * self.size + self.slack,), self.real)
        self.kernel((self.channels, count), None, x.buffer.handle, x.offset + first * self.step, out.buffer.handle,
                    self.packed + struct.pack("3q", *self.strides(count), self.slack))
        return out

    def strides(self, count: int) -> Pair:
        """Those of images and channels in a copy of so many images."""
        return (self.plane, self.plane * count) if self.joined else (self.size, self.plane)


def sum_parts(parts: Array, out: Array) -> None:
    """Add up contiguous parts (count, ...) of the type computed in, in their order, into a contiguous array."""
    real = real_type(out.dtype)
    kernel = out.device.programs.kernel("ops/conv_stage.cl", "sum_parts", "PPlll", defines(
        real, ("OUT", out.dtype.name)))
    kernel((-(-out.size // 8),), None, parts.buffer.handle, out.buffer.handle, out.offset, out.size, parts.shape[0])
