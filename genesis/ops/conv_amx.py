"""Convolutions on processors with AMX: the host half of ``cl/ops/conv_amx.cl``."""

from __future__ import annotations

import math
import struct
from typing import Any

from .. import dtypes
from ..dtypes import DType
from . import matmul_amx
from .array import Array, Shape, empty
from .conv_axis import Geometry, kept
from .elementwise import full

_SIDE, _LANES = 32, 16       # channels of a block; pixels of a tile
_TILE = 256                  # words of a tile
_GROUPS = 8                  # work-groups for each core
_SCRATCH = 48 << 20          # bytes of split input at the most, where one image fits
LARGEST = 128 << 20          # bytes of one split image at the most
_BROKEN = 1.05               # what a tile that goes on in the next row costs
# Cycles of a core, measured on a Xeon with AMX:
_STEP = 100                  # to multiply two tiles of pixels by a block of weights, for each product of parts
STRIDED = 2                  # times as many where pixels of a tile do not follow each other
_SPLIT = {1: 1.7, 2: 2.1, 3: 2.6}            # to split a number of the input into so many parts
_WEIGHT = 2.0                # to split a number of the weight
_STORE = 2.0                 # to store a number of the result
_FMA = 1 / 22                # to multiply and add without AMX


def applies(x: Array, w: Array, shape: Shape, geometry: Geometry, transposed: bool) -> bool:
    """Whether the sum over taps can go this way, and should; see `TapSum`."""
    device = x.device
    if geometry.groups != 1 or (transposed and geometry.stride != (1, 1)) or w.dtype is not x.dtype:
        return False
    if not matmul_amx.may(device, x.dtype):
        return False
    if matmul_amx.forced:
        return matmul_amx.forced == "emulated" or matmul_amx.works(device)
    key = ("amx", transposed, device, x.dtype, x.shape, w.dtype, w.shape, shape, geometry, matmul_amx.precision)
    return kept(key, lambda: _is_worth_it(x, w, shape, geometry, transposed)) and matmul_amx.works(device)


def _is_worth_it(x: Array, w: Array, shape: Shape, geometry: Geometry, transposed: bool) -> bool:
    """Whether it should take less time than without AMX."""
    plan = Layout(x, w.shape, shape, geometry, transposed)
    (x_parts, w_parts, last), taps = matmul_amx.terms_of(x.dtype, w.dtype), math.prod(w.shape[2:])
    if plan.image_words(x_parts) * 4 > min(LARGEST, x.device.max_alloc):
        return False
    terms = matmul_amx.count_terms(x_parts, w_parts, last)
    step = _STEP * terms * (STRIDED if geometry.stride != (1, 1) else 1)
    images, pixels = x.shape[0], math.prod(shape[2:])
    cost = (images * plan.tiles / 2 * plan.out_blocks * plan.blocks * taps * step
            + images * plan.blocks * _SIDE * plan.pixels * _SPLIT[x_parts]
            + images * shape[1] * pixels * _STORE + math.prod(w.shape) * _WEIGHT)
    return cost < images * pixels * math.prod(w.shape) * _FMA


class Layout:
    """How the padded input lies, and how the result's pixels are cut into tiles.

    Args:
        x: (N, C, H, W).
        weight: shape of the weight; its last two dimensions count.
        shape: that of the result.
        transposed: see `TapSum`.
        lanes: pixels of a tile.

    Attributes:
        pad: rows and columns of zeros before the input.
        pitch, used, pixels: of a padded row; of a padded image; of it with what tiles read past its end.
        flat: whether tiles go on from row to row.
        tiles, per_row: tiles of an image, and of a row of it.
        blocks, out_blocks: blocks of input channels and of output channels.
        reach: the largest shift of a tap, down and to the right.
    """

    def __init__(self, x: Array, weight: Shape, shape: Shape, geometry: Geometry, transposed: bool = False,
                 lanes: int = _LANES):
        rows, columns = shape[2:]
        down, across = geometry.stride
        self.reach = reach = tuple((n - 1) * step for n, step in zip(weight[2:], geometry.dilation))
        self.pad = tuple(r - p if transposed else p for r, p in zip(reach, geometry.padding))
        self.pitch = (columns - 1) * across + 1 + reach[1]
        self.per_row = -(-columns // lanes)
        apart, along = rows * self.per_row, -(-((rows - 1) * self.pitch + columns) // lanes)
        self.flat = geometry.stride == (1, 1) and _BROKEN * along < apart
        self.tiles = along if self.flat else apart
        self.used = ((rows - 1) * down + 1 + reach[0]) * self.pitch
        self.pixels = self.used + 2 * lanes * across
        self.blocks, self.out_blocks = -(-x.shape[1] // _SIDE), -(-shape[1] // _SIDE)

    def image_words(self, parts: int) -> int:
        """Words of an image that is split into so many parts."""
        return self.blocks * parts * self.pixels * _LANES


class TapSum:
    """A sum over channels and taps: a convolution, or (``transposed``) the gradient of the input of one of stride 1.

    Args:
        x: (N, C, H, W).
        w: (outputs, inputs, kh, kw), or for the transposed sum the other way round.
        shape: that of the result.
        dtype: element type of the result.
    """

    def __init__(self, x: Array, w: Array, shape: Shape, dtype: DType, geometry: Geometry, transposed: bool):
        device, plan = x.device, Layout(x, w.shape, shape, geometry, transposed)
        (kh, kw), (dh, dw), pitch = w.shape[2:], geometry.dilation, plan.pitch
        down, across = geometry.stride
        rows, columns = shape[2:]
        outputs = shape[1]
        x_parts, w_parts, last = matmul_amx.terms_of(x.dtype, w.dtype)
        self.plan, self.units = plan, device.compute_units
        self.image = plan.image_words(x_parts)
        self.weights = plan.out_blocks * plan.blocks * kh * kw * 2 * w_parts * _TILE
        self.count, self.out_image = x.shape[0], outputs * rows * columns
        self.step = min(self.count, max(1, _SCRATCH // (4 * self.image)))
        self.x_step = x.strides[0]
        self.end = sum((n - 1) * step for n, step in zip(x.shape[1:], x.strides[1:])) + 1
        self.split_sizes = *x.strides, *x.shape[1:], *plan.pad, pitch, plan.pixels, plan.pixels
        outward, inward = (w.strides[1], w.strides[0]) if transposed else w.strides[:2]
        end = (outputs - 1) * outward + (x.shape[1] - 1) * inward + kh * kw
        self.weight_sizes = outward, inward, outputs, x.shape[1], kh * kw, end
        begin, shift_h, shift_w = 0, dh * pitch, dw
        if transposed:                       # the last tap comes first
            begin, shift_h, shift_w = plan.reach[0] * pitch + plan.reach[1], -shift_h, -shift_w
        self.sizes = (plan.pixels, pitch, across, down * pitch, plan.blocks, outputs, kh * kw, kw, shift_h, shift_w,
                      begin, rows, columns, plan.tiles, plan.per_row)
        # Each kernel has the macros that it needs: fewer are compiled.
        parts: tuple[tuple[str, Any], ...] = (("X_PARTS", x_parts), ("W_PARTS", w_parts))
        programs, file = device.programs, "ops/conv_amx.cl"
        self.split = programs.kernel(file, "split_pixels", "PlPP(112)", (("IN", x.dtype.name), *parts))
        self.order = programs.kernel(file, "split_weights", "PlPPllllll", (("IN", x.dtype.name), *parts))
        self.kernel = programs.kernel(file, "conv_amx", "PPPPlPl(144)", (
            ("OUT", dtype.name), *parts, ("LAST", last), ("FLAT", int(plan.flat)), *matmul_amx.unit()))

    def __call__(self, x: Array, w: Array, bias: Array | None, out: Array) -> None:
        """Compute; ``w`` has contiguous taps, ``bias`` is contiguous and float32."""
        device, plan = x.device, self.plan
        large = full(device, (1,), 0, dtypes.int32)
        weights = empty(device, (self.weights,), dtypes.int32)
        self.order((plan.blocks, plan.out_blocks), (1, 1), w.buffer.handle, w.offset, weights.buffer.handle,
                   large.buffer.handle, *self.weight_sizes)
        held, at = (weights, 0) if bias is None else (bias, bias.offset)
        for first in range(0, self.count, self.step):
            count = min(self.step, self.count - first)
            split = empty(device, (count * self.image,), dtypes.int32)
            sizes = struct.pack("14q", *self.split_sizes, 0, (count - 1) * self.x_step + self.end)
            self.split((-(-plan.pixels // _LANES), plan.blocks, count), (1, 1, 1), x.buffer.handle,
                       x.offset + first * self.x_step, split.buffer.handle, large.buffer.handle, sizes)
            tiles = count * plan.tiles
            groups = -(-_GROUPS * self.units // plan.out_blocks)
            per = max(2, -(-tiles // (2 * groups)) * 2)
            sizes = struct.pack("18q", *self.sizes, per, tiles, int(bias is not None))
            self.kernel((-(-tiles // per), plan.out_blocks), (1, 1), split.buffer.handle, weights.buffer.handle,
                        large.buffer.handle, held.buffer.handle, at, out.buffer.handle,
                        out.offset + first * self.out_image, sizes)


def tap_sum(x: Array, w: Array, bias: Array | None, out: Array, geometry: Geometry, transposed: bool) -> None:
    """Write a convolution's result, or with ``transposed`` the gradient of one's input, into a contiguous array."""
    key = ("amx", transposed, x.buffer.device, x.dtype, x.shape, x.strides, w.dtype, w.shape, w.strides, out.dtype,
           out.shape, geometry, matmul_amx.precision, matmul_amx.forced)
    plan = kept(key, lambda: TapSum(x, w, out.shape, out.dtype, geometry, transposed))
    plan(x, w, bias, out)
