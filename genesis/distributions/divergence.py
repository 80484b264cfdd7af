"""The Kullback-Leibler divergence of two distributions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..nn import functional as F
from ..tensor import Tensor
from .discrete import Bernoulli, Categorical
from .distribution import Distribution
from .independent import Independent
from .real import Exponential, Normal, Uniform

Divergence = Callable[[Any, Any], Tensor]
_KNOWN: dict[tuple[type, type], Divergence] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Divergence], Divergence]:
    """A decorator that makes a function of (p, q) the divergence of two classes of distributions."""
    def enter(function: Divergence) -> Divergence:
        _KNOWN[type_p, type_q] = function
        return function

    return enter


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """The divergence KL(p ‖ q) in nats: the mean under p of log p - log q; in the shape of the batch.

    Raises:
        NotImplementedError: no formula is known for the two classes; see `register_kl`.
    """
    for one in type(p).__mro__:
        for other in type(q).__mro__:
            if (one, other) in _KNOWN:
                return _KNOWN[one, other](p, q)
    raise NotImplementedError(f"no divergence is known of {type(p).__name__} from {type(q).__name__}; give one by "
                              "register_kl()")


@register_kl(Normal, Normal)
def _normal(p: Normal, q: Normal) -> Tensor:
    ratio = (p.scale / q.scale).square()
    result: Tensor = 0.5 * (ratio + ((p.loc - q.loc) / q.scale).square() - 1 - ratio.log())
    return result


@register_kl(Uniform, Uniform)
def _uniform(p: Uniform, q: Uniform) -> Tensor:
    outside = (q.low > p.low).logical_or(q.high < p.high)
    return ((q.high - q.low) / (p.high - p.low)).log().masked_fill(outside, math.inf)


@register_kl(Exponential, Exponential)
def _exponential(p: Exponential, q: Exponential) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - 1 - ratio.log()


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    yes = p.probs * (F.softplus(-q.logits) - F.softplus(-p.logits))
    no = (-p.probs + 1) * (F.softplus(q.logits) - F.softplus(p.logits))
    yes = yes.masked_fill(q.probs == 0, math.inf).masked_fill(p.probs == 0, 0)
    return yes + no.masked_fill(q.probs == 1, math.inf).masked_fill(p.probs == 1, 0)


@register_kl(Categorical, Categorical)
def _categorical(p: Categorical, q: Categorical) -> Tensor:
    terms = p.probs * (p.logits - q.logits)
    result: Tensor = terms.masked_fill(q.probs == 0, math.inf).masked_fill(p.probs == 0, 0).sum(-1)
    return result


@register_kl(Independent, Independent)
def _independent(p: Independent, q: Independent) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError("the divergence of two Independent distributions needs as many dimensions in both "
                                  f"outcomes, not {p.reinterpreted_batch_ndims} and {q.reinterpreted_batch_ndims}")
    return p._sum(kl_divergence(p.base_dist, q.base_dist))
