"""What stands between the brackets of ``tensor[...]``."""

from __future__ import annotations

import math
import operator
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from . import dtypes, tracing
from .autograd import apply, inplace, same_device
from .autograd.graph import tick
from .ops import elementwise
from .ops.array import Array, Shape, broadcast_shapes, upload
from .ops.index import Index, IndexSelect, joined_indices, put
from .ops.put import IndexPut
from .ops.search import flat_nonzero
from .ops.ternary import Where
from .ops.views import Permute, Reshape, Selection, Slice, select_view

if TYPE_CHECKING:
    from .tensor import Tensor


def _is_list(item: Any) -> bool:
    return isinstance(item, list | np.ndarray) or hasattr(item, "_array")


def _parse(x: Tensor, index: Any) -> tuple[Selection, list[tuple[int, Any]]]:
    """Split an index into what a view can do and the index arrays, each with its axis in that view."""
    items = list(map(_bytes_as_mask, index if isinstance(index, tuple) else (index,)))
    used = sum(_width(x, i) for i in items if i is not None and i is not Ellipsis)
    if used > x.ndim:
        raise IndexError(f"{used} indices for a tensor of {x.ndim} dimensions")
    where = [k for k, i in enumerate(items) if i is Ellipsis]
    if len(where) > 1:
        raise IndexError("an index can have only one ellipsis (...)")
    at = where[0] if where else len(items)
    items[at:at + 1] = [slice(None)] * (x.ndim - used)
    selection: list[int | tuple[int, int, int] | None] = []
    lists: list[tuple[int, Any]] = []
    axis = out = 0
    for item in items:
        if isinstance(item, range):
            item = list(item)
        if item is None:
            selection.append(None)
            out += 1
        elif isinstance(item, slice):
            size = x._array.shape[axis]
            start, stop, step = item.indices(size)
            if step <= 0:
                raise ValueError("a slice's step must be positive; use flip() to reverse a dimension")
            selection.append((start, step, max(0, -(-(stop - start) // step))))
            axis += 1
            out += 1
        elif _is_list(item) and not _is_scalar_index(item):
            lists.append((out, item))
            for _ in range(_width(x, item)):
                selection.append((0, 1, x._array.shape[axis]))
                axis += 1
                out += 1
        else:
            try:
                position = operator.index(item)
            except TypeError:
                raise IndexError(f"a tensor cannot be indexed by {item!r}: use integers, slices, None, ..., or tensors "
                                 "of integers or booleans") from None
            size = x._array.shape[axis]
            if not -size <= position < size:
                raise IndexError(f"index {position} is out of range for dimension {axis} of size {size}")
            selection.append(position % size)
            axis += 1
    return tuple(selection), lists


def _bytes_as_mask(item: Any) -> Any:
    if getattr(item, "dtype", None) is not dtypes.uint8:
        return item
    # comparisons gave uint8 before PyTorch 1.2, and programs of that time still make their masks so
    warnings.warn("an index of uint8 is taken as a mask, as in PyTorch, which has deprecated that: convert it with "
                  "bool() to choose where it is not 0, with long() to choose by number", stacklevel=5)
    return item.bool()


def _is_scalar_index(item: Any) -> bool:
    return hasattr(item, "_array") and item.ndim == 0 and item.dtype.kind in "iu"


def _width(x: Tensor, item: Any) -> int:
    """How many dimensions of the tensor an item of the index takes: a boolean mask as many as it has."""
    width = 1
    if hasattr(item, "_array"):
        width = item.ndim if item.dtype is dtypes.bool_ else 1
    elif _is_list(item):
        array = item if not isinstance(item, list) else np.asarray(item)
        if array.dtype in (np.dtype(bool), dtypes.bool_):
            width = int(array.ndim)
    if isinstance(item, bool | np.bool_) or width == 0:
        raise _SingleBool("a single bool is an index by itself only, not among others")
    return width


class _SingleBool(IndexError):
    """An index is, or has in it, a bool or a mask without dimensions."""


def _one_mask(index: Any, error: _SingleBool) -> Any:
    """A mask of one element from an index that is a single bool; for any other the error."""
    if isinstance(index, tuple):
        if len(index) != 1:
            raise error
        index = index[0]
    return index.reshape(1) if hasattr(index, "_array") else np.asarray([bool(index)])


def _check_mask(mask: Shape, shape: Shape) -> None:
    if mask != shape:
        raise IndexError(f"a mask of shape {mask} does not fit dimensions of shape {shape}")


def _index_array(x: Tensor, item: Any, shape: tuple[int, ...]) -> Array:
    """An index array on the device: integers as they are, a mask as the flat positions where it is True."""
    from .tensor import Tensor

    if isinstance(item, Tensor) and item.dtype.kind in "iu":
        if item.dtype in (dtypes.int8, dtypes.int16):        # nor does PyTorch take them
            raise IndexError(f"index tensors are int64, int32 or bool, not {item.dtype}; convert with long()")
        same_device(x, item)
        return elementwise.cast(item._array, dtypes.int64)
    if isinstance(item, Tensor) and item.dtype is dtypes.bool_:
        same_device(x, item)
        _check_mask(item._array.shape, shape)
        return flat_nonzero(item._array)
    values = item.detach().numpy() if isinstance(item, Tensor) else np.asarray(item)
    if values.dtype == np.bool_:
        _check_mask(values.shape, shape)
        return upload(x.device, np.flatnonzero(values).astype(np.int64))
    if values.size == 0:
        values = values.astype(np.int64)
    if values.dtype.kind not in "iu":
        raise IndexError(f"index arrays hold integers or booleans, not {values.dtype}")
    if values.size and (values.min() < -shape[0] or values.max() >= shape[0]):
        bad = values.min() if values.min() < -shape[0] else values.max()
        raise IndexError(f"index {bad} is out of range for a dimension of size {shape[0]}")
    return upload(x.device, values.astype(np.int64))


def _together(x: Tensor, lists: list[tuple[int, Any]]) -> tuple[Tensor, list[tuple[int, Any]]]:
    """The tensor with the indexed dimensions next to each other: at the front if they were apart, as in NumPy."""
    axes = [a for axis, item in lists for a in range(axis, axis + _width(x, item))]
    if axes == list(range(axes[0], axes[0] + len(axes))):
        return x, lists
    x = apply(Permute, x, axes=(*axes, *(a for a in range(x.ndim) if a not in axes)))
    return x, [(axes.index(axis), item) for axis, item in lists]


def _arrays(x: Tensor, lists: list[tuple[int, Any]]) -> tuple[list[Array], list[int], int]:
    """Index arrays next to each other, of one shape; how many elements the dimensions of each have; where they end."""
    arrays, counts, axis = [], [], lists[0][0]
    for axis, item in lists:
        sizes = x._array.shape[axis:axis + _width(x, item)]
        arrays.append(_index_array(x, item, sizes))
        counts.append(math.prod(sizes))
        axis += len(sizes)
    if any(array.shape != arrays[0].shape for array in arrays):
        try:
            shape = broadcast_shapes(*(array.shape for array in arrays))
        except RuntimeError as error:
            raise IndexError(f"index arrays of different shapes: {error}") from None
        arrays = [array.expand(shape) for array in arrays]
    return arrays, counts, axis


def _combine(x: Tensor, lists: list[tuple[int, Any]]) -> tuple[Tensor, int, Array]:
    """Bring index arrays next to each other to one: the tensor with their dimensions merged, that axis, the index."""
    arrays, counts, end = _arrays(x, lists)
    first = lists[0][0]
    if end - first > 1:
        shape = x._array.shape
        x = apply(Reshape, x, shape=(*shape[:first], math.prod(counts), *shape[end:]))
    return x, first, arrays[0] if len(arrays) == 1 else joined_indices(arrays, counts)


def get_item(x: Tensor, index: Any) -> Tensor:
    """``x[index]``: a view for integers, slices, None and ``...``; a copy for tensors of integers or booleans."""
    try:
        selection, lists = _parse(x, index)
    except _SingleBool as error:
        return get_item(x.unsqueeze(0), _one_mask(index, error))
    if not lists or selection != tuple([(0, 1, size) for size in x._array.shape]):
        x = apply(Slice, x, selection=selection)
    if not lists:
        return x
    x, lists = _together(x, lists)
    axis = lists[0][0]
    arrays, counts, end = _arrays(x, lists)
    if end - axis > 1:
        return apply(Index, x, axis=axis, indices=arrays, sizes=counts, width=end - axis)
    return apply(IndexSelect, x, axis=axis, index=arrays[0])


def set_item(x: Tensor, index: Any, value: Any, join: str = "put") -> None:
    """``x[index] = value``, broadcast and converted; with ``join="add"``, ``x[index] += value`` for every index."""
    from .tensor import Tensor, tensor

    if tracing.recorder is not None and tracing.recorder.takes():
        tracing.recorder.method("aten::index_put_", set_item, x, index, value, join)
        return
    if isinstance(value, np.ndarray | list | tuple):
        value = tensor(value, device=x.device)
    elif isinstance(value, complex):
        value = Tensor._wrap(elementwise.number(x.device, value, x.dtype))
    same_device(x, value)
    needs = inplace.check(x, value)
    try:
        selection, lists = _parse(x, index)
    except _SingleBool as error:
        set_item(x.unsqueeze(0), _one_mask(index, error), value, join)
        return
    mask = _only_mask(x, selection, lists, value) if join == "put" else None
    if needs:
        _set_recorded(x, selection, lists, value, join, mask)
        return
    x._array.version.count += 1
    source = value._array if isinstance(value, Tensor) else value
    part = Tensor._wrap(select_view(x._array, selection))
    if not lists:
        elementwise.assign(part._array, _fitted(source, part._array.shape))
        return
    if mask is not None:
        held, (condition, spread) = part._array, mask
        source = spread._array if isinstance(spread, Tensor) else bool(spread) if x.dtype is dtypes.bool_ else spread
        if isinstance(source, Array):
            source = elementwise.cast(source, x.dtype)
        elementwise.run("where", [condition._array, source, held], x.dtype, out=held)
        return
    # Work on a contiguous copy of the part, then write the part back, unless it is the whole tensor.
    part, lists = _together(part, lists)
    whole = part._array if part._array.is_contiguous() else elementwise.copy(part._array)
    merged, axis, positions = _combine(Tensor._wrap(whole), lists)
    shape = (*merged._array.shape[:axis], *positions.shape, *merged._array.shape[axis + 1:])
    if not isinstance(source, Array):
        source = elementwise.full(x.device, (), source, x.dtype)
    elif source.buffer.handle is whole.buffer.handle:
        source = elementwise.copy(source)
    if positions.buffer.handle is whole.buffer.handle:
        positions = elementwise.copy(positions)
    put(merged._array, axis, positions, _fitted(source, shape).expand(shape), join)
    if whole is not part._array:
        elementwise.assign(part._array, whole)


def _only_mask(x: Tensor, selection: Selection, lists: list[tuple[int, Any]], value: Any) -> tuple[Tensor, Any] | None:
    """For a single mask and a value that is the same wherever it holds: both as they broadcast to the part.

    Then nobody needs to know how many elements there are, for which the host would have to wait.
    """
    if len(lists) != 1 or getattr(lists[0][1], "dtype", None) is not dtypes.bool_:
        return None
    axis, mask = lists[0]
    width, ndim = mask.ndim, len([s for s in selection if not isinstance(s, int)])
    after = ndim - axis - width
    same_device(x, mask)
    shape = tuple(s[2] if isinstance(s, tuple) else 1 for s in selection if not isinstance(s, int))
    _check_mask(mask._array.shape, shape[axis:axis + width])
    condition = mask.reshape(*mask.shape, *[1] * after)
    if not hasattr(value, "_array"):
        return condition, value
    sizes = tuple(value.shape)
    if len(sizes) > after and sizes[len(sizes) - after - 1] != 1:
        return None
    first, last = sizes[:max(0, len(sizes) - after - 1)], sizes[max(0, len(sizes) - after):]
    first = first[max(0, len(first) - axis):] if set(first[:max(0, len(first) - axis)]) <= {1} else first
    spread = value.reshape(*first, *[1] * width, *last) if len(sizes) > after else value
    wanted = (*shape[:axis], *[1] * width, *shape[axis + width:])
    if broadcast_shapes(spread._array.shape, wanted) != wanted:
        raise RuntimeError(f"a value of shape {sizes} does not fit the part of shape {shape} that a mask chooses from")
    return condition, spread


def _set_recorded(x: Tensor, selection: Selection, lists: list[tuple[int, Any]], value: Any, join: str,
                  mask: tuple[Tensor, Any] | None) -> None:
    """``x[index] = value`` where gradients are recorded: they flow to the value, and to what was not overwritten."""
    part: Any = apply(Slice, x, selection=selection)
    if mask is not None:
        since = tick()
        condition, spread = mask
        if hasattr(spread, "_array"):
            spread = spread.to(x.dtype)
        inplace.change(part, apply(Where, condition, spread, part), since)
    elif lists:
        since = tick()
        part, lists = _together(part, lists)
        merged, axis, positions = _combine(part, lists)
        shape = (*merged._array.shape[:axis], *positions.shape, *merged._array.shape[axis + 1:])
        if hasattr(value, "_array"):
            value = _trimmed(value.to(x.dtype), shape)
            value = value if value._array.shape == shape else value.expand(*shape)
        result = apply(IndexPut, merged, value, axis=axis, index=positions, join=join)
        inplace.change(part, result.reshape(part.shape), since)
    elif not hasattr(value, "_array"):
        part.fill_(value)
    elif not _same_memory(part._array, value._array):      # as after x[i] += 1, which assigns the part to itself
        part.copy_(_trimmed(value, part._array.shape))


def _same_memory(a: Array, b: Array) -> bool:
    return (a.version is b.version and a.buffer is b.buffer and a.dtype is b.dtype
            and (a.offset, a.shape, a.strides) == (b.offset, b.shape, b.strides))


def _trimmed(value: Tensor, shape: Shape) -> Tensor:
    extra = value.ndim - len(shape)
    if extra <= 0 or any(n != 1 for n in value.shape[:extra]):
        return value
    return value.reshape(value.shape[extra:])


def _fitted(value: Any, shape: Shape) -> Any:
    """A value to be assigned to a part of the given shape, without leading dimensions of size 1 that the part lacks."""
    extra = value.ndim - len(shape) if isinstance(value, Array) else 0
    if extra <= 0 or any(n != 1 for n in value.shape[:extra]):
        return value
    return value.view(value.shape[extra:], value.strides[extra:])
