"""The hooks of an optimizer: around its steps, its state dicts and their loading."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .. import tracing
from ..hooks import Hook, Hooks, RemovableHandle, register


class Hooked:
    """Hooks: the part of `Optimizer` that registers them, and calls them around every step method."""

    _hooks: dict[str, Hooks]
    _stepping = False

    def __new__(cls, *_: Any, **__: Any) -> Any:
        """An optimizer without hooks: those that wrap another one may have a constructor that does not call ours."""
        self: Any = super().__new__(cls)
        self._hooks = {}
        return self

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:      # a step of the subclass' own calls the hooks too
            cls.step = _with_hooks(cls.__dict__["step"])  # type: ignore[attr-defined]

    def _called(self, kind: str) -> list[Hook]:
        return list(self._hooks.get(kind, {}).values())

    def _register(self, kind: str, hook: Hook, prepend: bool = False) -> RemovableHandle:
        return register(self._hooks.setdefault(kind, Hooks()), hook, prepend)

    def register_step_pre_hook(self, hook: Hook) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; it may return new ``(args, kwargs)``.

        Returns a handle whose ``remove()`` unregisters the hook, as all ``register_`` methods do.
        """
        return self._register("step_pre", hook)

    def register_step_post_hook(self, hook: Hook) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        return self._register("step_post", hook)

    def register_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` before `state_dict`."""
        return self._register("state_dict_pre", hook, prepend)

    def register_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` after `state_dict`; it may return another dict."""
        return self._register("state_dict_post", hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` before loading; it may return another dict."""
        return self._register("load_state_dict_pre", hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` after loading."""
        return self._register("load_state_dict_post", hook, prepend)


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step method that calls the optimizer's hooks, unless another step method of its calls it."""

    @functools.wraps(step)
    def wrapped(self: Hooked, *args: Any, **kwargs: Any) -> Any:
        if self._stepping:
            return step(self, *args, **kwargs)
        self._stepping = True
        span = None
        if tracing.recorder is not None:
            span = tracing.recorder.annotate(f"Optimizer.step#{type(self).__name__}.step")
        try:
            for hook in self._called("step_pre") if self._hooks else ():
                changed = hook(self, args, kwargs)
                if changed is not None:
                    args, kwargs = changed
            result = step(self, *args, **kwargs)
            for hook in self._called("step_post") if self._hooks else ():
                hook(self, args, kwargs)
        finally:
            self._stepping = False
            if span is not None:
                span.close()
        return result

    return wrapped
