"""Parametrizations for `genesis.nn.utils.parametrize`."""

from __future__ import annotations

from typing import Any, TypeVar

from ...autograd import no_grad
from ...tensor import Tensor
from .. import functional as F
from ..module import Module
from .orthogonal import orthogonal
from .parametrize import register_parametrization
from .spectral_norm import as_matrix, check_iterations, first_vectors, normalized, rows_of
from .weight_norm import length

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

T = TypeVar("T", bound=Module)


class _WeightNorm(Module):
    """A length for each slice of a direction."""

    def __init__(self, dim: int | None):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_v * (weight_g / length(weight_v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return length(weight, self.dim), weight


def weight_norm(module: T, name: str = "weight", dim: int | None = 0) -> T:
    """Make a parameter from its length and direction (Salimans & Kingma 2016, arXiv:1602.07868).

    ``w = g v / |v|``, with g as ``parametrizations.name.original0`` and v as ``original1``. States of modules with the
    older `genesis.nn.utils.weight_norm` can be loaded.

    Args:
        module: changed in place.
        name: its parameter.
        dim: each slice along this dimension has a length of its own; None or -1 for one length in all.

    Returns:
        The module.

    Example:
        >>> layer = genesis.nn.utils.parametrizations.weight_norm(genesis.nn.Linear(3, 2))
        >>> list(layer.state_dict())
        ['bias', 'parametrizations.weight.original0', 'parametrizations.weight.original1']
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename(module: Module, state_dict: Any, prefix: str, *_: Any) -> None:
        if f"{prefix}{name}_g" in state_dict and f"{prefix}{name}_v" in state_dict:
            for i, end in enumerate("gv"):
                state_dict[f"{prefix}parametrizations.{name}.original{i}"] = state_dict.pop(f"{prefix}{name}_{end}")

    module.register_load_state_dict_pre_hook(rename)
    return module


class _SpectralNorm(Module):
    """A matrix divided by its largest singular value; a vector by its length."""

    def __init__(self, weight: Tensor, n_power_iterations: int, dim: int, eps: float):
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(f"dim must be from {-weight.ndim} to {weight.ndim - 1}, not {dim}")
        self.n_power_iterations = check_iterations(n_power_iterations)
        self.dim, self.eps = dim % weight.ndim, eps
        if weight.ndim > 1:
            matrix = as_matrix(weight.detach(), self.dim)
            u, v = first_vectors(matrix, eps)
            self.register_buffer("_u", u)
            self.register_buffer("_v", v)
            self._iterate(matrix, 15)

    def _iterate(self, matrix: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
        """Steps of power iteration, which the buffers keep."""
        v = self._v
        with no_grad():
            for _ in range(iterations):
                u = F.normalize(matrix @ v, dim=0, eps=self.eps)
                v = F.normalize(u @ matrix, dim=0, eps=self.eps)
            self._u.copy_(u)
            self._v.copy_(v)
        return u, v

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            u, v = self._iterate(matrix.detach(), self.n_power_iterations)
        else:
            u, v = self._u.clone(), self._v.clone()          # a later forward changes the buffers
        return normalized(weight, matrix, u, v)

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(module: T, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12,
                  dim: int | None = None) -> T:
    """Divide a parameter by its largest singular value (Miyato et al. 2018, arXiv:1802.05957, Algorithm 1).

    The singular value comes from a power iteration that begins with 15 steps, goes on at each use in training, and
    waits for nothing.

    Args:
        module: changed in place.
        name: its parameter; one of more than two dimensions counts as the matrix (dim, all others), and a vector is
            divided by its length.
        n_power_iterations: steps of the iteration at each use.
        eps: lengths below this are taken for it.
        dim: the dimension of the outputs; by default 0, and 1 for transposed convolutions.

    Returns:
        The module.

    Raises:
        ValueError: the module has no such tensor, or there are no iterations.
        IndexError: ``dim`` is out of range.

    Example:
        >>> layer = genesis.nn.utils.parametrizations.spectral_norm(genesis.nn.Linear(3, 2))
        >>> bool(abs(np.linalg.norm(layer.weight.detach().numpy(), 2) - 1) < 0.01)
        True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"{type(module).__name__} has no parameter or buffer {name!r}")
    rule = _SpectralNorm(weight, n_power_iterations, rows_of(module, dim), eps)
    return register_parametrization(module, name, rule)
