"""Special functions of each element, and functions of integers and of floating-point numbers as such."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .. import dtypes
from ..autograd import Function, apply, same_device
from ..ops import elementwise as ew
from ..ops import pointwise
from .pointwise import _unary
from .support import Methods, nothing, operand, plain, raw, real_only


class Parts(NamedTuple):
    """What ``frexp`` returns."""

    mantissa: Any
    exponent: Any


class _NextAfter(Function):
    """The next number in the direction of another."""

    @staticmethod
    def forward(ctx: Any, x: Any, other: Any) -> Any:
        """Step."""
        ctx.save_for_backward(x, other)
        return plain(ew.run("nextafter", [x._array, other._array], x.dtype))

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        """As PyTorch's: to the element where the two differ, and 0."""
        x, other = ctx.saved_tensors
        own = (g * (x != other)).sum_to_size(x.shape) if ctx.needs_input_grad[0] else None
        return own, nothing(other) if ctx.needs_input_grad[1] else None


def _of_integers(op: str, doc: str) -> Any:
    def method(self: Any, other: Any) -> Any:
        other = operand(other, self)
        same_device(self, other)
        operands = [self._array, raw(other)]
        dtype = None if other is NotImplemented else ew.dtype_of(*operands)
        if dtype is None or dtype.kind not in "ui":
            raise NotImplementedError(f"{op}() needs integers, not {getattr(other, 'dtype', type(other).__name__)} "
                                      f"beside {self.dtype}")
        return plain(ew.run(op, operands, dtype))

    method.__doc__ = doc
    return method


class Special(Methods):
    """Special functions of each element, and functions of integers and of floating-point numbers as such."""

    __slots__ = ()
    FUNCTIONS = "digamma erfinv frexp gcd i0 igamma igammac lcm lgamma mvlgamma nextafter"
    IN_PLACE = "digamma erfinv gcd i0 igamma igammac lcm lgamma mvlgamma nextafter polygamma"

    lgamma = _unary(pointwise.Lgamma, "Logarithm of the absolute value of the gamma function.")
    digamma = _unary(pointwise.Digamma, "Logarithmic derivative of the gamma function.")
    erfinv = _unary(pointwise.Erfinv, "Inverse error function, of numbers in [-1, 1]; NaN outside.")
    i0 = _unary(pointwise.I0, "Modified Bessel function of the first kind of order 0.")
    gcd = _of_integers("gcd", "Greatest common divisors of integers, not negative; ``gcd(0, 0)`` is 0.")
    lcm = _of_integers("lcm", "Least common multiples of integers, not negative; 0 if either is 0.")

    def polygamma(self, n: int) -> Any:
        """The ``n``-th derivative of `digamma`; with 0 the function itself.

        Raises:
            RuntimeError: ``n`` is negative.
        """
        if n < 0:
            raise RuntimeError(f"polygamma() needs an order that is not negative, got {n}")
        return self.digamma() if n == 0 else apply(pointwise.Polygamma, self, n=int(n))

    def igamma(self, other: Any) -> Any:
        """The regularized lower incomplete gamma function of this shape; see `genesis.special.gammainc`."""
        from ..special import gammainc

        return gammainc(self, other)

    def igammac(self, other: Any) -> Any:
        """The regularized upper incomplete gamma function of this shape; see `genesis.special.gammaincc`."""
        from ..special import gammaincc

        return gammaincc(self, other)

    def mvlgamma(self, p: int) -> Any:
        """Logarithm of the multivariate gamma function of dimension ``p``, of numbers above (p - 1) / 2.

        ``sum(lgamma(x - i / 2) for i in range(p)) + p (p - 1) / 4 log(π)``.

        Raises:
            RuntimeError: ``p`` is below 1. Elements are not checked.
        """
        real_only("mvlgamma", self)
        if p < 1:
            raise RuntimeError(f"mvlgamma() needs a dimension of at least 1, got {p}")
        x: Any = self if self.dtype.is_floating_point else self.float()
        total = x.lgamma()
        for i in range(1, p):
            total = total + (x - i / 2).lgamma()
        return total + p * (p - 1) / 4 * math.log(math.pi)

    def frexp(self) -> Parts:
        """Mantissas, of absolute value in [1/2, 1), and int32 exponents of 2: ``x = mantissa * 2 ** exponent``.

        0, infinity and NaN are their own mantissas, with an exponent of 0.

        Raises:
            RuntimeError: the tensor is not of a floating type.

        Example:
            >>> genesis.tensor([6.0, -0.25]).frexp()
            Parts(mantissa=tensor([ 0.75, -0.5 ]), exponent=tensor([ 3, -1], dtype=genesis.int32))
        """
        if not self.dtype.is_floating_point:
            raise RuntimeError(f"frexp() needs a floating-point tensor, not {self.dtype}")
        exponent = plain(ew.run("frexp_exponent", [self._array], dtypes.int32, compute=self.dtype.compute))
        half = exponent // 2         # in two steps, since 2 ** -exponent itself may overflow
        wide = dtypes.float32 if self.dtype.itemsize < 4 else self.dtype
        mantissa = self.to(wide) * (-half).to(wide).exp2() * (half - exponent).to(wide).exp2()
        return Parts(mantissa.to(self.dtype), exponent)

    def nextafter(self, other: Any) -> Any:
        """The next number that the type holds after each element in the direction of the other's.

        The gradient is that of the element itself, where the two differ.

        Raises:
            NotImplementedError: the type is not float32 or float64.
            RuntimeError: the types differ.
            TypeError: the other is no tensor.
        """
        if not hasattr(other, "_array"):
            raise TypeError(f"nextafter() needs two tensors, not a {type(other).__name__}")
        if self.dtype is not other.dtype:
            raise RuntimeError(f"nextafter() needs tensors of one type, not {self.dtype} and {other.dtype}")
        if self.dtype not in (dtypes.float32, dtypes.float64):
            raise NotImplementedError(f"nextafter() is not defined for {self.dtype}")
        same_device(self, other)
        return _NextAfter.apply(self, other)
