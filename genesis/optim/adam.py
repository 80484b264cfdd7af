"""Adam and AMSGrad."""

from __future__ import annotations

import math
from typing import Any, Unpack

import numpy as np

from .implementation import Implementation
from .optimizer import Optimizer


class Adam(Optimizer):
    """Adam: steps scaled by running averages of the gradient and of its square.

    With gradient g, averages m and v, decay rates β₁ and β₂, learning rate α and step number t::

        m ← β₁ m + (1 - β₁) g
        v ← β₂ v + (1 - β₂) g²
        θ ← θ - α (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + ε)

    AMSGrad divides by the largest v so far instead.

    Args:
        params: tensors, ``(name, tensor)`` pairs or dicts that define groups.
        lr: learning rate α, at least 0.
        betas: (β₁, β₂), each from 0 to below 1.
        eps: ε, at least 0; keeps the denominator from 0.
        weight_decay: λ, at least 0; adds ``λ θ`` to the gradient *before* the averages (L2). `AdamW` shrinks
            the parameter instead, which is mostly better.
        amsgrad: use AMSGrad.
        maximize: go up the gradient.
        max_grad_norm: clip the norm of all gradients to this as part of the step; see `Optimizer`.
        foreach, capturable, differentiable, fused: as PyTorch's optimizers have them; see `Optimizer`.

    Raises:
        ValueError: a value out of range.

    References:
        Kingma & Ba 2015, Algorithm 1, arXiv:1412.6980. AMSGrad: Reddi et al. 2018, Algorithm 2, arXiv:1904.09237.

    Example:
        >>> x = genesis.tensor([4.0], requires_grad=True)
        >>> optimizer = genesis.optim.Adam([x], lr=0.5)
        >>> (x * x).sum().backward()
        >>> optimizer.step()              # the first step has length lr, whatever the gradient's size
        >>> round(x.item(), 4)
        3.5
    """

    source = "optim/adam.cl"

    def __init__(self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, amsgrad: bool = False, *, maximize: bool = False,
                 max_grad_norm: float | None = None, **implementation: Unpack[Implementation]):
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize}, max_grad_norm, **implementation)

    def rule(self, group: dict[str, Any]) -> str:
        """With or without the largest v."""
        return "adam_amsgrad" if group["amsgrad"] else "adam"

    def scalars(self, group: dict[str, Any], step: int) -> dict[str, float]:
        """Decay rates, and the bias corrections folded into the step's length and the scale of v."""
        beta1, beta2 = group["betas"]
        return {"beta1": beta1, "one_minus_beta1": 1 - beta1, "beta2": beta2, "one_minus_beta2": 1 - beta2,
                "eps": group["eps"], "step_size": group["lr"] / (1 - beta1 ** step),
                "v_scale": 1 / math.sqrt(1 - beta2 ** step)}

    @staticmethod
    def reference(param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> np.ndarray:
        """One step in float64 NumPy: the new parameter; ``state`` is updated."""
        beta1, beta2 = group["betas"]
        t = state["step"] = state.get("step", 0) + 1
        m = state["exp_avg"] = beta1 * state.get("exp_avg", 0) + (1 - beta1) * grad
        v = state["exp_avg_sq"] = beta2 * state.get("exp_avg_sq", 0) + (1 - beta2) * grad ** 2
        if group["amsgrad"]:
            v = state["max_exp_avg_sq"] = np.maximum(state.get("max_exp_avg_sq", 0), v)
        return param - group["lr"] * (m / (1 - beta1 ** t)) / (np.sqrt(v / (1 - beta2 ** t)) + group["eps"])
