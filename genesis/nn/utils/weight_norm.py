"""Weight normalization: a parameter as length times direction."""

from __future__ import annotations

from typing import Any, TypeVar

from ...autograd import no_grad
from ...tensor import Tensor
from ..module import Module
from ..parameter import Parameter

T = TypeVar("T", bound=Module)


def length(v: Tensor, dim: int | None) -> Tensor:
    """Norms over all dimensions but one, which keep their places; over all for None or -1, as PyTorch has it."""
    if dim is None or dim == -1:
        return v.norm()
    others = tuple(d for d in range(v.ndim) if d != dim % v.ndim)
    return v.norm(dim=others, keepdim=True) if others else v.abs()


class WeightNorm:
    """Makes a module's weight from its length and direction before each forward.

    Attributes:
        name: the parameter's name; ``name_g`` and ``name_v`` are the parameters in its place.
        dim: the dimension whose slices have a length each, or None.
    """

    def __init__(self, name: str, dim: int | None):
        self.name, self.dim = name, dim

    def compute(self, module: Module) -> Tensor:
        """``g * v / |v|``."""
        g, v = getattr(module, self.name + "_g"), getattr(module, self.name + "_v")
        return v * (g / length(v, self.dim))

    def __call__(self, module: Module, args: Any) -> None:
        """The hook."""
        setattr(module, self.name, self.compute(module))


def weight_norm(module: T, name: str = "weight", dim: int | None = 0) -> T:
    """Replace a parameter by its length and direction (Salimans & Kingma 2016, arXiv:1602.07868).

    ``w = g v / |v|``: the parameters ``name_g`` and ``name_v`` are trained, and ``name`` is computed from them before
    each forward.

    Args:
        module: the layer, changed in place.
        name: its parameter.
        dim: each slice along this dimension has a length of its own; None or -1 for one length in all. 0 gives each
            output of a linear layer, whose weight is (out, in), its own.

    Returns:
        The module.

    Raises:
        RuntimeError: the parameter is normalized already.
        ValueError: the module has no such parameter.

    Example:
        >>> layer = genesis.nn.utils.weight_norm(genesis.nn.Linear(3, 2))
        >>> {key: tuple(value.shape) for key, value in layer.state_dict().items()}
        {'bias': (2,), 'weight_g': (2, 1), 'weight_v': (2, 3)}
    """
    if find_rule(module, WeightNorm, name) is not None:
        raise RuntimeError(f"{name!r} of this {type(module).__name__} is normalized already")
    weight = module._parameters.get(name)
    if weight is None:
        raise ValueError(f"{type(module).__name__} has no parameter {name!r}")
    rule = WeightNorm(name, dim)
    with no_grad():
        start = length(weight.detach(), dim)
    del module._parameters[name]
    module.register_parameter(name + "_g", Parameter(start))
    module.register_parameter(name + "_v", Parameter(weight.detach()))
    setattr(module, name, rule.compute(module))
    module.register_forward_pre_hook(rule)
    return module


def find_rule(module: Module, kind: type, name: str) -> int | None:
    """The key of a module's hook of some kind for a parameter; None where there is none."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, kind) and getattr(hook, "name", None) == name:
            return key
    return None


def remove_weight_norm(module: T, name: str = "weight") -> T:
    """Undo `weight_norm`: the parameter as it is computed now, trained itself from here on.

    Raises:
        ValueError: the parameter is not normalized.
    """
    key = find_rule(module, WeightNorm, name)
    if key is None:
        raise ValueError(f"{name!r} of this {type(module).__name__} is not normalized by weight_norm")
    rule = module._forward_pre_hooks.pop(key)
    with no_grad():
        weight = rule.compute(module)
    delattr(module, name)
    del module._parameters[name + "_g"], module._parameters[name + "_v"]
    module.register_parameter(name, Parameter(weight.detach()))
    return module
