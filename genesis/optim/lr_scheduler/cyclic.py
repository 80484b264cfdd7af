"""CyclicLR: up and down between two bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from .checks import HasParamGroups, check_optimizer, choice, per_group, real
from .cycle import MomentumCyclingLR
from .state import callable_state, check_callable_state, load_callable_state

MODES = ("triangular", "triangular2", "exp_range")


class CyclicLR(MomentumCyclingLR):
    r"""Moves the learning rate up and down between ``base_lr`` and ``max_lr``, in straight lines.

    .. math:: lr_t = lr_{base} + (lr_{max} - lr_{base}) \, h_t \, s_t

    :math:`h_t` goes from 0 to 1 in ``step_size_up`` steps and back to 0 in ``step_size_down``; the scale :math:`s_t`
    is, with the cycles counted c = 1, 2, ...,

    - ``"triangular"``: 1,
    - ``"triangular2"``: :math:`2^{1-c}`, each cycle half as high as the one before,
    - ``"exp_range"``: :math:`gamma^t`.

    The momentum goes the other way, :math:`m_{max} - (m_{max} - m_{base}) \, h_t \, s_t`. Step it after every batch.

    Args:
        optimizer: anything with ``param_groups``. Their ``"lr"`` is overwritten with ``base_lr``.
        base_lr: the lower bound, at least 0; a number, or a list with one for each group.
        max_lr: the upper bound, likewise.
        step_size_up: steps from the lower bound to the upper, above 0.
        step_size_down: steps back, at least 0; as many as up by default.
        mode: the scale, one of the three above; not looked at if there is ``scale_fn``.
        gamma: the base of ``"exp_range"``, at least 0.
        scale_fn: a scale of your own: a function of c or t. As in `LambdaLR`, a state dict holds the attributes of
            a callable object, and no functions.
        scale_mode: what ``scale_fn`` is a function of, ``"cycle"`` for c or ``"iterations"`` for t.
        cycle_momentum: whether the momentum, or the first of ``betas``, is cycled.
        base_momentum: its lower bound, at least 0; a number or a list.
        max_momentum: its upper bound, likewise, where it starts.
        last_epoch: the step reached so far; -1 to start.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range, a list has not one item for each group, or ``cycle_momentum`` is on
            and the optimizer has neither momentum nor betas.

    Reference: Smith, "Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186.

    Example:
        >>> from types import SimpleNamespace
        >>> optimizer = SimpleNamespace(param_groups=[{"lr": 1.0, "momentum": 0.5}])
        >>> scheduler = CyclicLR(optimizer, 1.0, 3.0, step_size_up=2, mode="triangular2")
        >>> [lr for (lr,) in scheduler.preview(8)]
        [2.0, 3.0, 2.0, 1.0, 1.5, 2.0, 1.5, 1.0]
        >>> optimizer.param_groups[0]["momentum"]
        0.9
    """

    _required = ("last_epoch", "_scale_fn_custom")
    _shown = ("base_lrs", "max_lrs", "total_size", "step_ratio", "mode", "gamma", "scale_mode", "cycle_momentum")

    def __init__(
        self,
        optimizer: HasParamGroups,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: Literal["cycle", "iterations"] = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        base_lrs = per_group("base_lr", base_lr, optimizer)
        self.max_lrs = per_group("max_lr", max_lr, optimizer)
        up = float(real("step_size_up", step_size_up, above=0))
        down = up if step_size_down is None else float(real("step_size_down", step_size_down, 0))
        self.total_size = up + down
        self.step_ratio = up / self.total_size
        if scale_fn is not None and not callable(scale_fn):
            raise TypeError(f"scale_fn must be a function, got {scale_fn!r} of type {type(scale_fn).__name__}")
        self.mode = choice("mode", mode, MODES) if scale_fn is None else mode
        self.gamma = real("gamma", gamma, 0)
        self._scale_fn_custom = scale_fn
        self.scale_mode = choice("scale_mode", scale_mode, ("cycle", "iterations"))
        if scale_fn is None:
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        start = last_epoch == -1
        self.base_momentums, self.max_momentums = self._init_momentum(
            optimizer, cycle_momentum, base_momentum, max_momentum, start
        )
        if start:
            for group, lr in zip(optimizer.param_groups, base_lrs):
                group["lr"] = float(lr)
        super().__init__(optimizer, last_epoch)
        # The groups' initial_lr, which the base class took, is another scheduler's if that one came first.
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """Return the scale of cycle ``x``, or of step ``x``, as ``scale_mode`` says."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular2":
            return 1 / 2.0 ** (x - 1)
        return self.gamma**x if self.mode == "exp_range" else 1.0

    def get_lr(self) -> list[float]:
        """Return the learning rates of this point of the cycle."""
        self._warn_outside_step()
        height, scale = self._height_and_scale()
        return [low + (high - low) * height * scale for low, high in zip(self.base_lrs, self.max_lrs)]

    def _momentums(self) -> list[float]:
        height, scale = self._height_and_scale()
        return [high - (high - low) * height * scale for low, high in zip(self.base_momentums, self.max_momentums)]

    def _height_and_scale(self) -> tuple[float, float]:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle  # how much of this cycle is over
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        return height, self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return the state; of a ``scale_fn``, only the attributes of a callable object are in it."""
        return {**super().state_dict(), "_scale_fn_custom": callable_state(self._scale_fn_custom)}

    def _check_state(self, state: Mapping[str, Any]) -> None:
        super()._check_state(state)
        check_callable_state("scale_fn", self._scale_fn_custom, state["_scale_fn_custom"])

    def _load_state(self, state: Mapping[str, Any]) -> None:
        super()._load_state({key: value for key, value in state.items() if key != "_scale_fn_custom"})
        load_callable_state(self._scale_fn_custom, state["_scale_fn_custom"])
