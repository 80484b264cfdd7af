"""Activation functions as layers; see the functions of the same names in `genesis.nn.functional`."""

from __future__ import annotations

from typing import Any

from ..creation import full
from ..tensor import Tensor
from . import functional as F
from .module import Module
from .parameter import Parameter


class _Activation(Module):
    """Applies a function, with what the constructor got as its options."""

    _function: Any = None

    def __init__(self, **options: Any):
        super().__init__()
        for name, value in options.items():
            setattr(self, name, value)
        self._names = tuple(options)

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function."""
        result: Tensor = type(self)._function(input, **{name: getattr(self, name) for name in self._names})
        return result

    def extra_repr(self) -> str:
        """The options."""
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self._names
                         if name != "inplace" or self.inplace)


class _InPlace(_Activation):
    """An activation whose only option is whether it overwrites its input."""

    def __init__(self, inplace: bool = False):
        super().__init__(inplace=inplace)


class _Plain(_Activation):
    """An activation without options."""

    def __init__(self) -> None:
        super().__init__()


class ReLU(_InPlace):
    """``max(x, 0)``."""

    _function = staticmethod(F.relu)


class ReLU6(_InPlace):
    """``min(max(x, 0), 6)``."""

    _function = staticmethod(F.relu6)


class SELU(_InPlace):
    """`ELU` scaled so that layers keep mean 0 and variance 1."""

    _function = staticmethod(F.selu)


class SiLU(_InPlace):
    """``x * sigmoid(x)``."""

    _function = staticmethod(F.silu)


class Mish(_InPlace):
    """``x * tanh(softplus(x))``."""

    _function = staticmethod(F.mish)


class Hardswish(_InPlace):
    """``x * relu6(x + 3) / 6``."""

    _function = staticmethod(F.hardswish)


class Hardsigmoid(_InPlace):
    """``relu6(x + 3) / 6``."""

    _function = staticmethod(F.hardsigmoid)


class Tanh(_Plain):
    """Hyperbolic tangent."""

    _function = staticmethod(F.tanh)


class Sigmoid(_Plain):
    """``1 / (1 + exp(-x))``."""

    _function = staticmethod(F.sigmoid)


class LogSigmoid(_Plain):
    """``log(sigmoid(x))``."""

    _function = staticmethod(F.logsigmoid)


class Softsign(_Plain):
    """``x / (1 + abs(x))``."""

    _function = staticmethod(F.softsign)


class Tanhshrink(_Plain):
    """``x - tanh(x)``."""

    _function = staticmethod(F.tanhshrink)


class GELU(_Activation):
    """``x * Phi(x)``; with ``approximate="tanh"`` its approximation."""

    _function = staticmethod(F.gelu)

    def __init__(self, approximate: str = "none"):
        super().__init__(approximate=approximate)


class LeakyReLU(_Activation):
    """``x`` where positive, ``negative_slope * x`` elsewhere."""

    _function = staticmethod(F.leaky_relu)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
        super().__init__(negative_slope=negative_slope, inplace=inplace)


class RReLU(_Activation):
    """`LeakyReLU` whose slope is drawn from [lower, upper] for every element in training; else their mean."""

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False):
        super().__init__(lower=lower, upper=upper, inplace=inplace)

    def forward(self, input: Tensor) -> Tensor:
        """Apply."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class ELU(_Activation):
    """``x`` where positive, ``alpha * (exp(x) - 1)`` elsewhere."""

    _function = staticmethod(F.elu)

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__(alpha=alpha, inplace=inplace)


class CELU(_Activation):
    """``x`` where positive, ``alpha * (exp(x / alpha) - 1)`` elsewhere."""

    _function = staticmethod(F.celu)

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__(alpha=alpha, inplace=inplace)


class Softplus(_Activation):
    """``log(1 + exp(beta * x)) / beta``; ``x`` where ``beta * x`` is above the threshold."""

    _function = staticmethod(F.softplus)

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        super().__init__(beta=beta, threshold=threshold)


class Hardtanh(_Activation):
    """``x`` limited to [min_val, max_val]."""

    _function = staticmethod(F.hardtanh)

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False):
        super().__init__(min_val=min_val, max_val=max_val, inplace=inplace)
        if min_val >= max_val:
            raise ValueError(f"max_val {max_val} must be above min_val {min_val}")


class _Shrink(_Activation):
    """An activation whose only option is where its zeros end."""

    def __init__(self, lambd: float = 0.5):
        super().__init__(lambd=lambd)

    def extra_repr(self) -> str:
        """The bare number."""
        return str(self.lambd)


class Hardshrink(_Shrink):
    """``x`` outside [-lambd, lambd], 0 inside."""

    _function = staticmethod(F.hardshrink)


class Softshrink(_Shrink):
    """``x`` moved by ``lambd`` towards 0, 0 inside [-lambd, lambd]."""

    _function = staticmethod(F.softshrink)


class Threshold(_Activation):
    """``x`` where it is above the threshold, ``value`` elsewhere."""

    _function = staticmethod(F.threshold)

    def __init__(self, threshold: float, value: float, inplace: bool = False):
        super().__init__(threshold=threshold, value=value, inplace=inplace)


class GLU(_Activation):
    """The first half of a dimension times the sigmoid of the second half."""

    _function = staticmethod(F.glu)

    def __init__(self, dim: int = -1):
        super().__init__(dim=dim)


class Softmax(_Activation):
    """Exponentials divided by their sum over dimension ``dim``."""

    _function = staticmethod(F.softmax)

    def __init__(self, dim: int | None = None):
        super().__init__(dim=dim)


class Softmax2d(_Plain):
    """Softmax over the channels, at every position of (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) or (C, H, W), unchanged in shape."""
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d takes an input (N, C, H, W) or (C, H, W), not of shape {tuple(input.shape)}")
        return F.softmax(input, -3)


class Softmin(_Activation):
    """`Softmax` of the negative."""

    _function = staticmethod(F.softmin)

    def __init__(self, dim: int | None = None):
        super().__init__(dim=dim)


class LogSoftmax(_Activation):
    """Logarithm of the softmax over dimension ``dim``."""

    _function = staticmethod(F.log_softmax)

    def __init__(self, dim: int | None = None):
        super().__init__(dim=dim)


class PReLU(Module):
    """``x`` where positive, ``weight * x`` elsewhere.

    Args:
        num_parameters: 1, or the number of channels C of inputs (N, C, ...).
        init: what the weights start from.

    Attributes:
        weight: (num_parameters,).
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None):
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(full((num_parameters,), init, device=device, dtype=dtype))

    def forward(self, input: Tensor) -> Tensor:
        """Apply."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """The number of weights."""
        return f"num_parameters={self.num_parameters}"


__all__ = ["CELU", "ELU", "GELU", "GLU", "SELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU",
           "LogSigmoid", "LogSoftmax", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SiLU", "Sigmoid", "Softmax",
           "Softmax2d", "Softmin", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold"]
