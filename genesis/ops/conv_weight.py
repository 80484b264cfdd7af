"""The gradient of a convolution's weight on CPUs.

The host half of ``cl/ops/conv_weight.cl`` and ``cl/ops/conv_weight_channels.cl``.
"""

from __future__ import annotations

import struct

from ..dtypes import DType
from ..opencl import Device
from . import conv_stage
from .array import Array, Shape, empty
from .conv_axis import Axis, Geometry, defines, forward_axis, kept, make_table, real_type
from .conv_stage import Stage, sum_parts
from .vectors import lanes_of, registers

_PIXELS = 4096          # of a part, about
_CHUNK = 512            # pixels that a work-item turns at a time


class PixelSums:
    """Plan of a weight's gradient, from a convolution's input x (N, C, H, W) and its result's gradient g.

    Vectors are of pixels.
    """

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
        self.size = shape[0] * inputs * taps
        parts = _parts(self.count, length, -(-inputs * taps // deep) * blocks * groups, self.size * real.itemsize,
                       _PIXELS, device)
        self.per = -(-self.count // min(parts, self.count))
        self.parts = -(-self.count // self.per)
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


class ChannelSums:
    """Plan of a weight's gradient, from a convolution's input x (N, C, H, W) and its result's gradient g.

    Vectors are of output channels.
    """

    def __init__(self, x: Array, g: Array, shape: Shape, geometry: Geometry):
        device, groups = x.device, geometry.groups
        self.real = real = real_type(x.dtype)
        lanes = lanes_of(device, real)
        rows, columns = (forward_axis(k, s, p, d, n, m) for k, s, p, d, n, m in zip(
            shape[2:], geometry.stride, geometry.padding, geometry.dilation, g.shape[2:], x.shape[2:]))
        plain = rows.plain and columns.plain and x.dtype is real and x.strides[3] == 1
        self.stage = None if plain else Stage(x, rows, columns, 0)
        pitch = x.strides[2] if self.stage is None else self.stage.pitch
        inputs, outputs, taps = shape[1], shape[0] // groups, shape[2] * shape[3]
        vectors, high = _channel_tile(device, real, outputs, inputs * taps)
        blocks = -(-outputs // (vectors * lanes))
        tiles = -(-inputs * taps // high)
        height, width = g.shape[2:]
        self.turned = blocks * groups * height * width * vectors * lanes           # elements, of an image
        staged = 0 if self.stage is None else self.stage.size
        self.count = x.shape[0]
        self.step = step = min(self.count, max(1, conv_stage.SCRATCH // ((self.turned + staged) * real.itemsize)))
        size = shape[0] * inputs * taps
        parts = _parts(step, height * width, tiles * blocks * groups, size * real.itemsize, _PIXELS // 2, device)
        per = -(-step // min(parts, step))                       # images of a part; or it is a band of one's rows
        band = height if per > 1 else -(-height // -(-parts // step))
        bands = -(-height // band)
        self.parts = (-(-step // per) * bands, size)
        self.table = make_table(device, rows, columns, shape[3], pitch, rows.pixels)
        self.grid = (tiles, blocks * groups)
        self.sizes = height, width, inputs, outputs, blocks, taps, per, bands, band
        self.pitch = pitch
        even = g.strides[2] == width * g.strides[3]              # then all pixels are one row
        turned = (1, height * width) if even else (height, width)
        chunks = -(-turned[1] // _CHUNK)
        self.turn_grid = (turned[0] * chunks, blocks * groups)
        self.turn_sizes = struct.pack("10q", *g.strides, *turned, outputs, blocks, _CHUNK, chunks)
        options = defines(real, ("IN", g.dtype.name), ("WIDTH", lanes), ("VECTORS", vectors), ("ROWS", high))
        file = "ops/conv_weight_channels.cl"
        self.turn = device.programs.kernel(file, "turn", "PlP(80)", options)
        self.kernel = device.programs.kernel(file, "weight_channels", "PlPPP(120)", options)

    def __call__(self, x: Array, g: Array, out: Array) -> None:
        """Compute."""
        device = x.device
        parts = empty(device, self.parts, self.real)
        turned = empty(device, (self.step * self.turned,), self.real)
        for first in range(0, self.count, self.step):
            count = min(self.step, self.count - first)
            if self.stage is None:
                source, at, strides = x, x.offset + first * x.strides[0], x.strides[:2]
            else:
                source, at, strides = self.stage(x, first, count), 0, self.stage.strides(count)
            self.turn((*self.turn_grid, count), (1, 1, 1), g.buffer.handle, g.offset + first * g.strides[0],
                      turned.buffer.handle, self.turn_sizes)
            inputs = self.sizes[2]
            sizes = struct.pack("15q", strides[0], inputs * strides[1], strides[1], self.pitch, *self.sizes, count,
                                first > 0)
            self.kernel((*self.grid, self.parts[0]), (1, 1, 1), source.buffer.handle, at, turned.buffer.handle,
                        self.table.handle, parts.buffer.handle, sizes)
        sum_parts(parts, out)


def _tile(device: Device, real: DType, outputs: int) -> tuple[int, int]:
    """Output channels, and pairs of input channel and tap, whose sums a work-item has in registers."""
    if outputs == 1:
        return 1, 6
    return (4, 6) if registers(device, real) == 32 else (4, 3)


def _channel_tile(device: Device, real: DType, outputs: int, pairs: int) -> tuple[int, int]:
    """Vectors of output channels, and pairs of input channel and tap, whose sums a work-item has in registers."""
    vectors = 2 if outputs > lanes_of(device, real) else 1
    many, few = (14, 12) if registers(device, real) == 32 else (6, 4)
    rows = min(few, many, key=lambda r: -(-pairs * vectors // (2 * r)) * (r + 1))        # of two vectors
    return vectors, 2 * rows // vectors


def _parts(images: int, length: int, items: int, each: int, pixels: int, device: Device) -> int:
    """How many parts to cut the images into.

    A part should stay near a core, and there should be enough work-items; but each is to be held and added up.

    Args:
        length: pixels of an image.
        items: work-items of a part.
        each: bytes of a part's result.
        pixels: of a part, about.
    """
    needed = -(-device.compute_units * 4 // items)
    return max(1, needed, min(-(-images * length // pixels), conv_stage.SCRATCH // each, 256))


def _kind(x: Array, shape: Shape, geometry: Geometry) -> type[ChannelSums] | type[PixelSums]:
    """The plan that should take less time: by channels, where two thirds of their vectors are filled."""
    outputs, width = shape[0] // geometry.groups, lanes_of(x.device, real_type(x.dtype))
    block = width if outputs <= width else 2 * width
    return ChannelSums if 3 * outputs >= 2 * block * -(-outputs // block) else PixelSums


def weight_gradient(x: Array, g: Array, out: Array, geometry: Geometry) -> None:
    """Write the gradient of a convolution's weight into a contiguous array."""
    key = (x.buffer.device, x.dtype, x.shape, x.strides, g.dtype, g.shape, g.strides, out.shape, geometry)
    plan = kept(key, lambda: _kind(x, out.shape, geometry)(x, g, out.shape, geometry))
    plan(x, g, out)
