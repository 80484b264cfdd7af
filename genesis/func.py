"""Modules as functions of their parameters, and the gradients of functions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from . import autograd
from .autograd.graph import source
from .nn.module import Module
from .tensor import Tensor

__all__ = ["functional_call", "grad", "grad_and_value"]


def functional_call(module: Module, parameter_and_buffer_dicts: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]],
                    args: Any = None, kwargs: Mapping[str, Any] | None = None, *, tie_weights: bool = True,
                    strict: bool = False) -> Any:
    """Call a module with other parameters and buffers, which need not be parameters: gradients flow into them.

    Args:
        module: the module; it is as before afterwards.
        parameter_and_buffer_dicts: name -> tensor, as `Module.named_parameters` names them; or several such dicts. A
            name that is not there keeps its tensor. A buffer that forward changes in place is changed where it is
            given.
        args: a tuple of positional arguments, or a single one.
        kwargs: keyword arguments.
        tie_weights: whether a tensor that the module has under several names is replaced under all of them.
        strict: whether every name must be given, and no others.

    Returns:
        What the module returns.

    Raises:
        ValueError: a name is given twice, or a shared tensor under two names with different values.
        RuntimeError: missing or unexpected names, if ``strict``.

    Example:
        >>> layer = genesis.nn.Linear(2, 1)
        >>> weight = genesis.tensor([[1.0, 2.0]], requires_grad=True)
        >>> y = genesis.func.functional_call(layer, {"weight": weight, "bias": genesis.zeros(1)}, genesis.ones(2))
        >>> y.backward()
        >>> y.item(), weight.grad.tolist(), layer.weight.grad
        (3.0, [[1.0, 1.0]], None)
    """
    dicts = parameter_and_buffer_dicts
    given: dict[str, Tensor] = {}
    for part in [dicts] if isinstance(dicts, Mapping) else dicts:
        twice = sorted(given.keys() & part.keys())
        if twice:
            raise ValueError(f"names are given in several dicts: {', '.join(twice)}")
        given.update(part)
    for name, value in given.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"{name!r} must be a Tensor, not {type(value).__name__}")
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _replaced(module, given, tie_weights, strict):
        return module(*args, **(kwargs or {}))


@contextmanager
def _replaced(module: Module, given: dict[str, Tensor], tie_weights: bool, strict: bool) -> Iterator[None]:
    places: dict[str, tuple[dict[str, Any], str]] = {}
    sharing: dict[int, list[str]] = {}
    for prefix, part in module._paths():
        for store in (part._parameters, part._buffers):
            for name, value in store.items():
                if value is not None:
                    places[prefix + name] = (store, name)
                    sharing.setdefault(id(value), []).append(prefix + name)
    wanted = {name: value for name, value in given.items() if name in places}
    if tie_weights:
        for names in sharing.values():
            values = {id(given[name]): given[name] for name in names if name in given}
            if len(values) > 1:
                raise ValueError(f"these names are of one tensor, but have several values: {', '.join(names)}")
            wanted.update((name, value) for name in names for value in values.values())
    if strict:
        problems = [f"missing: {name}" for name in places if name not in wanted]
        problems += [f"unexpected: {name}" for name in given if name not in places]
        if problems:
            raise RuntimeError(f"the tensors do not fit {type(module).__name__}:\n  " + "\n  ".join(problems))
    before = [(*places[name], places[name][0][places[name][1]]) for name in wanted]
    try:
        for name, value in wanted.items():
            store, key = places[name]
            store[key] = value
        yield
    finally:
        for store, key, value in before:
            store[key] = value


def grad(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The function that computes the gradient of a function.

    Gradients of gradients go too. Where the function depends on other tensors that require gradients, or is called with
    such, the result has a history that leads back to them; no ``.grad`` changes.

    Args:
        func: returns a tensor of one element; with ``has_aux`` a pair of that and anything else.
        argnums: which positional arguments the gradient is of, by number: a tensor, or dicts, lists and tuples of
            them. Of several it is a tuple.
        has_aux: whether to return a pair of the gradient and what else ``func`` returned.

    Returns:
        A function of the same arguments. It returns the gradient in the form of the argument, zeros for tensors that
        were not used.

    Raises:
        RuntimeError: from that function, if ``func`` returns something else.
        TypeError: from it, too, if there is no tensor among the arguments.

    Example:
        >>> slope = genesis.func.grad(lambda x: x ** 3)
        >>> slope(genesis.tensor(2.0)), genesis.func.grad(slope)(genesis.tensor(2.0))
        (tensor(12.), tensor(12.))
        >>> model = genesis.nn.Linear(2, 1, bias=False)
        >>> loss = lambda weights, x: genesis.func.functional_call(model, weights, x).sum()
        >>> genesis.func.grad(loss)(dict(model.named_parameters()), genesis.tensor([3.0, 4.0]))["weight"].tolist()
        [[3.0, 4.0]]
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        result, value = both(*args, **kwargs)
        return (result, value[1]) if has_aux else result

    return gradient


def grad_and_value(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0,
                   has_aux: bool = False) -> Callable[..., Any]:
    """As `grad`, for a pair of the gradient and what ``func`` returned.

    Args:
        func, argnums, has_aux: as there.

    Example:
        >>> genesis.func.grad_and_value(lambda x: (x * x).sum())(genesis.tensor([1.0, 2.0]))
        (tensor([2., 4.]), tensor(5.))
    """
    numbers = argnums if isinstance(argnums, tuple) else (argnums,)

    @functools.wraps(func)
    def gradient_and_value(*args: Any, **kwargs: Any) -> Any:
        given, inputs = list(args), []

        def fresh(x: Tensor) -> Tensor:
            inputs.append(x.view_as(x) if x.requires_grad else x.detach().requires_grad_())
            return inputs[-1]

        with autograd.enable_grad():
            for i in numbers:
                given[i] = _each(fresh, args[i])
            if not inputs:
                raise TypeError(f"no tensors are among the arguments {argnums} that a gradient is wanted of")
            result = func(*given, **kwargs)
            value, aux = result if has_aux else (result, None)
            if not isinstance(value, Tensor) or value.numel() != 1:
                shown = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
                raise RuntimeError(f"grad needs a function that returns a tensor of one element, not {shown}")
            others = _leads_elsewhere(value, inputs)
            found = iter(autograd.grad(value, inputs, create_graph=others, materialize_grads=True)
                         if value.requires_grad else [x.detach() * 0 for x in inputs])
        if not others:
            value, aux = _each(Tensor.detach, (value, aux))
        gradients = tuple(_each(lambda _: next(found), given[i]) for i in numbers)
        return (gradients if isinstance(argnums, tuple) else gradients[0]), (value, aux) if has_aux else value

    return gradient_and_value


def _each(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    """Dicts, lists and tuples with each tensor in them replaced; what else there is stays."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, Mapping):
        return {key: _each(function, value) for key, value in tree.items()}
    if not isinstance(tree, list | tuple):
        return tree
    parts = [_each(function, part) for part in tree]
    return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)


def _leads_elsewhere(x: Tensor, leaves: Sequence[Tensor]) -> bool:
    """Whether a tensor was made from leaves that are not among these."""
    known = {id(leaf) for leaf in leaves}
    waiting, seen = [source(x)], set()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if not isinstance(node, Tensor):
            waiting += node.inputs
        elif id(node) not in known:
            return True
    return False
