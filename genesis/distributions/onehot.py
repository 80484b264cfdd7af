"""Classes as vectors of zeros and a one, and as numbers near those, which carry gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from ..creation import rand
from ..dtypes import finfo
from ..nn import functional as F
from ..tensor import Tensor
from . import constraints
from .discrete import Categorical, odds
from .distribution import Distribution, Number, exponential, parameters


class OneHotCategorical(Distribution):
    """One of several classes, as a vector that is 1 at the class and 0 elsewhere.

    Args:
        probs: (..., classes), not negative; divided by their sum. Or else
        logits: (..., classes), logarithms of the probabilities but for a constant.
        validate_args: check the probabilities, which waits for the device.

    Example:
        >>> genesis.distributions.OneHotCategorical(probs=genesis.tensor([0.0, 1.0])).sample()
        tensor([0., 1.])
    """

    arg_constraints: ClassVar[Any] = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.one_hot

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        self._categorical = Categorical(probs, logits, validate_args)
        self.probs, self.logits = self._categorical.probs, self._categorical.logits
        super().__init__(self._categorical.batch_shape, self.probs.shape[-1:], validate_args=validate_args)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Vectors in the type of the probabilities."""
        return F.one_hot(self._categorical.sample(sample_shape), self.event_shape[0]).to(self.probs.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the probability of the class that each vector is 1 at."""
        return self._categorical.log_prob(value.argmax(-1))

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        return self._categorical.entropy()

    @property
    def mean(self) -> Tensor:
        """The probabilities."""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """The most likely class."""
        return F.one_hot(self.probs.argmax(-1), self.event_shape[0]).to(self.probs.dtype)

    @property
    def variance(self) -> Tensor:
        """``probs * (1 - probs)``."""
        return self.probs * (1 - self.probs)


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """`OneHotCategorical` whose outcomes pass gradients on to the probabilities as if they were these.

    Bengio, Léonard & Courville 2013, "Estimating or propagating gradients through stochastic neurons".
    """

    has_rsample = True

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Vectors of zeros and a one that carry gradients."""
        result: Tensor = self.sample(sample_shape) + (self.probs - self.probs.detach())
        return result


class RelaxedBernoulli(Distribution):
    """Numbers from 0 to 1 that are the nearer to either, with probabilities as `Bernoulli`'s, the lower a temperature.

    Maddison, Mnih & Teh 2017, "The concrete distribution", arXiv:1611.00712, for two classes.

    Args:
        temperature: above 0.
        probs: the probability of 1, in (0, 1); or else
        logits: the logarithm of its odds; shapes broadcast.
        validate_args: check the probabilities, which waits for the device.
    """

    has_rsample = True
    arg_constraints: ClassVar[Any] = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval

    def __init__(self, temperature: Number, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        self.probs, self.logits = odds("RelaxedBernoulli", probs, logits, validate_args)
        self.temperature, = parameters(temperature)
        super().__init__(self.logits.shape, validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes that carry gradients to the parameters."""
        u = rand(self._extended(sample_shape), dtype=self.logits.dtype, device=self.logits.device)
        noise = u.clamp(finfo(u.dtype).eps, 1 - finfo(u.dtype).eps).logit()
        result: Tensor = ((self.logits + noise) / self.temperature).sigmoid()
        return result

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density at values between 0 and 1."""
        x = value.logit(finfo(value.dtype).eps)
        apart = self.logits - x * self.temperature
        return self.temperature.log() + apart - 2 * F.softplus(apart) + F.softplus(x) + F.softplus(-x)


class RelaxedOneHotCategorical(Distribution):
    """Vectors of positive numbers of sum 1 that are the nearer to `OneHotCategorical`'s the lower a temperature.

    Jang, Gu & Poole 2017, "Categorical reparameterization with Gumbel-softmax", arXiv:1611.01144.

    Args:
        temperature: above 0.
        probs: (..., classes), not negative; divided by their sum. Or else
        logits: (..., classes), logarithms of the probabilities but for a constant.
        validate_args: check the probabilities, which waits for the device.
    """

    has_rsample = True
    arg_constraints: ClassVar[Any] = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.simplex

    def __init__(self, temperature: Number, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        self._categorical = Categorical(probs, logits, validate_args)
        self.probs, self.logits = self._categorical.probs, self._categorical.logits
        self.temperature, = parameters(temperature)
        super().__init__(self._categorical.batch_shape, self.probs.shape[-1:], validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Outcomes that carry gradients to the parameters."""
        gumbel = -exponential(self.logits, self._extended(sample_shape)).log()
        result: Tensor = ((self.logits + gumbel) / self.temperature).softmax(-1)
        return result

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density at vectors of positive numbers."""
        k = self.event_shape[0]
        x = value.log()
        score = self.logits - x * self.temperature
        score = (score - score.logsumexp(-1, keepdim=True) - x).sum(-1)
        result: Tensor = score + math.lgamma(k) + (k - 1) * self.temperature.log()
        return result
