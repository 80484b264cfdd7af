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


def _at_least_zero(name: str, value: Any) -> float:
    return number(name, value, 0.0)


def _two(name: str, value: Any) -> tuple[Any, ...]:
    try:
        pair = tuple(value)
    except TypeError:
        pair = ()
    if len(pair) != 2:
        raise ValueError(f"{name} must be two numbers, got {value!r}")
    return pair


def _betas(name: str, value: Any) -> tuple[float, ...]:
    return tuple(number(f"{name}[{i}]", b, 0.0, 1.0, open_high=True) for i, b in enumerate(_two(name, value)))


def _at_most_infinite(name: str, value: Any, low: float = -math.inf) -> float:
    return math.inf if isinstance(value, float) and value == math.inf else number(name, value, low)


def _etas(name: str, value: Any) -> tuple[float, ...]:
    minus, plus = _two(name, value)
    pair = number(f"{name}[0]", minus, 0.0, 1.0), number(f"{name}[1]", plus, 1.0)
    if not 0 < pair[0] < 1 < pair[1]:
        raise ValueError(f"{name} must be a number between 0 and 1 and one above 1, got {value!r}")
    return pair


def _step_sizes(name: str, value: Any) -> tuple[float, ...]:
    smallest, largest = _two(name, value)
    low = number(f"{name}[0]", smallest, 0.0)
    high = _at_most_infinite(f"{name}[1]", largest)
    if high < low:
        raise ValueError(f"{name} must be the smallest and the largest step size, in this order, got {value!r}")
    return low, high


def _coefficients(name: str, value: Any) -> tuple[float, ...]:
    try:
        three = tuple(value)
    except TypeError:
        three = ()
    if len(three) != 3:
        raise ValueError(f"{name} must be three numbers, got {value!r}")
    return tuple(number(f"{name}[{i}]", x) for i, x in enumerate(three))


def _iterations(name: str, value: Any) -> int:
    n = number(name, value, 0.0, 99.0)
    if not n.is_integer():
        raise ValueError(f"{name} must be a whole number from 0 to 99, got {value!r}")
    return int(n)


def _adjust_lr_fn(name: str, value: Any) -> str | None:
    if value not in (None, "original", "match_rms_adamw"):
        raise ValueError(f"{name} must be None, 'original' or 'match_rms_adamw', got {value!r}")
    x: str | None = value
    return x


def _flag(name: str, value: Any) -> bool:
    if value not in (True, False):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return bool(value)


# What each hyperparameter that optimizers share may be.
TABLE: dict[str, Callable[[str, Any], Any]] = {
    "lr": _at_least_zero,
    "lr_decay": _at_least_zero,
    "initial_accumulator_value": lambda name, value: number(name, value, 0.0, FLOAT32_MAX),      # states are float32
    "betas": _betas,
    "eps": _at_least_zero,
    "weight_decay": _at_least_zero,
    "momentum_decay": _at_least_zero,
    "beta2_decay": lambda name, value: number(name, value, -math.inf, 0.0),
    "d": lambda name, value: number(name, value, 1.0),
    "mu_product": lambda name, value: number(name, value, 0.0, 1.0),
    "momentum": _at_least_zero,
    "dampening": number,
    "alpha": _at_least_zero,            # of ASGD; RMSprop's, which is a decay rate, is at most 1
    "lambd": _at_least_zero,
    "t0": _at_most_infinite,
    "etas": _etas,
    "step_sizes": _step_sizes,
    "rho": lambda name, value: number(name, value, 0.0, 1.0),
    "nesterov": _flag,
    "ns_coefficients": _coefficients,
    "ns_steps": _iterations,
    "adjust_lr_fn": _adjust_lr_fn,
    "amsgrad": _flag,
    "centered": _flag,
    "decoupled_weight_decay": _flag,
    "maximize": _flag,
}


def hyperparameters(values: Mapping[str, Any],
                    own: Mapping[str, Callable[[str, Any], Any]] | None) -> dict[str, Any]:
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


def state_number(name: str, value: Any) -> float:
    """A number of a parameter's state, checked like the hyperparameter of that name; any finite one without such."""
    x: float = TABLE.get(name, number)(name, value)
    return x


def max_grad_norm(value: Any) -> float | None:
    """None, or a number above 0; infinity computes the norm without clipping."""
    if value is None or value == math.inf:
        return value
    x = number("max_grad_norm", value, 0.0)
    if x == 0:
        raise ValueError("max_grad_norm must be above 0, got 0; set lr to 0 to stop updates")
    return x
