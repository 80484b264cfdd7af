"""From the object a pickle described to the object the user gets: checks it whole, then puts tensors in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .. import dtypes
from . import hooks
from .container import decode_elements
from .errors import CheckpointError, show
from .torch_objects import Named, TorchTensor

MAX_DEPTH = 1000
# Views may repeat elements: a stride of 0 makes a million of one, and overlapping views copy what they share. This
# much more than the file holds is allowed for it.
_SPARE_BYTES, _SPARE_FACTOR = 64 * 2**20, 4


def build(root: Any, fetch: Callable[[str], np.ndarray], file_size: int, device: Any) -> Any:
    """``root`` with a tensor in the place of every `TorchTensor`.

    Args:
        root: what the pickle described; its lists and dicts are changed in place.
        fetch: gives the bytes of a storage by its key.
        file_size: bytes of the file, by which the size of its tensors is judged.
        device: where tensors shall live.

    Raises:
        CheckpointError: the object holds what is neither tensor nor plain, or tensors out of proportion.
    """
    containers, wanted = _survey(root)
    total = sum(math.prod(tensor.size) * tensor.dtype.itemsize for tensor in wanted.values())
    if total > _SPARE_BYTES + _SPARE_FACTOR * file_size:
        raise CheckpointError(f"tensors of {show(total)} bytes are described by a file of {file_size}")
    try:
        return _fill(root, containers, _read(wanted, fetch, device))
    except RecursionError:
        raise CheckpointError("the object holds tuples nested too deeply") from None


def _survey(root: Any) -> tuple[list[Any], dict[str, TorchTensor]]:
    """Every container in ``root`` once, and every tensor by its identity. Level by level, for want of a deep stack."""
    containers: list[Any] = []
    wanted: dict[str, TorchTensor] = {}
    seen: set[int] = set()
    level: Iterable[Any] = [root]
    for _ in range(MAX_DEPTH):
        following: list[Any] = []
        for value in level:
            kind = type(value)
            if kind in (list, tuple, dict):
                if id(value) not in seen:
                    seen.add(id(value))
                    containers.append(value)
                    following.extend(value.values() if kind is dict else value)
            elif kind is TorchTensor:
                wanted[value.identity] = value
            elif kind is Named and value.dtype is not None and not value.storage:
                _dtype(value)
            elif value is not None and kind not in (bool, int, float, str, bytes, set):
                raise CheckpointError("the object holds a bare storage, class or function; genesis has none of these")
        if not following:
            return containers, wanted
        level = following
    raise CheckpointError(f"the object is nested more than {MAX_DEPTH} levels deep")


def _read(wanted: dict[str, TorchTensor], fetch: Callable[[str], np.ndarray], device: Any) -> dict[str, Any]:
    """The tensors by their identities. One storage at a time is held in memory, however many tensors it is for."""
    of_storage: dict[str, list[TorchTensor]] = {}
    for tensor in wanted.values():
        of_storage.setdefault(tensor.key, []).append(tensor)
    made: dict[str, Any] = {}
    for key, tensors in of_storage.items():
        raw = fetch(key)
        decoded: dict[str, np.ndarray] = {}
        for tensor in tensors:
            name, itemsize = tensor.dtype.name, tensor.dtype.itemsize
            if name not in decoded:
                decoded[name] = decode_elements(raw[: raw.size // itemsize * itemsize], tensor.dtype)
            array = _view(decoded[name], tensor)
            made[tensor.identity] = hooks.from_host(array, device, tensor.requires_grad)
    return made


def _view(elements: np.ndarray, tensor: TorchTensor) -> np.ndarray:
    if 0 in tensor.size:
        return np.empty(tensor.size, tensor.dtype)
    # The bounds were checked when the pickle was read; a stride that no index multiplies was not, and may be huge.
    strides = [step * elements.itemsize if length > 1 else 0 for length, step in zip(tensor.size, tensor.stride)]
    view = np.lib.stride_tricks.as_strided(elements[tensor.offset :], tensor.size, strides)
    return np.ascontiguousarray(view).reshape(tensor.size)


def _fill(root: Any, containers: list[Any], made: dict[str, Any]) -> Any:
    """Replace the notes by tensors, in lists and dicts where they stand; a tuple that holds one is made anew."""
    renewed: dict[int, tuple[Any, ...]] = {}

    def replaced(value: Any) -> Any:
        if type(value) is TorchTensor:
            return made[value.identity]
        if type(value) is Named:
            return _dtype(value)
        if type(value) is tuple:
            if id(value) not in renewed:
                renewed[id(value)] = tuple([replaced(item) for item in value])
            return renewed[id(value)]
        return value

    for container in containers:
        if type(container) is list:
            container[:] = [replaced(item) for item in container]
        elif type(container) is dict:
            for key, value in container.items():
                container[key] = replaced(value)
    return replaced(root)


def _dtype(named: Named) -> dtypes.DType:
    for dtype in dtypes.ALL + dtypes.COMPLEX:
        if dtype.numpy == named.dtype:
            return dtype
    raise CheckpointError(f"the object holds torch.{named.name}, a dtype that genesis has not")
