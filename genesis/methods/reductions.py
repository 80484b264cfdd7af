"""Sums, means, extrema and what is made of them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .. import dtypes
from ..autograd import apply
from ..dtypes import DType, as_dtype
from ..ops import elementwise as ew
from ..ops import reduce
from ..ops.array import normalize_axis
from .support import Dims, Methods, axes_of, in_float32, plain


class Extreme(NamedTuple):
    """What ``max(dim)`` and ``min(dim)`` return."""

    values: Any
    indices: Any


class Reductions(Methods):
    """Reductions over all elements or over dimensions."""

    __slots__ = ()
    FUNCTIONS = "all amax amin any argmax argmin log_softmax logsumexp max mean min norm softmax std sum var"

    def sum(self, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None) -> Any:
        """Sum of all elements or over dimensions."""
        return apply(reduce.Sum, self, axes=axes_of(dim, self.ndim), keepdim=keepdim,
                     dtype=None if dtype is None else as_dtype(dtype))

    def mean(self, dim: Dims = None, keepdim: bool = False) -> Any:
        """Mean of all elements or over dimensions."""
        if not self.dtype.is_floating_point:
            raise RuntimeError(f"the mean of {self.dtype} is not defined; convert to float32")
        if self._array.size == 0:
            return self.sum(dim, keepdim) * math.nan
        return apply(reduce.Mean, self, axes=axes_of(dim, self.ndim), keepdim=keepdim)

    @in_float32
    def var(self, dim: Dims = None, keepdim: bool = False, *, correction: float = 1) -> Any:
        """Variance: squared differences from the mean, over their number minus ``correction``."""
        axes = axes_of(dim, self.ndim)
        count = math.prod(self._array.shape[a] for a in (range(self.ndim) if axes is None else axes))
        difference = self - self.mean(dim, keepdim=True)
        divisor = count - correction
        total = (difference * difference).sum(dim, keepdim)
        return total / divisor if divisor > 0 else total * math.nan

    @in_float32
    def std(self, dim: Dims = None, keepdim: bool = False, *, correction: float = 1) -> Any:
        """Standard deviation: the root of `var`."""
        return self.var(dim, keepdim, correction=correction).sqrt()

    def amax(self, dim: Dims = None, keepdim: bool = False) -> Any:
        """Largest element, of all or over dimensions."""
        return apply(reduce.Amax, self, axes=axes_of(dim, self.ndim), keepdim=keepdim)

    def amin(self, dim: Dims = None, keepdim: bool = False) -> Any:
        """Smallest element, of all or over dimensions."""
        return apply(reduce.Amin, self, axes=axes_of(dim, self.ndim), keepdim=keepdim)

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """Position of the largest element, the first of equal ones."""
        return self._argument("argmax", dim, keepdim)

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """Position of the smallest element, the first of equal ones."""
        return self._argument("argmin", dim, keepdim)

    def _argument(self, op: str, dim: int | None, keepdim: bool) -> Any:
        axis = None if dim is None else normalize_axis(dim, self.ndim)
        return plain(reduce.argument(op, self._array, axis, keepdim))

    def max(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """Largest element; with ``dim``, the pair (values, positions)."""
        return self.amax() if dim is None else Extreme(self.amax(dim, keepdim), self.argmax(dim, keepdim))

    def min(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """Smallest element; with ``dim``, the pair (values, positions)."""
        return self.amin() if dim is None else Extreme(self.amin(dim, keepdim), self.argmin(dim, keepdim))

    def all(self, dim: Dims = None, keepdim: bool = False) -> Any:
        """Whether all elements are not 0."""
        return self._truth("amin", dim, keepdim)

    def any(self, dim: Dims = None, keepdim: bool = False) -> Any:
        """Whether any element is not 0."""
        return self._truth("amax", dim, keepdim)

    def _truth(self, op: str, dim: Dims, keepdim: bool) -> Any:
        truth = ew.run("ne", [self._array, 0], dtypes.bool_, compute=self.dtype.compute)
        if truth.size == 0:
            total = reduce.reduce("sum", truth, axes_of(dim, self.ndim), keepdim)
            return plain(ew.run("eq", [total, 0 if op == "amin" else 1], dtypes.bool_, compute="long"))
        return plain(reduce.reduce(op, truth, axes_of(dim, self.ndim), keepdim))

    @in_float32
    def norm(self, p: float = 2.0, dim: Dims = None, keepdim: bool = False) -> Any:
        """The p-norm of the elements, ``p > 0`` or infinite."""
        if p == math.inf:
            return self.abs().amax(dim, keepdim)
        total = (self * self if p == 2 else self.abs() ** p).sum(dim, keepdim)
        total = total.masked_fill(total == 0, 0.0)       # where the root has no slope its gradient is 0, not NaN
        return total.sqrt() if p == 2 else total ** (1 / p)

    def _top(self, dim: Dims) -> Any:
        """The largest elements, or 0 where they are infinite: what to subtract before taking exponentials."""
        top = self.detach().amax(dim, keepdim=True)
        return top.where(top.isfinite(), 0.0)

    @in_float32
    def logsumexp(self, dim: Dims, keepdim: bool = False) -> Any:
        """Logarithm of the sum of exponentials, without overflow."""
        top = self._top(dim)
        total = (self - top).exp().sum(dim, keepdim).log()
        return total + (top if keepdim else top.reshape(total.shape))

    @in_float32
    def log_softmax(self, dim: int) -> Any:
        """Logarithm of `softmax`."""
        shifted = self - self._top(dim)
        return shifted - shifted.exp().sum(dim, keepdim=True).log()

    @in_float32
    def softmax(self, dim: int) -> Any:
        """Exponentials divided by their sum over a dimension."""
        return self.log_softmax(dim).exp()
