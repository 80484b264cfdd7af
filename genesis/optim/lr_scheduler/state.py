"""What goes into a state dict: plain values only, and the attributes of callable objects."""

from __future__ import annotations

import numbers
import types
from collections.abc import Callable, Mapping
from typing import Any


def plain(value: Any) -> Any:
    """Copy ``value`` into numbers, strings, lists, dicts and None.

    Tuples become lists and NumPy scalars Python numbers. An object of any other type, which only a subclass or a
    callable written by the user can hold, is handed on as it is: `genesis.save` says so if it cannot write it.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _has_state(fn: object) -> bool:
    # A method's or a class's __dict__ belongs to the class, not to what the user configured.
    stateless = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, type)
    return not isinstance(fn, stateless) and hasattr(fn, "__dict__")


def callable_state(fn: object) -> dict[str, Any] | None:
    """Return the attributes of a callable object, or None for a function, which a checkpoint cannot hold."""
    return plain(vars(fn)) if _has_state(fn) else None


def check_callable_state(name: str, fn: object, saved: Any) -> None:
    """Raise ``ValueError`` if attributes were saved and ``fn`` has no place to put them."""
    if saved and not _has_state(fn):
        raise ValueError(
            f"the state holds attributes of a callable object for {name} ({', '.join(saved)}), "
            f"but {name} is {fn!r}, which has none; construct the scheduler with the same kind of callable"
        )


def load_callable_state(fn: object, saved: Mapping[str, Any] | None) -> None:
    """Put back what `callable_state` returned."""
    for key, value in (saved or {}).items():
        was_tuple = isinstance(vars(fn).get(key), tuple)
        vars(fn)[key] = tuple(plain(value)) if was_tuple else plain(value)


def describe_callable(fn: Callable[..., Any]) -> str:
    """Name a callable for a repr: ``warmup(steps=10)`` for a partial, the name for a function."""
    inner = getattr(fn, "func", None)
    if inner is not None:
        settings = ", ".join(f"{key}={value!r}" for key, value in getattr(fn, "keywords", {}).items())
        return f"{describe_callable(inner)}({settings})"
    return getattr(fn, "__name__", type(fn).__name__)
