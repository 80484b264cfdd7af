"""Images read at positions of a grid, and grids of affine transformations (Jaderberg et al. 2015, arXiv:1506.02025)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ... import dtypes
from ...creation import arange
from ...functions import where
from ...tensor import Tensor
from .activation import hardtanh
from .padding import pad


def grid_sample(input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros",
                align_corners: bool | None = None) -> Tensor:
    """Values of images at given positions.

    Args:
        input: (N, C, H, W), floating point.
        grid: (N, H', W', 2) of the same type: x and y of each position, -1 being the left or upper edge and 1 the right
            or lower one. It takes no gradient with mode ``"nearest"``.
        mode: ``"bilinear"`` or ``"nearest"``.
        padding_mode: what lies outside: ``"zeros"``, ``"border"`` (the outermost values) or ``"reflection"``.
        align_corners: whether -1 and 1 are the centres of the outermost elements rather than their outer edges; False
            by default.

    Returns:
        (N, C, H', W').

    Raises:
        NotImplementedError: mode ``"bicubic"``, and volumes (N, C, D, H, W).
        RuntimeError: shapes or types that do not fit.
        ValueError: another mode.

    Example:
        >>> image = genesis.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
        >>> grid = genesis.tensor([[[[-1.0, -1.0], [0.0, 0.0], [1.0, 0.0]]]])
        >>> genesis.nn.functional.grid_sample(image, grid, align_corners=True).flatten().tolist()
        [1.0, 2.5, 3.0]
    """
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(f"mode must be 'bilinear' or 'nearest', not {mode!r}")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(f"padding_mode must be 'zeros', 'border' or 'reflection', not {padding_mode!r}")
    if mode == "bicubic" or input.ndim == 5:
        raise NotImplementedError("grid_sample reads images (N, C, H, W) with mode 'bilinear' or 'nearest' only")
    if input.ndim != 4 or grid.ndim != 4 or grid.shape[0] != input.shape[0] or grid.shape[3] != 2 or (
            0 in input.shape[1:]):
        raise RuntimeError(f"grid_sample needs images (N, C, H, W), not empty, and a grid (N, H', W', 2), not shapes "
                           f"{tuple(input.shape)} and {tuple(grid.shape)}")
    if input.dtype is not grid.dtype or not input.is_floating_point():
        raise RuntimeError(f"grid_sample needs images and a grid of one floating-point type, not {input.dtype} and "
                           f"{grid.dtype}")
    height, width = input.shape[2:]
    places: Any = grid.float() if grid.dtype.itemsize == 2 else grid
    x, y = (_position(places.select(3, i).flatten(1), size, padding_mode, bool(align_corners))
            for i, size in enumerate((width, height)))                                          # (N, H' W') each
    flat = pad(input.flatten(2), (0, 1))                     # and a 0, which is read where there is nothing
    result: Any
    if mode == "nearest":
        result = _read(flat, x.round(), y.round(), height, width)
    else:
        left, top = x.detach().floor(), y.detach().floor()
        right, bottom = x - left, y - top                    # the weights of the elements there
        result = (_read(flat, left, top, height, width) * ((1 - right) * (1 - bottom)).unsqueeze(1)
                  + _read(flat, left + 1, top, height, width) * (right * (1 - bottom)).unsqueeze(1)
                  + _read(flat, left, top + 1, height, width) * ((1 - right) * bottom).unsqueeze(1)
                  + _read(flat, left + 1, top + 1, height, width) * (right * bottom).unsqueeze(1))
    sampled: Tensor = result.to(input.dtype).unflatten(2, tuple(grid.shape[1:3]))
    return sampled


def _position(x: Any, size: int, padding_mode: str, align_corners: bool) -> Any:
    """Positions from -1 to 1 as indices of elements, brought inside unless there are zeros outside."""
    x = (x + 1) * ((size - 1) / 2) if align_corners else ((x + 1) * size - 1) / 2
    if padding_mode == "zeros":
        return hardtanh(x, -2, size + 1)                     # infinite ones are as far outside as these
    if padding_mode == "reflection":
        low, span = (0.0, size - 1) if align_corners else (-0.5, size)
        x = _reflected(x - low, span) + low if span else x * 0
    return hardtanh(x, 0, size - 1)


def _reflected(x: Any, span: float) -> Any:
    """Positions on a line between mirrors at 0 and span; slopes are 1 or -1 everywhere."""
    x = where(x.detach() < 0, -x, x)
    turns = (x.detach() / span).floor()
    x = x - turns * span
    return where(turns.remainder(2) == 1, span - x, x)


def _read(flat: Any, x: Any, y: Any, height: int, width: int) -> Any:
    """Elements (N, C, L) at columns and rows (N, L) of images (N, C, H W + 1), the last of which is for all outside."""
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    index = where(inside, y * width + x, height * width).detach().to(dtypes.int64)
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
