"""One epoch of a `DataLoader`: the iterators it returns."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .. import tracing
from .collate import to_tensors
from .fetch import Fetcher
from .pool import WorkerPool
from .worker import END


@dataclass
class Epoch:
    """What is needed to go on with an epoch.

    Attributes:
        seed: of the random numbers that workers draw.
        sampler: the state of the sampler at the start of the epoch, None if it has none.
        batches: how many batches were yielded.
        finished: whether the iteration has come to its end.
    """

    seed: int
    sampler: Any
    batches: int = 0
    finished: bool = False


class EpochIterator(Iterator[Any]):
    """The batches of one epoch.

    Args:
        epoch: counts the batches yielded.
        requests: one for each batch of the epoch: indices, or a number of samples.
        skip: how many batches to leave out at the start, since they were yielded before.
        length: batches of the epoch, None if not known.
    """

    def __init__(self, epoch: Epoch, requests: Iterator[Any], skip: int, length: int | None) -> None:
        self._epoch = epoch
        self._requests = requests
        self._length = length
        self._finished = False
        epoch.batches = skip

    def __len__(self) -> int:
        if self._length is None:
            raise TypeError("the number of batches is not known")
        return self._length

    @tracing.annotated("enumerate(DataLoader)#{}.__next__")
    def __next__(self) -> Any:
        if self._finished:
            raise StopIteration
        try:
            batch = to_tensors(self._next())
        except StopIteration:
            self._epoch.finished = True
        except BaseException:  # Ctrl-C too: a message may have been read half
            self._finished = True
            self._finish(failed=True)
            raise
        else:
            self._epoch.batches += 1
            return batch
        self._finished = True
        self._finish(failed=False)
        raise StopIteration

    def _next(self) -> Any:
        raise NotImplementedError

    def _finish(self, failed: bool) -> None:
        """Clean up after the last batch or an error."""


class SerialIterator(EpochIterator):
    """Makes the batches in this process."""

    def __init__(self, epoch: Epoch, requests: Iterator[Any], skip: int, length: int | None, fetcher: Fetcher) -> None:
        super().__init__(epoch, requests, skip, length)
        self._fetcher = fetcher
        fetcher.start()
        for _ in range(skip):
            request = next(requests, Fetcher.END)
            if fetcher.iterable and request is not Fetcher.END:
                fetcher.fetch(request, discard=True)

    def _next(self) -> Any:
        batch = self._fetcher.fetch(next(self._requests))
        if batch is Fetcher.END:
            raise StopIteration
        return batch


class WorkerIterator(EpochIterator):
    """Lets workers make the batches, in turn, some batches ahead.

    Args:
        epoch: as for `EpochIterator`, as are requests, skip and length.
        requests: one for each batch.
        skip: batches to leave out.
        length: batches of the epoch.
        pool: the workers. Each goes through an iterable dataset of its own, which can end before the others'.
        prefetch: batches asked of each worker ahead of time, >= 1.
        persistent: whether the workers outlive this epoch.
    """

    def __init__(
        self,
        epoch: Epoch,
        requests: Iterator[Any],
        skip: int,
        length: int | None,
        pool: WorkerPool,
        prefetch: int,
        persistent: bool,
    ) -> None:
        super().__init__(epoch, requests, skip, length)
        self._pool = pool
        self._persistent = persistent
        self._prefetch = prefetch
        self._turn = deque(range(pool.workers))  # workers with more to give, the next one first
        self._pending: deque[int] = deque()  # workers asked, the oldest request first
        self._number = 0  # of the next request in the epoch
        self._discard = 0  # batches to come that only move an iterable dataset on
        if pool.iterable:
            self._discard = skip
        else:
            for _ in range(skip):
                next(requests, None)
            self._number = skip
        try:
            pool.begin_epoch(epoch.seed)
            self._pool_epoch = pool.epoch
            self._ask()
        except BaseException:
            pool.close()
            raise

    def _ask(self) -> None:
        """Keep the workers busy."""
        while len(self._pending) < self._prefetch * len(self._turn):
            try:
                request = next(self._requests)
            except StopIteration:
                self._turn.clear()
                return
            worker = self._turn[0]
            self._turn.rotate(-1)
            # The request is certainly for a batch to discard if all that are pending are for one each.
            self._pool.request(worker, self._number, request, discard=len(self._pending) < self._discard)
            self._pending.append(worker)
            self._number += 1

    def _next(self) -> Any:
        if self._pool.epoch != self._pool_epoch:
            raise RuntimeError(
                "this iterator has ended, since a new one was started: "
                "with persistent_workers=True there is one at a time"
            )
        while self._pending:
            worker = self._pending.popleft()
            kind, batch = self._pool.receive(worker)
            discard = self._discard > 0 and kind != END
            self._discard -= discard
            if kind == END and worker in self._turn:
                self._turn.remove(worker)
            self._ask()
            if kind != END and not discard:
                return batch
        raise StopIteration

    def _finish(self, failed: bool) -> None:
        superseded = self._pool.epoch != self._pool_epoch
        if not superseded and (failed or not self._persistent):
            self._pool.close()
