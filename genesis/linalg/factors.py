"""Cholesky's and Householder's factorizations, and what is solved by them."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..autograd import Function
from ..creation import eye
from ..ops import linalg as ops
from ..tensor import Tensor
from .solving import solve_triangular
from .support import LinAlgError, hermitian, matrices, wrap


class Orthogonal(NamedTuple):
    """What ``qr`` returns."""

    Q: Any
    R: Any


class Checked(NamedTuple):
    """What ``cholesky_ex`` returns."""

    L: Any
    info: Any


class LeastSquares(NamedTuple):
    """What ``lstsq`` returns."""

    solution: Any
    residuals: Any
    rank: Any
    singular_values: Any


class _Cholesky(Function):
    """The L of A = L Lᴴ, and where it failed."""

    @staticmethod
    def forward(ctx: Any, a: Any) -> Any:
        """Factorize."""
        factor, info = (wrap(x) for x in ops.cholesky(a._array))
        ctx.save_for_backward(factor)
        ctx.mark_non_differentiable(info)
        return factor, info

    @staticmethod
    def backward(ctx: Any, g: Any, _: Any) -> Any:
        """L⁻ᴴ Φ(Lᴴ g) L⁻¹, Φ taking half the lower triangle and mirroring it (Murray 2016)."""
        (factor,) = ctx.saved_tensors
        inner = (factor.mH @ g.tril()).tril()
        half = solve_triangular(factor.mH, 0.5 * (inner + inner.tril(-1).mH), upper=True)
        return solve_triangular(factor, half, upper=False, left=False)


def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> Checked:
    """`cholesky` that says for each matrix whether it is positive definite, instead of waiting for the device.

    Returns:
        The pair (L, info), int32 info being 0, or the number of the first leading part that is not positive definite.
    """
    matrices("cholesky", A, square=True)
    factor, info = _Cholesky.apply(A)
    if check_errors and info.numpy().any():
        raise LinAlgError("cholesky(): a matrix is not positive definite")
    return Checked(factor.mH if upper else factor, info)


def cholesky(A: Tensor, *, upper: bool = False) -> Any:
    """The lower triangular L of A = L Lᴴ for symmetric or Hermitian positive definite matrices. Waits for the device.

    Args:
        A: (..., n, n), of which the lower triangle is looked at, and of a complex diagonal the real parts.
        upper: give Lᴴ.

    Raises:
        LinAlgError: a matrix is not positive definite.
        RuntimeError: the matrices are not square, or of a type without factorizations.

    Example:
        >>> genesis.linalg.cholesky(genesis.tensor([[4.0, 2.0], [2.0, 5.0]]))
        tensor([[2., 0.],
                [1., 2.]])
    """
    return cholesky_ex(A, upper=upper, check_errors=True).L


def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Any:
    """The X of A X = B, (..., n, k), from the `cholesky` factor of A."""
    lower: Any = L.mH if upper else L
    return solve_triangular(lower.mH, solve_triangular(lower, B, upper=False), upper=True)


def cholesky_inverse(L: Tensor, upper: bool = False) -> Any:
    """The inverse of A, from its `cholesky` factor."""
    return cholesky_solve(eye(L.shape[-1], dtype=L.dtype, device=L.device).expand(*L.shape), L, upper)


class _QR(Function):
    """Q and R, Q with ``count`` columns."""

    @staticmethod
    def forward(ctx: Any, a: Any, count: int) -> Any:
        """Reflect."""
        reflections, factors = ops.householder(a._array)
        q = wrap(ops.orthogonal(reflections, factors, count))
        r = wrap(reflections)[..., :count, :].triu()
        ctx.save_for_backward(q, r, a)
        return q, r

    @staticmethod
    def backward(ctx: Any, gq: Any, gr: Any) -> Any:
        """Of matrices (m, n) with m >= n = count; for wider ones the columns that R has too many go on beside."""
        q, r, a = ctx.saved_tensors
        k, n = r.shape[-2:]
        if q.shape[-2] >= n:
            return _qr_gradient(q, r, gq, gr), None
        front, rest = r[..., :k], a[..., k:]
        inner = _qr_gradient(q, front, gq + rest @ gr[..., k:].mH, gr[..., :k])
        from ..functions import cat

        return cat([inner, q @ gr[..., k:]], -1), None


def _qr_gradient(q: Any, r: Any, gq: Any, gr: Any) -> Any:
    """(gQ + Q S) R⁻ᴴ, S the Hermitian matrix with the lower triangle of R gRᴴ - gQᴴ Q (Walter & Lehmann 2010)."""
    inner = r @ gr.mH - gq.mH @ q
    return solve_triangular(r, (gq + q @ hermitian(inner)).mH, upper=True).mH


def qr(A: Tensor, mode: str = "reduced") -> Orthogonal:
    """A = Q R with orthonormal columns of Q and an upper triangular R, by Householder's reflections.

    R's diagonal is real.

    Args:
        A: (..., m, n).
        mode: ``"reduced"``: Q is (..., m, k), k the smaller size; ``"complete"``: (..., m, m); ``"r"``: only R is
            computed, and Q is empty.

    Raises:
        ValueError: another mode.
        RuntimeError: a gradient is wanted where Q is complete and has more columns than A, or in the mode "r".
    """
    matrices("qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"qr() knows the modes 'reduced', 'complete' and 'r', not {mode!r}")
    m, n = A.shape[-2:]
    if mode == "r":
        if A.requires_grad:
            raise RuntimeError("qr(mode='r') has no gradient, which needs Q; use mode='reduced'")
        reflections, _ = ops.householder(A._array)
        return Orthogonal(A.new_empty(0), wrap(reflections)[..., :min(m, n), :].triu())
    if mode == "complete" and m > n and A.requires_grad:
        raise RuntimeError("qr(mode='complete') has a gradient only where A has as many columns as rows, or more; use "
                           "mode='reduced'")
    return Orthogonal(*_QR.apply(A, m if mode == "complete" else min(m, n)))


def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> LeastSquares:
    """The X that makes the sum of squares of A X - B least; of several, the smallest.

    Args:
        A: (..., m, n); of full rank unless a driver is named that takes others.
        B: (..., m, k), or a vector (m,) for one matrix.
        rcond: with a driver that finds the rank, the share of the largest singular value up to which others count as
            0; by default the larger size times the type's precision.
        driver: None or ``"gels"`` for QR, which does not wait for the device; ``"gelsy"``, ``"gelsd"`` or ``"gelss"``
            for matrices of any rank, all by singular values. PyTorch's default on CPUs is ``"gelsy"``.

    Returns:
        (solution, residuals, rank, singular_values): X (..., n, k); the sums of squares (..., k) where m > n and the
        rank is full, else nothing, and nothing by "gelsy"; the ranks (...) by those drivers that find them; the
        singular values by "gelsd" and "gelss".

    Raises:
        RuntimeError: shapes or types do not fit, or there is no such driver.
    """
    vector = B.ndim == A.ndim - 1
    b: Any = B.unsqueeze(-1) if vector else B
    matrices("lstsq", A, b)
    m, n = A.shape[-2:]
    if b.shape[-2] != m:
        raise RuntimeError(f"lstsq() needs as many equations in both, not A of shape {tuple(A.shape)} and B of "
                           f"{tuple(B.shape)}")
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(f"lstsq() knows the drivers 'gels', 'gelsy', 'gelsd' and 'gelss', not {driver!r}")
    empty = A.real.new_empty(0)
    rank, values = empty.long(), empty
    if driver not in (None, "gels"):
        from .spectra import matrix_rank, pinv, svdvals

        x = pinv(A, rcond) @ b
        rank = matrix_rank(A, rtol=rcond)
        values = empty if driver == "gelsy" else svdvals(A.detach())
    elif m >= n:
        q, r = qr(A)
        x = solve_triangular(r, q.mH @ b, upper=True)
    else:
        q, r = qr(A.mH)
        x = q @ solve_triangular(r.mH, b, upper=False)
    residuals = empty
    if m > n and driver != "gelsy" and (not rank.numel() or bool((rank == n).all())):
        residuals = (A @ x - b).abs().square().sum(-2)
        residuals = residuals.squeeze(-1) if vector else residuals
    return LeastSquares(x.squeeze(-1) if vector else x, residuals, rank, values)
