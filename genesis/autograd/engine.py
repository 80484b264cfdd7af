"""Backward: gradients on their way through the graph."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..dtypes import DType
from ..hooks import Hooks
from ..ops import elementwise
from ..ops.array import Array
from .graph import Node, Output, source
from .modes import call
from .regions import Pending

if TYPE_CHECKING:
    from ..tensor import Tensor

FREED = ("backward ran through this graph before, and what it needs was freed: call it with retain_graph=True the "
         "first time if it is to run twice")


class Afterwards:
    """A leaf's hook that is called when its gradient has been added, not before."""

    used = False     # whether there was ever one: only then does it pay to find out when a leaf's gradient is complete

    def __init__(self, function: Callable[[Tensor], Any]):
        self.function = function
        Afterwards.used = True

    def __call__(self, leaf: Tensor) -> None:
        """Call it."""
        call(False, self.function, leaf)


class _Pass:
    """One run of backward: gradients on their way to nodes, newest node first.

    Args:
        roots: where it starts.
        wanted: the nodes and leaves whose gradients are results; None to add to the ``.grad`` of all leaves.
        retain_graph: whether it may run again.

    Attributes:
        pending: by node the gradient so far, an array; of an operation with several results, a list with one for each.
        owned: nodes whose pending gradient is a sum of our own, safe to add to.
        leaves: gradients that are not delivered before all parts have arrived, with the number of parts to come where
            that is known.
        leading: nodes that lead to something wanted; None for all.
    """

    def __init__(self, roots: Iterable[Any], wanted: Sequence[Any] | None, retain_graph: bool):
        self.pending: dict[Node, Any] = {}
        self.queue: list[tuple[int, Node]] = []
        self.owned: set[Node] = set()
        self.wanted = None if wanted is None else {id(target) for target in wanted}
        self.leaves: dict[int, tuple[Tensor, Array]] = {}
        self.results: dict[int, Array] = {}
        self.retain_graph = retain_graph
        self.leading: set[Node] | None = None
        self.parts: dict[int, int] = {}
        if wanted is not None or Afterwards.used:
            self._survey(roots)

    def _survey(self, roots: Iterable[Any]) -> None:
        """Find the nodes that lead to what is wanted, or the number of parts of the gradients of leaves with hooks."""
        found = {root for root in roots if isinstance(root, Node)}
        waiting = list(found)
        while waiting:
            for above in waiting.pop().inputs:
                if isinstance(above, Node):
                    if above not in found:
                        found.add(above)
                        waiting.append(above)
                elif above is not None and above._hooks:
                    self.parts[id(above)] = self.parts.get(id(above), 0) + 1
        for root in roots:
            if root is not None and not isinstance(root, Node) and root._hooks:
                self.parts[id(root)] = self.parts.get(id(root), 0) + 1
        if self.wanted is not None:
            self.leading = set()
            for node in sorted(found, key=lambda node: node.sequence):
                if any(above in self.leading if isinstance(above, Node) and id(above) not in self.wanted
                       else id(above) in self.wanted for above in node.inputs if above is not None):
                    self.leading.add(node)

    def send(self, target: Any, g: Array, written: bool = False) -> None:
        """Deliver a gradient to a node or a leaf."""
        if not isinstance(target, Node):
            self._send_leaf(target, g, written)
            return
        if self.leading is not None and target not in self.leading and id(target) not in self.wanted:  # type: ignore[operator]
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

    def _send_leaf(self, leaf: Tensor, g: Array, written: bool) -> None:
        if self.wanted is None and not leaf._hooks:
            leaf._accumulate_grad(g, written)
        elif self.wanted is None or id(leaf) in self.wanted:
            held = self.leaves.get(id(leaf))
            self.leaves[id(leaf)] = leaf, g if held is None else _add(held[1], g)

    def run(self) -> None:
        """Work through the graph, letting go of each node's memory when it is done."""
        while self.queue:
            _, node = heapq.heappop(self.queue)
            g = self.pending.pop(node)
            if node.hooks:
                g = _call_hooks(node.hooks, g)
            if self.leading is not None:
                if id(node) in self.wanted:  # type: ignore[operator]
                    self.results[id(node)] = g
                if node not in self.leading:
                    continue
            if isinstance(node, Output):
                self._collect(node, g)
                continue
            context = node.context
            if type(context) is Pending:
                context = node.context = context.fetch()
            if context is None:
                raise RuntimeError(FREED)
            if self.wanted is None:
                context.targets = _targets(node)
            grads = node.operation.backward(context, *(g if isinstance(g, list) else (g,)))     # a list: see _collect
            targets, context.targets = context.targets, (None,) * len(node.inputs)
            casts = context.casts
            if not isinstance(grads, tuple):
                grads = (grads,)
            if not self.retain_graph:
                node.context = None
                context.clear()
            del g, context
            for i, (above, gradient) in enumerate(zip(node.inputs, grads)):
                if above is not None and gradient is not None:
                    if casts is not None and casts[i] is not None:
                        gradient = self._uncast(above, gradient, casts[i])
                    self.send(above, gradient, bool(targets) and gradient is targets[i])
            if self.parts:
                self._count_parts(node.inputs)
        for leaf, g in list(self.leaves.values()):
            self._deliver(leaf, g)

    def _uncast(self, above: Any, g: Array, dtype: DType) -> Array:
        """The gradient of what autocast converted, in the type from before; a leaf does it as it adds it up."""
        direct = self.wanted is None and not isinstance(above, Node) and not above._hooks
        return g if direct else elementwise.cast(g, dtype)

    def _collect(self, output: Output, g: Array) -> None:
        """Put the gradient of one result beside those of the operation's other results."""
        node = output.inputs[0]
        parts = self.pending.get(node)
        if parts is None:
            parts = self.pending[node] = [None] * node.outputs
            heapq.heappush(self.queue, (-node.sequence, node))
        parts[output.index] = g

    def _count_parts(self, inputs: tuple[Any, ...]) -> None:
        """Deliver the gradients of leaves among a node's inputs to which nothing more will be added."""
        for leaf in inputs:
            if id(leaf) in self.parts:
                self.parts[id(leaf)] -= 1
                if not self.parts[id(leaf)] and id(leaf) in self.leaves:
                    self._deliver(*self.leaves.pop(id(leaf)))

    def _deliver(self, leaf: Tensor, g: Array) -> None:
        """Hand over the gradient of a leaf that had to wait for all its parts."""
        if leaf._hooks:
            g = _call_hooks(leaf._hooks, g)
        if self.wanted is not None:
            self.results[id(leaf)] = g
            return
        leaf._accumulate_grad(g, False)
        call_afterwards(leaf)


def call_afterwards(leaf: Tensor) -> None:
    """Call the hooks that wait for the leaf's gradient to be added."""
    for hook in list((leaf._hooks or {}).values()):
        if isinstance(hook, Afterwards):
            hook(leaf)


def _add(a: Array, b: Array) -> Array:
    return elementwise.run("add", [a, b], a.dtype)


def _targets(node: Node) -> tuple[Array | None, ...]:
    """Gradient memory of the leaves among a node's inputs, each leaf's once."""
    seen: set[int] = set()
    targets: list[Array | None] = []
    for above in node.inputs:
        if above is None or isinstance(above, Node) or id(above) in seen:
            targets.append(None)
            continue
        seen.add(id(above))
        targets.append(above._grad_target())
    return tuple(targets)


def _call_hooks(hooks: Hooks, g: Array) -> Array:
    from ..tensor import Tensor

    for hook in list(hooks.values()):
        if isinstance(hook, Afterwards):
            continue
        result = call(False, hook, Tensor._wrap(g))
        if result is not None:
            if not isinstance(result, Tensor) or result._array.shape != g.shape:
                raise RuntimeError(f"a hook must return a gradient of shape {g.shape} or None, not {result!r}")
            g = elementwise.cast(result._array, g.dtype)
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


def _listed(x: Any) -> list[Any]:
    """One tensor (or None) or a sequence of them as a list."""
    return list(x) if isinstance(x, Sequence | Iterable) and not hasattr(x, "_array") else [x]


def _run(outputs: list[Any], given: Any, wanted: list[Any] | None, retain_graph: bool | None,
         create_graph: bool) -> _Pass:
    """One pass of backward from some tensors."""
    if create_graph:
        raise NotImplementedError("create_graph=True: genesis does not record what backward computes, so gradients "
                                  "have no gradients of their own")
    gradients = [None] * len(outputs) if given is None else _listed(given)
    if len(gradients) != len(outputs):
        raise RuntimeError(f"{len(outputs)} tensors need as many gradients, not {len(gradients)}")
    starts = [_start(tensor, gradient) for tensor, gradient in zip(outputs, gradients)]
    roots = [source(tensor) for tensor in outputs]
    work = _Pass(roots, wanted, bool(retain_graph))
    for root, start in zip(roots, starts):
        work.send(root, start)
        if work.parts:
            work._count_parts((root,))
    work.run()
    return work


def backward(tensors: Tensor | Sequence[Tensor], grad_tensors: Any = None, retain_graph: bool | None = None,
             create_graph: bool = False, inputs: Tensor | Sequence[Tensor] | None = None) -> None:
    """Compute the gradients of all leaves that ``tensors`` were made from and add them to their ``.grad``.

    Args:
        tensors: one or several tensors.
        grad_tensors: the gradient of each; may be None for tensors of one element.
        retain_graph: keep what backward needs, so that it can run again.
        create_graph: not supported; must be False.
        inputs: add only to the ``.grad`` of these tensors, which need not be leaves; nothing is computed that only
            others need.

    Raises:
        RuntimeError: a tensor requires no gradient, or the graph was freed by an earlier call.
        NotImplementedError: ``create_graph`` is True.

    Example:
        >>> x = genesis.tensor([1.0, 2.0], requires_grad=True)
        >>> genesis.autograd.backward((x * x).sum())
        >>> x.grad
        tensor([2., 4.])
    """
    from ..tensor import Tensor

    if inputs is None:
        _run(_listed(tensors), grad_tensors, None, retain_graph, create_graph)
        return
    targets = _listed(inputs)
    if not targets:
        raise RuntimeError("inputs must not be empty; None stands for all leaves")
    wanted = [_wanted(x, i) for i, x in enumerate(targets)]
    work = _run(_listed(tensors), grad_tensors, wanted, retain_graph, create_graph)
    for x, target in {id(t): (x, t) for x, t in zip(targets, wanted)}.values():
        found = work.results.get(id(target))
        if found is None or x._retains is not None:      # what retain_grad() keeps is there already
            continue
        if isinstance(target, Node):
            x._grad = Tensor._wrap(found if x._grad is None else _add(x._grad._array, found))
        else:
            x._accumulate_grad(found, False)
            call_afterwards(x)


def grad(outputs: Tensor | Sequence[Tensor], inputs: Tensor | Sequence[Tensor], grad_outputs: Any = None,
         retain_graph: bool | None = None, create_graph: bool = False, allow_unused: bool | None = None,
         materialize_grads: bool = False) -> tuple[Any, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``, returned instead of added to ``.grad``.

    Args:
        outputs: one or several tensors.
        inputs: one or several tensors that they were made from, leaves or not.
        grad_outputs: the gradient of each output; may be None for those of one element.
        retain_graph: keep what backward needs, so that it can run again.
        create_graph: not supported; must be False.
        allow_unused: return None for inputs that were not used, instead of an error.
        materialize_grads: return zeros for them.

    Returns:
        One tensor an input.

    Raises:
        RuntimeError: an input was not used and ``allow_unused`` is False, or it requires no gradient.
        ValueError: ``materialize_grads`` is True and ``allow_unused`` is False.
        NotImplementedError: ``create_graph`` is True.

    Example:
        >>> x = genesis.tensor(3.0, requires_grad=True)
        >>> genesis.autograd.grad(x ** 2, x)
        (tensor(6.),)
    """
    from ..tensor import Tensor

    if materialize_grads and allow_unused is False:
        raise ValueError("materialize_grads=True returns zeros for inputs that were not used, which allow_unused=False "
                         "forbids")
    listed = _listed(inputs)
    wanted = [_wanted(x, i) for i, x in enumerate(listed)]
    work = _run(_listed(outputs), grad_outputs, wanted, retain_graph, create_graph)
    results: list[Any] = []
    for i, (x, target) in enumerate(zip(listed, wanted)):
        found = work.results.get(id(target))
        if found is not None:
            results.append(Tensor._wrap(found))
        elif materialize_grads:
            results.append(Tensor._wrap(elementwise.full(x.device, x._array.shape, 0, x.dtype)))
        elif allow_unused:
            results.append(None)
        else:
            raise RuntimeError(f"input {i} was not used to make the outputs; allow_unused=True returns None for it")
    return tuple(results)


def _wanted(x: Tensor, i: int) -> Any:
    target = source(x)
    if target is None:
        raise RuntimeError(f"input {i} does not require a gradient")
    return target
