"""Adamax."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from .implementation import Implementation
from .optimizer import Optimizer


class Adamax(Optimizer):
    """Adamax: Adam with a decaying maximum of the gradient's size in place of the root of an average of squares.

    With gradient g, average m, maximum u, decay rates β₁ and β₂, learning rate α and step number t::

        m ← β₁ m + (1 - β₁) g
        u ← max(β₂ u, |g| + ε)
        θ ← θ - α (m / (1 - β₁ᵗ)) / u

    Args:
        params: tensors, ``(name, tensor)`` pairs or dicts that define groups.
        lr: learning rate α, at least 0.
        betas: (β₁, β₂), each from 0 to below 1.
        eps: ε, at least 0; inside the maximum, as in PyTorch. If it is 0, elements whose gradients were all 0
            become NaN.
        weight_decay: λ, at least 0; adds ``λ θ`` to the gradient.
        maximize: go up the gradient.
        max_grad_norm: clip the norm of all gradients to this as part of the step; see `Optimizer`.
        foreach, capturable, differentiable, fused: as PyTorch's optimizers have them; see `Optimizer`.

    Raises:
        ValueError: a value out of range.

    References:
        Kingma & Ba 2015, Algorithm 2, arXiv:1412.6980.

    Example:
        >>> x = genesis.tensor([4.0, -0.5], requires_grad=True)
        >>> optimizer = genesis.optim.Adamax([x], lr=0.5)
        >>> (x * x).sum().backward()
        >>> optimizer.step()              # the first step has length lr, whatever the gradient's size
        >>> x.detach()
        tensor([3.5, 0. ])
    """

    source = "optim/adamax.cl"

    def __init__(self, params: Any, lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, *, maximize: bool = False,
                 max_grad_norm: float | None = None, **implementation: Unpack[Implementation]):
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize},
            max_grad_norm, **implementation)

    def rule(self, group: dict[str, Any]) -> str:
        """Always the same."""
        return "adamax"

    def scalars(self, group: dict[str, Any], step: int) -> dict[str, float]:
        """Decay rates, and the average's bias correction folded into the step's length."""
        beta1, beta2 = group["betas"]
        return {"beta1": beta1, "one_minus_beta1": 1 - beta1, "beta2": beta2, "eps": group["eps"],
                "step_size": group["lr"] / (1 - beta1 ** step)}

    @staticmethod
    def reference(param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> np.ndarray:
        """One step in float64 NumPy: the new parameter; ``state`` is updated."""
        beta1, beta2 = group["betas"]
        t = state["step"] = state.get("step", 0) + 1
        m = state["exp_avg"] = beta1 * state.get("exp_avg", 0) + (1 - beta1) * grad
        u = state["exp_inf"] = np.maximum(beta2 * state.get("exp_inf", 0), np.abs(grad) + group["eps"])
        return param - group["lr"] * (m / (1 - beta1 ** t)) / u
