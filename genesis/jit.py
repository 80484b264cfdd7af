"""What models say to PyTorch's compilers. Nothing is compiled ahead here, so functions and modules stay as they are.

Kernels are compiled when they are first used, and kept between processes. There is no ``trace`` and nothing to export
a model to: `genesis.save` its state dict.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

__all__ = ["Final", "annotate", "export", "ignore", "is_scripting", "is_tracing", "script", "script_if_tracing",
           "unused"]

T = TypeVar("T")


def is_scripting() -> bool:
    """False."""
    return False


def is_tracing() -> bool:
    """False."""
    return False


def script(obj: T, *args: Any, **kwargs: Any) -> T:
    """The function, class or module itself; further arguments are accepted as PyTorch has them.

    Example:
        >>> @genesis.jit.script
        ... def mish(x):
        ...     return x * genesis.nn.functional.softplus(x).tanh()
        >>> mish(genesis.zeros(2))
        tensor([0., 0.])
    """
    return obj


def script_if_tracing(fn: T) -> T:
    """The function itself."""
    return fn


def export(fn: T) -> T:
    """The function itself."""
    return fn


def unused(fn: T) -> T:
    """The function itself."""
    return fn


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """The function itself: ``@ignore`` and ``@ignore(drop=True)`` both leave it as it is."""
    return drop if callable(drop) else unused


def annotate(the_type: Any, the_value: T) -> T:
    """The value itself."""
    return the_value


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise AttributeError(f"genesis.jit has no {name!r}: models are not exported. Leave the call out, and save what a "
                         "model has learnt with genesis.save(model.state_dict(), path)")
