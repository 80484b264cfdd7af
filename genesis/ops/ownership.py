"""Who else looks at memory: told from reference counts, compared with those of objects known to be alone.

Where an implementation of Python does not count references, everything counts as shared, which is slower and still
right.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..opencl import Buffer

if TYPE_CHECKING:
    from ..tensor import Tensor


class _Alone:
    """Something built like a tensor, whose array, and its buffer, nobody else refers to."""

    def __init__(self) -> None:
        self._array = type("", (), {})()
        self._array.buffer = type("", (), {})()


def _tensor_references(tensor: Any) -> tuple[int, int]:
    array = tensor._array
    return sys.getrefcount(array), sys.getrefcount(array.buffer)


def _item_references(arrays: list[Any], index: int) -> tuple[int, int]:
    return sys.getrefcount(arrays[index]), sys.getrefcount(arrays[index].buffer)


_COUNTED = hasattr(sys, "getrefcount")
_TENSOR_ALONE = _tensor_references(_Alone()) if _COUNTED else (0, 0)
_ITEM_ALONE = _item_references([_Alone()._array], 0) if _COUNTED else (0, 0)


def is_shared(tensor: Tensor) -> bool:
    """Whether a tensor's memory has other users: views, detached copies, a saved graph, a foreign buffer."""
    buffer = tensor._array.buffer
    if getattr(buffer, "foreign", False) or not _COUNTED:
        return True
    del buffer
    counts = _tensor_references(tensor)
    return counts[0] > _TENSOR_ALONE[0] or counts[1] > _TENSOR_ALONE[1]


def is_only_here(arrays: list[Any], index: int) -> bool:
    """Whether a list is all that refers to one of its arrays, which has a buffer of the pool to itself and fills it."""
    array = arrays[index]
    whole = (type(array.buffer) is Buffer and not array.buffer.foreign and array.nbytes == array.buffer.nbytes
             and array.is_contiguous())
    del array
    return whole and _COUNTED and _item_references(arrays, index) == _ITEM_ALONE
