"""Eigenvalues of symmetric matrices, singular values, and what follows from them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..autograd import Function, is_grad_enabled, no_grad
from ..functions import cat
from ..ops import spectra
from ..ops.elementwise import copy
from ..ops.linalg import identities
from ..tensor import Tensor
from .factors import qr
from .support import LinAlgError, diagonal_of, matrices, wrap

_SMALL = 8      # up to this size Jacobi's method for singular values begins at nothing better


class Eigen(NamedTuple):
    """What ``eigh`` returns."""

    eigenvalues: Any
    eigenvectors: Any


class Singular(NamedTuple):
    """What ``svd`` returns."""

    U: Any
    S: Any
    Vh: Any


class Factored(NamedTuple):
    """What ``Tensor.svd`` returns."""

    U: Any
    S: Any
    V: Any


def _apart(values: Any) -> Any:
    """The inverses of the differences of values, column's less row's, with 0 on the diagonal."""
    difference = values.unsqueeze(-2) - values.unsqueeze(-1)
    n = values.shape[-1]
    one = difference.new_ones(n).diag()
    return (1 / (difference + one)) * (1 - one)


def _eigen(a: Any, vectors: bool, name: str) -> tuple[Any, Any]:
    """Eigenvalues in no order, and eigenvectors as rows, of symmetric matrices."""
    values, rows, failed = spectra.symmetric_eigen(a._array, vectors)
    if failed:
        raise LinAlgError(f"{name}(): a matrix has elements that are infinite or NaN")
    return wrap(values), None if rows is None else wrap(rows)


class _Eigh(Function):
    """Eigenvalues, rising, and eigenvectors as columns."""

    @staticmethod
    def forward(ctx: Any, a: Any, upper: bool, vectors: bool) -> Any:
        """Find them, then order."""
        other = a.triu(1).mT if upper else a.tril(-1).mT
        whole = (a.triu() if upper else a.tril()) + other
        found, rows = _eigen(whole, vectors, "eigh")
        values, order = found.to(a.dtype).sort(-1)
        if rows is None:
            return values, values
        result = rows.gather(-2, order.unsqueeze(-1).expand(*a.shape)).mT
        ctx.save_for_backward(values, result)
        return values, result

    @staticmethod
    def backward(ctx: Any, g_values: Any, g_vectors: Any) -> Any:
        """V (diag(gλ) + (Vᵀ gV) / (λ_j - λ_i)) Vᵀ (Giles 2008, 3.1), made symmetric."""
        values, vectors = ctx.saved_tensors
        inner = vectors.mT @ g_vectors * _apart(values) + g_values.diag_embed()
        g = vectors @ inner @ vectors.mT
        return 0.5 * (g + g.mT), None, None


def eigh(A: Tensor, UPLO: str = "L") -> Eigen:
    """Eigenvalues, in rising order, and orthonormal eigenvectors of symmetric matrices.

    By Householder's reflections and the implicit QL algorithm (Bowdler, Martin, Reinsch & Wilkinson 1968), the latter
    in float64 where the device has it. Waits for the device.

    Args:
        A: (..., n, n).
        UPLO: the triangle that is looked at, ``"L"`` or ``"U"``.

    Returns:
        The pair (eigenvalues (..., n), eigenvectors (..., n, n), one a column). The gradient of the vectors is only
        finite where all eigenvalues differ, and a vector's sign is not determined.

    Raises:
        LinAlgError: an element is infinite or NaN.
        RuntimeError: the matrices are not square, or of another type than float32 and float64.

    Example:
        >>> genesis.linalg.eigh(genesis.tensor([[2.0, 1.0], [1.0, 2.0]])).eigenvalues
        tensor([1., 3.])
    """
    return Eigen(*_symmetric("eigh", A, UPLO, True))


def eigvalsh(A: Tensor, UPLO: str = "L") -> Any:
    """The eigenvalues of symmetric matrices, in rising order; see `eigh`. Faster, unless gradients need vectors."""
    return _symmetric("eigvalsh", A, UPLO, A.requires_grad and is_grad_enabled())[0]


def _symmetric(name: str, A: Tensor, UPLO: str, vectors: bool) -> Any:
    matrices(name, A, square=True)
    if UPLO not in ("L", "U"):
        raise RuntimeError(f"{name}() needs UPLO to be 'L' or 'U', not {UPLO!r}")
    return _Eigh.apply(A, UPLO == "U", vectors)


class _SVD(Function):
    """U (..., m, k), falling S, V (..., n, k) of A (..., m, n), k the smaller size."""

    @staticmethod
    def forward(ctx: Any, a: Any) -> Any:
        """Vectors of the shorter side, order, and QR for those of the other that are orthonormal in any case.

        The eigenvectors of A Aᵀ, which are exact for large singular values only, nearly do it; Jacobi's method does the
        rest, and what it rotates is A itself.
        """
        wide = a.shape[-2] < a.shape[-1]
        rows = a if wide else a.mT
        size = None
        if rows.shape[-2] > _SMALL:
            size = rows.abs().amax((-2, -1), keepdim=True)       # products of elements might overflow
            rows = rows / size.where(size > 0, 1.0)
            vectors = _eigen(rows @ rows.mT, True, "svd")[1]
            vectors = 1.5 * vectors - 0.5 * (vectors @ vectors.mT @ vectors)          # orthogonal to the last digit
            rows = vectors @ rows
        else:
            rows = wrap(copy(rows._array))
            vectors = wrap(identities(rows._array, rows.shape[-2], rows.shape[-2]))
        spectra.orthogonal_rows(rows._array, vectors._array)
        lengths, order = rows.norm(2, -1).sort(-1, descending=True)
        if size is not None:
            lengths = lengths * size.squeeze(-1)
        rows, vectors = (x.gather(-2, order.unsqueeze(-1).expand(*x.shape)) for x in (rows, vectors))
        with no_grad():
            q, r = qr(rows.mT)
        sign = diagonal_of(r).sign()
        other = q * (sign + (sign == 0)).unsqueeze(-2)
        u, v = (vectors.mT, other) if wide else (other, vectors.mT)
        ctx.save_for_backward(u, lengths, v)
        return u, lengths, v

    @staticmethod
    def backward(ctx: Any, gu: Any, gs: Any, gv: Any) -> Any:
        """U (skew(Uᵀ gU) / E S + S skew(Vᵀ gV) / E + diag(gS)) Vᵀ, and what lies outside of U and V (Townsend 2016)."""
        u, s, v = ctx.saved_tensors
        row = s.unsqueeze(-2)
        apart = _apart(s * s)
        turn_u, turn_v = u.mT @ gu, v.mT @ gv
        inner = ((turn_u - turn_u.mT) * apart * row + s.unsqueeze(-1) * ((turn_v - turn_v.mT) * apart)
                 + gs.diag_embed())
        g = u @ inner @ v.mT
        if u.shape[-2] > s.shape[-1]:
            g = g + (gu - u @ turn_u) / row @ v.mT
        if v.shape[-2] > s.shape[-1]:
            g = g + u @ ((gv - v @ turn_v) / row).mT
        return g


def svd(A: Tensor, full_matrices: bool = True) -> Singular:
    """A = U diag(S) Vh with orthonormal columns of U and rows of Vh, and falling S.

    By the one-sided form of Jacobi's method (Hestenes 1958), which begins at the eigenvectors of A Aᵀ. Waits for the
    device.

    Args:
        A: (..., m, n).
        full_matrices: give U (..., m, m) and Vh (..., n, n); else, k being the smaller size, (..., m, k) and
            (..., k, n).

    Returns:
        (U, S (..., k), Vh). The gradient of the vectors is only finite where all singular values differ and none is
        0; none flows through the vectors that ``full_matrices`` adds. A pair's sign is not determined.

    Raises:
        LinAlgError: an element is infinite or NaN.
        RuntimeError: the matrices are of another type than float32 and float64.

    Example:
        >>> genesis.linalg.svd(genesis.tensor([[0.0, 2.0], [1.0, 0.0]])).S
        tensor([2., 1.])
    """
    matrices("svd", A)
    u, s, v = _SVD.apply(A)
    if full_matrices:
        u, v = _completed(u), _completed(v)
    return Singular(u, s, v.mT)


def _completed(q: Any) -> Any:
    """Orthonormal columns, and those that they lack to span the space."""
    m, k = q.shape[-2:]
    if m == k:
        return q
    with no_grad():
        whole = qr(q.detach(), "complete").Q
    return cat([q, whole[..., k:]], -1)


def svdvals(A: Tensor) -> Any:
    """The singular values of matrices (..., m, n), in falling order; their gradient is finite where none is 0."""
    matrices("svdvals", A)
    return _SVD.apply(A)[1]


def pinv(A: Tensor, *, rtol: float | None = None, hermitian: bool = False) -> Any:
    """Moore & Penrose's inverse, (..., m, n) -> (..., n, m), by singular values.

    Args:
        A: matrices.
        rtol: singular values of at most that share of the largest count as 0; by default the larger size times the
            type's precision.
        hermitian: accepted for PyTorch's sake.
    """
    u, s, vh = svd(A, full_matrices=False)
    kept = _counted(s.detach(), A, rtol)
    inverse = (1 / s.where(kept, 1.0)).where(kept, 0.0)
    return (vh.mT * inverse.unsqueeze(-2)) @ u.mT


def _counted(s: Any, A: Any, rtol: float | None) -> Any:
    """Which singular values count."""
    from ..dtypes import finfo

    share = max(A.shape[-2:]) * finfo(A.dtype).eps if rtol is None else rtol
    if not s.shape[-1]:
        return s > 0
    return s > share * s.amax(-1, keepdim=True)


def matrix_rank(A: Tensor, *, rtol: float | None = None, hermitian: bool = False) -> Any:
    """How many singular values are not 0, nearly; int64. ``rtol`` as for `pinv`."""
    return _counted(svdvals(A.detach()), A, rtol).sum(-1)


def cond(A: Tensor, p: Any = None) -> Any:
    """The condition number: the norm of a matrix times that of its inverse.

    Args:
        A: (..., m, n), square unless p is None, 2 or -2.
        p: of `matrix_norm`; None for 2, by singular values.
    """
    from .norms import matrix_norm
    from .solving import inv

    if p in (None, 2, -2):
        s = svdvals(A)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return matrix_norm(A, p) * matrix_norm(inv(A), p)


def matrix_exp(A: Tensor) -> Any:
    """Exponentials of square matrices, by scaling, a Taylor series and squaring; of any derivatives.

    The matrix is halved until its largest column sum is at most 1/2, for the largest of a batch. Waits for the device.
    """
    matrices("matrix_exp", A, square=True)
    if not A.numel():
        return A.clone()
    size = A.detach().abs().sum(-2).amax().item()
    halvings = max(0, math.ceil(math.log2(size)) + 1) if size > 0 and math.isfinite(size) else 0
    x = A * 0.5 ** halvings
    terms = 9 if A.dtype.itemsize == 4 else 17
    one = A.new_ones(A.shape[-1]).diag().expand(*A.shape)
    result = one
    for k in range(terms, 0, -1):
        result = one + x @ result / float(k)
    for _ in range(halvings):
        result = result @ result
    return result
