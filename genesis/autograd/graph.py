"""The graph: nodes for the operations that were recorded, and `apply`, which records them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from ..hooks import Hooks
from ..ops.operation import Context, Operation
from .modes import state

if TYPE_CHECKING:
    from ..tensor import Tensor

_sequence = itertools.count()


class Node:
    """An operation that was recorded: its context, and where the gradients of its inputs go.

    Attributes:
        sequence: rising number; an operation always comes after those that made its inputs.
        inputs: for each input the node that made it, the leaf tensor it is, or None.
        outputs: how many results the operation has; with several, each tensor has an `Output` for its node.
    """

    __slots__ = ("__weakref__", "context", "hooks", "inputs", "operation", "outputs", "sequence")

    def __init__(self, operation: type[Operation], context: Context | None, inputs: tuple[Any, ...]):
        self.operation = operation
        self.context = context
        self.inputs = inputs
        self.outputs = 1
        self.sequence = next(_sequence)
        self.hooks: Hooks | None = None

    def __repr__(self) -> str:
        return f"<{self.operation.__name__}Backward>"


class Output(Node):
    """One result of an operation with several: it collects that result's gradient for the operation's node."""

    __slots__ = ("index",)

    def __init__(self, node: Node, index: int):
        super().__init__(node.operation, None, (node,))
        self.index = index


def same_device(*inputs: Any) -> None:
    """``RuntimeError`` unless all tensors among the inputs live on one device."""
    devices = {x._array.buffer.device for x in inputs if hasattr(x, "_array")}
    if len(devices) > 1:
        raise RuntimeError("tensors on different devices: " + " and ".join(map(repr, devices)) + "; move one with to()")


def apply(operation: type[Operation], *inputs: Any, **options: Any) -> Any:
    """Run an operation on tensors and numbers, and record it when a gradient may be asked for.

    Returns:
        A tensor; a tuple of tensors when the operation's ``forward`` returns a tuple of arrays.
    """
    from ..tensor import Tensor

    if len(inputs) > 1:
        same_device(*inputs)
    recording = state.recording
    needs = tuple([recording and isinstance(x, Tensor) and x.requires_grad for x in inputs])
    context = Context(needs)
    result = operation.forward(context, *[x._array if isinstance(x, Tensor) else x for x in inputs], **options)
    if type(result) is tuple:
        return _wrap_all(operation, context, inputs, result)
    if True not in needs or not result.dtype.is_floating_point:
        return Tensor._wrap(result)
    sources = tuple([(x._node or x) if need else None for x, need in zip(inputs, needs)])
    return Tensor._wrap(result, Node(operation, context, sources))


def _wrap_all(operation: type[Operation], context: Context, inputs: tuple[Any, ...],
              results: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """Tensors on the results of an operation with several; those that are not floating point have no history."""
    from ..tensor import Tensor

    if True not in context.needs or not any(array.dtype.is_floating_point for array in results):
        return tuple([Tensor._wrap(array) for array in results])
    node = Node(operation, context, tuple([(x._node or x) if need else None for x, need in zip(inputs, context.needs)]))
    node.outputs = len(results)
    return tuple([Tensor._wrap(array, Output(node, i) if array.dtype.is_floating_point else None)
                  for i, array in enumerate(results)])
