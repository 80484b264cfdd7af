"""Fetchers: how one batch is made; the same code in the parent and in workers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from .collate import default_collate
from .dataset import IterableDataset, Samples, get_samples


class Fetcher:
    """Makes batches of a dataset.

    Args:
        dataset: with indices, or an `IterableDataset`.
        collate_fn: from samples to a batch; from one sample to what is yielded, if not batched.
        batched: whether a request is for a batch or for one sample.
        drop_last: whether an iterable dataset's last batch is left out if short.
    """

    END = object()  # what `fetch` returns when an iterable dataset has no more

    def __init__(self, dataset: Any, collate_fn: Callable[[Any], Any], batched: bool, drop_last: bool) -> None:
        self.dataset = dataset
        self.collate_fn = collate_fn
        self.batched = batched
        self.drop_last = drop_last
        self.iterable = isinstance(dataset, IterableDataset)
        self._samples: Iterator[Any] = iter(())

    def start(self) -> None:
        """Begin an epoch."""
        if self.iterable:
            self._samples = iter(self.dataset)

    def fetch(self, request: Any, discard: bool = False) -> Any:
        """The batch for a request: indices, or a number of samples to take from an iterable dataset.

        With `discard` an iterable dataset moves on as usual, but no batch is made. Returns `Fetcher.END`
        after the last.
        """
        if self.iterable:
            samples = list(itertools.islice(self._samples, request if self.batched else 1))
            if not samples or (self.batched and self.drop_last and len(samples) < request):
                return Fetcher.END
            if discard:
                return None
            return self.collate_fn(samples if self.batched else samples[0])
        try:
            if not self.batched:
                return self.collate_fn(self.dataset[request])
            batch = get_samples(self.dataset, request)
            if isinstance(batch, Samples) and self.collate_fn is not default_collate:
                batch = list(batch)  # users' functions may sort or change the list
            return self.collate_fn(batch)
        except StopIteration as error:
            # Passed on, it would end the loop over the loader as if the data had ended.
            raise RuntimeError("the dataset or collate_fn raised StopIteration") from error
