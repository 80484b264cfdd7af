"""Autocast's setting, one a thread, and the conversion of an operation's inputs that follows from it.

The operations' policies stand in `genesis.ops.precision`. A conversion is not an operation of its own in the graph: the
operation is recorded with the tensors that it was given, and its context notes the types that they had, so that their
gradients come back in these. So the gradient of a float32 parameter is never rounded to 16 bits on its way.
"""

from __future__ import annotations

import sys
import threading
import weakref
from typing import Any

from .. import dtypes
from ..dtypes import DType
from ..ops import elementwise
from ..ops.array import Array

HALVES = (dtypes.bfloat16, dtypes.float16)
_EXACT_OR_NARROWER = (dtypes.float32, *HALVES)

_package = sys.modules[__name__.partition(".")[0]].__dict__
_package.setdefault("enable_autocast", False)


class _State(threading.local):
    enabled: bool | None = None       # None: outside all regions, where genesis.enable_autocast decides
    dtype: DType = dtypes.bfloat16
    depth = 0                         # regions that we are in
    caching = True
    cache: dict[int, tuple[Any, ...]] | None = None


state = _State()
_regions = 0          # that all threads are in
_lock = threading.Lock()


def enabled() -> bool:
    """Whether autocast is on in this thread."""
    if not _regions:                         # asked at every operation: spare it the look at the thread's own state
        return bool(_package["enable_autocast"])
    chosen = state.enabled
    return bool(_package["enable_autocast"]) if chosen is None else chosen


def setting() -> tuple[bool | None, DType, bool]:
    """What `enter` changes."""
    return state.enabled, state.dtype, state.caching


def enter(new: tuple[bool | None, DType, bool]) -> tuple[bool | None, DType, bool]:
    """Begin a region with a setting; returns the one before, for `leave`."""
    global _regions
    before = setting()
    with _lock:
        _regions += 1
    state.enabled, state.dtype, state.caching = new
    state.depth += 1
    return before


def leave(before: tuple[bool | None, DType, bool]) -> None:
    """End a region."""
    global _regions
    state.enabled, state.dtype, state.caching = before
    state.depth -= 1
    with _lock:
        _regions -= 1
    if not state.depth:
        state.cache = None


def convert(policy: str, inputs: tuple[Any, ...], arrays: list[Any]) -> tuple[list[Any], list[DType | None] | None]:
    """An operation's input arrays in the type that its policy asks for, and the types of those that had another.

    Inputs that are not floating point or are float64 stay as they are; with a float64 among them, all do.
    """
    kinds = {x.dtype for x in arrays if isinstance(x, Array) and x.dtype.is_floating_point}
    wanted = state.dtype if policy == "low" else dtypes.float32
    if kinds <= {wanted} or dtypes.float64 in kinds:
        return arrays, None
    casts: list[DType | None] = [None] * len(arrays)
    arrays = list(arrays)
    for i, x in enumerate(arrays):
        if isinstance(x, Array) and x.dtype is not wanted and x.dtype in _EXACT_OR_NARROWER:
            casts[i] = x.dtype
            arrays[i] = _cached(inputs[i], x, wanted) if state.depth and state.caching else elementwise.cast(x, wanted)
    return arrays, casts


def _cached(tensor: Any, x: Array, wanted: DType) -> Array:
    """A parameter's 16-bit copy, made once a region unless the parameter is changed or given other data meanwhile."""
    if wanted is dtypes.float32 or not getattr(tensor, "requires_grad", False) or not tensor.is_leaf:
        return elementwise.cast(x, wanted)
    cache = state.cache
    if cache is None:
        cache = state.cache = {}
    # The version belongs to the memory, which may be looked at in several ways.
    place = (x.version.now, x.offset, x.shape, x.strides, wanted)
    found = cache.get(id(tensor))
    if found is not None and found[0]() is tensor and found[1] is x.version and found[2] == place:
        return found[3]
    copy = elementwise.cast(x, wanted)
    cache[id(tensor)] = weakref.ref(tensor), x.version, place, copy
    return copy
