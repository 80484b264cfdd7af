"""Modules without starting values."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

from .. import init
from ..module import Module

T = TypeVar("T", bound=Module)


def skip_init(module_cls: type[T], *args: Any, **kwargs: Any) -> T:
    """Make a module whose parameters have any values, because they will be loaded: nothing is drawn for them.

    Args:
        module_cls: its class, whose constructor takes ``device``.
        args: positional arguments.
        kwargs: keyword arguments.

    Raises:
        RuntimeError: the class is no Module, or takes no ``device``.

    Example:
        >>> genesis.nn.utils.skip_init(genesis.nn.Linear, 5, 1)
        Linear(in_features=5, out_features=1, bias=True)
    """
    if not (isinstance(module_cls, type) and issubclass(module_cls, Module)):
        raise RuntimeError(f"skip_init() needs a class of modules, not {module_cls!r}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError(f"skip_init() needs a class that takes device; {module_cls.__name__} does not")
    with init.skipped():
        return module_cls(*args, **kwargs)
