"""Backward that is recorded itself (``create_graph=True``): the gradients are tensors with a history of their own.

The graph is walked as ever. At each node the rule that `genesis.derivatives` has for its operation states backward as
operations on tensors; what the operation saved comes to it as tensors that lead to where the arrays came from. An
operation without a rule computes its gradients as ever, and an error says so where these are to be differentiated.
"""

from __future__ import annotations

import copy
from typing import Any

from ..dtypes import DType
from ..hooks import Hooks
from ..ops.array import Array
from ..ops.operation import Context
from . import casting, graph
from .engine import Pass
from .function import Adapter
from .graph import Node, tensor_behind
from .modes import call
from .notify import run_hooks
from .undifferentiable import undifferentiable


class Recorded:
    """A node's context as a rule sees it.

    Attributes:
        saved: what the operation saved, the arrays as tensors: inputs and results with their history.
        needs: for each input, whether it needs a gradient.
        plain: a copy of the context with the arrays, for the operation's own backward. Unlike the node's it stays when
            the graph is freed.

    What the operation keeps under names of its own has these names here too.
    """

    def __init__(self, node: Node, context: Context, roles: tuple[int | None, ...]):
        self.plain = copy.copy(context)
        self.needs = context.needs
        saved = context.saved
        roles = (*roles, *(None,) * (len(saved) - len(roles)))
        self.saved = tuple([tensor_behind(node, context, role, value) if isinstance(value, Array) else value
                            for role, value in zip(roles, saved)])

        self._place = node, context

    def input(self, i: int, array: Array, dtype: DType) -> Any:
        """Input ``i``, whose element type was ``dtype``, as a tensor from an array that holds its values in another."""
        return tensor_behind(*self._place, i, array, dtype)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)


class RecordedPass(Pass):
    """A pass whose gradients are tensors, made by operations that are recorded."""

    def run(self) -> None:
        """Work through the graph, recording; the types of gradients follow from the forward pass, not from autocast."""
        _, dtype, caching = casting.setting()
        before = casting.enter((False, dtype, caching))
        try:
            call(True, super().run)
        finally:
            casting.leave(before)

    @staticmethod
    def add(a: Any, b: Any) -> Any:
        """The sum of two gradients."""
        return call(True, a.__add__, b)

    @staticmethod
    def cast(x: Any, dtype: DType) -> Any:
        """A gradient in another element type."""
        return x.to(dtype)

    def merge(self, target: Node, before: Any, g: Any) -> None:
        """Replace the pending gradient by a new tensor: others may know the old one."""
        self.pending[target] = self.add(before, g)

    def own(self, target: Any, g: Any) -> None:
        """Nothing: others may know any tensor."""

    def start(self, tensor: Any, gradient: Any) -> Any:
        """The gradient that a tensor begins with: the one that was given with its history."""
        if gradient is None:
            return graph._Tensor._wrap(super().start(tensor, None))
        return call(True, gradient.to, tensor.dtype)

    def differentiate(self, node: Node, context: Context, g: Any) -> Any:
        """Apply the operation's rule."""
        from ..derivatives import find

        gradients = g if isinstance(g, list) else [g]       # a list: see Pass._collect
        if issubclass(node.operation, Adapter):
            return node.operation.recorded(context, node.inputs, gradients)
        rule = find(node.operation)
        if rule is not None:
            found = rule.apply(Recorded(node, context, rule.roles), *gradients)
            if found is not NotImplemented:
                return found
        return self._unruled(node, context, gradients)

    def _unruled(self, node: Node, context: Context, gradients: list[Any]) -> tuple[Any, ...]:
        """The gradients as an ordinary backward computes them."""
        arrays = [None if g is None else g._array for g in gradients]
        found = node.operation.backward(copy.copy(context), *arrays)
        wrap, listed = graph._Tensor._wrap, found if isinstance(found, tuple) else (found,)
        sources = (*(graph.source(g) if g is not None else None for g in gradients), *node.inputs)
        return undifferentiable(tuple([None if x is None else wrap(x) for x in listed]), sources,
                                f"{node.operation.__name__} has no second derivative yet: backward with "
                                "create_graph=True computed its gradients, and they have no gradients of their own")

    def call_hooks(self, hooks: Hooks, g: Any) -> Any:
        """The gradient that a tensor's hooks make of its gradient."""
        return run_hooks(hooks, g, True)

    def is_free(self, above: Any, grads: list[Any], index: int) -> bool:
        """Never: a gradient with a history is part of a graph."""
        return False

    def accumulate(self, leaf: Any, g: Any, written: bool = False, free: bool = False) -> None:
        """Let ``.grad`` be a new tensor."""
        g = call(True, g.to, leaf.dtype)
        before = leaf.grad
        leaf.grad = call(True, g.clone) if before is None else self.add(before, g)

    def accumulate_inside(self, x: Any, g: Any) -> None:
        """The same for a tensor that is not a leaf."""
        x._grad = g if x._grad is None else self.add(x._grad, g)

    def result(self, target: Any) -> Any:
        """The gradient of something wanted, with its history."""
        return self.results.get(id(target))
