"""Linear algebra under the older names that PyTorch has at its top level; see `genesis.linalg`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .support import Methods

if TYPE_CHECKING:
    from ..tensor import Tensor


class Algebra(Methods):
    """Linear algebra under older names; `genesis.linalg` has the rest."""

    __slots__ = ()
    FUNCTIONS = ("cholesky cholesky_inverse cholesky_solve det inverse logdet matrix_exp pinverse qr slogdet svd")

    def inverse(self) -> Any:
        """The inverse of square matrices; see `genesis.linalg.inv`."""
        from ..linalg import inv

        return inv(self)  # type: ignore[arg-type]

    def pinverse(self, rcond: float = 1e-15) -> Any:
        """Moore & Penrose's inverse; singular values of at most ``rcond`` times the largest count as 0."""
        from ..linalg import pinv

        return pinv(self, rtol=rcond)  # type: ignore[arg-type]

    def det(self) -> Any:
        """The determinants of square matrices; see `genesis.linalg.det`."""
        from ..linalg import det

        return det(self)  # type: ignore[arg-type]

    def slogdet(self) -> Any:
        """Signs and logarithms of determinants; see `genesis.linalg.slogdet`."""
        from ..linalg import slogdet

        return slogdet(self)  # type: ignore[arg-type]

    def logdet(self) -> Any:
        """Logarithms of determinants, NaN for negative ones and -infinity for 0."""
        from ..linalg.solving import logdet

        return logdet(self)  # type: ignore[arg-type]

    def cholesky(self, upper: bool = False) -> Any:
        """The L of A = L Lᵀ; see `genesis.linalg.cholesky`."""
        from ..linalg import cholesky

        return cholesky(self, upper=upper)  # type: ignore[arg-type]

    def cholesky_solve(self, input2: Tensor, upper: bool = False) -> Any:
        """The X of A X = B, this tensor being B (..., n, k) and ``input2`` the `cholesky` factor of A."""
        from ..linalg.factors import cholesky_solve

        return cholesky_solve(self, input2, upper)  # type: ignore[arg-type]

    def cholesky_inverse(self, upper: bool = False) -> Any:
        """The inverse of A, this tensor being its `cholesky` factor."""
        from ..linalg.factors import cholesky_inverse

        return cholesky_inverse(self, upper)  # type: ignore[arg-type]

    def qr(self, some: bool = True) -> Any:
        """The pair (Q, R); see `genesis.linalg.qr`. With ``some=False`` Q is square."""
        from ..linalg import qr

        return qr(self, "reduced" if some else "complete")  # type: ignore[arg-type]

    def svd(self, some: bool = True, compute_uv: bool = True) -> Any:
        """(U, S, V), V not transposed; see `genesis.linalg.svd`.

        Args:
            some: leave out the columns of U and V that go with no singular value.
            compute_uv: False for zeros in place of U and V.
        """
        from ..linalg import svd
        from ..linalg.spectra import Factored

        u, s, vh = svd(self, full_matrices=not some)  # type: ignore[arg-type]
        u, v = (u, vh.mH) if compute_uv else (u.new_zeros(u.shape), vh.mT.new_zeros(vh.mT.shape))
        return Factored(u, s, v)

    def matrix_exp(self) -> Any:
        """Exponentials of square matrices; see `genesis.linalg.matrix_exp`."""
        from ..linalg import matrix_exp

        return matrix_exp(self)  # type: ignore[arg-type]
