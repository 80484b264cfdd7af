"""Cohorts: parameters whose updates take the same scalars, and what the host knows of how far they are."""

from __future__ import annotations

from typing import Any

from .control import LAG
from .rule import Rule


class Cohort:
    """Parameters that share a row of scalars.

    Attributes:
        group: their parameter group.
        rule: their rule.
        second: that of a second pass, if there is one.
        step: how many updates they have had, counting those that the device may have skipped unknown to the host.
        advance: what an update adds to ``step``: 1, or 0 where nothing depends on it, so that averages which a rule
            begins to keep later have their first step then.
        numbers: their `Optimizer.numbers` after ``step`` updates, after one less and so on, as far back as steps may
            turn out to have been skipped; empty where there are none.
        after: the numbers after the update that is packed.
        slots: their positions in the arena.
        by_rows: whether it is one parameter with a sparse gradient, of which only rows are updated.
    """

    __slots__ = ("advance", "after", "by_rows", "group", "numbers", "rule", "second", "slots", "step")

    def __init__(self, group: dict[str, Any], rule: Rule, second: Rule | None, step: int, advance: int,
                 numbers: tuple[float, ...] = (), by_rows: bool = False):
        self.group = group
        self.rule = rule
        self.second = second
        self.step = step
        self.advance = advance
        self.numbers = [numbers] if numbers else []
        self.after: tuple[float, ...] = ()
        self.slots: list[int] = []
        self.by_rows = by_rows

    def stepped(self) -> None:
        """The update that was packed is under way."""
        self.step += self.advance
        if self.after:
            self.numbers = [self.after, *self.numbers[:LAG + 1]]      # LAG + 1 steps may be unknown now

    def skipped(self, count: int) -> None:
        """So many of the updates under way were none."""
        self.step -= self.advance * count
        del self.numbers[:count]
