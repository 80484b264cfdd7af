"""The graph: nodes for the operations that were recorded, and `apply`, which records them.

A view (what an operation makes that only looks at its input's memory in another way) remembers the tensor it looks at
and how. When that tensor's history changes, because it or one of its views is changed in place, the view's own history
is made anew from it the next time that somebody asks.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from .. import tracing
from ..hooks import Hooks
from ..ops.complex import complex_form
from ..ops.operation import Context, Operation
from ..ops.pointwise import Cast
from . import casting
from .modes import enable_grad, state

if TYPE_CHECKING:
    from ..dtypes import DType
    from ..ops.array import Array
    from ..tensor import Tensor

RESULT = -1        # the role of a saved array that is the operation's result; -1 - i for result i of several

_sequence = itertools.count()
_Tensor: Any = None     # the class, which imports this module and says so to `bind`


def bind(tensor_class: type[Tensor]) -> None:
    """Tell the graph which class tensors are of."""
    global _Tensor
    _Tensor = tensor_class


class Node:
    """An operation that was recorded: its context, and where the gradients of its inputs go.

    Attributes:
        sequence: rising number; an operation always comes after those that made its inputs.
        context: what its backward needs; None once that was let go, a `regions.Pending` when it is to be recomputed.
        inputs: for each input the node that made it, the leaf tensor it is, or None.
        outputs: how many results the operation has; with several, each tensor has an `Output` for its node.
    """

    __slots__ = ("__weakref__", "context", "hooks", "inputs", "operation", "outputs", "sequence")

    def __init__(self, operation: type[Operation], context: Any, inputs: tuple[Any, ...], outputs: int = 1):
        self.operation = operation
        self.context = context
        self.inputs = inputs
        self.outputs = outputs
        self.sequence = next(_sequence)
        self.hooks: Hooks | None = None
        if state.region is not None:
            state.region.add(self)

    def name(self) -> str:
        """The operation's name."""
        return f"{self.operation.__name__}Backward"

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """For each input its node (or the leaf itself, or None) and which of that node's results it is."""
        return tuple((x.inputs[0], x.index) if isinstance(x, Output) else (x, 0) for x in self.inputs)

    def __repr__(self) -> str:
        return f"<{self.name()}>"


class Output(Node):
    """One result of an operation with several: it collects that result's gradient for the operation's node."""

    __slots__ = ("index",)

    def __init__(self, node: Node, index: int):
        self.operation = node.operation
        self.context = None
        self.inputs = (node,)
        self.outputs = 1
        self.sequence = next(_sequence)
        self.hooks = None
        self.index = index


def tick() -> int:
    """A number above the `sequence` of every node so far and below that of every later one."""
    return next(_sequence)


class View:
    """What a view looks at.

    Attributes:
        base: the tensor whose memory it is; never a view itself.
        array: what the base's memory was when the view was made.
        steps: the operations that lead from the base to the view, with their options; None where several views were
            made at once, which cannot be followed.
        node: the base's node for which the view's history is right.
        recorded: whether gradients were being recorded when the view was made.
    """

    __slots__ = ("array", "base", "node", "recorded", "steps")

    def __init__(self, x: Tensor, step: Any, recorded: bool):
        before = x._view
        if before is None or not before.holds(x):
            self.base = x
            self.steps: tuple[Any, ...] | None = (step,) if step else None
            self.recorded = recorded
        else:
            self.base = before.base
            self.steps = (*before.steps, step) if step and before.steps is not None else None
            self.recorded = recorded and before.recorded
        self.array = self.base._array
        self.node: Node | None = self.base._node

    def holds(self, x: Tensor) -> bool:
        """Whether the tensor, made as this view, and the base still look at the same memory as then."""
        return self.base._array is self.array and self.array.version is x._array.version


def refresh(x: Tensor) -> None:
    """Give a view the history that follows from its base's, if that has changed."""
    view: Any = x._view
    node = view.base._node
    if node is view.node or view.steps is None or not view.holds(x):
        return
    y = _made_again(view)
    if x._retains:
        x._retains.move(y._node)
    x._node, x._requires_grad, view.node = y._node, y._requires_grad, node


@enable_grad()
def _made_again(view: View) -> Tensor:
    y = view.base
    for operation, options in view.steps or ():
        y = apply(operation, y, **options)
    return y


def source(x: Tensor) -> Any:
    """Where a tensor's gradient goes: the node that made it, the leaf that it is, or None."""
    return (x._node or x) if x.requires_grad else None


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
    if tracing.recorder is not None and tracing.recorder.takes():
        return tracing.recorder.operation(apply, operation, *inputs, **options)
    recording = state.recording
    needs: list[bool] = []
    arrays: list[Any] = []
    sources: list[Any] = []
    device: Any = None
    array: Any = None
    complex_numbers = False
    for x in inputs:
        if not isinstance(x, _Tensor):
            arrays.append(x)
            needs.append(False)
            sources.append(None)
            continue
        array = x._array
        if device is None:
            device = array.buffer.device
        elif device is not array.buffer.device:
            same_device(*inputs)
        if x._view is not None:
            refresh(x)
        if array.dtype.is_complex:
            complex_numbers = True
        arrays.append(array)
        need = recording and x._requires_grad
        needs.append(need)
        sources.append((x._node or x) if need else None)
    context = Context(tuple(needs))
    if complex_numbers:
        operation = complex_form(operation)
    if operation.autocast is not None and casting.enabled():
        arrays, context.casts = casting.convert(operation.autocast, inputs, arrays)
    result = operation.forward(context, *arrays, **options)
    if type(result) is tuple:
        return _wrap_all(operation, context, inputs, tuple(sources), result)
    if True in needs and result.dtype.has_gradients:
        tensor = _Tensor._wrap(result, Node(operation, context, tuple(sources)))
    else:
        tensor = _Tensor._wrap(result)
    if len(inputs) == 1 and array is not None and result.version is array.version:
        tensor._view = View(inputs[0], (operation, options), recording)
    return tensor


def _wrap_all(operation: type[Operation], context: Context, inputs: tuple[Any, ...], sources: tuple[Any, ...],
              results: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """Tensors on the results of an operation with several; those of integers and booleans have no history."""
    node = None
    if True in context.needs and any(array.dtype.has_gradients for array in results):
        node = Node(operation, context, sources, len(results))
    tensors = tuple([_Tensor._wrap(array, Output(node, i) if node and array.dtype.has_gradients else None)
                     for i, array in enumerate(results)])
    for x in inputs:
        if isinstance(x, _Tensor):
            for tensor in tensors:
                if tensor._array.version is x._array.version:
                    tensor._view = View(x, None, state.recording)
    return tensors


def tensor_behind(node: Node, context: Context, role: int | None, array: Array, dtype: DType | None = None) -> Any:
    """The tensor that an operation got or made, from the array that it saved.

    Args:
        node: the operation's node.
        context: its context.
        role: the number of the input that the array holds, -1 - i for result i, or None for anything else.
        array: the values, perhaps a copy in another layout or type.
        dtype: the type that the operation got, if that may be another than the array's.
    """
    wrap = _Tensor._wrap
    if role is None:
        return wrap(array)
    if role < 0:
        return wrap(array, node if node.outputs == 1 else Output(node, RESULT - role))
    above = node.inputs[role]
    if above is None:
        return wrap(array)
    converted = None if context.casts is None else context.casts[role]
    if isinstance(above, Node):
        converted = converted or dtype
        if converted in (None, array.dtype):
            return wrap(array, above)
    elif above._array is array:
        return above
    else:
        converted = above.dtype
    link = Context((True,))
    link.dtype = converted
    return wrap(array, Node(Cast, link, (above,)))
