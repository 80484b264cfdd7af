"""Padding."""

from __future__ import annotations

from collections.abc import Sequence

from ...autograd import apply
from ...creation import arange
from ...joining import cat
from ...ops.views import Pad
from ...tensor import Tensor

_MODES = ("constant", "reflect", "replicate", "circular")


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Elements around a tensor.

    Args:
        input: any shape; for modes other than ``"constant"``, (C, ...) or (N, C, ...) with 1 to 3 more dimensions.
        pad: how many before and after the last dimension, before and after the one before it, and so on; negative
            numbers cut off.
        mode: ``"constant"``; ``"reflect"``, the elements in reverse order without the outermost; ``"replicate"``, the
            outermost element; ``"circular"``, the elements of the other end.
        value: what to put there with ``"constant"``; 0 by default.

    Example:
        >>> genesis.nn.functional.pad(genesis.tensor([[1.0, 2.0, 3.0]]), (1, 2), mode="reflect")
        tensor([[2., 1., 2., 3., 2., 1.]])
    """
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise RuntimeError(f"pad needs two numbers for each of at most {input.ndim} dimensions, got {tuple(pad)}")
    if mode not in _MODES:
        raise NotImplementedError(f"mode must be one of {_MODES}, not {mode!r}")
    pads = [(input.ndim - 1 - i // 2, int(pad[i]), int(pad[i + 1])) for i in range(0, len(pad), 2)]
    if mode == "constant":
        return _constant(input, pads, 0 if value is None else value)
    if value:
        raise ValueError(f"mode {mode!r} takes no value, got {value}")
    if len(pads) > 3 or not len(pads) + 1 <= input.ndim <= len(pads) + 2:
        raise NotImplementedError(f"mode {mode!r} pads the last 1, 2 or 3 dimensions of a tensor of one or two more, "
                                  f"not {len(pads)} of {input.ndim}")
    for axis, before, after in pads:
        input = _sides(input, axis, before, after, mode)
    return input


def _constant(input: Tensor, pads: list[tuple[int, int, int]], value: float) -> Tensor:
    for axis, before, after in pads:
        size = input.shape[axis]
        if size + before + after < 0:
            raise RuntimeError(f"pad: {before} and {after} leave dimension {axis} of size {size} a negative size")
        if before < 0 or after < 0:
            first = max(0, -before)
            input = input.narrow(axis, first, size - first - max(0, -after))
    grow = tuple((axis, max(0, before), max(0, after)) for axis, before, after in pads)
    if not any(before or after for _, before, after in grow):
        return input.clone()
    return apply(Pad, input, pads=grow, value=value)


def _sides(x: Tensor, axis: int, before: int, after: int, mode: str) -> Tensor:
    """One dimension of another mode than constant."""
    size = x.shape[axis]
    most = size - 1 if mode == "reflect" else size
    if mode != "replicate" and max(before, after) > most:
        raise RuntimeError(f"pad: {max(before, after)} is more than the {most} elements that mode {mode!r} can take "
                           f"from dimension {axis} of size {size}")
    if size + before + after < (mode != "circular"):
        raise RuntimeError(f"pad: {before} and {after} leave nothing of dimension {axis}, of size {size}")
    if mode != "circular" and (before < 0 or after < 0):
        # As in PyTorch, what stands beyond an end comes from the whole dimension, with what is cut off from the other.
        places = arange(-before, size + after, device=x.device)
        if mode == "reflect":
            places = (size - 1) - (places.abs() - (size - 1)).abs()
        selected: Tensor = x.index_select(axis, places.clamp(0, size - 1))
        return selected
    if before < 0 or after < 0:
        first = max(0, -before)
        x = x.narrow(axis, first, size - first - max(0, -after))
        before, after, size = max(0, before), max(0, after), x.shape[axis]
    parts = [x]
    if before:
        parts.insert(0, _side(x, axis, before, mode, True))
    if after:
        parts.append(_side(x, axis, after, mode, False))
    return cat(parts, axis) if len(parts) > 1 else x


def _side(x: Tensor, axis: int, n: int, mode: str, front: bool) -> Tensor:
    size = x.shape[axis]
    if mode == "replicate":
        shape = [*x.shape[:axis], n, *x.shape[axis + 1:]]
        edge: Tensor = x.narrow(axis, 0 if front else size - 1, 1).expand(shape)
        return edge
    if mode == "circular":
        wrapped: Tensor = x.narrow(axis, size - n if front else 0, n)
        return wrapped
    mirrored: Tensor = x.narrow(axis, 1 if front else size - 1 - n, n).flip(axis)
    return mirrored
