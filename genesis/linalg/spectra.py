"""Eigenvalues of symmetric matrices, singular values, and what follows from them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..autograd import Function, is_grad_enabled, no_grad
from ..dtypes import finfo
from ..functions import cat
from ..ops import spectra
from ..ops.elementwise import copy
from ..ops.linalg import identities
from ..tensor import Tensor
from .factors import qr
from .support import LinAlgError, diagonal_of, hermitian, matrices, part_type, wrap

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
        found, rows = _eigen(hermitian(a, upper), vectors, "eigh")
        values, order = found.to(part_type(a)).sort(-1)
        if rows is None:
            return values, values
        result = rows.gather(-2, order.unsqueeze(-1).expand(*a.shape)).mT
        ctx.save_for_backward(values, result)
        ctx.set_materialize_grads(False)      # without a gradient of vectors, equal eigenvalues divide nothing by 0
        return values, result

    @staticmethod
    def backward(ctx: Any, g_values: Any, g_vectors: Any) -> Any:
        """V (diag(gλ) + (Vᴴ gV) / (λ_j - λ_i)) Vᴴ (Giles 2008, 3.1), made Hermitian."""
        values, vectors = ctx.saved_tensors
        inner: Any = 0 if g_values is None else g_values.diag_embed()
        if g_vectors is not None:
            inner = vectors.mH @ g_vectors * _apart(values) + inner
        g = vectors @ inner.to(vectors.dtype) @ vectors.mH
        return 0.5 * (g + g.mH), None, None


def eigh(A: Tensor, UPLO: str = "L") -> Eigen:
    """Eigenvalues, in rising order, and orthonormal eigenvectors of symmetric or Hermitian matrices.

    By Householder's reflections and the implicit QL algorithm (Bowdler, Martin, Reinsch & Wilkinson 1968), the latter
    in float64 where the device has it. Waits for the device.

    Args:
        A: (..., n, n).
        UPLO: the triangle that is looked at, ``"L"`` or ``"U"``.

    Returns:
        The pair (eigenvalues (..., n), eigenvectors (..., n, n), one a column). The gradient of the vectors is only
        finite where all eigenvalues differ. A vector's sign is not determined, nor is, of a complex one, its phase:
        what is made of vectors has a gradient if it does not depend on that.

    Raises:
        LinAlgError: an element is infinite or NaN.
        RuntimeError: the matrices are not square, or of a type without factorizations.

    Example:
        >>> genesis.linalg.eigh(genesis.tensor([[2.0, 1.0], [1.0, 2.0]])).eigenvalues
        tensor([1., 3.])
    """
    return Eigen(*_symmetric("eigh", A, UPLO, True))


def eigvalsh(A: Tensor, UPLO: str = "L") -> Any:
    """The eigenvalues of symmetric or Hermitian matrices, in rising order; see `eigh`.

    Faster, unless gradients need vectors. The gradient is finite where eigenvalues are equal, too.
    """
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

        The eigenvectors of A Aᴴ, which are exact for large singular values only, nearly do it; Jacobi's method does the
        rest, and what it rotates is A itself.
        """
        wide = a.shape[-2] < a.shape[-1]
        rows = a if wide else a.mH
        size = None
        if rows.shape[-2] > _SMALL:
            size = rows.abs().amax((-2, -1), keepdim=True)       # products of elements might overflow
            rows = rows / size.where(size > 0, 1.0)
            vectors = _eigen(rows @ rows.mH, True, "svd")[1].conj()
            vectors = 1.5 * vectors - 0.5 * (vectors @ vectors.mH @ vectors)          # orthogonal to the last digit
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
            q, r = qr(rows.mH)
        sign = diagonal_of(r).real.sign()
        other = q * (sign + (sign == 0)).unsqueeze(-2)
        u, v = (vectors.mH, other) if wide else (other, vectors.mH)
        ctx.save_for_backward(u, lengths, v)
        ctx.set_materialize_grads(False)      # without gradients of vectors, equal singular values divide nothing by 0
        return u, lengths, v

    @staticmethod
    def backward(ctx: Any, gu: Any, gs: Any, gv: Any) -> Any:
        """U (skew(Uᴴ gU) / E S + S skew(Vᴴ gV) / E + diag(gS)) Vᴴ, and what lies outside of U and V (Townsend 2016).

        Of complex matrices U's vectors also turn in the complex plane, as the diagonal of skew(Uᴴ gU) / 2S says: those
        of V are taken to stand still.
        """
        u, s, v = ctx.saved_tensors
        row = s.unsqueeze(-2)
        inner: Any = 0 if gs is None else gs.diag_embed()
        if gu is not None:
            turn_u = u.mH @ gu
            skew = turn_u - turn_u.mH
            inner = inner + skew * _apart(s * s) * row
            if u.is_complex():
                inner = inner + (diagonal_of(skew) / (2 * s)).diag_embed()
        if gv is not None:
            turn_v = v.mH @ gv
            inner = inner + s.unsqueeze(-1) * ((turn_v - turn_v.mH) * _apart(s * s))
        g = u @ inner.to(u.dtype) @ v.mH
        if gu is not None and u.shape[-2] > s.shape[-1]:
            g = g + (gu - u @ turn_u) / row @ v.mH
        if gv is not None and v.shape[-2] > s.shape[-1]:
            g = g + u @ ((gv - v @ turn_v) / row).mH
        return g


def svd(A: Tensor, full_matrices: bool = True) -> Singular:
    """A = U diag(S) Vh with orthonormal columns of U and rows of Vh, and falling S.

    By the one-sided form of Jacobi's method (Hestenes 1958), which begins at the eigenvectors of A Aᴴ. Waits for the
    device.

    Args:
        A: (..., m, n).
        full_matrices: give U (..., m, m) and Vh (..., n, n); else, k being the smaller size, (..., m, k) and
            (..., k, n).

    Returns:
        (U, S (..., k), Vh). The gradient of the vectors is only finite where all singular values differ and none is
        0; none flows through the vectors that ``full_matrices`` adds. A pair's sign is
        not determined, nor is, of complex ones, their common phase: what is made of them has a gradient if it does not
        depend on that.

    Raises:
        LinAlgError: an element is infinite or NaN.
        RuntimeError: the matrices are of a type without factorizations.

    Example:
        >>> genesis.linalg.svd(genesis.tensor([[0.0, 2.0], [1.0, 0.0]])).S
        tensor([2., 1.])
    """
    matrices("svd", A)
    u, s, v = _SVD.apply(A)
    if full_matrices:
        u, v = _completed(u), _completed(v)
    return Singular(u, s, v.mH)


def _completed(q: Any) -> Any:
    """Orthonormal columns, and those that they lack to span the space."""
    m, k = q.shape[-2:]
    if m == k:
        return q
    with no_grad():
        whole = qr(q.detach(), "complete").Q
    return cat([q, whole[..., k:]], -1)


def svdvals(A: Tensor) -> Any:
    """The singular values of matrices (..., m, n), falling. Where some are 0, the gradient is one of many."""
    matrices("svdvals", A)
    return _SVD.apply(A)[1]


class _Pinv(Function):
    """Moore & Penrose's inverse, whose gradient needs no singular values apart."""

    @staticmethod
    def forward(ctx: Any, a: Any, atol: Any, rtol: Any, hermitian: bool) -> Any:
        """Invert the singular values, or eigenvalues, that count."""
        if hermitian:
            values, v = eigh(a)
            kept, u = _counted(values.abs(), a, atol, rtol), v
        else:
            u, values, vh = svd(a, full_matrices=False)
            kept, v = _counted(values, a, atol, rtol), vh.mH
        inverse = (1 / values.where(kept, 1.0)).where(kept, 0.0)
        result = (v * inverse.unsqueeze(-2)) @ u.mH
        ctx.save_for_backward(a, result)
        return result

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        """Golub & Pereyra 1973, equation 4.12, of matrices of one rank: with P the inverse and G the gradient,
        ``-Pᴴ G Pᴴ + (1 - A P) Gᴴ P Pᴴ + Pᴴ P Gᴴ (1 - P A)``.
        """
        a, p = ctx.saved_tensors
        h, pt = g.mH, p.mH
        right, left = h @ p @ pt, pt @ (p @ h)
        return right - a @ (p @ right) + left - (left @ p) @ a - pt @ g @ pt, None, None, None


def pinv(A: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Any:
    """Moore & Penrose's inverse, (..., m, n) -> (..., n, m), by singular values. Waits for the device.

    Args:
        A: matrices; the gradient is that among matrices of the same rank.
        rcond: another name of ``rtol``.
        hermitian: the matrices are symmetric or Hermitian; the lower triangle is looked at, and eigenvalues do it.
        atol, rtol: singular values of at most ``max(atol, rtol * the largest)`` count as 0. By default ``atol`` is 0,
            and ``rtol`` the larger size times the type's precision, or 0 if ``atol`` is above 0. Numbers, or tensors
            of the batch's shape.

    Example:
        >>> genesis.linalg.pinv(genesis.tensor([[2.0, 0.0], [0.0, 0.0]]))
        tensor([[0.5, 0. ],
                [0. , 0. ]])
    """
    matrices("pinv", A, square=hermitian)
    return _Pinv.apply(A, atol, rcond if rtol is None else rtol, hermitian)


def _counted(s: Any, A: Any, atol: Any, rtol: Any) -> Any:
    """Which of singular values (..., k) count; tolerances as of `pinv`."""
    if not s.shape[-1]:
        return s > 0
    if rtol is None:
        share = max(A.shape[-2:]) * finfo(part_type(A)).eps
        rtol = share if atol is None else share * (atol <= 0)
    atol, rtol = (x.unsqueeze(-1) if isinstance(x, Tensor) else x for x in (0.0 if atol is None else atol, rtol))
    return (s > atol) & (s > s.amax(-1, keepdim=True) * rtol)


def matrix_rank(A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Any:
    """How many singular values are not 0, nearly; int64. Waits for the device.

    Args:
        A: (..., m, n).
        tol: singular values of at most that count as 0: ``atol`` with an ``rtol`` of 0.
        hermitian, atol, rtol: as for `pinv`.
    """
    matrices("matrix_rank", A, square=hermitian)
    if tol is not None:
        atol, rtol = tol, 0.0
    x = A.detach()
    return _counted(eigvalsh(x).abs() if hermitian else svdvals(x), A, atol, rtol).sum(-1)


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
    """Exponentials of square matrices, of any derivatives. Waits for the device.

    Each matrix is halved until its largest column sum is small enough for a Taylor polynomial of degree 16, evaluated
    with six products (Paterson & Stockmeyer 1973), and the result squared as often.

    Example:
        >>> genesis.linalg.matrix_exp(genesis.tensor([[0.0, 1.0], [0.0, 0.0]]))
        tensor([[1., 1.],
                [0., 1.]])
    """
    matrices("matrix_exp", A, square=True)
    if not A.numel():
        return A.clone()
    size = A.detach().abs().sum(-2).amax(-1)
    small = 2.0 if part_type(A).itemsize == 4 else 0.75           # 16 terms then leave less than a rounding
    halvings: Any = (size / small).log2().ceil().clamp(min=0.0).nan_to_num(0.0, 0.0, 0.0)[..., None, None]
    most = int(halvings.amax().item())
    x = A * (0.5 ** halvings if most else 1.0)
    x2 = x @ x
    x3, x4 = x2 @ x, x2 @ x2
    one = A.new_ones(A.shape[-1]).diag()
    result: Any = x4 / math.factorial(16)
    for first in (12, 8, 4, 0):
        c0, c1, c2, c3 = (1 / math.factorial(first + j) for j in range(4))
        result = (result if first == 12 else x4 @ result) + (x3 * c3).add(x2, alpha=c2).add(x, alpha=c1).add(one * c0)
    for done in range(most):
        result = (result @ result).where(halvings > done, result)
    return result
