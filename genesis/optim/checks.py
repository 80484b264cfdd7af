"""Checks of optimizers' arguments: each error names the argument, its value and what is allowed."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


class _Required:
    def __repr__(self) -> str:
        return "<required>"


Check = Callable[[str, Any], Any]         # name and value -> the value to use; ValueError for one that is not allowed
Checks = Mapping[str, Check]

FLOAT32_MAX = float(np.finfo(np.float32).max)

required: Any = _Required()      # the default of a hyperparameter that has none


def number(name: str, value: Any, low: float = -math.inf, high: float = math.inf, *, open_high: bool = False) -> float:
    """The value as a float; ``ValueError`` unless it is a finite number from ``low`` to ``high``."""
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ValueError(f"{name} must be a number, got {value!r}")
    x = float(value)
    if not math.isfinite(x) or x < low or x > high or (open_high and x == high):
        limits = {(-math.inf, math.inf): "finite", (0.0, math.inf): "finite and at least 0"}.get(
            (low, high), f"from {low:g} to {high:g}" + (", not including the latter" if open_high else ""))
        raise ValueError(f"{name} must be {limits}, got {value!r}")
    return x


def within(low: float, high: float = math.inf) -> Check:
    """A check that a value is a finite number from ``low`` to ``high``."""
    return lambda name, value: number(name, value, low, high)


def two(name: str, value: Any) -> tuple[Any, ...]:
    """The value as a tuple; ``ValueError`` unless it holds two."""
    try:
        pair = tuple(value)
    except TypeError:
        pair = ()
    if len(pair) != 2:
        raise ValueError(f"{name} must be two numbers, got {value!r}")
    return pair


def _betas(name: str, value: Any) -> tuple[float, ...]:
    return tuple(number(f"{name}[{i}]", b, 0.0, 1.0, open_high=True) for i, b in enumerate(two(name, value)))


def at_most_infinite(name: str, value: Any) -> float:
    """The value as a float, which may be infinity, unlike that of `number`."""
    return math.inf if isinstance(value, float) and value == math.inf else number(name, value)


def _flag(name: str, value: Any) -> bool:
    if value not in (True, False):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return bool(value)


# What a hyperparameter of a name that several optimizers have may be; a class's `own_checks` say it for the others.
TABLE: Checks = {
    "lr": within(0.0),
    "betas": _betas,
    "eps": within(0.0),
    "weight_decay": within(0.0),
    "momentum": within(0.0),
    "dampening": number,
    "nesterov": _flag,
    "amsgrad": _flag,
    "centered": _flag,
    "decoupled_weight_decay": _flag,
    "maximize": _flag,
}


def hyperparameters(values: Mapping[str, Any], own: Checks | None) -> dict[str, Any]:
    """The values, checked and as plain Python numbers; keys that the table does not know pass as they are.

    Args:
        values: by name.
        own: an optimizer's own checks, which go before the table's; None leaves all values as they are.
    """
    if own is None:
        return dict(values)
    known = {**TABLE, **own}
    return {name: known[name](name, value) if name in known and value is not required else value
            for name, value in values.items()}


def state_number(name: str, value: Any, own: Checks) -> float:
    """A number of a parameter's state, as the optimizer's own check of that name wants it; any finite one without."""
    x: float = own.get(name, number)(name, value)
    return x


def max_grad_norm(value: Any) -> float | None:
    """None, or a number above 0; infinity computes the norm without clipping."""
    if value is None or value == math.inf:
        return value
    x = number("max_grad_norm", value, 0.0)
    if x == 0:
        raise ValueError("max_grad_norm must be above 0, got 0; set lr to 0 to stop updates")
    return x
