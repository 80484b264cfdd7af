"""The scale of a loss, kept and adapted on the device: the host half of ``cl/optim/loss_scale.cl``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import DType, float32, float64
from ..opencl import CHUNK, Alias, Buffer, Device
from .array import Array


class LossScale:
    """The factor by which a loss, and with it every gradient, was multiplied.

    Attributes:
        buffer: three floats: the scale, steps since it last changed, 1 if gradients were not all finite.
        checked: when the gradients were divided by the scale already: two floats, the second 1 to skip the step.
        used: whether a step has asked the gradients yet.
    """

    __slots__ = ("buffer", "checked", "used")

    def __init__(self, buffer: Buffer | Alias, checked: Buffer | None = None):
        self.buffer = buffer
        self.checked = checked
        self.used = False


def make(device: Device, scale: float, steps: int) -> Array:
    """A new scale: an array of four floats, the last one unused."""
    array = Array(device.empty(16), float32, (4,))
    device.write(array.buffer, 0, np.array([scale, steps, 0, 0], np.float32))
    return array


def unscale(grads: Array, rows: Buffer | None, factor: Buffer) -> None:
    """Multiply gradients, in place, by a number on the device.

    Args:
        grads: one contiguous array.
        rows: one int32 a chunk, -1 for chunks to leave alone; None when there are none.
        factor: its first float.
    """
    if not grads.size:
        return
    kernel = grads.device.programs.kernel("optim/loss_scale.cl", "unscale", "PllPiP", _defines(grads.dtype))
    local = 256
    kernel((-(-grads.size // local) * local,), (local,), grads.buffer.handle, grads.offset, grads.size,
           (grads.buffer if rows is None else rows).handle, int(rows is not None), factor.handle)
    grads.version.count += 1


def update(scale: Array, growth_factor: float, backoff_factor: float, growth_interval: int) -> None:
    """Adapt a scale to what the gradients were since the last update."""
    kernel = scale.device.programs.kernel("optim/loss_scale.cl", "update_scale", "Pfff", _defines(float32))
    kernel((1,), (1,), scale.buffer.handle, growth_factor, backoff_factor, float(growth_interval))
    scale.version.count += 1


def _defines(dtype: DType) -> tuple[tuple[str, Any], ...]:
    defines: tuple[tuple[str, Any], ...] = (("GRAD", dtype.name), ("CHUNK", CHUNK))
    return (*defines, ("REAL64", 1)) if dtype is float64 else defines
