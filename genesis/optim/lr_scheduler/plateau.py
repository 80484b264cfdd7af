"""ReduceLROnPlateau: a smaller learning rate when a metric no longer improves."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Literal, SupportsFloat

from .base import EPOCH_DEPRECATED, LRScheduler
from .checks import HasParamGroups, check_optimizer, choice, count, per_group, real


class ReduceLROnPlateau(LRScheduler):
    r"""Multiplies the learning rate by ``factor`` when a metric has not improved for ``patience`` steps.

    With m the metric and b the best so far, m is better, for ``mode="min"`` (``"max"``), if

    - ``"rel"``: m < b (1 - threshold) (m > b (1 + threshold)),
    - ``"abs"``: m < b - threshold (m > b + threshold).

    Every other step is a bad one. More than ``patience`` bad ones in a row reduce the learning rate; they are
    counted afresh after that, and not counted during ``cooldown`` steps. A metric that is NaN is bad.

    Args:
        optimizer: anything with ``param_groups``.
        mode: ``"min"`` if the metric should fall, ``"max"`` if it should rise.
        factor: at least 0, below 1.
        patience: bad steps in a row that are put up with, at least 0.
        threshold: by how much the metric must be better to count.
        threshold_mode: ``"rel"`` or ``"abs"``.
        cooldown: steps after a reduction in which bad ones are not counted, at least 0.
        min_lr: the least learning rate, at least 0; a number, or a list with one for each group.
        eps: a reduction by no more than this is not made; at least 0.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range.

    Example:
        >>> from types import SimpleNamespace
        >>> optimizer = SimpleNamespace(param_groups=[{"lr": 8.0}])
        >>> scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
        >>> for loss in [3.0, 2.0, 2.5, 2.0]:
        ...     scheduler.step(loss)
        >>> scheduler.get_last_lr(), [lr for (lr,) in scheduler.preview(4)]
        ([4.0], [4.0, 2.0, 2.0, 1.0])
    """

    _shown = ("mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "min_lrs", "eps")
    _not_saved = LRScheduler._not_saved | {"mode_worse"}  # PyTorch saves it; it follows from the mode

    def __init__(
        self,
        optimizer: HasParamGroups,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        self.optimizer = check_optimizer(optimizer)
        self.mode = choice("mode", mode, ("min", "max"))
        self.factor = real("factor", factor, 0, below=1)
        self.patience = count("patience", patience)
        self.threshold = real("threshold", threshold)
        self.threshold_mode = choice("threshold_mode", threshold_mode, ("rel", "abs"))
        self.cooldown = count("cooldown", cooldown)
        self.min_lrs = per_group("min_lr", min_lr, optimizer)
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else real("min_lr", min_lr, 0)
        self.eps = real("eps", eps, 0)
        self.last_epoch = 0
        self._last_lr = self._current_lrs()
        self._reset()

    def _reset(self) -> None:
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0

    @property
    def mode_worse(self) -> float:
        """The worst possible metric: what ``best`` starts from."""
        return math.inf if self.mode == "min" else -math.inf

    @property
    def in_cooldown(self) -> bool:
        """Whether bad steps are not counted at present."""
        return self.cooldown_counter > 0

    def step(self, metrics: SupportsFloat, epoch: int | None = None) -> None:  # type: ignore[override]
        """Take note of a metric, a number or anything that ``float()`` takes, and reduce if it is time to."""
        current = float(metrics)
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATED, UserWarning, stacklevel=2)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(current, self.best):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = self._current_lrs()

    def preview(self, n: int, metrics: Iterable[SupportsFloat] | None = None) -> list[list[float]]:
        """Return the learning rates of the next ``n`` steps if the metric never improves again.

        With ``metrics``, return those that these metrics, one for each step, would lead to. Nothing is touched.
        """
        shadow = self._shadow()
        series: list[Any] = [self.mode_worse] * count("n", n) if metrics is None else list(metrics)
        if len(series) != n:
            raise ValueError(f"metrics must have n={n} values, got {len(series)}")
        lrs = []
        for metric in series:
            shadow.step(metric)
            lrs.append(shadow.get_last_lr())
        return lrs

    def _is_better(self, metric: float, best: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        bar = best * (1.0 + sign * self.threshold) if self.threshold_mode == "rel" else best + sign * self.threshold
        return metric > bar if self.mode == "max" else metric < bar

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise RuntimeError(
                    f"The number of param groups in the optimizer ({len(groups)}) differs from when ReduceLROnPlateau "
                    f"was constructed ({len(self.min_lrs)}); set `min_lrs` to a list with one for each group"
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, min_lr in zip(groups, self.min_lrs):
            lr = float(group["lr"])
            reduced = max(lr * self.factor, min_lr)
            if lr - reduced > self.eps:
                group["lr"] = float(reduced)
