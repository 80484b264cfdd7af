"""Sums, means, extrema and what is made of them."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

from .. import tracing
from ..autograd import apply
from ..dtypes import DType, as_dtype, uint8
from ..ops import argument, elementwise, logsumexp, reduce, scan, softmax, variance, vector_norm
from ..ops.array import normalize_axis
from .support import Dims, Methods, axes_of, plain, real_only


class Extreme(NamedTuple):
    """What ``max(dim)`` and ``min(dim)`` return."""

    values: Any
    indices: Any


class Range(NamedTuple):
    """What ``aminmax`` returns."""

    min: Any
    max: Any


class Reductions(Methods):
    """Reductions over all elements or over dimensions."""

    __slots__ = ()
    FUNCTIONS = ("all allclose amax amin aminmax any argmax argmin count_nonzero log_softmax logsumexp max mean min "
                 "nanmean nansum norm prod softmax std std_mean sum var var_mean")

    def sum(self, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None) -> Any:
        """Sum of all elements or over dimensions; of integers int64, unless ``dtype`` says otherwise."""
        return apply(reduce.Sum, self._to_reduce(dtype), axes=axes_of(dim, self.ndim), keepdim=keepdim,
                     dtype=None if dtype is None else as_dtype(dtype))

    def sum_to_size(self, *size: Any) -> Any:
        """Sum over the dimensions that broadcasting from ``size`` to the tensor's shape repeats; undoes `expand`.

        Raises:
            RuntimeError: ``size`` does not broadcast to the shape.
        """
        shape = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size
        mine = self._array.shape
        if shape == mine and shape:
            return self
        added = len(mine) - len(shape)
        if added < 0 or any(n not in (1, m) for n, m in zip(shape, mine[added:])):
            raise RuntimeError(f"a tensor of shape {mine} cannot be summed to {shape}, which does not broadcast to it")
        axes = [a for a, m in enumerate(mine) if a < added or shape[a - added] != m]
        return (self.sum(axes) if axes or not mine else self).reshape(shape)

    def nansum(self, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None) -> Any:
        """Sum that counts NaN as 0."""
        real_only("nansum", self)
        if not self.dtype.is_floating_point:
            return self.sum(dim, keepdim, dtype=dtype)
        wanted = None if dtype is None else as_dtype(dtype)
        if wanted is not None and not wanted.is_floating_point:
            return self.masked_fill(self.isnan(), 0.0).sum(dim, keepdim, dtype=dtype)
        return apply(reduce.NanSum, self, axes=axes_of(dim, self.ndim), keepdim=keepdim, dtype=wanted)

    def mean(self, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None) -> Any:
        """Mean of all elements or over dimensions; of none, NaN."""
        wanted = self.dtype if dtype is None else as_dtype(dtype)
        if not wanted.has_gradients:
            raise RuntimeError(f"the mean of {wanted} is not defined; convert to float32")
        if self._array.size == 0:
            return self.sum(dim, keepdim, dtype=dtype) * math.nan
        return apply(reduce.Mean, self._to_reduce(wanted), axes=axes_of(dim, self.ndim), keepdim=keepdim,
                     dtype=None if dtype is None else wanted)

    def nanmean(self, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None) -> Any:
        """Mean of the elements that are not NaN."""
        real_only("nanmean", self)
        if not self.dtype.is_floating_point:
            return self.mean(dim, keepdim, dtype=dtype)
        x = self.detach()
        count = (x == x).sum(dim, keepdim)
        return self.nansum(dim, keepdim, dtype=dtype) / count

    def _to_reduce(self, dtype: Any) -> Any:
        """The tensor, converted where the reduction could not take the type of its result on the way."""
        if dtype is None or self.dtype.is_floating_point == as_dtype(dtype).is_floating_point:
            return self
        return self.to(as_dtype(dtype))

    def prod(self, dim: int | None = None, keepdim: bool = False, *, dtype: DType | None = None) -> Any:
        """Product of all elements or along a dimension; its gradient is exact also where elements are 0."""
        x = self._to_reduce(dtype)
        wanted = None if dtype is None else as_dtype(dtype)
        if (wanted or x.dtype).is_complex:
            return self._prod_complex(wanted, dim, keepdim)
        if dim is None:
            y = apply(scan.Prod, x.reshape(-1), axis=0, keepdim=False, dtype=wanted)
            return y.reshape((1,) * self.ndim) if keepdim else y
        return apply(scan.Prod, x, axis=normalize_axis(dim, self.ndim), keepdim=keepdim, dtype=wanted)

    def _prod_complex(self, dtype: DType | None, dim: int | None, keepdim: bool) -> Any:
        from ..halving import product

        x = self if dtype is None else self.to(dtype)
        flat = x.reshape(-1) if dim is None or not self.ndim else x
        axis = 0 if dim is None or not self.ndim else normalize_axis(dim, self.ndim)
        n = flat._array.shape[axis]
        y = product(flat, axis) if n else flat.sum(axis, True) + 1
        if dim is None:
            return y.reshape((1,) * self.ndim if keepdim else ())
        return y.reshape(()) if not self.ndim else y if keepdim else y.squeeze(axis)

    def var(self, dim: Dims | bool = None, unbiased: bool | None = None, keepdim: bool = False, *,
            correction: float | None = None) -> Any:
        """Variance: squared differences from the mean, over their number minus ``correction``.

        Args:
            dim: dimensions; None for all elements.
            unbiased: the older name for ``correction=1`` (the default) or 0.
            keepdim: keep the reduced dimensions with size 1.
            correction: number subtracted from the number of elements; where nothing is left, the result is NaN.
        """
        return self._var(dim, unbiased, keepdim, correction, False)

    def std(self, dim: Dims | bool = None, unbiased: bool | None = None, keepdim: bool = False, *,
            correction: float | None = None) -> Any:
        """Standard deviation: the root of `var`."""
        return self._var(dim, unbiased, keepdim, correction, True)

    def _var(self, dim: Any, unbiased: bool | None, keepdim: bool, correction: float | None, root: bool) -> Any:
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        if unbiased is not None and correction is not None:
            raise TypeError("give unbiased or correction, not both")
        if self.dtype.is_complex:
            parts = [x._var(dim, unbiased, keepdim, correction, False) for x in (self.real, self.imag)]
            return (parts[0] + parts[1]).sqrt() if root else parts[0] + parts[1]
        if not self.dtype.is_floating_point:
            raise RuntimeError(f"the variance of {self.dtype} is not defined; convert to float32")
        if correction is None:
            correction = 1 if unbiased is None else int(unbiased)
        if self._array.size == 0:
            return self.sum(dim, keepdim) * math.nan
        return apply(variance.Var, self, axes=axes_of(dim, self.ndim), keepdim=keepdim, correction=correction,
                     root=root)

    def var_mean(self, dim: Dims | bool = None, unbiased: bool | None = None, keepdim: bool = False, *,
                 correction: float | None = None) -> tuple[Any, Any]:
        """The pair of `var` and `mean`."""
        return (self._var(dim, unbiased, keepdim, correction, False),
                self.mean(None if isinstance(dim, bool) else dim, keepdim))

    def std_mean(self, dim: Dims | bool = None, unbiased: bool | None = None, keepdim: bool = False, *,
                 correction: float | None = None) -> tuple[Any, Any]:
        """The pair of `std` and `mean`."""
        return (self._var(dim, unbiased, keepdim, correction, True),
                self.mean(None if isinstance(dim, bool) else dim, keepdim))

    def amax(self, dim: Dims = None, keepdim: bool = False) -> Any:
        """Largest element, of all or over dimensions; equal ones share the gradient."""
        return apply(reduce.Amax, self, axes=axes_of(dim, self.ndim), keepdim=keepdim)

    def amin(self, dim: Dims = None, keepdim: bool = False) -> Any:
        """Smallest element, of all or over dimensions; equal ones share the gradient."""
        return apply(reduce.Amin, self, axes=axes_of(dim, self.ndim), keepdim=keepdim)

    def aminmax(self, *, dim: int | None = None, keepdim: bool = False) -> Range:
        """The pair (min, max) of `amin` and `amax`."""
        return Range(self.amin(dim, keepdim), self.amax(dim, keepdim))

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """Position of the largest element, the first of equal ones."""
        return self._argument("argmax", dim, keepdim)

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """Position of the smallest element, the first of equal ones."""
        return self._argument("argmin", dim, keepdim)

    def _argument(self, op: str, dim: int | None, keepdim: bool) -> Any:
        axis = None if dim is None else normalize_axis(dim, self.ndim)
        if tracing.recorder is None:
            return plain(argument.argument(op, self._array, axis, keepdim))
        find = functools.partial(argument.argument, op)
        return plain(tracing.recorder.function(f"aten::{op}", find, self._array, axis, keepdim))

    def max(self, dim: Any = None, keepdim: bool = False) -> Any:
        """Largest element; with ``dim``, the pair (values, indices); with a tensor, `maximum`.

        The gradient of ``max(dim)`` goes to the element at the index, that of ``max()`` to all largest in equal shares.
        """
        if hasattr(dim, "_array"):
            return self.maximum(dim)
        return self.amax() if dim is None else self._extreme("max", dim, keepdim)

    def min(self, dim: Any = None, keepdim: bool = False) -> Any:
        """Smallest element; with ``dim``, the pair (values, indices); with a tensor, `minimum`."""
        if hasattr(dim, "_array"):
            return self.minimum(dim)
        return self.amin() if dim is None else self._extreme("min", dim, keepdim)

    def _extreme(self, op: str, dim: int, keepdim: bool) -> Extreme:
        return Extreme(*apply(argument.Extreme, self, op=op, axis=normalize_axis(dim, self.ndim), keepdim=keepdim))

    def all(self, dim: Dims = None, keepdim: bool = False) -> Any:
        """Whether all elements are not 0; NaN is not 0. A bool; of uint8 a uint8, as in PyTorch."""
        return self._truth("all", dim, keepdim)

    def any(self, dim: Dims = None, keepdim: bool = False) -> Any:
        """Whether any element is not 0; NaN is not 0. A bool; of uint8 a uint8, as in PyTorch."""
        return self._truth("any", dim, keepdim)

    def _truth(self, op: str, dim: Dims, keepdim: bool) -> Any:
        result = reduce.reduce(op, self._array, axes_of(dim, self.ndim), keepdim)
        return plain(elementwise.cast(result, uint8) if self.dtype is uint8 else result)

    def count_nonzero(self, dim: Dims = None) -> Any:
        """How many elements are not 0, as int64."""
        return plain(reduce.reduce("count", self._array, axes_of(dim, self.ndim)))

    def norm(self, p: float | str = "fro", dim: Dims = None, keepdim: bool = False, dtype: DType | None = None) -> Any:
        """The p-norm of the elements, seen as a vector.

        Args:
            p: any number, ``inf``, ``-inf``, 0 (the number of elements that are not 0), or ``"fro"`` for 2; or
                ``"nuc"``, the sum of a matrix's singular values.
            dim: dimensions; None for all elements.
            keepdim: keep the reduced dimensions with size 1.
            dtype: element type to convert to first.
        """
        if p == "fro":
            p = 2.0
        x: Any = self if dtype is None else self.to(as_dtype(dtype))
        if p == "nuc":
            from ..linalg import matrix_norm

            pair: Any = (-2, -1) if dim is None else dim
            return matrix_norm(x, p, pair, keepdim)
        if isinstance(p, str):
            raise RuntimeError(f"norm() knows numbers, 'fro' and 'nuc', not {p!r}")
        if x.dtype.is_complex:
            x = x.abs()
        if not x.dtype.is_floating_point:
            raise RuntimeError(f"the norm of {x.dtype} is not defined; convert to float32")
        return apply(vector_norm.VectorNorm, x, p=float(p), axes=axes_of(dim, self.ndim), keepdim=keepdim)

    def allclose(self, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
        """Whether all elements differ by at most ``atol + rtol * abs(other)``. Waits for the device."""
        return bool(self.isclose(other, rtol, atol, equal_nan).all())

    def logsumexp(self, dim: Dims, keepdim: bool = False) -> Any:
        """Logarithm of the sum of exponentials, without overflow; of no elements, -infinity."""
        if self.dtype.is_complex:
            largest = self.detach().real.amax(dim, True) if self.numel() else self.real.sum(dim, True)
            largest = largest.where(largest.isfinite(), 0.0)
            y = (self - largest).exp().sum(dim, True).log() + largest
            return y if keepdim else y.squeeze(axes_of(dim, self.ndim) or ())
        x = self if self.dtype.is_floating_point else self.float()
        return apply(logsumexp.LogSumExp, x, axes=axes_of(dim, self.ndim), keepdim=keepdim)

    def log_softmax(self, dim: int, *, dtype: DType | None = None) -> Any:
        """Logarithm of `softmax`; far more exact than the logarithm of its result."""
        return self._softmax(softmax.LogSoftmax, dim, dtype)

    def softmax(self, dim: int, *, dtype: DType | None = None) -> Any:
        """Exponentials divided by their sum over a dimension.

        Args:
            dim: the dimension.
            dtype: element type of the result, by default the tensor's, which must then be floating point.
        """
        return self._softmax(softmax.Softmax, dim, dtype)

    def _softmax(self, operation: Any, dim: int, dtype: DType | None) -> Any:
        wanted = None if dtype is None else as_dtype(dtype)
        axis = normalize_axis(dim, self.ndim)
        if not (wanted or self.dtype).is_floating_point:
            raise RuntimeError(f"softmax is not defined for {wanted or self.dtype}; give dtype=genesis.float32")
        if self.dtype.is_floating_point:
            return apply(operation, self, axis=axis, dtype=wanted)
        return apply(operation, self.to(wanted), axis=axis)
