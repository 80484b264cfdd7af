"""CosineAnnealingLR and CosineAnnealingWarmRestarts: half a cosine wave, once or again and again."""

from __future__ import annotations

import math

from .base import LRScheduler
from .checks import HasParamGroups, positive_int, real


class CosineAnnealingLR(LRScheduler):
    r"""Lets the learning rate fall to ``eta_min`` in ``T_max`` steps, along half a cosine wave.

    .. math:: lr_t = \eta_{min} + \tfrac12 (lr_0 - \eta_{min}) \left(1 + \cos\frac{\pi t}{T_{max}}\right)

    It is computed from the learning rate before, so that it can be chained; stepped on beyond ``T_max``, the
    learning rate rises again as it fell.

    Args:
        optimizer: anything with ``param_groups``.
        T_max: steps until the minimum, above 0.
        eta_min: the minimum, at least 0.
        last_epoch: the step reached so far; -1 to start.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range.

    Reference: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", arXiv:1608.03983,
    equation 5, without the restarts.

    Example:
        >>> from types import SimpleNamespace
        >>> optimizer = SimpleNamespace(param_groups=[{"lr": 8.0}])
        >>> [round(lr, 9) for (lr,) in CosineAnnealingLR(optimizer, T_max=3, eta_min=4.0).preview(4)]
        [7.0, 5.0, 4.0, 5.0]
    """

    _shown = ("T_max", "eta_min")

    def __init__(
        self, optimizer: HasParamGroups, T_max: int | float, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_max = real("T_max", T_max, above=0)
        self.eta_min = real("eta_min", eta_min, 0)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the learning rates that follow on each group's present one."""
        self._warn_outside_step()
        lrs, t, low = self._current_lrs(), self.last_epoch, self.eta_min
        if self._is_initial:
            return lrs
        if (t - 1 - self.T_max) % (2 * self.T_max) == 0:
            # The step before was at the minimum, whence no factor leads back up.
            wave = 1 - math.cos(math.pi / self.T_max)
            rises = [(base_lr - low) * wave / 2 for base_lr in self.base_lrs]
            return [lr + rise for lr, rise in zip(lrs, rises)]
        ratio = (1 + math.cos(math.pi * t / self.T_max)) / (1 + math.cos(math.pi * (t - 1) / self.T_max))
        return [ratio * (lr - low) + low for lr in lrs]

    def _get_closed_form_lr(self) -> list[float]:
        wave = 1 + math.cos(math.pi * self.last_epoch / self.T_max)
        return [self.eta_min + (base_lr - self.eta_min) * wave / 2 for base_lr in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    r"""Lets the learning rate fall along half a cosine wave, then starts again, each time for ``T_mult`` as long.

    .. math:: lr_t = \eta_{min} + \tfrac12 (lr_0 - \eta_{min}) \left(1 + \cos\frac{\pi T_{cur}}{T_i}\right)

    with :math:`T_{cur}` the steps since the last restart and :math:`T_i = T_0 \, T_{mult}^i` the length of run i.

    Args:
        optimizer: anything with ``param_groups``.
        T_0: length of the first run in steps, at least 1.
        T_mult: by how much each run is longer than the one before, at least 1.
        eta_min: the minimum, at least 0. The restart comes instead of the step that would reach it.
        last_epoch: the step reached so far; -1 to start.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range.

    Reference: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", arXiv:1608.03983,
    equation 5.

    Example:
        >>> from types import SimpleNamespace
        >>> optimizer = SimpleNamespace(param_groups=[{"lr": 8.0}])
        >>> scheduler = CosineAnnealingWarmRestarts(optimizer, T_0=2, T_mult=2)
        >>> [round(lr, 3) for (lr,) in scheduler.preview(7)]
        [4.0, 8.0, 6.828, 4.0, 1.172, 8.0, 7.696]
    """

    _shown = ("T_0", "T_mult", "eta_min")

    def __init__(
        self, optimizer: HasParamGroups, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_0 = positive_int("T_0", T_0)
        self.T_mult = positive_int("T_mult", T_mult)
        self.eta_min = real("eta_min", eta_min, 0)
        self.T_i: float = self.T_0
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the learning rates ``T_cur`` steps into a run of ``T_i``."""
        self._warn_outside_step()
        wave = 1 + math.cos(math.pi * self.T_cur / self.T_i)
        return [self.eta_min + (base_lr - self.eta_min) * wave / 2 for base_lr in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Go on by one step, or to ``epoch``, which may be a fraction as in ``epoch + batch / batches``.

        Raises ``ValueError`` if ``epoch`` is negative.
        """
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self._advance()
        else:
            epoch = real("epoch", epoch, 0)
            self._jump(epoch)
        self._step_count += 1
        self.last_epoch = math.floor(epoch)
        self._set_lr()

    def _advance(self) -> None:
        self.T_cur += 1
        if self.T_cur >= self.T_i:
            self.T_cur %= self.T_i
            self.T_i *= self.T_mult

    def _jump(self, epoch: float) -> None:
        if epoch < self.T_0:
            self.T_cur, self.T_i = epoch, self.T_0
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            # The first i runs take T_0 (T_mult^i - 1) / (T_mult - 1) steps; solved for i.
            run = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            self.T_cur = epoch - self.T_0 * (self.T_mult**run - 1) / (self.T_mult - 1)
            self.T_i = self.T_0 * self.T_mult**run

    def _watch_order(self) -> None:
        # With step(epoch) called before the optimizer's step, no value is skipped: nothing to warn of.
        pass
