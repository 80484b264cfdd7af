"""Sparse tensors by the places of their elements, as matrices of graphs are; see `CooTensor`."""

from __future__ import annotations

import math
from typing import Any, NoReturn

import numpy as np

from .creation import zeros
from .dtypes import DType
from .joining import cat, stack
from .layouts import Layout, sparse_coo
from .opencl import Device
from .ops.array import normalize_axis
from .tensor import Size, Tensor, tensor


class Sparse(Tensor):
    """What sparse tensors have in common: parts instead of one array, which most operations would want."""

    __slots__ = ()

    def __init__(self, *args: Any, **kwargs: Any):
        raise TypeError("use genesis.sparse_coo_tensor() to make a sparse tensor")

    def _start(self) -> None:
        self._node = self._grad = self._slot = self._hooks = self._retains = self._view = None
        self._requires_grad = False

    @property
    def _array(self) -> Any:  # type: ignore[override]
        raise NotImplementedError("this operation does not take sparse tensors: use to_dense(), or values() for what "
                                  "concerns each element by itself")

    is_sparse = True

    @property
    def layout(self) -> Layout:
        """``genesis.sparse_coo``."""
        return sparse_coo

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def numel(self) -> int:
        """Number of elements of the whole."""
        return self.shape.numel()

    def is_coalesced(self) -> bool:
        """Whether each place is given once, in rising order."""
        raise NotImplementedError

    def indices(self) -> Tensor:
        """The places, int64, (sparse dimensions, count), in memory of their own; waits for the device.

        Raises:
            RuntimeError: it is not coalesced.
        """
        self._check_coalesced("indices")
        return self._indices()

    def values(self) -> Tensor:
        """What is there, (count, ...), in memory of its own: changing it changes the tensor. Waits for the device.

        Raises:
            RuntimeError: it is not coalesced.
        """
        self._check_coalesced("values")
        return self._values()

    def _check_coalesced(self, part: str) -> None:
        if not self.is_coalesced():
            raise RuntimeError(f"Cannot get {part} on an uncoalesced tensor, please call .coalesce() first")

    def _indices(self) -> Tensor:
        raise NotImplementedError

    def _values(self) -> Tensor:
        raise NotImplementedError

    def _nnz(self) -> int:
        return self._values().shape[0]

    def numpy(self) -> NoReturn:
        """Refuses: an array has no sparse layout.

        Raises:
            TypeError: always.
        """
        raise TypeError("can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first.")

    def __repr__(self) -> str:
        margin = " " * len("tensor(")
        parts = [f"{name}=" + repr(x).replace("\n", "\n" + margin + " " * (len(name) + 1))
                 for name, x in (("indices", self._indices()), ("values", self._values()))]
        parts.append(f"size={tuple(self.shape)}, nnz={self._nnz()}, layout={self.layout}")
        between = ",\n" + margin
        return f"tensor({between.join(parts)})"


class CooTensor(Sparse):
    """Elements at given places of two dimensions or more, the others being 0: the adjacency matrix of a graph, say.

    It is multiplied with dense matrices (``a @ x``, `genesis.sparse.mm`, `genesis.spmm`), by numbers and, element by
    element, by dense tensors; transposed, added to others, summed, moved. All of that has gradients, to what it is
    multiplied with and to the values. A product takes memory for one row of the dense matrix for each element.

    Make one with `genesis.sparse_coo_tensor` or ``to_sparse()``.

    Raises:
        NotImplementedError: an operation that does not take sparse tensors.

    Example:
        >>> edges = genesis.tensor([[0, 1, 2, 2], [1, 0, 0, 1]])
        >>> a = genesis.sparse_coo_tensor(edges, genesis.ones(4), (3, 3))
        >>> a @ genesis.tensor([[1.0], [2.0], [4.0]])
        tensor([[2.],
                [1.],
                [3.]])
    """

    __slots__ = ("_at", "_given", "_joined", "_sizes")
    _at: Tensor         # int64, (sparse dimensions, count)
    _given: Tensor      # (count, ...)

    @classmethod
    def _of(cls, at: Tensor, given: Tensor, sizes: tuple[int, ...], joined: bool = False) -> CooTensor:
        self: CooTensor = object.__new__(cls)
        self._at, self._given, self._sizes, self._joined = at, given, Size(sizes), joined
        self._start()
        return self

    @property
    def shape(self) -> Size:
        """Sizes of the dimensions of the whole."""
        return self._sizes

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self._given.dtype

    @property
    def device(self) -> Device:
        """The device that holds it."""
        return self._given.device

    @property  # type: ignore[misc]
    def requires_grad(self) -> bool:
        """Whether gradients are computed for its values."""
        return self._given.requires_grad

    def sparse_dim(self) -> int:
        """How many dimensions are given by indices."""
        return self._at.shape[0]

    def dense_dim(self) -> int:
        """How many dimensions the values have beside."""
        return self._given.ndim - 1

    def is_coalesced(self) -> bool:
        """Whether it is known that each place is given once, in rising order."""
        return self._joined

    def _indices(self) -> Tensor:
        return self._at

    def _values(self) -> Tensor:
        return self._given

    def _flat(self) -> tuple[Tensor, int]:
        """The places as numbers in the flattened sparse dimensions, and how many there are."""
        sizes = self._sizes[:self.sparse_dim()]
        flat = self._at[0]
        for row, n in enumerate(sizes[1:], 1):
            flat = flat * n + self._at[row]
        return flat, math.prod(sizes)

    def coalesce(self) -> CooTensor:
        """The same with each place once, in rising order; itself if it is known to be so. Waits for the device."""
        if self._joined:
            return self
        places, where = self._flat()[0].unique(return_inverse=True)
        values = zeros(places.shape[0], *self._given.shape[1:], dtype=self.dtype, device=self.device)
        rows: list[Tensor] = []
        for n in reversed(self._sizes[:self.sparse_dim()]):
            rows.insert(0, places % n)
            places = places // n
        return CooTensor._of(stack(rows), values.index_add(0, where, self._given), self._sizes, True)

    def to_dense(self) -> Tensor:
        """The whole as an ordinary tensor."""
        flat, count = self._flat()
        whole = zeros(count, *self._given.shape[1:], dtype=self.dtype, device=self.device)
        return whole.index_add(0, flat, self._given).view(self._sizes)

    def _with(self, given: Tensor) -> CooTensor:
        return CooTensor._of(self._at, given, self._sizes, self._joined)

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        """Convert the values to another type, or move it to another device; the arguments are those of `Tensor.to`."""
        given = self._given.to(*args, **kwargs)
        return CooTensor._of(self._at.to(given.device), given, self._sizes, self._joined)

    def detach(self) -> CooTensor:
        """The same without a history."""
        return self._with(self._given.detach())

    def clone(self, **_: Any) -> CooTensor:
        """A copy; gradients flow through."""
        return CooTensor._of(self._at.clone(), self._given.clone(), self._sizes, self._joined)

    def __deepcopy__(self, memo: dict[int, Any]) -> CooTensor:
        memo[id(self)] = result = self.detach().clone()
        return result

    def transpose(self, dim0: int, dim1: int) -> CooTensor:
        """With two of the sparse dimensions swapped."""
        order = list(range(self.sparse_dim()))
        one, other = (normalize_axis(dim, self.ndim) for dim in (dim0, dim1))
        if max(one, other) >= len(order):
            raise NotImplementedError("only sparse dimensions of a sparse tensor can be swapped")
        order[one], order[other] = other, one
        sizes = [self._sizes[k] for k in order] + list(self._sizes[len(order):])
        return CooTensor._of(stack([self._at[k] for k in order]), self._given, tuple(sizes))

    def mm(self, mat2: Tensor) -> Tensor:
        """The product with a dense matrix, (n, m) by (m, k), or vector, dense.

        Raises:
            RuntimeError: the shapes or types do not fit.
            NotImplementedError: the other is sparse too, or this is no matrix of numbers.
        """
        if isinstance(mat2, Sparse) or (self.ndim, self.sparse_dim()) != (2, 2):
            raise NotImplementedError("a sparse matrix is multiplied with dense matrices only; use to_dense()")
        if mat2.ndim == 1:
            return self.mm(mat2.unsqueeze(1)).squeeze(1)
        if mat2.ndim != 2 or mat2.shape[0] != self._sizes[1] or mat2.dtype is not self.dtype:
            raise RuntimeError(f"a sparse matrix of shape {tuple(self._sizes)} and type {self.dtype} cannot be "
                               f"multiplied with a tensor of shape {tuple(mat2.shape)} and type {mat2.dtype}")
        parts = mat2.index_select(0, self._at[1]) * self._given.unsqueeze(1)
        whole = zeros(self._sizes[0], mat2.shape[1], dtype=self.dtype, device=self.device)
        return whole.index_add(0, self._at[0], parts)

    __matmul__ = matmul = mv = mm

    def __rmatmul__(self, other: Tensor) -> Tensor:
        return self.transpose(0, 1).mm(other.transpose(0, -1)).transpose(0, -1)

    def __mul__(self, other: Any) -> CooTensor:
        if isinstance(other, Tensor) and other.ndim:
            if isinstance(other, Sparse) or other.shape != self._sizes:
                raise NotImplementedError("a sparse tensor is multiplied by numbers and dense tensors of its shape")
            other = other[tuple(self._at)]
        return self._with(self._given * other)

    __rmul__ = mul = __mul__

    def __truediv__(self, other: Any) -> CooTensor:
        if isinstance(other, Tensor) and other.ndim:
            raise NotImplementedError("a sparse tensor is divided by numbers only")
        return self._with(self._given / other)

    div = __truediv__

    def __neg__(self) -> CooTensor:
        return self._with(-self._given)

    neg = __neg__

    def __add__(self, other: Any) -> Tensor:
        if not isinstance(other, Tensor) or other.shape != self._sizes:
            raise NotImplementedError(f"a sparse tensor can be added to tensors of its shape, {tuple(self._sizes)}")
        if not isinstance(other, CooTensor):
            return self.to_dense() + other
        if other.sparse_dim() != self.sparse_dim():
            raise NotImplementedError("the two have not the same sparse dimensions")
        return CooTensor._of(cat([self._at, other._at], 1), cat([self._given, other._given]), self._sizes)

    __radd__ = add = __add__

    def __sub__(self, other: Any) -> Tensor:
        return self + -other

    sub = __sub__

    def __rsub__(self, other: Any) -> Tensor:
        return -self + other

    def sum(self, dim: int | None = None, dtype: Any = None) -> Tensor:
        """The sum of all elements, dense; or along one of the sparse dimensions, sparse."""
        given = self._given if dtype is None else self._given.to(dtype)
        if dim is None:
            return given.sum()
        axis = normalize_axis(dim, self.ndim)
        kept = [k for k in range(self.sparse_dim()) if k != axis]
        sizes = self._sizes[:axis] + self._sizes[axis + 1:]
        if len(kept) == self.sparse_dim():
            return CooTensor._of(self._at, given.sum(axis - len(kept) + 1), sizes, self._joined)
        if not kept:
            return given.sum(0)
        return CooTensor._of(stack([self._at[k] for k in kept]), given, sizes)


def places_of(x: Tensor, sparse_dim: int | None = None) -> CooTensor:
    """A dense tensor's elements that are not 0; ``x.to_sparse()``."""
    count = x.ndim if sparse_dim is None else sparse_dim
    if not 1 <= count <= x.ndim:
        raise RuntimeError(f"to_sparse(): sparse_dim must be between 1 and {x.ndim}, not {count}")
    chosen: Any = x.detach() != 0
    at = (chosen.flatten(count).any(-1) if count < x.ndim else chosen).nonzero().T.contiguous()
    return CooTensor._of(at, x[tuple(at)], tuple(x.shape), True)


def checked(at: np.ndarray, given: Tensor, size: Any) -> CooTensor:
    """The tensor of places, (sparse dimensions, count), and values that a user gives."""
    if not given.ndim or at.shape[1] != given.shape[0]:
        raise RuntimeError(f"indices and values must have same nnz, but got nnz from indices: {at.shape[1]}, nnz from "
                           f"values: {given.shape[0] if given.ndim else 0}")
    largest = at.max(1, initial=-1)
    sizes = (*(int(n) + 1 for n in largest), *given.shape[1:]) if size is None else tuple(int(n) for n in size)
    if len(sizes) != len(at) + given.ndim - 1 or sizes[len(at):] != tuple(given.shape[1:]):
        raise RuntimeError(f"values has incorrect size, expected {[at.shape[1], *sizes[len(at):]]}, got "
                           f"{list(given.shape)}")
    for dim, row in enumerate(at):
        wrong = (row < 0) | (row >= sizes[dim])
        if wrong.any():
            raise RuntimeError(f"size is inconsistent with indices: for dim {dim}, size is {sizes[dim]} but found "
                               f"index {int(row[wrong][0])}")
    return CooTensor._of(tensor(np.ascontiguousarray(at), device=given.device), given, sizes)


def mm(mat1: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices of which one is sparse, dense; see `CooTensor.mm`.

    Example:
        >>> genesis.sparse.mm(genesis.eye(2).to_sparse(), genesis.tensor([[1.0, 2.0], [3.0, 4.0]]))
        tensor([[1., 2.],
                [3., 4.]])
    """
    return mat1 @ mat2


def total(input: CooTensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """The sum of all elements of a sparse tensor, dense; or along one of its sparse dimensions, sparse.

    Example:
        >>> genesis.sparse.sum(genesis.tensor([[1.0, 2.0], [0.0, 4.0]]).to_sparse(), dim=1).to_dense()
        tensor([3., 4.])
    """
    return input.sum(dim, dtype)
