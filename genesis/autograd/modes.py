"""The modes that switch recording off and on."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any


class _State(threading.local):
    recording = True
    region: Any = None      # the region that is being checkpointed; see regions.py


state = _State()


def call(recording: bool, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a function with recording switched on or off.

    Ctrl-C is noticed where a Python function begins and where a call ends, and nowhere else in straight code. So here
    the mode is restored wherever it strikes, which a ``with`` block, whose ``__exit__`` begins as any function does,
    cannot promise: the library itself uses this function or the decorators.
    """
    before = state.recording
    try:
        state.recording = recording
        return function(*args, **kwargs)
    finally:
        state.recording = before


def inside(run: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with each call made by ``run(function, *args, **kwargs)``; of a generator, each of its steps."""
    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        return run(function, *args, **kwargs)

    @functools.wraps(function)
    def steps(*args: Any, **kwargs: Any) -> Any:
        generator = function(*args, **kwargs)
        advance, value = generator.send, None
        while True:
            try:
                result = run(advance, value)
            except StopIteration as end:
                return end.value
            try:
                advance, value = generator.send, (yield result)
            except GeneratorExit:
                run(generator.close)
                raise
            except BaseException as error:
                advance, value = generator.throw, error

    return steps if inspect.isgeneratorfunction(function) else called


class _Switch:
    """Sets the recording mode inside a ``with`` block or a decorated function."""

    _to = False
    _before: list[bool]

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        """A switch; or the function decorated, when used without parentheses."""
        switch = super().__new__(cls)
        switch._before = []
        return switch if function is None else switch(function)

    def __enter__(self) -> None:
        self._before.append(state.recording)
        state.recording = self._to

    def __exit__(self, *exc: object) -> None:
        state.recording = self._before.pop()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return inside(functools.partial(call, self._to), function)


class no_grad(_Switch):
    """Record nothing inside: ``with genesis.no_grad():`` or as a decorator.

    Example:
        >>> x = genesis.ones(2, requires_grad=True)
        >>> with genesis.no_grad():
        ...     (x * 2).requires_grad
        False
    """


class inference_mode(no_grad):
    """The same as `no_grad`; PyTorch's name for code that never needs gradients. With False, records instead."""

    def __new__(cls, mode: Callable[..., Any] | bool = True) -> Any:
        """A switch; or the function decorated, when used without parentheses."""
        if isinstance(mode, bool):
            return _Switch.__new__(cls if mode else enable_grad)
        return _Switch.__new__(cls, mode)


class enable_grad(_Switch):
    """Record inside, also within `no_grad`."""

    _to = True


class set_grad_enabled:
    """Switch recording on or off, at once; used in ``with`` or as a decorator, only until the block or call ends."""

    def __init__(self, mode: bool):
        self._before = state.recording
        self._mode = bool(mode)
        state.recording = self._mode

    def __enter__(self) -> None:
        state.recording = self._mode

    def __exit__(self, *exc: object) -> None:
        state.recording = self._before

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function with this mode while it runs."""
        state.recording = self._before
        return inside(functools.partial(call, self._mode), function)


def is_grad_enabled() -> bool:
    """Whether operations are being recorded."""
    return state.recording
