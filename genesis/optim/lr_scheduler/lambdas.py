"""LambdaLR and MultiplicativeLR: the factor is a function that the user writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .base import LRScheduler
from .checks import HasParamGroups, check_optimizer
from .state import callable_state, check_callable_state, describe_callable, load_callable_state

Lambda = Callable[[int], float]


class _CallableLR(LRScheduler):
    """Keeps one function for each parameter group."""

    _required = ("last_epoch", "lr_lambdas")

    def __init__(self, optimizer: HasParamGroups, lr_lambda: Lambda | Sequence[Lambda], last_epoch: int = -1) -> None:
        groups = len(check_optimizer(optimizer).param_groups)
        many = isinstance(lr_lambda, (list, tuple))
        self.lr_lambdas: list[Lambda] = list(lr_lambda) if many else [lr_lambda] * groups  # type: ignore[arg-type, list-item]
        for fn in self.lr_lambdas:
            if not callable(fn):
                raise TypeError(f"lr_lambda must be a function, got {fn!r} of type {type(fn).__name__}")
        if len(self.lr_lambdas) != groups:
            raise ValueError(f"Expected {groups} lr_lambdas, one for each group, but got {len(self.lr_lambdas)}")
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return the state; of the functions, only the attributes of callable objects are in it."""
        return {**super().state_dict(), "lr_lambdas": [callable_state(fn) for fn in self.lr_lambdas]}

    def _check_state(self, state: Mapping[str, Any]) -> None:
        super()._check_state(state)
        saved = state["lr_lambdas"]
        if len(saved) != len(self.lr_lambdas):
            raise ValueError(f"the state has {len(saved)} lr_lambdas, this scheduler has {len(self.lr_lambdas)}")
        for i, fn in enumerate(self.lr_lambdas):
            check_callable_state(f"lr_lambda[{i}]", fn, saved[i])

    def _load_state(self, state: Mapping[str, Any]) -> None:
        super()._load_state({key: value for key, value in state.items() if key != "lr_lambdas"})
        for fn, saved in zip(self.lr_lambdas, state["lr_lambdas"]):
            load_callable_state(fn, saved)

    def _settings(self) -> Iterable[str]:
        return (f"lr_lambda=[{', '.join(map(describe_callable, self.lr_lambdas))}]",)


class LambdaLR(_CallableLR):
    r"""Sets the learning rate to its initial value times a function of the step.

    .. math:: lr_t = lr_0 \, f(t)

    Args:
        optimizer: anything with ``param_groups``.
        lr_lambda: f, a function from the step (0, 1, ...) to a factor, or a list with one for each group.
        last_epoch: the step reached so far; -1 to start.

    Raises:
        TypeError: ``lr_lambda`` cannot be called.
        ValueError: there is not one function for each group.

    `state_dict` cannot hold functions: a resumed run hands the same ones in again. Of a callable object it holds
    the attributes, so write a class where a checkpoint is to remember the settings.

    Example:
        >>> from types import SimpleNamespace
        >>> optimizer = SimpleNamespace(param_groups=[{"lr": 8.0}, {"lr": 1.0}])
        >>> LambdaLR(optimizer, lr_lambda=[lambda t: 0.5**t, lambda t: 1 / (1 + t)]).preview(3)
        [[4.0, 0.5], [2.0, 0.3333333333333333], [1.0, 0.25]]
    """

    def get_lr(self) -> list[float]:
        """Return each group's initial learning rate times its function's value."""
        self._warn_outside_step()
        return [base_lr * fn(self.last_epoch) for fn, base_lr in zip(self.lr_lambdas, self.base_lrs)]


class MultiplicativeLR(_CallableLR):
    r"""Multiplies the learning rate at every step by a function of the step.

    .. math:: lr_t = lr_{t-1} \, f(t), \qquad t \ge 1

    Args:
        optimizer: anything with ``param_groups``.
        lr_lambda: f, a function from the step (1, 2, ...) to a factor, or a list with one for each group.
        last_epoch: the step reached so far; -1 to start.

    Raises:
        TypeError: ``lr_lambda`` cannot be called.
        ValueError: there is not one function for each group.

    What `LambdaLR` says of functions and checkpoints holds here too.

    Example:
        >>> from types import SimpleNamespace
        >>> optimizer = SimpleNamespace(param_groups=[{"lr": 24.0}])
        >>> MultiplicativeLR(optimizer, lr_lambda=lambda t: 1 / t).preview(4)  # 24 over t factorial
        [[24.0], [12.0], [4.0], [1.0]]
    """

    def get_lr(self) -> list[float]:
        """Return each group's present learning rate times its function's value."""
        self._warn_outside_step()
        if self._is_initial:
            return self._current_lrs()
        return [lr * fn(self.last_epoch) for fn, lr in zip(self.lr_lambdas, self._current_lrs())]
