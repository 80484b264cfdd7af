"""Pooling over windows: the host half of ``cl/ops/pool.cl``. Over one dimension is over (1, L)."""

from __future__ import annotations

import math
import struct
from typing import Any, NamedTuple

from .. import dtypes
from ..opencl import Device
from .array import Array, Shape, empty
from .conv import as_planes
from .elementwise import contiguous
from .operation import Context, Operation

Pair = tuple[int, int]

_LOWEST = {"float": "-INFINITY", "double": "-(double)INFINITY", "int": "INT_MIN", "uchar": "INT_MIN",
           "long": "LONG_MIN"}

_PLANES = 4        # for each core, that keep all of them busy
_COMMON = (((2, 2), (2, 2)), ((3, 3), (2, 2)))      # windows' sizes and strides that kernels are made for


class Windows(NamedTuple):
    """The windows that are pooled: (height, width) of each.

    Attributes:
        kernel, stride, padding, dilation: as those of a convolution.
        adaptive: windows that divide the input evenly among the outputs instead; the other fields do not count.
        include_pad: whether a mean counts padding.
        divisor: what sums are divided by instead of the windows' sizes; 0 for those.
    """

    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    adaptive: bool = False
    include_pad: bool = True
    divisor: int = 0


def _launch(name: str, signature: str, windows: Windows, large: Array, small: Array, over: Array, *args: Any,
            **defines: Any) -> None:
    """Run a kernel over the elements of ``over``; ``large`` and ``small`` are the arrays before and after pooling.

    Instead of ``..._backward``, a CPU with planes enough for all cores runs ``..._scatter``.
    """
    device = large.device
    if not over.size:
        return
    planes, (rows, columns) = over.shape[0] * over.shape[1], over.shape[2:]
    taps = math.prod(large.shape[2:]) // max(1, math.prod(small.shape[2:])) if windows.adaptive else math.prod(
        windows.kernel)
    if 0 < device.quirks.max_loop < taps:
        raise RuntimeError(f"{device.name} ends loops early and cannot be trusted with windows of {taps} elements")
    grid = spatial_grid(device, columns, rows, planes)
    if (name.endswith("_backward") and device.type == "cpu" and planes >= _PLANES * device.compute_units
            and not device.quirks.max_loop and large.dtype in (dtypes.float32, dtypes.float64)):
        name, grid = name.replace("_backward", "_scatter"), ((planes,), (1,))
    compute = large.dtype.compute
    fixed: tuple[tuple[str, Any], ...] = ()
    if windows.adaptive:
        fixed = (("ADAPTIVE", 1),)
    elif windows[:2] in _COMMON and windows.dilation == (1, 1):
        fixed = (("FIXED_KERNEL", windows.kernel[0]), ("FIXED_STRIDE", windows.stride[0]))
    fixed += (("TYPE", large.dtype.name), ("ACC", "int" if compute == "uchar" else compute), *defines.items())
    if compute == "double":
        fixed += (("REAL64", 1),)
    kernel = device.programs.kernel("ops/pool.cl", name, f"{signature}(64)", fixed)
    sizes = struct.pack("q14i", planes, *large.shape[2:], *small.shape[2:], *windows.kernel, *windows.stride,
                        *windows.padding, *windows.dilation, windows.include_pad, windows.divisor)
    kernel(*grid, *args, sizes)


def spatial_grid(device: Device, columns: int, rows: int, planes: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Global and local size for a work-item a pixel."""
    most = min(1024 if device.type == "cpu" else 256, device.handle.max_work_group_size)
    local: list[int] = []
    for size, limit in zip((columns, rows, planes), device.max_items):
        local.append(min(1 << (size - 1).bit_length(), most // math.prod(local), limit))
    return tuple(-(-n // m) * m for n, m in zip((columns, rows, planes), local)), tuple(local)


class MaxPool(Operation):
    """The largest element of each window of x (N, C, H, W) or (N, C, L)."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, windows: Windows, size: Shape, positions: bool) -> Any:
        """Pool; ``size`` is that of the result's spatial dimensions.

        Returns:
            The result; with ``positions`` also where the largest elements are in their planes, int64.
        """
        x = contiguous(x)
        y = empty(x.device, (*x.shape[:2], *size), x.dtype)
        keep = positions or ctx.needs[0]
        index = empty(x.device, y.shape if keep else (1,), dtypes.int64 if positions else dtypes.int32)
        defines = {"INDEX": index.dtype.name, "LOWEST": _LOWEST[x.dtype.compute], **({"POSITIONS": 1} if keep else {})}
        y4 = as_planes(y)
        _launch("largest", "PlPP", windows, as_planes(x), y4, y4, x.buffer.handle, x.offset, y.buffer.handle,
                index.buffer.handle, **defines)
        ctx.save(index)
        ctx.shape, ctx.dtype, ctx.windows = x.shape, x.dtype, windows
        return (y, index) if positions else y

    @classmethod
    def backward(cls, ctx: Context, *gradients: Any) -> Array:
        """Each element gets the gradients of the windows whose largest it is."""
        g, (index,) = contiguous(gradients[0]), ctx.saved
        out = empty(g.device, ctx.shape, ctx.dtype)
        planes = as_planes(out)
        _launch("largest_backward", "PlPP", ctx.windows, planes, as_planes(g), planes, g.buffer.handle, g.offset,
                index.buffer.handle, out.buffer.handle, INDEX=index.dtype.name)
        return out


class AvgPool(Operation):
    """The mean of each window of x (N, C, H, W) or (N, C, L)."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, windows: Windows, size: Shape) -> Array:
        """Pool; ``size`` is that of the result's spatial dimensions."""
        x = contiguous(x)
        y = empty(x.device, (*x.shape[:2], *size), x.dtype)
        y4 = as_planes(y)
        _launch("mean", "PlP", windows, as_planes(x), y4, y4, x.buffer.handle, x.offset, y.buffer.handle)
        ctx.shape, ctx.dtype, ctx.windows = x.shape, x.dtype, windows
        return y

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Each element gets its share of the gradients of the windows that it is in."""
        g = contiguous(g)
        out = empty(g.device, ctx.shape, ctx.dtype)
        planes = as_planes(out)
        _launch("mean_backward", "PlP", ctx.windows, planes, as_planes(g), planes, g.buffer.handle, g.offset,
                out.buffer.handle)
        return out
