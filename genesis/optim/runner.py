"""Runs rules over an arena: what stays the same from step to step is worked out once, and a step is one launch.

Parameters of an arena that share group, rule, step count and numbers form a *cohort* and share a row of scalars. As
long as the same parameters get gradients, the cohorts stay as they are, and the host's work does not grow with their
number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import KernelError
from ..gradients import GradientArena
from ..opencl import Arena
from ..ops import elementwise
from ..ops.array import Array
from ..ops.grad_norm import Gradients
from ..tensor import Tensor
from . import rule as rules
from .cohort import Cohort
from .control import Control
from .launch import Turn

if TYPE_CHECKING:
    from .optimizer import Optimizer


class Runner:
    """The parameters of an optimizer that share device, element type and (at first) rule, and their updates.

    Args:
        optimizer: whose they are.
        tensors: the parameters.
        groups: the parameter group of each.
    """

    def __init__(self, optimizer: Optimizer, tensors: Sequence[Tensor], groups: Sequence[dict[str, Any]]):
        self.tensors: list[Tensor | None] = list(tensors)
        self.groups = list(groups)
        self.steps = [0] * len(self.tensors)      # of slots that are in no cohort, and likewise
        self.numbers = [tuple(optimizer.numbers.values())] * len(self.tensors)
        self.arena = GradientArena(optimizer, tensors)
        self.mask = 0
        self.cohorts: list[Cohort] = []
        self._distinct = list({id(g): g for g in groups}.values())
        self._cohort_of: dict[int, Cohort] = {}
        self._apart: dict[str, Arena] = {}
        self._key: Any = None
        self._turns: list[Turn] = []
        for slot in range(len(self.tensors)):
            self.begin(slot)

    @property
    def optimizer(self) -> Optimizer:
        """Whose parameters they are; not held, so that the optimizer is freed when its user lets go of it."""
        found = self.arena.owner()
        assert found is not None
        return found

    # State -----------------------------------------------------------------------------------------------------

    def step_of(self, slot: int) -> int:
        """How many updates a parameter has had."""
        cohort = self._cohort_of.get(slot)
        return self.steps[slot] if cohort is None else cohort.step

    def set_step(self, slot: int, step: int) -> None:
        """Set the number of updates a parameter has had; before the first, its numbers are those of the start."""
        self._dissolve()
        self.steps[slot] = step
        if not step:
            self.numbers[slot] = tuple(self.optimizer.numbers.values())

    def numbers_of(self, slot: int) -> dict[str, float]:
        """The numbers kept for a parameter, by name."""
        cohort = self._cohort_of.get(slot)
        return dict(zip(self.optimizer.numbers, cohort.numbers[0] if cohort and cohort.numbers else self.numbers[slot]))

    def set_number(self, slot: int, name: str, value: float) -> None:
        """Set one of the numbers kept for a parameter."""
        self._dissolve()
        self.numbers[slot] = tuple({**self.numbers_of(slot), name: value}.values())

    def state(self, slot: int, name: str) -> Array:
        """A state of a parameter, in the arena's memory; states of other shapes than the parameters' are apart."""
        optimizer, dtype = self.optimizer, rules.state_dtype(self.arena.dtype)      # complex for complex parameters
        if name in optimizer._rule(self.groups[slot]).states:
            return self.arena.flat(name, slot, dtype)
        if name not in self._apart:
            all_states = [optimizer.states(group, shape) for group, shape in zip(self.groups, self.arena.shapes)]
            sizes = [math.prod(states[name]) if name in states else 0 for states in all_states]
            self._apart[name] = Arena(self.arena.device, sizes)
        apart, shape = self._apart[name], optimizer.states(self.groups[slot], self.arena.shapes[slot])[name]
        return Array(apart.buffer(name, dtype.itemsize), dtype, shape, offset=apart.starts[slot])

    def begin(self, slot: int) -> None:
        """Give those states of a parameter that do not begin at 0 the values from before its first update."""
        for name, value in self.optimizer.first_values(self.groups[slot]).items():
            if value:
                rules.begin_with(self.state(slot, name), value)

    def reset(self) -> None:
        """Take all parameters back to the state before their first update."""
        self._dissolve()
        self.steps = [0] * len(self.steps)
        self.numbers = [tuple(self.optimizer.numbers.values())] * len(self.steps)
        held = [buffer for name, buffer in self.arena.arena.buffers.items() if name not in ("param", "grad")]
        for buffer in (*held, *(buffer for apart in self._apart.values() for buffer in apart.buffers.values())):
            self.arena.device.fill(buffer, 0, buffer.nbytes, np.zeros(1, np.uint8))
        for slot, tensor in enumerate(self.tensors):
            if tensor is not None:
                self.begin(slot)

    def release(self, slot: int) -> None:
        """Forget a parameter."""
        self._dissolve()
        tensor = self.tensors[slot]
        if tensor is not None:
            self.arena.release(slot, tensor)
            self.tensors[slot] = None

    def regroup(self, group_of: dict[int, dict[str, Any]]) -> None:
        """Take over the parameter groups from a mapping of the parameters' identities."""
        self._dissolve()
        self.groups = [old if x is None else group_of[id(x)] for x, old in zip(self.tensors, self.groups)]
        self._distinct = list({id(g): g for x, g in zip(self.tensors, self.groups) if x is not None}.values())

    def misplaced(self) -> list[int]:
        """Slots of parameters that need a place in another arena, such as those moved to another device."""
        found = []
        for slot in self.arena.outside:
            tensor = self.tensors[slot]
            assert tensor is not None
            if tensor._array.shape != self.arena.shapes[slot]:
                raise RuntimeError(f"a parameter of shape {self.arena.shapes[slot]} was given data of shape "
                                   f"{tensor._array.shape}; make a new optimizer for it")
            if self.arena.must_leave(slot, tensor):
                found.append(slot)
        return found

    # Step ------------------------------------------------------------------------------------------------------

    def prepare(self, optimizer: Optimizer, control: Control | None) -> int:
        """Find out which parameters have gradients and, when that or the rules changed, plan the launches anew.

        Returns:
            The bits of their slots.
        """
        arena, tensors = self.arena, self.tensors
        self.mask = mask = arena.gather(tensors, self._by_rows)  # type: ignore[arg-type]
        if arena.touched:
            mask |= arena.touched
        turns = arena.turns(tensors, mask) if arena.outside else {}  # type: ignore[arg-type]
        key: list[Any] = [self.mask, arena.touched, arena.source, turns, control is not None]
        for group in self._distinct:
            key += (optimizer._rule(group), optimizer._second_rule(group))
        if key != self._key:
            optimizer._settle()
            self._dissolve()
            self._plan(control, turns)
            self._key = key
        return mask

    def _by_rows(self, slot: int) -> bool:
        return self.optimizer.by_rows(self.groups[slot])

    def _dissolve(self) -> None:
        """Write the cohorts' step counts back to their parameters."""
        for cohort in self.cohorts:
            for slot in cohort.slots:
                self.steps[slot] = cohort.step
                if cohort.numbers:
                    self.numbers[slot] = cohort.numbers[0]
        self.cohorts, self._cohort_of, self._turns, self._key = [], {}, [], None

    def _plan(self, control: Control | None, turns: dict[int, int]) -> None:
        optimizer = self.optimizer
        if optimizer.rows_only and self.mask:
            raise RuntimeError(f"{type(optimizer).__name__} does not support dense gradients, please consider Adam "
                               "instead; layers give sparse ones with sparse=True")
        found: dict[Any, Cohort] = {}
        rest = self.mask | self.arena.touched
        while rest:
            slot = (rest & -rest).bit_length() - 1
            rest &= rest - 1
            group, step, turn, numbers = self.groups[slot], self.steps[slot], turns.get(slot, 0), self.numbers[slot]
            rule = optimizer._rule(group)
            by_rows = bool(self.arena.touched >> slot & 1)
            place = (turn, id(group), rule.name, step, numbers, slot if by_rows else None)
            cohort = found.get(place)
            if cohort is None:
                second = optimizer._second_rule(group)
                for each in (rule, second) if second else (rule,):
                    missing = set(each.scalars) - set(optimizer.scalars(group, 1))
                    if missing:
                        raise KernelError(f"{each.file}: rule {each.name} takes {', '.join(sorted(missing))}, which "
                                          f"{type(optimizer).__name__}.scalars() does not give")
                advance = int(optimizer.counts_steps or bool(rule.states))
                cohort = found[place] = Cohort(group, rule, second, step, advance, numbers, by_rows)
            cohort.slots.append(slot)
        for turn in range(1 + max(turns.values(), default=0)):
            together = [cohort for key, cohort in found.items() if key[0] == turn]
            self._turns.append(Turn(self.arena, self.tensors, together, control is not None, optimizer.crosses))
        self.cohorts = list(found.values())
        self._cohort_of = {slot: cohort for cohort in self.cohorts for slot in cohort.slots}

    def gradients(self) -> list[Gradients]:
        """The gradients of this step, for their norm."""
        arena = self.arena
        dense = [arena.gradients(self.mask, arena.source)] if self.mask else []
        return dense + [Gradients(arena.rows[slot].values.reals(), None) for cohort in self.cohorts if cohort.by_rows
                        for slot in cohort.slots] if arena.touched else dense

    def pack(self, optimizer: Optimizer, unknown: int) -> bool:
        """Work out the scalars of this step; see `Scalars.pack`."""
        for turn in self._turns:
            for launch in turn.first:
                if not launch.pack(optimizer, unknown):
                    return False
            for launch in turn.second:
                if not launch.pack(optimizer, unknown):
                    return False
        return True

    def run(self, control: Control | None) -> None:
        """Update every parameter that has a gradient."""
        for turn in self._turns:
            if self.arena.outside:
                self.arena.collect(self.tensors, turn.mask)  # type: ignore[arg-type]
            for launch in turn.first:
                launch.run(control)
            for group, batch in turn.between:
                self.optimizer.between(group, batch)
            for launch in turn.second:
                launch.run(control)
            self.arena.scatter(self.tensors, turn.mask, turn.slots)  # type: ignore[arg-type]
        for cohort in self.cohorts:
            cohort.stepped()

    def move_state(self, slot: int, other: Runner, other_slot: int, names: Sequence[str]) -> None:
        """Copy step count, numbers and states of a parameter from another runner, also across devices."""
        self.set_step(slot, other.step_of(other_slot))
        self.numbers[slot] = tuple(other.numbers_of(other_slot).values())
        for name in names:
            if name in other.arena.arena.buffers or name in other._apart:
                source = Tensor._wrap(other.state(other_slot, name)).to(self.arena.device)
                elementwise.assign(self.state(slot, name), source._array)

