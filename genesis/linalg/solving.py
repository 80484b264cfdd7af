"""Systems of equations, inverses, determinants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..autograd import Function
from ..complex_numbers import complex
from ..creation import eye
from ..ops import linalg as ops
from ..tensor import Tensor
from .support import LinAlgError, batched, matrices, wrap


class Info(NamedTuple):
    """What ``inv_ex`` and ``solve_ex`` return."""

    result: Any
    info: Any


class SignedLogarithm(NamedTuple):
    """What ``slogdet`` returns."""

    sign: Any
    logabsdet: Any


class _Solve(Function):
    """A⁻¹ B by LU; with it the first zero on U's diagonal, counted from 1."""

    @staticmethod
    def forward(ctx: Any, a: Any, b: Any) -> Any:
        """Factorize and solve two triangular systems."""
        lu, pivots = ops.lu(a._array)
        x, info = wrap(ops.solved(lu, pivots, b._array)), wrap(ops.about_lu(lu, pivots)[1])
        ctx.save_for_backward(a, x)
        ctx.mark_non_differentiable(info)
        return x, info

    @staticmethod
    def backward(ctx: Any, g: Any, _: Any) -> Any:
        """To B the solution for the conjugate transpose; to A minus its product with Xᴴ."""
        a, x = ctx.saved_tensors
        gb, _ = _Solve.apply(a.mH, g)
        return -gb @ x.mH, gb


def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Info:
    """`solve` that says for each matrix whether it is singular, instead of waiting for the device and raising an error.

    Returns:
        The pair (result, info), int32 info being 0, or the position of a 0 on U's diagonal, counted from 1.
    """
    if not left:
        result, info = solve_ex(A.mT, B.mT, check_errors=check_errors)
        return Info(result.mT, info)
    # As in PyTorch: B is a batch of vectors if it has the shape of A without the last dimension.
    vector = B.ndim == 1 or (B.ndim == A.ndim - 1 and B.shape == A.shape[:-1])
    b: Any = B.unsqueeze(-1) if vector else B
    matrices("solve", A, b, square=True)
    if A.shape[-1] != b.shape[-2]:
        raise RuntimeError(f"solve() needs as many equations in both, not A of shape {tuple(A.shape)} and B of "
                           f"{tuple(B.shape)}")
    result, info = _Solve.apply(*batched(A, b))
    if check_errors:
        check("solve", info)
    return Info(result.squeeze(-1) if vector else result, info)


def check(name: str, info: Any) -> None:
    """`LinAlgError` if any matrix is singular; waits for the device."""
    if info.numpy().any():
        raise LinAlgError(f"{name}(): a matrix is singular: U of its factorization has a 0 on the diagonal")


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Any:
    """The X of A X = B, or with ``left=False`` of X A = B, by LU with partial pivoting. Waits for the device.

    Args:
        A: (..., n, n).
        B: (..., n, k), or vectors (..., n); batches broadcast. With ``left=False`` (..., k, n).
        left: on which side A stands.

    Returns:
        X, in the shape of B with the broadcast batch.

    Raises:
        LinAlgError: a matrix is singular.
        RuntimeError: shapes or types do not fit.

    Example:
        >>> A = genesis.tensor([[2.0, 1.0], [1.0, 3.0]])
        >>> genesis.linalg.solve(A, genesis.tensor([3.0, 5.0]))
        tensor([0.8, 1.4])
    """
    return solve_ex(A, B, left=left, check_errors=True).result


def inv_ex(A: Tensor, *, check_errors: bool = False) -> Info:
    """`inv` that says for each matrix whether it is singular; see `solve_ex`."""
    matrices("inv", A, square=True)
    one = eye(A.shape[-1], dtype=A.dtype, device=A.device).expand(*A.shape)
    return solve_ex(A, one, check_errors=check_errors)


def inv(A: Tensor) -> Any:
    """The inverse of square matrices (..., n, n). Waits for the device. To multiply by it, `solve` is more exact.

    Raises:
        LinAlgError: a matrix is singular.
        RuntimeError: the matrices are not square, or of a type without factorizations.

    Example:
        >>> genesis.linalg.inv(genesis.tensor([[2.0, 0.0], [0.0, 4.0]]))
        tensor([[0.5 , 0.  ],
                [0.  , 0.25]])
    """
    return inv_ex(A, check_errors=True).result


def tensorinv(A: Tensor, ind: int = 2) -> Any:
    """The inverse of tensors seen as square matrices, of the product of the first ``ind`` sizes and that of the others.

    Returns:
        A tensor of the other sizes, then the first, so that ``tensordot(tensorinv(A, ind), B, ind)`` is
        ``tensorsolve(A, B)``.

    Raises:
        RuntimeError: ``ind`` is not positive, or the products differ.
    """
    if ind <= 0:
        raise RuntimeError(f"tensorinv() needs a positive ind, not {ind}")
    first, others = A.shape[:ind], A.shape[ind:]
    if math.prod(first) != math.prod(others):
        raise RuntimeError(f"tensorinv() needs sizes of one product before and after {ind}, not shape {tuple(A.shape)}")
    return inv(A.reshape(math.prod(first), -1)).reshape(*others, *first)


def tensorsolve(A: Tensor, B: Tensor, dims: Sequence[int] | None = None) -> Any:
    """The X of ``tensordot(A, X, X.ndim) = B``.

    Args:
        A: the sizes of B, then others of the same product.
        B: any shape.
        dims: dimensions of A to move to its end first.

    Raises:
        RuntimeError: the products differ.
    """
    moved: Any = A if dims is None else A.movedim(tuple(dims), tuple(range(A.ndim - len(dims), A.ndim)))
    others = moved.shape[B.ndim:]
    if math.prod(others) != B.numel() or moved.numel() != B.numel() ** 2:
        raise RuntimeError(f"tensorsolve() needs an A of the sizes of B and others of one product, not shapes "
                           f"{tuple(A.shape)} and {tuple(B.shape)}")
    return solve(moved.reshape(B.numel(), -1), B.flatten()).reshape(others)


class _SolveTriangular(Function):
    """A⁻¹ B for triangular matrices."""

    @staticmethod
    def forward(ctx: Any, a: Any, b: Any, upper: bool, unit: bool) -> Any:
        """Substitute."""
        x = wrap(ops.triangular(a._array, b._array, not upper, unit=unit))
        ctx.upper, ctx.unit = upper, unit
        ctx.save_for_backward(a, x)
        return x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        """As for any matrix, but that the other triangle has no part in it."""
        a, x = ctx.saved_tensors
        gb = _SolveTriangular.apply(a.mH, g, not ctx.upper, ctx.unit)
        ga = -gb @ x.mH
        return ga.triu(int(ctx.unit)) if ctx.upper else ga.tril(-int(ctx.unit)), gb, None, None


def solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Any:
    """The X of A X = B, or of X A = B, for triangular matrices A, of which only that triangle is looked at.

    Args:
        A: (..., n, n).
        B: (..., n, k), with ``left=False`` (..., k, n); batches broadcast.
        upper: which triangle.
        left: on which side A stands.
        unitriangular: take the diagonal for ones.

    Raises:
        RuntimeError: shapes or types do not fit. A 0 on the diagonal gives infinities.
    """
    if not left:
        return solve_triangular(A.mT, B.mT, upper=not upper, unitriangular=unitriangular).mT
    matrices("solve_triangular", A, B, square=True)
    if A.shape[-1] != B.shape[-2]:
        raise RuntimeError(f"solve_triangular() needs as many equations in both, not A of shape {tuple(A.shape)} and "
                           f"B of {tuple(B.shape)}")
    return _SolveTriangular.apply(*batched(A, B), upper, unitriangular)


class _Slogdet(Function):
    """Sign and logarithm of the absolute value of determinants, by LU."""

    @staticmethod
    def forward(ctx: Any, a: Any) -> Any:
        """The product of U's diagonal, and of as many -1 as rows were swapped."""
        about = wrap(ops.about_lu(*ops.lu(a._array))[0])
        sign = about[1]
        ctx.save_for_backward(a, sign)
        if not a.is_complex():
            ctx.mark_non_differentiable(sign)
        return sign, about[2].real.clone()

    @staticmethod
    def backward(ctx: Any, g_sign: Any, g: Any) -> Any:
        """The inverse's conjugate transpose, times g - i Im(conj(g_sign) sign): the sign turns as tr(A⁻¹ dA) says."""
        a, sign = ctx.saved_tensors
        if a.is_complex():
            g = complex(g, -(g_sign.conj() * sign).imag)
        return g.unsqueeze(-1).unsqueeze(-1) * inv_ex(a).result.mH


def slogdet(A: Tensor) -> SignedLogarithm:
    """Signs, and logarithms of the absolute values, of the determinants of (..., n, n), which do not overflow.

    A complex determinant's sign is a number of absolute value 1, or 0.

    Returns:
        The pair (sign, logabsdet); for a singular matrix (0, -inf).

    Example:
        >>> genesis.linalg.slogdet(genesis.tensor([[0.0, 2.0], [1.0, 0.0]]))
        SignedLogarithm(sign=tensor(-1.), logabsdet=tensor(0.6931))
    """
    matrices("slogdet", A, square=True)
    return SignedLogarithm(*_Slogdet.apply(A))


class _Det(Function):
    """Determinants, by LU."""

    @staticmethod
    def forward(ctx: Any, a: Any) -> Any:
        """The product of U's diagonal, and of as many -1 as rows were swapped."""
        det = wrap(ops.about_lu(*ops.lu(a._array))[0])[0]
        ctx.save_for_backward(a, det)
        return det

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        """The conjugate transpose of the adjugate: of the determinant times the inverse."""
        a, det = ctx.saved_tensors
        return (g * det.conj()).unsqueeze(-1).unsqueeze(-1) * inv_ex(a).result.mH


def det(A: Tensor) -> Any:
    """Determinants of square matrices (..., n, n). The gradient at singular ones is NaN.

    Example:
        >>> genesis.linalg.det(genesis.tensor([[1.0, 2.0], [3.0, 4.0]]))
        tensor(-2.)
    """
    matrices("det", A, square=True)
    return _Det.apply(A)


def logdet(A: Tensor) -> Any:
    """Logarithms of determinants, NaN for negative ones and -infinity for 0; of complex ones the principal values."""
    sign, logarithm = slogdet(A)
    if A.is_complex():
        return sign.log() + logarithm
    return logarithm.masked_fill(sign < 0, float("nan"))
