"""Special functions, by the names of ``torch.special``; most are methods of tensors under these or other names.

Their kernels are the same on every device and have about the accuracy of the type, in relation to the result; near
zeros of `gammaln` and `digamma`, other than those of `gammaln` at 1 and 2, in relation to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .autograd import Function, apply
from .dtypes import get_default_dtype, result_type
from .functions import polygamma, where
from .methods.support import real_only
from .ops import pointwise
from .ops.elementwise import run
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
    real_only("entr", input)
    x = input if input.is_floating_point() else input.float()
    result: Tensor = where(x.detach() < 0, -math.inf, 0.0 - x.xlogy(x))
    return result


def _operands(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    """Two tensors, of which one may be given as a number, of one floating type."""
    real_only(name, x, y)
    x, y, first = _of_two(x, y)
    given = x if first else y
    kind = given.dtype if given.is_floating_point() else get_default_dtype()
    x, y = (z if isinstance(z, Tensor) else given.new_full((), z, dtype=kind) for z in (x, y))
    kind = result_type(x, y)
    kind = kind if kind.is_floating_point else get_default_dtype()
    return x.to(kind), y.to(kind)


class _OfSecond(Function):
    """A function of two arguments that has a derivative by the second only."""

    @staticmethod
    def forward(ctx: Any, name: str, x: Any, y: Any) -> Any:
        """Compute."""
        ctx.name = name
        ctx.save_for_backward(x, y)
        operands = [y._array, x._array] if name == "zeta" else [x._array, y._array]
        return Tensor._wrap(run(name, operands, x.dtype))

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        """The density of the gamma distribution, or its derivative, or the next zeta function."""
        if ctx.needs_input_grad[1]:
            raise NotImplementedError(f"the derivative of {ctx.name}() by its first argument is not implemented")
        x, y = ctx.saved_tensors
        if ctx.name == "zeta":
            slope = -x * zeta(x + 1, y)
        else:
            slope = _OfSecond.apply("gamma_density", x, y)
            if ctx.name == "gamma_density":
                slope = slope * ((x - 1) / y - 1)
            elif ctx.name == "gammaincc":
                slope = -slope
        return None, None, (g * slope).sum_to_size(y.shape)


def gammainc(input: Any, other: Any) -> Tensor:
    """The regularized lower incomplete gamma function: the share of the gamma distribution of rate 1 below ``other``.

    Args:
        input: the shape of the distribution, not negative.
        other: not negative; shapes broadcast, and one of both may be a number.

    Returns:
        Values in [0, 1], NaN where an argument is negative. The derivative is by ``other`` only.

    Raises:
        NotImplementedError: in backward, if a gradient of ``input`` is wanted.

    Example:
        >>> genesis.special.gammainc(genesis.tensor([1.0, 2.0]), genesis.tensor([1.0, 2.0]))
        tensor([0.6321, 0.594 ])
    """
    result: Tensor = _OfSecond.apply("gammainc", *_operands("gammainc", input, other))
    return result


def gammaincc(input: Any, other: Any) -> Tensor:
    """``1 - gammainc(input, other)``, exact where that is near 1 and ``other`` above ``input``."""
    result: Tensor = _OfSecond.apply("gammaincc", *_operands("gammaincc", input, other))
    return result


def zeta(input: Any, other: Any) -> Tensor:
    """Hurwitz's zeta function, the sum of ``(other + k) ** -input`` over k from 0.

    Args:
        input: the exponent, above 1; infinity at 1, NaN below.
        other: where the sum begins; shapes broadcast, and one of both may be a number. Infinity at 0 and negative whole
            numbers. The derivative is by ``other`` only.

    Raises:
        NotImplementedError: in backward, if a gradient of ``input`` is wanted.

    Example:
        >>> genesis.special.zeta(genesis.tensor(2.0), 1.0)
        tensor(1.6449)
    """
    result: Tensor = _OfSecond.apply("zeta", *_operands("zeta", input, other))
    return result


__all__ = ["digamma", "entr", "erf", "erfc", "erfinv", "exp2", "expit", "expm1", "gammainc", "gammaincc", "gammaln",
           "i0", "i0e", "i1", "i1e", "log1p", "log_ndtr", "log_softmax", "logit", "logsumexp", "multigammaln", "ndtr",
           "ndtri", "polygamma", "psi", "round", "sinc", "softmax", "xlog1py", "xlogy", "zeta"]
