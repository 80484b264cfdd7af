"""Sorting, counting, running sums and drawing."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import dtypes
from ..autograd import apply, same_device
from ..dtypes import DType, as_dtype
from ..halving import running
from ..ops import elementwise as ew
from ..ops import histogram, index, scan, search, sort, topk
from ..ops import random as random_ops
from ..ops.array import empty, normalize_axis, whole
from ..random import Generator, default_generator
from .support import Methods, nothing, plain

if TYPE_CHECKING:
    from ..tensor import Tensor


class Ordered(NamedTuple):
    """What ``sort``, ``topk``, ``kthvalue`` and ``median`` return."""

    values: Any
    indices: Any


class Share(NamedTuple):
    """A quantile that is asked for, and the tensor it came from where that requires a gradient."""

    value: float
    tensor: Any


class Shares:
    """The quantiles of a tensor that are asked for: one, or several in a list or a vector."""

    def __init__(self, name: str, x: Any, q: Any, interpolation: str):
        if interpolation not in ("linear", "lower", "higher", "nearest", "midpoint"):
            raise ValueError(f"interpolation {interpolation!r} is not known")
        if not x.dtype.is_floating_point:
            raise RuntimeError(f"{name}() needs a floating-point tensor, not {x.dtype}")
        given = q.tolist() if hasattr(q, "tolist") else q
        self.single = not isinstance(given, list | tuple)
        numbers = [given] if self.single else given
        if any(not isinstance(s, int | float) or not 0 <= s <= 1 for s in numbers):
            raise RuntimeError(f"{name}() needs a number between 0 and 1, or a vector of them, got {q}")
        tensors = q.reshape(-1).unbind() if getattr(q, "requires_grad", False) else [None] * len(numbers)
        self.each = [Share(*share) for share in zip(numbers, tensors)]

    def joined(self, results: list[Any], x: Any, dim: int | None, axis: int, keepdim: bool) -> Any:
        """The results for the shares, which have size 1 along the axis, in the shape that the tensor's call wants."""
        from ..joining import stack

        if dim is None or not x.ndim:
            results = [y.reshape((1,) * x.ndim if keepdim else ()) for y in results]
        elif not keepdim:
            results = [y.squeeze(axis) for y in results]
        return results[0] if self.single else stack(results)


class Ordering(Methods):
    """Sorting, counting, running sums and drawing."""

    __slots__ = ()
    FUNCTIONS = ("argsort bincount bucketize cumprod cumsum histc kthvalue median msort multinomial quantile sort topk "
                 "unique unique_consecutive")
    IN_PLACE = "cumprod cumsum"

    def _row(self, dim: int) -> tuple[Any, int]:
        return (self if self.ndim else self.reshape(1)), normalize_axis(dim, self.ndim)

    def _like(self, pair: Any) -> Ordered:
        return Ordered(*pair) if self.ndim else Ordered(*(x.reshape(()) for x in pair))

    def sort(self, dim: int = -1, descending: bool = False, stable: bool = False) -> Ordered:
        """Elements along a dimension in rising or falling order, and where they were.

        Args:
            dim: the dimension.
            descending: falling order.
            stable: accepted for PyTorch's sake; equal elements always keep their order. NaN counts as the largest.

        Returns:
            The pair (values, indices), indices int64.
        """
        x, axis = self._row(dim)
        if not x.numel():
            return self._like((x.clone(), plain(empty(x.device, x._array.shape, dtypes.int64))))
        return self._like(apply(topk.Sort, x, axis=axis, descending=descending))

    def msort(self) -> Any:
        """The values of ``sort(0)``."""
        return self.sort(0).values

    def argsort(self, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
        """The indices of `sort`."""
        x, axis = self._row(dim)
        if not x.numel():
            return plain(empty(x.device, self._array.shape, dtypes.int64))
        order = plain(sort.order_of(x._array, axis, descending))
        return order if self.ndim else order.reshape(())

    def topk(self, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Ordered:
        """The ``k`` largest (or smallest) elements along a dimension, best first, and where they were.

        Raises:
            RuntimeError: k is not in [0, size].
        """
        x, axis = self._row(dim)
        k = whole("k", k)
        if not 0 <= k <= x._array.shape[axis]:
            raise RuntimeError(f"k must be between 0 and the dimension's size {x._array.shape[axis]}, not {k}")
        pair = apply(topk.TopK, x, k=k, axis=axis, largest=largest)
        return self._like(pair) if k else Ordered(*pair)

    def kthvalue(self, k: int, dim: int = -1, keepdim: bool = False) -> Ordered:
        """The k-th smallest element along a dimension (k counts from 1), and where it was."""
        x, axis = self._row(dim)
        size, k = x._array.shape[axis], whole("k", k)
        if not 1 <= k <= size:
            raise RuntimeError(f"k must be between 1 and the dimension's size {size}, not {k}")
        pair = apply(topk.Kth, x, k=k - 1, axis=axis)
        if not self.ndim:
            return Ordered(*(y.reshape(()) for y in pair))
        return Ordered(*pair) if keepdim else Ordered(*(y.squeeze(axis) for y in pair))

    def median(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """The median, of an even number of elements the lower one; NaN if any is. With ``dim``: (values, indices)."""
        if dim is None:
            if not self.numel():
                return plain(ew.full(self.device, (), math.nan, self.dtype))
            return self.reshape(-1).median(0).values
        x, axis = self._row(dim)
        size = x._array.shape[axis]
        if not size:
            raise IndexError(f"the median of an empty dimension has no value; the shape is {x._array.shape}")
        middle = x.kthvalue((size + 1) // 2, axis, True)
        if self.dtype.is_floating_point:
            nan = x.detach().isnan()
            some = nan.any(axis, True)
            if bool(some.any()):         # then the first one, wherever sorting puts it
                where = nan.argmax(axis, True)
                indices = plain(ew.run("where", [some._array, where._array, middle.indices._array], dtypes.int64))
                middle = Ordered(x.gather(axis, indices), indices)
        if not self.ndim:
            return Ordered(*(y.reshape(()) for y in middle))
        return middle if keepdim else Ordered(*(y.squeeze(axis) for y in middle))

    def quantile(self, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear") -> Any:
        """The q-quantile: the value below which a share ``q`` of the elements lies.

        Args:
            q: a number in [0, 1], or several in a list or a vector, which gives a leading dimension. A tensor is read,
                which waits for the device; gradients flow to it.
            dim: dimension; None for all elements.
            keepdim: keep the dimension with size 1.
            interpolation: ``"linear"``, ``"lower"``, ``"higher"``, ``"nearest"`` or ``"midpoint"``.
        """
        shares = Shares("quantile", self, q, interpolation)
        x, axis = (self.reshape(-1), 0) if dim is None else self._row(dim)
        size = x._array.shape[axis]
        if not size:
            raise RuntimeError("quantile() of no elements has no value")
        values = x.sort(axis).values
        results = []
        for share in shares.each:
            at = share.value * (size - 1)
            low, high = math.floor(at), math.ceil(at)
            if interpolation == "lower":
                high = low
            elif interpolation == "higher":
                low = high
            elif interpolation == "nearest":
                low = high = round(at)
            weight: Any = 0.5 if interpolation == "midpoint" else at - low
            if share.tensor is not None and interpolation == "linear":
                weight = share.tensor * (size - 1) - low
            take = (slice(None),) * axis
            y = values[(*take, slice(low, low + 1))]
            if high != low:
                y = y + (values[(*take, slice(high, high + 1))] - y) * weight
            elif share.tensor is not None:
                y = y + nothing(share.tensor)
            y = y.where(values.detach()[(*take, slice(size - 1, size))].isnan().logical_not(), math.nan)
            results.append(y)
        return shares.joined(results, self, dim, axis, keepdim)

    def cumsum(self, dim: int, *, dtype: DType | None = None) -> Any:
        """Running sum along a dimension; of integers int64, unless ``dtype`` says otherwise."""
        return self._running(scan.CumSum, dim, dtype)

    def cumprod(self, dim: int, *, dtype: DType | None = None) -> Any:
        """Running product along a dimension; its gradient is exact also where elements are 0."""
        wanted = self.dtype if dtype is None else as_dtype(dtype)
        if wanted.is_complex:
            return running(self.to(wanted), normalize_axis(dim, self.ndim), operator.mul)
        return self._running(scan.CumProd, dim, dtype)

    def _running(self, operation: Any, dim: int, dtype: DType | None) -> Any:
        wanted = None if dtype is None else as_dtype(dtype)
        x: Any = self
        if wanted is not None and wanted.is_floating_point != self.dtype.is_floating_point:
            x = self.to(wanted)
        return apply(operation, x, axis=normalize_axis(dim, self.ndim), dtype=wanted)

    def unique(self, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False,
               dim: int | None = None) -> Any:
        """The distinct elements in rising order. Waits for the device.

        Args:
            sorted: accepted for PyTorch's sake; the result always is.
            return_inverse: also return, for each element, the int64 position of its value in the result.
            return_counts: also return how often each occurs.
            dim: None for the elements of the flattened tensor; else a dimension whose distinct slices are found, in
                the order of their first difference. That takes a sort for each element of a slice.
        """
        if dim is not None:
            return self._unique_slices(dim, False, return_inverse, return_counts)
        return self._unique(False, return_inverse, return_counts)

    def unique_consecutive(self, return_inverse: bool = False, return_counts: bool = False,
                           dim: int | None = None) -> Any:
        """One element of each run of equal ones, in order. Arguments as for `unique`."""
        if dim is not None and not (dim in (0, -1) and self.ndim == 1):
            return self._unique_slices(dim, True, return_inverse, return_counts)
        return self._unique(True, return_inverse, return_counts)

    def _unique(self, consecutive: bool, return_inverse: bool, return_counts: bool) -> Any:
        found = search.unique(self._array, consecutive, return_inverse)
        wanted = True, return_inverse, return_counts
        chosen = [plain(x) for x, w in zip(found, wanted) if w and x is not None]
        return tuple(chosen) if len(chosen) > 1 else chosen[0]

    def _unique_slices(self, dim: int, consecutive: bool, return_inverse: bool, return_counts: bool) -> Any:
        if not self.ndim:
            return self._unique(consecutive, return_inverse, return_counts)
        axis = normalize_axis(dim, self.ndim)
        x = self.detach().movedim(axis, 0)
        n = x.shape[0]
        rows = x.reshape(n, x.numel() // max(n, 1))
        order = plain(search.positions(self.device, n))
        if not consecutive:
            for column in reversed(range(rows.shape[1])):
                order = order.index_select(0, rows[:, column].index_select(0, order).argsort(0))
            rows = rows.index_select(0, order)
        new = plain(ew.full(self.device, (n,), True, dtypes.bool_))
        if n > 1:
            new[1:] = rows[1:].ne(rows[:-1]).any(1)
        starts = new.nonzero().reshape(-1)
        ends = plain(ew.full(self.device, starts.shape, n, dtypes.int64))
        if starts.numel() > 1:
            ends[:-1] = starts[1:]
        place = new.long().cumsum(0) - 1
        found = (x.index_select(0, order.index_select(0, starts)).movedim(0, axis), place.index_copy(0, order, place),
                 ends - starts)
        chosen = [y for y, wanted in zip(found, (True, return_inverse, return_counts)) if wanted]
        return tuple(chosen) if len(chosen) > 1 else chosen[0]

    def bincount(self, weights: Tensor | None = None, minlength: int = 0) -> Any:
        """How often each of the numbers 0, 1, ... occurs in a vector of integers; or the sums of their weights.

        Args:
            weights: of the vector's shape; the result is then float32 for float32, else float64.
            minlength: fewest elements of the result. Waits for the device.
        """
        if self.dtype.kind not in "uib" or self.ndim != 1:
            raise RuntimeError("bincount() needs a vector of integers")
        if minlength < 0:
            raise RuntimeError(f"minlength must not be negative, got {minlength}")
        if weights is not None and weights.shape != self.shape:
            raise RuntimeError(f"bincount() needs weights of shape {tuple(self.shape)}, not {tuple(weights.shape)}")
        array = ew.cast(self._array, dtypes.int64) if self.dtype is dtypes.bool_ else self._array
        length = minlength
        if array.size:
            low, high = histogram.extent(array)
            if low < 0:
                raise RuntimeError(f"bincount() needs integers that are not negative, got {low}")
            length = max(length, high + 1)
        if weights is None:
            return plain(histogram.count_bins(array, length))
        same_device(self, weights)
        wanted = weights.dtype if weights.dtype is dtypes.float32 or not self.device.fp64 else dtypes.float64
        value = ew.cast(weights._array, wanted if wanted.is_floating_point else dtypes.float32)
        return plain(index.add_rows(value, (length,), 0, array))

    def histc(self, bins: int = 100, min: float = 0, max: float = 0) -> Any:
        """How many elements fall in each of ``bins`` equal parts of [min, max]; of their whole range if equal."""
        if not self.dtype.is_floating_point:
            raise RuntimeError(f"histc() needs a floating-point tensor, not {self.dtype}")
        if bins <= 0:
            raise RuntimeError(f"histc() needs at least one bin, not {bins}")
        if min > max:
            raise RuntimeError(f"histc() needs min <= max, got {min} and {max}")
        if min == max and self.numel():
            min, max = (float(x) for x in histogram.extent(self._array))
        if min == max:
            min, max = min - 1, max + 1
        if not (math.isfinite(min) and math.isfinite(max)):
            raise RuntimeError(f"histc() needs a finite range, got [{min}, {max}]")
        return plain(ew.cast(histogram.count_bins(self._array, bins, (min, max)), self.dtype))

    def bucketize(self, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Any:
        """For each element the number of ``boundaries``, a sorted vector, before it; see `genesis.searchsorted`."""
        from ..functions import searchsorted

        return searchsorted(boundaries, self, out_int32=out_int32, right=right)

    def multinomial(self, num_samples: int, replacement: bool = False, *, generator: Generator | None = None) -> Any:
        """Draw indices with probabilities proportional to the elements of each row. Waits for the device.

        Args:
            num_samples: how many to draw a row.
            replacement: whether an index may be drawn again.
            generator: source of randomness; the default generator if None.

        Returns:
            int64, (num_samples,) for a vector, (rows, num_samples) for a matrix.

        Raises:
            RuntimeError: an element is negative, infinite or NaN, a row's sum is 0, or there are too few to draw from.
        """
        if self.ndim not in (1, 2):
            raise RuntimeError(f"multinomial() needs one or two dimensions, not {self.ndim}")
        if not self.dtype.is_floating_point:
            raise RuntimeError(f"multinomial() needs a floating-point tensor, not {self.dtype}")
        if num_samples <= 0:
            raise RuntimeError(f"multinomial() needs at least one sample, not {num_samples}")
        n = self._array.shape[-1]
        if not replacement and num_samples > n:
            raise RuntimeError(f"multinomial() cannot draw {num_samples} of {n} without replacement")
        p = self.detach() if self.dtype is dtypes.float64 else self.detach().float()
        ends = [x.item() for x in (p.amin(), p.amax(), p.sum(-1).amin())]
        if not (ends[0] >= 0 and ends[1] < math.inf):
            raise RuntimeError("multinomial() needs probabilities that are not negative, infinite or NaN")
        if not ends[2] > 0:
            raise RuntimeError("multinomial(): the probabilities of a row add up to 0")
        key = (generator or default_generator).stream()
        if replacement:
            sums = p.cumsum(-1)
            u = plain(random_ops.uniform(empty(p.device, (*p.shape[:-1], num_samples), p.dtype), key, 0.0, 1.0))
            drawn = plain(search.belongs(sums._array, (u * sums[..., n - 1:])._array, True))
            last = plain(search.belongs(sums._array, sums[..., n - 1:].clone()._array, False))
            return drawn.minimum(last)      # u times the sum may round up to it
        # An exponential race: the first num_samples of arrival times with rates p (Efraimidis & Spirakis 2006).
        u = plain(random_ops.uniform(empty(p.device, p._array.shape, p.dtype), key, 0.0, 1.0))
        return (p / (-(-u).log1p()).clamp(1e-20)).topk(num_samples).indices
