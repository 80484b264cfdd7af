"""ASGD."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

import numpy as np

from . import checks
from .implementation import Implementation
from .optimizer import Optimizer


class ASGD(Optimizer):
    """ASGD: plain gradient descent that also keeps the average of its parameters, in which noise cancels.

    With gradient g, average a, learning rate α, decay λ', power α″, step number t and the step t₀ from which on
    averages are taken; η begins with α and μ with 1::

        θ ← (1 - λ' η) θ - η g
        a ← a + μ (θ - a)
        η ← α / (1 + λ' α t)^α″
        μ ← 1 / max(1, t - t₀)

    The average is not what the model computes with: it is the state ``ax`` of each parameter, to be copied into the
    model when training ends. Until step t₀ + 2 it is the parameter itself.

    As in PyTorch, η and μ are in the state as the floats ``eta`` and ``mu``, those of the next step, and follow from
    the hyperparameters at the step before: a new learning rate shows one step late. Here they are kept in float64 on
    the host. While ``lr``, ``lambd``, ``alpha`` or ``t0`` change, a step that may be skipped (``max_grad_norm``,
    `GradScaler`) first waits to learn whether those before it were.

    Args:
        params: tensors, ``(name, tensor)`` pairs or dicts that define groups.
        lr: learning rate α, at least 0.
        lambd: λ', at least 0; shrinks parameters and makes the learning rate fall.
        alpha: α″, at least 0; how fast the learning rate falls.
        t0: t₀, any number; infinity for no average.
        weight_decay: λ, at least 0; adds ``λ θ`` to the gradient.
        maximize: go up the gradient.
        max_grad_norm: clip the norm of all gradients to this as part of the step; see `Optimizer`.
        foreach, capturable, differentiable, fused: as PyTorch's optimizers have them; see `Optimizer`.

    Raises:
        ValueError: a value out of range.

    References:
        Polyak & Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging", SIAM Journal on Control and
        Optimization 30; the learning rate is that of Bottou's "Stochastic Gradient Descent" programs, described in Xu
        2011, "Towards Optimal One Pass Large Scale Learning with Averaged Stochastic Gradient Descent",
        arXiv:1107.2490.

    Example:
        >>> x = genesis.tensor([4.0], requires_grad=True)
        >>> optimizer = genesis.optim.ASGD([x], lr=1.0, lambd=0, t0=0)
        >>> for _ in range(3):                                # the parameter jumps to and fro: 4, -4, 4, -4
        ...     optimizer.zero_grad()
        ...     (x * x).sum().backward()
        ...     optimizer.step()
        >>> x.item(), round(optimizer.state[x]["ax"].item(), 4)
        (-4.0, 0.0)
    """

    source = "optim/asgd.cl"
    numbers: ClassVar[dict[str, float]] = {"eta": 0.0, "mu": 1.0}
    own_checks: ClassVar[checks.Checks] = {
        "lambd": checks.within(0.0), "alpha": checks.within(0.0), "t0": checks.at_most_infinite}

    def __init__(self, params: Any, lr: float = 1e-2, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6,
                 weight_decay: float = 0, *, maximize: bool = False,
                 max_grad_norm: float | None = None, **implementation: Unpack[Implementation]):
        super().__init__(params, {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
                                  "maximize": maximize}, max_grad_norm, **implementation)

    def rule(self, group: dict[str, Any]) -> str:
        """Always the same."""
        return "asgd"

    def scalars(self, group: dict[str, Any], step: int, eta: float = 0.0, mu: float = 1.0) -> dict[str, float]:
        """What this step takes, with η the learning rate itself in the first, and η and μ of the next."""
        lr, lambd = group["lr"], group["lambd"]
        used = lr if step == 1 else eta
        return {"lr": used, "decay": lambd * used, "share": mu,
                "eta": lr / (1 + lambd * lr * step) ** group["alpha"], "mu": 1 / max(1, step - group["t0"])}

    @staticmethod
    def reference(param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> np.ndarray:
        """One step in float64 NumPy: the new parameter; ``state`` is updated."""
        t = state["step"] = state.get("step", 0) + 1
        eta = state.get("eta", group["lr"])
        new = param * (1 - group["lambd"] * eta) - eta * grad
        state["ax"] = state.get("ax", 0) + state.get("mu", 1.0) * (new - state.get("ax", 0))
        state["eta"] = group["lr"] / (1 + group["lambd"] * group["lr"] * t) ** group["alpha"]
        state["mu"] = 1 / max(1, t - group["t0"])
        return new
