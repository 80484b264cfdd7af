"""Eigenvalues of matrices that need not be symmetric, which the host finds."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import Function, is_grad_enabled
from ..tensor import Tensor, tensor
from .solving import solve_ex
from .spectra import Eigen
from .support import LinAlgError, diagonal_of, matrices


class _Eig(Function):
    """Eigenvalues, and eigenvectors as columns, by LAPACK."""

    @staticmethod
    def forward(ctx: Any, a: Any) -> Any:
        """Fetch the matrices, bring the results back."""
        dtype = a.dtype if a.is_complex() else a.dtype.to_complex()
        found = _on_host("eig", np.linalg.eig, a)
        values, vectors = (tensor(x.astype(dtype.numpy, copy=False), device=a.device) for x in found)
        ctx.real = not a.is_complex()
        ctx.save_for_backward(values, vectors)
        ctx.set_materialize_grads(False)      # without a gradient of vectors, equal eigenvalues divide nothing by 0
        return values, vectors

    @staticmethod
    def backward(ctx: Any, g_values: Any, g_vectors: Any) -> Any:
        """V⁻ᴴ (diag(gλ) + (Vᴴ gV - Vᴴ V Re(diag(Vᴴ gV))) / conj(λ_j - λ_i)) Vᴴ, as PyTorch has it.

        Boeddeker et al. 2017, arXiv:1701.00392, equation 4.77.
        """
        values, vectors = ctx.saved_tensors
        adjoint = vectors.mH
        inner = 0 if g_values is None else g_values.diag_embed()
        if g_vectors is not None:
            turn = adjoint @ g_vectors
            one = values.real.new_ones(values.shape[-1]).diag()
            apart = (values.unsqueeze(-2) - values.unsqueeze(-1) + one).conj()
            turn = turn - adjoint @ vectors * diagonal_of(turn).real.unsqueeze(-2)      # vectors keep their length
            inner = inner + turn / apart * (1 - one)
        g = solve_ex(adjoint, inner @ adjoint).result
        return g.real if ctx.real else g


def _on_host(name: str, function: Any, a: Any) -> Any:
    values = a.detach().numpy()
    if not np.isfinite(values).all():
        raise LinAlgError(f"{name}(): a matrix has elements that are infinite or NaN")
    try:
        return function(values)
    except np.linalg.LinAlgError as error:
        raise LinAlgError(f"{name}(): {error}") from None


def eig(A: Tensor) -> Eigen:
    """Eigenvalues and eigenvectors of square matrices: A V = V diag(λ).

    The host's LAPACK finds them (``numpy.linalg.eig``), for which the matrices are copied there and the results back;
    derivatives are computed on the device. For symmetric or Hermitian matrices `eigh` is faster and more exact.

    Args:
        A: (..., n, n), real or complex.

    Returns:
        The pair (eigenvalues (..., n), eigenvectors (..., n, n), one of length 1 a column), both complex, in no order.
        The gradient of the vectors is only finite where all eigenvalues differ; a vector's phase is not determined:
        what is made of vectors has a gradient if it does not depend on that. That of matrices without a full set of
        vectors is infinite or NaN.

    Raises:
        LinAlgError: an element is infinite or NaN, or the iteration does not converge.
        RuntimeError: the matrices are not square, or of a type without factorizations.

    Example:
        >>> genesis.linalg.eig(genesis.tensor([[0.0, 1.0], [-1.0, 0.0]])).eigenvalues
        tensor([0.+1.j, 0.-1.j])
    """
    matrices("eig", A, square=True)
    return Eigen(*_Eig.apply(A))


def eigvals(A: Tensor) -> Any:
    """The eigenvalues of square matrices, complex and in no order; see `eig`. Faster, unless gradients need vectors."""
    matrices("eigvals", A, square=True)
    if A.requires_grad and is_grad_enabled():
        return eig(A).eigenvalues
    dtype = A.dtype if A.is_complex() else A.dtype.to_complex()
    return tensor(_on_host("eigvals", np.linalg.eigvals, A).astype(dtype.numpy, copy=False), device=A.device)
