"""RMSprop."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

import numpy as np

from . import checks
from .implementation import Implementation
from .optimizer import Optimizer


class RMSprop(Optimizer):
    """RMSprop: steps divided by the root of a running average of the squared gradient.

    With gradient g, average v, smoothing a, momentum μ and learning rate α::

        v ← a v + (1 - a) g²
        θ ← θ - α g / (√v + ε)

    With momentum, ``b ← μ b + g / (√v + ε)`` and ``θ ← θ - α b``. Centered, ``v - m²`` takes the place of v, where m is
    the running average of g: the variance instead of the second moment.

    Args:
        params: tensors, ``(name, tensor)`` pairs or dicts that define groups.
        lr: learning rate α, at least 0.
        alpha: smoothing a, from 0 to 1.
        eps: ε, at least 0; outside the root, as in PyTorch.
        weight_decay: λ, at least 0; adds ``λ θ`` to the gradient.
        momentum: μ, at least 0.
        centered: divide by the standard deviation.
        maximize: go up the gradient.
        max_grad_norm: clip the norm of all gradients to this as part of the step; see `Optimizer`.
        foreach, capturable, differentiable, fused: as PyTorch's optimizers have them; see `Optimizer`.

    Raises:
        ValueError: a value out of range.

    References:
        Tieleman & Hinton 2012, Lecture 6.5 of "Neural Networks for Machine Learning". Centered: Graves 2013,
        arXiv:1308.0850.

    Example:
        >>> x = genesis.tensor([4.0], requires_grad=True)
        >>> optimizer = genesis.optim.RMSprop([x], lr=0.1, alpha=0.75)
        >>> (x * x).sum().backward()      # v = 0.25 * 8², so the step is 0.1 * 8 / 4
        >>> optimizer.step()
        >>> round(x.item(), 4)
        3.8
    """

    source = "optim/rmsprop.cl"
    own_checks: ClassVar[checks.Checks] = {"alpha": checks.within(0.0, 1.0)}

    def __init__(self, params: Any, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0,
                 momentum: float = 0, centered: bool = False, *, maximize: bool = False,
                 max_grad_norm: float | None = None, **implementation: Unpack[Implementation]):
        super().__init__(params, {
            "lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum,
            "centered": centered, "maximize": maximize}, max_grad_norm, **implementation)

    def rule(self, group: dict[str, Any]) -> str:
        """By momentum and centering."""
        return "rmsprop" + "_centered" * bool(group["centered"]) + "_momentum" * bool(group["momentum"])

    def scalars(self, group: dict[str, Any], step: int) -> dict[str, float]:
        """The hyperparameters."""
        return {"lr": group["lr"], "alpha": group["alpha"], "one_minus_alpha": 1 - group["alpha"], "eps": group["eps"],
                "momentum": group["momentum"]}

    @staticmethod
    def reference(param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> np.ndarray:
        """One step in float64 NumPy: the new parameter; ``state`` is updated."""
        a = group["alpha"]
        state["step"] = state.get("step", 0) + 1
        v = state["square_avg"] = a * state.get("square_avg", 0) + (1 - a) * grad ** 2
        if group["centered"]:
            m = state["grad_avg"] = a * state.get("grad_avg", 0) + (1 - a) * grad
            v = np.maximum(v - m ** 2, 0)
        step = grad / (np.sqrt(v) + group["eps"])
        if group["momentum"]:
            step = state["momentum_buffer"] = group["momentum"] * state.get("momentum_buffer", 0) + step
        return param - group["lr"] * step
