"""What the schedules that multiply have in common."""

from __future__ import annotations

from .base import LRScheduler


class FactorLR(LRScheduler):
    """Base of the schedulers in ``decay.py`` and ``ramp.py``, each of which is written twice in a line or two.

    ``_factor`` is what step ``last_epoch`` multiplies the learning rates by: it lets schedulers be chained. For
    ``_total_factor``, the product of all factors so far, there is a closed form.
    """

    def get_lr(self) -> list[float]:
        """Return each group's present learning rate times this step's factor."""
        self._warn_outside_step()
        factor = self._factor()
        return [lr * factor for lr in self._current_lrs()]

    def _get_closed_form_lr(self) -> list[float]:
        factor = self._total_factor()
        return [base_lr * factor for base_lr in self.base_lrs]

    def _factor(self) -> float:
        raise NotImplementedError

    def _total_factor(self) -> float:
        raise NotImplementedError
