"""Layer, RMS and group normalization: the host half of ``cl/ops/norm.cl``."""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes
from ..dtypes import DType
from ..opencl import Device, Kernel
from .array import Array, empty
from .elementwise import assign, cast, contiguous
from .operation import Context, Operation
from .rows import Rows, columns_launch, is_double, rows_launch, too_long

_MAX_PARTS = 1 << 22      # numbers in which the teams of backward leave their sums, at most about
_PASSES = 3               # over a row, at most
_MAX_PLANS = 10_000
_plans: dict[Any, tuple[Kernel, Rows]] = {}


def _plan(name: str, signature: str, x: Array, params: Array | None, flags: tuple[int, int, int], rows: int, n: int,
          run: int, most: int) -> tuple[Kernel, Rows]:
    """A kernel of norm.cl and its launch; flags say whether there is a weight, a bias and a mean."""
    device = x.buffer.device
    key = (name, device, device.type, x.dtype, None if params is None else params.dtype, flags, rows, n, run, most)
    plan = _plans.get(key)
    if plan is None:
        double = is_double(x) or (params is not None and is_double(params))
        if too_long(device, n, _PASSES, double, run=run):
            raise RuntimeError(f"{device.name} ends loops early and cannot be trusted with rows of {n} elements")
        launch = rows_launch(device, rows, n, _PASSES, double, most, run)
        defines = (*_types(x.dtype, params), ("WEIGHT", flags[0]), ("BIAS", flags[1]), ("CENTER", flags[2]),
                   *launch.defines)
        if not name.endswith("backward"):
            signature += "d" if double else "f"
        kernel = device.programs.kernel("ops/norm.cl", name, signature, defines)
        if len(_plans) >= _MAX_PLANS:
            _plans.clear()
        plan = _plans[key] = kernel, launch
    return plan


def _types(dtype: DType, params: Array | None) -> tuple[tuple[str, Any], ...]:
    return ("TYPE", dtype.name), ("PARAM", (dtypes.float32 if params is None else params.dtype).name)


def _sum_parts(parts: Array, count: int, n: int, weight: Array | None, bias: Array | None) -> None:
    """Add up (count, 2, n) into the gradients of weight and bias, in their order."""
    device = parts.device
    like = bias if weight is None else weight
    assert like is not None
    key = ("parts", device, device.type, parts.dtype, like.dtype, count, n)
    plan = _plans.get(key)
    if plan is None:
        launch = columns_launch(device, 1, count, n, 1, parts.dtype is dtypes.float64, span=1, block=1)
        kernel = device.programs.kernel("ops/norm.cl", "norm_parts", "PPlPlllll",
                                        (("PARAM", like.dtype.name), *launch.defines))
        plan = _plans[key] = kernel, launch
    kernel, launch = plan
    w, b = like if weight is None else weight, like if bias is None else bias
    kernel(launch.size, launch.local, parts.buffer.handle, w.buffer.handle, w.offset, b.buffer.handle, b.offset, count,
           n, int(weight is not None), int(bias is not None))


def _most_parts(device: Device, n: int) -> int:
    """Most teams that sum up gradients of weight and bias: no more than keep the device busy, or fit into memory."""
    busy = 1024 if device.type == "gpu" else device.compute_units * device.quirks.parallel
    return max(device.compute_units, min(busy, _MAX_PARTS // n))


def same_type(weight: Array | None, bias: Array | None) -> tuple[Array | None, Array | None]:
    """Both parameters row by row, in one element type."""
    if weight is not None and bias is not None and weight.dtype is not bias.dtype:
        wide = dtypes.promote(weight.dtype, bias.dtype)
        weight, bias = cast(weight, wide), cast(bias, wide)
    return (None if weight is None else contiguous(weight)), (None if bias is None else contiguous(bias))


class ParameterGradients:
    """Where the gradients of weight and bias are written: into their own memory where autograd lends it.

    Args:
        ctx: context of an operation whose inputs 1 and 2 are weight and bias; ``ctx.kinds`` are their element types
            and ``ctx.shape`` their shape.
        dtype: the element type that the kernel writes.
    """

    def __init__(self, ctx: Context, device: Device, dtype: DType):
        self.ctx = ctx
        self.arrays = [self._one(i, device, dtype) if ctx.needs[i] else None for i in (1, 2)]

    def _one(self, i: int, device: Device, dtype: DType) -> Array:
        target = self.ctx.targets[i]
        if target is not None and target.dtype is dtype and target.is_contiguous():
            return target
        return empty(device, self.ctx.shape, dtype)

    @property
    def wanted(self) -> bool:
        """Whether any is."""
        return any(a is not None for a in self.arrays)

    def zero(self) -> None:
        """The gradients where there are no samples."""
        for array in self.arrays:
            if array is not None:
                assign(array, 0)

    def results(self) -> tuple[Array | None, Array | None]:
        """The gradients in the parameters' element types."""
        weight, bias = (None if a is None else cast(a, kind) for a, kind in zip(self.arrays, self.ctx.kinds))
        return weight, bias


def handles_of(array: Array | None, other: Array) -> tuple[Any, int]:
    """An array's buffer and offset as a kernel takes them; those of another one where there is none."""
    return (other.buffer.handle, 0) if array is None else (array.buffer.handle, array.offset)


class Norm(Operation):
    """Normalization of rows of (rows, n), each element with its weight and bias; or of groups of channels.

    Inputs: x, weight or None, bias or None.
    """

    @classmethod
    def forward(cls, ctx: Context, x: Array, weight: Array | None, bias: Array | None, *, n: int, eps: float,
                center: bool = True, groups: int = 0) -> Array:
        """Normalize.

        Args:
            n: elements of a row, the last dimensions of x together; with groups, those of a group.
            eps: added to the variance.
            center: whether to subtract the mean.
            groups: 0, or the number of groups into which the channels (dimension 1) of x are divided.
        """
        x = contiguous(x)
        params = bias if weight is None else weight
        ctx.kinds = [None if p is None else p.dtype for p in (weight, bias)]
        ctx.shape = None if params is None else params.shape
        weight, bias = same_type(weight, bias)
        params = bias if weight is None else weight
        real = dtypes.float64 if is_double(x) or (params is not None and is_double(params)) else dtypes.float32
        rows = x.size // max(n, 1)
        ctx.layout, ctx.eps = (rows, n, groups, center), eps
        y, kept = empty(x.device, x.shape, x.dtype), empty(x.device, (2, rows), real)
        ctx.save(x, weight, kept)
        if y.size == 0:
            return y
        flags = int(weight is not None), int(bias is not None), int(center)
        handles = (x.buffer.handle, x.offset, *handles_of(weight, kept), *handles_of(bias, kept), y.buffer.handle,
                   kept.buffer.handle)
        if groups:
            run = math.prod(x.shape[2:])
            kernel, launch = _plan("norm_groups", "PlPlPlPPlllll", x, params, flags, rows, n, run, 0)
            kernel(launch.size, launch.local, *handles, rows, groups, n // run, run, launch.block, eps)
        else:
            kernel, launch = _plan("norm_rows", "PlPlPlPPlll", x, params, flags, rows, n, n, 0)
            kernel(launch.size, launch.local, *handles, rows, n, launch.block, eps)
        return y

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None, Array | None]:
        """Gradients of the input in one launch; of weight and bias in a second one."""
        x, weight, kept = ctx.saved
        rows, n, groups, center = ctx.layout
        g, device = contiguous(cast(g, x.dtype)), x.device
        kinds = [k for k in ctx.kinds if k is not None]
        dtype = kinds[0] if len(set(kinds)) == 1 else kept.dtype
        grads = ParameterGradients(ctx, device, dtype)
        gx = empty(device, x.shape, x.dtype) if ctx.needs[0] else None
        if x.size == 0:
            grads.zero()
            return gx, *grads.results()
        out, want = x if gx is None else gx, int(gx is not None)
        flags = int(weight is not None), 0, int(center)
        handles = (x.buffer.handle, x.offset, g.buffer.handle, g.offset, *handles_of(weight, kept), kept.buffer.handle,
                   out.buffer.handle)
        if groups:
            run = math.prod(x.shape[2:])
            channels, samples = groups * (n // run), rows // groups
            kernel, launch = _plan("norm_groups_backward", "PlPlPlPPPllllll", x, weight, flags, rows, n, run, 0)
            parts = empty(device, (samples, 2, channels), kept.dtype)
            kernel(launch.size, launch.local, *handles, parts.buffer.handle, rows, groups, n // run, run, launch.block,
                   want)
            count, length = samples, channels
        else:
            most = _most_parts(device, n) if grads.wanted else 0
            kernel, launch = _plan("norm_rows_backward", "PlPlPlPPPlllll", x, weight, flags, rows, n, n, most)
            parts = empty(device, (launch.teams, 2, n) if grads.wanted else (1,), kept.dtype)
            kernel(launch.size, launch.local, *handles, parts.buffer.handle, rows, n, launch.block, want,
                   int(grads.wanted))
            count, length = launch.teams, n
        if grads.wanted:
            _sum_parts(parts, count, length, *grads.arrays)
        return gx, *grads.results()


class LayerNorm(Norm):
    """Layer normalization."""


class RMSNorm(Norm):
    """Division by the root mean square."""


class GroupNorm(Norm):
    """Group normalization."""
