"""Layers that put elements around their input; see `genesis.nn.functional.pad`."""

from __future__ import annotations

from collections.abc import Sequence

from ..tensor import Tensor
from . import functional as F
from .module import Module


class _Pad(Module):
    """What the layers share.

    Args:
        padding: how many elements on every side; or as many numbers as there are sides: before and after the last
            dimension, before and after the one before it, and so on. Negative numbers cut off.
    """

    dims = 0
    mode = ""

    def __init__(self, padding: int | Sequence[int]):
        super().__init__()
        self.padding = (padding,) * 2 * self.dims if isinstance(padding, int) else tuple(padding)

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...), or without N, where the last one, two or three dimensions become larger."""
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        """The padding."""
        return f"{self.padding}"


class _ConstantPad(_Pad):
    """Puts one value around the input.

    Args:
        padding: as for all padding layers.
        value: what to put there.
    """

    def __init__(self, padding: int | Sequence[int], value: float):
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """Any shape, where the last one, two or three dimensions become larger."""
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        """The padding and the value."""
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: int | Sequence[int]):
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        """The padding."""
        return f"{self.padding}"


class _ReflectionPad(_Pad):
    mode = "reflect"


class _ReplicationPad(_Pad):
    mode = "replicate"


class _CircularPad(_Pad):
    mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...), or without N, where the last one, two or three dimensions become larger."""
        if input.ndim not in (self.dims + 1, self.dims + 2):
            raise ValueError(f"{type(self).__name__} takes an input of {self.dims + 1} or {self.dims + 2} dimensions, "
                             f"not of shape {tuple(input.shape)}")
        return super().forward(input)


class ConstantPad1d(_ConstantPad):
    """A value around (N, C, L) or (C, L)."""

    dims = 1


class ConstantPad2d(_ConstantPad):
    """A value around (N, C, H, W) or (C, H, W)."""

    dims = 2


class ConstantPad3d(_ConstantPad):
    """A value around (N, C, D, H, W) or (C, D, H, W)."""

    dims = 3


class ZeroPad1d(_ZeroPad):
    """Zeros around (N, C, L) or (C, L)."""

    dims = 1


class ZeroPad2d(_ZeroPad):
    """Zeros around (N, C, H, W) or (C, H, W)."""

    dims = 2


class ZeroPad3d(_ZeroPad):
    """Zeros around (N, C, D, H, W) or (C, D, H, W)."""

    dims = 3


class ReflectionPad1d(_ReflectionPad):
    """Elements in reverse order, without the outermost, around (N, C, L) or (C, L).

    Example:
        >>> genesis.nn.ReflectionPad1d((2, 1))(genesis.tensor([[0.0, 1.0, 2.0, 3.0]]))
        tensor([[2., 1., 0., 1., 2., 3., 2.]])
    """

    dims = 1


class ReflectionPad2d(_ReflectionPad):
    """Elements in reverse order, without the outermost, around (N, C, H, W) or (C, H, W)."""

    dims = 2


class ReflectionPad3d(_ReflectionPad):
    """Elements in reverse order, without the outermost, around (N, C, D, H, W) or (C, D, H, W)."""

    dims = 3


class ReplicationPad1d(_ReplicationPad):
    """The outermost elements, repeated, around (N, C, L) or (C, L)."""

    dims = 1


class ReplicationPad2d(_ReplicationPad):
    """The outermost elements, repeated, around (N, C, H, W) or (C, H, W)."""

    dims = 2


class ReplicationPad3d(_ReplicationPad):
    """The outermost elements, repeated, around (N, C, D, H, W) or (C, D, H, W)."""

    dims = 3


class CircularPad1d(_CircularPad):
    """The elements of the other end around (N, C, L) or (C, L)."""

    dims = 1


class CircularPad2d(_CircularPad):
    """The elements of the other end around (N, C, H, W) or (C, H, W)."""

    dims = 2


class CircularPad3d(_CircularPad):
    """The elements of the other end around (N, C, D, H, W) or (C, D, H, W)."""

    dims = 3
