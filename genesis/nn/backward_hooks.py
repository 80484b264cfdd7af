"""Hooks on the gradients of a module's inputs and results."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ..autograd import Function, is_grad_enabled
from ..creation import zeros
from ..tensor import Tensor

Gradients = tuple[Tensor | None, ...]


class _Boundary(Function):
    """Passes tensors on, and shows a function their gradients on the way back; it returns those to go on with."""

    @staticmethod
    def forward(ctx: Any, react: Callable[[Gradients], Gradients], *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.react = react
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*[x for x in tensors if not x.requires_grad])
        return tensors

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        return (None, *ctx.react(gradients))


class Passage:
    """One call of a module: what its backward hooks are shown, and where.

    Args:
        module: the module.
        hooks: called with the module and the gradients of inputs and of results.
        pre_hooks: called with the module and the gradients of results.
    """

    def __init__(self, module: Any, hooks: list[Callable[..., Any]], pre_hooks: list[Callable[..., Any]]):
        self.module, self.hooks, self.pre_hooks = module, hooks, pre_hooks
        self.inputs = 0
        self.watched = False                        # whether an input requires a gradient
        self.gradients: Gradients | None = None     # those of the results

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments to call forward with."""
        self.inputs = len(args)
        self.watched = is_grad_enabled() and any(isinstance(x, Tensor) and x.requires_grad for x in args)
        return _guard(args, self._inputs, True) if self.watched and self.hooks else args

    def leave(self, result: Any) -> Any:
        """The result to return."""
        several = isinstance(result, tuple)
        results = result if several else (result,)
        if not is_grad_enabled() or not any(isinstance(x, Tensor) and x.requires_grad for x in results):
            return result
        guarded = _guard(results, self._results, False)
        return guarded if several else guarded[0]

    def _results(self, gradients: Gradients) -> Gradients:
        for hook in self.pre_hooks:
            gradients = _replaced(hook(self.module, gradients), gradients, "pre-hook")
        if self.watched:
            self.gradients = gradients
        elif self.hooks:
            warnings.warn(f"a full backward hook of {type(self.module).__name__} is called when the gradients of its "
                          "results are there, since none of its inputs requires a gradient", stacklevel=2)
            for hook in self.hooks:
                found = hook(self.module, (None,) * self.inputs, gradients)
                if found is not None and any(g is not None for g in found):
                    raise RuntimeError("a full backward hook of a module whose inputs require no gradient must return "
                                       "None")
        return gradients

    def _inputs(self, gradients: Gradients) -> Gradients:
        if self.gradients is None:        # they do not come by way of the results, as when gradients are differentiated
            return gradients
        for hook in self.hooks:
            gradients = _replaced(hook(self.module, gradients, self.gradients), gradients, "hook")
        self.gradients = None
        return gradients


def _guard(values: tuple[Any, ...], react: Callable[[Gradients], Gradients], fill: bool) -> tuple[Any, ...]:
    """The values, with a boundary at the tensors among them; ``react`` gets None for the others.

    It gets zeros for tensors without a gradient if ``fill``, else None.
    """
    places = [i for i, x in enumerate(values) if isinstance(x, Tensor)]
    about = [(values[i].shape, values[i].dtype, values[i].device) for i in places]

    def only_tensors(gradients: Gradients) -> Gradients:
        every: list[Tensor | None] = [None] * len(values)
        for i, g, (shape, dtype, device) in zip(places, gradients, about):
            every[i] = zeros(*shape, dtype=dtype, device=device) if g is None and fill else g
        found = react(tuple(every))
        return tuple([found[i] for i in places])

    kept = list(values)
    for i, x in zip(places, _Boundary.apply(only_tensors, *[values[i] for i in places])):
        kept[i] = x
    return tuple(kept)


def _replaced(found: Any, before: Gradients, kind: str) -> Gradients:
    if found is None:
        return before
    found = found if isinstance(found, tuple) else (found,)
    if len(found) != len(before):
        raise RuntimeError(f"a full backward {kind} must return None or {len(before)} gradients, not {len(found)}")
    return found
