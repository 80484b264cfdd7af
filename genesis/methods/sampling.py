"""Random numbers written into a tensor, or drawn with the probabilities that it holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..autograd import inplace
from ..dtypes import check_fits
from ..ops import elementwise, random
from ..ops.array import Array, empty
from ..random import Generator, default_generator
from .support import Methods, plain, real_only

# Integers from 0 to 2 to this power are all there in a type; integer types lack the last.
_BITS = {"bool": 1, "uint8": 8, "int8": 7, "int16": 15, "int32": 31, "int64": 63,
         "float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}

Draw = Callable[[Array, tuple[int, int], Any, Any], Array]


def fill(x: Any, draw: Draw, generator: Generator | None, a: Any, b: Any) -> Any:
    """Fill a tensor with what ``draw(array, key, a, b)`` draws, unrecorded; returns the tensor."""
    key = (generator or default_generator).stream()
    array = x._array
    if array.is_contiguous():
        draw(array, key, a, b)
    else:
        elementwise.assign(array, draw(empty(array.device, array.shape, array.dtype), key, a, b))
    array.version.count += 1
    return x


class Sampling(Methods):
    """Random numbers. ``generator`` is their source; the default generator if None. See `genesis.manual_seed`."""

    __slots__ = ()
    FUNCTIONS = "bernoulli"

    def _draw(self, draw: Draw, generator: Generator | None, a: Any, b: Any) -> Any:
        """Fill with random numbers; a gradient that flows back ends here."""
        needs = inplace.check(self)
        fill(plain(self._array.as_real()) if self.dtype.is_complex else self, draw, generator, a, b)
        if needs:
            inplace.record(self, None)
        return self

    def _floats(self, name: str, or_complex: bool = False) -> None:
        if not (self.dtype.has_gradients if or_complex else self.dtype.is_floating_point):
            raise RuntimeError(f"{name}() needs a floating-point tensor, not {self.dtype}")

    def _uniform(self, generator: Generator | None) -> Any:
        """A new tensor of numbers from [0, 1), float32 unless this one is float64."""
        wide = self if self.dtype.itemsize == 8 and self.dtype.is_floating_point else self.detach().float()
        key = (generator or default_generator).stream()
        return plain(random.uniform(empty(self.device, self._array.shape, wide.dtype), key, 0.0, 1.0))

    def uniform_(self, from_: float = 0.0, to: float = 1.0, *, generator: Generator | None = None) -> Any:
        """Fill with numbers drawn uniformly from [from_, to); of complex numbers both parts.

        Raises:
            RuntimeError: ``from_ > to``, or the tensor is not of a floating type.
        """
        self._floats("uniform_", True)
        if not from_ <= to:
            raise RuntimeError(f"uniform_() needs from <= to, got {from_} and {to}")
        return self._draw(random.uniform, generator, float(from_), float(to))

    def normal_(self, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Any:
        """Fill from the normal distribution of a mean and a standard deviation.

        Of complex numbers both parts, as in PyTorch: each of that mean and of half the variance.

        Raises:
            RuntimeError: ``std`` is negative, or the tensor is not of a floating type.
        """
        self._floats("normal_", True)
        if not std >= 0:
            raise RuntimeError(f"normal_() needs a standard deviation that is not negative, got {std}")
        return self._draw(random.normal, generator, float(mean), std / math.sqrt(2 if self.dtype.is_complex else 1))

    def log_normal_(self, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None) -> Any:
        """Fill with numbers whose logarithms have a mean and a standard deviation.

        Raises:
            RuntimeError: ``std`` is not positive, or the tensor is not of a floating type.
        """
        if not std > 0:
            raise RuntimeError(f"log_normal_() needs a positive standard deviation, got {std}")
        return self.normal_(mean, std, generator=generator).exp_()

    def random_(self, from_: int | None = None, to: int | None = None, *, generator: Generator | None = None) -> Any:
        """Fill with integers drawn uniformly from [from_, to), or from [0, from_) when only one bound is given.

        Without bounds they come from all that the tensor's type holds and are not negative; of a floating type, from
        those up to which it holds every integer.

        Raises:
            RuntimeError: there is no integer to draw.
        """
        if to is None:
            from_, to = 0, from_
        if to is None:
            to = (1 << _BITS[self.dtype.name]) + self.dtype.is_floating_point
        from_ = from_ or 0
        if not from_ < to:
            raise RuntimeError(f"random_() needs from < to, got {from_} and {to}")
        if from_ < 0 and self.dtype.kind == "u":
            raise RuntimeError(f"{self.dtype} holds no negative numbers, such as {from_}")
        check_fits(from_, to - 1, self.dtype)
        return self._draw(random.integers, generator, int(from_), int(to))

    def bernoulli(self, p: float | None = None, *, generator: Generator | None = None) -> Any:
        """1 with the probability that each element is, else 0; in the tensor's type, without gradient.

        Args:
            p: the same probability for all instead.

        Raises:
            RuntimeError: ``p`` is not in [0, 1], or the tensor is not of a floating type. Elements are not checked:
                above 1 gives 1, below 0 gives 0.
        """
        real_only("bernoulli", self)
        if p is not None:
            return plain(empty(self.device, self._array.shape, self.dtype)).bernoulli_(p, generator=generator)
        self._floats("bernoulli")
        return (self._uniform(generator) < self.detach()).to(self.dtype)

    def bernoulli_(self, p: Any = 0.5, *, generator: Generator | None = None) -> Any:
        """Fill with 1 with probability ``p``, a number or a tensor that broadcasts to this one, else with 0.

        Raises:
            RuntimeError: ``p`` is a number outside [0, 1], or a tensor that is not of a floating type.
        """
        if hasattr(p, "_array"):
            p._floats("bernoulli_")
            p = p.detach()
        elif not 0 <= p <= 1:
            raise RuntimeError(f"bernoulli_() needs a probability in [0, 1], got {p}")
        return self.copy_(self._uniform(generator) < p)

    def exponential_(self, lambd: float = 1.0, *, generator: Generator | None = None) -> Any:
        """Fill from the exponential distribution with rate ``lambd``; every number is above 0.

        Raises:
            RuntimeError: the rate is not positive, or the tensor is not of a floating type.
        """
        self._floats("exponential_")
        if not lambd > 0:
            raise RuntimeError(f"exponential_() needs a positive rate, got {lambd}")
        return self.copy_((1 - self._uniform(generator)).log().clamp_(max=-1e-8) * (-1 / lambd))

    def geometric_(self, p: float, *, generator: Generator | None = None) -> Any:
        """Fill with the number of trials, at least 1, up to the first success of probability ``p``.

        Raises:
            RuntimeError: ``p`` is not in (0, 1).
        """
        if not 0 < p < 1:
            raise RuntimeError(f"geometric_() needs a probability in (0, 1), got {p}")
        return self.copy_(((1 - self._uniform(generator)).log() * (1 / math.log1p(-p))).ceil_().clamp_(min=1))

    def cauchy_(self, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None) -> Any:
        """Fill from the Cauchy distribution of a median and a half width at half height.

        Raises:
            RuntimeError: ``sigma`` is not positive, or the tensor is not of a floating type.
        """
        self._floats("cauchy_")
        if not sigma > 0:
            raise RuntimeError(f"cauchy_() needs a positive width, got {sigma}")
        return self.copy_(((self._uniform(generator) - 0.5) * math.pi).tan() * sigma + median)
