"""ConstantLR, LinearLR, PolynomialLR: from one multiple of the learning rate to another in so many steps."""

from __future__ import annotations

from .checks import HasParamGroups, count, real
from .factor import FactorLR


class ConstantLR(FactorLR):
    r"""Multiplies the learning rate by ``factor`` until step ``total_iters``.

    .. math:: lr_t = lr_0 \cdot factor \text{ for } t < total\_iters, \quad lr_0 \text{ from then on}

    Args:
        optimizer: anything with ``param_groups``.
        factor: between 0 and 1. After 0, the learning rate comes back as the initial one, not as a quotient.
        total_iters: the step that ends it, at least 0. As in PyTorch, 0 never ends it.
        last_epoch: the step reached so far; -1 to start.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range.

    Example:
        >>> from types import SimpleNamespace
        >>> optimizer = SimpleNamespace(param_groups=[{"lr": 8.0}])
        >>> [lr for (lr,) in ConstantLR(optimizer, factor=0.5, total_iters=3).preview(4)]
        [4.0, 4.0, 8.0, 8.0]
    """

    _shown = ("factor", "total_iters")

    def __init__(
        self, optimizer: HasParamGroups, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        self.factor = real("factor", factor, 0, 1)
        self.total_iters = count("total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return each group's present learning rate times this step's factor."""
        if self.factor == 0 and self.last_epoch == self.total_iters != 0:
            self._warn_outside_step()
            return self.base_lrs  # nothing can be multiplied back out of 0
        return super().get_lr()

    def _factor(self) -> float:
        if self.last_epoch == 0:
            return self.factor
        return 1.0 / self.factor if self.last_epoch == self.total_iters else 1.0

    def _total_factor(self) -> float:
        return self.factor + (self.last_epoch >= self.total_iters) * (1 - self.factor)


class LinearLR(FactorLR):
    r"""Moves the learning rate linearly from ``start_factor`` to ``end_factor`` times its initial value.

    .. math:: lr_t = lr_0 \left(s + (e - s) \frac{\min(t, T)}{T}\right)

    with s = ``start_factor``, e = ``end_factor``, T = ``total_iters``: a warm-up with the defaults.

    Args:
        optimizer: anything with ``param_groups``.
        start_factor: above 0, at most 1.
        end_factor: between 0 and 1.
        total_iters: steps that it takes, at least 0. As in PyTorch, with 0 the start factor stays.
        last_epoch: the step reached so far; -1 to start.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range.

    Example:
        >>> from types import SimpleNamespace
        >>> optimizer = SimpleNamespace(param_groups=[{"lr": 8.0}])
        >>> scheduler = LinearLR(optimizer, start_factor=0.25, total_iters=3)
        >>> scheduler.get_last_lr(), [lr for (lr,) in scheduler.preview(4)]
        ([2.0], [4.0, 6.0, 8.0, 8.0])
    """

    _shown = ("start_factor", "end_factor", "total_iters")

    def __init__(
        self,
        optimizer: HasParamGroups,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = real("start_factor", start_factor, above=0, high=1)
        self.end_factor = real("end_factor", end_factor, 0, 1)
        self.total_iters = count("total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float:
        if self.last_epoch == 0:
            return self.start_factor
        if self._is_initial or self.last_epoch > self.total_iters:
            return 1.0
        slope = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * slope  # T times the last factor
        return 1.0 + slope / before

    def _total_factor(self) -> float:
        if self.total_iters == 0:
            return self.start_factor
        slope = self.end_factor - self.start_factor
        return self.start_factor + slope * min(self.total_iters, self.last_epoch) / self.total_iters


class PolynomialLR(FactorLR):
    r"""Lets the learning rate fall to 0 in ``total_iters`` steps along a polynomial.

    .. math:: lr_t = lr_0 \left(1 - \frac{\min(t, T)}{T}\right)^{power}

    Args:
        optimizer: anything with ``param_groups``.
        total_iters: T, the steps until 0. As in PyTorch, with 0 the learning rate stays.
        power: at least 0; 1 is a straight line.
        last_epoch: the step reached so far; -1 to start.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range.

    Example:
        >>> from types import SimpleNamespace
        >>> optimizer = SimpleNamespace(param_groups=[{"lr": 8.0}])
        >>> [round(lr, 9) for (lr,) in PolynomialLR(optimizer, total_iters=4, power=2).preview(5)]
        [4.5, 2.0, 0.5, 0.0, 0.0]
    """

    _shown = ("total_iters", "power")

    def __init__(
        self, optimizer: HasParamGroups, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ) -> None:
        self.total_iters = count("total_iters", total_iters)
        self.power = real("power", power, 0)
        super().__init__(optimizer, last_epoch)

    def _factor(self) -> float:
        t, total = self.last_epoch, self.total_iters
        if self._is_initial or t > total or total == 0:
            return 1.0
        # Out of nested schedulers, step 0 can be taken like any other; the learning rate then starts too high.
        return ((1.0 - t / total) / (1.0 - (t - 1) / total)) ** self.power

    def _total_factor(self) -> float:
        if self.total_iters == 0:
            return 1.0
        return (1.0 - min(self.total_iters, self.last_epoch) / self.total_iters) ** self.power
