"""Images read at positions of a grid, and grids of affine transformations (Jaderberg et al. 2015, arXiv:1506.02025)."""

from __future__ import annotations

from collections.abc import Sequence

from ...autograd import apply
from ...creation import arange
from ...ops.grid import GridSampler
from ...tensor import Tensor


def grid_sample(input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros",
                align_corners: bool | None = None) -> Tensor:
    """Values of images, or of volumes, at given positions.

    Args:
        input: (N, C, H, W), or (N, C, D, H, W), floating point.
        grid: (N, H', W', 2) of the same type: x and y of each position, -1 being the left or upper edge and 1 the right
            or lower one; or (N, D', H', W', 3): x, y and z. Its gradient is 0 with mode ``"nearest"``.
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
    sampled: Tensor = apply(GridSampler, input, grid, mode=mode, padding=padding_mode, align=bool(align_corners))
    return sampled


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
