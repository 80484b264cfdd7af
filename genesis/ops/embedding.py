"""Looking up rows of a table; the kernels are in ``cl/ops/index.cl``."""

from __future__ import annotations

from .. import dtypes
from .array import Array
from .bounds import Bounds
from .elementwise import assign, cast, contiguous, copy, full, run
from .index import add_rows, places_of, select
from .operation import Context, Operation
from .sparse import SparseRows

BOUNDS = Bounds("embedding")


class Embedding(Operation):
    """Rows of a table (rows, width) at int64 indices of any shape."""

    @classmethod
    def forward(cls, ctx: Context, weight: Array, *, index: Array, padding: int | None, by_frequency: bool) -> Array:
        """Look up."""
        ctx.shape, ctx.padding, ctx.by_frequency = weight.shape, padding, by_frequency
        index = contiguous(cast(index, dtypes.int64))
        ctx.save(index)
        return select(weight, 0, index, BOUNDS)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """Each row gets the sum of its copies' gradients, in a fixed order; the padding row gets none.

        With ``by_frequency`` the mean of them instead of the sum.
        """
        index = ctx.saved[0]
        if ctx.by_frequency:
            ones = full(g.device, (), 1, dtypes.float32).expand((index.size,))
            counts = select(add_rows(ones, (ctx.shape[0],), 0, index, None, BOUNDS), 0, index, BOUNDS)
            g = run("div", [g, counts.view((*counts.shape, 1), (*counts.strides, 0))], g.dtype)
        out = add_rows(g, ctx.shape, 0, index, ctx.targets[0] if ctx.targets else None, BOUNDS)
        if ctx.padding is not None and out.size:
            assign(out.view((ctx.shape[1],), (1,), out.offset + ctx.padding * ctx.shape[1]), 0)
        return out


class SparseEmbedding(Embedding):
    """The same, for a table that is a leaf; its gradient consists of the rows that were looked up."""

    into_targets = False

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> SparseRows:  # type: ignore[override]
        """A row for each index, in the order of the indices; the padding row gets none."""
        if ctx.by_frequency:
            raise RuntimeError("scale_grad_by_freq is not supported with sparse gradients; use sparse=False")
        index = ctx.saved[0]
        rows, *width = ctx.shape
        places = places_of(index, 1, rows, 1, index.size, BOUNDS, ctx.padding) if index.size else copy(index)
        values = copy(g)       # which may be somebody's tensor
        return SparseRows(places.view((index.size,), (1,)), values.view((index.size, *width), (*width, 1)), ctx.shape)
