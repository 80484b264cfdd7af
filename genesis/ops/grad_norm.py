"""The norm of many gradients together: the host half of ``cl/optim/grad_norm.cl``."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import DType, float32, float64
from ..opencl import CHUNK, Alias, Buffer, Device, Kernel
from .array import Array, empty
from .loss_scale import LossScale

_STREAMS = 2            # chunks that a work-item reads side by side on CPUs


class Gradients(NamedTuple):
    """Gradients in one piece of memory: a flat buffer of an arena with its rows, or one contiguous array.

    Attributes:
        array: the elements.
        rows: one int32 a chunk, -1 for chunks that do not take part; None when all do.
    """

    array: Array
    rows: Buffer | None

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return -(-self.array.size // CHUNK)


def _kind(p: float) -> int:
    return 0 if p == math.inf else int(p) if p in (1, 2) else 3


@functools.cache
def _defines(device: Device, dtype: DType, p: float, real: DType) -> tuple[tuple[str, Any], ...]:
    group = 1 if device.type == "cpu" else 256
    wide = real is float64
    # PoCL 3.1 gives wrong powers of double8, for p that has no case of its own.
    width = 1 if group > 1 or (wide and _kind(p) == 3) else 8 if wide else 16
    defines: tuple[tuple[str, Any], ...] = (
        ("GRAD", dtype.name), ("KIND", _kind(p)), ("GROUP", group), ("WIDTH", width), ("CHUNK", CHUNK),
        ("STREAMS", _STREAMS))
    return (*defines, ("REAL64", 1)) if wide else defines


@functools.cache
def _joining(device: Device, real: DType, p: float, name: str, signature: str) -> tuple[Kernel, int]:
    """A kernel that joins partial sums, and its work-items."""
    defines = _defines(device, real, p, real)
    return device.programs.kernel("optim/grad_norm.cl", name, signature, defines), dict(defines)["GROUP"]


def _letter(real: DType) -> str:
    """The scalar type that is computed in, as kernels' signatures name it."""
    return "d" if real is float64 else "f"


class PartialNorms:
    """The launches that sum up gradients, worked out once for steps that have the same ones.

    Args:
        parts: the gradients, all on one device.
        p: the order of the norm.

    Attributes:
        result: one sum of powers (or maximum) for each chunk of all parts, in float64 if any part is; each run writes
            it anew. None without elements.
    """

    def __init__(self, parts: Sequence[Gradients], p: float):
        self.parts = list(parts)
        self.p = p
        self.result: Array | None = None
        self._launches: list[tuple[Any, ...]] = []
        parts = [part for part in parts if part.array.size]
        if not parts:
            return
        device = parts[0].array.device
        real = float64 if any(part.array.dtype is float64 for part in parts) else float32
        self.result = empty(device, (sum(part.chunks for part in parts),), real)
        at = 0
        for part in parts:
            g = part.array
            defines = _defines(device, g.dtype, p, real)
            group = dict(defines)["GROUP"]
            kernel = device.programs.kernel("optim/grad_norm.cl", "partial_norm", f"PllPiPl{_letter(real)}", defines)
            rows = g.buffer if part.rows is None else part.rows
            self._launches.append((
                kernel, (part.chunks * group if group > 1 else -(-part.chunks // _STREAMS),),
                (group,) if group > 1 else None, g.buffer.handle, g.offset, g.size,
                rows.handle, int(part.rows is not None), self.result.buffer.handle, at, 0.0 if p == math.inf else p))
            at += part.chunks

    def fits(self, parts: Sequence[Gradients], p: float) -> bool:
        """Whether these are the launches for some gradients and an order."""
        return self.p == p and len(parts) == len(self.parts) and all(
            a.array is b.array and a.rows is b.rows for a, b in zip(parts, self.parts))

    def run(self) -> Array | None:
        """Sum up the gradients as they are now; returns `result`."""
        for kernel, *arguments in self._launches:
            kernel(*arguments)
        return self.result


class Finish:
    """The launches that join partial sums and decide about a step on the device, worked out once.

    They write the norm, the clip coefficient and whether to skip.

    Args:
        partial: what `PartialNorms` gave; None counts as a norm of 0.
        control: three floats: factor of the gradients, 1 to skip the step, steps skipped so far (counted up).
        norm: one float: the norm of the gradients without their loss scale.
        p: the order of the norm.

    Attributes:
        partial: as given.
    """

    def __init__(self, partial: Array | None, control: Buffer, norm: Buffer | Alias, p: float):
        device = control.device
        real = float32 if partial is None else partial.dtype
        self.partial = partial
        self._p = p
        self._held = [control, norm, partial]            # whose handles are arguments
        self._joins: list[tuple[Any, ...]] = []
        while partial is not None and partial.size > 4 * CHUNK:
            kernel, group = _joining(device, real, p, "join_norms", "PlP")
            joined = empty(device, (-(-partial.size // CHUNK),), partial.dtype)
            self._joins.append((kernel, (joined.size * group,), (group,), partial.buffer.handle, partial.size,
                                joined.buffer.handle))
            self._held.append(joined)
            partial = joined
        handle, size = (control.handle, 0) if partial is None else (partial.buffer.handle, partial.size)
        self._kernel, group = _joining(device, real, p, "finish_norm", f"PlPP{_letter(real)}fPPi")
        self._control = control.handle
        self._arguments = ((group,), (group,), handle, size, control.handle, norm.handle, 0.0 if p == math.inf else p)

    def fits(self, partial: Array | None, p: float) -> bool:
        """Whether these are the launches for some partial sums of an order."""
        return self.partial is partial and self._p == p

    def run(self, max_norm: float, loss_scale: LossScale | None = None) -> None:
        """Enqueue them.

        Args:
            max_norm: limit of the norm; infinite for none.
            loss_scale: the scale that the gradients carry, or that they were freed of before.
        """
        for kernel, *arguments in self._joins:
            kernel(*arguments)
        scale = checked = self._control
        scaling = 0
        if loss_scale is not None:
            scale, scaling = loss_scale.buffer.handle, 1
            if loss_scale.checked is not None:
                checked, scaling = loss_scale.checked.handle, 2
        self._kernel(*self._arguments, max_norm, scale, checked, scaling)


def join_on_host(partials: Sequence[np.ndarray], p: float) -> float:
    """The norm from the partial sums of all devices and types, joined in float64."""
    joined = np.concatenate([np.zeros(1), *(x.astype(np.float64).ravel() for x in partials)])
    if p == math.inf:
        return float(joined.max())       # a NaN stays
    return float(joined.sum() ** (1 / p))


def scale(parts: Sequence[Gradients], factor: float, bound: float = math.inf) -> None:
    """Multiply gradients by a factor and limit them to [-bound, bound], in place."""
    for part in parts:
        g = part.array
        if g.size:
            kernel = g.device.programs.kernel("optim/grad_norm.cl", "scale", f"PllPi{_letter(g.dtype) * 2}",
                                              _defines(g.device, g.dtype, 2, g.dtype))
            rows = g.buffer if part.rows is None else part.rows
            local = 256
            kernel((-(-g.size // local) * local,), (local,), g.buffer.handle, g.offset, g.size, rows.handle,
                   int(part.rows is not None), factor, bound)
            g.version.count += 1
