"""`LRScheduler`: what every scheduler does, whatever its formula."""

from __future__ import annotations

import copy
import warnings
import weakref
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from .checks import HasParamGroups, check_optimizer, count
from .state import plain

EPOCH_DEPRECATED = (
    "The epoch argument of scheduler.step() is deprecated: call scheduler.step() without it. "
    "With it, the closed form of the schedule is used where there is one."
)
STEPPED_TOO_EARLY = (
    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the opposite order: "
    "otherwise the first learning rate of the schedule is never used."
)


class _StepSeen:
    """A post-step hook that notes that ``optimizer.step()`` has run, and holds on to nothing."""

    seen = False

    def __call__(self, *args: object) -> None:
        self.seen = True


class LRScheduler:
    r"""Base class of the schedulers: sets ``group["lr"]`` of an optimizer as training goes on.

    A subclass writes `get_lr`, which returns the learning rates of step ``self.last_epoch``, one for each parameter
    group, usually from the present ``group["lr"]``: then the scheduler can be chained with others and respects what
    the user sets by hand. Where the learning rates also have a closed form in ``last_epoch`` and ``base_lrs``, the
    method ``_get_closed_form_lr`` may return it.

    Constructing a scheduler stores ``group["initial_lr"]`` in every parameter group and sets step 0's learning rates.

    A scheduler writes nothing but the groups' entries that it schedules. `state_dict` holds those as well as its own
    numbers, so a run can be resumed in any order: construct the optimizer and the scheduler as before, then load
    both, whichever first; it does no harm either if the optimizer was loaded before the scheduler was constructed.

    Args:
        optimizer: anything with ``param_groups``, a list of dicts with ``"lr"``.
        last_epoch: the step that the schedule has reached; -1 starts it. Another value needs ``"initial_lr"`` in
            every group, as an optimizer's loaded state has it.

    Raises:
        TypeError: ``optimizer`` has no parameter groups.
        KeyError: ``last_epoch`` is not -1 and a group has no ``"initial_lr"``.

    Warns:
        UserWarning: the first `step` comes before the optimizer's, on optimizers with ``register_step_post_hook``.

    Example:
        >>> from types import SimpleNamespace
        >>> class Halving(LRScheduler):
        ...     def get_lr(self):
        ...         return [group["lr"] * (0.5 if self.last_epoch else 1.0) for group in self.optimizer.param_groups]
        >>> optimizer = SimpleNamespace(param_groups=[{"lr": 1.0}])
        >>> scheduler = Halving(optimizer)
        >>> scheduler.step()
        >>> optimizer.param_groups[0]["lr"], scheduler.preview(2)
        (0.5, [[0.25], [0.125]])
    """

    optimizer: HasParamGroups
    base_lrs: list[float]
    last_epoch: int
    _last_lr: list[float]

    _step_count = 0
    _is_initial = False
    _get_lr_called_within_step = False
    _watch: tuple[_StepSeen, weakref.finalize] | None = None

    _shown: tuple[str, ...] = ()  # attributes for the repr
    _group_keys: tuple[str, ...] = ("lr", "initial_lr")  # entries of a group that belong to the schedule
    _required: tuple[str, ...] = ("last_epoch",)  # what every state dict of this class has
    _not_saved = frozenset({"optimizer", "_is_initial", "_get_lr_called_within_step", "_watch"})

    def __init__(self, optimizer: HasParamGroups, last_epoch: int = -1) -> None:
        self.optimizer = check_optimizer(optimizer)
        last_epoch = count("last_epoch", last_epoch, -1)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", float(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming a scheduler with "
                    f"last_epoch={last_epoch}; load the optimizer's state first, or start with last_epoch=-1"
                )
        self.base_lrs = [float(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()
        self._watch_order()

    def get_lr(self) -> list[float]:
        """Return the learning rates of step ``last_epoch``, one for each group; `step` calls this.

        Use `get_last_lr` to ask for the learning rates in force: called from elsewhere, this warns.
        """
        raise NotImplementedError(f"{type(self).__name__} must define get_lr()")

    def get_last_lr(self) -> list[float]:
        """Return the learning rates that the last `step` set, one for each parameter group."""
        return list(self._last_lr)

    def step(self, epoch: int | None = None) -> None:
        """Go on to the next step of the schedule and set its learning rates.

        Call it after ``optimizer.step()``. ``epoch`` (deprecated, as in PyTorch) jumps to that step, by the closed
        form where there is one.
        """
        self._check_order()
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATED, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def preview(self, n: int) -> list[list[float]]:
        """Return the learning rates that the next ``n`` calls of `step` would set.

        Item ``i`` is what `get_last_lr` would return after ``i + 1`` steps: a list with one number for each group.
        Nothing is touched: the steps are taken by a deep copy of the scheduler on a stand-in for the optimizer.
        Only a plain function with side effects, handed in as ``lr_lambda``, would notice that it is called.
        """
        shadow = self._shadow()
        lrs = []
        for _ in range(count("n", n)):
            shadow.step()
            lrs.append(shadow.get_last_lr())
        return lrs

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the scheduler's state in numbers, strings, lists, dicts and None.

        ``"param_groups"`` holds the entries of the optimizer's groups that the schedule goes on from, as they are
        now; the rest are the scheduler's attributes.
        """
        state = {key: plain(value) for key, value in vars(self).items() if key not in self._not_saved}
        if self._group_keys:
            state["param_groups"] = [self._group_state(group) for group in self.optimizer.param_groups]
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take up the state that `state_dict` returned, here or in PyTorch, and leave ``state_dict`` as it is.

        Puts the saved learning rates back into the optimizer, whatever the construction of the schedulers did to
        them. Raises ``TypeError``, ``KeyError`` or ``ValueError``, before anything is changed, if the state cannot
        be this scheduler's.
        """
        self._check_state(state_dict)
        self._load_state(state_dict)
        self._end_watch()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join([*self._settings(), *self._progress()])})"

    def __getstate__(self) -> dict[str, Any]:
        # The watch is tied to this very object, and holds what cannot be pickled.
        return {key: value for key, value in vars(self).items() if key != "_watch"}

    # -- setting learning rates ----------------------------------------------------------------------------------

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self._set_lr(closed_form=epoch is not None)

    def _set_lr(self, closed_form: bool = False) -> None:
        compute = getattr(self, "_get_closed_form_lr", self.get_lr) if closed_form else self.get_lr
        self._get_lr_called_within_step = True
        try:
            values = compute()
        finally:
            self._get_lr_called_within_step = False
        groups = self.optimizer.param_groups
        if len(values) != len(groups):
            raise ValueError(
                f"{type(self).__name__} has learning rates for {len(values)} parameter groups, but the optimizer now "
                f"has {len(groups)}; construct the scheduler after the last add_param_group()"
            )
        for group, value in zip(groups, values):
            group["lr"] = float(value)
        self._last_lr = self._current_lrs()

    def _current_lrs(self) -> list[float]:
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def _warn_outside_step(self) -> None:
        if not self._get_lr_called_within_step:
            message = "To get the last learning rate computed by the scheduler, please use `get_last_lr()`."
            warnings.warn(message, UserWarning, stacklevel=3)

    # -- taking part in SequentialLR -----------------------------------------------------------------------------

    def _undo_initial_step(self) -> None:
        self.last_epoch -= 1

    def _take_over(self) -> None:
        """Start from step 0 where another scheduler left off, at the learning rates of this one alone."""
        self._update_lr(0)

    def _restart(self) -> None:
        """Start from step 0 at the present learning rates."""
        self.last_epoch = -1
        self._initial_step()

    # -- saving and loading --------------------------------------------------------------------------------------

    def _group_state(self, group: Mapping[str, Any]) -> dict[str, Any]:
        return {key: float(group[key]) for key in self._group_keys if key in group}

    def _load_group_state(self, group: dict[str, Any], saved: Mapping[str, Any]) -> None:
        group.update({key: float(saved[key]) for key in self._group_keys if key in saved})

    def _check_state(self, state: Mapping[str, Any]) -> None:
        if not isinstance(state, Mapping):
            raise TypeError(f"state_dict must be a dict, got {state!r} of type {type(state).__name__}")
        for key in self._required:
            if key not in state:
                raise KeyError(f"state_dict has no {key!r}, so it is not the state of a {type(self).__name__}")

    def _load_state(self, state: Mapping[str, Any]) -> None:
        skipped = self._not_saved | {"param_groups"}
        vars(self).update({key: plain(value) for key, value in state.items() if key not in skipped})
        # Fewer groups than were saved is no error: the user may add the others, or load the optimizer, after this.
        for group, saved in zip(self.optimizer.param_groups, state.get("param_groups", ())):
            self._load_group_state(group, saved)

    # -- previews and repr ---------------------------------------------------------------------------------------

    def _shadow(self) -> Any:
        groups = [dict(group) for group in self.optimizer.param_groups]
        return copy.deepcopy(self, {id(self.optimizer): SimpleNamespace(param_groups=groups)})

    def _settings(self) -> Iterable[str]:
        return (f"{name}={getattr(self, name)!r}" for name in self._shown)

    def _progress(self) -> Iterable[str]:
        lrs = [f"{lr:.6g}" for lr in self._last_lr]
        return f"last_epoch={self.last_epoch}", f"lr={lrs[0] if len(lrs) == 1 else '[' + ', '.join(lrs) + ']'}"

    # -- the order of scheduler.step() and optimizer.step() ------------------------------------------------------

    def _watch_order(self) -> None:
        # A hook of the optimizer's own, taken away at the first step or with the scheduler: no method is replaced,
        # and the hook refers to neither of them.
        register = getattr(self.optimizer, "register_step_post_hook", None)
        if register is not None:
            hook = _StepSeen()
            handle = register(hook)  # PyTorch returns an object with remove(), other optimizers the function itself
            end = weakref.finalize(self, getattr(handle, "remove", handle))
            end.atexit = False
            self._watch = hook, end

    def _end_watch(self) -> bool:
        """Stop watching; return whether the optimizer has stepped, or True if nobody watched."""
        if self._watch is None:
            return True
        hook, end = self._watch
        self._watch = None
        end()
        return hook.seen

    def _check_order(self) -> None:
        if not self._end_watch():
            warnings.warn(STEPPED_TOO_EARLY, UserWarning, stacklevel=3)
