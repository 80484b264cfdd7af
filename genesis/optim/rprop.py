"""Rprop."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

import numpy as np

from . import checks
from .implementation import Implementation
from .optimizer import Optimizer


def _etas(name: str, value: Any) -> tuple[float, ...]:
    minus, plus = checks.two(name, value)
    pair = checks.number(f"{name}[0]", minus, 0.0, 1.0), checks.number(f"{name}[1]", plus, 1.0)
    if not 0 < pair[0] < 1 < pair[1]:
        raise ValueError(f"{name} must be a number between 0 and 1 and one above 1, got {value!r}")
    return pair


def _step_sizes(name: str, value: Any) -> tuple[float, ...]:
    smallest, largest = checks.two(name, value)
    low = checks.number(f"{name}[0]", smallest, 0.0)
    high = checks.at_most_infinite(f"{name}[1]", largest)
    if high < low:
        raise ValueError(f"{name} must be the smallest and the largest step size, in this order, got {value!r}")
    return low, high


class Rprop(Optimizer):
    """Rprop: steps that follow the gradient's sign alone, each element's as long as its own history allows.

    With gradient g, the gradient p of the step before, step size δ, which begins with the learning rate α, factors η⁻
    and η⁺ and limits δₘᵢₙ and δₘₐₓ, for each element by itself::

        δ ← min(η⁺ δ, δₘₐₓ)               if g p > 0
        δ ← max(η⁻ δ, δₘᵢₙ),  g ← 0       if g p < 0
        θ ← θ - δ sign(g)
        p ← g

    So an element speeds up while its gradient keeps its sign. Where the sign changes, the step before went beyond a
    minimum: the element rests for a step and goes on with a shorter one. That presumes a gradient whose sign can be
    trusted, that of the whole data; the noise of small batches makes the steps short.

    Args:
        params: tensors, ``(name, tensor)`` pairs or dicts that define groups.
        lr: learning rate α, at least 0: the size of the first step. Changing it later changes nothing for parameters
            that have had one.
        etas: (η⁻, η⁺), the first between 0 and 1, the second above 1.
        step_sizes: (δₘᵢₙ, δₘₐₓ), at least 0 and in this order; the second may be infinite. All step sizes are kept
            between them, the first one as well.
        maximize: go up the gradient.
        max_grad_norm: clip the norm of all gradients to this as part of the step, which here only serves to skip steps
            whose gradients are not finite; see `Optimizer`.
        foreach, capturable, differentiable, fused: as PyTorch's optimizers have them; see `Optimizer`.

    The signs are compared, where PyTorch looks at the product g p: that is 0 for gradients too small for it.

    Raises:
        ValueError: a value out of range.

    References:
        Riedmiller & Braun 1993, "A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP Algorithm",
        IEEE International Conference on Neural Networks, without the step back after a change of sign: "iRprop⁻" in
        Igel & Hüsken 2000, "Improving the Rprop Learning Algorithm".

    Example:
        >>> x = genesis.tensor([4.0, -0.01], requires_grad=True)
        >>> optimizer = genesis.optim.Rprop([x], lr=0.5)
        >>> for _ in range(2):
        ...     optimizer.zero_grad()
        ...     (x * x).sum().backward()
        ...     optimizer.step()
        >>> x.detach()      # 0.5, then 0.6 down; the second element went too far, and rests
        tensor([2.9 , 0.49])
        >>> optimizer.state[x]["step_size"]
        tensor([0.6 , 0.25])
    """

    source = "optim/rprop.cl"
    own_checks: ClassVar[checks.Checks] = {"etas": _etas, "step_sizes": _step_sizes}

    def __init__(self, params: Any, lr: float = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
                 step_sizes: tuple[float, float] = (1e-6, 50), *, maximize: bool = False,
                 max_grad_norm: float | None = None, **implementation: Unpack[Implementation]):
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize},
                         max_grad_norm, **implementation)

    def rule(self, group: dict[str, Any]) -> str:
        """Always the same."""
        return "rprop"

    def scalars(self, group: dict[str, Any], step: int) -> dict[str, float]:
        """Whether the step is a parameter's first, the size that this begins with, factors and limits."""
        (eta_minus, eta_plus), (size_min, size_max) = group["etas"], group["step_sizes"]
        return {"first": float(step == 1), "lr": group["lr"], "eta_minus": eta_minus, "eta_plus": eta_plus,
                "size_min": size_min, "size_max": size_max}

    @staticmethod
    def reference(param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> np.ndarray:
        """One step in float64 NumPy: the new parameter; ``state`` is updated."""
        state["step"] = state.get("step", 0) + 1
        trend = np.sign(grad) * np.sign(state.get("prev", 0))
        factor = np.choose(np.int64(trend) + 1, [group["etas"][0], 1, group["etas"][1]])
        size = state["step_size"] = np.clip(state.get("step_size", group["lr"]) * factor, *group["step_sizes"])
        state["prev"] = np.where(trend < 0, 0, grad)
        return param - size * np.sign(state["prev"])
