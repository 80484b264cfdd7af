"""SparseAdam."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from . import checks
from .optimizer import Optimizer


def _above_zero(name: str, value: Any) -> float:
    x = checks.number(name, value, 0.0)
    if x == 0:
        raise ValueError(f"{name} must be above 0, got {value!r}")
    return x


class SparseAdam(Optimizer):
    """Adam for tables of which a step uses few rows, whose gradients are sparse: it updates those rows alone.

    For the rows that the gradient g has, with averages m and v, decay rates β₁ and β₂, learning rate α and step number
    t::

        m ← β₁ m + (1 - β₁) g
        v ← β₂ v + (1 - β₂) g²
        θ ← θ - α √(1 - β₂ᵗ) / (1 - β₁ᵗ) m / (√v + ε)

    The averages of the other rows stand still, where `Adam` lets them decay and goes on moving their parameters; t
    counts the parameter's steps, not a row's. So a step costs what its rows cost, however long the table is, and a row
    that comes back after long has averages as if it had never been away.

    The gradients of `nn.Embedding`, `nn.EmbeddingBag` and their functions are sparse with ``sparse=True``; those of all
    other parameters are not and want another optimizer.

    Args:
        params: tensors, ``(name, tensor)`` pairs or dicts that define groups.
        lr: learning rate α, above 0.
        betas: (β₁, β₂), each from 0 to below 1.
        eps: ε, above 0; keeps the denominator from 0.
        maximize: go up the gradient.
        max_grad_norm: clip the norm of all gradients to this as part of the step; see `Optimizer`.

    Raises:
        ValueError: a value out of range, or a parameter of complex numbers or one that is itself sparse.
        RuntimeError: from `step`, a gradient that is not sparse.

    References:
        Kingma & Ba 2015, Algorithm 1, arXiv:1412.6980, for the update of a row.

    Example:
        >>> table = genesis.nn.Embedding.from_pretrained(genesis.ones(1000, 2), freeze=False, sparse=True)
        >>> optimizer = genesis.optim.SparseAdam(table.parameters(), lr=0.5)
        >>> table(genesis.tensor([1, 1, 3])).sum().backward()
        >>> optimizer.step()              # the first step has length lr, whatever the gradient's size
        >>> table.weight.detach()[:4]
        tensor([[1. , 1. ],
                [0.5, 0.5],
                [1. , 1. ],
                [0.5, 0.5]])
    """

    source = "optim/sparseadam.cl"
    rows_only = True
    own_checks: ClassVar[checks.Checks] = {"lr": _above_zero, "eps": _above_zero}

    def __init__(self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 maximize: bool = False, *, max_grad_norm: float | None = None):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize}, max_grad_norm)

    def check_group(self, group: dict[str, Any]) -> None:
        """Parameters must be dense, and real numbers."""
        sparse = [i for i, x in enumerate(group["params"]) if x.is_sparse]
        if sparse:
            raise ValueError(f"SparseAdam requires dense parameter tensors; those at positions {sparse} of a group are "
                             "sparse")
        complex_ones = [i for i, x in enumerate(group["params"]) if x.is_complex()]
        if complex_ones:
            raise ValueError(f"SparseAdam does not support complex parameters, such as those at positions "
                             f"{complex_ones} of a group; give it view_as_real() of them")

    def rule(self, group: dict[str, Any]) -> str:
        """Always the same."""
        return "sparseadam"

    def by_rows(self, group: dict[str, Any]) -> bool:
        """That is what it is for."""
        return True

    def scalars(self, group: dict[str, Any], step: int) -> dict[str, float]:
        """Decay rates, and the bias corrections folded into the step's length."""
        beta1, beta2 = group["betas"]
        return {"beta1": beta1, "one_minus_beta1": 1 - beta1, "beta2": beta2, "one_minus_beta2": 1 - beta2,
                "eps": group["eps"],
                "step_size": group["lr"] * math.sqrt(1 - beta2 ** step) / (1 - beta1 ** step)}

    @staticmethod
    def reference(param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> np.ndarray:
        """One step of rows that all have a gradient, in float64 NumPy: the new parameter; ``state`` is updated."""
        beta1, beta2 = group["betas"]
        t = state["step"] = state.get("step", 0) + 1
        m = state["exp_avg"] = beta1 * state.get("exp_avg", 0) + (1 - beta1) * grad
        v = state["exp_avg_sq"] = beta2 * state.get("exp_avg_sq", 0) + (1 - beta2) * grad ** 2
        return param - group["lr"] * math.sqrt(1 - beta2 ** t) / (1 - beta1 ** t) * m / (np.sqrt(v) + group["eps"])
