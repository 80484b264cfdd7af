"""OneCycleLR: up once, down once, and out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from .checks import HasParamGroups, check_optimizer, choice, per_group, positive_int, real
from .cycle import MomentumCyclingLR

# What each phase anneals from and to: the names of the groups' entries.
RISE = ("initial_lr", "max_lr", "max_momentum", "base_momentum")
FALL = ("max_lr", "initial_lr", "base_momentum", "max_momentum")
FALL_OUT = ("max_lr", "min_lr", "base_momentum", "max_momentum")
RUN_OUT = ("initial_lr", "min_lr", "max_momentum", "max_momentum")


class OneCycleLR(MomentumCyclingLR):
    r"""Raises the learning rate to ``max_lr``, then lets it fall to nearly nothing: one cycle for a whole training.

    With T = ``total_steps`` and p = ``pct_start``, the learning rate goes

    - from ``max_lr / div_factor`` at step 0 to ``max_lr`` at step pT - 1,
    - from there to ``max_lr / div_factor / final_div_factor`` at step T - 1,

    or, with ``three_phase``, back to where it started at step 2pT - 2 and to the minimum in a phase of its own. The
    momentum goes from ``max_momentum`` to ``base_momentum`` and back at the same time. In each phase, with x from 0
    to 1,

    .. math:: a_x = b + \tfrac12 (a - b)(1 + \cos \pi x) \text{ (cos)}, \qquad a_x = a + (b - a) x \text{ (linear)}

    Step it after every batch.

    Args:
        optimizer: anything with ``param_groups``. Their ``"lr"`` is overwritten, and ``"initial_lr"``, ``"max_lr"``
            and ``"min_lr"`` are stored there.
        max_lr: the peak, at least 0; a number, or a list with one for each group.
        total_steps: T, at least 1; ``epochs * steps_per_epoch`` by default.
        epochs: at least 1.
        steps_per_epoch: at least 1.
        pct_start: p, the part of the steps that the rise takes, between 0 and 1.
        anneal_strategy: ``"cos"`` or ``"linear"``.
        cycle_momentum: whether the momentum, or the first of ``betas``, is cycled.
        base_momentum: its lower bound, at least 0; a number or a list.
        max_momentum: its upper bound, likewise, where it starts and ends.
        div_factor: above 0.
        final_div_factor: above 0.
        three_phase: see above.
        last_epoch: the step reached so far; -1 to start.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range, a list has not one item for each group, or ``cycle_momentum`` is on
            and the optimizer has neither momentum nor betas; `step`, when it goes beyond ``total_steps``.

    Reference: Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
    Rates", arXiv:1708.07120.

    Example:
        >>> from types import SimpleNamespace
        >>> optimizer = SimpleNamespace(param_groups=[{"lr": 1.0, "momentum": 0.5}])
        >>> scheduler = OneCycleLR(
        ...     optimizer, max_lr=4.0, total_steps=7, pct_start=3 / 7, anneal_strategy="linear", div_factor=4
        ... )
        >>> scheduler.get_last_lr(), [round(lr, 3) for (lr,) in scheduler.preview(6)]
        ([1.0], [2.5, 4.0, 3.0, 2.0, 1.0, 0.0])
    """

    def __init__(
        self,
        optimizer: HasParamGroups,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        if total_steps is not None:
            self.total_steps = positive_int("total_steps", total_steps)
        elif epochs is not None and steps_per_epoch is not None:
            self.total_steps = positive_int("epochs", epochs) * positive_int("steps_per_epoch", steps_per_epoch)
        else:
            raise ValueError(
                "You must define either total_steps OR (epochs AND steps_per_epoch), got "
                f"total_steps=None, epochs={epochs!r}, steps_per_epoch={steps_per_epoch!r}"
            )
        peak = float(real("pct_start", pct_start, 0, 1) * self.total_steps)
        last = self.total_steps - 1
        if three_phase:
            phases = [(peak - 1, RISE), (2 * peak - 2, FALL), (last, RUN_OUT)]
        else:
            phases = [(peak - 1, RISE), (last, FALL_OUT)]
        # Names and layout are those of PyTorch's state dicts, so that these can be loaded.
        names = ("start_lr", "end_lr", "start_momentum", "end_momentum")
        self._schedule_phases: list[dict[str, Any]]
        self._schedule_phases = [{"end_step": end, **dict(zip(names, entries))} for end, entries in phases]
        self._anneal_func_type = choice("anneal_strategy", anneal_strategy, ("cos", "linear"))
        max_lrs = per_group("max_lr", max_lr, optimizer)
        div_factor = real("div_factor", div_factor, above=0)
        final_div_factor = real("final_div_factor", final_div_factor, above=0)
        start = last_epoch == -1
        self._init_momentum(optimizer, cycle_momentum, base_momentum, max_momentum, start)
        if start:
            for group, high in zip(optimizer.param_groups, max_lrs):
                group["max_lr"] = float(high)
                group["initial_lr"] = high / div_factor
                group["min_lr"] = group["initial_lr"] / final_div_factor
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the learning rates of this point of the cycle; raise ``ValueError`` beyond its end."""
        self._warn_outside_step()
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"Tried to step {self.last_epoch} times. The specified number of total steps is {self.total_steps}"
            )
        return self._anneal("start_lr", "end_lr")

    def _momentums(self) -> list[float]:
        return self._anneal("start_momentum", "end_momentum")

    def _anneal(self, start_name: str, end_name: str) -> list[float]:
        phase, x = self._phase()
        start, end = phase[start_name], phase[end_name]
        values = []
        for i, group in enumerate(self.optimizer.param_groups):
            if start not in group or end not in group:
                raise KeyError(
                    f"param_groups[{i}] has no {start!r} and {end!r}; construct the scheduler after the last "
                    "add_param_group(), or load the optimizer's state before resuming with last_epoch"
                )
            a, b = group[start], group[end]
            if self._anneal_func_type == "cos":
                values.append(b + (a - b) / 2.0 * (math.cos(math.pi * x) + 1))
            else:
                values.append((b - a) * x + a)
        return values

    def _phase(self) -> tuple[dict[str, Any], float]:
        """Return the phase that this step is in, and how much of it is over."""
        begin = 0.0
        for phase in self._schedule_phases:
            if self.last_epoch <= phase["end_step"]:
                break
            begin = phase["end_step"]
        else:
            begin = self._schedule_phases[-2]["end_step"]  # one step more than T - 1 is allowed; the last phase goes on
        length = phase["end_step"] - begin
        # A phase of no length, where pct_start * total_steps is 1 or pct_start is 1, is over when it begins.
        return phase, (self.last_epoch - begin) / length if length else 1.0

    def _settings(self) -> Iterable[str]:
        ends = [f"{phase['end_step']:g}" for phase in self._schedule_phases]
        yield f"total_steps={self.total_steps}"
        yield f"phases_end_at=[{', '.join(ends)}]"
        yield f"anneal_strategy={self._anneal_func_type!r}"
        yield f"cycle_momentum={self.cycle_momentum}"
