"""Convolutions on CPUs: plans for the kernels of ``cl/ops/conv.cl``, ``conv_stage.cl`` and ``conv_weight.cl``.

A plan is made once for a combination of shapes, layouts and types, and kept; a call then costs its launches.
"""

from __future__ import annotations

import itertools
import struct
from typing import Any, NamedTuple

import numpy as np

from .. import dtypes
from ..dtypes import DType
from ..opencl import Buffer, Device
from .array import Array, Shape, contiguous_strides, empty, upload

Pair = tuple[int, int]


class Geometry(NamedTuple):
    """How a filter moves over an input: (height, width) of each.

    Attributes:
        stride, dilation: distances of the filter's positions, and of its taps.
        padding: zeros before the first row and column. How many follow the last is told by the output's size.
        groups: number of groups of channels that do not see each other.
    """

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1


SCRATCH = 32 << 20      # bytes of staged input at the most, where one image fits: larger batches go in parts
_CACHE = 512 << 10      # bytes that stay near a core
_MAX_PLANS = 4096
_plans: dict[Any, Any] = {}


class _Axis(NamedTuple):
    """One spatial dimension of a sum over taps; see ``conv.cl``.

    Attributes:
        pixels: output pixels of a phase.
        reach: the largest shift.
        share: zeros after the last element that are the next row's first ones.
        planes, stride, pad: how the input is staged.
        spread: distance in the output of neighbouring pixels of a phase.
        phases: for each, the output position of its first pixel, and (tap, plane, shift) of its taps.
    """

    pixels: int
    reach: int
    share: int
    planes: int
    stride: int
    pad: int
    spread: int
    phases: list[tuple[int, list[tuple[int, int, int]]]]

    @property
    def plain(self) -> bool:
        """Whether the input itself is as a staged plane would be, but for its size."""
        return self.planes == self.stride == 1 and not self.pad

    @property
    def staged(self) -> int:
        """Elements of a staged plane."""
        return self.pixels + self.reach - self.share


def _forward_axis(taps: int, stride: int, pad: int, dilation: int, pixels: int, size: int) -> _Axis:
    """A convolution's: from ``size`` elements to ``pixels``."""
    steps = [divmod(i * dilation, stride) for i in range(taps)]
    reach = steps[-1][0]
    share = max(0, min(reach, pad, pixels + reach - pad - size)) if stride == 1 else 0
    return _Axis(pixels, reach, share, max(plane for _, plane in steps) + 1, stride, pad, 1,
                 [(0, [(i, plane, shift) for i, (shift, plane) in enumerate(steps)])])


def _backward_axis(taps: int, stride: int, pad: int, dilation: int, size: int, given: int) -> _Axis:
    """The input gradient's: from ``given`` elements to ``size``."""
    steps = [divmod(i * dilation, stride) for i in range(taps)]
    reach, low, high = steps[-1][0], pad // stride, (size - 1 + pad) // stride
    phases = [(stride * low + residue - pad,
               [(i, 0, reach - shift) for i, (shift, plane) in enumerate(steps) if plane == residue])
              for residue in range(stride)]
    pixels, before = high - low + 1, reach - low
    share = max(0, min(reach, before, pixels + reach - before - given))
    return _Axis(pixels, reach, share, 1, 1, before, stride, phases)


def _table(device: Device, rows: _Axis, columns: _Axis, width: int, pitch: int) -> tuple[Buffer, int]:
    """The table of ``conv.cl`` for a filter of so many columns, and the number of its phases."""
    plane = rows.staged * pitch
    head: list[int] = []
    shifts: list[int] = []
    positions: list[int] = []
    for (at_row, taps_h), (at_column, taps_w) in itertools.product(rows.phases, columns.phases):
        head += (len(taps_h) * len(taps_w), len(shifts), at_row, at_column)
        for (i, a, down), (j, b, right) in itertools.product(taps_h, taps_w):
            shifts.append((a * columns.planes + b) * plane + down * pitch + right)
            positions.append(i * width + j)
    values = np.array(head + shifts + positions, np.int32)
    return upload(device, values).buffer, len(head) // 4  # type: ignore[return-value]


def _real(dtype: DType) -> DType:
    return dtypes.float64 if dtype is dtypes.float64 else dtypes.float32


def _defines(real: DType, *more: tuple[str, Any]) -> tuple[tuple[str, Any], ...]:
    return (*more, ("REAL64", 1)) if real is dtypes.float64 else more


def _lanes(device: Device, real: DType) -> int:
    """Elements of the device's vectors."""
    native = int(device.handle.native_vector_width_float)
    return max(4, min(native, 16)) // (2 if real is dtypes.float64 else 1)


def _tile(device: Device, real: DType, outputs: int, rows: int, columns: int) -> tuple[int, int, int, int]:
    """(ROWS, HIGH, ACROSS, WIDTH) of ``taps`` that waste little of a tile; tried out on CPUs with AVX-512."""
    lanes = _lanes(device, real)
    width = min((w for w in (16, 8, 4, 2) if w <= lanes), key=lambda w: -(-columns // w) * w * max(1.04, lanes / 2 / w)
                if w < lanes else -(-columns // w) * w)
    needed = -(-columns // width)                            # vectors of a row
    if width == lanes and lanes * real.itemsize >= 64 and outputs > 4:
        channels, vectors = 8, 2
    else:
        channels, vectors = (4 if outputs > 2 else 1), 4
        if needed == 7 and channels == 4:
            channels, vectors = 3, 7
    # Few combinations, as each is compiled.
    across = vectors if rows == 1 or vectors == 7 else next(a for a in (4, 2, 1) if a <= vectors and needed % a == 0)
    return channels, vectors // across, across, width


class Stage:
    """Makes the padded copy that ``conv_stage.cl`` describes of some images of x (N, C, H, W)."""

    def __init__(self, x: Array, rows: _Axis, columns: _Axis, slack: int, joined: bool = False):
        real = _real(x.dtype)
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
        self.kernel = x.device.programs.kernel("ops/conv_stage.cl", "stage", "PlP(136)", _defines(
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


class TapSum:
    """A sum over channels and taps: a convolution, or (``transposed``) the gradient of one's input.

    Args:
        x: (N, C, H, W); w: (outputs, inputs of a group, kh, kw), or for the transposed sum the other way round.
        shape: that of the result.
        dtype: element type of the result.
    """

    def __init__(self, x: Array, w: Array, shape: Shape, dtype: DType, geometry: Geometry, transposed: bool):
        device, real, groups = x.device, _real(x.dtype), geometry.groups
        kernel_size = w.shape[2:]
        make = _backward_axis if transposed else _forward_axis
        rows, columns = (make(k, s, p, d, n, m) for k, s, p, d, n, m in zip(
            kernel_size, geometry.stride, geometry.padding, geometry.dilation, shape[2:], x.shape[2:]))
        inputs, outputs = x.shape[1] // groups, shape[1] // groups
        tile = channels, high, across, width = _tile(device, real, outputs, rows.pixels, columns.pixels)
        per_row = -(-columns.pixels // (across * width))
        tiles = -(-rows.pixels // high) * per_row
        blocks = -(-outputs // channels)
        taps = kernel_size[0] * kernel_size[1]

        plain = (rows.plain and columns.plain and x.dtype is real and x.strides[3] == 1
                 and columns.pixels % (across * width) == 0
                 and rows.staged <= x.shape[2] and columns.staged <= x.shape[3])
        self.stage = None if plain else Stage(x, rows, columns, across * width)
        pitch = self.stage.pitch if self.stage else x.strides[2]
        self.image, channel = self.stage.strides(1) if self.stage else x.strides[:2]
        self.count = x.shape[0]
        self.table, phases = _table(device, rows, columns, kernel_size[1], pitch)
        strides = contiguous_strides(shape)
        # Work-items of some microseconds.
        work = inputs * taps * channels * high * across * width / phases
        per = max(1, min(-(-tiles // 2), int(200_000 // work) + 1))
        self.grid = (-(-tiles // per), blocks * groups)
        # Work-items that follow each other share what is larger: the weights of a block, or the pixels of a tile.
        swap = (inputs * rows.staged * pitch * real.itemsize > _CACHE
                and outputs * inputs * taps * real.itemsize < inputs * rows.staged * pitch * real.itemsize)
        if swap:
            self.grid = self.grid[::-1]
        self.phases, self.out_image = phases, strides[0]
        self.fixed = struct.pack(
            "22q", self.image, inputs * channel, channel, pitch, rows.pixels, columns.pixels, strides[0], strides[1],
            strides[2], shape[2], shape[3], rows.spread, columns.spread, inputs, outputs, blocks, taps, phases, tiles,
            per_row, per, swap)
        self.kernel = device.programs.kernel("ops/conv.cl", "taps", "PlPPPlPl(184)", _defines(
            real, ("OUT", dtype.name), ("ROWS", channels), ("HIGH", high), ("ACROSS", across), ("WIDTH", width)))
        # The weight's strides: (outputs, inputs, ...) or (inputs, outputs, ...), groups outermost in both.
        if transposed:
            outward, inward, group = w.strides[1], w.strides[0], inputs * w.strides[0]
        else:
            outward, inward, group = w.strides[0], w.strides[1], outputs * w.strides[0]
        self.packed_size = blocks * groups * taps * inputs * channels
        self.pack_grid = (inputs, blocks * groups, phases)
        self.pack_sizes = struct.pack("9q", outward, inward, group, outputs, inputs, channels, blocks, taps, phases)
        self.pack = device.programs.kernel("ops/conv_stage.cl", "pack", "PlPP(72)", _defines(
            real, ("IN", w.dtype.name)))
        self.real = real
        self.tile = tile

    def __call__(self, x: Array, w: Array, bias: Array | None, out: Array) -> None:
        """Compute; ``w`` has contiguous taps, ``bias`` is contiguous and of the type computed in."""
        device = x.device
        packed = empty(device, (self.packed_size,), self.real)
        self.pack(self.pack_grid, None, w.buffer.handle, w.offset, self.table.handle, packed.buffer.handle,
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



class WeightGradient:
    """The gradient of a convolution's weight from its input x (N, C, H, W) and its result's gradient g."""

    def __init__(self, x: Array, g: Array, shape: Shape, geometry: Geometry):
        device, groups = x.device, geometry.groups
        self.real = real = _real(x.dtype)
        rows, columns = (_forward_axis(k, s, p, d, n, m) for k, s, p, d, n, m in zip(
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
        deep, high = 6, 4 if outputs > 1 else 1
        blocks = -(-outputs // high)
        self.per, self.parts = _parts(self.count, -(-inputs * taps // deep) * blocks * groups, length, device)
        self.step, self.stages = self.parts * self.per, None
        self.joined = False
        if not plain:
            self.step = self.per * max(1, min(self.parts, SCRATCH // (
                plane * (x.shape[1] + g.shape[1]) * real.itemsize * self.per)))
            height, width = g.shape[2:]
            spaced = (_Axis(height, rows.staged - height, 0, 1, 1, 0, 1, []),
                      _Axis(width, pitch - width, 0, 1, 1, 0, 1, []))
            self.joined = rows.planes == columns.planes == 1
            self.stages = Stage(x, rows, columns, 0, self.joined), Stage(g, *spaced, 0, self.joined)
        self.table, _ = _table(device, rows, columns, shape[3], pitch)
        self.grid = (-(-inputs * taps // deep), blocks * groups)
        self.sizes = inputs, outputs, blocks, taps, length
        self.size = shape[0] * inputs * taps
        programs = device.programs
        self.kernel = programs.kernel("ops/conv_weight.cl", "weight_gradient", "PlPlPPl(112)", _defines(
            real, ("ROWS", high), ("DEEP", deep), ("WIDTH", _lanes(device, real))))

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


def _parts(images: int, items: int, length: int, device: Device) -> tuple[int, int]:
    """Images of a part, and how many parts there are.

    Rows of a part should stay near a core, and there should be enough work-items; but each part is to be added up.
    """
    wanted = max(-(-device.compute_units * 4 // items), -(-images * length // 4096))
    per = -(-images // max(1, min(images, wanted, 256)))
    return per, -(-images // per)


def sum_parts(parts: Array, out: Array) -> None:
    """Add up contiguous parts (count, ...) of the type computed in, in their order, into a contiguous array."""
    real = _real(out.dtype)
    kernel = out.device.programs.kernel("ops/conv_stage.cl", "sum_parts", "PPlll", _defines(
        real, ("OUT", out.dtype.name)))
    kernel((-(-out.size // 8),), None, parts.buffer.handle, out.buffer.handle, out.offset, out.size, parts.shape[0])


def _kept(key: Any, make: Any) -> Any:
    plan = _plans.get(key)
    if plan is None:
        if len(_plans) >= _MAX_PLANS:
            _plans.clear()
        plan = _plans[key] = make()
    return plan


def tap_sum(x: Array, w: Array, bias: Array | None, out: Array, geometry: Geometry, transposed: bool) -> None:
    """Write a convolution's result, or with ``transposed`` the gradient of one's input, into a contiguous array."""
    key = (transposed, x.buffer.device, x.dtype, x.shape, x.strides, w.dtype, w.shape, w.strides, out.dtype, out.shape,
           geometry)
    plan = _kept(key, lambda: TapSum(x, w, out.shape, out.dtype, geometry, transposed))
    plan(x, w, bias, out)


def weight_gradient(x: Array, g: Array, out: Array, geometry: Geometry) -> None:
    """Write the gradient of a convolution's weight into a contiguous array."""
    key = (x.buffer.device, x.dtype, x.shape, x.strides, g.dtype, g.shape, g.strides, out.shape, geometry)
    plan = _kept(key, lambda: WeightGradient(x, g, out.shape, geometry))
    plan(x, g, out)
