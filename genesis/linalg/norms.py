"""Norms and products of matrices and vectors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from ..ops.array import normalize_axis
from ..tensor import Tensor
from .solving import inv
from .spectra import svdvals


def vector_norm(x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The norm of the elements, seen as a vector: ``sum(|x| ** ord) ** (1 / ord)``.

    Args:
        x: floating point.
        ord: any number, ``inf``, ``-inf``, or 0 for the number of elements that are not 0.
        dim: dimensions; None for all.
        keepdim: keep them with size 1.
        dtype: element type to convert to first.

    Example:
        >>> genesis.linalg.vector_norm(genesis.tensor([3.0, -4.0]))
        tensor(5.)
    """
    return x.norm(float(ord), dim, keepdim, dtype)


def matrix_norm(A: Tensor, ord: Any = "fro", dim: Sequence[int] = (-2, -1), keepdim: bool = False, *,
                dtype: Any = None) -> Any:
    """A norm of matrices.

    Args:
        A: (..., m, n), floating point.
        ord: ``"fro"``, the root of the sum of squares; ``"nuc"``, the sum of the singular values; 2 and -2, the
            largest and the smallest of these; 1 and -1, the largest and smallest sum of a column's absolute values;
            inf and -inf, those of a row's.
        dim: the two dimensions.
        keepdim: keep them with size 1.
        dtype: element type to convert to first.

    Raises:
        ValueError: another norm.
        RuntimeError: ``dim`` does not name two dimensions.
    """
    x: Any = A if dtype is None else A.to(dtype)
    if x.ndim < 2 or len(dim) != 2:
        raise RuntimeError(f"matrix_norm() needs matrices and two dimensions, not shape {tuple(A.shape)} and {dim}")
    row, column = (normalize_axis(d, x.ndim) for d in dim)
    if row == column:
        raise RuntimeError(f"matrix_norm() needs two dimensions, not {dim}")
    if ord == "fro":
        return vector_norm(x, 2, (row, column), keepdim)
    if ord in ("nuc", 2, -2):
        s = svdvals(x.movedim((row, column), (-2, -1)))
        result = s.sum(-1) if ord == "nuc" else s.amax(-1) if ord == 2 else s.amin(-1)
    elif ord in (1, -1, math.inf, -math.inf):
        summed, rest = (row, column) if abs(ord) == 1 else (column, row)
        sums = x.abs().sum(summed, True)
        result = (sums.amax(rest, True) if ord > 0 else sums.amin(rest, True)).squeeze((row, column))
    else:
        raise ValueError(f"matrix_norm() knows 'fro', 'nuc', 1, -1, 2, -2, inf and -inf, not {ord!r}")
    if keepdim:
        for axis in sorted((row, column)):
            result = result.unsqueeze(axis)
    return result


def norm(A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """`vector_norm` or `matrix_norm`, as the arguments say.

    Args:
        A: floating point.
        ord: of the norm; None for the root of the sum of squares.
        dim: a dimension for vectors, two for matrices. None: all elements as a vector if ``ord`` is None, else by the
            number of the tensor's dimensions, 1 or 2.
        keepdim: keep the dimensions with size 1.
        dtype: element type to convert to first.

    Raises:
        RuntimeError: an ``ord`` without dimensions, for a tensor that is neither a vector nor a matrix.

    Example:
        >>> genesis.linalg.norm(genesis.tensor([[3.0, 0.0], [0.0, 4.0]]))
        tensor(5.)
    """
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    if dim is None and A.ndim not in (1, 2):
        raise RuntimeError(f"norm() with an ord needs dimensions for a tensor of shape {tuple(A.shape)}")
    if isinstance(ord, str) or (A.ndim == 2 if dim is None else not isinstance(dim, int) and len(dim) == 2):
        return matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    return vector_norm(A, ord, dim, keepdim, dtype=dtype)


def matrix_power(A: Tensor, n: int) -> Any:
    """The n-th power of square matrices (..., m, m); of a negative n, that of the inverse, which waits for the device.

    Raises:
        LinAlgError: n is negative and a matrix is singular.
        RuntimeError: the matrices are not square.
    """
    return inv(A).matrix_power(-n) if n < 0 else A.matrix_power(n)


def multi_dot(tensors: Sequence[Tensor]) -> Any:
    """The product of several matrices, in the order of the fewest multiplications.

    The order is found by dynamic programming (Cormen et al., "Introduction to Algorithms", chapter "Matrix-chain
    multiplication").

    Args:
        tensors: at least two matrices; the first and the last may be vectors.

    Raises:
        RuntimeError: fewer than two, or shapes that do not fit.

    Example:
        >>> a = genesis.ones(3, 2)
        >>> genesis.linalg.multi_dot([a, a.mT, genesis.ones(3)])
        tensor([6., 6., 6.])
    """
    given: list[Any] = list(tensors)
    if len(given) < 2:
        raise RuntimeError(f"multi_dot() needs at least two tensors, not {len(given)}")
    first, last = given[0].ndim == 1, given[-1].ndim == 1
    if first:
        given[0] = given[0].unsqueeze(0)
    if last:
        given[-1] = given[-1].unsqueeze(1)
    for x, y in itertools.pairwise(given):
        if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[0]:
            raise RuntimeError(f"multi_dot() cannot multiply shapes {tuple(x.shape)} and {tuple(y.shape)}")
    sizes = [given[0].shape[0], *(x.shape[1] for x in given)]
    n = len(given)
    best: dict[tuple[int, int], tuple[int, int]] = {(i, i): (0, i) for i in range(n)}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            best[i, j] = min((best[i, k][0] + best[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                             for k in range(i, j))

    def product(i: int, j: int) -> Any:
        if i == j:
            return given[i]
        k = best[i, j][1]
        return product(i, k) @ product(k + 1, j)

    result = product(0, n - 1)
    result = result.squeeze(-1) if last else result
    return result.squeeze(0) if first else result


def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Any:
    """The cross product of vectors of three elements along a dimension; the others broadcast."""
    return input.cross(other, dim)


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """The diagonals of matrices, as a view."""
    return A.diagonal(offset, dim1, dim2)


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Any:
    """Sums of the products of corresponding elements along a dimension, those of x conjugated; the others broadcast.

    Example:
        >>> genesis.linalg.vecdot(genesis.tensor([[1.0, 2.0], [3.0, 4.0]]), genesis.ones(2))
        tensor([3., 7.])
    """
    return (x.conj() * y).sum(dim)


def matmul(input: Tensor, other: Tensor) -> Any:
    """The matrix product, ``input @ other``."""
    return input.matmul(other)


def vander(x: Tensor, *, N: int | None = None) -> Any:
    """Powers of the elements, (..., n) -> (..., n, N), rising from 0; N is n by default."""
    x = x.unsqueeze(0) if not x.ndim else x
    count = x.shape[-1] if N is None else N
    columns = x.unsqueeze(-1).expand(*x.shape, max(count - 1, 0)).cumprod(-1)
    from ..functions import cat

    return cat([columns.new_ones((*x.shape, 1)), columns], -1) if count > 0 else columns
