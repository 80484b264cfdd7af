"""Checks of what callers hand in, with errors that name the argument and the value."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol


class HasParamGroups(Protocol):
    """What a scheduler needs of an optimizer: a list of dicts, each with its ``"lr"``."""

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """One dict a parameter group, as in PyTorch."""
        ...


def check_optimizer(optimizer: Any) -> HasParamGroups:
    """Return ``optimizer`` if it has parameter groups; raise ``TypeError`` otherwise."""
    groups = getattr(optimizer, "param_groups", None)
    if not isinstance(groups, Sequence) or not all(isinstance(group, Mapping) for group in groups):
        raise TypeError(
            f"{type(optimizer).__name__} is not an Optimizer: optimizer must have `param_groups`, a list of dicts"
        )
    return optimizer


def real(
    name: str,
    value: Any,
    low: float | None = None,
    high: float | None = None,
    *,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """Return ``value`` as a plain finite number inside ``[low, high]``, ``above`` and ``below`` being open ends.

    Raises ``TypeError`` if it is no number and ``ValueError`` if it is out of range. NumPy scalars become Python
    numbers, so that they can be saved.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r} of type {type(value).__name__}")
    number = int(value) if isinstance(value, numbers.Integral) else float(value)
    bounds = [(low, ">="), (above, ">"), (high, "<="), (below, "<")]
    wanted = " and ".join(f"{sign} {bound}" for bound, sign in bounds if bound is not None)
    inside = (
        math.isfinite(number)
        and (low is None or number >= low)
        and (above is None or number > above)
        and (high is None or number <= high)
        and (below is None or number < below)
    )
    if not inside:
        raise ValueError(f"{name} must be finite{wanted and ' and ' + wanted}, got {value!r}")
    return number


def count(name: str, value: Any, low: int | None = 0) -> int:
    """Return ``value`` as an int of at least ``low``; a float that is a whole number will do."""
    number = real(name, value, low)
    if number != int(number):
        raise ValueError(f"{name} must be an integer, got {value!r}")
    return int(number)


def positive_int(name: str, value: Any) -> int:
    """Return ``value`` as a positive int; unlike `count`, refuse floats, as PyTorch does for these arguments."""
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        raise ValueError(f"Expected positive integer {name}, but got {value!r}")
    return count(name, value, 1)


def choice(name: str, value: Any, options: Sequence[str]) -> str:
    """Return ``value`` if it is one of ``options``; raise ``ValueError`` otherwise."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}")
    return value


def per_group(name: str, value: Any, optimizer: HasParamGroups, low: float | None = 0.0) -> list[float]:
    """Spread one number over all parameter groups, or check that a list has one for each."""
    groups = len(optimizer.param_groups)
    if isinstance(value, (list, tuple)):
        if len(value) != groups:
            raise ValueError(
                f"{name} must have the same length as optimizer.param_groups: "
                f"{name} has {len(value)} values, param_groups has {groups}"
            )
        return [real(f"{name}[{i}]", item, low) for i, item in enumerate(value)]
    return [real(name, value, low)] * groups


def items(name: str, values: Any) -> list[Any]:
    """Return the items of an iterable argument as a list; raise ``TypeError`` if it is not one."""
    if isinstance(values, (str, Mapping)) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a list, got {values!r} of type {type(values).__name__}")
    return list(values)
