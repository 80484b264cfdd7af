"""Modules as functions of their parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..functions import stack
from ..nn.module import Module
from ..tensor import Tensor


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


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and buffers of models of one architecture, each stacked along a new first dimension, for `vmap`.

    Returns:
        The pair (parameters, buffers) of dicts, by name; leaves that require gradients if the models' parameters do.

    Raises:
        RuntimeError: there are no models, or they differ in class, names or what requires gradients.

    Example:
        >>> models = [genesis.nn.Linear(2, 1) for _ in range(3)]
        >>> parameters, buffers = genesis.func.stack_module_state(models)
        >>> parameters["weight"].shape, buffers
        (genesis.Size([3, 1, 2]), {})
    """
    if not models:
        raise RuntimeError("stack_module_state() needs at least one model")
    if len({type(model) for model in models}) > 1 or len({model.training for model in models}) > 1:
        raise RuntimeError("stack_module_state() needs models of one class, all in training or all in evaluation mode")
    stacked: list[dict[str, Any]] = []
    for kind in ("named_parameters", "named_buffers"):
        parts = [dict(getattr(model, kind)()) for model in models]
        if any(part.keys() != parts[0].keys() for part in parts):
            raise RuntimeError("stack_module_state() needs models with the same parameters and buffers")
        stacked.append({})
        for name in parts[0]:
            needs = {part[name].requires_grad for part in parts}
            if len(needs) > 1:
                raise RuntimeError(f"{name} requires a gradient in some models and not in others")
            stacked[-1][name] = stack([part[name].detach() for part in parts]).requires_grad_(needs == {True})
    return stacked[0], stacked[1]
