"""Where this package meets tensors and random numbers.

Everything else in `genesis.data` handles NumPy arrays and plain Python objects. Tensors are imported on
first use: `import genesis` stays quick, and a worker process never gets as far as the device.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from genesis.random import Generator
    from genesis.tensor import Tensor

# NumPy names of the dtypes a tensor can have.
DTYPES = frozenset("float32 float16 bfloat16 float64 int8 int16 int32 int64 uint8 bool".split())


def is_tensor(value: Any) -> bool:
    """Whether `value` is a `genesis.Tensor`."""
    # While the module is not loaded there is no tensor anywhere, so there is no need to load it.
    module = sys.modules.get("genesis.tensor")
    return module is not None and isinstance(value, module.Tensor)


def to_tensor(array: np.ndarray) -> Tensor:
    """The array as a tensor on the default device."""
    import genesis

    return genesis.from_numpy(array)


def to_numpy(tensor: Tensor) -> np.ndarray:
    """The tensor's values as an array on the host."""
    return tensor.detach().numpy()


def stack(tensors: list[Tensor]) -> Tensor:
    """Tensors of one shape, joined along a new first dimension."""
    import genesis

    return genesis.stack(tensors)


def host_rng(generator: Generator | None) -> np.random.Generator:
    """A fresh NumPy generator from `generator`, or from the state that `genesis.manual_seed` sets."""
    if generator is None:
        from genesis.random import default_generator

        generator = default_generator
    if not hasattr(generator, "host_rng"):
        raise TypeError(f"generator must be a genesis.Generator or None, got {type(generator).__name__}")
    return generator.host_rng()


def draw_seed(generator: Generator | None) -> int:
    """A seed in [0, 2**63); the generator advances."""
    return int(host_rng(generator).integers(2**63))


def seed_generator(seed: int) -> None:
    """Let genesis draw from a seed of at most 64 bits."""
    from genesis.random import default_generator

    default_generator.manual_seed(seed)


def seeded_rng(seed: int) -> np.random.Generator:
    """The NumPy generator by which `genesis.randperm` draws from a generator of that seed."""
    from genesis.random import Generator

    return Generator().manual_seed(seed).host_rng()


def rng_from_seed(seed: int) -> np.random.Generator:
    """The NumPy generator that belongs to a seed from `draw_seed`."""
    return np.random.Generator(np.random.Philox(key=seed))
