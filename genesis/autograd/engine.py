"""Backward: gradients on their way through the graph."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..hooks import Hooks
from ..ops import elementwise
from ..ops.array import Array
from .graph import Node, Output
from .modes import no_grad

if TYPE_CHECKING:
    from ..tensor import Tensor


class _Pass:
    """One run of backward: gradients on their way to nodes, newest node first."""

    def __init__(self, wanted: dict[int, int] | None, retain_graph: bool):
        self.pending: dict[Node, Any] = {}     # an array; of a node with several results, a list with one a result
        self.queue: list[tuple[int, Node]] = []
        self.owned: set[Node] = set()         # nodes whose pending gradient is a sum of our own, safe to add to
        self.wanted = wanted
        self.leaves: dict[int, tuple[Tensor, Array]] = {}     # gradients not delivered before all have arrived
        self.results: dict[int, Array] = {}
        self.retain_graph = retain_graph

    def send(self, target: Any, g: Array, written: bool = False) -> None:
        """Deliver a gradient to a node or a leaf."""
        if not isinstance(target, Node):
            if self.wanted is None and not target._hooks:
                target._accumulate_grad(g, written)
            elif self.wanted is None or id(target) in self.wanted:
                held = self.leaves.get(id(target))
                self.leaves[id(target)] = target, g if held is None else _add(held[1], g)
            return
        before = self.pending.get(target)
        if before is None:
            self.pending[target] = g
            heapq.heappush(self.queue, (-target.sequence, target))
        elif target in self.owned:
            elementwise.run("add", [before, g], before.dtype, out=before)
        else:
            self.pending[target] = _add(before, g)
            self.owned.add(target)

    def run(self) -> None:
        """Work through the graph, letting go of each node's memory when it is done."""
        while self.queue:
            _, node = heapq.heappop(self.queue)
            g = self.pending.pop(node)
            if node.hooks:
                g = _call_hooks(node.hooks, g)
            if self.wanted is not None and id(node) in self.wanted:
                self.results[id(node)] = g
            if isinstance(node, Output):
                self._collect(node, g)
                continue
            context = node.context
            if context is None:
                raise RuntimeError(
                    "backward ran through this graph before, and what it needs was freed: call it with "
                    "retain_graph=True the first time if it is to run twice")
            if self.wanted is None:
                context.targets = _targets(node)
            grads = node.operation.backward(context, g) if node.outputs == 1 else node.operation.backward(context, *g)
            targets, context.targets = context.targets, ()
            if not isinstance(grads, tuple):
                grads = (grads,)
            if not self.retain_graph:
                node.context = None
                context.clear()
            for i, (source, gradient) in enumerate(zip(node.inputs, grads)):
                if source is not None and gradient is not None:
                    written = bool(targets) and gradient is targets[i]
                    self.send(source, gradient, written)
        self._deliver()

    def _collect(self, output: Output, g: Array) -> None:
        """Put the gradient of one result beside those of the operation's other results."""
        node = output.inputs[0]
        parts = self.pending.get(node)
        if parts is None:
            parts = self.pending[node] = [None] * node.outputs
            heapq.heappush(self.queue, (-node.sequence, node))
        parts[output.index] = g

    def _deliver(self) -> None:
        """Hand over the gradients of leaves that had to wait for all their parts."""
        for leaf, g in self.leaves.values():
            if leaf._hooks:
                g = _call_hooks(leaf._hooks, g)
            if self.wanted is None:
                leaf._accumulate_grad(g, False)
            else:
                self.results[id(leaf)] = g


def _add(a: Array, b: Array) -> Array:
    return elementwise.run("add", [a, b], a.dtype)


def _targets(node: Node) -> tuple[Array | None, ...]:
    """Gradient memory of the leaves among a node's inputs, each leaf's once."""
    seen: set[int] = set()
    targets: list[Array | None] = []
    for source in node.inputs:
        if source is None or isinstance(source, Node) or id(source) in seen:
            targets.append(None)
            continue
        seen.add(id(source))
        targets.append(source._grad_target())
    return tuple(targets)


def _call_hooks(hooks: Hooks, g: Array) -> Array:
    from ..tensor import Tensor

    for hook in list(hooks.values()):
        with no_grad():
            result = hook(Tensor._wrap(g))
        if result is not None:
            g = result._array
    return g


def _start(tensor: Tensor, gradient: Tensor | None) -> Array:
    if not tensor.requires_grad:
        raise RuntimeError("this tensor does not require a gradient and was not made from any that does")
    if gradient is None:
        if tensor.numel() != 1:
            raise RuntimeError(f"backward() without a gradient needs a tensor of one element, not of shape "
                               f"{tuple(tensor.shape)}; reduce it, for example with sum(), or give the gradient")
        return elementwise.full(tensor.device, tensor._array.shape, 1.0, tensor.dtype)
    if gradient.shape != tensor.shape:
        raise RuntimeError(f"the gradient has shape {tuple(gradient.shape)}, the tensor {tuple(tensor.shape)}")
    return elementwise.cast(gradient._array, tensor.dtype)


def backward(tensors: Tensor | Sequence[Tensor], grad_tensors: Any = None, retain_graph: bool = False) -> None:
    """Compute the gradients of all leaves that ``tensors`` were made from and add them to their ``.grad``.

    Args:
        tensors: one or several tensors.
        grad_tensors: the gradient of each; may be None for tensors of one element.
        retain_graph: keep what backward needs, so that it can run again.

    Raises:
        RuntimeError: a tensor requires no gradient, or the graph was freed by an earlier call.
    """
    from ..tensor import Tensor

    if isinstance(tensors, Tensor):
        tensors, grad_tensors = [tensors], [grad_tensors]
    grad_tensors = [None] * len(tensors) if grad_tensors is None else grad_tensors
    if len(grad_tensors) != len(tensors):
        raise RuntimeError(f"{len(tensors)} tensors need as many gradients, not {len(grad_tensors)}")
    work = _Pass(None, retain_graph)
    for tensor, gradient in zip(tensors, grad_tensors):
        work.send(tensor._node or tensor, _start(tensor, gradient))
    work.run()


def grad(outputs: Tensor | Sequence[Tensor], inputs: Tensor | Sequence[Tensor], grad_outputs: Any = None,
         retain_graph: bool = False, allow_unused: bool = False) -> tuple[Tensor | None, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``, returned instead of added to ``.grad``.

    Raises:
        RuntimeError: an input was not used and ``allow_unused`` is False.
    """
    from ..tensor import Tensor

    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    given = [None] * len(outputs) if grad_outputs is None else (
        [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs))
    sources = [x._node or x for x in inputs]
    work = _Pass({id(s): i for i, s in enumerate(sources)}, retain_graph)
    for tensor, gradient in zip(outputs, given):
        work.send(tensor._node or tensor, _start(tensor, gradient))
    work.run()
    results = []
    for i, source in enumerate(sources):
        found = work.results.get(id(source))
        if found is None and not allow_unused:
            raise RuntimeError(f"input {i} was not used to make the outputs; allow_unused=True returns None for it")
        results.append(None if found is None else Tensor._wrap(found))
    return tuple(results)

