"""Layers that change the size of images."""

from __future__ import annotations

from collections.abc import Sequence

from ..tensor import Tensor
from . import functional as F
from .module import Module


class Upsample(Module):
    """An input at another size: (N, C, L) -> (N, C, L'), and so with (N, C, H, W) and (N, C, D, H, W).

    Args:
        size: that of the spatial dimensions of the result. Either this or
        scale_factor: what their sizes are multiplied by.
        mode: ``"nearest"``, ``"linear"``, ``"bilinear"``, ``"bicubic"``, ``"trilinear"`` and others; see
            `functional.interpolate`.
        align_corners: whether the centres of the outermost elements stay where they are.
        recompute_scale_factor: whether to take the ratio of the sizes for the distance of elements.

    Example:
        >>> genesis.nn.Upsample(scale_factor=2, mode="bilinear")(genesis.zeros(1, 3, 8, 8)).shape
        genesis.Size([1, 3, 16, 16])
    """

    def __init__(self, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None,
                 mode: str = "nearest", align_corners: bool | None = None,
                 recompute_scale_factor: bool | None = None):
        super().__init__()
        self.size, self.mode = size, mode
        self.scale_factor = tuple(map(float, scale_factor)) if isinstance(scale_factor, Sequence) else (
            None if scale_factor is None else float(scale_factor))
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, L) -> (N, C, L'), (N, C, H, W) -> (N, C, H', W') or (N, C, D, H, W) -> (N, C, D', H', W')."""
        return F.interpolate(input, self.size, self.scale_factor, self.mode, self.align_corners,
                             self.recompute_scale_factor)

    def extra_repr(self) -> str:
        """The size and the mode."""
        size = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        return f"{size}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """`Upsample` of (N, C, H, W) to the nearest element.

    Args:
        size: (H', W'), or one number for both. Either this or
        scale_factor: what their sizes are multiplied by.
    """

    def __init__(self, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None):
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """`Upsample` of (N, C, H, W) by linear interpolation, with ``align_corners=True``.

    Args:
        size: (H', W'), or one number for both. Either this or
        scale_factor: what their sizes are multiplied by.
    """

    def __init__(self, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None):
        super().__init__(size, scale_factor, "bilinear", True)


class PixelShuffle(Module):
    """Channels spread over larger images: (..., C * r * r, H, W) -> (..., C, H * r, W * r).

    Args:
        upscale_factor: r.

    Example:
        >>> genesis.nn.PixelShuffle(3)(genesis.zeros(1, 9, 4, 4)).shape
        genesis.Size([1, 1, 12, 12])
    """

    def __init__(self, upscale_factor: int):
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """(..., C * r * r, H, W) -> (..., C, H * r, W * r)."""
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """The converse of `PixelShuffle`: (..., C, H * r, W * r) -> (..., C * r * r, H, W).

    Args:
        downscale_factor: r.
    """

    def __init__(self, downscale_factor: int):
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """(..., C, H * r, W * r) -> (..., C * r * r, H, W)."""
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Channels in another order: (N, C, ...) -> (N, C, ...); see `genesis.nn.functional.channel_shuffle`.

    Args:
        groups: divides C.
    """

    def __init__(self, groups: int):
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...), unchanged in shape."""
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        """The number of groups."""
        return f"groups={self.groups}"
