"""Parameter: a tensor that a module owns and an optimizer updates. Buffer: one that nobody updates."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor, tensor


class Parameter(Tensor):
    """A leaf tensor that requires a gradient; assigned to a module, it appears among its parameters.

    Args:
        data: a tensor (whose memory is shared) or anything that `genesis.tensor` takes.
        requires_grad: False for a frozen parameter.

    Attributes of one's own may be set on it (``p.no_weight_decay = True``); a deep copy leaves them behind, and
    its gradient.
    """

    def __init__(self, data: Any, requires_grad: bool = True):
        source = data if isinstance(data, Tensor) else tensor(data)
        self._setup(source._array, None, requires_grad)

    _copies_gradient = False

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A tensor that is part of a module's state but is not trained; assigned to a module, it is registered as one.

    Args:
        data: a tensor (whose memory is shared) or anything that `genesis.tensor` takes; an empty tensor by default.
        persistent: whether it is in the module's state dict.

    Example:
        >>> class Scaled(genesis.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.scale = genesis.nn.Buffer(genesis.ones(2))
        >>> list(Scaled().state_dict())
        ['scale']
    """

    __slots__ = ("persistent",)

    def __init__(self, data: Any = None, *, persistent: bool = True):
        source = data if isinstance(data, Tensor) else tensor([] if data is None else data)
        self._setup(source._array, None, source.requires_grad)
        self.persistent = persistent

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        result = super().__deepcopy__(memo)
        assert isinstance(result, Buffer)
        result.persistent = self.persistent
        return result
