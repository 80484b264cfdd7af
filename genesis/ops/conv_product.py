"""Convolutions whose filters have one tap, on CPUs: products of the weight's matrix and each image's."""

from __future__ import annotations

import math

from .array import Array, Shape, contiguous_strides, empty
from .conv_axis import Geometry, real_type
from .elementwise import assign, reshaped, run
from .matmul import product

_FEW = 16               # pixels of an image: with fewer, most of a block of the product would be empty


def applies(w: Array, geometry: Geometry, pixels: int) -> bool:
    """Whether the result's pixels are such products, of images of so many pixels.

    Args:
        w: (O, C / groups, kh, kw).
        pixels: of a channel of the convolution's result, or of the gradient of it.
    """
    return w.shape[2:] == (1, 1) and geometry.padding == (0, 0) and pixels >= _FEW and w.shape[1] > 1


def forward(x: Array, w: Array, bias: Array | None, out: Array, geometry: Geometry) -> None:
    """Convolve x (N, C, H, W) into out (N, O, H', W'); w, bias and out are contiguous."""
    seen = _seen(x, geometry, out.shape[2:])
    matrix = _matrix(w, geometry.groups)
    if bias is None:
        _multiply(matrix, seen, out, geometry.groups)
        return
    held = out if out.dtype is bias.dtype else empty(out.device, out.shape, bias.dtype)      # rounded once
    _multiply(matrix, seen, held, geometry.groups)
    run("add", [held, bias.view((1, bias.size, 1, 1), (0, 1, 0, 0))], bias.dtype, out=out)


def backward_input(g: Array, w: Array, out: Array, geometry: Geometry) -> None:
    """Write the gradient of the input of `forward` into out, from that of its result."""
    matrix = _matrix(w, geometry.groups)
    turned = matrix.permute((0, 1, 3, 2))
    seen = _seen(out, geometry, g.shape[2:])
    if seen.shape == out.shape:
        _multiply(turned, g, out, geometry.groups)
        return
    part = empty(out.device, seen.shape, real_type(out.dtype))
    _multiply(turned, g, part, geometry.groups)
    assign(out, 0)
    assign(seen, part)


def _matrix(w: Array, groups: int) -> Array:
    """The weight (O, C / groups, 1, 1) as (1, groups, O / groups, C / groups)."""
    shape = (1, groups, w.shape[0] // groups, w.shape[1])
    return w.view(shape, contiguous_strides(shape))


def _seen(x: Array, geometry: Geometry, size: Shape) -> Array:
    """The pixels of x that the filter meets, ``size`` of them."""
    return x.view((*x.shape[:2], *size), (*x.strides[:2], *(a * b for a, b in zip(x.strides[2:], geometry.stride))))


def _multiply(matrix: Array, x: Array, out: Array, groups: int) -> None:
    """Multiply each image of x (N, C, H, W) into a contiguous array (N, O, H, W)."""
    shape = (x.shape[0], groups, x.shape[1] // groups, math.prod(x.shape[2:]))
    to = (*shape[:2], out.shape[1] // groups, shape[3])
    product(matrix, reshaped(x, shape), out.view(to, contiguous_strides(to)))
