"""Adafactor's step for one parameter: the host half of ``cl/optim/adafactor.cl``."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..dtypes import float32, float64
from ..opencl import Buffer
from .array import Array, empty
from .reduce import reduce

_PIECE = 1024        # elements of a row that a work-item sums up


class Settings(NamedTuple):
    """What does not depend on the step, as `genesis.optim.Adafactor` has it; ``decay`` is lr times weight decay."""

    eps1: float
    eps2: float
    d: float
    decay: float


def step(param: Array, grad: Array, row_var: Array | None, col_var: Array, chosen: Buffer, settings: Settings) -> None:
    """Update a parameter and its averages.

    Args:
        param: contiguous, of any shape, and not empty.
        grad: likewise.
        row_var: (..., rows, 1), contiguous; None for a vector.
        col_var: (..., 1, columns); the average of squares of a vector.
        chosen: of two scalars, as ``cl/optim/choose.cl`` writes them: one minus β₂, and ρ.
    """
    wide = param.dtype is float64
    real, f = (float64, "d") if wide else (float32, "f")
    defines: tuple[tuple[str, Any], ...] = (
        ("PARAM", param.dtype.name), ("STATE", col_var.dtype.name), ("FACTORED", int(row_var is not None)),
        ("PIECE", _PIECE), *([("REAL64", 1)] if wide else []))

    def kernel(name: str, signature: str) -> Any:
        return param.device.programs.kernel("optim/adafactor.cl", name, signature, defines)

    average = kernel("average", f"PlPPl{f}P")
    rows, columns = (1, param.size) if row_var is None else param.shape[-2:]
    all_rows = param.size // columns
    if row_var is None:
        row_var = row_mean = col_var                 # in their place; the kernels do not look
        average((col_var.size,), None, col_var.buffer.handle, col_var.offset, col_var.buffer.handle,
                grad.buffer.handle, grad.offset, 1.0, chosen.handle)
    else:
        for target, axis, count in ((row_var, param.ndim - 1, columns), (col_var, param.ndim - 2, rows)):
            squares = reduce("sumsq", grad, (axis,), True, real)
            average((target.size,), None, target.buffer.handle, target.offset, squares.buffer.handle,
                    grad.buffer.handle, grad.offset, float(count), chosen.handle)
        row_mean = reduce("sum", row_var, (param.ndim - 2,), True, real, divisor=rows)
    pieces = -(-columns // _PIECE)
    partial = empty(param.device, (all_rows * pieces,), real)
    common = (rows, columns, row_var.buffer.handle, row_var.offset, col_var.buffer.handle, col_var.offset,
              row_mean.buffer.handle, settings.eps1, chosen.handle)
    kernel("lengths", f"PlllPlPlP{f}PP")((pieces, all_rows), None, grad.buffer.handle, grad.offset, *common,
                                          partial.buffer.handle)
    param_squares, step_squares = reduce("sumsq", param, dtype=real), reduce("sum", partial)
    kernel("adafactor", f"PlPlllPlPlP{f}PPP{f * 4}")(
        (columns, all_rows), None, param.buffer.handle, param.offset, grad.buffer.handle, grad.offset, *common,
        param_squares.buffer.handle, step_squares.buffer.handle, float(param.size), settings.eps2, settings.d,
        settings.decay)
