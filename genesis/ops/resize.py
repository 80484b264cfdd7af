"""Interpolation to another size: the host half of ``cl/ops/resize.cl``. Over one dimension is over (1, L)."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np

from .. import dtypes
from ..dtypes import DType
from ..opencl import Device
from .array import Array, empty, upload
from .conv import as_planes
from .elementwise import contiguous
from .operation import Context, Operation

_MAX_TABLES = 256
_tables: dict[Any, _Table] = {}


class Axis(NamedTuple):
    """How one dimension changes.

    Attributes:
        mode: ``"nearest"``, ``"nearest-exact"``, ``"linear"`` or ``"cubic"``.
        inputs, outputs: its sizes before and after.
        scale: input elements for each output element.
        align_corners: whether the outermost elements stay where they are, rather than their outer edges.
    """

    mode: str
    inputs: int
    outputs: int
    scale: float
    align_corners: bool

    def taps(self, real: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """For each output the positions of those inputs that it is a sum of, and their weights: (outputs, taps)."""
        at = np.arange(self.outputs, dtype=np.float32 if self.mode.startswith("nearest") else real)
        scale, half, last = at.dtype.type(self.scale), at.dtype.type(0.5), self.inputs - 1
        if self.mode.startswith("nearest"):
            found = np.floor((at + half if self.mode == "nearest-exact" else at) * scale).astype(np.int64)
            return np.minimum(found, last)[:, None], np.ones((self.outputs, 1), real)
        at = at * scale if self.align_corners else (at + half) * scale - half
        if self.mode == "linear":
            at = np.maximum(at, 0)
            first = np.minimum(np.floor(at).astype(np.int64), last)
            part = np.minimum(at - first.astype(real), 1)
            return np.stack((first, np.minimum(first + 1, last)), 1), np.stack((1 - part, part), 1)
        first = np.floor(at).astype(np.int64)
        part = at - first.astype(real)
        weights = np.stack([_cubic(np.abs(part - real(i))) for i in (-1, 0, 1, 2)], 1)
        return np.clip(first[:, None] + np.arange(-1, 3), 0, last), weights


def _cubic(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Keys's kernel with a = -0.75 at distance x (Keys 1981, "Cubic convolution interpolation", equation 4)."""
    a = x.dtype.type(-0.75)
    return np.where(x <= 1, ((a + 2) * x - (a + 3)) * x * x + 1, ((x - 5) * x + 8) * x * a - 4 * a)


class _Table(NamedTuple):
    positions: Array
    weight: Array
    entries: tuple[int, int]
    taps: tuple[int, int] | None       # of each output, where all have as many
    most: int                          # of one


def _table(device: Device, axes: tuple[Axis, Axis], dtype: DType, transposed: bool) -> _Table:
    real = np.float64 if dtype is dtypes.float64 else np.float32
    key = device, axes, real, transposed
    if key in _tables:
        return _tables[key]
    starts, indices, weights, taps = [], [], [], []
    for axis in axes:
        index, weight = axis.taps(real)
        each = index.shape[1]
        if transposed:                 # the outputs of each input, in their order
            order = np.argsort(index.ravel(), kind="stable")
            start = np.searchsorted(index.ravel()[order], np.arange(axis.inputs + 1))
            index, weight = order // each, weight.ravel()[order]
        else:
            start = np.arange(axis.outputs + 1) * each
        starts.append(start)
        indices.append(index.ravel())
        weights.append(weight.ravel())
        taps.append(each)
    if len(_tables) >= _MAX_TABLES:
        _tables.clear()
    table = _Table(upload(device, np.concatenate(starts + indices).astype(np.int32)),
                   upload(device, np.concatenate(weights).astype(real)), (indices[0].size, indices[1].size),
                   None if transposed else (taps[0], taps[1]),
                   int(np.diff(starts[0]).max(initial=0) * np.diff(starts[1]).max(initial=0)))
    _tables[key] = table
    return table


def _resize(x: Array, y: Array, axes: tuple[Axis, Axis], transposed: bool) -> None:
    if not y.size:
        return
    device = x.device
    table = _table(device, axes, x.dtype, transposed)
    if 0 < device.quirks.max_loop < table.most:
        raise RuntimeError(f"{device.name} ends loops early and cannot be trusted with sums of {table.most} elements")
    defines: tuple[tuple[str, Any], ...] = (("TYPE", x.dtype.name),)
    if table.taps:
        defines += ("TAPS_H", table.taps[0]), ("TAPS_W", table.taps[1])
    if x.dtype is dtypes.float64:
        defines += (("REAL64", 1),)
    kernel = device.programs.kernel("ops/resize.cl", "resize", "PlPPP(24)", defines)
    kernel((y.shape[3], y.shape[2], y.shape[0] * y.shape[1]), None, x.buffer.handle, x.offset,
           table.positions.buffer.handle, table.weight.buffer.handle, y.buffer.handle,
           struct.pack("6i", *x.shape[2:], *y.shape[2:], *table.entries))


class Resize(Operation):
    """x (N, C, H, W) or (N, C, L) at another size, by a rule for each of its last two dimensions."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axes: tuple[Axis, Axis]) -> Array:
        """Interpolate; for (N, C, L) the first axis is that of one row."""
        x = contiguous(x)
        y = empty(x.device, (*x.shape[:2], *(axis.outputs for axis in axes[4 - x.ndim:])), x.dtype)
        _resize(as_planes(x), as_planes(y), axes, False)
        ctx.shape, ctx.axes = x.shape, axes
        return y

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Each element gets the gradients of those it had a part in, by its weights in them."""
        g = contiguous(g)
        out = empty(g.device, ctx.shape, g.dtype)
        _resize(as_planes(g), as_planes(out), ctx.axes, True)
        return out
