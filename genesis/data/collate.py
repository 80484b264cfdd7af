"""From samples to a batch.

In the parent process batches are made of tensors. In a worker process, which has no device, the same functions
make NumPy arrays, and the parent turns them into tensors when they arrive.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from ._host import DTYPES, is_tensor, stack, to_tensor
from .dataset import Samples
from .worker_info import in_worker


def default_collate(batch: Sequence[Any]) -> Any:
    """Join samples into a batch, with a new first dimension.

    | samples are | the batch is |
    |---|---|
    | tensors, NumPy arrays or NumPy scalars of one shape | a tensor of shape (len(batch), ...), dtype kept |
    | Python ints, floats, bools | an int64, float32, bool tensor of shape (len(batch),) |
    | strings, bytes | a list of them, in a field of tuples or lists a tuple, as in PyTorch |
    | dicts | a dict of batches |
    | named tuples | a named tuple of batches |
    | tuples, lists of one length | a list of batches |

    Args:
        batch: the samples, at least one; all of one structure.

    Raises:
        RuntimeError: if shapes or lengths differ.
        TypeError: for anything else, and for NumPy dtypes that no tensor has.
        KeyError: for a dict without the keys of the first one.
        ValueError: for no samples.

    In a worker process the result holds NumPy arrays instead of tensors.

    Example:
        >>> images, labels = default_collate([(np.zeros((2, 3)), 7), (np.ones((2, 3)), 1)])
        >>> tuple(images.shape), labels.tolist()
        ((2, 2, 3), [7, 1])
    """
    arrays = _collate(batch, "")
    return arrays if in_worker() else to_tensors(arrays)


def default_convert(data: Any) -> Any:
    """Turn the NumPy arrays and scalars inside one sample into tensors; anything else stays.

    What `DataLoader` applies to each sample with `batch_size=None`. Looks into dicts, lists and tuples; a tuple
    becomes a list, as in a batch. In a worker process arrays stay arrays.

    Example:
        >>> default_convert({"name": "zero", "pixels": np.zeros(3)})["pixels"].tolist()
        [0.0, 0.0, 0.0]
    """
    leaf = np.asarray if in_worker() else _tensor_if_possible
    return _convert(data, (np.ndarray, np.generic), leaf, list)


def to_tensors(data: Any) -> Any:
    """Turn the NumPy arrays inside a batch into tensors; the structure, and anything else in it, stays."""
    return _convert(data, (np.ndarray,), _tensor_if_possible, tuple)


def _collate(batch: Sequence[Any], where: str) -> Any:
    """As `default_collate`, with arrays for tensors; `where` is the place inside the sample, for messages."""
    if isinstance(batch, Samples):
        return list(batch.columns)
    if len(batch) == 0:
        raise ValueError("cannot collate an empty batch; check what the batch sampler or __getitems__ gives")
    first = batch[0]
    if is_tensor(first):
        _check_same(batch, where, is_tensor, "tensor")
        return stack(list(batch))
    if isinstance(first, (str, bytes)):
        return tuple(batch) if isinstance(batch, tuple) else list(batch)
    if isinstance(first, (np.ndarray, np.generic)):
        _check_same(batch, where, lambda item: isinstance(item, (np.ndarray, np.generic)), "NumPy array")
        array = np.stack([np.asarray(item) for item in batch])
        if array.dtype.name not in DTYPES:
            raise TypeError(
                f"{_place(where)} has NumPy dtype {array.dtype}, which no tensor has; convert it in the dataset, "
                f"for example with .astype(np.float32); supported are {', '.join(sorted(DTYPES))}"
            )
        return array
    if isinstance(first, (int, float)):
        return _collate_numbers(batch, where)
    if isinstance(first, Mapping):
        for position, sample in enumerate(batch):
            if not isinstance(sample, Mapping) or any(key not in sample for key in first):
                raise KeyError(
                    f"{_place(where)}: sample 0 has keys {list(first)}, sample {position} is "
                    + (f"a dict with keys {list(sample)}" if isinstance(sample, Mapping) else f"{sample!r}")
                )
        return _like(first, {key: _collate([s[key] for s in batch], f"{where}[{key!r}]") for key in first})
    if isinstance(first, Sequence):
        for position, sample in enumerate(batch):
            if not isinstance(sample, Sequence) or len(sample) != len(first):
                raise RuntimeError(
                    f"{_place(where)}: sample 0 has {len(first)} elements, sample {position} "
                    + (f"has {len(sample)}" if isinstance(sample, Sequence) else f"is {sample!r}")
                    + "; pass a collate_fn that pads or keeps them apart"
                )
        fields = [_collate(field, f"{where}[{i}]") for i, field in enumerate(zip(*batch))]
        return type(first)(*fields) if hasattr(first, "_fields") else fields
    raise TypeError(
        f"default_collate: {_place(where)} is a {type(first).__name__}; samples must be tensors, NumPy arrays, "
        "numbers, strings, or dicts, tuples and lists of them. Pass a collate_fn for anything else"
    )


def _collate_numbers(batch: Sequence[Any], where: str) -> np.ndarray:
    for position, item in enumerate(batch):
        if not isinstance(item, (int, float, np.number, np.bool_)):
            raise TypeError(f"{_place(where)}: sample 0 is a number, sample {position} is {item!r}")
    if all(isinstance(item, bool) for item in batch):
        return np.array(batch, dtype=np.bool_)
    if any(isinstance(item, (float, np.floating)) for item in batch):
        return np.array(batch, dtype=np.float32)
    try:
        return np.array(batch, dtype=np.int64)
    except OverflowError:
        raise TypeError(f"{_place(where)} holds an int that does not fit into int64: {max(batch, key=abs)}") from None


def _check_same(batch: Sequence[Any], where: str, is_kind: Callable[[Any], bool], kind: str) -> None:
    shape = tuple(batch[0].shape)
    for position, item in enumerate(batch):
        if not is_kind(item):
            raise TypeError(f"{_place(where)}: sample 0 is a {kind}, sample {position} is {item!r}")
        if tuple(item.shape) != shape:
            raise RuntimeError(
                f"cannot stack {_place(where)}: sample 0 has shape {shape}, sample {position} has shape "
                f"{tuple(item.shape)}; bring them to one shape in the dataset, or pass a collate_fn that pads"
            )


def _place(where: str) -> str:
    return f"field sample{where}" if where else "the sample"


def _tensor_if_possible(array: Any) -> Any:
    return to_tensor(np.asarray(array)) if array.dtype.name in DTYPES else array


def _convert(data: Any, kinds: tuple[type, ...], leaf: Callable[[Any], Any], tuple_type: type) -> Any:
    """Apply `leaf` to everything of `kinds` inside dicts, lists and tuples."""
    if isinstance(data, (str, bytes)):  # first: np.str_ and np.bytes_ are NumPy scalars too
        return data
    if isinstance(data, kinds):
        return leaf(data)
    if isinstance(data, Mapping):
        return _like(data, {key: _convert(item, kinds, leaf, tuple_type) for key, item in data.items()})
    if isinstance(data, tuple):
        items = [_convert(item, kinds, leaf, tuple_type) for item in data]
        return type(data)(*items) if hasattr(data, "_fields") else tuple_type(items)
    if isinstance(data, MutableSequence):
        clone = copy.copy(data)
        for i, item in enumerate(data):
            clone[i] = _convert(item, kinds, leaf, tuple_type)
        return clone
    return data


def _like(template: Mapping, items: dict) -> Any:
    """The items in a mapping of the template's type, where that type can be filled."""
    if type(template) is dict:
        return items
    try:
        if isinstance(template, MutableMapping):
            clone = copy.copy(template)  # keeps what a subclass knows besides its items
            clone.update(items)
            return clone
        return type(template)(items)  # type: ignore[call-arg]
    except TypeError:
        return items
