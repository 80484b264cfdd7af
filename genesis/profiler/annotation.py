"""Names that users give to parts of their programs."""

from __future__ import annotations

import contextlib
from typing import Any

from .. import tracing


class record_function(contextlib.ContextDecorator):
    """Names a part of the program in what a profiler records; as a context manager, or around a function.

    Where no profiler records the host's work it does nothing, and costs next to nothing.

    Args:
        name: the name.
        args: more to say about it, which traces show.

    Example:
        >>> x = genesis.ones(2, 2)
        >>> with genesis.profiler.profile(activities=[genesis.profiler.ProfilerActivity.CPU]) as prof:
        ...     with genesis.profiler.record_function("forward"):
        ...         y = x.exp()
        >>> [(event.name, event.cpu_parent and event.cpu_parent.name) for event in prof.events()]
        [('forward', None), ('aten::exp', 'forward')]
    """

    def __init__(self, name: str, args: str | None = None):
        self.name = name
        self.args = args
        self._span: Any = None

    def _recreate_cm(self) -> record_function:
        """One for each call of a decorated function, which may call itself."""
        return type(self)(self.name, self.args)

    def __enter__(self) -> record_function:
        if tracing.recorder is not None:
            self._span = tracing.recorder.annotate(self.name, self.args)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._span is not None:
            self._span.close()
            self._span = None
