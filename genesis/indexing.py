"""What stands between the brackets of ``tensor[...]``."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from . import dtypes
from .autograd import apply
from .ops import elementwise
from .ops.array import Array, download, upload
from .ops.index import IndexSelect, check_range, put
from .ops.views import Permute, Reshape, Selection, Slice, select_view

if TYPE_CHECKING:
    from .tensor import Tensor


def _is_list(item: Any) -> bool:
    return isinstance(item, list | np.ndarray) or hasattr(item, "_array")


def _parse(x: Tensor, index: Any) -> tuple[Selection, list[tuple[int, Any]]]:
    """Split an index into what a view can do and the index arrays, each with its axis in that view."""
    items = list(index) if isinstance(index, tuple) else [index]
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


def _is_scalar_index(item: Any) -> bool:
    return hasattr(item, "_array") and item.ndim == 0 and item.dtype.kind in "iu"


def _width(x: Tensor, item: Any) -> int:
    """How many dimensions of the tensor an item of the index takes: a boolean mask as many as it has."""
    if isinstance(item, bool | np.bool_):
        raise IndexError("indexing by a single bool is not supported")
    if _is_list(item):
        array = item if not isinstance(item, list) else np.asarray(item)
        if array.dtype in (np.dtype(bool), dtypes.bool_):
            return int(array.ndim)
    return 1


def _index_array(x: Tensor, item: Any, shape: tuple[int, ...]) -> Array:
    """An index array on the device: integers as they are, a mask as the flat positions where it is True."""
    from .tensor import Tensor

    if isinstance(item, Tensor) and item.dtype.kind in "iu":
        array = elementwise.cast(item._array, dtypes.int64)
        check_range(array, shape[0])
        return array
    values = item.detach().numpy() if isinstance(item, Tensor) else np.asarray(item)
    if values.dtype == np.bool_:
        if values.shape != shape:
            raise IndexError(f"a mask of shape {values.shape} does not fit dimensions of shape {shape}")
        return upload(x.device, np.flatnonzero(values).astype(np.int64))
    if values.size == 0:
        values = values.astype(np.int64)
    if values.dtype.kind not in "iu":
        raise IndexError(f"index arrays hold integers or booleans, not {values.dtype}")
    if values.size and (values.min() < -shape[0] or values.max() >= shape[0]):
        bad = values.min() if values.min() < -shape[0] else values.max()
        raise IndexError(f"index {bad} is out of range for a dimension of size {shape[0]}")
    return upload(x.device, values.astype(np.int64))


def _combine(x: Tensor, lists: list[tuple[int, Any]]) -> tuple[Tensor, int, Array]:
    """Bring several index arrays to one: the tensor with the indexed dimensions merged, their axis, the index."""
    axes: list[int] = []
    indices: list[tuple[Array, int]] = []
    for axis, item in lists:
        width = _width(x, item)
        shape = x._array.shape[axis:axis + width]
        indices.append((_index_array(x, item, shape), int(np.prod(shape))))
        axes += range(axis, axis + width)
    first = axes[0]
    if axes != list(range(first, first + len(axes))):      # apart: the result's new dimensions come first
        rest = [a for a in range(x.ndim) if a not in axes]
        x, first = apply(Permute, x, axes=(*axes, *rest)), 0
    index: Array | None = None
    for array, n in indices:
        array = elementwise.run("where", [elementwise.compare("lt", array, 0),
                                          elementwise.run("add", [array, n], dtypes.int64), array], dtypes.int64)
        index = array if index is None else elementwise.run(
            "add", [elementwise.run("mul", [index, n], dtypes.int64), array], dtypes.int64)
    assert index is not None
    if len(axes) > 1:
        shape = x._array.shape
        x = apply(Reshape, x, shape=(*shape[:first], int(np.prod(shape[first:first + len(axes)])),
                                     *shape[first + len(axes):]))
    return x, first, index


def get_item(x: Tensor, index: Any) -> Tensor:
    """``x[index]``: a view for integers, slices, None and ``...``; a copy for tensors of integers or booleans."""
    selection, lists = _parse(x, index)
    result = apply(Slice, x, selection=selection)
    if not lists:
        return result
    result, axis, positions = _combine(result, lists)
    return apply(IndexSelect, result, axis=axis, index=positions)


def set_item(x: Tensor, index: Any, value: Any) -> None:
    """``x[index] = value``, broadcast and converted."""
    from .tensor import Tensor, tensor

    if isinstance(value, np.ndarray | list | tuple):
        value = tensor(value, device=x.device)
    source = value._array if isinstance(value, Tensor) else value
    selection, lists = _parse(x, index)
    part = Tensor._wrap(select_view(x._array, selection))
    if not lists:
        elementwise.assign(part._array, source)
        return
    # Work on a contiguous copy of the part, then write the part back.
    whole = Tensor._wrap(elementwise.copy(part._array))
    merged, axis, positions = _combine(whole, lists)
    if merged._array.buffer is not whole._array.buffer or not merged._array.is_contiguous():
        raise IndexError("assignment through index arrays that are not next to each other is not supported; "
                         "permute the tensor first")
    shape = (*merged._array.shape[:axis], *positions.shape, *merged._array.shape[axis + 1:])
    if not isinstance(source, Array):
        source = elementwise.full(x.device, (), source, x.dtype)
    put(merged._array, axis, positions, source.expand(shape))
    elementwise.assign(part._array, whole._array)
