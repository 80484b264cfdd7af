"""What all distributions share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..autograd import no_grad
from ..joining import broadcast_tensors
from ..tensor import Size, Tensor, tensor

Number = float | Tensor


class Distribution:
    """Base class of distributions.

    Args:
        batch_shape: shape of the distributions that one object stands for, each with parameters of its own.
        event_shape: shape of one outcome.

    Parameters are not checked, since to look at them would wait for the device: what makes no sense, such as a negative
    scale, gives NaN. ``validate_args=True`` checks them once, when the distribution is made.
    """

    has_rsample: bool = False

    def __init__(self, batch_shape: Sequence[int] = (), event_shape: Sequence[int] = ()):
        self.batch_shape, self.event_shape = Size(batch_shape), Size(event_shape)

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
