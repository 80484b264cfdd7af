"""Rule of sampling on grids: the same, put together from simpler operations."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from typing import Any

from .. import dtypes
from ..autograd import apply
from ..ops.grid import GridSampler
from ..ops.views import Pad
from ..tensor import Tensor
from .rules import rule, vjp, where, zeros

_A = -0.75                   # of the cubic pieces, as in interpolate


@rule(GridSampler, saved=(0, 1))
def _grid_sampler(ctx: Any, g: Tensor) -> tuple[Any, ...]:
    mode, padding, align = ctx.options
    gx, gg = vjp(lambda x, grid: _sampled(x, grid, mode, padding, align), ctx.saved, g)
    return gx, zeros(ctx.saved[1]) if gg is None and ctx.needs[1] else gg          # with "nearest"


def _sampled(x: Any, grid: Any, mode: str, padding_mode: str, align: bool) -> Any:
    sizes = tuple(reversed(x.shape[2:]))                     # x, the last dimension, comes first
    given = grid.float() if grid.dtype.itemsize == 2 else grid
    places = [_scaled(given.select(-1, i).flatten(1), size, align) for i, size in enumerate(sizes)]     # (N, L) each
    flat = apply(Pad, x.flatten(2), pads=((2, 0, 1),), value=0)      # and a 0, which is read where there is nothing
    if mode != "bicubic":
        places = [_inside(at, size, padding_mode, align) for at, size in zip(places, sizes)]
    if mode == "nearest":
        result = _read(flat, [at.round() for at in places], sizes)
    elif mode == "bilinear":
        result = _weighted(flat, [_linear(at) for at in places], sizes)
    else:
        result = _weighted(flat, [_cubic(at, size, padding_mode, align) for at, size in zip(places, sizes)], sizes)
    return result.to(x.dtype).unflatten(2, tuple(grid.shape[1:-1]))


def _scaled(x: Any, size: int, align_corners: bool) -> Any:
    """Positions from -1 to 1 as indices of elements."""
    return (x + 1) * ((size - 1) / 2) if align_corners else ((x + 1) * size - 1) / 2


def _inside(x: Any, size: int, padding_mode: str, align_corners: bool) -> Any:
    """Positions brought inside, unless there are zeros outside."""
    if padding_mode == "zeros":
        return _held(x, -2, size + 1)                     # infinite ones are as far outside as these
    if padding_mode == "reflection":
        low, span = (0.0, size - 1) if align_corners else (-0.5, size)
        x = _reflected(x - low, span) + low if span else x * 0
    return _held(x, 0, size - 1)


def _linear(x: Any) -> list[tuple[Any, Any]]:
    """The two elements around each position, and their weights."""
    first = x.detach().floor()
    weight = x - first
    return [(first, 1 - weight), (first + 1, weight)]


def _cubic(x: Any, size: int, padding_mode: str, align_corners: bool) -> list[tuple[Any, Any]]:
    """The four elements around each position, each brought inside by itself, and their weights."""
    if padding_mode != "reflection":
        x = _held(x, -3, size + 2)                        # all four are as far outside as from further away
    first = x.detach().floor()
    t = x - first
    weights = [_outer(t + 1), _inner(t), _inner(1 - t), _outer(2 - t)]
    return [(_inside(first + i, size, padding_mode, align_corners), weight) for i, weight in enumerate(weights, -1)]


def _inner(t: Any) -> Any:
    return ((_A + 2) * t - (_A + 3)) * t * t + 1


def _outer(t: Any) -> Any:
    return ((_A * t - 5 * _A) * t + 8 * _A) * t - 4 * _A


def _reflected(x: Any, span: float) -> Any:
    """Positions on a line between mirrors at 0 and span; slopes are 1 or -1 everywhere."""
    x = where(x.detach() < 0, -x, x)
    turns = (x.detach() / span).floor()
    x = x - turns * span
    return where(turns.remainder(2) == 1, span - x, x)


def _weighted(flat: Any, around: list[list[tuple[Any, Any]]], sizes: tuple[int, ...]) -> Any:
    """Sums of elements near positions, given for each axis as indices with weights."""
    result: Any = None
    for corner in itertools.product(*around):
        weight = functools.reduce(operator.mul, [weight for _, weight in corner])
        term = _read(flat, [x for x, _ in corner], sizes) * weight.unsqueeze(1)
        result = term if result is None else result + term
    return result


def _read(flat: Any, indices: list[Any], sizes: tuple[int, ...]) -> Any:
    """Elements (N, C, L) at indices (N, L) along each axis of images (N, C, H W + 1), the last of which is outside."""
    inside: Any = None
    index: Any = None
    for x, size in zip(reversed(indices), reversed(sizes)):
        here = (x >= 0) & (x < size)
        inside, index = (here, x) if index is None else (inside & here, index * size + x)
    index = where(inside, index, math.prod(sizes)).detach().to(dtypes.int64)
    return flat.gather(2, index.unsqueeze(1).expand(index.shape[0], flat.shape[1], index.shape[1]))


def _held(x: Any, low: float, high: float) -> Any:
    """Numbers brought between two bounds; the slope is 0 there and beyond."""
    return where((x > low) & (x < high), x, x.detach().clamp(low, high))
