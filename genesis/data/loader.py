"""`DataLoader`: batches of a dataset, epoch after epoch."""

from __future__ import annotations

import itertools
import multiprocessing
import multiprocessing.context
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ._host import draw_seed
from ._start import default_context
from .collate import default_collate, default_convert
from .dataset import IterableDataset
from .fetch import Fetcher
from .iterator import Epoch, EpochIterator, SerialIterator, WorkerIterator
from .pool import WorkerPool
from .sampler import BatchSampler, RandomSampler, SequentialSampler, load_sampler_state, sampler_state
from .worker import Setup

if TYPE_CHECKING:
    from genesis.random import Generator

FIXED = frozenset({"batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"})


class DataLoader:
    """Iterates over a dataset in batches, shuffled or not, made here or by worker processes.

    Args:
        dataset: with indices (`dataset[i]`, `len(dataset)`), or an `IterableDataset`.
        batch_size: samples in a batch, >= 1. None: samples come one by one, as they are.
        shuffle: whether to visit the samples in a new random order in each epoch.
        sampler: an iterable of indices, the order of visiting; excludes `shuffle`.
        batch_sampler: an iterable of lists of indices, one for each batch; excludes `batch_size`, `shuffle`,
            `sampler` and `drop_last`.
        num_workers: processes that make batches, >= 0; 0: they are made in this process.
        collate_fn: makes a batch of a list of samples; `default_collate` if None. NumPy arrays in what it returns
            become tensors, whatever the number of workers. In a worker it cannot make tensors itself.
        pin_memory: accepted for compatibility and without effect; OpenCL drivers stage transfers themselves.
        drop_last: whether to leave out a last batch that is shorter.
        timeout: seconds to wait for a batch from a worker, >= 0; 0: for ever.
        worker_init_fn: called in each worker with its id before it makes batches.
        multiprocessing_context: how workers are started: "spawn", "forkserver", "fork", or a context of
            `multiprocessing`. See below.
        generator: where seeds come from, for the order and for the workers; the state of `genesis.manual_seed`
            if None.
        prefetch_factor: batches that each worker makes ahead of time, >= 1; 2 if None.
        persistent_workers: whether workers are kept for the next epoch. They keep their copy of the dataset too:
            changes to it in this process do not reach them.

    Raises:
        ValueError: for arguments out of range or that exclude each other.
        TypeError: for arguments of the wrong type.

    **Order.** An epoch is a function of seeds that are drawn from `generator` when it begins. Batches come in the
    order of the sampler, also from workers.

    **Going on in the middle of an epoch.** `state_dict()` tells how far an epoch has come; after
    `load_state_dict()`, in a new process too, the next epoch consists of the remaining batches, exactly.

    **Workers** get a copy of the dataset, with NumPy arrays in place of tensors, and work best with NumPy: an OpenCL
    context does not survive a fork, and a driver's threads make forking dangerous. Where the dataset makes tensors,
    each worker opens the device anew, and they travel as arrays. Workers are never forked from
    this process unless you ask for "fork", but from a fork server on Linux, and started as new interpreters
    elsewhere (or as `multiprocessing.set_start_method` says, if it does not say "fork"). Both mean that the
    dataset, `collate_fn` and `worker_init_fn` must pickle: top-level classes and functions of a module, no lambdas;
    and that a script keeps its main part under `if __name__ == "__main__":`. Workers seed `random`,
    `numpy.random` and genesis before each batch by the epoch's seed and the batch's number, so random augmentation
    does not depend on the number of workers. An error in a worker is raised here, with the worker's traceback. Data
    that is on the device already, as in a `TensorDataset`, is fastest with `num_workers=0`.

    Example:
        >>> import genesis
        >>> from genesis.data import TensorDataset
        >>> data = TensorDataset(np.arange(5), np.arange(5) ** 2)
        >>> for number, square in DataLoader(data, batch_size=2):
        ...     print(number.tolist(), square.tolist())
        [0, 1] [0, 1]
        [2, 3] [4, 9]
        [4] [16]
        >>> loader = DataLoader(data, batch_size=2, shuffle=True, generator=genesis.Generator().manual_seed(0))
        >>> len(loader), sorted(n for number, _ in loader for n in number.tolist())
        (3, [0, 1, 2, 3, 4])
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
    ) -> None:
        _check_workers(num_workers, timeout, multiprocessing_context, prefetch_factor, persistent_workers)
        if generator is not None and not hasattr(generator, "host_rng"):
            raise TypeError(f"generator must be a genesis.Generator or None, got {type(generator).__name__}")
        iterable = isinstance(dataset, IterableDataset)
        if iterable:
            for name, value in {"shuffle": shuffle or None, "sampler": sampler, "batch_sampler": batch_sampler}.items():
                if value is not None:
                    raise ValueError(f"an IterableDataset decides on its own order: {name}={value!r} is not possible")
        if sampler is not None and shuffle:
            raise ValueError("sampler and shuffle exclude each other: let the sampler shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError("batch_sampler excludes batch_size, shuffle, sampler and drop_last")
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None means no batches, so drop_last=True is not possible")
        if sampler is None and not iterable:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_size is not None:
            # Checks batch_size and drop_last for an iterable dataset too.
            batches = BatchSampler(sampler if sampler is not None else (), batch_size, drop_last)
            batch_sampler = None if iterable else batches

        self.dataset = dataset
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.generator = generator
        self.prefetch_factor = 2 if prefetch_factor is None and num_workers > 0 else prefetch_factor
        self.persistent_workers = persistent_workers
        batched = batch_size is not None or batch_sampler is not None
        self.collate_fn = collate_fn or (default_collate if batched else default_convert)
        self._batched = batched
        self._pool: WorkerPool | None = None
        self._epoch: Epoch | None = None  # the one begun last
        self._resume: Epoch | None = None  # the one to go on with
        self._initialized = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name in FIXED and getattr(self, "_initialized", False):
            raise ValueError(f"{name} cannot change after the DataLoader is made, make a new one")
        super().__setattr__(name, value)

    def __len__(self) -> int:
        """Batches in an epoch; `TypeError` if the dataset or the sampler has no length."""
        if not isinstance(self.dataset, IterableDataset):
            return len(self._index_sampler)
        length = len(self.dataset)  # type: ignore[arg-type]
        if self.batch_size is None:
            return length
        return length // self.batch_size if self.drop_last else -(-length // self.batch_size)

    @property
    def _index_sampler(self) -> Any:
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def __iter__(self) -> Iterator[Any]:
        resume, self._resume = self._resume, None
        # Drawn with and without workers: the random numbers that follow are then the same.
        seed = draw_seed(self.generator) if resume is None else resume.seed
        skip = 0 if resume is None else resume.batches
        if isinstance(self.dataset, IterableDataset):
            requests: Iterator[Any] = itertools.repeat(self.batch_size)
            epoch = Epoch(seed, None)
        else:
            requests = iter(self._index_sampler)
            epoch = Epoch(seed, sampler_state(self._index_sampler))
        self._epoch = epoch
        return self._iterator(epoch, requests, skip)

    def _iterator(self, epoch: Epoch, requests: Iterator[Any], skip: int) -> EpochIterator:
        try:
            length: int | None = len(self)
        except TypeError:
            length = None
        fetcher = Fetcher(self.dataset, self.collate_fn, self._batched, self.drop_last)
        if self.num_workers == 0:
            return SerialIterator(epoch, requests, skip, length, fetcher)
        pool = self._pool
        if pool is None or not pool.close.alive:
            context = self.multiprocessing_context or default_context()
            if isinstance(context, str):
                context = multiprocessing.get_context(context)
            setup = Setup(fetcher, self.worker_init_fn, self.num_workers, epoch.seed)
            pool = WorkerPool(setup, context, self.timeout)
            self._pool = pool if self.persistent_workers else None
        return WorkerIterator(
            epoch, requests, skip, length, pool, self.prefetch_factor or 2, persistent=self.persistent_workers
        )

    def state_dict(self) -> dict[str, Any]:
        """How far the epoch begun last has come, and what is needed to go on with it.

        A snapshot of plain Python objects, to be saved with model, optimizer and `genesis.get_rng_state()`. An
        epoch that was left early, by `break`, counts as one to go on with; one that ran to its end does not.

        Not included: the state of the dataset (an `IterableDataset` is stepped through again up to its place), of
        a sampler without `state_dict()` (it must repeat its order by itself), and of random numbers that the
        dataset draws in this process, with `num_workers=0`.

        Example:
            >>> loader = DataLoader(range(6), batch_size=2)
            >>> batches = iter(loader)
            >>> next(batches).tolist()
            [0, 1]
            >>> other = DataLoader(range(6), batch_size=2)
            >>> other.load_state_dict(loader.state_dict())
            >>> [batch.tolist() for batch in other]
            [[2, 3], [4, 5]]
        """
        epoch = self._epoch if self._resume is None else self._resume
        here = None
        if epoch is not None and not epoch.finished:
            here = {"seed": epoch.seed, "sampler": epoch.sampler, "batches": epoch.batches}
        return {
            "epoch": here,
            "generator": None if self.generator is None else self.generator.get_state(),
            "loader": self._signature(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the loader that gave `state_dict` was: the next epoch is the rest of that one.

        Raises:
            ValueError: if `state_dict` is not from a `DataLoader`, or from one whose batches would be others, by
                batch size, length of the dataset and so on. Nothing is changed then.
        """
        if not isinstance(state_dict, dict) or set(state_dict) != {"epoch", "generator", "loader"}:
            raise ValueError("state_dict is not the state of a DataLoader")
        for name, mine in self._signature().items():
            saved = state_dict["loader"].get(name)
            if saved != mine:
                raise ValueError(
                    f"the state was saved by a DataLoader with {name}={saved!r}, this one has {mine!r}: "
                    "the remaining batches would not be the same"
                )
        saved_epoch = state_dict["epoch"]
        resume = None
        if saved_epoch is not None:
            resume = Epoch(int(saved_epoch["seed"]), saved_epoch["sampler"], int(saved_epoch["batches"]))
            load_sampler_state(self._index_sampler, resume.sampler)
        if self.generator is not None and state_dict["generator"] is not None:
            self.generator.set_state(state_dict["generator"])
        self._epoch = None
        self._resume = resume

    def _signature(self) -> dict[str, Any]:
        """What must be the same for the remaining batches to be the same."""
        try:
            samples = len(self.dataset)
        except (TypeError, NotImplementedError):
            samples = None
        signature = {"batch_size": self.batch_size, "drop_last": self.drop_last, "samples": samples}
        if isinstance(self.dataset, IterableDataset):
            # Workers take turns, and how they do at the end of their shares depends on both.
            signature |= {"num_workers": self.num_workers, "prefetch_factor": self.prefetch_factor}
        return signature


def _check_workers(
    num_workers: Any, timeout: Any, context: Any, prefetch_factor: Any, persistent_workers: bool
) -> None:
    if isinstance(num_workers, bool) or not isinstance(num_workers, (int, np.integer)) or num_workers < 0:
        raise ValueError(f"num_workers must be a whole number >= 0, got {num_workers!r}")
    if not timeout >= 0:
        raise ValueError(f"timeout must be >= 0 seconds, got {timeout!r}")
    if prefetch_factor is not None and (not isinstance(prefetch_factor, (int, np.integer)) or prefetch_factor < 1):
        raise ValueError(f"prefetch_factor must be a whole number >= 1, got {prefetch_factor!r}")
    if num_workers == 0:
        for name, value in {
            "timeout": timeout,
            "multiprocessing_context": context,
            "prefetch_factor": prefetch_factor,
            "persistent_workers": persistent_workers,
        }.items():
            if value:
                raise ValueError(f"{name}={value!r} is about worker processes: it needs num_workers > 0")
    if isinstance(context, str):
        methods = multiprocessing.get_all_start_methods()
        if context not in methods:
            raise ValueError(f"multiprocessing_context must be one of {methods}, got {context!r}")
    elif context is not None and not isinstance(context, multiprocessing.context.BaseContext):
        raise TypeError(
            f"multiprocessing_context must be a string or a multiprocessing context, got {type(context).__name__}"
        )
