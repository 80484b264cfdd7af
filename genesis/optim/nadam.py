"""NAdam."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Unpack

import numpy as np

from . import checks
from .implementation import Implementation
from .optimizer import Optimizer


class NAdam(Optimizer):
    """NAdam: Adam with Nesterov's momentum, which looks ahead by mixing in the latest gradient.

    With gradient g, averages m and v, decay rates β₁ and β₂, momentum decay ψ, learning rate α and step number t, the
    momentum μₜ of step t and the product M of the momenta of all steps, 1 at the start::

        μₜ = β₁ (1 - 0.96^(t ψ) / 2)
        M ← M μₜ
        m ← β₁ m + (1 - β₁) g
        v ← β₂ v + (1 - β₂) g²
        θ ← θ - α ((1 - μₜ) g / (1 - M) + μₜ₊₁ m / (1 - M μₜ₊₁)) / (√(v / (1 - β₂ᵗ)) + ε)

    The product M is in the state as the float ``mu_product``, kept in float64 on the host. As in PyTorch it has the
    momenta that the steps have used: changing ``betas`` or ``momentum_decay`` changes the factors to come, and a state
    that is loaded or assigned goes on from the product it brings, whatever the step count says; a state without one
    begins at 1. While these two change, a step that may be skipped (``max_grad_norm``, `GradScaler`) first waits to
    learn whether those before it were.

    Args:
        params: tensors, ``(name, tensor)`` pairs or dicts that define groups.
        lr: learning rate α, at least 0.
        betas: (β₁, β₂), each from 0 to below 1.
        eps: ε, at least 0.
        weight_decay: λ, at least 0; adds ``λ θ`` to the gradient.
        momentum_decay: ψ, at least 0; how fast the momentum grows from β₁ / 2 to β₁. At 0 it stays at β₁ / 2.
        decoupled_weight_decay: shrink the parameter by ``α λ θ`` instead, as `AdamW` does.
        maximize: go up the gradient.
        max_grad_norm: clip the norm of all gradients to this as part of the step; see `Optimizer`.
        foreach, capturable, differentiable, fused: as PyTorch's optimizers have them; see `Optimizer`.

    Raises:
        ValueError: a value out of range.

    References:
        Dozat 2016, "Incorporating Nesterov Momentum into Adam", Algorithm 2, with his schedule of momenta and, as in
        PyTorch, the decay rate β₁ of the average; https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ.

    Example:
        >>> x = genesis.tensor([4.0], requires_grad=True)
        >>> optimizer = genesis.optim.NAdam([x], lr=0.5, betas=(0.8, 0.999), momentum_decay=0)
        >>> (x * x).sum().backward()      # μ = 0.4: the gradient counts once, and 0.4 * 0.2 / (1 - 0.4²) times again
        >>> optimizer.step()
        >>> round((4 - x.item()) / 0.5, 4)
        1.0952
        >>> round(optimizer.state[x]["mu_product"], 4)
        0.4
    """

    source = "optim/nadam.cl"
    numbers: ClassVar[dict[str, float]] = {"mu_product": 1.0}
    own_checks: ClassVar[checks.Checks] = {
        "momentum_decay": checks.within(0.0), "mu_product": checks.within(0.0, 1.0)}

    def __init__(self, params: Any, lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *,
                 maximize: bool = False, max_grad_norm: float | None = None, **implementation: Unpack[Implementation]):
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize}, max_grad_norm, **implementation)

    def rule(self, group: dict[str, Any]) -> str:
        """Always the same."""
        return "nadam"

    def scalars(self, group: dict[str, Any], step: int, mu_product: float = 1.0) -> dict[str, float]:
        """Decay rates, the shares of gradient and average, the scale of v, and the product after this step."""
        beta1, beta2 = group["betas"]
        mu = beta1 * (1 - 0.5 * 0.96 ** (step * group["momentum_decay"]))
        mu_next = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * group["momentum_decay"]))
        product = mu_product * mu
        return {"beta1": beta1, "one_minus_beta1": 1 - beta1, "beta2": beta2, "one_minus_beta2": 1 - beta2,
                "eps": group["eps"], "grad_size": group["lr"] * (1 - mu) / (1 - product),
                "avg_size": group["lr"] * mu_next / (1 - product * mu_next),
                "v_scale": 1 / math.sqrt(1 - beta2 ** step), "mu_product": product}

    @staticmethod
    def reference(param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> np.ndarray:
        """One step in float64 NumPy: the new parameter; ``state`` is updated."""
        beta1, beta2 = group["betas"]
        t = state["step"] = state.get("step", 0) + 1
        mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (n * group["momentum_decay"])) for n in (t, t + 1))
        product = state["mu_product"] = state.get("mu_product", 1.0) * mu
        m = state["exp_avg"] = beta1 * state.get("exp_avg", 0) + (1 - beta1) * grad
        v = state["exp_avg_sq"] = beta2 * state.get("exp_avg_sq", 0) + (1 - beta2) * grad ** 2
        ahead = (1 - mu) * grad / (1 - product) + mu_next * m / (1 - product * mu_next)
        return param - group["lr"] * ahead / (np.sqrt(v / (1 - beta2 ** t)) + group["eps"])
