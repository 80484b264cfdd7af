"""Tensors in pickles: their values, type and device, without history."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..opencl import Device
from ..ops import elementwise
from ..ops.array import download, upload
from .support import Methods


class Pickling(Methods):
    """What `pickle` asks of a tensor."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """The values, which are read from the device, the class, and what was set on a parameter; no gradient.

        As in PyTorch, a tensor comes back as a leaf on the device that it was on, and where that is missing is an
        error: see `genesis.device`. Unlike there, tensors that share memory come back apart, but for the same tensor
        in several places. `genesis.save` writes files that are safe to read; a pickle can run any code.
        """
        values = download(elementwise.contiguous(self._array))
        return rebuild, (type(self), values, self.device, self.requires_grad), self._attributes()

    def __copy__(self) -> Any:
        """Another tensor on the same memory, with the same history."""
        result: Any = type(self).__new__(type(self))
        result._setup(self._array, self._node, self._requires_grad)
        own, slots = self._attributes() or ({}, {})
        for name, value in {**(own or {}), **slots}.items():
            setattr(result, name, value)
        return result

    def _attributes(self) -> Any:
        """What subclasses and users have set on it, as pickles hold it: by name, and that in slots; None if nothing."""
        slots = {name: getattr(self, name) for kind in type(self).__mro__
                 for name in vars(kind).get("__slots__", ()) if name[0] != "_"}
        own = getattr(self, "__dict__", None)
        return (own, slots) if own or slots else None


def rebuild(kind: Any, values: np.ndarray, device: Device, requires_grad: bool) -> Any:
    """A tensor as its pickle describes it."""
    result = kind.__new__(kind)
    result._setup(upload(device, values), None, requires_grad)
    return result
