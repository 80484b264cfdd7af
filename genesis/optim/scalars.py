"""Rows of scalars: what the kernels around rules take by value."""

from __future__ import annotations

import struct

from . import rule as rules
from .cohort import Cohort
from .rule import Rule


class Scalars:
    """Rows of scalars that a kernel takes, packed anew in each step.

    Attributes:
        rule: whose scalars they are.
        cohorts: those that have a row each.
        candidates: rows of a cohort to choose from by the number of skipped steps; 0 without control.
        rows: the scalars, packed by ``packer``.
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
        self.packer = struct.Struct(f"={count}{'d' if wide else 'f'}")
