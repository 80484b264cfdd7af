"""Parts of tensors and tensors made of repetitions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..autograd import apply
from ..ops import triangle, views
from ..ops.array import normalize_axis, sizes_of, whole
from .support import Methods

if TYPE_CHECKING:
    from ..tensor import Tensor


def _uncut(x: Any) -> list[Any]:
    """The selection of all of a tensor, in which some dimensions' entries are to be replaced."""
    return [(0, 1, n) for n in x._array.shape]


def _listed(given: tuple[Any, ...]) -> tuple[int, ...]:
    """Arguments given one by one or as one sequence."""
    return tuple(given[0]) if len(given) == 1 and not isinstance(given[0], int) else given


class Parts(Methods):
    """Parts of tensors and tensors made of repetitions."""

    __slots__ = ()
    FUNCTIONS = ("chunk diag diag_embed diagflat diagonal diagonal_scatter dsplit flip fliplr flipud hsplit narrow "
                 "narrow_copy repeat_interleave roll rot90 select select_scatter slice_scatter split_with_sizes "
                 "tensor_split tile tril triu unbind unflatten unsafe_chunk unsafe_split unsafe_split_with_sizes "
                 "vsplit")
    IN_PLACE = "tril triu"

    def narrow(self, dim: int, start: Any, length: int) -> Any:
        """The part of a dimension from ``start``, a number or a 0-d tensor, ``length`` long; a view."""
        axis = self._axis(dim)
        size = self._array.shape[axis]
        if hasattr(start, "_array") and (start.ndim or start.dtype.kind not in "ui"):
            raise RuntimeError(f"narrow() needs a start that is a number or a 0-d tensor of integers, not {start}")
        start, length = whole("start", start), whole("length", length)
        start += size if start < 0 else 0
        if length < 0:
            raise RuntimeError(f"narrow() needs a length that is not negative, not {length}")
        if start < 0 or start + length > size:
            raise (IndexError if not 0 <= start <= size else RuntimeError)(
                f"narrow(): {length} from {start} does not fit a dimension of size {size}")
        selection = _uncut(self)
        selection[axis] = (start, 1, length)
        return apply(views.Slice, self, selection=tuple(selection))

    def narrow_copy(self, dim: int, start: Any, length: int) -> Any:
        """`narrow` as a copy."""
        return self.narrow(dim, start, length).clone()

    def select(self, dim: int, index: int) -> Any:
        """One position of a dimension, which goes; a view."""
        if not self.ndim:
            raise IndexError("select() needs a tensor of at least one dimension")
        axis = normalize_axis(dim, self.ndim)
        size, index = self._array.shape[axis], whole("index", index)
        if not -size <= index < size:
            raise IndexError(f"select(): index {index} is out of range for a dimension of size {size}")
        selection = _uncut(self)
        selection[axis] = int(index) % size
        return apply(views.Slice, self, selection=tuple(selection))

    def _axis(self, dim: int) -> int:
        if not self.ndim:
            raise RuntimeError("a 0-d tensor has no dimension to take parts of")
        return normalize_axis(dim, self.ndim)

    def _cut(self, axis: int, bounds: list[int]) -> tuple[Any, ...]:
        """Parts from each bound to the next; parts that overlap or leave something out are slices of their own."""
        uncut = _uncut(self)
        selections = tuple((*uncut[:axis], (low, 1, max(0, high - low)), *uncut[axis + 1:])
                           for low, high in itertools.pairwise(bounds))
        if all(low <= high for low, high in itertools.pairwise(bounds)):
            result: tuple[Any, ...] = apply(views.Parts, self, selections=selections)
            return result
        return tuple(apply(views.Slice, self, selection=selection) for selection in selections)

    def split(self, split_size: int | Sequence[int], dim: int = 0) -> tuple[Any, ...]:
        """Parts of a dimension; views.

        Args:
            split_size: the size of each part, the last may be smaller; or a list of all sizes, whose sum is the
                dimension's.
            dim: the dimension.
        """
        axis = self._axis(dim)
        size = self._array.shape[axis]
        if not hasattr(split_size, "__iter__"):
            split_size = whole("split_size", split_size)
        if isinstance(split_size, int):
            if split_size < 0 or (split_size == 0 and size):
                raise RuntimeError(f"split() needs parts of positive size, not {split_size}")
            return self._cut(axis, [*range(0, size, split_size or 1), size] if size else [0, 0])
        sizes = [whole("a size", n) for n in split_size]
        if sum(sizes) != size or any(n < 0 for n in sizes):
            raise RuntimeError(f"split() needs sizes that add up to {size}, not {sizes}")
        return self._cut(axis, [sum(sizes[:i]) for i in range(len(sizes) + 1)])

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Any, ...]:
        """At most ``chunks`` parts of equal size, the last may be smaller; views."""
        if whole("chunks", chunks) < 1:
            raise RuntimeError(f"chunk() needs at least one chunk, not {chunks}")
        size = self._array.shape[self._axis(dim)]
        return self.split(-(-size // chunks), dim) if size else self.split([0] * chunks, dim)

    def tensor_split(self, indices_or_sections: Any, dim: int = 0) -> tuple[Any, ...]:
        """As many parts, whose sizes differ by at most one; or parts between the given indices. Views.

        Either may be a tensor of integers, which waits for the device.
        """
        axis = self._axis(dim)
        size = self._array.shape[axis]
        if hasattr(indices_or_sections, "tolist"):
            indices_or_sections = indices_or_sections.tolist()
        if not hasattr(indices_or_sections, "__iter__"):
            indices_or_sections = whole("indices_or_sections", indices_or_sections)
        if isinstance(indices_or_sections, int):
            if indices_or_sections < 1:
                raise RuntimeError(f"tensor_split() needs at least one section, not {indices_or_sections}")
            each, more = divmod(size, indices_or_sections)
            return self._cut(axis, [each * i + min(i, more) for i in range(indices_or_sections + 1)])
        inner = [slice(whole("an index", i)).indices(size)[1] for i in indices_or_sections]
        return self._cut(axis, [0, *inner, size])

    def hsplit(self, indices_or_sections: int | Sequence[int]) -> tuple[Any, ...]:
        """`tensor_split` of columns (of a vector's elements)."""
        return self._even_split(indices_or_sections, 0 if self.ndim == 1 else 1, 1)

    def vsplit(self, indices_or_sections: int | Sequence[int]) -> tuple[Any, ...]:
        """`tensor_split` of rows."""
        return self._even_split(indices_or_sections, 0, 2)

    def dsplit(self, indices_or_sections: int | Sequence[int]) -> tuple[Any, ...]:
        """`tensor_split` of the third dimension."""
        return self._even_split(indices_or_sections, 2, 3)

    def _even_split(self, given: int | Sequence[int], axis: int, least: int) -> tuple[Any, ...]:
        if self.ndim < least:
            raise RuntimeError(f"this split needs a tensor of at least {least} dimensions, not {self.ndim}")
        if isinstance(given, int) and (given < 1 or self._array.shape[axis] % given):
            raise RuntimeError(f"a dimension of size {self._array.shape[axis]} does not split into {given} equal parts")
        return self.tensor_split(given, axis)

    def unbind(self, dim: int = 0) -> tuple[Any, ...]:
        """All positions of a dimension as a tuple of tensors; views."""
        if not self.ndim:
            raise IndexError("unbind() needs a tensor of at least one dimension")
        axis = normalize_axis(dim, self.ndim)
        size = self._array.shape[axis]
        uncut = _uncut(self)
        selections = tuple((*uncut[:axis], i, *uncut[axis + 1:]) for i in range(size))
        result: tuple[Any, ...] = apply(views.Parts, self, selections=selections) if size else ()
        return result

    def diagonal(self, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
        """The diagonal of two dimensions, as the last dimension; a view.

        Args:
            offset: 0 for the main diagonal, positive above, negative below it.
            dim1, dim2: rows and columns.
        """
        first, second = normalize_axis(dim1, self.ndim), normalize_axis(dim2, self.ndim)
        if first == second or self.ndim < 2:
            raise RuntimeError(f"diagonal() needs two different dimensions, not {dim1} and {dim2}")
        return apply(views.Diagonal, self, offset=whole("offset", offset), first=first, second=second)

    def diag(self, diagonal: int = 0) -> Any:
        """A vector as the diagonal of a square matrix; of a matrix its diagonal, as a copy."""
        if self.ndim not in (1, 2):
            raise RuntimeError(f"diag() needs a vector or a matrix, not {self.ndim} dimensions")
        return self.diag_embed(diagonal) if self.ndim == 1 else self.diagonal(diagonal).clone()

    def diag_embed(self, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
        """The last dimension as the diagonal of matrices in dimensions ``dim1`` and ``dim2`` of the result."""
        first, second = normalize_axis(dim1, self.ndim + 1), normalize_axis(dim2, self.ndim + 1)
        if first == second:
            raise RuntimeError(f"diag_embed() needs two different dimensions, not {dim1} and {dim2}")
        return apply(views.DiagonalMatrix, self, offset=offset, first=first, second=second)

    def tril(self, diagonal: int = 0) -> Any:
        """What lies on and below a diagonal of the last two dimensions; 0 above."""
        self._matrix("tril")
        return apply(triangle.Triangle, self, sign=1, limit=whole("diagonal", diagonal))

    def triu(self, diagonal: int = 0) -> Any:
        """What lies on and above a diagonal of the last two dimensions; 0 below."""
        self._matrix("triu")
        return apply(triangle.Triangle, self, sign=-1, limit=-whole("diagonal", diagonal))

    def _matrix(self, name: str) -> None:
        if self.ndim < 2:
            raise RuntimeError(f"{name}() needs a tensor of at least two dimensions, not {self.ndim}")

    def flip(self, *each: Any, dims: Any = ()) -> Any:
        """Dimensions in reverse order; a copy. They are given one by one, as a sequence, or as ``dims``."""
        listed = _listed(each or (dims,))
        axes = tuple(normalize_axis(d, self.ndim) for d in listed)
        if len(set(axes)) != len(axes):
            raise RuntimeError(f"a dimension is named twice in {listed}")
        return apply(views.Flip, self, axes=axes if self.ndim else ())

    def fliplr(self) -> Any:
        """The second dimension in reverse order."""
        self._matrix("fliplr")
        return self.flip(1)

    def flipud(self) -> Any:
        """The first dimension in reverse order."""
        if not self.ndim:
            raise RuntimeError("flipud() needs a tensor of at least one dimension")
        return self.flip(0)

    def rot90(self, k: int = 1, dims: Sequence[int] = (0, 1)) -> Any:
        """The plane of two dimensions turned ``k`` times from the first to the second."""
        if len(dims) != 2:
            raise RuntimeError(f"rot90() needs two dimensions, not {dims}")
        self._matrix("rot90")
        a, b = (normalize_axis(d, self.ndim) for d in dims)
        if a == b:
            raise RuntimeError(f"rot90() needs two different dimensions, not {dims}")
        k %= 4
        if k == 2:
            return self.flip(a, b)
        return self.clone() if k == 0 else self.flip(b if k == 1 else a).transpose(a, b)

    def roll(self, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Any:
        """Elements moved by ``shifts`` along ``dims``, round the end; without dims, of the flattened tensor."""
        moves = (shifts,) if isinstance(shifts, int) else tuple(shifts)
        if dims is None or dims == ():
            if len(moves) != 1:
                raise RuntimeError(f"roll() needs a dimension for each of the shifts {moves}")
            return apply(views.Roll, self.flatten(), shifts=((0, moves[0]),)).reshape(self._array.shape)
        axes = (dims,) if isinstance(dims, int) else tuple(dims)
        if len(axes) != len(moves):
            raise RuntimeError(f"roll() needs as many shifts as dimensions, not {moves} and {axes}")
        total: dict[int, int] = {}
        for shift, d in zip(moves, axes):
            if not self.ndim:
                raise IndexError("roll() of a 0-d tensor takes no dimensions")
            axis = normalize_axis(d, self.ndim)
            total[axis] = total.get(axis, 0) + shift
        return apply(views.Roll, self, shifts=tuple(total.items()))

    def repeat(self, *repeats: Any) -> Any:
        """The tensor repeated along each dimension; leading new dimensions for more numbers than dimensions."""
        counts = sizes_of(repeats)
        shape = self._array.shape
        if len(counts) < len(shape):
            raise RuntimeError(f"repeat() needs a number for each of the {len(shape)} dimensions, got {counts}")
        if any(n < 0 for n in counts):
            raise RuntimeError(f"repeat() needs numbers that are not negative, got {counts}")
        shape = (1,) * (len(counts) - len(shape)) + shape
        if all(n == 1 for n in counts):
            return self.reshape(shape).clone()
        apart = self.reshape(tuple(m for n in shape for m in (1, n)))
        spread = apart.expand(tuple(m for r, n in zip(counts, shape) for m in (r, n)))
        result = spread.reshape(tuple(r * n for r, n in zip(counts, shape)))
        return result.clone() if result._array.version is self._array.version else result

    def tile(self, *dims: Any) -> Any:
        """As `repeat`, with missing leading numbers taken as 1."""
        counts = _listed(dims)
        return self.repeat((1,) * (self.ndim - len(counts)) + tuple(counts))

    def repeat_interleave(self, repeats: Any, dim: int | None = None, *, output_size: int | None = None) -> Any:
        """Each element of a dimension repeated; without ``dim``, of the flattened tensor.

        Args:
            repeats: how often; or a tensor of integers, one for each element, which waits for the device.
            dim: the dimension.
            output_size: the size that results, if it is known.
        """
        if dim is None:
            return self.flatten().repeat_interleave(repeats, 0, output_size=output_size)
        axis = normalize_axis(dim, self.ndim)
        shape = self._array.shape or (1,)
        if hasattr(repeats, "_array") and repeats.numel() == 1:
            repeats = repeats.item()
        if isinstance(repeats, int):
            if repeats < 0:
                raise RuntimeError(f"repeat_interleave() needs numbers that are not negative, not {repeats}")
            apart = self.reshape((*shape[:axis + 1], 1, *shape[axis + 1:]))
            spread = apart.expand((*shape[:axis + 1], repeats, *shape[axis + 1:]))
            result = spread.reshape((*shape[:axis], shape[axis] * repeats, *shape[axis + 1:]))
            return result.clone() if result._array.version is self._array.version else result
        import numpy as np

        from ..tensor import tensor

        counts = repeats.numpy() if hasattr(repeats, "_array") else np.asarray(repeats)
        if counts.shape != (shape[axis],) or counts.dtype.kind not in "iu" or (counts < 0).any():
            raise RuntimeError(f"repeat_interleave() needs {shape[axis]} numbers that are not negative, got {counts}")
        index = tensor(np.repeat(np.arange(shape[axis]), counts), device=self.device)
        return self.index_select(axis, index)

    def unfold(self, dimension: int, size: int, step: int) -> Any:
        """All windows of ``size`` elements of a dimension, ``step`` apart; their elements are the last one. A view."""
        axis = normalize_axis(dimension, self.ndim)
        length = self._array.shape[axis] if self.ndim else 1
        size, step = whole("size", size), whole("step", step)
        if size < 0 or size > length or step < 1:
            raise RuntimeError(f"unfold(): windows of {size}, {step} apart, do not fit a dimension of size {length}")
        return apply(views.Unfold, self, axis=axis, size=size, step=step)

    def unflatten(self, dim: int, sizes: Sequence[int]) -> Any:
        """A dimension made several, of the given sizes; one of them may be -1."""
        axis = self._axis(dim)
        size, wanted = self._array.shape[axis], [int(n) for n in sizes]
        if not wanted:
            raise RuntimeError("unflatten() needs at least one size")
        if wanted.count(-1) == 1:
            known = math.prod(n for n in wanted if n != -1)
            wanted[wanted.index(-1)] = size // known if known else 0
        if math.prod(wanted) != size or any(n < 0 for n in wanted):
            raise RuntimeError(f"unflatten(): sizes {tuple(sizes)} do not multiply to {size}")
        return self.reshape((*self._array.shape[:axis], *wanted, *self._array.shape[axis + 1:]))

    def expand_as(self, other: Tensor) -> Any:
        """Expanded to the shape of another tensor."""
        return self.expand(tuple(other.shape))

    def view_as(self, other: Tensor) -> Any:
        """A view in the shape of another tensor."""
        return self.view(tuple(other.shape))

    def reshape_as(self, other: Tensor) -> Any:
        """Reshaped to the shape of another tensor."""
        return self.reshape(tuple(other.shape))

    def split_with_sizes(self, split_sizes: Sequence[int], dim: int = 0) -> Any:
        """Parts of a dimension, of the sizes in a list; views."""
        return self.split(list(split_sizes), dim)

    # PyTorch leaves out a check of changes in place there; here it costs nothing.
    unsafe_chunk, unsafe_split, unsafe_split_with_sizes = chunk, split, split_with_sizes

    def diagflat(self, offset: int = 0) -> Any:
        """A square matrix with all elements, row by row, on a diagonal; zeros elsewhere."""
        return self.reshape(-1).diag_embed(offset)

    def diagonal_scatter(self, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
        """A copy whose `diagonal` is ``src``."""
        return self._with(lambda x: x.diagonal(offset, dim1, dim2), src, "diagonal_scatter")

    def select_scatter(self, src: Tensor, dim: int, index: int) -> Any:
        """A copy in which ``src`` stands at one index of a dimension."""
        return self._with(lambda x: x.select(dim, index), src, "select_scatter")

    def slice_scatter(self, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None,
                      step: int = 1) -> Any:
        """A copy in which ``src`` stands at ``start:end:step`` of a dimension."""
        axis = self._axis(dim)
        return self._with(lambda x: x[(slice(None),) * axis + (slice(start, end, step),)], src, "slice_scatter")

    def _with(self, part: Callable[[Any], Any], src: Tensor, name: str) -> Any:
        """A copy of which a part has other values, of that part's shape."""
        result = self.clone()
        place = part(result)
        if place._array.shape != src._array.shape:
            raise RuntimeError(f"{name}() needs values of shape {tuple(place.shape)}, not {tuple(src.shape)}")
        place.copy_(src)
        return result

    def fill_diagonal_(self, fill_value: float, wrap: bool = False) -> Any:
        """Write a number onto the main diagonal: elements whose indices are all equal.

        Args:
            fill_value: the number.
            wrap: in a matrix with more rows than columns, begin anew a row below each end of the diagonal.

        Raises:
            RuntimeError: the tensor has fewer than two dimensions, or more than two of different sizes.
        """
        shape = self._array.shape
        if len(shape) < 2 or (len(shape) > 2 and len(set(shape)) > 1):
            raise RuntimeError("fill_diagonal_() needs a matrix, or more dimensions of one size, not a tensor of shape "
                               f"{tuple(shape)}")
        diagonal: Any = self
        for _ in range(len(shape) - 1):
            diagonal = diagonal.diagonal(0, 0, diagonal.ndim - 1)
        diagonal.fill_(fill_value)
        if wrap and len(shape) == 2:
            for first in range(shape[1] + 1, shape[0], shape[1] + 1):
                self.narrow(0, first, shape[0] - first).diagonal().fill_(fill_value)
        return self
