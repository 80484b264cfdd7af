"""SequentialLR and ChainedScheduler: schedulers one after another, and all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .base import LRScheduler
from .checks import HasParamGroups, check_optimizer, count, items
from .plateau import ReduceLROnPlateau


class _Composite(LRScheduler):
    """Holds other schedulers of the same optimizer; all that it must save beside its own numbers is theirs."""

    _schedulers: list[LRScheduler]
    _group_keys = ()
    _required: tuple[str, ...] = ("_schedulers",)
    _not_saved = LRScheduler._not_saved | {"_schedulers"}

    def _adopt(self, optimizer: HasParamGroups | None, schedulers: Any) -> None:
        name = type(self).__name__
        children = items("schedulers", schedulers)
        if not children:
            raise ValueError(f"{name} expects at least one scheduler, but got no scheduler")
        for i, child in enumerate(children):
            if not isinstance(child, LRScheduler):
                raise TypeError(
                    f"{name} expects schedulers, but got {child!r} of type {type(child).__name__} at index {i}"
                )
            if isinstance(child, ReduceLROnPlateau):
                raise ValueError(
                    f"{name} does not support ReduceLROnPlateau, whose step() needs a metric, but got one at index {i}"
                )
            if optimizer is None:
                optimizer = child.optimizer
            if child.optimizer is not optimizer:
                raise ValueError(
                    f"{name} expects all schedulers to belong to the same optimizer, but {type(child).__name__} at "
                    f"index {i} belongs to another one"
                )
        self._schedulers = children
        self.optimizer = check_optimizer(optimizer)
        for child in children:
            child._end_watch()  # this scheduler's own step() is the one that the user calls

    def state_dict(self) -> dict[str, Any]:
        """Return the state, with the held schedulers' states as the list ``"_schedulers"``."""
        return {**super().state_dict(), "_schedulers": [child.state_dict() for child in self._schedulers]}

    def _check_state(self, state: Mapping[str, Any]) -> None:
        super()._check_state(state)
        saved = state["_schedulers"]
        if len(saved) != len(self._schedulers):
            raise ValueError(
                f"the state holds {len(saved)} schedulers, but this {type(self).__name__} has {len(self._schedulers)}"
            )
        for child, child_state in zip(self._schedulers, saved):
            child._check_state(child_state)

    def _load_state(self, state: Mapping[str, Any]) -> None:
        super()._load_state(state)
        for child, child_state in zip(self._schedulers, state["_schedulers"]):
            child.load_state_dict(child_state)

    def _undo_initial_step(self) -> None:
        for child in self._schedulers:
            child._undo_initial_step()

    def _reset_lr(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = float(group.setdefault("initial_lr", group["lr"]))

    def _take_over(self) -> None:
        # PyTorch raises NotImplementedError here: it starts only plain schedulers at a milestone.
        self._reset_lr()
        self._restart()

    def __repr__(self) -> str:
        lines = [f"({i}) {child!r}" for i, child in enumerate(self._schedulers)]
        body = "\n".join([*lines, ", ".join([*self._settings(), *self._progress()])])
        return f"{type(self).__name__}(\n  " + body.replace("\n", "\n  ") + "\n)"


class SequentialLR(_Composite):
    """Runs schedulers one after another, and changes over at the milestones.

    The scheduler that takes over starts at its own step 0, from the initial learning rate. Where the first one
    itself holds schedulers, its step 0 is an ordinary `step` of theirs, as in PyTorch.

    Args:
        optimizer: the optimizer of all ``schedulers``.
        schedulers: in the order in which they run; `ReduceLROnPlateau` cannot be among them.
        milestones: the steps at which the second, third, ... take over: integers that do not decrease, one fewer
            than there are schedulers.
        last_epoch: as in PyTorch, one less than the step at which counting begins; to resume, load a state instead.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: the milestones do not fit the schedulers, there is none, or one belongs to another optimizer.

    Example:
        >>> from types import SimpleNamespace
        >>> from genesis.optim.lr_scheduler import ExponentialLR, LinearLR
        >>> optimizer = SimpleNamespace(param_groups=[{"lr": 8.0}])
        >>> warmup = LinearLR(optimizer, start_factor=0.25, total_iters=2)
        >>> scheduler = SequentialLR(optimizer, [warmup, ExponentialLR(optimizer, gamma=0.5)], milestones=[2])
        >>> scheduler.get_last_lr(), [lr for (lr,) in scheduler.preview(4)]
        ([2.0], [5.0, 8.0, 4.0, 2.0])
    """

    _required = ("_schedulers", "last_epoch")

    def __init__(
        self,
        optimizer: HasParamGroups,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        children = items("schedulers", schedulers)
        self._milestones = [count(f"milestones[{i}]", step) for i, step in enumerate(items("milestones", milestones))]
        self.last_epoch = count("last_epoch", last_epoch, -1) + 1
        self._adopt(check_optimizer(optimizer), children)
        if len(self._milestones) != len(children) - 1:
            raise ValueError(
                "SequentialLR expects one milestone fewer than schedulers, but got "
                f"{len(children)} schedulers and {len(self._milestones)} milestones"
            )
        if self._milestones != sorted(self._milestones):
            raise ValueError(f"milestones must not decrease, got {self._milestones}")
        # The schedulers' constructors have each taken a first step, one on top of the other. Undo them all and take
        # that of the scheduler whose turn it is.
        self._reset_lr()
        self._undo_initial_step()
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()
        self._watch_order()

    def step(self) -> None:  # type: ignore[override]
        """Step the scheduler whose turn it is, or start the next one if a milestone is reached."""
        self._check_order()
        self.last_epoch += 1
        turn = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[turn]
        if turn > 0 and self._milestones[turn - 1] == self.last_epoch:
            scheduler._take_over()
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()

    def _restart(self) -> None:
        self.last_epoch = 0
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._restart()
        self._last_lr = first.get_last_lr()

    def _settings(self) -> Iterable[str]:
        return (f"milestones={self._milestones}",)


class ChainedScheduler(_Composite):
    """Runs several schedulers at once: their factors are multiplied.

    Each changes the learning rates that the one before it has just set. One that does not build on the present
    learning rate (`LambdaLR`, `CosineAnnealingWarmRestarts`, `CyclicLR`, `OneCycleLR`) overrides those before it.

    Args:
        schedulers: in the order in which they are stepped; `ReduceLROnPlateau` cannot be among them.
        optimizer: the optimizer of all of them; the first one's by default.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: there is no scheduler, or one belongs to another optimizer.

    Example:
        >>> from types import SimpleNamespace
        >>> from genesis.optim.lr_scheduler import ConstantLR, ExponentialLR
        >>> optimizer = SimpleNamespace(param_groups=[{"lr": 8.0}])
        >>> constant = ConstantLR(optimizer, factor=0.25, total_iters=2)
        >>> scheduler = ChainedScheduler([constant, ExponentialLR(optimizer, gamma=0.5)])
        >>> scheduler.get_last_lr(), [lr for (lr,) in scheduler.preview(3)]  # 8 * [1/4, 1/4, 1, 1] * [1, 1/2, 1/4, 1/8]
        ([2.0], [1.0, 2.0, 1.0])
    """

    _not_saved = _Composite._not_saved | {"last_epoch"}

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: HasParamGroups | None = None) -> None:
        self._adopt(optimizer, schedulers)
        self._last_lr = self._current_lrs()
        self._watch_order()

    @property
    def last_epoch(self) -> int:  # type: ignore[override]
        """The first scheduler's step."""
        return self._schedulers[0].last_epoch

    def step(self) -> None:  # type: ignore[override]
        """Step all schedulers."""
        self._check_order()
        for child in self._schedulers:
            child.step()
        self._last_lr = self._current_lrs()

    def _restart(self) -> None:
        for child in self._schedulers:
            child._restart()
        self._last_lr = self._current_lrs()
