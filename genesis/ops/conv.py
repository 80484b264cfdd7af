"""Convolutions as operations. Everything here has two spatial dimensions; over one is over (1, L)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import dtypes
from . import conv_amx, conv_direct, conv_local, conv_product, conv_weight, conv_weight_amx
from .array import Array, Shape, contiguous_strides, empty
from .conv_axis import Geometry
from .conv_stage import sum_parts
from .elementwise import assign, cast, contiguous
from .operation import Context, Operation
from .reduce import reduce

__all__ = ["Convolution", "Geometry", "TransposedConvolution", "WeightGradient"]


def _short(x: Array) -> bool:
    """Whether to take the kernels of `conv_local`: GPUs', and with the short loops that some CPU runtimes need too."""
    return x.device.type == "gpu" or bool(x.device.quirks.max_loop)


def _tap_sum(x: Array, w: Array, bias: Array | None, out: Array, geometry: Geometry, transposed: bool) -> None:
    if _short(x):
        conv_local.tap_sum(x, w, bias, out, geometry, transposed)
    elif conv_product.applies(w, geometry, math.prod((x if transposed else out).shape[2:])) and (
            bias is None or not transposed):
        if transposed:
            conv_product.backward_input(x, w, out, geometry)
        else:
            conv_product.forward(x, w, bias, out, geometry)
    elif conv_amx.applies(x, w, out.shape, geometry, transposed):
        conv_amx.tap_sum(x, w, bias, out, geometry, transposed)
    else:
        conv_direct.tap_sum(x, w, bias, out, geometry, transposed)


def _flat(x: Array) -> Array | None:
    """All pixels in one row, where that needs no copy."""
    return x.reshape_view((*x.shape[:2], 1, x.shape[2] * x.shape[3]))


def _is_pixelwise(x: Array, w: Array, geometry: Geometry, outside: Shape) -> bool:
    """Whether each pixel of the result comes from the same pixel of the input alone."""
    return (w.shape[2:] == geometry.stride == (1, 1) and geometry.padding == (0, 0) and x.shape[2:] == outside
            and x.shape[2] != 1)


def forward(x: Array, w: Array, bias: Array | None, out: Array, geometry: Geometry) -> Array:
    """Convolve x (N, C, H, W) with w (O, C / groups, kh, kw) into out (N, O, H', W'), all but x contiguous."""
    if out.size == 0:
        return out
    if w.size == 0 or x.size == 0:
        return assign(out, 0 if bias is None else bias.view((1, bias.size, 1, 1), (0, 1, 0, 0)))
    if _is_pixelwise(x, w, geometry, out.shape[2:]):
        flat, flat_out = _flat(x), _flat(out)
        if flat is not None and flat_out is not None:
            _tap_sum(flat, w, bias, flat_out, geometry, False)
            return out
    _tap_sum(x, w, bias, out, geometry, False)
    return out


def backward_input(g: Array, w: Array, bias: Array | None, out: Array, geometry: Geometry) -> Array:
    """The gradient out (N, C, H, W) of the input of `forward`, from that of its result."""
    if out.size == 0:
        return out
    if w.size == 0 or g.size == 0:
        return assign(out, 0 if bias is None else bias.view((1, bias.size, 1, 1), (0, 1, 0, 0)))
    if _is_pixelwise(g, w, geometry, out.shape[2:]):
        flat, flat_out = _flat(g), _flat(out)
        if flat is not None and flat_out is not None:
            _tap_sum(flat, w, bias, flat_out, geometry, True)
            return out
    _tap_sum(g, w, bias, out, geometry, True)
    return out


def backward_weight(x: Array, g: Array, out: Array, geometry: Geometry) -> Array:
    """The gradient of the weight of `forward`, written into a contiguous array."""
    if out.size == 0:
        return out
    if x.size == 0 or g.size == 0:
        return assign(out, 0)
    if _is_pixelwise(x, out, geometry, g.shape[2:]):
        flat, flat_g = _flat(x), _flat(g)
        if flat is not None and flat_g is not None:
            x, g = flat, flat_g
    if _short(x):
        conv_local.weight_gradient(x, g, out, geometry)
    elif not conv_weight_amx.weight_gradient(x, g, out, geometry):
        conv_weight.weight_gradient(x, g, out, geometry)
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
    sum_parts(parts.view(g.shape[:2], (g.shape[1], 1)), out)
    return out


def _gradient(ctx: Context, i: int, like: Array) -> Array:
    """A contiguous array for an input's gradient: its own place where there is one.

    Of the type that the input had before autocast, so that nothing is rounded twice.
    """
    dtype = (ctx.casts[i] if ctx.casts is not None else None) or like.dtype
    target = ctx.targets[i]
    if target is not None and target.dtype is dtype and target.is_contiguous():
        return target
    return empty(like.device, like.shape, dtype)


def as_planes(x: Array) -> Array:
    """(..., L) seen as (..., 1, L); what has two spatial dimensions as it is."""
    if x.ndim == 4:
        return x
    a, b, length = x.shape
    return x.view((a, b, 1, length), (*x.strides[:2], length * x.strides[2], x.strides[2]))


def _check(name: str, x: Array, others: dict[str, Array | None]) -> None:
    for what, other in others.items():
        if other is not None and other.dtype is not x.dtype:
            raise RuntimeError(f"{name}: the input is {x.dtype.name} and the {what} {other.dtype.name}; they must be "
                               f"of one type: convert one with to(), or use autocast")


class Convolution(Operation):
    """Convolution of x (N, C, H, W) with weight (O, C / groups, kh, kw), plus bias (O,) or None.

    Or of x (N, C, L) with weight (O, C / groups, k): then the first entry of each pair of the geometry is 1 or 0.
    """

    @classmethod
    def forward(cls, ctx: Context, x: Array, weight: Array, bias: Array | None, *, geometry: Geometry,
                size: Shape) -> Array:
        """Convolve; ``size`` is that of the result's spatial dimensions."""
        _check("convolution", x, {"weight": weight, "bias": bias})
        weight = contiguous(weight)
        ctx.save(x, weight)
        ctx.geometry, ctx.bias = geometry, bias
        out = empty(x.device, (x.shape[0], weight.shape[0], *size), x.dtype)
        forward(as_planes(x), as_planes(weight), _bias(bias), as_planes(out), geometry)
        return out

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None, Array | None]:
        """The gradients of input, weight and bias."""
        return _gradients(ctx, g, backward_input, transposed=False)


class TransposedConvolution(Operation):
    """The gradient of a convolution's input as an operation of its own.

    x (N, C, H, W), weight (C, O / groups, kh, kw), bias (O,) or None; or with one spatial dimension.
    """

    @classmethod
    def forward(cls, ctx: Context, x: Array, weight: Array, bias: Array | None, *, geometry: Geometry,
                size: Shape) -> Array:
        """Spread every pixel over a filter's area; ``size`` is that of the result's spatial dimensions."""
        _check("transposed convolution", x, {"weight": weight, "bias": bias})
        weight = contiguous(weight)
        ctx.save(x, weight)
        ctx.geometry, ctx.bias = geometry, bias
        out = empty(x.device, (x.shape[0], weight.shape[1] * geometry.groups, *size), x.dtype)
        backward_input(as_planes(x), as_planes(weight), _bias(bias), as_planes(out), geometry)
        return out

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None, Array | None]:
        """The gradients of input, weight and bias."""
        return _gradients(ctx, g, forward, transposed=True)


class WeightGradient(Operation):
    """The gradient of a convolution's weight as an operation: of x (N, C, ...) and the result's gradient (N, O, ...).

    Only a backward that is recorded needs it.
    """

    @classmethod
    def forward(cls, ctx: Context, x: Array, g: Array, *, geometry: Geometry, shape: Shape) -> Array:
        """The gradient, of the weight's ``shape``."""
        ctx.save(x, g)
        ctx.geometry = geometry
        out = empty(x.device, shape, x.dtype)
        backward_weight(as_planes(x), as_planes(g), as_planes(out), geometry)
        return out

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """It is linear in both: a transposed convolution, and a convolution, with the gradient as the weight."""
        x, given = ctx.saved
        g = contiguous(g)
        gx = ggiven = None
        if ctx.needs[0]:
            gx = backward_input(as_planes(given), as_planes(g), None, as_planes(empty(x.device, x.shape, x.dtype)),
                                ctx.geometry).view(x.shape, contiguous_strides(x.shape))
        if ctx.needs[1]:
            ggiven = forward(as_planes(x), as_planes(g), None, as_planes(empty(x.device, given.shape, x.dtype)),
                             ctx.geometry).view(given.shape, contiguous_strides(given.shape))
        return gx, ggiven


def _gradients(ctx: Context, g: Array, adjoint: Callable[..., Any],
               transposed: bool) -> tuple[Array | None, Array | None, Array | None]:
    """The gradients of input, weight and bias; ``adjoint`` is what the operation's forward is the adjoint of."""
    x, weight = ctx.saved
    gx = gw = gb = None
    if ctx.needs[0]:
        gx = _gradient(ctx, 0, x)
        adjoint(as_planes(g), as_planes(weight), None, as_planes(gx), ctx.geometry)
    if ctx.needs[1]:
        gw = _gradient(ctx, 1, weight)
        wide, narrow = (g, x) if transposed else (x, g)
        backward_weight(as_planes(wide), as_planes(narrow), as_planes(gw), ctx.geometry)
    if ctx.needs[2]:
        gb = backward_bias(as_planes(g), _gradient(ctx, 2, ctx.bias))
    return gx, gw, gb


def _bias(bias: Array | None) -> Array | None:
    """The bias as kernels read it: contiguous, in the type that they compute in."""
    if bias is None:
        return None
    return contiguous(cast(bias, dtypes.float64 if bias.dtype is dtypes.float64 else dtypes.float32))
