"""Convolutions on CPUs: the host half of ``cl/ops/conv.cl`` and ``cl/ops/conv_channels.cl``."""

from __future__ import annotations

import struct
from typing import NamedTuple

from ..dtypes import DType
from ..opencl import Device
from .array import Array, Shape, contiguous_strides, empty
from .conv_axis import Geometry, backward_axis, defines, forward_axis, kept, make_table, real_type
from .conv_stage import Stage
from .vectors import lanes_of, registers

_CACHE = 512 << 10      # bytes that stay near a core
_WORK = 4_000_000       # products of a work-item: fewer, larger ones share more of what is in the caches


class Tile(NamedTuple):
    """What a work-item computes at a time: so many output channels by ``high`` rows of so many pixels.

    Attributes:
        axis: "pixels" if those are the lanes of its vectors, as in ``conv.cl``; or "channels", as in
            ``conv_channels.cl``.
        width: lanes of a vector.
        flat: the pixels follow each other from row to row; ``high`` is 1.
    """

    axis: str
    channels: int
    high: int
    pixels: int
    width: int
    flat: bool = False

    def tiles(self, rows: int, columns: int) -> tuple[int, int]:
        """How many tiles so many pixels take, and how many of them a row."""
        if self.flat:
            return -(-rows * columns // self.pixels), 1
        across = -(-columns // self.pixels)
        return -(-rows // self.high) * across, across

    def computed(self, outputs: int, rows: int, columns: int) -> int:
        """Output elements that are computed, with those of the tiles past the edges."""
        return (-(-outputs // self.channels) * self.tiles(rows, columns)[0]
                * self.channels * self.high * self.pixels)

    def defines(self) -> tuple[tuple[str, int], ...]:
        """What the kernel is compiled with."""
        if self.axis == "pixels":
            return ("ROWS", self.channels), ("HIGH", self.high), ("ACROSS", self.pixels // self.width), (
                "WIDTH", self.width)
        return (("VECTORS", self.channels // self.width), ("HIGH", self.high), ("ACROSS", self.pixels),
                ("WIDTH", self.width), ("FLAT", int(self.flat)))


# For CPUs of 16 vector registers: shapes of 12 sums (8 where they waste less), and the time of a product in each by
# that in the best, as measured with AVX2. Channels, rows and vectors of pixels:
_FEW_PIXELS = {(6, 1, 2): 1.2, (6, 2, 1): 1.2, (4, 3, 1): 1.2, (4, 1, 2): 1.3}
# Pixels of two vectors of channels. Each has its address in a register, so they may lie in two rows.
_FEW_CHANNELS = 6
# For 32 registers, more than there are for addresses: rows and pixels of two vectors.
_CHANNELS = [(1, 14), (1, 12), (1, 10), (1, 8), (1, 7), (2, 5), (2, 4), (3, 3)]


def _pixel_tiles(device: Device, real: DType, outputs: int, rows: int, columns: int) -> dict[Tile, float]:
    """Candidates of ``conv.cl``, each with the time of a product."""
    lanes = lanes_of(device, real)
    width = min((w for w in (16, 8, 4, 2) if w <= lanes), key=lambda w: -(-columns // w) * w * max(1.04, lanes / 2 / w)
                if w < lanes else -(-columns // w) * w)
    needed = -(-columns // width)                            # vectors of a row
    slower = 1 if width == lanes else 1.06
    if outputs > 2 and registers(device, real) == 16:
        return {Tile("pixels", channels, high, across * width, width): time * slower
                for (channels, high, across), time in _FEW_PIXELS.items() if channels <= max(outputs, 4)}
    if width == lanes and registers(device, real) == 32 and outputs > 4:
        channels, vectors = 8, 2
    else:
        channels, vectors = (4 if outputs > 2 else 1), 4
        if needed == 7 and channels == 4:
            channels, vectors = 3, 7
    # Few combinations, as each is compiled.
    across = vectors if rows == 1 or vectors == 7 else next(a for a in (4, 2, 1) if a <= vectors and needed % a == 0)
    return {Tile("pixels", channels, vectors // across, across * width, width): slower}


def _channel_tiles(device: Device, real: DType, outputs: int) -> dict[Tile, float]:
    """Candidates of ``conv_channels.cl``, each with the time of a product."""
    width = lanes_of(device, real)
    vectors = 2 if outputs > width else 1
    if registers(device, real) == 16:
        return {Tile("channels", vectors * width, 1, _FEW_CHANNELS, width, flat=True): 1.0 if vectors == 2 else 2.0}
    return {Tile("channels", vectors * width, high, pixels, width): 1.0 for high, pixels in _CHANNELS}


def _tile(device: Device, real: DType, outputs: int, rows: int, columns: int, products: int,
          strided: bool = False) -> Tile:
    """The tile that should take the least time, for sums of so many products.

    ``strided``: of a convolution with a stride, whose input is copied in an order of its own for vectors of pixels.
    """
    storing = 2 * lanes_of(device, real)                     # takes a while where channels are the vectors' axis

    def cost(tile: Tile) -> float:
        each = products * times[tile] + (storing if tile.axis == "channels" else 0)
        return each * tile.computed(outputs, rows, columns)

    times = _pixel_tiles(device, real, outputs, rows, columns) | _channel_tiles(device, real, outputs)
    if strided and 2 * outputs > lanes_of(device, real):
        times = {tile: time for tile, time in times.items() if tile.axis == "channels"} or times
    return min(times, key=cost)


class TapSum:
    """A sum over channels and taps: a convolution, or (``transposed``) the gradient of one's input.

    Args:
        x: (N, C, H, W); w: (outputs, inputs of a group, kh, kw), or for the transposed sum the other way round.
        shape: that of the result.
        dtype: element type of the result.
    """

    def __init__(self, x: Array, w: Array, shape: Shape, dtype: DType, geometry: Geometry, transposed: bool):
        device, real, groups = x.device, real_type(x.dtype), geometry.groups
        across = list(zip(w.shape[2:], geometry.stride, geometry.padding, geometry.dilation, shape[2:], x.shape[2:]))
        rows, columns = (backward_axis(*a) if transposed else forward_axis(*a) for a in across)
        inputs, outputs = x.shape[1] // groups, shape[1] // groups
        taps = w.shape[2] * w.shape[3]
        phases = len(rows.phases) * len(columns.phases)
        self.tile = tile = _tile(device, real, outputs, rows.pixels, columns.pixels, inputs * taps // phases,
                                 strided=not transposed and geometry.stride != (1, 1))
        if tile.axis == "channels" and not transposed:
            rows, columns = (forward_axis(k, s, p, d, n, m, apart=False) for k, s, p, d, n, m in across)
        tiles, per_row = tile.tiles(rows.pixels, columns.pixels)
        blocks = -(-outputs // tile.channels)

        plain = (rows.plain and columns.plain and x.dtype is real and x.strides[3] == 1
                 and (tile.flat or columns.pixels % tile.pixels == 0)
                 and rows.staged <= x.shape[2] and columns.staged <= x.shape[3])
        self.stage = None if plain else Stage(x, rows, columns, tile.pixels)
        pitch = self.stage.pitch if self.stage else x.strides[2]
        self.image, channel = self.stage.strides(1) if self.stage else x.strides[:2]
        self.count = x.shape[0]
        self.table = make_table(device, rows, columns, w.shape[3], pitch, tile.high)
        strides = contiguous_strides(shape)
        # Work-items of a tenth of a millisecond, as long as there are some for each core.
        work = inputs * taps * tile.channels * tile.high * tile.pixels / phases
        items = blocks * groups * x.shape[0] * phases
        per = max(1, min(tiles, int(_WORK // work), tiles * items // (8 * device.compute_units)))
        self.grid = (-(-tiles // per), blocks * groups)
        # Work-items that follow each other share what is larger: the weights of a block, or the pixels of a tile.
        swap = (inputs * rows.staged * pitch * real.itemsize > _CACHE
                and outputs * inputs * taps * real.itemsize < inputs * rows.staged * pitch * real.itemsize)
        if swap:
            self.grid = self.grid[::-1]
        self.phases, self.out_image = phases, strides[0]
        self.fixed = struct.pack(
            "22q", self.image, inputs * channel, channel, pitch * rows.step, rows.pixels, columns.pixels, *strides[:3],
            shape[2], shape[3], rows.spread, columns.spread, inputs, outputs, blocks, taps, phases, tiles, per_row, per,
            swap)
        step = () if tile.axis == "pixels" else (("STEP", columns.step),)
        file, name = ("ops/conv.cl", "taps") if tile.axis == "pixels" else ("ops/conv_channels.cl", "tap_channels")
        self.kernel = device.programs.kernel(file, name, "PlPPPlPl(184)", defines(
            real, ("OUT", dtype.name), *tile.defines(), *step))
        # The weight's strides: (outputs, inputs, ...) or (inputs, outputs, ...), groups outermost in both.
        if transposed:
            outward, inward, group = w.strides[1], w.strides[0], inputs * w.strides[0]
        else:
            outward, inward, group = w.strides[0], w.strides[1], outputs * w.strides[0]
        self.packed_size = blocks * groups * taps * inputs * tile.channels
        self.pack_grid = (inputs, blocks * groups, phases)
        self.pack_sizes = struct.pack("9q", outward, inward, group, outputs, inputs, tile.channels, blocks, taps,
                                      phases)
        self.pack = device.programs.kernel("ops/conv_stage.cl", "pack", "PlPP(72)", defines(
            real, ("IN", w.dtype.name)))
        self.real = real

    def __call__(self, x: Array, w: Array, bias: Array | None, out: Array) -> None:
        """Compute; ``w`` has contiguous taps, ``bias`` is contiguous and of the type computed in."""
        device = x.device
        packed = empty(device, (self.packed_size,), self.real)
        self.pack(self.pack_grid, (1, 1, 1), w.buffer.handle, w.offset, self.table.handle, packed.buffer.handle,
                  self.pack_sizes)
        if bias is None:
            held, sizes = packed, self.fixed + struct.pack("q", 0)
        else:
            held, sizes = bias, self.fixed + struct.pack("q", 1)
        step = self.stage.images() if self.stage else self.count
        for first in range(0, self.count, step):
            count = min(step, self.count - first)
            if self.stage:
                source = self.stage(x, first, count)
                at = 0
            else:
                source, at = x, x.offset
            self.kernel((*self.grid, count * self.phases), (1, 1, 1), source.buffer.handle, at, packed.buffer.handle,
                        self.table.handle, held.buffer.handle, held.offset, out.buffer.handle,
                        out.offset + first * self.out_image, sizes)


def tap_sum(x: Array, w: Array, bias: Array | None, out: Array, geometry: Geometry, transposed: bool) -> None:
    """Write a convolution's result, or with ``transposed`` the gradient of one's input, into a contiguous array."""
    key = (transposed, x.buffer.device, x.dtype, x.shape, x.strides, w.dtype, w.shape, w.strides, out.dtype, out.shape,
           geometry)
    plan = kept(key, lambda: TapSum(x, w, out.shape, out.dtype, geometry, transposed))
    plan(x, w, bias, out)
