"""Sparse gradients: those of tables of which a step uses few rows; see `SparseTensor`. Sparse matrices: `CooTensor`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .autograd import inplace
from .coo import CooTensor, Sparse, checked, mm
from .coo import total as sum
from .dtypes import DType, float32, int64
from .opencl import Device
from .ops import sparse
from .ops.array import Array, upload
from .ops.sparse import SparseRows
from .tensor import Size, Tensor, tensor


class SparseTensor(Sparse):
    """Some rows of a tensor of shape (n, ...) whose other rows are 0: what PyTorch calls a hybrid COO tensor.

    It is the ``.grad`` of a table that ``sparse=True`` was used with, and goes where gradients go: backward adds to it,
    optimizers that take it update its rows alone, gradient clipping and `genesis.amp.GradScaler` scale it, hooks may
    replace it. It can be added to tensors, and multiplied and divided by numbers. Everything else wants `to_dense`.

    Make one with `genesis.sparse_coo_tensor`.

    Raises:
        NotImplementedError: an operation that does not take sparse tensors.

    Example:
        >>> table = genesis.nn.Embedding(1000, 2, sparse=True)
        >>> table(genesis.tensor([7, 3, 7])).sum().backward()
        >>> table.weight.grad.coalesce().indices(), table.weight.grad.coalesce().values()
        (tensor([[3, 7]]), tensor([[1., 1.],
                [2., 2.]]))
    """

    __slots__ = ("_rows",)
    _rows: SparseRows

    @classmethod
    def _of(cls, rows: SparseRows) -> SparseTensor:
        self: SparseTensor = object.__new__(cls)
        self._rows = rows
        self._start()
        return self

    # What it is ------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """Sizes of the dimensions of the whole."""
        return Size(self._rows.shape)

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self._rows.dtype

    @property
    def device(self) -> Device:
        """The device that holds it."""
        return self._rows.device

    def sparse_dim(self) -> int:
        """How many dimensions are given by indices: 1."""
        return 1

    def dense_dim(self) -> int:
        """How many dimensions the values have beside."""
        return self.ndim - 1

    # Its parts -------------------------------------------------------------------------------------------------

    def is_coalesced(self) -> bool:
        """Whether each row is given once, in rising order."""
        return self._rows.joined

    def coalesce(self) -> SparseTensor:
        """The same with each row once, in rising order. Itself if it is so already."""
        if self._rows.joined:
            return self
        rows = self._rows.copy()
        rows.join()
        return SparseTensor._of(rows)

    def _indices(self) -> Tensor:
        self._rows.drop_gaps()
        index = self._rows.index
        return Tensor._wrap(index.view((1, index.size), (index.size, 1)))

    def _values(self) -> Tensor:
        self._rows.drop_gaps()
        return Tensor._wrap(self._rows.values)

    def _nnz(self) -> int:
        self._rows.drop_gaps()
        return self._rows.index.size

    def to_dense(self) -> Tensor:
        """The whole as an ordinary tensor."""
        return Tensor._wrap(self._rows.dense())

    # Copies and changes ----------------------------------------------------------------------------------------

    @property  # type: ignore[misc]
    def data(self) -> Tensor:
        """The same."""
        return self.detach()

    def detach(self) -> SparseTensor:
        """The same; it has no history."""
        return SparseTensor._of(self._rows)

    def clone(self, **_: Any) -> SparseTensor:
        """A copy."""
        return SparseTensor._of(self._rows.copy())

    def __deepcopy__(self, memo: dict[int, Any]) -> SparseTensor:
        memo[id(self)] = result = self.clone()
        return result

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        """Convert the values to another type, or move it to another device; the arguments are those of `Tensor.to`."""
        rows = self._rows
        values = Tensor._wrap(rows.values).to(*args, **kwargs)
        if values._array is rows.values:
            return self
        index = Tensor._wrap(rows.index).to(values.device)
        return SparseTensor._of(SparseRows(index._array, values._array, rows.shape, rows.joined))

    def zero_(self) -> Tensor:
        """Let it have no rows."""
        self._rows.replace(sparse.none_of(self._rows))
        return self

    def _changed(self, values: Tensor) -> SparseTensor:
        rows = self._rows
        return SparseTensor._of(SparseRows(rows.index, values._array, rows.shape, rows.joined))

    def __add__(self, other: Any) -> Tensor:
        if not isinstance(other, Tensor) or other.shape != self.shape:
            raise NotImplementedError(f"a sparse tensor can be added to tensors of its shape, {tuple(self.shape)}, not "
                                      f"to {other if not isinstance(other, Tensor) else tuple(other.shape)}")
        if isinstance(other, SparseTensor):
            return SparseTensor._of(sparse.joint(self._rows, other._rows))
        return self.to_dense() + other

    __radd__ = add = __add__

    def add_(self, other: Any) -> Tensor:
        """Add another sparse tensor in place."""
        if not isinstance(other, SparseTensor):
            raise NotImplementedError("only a sparse tensor can be added to a sparse one in place")
        self._rows.replace(sparse.joint(self._rows, other._rows))
        return self

    __iadd__ = add_

    def __neg__(self) -> Tensor:
        return self * -1

    neg = __neg__

    def __mul__(self, other: Any) -> Tensor:
        return self._changed(Tensor._wrap(self._rows.values) * _factor(other))

    __rmul__ = mul = __mul__

    def __truediv__(self, other: Any) -> Tensor:
        return self._changed(Tensor._wrap(self._rows.values) / _factor(other))

    div = __truediv__

    def mul_(self, other: Any) -> Tensor:
        """Multiply by a number in place."""
        Tensor._wrap(self._rows.values).mul_(_factor(other))
        return self

    def div_(self, other: Any) -> Tensor:
        """Divide by a number in place."""
        Tensor._wrap(self._rows.values).div_(_factor(other))
        return self

    __imul__, __itruediv__ = mul_, div_

    def norm(self, p: float = 2.0) -> Tensor:
        """The p-norm of the whole."""
        return Tensor._wrap(_joined(self)).norm(p)

def sparse_coo_tensor(indices: Any, values: Any, size: Any = None, *, dtype: Any = None,
                      device: Device | str | int | None = None, requires_grad: bool = False,
                      is_coalesced: bool | None = None) -> Tensor:
    """A tensor that has given values at given places, and 0 elsewhere.

    With one row of indices it is a `SparseTensor`, made for gradients; with more, a `CooTensor`, such as the adjacency
    matrix of a graph.

    Args:
        indices: the places, (sparse dimensions, count); one that comes several times counts several times.
        values: what is there, (count, ...); gradients flow to it where there is more than one row of indices.
        size: that of the whole; by default the sparse dimensions are as long as the largest indices need.
        dtype: element type; that of the values, as `genesis.tensor` takes them, if None.
        device: where to put it.
        requires_grad: only False.
        is_coalesced: accepted as PyTorch has it; it is found out where it is asked for.

    Raises:
        RuntimeError: sizes that do not fit, or an index out of range.
        NotImplementedError: ``requires_grad``; give values that require gradients.

    Example:
        >>> weight = genesis.ones(4, 2, requires_grad=True)
        >>> weight.grad = genesis.sparse_coo_tensor([[2]], [[1.0, 3.0]], (4, 2))
        >>> genesis.optim.SGD([weight], lr=0.5).step()
        >>> weight.detach()[2]
        tensor([ 0.5, -0.5])
    """
    if requires_grad:
        raise NotImplementedError("sparse tensors are no leaves: give values that require gradients")
    rows = tensor(values, dtype=dtype, device=device)
    at = tensor(indices, dtype=int64, device=rows.device).numpy()
    if at.ndim != 2:
        raise RuntimeError(f"indices must be sparse_dim x nnz, but got: {list(at.shape)}")
    if at.shape[0] != 1:
        given = values.to(dtype=rows.dtype, device=rows.device) if isinstance(values, Tensor) else rows
        return checked(at, given, size)
    if not rows.ndim or at.shape[1] != rows.shape[0]:
        raise RuntimeError(f"indices and values must have same nnz, but got nnz from indices: {at.shape[1]}, nnz from "
                           f"values: {rows.shape[0] if rows.ndim else 0}")
    shape = (int(at.max(initial=-1)) + 1, *rows.shape[1:]) if size is None else tuple(int(n) for n in size)
    if shape[1:] != tuple(rows.shape[1:]) or not shape:
        raise RuntimeError(f"values has incorrect size, expected {[at.shape[1], *shape[1:]]}, got {list(rows.shape)}")
    wrong = (at < 0) | (at >= shape[0])
    if wrong.any():
        raise RuntimeError(f"size is inconsistent with indices: for dim 0, size is {shape[0]} but found index "
                           f"{int(at[wrong][0])}")
    index = upload(rows.device, np.ascontiguousarray(at[0]))
    return SparseTensor._of(SparseRows(index, rows._array, shape, whole=True))


def FloatTensor(indices: Any, values: Any, size: Any = None) -> Tensor:
    """PyTorch's older name of `sparse_coo_tensor`, for float32."""
    return sparse_coo_tensor(indices, values, size, dtype=float32)


def _factor(x: Any) -> Any:
    if isinstance(x, Tensor):
        if x.ndim:
            raise NotImplementedError("a sparse tensor can be multiplied and divided by numbers only; use to_dense()")
        return x.detach()
    return x


def wrapped(g: Array | SparseRows) -> Tensor:
    """The tensor of a gradient that backward computed."""
    return SparseTensor._of(g) if isinstance(g, SparseRows) else Tensor._wrap(g)


def content(x: Tensor) -> Any:
    """What `wrapped` made a tensor of."""
    return x._rows if isinstance(x, SparseTensor) else x._array


def _joined(x: SparseTensor) -> Array:
    x._rows.join()
    return x._rows.values


def elements(g: Tensor) -> Tensor:
    """A gradient, or the memory with the elements of a sparse one, of which each is there once then; for scaling."""
    return Tensor._wrap(_joined(g)) if isinstance(g, SparseTensor) else g


def accumulate(leaf: Tensor, g: SparseRows) -> None:
    """Add a gradient to the ``.grad`` of a leaf: a dense one stays dense."""
    held = leaf.grad
    if held is None:
        leaf.grad = SparseTensor._of(g if g.dtype is leaf.dtype else g.copy(leaf.dtype))
    elif isinstance(held, SparseTensor):
        held.add_(SparseTensor._of(g))
    elif held._node is not None or inplace.is_expanded(held._array):
        leaf.grad = held.detach() + SparseTensor._of(g)
    else:
        g.add_to(held._array)
        held._array.version.count += 1


__all__ = ["CooTensor", "FloatTensor", "SparseTensor", "mm", "sparse_coo_tensor", "sum"]
