"""What convolutions on CPUs are planned with: how filters move along an axis, and tables of their taps.

See ``cl/ops/taps.h``. A plan is made once for a combination of shapes, layouts and types, and kept; a call then costs
its launches.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import dtypes
from ..dtypes import DType
from ..opencl import Buffer, Device
from .array import upload

Pair = tuple[int, int]
_MAX_PLANS = 4096
_plans: dict[Any, Any] = {}


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


class Axis(NamedTuple):
    """One spatial dimension of a sum over taps; see ``conv.cl``.

    Attributes:
        size: elements of the input.
        pixels: output pixels of a phase.
        step: distance in the staged input of neighbouring pixels.
        reach: the largest shift.
        share: zeros after the last element that are the next row's first ones.
        planes, stride, pad: how the input is staged.
        spread: distance in the output of neighbouring pixels of a phase.
        phases: for each, the output position of its first pixel, and (tap, plane, shift) of its taps.
    """

    size: int
    pixels: int
    step: int
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
        return (self.pixels - 1) * self.step + 1 + self.reach - self.share

    def seen(self, phase: int, high: int) -> list[Pair]:
        """For each ``high`` pixels, from which to which of the phase's taps there is any of the input."""
        taps = self.phases[phase][1]
        found = []
        for first in range(0, self.pixels, high):
            last = min(first + high, self.pixels) - 1
            inside = [i for i, (_, plane, shift) in enumerate(taps)
                      if (last * self.step + shift) * self.stride + plane >= self.pad
                      and (first * self.step + shift) * self.stride + plane < self.pad + self.size]
            found.append((inside[0], inside[-1] + 1) if inside else (0, 0))
        return found


def forward_axis(taps: int, stride: int, pad: int, dilation: int, pixels: int, size: int, apart: bool = True) -> Axis:
    """A convolution's: from ``size`` elements to ``pixels``.

    With ``apart``, elements of each residue of the stride are staged together, so that neighbouring pixels read
    neighbouring elements; else the input is staged in its order.
    """
    stride, step = (stride, 1) if apart else (1, stride)
    steps = [divmod(i * dilation, stride) for i in range(taps)]
    reach = steps[-1][0]
    share = max(0, min(reach, pad, pixels + reach - pad - size)) if stride == step == 1 else 0
    return Axis(size, pixels, step, reach, share, max(plane for _, plane in steps) + 1, stride, pad, 1,
                 [(0, [(i, plane, shift) for i, (shift, plane) in enumerate(steps)])])


def backward_axis(taps: int, stride: int, pad: int, dilation: int, size: int, given: int) -> Axis:
    """The input gradient's: from ``given`` elements to ``size``."""
    steps = [divmod(i * dilation, stride) for i in range(taps)]
    reach, low = steps[-1][0], pad // stride
    phases = []
    for residue in range(stride):
        first = -(-(pad - residue) // stride)                # pixel q of a phase lies at stride * q + residue - pad
        phases.append((stride * first + residue - pad,
                       [(i, 0, first - low + reach - shift) for i, (shift, plane) in enumerate(steps)
                        if plane == residue]))
    pixels, before = -(-size // stride), reach - low
    reach = max(shift for _, of in phases for _, _, shift in of)
    share = max(0, min(reach, before, pixels + reach - before - given))
    return Axis(given, pixels, 1, reach, share, 1, 1, before, stride, phases)


def make_table(device: Device, rows: Axis, columns: Axis, width: int, pitch: int, high: int) -> Buffer:
    """The table of ``taps.h`` for a filter of so many columns and tiles of so many rows."""
    plane = rows.staged * pitch
    head: list[int] = []
    shifts: list[int] = []
    positions: list[int] = []
    seen: list[int] = []
    for (phase, (at_row, taps_h)), (at_column, taps_w) in itertools.product(enumerate(rows.phases), columns.phases):
        head += (len(taps_h) * len(taps_w), len(shifts), at_row, at_column)
        for (i, a, down), (j, b, right) in itertools.product(taps_h, taps_w):
            shifts.append((a * columns.planes + b) * plane + down * pitch + right)
            positions.append(i * width + j)
        seen += (limit * len(taps_w) for limits in rows.seen(phase, high) for limit in limits)
    values = np.array(head + shifts + positions + seen, np.int32)
    return upload(device, values).buffer  # type: ignore[return-value]


def real_type(dtype: DType) -> DType:
    """What is computed in for a storage type."""
    return dtypes.float64 if dtype is dtypes.float64 else dtypes.float32


def defines(real: DType, *more: tuple[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Macros for kernels that compute in a type."""
    return (*more, ("REAL64", 1)) if real is dtypes.float64 else more


def kept(key: Any, make: Callable[[], Any]) -> Any:
    """The plan for a key, made on the first call."""
    plan = _plans.get(key)
    if plan is None:
        if len(_plans) >= _MAX_PLANS:
            _plans.clear()
        plan = _plans[key] = make()
    return plan
