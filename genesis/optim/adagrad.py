"""Adagrad."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

import numpy as np

from . import checks
from .implementation import Implementation
from .optimizer import Optimizer


class Adagrad(Optimizer):
    """Adagrad: steps divided by the root of the sum of all squared gradients so far.

    With gradient g, sum s, learning rate α, its decay η and step number t::

        s ← s + g²
        θ ← θ - α / (1 + (t - 1) η) g / (√s + ε)

    The sum only grows, so steps get shorter by themselves, for each element at its own pace: elements that rarely have
    a gradient keep long steps for when they do.

    Args:
        params: tensors, ``(name, tensor)`` pairs or dicts that define groups.
        lr: learning rate α, at least 0.
        lr_decay: η, at least 0; makes steps still shorter.
        weight_decay: λ, at least 0; adds ``λ θ`` to the gradient.
        initial_accumulator_value: what s begins with, from 0 to float32's largest number; above 0 it shortens the
            first steps. A group may have its own, which counts when the group is added.
        eps: ε, at least 0; outside the root.
        maximize: go up the gradient.
        max_grad_norm: clip the norm of all gradients to this as part of the step; see `Optimizer`.
        foreach, capturable, differentiable, fused: as PyTorch's optimizers have them; see `Optimizer`.

    The state, ``sum`` and ``step``, is there from the start, as in PyTorch. A sparse gradient updates its rows alone,
    which is the same update.

    Raises:
        ValueError: a value out of range.
        RuntimeError: from `step`, a sparse gradient with weight decay.

    References:
        Duchi, Hazan & Singer 2011, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization",
        Figure 1, with diagonal matrices, Journal of Machine Learning Research 12.

    Example:
        >>> x = genesis.tensor([4.0, -0.01], requires_grad=True)
        >>> optimizer = genesis.optim.Adagrad([x], lr=0.5)
        >>> (x * x).sum().backward()
        >>> optimizer.step()              # the first step has length lr, whatever the gradients' sizes
        >>> x.detach()
        tensor([3.5 , 0.49])
        >>> optimizer.step()              # the second, with the same gradients, 1 / √2 of it
        >>> x.detach()
        tensor([3.1464, 0.8436])
    """

    source = "optim/adagrad.cl"
    own_checks: ClassVar[checks.Checks] = {
        "lr_decay": checks.within(0.0),
        "initial_accumulator_value": checks.within(0.0, checks.FLOAT32_MAX)}      # the sum is float32

    def __init__(self, params: Any, lr: float = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
                 initial_accumulator_value: float = 0, eps: float = 1e-10, *, maximize: bool = False,
                 max_grad_norm: float | None = None, **implementation: Unpack[Implementation]):
        super().__init__(params, {
            "lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "eps": eps, "maximize": maximize},
            max_grad_norm, **implementation)

    def rule(self, group: dict[str, Any]) -> str:
        """Always the same."""
        return "adagrad"

    def by_rows(self, group: dict[str, Any]) -> bool:
        """Yes: without a gradient neither an element nor its sum changes."""
        if group["weight_decay"]:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")
        return True

    def scalars(self, group: dict[str, Any], step: int) -> dict[str, float]:
        """The learning rate of this step, and ε."""
        return {"clr": group["lr"] / (1 + (step - 1) * group["lr_decay"]), "eps": group["eps"]}

    def first_values(self, group: dict[str, Any]) -> Mapping[str, float]:
        """The sum begins with ``initial_accumulator_value``."""
        return {"sum": group["initial_accumulator_value"]}

    @staticmethod
    def reference(param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> np.ndarray:
        """One step in float64 NumPy: the new parameter; ``state`` is updated."""
        t = state["step"] = state.get("step", 0) + 1
        s = state["sum"] = state.get("sum", group["initial_accumulator_value"]) + grad ** 2
        return param - group["lr"] / (1 + (t - 1) * group["lr_decay"]) * grad / (np.sqrt(s) + group["eps"])
