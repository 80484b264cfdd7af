"""AdamW."""

from __future__ import annotations

from typing import Any, Unpack

from .adam import Adam
from .implementation import Implementation


class AdamW(Adam):
    """AdamW: Adam with decoupled weight decay, applied to the parameter itself.

    With learning rate α and weight decay λ, ``θ ← θ - α λ θ``, then Adam's step. In `Adam` the decay goes
    through the averages and is divided by √v with the rest of the gradient, so that parameters with large gradients
    decay less; here all decay alike.

    Args:
        params: tensors, ``(name, tensor)`` pairs or dicts that define groups.
        lr: learning rate α, at least 0.
        betas: (β₁, β₂), each from 0 to below 1.
        eps: ε, at least 0.
        weight_decay: λ, at least 0.
        amsgrad: use AMSGrad.
        maximize: go up the gradient.
        max_grad_norm: clip the norm of all gradients to this as part of the step; see `Optimizer`.
        foreach, capturable, differentiable, fused: as PyTorch's optimizers have them; see `Optimizer`.

    Raises:
        ValueError: a value out of range.

    References:
        Loshchilov & Hutter 2019, Algorithm 2, arXiv:1711.05101.

    Example:
        >>> x = genesis.tensor([4.0], requires_grad=True)
        >>> optimizer = genesis.optim.AdamW([x], lr=0.5, weight_decay=0.1)
        >>> (x * 0).sum().backward()      # a gradient of 0: only the decay acts
        >>> optimizer.step()
        >>> round(x.item(), 4)
        3.8
    """

    source = "optim/adamw.cl"

    def __init__(self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False,
                 max_grad_norm: float | None = None, **implementation: Unpack[Implementation]):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize,
                         max_grad_norm=max_grad_norm, **implementation)
