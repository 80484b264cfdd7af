"""The same elements in other shapes and orders."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..autograd import apply, inplace
from ..autograd.modes import state
from ..dtypes import DType
from ..ops import elementwise, views
from ..ops.array import Array, contiguous_strides, empty, normalize_axis, sizes_of
from .support import Dims, Methods, axes_of, plain


class Shapes(Methods):
    """The same elements in other shapes and orders."""

    __slots__ = ()
    FUNCTIONS = ("adjoint as_strided broadcast_to flatten moveaxis movedim permute ravel reshape squeeze swapaxes "
                 "swapdims t transpose unsqueeze")

    def reshape(self, *shape: Any) -> Any:
        """The elements in another shape; one size may be -1."""
        return apply(views.Reshape, self, shape=_new_shape(self._array, shape))

    def view(self, *shape: Any) -> Any:
        """As `reshape`, but an error where the layout would need a copy; or ``view(dtype)``, which shares memory.

        With a type, the bytes are read as elements of it; gradients do not flow. The last dimension shrinks or grows
        where the elements differ in size; it must be contiguous then, and fit.
        """
        if len(shape) == 1 and isinstance(shape[0], DType):
            return _read_as(self, shape[0])
        wanted = _new_shape(self._array, shape)
        if self._array.reshape_view(wanted) is None:
            raise RuntimeError(f"a tensor of shape {self._array.shape} and strides {self._array.strides} has no view "
                               f"of shape {wanted}; use reshape()")
        return apply(views.Reshape, self, shape=wanted)

    def as_strided(self, size: Any, stride: Any, storage_offset: int | None = None) -> Any:
        """A look at the tensor's memory with any sizes and strides, counted in elements; elements may share memory.

        Args:
            size, stride: of the result.
            storage_offset: where its first element is in memory; by default where the tensor's is.

        Raises:
            RuntimeError: the look would leave the memory, or sizes and strides do not fit together; or the tensor
                requires a gradient and several of its elements share memory already.
        """
        shape, steps = sizes_of((size,)), sizes_of((stride,))
        x = self._array
        first = x.offset if storage_offset is None else int(storage_offset)
        if len(shape) != len(steps) or any(n < 0 for n in (*shape, *steps, first)):
            raise RuntimeError(f"as_strided() needs as many strides as sizes, none negative, got {shape}, {steps} and "
                               f"{first}")
        end = first + sum((n - 1) * s for n, s in zip(shape, steps)) + 1 if math.prod(shape) else 0
        if end > x.buffer.nbytes // x.dtype.itemsize:
            raise RuntimeError(f"sizes {shape} and strides {steps} from {first} on reach element {end - 1}, beyond the "
                               f"memory of {x.buffer.nbytes // x.dtype.itemsize}")
        if self.requires_grad and inplace.is_expanded(x):
            raise RuntimeError("several elements of this expanded tensor are one in memory; clone() it before "
                               "as_strided()")
        return apply(views.AsStrided, self, shape=shape, strides=steps, shift=first - x.offset)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Any:
        """Dimensions from ``start_dim`` to ``end_dim`` merged into one."""
        first, last = normalize_axis(start_dim, self.ndim), normalize_axis(end_dim, self.ndim)
        shape = self._array.shape
        return self.reshape(*shape[:first], math.prod(shape[first:last + 1]), *shape[last + 1:])

    def transpose(self, dim0: int, dim1: int) -> Any:
        """Two dimensions swapped."""
        axes = list(range(self.ndim))
        a, b = normalize_axis(dim0, self.ndim), normalize_axis(dim1, self.ndim)
        if axes:
            axes[a], axes[b] = axes[b], axes[a]
        return apply(views.Permute, self, axes=tuple(axes))

    def permute(self, *dims: Any) -> Any:
        """The dimensions in another order."""
        listed = dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims
        axes = tuple(normalize_axis(d, self.ndim) for d in listed)
        if sorted(axes) != list(range(self.ndim)):
            raise RuntimeError(f"permute needs each of the {self.ndim} dimensions once, got {tuple(listed)}")
        return apply(views.Permute, self, axes=axes)

    swapaxes = swapdims = transpose

    def movedim(self, source: Any, destination: Any) -> Any:
        """Dimensions moved from positions ``source`` to positions ``destination``; the others keep their order."""
        given = [[d] if isinstance(d, int) else d for d in (source, destination)]
        sources, targets = ([normalize_axis(d, self.ndim) for d in dims] for dims in given)
        if len(sources) != len(targets) or len(set(sources)) != len(sources) or len(set(targets)) != len(targets):
            raise RuntimeError(f"movedim() needs as many different dimensions on both sides, not {source} and "
                               f"{destination}")
        rest = iter(a for a in range(self.ndim) if a not in sources)
        placed = dict(zip(targets, sources))
        return self.permute(tuple(placed[a] if a in placed else next(rest) for a in range(self.ndim)))

    moveaxis = movedim

    def ravel(self) -> Any:
        """All elements in one dimension."""
        return self.reshape(-1)

    def broadcast_to(self, size: Any) -> Any:
        """As `expand`."""
        return self.expand(tuple(size))

    def t(self) -> Any:
        """The transpose of a matrix."""
        if self.ndim > 2:
            raise RuntimeError(f"t() needs at most two dimensions, not {self.ndim}")
        return self if self.ndim < 2 else self.transpose(0, 1)

    @property
    def T(self) -> Any:
        """The dimensions in reverse order."""
        return self.permute(*reversed(range(self.ndim))) if self.ndim else self

    @property
    def mT(self) -> Any:
        """The last two dimensions swapped."""
        return self.transpose(-2, -1)

    H = property(lambda self: self.adjoint(), doc="The conjugate transpose of a matrix.")
    mH = property(lambda self: self.adjoint(), doc="The last two dimensions swapped, and complex numbers conjugated.")

    def adjoint(self) -> Any:
        """The last two dimensions swapped, and complex numbers conjugated."""
        return self.mT.conj()

    def expand(self, *sizes: Any) -> Any:
        """Dimensions of size 1 repeated without copying; -1 keeps a size."""
        wanted = sizes_of(sizes)
        added = len(wanted) - self.ndim
        shape = tuple(self._array.shape[i - added] if n == -1 and i >= added else n for i, n in enumerate(wanted))
        return apply(views.Expand, self, shape=shape)

    def squeeze(self, dim: Dims = None) -> Any:
        """Dimensions of size 1 removed, all or those named."""
        named = range(self.ndim) if dim is None else axes_of(dim, self.ndim) or ()
        shape = tuple(n for a, n in enumerate(self._array.shape) if n != 1 or a not in named)
        return self.reshape(shape)

    def unsqueeze(self, dim: int) -> Any:
        """A new dimension of size 1."""
        axis = normalize_axis(dim, self.ndim + 1)
        return self.reshape((*self._array.shape[:axis], 1, *self._array.shape[axis:]))

    # The tensor itself gets another shape. ---------------------------------------------------------------------

    def squeeze_(self, dim: Dims = None) -> Any:
        """`squeeze` of the tensor itself, which is returned; so with the other methods whose names end in ``_``.

        The history of the tensor goes on as that of the new one would. Views that were made of it before are views of
        what it was: they keep their shapes and their histories.

        Raises:
            RuntimeError: a leaf that requires gradients, where they are recorded; or the elements lie so that the new
                shape would need a copy.
        """
        return reshaped(self, lambda x: x.squeeze(dim))

    def unsqueeze_(self, dim: int) -> Any:
        """`unsqueeze` of the tensor itself; see `squeeze_`."""
        return reshaped(self, lambda x: x.unsqueeze(dim))

    def as_strided_(self, size: Any, stride: Any, storage_offset: int | None = None) -> Any:
        """`as_strided` of the tensor itself; see `squeeze_`."""
        return reshaped(self, lambda x: x.as_strided(size, stride, storage_offset))

    def t_(self) -> Any:
        """`t` of the tensor itself; see `squeeze_`."""
        return reshaped(self, lambda x: x.t())

    def transpose_(self, dim0: int, dim1: int) -> Any:
        """`transpose` of the tensor itself; see `squeeze_`."""
        return reshaped(self, lambda x: x.transpose(dim0, dim1))

    swapaxes_ = swapdims_ = transpose_

    def resize_(self, *sizes: Any) -> Any:
        """Give the tensor itself another number of elements: the first ones stay, what is added is undefined.

        Raises:
            RuntimeError: the tensor requires gradients, or is a view of one that does.
        """
        shape, x = sizes_of(sizes), self._array
        if any(n < 0 for n in shape):
            raise RuntimeError(f"sizes cannot be negative: {shape}")
        if self.requires_grad:
            raise RuntimeError("resize_() cannot change a tensor that requires gradients; use detach() first")
        if shape == x.shape:
            return self
        size, flat = math.prod(shape), elementwise.contiguous(x)
        if size <= x.size:
            new = flat.view(shape, contiguous_strides(shape))
        else:
            new = empty(x.device, shape, x.dtype)
            elementwise.assign(new.view((x.size,), (1,)), flat.view((x.size,), (1,)))
        self._rebind(new)
        return self

    def resize_as_(self, the_template: Any) -> Any:
        """`resize_` to the shape of another tensor."""
        return self.resize_(the_template.shape)


def reshaped(x: Any, change: Callable[[Any], Any]) -> Any:
    """Make a tensor what ``change``, which makes a view, makes of it; returns the tensor."""
    if state.recording and x.requires_grad and x.is_leaf:
        raise RuntimeError("a leaf that requires gradients cannot be changed in place; do it in genesis.no_grad()")
    if x._view is not None and x._view.holds(x):
        before = x
    else:                     # a name for what the tensor was, of which it becomes a view
        before = type(x)._wrap(x._array, x._node)
        before._requires_grad = x._requires_grad
    after = change(before)
    if after._array.version is not x._array.version:
        raise RuntimeError(f"elements of strides {x._array.strides} cannot have another shape without a copy; make the "
                           "tensor contiguous() first")
    if x._slot is not None or (x.requires_grad and x.is_leaf):
        x._rebind(after._array)
        return x
    if x._retains is not None and after._node is not None:
        x._retains.move(after._node)
    x._array, x._node, x._view, x._requires_grad = after._array, after._node, after._view, after._requires_grad
    return x


def _new_shape(x: Array, given: tuple[Any, ...]) -> tuple[int, ...]:
    wanted = list(sizes_of(given))
    if wanted.count(-1) == 1:
        known = math.prod(n for n in wanted if n != -1)
        if known and x.size % known == 0:
            wanted[wanted.index(-1)] = x.size // known
    if math.prod(wanted) != x.size or any(n < 0 for n in wanted):
        raise RuntimeError(f"a tensor of shape {x.shape} ({x.size} elements) does not fit shape {tuple(wanted)}")
    return tuple(wanted)


def _read_as(tensor: Any, dtype: DType) -> Any:
    """The tensor's memory as elements of another type."""
    x = tensor._array
    if dtype is x.dtype:
        return tensor.view(*x.shape)
    sizes, steps, offset = [*x.shape], [*x.strides], x.offset
    if dtype.itemsize != x.dtype.itemsize:
        if not sizes or steps[-1] != 1:
            raise RuntimeError(f"view({dtype}) of elements of another size needs a contiguous last dimension, not "
                               f"strides {x.strides}")
        many, few = x.dtype.itemsize, dtype.itemsize
        if any(n * many % few for n in (sizes[-1], offset, *steps[:-1])):
            raise RuntimeError(f"view({dtype}) needs a last dimension, strides and an offset that {few // many} "
                               f"divides, not {sizes[-1]}, {tuple(steps[:-1])} and {offset}")
        sizes[-1], offset = sizes[-1] * many // few, offset * many // few
        steps = [n * many // few for n in steps[:-1]] + [1]
    return plain(Array(x.buffer, dtype, tuple(sizes), tuple(steps), offset, x.version))
