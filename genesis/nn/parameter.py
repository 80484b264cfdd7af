"""Parameter: a tensor that a module owns and an optimizer updates."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor, tensor


class Parameter(Tensor):
    """A leaf tensor that requires a gradient; assigned to a module, it appears among its parameters.

    Args:
        data: a tensor (whose memory is shared) or anything that `genesis.tensor` takes.
        requires_grad: False for a frozen parameter.
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True):
        source = data if isinstance(data, Tensor) else tensor(data)
        self._setup(source._array, None, requires_grad)

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()
