"""Activation checkpointing: less memory for more computation (Chen et al. 2016; arXiv:1604.06174).

What operations inside a checkpointed function would keep for backward is not kept; when backward gets there, the
function runs again. Random numbers are the same again, and so is autocast.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from ..autograd import casting, enable_grad, is_grad_enabled
from ..autograd.regions import RecomputationError, Region, current
from ..errors import GenesisError
from ..random import default_generator

Contexts = tuple[contextlib.AbstractContextManager[Any], contextlib.AbstractContextManager[Any]]


def _no_contexts() -> Contexts:
    return contextlib.nullcontext(), contextlib.nullcontext()


def _tensors(x: Any) -> list[Any]:
    """The tensors in nested arguments."""
    if hasattr(x, "_array"):
        return [x]
    if isinstance(x, dict):
        return [t for value in x.values() for t in _tensors(value)]
    return [t for value in x for t in _tensors(value)] if isinstance(x, list | tuple) else []


class _Call:
    """A function with its arguments, to be run again as it ran the first time."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any],
                 preserve_rng_state: bool, context: contextlib.AbstractContextManager[Any]):
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.context = context
        self.versions = [(x._array, x._array.version.now) for x in _tensors([args, kwargs])]
        self.generator = default_generator.get_state() if preserve_rng_state else None
        self.autocast = casting.enabled(), *casting.setting()[1:]

    def __call__(self) -> None:
        for array, version in self.versions:
            if array.version.now != version:
                raise GenesisError(f"an argument of shape {array.shape} of a checkpointed function was changed in "
                                   "place before backward ran the function again; clone() it")
        before = default_generator.get_state()
        setting = casting.enter(self.autocast)
        try:
            if self.generator is not None:
                default_generator.set_state(self.generator)
            with enable_grad(), self.context:
                self.function(*self.args, **self.kwargs)
        finally:
            casting.leave(setting)
            if self.generator is not None:
                default_generator.set_state(before)


def checkpoint(function: Callable[..., Any], *args: Any, use_reentrant: bool | None = False,
               context_fn: Callable[[], Contexts] = _no_contexts, determinism_check: str = "default",
               debug: bool = False, preserve_rng_state: bool = True, **kwargs: Any) -> Any:
    """Run ``function(*args, **kwargs)`` without keeping what its backward needs; backward runs the function again.

    Gradients are the same as without, also those of tensors that the function does not get as arguments, such as a
    module's parameters. Checkpoints may lie inside one another.

    Args:
        function: what to run; it must do the same operations both times.
        args, kwargs: its arguments.
        use_reentrant: accepted as PyTorch has it; both values mean the same here.
        context_fn: returns two context managers, for the first run and for the second.
        determinism_check: ``"default"``: the second run must record the same operations; ``"none"``: as many.
        debug: accepted as PyTorch has it.
        preserve_rng_state: draw the same random numbers again.

    Returns:
        What the function returns.

    Raises:
        RecomputationError: from backward, when the second run differs from the first.

    Example:
        >>> layer = genesis.nn.Linear(2, 2)
        >>> x = genesis.ones(1, 2)
        >>> y = genesis.utils.checkpoint.checkpoint(lambda x: layer(x).tanh(), x)
        >>> y.sum().backward()
        >>> layer.weight.grad.shape
        genesis.Size([2, 2])
    """
    if determinism_check not in ("default", "none"):
        raise ValueError(f"determinism_check must be 'default' or 'none', not {determinism_check!r}")
    if not is_grad_enabled():
        return function(*args, **kwargs)
    if use_reentrant and not any(x.requires_grad for x in _tensors([args, kwargs])):
        warnings.warn("none of the arguments of this checkpoint requires a gradient; with use_reentrant=True PyTorch "
                      "would compute none, genesis computes those of the parameters", stacklevel=2)
    first, second = context_fn()
    region = Region(_Call(function, args, kwargs, preserve_rng_state, second), strict=determinism_check == "default")
    outer = current()
    if outer is not None:
        region.outer = outer
        outer.inner.append(region)
    with region, first:
        result = function(*args, **kwargs)
    if outer is not None and not outer.keep:
        region.rerun = None          # the outer region, run again, makes it anew
    return result


def checkpoint_sequential(functions: Any, segments: int, input: Any, use_reentrant: bool | None = False,
                          **kwargs: Any) -> Any:
    """Run modules one after the other, in segments of which all but the last are checkpointed.

    Args:
        functions: `nn.Sequential`, or a sequence of functions of one argument.
        segments: into how many to divide them, at least 1 and at most their number.
        input: of the first.
        use_reentrant: see `checkpoint`.
        kwargs: ``preserve_rng_state``, see `checkpoint`.

    Returns:
        What the last one returns.

    Example:
        >>> model = genesis.nn.Sequential(*[genesis.nn.Linear(2, 2) for _ in range(4)])
        >>> genesis.utils.checkpoint.checkpoint_sequential(model, 2, genesis.ones(1, 2)).shape
        genesis.Size([1, 2])
    """
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("unexpected arguments: " + ", ".join(kwargs))
    steps: Sequence[Callable[[Any], Any]] = list(functions.children() if hasattr(functions, "children") else functions)
    if not 1 <= segments <= max(len(steps), 1):
        raise ValueError(f"segments must be between 1 and the number of functions, {len(steps)}; got {segments}")

    def part(first: int, last: int) -> Callable[[Any], Any]:
        def run(x: Any) -> Any:
            for step in steps[first:last]:
                x = step(x)
            return x

        return run

    size = len(steps) // segments
    for start in range(0, size * (segments - 1), size):
        input = checkpoint(part(start, start + size), input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return part(size * (segments - 1), len(steps))(input)


__all__ = ["RecomputationError", "checkpoint", "checkpoint_sequential"]
