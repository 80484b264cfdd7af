"""Backward: gradients on their way through the graph."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .. import tracing
from ..dtypes import DType
from ..hooks import Hooks
from ..ops import elementwise, sparse
from ..ops.array import Array
from ..ops.operation import Context
from ..ops.ownership import is_only_here
from ..ops.sparse import SparseRows
from . import anomaly
from .graph import Node, Output, source
from .notify import Afterwards, call_afterwards, run_hooks
from .regions import Pending

if TYPE_CHECKING:
    from ..tensor import Tensor

FREED = ("backward ran through this graph before, and what it needs was freed: call it with retain_graph=True the "
         "first time if it is to run twice")


def _add(a: Any, b: Any) -> Any:
    if type(a) is SparseRows or type(b) is SparseRows:
        return sparse.add(a, b)
    return elementwise.run("add", [a, b], a.dtype)


class Pass:
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
            self._survey(roots, wanted)

    def _survey(self, roots: Iterable[Any], wanted: Sequence[Any] | None) -> None:
        """Find the nodes that lead to what is wanted, or the number of parts of the gradients of leaves with hooks."""
        # An operation comes after those that made its inputs: none before all that is wanted leads to any of it.
        nodes = wanted is not None and all(isinstance(target, Node) for target in wanted)
        oldest = min((target.sequence for target in wanted or ()), default=-1) if nodes else -1
        found = {root for root in roots if isinstance(root, Node)}
        waiting = list(found)
        while waiting:
            node = waiting.pop()
            if node.sequence < oldest:
                continue
            for above in node.inputs:
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

    def send(self, target: Any, g: Array, written: bool = False, free: bool = False) -> None:
        """Deliver a gradient to a node or a leaf; what is said of it, see `accumulate`."""
        if not isinstance(target, Node):
            self._send_leaf(target, g, written, free)
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
            self.merge(target, before, g)

    def merge(self, target: Node, before: Any, g: Any) -> None:
        """Add a second gradient to the one that is pending for a node."""
        self.pending[target] = self.add(before, g)
        self.owned.add(target)

    def own(self, target: Any, g: Any) -> None:
        """Note that a gradient, if it is the one pending, is memory that nobody else knows."""
        if isinstance(target, Node) and self.pending.get(target) is g:
            self.owned.add(target)

    def _send_leaf(self, leaf: Tensor, g: Array, written: bool, free: bool) -> None:
        if self.wanted is None and not leaf._hooks:
            self.accumulate(leaf, g, written, free)
        elif self.wanted is None or id(leaf) in self.wanted:
            held = self.leaves.get(id(leaf))
            self.leaves[id(leaf)] = leaf, g if held is None else self.add(held[1], g)

    def run(self) -> None:
        """Work through the graph, letting go of each node's memory when it is done."""
        while self.queue:
            _, node = heapq.heappop(self.queue)
            g = self.pending.pop(node)
            if node.hooks:
                g = self.call_hooks(node.hooks, g)
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
            if tracing.recorder is None:
                grads = self.differentiate(node, context, g)
            else:
                grads = tracing.recorder.backward(self.differentiate, node, context, g)
            targets, context.targets = context.targets, (None,) * len(node.inputs)
            so_far, context.so_far = context.so_far, None
            if so_far is not None and grads is so_far:         # it is pending already
                grads = None
            casts = context.casts
            grads = list(grads) if isinstance(grads, tuple) else [grads]
            if anomaly.state.enabled:
                anomaly.check(node, grads)
            if not self.retain_graph:
                node.context = None
                context.clear()
            del g, context
            for i, above in enumerate(node.inputs[:len(grads)]):
                if above is None or grads[i] is None:
                    continue
                free = self.is_free(above, grads, i)
                gradient, grads[i] = grads[i], None
                if casts is not None and casts[i] is not None:
                    gradient = self._uncast(above, gradient, casts[i])
                self.send(above, gradient, bool(targets) and gradient is targets[i], free)
                if node.operation.adds:
                    self.own(above, gradient)
                del gradient
            if self.parts:
                self._count_parts(node.inputs)
        for leaf, g in list(self.leaves.values()):
            self._deliver(leaf, g)

    def _uncast(self, above: Any, g: Array, dtype: DType) -> Array:
        """The gradient of what autocast converted, in the type from before; a leaf does it as it adds it up."""
        direct = self.wanted is None and not isinstance(above, Node) and not above._hooks
        return g if direct else self.cast(g, dtype)

    def _collect(self, output: Output, g: Array) -> None:
        """Put the gradient of one result beside those of the operation's other results."""
        node = output.inputs[0]
        parts = self.pending.get(node)
        if parts is None:
            parts = self.pending[node] = [None] * node.outputs
            heapq.heappush(self.queue, (-node.sequence, node))
        before = parts[output.index]
        parts[output.index] = g if before is None else self.add(before, g)

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
            g = self.call_hooks(leaf._hooks, g)
        if self.wanted is not None:
            self.results[id(leaf)] = g
            return
        self.accumulate(leaf, g)
        call_afterwards(leaf)

    # What is done with gradients, here arrays; `recorded.RecordedPass` does the same with tensors.

    add = staticmethod(_add)
    cast = staticmethod(elementwise.fitting)

    def start(self, tensor: Tensor, gradient: Tensor | None) -> Any:
        """The gradient that a tensor begins with."""
        if gradient is None:
            return elementwise.full(tensor.device, tensor._array.shape, 1.0, tensor.dtype)
        return elementwise.fitting(gradient._array, tensor.dtype)

    def differentiate(self, node: Node, context: Context, g: Any) -> Any:
        """The gradients of a node's inputs, given that of its result or, in a list, of its results."""
        if self.wanted is None and node.operation.into_targets:
            context.targets = _targets(node)
        if node.operation.adds:
            known = node.inputs[0] in self.owned and context.casts is None
            context.so_far = self.pending.get(node.inputs[0]) if known else None
        return node.operation.backward(context, *(g if isinstance(g, list) else (g,)))     # a list: see _collect

    def call_hooks(self, hooks: Hooks, g: Any) -> Any:
        """The gradient that a tensor's hooks make of its gradient."""
        from ..sparse import content, wrapped

        return content(run_hooks(hooks, wrapped(g), False))

    def is_free(self, above: Any, grads: list[Any], index: int) -> bool:
        """Whether a gradient may become a leaf's ``.grad`` without a copy: nobody else looks at its memory."""
        return (not isinstance(above, Node) and above._slot is None and above._grad is None
                and is_only_here(grads, index))

    def accumulate(self, leaf: Tensor, g: Any, written: bool = False, free: bool = False) -> None:
        """Add to the ``.grad`` of a leaf a gradient that is ``written`` to its memory already, or `is_free`."""
        if type(g) is SparseRows:
            from ..sparse import accumulate

            accumulate(leaf, g)
        elif tracing.recorder is None:
            leaf._accumulate_grad(g, written, free)
        else:
            tracing.recorder.call("torch::autograd::AccumulateGrad", leaf._accumulate_grad, g, written, free)

    def accumulate_inside(self, x: Tensor, g: Any) -> None:
        """Add to the ``.grad`` of a tensor that is not a leaf."""
        from ..tensor import Tensor

        x._grad = Tensor._wrap(g if x._grad is None else _add(x._grad._array, g))

    def result(self, target: Any) -> Tensor | None:
        """The gradient of something wanted; None where nothing led to it."""
        from ..sparse import wrapped

        found = self.results.get(id(target))
        return None if found is None else wrapped(found)


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


def _check_start(tensor: Tensor, gradient: Tensor | None) -> None:
    if not tensor.requires_grad:
        raise RuntimeError("this tensor does not require a gradient and was not made from any that does")
    if gradient is None:
        if tensor.numel() != 1:
            raise RuntimeError(f"backward() without a gradient needs a tensor of one element, not of shape "
                               f"{tuple(tensor.shape)}; reduce it, for example with sum(), or give the gradient")
        if tensor.dtype.is_complex:
            raise RuntimeError(f"backward() without a gradient needs a real number, not {tensor.dtype}; a loss is "
                               "real, for example abs() or .real of it")
    elif gradient.shape != tensor.shape:
        raise RuntimeError(f"the gradient has shape {tuple(gradient.shape)}, the tensor {tuple(tensor.shape)}")


def _listed(x: Any) -> list[Any]:
    """One tensor (or None) or a sequence of them as a list."""
    return list(x) if isinstance(x, Sequence | Iterable) and not hasattr(x, "_array") else [x]


def _run(outputs: list[Any], given: Any, wanted: list[Any] | None, retain_graph: bool | None,
         create_graph: bool) -> Pass:
    """One pass of backward from some tensors."""
    gradients = [None] * len(outputs) if given is None else _listed(given)
    if len(gradients) != len(outputs):
        raise RuntimeError(f"{len(outputs)} tensors need as many gradients, not {len(gradients)}")
    for tensor, gradient in zip(outputs, gradients):
        _check_start(tensor, gradient)
    roots = [source(tensor) for tensor in outputs]
    work: Pass
    if create_graph:
        from .recorded import RecordedPass

        work = RecordedPass(roots, wanted, retain_graph is None or bool(retain_graph))
    else:
        work = Pass(roots, wanted, bool(retain_graph))
    for root, tensor, gradient in zip(roots, outputs, gradients):
        work.send(root, work.start(tensor, gradient))
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
        create_graph: record backward itself, so that the gradients have a history and can be differentiated in turn;
            the graph is kept then, unless ``retain_graph`` is False. A leaf and its ``.grad`` then refer to each other
            until that is cleared: `grad` suits second derivatives better.
        inputs: add only to the ``.grad`` of these tensors, which need not be leaves; nothing is computed that only
            others need.

    Raises:
        RuntimeError: a tensor requires no gradient, or the graph was freed by an earlier call.
        SecondDerivativeError: the graph of an earlier call with ``create_graph`` has an operation whose backward
            cannot be differentiated.

    Example:
        >>> x = genesis.tensor([1.0, 2.0], requires_grad=True)
        >>> genesis.autograd.backward((x * x).sum())
        >>> x.grad
        tensor([2., 4.])
    """
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
            work.accumulate_inside(x, found)
        else:
            work.accumulate(x, found)
            call_afterwards(x)


def grad(outputs: Tensor | Sequence[Tensor], inputs: Tensor | Sequence[Tensor], grad_outputs: Any = None,
         retain_graph: bool | None = None, create_graph: bool = False, only_inputs: bool = True,
         allow_unused: bool | None = None, is_grads_batched: bool = False,
         materialize_grads: bool = False) -> tuple[Any, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``, returned instead of added to ``.grad``.

    Args:
        outputs: one or several tensors.
        inputs: one or several tensors that they were made from, leaves or not.
        grad_outputs: the gradient of each output; may be None for those of one element.
        retain_graph: keep what backward needs, so that it can run again.
        create_graph: record backward itself, so that the gradients have a history and can be differentiated in turn;
            the graph is kept then, unless ``retain_graph`` is False.
        only_inputs: accepted as PyTorch has it; gradients of other leaves are never accumulated here.
        allow_unused: return None for inputs that were not used, instead of an error.
        is_grads_batched: the tensors of ``grad_outputs`` have a dimension in front, and so have the gradients: backward
            runs once for each of its elements, and the gradients are stacked.
        materialize_grads: return zeros for them.

    Returns:
        One tensor an input.

    Raises:
        RuntimeError: an input was not used and ``allow_unused`` is False, or it requires no gradient.
        ValueError: ``materialize_grads`` is True and ``allow_unused`` is False.
        SecondDerivativeError: the graph of an earlier call with ``create_graph`` has an operation whose backward
            cannot be differentiated.

    Example:
        >>> x = genesis.tensor(3.0, requires_grad=True)
        >>> genesis.autograd.grad(x ** 2, x)
        (tensor(6.),)
        >>> (slope,) = genesis.autograd.grad(x ** 3, x, create_graph=True)
        >>> genesis.autograd.grad(slope, x)
        (tensor(18.),)
    """
    from ..tensor import Tensor

    if materialize_grads and allow_unused is False:
        raise ValueError("materialize_grads=True returns zeros for inputs that were not used, which allow_unused=False "
                         "forbids")
    if is_grads_batched:
        return _batched(outputs, inputs, _listed(grad_outputs), retain_graph, create_graph, allow_unused,
                        materialize_grads)
    listed = _listed(inputs)
    wanted = [_wanted(x, i) for i, x in enumerate(listed)]
    work = _run(_listed(outputs), grad_outputs, wanted, retain_graph, create_graph)
    results: list[Any] = []
    for i, (x, target) in enumerate(zip(listed, wanted)):
        found = work.result(target)
        if found is not None:
            results.append(found)
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


def _batched(outputs: Any, inputs: Any, grad_outputs: Sequence[Any], retain_graph: bool | None, create_graph: bool,
             allow_unused: bool | None, materialize_grads: bool) -> tuple[Any, ...]:
    """`grad` for each row of ``grad_outputs``."""
    from ..joining import stack

    counts = {len(g) for g in grad_outputs if g is not None}
    if len(counts) != 1:
        raise RuntimeError("is_grads_batched=True needs grad_outputs with one size of their first dimension, got "
                           f"{sorted(counts)}")
    (count,) = counts
    rows = [grad(outputs, inputs, [None if g is None else g[i] for g in grad_outputs],
                 i + 1 < count or (create_graph if retain_graph is None else retain_graph), create_graph,
                 allow_unused=allow_unused, materialize_grads=materialize_grads) for i in range(count)]
    return tuple(None if column[0] is None else stack(column) for column in zip(*rows))
