"""LU factorizations of matrices of any shape, and what is solved by them."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..autograd import Function, no_grad
from ..functions import cat
from ..ops import linalg as ops
from ..ops.linalg import identities
from ..tensor import Tensor
from .solving import check, solve_triangular
from .support import batched, matrices, wrap


class Factors(NamedTuple):
    """What ``lu_factor`` returns."""

    LU: Any
    pivots: Any


class CheckedFactors(NamedTuple):
    """What ``lu_factor_ex`` returns."""

    LU: Any
    pivots: Any
    info: Any


class Permuted(NamedTuple):
    """What ``lu`` returns."""

    P: Any
    L: Any
    U: Any


class _Square(Function):
    """The factors of square matrices, rows swapped already, which are known; their gradient."""

    @staticmethod
    def forward(ctx: Any, a: Any, lu: Any) -> Any:
        """Those known."""
        result = lu.clone()               # saved as the result, for derivatives of higher order
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        """L⁻ᴴ (tril(Lᴴ gL) + triu(gU Uᴴ)) U⁻ᴴ, L without its diagonal."""
        (lu,) = ctx.saved_tensors
        lower, upper = lu.tril(-1) + identity(lu), lu.triu()
        inner = (lower.mH @ g.tril(-1)).tril(-1) + (g.triu() @ upper.mH).triu()
        inner = solve_triangular(lower.mH, inner, upper=True, unitriangular=True)
        return solve_triangular(upper.mH, inner, upper=False, left=False), None


def identity(x: Any) -> Any:
    """Identities of as many rows as matrices have."""
    return wrap(identities(x._array, x.shape[-2], x.shape[-2]))


def _factored(name: str, A: Any, pivot: bool) -> tuple[Any, Any]:
    """Both factors in one tensor (..., m, n), and pivots (..., k) from 0, k being the smaller size."""
    matrices(name, A)
    if not pivot:
        raise RuntimeError(f"{name}() swaps rows in any case: LU without pivots is not implemented; use pivot=True")
    m, n = A.shape[-2:]
    k = min(m, n)
    with no_grad():      # zeros beside or below change nothing: they are never pivots, and what is left of them is cut
        x = A.detach()
        x = cat([x, x.new_zeros((*x.shape[:-1], m - n))], -1) if m > n else x
        x = cat([x, x.new_zeros((*x.shape[:-2], n - m, n))], -2) if n > m else x
        lu, pivots = (wrap(y) for y in ops.lu(x._array))
        lu, pivots = lu[..., :m, :n], pivots[..., :k].contiguous()
    if not A.requires_grad:
        return lu.contiguous(), pivots
    a = _permutation(A, pivots).mT @ A
    square = _Square.apply(a[..., :k, :k], lu[..., :k, :k].contiguous())
    if n > k:
        beside = solve_triangular(square, a[..., k:], upper=False, unitriangular=True)
        return cat([square, beside], -1), pivots
    if m > k:
        below = solve_triangular(square, a[..., k:, :], upper=True, left=False)
        return cat([square, below], -2), pivots
    return square, pivots


def _permutation(A: Any, pivots: Any) -> Any:
    """The P of A = P L U; a batch as A's."""
    rows = pivots
    if A.shape[-2] > pivots.shape[-1]:
        last = pivots.new_tensor(list(range(pivots.shape[-1], A.shape[-2])))
        rows = cat([pivots, last.expand(*pivots.shape[:-1], last.shape[0])], -1)
    return wrap(ops.swap_rows(identity(A.detach())._array, rows._array)).mT


def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> CheckedFactors:
    """`lu_factor` that says for each matrix whether U has a 0 on its diagonal.

    Returns:
        (LU, pivots, info), int32 info being 0, or the position of the first such 0, counted from 1.
    """
    lu, pivots = _factored("lu_factor", A, pivot)
    k = pivots.shape[-1]
    info = wrap(ops.about_lu(lu.detach()[..., :k, :k]._array, pivots._array)[1])
    if check_errors:
        check("lu_factor", info)
    return CheckedFactors(lu, pivots + 1, info)


def lu_factor(A: Tensor, *, pivot: bool = True) -> Factors:
    """P A = L U with rows swapped: both factors in one tensor, L below the diagonal, and pivots for `lu_solve`.

    Args:
        A: (..., m, n).
        pivot: True; there is no other way.

    Returns:
        The pair (LU (..., m, n), int32 pivots (..., k)), k being the smaller size: row i was swapped with row
        ``pivots[i]``, counted from 1, as LAPACK has them. Singular matrices have factors, too.
    """
    lu, pivots = _factored("lu_factor", A, pivot)
    return Factors(lu, pivots + 1)


def lu(A: Tensor, *, pivot: bool = True) -> Permuted:
    """A = P L U with a permutation P, lower triangular L with ones on its diagonal, and upper triangular U.

    Args:
        A: (..., m, n).
        pivot: True; there is no other way.

    Returns:
        (P (..., m, m), L (..., m, k), U (..., k, n)), k being the smaller size.

    Example:
        >>> P, L, U = genesis.linalg.lu(genesis.tensor([[1.0, 2.0], [4.0, 4.0]]))
        >>> U
        tensor([[4., 4.],
                [0., 1.]])
    """
    packed, pivots = _factored("lu", A, pivot)
    k = pivots.shape[-1]
    one = wrap(identities(packed.detach()._array, packed.shape[-2], k))
    return Permuted(_permutation(A, pivots), packed[..., :k].tril(-1) + one, packed[..., :k, :].triu())


def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Any:
    """The X of A X = B from the `lu_factor` of A.

    Args:
        LU, pivots: of matrices (..., n, n).
        B: (..., n, k), with ``left=False`` (..., k, n).
        left: whether A stands on the left, else X A = B.
        adjoint: solve with A's conjugate transpose instead.

    Raises:
        RuntimeError: shapes or types do not fit.
    """
    if not left:
        return lu_solve(LU, pivots, B.mH, adjoint=not adjoint).mH
    matrices("lu_solve", LU, B, square=True)
    if LU.shape[-1] != B.shape[-2]:
        raise RuntimeError(f"lu_solve() needs as many equations in both, not LU of shape {tuple(LU.shape)} and B of "
                           f"{tuple(B.shape)}")
    factors, b = batched(LU, B)
    swaps = _permutation(factors, (pivots - 1).expand(*factors.shape[:-1]).contiguous())
    if adjoint:
        x = solve_triangular(factors.mH, b, upper=False)
        return swaps @ solve_triangular(factors.mH, x, upper=True, unitriangular=True)
    x = solve_triangular(factors, swaps.mT @ b, upper=False, unitriangular=True)
    return solve_triangular(factors, x, upper=True)
