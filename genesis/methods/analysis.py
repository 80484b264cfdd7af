"""Differences along a dimension, distances, covariances."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..dtypes import promote_types
from ..ops.array import normalize_axis
from .support import Methods

if TYPE_CHECKING:
    from ..tensor import Tensor


class Analysis(Methods):
    """Differences along a dimension, distances, covariances."""

    __slots__ = ()
    FUNCTIONS = "corrcoef cov diff dist nanmedian renorm"
    IN_PLACE = "renorm"

    def diff(self, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None) -> Any:
        """Differences of neighbours along a dimension, which gets shorter by one, ``n`` times over.

        Args:
            n: how many times; 0 gives a copy, to which nothing is joined.
            dim: the dimension.
            prepend, append: joined before and after the tensor along the dimension, first of all.

        Raises:
            RuntimeError: ``n`` is negative, or the tensor is 0-d.
        """
        from ..joining import cat

        if n < 0:
            raise RuntimeError(f"diff() needs a number of times that is not negative, got {n}")
        if not self.ndim:
            raise RuntimeError("diff() needs a tensor of at least one dimension")
        axis = normalize_axis(dim, self.ndim)
        if not n:
            return self.clone()
        x: Any = self
        if prepend is not None or append is not None:
            x = cat([y for y in (prepend, x, append) if y is not None], axis)
        for _ in range(min(n, x.shape[axis])):
            size = x.shape[axis] - 1
            later, earlier = x.narrow(axis, 1, size), x.narrow(axis, 0, size)
            x = later.logical_xor(earlier) if x.dtype.kind == "b" else later - earlier
        return x

    def dist(self, other: Tensor, p: float = 2) -> Any:
        """The p-norm of the difference, 0-d; the shapes broadcast."""
        return (self - other).norm(p)

    def cov(self, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None) -> Any:
        """Covariances of variables, one a row, whose observations are the columns: (n, k) -> (n, n).

        Of one variable, (k,) or (1, k), the variance, 0-d.

        Args:
            correction: subtracted from the number of observations; 1 makes the estimate unbiased.
            fweights: integers (k,), how often each observation counts.
            aweights: numbers (k,), how important each observation is. Neither may be negative, which is not checked:
                that would wait for the device.

        Raises:
            RuntimeError: more than two dimensions, or weights that do not fit.
        """
        if self.ndim > 2:
            raise RuntimeError(f"cov() needs at most two dimensions, not {self.ndim}")
        x = self.reshape(1, -1) if self.ndim < 2 else self
        if not x.dtype.has_gradients:
            x = x.float()
        k = x._array.shape[1]
        weights: Any = None
        for name, given, whole in (("fweights", fweights, True), ("aweights", aweights, False)):
            if given is None:
                continue
            if given.shape != (k,):
                raise RuntimeError(f"cov() needs {name} of shape ({k},), not {tuple(given.shape)}")
            if given.dtype.is_floating_point == whole:
                raise RuntimeError(f"cov() needs {name} of {'an integer' if whole else 'a floating-point'} type, not "
                                   f"{given.dtype}")
            weights = given if weights is None else weights * given
        if aweights is not None:
            x = x.to(promote_types(x.dtype, aweights.dtype))
        if weights is None:
            total: Any = k
            mean = x.mean(1, keepdim=True)
            apart = weighted = x - mean
        else:
            weights = weights.to(x.real.dtype)
            total = weights.sum()
            apart = x - (x * weights).sum(1, keepdim=True) / total
            weighted = apart * weights
        if weights is not None and aweights is not None and correction:
            left = total - correction * (weights * aweights.to(weights.dtype)).sum() / total
        else:
            left = total - correction
        left = max(left, 0) if isinstance(left, int) else left.clamp(min=0)
        result = weighted.matmul(apart.mH)
        result = result * (1 / left if left else math.inf) if isinstance(left, int) else result / left
        return result.reshape(()) if result.numel() == 1 else result

    def corrcoef(self) -> Any:
        """Correlation coefficients, in [-1, 1], of variables, one a row: (n, k) -> (n, n), and 0-d of one."""
        from ..complex_numbers import complex

        c = self.cov()
        if not c.ndim:
            return c / c
        deviations = c.diagonal().real.sqrt()
        c = c / deviations.unsqueeze(1) / deviations.unsqueeze(0)
        return complex(c.real.clamp(-1, 1), c.imag.clamp(-1, 1)) if c.is_complex() else c.clamp(-1, 1)

    def nanmedian(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """The `median` of the elements that are not NaN; NaN where all are. With ``dim``: (values, indices)."""
        from .ordering import Ordered

        if not self.dtype.is_floating_point or not self.numel():
            return self.median() if dim is None else self.median(dim, keepdim)
        if dim is None:
            return self.reshape(-1).nanmedian(0).values
        axis = normalize_axis(dim, self.ndim)
        x = self if self.ndim else self.reshape(1)
        order = x.detach().argsort(axis, stable=True)                     # NaN comes last
        count = x.detach().isnan().logical_not().sum(axis, keepdim=True)
        indices = order.gather(axis, ((count - 1) // 2).clamp(min=0))
        found = Ordered(x.gather(axis, indices), indices)
        if not self.ndim:
            return Ordered(*(y.reshape(()) for y in found))
        return found if keepdim else Ordered(*(y.squeeze(axis) for y in found))

    def renorm(self, p: float, dim: int, maxnorm: float) -> Any:
        """Each slice along a dimension scaled down to a p-norm of at most ``maxnorm``.

        Raises:
            RuntimeError: ``p`` is not positive, ``maxnorm`` is negative, or there are fewer than two dimensions.
        """
        if not p > 0 or not maxnorm >= 0:
            raise RuntimeError(f"renorm() needs p > 0 and maxnorm >= 0, got {p} and {maxnorm}")
        if self.ndim < 2:
            raise RuntimeError(f"renorm() needs at least two dimensions, not {self.ndim}")
        axis = normalize_axis(dim, self.ndim)
        norms = self.norm(p, [i for i in range(self.ndim) if i != axis], keepdim=True)
        return self * (maxnorm / (norms + 1e-7)).where(norms > maxnorm, 1.0)
