"""Writing values into rows, with gradients; the kernel is in ``cl/ops/index.cl``."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from .array import Array, contiguous_strides, upload
from .elementwise import copy, full, run
from .index import put, select
from .operation import Context, Operation


class IndexPut(Operation):
    """A copy in which rows of a dimension are other values; of rows with the same index the last wins."""

    @classmethod
    def forward(cls, ctx: Context, x: Array, value: Any, *, axis: int, index: Array) -> Array:
        """Copy and put."""
        ctx.axis = axis
        ctx.save(index)
        out = copy(x)
        rows = (*x.shape[:axis], *index.shape, *x.shape[axis + 1:])
        put(out, axis, index, value if isinstance(value, Array) else full(x.device, (), value, x.dtype).expand(rows))
        return out

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """0 in the rows that were written; to the values the gradient of the rows that hold them."""
        (index,) = ctx.saved
        rest = values = None
        if ctx.needs[0]:
            rest = copy(g)
            rows = (*g.shape[:ctx.axis], *index.shape, *g.shape[ctx.axis + 1:])
            put(rest, ctx.axis, index, full(g.device, (), 0, g.dtype).expand(rows))
        if ctx.needs[1]:
            values = select(g, ctx.axis, index)
            # Which of the values was the last for its row, and is there still.
            order = upload(g.device, np.arange(index.size, dtype=np.int64).reshape(index.shape))
            winner = full(g.device, (g.shape[ctx.axis],), -1, dtypes.int64)
            put(winner, 0, index, order)
            lost = run("ne", [select(winner, 0, index), order], dtypes.bool_, compute="long")
            shape = (*index.shape, *(1,) * (g.ndim - ctx.axis - 1))
            values = run("where", [lost.view(shape, contiguous_strides(shape)), 0.0, values], g.dtype)
        return rest, values
