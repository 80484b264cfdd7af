"""Matrix products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..autograd import apply
from ..dtypes import bool_
from ..ops import matmul
from .support import Methods

if TYPE_CHECKING:
    from ..tensor import Tensor


class Products(Methods):
    """Matrix products."""

    __slots__ = ()
    FUNCTIONS = "bmm matmul mm"

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

    mm = bmm = matmul
