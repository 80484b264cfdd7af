"""Special functions, by the names of ``torch.special``; most are methods of tensors under these or other names.

Their kernels are the same on every device and have about the accuracy of the type, in relation to the result; near
zeros of `gammaln` and `digamma`, other than those of `gammaln` at 1 and 2, in relation to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .autograd import apply
from .functions import polygamma, where
from .ops import pointwise
from .tensor import Tensor


def _of_operation(operation: Any, name: str, doc: str) -> Callable[[Tensor], Tensor]:
    def function(input: Tensor) -> Tensor:
        result: Tensor = apply(operation, input)
        return result

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def _of_method(method: str, name: str, doc: str) -> Callable[..., Tensor]:
    def function(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        result: Tensor = getattr(input, method)(*args, **kwargs)
        return result

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc}\n\n    The same as ``input.{method}(...)``.\n    "
    return function


expit = _of_method("sigmoid", "expit", "The logistic function, ``1 / (1 + exp(-x))``.")
logit = _of_method("logit", "logit", "``log(x / (1 - x))``; with ``eps`` of elements limited to [eps, 1 - eps].")
exp2 = _of_method("exp2", "exp2", "2 to the power of each element.")
expm1 = _of_method("expm1", "expm1", "``exp(x) - 1``, exact near 0.")
log1p = _of_method("log1p", "log1p", "``log(1 + x)``, exact near 0.")
round = _of_method("round", "round", "The nearest number of so many ``decimals``, halves to even.")
sinc = _of_method("sinc", "sinc", "sin(πx) / (πx), and 1 at 0.")
erf = _of_method("erf", "erf", "Error function.")
erfc = _of_method("erfc", "erfc", "``1 - erf(x)``, exact where erf is near 1.")
erfinv = _of_method("erfinv", "erfinv", "Inverse error function.")
gammaln = _of_method("lgamma", "gammaln", "Logarithm of the absolute value of the gamma function.")
digamma = _of_method("digamma", "digamma", "Logarithmic derivative of the gamma function.")
psi = _of_method("digamma", "psi", "Logarithmic derivative of the gamma function.")
multigammaln = _of_method("mvlgamma", "multigammaln", "Logarithm of the multivariate gamma function of a dimension.")
logsumexp = _of_method("logsumexp", "logsumexp", "Logarithm of the sum of exponentials over dimensions.")
softmax = _of_method("softmax", "softmax", "Exponentials divided by their sum over a dimension.")
log_softmax = _of_method("log_softmax", "log_softmax", "Logarithm of `softmax`, more exact than that of its result.")
i0 = _of_method("i0", "i0", "Modified Bessel function of the first kind of order 0.")
i0e = _of_operation(pointwise.I0e, "i0e", "``exp(-|x|) * i0(x)``, which does not overflow.")
i1 = _of_operation(pointwise.I1, "i1", "Modified Bessel function of the first kind of order 1.")
i1e = _of_operation(pointwise.I1e, "i1e", "``exp(-|x|) * i1(x)``, which does not overflow.")
ndtri = _of_operation(pointwise.Ndtri, "ndtri",
                      "The number below which a share of the standard normal distribution lies; NaN outside [0, 1].")
log_ndtr = _of_operation(pointwise.LogNdtr, "log_ndtr", "Logarithm of `ndtr`, exact in the left tail too.")


def ndtr(input: Tensor) -> Tensor:
    """The share of the standard normal distribution that lies below each element.

    Example:
        >>> genesis.special.ndtr(genesis.tensor([0.0, 1.96]))
        tensor([0.5  , 0.975])
    """
    result: Tensor = 0.5 * (input * -math.sqrt(0.5)).erfc()
    return result


def _of_two(input: Any, other: Any) -> tuple[Any, Any, bool]:
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        raise TypeError("one of the arguments must be a Tensor")
    return input, other, isinstance(input, Tensor)


def xlogy(input: Any, other: Any) -> Tensor:
    """``input * log(other)``, 0 where the input is 0; one of them may be a number."""
    x, y, first = _of_two(input, other)
    result: Tensor = x.xlogy(y) if first else y.new_full((), x).xlogy(y)
    return result


def xlog1py(input: Any, other: Any) -> Tensor:
    """``input * log(1 + other)``, exact for a small ``other``; 0 where the input is 0. One of them may be a number.

    Example:
        >>> genesis.special.xlog1py(genesis.tensor([0.0, 2.0]), -1.0)
        tensor([  0., -inf])
    """
    x, y, first = _of_two(input, other)
    y = y if isinstance(y, Tensor) else x.new_full((), y, dtype=x.dtype if x.is_floating_point() else None)
    x = x if first else y.new_full((), x)
    zero = (x.detach() == 0).logical_and(y.detach().isnan().logical_not())
    result: Tensor = where(zero, 0.0, x * where(zero.logical_and(y.detach() <= -1), 0.0, y).log1p())
    return result


def entr(input: Tensor) -> Tensor:
    """``-x log(x)``, 0 at 0 and minus infinity below.

    Example:
        >>> genesis.special.entr(genesis.tensor([0.0, 0.5]))
        tensor([0.    , 0.3466])
    """
    x = input if input.is_floating_point() else input.float()
    result: Tensor = where(x.detach() < 0, -math.inf, 0.0 - x.xlogy(x))
    return result


__all__ = ["digamma", "entr", "erf", "erfc", "erfinv", "exp2", "expit", "expm1", "gammaln", "i0", "i0e", "i1", "i1e",
           "log1p", "log_ndtr", "log_softmax", "logit", "logsumexp", "multigammaln", "ndtr", "ndtri", "polygamma",
           "psi", "round", "sinc", "softmax", "xlog1py", "xlogy"]
