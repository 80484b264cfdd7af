"""Calling the hooks that users registered on tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..hooks import Hooks
from .modes import call

if TYPE_CHECKING:
    from ..tensor import Tensor


class Afterwards:
    """A leaf's hook that is called when its gradient has been added, not before."""

    used = False     # whether there was ever one: only then does it pay to find out when a leaf's gradient is complete

    def __init__(self, function: Callable[[Tensor], Any]):
        self.function = function
        Afterwards.used = True

    def __call__(self, leaf: Tensor) -> None:
        """Call it."""
        call(False, self.function, leaf)


def call_afterwards(leaf: Tensor) -> None:
    """Call the hooks that wait for the leaf's gradient to be added."""
    for hook in list((leaf._hooks or {}).values()):
        if isinstance(hook, Afterwards):
            hook(leaf)


def run_hooks(hooks: Hooks, g: Tensor, recording: bool) -> Tensor:
    """Call hooks one after the other; each gets the gradient that the one before returned."""
    for hook in list(hooks.values()):
        if isinstance(hook, Afterwards):
            continue
        result = call(recording, hook, g)
        if result is not None:
            if not hasattr(type(result), "_array") or result.shape != g.shape:
                raise RuntimeError(f"a hook must return a gradient of shape {tuple(g.shape)} or None, not {result!r}")
            g = call(recording, result.to, g.dtype)
    return g
