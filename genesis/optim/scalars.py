"""Rows of scalars: what the kernels around rules take by value."""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import rule as rules
from .cohort import Cohort
from .rule import Rule

if TYPE_CHECKING:
    from .optimizer import Optimizer


class Scalars:
    """Rows of scalars that a kernel takes, packed anew in each step.

    Attributes:
        rule: whose scalars they are.
        cohorts: those that have a row each.
        candidates: rows of a cohort to choose from by the number of skipped steps; 0 without control.
        rows: the scalars, as `pack` left them.
        decays: whether the kernel applies the weight decay that is in the rows.
    """

    def __init__(self, rule: Rule, cohorts: list[Cohort], candidates: int, decays: bool, wide: bool):
        self.rule = rule
        self.cohorts = cohorts
        self.candidates = candidates
        self.decays = decays
        self.rows = bytearray(rules.ROW_BYTES)
        count = rule.row * max(candidates, 1) * len(cohorts)
        # "=" has the same bytes as no prefix, and refuses values that float32 does not hold.
        self._into = struct.Struct(f"={count}{'d' if wide else 'f'}").pack_into
        self._take: Callable[[Any], tuple[float, ...]]
        if len(rule.scalars) > 1:
            self._take = operator.itemgetter(*rule.scalars)
        else:                            # of which itemgetter makes no tuple
            self._take = lambda of_rule: tuple(of_rule[name] for name in rule.scalars)

    def pack(self, optimizer: Optimizer, unknown: int) -> bool:
        """Work out the scalars of this step; nothing is changed if they are not usable.

        Args:
            optimizer: whose parameters these are.
            unknown: steps of which the host does not know whether they were skipped, at most LAG.

        Returns:
            False if it has to know: hyperparameters have changed, and the numbers that are kept do not only depend on
            how many of these steps were skipped but on which.

        Raises:
            ValueError: a scalar is too large for the kernel, or a weight decay is asked for of a rule without.
        """
        scalars, names, rule, take = optimizer.scalars, optimizer.numbers, self.rule, self._take
        values: list[float] = []
        for cohort in self.cohorts:
            group, step = cohort.group, cohort.step + 1
            decay = float(group.get("weight_decay", 0.0)) if self.decays else 0.0
            if decay:
                if rule.weight_decay == "DECOUPLED":
                    decay *= float(group["lr"])
                elif not rule.weight_decay:
                    raise ValueError(f"{rule.file} defines no WEIGHT_DECAY (L2 or DECOUPLED), but weight_decay is "
                                     f"{decay:g}; define it, or call a decay of the rule's own by another name")
            sign = -1.0 if group.get("maximize") else 1.0
            for behind in range(unknown + 1):
                of_rule = scalars(group, max(step - behind, 1), *(cohort.numbers[behind] if names else ()))
                if names:
                    after = tuple(of_rule[name] for name in names)
                    if not behind:
                        cohort.after = after
                    elif after != cohort.numbers[behind - 1]:
                        return False
                row = (decay, sign, *take(of_rule))
                values += row
            if self.candidates:
                values += row * (self.candidates - 1 - unknown)
        try:
            self._into(self.rows, 0, *values)
        except OverflowError:
            raise ValueError(f"a hyperparameter is too large for float32, among {values}") from None
        return True
