"""Singular values and principal components of large matrices of low rank, by random projections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .factors import qr
from .spectra import Factored, svd

if TYPE_CHECKING:
    from ..tensor import Tensor


def svd_lowrank(A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None) -> Factored:
    """The largest singular values of matrices, nearly: A - M is about U diag(S) Vᴴ.

    Algorithm 5.1 after 4.4 of Halko, Martinsson and Tropp 2009, "Finding structure with randomness": the product with
    a few random vectors has nearly the range of A.

    Args:
        A: (..., m, n).
        q: how many; a few more than are wanted make them more exact.
        niter: how often the projection is improved by another product with A and its transpose.
        M: subtracted from A, of its shape or one that broadcasts to it.

    Returns:
        U (..., m, q), S (..., q) falling, and V (..., n, q), not transposed.

    Raises:
        ValueError: q is not between 0 and the smaller size, or ``niter`` is negative.

    Example:
        >>> u, s, v = genesis.svd_lowrank(genesis.ones(4, 1) * genesis.ones(1, 9), q=2)
        >>> s
        tensor([6., 0.])
    """
    from ..creation import randn

    q, niter = 6 if q is None else q, 2 if niter is None else niter
    if not 0 <= q <= min(A.shape[-2:]):
        raise ValueError(f"q must be between 0 and the smaller size {min(A.shape[-2:])}, not {q}")
    if niter < 0:
        raise ValueError(f"niter cannot be negative, got {niter}")
    a: Any = A if M is None else A - M
    wide = a.shape[-2] < a.shape[-1]
    a = a.mH if wide else a
    basis = qr(a @ randn(a.shape[-1], q, dtype=a.dtype, device=a.device)).Q
    for _ in range(niter):
        basis = qr(a @ qr(a.mH @ basis).Q).Q
    u, s, vh = svd(basis.mH @ a, full_matrices=False)
    u, v = basis @ u, vh.mH
    return Factored(v, s, u) if wide else Factored(u, s, v)


def pca_lowrank(A: Tensor, q: int | None = None, center: bool = True, niter: int = 2) -> Factored:
    """The principal components of data, nearly: `svd_lowrank` of what is left when the mean of the rows is subtracted.

    Args:
        A: (..., samples, features).
        q: how many components; 6, or the smaller size, by default.
        center: whether to subtract the mean.
        niter: as for `svd_lowrank`.

    Returns:
        U, S and V as `svd_lowrank` has them; V's columns are the directions, ``S ** 2 / (samples - 1)`` the variances,
        ``A @ V`` the projections.

    Raises:
        ValueError: as `svd_lowrank`.
    """
    q = min(6, *A.shape[-2:]) if q is None else q
    return svd_lowrank(A, q, niter, A.mean(-2, keepdim=True) if center else None)
