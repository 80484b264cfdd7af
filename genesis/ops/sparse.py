"""Arrays of which some rows are given and the others are 0: the gradients of tables of which some rows were used."""

from __future__ import annotations

import numpy as np

from .. import dtypes
from ..dtypes import DType
from ..opencl import Device
from .array import Array, Shape, contiguous_strides, download, empty, upload
from .elementwise import assign, cast, copy, full
from .index import add_at_places, joined_rows, select


class SparseRows:
    """Rows of an array of shape (n, ...), whose other rows are 0. Rows that are given more than once are added up.

    Attributes:
        index: their numbers, int64, (count,), contiguous; n for an entry that is none.
        values: (count, ...), contiguous.
        shape: of the whole.
        joined: whether no row is given twice and the numbers rise, but for entries that are none.
    """

    __slots__ = ("_whole", "index", "joined", "shape", "values")

    buffer = None       # one buffer of its own, which could be handed on without a copy: it has two

    def __init__(self, index: Array, values: Array, shape: Shape, joined: bool = False, whole: bool = False):
        self.index = index
        self.values = values
        self.shape = shape
        self.joined = joined
        self._whole = whole      # whether every entry is known to be a row

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self.values.dtype

    @property
    def device(self) -> Device:
        """The device that holds them."""
        return self.values.device

    def copy(self, dtype: DType | None = None) -> SparseRows:
        """The same in memory of its own, of another type if one is given."""
        return SparseRows(copy(self.index), copy(self.values, dtype), self.shape, self.joined, self._whole)

    def replace(self, other: SparseRows) -> None:
        """Become what another one is."""
        self.index, self.values, self.joined, self._whole = other.index, other.values, other.joined, other._whole

    def join(self) -> None:
        """Add up what is given for the same row, and put the rows in order; waits for nothing."""
        if not self.joined and self.index.size:
            self.index, self.values = joined_rows(self.index, self.values, self.shape[0])
            self._whole = False
        self.joined = True

    def drop_gaps(self) -> None:
        """Leave out the entries that are no rows; waits for the device unless it is known that there are none."""
        if not self._whole:
            kept = np.flatnonzero(download(self.index) < self.shape[0])
            if len(kept) < self.index.size:
                at = upload(self.device, kept)
                self.index, self.values = select(self.index, 0, at), select(self.values, 0, at)
        self._whole = True

    def dense(self) -> Array:
        """The whole array."""
        out = full(self.device, self.shape, 0, self.dtype)
        self.add_to(out)
        return out

    def add_to(self, out: Array) -> None:
        """Add the rows to those of a dense array, in place."""
        if out.is_contiguous():
            add_at_places(out, self.index, self.values)
        else:
            total = copy(out)
            add_at_places(total, self.index, self.values)
            assign(out, total)


def add(a: Array | SparseRows, b: Array | SparseRows) -> Array | SparseRows:
    """The sum, as a new array; sparse if both are, and then not yet joined."""
    if isinstance(a, SparseRows) and isinstance(b, SparseRows):
        return joint(a, b)
    if isinstance(a, SparseRows):
        return add(b, a)
    total = copy(a)
    assert isinstance(b, SparseRows)
    b.add_to(total)
    return total


def joint(a: SparseRows, b: SparseRows) -> SparseRows:
    """The entries of both, in the type of the first."""
    return SparseRows(_one_after_the_other(a.index, b.index), _one_after_the_other(a.values, cast(b.values, a.dtype)),
                      a.shape, whole=a._whole and b._whole)


def none_of(rows: SparseRows) -> SparseRows:
    """No rows of an array of the same shape, type and device."""
    shape = (0, *rows.shape[1:])
    return SparseRows(empty(rows.device, (0,), dtypes.int64), empty(rows.device, shape, rows.dtype), rows.shape, True,
                      True)


def _one_after_the_other(a: Array, b: Array) -> Array:
    """Contiguous arrays of rows in one."""
    out = empty(a.device, (a.shape[0] + b.shape[0], *a.shape[1:]), a.dtype)
    for x, at in ((a, 0), (b, a.size)):
        if x.size:
            assign(out.view(x.shape, contiguous_strides(x.shape), at), x)
    return out
