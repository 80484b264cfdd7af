"""Convolutions on GPUs: the host half of ``cl/ops/conv_local.cl``."""

from __future__ import annotations

import struct
from typing import Any

from .. import dtypes
from .array import Array, empty
from .conv_axis import Geometry
from .conv_stage import sum_parts
from .elementwise import contiguous

_SIDE, _PER = 16, 4      # a group's tile: 64 by 64
_STEPS = 2048            # pixels that a part of the weight's gradient adds up, at the least


def _launch(mode: str, x: Array, w: Array, g: Array, bias: Array | None, result: Array, geometry: Geometry,
            parts: int = 1, per: int = 0) -> None:
    groups = geometry.groups
    inputs, outputs = x.shape[1] // groups, g.shape[1] // groups
    size, pixels = x.shape[2] * x.shape[3], g.shape[2] * g.shape[3]
    taps = w.shape[2] * w.shape[3]
    real = dtypes.float64 if x.dtype is dtypes.float64 else dtypes.float32
    rows, columns = {"FORWARD": (outputs, x.shape[0] * pixels), "INPUT": (inputs, x.shape[0] * size),
                     "WEIGHT": (outputs, inputs * taps)}[mode]
    defines: tuple[tuple[str, Any], ...] = (
        (mode, 1), ("X", x.dtype.name), ("W", w.dtype.name), ("G", g.dtype.name), ("SIDE", _SIDE), ("PER", _PER))
    if real is dtypes.float64:
        defines += (("REAL64", 1),)
    kernel = x.device.programs.kernel("ops/conv_local.cl", "conv_local", "PlPlPlPlPl(152)", defines)
    sizes = struct.pack("19q", x.shape[0], inputs, outputs, groups, *x.shape[2:], *g.shape[2:], *w.shape[2:],
                        *geometry.stride, *geometry.padding, *geometry.dilation, parts, per, bias is not None)
    limit, steps = x.device.quirks.max_loop, per or (outputs if mode == "INPUT" else inputs) * taps
    if 0 < limit < 2 * steps:
        raise RuntimeError(f"{x.device.name} ends loops early and cannot be trusted with sums of {steps} products")
    tile = _SIDE * _PER
    held = w if bias is None else bias
    kernel((-(-columns // tile) * _SIDE, -(-rows // tile) * _SIDE, groups * parts), (_SIDE, _SIDE, 1),
           x.buffer.handle, x.offset, w.buffer.handle, w.offset, g.buffer.handle, g.offset, held.buffer.handle,
           held.offset, result.buffer.handle, result.offset, sizes)


def tap_sum(x: Array, w: Array, bias: Array | None, out: Array, geometry: Geometry, transposed: bool) -> None:
    """Write a convolution's result, or with ``transposed`` the gradient of one's input, into a contiguous array."""
    x = contiguous(x)
    if transposed:
        _launch("INPUT", out, w, x, bias, out, geometry)
    else:
        _launch("FORWARD", x, w, out, bias, out, geometry)


def weight_gradient(x: Array, g: Array, out: Array, geometry: Geometry) -> None:
    """Write the gradient of a convolution's weight into a contiguous array."""
    x, g = contiguous(x), contiguous(g)
    tile = _SIDE * _PER
    tiles = (-(-out.shape[0] // (geometry.groups * tile)) * -(-out.shape[1] * out.shape[2] * out.shape[3] // tile)
             * geometry.groups)
    steps = g.shape[0] * g.shape[2] * g.shape[3]
    wanted = max(1, min(4 * x.device.compute_units // tiles + 1, steps // _STEPS + 1, 256))
    per = -(-steps // (wanted * _SIDE)) * _SIDE
    if x.device.quirks.max_loop:
        per = min(per, x.device.quirks.max_loop // (2 * _SIDE) * _SIDE)
    count = -(-steps // per)
    real = dtypes.float64 if x.dtype is dtypes.float64 else dtypes.float32
    parts = empty(x.device, (count, out.size), real)
    _launch("WEIGHT", x, out, g, None, parts, geometry, count, per)
    sum_parts(parts, out)
