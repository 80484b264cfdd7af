"""Lion."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from .implementation import Implementation
from .optimizer import Optimizer


class Lion(Optimizer):
    """Lion: steps of one length, in the direction of the sign of an average of gradients.

    With gradient g, average m, decay rates β₁ and β₂, learning rate α and weight decay λ::

        θ ← θ - α λ θ
        θ ← θ - α sign(β₁ m + (1 - β₁) g)
        m ← β₂ m + (1 - β₂) g

    It stores one average where Adam stores two. All elements move by α, so the paper advises a learning rate three to
    ten times smaller than AdamW's, and a weight decay as much larger.

    Args:
        params: tensors, ``(name, tensor)`` pairs or dicts that define groups.
        lr: learning rate α, at least 0.
        betas: (β₁, β₂), each from 0 to below 1.
        weight_decay: λ, at least 0; decoupled, as in `AdamW`.
        maximize: go up the gradient.
        max_grad_norm: clip the norm of all gradients to this as part of the step; see `Optimizer`.
        foreach, capturable, differentiable, fused: as PyTorch's optimizers have them; see `Optimizer`.

    Raises:
        ValueError: a value out of range.

    References:
        Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", Algorithm 2, arXiv:2302.06675.

    Example:
        >>> x = genesis.tensor([4.0, -0.01], requires_grad=True)
        >>> optimizer = genesis.optim.Lion([x], lr=0.5)
        >>> (x * x).sum().backward()
        >>> optimizer.step()              # both elements move by lr, whatever their gradients' sizes
        >>> x.detach()
        tensor([3.5 , 0.49])
    """

    source = "optim/lion.cl"
    counts_steps = False

    def __init__(self, params: Any, lr: float = 1e-4, betas: tuple[float, float] = (0.9, 0.99),
                 weight_decay: float = 0, *, maximize: bool = False,
                 max_grad_norm: float | None = None, **implementation: Unpack[Implementation]):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize},
                         max_grad_norm, **implementation)

    def rule(self, group: dict[str, Any]) -> str:
        """Always the same."""
        return "lion"

    def scalars(self, group: dict[str, Any], step: int) -> dict[str, float]:
        """The hyperparameters."""
        beta1, beta2 = group["betas"]
        return {"lr": group["lr"], "beta1": beta1, "beta2": beta2, "one_minus_beta1": 1 - beta1,
                "one_minus_beta2": 1 - beta2}

    @staticmethod
    def reference(param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> np.ndarray:
        """One step in float64 NumPy: the new parameter; ``state`` is updated."""
        beta1, beta2 = group["betas"]
        m = state.get("exp_avg", 0)
        state["exp_avg"] = beta2 * m + (1 - beta2) * grad
        return param - group["lr"] * np.sign(beta1 * m + (1 - beta1) * grad)
