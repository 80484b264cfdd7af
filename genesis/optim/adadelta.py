"""Adadelta."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

import numpy as np

from . import checks
from .implementation import Implementation
from .optimizer import Optimizer


class Adadelta(Optimizer):
    """Adadelta: steps as long as the parameter's latest steps were, so that no learning rate has to be found.

    With gradient g, average v of its square, step Δ, average q of its square, decay rate β and learning rate α::

        v ← β v + (1 - β) g²
        Δ ← √(q + ε) / √(v + ε) g
        q ← β q + (1 - β) Δ²
        θ ← θ - α Δ

    It begins with steps of about √ε, so it is ε that has to fit the parameters. The steps get longer: slowly if
    gradients keep their size, at the gradients' own pace if these grow. Where gradients are smaller than √ε, it is SGD
    with the learning rate α.

    Args:
        params: tensors, ``(name, tensor)`` pairs or dicts that define groups.
        lr: learning rate α, at least 0; the paper has none, which is 1.
        rho: decay rate β of both averages, from 0 to 1.
        eps: ε, at least 0; inside both roots. It sets the length of the first steps; with 0 there are none.
        weight_decay: λ, at least 0; adds ``λ θ`` to the gradient.
        maximize: go up the gradient.
        max_grad_norm: clip the norm of all gradients to this as part of the step; see `Optimizer`.
        foreach, capturable, differentiable, fused: as PyTorch's optimizers have them; see `Optimizer`.

    Raises:
        ValueError: a value out of range.

    References:
        Zeiler 2012, "ADADELTA: An Adaptive Learning Rate Method", Algorithm 1, arXiv:1212.5701.

    Example:
        >>> x = genesis.tensor([4.0], requires_grad=True)
        >>> optimizer = genesis.optim.Adadelta([x], rho=0.75, eps=0.01)
        >>> (x * x).sum().backward()      # v = 0.25 * 8² = 16 and q = 0, so the step is 0.1 * 8 / 4, but for ε
        >>> optimizer.step()
        >>> round(x.item(), 4)
        3.8001
    """

    source = "optim/adadelta.cl"
    own_checks: ClassVar[checks.Checks] = {"rho": checks.within(0.0, 1.0)}

    def __init__(self, params: Any, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0, *,
                 maximize: bool = False, max_grad_norm: float | None = None, **implementation: Unpack[Implementation]):
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay,
                                  "maximize": maximize}, max_grad_norm, **implementation)

    def rule(self, group: dict[str, Any]) -> str:
        """Always the same."""
        return "adadelta"

    def scalars(self, group: dict[str, Any], step: int) -> dict[str, float]:
        """The hyperparameters."""
        return {"lr": group["lr"], "rho": group["rho"], "one_minus_rho": 1 - group["rho"], "eps": group["eps"]}

    @staticmethod
    def reference(param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> np.ndarray:
        """One step in float64 NumPy: the new parameter; ``state`` is updated."""
        rho, eps = group["rho"], group["eps"]
        state["step"] = state.get("step", 0) + 1
        v = state["square_avg"] = rho * state.get("square_avg", 0) + (1 - rho) * grad ** 2
        q = state.get("acc_delta", 0)
        delta = np.sqrt(q + eps) / np.sqrt(v + eps) * grad
        state["acc_delta"] = rho * q + (1 - rho) * delta ** 2
        return param - group["lr"] * delta
