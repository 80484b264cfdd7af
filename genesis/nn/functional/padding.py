"""Padding."""

from __future__ import annotations

from collections.abc import Sequence

from ...autograd import apply
from ...complex_numbers import view_as_complex, view_as_real
from ...ops.pad import PadAround
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
        _check(input.shape[axis], axis, before, after, mode)
    if mode == "circular":
        for axis, before, after in pads:
            if before < 0 or after < 0:
                first = max(0, -before)
                input = input.narrow(axis, first, input.shape[axis] - first - max(0, -after))
        pads = [(axis, max(0, before), max(0, after)) for axis, before, after in pads]
    grow = tuple(reversed(pads))
    if input.is_complex():
        return view_as_complex(apply(PadAround, view_as_real(input), pads=grow, mode=mode))
    padded: Tensor = apply(PadAround, input, pads=grow, mode=mode)
    return padded


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


def _check(size: int, axis: int, before: int, after: int, mode: str) -> None:
    """Refuse what one dimension of another mode than constant cannot give."""
    most = size - 1 if mode == "reflect" else size
    if mode != "replicate" and max(before, after) > most:
        raise RuntimeError(f"pad: {max(before, after)} is more than the {most} elements that mode {mode!r} can take "
                           f"from dimension {axis} of size {size}")
    if size + before + after < (mode != "circular"):
        raise RuntimeError(f"pad: {before} and {after} leave nothing of dimension {axis}, of size {size}")
