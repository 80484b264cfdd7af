"""Taking and writing elements at indices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..autograd import apply, same_device
from ..ops import elementwise as ew
from ..ops import index as ops
from ..ops import scatter as scattering
from ..ops import search
from ..ops.array import broadcast_shapes, normalize_axis
from ..ops.bounds import Bounds
from .support import Methods, plain

if TYPE_CHECKING:
    from ..tensor import Tensor


def _indices(x: Any, index: Any, name: str) -> Any:
    if not hasattr(index, "_array") or index.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(f"{name}() needs an index tensor of int64 or int32, not {getattr(index, 'dtype', index)!r}")
    same_device(x, index)
    return index._array


class Selection(Methods):
    """Taking and writing elements at indices."""

    __slots__ = ()
    FUNCTIONS = ("argwhere gather index_add index_copy index_fill index_put index_reduce index_select masked_scatter "
                 "masked_select nonzero put scatter scatter_add scatter_reduce take take_along_dim")
    IN_PLACE = "index_add index_copy index_fill index_reduce masked_scatter put scatter scatter_add scatter_reduce"

    def _along(self, dim: int, index: Any, name: str) -> tuple[Any, int, Any]:
        """The tensor, the dimension and the index of an operation along a dimension; 0-d ones as 1-d."""
        array = _indices(self, index, name)
        axis = normalize_axis(dim, self.ndim)
        x: Any = self
        if not self.ndim and array.ndim <= 1:
            x, array = self.reshape(1), array.view((array.size,), (1,)) if array.ndim == 0 else array
        elif self.ndim == 1 and array.ndim == 0:
            array = array.view((1,), (1,))
        if array.ndim != x.ndim:
            raise RuntimeError(f"{name}() needs an index with as many dimensions as the tensor, {x.ndim}, not "
                               f"{array.ndim}")
        if any(a != axis and n > m for a, (n, m) in enumerate(zip(array.shape, x._array.shape))) and array.size:
            raise RuntimeError(f"{name}(): an index of shape {array.shape} is larger than the tensor, of shape "
                               f"{x._array.shape}, apart from dimension {axis}")
        return x, axis, array

    def gather(self, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Any:
        """Elements at ``index`` along a dimension: ``out[i][j] = x[index[i][j]][j]`` for ``dim=0``.

        Args:
            dim: the dimension.
            index: int64 or int32, of the tensor's number of dimensions; the result has its shape. Its sizes apart from
                ``dim`` are at most the tensor's.
            sparse_grad: accepted for PyTorch's sake; gradients are dense.

        Raises:
            DeviceIndexError: an index is not in [0, size); see there for when.
        """
        x, axis, array = self._along(dim, index, "gather")
        y = apply(ops.Gather, x, axis=axis, index=array, bounds=Bounds("gather"))
        return y if index.ndim else y.reshape(())

    def take_along_dim(self, indices: Tensor, dim: int | None = None) -> Any:
        """As `gather`, with the other dimensions broadcast; negative indices count from the end.

        Without ``dim``, indices are positions in the flattened tensor.
        """
        array = _indices(self, indices, "take_along_dim")
        if dim is None:
            return self.reshape(-1).take_along_dim(indices.reshape(-1), 0)
        axis = normalize_axis(dim, self.ndim)
        if array.ndim != self.ndim:
            raise RuntimeError(f"take_along_dim() needs as many dimensions in both tensors, not {self.ndim} and "
                               f"{array.ndim}")
        mine, its = list(self._array.shape), list(array.shape)
        mine[axis] = its[axis] = 1
        common = list(broadcast_shapes(tuple(mine), tuple(its)))
        mine, its = list(common), list(common)
        mine[axis], its[axis] = self._array.shape[axis], array.shape[axis]
        return apply(ops.Gather, self.expand(*mine), axis=axis, index=array.expand(tuple(its)),
                     bounds=Bounds("take_along_dim", True))

    def take(self, index: Tensor) -> Any:
        """Elements at positions in the flattened tensor, in the index's shape; negative ones count from the end."""
        array = _indices(self, index, "take")
        return apply(ops.IndexSelect, self.reshape(-1), axis=0, index=array, bounds=Bounds("take", True))

    def index_select(self, dim: int, index: Tensor) -> Any:
        """Rows of a dimension at ``index``, a vector or a 0-d tensor with values in [0, size).

        Raises:
            DeviceIndexError: an index is out of range; see there for when.
        """
        x, axis, array = self._rows(dim, index, "index_select")
        y = apply(ops.IndexSelect, x, axis=axis, index=array, bounds=Bounds("index_select"))
        return y if self.ndim else y.reshape(())

    def _rows(self, dim: int, index: Any, name: str) -> tuple[Any, int, Any]:
        array = _indices(self, index, name)
        axis = normalize_axis(dim, self.ndim)
        if array.ndim > 1:
            raise IndexError(f"{name}() needs a vector of indices, not {array.ndim} dimensions")
        x: Any = self if self.ndim else self.reshape(1)
        array = ew.contiguous(ew.cast(array, dtypes.int64)).view((array.size,), (1,))
        return x, axis, array

    def index_add(self, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Any:
        """The tensor with rows of ``source``, times ``alpha``, added to its rows at ``index``; equal indices add up.

        Sums are formed in a fixed order: they repeat bit for bit.

        Raises:
            RuntimeError: shapes or types do not fit.
            DeviceIndexError: an index is out of range; see there for when.
        """
        x, axis, array = self._rows(dim, index, "index_add")
        return self._join_rows(x, axis, array, source, "add", "index_add", RuntimeError, alpha)

    def index_copy(self, dim: int, index: Tensor, source: Tensor) -> Any:
        """The tensor with its rows at ``index`` replaced by those of ``source``; the last of equal indices wins."""
        x, axis, array = self._rows(dim, index, "index_copy")
        return self._join_rows(x, axis, array, source, "put", "index_copy", IndexError)

    def _join_rows(self, x: Any, axis: int, array: Any, source: Any, join: str, name: str, error: type[Exception],
                   scale: float = 1) -> Any:
        if source.dtype is not self.dtype:
            raise RuntimeError(f"{name}() needs a source of the tensor's type {self.dtype}, not {source.dtype}")
        shape = x._array.shape
        wanted = (*shape[:axis], array.size, *shape[axis + 1:])
        if source.ndim < x.ndim and array.size == 1 and x.ndim == 1:
            source = source.reshape(1)
        if source.shape != wanted:
            raise error(f"{name}() needs a source of shape {wanted}, not {tuple(source.shape)}")
        y = apply(scattering.Joined, x, source, axis=axis, index=array, join=join, rows=True, scale=scale,
                  bounds=Bounds(name))
        return y if self.ndim else y.reshape(())

    def index_fill(self, dim: int, index: Tensor, value: Any) -> Any:
        """The tensor with its rows at ``index`` set to a number or 0-d tensor; negative indices count from the end."""
        x, axis, array = self._rows(dim, index, "index_fill")
        if hasattr(value, "_array"):
            if value.ndim:
                raise RuntimeError(f"index_fill() needs a number or a 0-d tensor, not shape {tuple(value.shape)}")
            if x.requires_grad or value.requires_grad:      # equal indices fill a row once: so much gradient it gets
                rest = x.ndim - 1 - axis
                rows = x.new_zeros(x._array.shape[axis], dtype=dtypes.bool_).index_fill(0, index, True)
                return value.to(self.dtype).where(rows.reshape(-1, *(1,) * rest), x).reshape(self.shape)
            shape = x._array.shape
            value = value.to(self.dtype).expand(*shape[:axis], array.size, *shape[axis + 1:])
        y = apply(scattering.Joined, x, value, axis=axis, index=array, join="put", rows=True,
                  bounds=Bounds("index_fill", True))
        return y if self.ndim else y.reshape(())

    def index_put_(self, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False) -> Any:
        """``x[indices] = values`` in place, or, with ``accumulate``, ``+=`` for every index, equal ones too.

        Args:
            indices: integer or boolean tensors, one a dimension (None: all of it), which broadcast together.
            values: of the tensor's type; broadcast.
            accumulate: add, in a fixed order. Without it the last of several values for a place wins.

        Returns:
            The tensor.

        Raises:
            IndexError: more indices than dimensions, or none.
            RuntimeError: shapes or types do not fit.
            DeviceIndexError: an index is out of range; see there for when.
        """
        from ..indexing import set_item

        if not any(hasattr(index, "_array") for index in indices):
            raise IndexError("index_put_() needs at least one tensor of indices")
        if not hasattr(values, "_array") or values.dtype is not self.dtype:
            raise RuntimeError(f"index_put_() needs values of the tensor's type {self.dtype}, not "
                               f"{getattr(values, 'dtype', type(values).__name__)}")
        # A 0-d index stands for a vector of one: reading it here would wait for the device.
        each = tuple(slice(None) if i is None else i.reshape(1) if not i.ndim else i for i in indices)
        set_item(self, each, values, "add" if accumulate else "put")  # type: ignore[arg-type]
        return self

    def index_put(self, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False) -> Any:
        """A copy with ``values`` written, or added, at ``indices``; see ``index_put_``."""
        return self.clone().index_put_(indices, values, accumulate)

    def scatter(self, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Any:
        """The tensor with ``src`` written at ``index`` along a dimension: ``out[index[i][j]][j] = src[i][j]``, dim=0.

        Args:
            dim: the dimension.
            index: int64 or int32, of the tensor's number of dimensions; the last of equal ones wins.
            src: tensor at least as large as the index, or a number.
            value: the number, by name.
            reduce: ``"add"`` or ``"multiply"`` instead of writing.

        Raises:
            RuntimeError: shapes or types do not fit.
            DeviceIndexError: an index is not in [0, size); see there for when.
        """
        src = value if src is None else src
        if reduce is not None:
            if reduce not in ("add", "multiply"):
                raise RuntimeError(f"scatter() reduces by 'add' or 'multiply', not {reduce!r}")
            if not hasattr(src, "_array"):
                src = plain(ew.full(self.device, index.shape, src, self.dtype))
            return self.scatter_reduce(dim, index, src, "sum" if reduce == "add" else "prod")
        return self._scatter(dim, index, src, "put", "scatter")

    def scatter_add(self, dim: int, index: Tensor, src: Tensor) -> Any:
        """The tensor with ``src`` added at ``index`` along a dimension, in a fixed order; see `scatter`."""
        return self._scatter(dim, index, src, "add", "scatter_add")

    def _scatter(self, dim: int, index: Any, src: Any, join: str, name: str) -> Any:
        x, axis, array = self._along(dim, index, name)
        src = self._source(src, array, name)
        y = apply(scattering.Joined, x, src, axis=axis, index=array, join=join, rows=False, bounds=Bounds(name))
        return y if self.ndim else y.reshape(())

    def _source(self, src: Any, array: Any, name: str) -> Any:
        if not hasattr(src, "_array"):
            if isinstance(src, bool | int | float | np.generic):
                return src
            raise TypeError(f"{name}() needs a tensor or a number, not {type(src).__name__}")
        if src.dtype is not self.dtype:
            raise RuntimeError(f"{name}() needs a source of the tensor's type {self.dtype}, not {src.dtype}")
        if not src.ndim:
            src = src.reshape(1)
        if src.ndim != array.ndim or any(n > m for n, m in zip(array.shape, src.shape)):
            raise RuntimeError(f"{name}(): the index, of shape {array.shape}, is larger than the source, of shape "
                               f"{tuple(src.shape)}")
        return src

    def scatter_reduce(self, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True) -> Any:
        """The tensor with ``src`` joined in at ``index`` along a dimension, in a fixed order.

        Args:
            dim, index, src: as for `scatter`.
            reduce: ``"sum"``, ``"mean"``, ``"amax"``, ``"amin"`` or ``"prod"``.
            include_self: whether the tensor's own elements take part where something is scattered to.
        """
        if reduce not in ("sum", "mean", "amax", "amin", "prod"):
            raise RuntimeError(f"scatter_reduce() knows sum, mean, amax, amin and prod, not {reduce!r}")
        x, axis, array = self._along(dim, index, "scatter_reduce")
        src = self._source(src, array, "scatter_reduce")
        bounds = Bounds("scatter_reduce")
        if reduce in ("amax", "amin"):
            y = apply(scattering.ScatterExtreme, x, src, axis=axis, index=array, join=reduce, include_self=include_self,
                      bounds=bounds)
            return y if self.ndim else y.reshape(())
        options = {"axis": axis, "index": array, "rows": False, "bounds": bounds}
        if not include_self:
            x = apply(scattering.Joined, x, 1 if reduce == "prod" else 0, join="put", **options)
        if reduce == "prod":
            y = apply(scattering.ScatterProd, x, src, axis=axis, index=array, bounds=bounds)
            return y if self.ndim else y.reshape(())
        y = apply(scattering.Joined, x, src, join="add", **options)
        if reduce == "mean":
            ones = ew.full(self.device, (), 1, self.dtype).expand(array.shape)
            count = ops.put_along(x._array.shape, axis, array, ones, "add", bounds)
            if include_self:
                ew.run("add", [count, 1], count.dtype, out=count)
            count = ew.run("maximum", [count, 1], count.dtype)
            y = y / plain(count) if self.dtype.is_floating_point else y // plain(count)
        return y if self.ndim else y.reshape(())

    def index_reduce(self, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True) -> Any:
        """The tensor with rows of ``source`` joined with its rows at ``index``, in a fixed order.

        Args:
            dim, index, source: as for `index_add`.
            reduce: ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``.
            include_self: whether the tensor's own rows take part where something is joined.

        Raises:
            RuntimeError: another name, or shapes or types that do not fit.
            DeviceIndexError: an index is out of range; see there for when.
        """
        if reduce not in ("prod", "mean", "amax", "amin"):
            raise RuntimeError(f"index_reduce() knows prod, mean, amax and amin, not {reduce!r}")
        x, axis, array = self._rows(dim, index, "index_reduce")
        shape = x._array.shape
        wanted = (*shape[:axis], array.size, *shape[axis + 1:])
        if not source.ndim and array.size == 1 and x.ndim == 1:
            source = source.reshape(1)
        if source.shape != wanted:
            raise RuntimeError(f"index_reduce() needs a source of shape {wanted}, not {tuple(source.shape)}")
        at = plain(array.view((array.size,) + (1,) * (len(shape) - 1 - axis),
                              (1,) + (0,) * (len(shape) - 1 - axis)).expand(wanted))
        y = x.scatter_reduce(axis, at, source, reduce, include_self=include_self)
        return y if self.ndim else y.reshape(())

    def put(self, index: Tensor, source: Tensor, accumulate: bool = False) -> Any:
        """The tensor with ``source`` at positions in the flattened tensor; negative ones count from the end.

        Args:
            index: int64 or int32, any shape.
            source: of the tensor's type, as many elements.
            accumulate: add, in a fixed order. Without it the last of several values for a place wins.

        Raises:
            IndexError: the index and the source have different numbers of elements.
            RuntimeError: the types do not fit.
            DeviceIndexError: an index is out of range; see there for when.
        """
        array = _indices(self, index, "put")
        if source.dtype is not self.dtype:
            raise RuntimeError(f"put() needs a source of the tensor's type {self.dtype}, not {source.dtype}")
        if array.size != source.numel():
            raise IndexError(f"put() needs as many indices as values, not {array.size} and {source.numel()}")
        places = ew.contiguous(array).view((array.size,), (1,))
        y = apply(scattering.Joined, self.reshape(-1), source.reshape(-1), axis=0, index=places, rows=True,
                  join="add" if accumulate else "put", bounds=Bounds("put", True))
        return y.reshape(self.shape)

    def masked_select(self, mask: Tensor) -> Any:
        """Elements where the mask is True, as a vector; both broadcast. Waits for the device."""
        x, positions = self._where(mask, "masked_select")
        return apply(ops.IndexSelect, x.reshape(-1), axis=0, index=positions)

    def masked_scatter(self, mask: Tensor, source: Tensor) -> Any:
        """The tensor with the elements where the mask is True taken from ``source``, in order. Waits for the device."""
        x, positions = self._where(mask, "masked_scatter")
        if source.dtype is not self.dtype:
            raise RuntimeError(f"masked_scatter() needs a source of the type {self.dtype}, not {source.dtype}")
        if source.numel() < positions.size:
            raise RuntimeError(f"masked_scatter() needs {positions.size} elements, the source has {source.numel()}")
        values = source.reshape(-1)[:positions.size]
        y = apply(scattering.Joined, x.reshape(-1), values, axis=0, index=positions, join="put", rows=True)
        return y.reshape(x.shape)

    def _where(self, mask: Any, name: str) -> tuple[Any, Any]:
        if not hasattr(mask, "_array") or mask.dtype is not dtypes.bool_:
            raise RuntimeError(f"{name}() needs a mask of booleans, not {getattr(mask, 'dtype', type(mask).__name__)}")
        same_device(self, mask)
        shape = broadcast_shapes(self._array.shape, mask._array.shape)
        return self.expand(*shape) if shape != self.shape else self, search.flat_nonzero(mask._array.expand(shape))

    def nonzero(self, *, as_tuple: bool = False) -> Any:
        """Coordinates of elements that are not 0, (count, ndim) int64; ``as_tuple``: a vector a dimension."""
        positions = search.flat_nonzero(self._array)
        found = plain(search.coordinates(positions, self._array.shape))
        if not as_tuple:
            return found
        if not self.ndim:
            return (plain(positions),)
        return tuple(plain(ew.contiguous(found._array.view((positions.size,), (self.ndim,), found._array.offset + a)))
                     for a in range(self.ndim))

    def argwhere(self) -> Any:
        """The same as ``nonzero()``."""
        return self.nonzero()
