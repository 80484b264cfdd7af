"""What code that runs in a worker process can ask about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class WorkerInfo:
    """What a worker process knows of itself.

    Attributes:
        id: 0 <= id < num_workers.
        num_workers: workers of the loader.
        seed: an int that differs between workers; drawn anew from the loader's generator whenever workers start.
        dataset: this process' copy of the dataset.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """The `WorkerInfo` of this process; None outside of worker processes.

    An `IterableDataset` uses it to give each worker its share.

    Example:
        >>> from genesis.data import IterableDataset
        >>> class Numbers(IterableDataset):
        ...     def __iter__(self):
        ...         info = get_worker_info()
        ...         first, step = (0, 1) if info is None else (info.id, info.num_workers)
        ...         return iter(range(first, 10, step))
        >>> list(Numbers())
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    return _info


def set_worker_info(info: WorkerInfo | None) -> None:
    """Declare this process a worker."""
    global _info
    _info = info


def in_worker() -> bool:
    """Whether this process is a worker of a `DataLoader`, which makes arrays for tensors."""
    return _info is not None
