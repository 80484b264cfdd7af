"""Sums and means of bags of rows: the host half of ``cl/ops/bags.cl``."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from .array import Array, empty
from .bounds import Bounds, launch
from .elementwise import assign, cast, contiguous, full, run
from .embedding import Embedding, SparseEmbedding
from .index import select
from .operation import Context, Operation
from .search import belongs, positions

_BOUNDS = Bounds("embedding_bag")
_NONE = -1 << 63      # no index is


class EmbeddingBag(Operation):
    """Sums, or means, of the rows of a table (rows, width) that bags of indices name.

    The indices are (bags, n), or (n,) with ``offsets``, where the bags begin; ``ended`` says that the last one of these
    is where the last bag ends. The index ``padding`` counts for nothing.
    """

    @classmethod
    def forward(cls, ctx: Context, weight: Array, *, index: Array, offsets: Array | None, ended: bool, mean: bool,
                padding: int | None, sparse: bool) -> Array:
        """Look up and add."""
        weight, index = contiguous(weight), contiguous(cast(index, dtypes.int64))
        offsets = None if offsets is None else contiguous(cast(offsets, dtypes.int64))
        ctx.shape, ctx.padding, ctx.by_frequency, ctx.sparse, ctx.mean = weight.shape, padding, False, sparse, mean
        ctx.options = {"index": index, "offsets": offsets, "ended": ended, "mean": mean, "padding": padding,
                       "sparse": sparse}
        bags = index.shape[0] if offsets is None else offsets.size - ended
        real = dtypes.float64 if weight.dtype is dtypes.float64 else dtypes.float32
        counts = empty(weight.device, (bags, 1), real)
        ctx.save(index, offsets, counts)
        out = empty(weight.device, (bags, weight.shape[1]), weight.dtype)
        if out.size:
            _sum(weight, index, offsets, out, counts, mean, padding)
        return out

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Any:
        """The gradient of the table, added in a fixed order; the rows that were looked up where it is sparse."""
        return (SparseEmbedding if ctx.sparse else Embedding).backward(ctx, cls.of_rows(ctx, g))

    @classmethod
    def of_rows(cls, ctx: Context, g: Array) -> Array:
        """The gradient of each row that was looked up, (..., width) for indices (...)."""
        index, offsets, counts = ctx.saved
        if ctx.mean:
            g = run("div", [g, counts], g.dtype)
        shape = (*index.shape, g.shape[1])
        if offsets is None:
            return g.view(shape, (g.strides[0], 0, g.strides[1]))
        if not index.size or not g.size:
            return full(g.device, shape, 0, g.dtype)
        if g.shape[0] < offsets.size:            # indices after the end of the last bag are in none
            longer = full(g.device, (offsets.size, g.shape[1]), 0, g.dtype)
            assign(longer.view(g.shape, longer.strides), g)
            g = longer
        found = belongs(offsets, positions(g.device, index.size), True)
        return select(g, 0, run("sub", [found, 1], dtypes.int64, compute="long"), _BOUNDS)


def _sum(weight: Array, index: Array, offsets: Array | None, out: Array, counts: Array, mean: bool,
         padding: int | None) -> None:
    device, (bags, width) = weight.device, out.shape
    lanes = 16 if device.type == "cpu" and width % 16 == 0 else 1
    defines: tuple[tuple[str, Any], ...] = (("TYPE", weight.dtype.name), ("WIDTH", lanes))
    if weight.dtype is dtypes.float64:
        defines += (("REAL64", 1),)
    if mean:
        defines += (("MEAN", 1),)
    kernel = device.programs.kernel("ops/bags.cl", "sum_bags", "PlPlPlPPllllllPil", defines)
    starts = index if offsets is None else offsets
    launch(kernel, (width // lanes, bags), None, weight.buffer.handle, weight.offset, index.buffer.handle,
           index.offset, starts.buffer.handle, starts.offset, out.buffer.handle, counts.buffer.handle,
           weight.shape[0], width, index.shape[1] if offsets is None else -1, starts.shape[0], index.size,
           _NONE if padding is None else padding, bounds=_BOUNDS, n=weight.shape[0])
