"""Starting values of parameters; every function fills a tensor in place and returns it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from ..methods import sampling
from ..ops import random
from ..random import Generator, default_generator
from ..tensor import Tensor
from ..tensor import tensor as to_tensor

__all__ = ["calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_",
           "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_"]

_LINEAR = ["linear", "sigmoid"] + [f"conv{transposed}{n}d" for transposed in ("", "_transpose") for n in (1, 2, 3)]
_skipped: ContextVar[bool] = ContextVar("skipped", default=False)


@contextmanager
def skipped() -> Iterator[None]:
    """Within this context the functions here leave tensors as they are; see `genesis.nn.utils.skip_init`."""
    token = _skipped.set(True)
    try:
        yield
    finally:
        _skipped.reset(token)


def fill(tensor: Tensor, draw: Callable[..., Any], generator: Generator | None, a: float, b: float) -> Tensor:
    """Fill with random numbers, unless starting values are skipped."""
    return tensor if _skipped.get() else sampling.fill(tensor, draw, generator, a, b)


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform numbers from [a, b)."""
    return fill(tensor, random.uniform, generator, a, b)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal numbers."""
    return fill(tensor, random.normal, generator, mean, std)


def trunc_normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0,
                  generator: Generator | None = None) -> Tensor:
    """Normal numbers of which those outside [a, b] are drawn again; ``mean`` and ``std`` are those before that.

    The distribution is exact for any bounds, also far from the mean (Robert 1995, "Simulation of truncated normal
    variables").

    Raises:
        ValueError: ``std`` is not positive, or not ``a <= b``.

    Example:
        >>> x = genesis.nn.init.trunc_normal_(genesis.empty(1000), std=0.02, a=-0.04, b=0.04)
        >>> bool((x.abs() <= 0.04).all())
        True
    """
    if not 0 < std < math.inf:
        raise ValueError(f"std must be a positive number, not {std}")
    if not a <= b:
        raise ValueError(f"a must be at most b, got {a} and {b}")

    def draw(out: Any, key: tuple[int, int], low: float, high: float) -> Any:
        return random.truncated(out, key, float(mean), float(std), low, high)

    return fill(tensor, draw, generator, float(a), float(b))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """The same number everywhere."""
    return tensor if _skipped.get() else tensor._assign(val)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return constant_(tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1)


# These two have PyTorch's private names: layers that users write call them.
def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    if tensor.ndim < 2:
        raise ValueError(f"fan in and fan out need at least two dimensions, not {tensor.ndim}")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode must be 'fan_in' or 'fan_out', not {mode!r}")
    return _calculate_fan_in_and_fan_out(tensor)[mode == "fan_out"]


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a nonlinearity asks the standard deviation to be raised."""
    if nonlinearity in _LINEAR:
        return 1.0
    if nonlinearity == "tanh":
        return 5 / 3
    if nonlinearity == "relu":
        return math.sqrt(2)
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity == "selu":
        return 3 / 4            # PyTorch's value; 1 is that of the paper (Klambauer et al. 2017), as for "linear"
    raise ValueError(f"no gain is known for the nonlinearity {nonlinearity!r}")


def kaiming_uniform_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
                     generator: Generator | None = None) -> Tensor:
    """Uniform numbers that keep the variance through layers of rectifiers (He et al. 2015, arXiv:1502.01852)."""
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
                    generator: Generator | None = None) -> Tensor:
    """Normal numbers that keep the variance through layers of rectifiers (He et al. 2015, arXiv:1502.01852)."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    return calculate_gain(nonlinearity, a) / math.sqrt(_calculate_correct_fan(tensor, mode))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform numbers that keep the variance both ways (Glorot & Bengio 2010)."""
    bound = gain * math.sqrt(6 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal numbers that keep the variance both ways (Glorot & Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(_calculate_fan_in_and_fan_out(tensor))), generator)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix, or the part of one that fits: a linear layer passes on as many inputs as it can.

    Raises:
        ValueError: the tensor is not a matrix.
    """
    if tensor.ndim != 2:
        raise ValueError(f"eye_() needs a tensor of 2 dimensions, not {tensor.ndim}")
    return _set(tensor, np.eye(*tensor.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Weights with which a convolution passes on as many of its channels as it can: 1 at the middle tap of each.

    Args:
        tensor: (out channels, in channels / groups, ...) with one to three dimensions of taps.
        groups: the convolution's groups, each of which passes on its channels.

    Raises:
        ValueError: another number of dimensions, or output channels that ``groups`` does not divide.

    Example:
        >>> genesis.nn.init.dirac_(genesis.empty(2, 2, 3)).tolist()
        [[[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(f"dirac_() needs a tensor of 3, 4 or 5 dimensions, not {tensor.ndim}")
    if groups < 1 or tensor.shape[0] % groups:
        raise ValueError(f"groups must divide the {tensor.shape[0]} output channels, got {groups}")
    values = np.zeros(tensor.shape)
    middle = tuple([n // 2 for n in tensor.shape[2:]])
    size = tensor.shape[0] // groups
    for channel in range(min(size, tensor.shape[1])):
        place: Any = (slice(channel, None, size), channel, *middle)       # of each group
        values[place] = 1
    return _set(tensor, values)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """A random matrix whose rows or columns, whichever are fewer, are orthogonal and of length ``gain``.

    All such matrices are equally likely: the Q of a QR decomposition of normal numbers, with signs that make the
    diagonal of R positive (Saxe et al. 2013, arXiv:1312.6120; Mezzadri 2006, arXiv:math-ph/0609050). Computed on the
    host in float64.

    Args:
        tensor: at least two dimensions; those after the first count as one.
        gain: a factor; see `calculate_gain`.
        generator: the source of random numbers; the default generator if None.

    Raises:
        ValueError: the tensor has fewer than two dimensions.

    Example:
        >>> w = genesis.nn.init.orthogonal_(genesis.empty(3, 5))
        >>> bool(((w @ w.T - genesis.eye(3)).abs() < 1e-6).all())
        True
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_() needs a tensor of at least 2 dimensions, not {tensor.ndim}")
    if _skipped.get() or not tensor.numel():
        return tensor
    rows, columns = tensor.shape[0], tensor.numel() // tensor.shape[0]
    normal = (generator or default_generator).host_rng().standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(normal)
    q *= np.where(np.diag(r) < 0, -gain, gain)
    return _set(tensor, q.T if rows < columns else q)


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Normal numbers, of which a part of each column is set to 0 (Martens 2010, "Deep learning via Hessian-free
    optimization").

    Args:
        tensor: a matrix.
        sparsity: the fraction of each column that is 0, from 0 to 1; rounded up to whole elements.
        std: the standard deviation of the others.
        generator: the source of random numbers; the default generator if None.

    Raises:
        ValueError: the tensor is not a matrix, or the fraction is outside [0, 1].

    Example:
        >>> int((genesis.nn.init.sparse_(genesis.empty(10, 4), 0.25) == 0).sum())
        12
    """
    if tensor.ndim != 2:
        raise ValueError(f"sparse_() needs a tensor of 2 dimensions, not {tensor.ndim}")
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity must be between 0 and 1, not {sparsity}")
    if _skipped.get():
        return tensor
    rows, columns = tensor.shape
    rng = (generator or default_generator).host_rng()
    values = rng.normal(0, std, (rows, columns))
    places = rng.permuted(np.tile(np.arange(rows)[:, None], columns), axis=0)
    return _set(tensor, np.where(places < math.ceil(sparsity * rows), 0, values))


def _set(tensor: Tensor, values: np.ndarray) -> Tensor:
    """Copy values from the host."""
    return tensor if _skipped.get() else tensor._assign(
        to_tensor(values.reshape(tensor.shape).astype(tensor.dtype.numpy), device=tensor.device))
