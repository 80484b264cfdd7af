"""`compile`, and what programs ask PyTorch's compiler; models run as they are, from kernels compiled at first use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["allow_in_graph", "compile", "disable", "is_compiling", "is_exporting"]


def compile(model: Any = None, *, fullgraph: bool = False, dynamic: bool | None = None, backend: Any = None,
            mode: str | None = None, options: Any = None, disable: bool = False) -> Any:
    """The module or function itself: there is nothing further to compile, and results do not depend on it.

    Args:
        model: a module or function; without one, a decorator is returned.
        fullgraph, dynamic, backend, mode, options, disable: accepted as PyTorch has them.

    Raises:
        TypeError: ``model`` cannot be called.

    Example:
        >>> model = genesis.nn.Linear(3, 2)
        >>> genesis.compile(model, mode="max-autotune") is model
        True
    """
    if model is None:
        return compile
    if not callable(model):
        raise TypeError(f"compile takes a module or a function, not {type(model).__name__}")
    return model


def disable(fn: Callable[..., Any] | None = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """The function itself; without one, a decorator. The other arguments are accepted as PyTorch has them."""
    return disable if fn is None else fn


def allow_in_graph(fn: Any) -> Any:
    """The function itself."""
    return fn


def is_compiling() -> bool:
    """False."""
    return False


def is_exporting() -> bool:
    """False."""
    return False


def _assert(condition: Any, message: str) -> None:
    """``AssertionError`` unless the condition holds; models written for PyTorch call this."""
    assert condition, message
