"""Where a profiler listens: operations, backward, steps and the commands of devices pass here while one records.

Everything else asks only whether `recorder` is None, which it is but inside of a `genesis.profiler.profile`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

recorder: Any = None     # a `genesis.profiler.recorder.Recorder`


def annotated(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator for methods whose calls are recorded under a name, in which ``{}`` stands for that of the class."""

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def called(self: Any, *args: Any, **kwargs: Any) -> Any:
            if recorder is None:
                return method(self, *args, **kwargs)
            span = recorder.annotate(name.format(type(self).__name__))
            try:
                return method(self, *args, **kwargs)
            finally:
                span.close()

        return called

    return decorate
