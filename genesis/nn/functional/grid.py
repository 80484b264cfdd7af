"""Images read at positions of a grid, and grids of affine transformations (Jaderberg et al. 2015, arXiv:1506.02025)."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any

from ... import dtypes
from ...creation import arange
from ...functions import where
from ...tensor import Tensor
from .activation import hardtanh
from .padding import pad

_A = -0.75                   # of the cubic pieces, as in interpolate


def grid_sample(input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros",
                align_corners: bool | None = None) -> Tensor:
    """Values of images, or of volumes, at given positions.

    Args:
        input: (N, C, H, W), or (N, C, D, H, W), floating point.
        grid: (N, H', W', 2) of the same type: x and y of each position, -1 being the left or upper edge and 1 the right
            or lower one; or (N, D', H', W', 3): x, y and z. It takes no gradient with mode ``"nearest"``.
        mode: ``"bilinear"``, in volumes linear along all three axes, ``"nearest"``, or for images ``"bicubic"`` (Keys
            1981, with a = -0.75).
        padding_mode: what lies outside: ``"zeros"``, ``"border"`` (the outermost values) or ``"reflection"``.
        align_corners: whether -1 and 1 are the centres of the outermost elements rather than their outer edges; False
            by default.

    Returns:
        (N, C, H', W'), or (N, C, D', H', W').

    Raises:
        RuntimeError: shapes or types that do not fit, or mode ``"bicubic"`` for volumes.
        ValueError: another mode.

    Example:
        >>> image = genesis.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
        >>> grid = genesis.tensor([[[[-1.0, -1.0], [0.0, 0.0], [1.0, 0.0]]]])
        >>> genesis.nn.functional.grid_sample(image, grid, align_corners=True).flatten().tolist()
        [1.0, 2.5, 3.0]
    """
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(f"mode must be 'bilinear', 'nearest' or 'bicubic', not {mode!r}")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(f"padding_mode must be 'zeros', 'border' or 'reflection', not {padding_mode!r}")
    if input.ndim not in (4, 5) or grid.ndim != input.ndim or grid.shape[0] != input.shape[0] or (
            grid.shape[-1] != input.ndim - 2) or 0 in input.shape[1:]:
        raise RuntimeError("grid_sample needs images (N, C, H, W), not empty, and a grid (N, H', W', 2), or volumes "
                           "(N, C, D, H, W) and a grid (N, D', H', W', 3), not shapes "
                           f"{tuple(input.shape)} and {tuple(grid.shape)}")
    if mode == "bicubic" and input.ndim == 5:
        raise RuntimeError("grid_sample reads volumes with mode 'bilinear' or 'nearest', not 'bicubic'")
    if input.dtype is not grid.dtype or not input.is_floating_point():
        raise RuntimeError(f"grid_sample needs images and a grid of one floating-point type, not {input.dtype} and "
                           f"{grid.dtype}")
    sizes = tuple(reversed(input.shape[2:]))                 # x, the last dimension, comes first
    given: Any = grid.float() if grid.dtype.itemsize == 2 else grid
    align = bool(align_corners)
    places = [_scaled(given.select(-1, i).flatten(1), size, align) for i, size in enumerate(sizes)]     # (N, L) each
    flat = pad(input.flatten(2), (0, 1))                     # and a 0, which is read where there is nothing
    if mode != "bicubic":
        places = [_inside(x, size, padding_mode, align) for x, size in zip(places, sizes)]
    if mode == "nearest":
        result = _read(flat, [x.round() for x in places], sizes)
    elif mode == "bilinear":
        result = _weighted(flat, [_linear(x) for x in places], sizes)
    else:
        result = _weighted(flat, [_cubic(x, size, padding_mode, align) for x, size in zip(places, sizes)], sizes)
    sampled: Tensor = result.to(input.dtype).unflatten(2, tuple(grid.shape[1:-1]))
    return sampled


def _scaled(x: Any, size: int, align_corners: bool) -> Any:
    """Positions from -1 to 1 as indices of elements."""
    return (x + 1) * ((size - 1) / 2) if align_corners else ((x + 1) * size - 1) / 2


def _inside(x: Any, size: int, padding_mode: str, align_corners: bool) -> Any:
    """Positions brought inside, unless there are zeros outside."""
    if padding_mode == "zeros":
        return hardtanh(x, -2, size + 1)                     # infinite ones are as far outside as these
    if padding_mode == "reflection":
        low, span = (0.0, size - 1) if align_corners else (-0.5, size)
        x = _reflected(x - low, span) + low if span else x * 0
    return hardtanh(x, 0, size - 1)


def _linear(x: Any) -> list[tuple[Any, Any]]:
    """The two elements around each position, and their weights."""
    first = x.detach().floor()
    weight = x - first
    return [(first, 1 - weight), (first + 1, weight)]


def _cubic(x: Any, size: int, padding_mode: str, align_corners: bool) -> list[tuple[Any, Any]]:
    """The four elements around each position, each brought inside by itself, and their weights."""
    if padding_mode != "reflection":
        x = hardtanh(x, -3, size + 2)                        # all four are as far outside as from further away
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


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The grid that `grid_sample` takes, of affine transformations.

    Args:
        theta: (N, 2, 3), matrices that take (x, y, 1) of the result to x and y of the image; or (N, 3, 4).
        size: (N, C, H', W') of the result, or (N, C, D', H', W').
        align_corners: whether -1 and 1 are the centres of the outermost elements rather than their outer edges; False
            by default.

    Returns:
        (N, H', W', 2), or (N, D', H', W', 3).

    Raises:
        NotImplementedError: a size of another length.
        ValueError: a matrix that does not fit, or a size that is not positive.

    Example:
        >>> genesis.nn.functional.affine_grid(genesis.eye(2, 3).unsqueeze(0), (1, 1, 1, 2)).tolist()
        [[[[-0.5, 0.0], [0.5, 0.0]]]]
    """
    if not theta.is_floating_point():
        raise ValueError(f"theta must be floating point, not {theta.dtype}")
    n = len(size) - 2
    if n not in (2, 3):
        raise NotImplementedError(f"affine_grid takes a size (N, C, H, W) or (N, C, D, H, W), not {tuple(size)}")
    if tuple(theta.shape[1:]) != (n, n + 1) or theta.ndim != 3:
        raise ValueError(f"a size of {len(size)} numbers needs theta (N, {n}, {n + 1}), not {tuple(theta.shape)}")
    if min(size) <= 0:
        raise ValueError(f"sizes must be positive, not {tuple(size)}")
    if theta.shape[0] != size[0]:
        raise RuntimeError(f"size names {size[0]} images; theta has {theta.shape[0]}")
    columns = theta.reshape(theta.shape[0], *[1] * n, n, n + 1)
    result = columns.select(-1, n)
    for axis, count in enumerate(reversed(size[2:])):                    # x first, along the last dimension
        steps = arange(count, device=theta.device).to(theta.dtype)
        if align_corners:
            line = steps * (2 / (count - 1)) - 1 if count > 1 else steps
        else:
            line = (steps * 2 + (1 - count)) / count
        result = result + line.reshape(-1, *[1] * (axis + 1)) * columns.select(-1, axis)
    grid: Tensor = result
    return grid


__all__ = ["affine_grid", "grid_sample"]
