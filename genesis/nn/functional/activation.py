"""Activation functions.

All of them take a tensor of any shape and work element by element, except where ``dim`` names a dimension.
``inplace=True`` overwrites the input.
"""

from __future__ import annotations

import warnings
from typing import Any

from ... import creation, dtypes
from ...autograd import apply
from ...ops import pointwise
from ...tensor import Tensor


def _apply(operation: Any, input: Tensor, *numbers: float, inplace: bool = False) -> Tensor:
    if not inplace:
        result: Tensor = apply(operation, input, *numbers)
        return result
    # What backward needs of the input must survive.
    source = input.clone() if operation.save == "x" and input.requires_grad else input
    return input.copy_(apply(operation, source, *numbers))


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``max(input, 0)``."""
    return _apply(pointwise.Relu, input, inplace=inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """``min(max(input, 0), 6)``."""
    return hardtanh(input, 0.0, 6.0, inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """``input`` where positive, ``negative_slope * input`` elsewhere."""
    return _apply(pointwise.LeakyRelu, input, float(negative_slope), inplace=inplace)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """``input`` where positive, ``weight * input`` elsewhere (He et al. 2015, arXiv:1502.01852).

    Args:
        input: (N, C, ...) or any other shape.
        weight: learned; one element for all, or (C,).
    """
    result: Tensor = input.prelu(weight)
    return result


def rrelu(input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False,
          inplace: bool = False) -> Tensor:
    """`leaky_relu` with a slope drawn anew for every element (Xu et al. 2015, arXiv:1505.00853).

    Args:
        input: any shape, floating point.
        lower, upper: the interval that slopes are drawn from; their mean is the slope when not training.
        training: whether to draw.
        inplace: whether to overwrite the input.

    Raises:
        RuntimeError: ``lower`` is above ``upper``.
    """
    if lower > upper:
        raise RuntimeError(f"rrelu: lower must not be above upper; they are {lower} and {upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    slopes = creation.rand(tuple(input.shape), device=input.device) * (upper - lower) + lower
    result: Tensor = input * slopes.to(input.dtype).masked_fill(input.detach() > 0, 1.0)
    return input.copy_(result) if inplace else result


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` where positive, ``alpha * (exp(input) - 1)`` elsewhere (Clevert et al. 2015, arXiv:1511.07289)."""
    return _apply(pointwise.Elu, input, float(alpha), 1.0, 1.0, inplace=inplace)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` where positive, ``alpha * (exp(input / alpha) - 1)`` elsewhere (Barron 2017, arXiv:1704.07483)."""
    if alpha == 0:
        raise RuntimeError("celu() needs an alpha other than 0")
    return _apply(pointwise.Elu, input, float(alpha), 1.0, 1 / alpha, inplace=inplace)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """`elu` scaled so that layers keep mean 0 and variance 1 (Klambauer et al. 2017, arXiv:1706.02515)."""
    return _apply(pointwise.Elu, input, 1.6732632423543772848, 1.0507009873554804934, 1.0, inplace=inplace)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """``input * Phi(input)``, Phi the normal distribution function (Hendrycks & Gimpel 2016, arXiv:1606.08415).

    Args:
        input: any shape.
        approximate: ``"none"``, or ``"tanh"`` for the approximation of Phi that some published models were trained
            with; both differ by less than 0.0005.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"approximate must be 'none' or 'tanh', not {approximate!r}")
    return _apply(pointwise.Gelu if approximate == "none" else pointwise.GeluTanh, input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * sigmoid(input)``, also called swish."""
    return _apply(pointwise.Silu, input, inplace=inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * tanh(softplus(input))`` (Misra 2019, arXiv:1908.08681)."""
    return _apply(pointwise.Mish, input, inplace=inplace)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """``log(1 + exp(beta * input)) / beta``; the input itself where ``beta * input`` is above the threshold."""
    return _apply(pointwise.Softplus, input, float(beta), float(threshold))


def softsign(input: Tensor) -> Tensor:
    """``input / (1 + abs(input))``."""
    if input.is_complex():
        return input / (1 + input.abs())
    return _apply(pointwise.Softsign, input)


def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return input.tanh()


def tanhshrink(input: Tensor) -> Tensor:
    """``input - tanh(input)``."""
    return input - input.tanh()


def sigmoid(input: Tensor) -> Tensor:
    """``1 / (1 + exp(-input))``."""
    return input.sigmoid()


def logsigmoid(input: Tensor) -> Tensor:
    """``log(sigmoid(input))`` without overflow."""
    return _apply(pointwise.LogSigmoid, input)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` limited to [min_val, max_val]; no gradient at the bounds and beyond."""
    if min_val > max_val:
        raise ValueError(f"min_val {min_val} must not be above max_val {max_val}")
    if not input.is_floating_point():
        min_val, max_val = int(min_val), int(max_val)
    return _apply(pointwise.Hardtanh, input, min_val, max_val, inplace=inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """``relu6(input + 3) / 6``."""
    return _apply(pointwise.Hardsigmoid, input, inplace=inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * relu6(input + 3) / 6`` (Howard et al. 2019, arXiv:1905.02244)."""
    return _apply(pointwise.Hardswish, input, inplace=inplace)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """``input`` outside [-lambd, lambd], 0 inside."""
    return _apply(pointwise.Hardshrink, input, float(lambd))


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """``input`` moved by ``lambd`` towards 0, 0 inside [-lambd, lambd]."""
    if lambd < 0:
        raise RuntimeError(f"lambd must not be negative, got {lambd}")
    return _apply(pointwise.Softshrink, input, float(lambd))


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """``input`` where it is above the threshold, ``value`` elsewhere."""
    return _apply(pointwise.Threshold, input, threshold, value, inplace=inplace)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half of a dimension times the sigmoid of the second half (Dauphin et al. 2016, arXiv:1612.08083)."""
    size = input.shape[dim]
    if size % 2:
        raise RuntimeError(f"glu() halves a dimension of even size, not {size}")
    first, second = input.chunk(2, dim)
    result: Tensor = first * second.sigmoid()
    return result


def _dim(name: str, dim: int | None, ndim: int) -> int:
    if dim is not None:
        return dim
    warnings.warn(f"{name}() without dim guesses the dimension, by an old rule; name it", stacklevel=3)
    return 0 if ndim in (0, 1, 3) else 1


def softmax(input: Tensor, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """Exponentials divided by their sum over a dimension."""
    dim = _dim("softmax", dim, input.ndim)
    return input.softmax(dim) if dtype is None else input.to(dtype).softmax(dim)


def softmin(input: Tensor, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """`softmax` of the negative."""
    return softmax(-input, _dim("softmin", dim, input.ndim), dtype=dtype)


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """A draw of a category, or nearly, that has a gradient (Jang, Gu & Poole 2016, arXiv:1611.01144).

    Args:
        logits: unnormalized log-probabilities, any shape.
        tau: temperature: the smaller, the nearer is the result to a vector with a single 1.
        hard: return such a vector; its gradient is that of the soft one.
        eps: has no effect, as in PyTorch.
        dim: the dimension of the categories.

    Returns:
        The shape of the logits; sums over ``dim`` are 1.

    Example:
        >>> genesis.nn.functional.gumbel_softmax(genesis.zeros(3, 5), hard=True).sum(1).tolist()
        [1.0, 1.0, 1.0]
    """
    wide = dtypes.float64 if logits.dtype is dtypes.float64 else dtypes.float32
    uniform = creation.rand(tuple(logits.shape), device=logits.device, dtype=wide).clamp_min(2.0 ** -25)
    noise = -(-uniform.log()).log()
    soft = ((logits + noise.to(logits.dtype)) / tau).softmax(dim)
    if not hard:
        return soft
    chosen = creation.zeros_like(soft).scatter(dim, soft.detach().argmax(dim, True), 1.0)
    straight: Tensor = chosen - soft.detach() + soft
    return straight


def log_softmax(input: Tensor, dim: int | None = None, *, dtype: Any = None) -> Tensor:
    """Logarithm of the softmax."""
    dim = _dim("log_softmax", dim, input.ndim)
    return input.log_softmax(dim) if dtype is None else input.to(dtype).log_softmax(dim)


__all__ = ["celu", "elu", "gelu", "glu", "gumbel_softmax", "hardshrink", "hardsigmoid", "hardswish", "hardtanh",
           "leaky_relu", "log_softmax", "logsigmoid", "mish", "prelu", "relu", "relu6", "rrelu", "selu", "sigmoid",
           "silu", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold"]
