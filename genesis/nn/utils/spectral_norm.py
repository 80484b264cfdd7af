"""Spectral normalization: a weight divided by its largest singular value (Miyato et al. 2018, arXiv:1802.05957)."""

from __future__ import annotations

from typing import Any, TypeVar

from ...autograd import no_grad
from ...tensor import Tensor
from .. import functional as F
from ..conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ..module import Module
from ..parameter import Parameter
from .weight_norm import find_rule

T = TypeVar("T", bound=Module)


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """A weight as the matrix with the rows of one of its dimensions."""
    if dim:
        weight = weight.permute(dim, *(d for d in range(weight.ndim) if d != dim))
    return weight.reshape(weight.shape[0], -1)


def first_vectors(matrix: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Random unit vectors that a power iteration begins with."""
    return tuple(F.normalize(matrix.new_empty(n).normal_(), dim=0, eps=eps)  # type: ignore[return-value]
                 for n in matrix.shape)


def normalized(weight: Tensor, matrix: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """The weight divided by its singular value for the vectors u and v, which stay as they are."""
    return weight / u.dot(matrix @ v)


def rows_of(module: Module, dim: int | None) -> int:
    """The dimension of the output channels of a layer's weight, unless one is given."""
    transposed = isinstance(module, ConvTranspose1d | ConvTranspose2d | ConvTranspose3d)
    return int(transposed) if dim is None else dim


def check_iterations(n_power_iterations: int) -> int:
    """The number of iterations, if it is positive."""
    if n_power_iterations <= 0:
        raise ValueError(f"n_power_iterations must be positive, not {n_power_iterations}")
    return n_power_iterations


class SpectralNorm:
    """Makes a module's weight from ``name_orig`` before each forward; in training, after steps of power iteration.

    Attributes:
        name: the parameter's name; ``name_u`` and ``name_v`` are buffers with the approximate singular vectors.
        n_power_iterations: steps before each forward.
        dim: the dimension of the matrix's rows.
        eps: added to lengths.
    """

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float):
        self.name, self.n_power_iterations, self.dim, self.eps = name, check_iterations(n_power_iterations), dim, eps

    def compute(self, module: Module, iterations: int) -> Tensor:
        """The normalized weight."""
        weight, u, v = (getattr(module, self.name + end) for end in ("_orig", "_u", "_v"))
        matrix = as_matrix(weight, self.dim)
        if not iterations:
            return normalized(weight, matrix, u.clone(), v.clone())    # a later forward changes these
        new, fixed = u, matrix.detach()
        with no_grad():
            for _ in range(iterations):
                side = F.normalize(new @ fixed, dim=0, eps=self.eps)
                new = F.normalize(fixed @ side, dim=0, eps=self.eps)
            u.copy_(new)
            v.copy_(side)
        return normalized(weight, matrix, new, side)

    def __call__(self, module: Module, args: Any) -> None:
        """The hook."""
        setattr(module, self.name, self.compute(module, self.n_power_iterations if module.training else 0))


def spectral_norm(module: T, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12,
                  dim: int | None = None) -> T:
    """Divide a parameter by its largest singular value (Miyato et al. 2018, arXiv:1802.05957, Algorithm 1).

    ``name_orig`` is trained, and ``name`` is computed from it before each forward. The singular value comes from a
    power iteration that goes on in each forward in training; it waits for nothing.

    Args:
        module: the layer, changed in place.
        name: its parameter; one of more than two dimensions counts as the matrix (dim, all others).
        n_power_iterations: steps of the iteration in each forward.
        eps: lengths below this are taken for it.
        dim: the dimension of the outputs; by default 0, and 1 for transposed convolutions.

    Returns:
        The module.

    Raises:
        RuntimeError: the parameter is normalized already.
        ValueError: the module has no such parameter, or there are no iterations.

    Example:
        >>> layer = genesis.nn.utils.spectral_norm(genesis.nn.Linear(3, 2))
        >>> list(layer.state_dict())
        ['bias', 'weight_orig', 'weight_u', 'weight_v']
    """
    if find_rule(module, SpectralNorm, name) is not None:
        raise RuntimeError(f"{name!r} of this {type(module).__name__} is normalized already")
    weight = module._parameters.get(name)
    if weight is None:
        raise ValueError(f"{type(module).__name__} has no parameter {name!r}")
    rule = SpectralNorm(name, n_power_iterations, rows_of(module, dim), eps)
    u, v = first_vectors(as_matrix(weight.detach(), rule.dim), eps)
    del module._parameters[name]
    module.register_parameter(name + "_orig", weight)
    setattr(module, name, weight.detach())
    module.register_buffer(name + "_u", u)
    module.register_buffer(name + "_v", v)
    module.register_forward_pre_hook(rule)
    return module


def remove_spectral_norm(module: T, name: str = "weight") -> T:
    """Undo `spectral_norm`: the parameter as it is normalized now, trained itself from here on.

    Raises:
        ValueError: the parameter is not normalized.
    """
    key = find_rule(module, SpectralNorm, name)
    if key is None:
        raise ValueError(f"{name!r} of this {type(module).__name__} is not normalized by spectral_norm")
    rule = module._forward_pre_hooks.pop(key)
    with no_grad():
        weight = rule.compute(module, 0)
    for end in ("", "_u", "_v", "_orig"):
        delattr(module, name + end)
    module.register_parameter(name, Parameter(weight.detach()))
    return module
