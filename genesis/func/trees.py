"""Dicts, lists and tuples of tensors, as functions take and return them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..tensor import Tensor


def each(function: Callable[[Tensor], Any], tree: Any) -> Any:
    """Dicts, lists and tuples with each tensor in them replaced; what else there is stays."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, Mapping):
        return {key: each(function, value) for key, value in tree.items()}
    if not isinstance(tree, list | tuple):
        return tree
    parts = [each(function, part) for part in tree]
    return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)


def tensors(tree: Any) -> list[Tensor]:
    """The tensors in it, in order."""
    found: list[Tensor] = []
    each(found.append, tree)
    return found


def rebuilt(tree: Any, values: Any) -> Any:
    """The same form with other values in the tensors' places, in order."""
    values = iter(values)
    return each(lambda _: next(values), tree)
