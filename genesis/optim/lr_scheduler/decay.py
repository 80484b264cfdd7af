"""StepLR, MultiStepLR, ExponentialLR: a factor every so often."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from .checks import HasParamGroups, count, items, real
from .factor import FactorLR


class StepLR(FactorLR):
    r"""Multiplies the learning rate by ``gamma`` every ``step_size`` steps.

    .. math:: lr_t = lr_0 \, \gamma^{\lfloor t / step\_size \rfloor}

    Args:
        optimizer: anything with ``param_groups``.
        step_size: steps between two decays, at least 1.
        gamma: the factor, at least 0.
        last_epoch: the step reached so far; -1 to start.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range.

    Example:
        >>> from types import SimpleNamespace
        >>> optimizer = SimpleNamespace(param_groups=[{"lr": 8.0}])
        >>> [lr for (lr,) in StepLR(optimizer, step_size=2, gamma=0.5).preview(5)]
        [8.0, 4.0, 4.0, 2.0, 2.0]
    """

    _shown = ("step_size", "gamma")

    def __init__(self, optimizer: HasParamGroups, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = count("step_size", step_size, 1)
        self.gamma = real("gamma", gamma, 0)
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float:
        return self.gamma if self.last_epoch != 0 and self.last_epoch % self.step_size == 0 else 1.0

    def _total_factor(self) -> float:
        return self.gamma ** (self.last_epoch // self.step_size)


class MultiStepLR(FactorLR):
    r"""Multiplies the learning rate by ``gamma`` at each of the ``milestones``.

    .. math:: lr_t = lr_0 \, \gamma^{\#\{m \in milestones : m \le t\}}

    Args:
        optimizer: anything with ``param_groups``.
        milestones: steps, in any order; one that comes twice counts twice. A state dict has them as a sorted list
            (PyTorch's own has a ``Counter``; both can be loaded here).
        gamma: the factor, at least 0.
        last_epoch: the step reached so far; -1 to start.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range.

    Example:
        >>> from types import SimpleNamespace
        >>> optimizer = SimpleNamespace(param_groups=[{"lr": 8.0}])
        >>> [lr for (lr,) in MultiStepLR(optimizer, milestones=[2, 3], gamma=0.5).preview(4)]
        [8.0, 4.0, 2.0, 2.0]
    """

    def __init__(
        self, optimizer: HasParamGroups, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = Counter(count("milestones", step, None) for step in items("milestones", milestones))
        self.gamma = real("gamma", gamma, 0)
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float:
        return self.gamma ** self.milestones[self.last_epoch]

    def _total_factor(self) -> float:
        return self.gamma ** bisect_right(self._sorted_milestones(), self.last_epoch)

    def _sorted_milestones(self) -> list[int]:
        return sorted(self.milestones.elements())

    def state_dict(self) -> dict[str, Any]:
        """Return the state, with the milestones as a sorted list."""
        return {**super().state_dict(), "milestones": self._sorted_milestones()}

    def _load_state(self, state: Mapping[str, Any]) -> None:
        super()._load_state(state)
        if isinstance(self.milestones, Mapping):  # PyTorch's: how often each step comes
            self.milestones = Counter({int(step): times for step, times in self.milestones.items()})
        else:
            self.milestones = Counter(self.milestones)

    def _settings(self) -> Iterable[str]:
        return f"milestones={self._sorted_milestones()}", f"gamma={self.gamma}"


class ExponentialLR(FactorLR):
    r"""Multiplies the learning rate by ``gamma`` at every step.

    .. math:: lr_t = lr_0 \, \gamma^t

    Args:
        optimizer: anything with ``param_groups``.
        gamma: the factor, at least 0.
        last_epoch: the step reached so far; -1 to start.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range.

    Example:
        >>> from types import SimpleNamespace
        >>> optimizer = SimpleNamespace(param_groups=[{"lr": 8.0}])
        >>> [lr for (lr,) in ExponentialLR(optimizer, gamma=0.5).preview(3)]
        [4.0, 2.0, 1.0]
    """

    _shown = ("gamma",)

    def __init__(self, optimizer: HasParamGroups, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = real("gamma", gamma, 0)
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float:
        return 1.0 if self._is_initial else self.gamma

    def _total_factor(self) -> float:
        return self.gamma**self.last_epoch
