"""Regions of the graph whose operations keep nothing for backward: what they would have kept is computed again then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import GenesisError
from ..ops.operation import Context
from .modes import state


class RecomputationError(GenesisError):
    """A function did other operations when it was run again for backward than it did the first time."""


class Pending:
    """Stands in a node for a context that is to be computed again."""

    __slots__ = ("index", "region")

    def __init__(self, region: Region, index: int):
        self.region = region
        self.index = index

    def fetch(self) -> Context | None:
        """The context; everything that the region needs is computed at the first call."""
        return self.region.context(self.index)


class Region:
    """Operations recorded while a function ran, in order.

    Args:
        rerun: runs the function again. None for a region that is being run again itself.
        keep: whether the operations keep what they need, as they do when they run again.
        strict: whether the operations must be the same the second time, not only as many.

    Attributes:
        names: the operations' names, to notice when they differ the second time.
        contexts: by position the contexts that were computed again and not fetched yet.
        inner: the regions that were begun inside this one, in order.
    """

    def __init__(self, rerun: Callable[[], Any] | None, keep: bool = False, strict: bool = True):
        self.rerun = rerun
        self.keep = keep
        self.strict = strict
        self.names: list[str] = []
        self.contexts: dict[int, Any] = {}
        self.inner: list[Region] = []
        self.outer: Region | None = None
        self._before: Any = None

    def __enter__(self) -> Region:
        self._before, state.region = state.region, self
        return self

    def __exit__(self, *exc: object) -> None:
        state.region = self._before
        self._before = None

    def add(self, node: Any) -> None:
        """Take note of a node that was recorded."""
        if self.keep:
            self.contexts[len(self.names)] = node.context
        else:
            node.context = Pending(self, len(self.names))
        self.names.append(node.operation.__name__)

    def context(self, index: int) -> Context | None:
        """The context of an operation."""
        if index not in self.contexts:
            self.recompute()
        return self.contexts.pop(index)

    def recompute(self) -> None:
        """Run the function again, keeping what its operations keep."""
        if self.rerun is None and self.outer is not None:
            self.outer.recompute()
        if self.rerun is None:
            raise RuntimeError("backward ran through this checkpoint before, and what it needs was freed: call it with "
                               "retain_graph=True the first time if it is to run twice")
        again = Region(None, keep=True)
        with again:
            self.rerun()
        self.rerun = None
        if again.names != self.names if self.strict else len(again.names) != len(self.names):
            first = next((i for i, (a, b) in enumerate(zip(self.names, again.names)) if a != b),
                         min(len(self.names), len(again.names)))
            raise RecomputationError(
                f"a checkpointed function recorded {len(self.names)} operations the first time and {len(again.names)} "
                f"when it was run again, different from operation {first} on; it must do the same each time")
        self.contexts = again.contexts
        for mine, its in zip(self.inner, again.inner):
            mine.rerun = its.rerun


def current() -> Region | None:
    """The region that this thread is in."""
    return state.region
