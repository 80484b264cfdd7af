"""Images read at positions of a grid: the host half of ``cl/ops/grid.cl``."""

from __future__ import annotations

import functools
import math
import struct
from typing import Any

from .. import dtypes
from ..dtypes import DType
from .array import Array, empty
from .elementwise import cast, contiguous, full
from .index import by_columns
from .operation import Context, Operation
from .sort import sort_keys

TAPS = {"nearest": 1, "bilinear": 2, "bicubic": 4}
PADDING = {"zeros": 0, "border": 1, "reflection": 2}


@functools.cache
def _defines(dtype: DType, dims: int, mode: str) -> tuple[tuple[str, Any], ...]:
    defines = ("TYPE", dtype.name), ("DIMS", dims), ("TAPS", TAPS[mode])
    return (*defines, ("REAL64", 1)) if dtype is dtypes.float64 else defines


class GridSampler(Operation):
    """x (N, C, H, W) or (N, C, D, H, W) at positions ``grid`` (N, ..., 2) or (N, ..., 3)."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, grid: Array, *, mode: str, padding: str, align: bool) -> Array:
        """Sample."""
        x, grid = contiguous(x), contiguous(grid)
        ctx.options = mode, padding, align
        ctx.save(x, grid)
        y = empty(x.device, (*x.shape[:2], *grid.shape[1:-1]), x.dtype)
        if y.size:
            points = math.prod(grid.shape[1:-1])
            each = _channels(x, points)
            _launch(ctx, "sample", "PlPlP", (_whole(points), -(-x.shape[1] // each), x.shape[0]), x, grid, each,
                    x.buffer.handle, x.offset, grid.buffer.handle, grid.offset, y.buffer.handle)
        return y

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """The gradients of x, added in a fixed order, and of the grid; 0 for that with mode ``"nearest"``."""
        x, grid = ctx.saved
        g = contiguous(g)
        return (_of_input(ctx, x, grid, g) if ctx.needs[0] else None,
                _of_grid(ctx, x, grid, g) if ctx.needs[1] else None)


def _of_grid(ctx: Context, x: Array, grid: Array, g: Array) -> Array:
    if not g.size or ctx.options[0] == "nearest":
        return full(grid.device, grid.shape, 0, grid.dtype)
    out = empty(grid.device, grid.shape, grid.dtype)
    points = math.prod(grid.shape[1:-1])
    _launch(ctx, "sample_slope", "PlPlPlP", (_whole(points), x.shape[0]), x, grid, x.shape[1], x.buffer.handle,
            x.offset, grid.buffer.handle, grid.offset, g.buffer.handle, g.offset, out.buffer.handle)
    return out


def _of_input(ctx: Context, x: Array, grid: Array, g: Array) -> Array:
    device, (n, channels), points = x.device, x.shape[:2], math.prod(grid.shape[1:-1])
    real = dtypes.float64 if x.dtype is dtypes.float64 else dtypes.float32
    if not g.size:
        return full(device, x.shape, 0, x.dtype)
    corners = TAPS[ctx.options[0]] ** (x.ndim - 2)
    place, weight = (empty(device, (1, n * points * corners), kind) for kind in (dtypes.int64, real))
    _launch(ctx, "taps", "PlPP", (_whole(points), n), x, grid, channels, grid.buffer.handle, grid.offset,
            place.buffer.handle, weight.buffer.handle)
    if by_columns(device, n * channels, points * corners, True) or device.quirks.max_loop:
        out = full(device, x.shape, 0, real)
        each = device.quirks.max_loop or points
        for first in range(0, points, each):
            _launch(ctx, "spread", "PlPPPll", (channels, n), x, grid, channels, g.buffer.handle, g.offset,
                    place.buffer.handle, weight.buffer.handle, out.buffer.handle, first, min(first + each, points))
        return cast(out, x.dtype)
    out = empty(device, x.shape, real)
    plane = math.prod(x.shape[2:])
    keys, order = sort_keys(place, max(1, (n * plane).bit_length()))
    each = _channels(x, plane)
    _launch(ctx, "collect", "PlPPPPl", (_whole(plane), -(-channels // each), n), x, grid, each, g.buffer.handle,
            g.offset, keys.buffer.handle, order.buffer.handle, weight.buffer.handle, out.buffer.handle, place.size)
    return cast(out, x.dtype)


def _launch(ctx: Context, name: str, signature: str, size: tuple[int, ...], x: Array, grid: Array, each: int,
            *args: Any) -> None:
    mode, padding, align = ctx.options
    kernel = x.device.programs.kernel("ops/grid.cl", name, f"{signature}(48)", _defines(x.dtype, x.ndim - 2, mode))
    local = (min(size[0], _GROUP), *[1] * (len(size) - 1)) if name != "spread" else (1, 1)
    sizes = struct.pack("3q6i", x.shape[1], math.prod(grid.shape[1:-1]), each, *reversed(x.shape[2:]),
                        *[1] * (5 - x.ndim), PADDING[padding], align, 0)
    kernel(size, local, *args, sizes)


_GROUP = 64


def _whole(n: int) -> int:
    """A global size of whole work-groups."""
    return n if n <= _GROUP else -(-n // _GROUP) * _GROUP


def _channels(x: Array, points: int) -> int:
    """Channels of a work-item: many, as its positions are the same for all, but so that all of a device has work."""
    device = x.device
    wanted = device.compute_units * (256 if device.type == "cpu" else 2048)
    each = max(1, min(x.shape[1], x.shape[0] * x.shape[1] * points // wanted))
    return min(each, device.quirks.max_loop or each)
