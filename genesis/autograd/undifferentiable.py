"""Gradients that have a history, which ends: what they were computed with cannot be differentiated."""

from __future__ import annotations

from typing import Any

from ..errors import SecondDerivativeError
from ..ops.array import Array
from ..ops.operation import Context, Operation
from . import graph
from .graph import Node


class Undifferentiable(Operation):
    """A gradient whose own gradient nobody can compute. Recorded only."""

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Any:
        """``SecondDerivativeError``."""
        raise SecondDerivativeError(ctx.message)


def undifferentiable(gradients: Any, sources: tuple[Any, ...], message: str) -> tuple[Any, ...]:
    """Gradients (tensors or None) with a history that ends in an error.

    Args:
        gradients: one or several, without history.
        sources: the nodes and leaves that they depend on, or None.
        message: what the error says.
    """
    listed = gradients if isinstance(gradients, tuple) else (gradients,)
    if all(above is None for above in sources):
        return listed
    results = []
    for g in listed:
        if g is not None:
            context = Context(tuple([above is not None for above in sources]))
            context.message = message
            g = graph._Tensor._wrap(g._array, Node(Undifferentiable, context, sources))
        results.append(g)
    return tuple(results)
