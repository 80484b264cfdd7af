"""Convolutions as operations. Everything here has two spatial dimensions; over one is over (1, L)."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from . import conv_direct, conv_local
from .array import Array, Shape, empty
from .conv_direct import Geometry
from .elementwise import assign, cast, contiguous
from .operation import Context, Operation
from .reduce import reduce

__all__ = ["Convolution", "Geometry", "TransposedConvolution"]


def _kernels(x: Array) -> Any:
    return conv_local if x.device.type == "gpu" else conv_direct


def _flat(x: Array) -> Array | None:
    """All pixels in one row, where that needs no copy."""
    return x.reshape_view((*x.shape[:2], 1, x.shape[2] * x.shape[3]))


def _is_product(x: Array, w: Array, geometry: Geometry, outside: Shape) -> bool:
    """Whether each pixel of the result comes from the same pixel of the input alone."""
    return (w.shape[2:] == geometry.stride == (1, 1) and geometry.padding == (0, 0) and x.shape[2:] == outside
            and x.shape[2] != 1)


def forward(x: Array, w: Array, bias: Array | None, out: Array, geometry: Geometry) -> Array:
    """Convolve x (N, C, H, W) with w (O, C / groups, kh, kw) into out (N, O, H', W'), all but x contiguous."""
    if out.size == 0:
        return out
    if w.size == 0 or x.size == 0:
        return assign(out, 0 if bias is None else bias.view((1, bias.size, 1, 1), (0, 1, 0, 0)))
    if _is_product(x, w, geometry, out.shape[2:]):
        flat, flat_out = _flat(x), _flat(out)
        if flat is not None and flat_out is not None:
            _kernels(x).tap_sum(flat, w, bias, flat_out, geometry, False)
            return out
    _kernels(x).tap_sum(x, w, bias, out, geometry, False)
    return out


def backward_input(g: Array, w: Array, bias: Array | None, out: Array, geometry: Geometry) -> Array:
    """The gradient out (N, C, H, W) of the input of `forward`, from that of its result."""
    if out.size == 0:
        return out
    if w.size == 0 or g.size == 0:
        return assign(out, 0 if bias is None else bias.view((1, bias.size, 1, 1), (0, 1, 0, 0)))
    if _is_product(g, w, geometry, out.shape[2:]):
        flat, flat_out = _flat(g), _flat(out)
        if flat is not None and flat_out is not None:
            _kernels(g).tap_sum(flat, w, bias, flat_out, geometry, True)
            return out
    _kernels(g).tap_sum(g, w, bias, out, geometry, True)
    return out


def backward_weight(x: Array, g: Array, out: Array, geometry: Geometry) -> Array:
    """The gradient of the weight of `forward`, written into a contiguous array."""
    if out.size == 0:
        return out
    if x.size == 0 or g.size == 0:
        return assign(out, 0)
    if _is_product(x, out, geometry, g.shape[2:]):
        flat, flat_g = _flat(x), _flat(g)
        if flat is not None and flat_g is not None:
            x, g = flat, flat_g
    _kernels(x).weight_gradient(x, g, out, geometry)
    return out


def backward_bias(g: Array, out: Array) -> Array:
    """The sum of g (N, C, H, W) over all but the channels, written into a contiguous array."""
    if out.size == 0:
        return out
    if g.size == 0:
        return assign(out, 0)
    g = contiguous(g)
    real = dtypes.float64 if g.dtype is dtypes.float64 else dtypes.float32
    rows = g.view((g.shape[0] * g.shape[1], g.shape[2] * g.shape[3]), (g.shape[2] * g.shape[3], 1))
    parts = reduce("sum", rows, (1,), dtype=real)
    conv_direct.sum_parts(parts.view(g.shape[:2], (g.shape[1], 1)), out)
    return out


def _target(ctx: Context, i: int, shape: Shape, dtype: Any, like: Array) -> Array:
    """Where an input's gradient goes."""
    target = ctx.targets[i]
    if target is not None and target.dtype is dtype and target.shape == shape and target.is_contiguous():
        return target
    return empty(like.device, shape, dtype)


def _real(x: Array) -> Any:
    return dtypes.float64 if x.dtype is dtypes.float64 else dtypes.float32


class Convolution(Operation):
    """Convolution of x (N, C, H, W) with weight (O, C / groups, kh, kw), plus bias (O,) or None."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, weight: Array, bias: Array | None, *, geometry: Geometry,
                size: tuple[int, int]) -> Array:
        """Convolve; ``size`` is the height and width of the result."""
        weight = contiguous(weight)
        ctx.save(x, weight)
        ctx.geometry = geometry
        ctx.bias = None if bias is None else (bias.shape, bias.dtype)
        out = empty(x.device, (x.shape[0], weight.shape[0], *size), x.dtype)
        return forward(x, weight, None if bias is None else contiguous(cast(bias, _real(x))), out, geometry)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None, Array | None]:
        """The gradients of input, weight and bias."""
        x, weight = ctx.saved
        gx = gw = gb = None
        if ctx.needs[0]:
            gx = backward_input(g, weight, None, _target(ctx, 0, x.shape, x.dtype, x), ctx.geometry)
        if ctx.needs[1]:
            gw = backward_weight(x, g, _target(ctx, 1, weight.shape, weight.dtype, x), ctx.geometry)
        if ctx.needs[2]:
            gb = backward_bias(g, _target(ctx, 2, *ctx.bias, x))
        return gx, gw, gb


class TransposedConvolution(Operation):
    """The gradient of a convolution's input as an operation of its own: x (N, C, H, W), weight (C, O / groups, kh, kw)."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, weight: Array, bias: Array | None, *, geometry: Geometry,
                size: tuple[int, int]) -> Array:
        """Spread every pixel over a filter's area; ``size`` is the height and width of the result."""
        weight = contiguous(weight)
        ctx.save(x, weight)
        ctx.geometry = geometry
        ctx.bias = None if bias is None else (bias.shape, bias.dtype)
        out = empty(x.device, (x.shape[0], weight.shape[1] * geometry.groups, *size), x.dtype)
        return backward_input(x, weight, None if bias is None else contiguous(cast(bias, _real(x))), out, geometry)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None, Array | None]:
        """The gradients of input, weight and bias."""
        x, weight = ctx.saved
        gx = gw = gb = None
        if ctx.needs[0]:
            gx = forward(g, weight, None, _target(ctx, 0, x.shape, x.dtype, x), ctx.geometry)
        if ctx.needs[1]:
            gw = backward_weight(g, x, _target(ctx, 1, weight.shape, weight.dtype, x), ctx.geometry)
        if ctx.needs[2]:
            gb = backward_bias(g, _target(ctx, 2, *ctx.bias, x))
        return gx, gw, gb
