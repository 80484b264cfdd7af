"""The gradient of a convolution's weight on processors with AMX: the host half of ``cl/ops/conv_weight_amx.cl``."""

from __future__ import annotations

import math
import struct
from typing import Any

from .. import dtypes
from . import matmul_amx
from .array import Array, Shape, empty
from .conv_amx import LARGEST, STRIDED, Layout
from .conv_axis import Geometry, kept
from .conv_stage import SCRATCH, sum_parts
from .elementwise import full

_SIDE, _LANES, _DEPTH = 32, 16, 32       # channels of a block; of a tile; pixels of a tile
_TILE = 256                  # words of a tile
_GROUPS = 4                  # work-groups for each core
_MOST_TAPS = 64              # whose sums lie in local memory
# Cycles of a core, measured on a Xeon with AMX:
_STEP = 135                  # to multiply two tiles by two others, for each product of parts
_SPLIT = {1: 3.0, 2: 4.0, 3: 5.0}            # to split a number into so many parts
_STORE = 5.0                 # to store a sum, and add it to others
_FMA = 1 / 19                # to multiply and add without AMX


class WeightSum:
    """Plan of a weight's gradient, from a convolution's input x (N, C, H, W) and its result's gradient g.

    Attributes:
        cost: what it takes, in cycles of all cores together.
    """

    def __init__(self, x: Array, g: Array, shape: Shape, geometry: Geometry):
        device = x.device
        outputs, inputs, kh, kw = shape
        (down, across), (dh, dw) = geometry.stride, geometry.dilation
        images = x.shape[0]
        self.x_parts, self.g_parts, self.last = matmul_amx.terms_of(x.dtype, g.dtype)
        self.taps = kh * kw
        # What a tile reads past the image's end meets zeros of the gradient, and is zeros, too.
        plan = Layout(x, shape, g.shape, geometry, lanes=_DEPTH)
        self.flat, self.tiles, self.pixels, pitch = plan.flat, plan.tiles, plan.pixels, plan.pitch
        self.columns, self.blocks = -(-inputs // _LANES), plan.out_blocks
        self.groups = plan.blocks, plan.out_blocks
        self.image = self.columns * self.x_parts * self.pixels * _LANES
        self.gradient = self.blocks * self.tiles * 2 * self.g_parts * _TILE
        self.size = math.prod(shape)
        step = min(images, max(1, SCRATCH // (4 * (self.image + self.gradient))))
        wanted = -(-_GROUPS * device.compute_units // math.prod(self.groups))
        parts = max(1, min(wanted, SCRATCH // (4 * self.size)))
        self.count, self.step, self.per = images, step, -(-step // min(parts, step))
        self.parts = -(-step // self.per)
        self.apart = _LANES * across
        self.split_sizes = *x.strides, *x.shape[1:], *plan.pad, pitch, plan.pixels, plan.used
        self.end = sum((n - 1) * s for n, s in zip(x.shape[1:], x.strides[1:])) + 1
        self.gradient_sizes = struct.pack("9q", *g.strides, *g.shape[1:], pitch, plan.per_row)
        self.sizes = (self.pixels, pitch, across, down * pitch, outputs, inputs, kw, dh * pitch, dw, self.tiles,
                      plan.per_row)
        self.strides = x.strides[0], g.strides[0]
        terms = matmul_amx.count_terms(self.x_parts, self.g_parts, self.last)
        groups, units = math.prod(self.groups) * self.parts, device.compute_units
        self.cost = (images * self.tiles * math.prod(self.groups) * self.taps * terms * _STEP
                     * (STRIDED if across > 1 else 1) * -(-groups // units) * units / groups
                     + images * self.columns * _LANES * self.pixels * _SPLIT[self.x_parts]
                     + images * self.blocks * _SIDE * self.tiles * _DEPTH * _SPLIT[self.g_parts]
                     + self.parts * self.size * _STORE)

    def compile(self, x: Array, g: Array) -> None:
        """Get the kernels."""
        # Each has the macros that it needs: fewer are compiled.
        parts: tuple[tuple[str, Any], ...] = (("X_PARTS", self.x_parts), ("G_PARTS", self.g_parts))
        types, flat = (("IN", x.dtype.name), ("GRAD", g.dtype.name)), ("FLAT", int(self.flat))
        programs, file = x.device.programs, "ops/conv_weight_amx.cl"
        self.split = programs.kernel(file, "split_columns", "PlPP(112)l", (*types, *parts))
        self.order = programs.kernel(file, "split_gradient", "PlPP(72)", (*types, *parts, flat))
        self.kernel = programs.kernel(file, "weight_amx", "PPPP(112)", (
            *parts, ("LAST", self.last), ("TAPS", self.taps), flat, *matmul_amx.unit()))

    def __call__(self, x: Array, g: Array, out: Array) -> None:
        """Compute."""
        device = x.device
        large = full(device, (1,), 0, dtypes.int32)
        parts = empty(device, (self.parts, self.size), dtypes.float32)
        for first in range(0, self.count, self.step):
            count = min(self.step, self.count - first)
            split = empty(device, (count * self.image,), dtypes.int32)
            ordered = empty(device, (count * self.gradient,), dtypes.int32)
            sizes = struct.pack("14q", *self.split_sizes, 0, (count - 1) * self.strides[0] + self.end)
            self.split((-(-self.pixels // _LANES), self.columns, count), (1, 1, 1), x.buffer.handle,
                       x.offset + first * self.strides[0], split.buffer.handle, large.buffer.handle, sizes, self.apart)
            self.order((self.tiles, 2 * self.blocks, count), (1, 1, 1), g.buffer.handle,
                       g.offset + first * self.strides[1], ordered.buffer.handle, large.buffer.handle,
                       self.gradient_sizes)
            sizes = struct.pack("14q", *self.sizes, count, self.per, first > 0)
            self.kernel((*self.groups, -(-count // self.per)), (1, 1, 1), split.buffer.handle, ordered.buffer.handle,
                        large.buffer.handle, parts.buffer.handle, sizes)
        sum_parts(parts, out)


def weight_gradient(x: Array, g: Array, out: Array, geometry: Geometry) -> bool:
    """Write the gradient of a convolution's weight into a contiguous array.

    Returns:
        False, and does nothing, where it cannot go this way or should not.
    """
    plan = _plan(x, g, out, geometry)
    if plan is None:
        return False
    plan(x, g, out)
    return True


def _plan(x: Array, g: Array, out: Array, geometry: Geometry) -> WeightSum | None:
    device, taps = x.device, math.prod(out.shape[2:])
    if geometry.groups != 1 or taps > _MOST_TAPS or g.dtype is not x.dtype or not matmul_amx.may(device, x.dtype):
        return None
    if 2 * taps * 4 * _SIDE * _SIDE > device.local_memory:
        return None

    def make() -> WeightSum | None:
        plan = WeightSum(x, g, out.shape, geometry)
        without = x.shape[0] * math.prod(g.shape[2:]) * out.size * _FMA
        if not matmul_amx.forced and (plan.cost > without or 4 * plan.image > min(LARGEST, device.max_alloc)):
            return None
        if matmul_amx.forced != "emulated" and not matmul_amx.works(device):
            return None
        plan.compile(x, g)
        return plan

    key = ("amx", x.buffer.device, x.dtype, x.shape, x.strides, g.dtype, g.shape, g.strides, out.shape, geometry,
           matmul_amx.precision, matmul_amx.forced)
    return kept(key, lambda: (make(),))[0]
