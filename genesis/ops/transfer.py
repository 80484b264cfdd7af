"""Copies between devices, through the host."""

from __future__ import annotations

from ..opencl import Device
from .array import Array, download, upload
from .elementwise import contiguous
from .operation import Context, Operation


class Transfer(Operation):
    """A copy on another device, through the host."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, device: Device) -> Array:
        """Copy there."""
        ctx.device = x.device
        return upload(device, download(contiguous(x)))

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Copy back."""
        return upload(ctx.device, download(contiguous(g)))
