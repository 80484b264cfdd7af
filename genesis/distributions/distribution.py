"""What all distributions share."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ..autograd import no_grad
from ..joining import broadcast_tensors
from ..tensor import Size, Tensor, tensor
from . import constraints

Number = float | Tensor


def _checked(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A method of outcomes that looks at them first if the distribution was made with ``validate_args``."""
    @functools.wraps(function)
    def method(self: Any, value: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return function(self, value, *args, **kwargs)

    return method


class Distribution:
    """Base class of distributions.

    Args:
        batch_shape: shape of the distributions that one object stands for, each with parameters of its own.
        event_shape: shape of one outcome.

    Parameters are not checked, since to look at them would wait for the device: what makes no sense, such as a negative
    scale, gives NaN. ``validate_args=True`` checks them when the distribution is made, and outcomes in ``log_prob()``
    and ``cdf()``: ``ValueError`` if one is not in ``support``.

    Attributes:
        arg_constraints: names of parameters -> where they may lie, of `constraints`.
        support: where outcomes lie.
    """

    has_rsample: bool = False
    arg_constraints: ClassVar[Any] = {}
    support: Any = constraints.dependent
    _default: ClassVar[bool] = False
    _validate_args: bool = False

    def __init__(self, batch_shape: Sequence[int] = (), event_shape: Sequence[int] = (),
                 validate_args: bool | None = None):
        self.batch_shape, self.event_shape = Size(batch_shape), Size(event_shape)
        self._validate_args = Distribution._default if validate_args is None else validate_args
        if self._validate_args:
            for name, constraint in self.arg_constraints.items():
                value = self.__dict__.get(name)      # those derived from others are not looked at
                if isinstance(value, Tensor) and not constraints.is_dependent(constraint):
                    check(f"{name} of {type(self).__name__}", constraint.check(value), f"in {constraint!r}")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("log_prob", "cdf"):
            if name in cls.__dict__:
                setattr(cls, name, _checked(cls.__dict__[name]))

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions check parameters and outcomes that are made without ``validate_args``; at first not."""
        Distribution._default = bool(value)

    def _validate_sample(self, value: Tensor) -> None:
        wanted = (*self.batch_shape, *self.event_shape)
        given = tuple(value.shape)
        events = len(self.event_shape)
        if given[len(given) - events:] != tuple(self.event_shape):
            raise ValueError(f"outcomes of {self!r} end in the shape {tuple(self.event_shape)}, not {given}")
        if any(a != b and 1 not in (a, b) for a, b in zip(reversed(given), reversed(wanted))):
            raise ValueError(f"outcomes of shape {given} do not broadcast to the shape {wanted} of {self!r}")
        support = self.support
        if not constraints.is_dependent(support):
            check("the value", support.check(value), f"in the support {support!r} of {self!r}")

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        """The same distributions in a larger batch, to which theirs broadcasts; nothing is copied.

        Example:
            >>> genesis.distributions.Normal(genesis.zeros(3), 1.0).expand([2, 3]).sample().shape
            genesis.Size([2, 3])
        """
        batch = tuple(batch_shape)
        new = copy.copy(self)
        for name, value in self.__dict__.items():
            if isinstance(value, Distribution):
                extra = value.batch_shape[len(self.batch_shape):]
                setattr(new, name, value.expand((*batch, *extra)))
            elif isinstance(value, Tensor) and value.shape[:len(self.batch_shape)] == self.batch_shape:
                rest = value.shape[len(self.batch_shape):]
                setattr(new, name, value.expand(*batch, *rest))
        new.batch_shape = Size(batch)
        return new

    def sample_n(self, n: int) -> Tensor:
        """``sample((n,))``."""
        return self.sample((n,))

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes, (*sample_shape, *batch_shape, *event_shape), without gradient."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes that carry gradients to the parameters, where ``has_rsample`` says that they can."""
        raise NotImplementedError(f"{type(self).__name__} has no rsample(), since its outcomes do not change smoothly "
                                  "with its parameters; use sample() and log_prob()")

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the probability, or of its density, at outcomes; one for each."""
        raise NotImplementedError(f"{type(self).__name__} has no log_prob()")

    def cdf(self, value: Tensor) -> Tensor:
        """Probability of an outcome up to each value."""
        raise NotImplementedError(f"{type(self).__name__} has no cdf()")

    def icdf(self, value: Tensor) -> Tensor:
        """The outcome up to which each probability lies: the inverse of `cdf`."""
        raise NotImplementedError(f"{type(self).__name__} has no icdf()")

    def perplexity(self) -> Tensor:
        """The exponential of the entropy."""
        return self.entropy().exp()

    def entropy(self) -> Tensor:
        """Entropy in nats, in the shape of the batch."""
        raise NotImplementedError(f"{type(self).__name__} has no entropy()")

    @property
    def mean(self) -> Tensor:
        """Expected outcome."""
        raise NotImplementedError(f"{type(self).__name__} has no mean")

    @property
    def mode(self) -> Tensor:
        """The most likely outcome."""
        raise NotImplementedError(f"{type(self).__name__} has no mode")

    @property
    def variance(self) -> Tensor:
        """Variance of the outcomes."""
        raise NotImplementedError(f"{type(self).__name__} has no variance")

    @property
    def stddev(self) -> Tensor:
        """Standard deviation of the outcomes."""
        return self.variance.sqrt()

    def _extended(self, sample_shape: Sequence[int]) -> tuple[int, ...]:
        return (*sample_shape, *self.batch_shape, *self.event_shape)

    def __repr__(self) -> str:
        given = {name: vars(self).get(name) for name in self.arg_constraints}
        parts = [f"{name}: {x if x.numel() == 1 else x.shape}" for name, x in given.items() if isinstance(x, Tensor)]
        if parts:
            return f"{type(self).__name__}({', '.join(parts)})"
        return f"{type(self).__name__}(batch_shape={tuple(self.batch_shape)}, event_shape={tuple(self.event_shape)})"


def parameters(*values: Number) -> tuple[Tensor, ...]:
    """Numbers and tensors as tensors of one shape, on the device of those that are tensors."""
    given = [x for x in values if isinstance(x, Tensor)]
    device = given[0].device if given else None
    return broadcast_tensors(*(x if isinstance(x, Tensor) else tensor(float(x), device=device) for x in values))


def exponential(like: Tensor, shape: Sequence[int]) -> Tensor:
    """Numbers from the exponential distribution of rate 1, in the type and on the device of a tensor."""
    drawn: Tensor = like.new_empty(tuple(shape)).exponential_()
    return drawn


def check(name: str, holds: Tensor, wanted: str) -> None:
    """``ValueError`` unless something holds for every parameter; waits for the device."""
    if not bool(holds.all()):
        raise ValueError(f"{name} must be {wanted} everywhere")


def either(name: str, probs: Any, logits: Any) -> Tensor:
    """The one of two parameters that is given, as a tensor."""
    if (probs is None) == (logits is None):
        raise ValueError(f"{name} takes probs or logits, and not both")
    return parameters(logits if probs is None else probs)[0]
