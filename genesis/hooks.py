"""Functions that users register to be called at certain moments."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

Hook = Callable[..., Any]
Hooks = OrderedDict[int, Hook]

_keys = itertools.count()


class RemovableHandle:
    """What registering a hook returns: `remove` unregisters it, as does leaving a ``with`` block."""

    def __init__(self, hooks: Hooks, key: int):
        self._hooks = hooks
        self._key = key

    def remove(self) -> None:
        """Unregister the hook; a second call does nothing."""
        self._hooks.pop(self._key, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def register(hooks: Hooks, hook: Hook, prepend: bool = False) -> RemovableHandle:
    """Add a hook at the end, or before the others."""
    key = next(_keys)
    hooks[key] = hook
    if prepend:
        hooks.move_to_end(key, last=False)
    return RemovableHandle(hooks, key)
