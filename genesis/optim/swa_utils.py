"""Weight averaging: stochastic weight averaging (SWA) and exponential moving averages (EMA), and SWA's schedule."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..autograd import no_grad
from ..averaging import (
    AveragedModel,
    get_ema_avg_fn,
    get_ema_multi_avg_fn,
    get_swa_avg_fn,
    get_swa_multi_avg_fn,
)
from ..opencl import Device
from .lr_scheduler.base import LRScheduler
from .lr_scheduler.checks import HasParamGroups, choice, count, per_group

_ANNEAL = {"cos": lambda t: (1 - math.cos(math.pi * t)) / 2, "linear": lambda t: t}


class SWALR(LRScheduler):
    r"""Leads each learning rate to ``swa_lr`` in ``anneal_epochs`` steps and keeps it there.

    .. math:: lr_t = (1 - \alpha_t)\, lr_0 + \alpha_t\, lr_{swa}, \quad
              \alpha_t = \tfrac12 (1 - \cos \pi \tau) \text{ or } \tau, \quad \tau = \min(t / T, 1)

    Args:
        optimizer: anything with ``param_groups``.
        swa_lr: the learning rate to go to, at least 0; or a list with one for each group.
        anneal_epochs: T, the steps that it takes, at least 0; with 0 it is set at once.
        anneal_strategy: ``"cos"`` or ``"linear"``.
        last_epoch: the step reached so far; -1 to start.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range.

    Reference: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", arXiv:1803.05407.

    Example:
        >>> from types import SimpleNamespace
        >>> optimizer = SimpleNamespace(param_groups=[{"lr": 8.0}])
        >>> scheduler = SWALR(optimizer, swa_lr=2.0, anneal_epochs=3, anneal_strategy="linear")
        >>> [round(lr, 9) for (lr,) in scheduler.preview(4)]
        [6.0, 4.0, 2.0, 2.0]
    """

    _shown = ("anneal_epochs", "anneal_strategy")
    _group_keys = ("lr", "initial_lr", "swa_lr")

    def __init__(self, optimizer: HasParamGroups, swa_lr: float | list[float], anneal_epochs: int = 10,
                 anneal_strategy: str = "cos", last_epoch: int = -1) -> None:
        swa_lrs = per_group("swa_lr", swa_lr, optimizer)
        self.anneal_strategy = choice("anneal_strategy", anneal_strategy, tuple(_ANNEAL))
        self.anneal_epochs = count("anneal_epochs", anneal_epochs)
        for group, value in zip(optimizer.param_groups, swa_lrs):
            group["swa_lr"] = value
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the learning rates that follow on each group's present one."""
        self._warn_outside_step()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        lrs = []
        for group in self.optimizer.param_groups:
            lr, goal = float(group["lr"]), float(group["swa_lr"])
            start = goal if before == 1 else (lr - before * goal) / (1 - before)
            lrs.append(goal * now + start * (1 - now))
        return lrs

    def _share(self, step: int) -> float:
        return _ANNEAL[self.anneal_strategy](max(0.0, min(1.0, step / max(1, self.anneal_epochs))))


@no_grad()
def update_bn(loader: Iterable[Any], model: Any, device: Device | str | None = None) -> None:
    """Compute the running statistics of a model's batch normalization layers anew, in one pass over data.

    The statistics become the plain average over all batches. A model without such layers is not run.

    Args:
        loader: batches; of a list or tuple the first item is the model's input.
        model: the model, usually an `AveragedModel`. It is run in training mode and then put back into its own.
        device: where to move the batches first.
    """
    layers = [module for module in model.modules() if _has_statistics(module)]
    if not layers:
        return
    modes = [(module, module.training) for module in model.modules()]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
    model.train()
    try:
        for layer in layers:
            layer.momentum = None
        for batch in loader:
            x = batch[0] if isinstance(batch, list | tuple) else batch
            model(x if device is None else x.to(device))
    finally:
        for layer, momentum in zip(layers, momenta):
            layer.momentum = momentum
        for module, mode in modes:
            object.__setattr__(module, "training", mode)


def _has_statistics(module: Any) -> bool:
    return all(getattr(module, name, None) is not None for name in ("running_mean", "running_var",
                                                                     "reset_running_stats"))


__all__ = ["SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn",
           "get_swa_multi_avg_fn", "update_bn"]
