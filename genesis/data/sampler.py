"""Samplers: in which order samples are visited.

The random samplers draw one seed at the start of an iteration; the order is a function of that seed. So
`state_dict()` is small, and `load_state_dict()` makes the next iteration repeat the order.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from ._host import draw_seed, rng_from_seed

if TYPE_CHECKING:
    from genesis.random import Generator

T_co = TypeVar("T_co", covariant=True)

CHUNK = 65536  # indices drawn at a time with replacement: bounds memory when num_samples is huge


class Sampler(Generic[T_co]):
    """The base class of samplers: an iterable of indices, or of lists of indices, of a dataset.

    A subclass defines `__iter__()`, and `__len__()` if the length is known. For a `DataLoader` to go on in the
    middle of an epoch, either every iteration yields the same order, or the sampler also defines `state_dict()`,
    which tells what the iteration begun last needs to be repeated, and `load_state_dict(state)`, after which the
    next iteration repeats it.

    Example:
        >>> class Reversed(Sampler):
        ...     def __iter__(self):
        ...         return iter([2, 1, 0])
        >>> list(Reversed())
        [2, 1, 0]
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__()")


class SequentialSampler(Sampler[int]):
    """Indices 0, 1, 2, … in order.

    Args:
        data_source: anything with a length.

    Example:
        >>> list(SequentialSampler("abc"))
        [0, 1, 2]
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class _SeededSampler(Sampler[int]):
    """What the random samplers share: an order that is a function of a seed."""

    def __init__(self, generator: Generator | None) -> None:
        self.generator = generator
        self._seed: int | None = None  # of the iteration begun last
        self._next_seed: int | None = None  # of the next, when it is to repeat one

    def _indices(self, rng: np.random.Generator) -> Iterator[int]:
        raise NotImplementedError

    def __iter__(self) -> Iterator[int]:
        # Not a generator function: the seed must be known as soon as the iteration has begun.
        self._seed = draw_seed(self.generator) if self._next_seed is None else self._next_seed
        self._next_seed = None
        return self._indices(rng_from_seed(self._seed))

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to repeat the iteration begun last."""
        return {
            "seed": self._seed,
            "generator": None if self.generator is None else self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Make the next iteration repeat the order that `state` belongs to."""
        if not isinstance(state, dict) or set(state) != {"seed", "generator"}:
            raise ValueError(f"not the state of a {type(self).__name__}: {state!r}")
        if self.generator is not None and state["generator"] is not None:
            self.generator.set_state(state["generator"])
        self._next_seed = None if state["seed"] is None else int(state["seed"])


class RandomSampler(_SeededSampler):
    """Indices in random order.

    Args:
        data_source: anything with a length >= 1.
        replacement: whether an index can come again before all have come.
        num_samples: how many to draw, >= 1; `len(data_source)` if None. More than there are, without replacement,
            is one permutation after another.
        generator: where the seed of each iteration comes from; the state of `genesis.manual_seed` if None.

    Raises:
        TypeError: if replacement is not a bool.
        ValueError: if there is nothing to sample.

    Example:
        >>> import genesis
        >>> sampler = RandomSampler(range(5), generator=genesis.Generator().manual_seed(1))
        >>> sorted(sampler)
        [0, 1, 2, 3, 4]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(generator)
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement must be True or False, got {replacement!r}")
        _check_positive("num_samples", self.num_samples)

    @property
    def num_samples(self) -> int:
        """How many indices an iteration gives; follows the length of the data unless set."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def _indices(self, rng: np.random.Generator) -> Iterator[int]:
        n, left = len(self.data_source), self.num_samples
        while left > 0:
            draw = rng.integers(n, size=min(left, CHUNK)) if self.replacement else rng.permutation(n)[:left]
            left -= len(draw)
            yield from draw.tolist()

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(_SeededSampler):
    """Given indices in random order, each once.

    Args:
        indices: a sequence of indices.
        generator: where the seed of each iteration comes from; the state of `genesis.manual_seed` if None.

    Example:
        >>> import genesis
        >>> sorted(SubsetRandomSampler([4, 2, 7], generator=genesis.Generator().manual_seed(1)))
        [2, 4, 7]
    """

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        super().__init__(generator)
        self.indices = indices

    def _indices(self, rng: np.random.Generator) -> Iterator[int]:
        for i in rng.permutation(len(self.indices)).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(_SeededSampler):
    """Indices drawn with given probabilities, as to balance rare classes.

    Args:
        weights: shape (N,), finite, >= 0, not all 0; they need not sum to 1. Index i comes with probability
            weights[i] / sum(weights).
        num_samples: how many to draw, >= 1.
        replacement: whether an index can come again.
        generator: where the seed of each iteration comes from; the state of `genesis.manual_seed` if None.

    Raises:
        ValueError: for other weights, or if more samples are asked for without replacement than weights are not 0.

    Example:
        >>> import genesis
        >>> list(WeightedRandomSampler([0, 1, 0], num_samples=3, generator=genesis.Generator().manual_seed(1)))
        [1, 1, 1]
    """

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(generator)
        _check_positive("num_samples", num_samples)
        if not isinstance(replacement, bool):
            raise ValueError(f"replacement must be True or False, got {replacement!r}")
        self.weights = np.array(weights, dtype=np.float64)
        if self.weights.ndim != 1:
            raise ValueError(f"weights must have one dimension, got shape {self.weights.shape}")
        if not np.isfinite(self.weights).all() or (self.weights < 0).any() or not self.weights.any():
            raise ValueError("weights must be finite, not negative, and not all 0")
        if not replacement and num_samples > np.count_nonzero(self.weights):
            raise ValueError(
                f"num_samples={num_samples} without replacement, but only {np.count_nonzero(self.weights)} weights "
                "are not 0"
            )
        self.num_samples = num_samples
        self.replacement = replacement

    def _indices(self, rng: np.random.Generator) -> Iterator[int]:
        if self.replacement:
            # The largest weight as unit: a sum of large weights must not overflow.
            bounds = np.cumsum(self.weights / self.weights.max())
            bounds /= bounds[-1]
            left = self.num_samples
            while left > 0:
                draw = np.searchsorted(bounds, rng.random(min(left, CHUNK)), side="right")
                left -= len(draw)
                yield from draw.tolist()
        else:
            # Exponential clocks with rates `weights`: the order in which they ring is a draw without replacement.
            candidates = np.flatnonzero(self.weights)
            times = rng.standard_exponential(len(candidates)) / self.weights[candidates]
            yield from candidates[np.argsort(times, kind="stable")[: self.num_samples]].tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of `batch_size` indices from another sampler.

    Args:
        sampler: an iterable of indices.
        batch_size: >= 1.
        drop_last: whether to leave out a last list that is shorter.

    Raises:
        ValueError: for another batch_size or drop_last.

    Example:
        >>> list(BatchSampler(range(5), batch_size=2, drop_last=False))
        [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        _check_positive("batch_size", batch_size)
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last must be True or False, got {drop_last!r}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        # Begins the inner iteration at once, so that its state is known.
        return self._batches(iter(self.sampler))

    def _batches(self, indices: Iterator[int]) -> Iterator[list[int]]:
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield batch

    def __len__(self) -> int:
        length = len(self.sampler)  # type: ignore[arg-type]
        return length // self.batch_size if self.drop_last else -(-length // self.batch_size)

    def state_dict(self) -> Any:
        """The state of the inner sampler, None if it has none."""
        return sampler_state(self.sampler)

    def load_state_dict(self, state: Any) -> None:
        """Make the next iteration repeat the order that `state` belongs to."""
        load_sampler_state(self.sampler, state)


def sampler_state(sampler: Any) -> Any:
    """The sampler's `state_dict()`, None if it has none."""
    return sampler.state_dict() if hasattr(sampler, "state_dict") else None


def load_sampler_state(sampler: Any, state: Any) -> None:
    """Hand `state` to a sampler that has a state."""
    if state is not None and hasattr(sampler, "load_state_dict"):
        sampler.load_state_dict(state)


def _check_positive(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value <= 0:
        raise ValueError(f"{name} must be a whole number >= 1, got {value!r}")
