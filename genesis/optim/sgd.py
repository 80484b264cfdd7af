"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from .checks import required
from .implementation import Implementation
from .optimizer import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum.

    With gradient g, momentum buffer b, momentum μ, dampening d and learning rate α::

        b ← g                       in the first step
        b ← μ b + (1 - d) g         later
        θ ← θ - α b                 or, with Nesterov momentum, θ ← θ - α (g + μ b)

    Without momentum, ``θ ← θ - α g``, and nothing is stored. A sparse gradient then updates its rows alone; with
    momentum it counts as the dense one that it stands for.

    Args:
        params: tensors, ``(name, tensor)`` pairs or dicts that define groups.
        lr: learning rate α, at least 0. Required, here or in every group, while PyTorch takes 0.001 for it.
        momentum: μ, at least 0.
        dampening: d.
        weight_decay: λ, at least 0; adds ``λ θ`` to the gradient.
        nesterov: use Nesterov momentum; needs momentum and no dampening.
        maximize: go up the gradient.
        max_grad_norm: clip the norm of all gradients to this as part of the step; see `Optimizer`.
        foreach, capturable, differentiable, fused: as PyTorch's optimizers have them; see `Optimizer`.

    Raises:
        ValueError: a value out of range, or Nesterov momentum without momentum or with dampening.
        RuntimeError: from `step`, a sparse gradient with weight decay.

    References:
        Robbins & Monro 1951; Polyak 1964; Sutskever et al. 2013, "On the importance of initialization and momentum in
        deep learning".

    Example:
        >>> x = genesis.tensor([4.0], requires_grad=True)
        >>> optimizer = genesis.optim.SGD([x], lr=0.5)
        >>> (x * x).sum().backward()      # the gradient is 2 x = 8
        >>> optimizer.step()
        >>> x.item()
        0.0
    """

    source = "optim/sgd.cl"
    counts_steps = False

    def __init__(self, params: Any, lr: float = required, momentum: float = 0, dampening: float = 0,
                 weight_decay: float = 0, nesterov: bool = False, *, maximize: bool = False,
                 max_grad_norm: float | None = None, **implementation: Unpack[Implementation]):
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize}, max_grad_norm, **implementation)

    def check_group(self, group: dict[str, Any]) -> None:
        """Nesterov momentum needs momentum and no dampening."""
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError(f"nesterov needs momentum above 0 and dampening 0, got momentum {group['momentum']} and "
                             f"dampening {group['dampening']}")

    def rule(self, group: dict[str, Any]) -> str:
        """By momentum."""
        if not group["momentum"]:
            return "sgd"
        return "sgd_nesterov" if group["nesterov"] else "sgd_momentum"

    def by_rows(self, group: dict[str, Any]) -> bool:
        """Without momentum, which goes on moving rows that the gradient does not have."""
        if group["weight_decay"]:
            raise RuntimeError("weight_decay is not compatible with sparse gradients")
        return not group["momentum"]

    def scalars(self, group: dict[str, Any], step: int) -> dict[str, float]:
        """The first step has no dampening."""
        return {"lr": group["lr"], "momentum": group["momentum"],
                "dampening": 0.0 if step == 1 else group["dampening"]}

    @staticmethod
    def reference(param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> np.ndarray:
        """One step in float64 NumPy: the new parameter; ``state`` is updated."""
        momentum = group["momentum"]
        if momentum:
            b = state.get("momentum_buffer")
            b = grad if b is None else momentum * b + (1 - group["dampening"]) * grad
            state["momentum_buffer"] = b
            grad = grad + momentum * b if group["nesterov"] else b
        return param - group["lr"] * grad
