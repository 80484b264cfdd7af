"""A sampler for several processes, each of which visits a part of the samples."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

from ._host import seeded_rng
from .sampler import Sampler


class DistributedSampler(Sampler[int]):
    """The indices that one of several processes visits: every ``num_replicas``-th one, from the ``rank``-th on.

    All processes get equally many: what is missing for that is repeated from the beginning, or with ``drop_last`` the
    rest is left out. Each process makes the same permutation by itself, so none of them has to talk to the others.

    Args:
        dataset: anything with a length, the same one in every process.
        num_replicas: how many processes there are. PyTorch can ask its process group for this number and the next one;
            genesis has no such group, so both must be given.
        rank: the number of this process, from 0.
        shuffle: whether the order is random: ``genesis.randperm`` with a generator of the seed ``seed + epoch``.
        seed: the same number in all processes.
        drop_last: whether to leave out the last samples rather than repeat the first ones.

    Raises:
        RuntimeError: ``num_replicas`` or ``rank`` is missing.
        ValueError: ``rank`` is not in [0, ``num_replicas``).

    Example:
        >>> [list(DistributedSampler(range(7), num_replicas=2, rank=rank, shuffle=False)) for rank in range(2)]
        [[0, 2, 4, 6], [1, 3, 5, 0]]
    """

    def __init__(self, dataset: Sized, num_replicas: int | None = None, rank: int | None = None, shuffle: bool = True,
                 seed: int = 0, drop_last: bool = False):
        if num_replicas is None or rank is None:
            raise RuntimeError("DistributedSampler needs num_replicas and rank: genesis has no group of processes that "
                               "it could ask for them")
        if not 0 <= rank < num_replicas:
            raise ValueError(f"rank must be in [0, {num_replicas}), the number of processes, got {rank}")
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.drop_last = drop_last
        size = len(dataset)
        self.num_samples = size // num_replicas if drop_last else -(-size // num_replicas)
        self.total_size = self.num_samples * num_replicas
        self.shuffle = shuffle
        self.seed = seed

    def __iter__(self) -> Iterator[int]:
        size = len(self.dataset)
        order = seeded_rng(self.seed + self.epoch).permutation(size).tolist() if self.shuffle else range(size)
        return iter([order[i % size] for i in range(self.rank, self.total_size, self.num_replicas)])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Choose another order from the next iteration on; without it each epoch repeats the same one."""
        self.epoch = epoch

    def state_dict(self) -> dict[str, Any]:
        """The epoch, by which a `DataLoader` that goes on in its middle finds the order again."""
        return {"epoch": self.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the epoch that `state` belongs to."""
        self.set_epoch(state["epoch"])
