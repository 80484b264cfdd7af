"""Writing values into rows, with gradients; the kernel is in ``cl/ops/index.cl``."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from .array import Array, contiguous_strides
from .elementwise import copy, full, run
from .index import put, select
from .operation import Context, Operation
from .search import positions


class IndexPut(Operation):
    """A copy in which rows of a dimension are other values; of rows with the same index the last wins.

    With ``join="add"`` the values are added, in a fixed order.
    """

    @classmethod
    def forward(cls, ctx: Context, x: Array, value: Any, *, axis: int, index: Array, join: str = "put") -> Array:
        """Copy and put."""
        ctx.axis, ctx.join = axis, join
        ctx.save(index)
        out = copy(x)
        rows = (*x.shape[:axis], *index.shape, *x.shape[axis + 1:])
        put(out, axis, index, value if isinstance(value, Array) else full(x.device, (), value, x.dtype).expand(rows),
            join)
        return out

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """0 in the rows that were written; to the values the gradient of the rows that hold them."""
        (index,) = ctx.saved
        rest = values = None
        if ctx.join == "add":
            return g if ctx.needs[0] else None, select(g, ctx.axis, index) if ctx.needs[1] else None
        if ctx.needs[0]:
            rest = copy(g)
            rows = (*g.shape[:ctx.axis], *index.shape, *g.shape[ctx.axis + 1:])
            put(rest, ctx.axis, index, full(g.device, (), 0, g.dtype).expand(rows))
        if ctx.needs[1]:
            values = select(g, ctx.axis, index)
            # Which of the values was the last for its row, and is there still.
            order = positions(g.device, index.size).view(index.shape, contiguous_strides(index.shape))
            winner = full(g.device, (g.shape[ctx.axis],), -1, dtypes.int64)
            put(winner, 0, index, order)
            lost = run("ne", [select(winner, 0, index), order], dtypes.bool_, compute="long")
            shape = (*index.shape, *(1,) * (g.ndim - ctx.axis - 1))
            values = run("where", [lost.view(shape, contiguous_strides(shape)), 0.0, values], g.dtype)
        return rest, values
