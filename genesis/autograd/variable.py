"""Variable: what tensors with a history were called before PyTorch 0.4."""

from __future__ import annotations

from typing import Any


class _Kind(type):
    def __instancecheck__(cls, x: Any) -> bool:
        return hasattr(x, "_array")


class Variable(metaclass=_Kind):
    """A tensor's data without history, as a leaf; every tensor counts as an instance.

    Args:
        data: a tensor, whose memory is shared.
        requires_grad: whether gradients are to be computed for it.

    Raises:
        TypeError: ``data`` is no tensor.

    Example:
        >>> x = genesis.autograd.Variable(genesis.ones(2), requires_grad=True)
        >>> x, isinstance(x, genesis.autograd.Variable)
        (tensor([1., 1.], requires_grad=True), True)
    """

    def __new__(cls, data: Any, requires_grad: bool = False) -> Any:
        """The leaf."""
        if not hasattr(data, "_array"):
            raise TypeError(f"Variable() takes a Tensor, not {type(data).__name__}")
        return data.detach().requires_grad_(requires_grad)
