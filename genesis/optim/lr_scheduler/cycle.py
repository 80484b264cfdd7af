"""What the schedules that raise the learning rate and cycle the momentum against it have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .base import LRScheduler
from .checks import HasParamGroups, per_group


class MomentumCyclingLR(LRScheduler):
    """Sets ``group["momentum"]``, or the first of ``group["betas"]``, beside the learning rate.

    A subclass calls `_init_momentum` before the base's ``__init__`` and writes `_momentums`, one for each group.
    """

    cycle_momentum: bool
    use_beta1: bool
    _group_keys = ("lr", "initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum")

    def _init_momentum(
        self, optimizer: HasParamGroups, cycle: bool, base_momentum: Any, max_momentum: Any, start: bool
    ) -> tuple[list[float], list[float]]:
        """Check the arguments, set the groups' first momentum if ``start``, return both bounds for each group."""
        self.cycle_momentum = bool(cycle)
        if not self.cycle_momentum:
            return [], []
        known = getattr(optimizer, "defaults", None) or next(iter(optimizer.param_groups), {})
        if "momentum" not in known and "betas" not in known:
            raise ValueError(
                "optimizer must support momentum or beta1 with `cycle_momentum` option enabled: its groups have "
                f"neither 'momentum' nor 'betas', only {', '.join(map(repr, known))}; pass cycle_momentum=False"
            )
        self.use_beta1 = "betas" in known
        highs = per_group("max_momentum", max_momentum, optimizer)
        lows = per_group("base_momentum", base_momentum, optimizer)
        if start:
            for group, high, low in zip(optimizer.param_groups, highs, lows):
                self._write_momentum(group, high)
                group["max_momentum"], group["base_momentum"] = high, low
        return lows, highs

    def _momentums(self) -> list[float]:
        raise NotImplementedError

    def _set_lr(self, closed_form: bool = False) -> None:
        super()._set_lr(closed_form)
        if self.cycle_momentum:
            for group, momentum in zip(self.optimizer.param_groups, self._momentums()):
                self._write_momentum(group, momentum)

    def _write_momentum(self, group: dict[str, Any], momentum: float) -> None:
        if self.use_beta1:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum

    def _group_state(self, group: Mapping[str, Any]) -> dict[str, Any]:
        state = super()._group_state(group)
        if self.cycle_momentum:
            state["momentum"] = float(group["betas"][0] if self.use_beta1 else group["momentum"])
        return state

    def _load_group_state(self, group: dict[str, Any], saved: Mapping[str, Any]) -> None:
        super()._load_group_state(group, saved)
        if self.cycle_momentum and "momentum" in saved:
            self._write_momentum(group, saved["momentum"])
