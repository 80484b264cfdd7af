"""RAdam."""

from __future__ import annotations

import math
from typing import Any, Unpack

import numpy as np

from .implementation import Implementation
from .optimizer import Optimizer


class RAdam(Optimizer):
    """RAdam: Adam that shortens its first steps, while too few squares are averaged to be divided by.

    With gradient g, averages m and v, decay rates β₁ and β₂, learning rate α and step number t, v averages about as
    many squares as ρₜ says, in the long run ρ∞::

        ρ∞ = 2 / (1 - β₂) - 1
        ρₜ = ρ∞ - 2 t β₂ᵗ / (1 - β₂ᵗ)
        m ← β₁ m + (1 - β₁) g
        v ← β₂ v + (1 - β₂) g²
        θ ← θ - α (m / (1 - β₁ᵗ)) rₜ √(1 - β₂ᵗ) / (√v + ε)       if ρₜ > 5
        θ ← θ - α (m / (1 - β₁ᵗ))                                 else

    with the rectification ``rₜ = √((ρₜ - 4)(ρₜ - 2) ρ∞ / ((ρ∞ - 4)(ρ∞ - 2) ρₜ))``, which with the default
    β₂ begins at 0.026 and grows to 1; the first five steps are those of momentum. With β₂ up to 2/3, all are.

    Args:
        params: tensors, ``(name, tensor)`` pairs or dicts that define groups.
        lr: learning rate α, at least 0.
        betas: (β₁, β₂), each from 0 to below 1.
        eps: ε, at least 0; added to √v before the bias correction, as in PyTorch.
        weight_decay: λ, at least 0; adds ``λ θ`` to the gradient.
        decoupled_weight_decay: shrink the parameter by ``α λ θ`` instead, as `AdamW` does.
        maximize: go up the gradient.
        max_grad_norm: clip the norm of all gradients to this as part of the step; see `Optimizer`.
        foreach, capturable, differentiable, fused: as PyTorch's optimizers have them; see `Optimizer`.

    Raises:
        ValueError: a value out of range.

    References:
        Liu et al. 2020, "On the Variance of the Adaptive Learning Rate and Beyond", Algorithm 2, arXiv:1908.03265;
        rectified from ρₜ > 5 on, as in the authors' code, where the paper has 4.

    Example:
        >>> x = genesis.tensor([4.0], requires_grad=True)
        >>> optimizer = genesis.optim.RAdam([x], lr=0.125)
        >>> (x * x).sum().backward()      # the first step is that of SGD: 4 - 0.125 * 8
        >>> optimizer.step()
        >>> round(x.item(), 4)
        3.0
    """

    source = "optim/radam.cl"

    def __init__(self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, decoupled_weight_decay: bool = False, *, maximize: bool = False,
                 max_grad_norm: float | None = None, **implementation: Unpack[Implementation]):
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize}, max_grad_norm, **implementation)

    def rule(self, group: dict[str, Any]) -> str:
        """Always the same."""
        return "radam"

    def scalars(self, group: dict[str, Any], step: int) -> dict[str, float]:
        """Decay rates, whether the step is rectified, and its length with all that depends on the step alone."""
        beta1, beta2 = group["betas"]
        far, correction2 = 2 / (1 - beta2) - 1, 1 - beta2 ** step
        rho = far - 2 * step * beta2 ** step / correction2
        factor = 1.0
        if rho > 5:
            factor = math.sqrt((rho - 4) * (rho - 2) * far / ((far - 4) * (far - 2) * rho) * correction2)
        return {"beta1": beta1, "one_minus_beta1": 1 - beta1, "beta2": beta2, "one_minus_beta2": 1 - beta2,
                "eps": group["eps"], "rectified": 1.0 if rho > 5 else 0.0,
                "step_size": group["lr"] / (1 - beta1 ** step) * factor}

    @staticmethod
    def reference(param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> np.ndarray:
        """One step in float64 NumPy: the new parameter; ``state`` is updated."""
        beta1, beta2 = group["betas"]
        t = state["step"] = state.get("step", 0) + 1
        m = state["exp_avg"] = beta1 * state.get("exp_avg", 0) + (1 - beta1) * grad
        v = state["exp_avg_sq"] = beta2 * state.get("exp_avg_sq", 0) + (1 - beta2) * grad ** 2
        m_hat = m / (1 - beta1 ** t)
        far = 2 / (1 - beta2) - 1
        rho = far - 2 * t * beta2 ** t / (1 - beta2 ** t)
        if rho <= 5:
            return param - group["lr"] * m_hat
        r = np.sqrt((rho - 4) * (rho - 2) * far / ((far - 4) * (far - 2) * rho))
        return param - group["lr"] * m_hat * r * np.sqrt(1 - beta2 ** t) / (np.sqrt(v) + group["eps"])
