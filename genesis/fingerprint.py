"""A short hash of a training run's state, to tell whether two runs agree bit for bit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from .tensor import Tensor


def fingerprint(model: Any, optimizer: Any = None) -> str:
    """A short hash of all parameters and buffers, and of an optimizer's state: equal for equal bits only.

    On one device, a run with the same seed has the same fingerprint after every step, today and tomorrow, in this
    process and in another. A different one says that something differed: the data, their order, the seed, a
    hyperparameter, the library, the driver. Between devices the bits differ, for sums are rounded in other orders.

    Args:
        model: a `Module`, or anything of nested mappings, lists, tuples, tensors, arrays and plain values, such as a
            state dict.
        optimizer: an optimizer, or its state dict.

    Returns:
        16 hexadecimal digits: the first 64 bits of a SHA-256 over names, types, shapes and bytes. The device does not
        count.

    Raises:
        TypeError: there is something in it that has no bits to speak of, such as a function.

    Example:
        >>> _ = genesis.manual_seed(0)
        >>> model = genesis.nn.Linear(3, 1)
        >>> optimizer = genesis.optim.Adam(model.parameters())
        >>> before = genesis.fingerprint(model, optimizer)
        >>> before == genesis.fingerprint(model, optimizer)
        True
        >>> model(genesis.ones(2, 3)).sum().backward()
        >>> optimizer.step()
        >>> before == genesis.fingerprint(model, optimizer)
        False
    """
    digest = hashlib.sha256(b"genesis fingerprint 1")
    for value in (model, optimizer):
        state = getattr(value, "state_dict", None)
        _add(digest, state() if callable(state) else value)
    return digest.hexdigest()[:16]


def _add(digest: Any, value: Any) -> None:
    """Feed a value to a hash, each with its kind and length first, so that no two values give the same bytes."""
    if isinstance(value, Tensor):
        value = value.detach().numpy()
    if isinstance(value, np.ndarray | np.generic):
        array = np.ascontiguousarray(value)
        digest.update(f"array {array.dtype.name} {np.shape(value)} ".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    elif isinstance(value, Mapping):
        digest.update(f"mapping {len(value)} ".encode())
        for key, item in value.items():
            _add(digest, key)
            _add(digest, item)
    elif isinstance(value, list | tuple):
        digest.update(f"sequence {len(value)} ".encode())
        for item in value:
            _add(digest, item)
    elif value is None or isinstance(value, bool | int | float | complex | str | bytes):
        text = value if isinstance(value, bytes) else repr(value).encode()
        digest.update(f"{type(value).__name__} {len(text)} ".encode() + text)
    else:
        raise TypeError(f"a {type(value).__name__} has no fingerprint; give a module, an optimizer or state dicts")
