"""Matrix products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..autograd import apply
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
        for x in (self, other):
            if not x.dtype.is_floating_point:
                raise RuntimeError(f"matrix products of {x.dtype} are not supported; convert to float32")
        a: Any = self if self.ndim > 1 else self.unsqueeze(0)
        b: Any = other if other.ndim > 1 else other.unsqueeze(1)
        result = apply(matmul.MatMul, a, b)
        if other.ndim == 1:
            result = result.squeeze(-1)
        return result.squeeze(-2 if other.ndim > 1 else -1) if self.ndim == 1 else result

    mm = bmm = matmul
