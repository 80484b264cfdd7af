"""Images of other sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ...autograd import apply, casting
from ...dtypes import float32, float64
from ...ops.resize import Axis, Resize
from ...tensor import Tensor, tensor
from .pooling import adaptive_avg_pool1d, adaptive_avg_pool2d
from .pooling3d import adaptive_avg_pool3d

_MODES = {"nearest": (1, 2, 3), "nearest-exact": (1, 2, 3), "linear": (1,), "bilinear": (2,), "bicubic": (2,),
          "trilinear": (3,), "area": (1, 2, 3)}
_CORNERS = ("linear", "bilinear", "bicubic", "trilinear")
_AREA = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}


def interpolate(input: Tensor, size: int | Sequence[int] | None = None,
                scale_factor: float | Sequence[float] | None = None, mode: str = "nearest",
                align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
                antialias: bool = False) -> Tensor:
    """An input at another size, larger or smaller.

    Args:
        input: (N, C, L), (N, C, H, W) or (N, C, D, H, W), floating.
        size: that of the spatial dimensions of the result, a number for all or one each. Either this or
        scale_factor: what their sizes are multiplied by, rounded down.
        mode: ``"nearest"`` (as PyTorch and OpenCV have it, half an element off), ``"nearest-exact"``, ``"linear"`` for
            (N, C, L), ``"bilinear"`` or ``"bicubic"`` for (N, C, H, W), ``"trilinear"`` for (N, C, D, H, W), or
            ``"area"``, the mean of what is covered.
        align_corners: for the linear and cubic modes, whether the centres of the outermost elements stay where they
            are, rather than their outer edges; False by default.
        recompute_scale_factor: whether to take the ratio of the sizes for the distance of elements instead of the
            scale factor, which differs where sizes are rounded.
        antialias: for ``"bilinear"`` and ``"bicubic"``, let an element of a smaller result average over all that it
            covers, as Pillow does.

    Returns:
        (N, C, L'), (N, C, H', W') or (N, C, D', H', W').

    Raises:
        ValueError: not exactly one of size and scale_factor; as many of them as there are no dimensions; align_corners
            or antialias with a mode that has none.
        NotImplementedError: a mode that does not go with the dimensions.

    Example:
        >>> genesis.nn.functional.interpolate(genesis.tensor([[[1.0, 2.0]]]), scale_factor=2, mode="linear")
        tensor([[[1.  , 1.25, 1.75, 2.  ]]])
    """
    n = input.ndim - 2
    if mode not in _MODES or n not in _MODES[mode]:
        raise NotImplementedError(f"interpolate: mode {mode!r} does not go with an input of {input.ndim} dimensions; "
                                  f"modes by number of spatial dimensions: {_MODES}")
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"interpolate needs floating numbers, not {input.dtype.name}: convert to float32")
    if align_corners is not None and mode not in _CORNERS:
        raise ValueError(f"align_corners only goes with the modes {', '.join(_CORNERS)}, not {mode!r}")
    if antialias and mode not in _FILTERS:
        raise ValueError(f"antialias only goes with the modes {', '.join(_FILTERS)}, not {mode!r}")
    before = tuple(input.shape)[2:]
    after, factors = _sizes(before, size, scale_factor, bool(recompute_scale_factor))
    if 0 in before or min(after) < 1:
        raise RuntimeError(f"interpolate: sizes must be at least 1, not {before} before and {after} after")
    if mode == "area":
        averaged: Tensor = _AREA[n](input, after)
        return averaged
    rule = {"bilinear": "linear", "bicubic": "cubic", "trilinear": "linear"}.get(mode, mode)
    axes = [_kept(1)] * (2 - n)
    scales = []
    for inputs, outputs, factor in zip(before, after, factors):
        scale = 1 / factor if factor else inputs / outputs
        if align_corners:
            scale = (inputs - 1) / (outputs - 1) if outputs > 1 else 0.0
        scales.append(scale)
        axes.append(Axis(rule, inputs, outputs, scale, bool(align_corners)))
    if antialias:
        return _averaged(input, [_covering(mode, *args) for args in zip(before, after, scales)])
    if n < 3:
        return apply(Resize, input, axes=tuple(axes))
    planes = apply(Resize, input.flatten(1, 2), axes=tuple(axes[1:])).unflatten(1, input.shape[1:3])
    lines = apply(Resize, planes.flatten(3), axes=(axes[0], _kept(after[1] * after[2])))
    volumes: Tensor = lines.unflatten(3, after[1:])
    return volumes


def _covering(mode: str, inputs: int, outputs: int, scale: float) -> np.ndarray:
    """What each of a dimension's elements gives to each of the result's, (outputs, inputs)."""
    reach, weight = _FILTERS[mode]
    wide = max(scale, 1.0)
    centre = scale * (np.arange(outputs) + 0.5)[:, None]
    place = np.arange(inputs)[None]
    first = np.maximum((centre - reach * wide + 0.5).astype(int), 0)
    last = np.minimum((centre + reach * wide + 0.5).astype(int), inputs)
    given = np.where((place >= first) & (place < last), weight(np.abs(place - centre + 0.5) / wide), 0.0)
    normed: np.ndarray = given / given.sum(1, keepdims=True)
    return normed


def _averaged(input: Tensor, given: list[np.ndarray]) -> Tensor:
    """(N, C, H, W) with the weights of rows and of columns applied, in float32 at least."""
    wide = input.to(float64 if input.dtype is float64 else float32)
    rows, columns = (tensor(w, dtype=wide.dtype, device=input.device) for w in given)
    before = casting.enter((False, *casting.setting()[1:]))          # autocast has no part in it
    try:
        result: Tensor = (rows @ (wide @ columns.mT)).to(input.dtype)
    finally:
        casting.leave(before)
    return result


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution with a = -1/2."""
    return np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0.0))


# By mode: how far a filter reaches from its centre, and its weights by the distance.
_FILTERS: dict[str, tuple[float, Callable[[np.ndarray], np.ndarray]]] = {
    "bilinear": (1.0, lambda x: np.maximum(1 - x, 0)), "bicubic": (2.0, _cubic)}


def _kept(size: int) -> Axis:
    """A dimension whose size stays."""
    return Axis("nearest", size, size, 1.0, False)


def upsample(input: Tensor, size: int | Sequence[int] | None = None,
             scale_factor: float | Sequence[float] | None = None, mode: str = "nearest",
             align_corners: bool | None = None) -> Tensor:
    """The older name of `interpolate`."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: int | Sequence[int] | None = None,
                     scale_factor: float | Sequence[float] | None = None) -> Tensor:
    """`interpolate` with mode ``"nearest"``."""
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Tensor, size: int | Sequence[int] | None = None,
                      scale_factor: float | Sequence[float] | None = None) -> Tensor:
    """`interpolate` with mode ``"bilinear"`` and ``align_corners=True``."""
    return interpolate(input, size, scale_factor, "bilinear", True)


def _sizes(before: tuple[int, ...], size: int | Sequence[int] | None, scale_factor: float | Sequence[float] | None,
           recompute: bool) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The result's sizes, and the factors that positions are computed with: 0 for the ratio of the sizes."""
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate takes either size or scale_factor")
    n = len(before)
    if size is not None:
        if recompute:
            raise ValueError("recompute_scale_factor only goes with scale_factor")
        sizes = (size,) * n if isinstance(size, int) else tuple(size)
        if len(sizes) != n:
            raise ValueError(f"size {sizes} is not one number or {n}")
        return sizes, (0.0,) * n
    assert scale_factor is not None
    factors = (scale_factor,) * n if isinstance(scale_factor, (int, float)) else tuple(scale_factor)
    if len(factors) != n:
        raise ValueError(f"scale_factor {factors} is not one number or {n}")
    sizes = tuple(math.floor(b * float(f)) for b, f in zip(before, factors))
    return sizes, (0.0,) * n if recompute else tuple(float(f) for f in factors)


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Channels spread over larger images (Shi et al. 2016, "Real-time single image and video super-resolution").

    Args:
        input: (..., C * r * r, H, W).
        upscale_factor: r.

    Returns:
        (..., C, H * r, W * r), whose element (c, h * r + i, w * r + j) was (c * r * r + i * r + j, h, w).

    Example:
        >>> genesis.nn.functional.pixel_shuffle(genesis.arange(8.0).view(4, 1, 2), 2)
        tensor([[[0., 2., 1., 3.],
                 [4., 6., 5., 7.]]])
    """
    r = _factor("pixel_shuffle", input, upscale_factor)
    *lead, channels, height, width = input.shape
    if channels % (r * r):
        raise RuntimeError(f"pixel_shuffle: {channels} channels are no multiple of upscale_factor ** 2 = {r * r}")
    c = channels // (r * r)
    n = len(lead)
    split = input.reshape(*lead, c, r, r, height, width)
    return split.permute(*range(n), n, n + 3, n + 1, n + 4, n + 2).reshape(*lead, c, height * r, width * r)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """The converse of `pixel_shuffle`.

    Args:
        input: (..., C, H * r, W * r).
        downscale_factor: r.

    Returns:
        (..., C * r * r, H, W).
    """
    r = _factor("pixel_unshuffle", input, downscale_factor)
    *lead, c, height, width = input.shape
    if height % r or width % r:
        raise RuntimeError(f"pixel_unshuffle: {height} x {width} are no multiples of downscale_factor = {r}")
    n = len(lead)
    split = input.reshape(*lead, c, height // r, r, width // r, r)
    return split.permute(*range(n), n, n + 2, n + 4, n + 1, n + 3).reshape(*lead, c * r * r, height // r, width // r)


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Channels in another order, those of each group spread over all groups (Zhang et al. 2017, arXiv:1707.01083).

    Args:
        input: (N, C, ...), at least three dimensions.
        groups: g, which divides C.

    Returns:
        The same shape, whose channel ``j * g + i`` was ``i * C / g + j``.

    Raises:
        RuntimeError: an input of fewer dimensions, or groups that do not divide its channels.

    Example:
        >>> genesis.nn.functional.channel_shuffle(genesis.arange(6.0).view(1, 6, 1), 2).flatten().tolist()
        [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    """
    if input.ndim < 3:
        raise RuntimeError(f"channel_shuffle needs an input (N, C, ...) of at least 3 dimensions, not of shape "
                           f"{tuple(input.shape)}")
    channels = input.shape[1]
    if groups < 1 or channels % groups:
        raise RuntimeError(f"channel_shuffle: groups must divide the number of channels, {channels}; it is {groups}")
    return input.unflatten(1, (groups, channels // groups)).transpose(1, 2).flatten(1, 2)


def _factor(name: str, input: Tensor, factor: int) -> int:
    if input.ndim < 3:
        raise RuntimeError(f"{name} needs an input of at least 3 dimensions, not {input.ndim}")
    if factor < 1:
        raise RuntimeError(f"{name}: the factor must be at least 1, not {factor}")
    return factor
