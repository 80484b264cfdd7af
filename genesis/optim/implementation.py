"""Arguments by which PyTorch's optimizers are told how to compute: taken by every rule, which has one way only."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import numpy as np


class Implementation(TypedDict, total=False):
    """The arguments; an optimizer's own ``__init__`` hands them to `Optimizer` as ``**implementation``."""

    foreach: bool | None
    capturable: bool | None
    differentiable: bool | None
    fused: bool | None


DEFAULTS: dict[str, bool | None] = {"foreach": None, "capturable": False, "differentiable": False, "fused": None}


def check(given: Mapping[str, Any]) -> None:
    """Refuse values that are no choice, in PyTorch either, and ``differentiable``; other names do not matter.

    Raises:
        ValueError: a value is not True, False or None.
        RuntimeError: ``foreach`` and ``fused`` are both True.
        NotImplementedError: ``differentiable`` is True.
    """
    for name in DEFAULTS:
        value = given.get(name)
        if value is not None and not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name} must be True, False or None, got {value!r}")
    if given.get("foreach") and given.get("fused"):
        raise RuntimeError("foreach and fused cannot both be True: PyTorch has them for two ways to compute, of which "
                           "there is one here, for which neither is needed")
    if given.get("differentiable"):
        raise NotImplementedError("differentiable=True does not exist here: a step writes into the parameters and has "
                                  "no derivative; compute the new parameters from autograd.grad(..., "
                                  "create_graph=True) and call the model with genesis.func.functional_call")


def show(init: Callable[..., Any]) -> None:
    """Let the signature of an ``__init__`` that ends in ``**implementation`` name the arguments one by one."""
    signature = inspect.signature(init)
    *others, last = signature.parameters.values()
    if last.name == "implementation" and last.kind is last.VAR_KEYWORD:
        names = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value, annotation="bool | None")
                 for name, value in DEFAULTS.items()]
        init.__signature__ = signature.replace(parameters=[*others, *names])  # type: ignore[attr-defined]
