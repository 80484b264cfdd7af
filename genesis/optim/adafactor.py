"""Adafactor."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Unpack

import numpy as np

from ..dtypes import finfo
from ..ops import adafactor
from . import checks
from .batch import Batch
from .implementation import Implementation
from .optimizer import Optimizer
from .rule import Rule


def _pair(name: str, value: Any) -> tuple[float | None, float]:
    try:
        first, second = value
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a pair, of None or a number and of a number, got {value!r}") from None
    eps1 = None if first is None else checks.number(f"{name}[0]", first, 0.0)
    return eps1, checks.number(f"{name}[1]", second, 0.0)


class Adafactor(Optimizer):
    """Adafactor: steps divided by a root mean square that is kept for rows and columns only.

    With gradient g of a matrix θ, means R of its rows and C of its columns, learning rate α and step number t::

        β ← 1 - t^γ
        R ← β R + (1 - β) mean of g² over each row
        C ← β C + (1 - β) mean of g² over each column
        V ← R C / max(mean of R, ε₁)
        U ← g / max(√V, ε₁)
        θ ← θ - α λ θ - min(α, 1 / √t) max(ε₂, RMS(θ)) U / max(1, RMS(U) / δ)

    where RMS is the root mean square of all elements. A matrix of n rows and m columns so takes n + m numbers of state
    instead of n m. Tensors of more dimensions are matrices, their last two dimensions, side by side; for vectors V is
    the average of g² itself. There is no momentum. Steps are relative to the parameter's own size, and α limits them
    only after 1 / α² steps, 10,000 with the default.

    Args:
        params: tensors, ``(name, tensor)`` pairs or dicts that define groups.
        lr: learning rate α, at least 0: the largest step relative to the parameter.
        beta2_decay: γ, at most 0; how fast the averages come to forget slowly.
        eps: (ε₁, ε₂), each at least 0. ε₁ keeps the denominators from 0; None is the rounding of the parameter's type,
            ``finfo(dtype).eps``. ε₂ is what the size of smaller parameters counts as.
        d: δ, from 1 on; the RMS up to which U is not shortened.
        weight_decay: λ, at least 0; the parameter shrinks by ``α λ θ``.
        maximize: go up the gradient.
        max_grad_norm: clip the norm of all gradients to this as part of the step; see `Optimizer`.
        foreach, capturable, differentiable, fused: as PyTorch's optimizers have them; see `Optimizer`.

    The state is ``row_var`` and ``col_var``, for vectors ``variance``, and ``step``.

    Raises:
        ValueError: a value out of range.

    References:
        Shazeer & Stern 2018, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", Algorithms 4, 5 and 8,
        arXiv:1804.04235; with PyTorch's learning rate, weight decay and ε₁.

    Example:
        >>> weight = genesis.full((2, 3), 4.0, requires_grad=True)
        >>> optimizer = genesis.optim.Adafactor([weight], lr=0.01)
        >>> (weight * genesis.tensor([[1.0], [100.0]])).sum().backward()
        >>> optimizer.step()              # a hundredth of its size, whatever the gradients of its rows
        >>> weight.detach()
        tensor([[3.96, 3.96, 3.96],
                [3.96, 3.96, 3.96]])
        >>> optimizer.state[weight]["row_var"].shape, optimizer.state[weight]["col_var"].shape
        (genesis.Size([2, 1]), genesis.Size([1, 3]))
    """

    source = "optim/adafactor.cl"
    own_checks: ClassVar[checks.Checks] = {
        "eps": _pair, "beta2_decay": checks.within(-math.inf, 0.0), "d": checks.within(1.0)}

    def __init__(self, params: Any, lr: float = 1e-2, beta2_decay: float = -0.8,
                 eps: tuple[float | None, float] = (None, 1e-3), d: float = 1.0, weight_decay: float = 0.0, *,
                 maximize: bool = False, max_grad_norm: float | None = None, **implementation: Unpack[Implementation]):
        super().__init__(params, {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay,
            "maximize": maximize}, max_grad_norm, **implementation)

    def rule(self, group: dict[str, Any]) -> str:
        """The kernel of its own."""
        return "adafactor"

    def _rule(self, group: dict[str, Any]) -> Rule:
        return Rule(self.source, "adafactor", (), ("one_minus_beta2", "rho"), "", "")

    def states(self, group: dict[str, Any], shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Means of rows and of columns, or for vectors of each element."""
        if len(shape) < 2:
            return {"variance": shape}
        return {"row_var": (*shape[:-1], 1), "col_var": (*shape[:-2], 1, shape[-1])}

    def scalars(self, group: dict[str, Any], step: int) -> dict[str, float]:
        """The share of the latest squares, and the learning rate, which falls at first with the steps."""
        return {"one_minus_beta2": float(step) ** group["beta2_decay"], "rho": min(group["lr"], step ** -0.5)}

    def between(self, group: dict[str, Any], batch: Batch) -> None:
        """The whole step of each parameter."""
        assert batch.chosen is not None
        arena = batch.arena
        runner = next(r for r in self._runners if r.arena is arena)
        eps1, eps2 = group["eps"]
        settings = adafactor.Settings(finfo(arena.dtype).eps if eps1 is None else eps1, eps2, group["d"],
                                      group["lr"] * group["weight_decay"])
        for slot in batch.slots:
            states = {name: runner.state(slot, name) for name in self.states(group, batch.shape)}
            adafactor.step(arena.flat("param", slot, arena.dtype), arena.flat(arena.source, slot, arena.dtype),
                           states.get("row_var"), states["variance" if len(states) == 1 else "col_var"], batch.chosen,
                           settings)

    @staticmethod
    def reference(param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> np.ndarray:
        """One step in float64 NumPy: the new parameter; ``state`` is updated."""
        t = state["step"] = state.get("step", 0) + 1
        beta, lr, (eps1, eps2) = 1 - t ** group["beta2_decay"], group["lr"], group["eps"]
        eps1 = 2.0 ** -23 if eps1 is None else eps1                      # float32's
        if param.size == 0:
            return param

        def averaged(name: str, square: np.ndarray) -> np.ndarray:
            found = state[name] = beta * state.get(name, 0) + (1 - beta) * square
            return np.asarray(found)

        if param.ndim > 1:
            rows = averaged("row_var", np.mean(grad ** 2, -1, keepdims=True))
            columns = averaged("col_var", np.mean(grad ** 2, -2, keepdims=True))
            v = rows * columns / np.maximum(rows.mean(-2, keepdims=True), eps1)
        else:
            v = averaged("variance", grad ** 2)
        u = grad / np.maximum(np.sqrt(v), eps1)
        rho = max(eps2, np.sqrt(np.mean(param ** 2))) * min(lr, t ** -0.5)
        new: np.ndarray = param - lr * group["weight_decay"] * param
        return new - rho * u / max(1.0, np.sqrt(np.mean(u ** 2)) / group["d"])
