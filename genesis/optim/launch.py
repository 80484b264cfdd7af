"""Launches of rules over an arena, and how those of a step follow each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..gradients import GradientArena
from ..opencl import Buffer
from ..tensor import Tensor
from . import rule as rules
from .batch import Batch, batches
from .cohort import Cohort
from .control import LAG, Control
from .rows import RowLaunch
from .rule import Rule
from .scalars import Scalars

_BATCH = 1 << 20       # elements of the parameters that `Optimizer.between` gets at a time


class Launch(Scalars):
    """One call of an update kernel: all it needs."""

    def __init__(self, rule: Rule, gradients: GradientArena, row_of_chunk: Buffer, cohorts: list[Cohort],
                 candidates: int, decays: bool):
        arena, device, dtype = gradients.arena, gradients.device, gradients.stored
        super().__init__(rule, cohorts, candidates, decays, dtype.itemsize == 8)
        item = rules.state_dtype(dtype).itemsize
        local = rules.local_size(device, dtype)
        self._kernel = rules.kernel(rule, device, dtype, candidates)
        self._buffers = [arena.buffer("param", dtype.itemsize), arena.buffer(gradients.source, dtype.itemsize),
                         *(arena.buffer(name, item) for name in rule.states), row_of_chunk]
        self._arguments = [buffer.handle for buffer in self._buffers]      # which must stay while these are used
        self._row_buffer = None if device.quirks.indexed_structs else device.empty(rules.ROW_BYTES)
        self._global_size = (arena.chunks * local,)
        self._local_size = (local,)

    def run(self, control: Control | None) -> None:
        """Enqueue it."""
        if self._row_buffer is None:
            rows: Any = self.rows
        else:
            rows = self._row_buffer.handle
            self._row_buffer.device.write_later(self._row_buffer, 0, np.frombuffer(self.rows, np.uint8))
        if not self._global_size[0]:
            return
        if control is not None:
            self._kernel(self._global_size, self._local_size, *self._arguments, rows, control.buffer.handle,
                         control.known)
        else:
            self._kernel(self._global_size, self._local_size, *self._arguments, rows)


class Choice(Scalars):
    """The scalars of a cohort, chosen on the device for kernels that `Optimizer.between` launches.

    Attributes:
        chosen: where they are; see ``cl/optim/choose.cl``.
    """

    def __init__(self, gradients: GradientArena, cohort: Cohort, candidates: int):
        device, wide, row = gradients.device, gradients.stored.itemsize == 8, cohort.rule.row
        super().__init__(cohort.rule, [cohort], candidates, False, wide)
        defines: tuple[tuple[str, Any], ...] = (("ROW", row), *([("REAL64", 1)] if wide else []))
        if candidates:
            defines += (("CONTROL", 1), ("CANDIDATES", candidates))
        self._kernel = device.programs.kernel("optim/choose.cl", "choose", "PP" + "Pf" * bool(candidates), defines)
        self._row_buffer = device.empty(rules.ROW_BYTES)
        self._global_size = (row + 2,)
        self.chosen = device.empty((row + 2) * (8 if wide else 4))

    def run(self, control: Control | None) -> None:
        """Enqueue it."""
        self._row_buffer.device.write_later(self._row_buffer, 0, np.frombuffer(self.rows, np.uint8))
        of_control = () if control is None else (control.buffer.handle, control.known)
        self._kernel(self._global_size, None, self._row_buffer.handle, self.chosen.handle, *of_control)


class Turn:
    """What is updated together: all parameters, unless some share their memory and must go one after the other.

    Attributes:
        mask: bits of the slots, but for those of which only rows are updated.
        slots: their numbers; None for all.
        first, second: the launches of either pass; for rules without passes, first are the choices of scalars.
        between: group and parameters of each call of `Optimizer.between`.
    """

    def __init__(self, gradients: GradientArena, tensors: Sequence[Tensor | None], all_cohorts: Sequence[Cohort],
                 controlled: bool, crossing: bool):
        cohorts = [cohort for cohort in all_cohorts if not cohort.by_rows]
        slots = [slot for cohort in cohorts for slot in cohort.slots]
        self.mask = sum(1 << slot for slot in slots)
        self.slots = None if gradients.full(self.mask) else np.array(slots, np.intp)
        candidates = LAG + 1 if controlled else 0
        self.first: list[Launch | RowLaunch | Choice] = []
        self.first += _launches(gradients, [(c.rule, c) for c in cohorts if c.rule.text], candidates, True)
        for cohort in all_cohorts:
            if cohort.by_rows:
                tensor = tensors[cohort.slots[0]]
                assert tensor is not None
                self.first.append(RowLaunch(gradients, tensor, cohort, candidates))
        self.second = _launches(gradients, [(c.second, c) for c in cohorts if c.second], candidates, False)
        self.between: list[tuple[dict[str, Any], Batch]] = []
        for cohort in cohorts if crossing else ():
            chosen = None
            if not cohort.rule.text:
                choice = Choice(gradients, cohort, candidates)
                self.first.append(choice)
                chosen = choice.chosen
            self.between += [(cohort.group, batch) for batch in batches(gradients, cohort.slots, _BATCH, chosen)]


def _launches(gradients: GradientArena, members: Sequence[tuple[Rule, Cohort]], candidates: int,
              decays: bool) -> list[Launch]:
    """Launches of the rules, each of as many of its cohorts as have room."""
    found = []
    for rule in dict.fromkeys(rule for rule, _ in members):
        room = max(1, rules.row_values(gradients.stored) // (rule.row * max(candidates, 1)))
        own = [cohort for of, cohort in members if of == rule]
        for first in range(0, len(own), room):
            batch = own[first:first + room]
            rows = gradients.arena.row_map((slot, row) for row, c in enumerate(batch) for slot in c.slots)
            found.append(Launch(rule, gradients, rows, batch, candidates, decays))
    return found
