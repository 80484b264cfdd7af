"""The one place where this package meets the tensor class.

Everything else works on NumPy arrays, and runs where no OpenCL device does.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any, NamedTuple

import numpy as np

from .errors import CheckpointError

# Element types that files have and genesis has not, and the narrowest of its own that holds every value
_WIDER: dict[str, type] = {
    "uint16": np.int32,
    "uint32": np.int64,
    "uint64": np.int64,
    "float8_e4m3fn": np.float32,
    "float8_e5m2": np.float32,
    "float8_e4m3fnuz": np.float32,
    "float8_e5m2fnuz": np.float32,
}


class Description(NamedTuple):
    """What is known of a tensor without copying its elements.

    ``memory`` is equal for tensors that are the same view of the same memory, as tied weights in a state dict are.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    requires_grad: bool
    memory: int


def describe(obj: object) -> Description | None:
    """The description of a tensor; None of anything else."""
    tensor = _as_tensor(obj)
    if tensor is None:
        return None
    memory = id(getattr(tensor, "_array", tensor))
    return Description(tuple(tensor.shape), tensor.dtype.numpy, bool(tensor.requires_grad), memory)


def to_host(obj: object) -> np.ndarray | None:
    """The elements of a tensor as a NumPy array; None of anything else."""
    tensor = _as_tensor(obj)
    return None if tensor is None else tensor.detach().numpy()


def from_host(array: np.ndarray, device: Any = None, requires_grad: bool = False) -> Any:
    """A tensor of the elements of ``array``, whose type a tensor can have."""
    genesis: Any = importlib.import_module("genesis")
    wider = _WIDER.get(array.dtype.name)
    if wider is not None:
        array = _widen(array, wider)
    return genesis.tensor(array, device=device, requires_grad=requires_grad and array.dtype.kind not in "biu")


def _widen(array: np.ndarray, wider: type) -> np.ndarray:
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise CheckpointError("a uint64 tensor holds numbers beyond int64, the widest integer genesis has")
    return array.astype(wider)


def _as_tensor(obj: object) -> Any:
    """``obj`` if it is a tensor, else None. Where genesis.tensor was never imported, nothing can be one."""
    module = sys.modules.get("genesis.tensor")
    return obj if module is not None and isinstance(obj, module.Tensor) else None
