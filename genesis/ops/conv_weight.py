"""The gradient of a convolution's weight on CPUs: the host half of ``cl/ops/conv_weight.cl``."""

from __future__ import annotations

import struct

from ..dtypes import DType
from ..opencl import Device
from . import conv_stage
from .array import Array, Shape, empty
from .conv_axis import Axis, Geometry, defines, forward_axis, kept, make_table, real_type
from .conv_stage import Stage, sum_parts
from .vectors import lanes_of, registers


class WeightGradient:
    """The gradient of a convolution's weight from its input x (N, C, H, W) and its result's gradient g."""

    def __init__(self, x: Array, g: Array, shape: Shape, geometry: Geometry):
        device, groups = x.device, geometry.groups
        self.real = real = real_type(x.dtype)
        rows, columns = (forward_axis(k, s, p, d, n, m) for k, s, p, d, n, m in zip(
            shape[2:], geometry.stride, geometry.padding, geometry.dilation, g.shape[2:], x.shape[2:]))
        plain = (rows.plain and columns.plain
                 and x.dtype is g.dtype is real and x.strides[3] == g.strides[3] == 1
                 and (g.shape[2] == 1 or (x.shape[3] == g.shape[3] and x.strides[2] == g.strides[2] == g.shape[3])))
        self.count = x.shape[0]
        pitch = x.strides[2] if plain else columns.staged
        plane = rows.planes * columns.planes * rows.staged * pitch
        length = (g.shape[2] - 1) * pitch + g.shape[3]
        inputs, outputs = shape[1], shape[0] // groups
        taps = shape[2] * shape[3]
        high, deep = _tile(device, real, outputs)
        blocks = -(-outputs // high)
        self.per, self.parts = _parts(self.count, -(-inputs * taps // deep) * blocks * groups, length, device)
        self.step, self.stages = self.parts * self.per, None
        self.joined = False
        if not plain:
            self.step = self.per * max(1, min(self.parts, conv_stage.SCRATCH // (
                plane * (x.shape[1] + g.shape[1]) * real.itemsize * self.per)))
            height, width = g.shape[2:]
            spaced = (Axis(height, height, 1, rows.staged - height, 0, 1, 1, 0, 1, []),
                      Axis(width, width, 1, pitch - width, 0, 1, 1, 0, 1, []))
            self.joined = rows.planes == columns.planes == 1
            self.stages = Stage(x, rows, columns, 0, self.joined), Stage(g, *spaced, 0, self.joined)
        self.table = make_table(device, rows, columns, shape[3], pitch, rows.pixels)
        self.grid = (-(-inputs * taps // deep), blocks * groups)
        self.sizes = inputs, outputs, blocks, taps, length
        self.size = shape[0] * inputs * taps
        programs = device.programs
        self.kernel = programs.kernel("ops/conv_weight.cl", "weight_gradient", "PlPlPPl(112)", defines(
            real, ("ROWS", high), ("DEEP", deep), ("WIDTH", lanes_of(device, real))))

    def __call__(self, x: Array, g: Array, out: Array) -> None:
        """Compute."""
        device = x.device
        parts = empty(device, (self.parts, self.size), self.real)
        for first in range(0, self.count, self.step):
            count = min(self.step, self.count - first)
            if self.stages is None:
                (xs, x_at, x_strides), (gs, g_at, g_strides) = ((a, a.offset, a.strides[:2]) for a in (x, g))
            else:
                (xs, x_at, x_strides), (gs, g_at, g_strides) = (
                    (stage(a, first, count), 0, stage.strides(count)) for stage, a in zip(self.stages, (x, g)))
            inputs, outputs = self.sizes[:2]
            sizes = struct.pack("14q", x_strides[0], inputs * x_strides[1], x_strides[1],
                                g_strides[0], outputs * g_strides[1], g_strides[1], *self.sizes,
                                self.joined, count, self.per)
            self.kernel((*self.grid, -(-count // self.per)), (1, 1, 1), xs.buffer.handle, x_at, gs.buffer.handle, g_at,
                        self.table.handle, parts.buffer.handle, first // self.per * self.size, sizes)
        sum_parts(parts, out)


def _tile(device: Device, real: DType, outputs: int) -> tuple[int, int]:
    """Output channels, and pairs of input channel and tap, whose sums a work-item has in registers."""
    if outputs == 1:
        return 1, 6
    return (4, 6) if registers(device, real) == 32 else (4, 3)


def _parts(images: int, items: int, length: int, device: Device) -> tuple[int, int]:
    """Images of a part, and how many parts there are.

    Rows of a part should stay near a core, and there should be enough work-items; but each part is to be added up.
    """
    wanted = max(-(-device.compute_units * 4 // items), -(-images * length // 4096))
    per = -(-images // max(1, min(images, wanted, 256)))
    return per, -(-images // per)


def weight_gradient(x: Array, g: Array, out: Array, geometry: Geometry) -> None:
    """Write the gradient of a convolution's weight into a contiguous array."""
    key = (x.buffer.device, x.dtype, x.shape, x.strides, g.dtype, g.shape, g.strides, out.shape, geometry)
    plan = kept(key, lambda: WeightGradient(x, g, out.shape, geometry))
    plan(x, g, out)
