"""Random numbers: a counter-based generator whose stream is the same on every device."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

_MASK = (1 << 64) - 1


class Generator:
    """A source of random streams: Philox4x32-10, keyed by a seed, with a counter of the streams handed out.

    Each call that draws random numbers takes one stream, so the state is just ``(seed, counter)``.

    Args:
        device: accepted as PyTorch has it, and kept as the attribute ``device``; one generator serves all devices.

    Example:
        >>> generator = genesis.Generator().manual_seed(0)
        >>> first = genesis.rand(3, generator=generator)
        >>> bool((first == genesis.rand(3, generator=generator.manual_seed(0))).all())
        True
    """

    def __init__(self, device: Any = "cpu") -> None:
        self.device = device
        self._seed = secrets.randbits(63)
        self._counter = 0
        self._lock = threading.Lock()

    def manual_seed(self, seed: int) -> Generator:
        """Start anew from a seed, any integer of at most 64 bits; returns the generator."""
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
            raise TypeError(f"a seed is an integer, not {seed!r}")
        if not -(1 << 63) <= seed < 1 << 64:
            raise ValueError(f"a seed has at most 64 bits, got {seed}")
        with self._lock:
            self._seed, self._counter = int(seed) & _MASK, 0
        return self

    def seed(self) -> int:
        """Start anew from a seed of the system's entropy, which is returned."""
        self.manual_seed(secrets.randbits(63))
        return self._seed

    def initial_seed(self) -> int:
        """The seed."""
        return self._seed

    def stream(self) -> tuple[int, int]:
        """The seed and the number of a stream that nobody else gets."""
        with self._lock:
            self._counter += 1
            return self._seed, self._counter

    def host_rng(self) -> np.random.Generator:
        """A NumPy generator for work on the host, such as shuffling; takes a stream of its own."""
        seed, stream = self.stream()
        return np.random.Generator(np.random.Philox(key=np.array([seed, stream], dtype=np.uint64)))

    def get_state(self) -> dict[str, int]:
        """The state, to be given to `set_state`."""
        return {"seed": self._seed, "counter": self._counter}

    def set_state(self, state: dict[str, int]) -> None:
        """Return to a state."""
        try:
            seed, counter = int(state["seed"]), int(state["counter"])
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"not the state of a generator: {state!r}") from None
        with self._lock:
            self._seed, self._counter = seed & _MASK, counter

    def __repr__(self) -> str:
        return f"genesis.Generator(seed={self._seed}, counter={self._counter})"


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Seed the default generator: every device then draws the same numbers again."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator from the system's entropy; returns the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state() -> dict[str, int]:
    """The state of the default generator, for a checkpoint."""
    return default_generator.get_state()


def set_rng_state(state: dict[str, int]) -> None:
    """Return the default generator to a state from `get_rng_state`."""
    default_generator.set_state(state)


@contextmanager
def fork_rng(devices: Any = None, enabled: bool = True) -> Iterator[None]:
    """A context, or decorator, after which random numbers go on as if none had been drawn within.

    Args:
        devices: accepted as PyTorch has it; all devices draw from one generator.
        enabled: False to do nothing.

    Example:
        >>> with genesis.random.fork_rng():
        ...     noise = genesis.randn(2)
        >>> bool((genesis.randn(2) == noise).all())
        True
    """
    before = get_rng_state()
    try:
        yield
    finally:
        if enabled:
            set_rng_state(before)
