"""Products of matrices and vectors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..autograd import apply
from ..dtypes import bool_
from ..ops import matmul
from ..ops.array import broadcast_shapes, normalize_axis
from .support import Methods, nothing

if TYPE_CHECKING:
    from ..tensor import Tensor


def _need(name: str, *expected: tuple[Any, int]) -> None:
    """``RuntimeError`` unless tensors have the numbers of dimensions that a function takes."""
    if any(x.ndim != n for x, n in expected):
        wanted, given = (", ".join(str(n) for n in counts) for counts in (
            [n for _, n in expected], [x.ndim for x, _ in expected]))
        raise RuntimeError(f"{name}() needs tensors of {wanted} dimensions, not of {given}")


def _multiply_add(name: str, x: Any, a: Any, b: Any, beta: float, alpha: float) -> Any:
    """``beta * x + alpha * (a @ b)``; x, which broadcasts to the product, is not looked at where beta is 0."""
    (*batch, n, k), (*batches, m, p) = a._array.shape, b._array.shape
    if all(t.is_floating_point() for t in (a, b, x)) and batch == batches and k == m:
        _check_added(name, x, (*batch, n, p))
        return apply(matmul.AddProduct, a, b, x, beta=beta, alpha=alpha)
    return _added(name, x, a.matmul(b), beta, alpha)


def _check_added(name: str, x: Any, shape: tuple[int, ...]) -> None:
    if broadcast_shapes(x._array.shape, shape) != shape:
        raise RuntimeError(f"{name}(): a tensor of shape {tuple(x.shape)} does not broadcast to the product's shape "
                           f"{shape}")


def _added(name: str, x: Any, product: Any, beta: float, alpha: float) -> Any:
    """``beta * x + alpha * product`` of a product of complex or whole numbers."""
    if not (x.dtype.has_gradients or product.dtype.has_gradients):
        for factor in (beta, alpha):
            if isinstance(factor, float) and not factor.is_integer():
                raise RuntimeError(f"{name}() of integers needs whole numbers as beta and alpha, not {factor}")
        beta, alpha = int(beta), int(alpha)
    if product.dtype is bool_:
        raise RuntimeError(f"{name}() is not defined for {bool_}; convert to int64 or float32")
    _check_added(name, x, tuple(product._array.shape))
    if alpha != 1:
        product = product * alpha
    if beta == 0:         # NaN does not count either, and the gradient is 0
        return product + nothing(x) if x.requires_grad else product
    return (x if beta == 1 else x * beta) + product


class Products(Methods):
    """Products of matrices and vectors."""

    __slots__ = ()
    FUNCTIONS = ("addbmm addmm addmv addr baddbmm bmm cross dot ger inner kron matmul matrix_power mm mv outer trace "
                 "vdot")
    IN_PLACE = "addbmm addmm addmv addr baddbmm"

    def __matmul__(self, other: Any) -> Any:
        return self.matmul(other) if hasattr(other, "_array") else NotImplemented

    def matmul(self, other: Tensor) -> Any:
        """Matrix product; vectors count as a row (left) or a column (right), leading dimensions broadcast."""
        if not self.ndim or not other.ndim:
            raise RuntimeError("a matrix product needs tensors of at least one dimension; use * for 0-d tensors")
        if self.dtype is not other.dtype and not (self.is_floating_point() and other.is_floating_point()):
            raise RuntimeError(f"a matrix product of {self.dtype} and {other.dtype}; convert one of them")
        if self.dtype is bool_:
            raise RuntimeError(f"matrix products of {self.dtype} are not defined; convert to int64 or float32")
        a: Any = self if self.ndim > 1 else self.unsqueeze(0)
        b: Any = other if other.ndim > 1 else other.unsqueeze(1)
        result = apply(matmul.MatMul, a, b)
        if other.ndim == 1:
            result = result.squeeze(-1)
        return result.squeeze(-2 if other.ndim > 1 else -1) if self.ndim == 1 else result

    def mm(self, mat2: Tensor) -> Any:
        """The product of two matrices, (n, m) and (m, p): (n, p)."""
        if len(self._array.shape) != 2 or len(mat2._array.shape) != 2:
            _need("mm", (self, 2), (mat2, 2))
        return self.matmul(mat2)

    def bmm(self, mat2: Tensor) -> Any:
        """The products of two batches of as many matrices, (b, n, m) and (b, m, p): (b, n, p)."""
        shape, other = self._array.shape, mat2._array.shape
        if len(shape) != 3 or len(other) != 3:
            _need("bmm", (self, 3), (mat2, 3))
        if shape[0] != other[0]:
            raise RuntimeError(f"bmm() needs batches of one size, not {shape[0]} and {other[0]}")
        return self.matmul(mat2)

    def __rmatmul__(self, other: Any) -> Any:
        return other.matmul(self) if hasattr(other, "_array") else NotImplemented

    def mv(self, vec: Tensor) -> Any:
        """A matrix (n, m) times a vector (m,): (n,)."""
        _need("mv", (self, 2), (vec, 1))
        return self.matmul(vec)

    def dot(self, tensor: Tensor) -> Any:
        """The sum of products of the elements of two vectors."""
        if self.ndim != 1 or tensor.ndim != 1 or self._array.shape != tensor._array.shape:
            raise RuntimeError(f"dot() needs two vectors of one size, not {tuple(self.shape)} and "
                               f"{tuple(tensor.shape)}")
        if self.dtype is not tensor.dtype:
            raise RuntimeError(f"dot() needs vectors of one type, not {self.dtype} and {tensor.dtype}")
        return self.matmul(tensor) if self.dtype.has_gradients else (self * tensor).sum(dtype=self.dtype)

    def vdot(self, other: Tensor) -> Any:
        """`dot` with the conjugate of this vector."""
        return self.conj().dot(other)

    def inner(self, other: Tensor) -> Any:
        """Sums of products along the last dimensions: (..., k), (*, k) -> (..., *); 0-d tensors multiply.

        Raises:
            RuntimeError: the last dimensions differ.
        """
        if not self.ndim or not other.ndim:
            return self * other
        if self._array.shape[-1] != other._array.shape[-1]:
            raise RuntimeError(f"inner() needs last dimensions of one size, not {self._array.shape[-1]} and "
                               f"{other._array.shape[-1]}")
        outer = other._array.shape[:-1]
        rows = other.reshape(math.prod(outer), other._array.shape[-1])
        return self.matmul(rows.t()).reshape((*self._array.shape[:-1], *outer))

    def outer(self, vec2: Tensor) -> Any:
        """The products of all elements of two vectors: (m,), (n,) -> (m, n)."""
        _need("outer", (self, 1), (vec2, 1))
        return self.unsqueeze(1) * vec2

    ger = outer

    def kron(self, other: Tensor) -> Any:
        """The Kronecker product: every element times the whole of ``other``; sizes multiply, from the last on."""
        a, b = self, other
        for _ in range(other.ndim - self.ndim):
            a = a.unsqueeze(0)
        for _ in range(self.ndim - other.ndim):
            b = b.unsqueeze(0)
        for i in range(a.ndim):
            a, b = a.unsqueeze(2 * i + 1), b.unsqueeze(2 * i)
        product = a * b
        shape = product._array.shape
        return product.reshape([n * m for n, m in zip(shape[::2], shape[1::2])])

    def trace(self) -> Any:
        """The sum of a matrix's diagonal."""
        _need("trace", (self, 2))
        return self.diagonal().sum()

    def matrix_power(self, n: int) -> Any:
        """The n-th power of square matrices (..., m, m); of n = 0 the identity, of a negative n that of the inverse.

        Raises:
            RuntimeError: the matrices are not square, or n is negative and one is singular.
        """
        if self.ndim < 2 or self._array.shape[-1] != self._array.shape[-2]:
            raise RuntimeError(f"matrix_power() needs square matrices, not a tensor of shape {tuple(self.shape)}")
        if n < 0:
            return self.inverse().matrix_power(-n)
        if n == 0:
            from ..creation import eye

            one = eye(self._array.shape[-1], dtype=self.dtype, device=self.device).expand(self._array.shape)
            return one + nothing(self) if self.requires_grad else one.clone()
        result: Any = None
        square: Any = self
        while True:
            if n & 1:
                result = square if result is None else result.matmul(square)
            n >>= 1
            if not n:
                return result.clone() if result is self else result
            square = square.matmul(square)

    def cross(self, other: Tensor, dim: int | None = None) -> Any:
        """The cross product of vectors of three elements along a dimension; the others broadcast.

        Args:
            dim: the dimension; by default the first one of size 3.

        Raises:
            RuntimeError: the dimension's size is not 3.
        """
        if self.ndim != other.ndim:
            raise RuntimeError(f"cross() needs tensors of as many dimensions, not {self.ndim} and {other.ndim}")
        shape = broadcast_shapes(self._array.shape, other._array.shape)
        if dim is None:
            if 3 not in shape:
                raise RuntimeError(f"cross() needs a dimension of size 3, and shape {tuple(shape)} has none")
            dim = shape.index(3)
        axis = normalize_axis(dim, self.ndim)
        if self._array.shape[axis] != 3 or other._array.shape[axis] != 3:
            raise RuntimeError(f"cross() needs size 3 along dimension {dim}, not {self._array.shape[axis]} and "
                               f"{other._array.shape[axis]}")
        return self.roll(-1, axis) * other.roll(-2, axis) - self.roll(-2, axis) * other.roll(-1, axis)

    def addmm(self, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Any:
        """``beta * self + alpha * (mat1 @ mat2)``; self broadcasts to the product, and does not count if beta is 0."""
        _need("addmm", (mat1, 2), (mat2, 2))
        return _multiply_add("addmm", self, mat1, mat2, beta, alpha)

    def addmv(self, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Any:
        """``beta * self + alpha * (mat @ vec)``, as `addmm`."""
        _need("addmv", (mat, 2), (vec, 1))
        x = self.unsqueeze(-1) if self.ndim else self
        return _multiply_add("addmv", x, mat, vec.unsqueeze(-1), beta, alpha).squeeze(-1)

    def addr(self, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Any:
        """``beta * self + alpha * outer(vec1, vec2)``, as `addmm`."""
        _need("addr", (vec1, 1), (vec2, 1))
        if self.dtype is vec1.dtype is vec2.dtype is bool_:
            return (self if beta else self.new_zeros(())).logical_or(vec1.outer(vec2) if alpha else False)
        if not all(t.is_floating_point() for t in (self, vec1, vec2)):
            return _added("addr", self, vec1.outer(vec2), beta, alpha)
        return _multiply_add("addr", self, vec1.unsqueeze(1), vec2.unsqueeze(0), beta, alpha)

    def baddbmm(self, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Any:
        """``beta * self + alpha * (batch1 @ batch2)`` of batches of matrices, as `addmm`."""
        _need("baddbmm", (batch1, 3), (batch2, 3))
        return _multiply_add("baddbmm", self, batch1, batch2, beta, alpha)

    def addbmm(self, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Any:
        """``beta * self + alpha * (batch1 @ batch2).sum(0)``: the products of a batch are added up, as `addmm`."""
        _need("addbmm", (batch1, 3), (batch2, 3))
        (b, n, m), p = batch1._array.shape, batch2._array.shape[2]
        if batch2._array.shape[:2] != (b, m):
            raise RuntimeError(f"addbmm() cannot multiply batches of shapes {tuple(batch1.shape)} and "
                               f"{tuple(batch2.shape)}")
        # One product over batch and inner dimension together.
        rows, columns = batch1.transpose(0, 1).reshape(n, b * m), batch2.reshape(b * m, p)
        return _multiply_add("addbmm", self, rows, columns, beta, alpha)
