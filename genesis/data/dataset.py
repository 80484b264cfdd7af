"""Datasets: where samples come from."""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from ._host import host_rng, is_tensor

if TYPE_CHECKING:
    from genesis.random import Generator

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """Samples that are looked up by index; the base class of datasets.

    A subclass defines `__getitem__(index)` for `0 <= index < len(self)` and `__len__()`. It may also define
    `__getitems__(indices)`, which takes a list of indices and returns the list of samples: `DataLoader` calls
    it once for each batch, which pays where one request for many samples is cheaper than many requests.

    Samples are best NumPy arrays, Python numbers, and tuples or dicts of them. Tensors cost a
    dataset used with `num_workers > 0` more: each worker process opens the device for them.

    Example:
        >>> class Squares(Dataset):
        ...     def __len__(self):
        ...         return 4
        ...     def __getitem__(self, index):
        ...         return index, index**2
        >>> Squares()[3]
        (3, 9)
    """

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(index)")

    def __add__(self, other: Dataset[Any]) -> Dataset[Any]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co], Iterable[T_co]):
    """Samples that come one after another, such as records of a stream; the base class of such datasets.

    A subclass defines `__iter__()`, and `__len__()` if the length is known. With `num_workers > 0` every worker
    iterates over its own copy: use `get_worker_info()` in `__iter__` to give each worker its share, or samples
    come once per worker.

    Example:
        >>> class Countdown(IterableDataset):
        ...     def __iter__(self):
        ...         return iter([3, 2, 1])
        >>> list(Countdown())
        [3, 2, 1]
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__()")

    def __add__(self, other: Dataset[Any]) -> Dataset[Any]:
        return ChainDataset([self, other])


class Samples(Sequence[tuple]):
    """A batch that was gathered column by column, and reads as a sequence of sample tuples.

    `default_collate` takes the columns as they are, so a batch of a `TensorDataset` costs one indexing operation
    a tensor instead of one a sample.

    Args:
        columns: arrays or tensors of shape (batch, ...), one for each field of a sample.
    """

    __slots__ = ("columns",)

    def __init__(self, *columns: Any) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns[0])

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):  # what ends an iteration over a Sequence
            raise IndexError(f"sample {index} of a batch of {len(self)}")
        return tuple(column[index] for column in self.columns)


class TensorDataset(Dataset[tuple]):
    """Tensors with one sample in each row.

    Args:
        tensors: genesis tensors or NumPy arrays with the same first dimension N >= 0, at least one.

    Raises:
        TypeError: for something that is neither tensor nor array.
        ValueError: for no tensors, 0-d tensors, or first dimensions that differ.

    A batch is gathered by one indexing operation for each tensor, on the tensor's device. Worker processes get
    NumPy copies of the tensors. If the data is on the device already, `num_workers=0` is the faster choice.

    Example:
        >>> data = TensorDataset(np.arange(6).reshape(3, 2), np.array([0, 1, 0]))
        >>> len(data)
        3
        >>> [field.tolist() for field in data[2]]
        [[4, 5], 0]
    """

    def __init__(self, *tensors: Any) -> None:
        if not tensors:
            raise ValueError("TensorDataset needs at least one tensor")
        for position, tensor in enumerate(tensors):
            if not (is_tensor(tensor) or isinstance(tensor, np.ndarray)):
                raise TypeError(
                    f"TensorDataset: argument {position} is a {type(tensor).__name__}; "
                    "pass genesis tensors or NumPy arrays"
                )
            if len(tensor.shape) == 0:
                raise ValueError(f"TensorDataset: argument {position} has no dimensions; samples are rows")
        lengths = [len(tensor) for tensor in tensors]
        if len(set(lengths)) > 1:
            raise ValueError(f"TensorDataset: all tensors need the same first dimension, got {lengths}")
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: Any) -> tuple:
        return tuple(tensor[index] for tensor in self.tensors)

    def __getitems__(self, indices: Sequence[int]) -> Samples:
        rows = np.asarray(indices, dtype=np.int64)
        length = len(self)
        # A device does not check indices, so the host does.
        if rows.size and not (-length <= rows.min() and rows.max() < length):
            raise IndexError(f"index out of range for a dataset of {length} samples: {rows.min()}..{rows.max()}")
        rows = np.where(rows < 0, rows + length, rows)
        return Samples(*(tensor[rows] for tensor in self.tensors))


class ConcatDataset(Dataset[T_co]):
    """Several datasets, one after another, as one.

    Args:
        datasets: datasets with a length, at least one.

    Raises:
        ValueError: if there are none.
        TypeError: for an `IterableDataset`, which has no indices.

    Example:
        >>> both = ConcatDataset([range(3), range(10, 12)])
        >>> len(both), both[2], both[3], both[-1]
        (5, 2, 10, 11)
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets: list[Any] = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset needs at least one dataset")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise TypeError("ConcatDataset cannot index an IterableDataset; use ChainDataset")
        self.cumulative_sizes = list(itertools.accumulate(len(dataset) for dataset in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> T_co:
        length = len(self)
        if not -length <= index < length:
            raise IndexError(f"index {index} is out of range for a dataset of {length} samples")
        index %= length
        part = bisect.bisect_right(self.cumulative_sizes, index)
        first = self.cumulative_sizes[part - 1] if part else 0
        return self.datasets[part][index - first]


class ChainDataset(IterableDataset[T_co]):
    """Several iterable datasets, one after another, as one.

    Args:
        datasets: iterable datasets.

    Example:
        >>> list(ChainDataset(["ab", "c"]))
        ['a', 'b', 'c']
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets: list[Any] = list(datasets)

    def __iter__(self) -> Iterator[T_co]:
        return itertools.chain.from_iterable(self.datasets)

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self.datasets)


class Subset(Dataset[T_co]):
    """Some samples of a dataset.

    Args:
        dataset: a dataset with indices.
        indices: which samples, in which order; a sequence of ints.

    Example:
        >>> evens = Subset(range(10), [0, 2, 4])
        >>> len(evens), evens[2]
        (3, 4)
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices
        # A subclass with its own samples would silently be bypassed for whole batches.
        if type(self).__getitem__ is not Subset.__getitem__ and type(self).__getitems__ is Subset.__getitems__:
            raise NotImplementedError(
                f"{type(self).__name__} overrides __getitem__, so it must override __getitems__ too, for example "
                "with: return [self[i] for i in indices]"
            )

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> T_co:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: Sequence[int]) -> Sequence[T_co]:
        return get_samples(self.dataset, [self.indices[i] for i in indices])


def random_split(dataset: Any, lengths: Sequence[float], generator: Generator | None = None) -> list[Subset]:
    """Split a dataset at random into parts that share no sample.

    Args:
        dataset: a dataset with a length.
        lengths: the size of each part, summing to `len(dataset)`; or fractions in [0, 1] summing to 1, which are
            rounded down, with the samples left over given out one each from the first part on.
        generator: where the permutation comes from; the state of `genesis.manual_seed` if None.

    Returns:
        One `Subset` for each length.

    Raises:
        ValueError: for negative lengths or lengths that do not sum to the dataset's.

    Example:
        >>> import genesis
        >>> train, val = random_split(range(10), [0.75, 0.25], generator=genesis.Generator().manual_seed(0))
        >>> len(train), len(val), sorted([*train, *val]) == list(range(10))
        (8, 2, True)
    """
    total = len(dataset)
    if any(not math.isfinite(length) or length < 0 for length in lengths):
        raise ValueError(f"lengths must be finite and not negative, got {list(lengths)}")
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        sizes = [math.floor(total * fraction) for fraction in lengths]
        for i in range(total - sum(sizes)):
            sizes[i % len(sizes)] += 1
        for i, size in enumerate(sizes):
            if size == 0:
                warnings.warn(f"part {i} of the split is empty: {lengths[i]} of {total} samples", stacklevel=2)
    else:
        sizes = [int(length) for length in lengths]
        if any(size != length for size, length in zip(sizes, lengths)):
            raise ValueError(f"lengths must be whole numbers, or fractions that sum to 1, got {list(lengths)}")
    if sum(sizes) != total:
        raise ValueError(f"lengths {list(lengths)} sum to {sum(sizes)}, but the dataset has {total} samples")
    order = host_rng(generator).permutation(total).tolist()
    ends = list(itertools.accumulate(sizes))
    return [Subset(dataset, order[end - size : end]) for end, size in zip(ends, sizes)]


def get_samples(dataset: Any, indices: Sequence[int]) -> Sequence[Any]:
    """The samples at `indices`, by one call where the dataset can."""
    getitems = getattr(dataset, "__getitems__", None)
    if callable(getitems):
        return getitems(indices)
    return [dataset[index] for index in indices]
