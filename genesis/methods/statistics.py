"""Running extrema, the most frequent elements, counts in bins."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import dtypes
from ..autograd import apply
from ..ops import scan, search
from ..ops.array import normalize_axis
from ..ops.index import Gather
from .ordering import Ordered, Shares
from .support import Methods, plain

if TYPE_CHECKING:
    from ..tensor import Tensor


class Counts(NamedTuple):
    """What ``histogram`` returns."""

    hist: Any
    bin_edges: Any


class Statistics(Methods):
    """Running extrema, the most frequent elements, counts in bins."""

    __slots__ = ()
    FUNCTIONS = "cummax cummin histogram logcumsumexp mode nanquantile"

    def cummax(self, dim: int) -> Ordered:
        """The largest element so far along a dimension, and where it is: the last of equal ones; NaN counts as larger.

        Returns:
            The pair (values, indices), indices int64. Gradients go to the elements at the indices.

        Example:
            >>> genesis.tensor([1, 3, 2, 3]).cummax(0)
            Ordered(values=tensor([1, 3, 3, 3]), indices=tensor([0, 1, 1, 3]))
        """
        return self._extremes("ge", dim)

    def cummin(self, dim: int) -> Ordered:
        """The smallest element so far along a dimension; see `cummax`."""
        return self._extremes("le", dim)

    def _extremes(self, compare: str, dim: int) -> Ordered:
        axis = normalize_axis(dim, self.ndim)
        if not self.ndim or not self.numel():
            return Ordered(self.clone(), plain(scan.zeros_like(self._array, dtypes.int64)))
        values, indices = scan.running_extremes(compare, self._array, axis)
        return Ordered(apply(Gather, self, axis=axis, index=indices, values=values), plain(indices))

    def logcumsumexp(self, dim: int) -> Any:
        """The logarithm of the running sum of exponentials along a dimension, without overflow.

        Imaginary parts of complex results are known up to multiples of 2π.

        Raises:
            NotImplementedError: the tensor is not of a floating or complex type.
        """
        if self.dtype.is_complex:
            from ..halving import running

            return running(self, normalize_axis(dim, self.ndim), lambda x, before: x.logaddexp(before))
        if not self.dtype.is_floating_point:
            raise NotImplementedError(f"logcumsumexp() needs a floating-point tensor, not {self.dtype}")
        return apply(scan.LogCumSumExp, self, axis=normalize_axis(dim, self.ndim))

    def mode(self, dim: int = -1, keepdim: bool = False) -> Ordered:
        """The most frequent element along a dimension, the smallest of several, and where it occurs last.

        Returns:
            The pair (values, indices), indices int64.
        """
        axis = normalize_axis(dim, self.ndim)
        x: Any = self if self.ndim else self.reshape(1)
        n = x.shape[axis]
        if not n:
            raise IndexError(f"the mode of an empty dimension has no value; the shape is {tuple(x.shape)}")
        order = x.detach().argsort(axis, stable=True)
        ordered = x.detach().gather(axis, order)
        place = plain(search.positions(x.device, n)).reshape((n,) + (1,) * (x.ndim - 1 - axis)).expand(*x.shape)
        new = ordered.ne(ordered.roll(1, axis)).logical_or(place.eq(0))
        run = place - (place * new).cummax(axis).values              # how many equal ones come before
        indices = order.gather(axis, run.argmax(axis, keepdim=True))
        found = Ordered(x.gather(axis, indices), indices)
        if not self.ndim:
            return Ordered(*(y.reshape(()) for y in found))
        return found if keepdim else Ordered(*(y.squeeze(axis) for y in found))

    def nanquantile(self, q: Any, dim: int | None = None, keepdim: bool = False, *,
                    interpolation: str = "linear") -> Any:
        """The q-quantile of the elements that are not NaN; NaN where all are. Arguments as for `quantile`."""
        shares = Shares("nanquantile", self, q, interpolation)
        x: Any = self.reshape(-1) if dim is None or not self.ndim else self
        axis = 0 if dim is None else normalize_axis(dim, self.ndim)
        values = x.sort(axis).values                                                # NaN comes last
        last = (x.detach().isnan().logical_not().sum(axis, keepdim=True) - 1).clamp(min=0)
        results = []
        for share in shares.each:
            wide = x.dtype if x.dtype.itemsize > 2 else dtypes.float32
            at = last.to(wide) * (share.value if share.tensor is None else share.tensor.to(wide))
            low, high = at.detach().floor(), at.detach().ceil()
            if interpolation == "nearest":
                low = high = at.detach().round()
            low, high = (high if interpolation == "higher" else low), (low if interpolation == "lower" else high)
            weight: Any = 0.5 if interpolation == "midpoint" else (at - low).to(x.dtype)
            below, above = values.gather(axis, low.long()), values.gather(axis, high.long())
            results.append(below + (above - below) * weight)
        return shares.joined(results, self, dim, axis, keepdim)

    def histogram(self, bins: Any, *, range: tuple[float, float] | None = None, weight: Tensor | None = None,
                  density: bool = False) -> Counts:
        """How many elements fall in each bin, or the sums of their weights. Waits for the device.

        Args:
            bins: the number of bins, of equal widths; or a vector with their rising edges, both ends included.
            range: the outer edges, if ``bins`` is a number; by default the least and the largest element.
            weight: what each element counts, in its shape and type.
            density: divide by the sum and the widths, so that the integral is 1.

        Returns:
            The pair (hist, bin_edges), of the tensor's type.

        Raises:
            RuntimeError: the tensor is not of a floating type, or bins, range or weights make no sense.
        """
        from ..creation import linspace
        from ..functions import searchsorted

        if not self.dtype.is_floating_point:
            raise RuntimeError(f"histogram() needs a floating-point tensor, not {self.dtype}")
        x = self.detach().reshape(-1)
        if weight is not None and (weight.shape != self.shape or weight.dtype is not self.dtype):
            raise RuntimeError(f"histogram() needs weights of shape {tuple(self.shape)} and {self.dtype}, not "
                               f"{tuple(weight.shape)} and {weight.dtype}")
        if hasattr(bins, "_array"):
            if bins.ndim != 1 or range is not None or bins.dtype is not self.dtype:
                raise RuntimeError(f"histogram() needs edges as a vector of {self.dtype} and no range beside them, not "
                                   f"shape {tuple(bins.shape)} of {bins.dtype}")
            edges = bins.detach()
        else:
            if bins < 1:
                raise RuntimeError(f"histogram() needs at least one bin, not {bins}")
            low, high = range or ((x.amin().item(), x.amax().item()) if x.numel() else (0.0, 1.0))
            if not (math.isfinite(low) and math.isfinite(high) and low <= high):
                raise RuntimeError(f"histogram() needs a finite range that rises, got [{low}, {high}]")
            if low == high:
                low, high = low - 0.5, high + 0.5
            edges = linspace(low, high, bins + 1, dtype=self.dtype, device=self.device)
        count = edges.numel() - 1
        inside = (x >= edges[0]).logical_and(x <= edges[count])
        x, weights = x[inside], None if weight is None else weight.detach().reshape(-1)[inside]
        at = (searchsorted(edges, x, right=True) - 1).clamp(0, count - 1)
        hist = at.bincount(weights, minlength=count).to(self.dtype)
        if density:
            hist = hist / (hist.sum() * edges.diff())
        return Counts(hist, edges)
