"""Muon."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Unpack

import numpy as np

from ..ops import newton_schulz
from . import checks
from .batch import Batch
from .implementation import Implementation
from .optimizer import Optimizer
from .rule import state_dtype


def _coefficients(name: str, value: Any) -> tuple[float, ...]:
    try:
        three = tuple(value)
    except TypeError:
        three = ()
    if len(three) != 3:
        raise ValueError(f"{name} must be three numbers, got {value!r}")
    return tuple(checks.number(f"{name}[{i}]", x) for i, x in enumerate(three))


def _iterations(name: str, value: Any) -> int:
    n = checks.number(name, value, 0.0, 99.0)
    if not n.is_integer():
        raise ValueError(f"{name} must be a whole number from 0 to 99, got {value!r}")
    return int(n)


def _adjust_lr_fn(name: str, value: Any) -> str | None:
    if value not in (None, "original", "match_rms_adamw"):
        raise ValueError(f"{name} must be None, 'original' or 'match_rms_adamw', got {value!r}")
    x: str | None = value
    return x


class Muon(Optimizer):
    """Muon: momentum made orthogonal, for the weight matrices of hidden layers.

    With gradient g, average b, momentum μ, learning rate α and weight decay λ, all of matrices θ::

        b ← μ b + (1 - μ) g
        X ← (1 - μ) g + μ b     with Nesterov's momentum, else b
        X ← X / max(‖X‖, ε)
        X ← c₁ X + c₃ (X Xᵀ) X + c₅ (X Xᵀ)² X     ``ns_steps`` times
        θ ← θ - α λ θ - α √max(1, rows / columns) X

    The iterations, of Newton and Schulz, leave the singular vectors of X and take its singular values to between about
    0.7 and 1.2, unless they were below a few thousandths of the norm: steps are equally long in all directions in which
    the gradients agree.

    Only matrices are taken. Biases, gains, embeddings and the output layer are left to `AdamW`, in an optimizer beside
    this one. The products are computed in float32 (in float64 for float64 parameters), not in bfloat16 as PyTorch's:
    few of the devices that genesis runs on multiply bfloat16 any faster. So the step is the formula's to rounding, and
    differs from PyTorch's by the error of bfloat16, about 1 % of the step. Muon takes 8 bytes a parameter, as AdamW
    does: 4 for the average, which is the state, and 4 for X.

    Args:
        params: tensors of two dimensions, ``(name, tensor)`` pairs or dicts that define groups.
        lr: learning rate α, at least 0.
        weight_decay: λ, at least 0; the parameter shrinks by ``α λ θ``.
        momentum: μ, at least 0.
        nesterov: look ahead along the average.
        ns_coefficients: (c₁, c₃, c₅).
        eps: ε, at least 0; the norm of smaller gradients counts as this.
        ns_steps: from 0 to 99.
        adjust_lr_fn: how the learning rate follows the shape: ``"original"``, or None for the same, multiplies it by
            √max(1, rows / columns); ``"match_rms_adamw"`` by 0.2 √max(rows, columns), with which the learning rates
            and weight decays that suit AdamW suit Muon.
        maximize: go up the gradient.
        max_grad_norm: clip the norm of all gradients to this as part of the step; see `Optimizer`.
        foreach, capturable, differentiable, fused: as PyTorch's optimizers have them; see `Optimizer`.

    Raises:
        ValueError: a value out of range, or a parameter that is not a matrix.

    References:
        Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks",
        https://kellerjordan.github.io/posts/muon/; for ``"match_rms_adamw"`` Liu et al. 2025, "Muon is Scalable for LLM
        Training", equation 4, arXiv:2502.16982. Averages and weight decay are PyTorch's.

    Example:
        >>> model = genesis.nn.Sequential(genesis.nn.Linear(8, 32), genesis.nn.ReLU(), genesis.nn.Linear(32, 2))
        >>> hidden = [model[0].weight]
        >>> others = [p for p in model.parameters() if p is not model[0].weight]
        >>> muon, adamw = genesis.optim.Muon(hidden, lr=0.02), genesis.optim.AdamW(others, lr=1e-3)
        >>> before = model[0].weight.detach().numpy()
        >>> model(genesis.ones(4, 8)).sum().backward()
        >>> muon.step(), adamw.step()
        (None, None)
        >>> step = (0.998 * before - model[0].weight.detach().numpy()) / (0.02 * (32 / 8) ** 0.5)
        >>> bool(0.6 < np.linalg.norm(step, 2) < 1.3)      # this gradient has one singular value that is not 0
        True
    """

    source = "optim/muon.cl"
    own_checks: ClassVar[checks.Checks] = {
        "ns_coefficients": _coefficients, "ns_steps": _iterations, "adjust_lr_fn": _adjust_lr_fn}
    counts_steps = False
    matrices_only = True
    working: ClassVar[frozenset[str]] = frozenset({"direction"})

    def __init__(self, params: Any, lr: float = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95,
                 nesterov: bool = True, ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
                 eps: float = 1e-7, ns_steps: int = 5, adjust_lr_fn: str | None = None, *,
                 maximize: bool = False, max_grad_norm: float | None = None, **implementation: Unpack[Implementation]):
        super().__init__(params, {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
            "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn,
            "maximize": maximize}, max_grad_norm, **implementation)

    def check_group(self, group: dict[str, Any]) -> None:
        """All parameters are matrices."""
        for x in group["params"]:
            if x.ndim != 2:
                raise ValueError(f"Muon updates matrices, got a parameter of shape {tuple(x.shape)}; give those that "
                                 "do not have two dimensions to another optimizer, such as AdamW")

    def rule(self, group: dict[str, Any]) -> str:
        """Always the same."""
        return "muon_momentum"

    def second_rule(self, group: dict[str, Any]) -> str:
        """Always the same."""
        return "muon"

    def scalars(self, group: dict[str, Any], step: int) -> dict[str, float]:
        """Learning rate, the share of the average in the direction, and what each leaves for the gradient."""
        momentum = group["momentum"]
        ahead = momentum if group["nesterov"] else 1.0
        return {"lr": group["lr"], "momentum": momentum, "one_minus_momentum": 1 - momentum,
                "ahead": ahead, "one_minus_ahead": 1 - ahead}

    def between(self, group: dict[str, Any], batch: Batch) -> None:
        """Make the directions orthogonal, in the length that the learning rate has for matrices of this shape."""
        newton_schulz.orthogonalize(batch.array("direction", state_dtype(batch.arena.dtype)), group["ns_coefficients"],
                                    group["ns_steps"], group["eps"], _stretch(group["adjust_lr_fn"], *batch.shape))

    @staticmethod
    def reference(param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> np.ndarray:
        """One step in float64 NumPy: the new parameter; ``state`` is updated."""
        momentum = group["momentum"]
        b = state["momentum_buffer"] = momentum * state.get("momentum_buffer", 0) + (1 - momentum) * grad
        x = momentum * b + (1 - momentum) * grad if group["nesterov"] else b
        x = x / max(np.linalg.norm(x), group["eps"])
        first, third, fifth = group["ns_coefficients"]
        for _ in range(group["ns_steps"]):
            square = x @ x.T
            x = first * x + third * square @ x + fifth * square @ square @ x
        return param - group["lr"] * _stretch(group["adjust_lr_fn"], *param.shape) * x


def _stretch(adjust_lr_fn: str | None, rows: int, columns: int) -> float:
    """What the learning rate is multiplied by for matrices of a shape."""
    if adjust_lr_fn == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    return math.sqrt(max(1.0, rows / columns))
