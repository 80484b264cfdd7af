"""Orthogonal matrices as functions of free ones, for `genesis.nn.utils.parametrizations.orthogonal`."""

from __future__ import annotations

from typing import Any, TypeVar

from ...autograd import no_grad
from ...creation import eye, randn, zeros, zeros_like
from ...functions import cat
from ...linalg import matrix_exp, qr, solve, solve_triangular
from ...ops import linalg as ops
from ...tensor import Tensor
from ..module import Module
from .parametrize import register_parametrization

T = TypeVar("T", bound=Module)

MAPS = ("matrix_exp", "cayley", "householder")


class _Orthogonal(Module):
    """A matrix X to one with orthonormal columns, or rows if it is wide."""

    base: Tensor

    def __init__(self, weight: Tensor, orthogonal_map: str, use_trivialization: bool):
        super().__init__()
        self.shape, self.orthogonal_map, self.based = tuple(weight.shape), orthogonal_map, use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Any) -> Any:
        wide = X.shape[-2] < X.shape[-1]
        X = X.mT if wide else X
        Q = _by_householder(X) if self.orthogonal_map == "householder" else self._by_rotation(X)
        if self.based:
            Q = self.base @ Q
        return Q.mT if wide else Q

    def _by_rotation(self, X: Any) -> Any:
        """The first columns of a rotation, made from the antisymmetric matrix of X's lower triangle."""
        n, k = X.shape[-2:]
        X = X.tril()
        if n > k:
            X = cat([X, zeros(*X.shape[:-1], n - k, dtype=X.dtype, device=X.device)], -1)
        A = X - X.mT
        if self.orthogonal_map == "matrix_exp":
            Q = matrix_exp(A)
        else:
            one = eye(n, dtype=A.dtype, device=A.device)
            Q = solve(one - A / 2, one + A / 2)
        return Q[..., :k]

    def right_inverse(self, Q: Any) -> Any:
        if tuple(Q.shape) != self.shape:
            raise ValueError(f"an orthogonal matrix of shape {self.shape} cannot become one of shape {tuple(Q.shape)}")
        wide = Q.shape[-2] < Q.shape[-1]
        if not self.based:
            if self.orthogonal_map != "householder":
                raise NotImplementedError(f"orthogonal_map={self.orthogonal_map!r} with use_trivialization=False has "
                                          "no inverse, so that no value can be assigned")
            X = _reflections(Q.mT if wide else Q)
            return X.mT if wide else X
        tall = Q.mT if wide else Q
        n, k = tall.shape[-2:]
        if n > k:
            tall = cat([tall, randn(*tall.shape[:-1], n - k, dtype=Q.dtype, device=Q.device)], -1)
        self.base = tall.clone() if n == k and _is_orthogonal(tall) else _orthogonalized(tall)
        X = zeros_like(Q)
        X.diagonal(dim1=-2, dim2=-1).fill_(-1)          # no reflection, by the sign that LAPACK gives them
        return X


def _by_householder(X: Any) -> Any:
    """The product of reflections ``1 - τ v vᵀ``, v a column below the diagonal and 1 on it; columns take its sign.

    It is ``1 - V T Vᵀ`` with an upper triangular T whose inverse is that triangle of ``Vᵀ V``, the diagonal halved
    (Joffrain et al. 2006, "Accumulating Householder transformations, revisited").
    """
    n, k = X.shape[-2:]
    V = X.tril(-1) + eye(n, k, dtype=X.dtype, device=X.device)
    products = V.mT @ V
    inverse = products.triu(1) + (products.diagonal(dim1=-2, dim2=-1) / 2).diag_embed()
    Q = eye(n, k, dtype=X.dtype, device=X.device) - V @ solve_triangular(inverse, V[..., :k, :].mT, upper=True)
    return Q * X.detach().diagonal(dim1=-2, dim2=-1).trunc().unsqueeze(-2)


def _reflections(Q: Any) -> Any:
    """The X that `_by_householder` takes to Q, or to the orthonormal columns that span the same."""
    X, factors = (Tensor._wrap(x) for x in ops.householder(Q.detach()._array))
    diagonal: Any = X.diagonal(dim1=-2, dim2=-1)
    taus = factors.diagonal(dim1=-2, dim2=-1).flatten(-2)[..., :diagonal.shape[-1]]
    sign = diagonal.sign()
    diagonal.copy_(sign.where(taus != 0, -sign))
    return X


def _orthogonalized(A: Any) -> Any:
    """Q of A = Q R, R having a positive diagonal."""
    q, r = qr(A)
    return q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)


def _is_orthogonal(Q: Any) -> bool:
    n = Q.shape[-1]
    error = (Q.mT @ Q - eye(n, dtype=Q.dtype, device=Q.device)).abs().max()
    return bool(error <= 10 * n * 2.0 ** (-23 if Q.dtype.itemsize == 4 else -52))


def orthogonal(module: T, name: str = "weight", orthogonal_map: str | None = None, *,
               use_trivialization: bool = True) -> T:
    """Keep a matrix orthogonal: its columns orthonormal, or its rows if it is wide.

    The optimizer trains a free matrix X. With A the antisymmetric matrix of X's lower triangle, Q is ``exp(A)``,
    or ``(1 + A/2) (1 - A/2)⁻¹`` (Cayley's map), or a product of Householder's reflections whose vectors are the columns
    of X. With ``use_trivialization`` a fixed orthogonal matrix stands before it (Lezcano-Casado 2019,
    arXiv:1909.09501), so that any orthogonal matrix may be assigned.

    Args:
        module: changed in place.
        name: its parameter, (..., m, n): a matrix or several, float32 or float64. One that is not orthogonal is made
            so.
        orthogonal_map: ``"matrix_exp"``, ``"cayley"`` or ``"householder"``; by default the first for square matrices,
            and the last for others.
        use_trivialization: without, the first two start anywhere and take no assignment.

    Returns:
        The module.

    Raises:
        ValueError: the module has no such tensor, it has fewer than two dimensions, or an unknown map.

    Example:
        >>> layer = genesis.nn.utils.parametrizations.orthogonal(genesis.nn.Linear(3, 2))
        >>> Q = layer.weight
        >>> bool((Q @ Q.T - genesis.eye(2)).abs().max() < 1e-5)
        True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"{type(module).__name__} has no parameter or buffer {name!r}")
    if weight.ndim < 2:
        raise ValueError(f"orthogonal needs a matrix, or several, not a tensor of shape {tuple(weight.shape)}")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    if orthogonal_map not in MAPS:
        raise ValueError(f"orthogonal_map must be one of {', '.join(map(repr, MAPS))}, not {orthogonal_map!r}")
    with no_grad():
        return register_parametrization(module, name, _Orthogonal(weight, orthogonal_map, use_trivialization),
                                        unsafe=True)
