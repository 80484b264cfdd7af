"""Formulas of Kullback-Leibler divergences between distributions of different classes, and of the rarer classes."""

from __future__ import annotations

import math
from typing import Any

from ..creation import full
from ..joining import broadcast_shapes
from ..linalg import solve_triangular
from ..tensor import Tensor
from .counts import Binomial, Geometric, Poisson
from .discrete import Bernoulli
from .divergence import kl_divergence, register_kl
from .gamma import Beta, Dirichlet, Gamma
from .location import EULER, Cauchy, Gumbel, HalfNormal, Laplace
from .multivariate import MultivariateNormal
from .onehot import OneHotCategorical
from .positive import LogNormal, Pareto
from .real import Exponential, Normal, Uniform
from .transformed import TransformedDistribution

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def _cross_normal(p: Any, q: Normal, mean: Tensor, variance: Tensor) -> Any:
    """The divergence of a normal distribution, from the entropy and the first moments alone."""
    apart = variance + (mean - q.loc).square()
    return q.scale.log() + _HALF_LOG_2PI + apart / (2 * q.scale.square()) - p.entropy()


@register_kl(Uniform, Normal)
@register_kl(Exponential, Normal)
@register_kl(Gamma, Normal)
@register_kl(Beta, Normal)
@register_kl(Laplace, Normal)
@register_kl(Gumbel, Normal)
@register_kl(Pareto, Normal)
def _of_normal(p: Any, q: Normal) -> Tensor:
    result: Tensor = _cross_normal(p, q, p.mean, p.variance)
    return result.masked_fill(p.alpha <= 2, math.inf) if isinstance(p, Pareto) else result


def _cross_gamma(p: Any, q: Any, log_mean: Any) -> Any:
    """The divergence of a gamma (or exponential) distribution, from the entropy and the means of x and log x."""
    a, rate = (q.concentration, q.rate) if isinstance(q, Gamma) else (1.0, q.rate)
    constant = a.lgamma() if isinstance(a, Tensor) else 0.0
    return constant - a * rate.log() - (a - 1) * log_mean + rate * p.mean - p.entropy()


@register_kl(Exponential, Gamma)
def _exponential_gamma(p: Exponential, q: Gamma) -> Any:
    return _cross_gamma(p, q, -EULER - p.rate.log())


@register_kl(Gamma, Gamma)
@register_kl(Gamma, Exponential)
def _gamma(p: Gamma, q: Any) -> Any:
    return _cross_gamma(p, q, p.concentration.digamma() - p.rate.log())


@register_kl(Beta, Gamma)
@register_kl(Beta, Exponential)
def _beta_gamma(p: Beta, q: Any) -> Any:
    return _cross_gamma(p, q, p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma())


@register_kl(Pareto, Gamma)
@register_kl(Pareto, Exponential)
def _pareto_gamma(p: Pareto, q: Any) -> Any:
    return _cross_gamma(p, q, p.scale.log() + 1 / p.alpha).masked_fill(p.alpha <= 1, math.inf)


def _mean_log(low: Tensor, high: Tensor) -> Tensor:
    """The mean of log x between two numbers from 0 on."""
    result: Tensor = (high.xlogy(high) - low.xlogy(low)) / (high - low) - 1
    return result


@register_kl(Uniform, Gamma)
@register_kl(Uniform, Exponential)
def _uniform_gamma(p: Uniform, q: Any) -> Any:
    return _cross_gamma(p, q, _mean_log(p.low, p.high)).masked_fill(p.low < 0, math.inf)


@register_kl(Uniform, Beta)
def _uniform_beta(p: Uniform, q: Beta) -> Any:
    a, b = q.concentration1, q.concentration0
    outside = (p.low < 0).logical_or(p.high > 1)
    result = (q._constant() - (a - 1) * _mean_log(p.low, p.high) - (b - 1) * _mean_log(-p.high + 1, -p.low + 1)
              - p.entropy())
    return result.masked_fill(outside, math.inf)


@register_kl(Uniform, Pareto)
def _uniform_pareto(p: Uniform, q: Pareto) -> Any:
    result = (q.alpha + 1) * _mean_log(p.low, p.high) - q.alpha.log() - q.alpha * q.scale.log() - p.entropy()
    return result.masked_fill(p.low < q.scale, math.inf)


@register_kl(Beta, Uniform)
def _beta_uniform(p: Beta, q: Uniform) -> Any:
    return (q.entropy() - p.entropy()).masked_fill((q.low > 0).logical_or(q.high < 1), math.inf)


@register_kl(Beta, Beta)
def _beta(p: Beta, q: Beta) -> Any:
    pairs = ((p.concentration1, q.concentration1), (p.concentration0, q.concentration0))
    total = (p.concentration1 + p.concentration0).digamma()
    return q._constant() - p._constant() + sum((a - b) * (a.digamma() - total) for a, b in pairs)


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Dirichlet, q: Dirichlet) -> Any:
    a, b = p.concentration, q.concentration
    total = a.sum(-1, True)
    inner = ((a - b) * (a.digamma() - total.digamma()) - a.lgamma() + b.lgamma()).sum(-1)
    return inner + total.squeeze(-1).lgamma() - b.sum(-1).lgamma()


def _cross_gumbel(p: Any, q: Gumbel, mean: Any, exponential: Any) -> Any:
    """The divergence of a Gumbel distribution, from the entropy and the means of x and exp((loc - x) / scale)."""
    return q.scale.log() + (mean - q.loc) / q.scale + exponential - p.entropy()


@register_kl(Normal, Gumbel)
def _normal_gumbel(p: Normal, q: Gumbel) -> Any:
    return _cross_gumbel(p, q, p.loc, ((q.loc - p.loc) / q.scale + (p.scale / q.scale).square() / 2).exp())


@register_kl(Gumbel, Gumbel)
def _gumbel(p: Gumbel, q: Gumbel) -> Any:
    return _cross_gumbel(p, q, p.mean, ((q.loc - p.loc) / q.scale + (p.scale / q.scale + 1).lgamma()).exp())


@register_kl(Exponential, Gumbel)
def _exponential_gumbel(p: Exponential, q: Gumbel) -> Any:
    width = p.rate * q.scale
    return _cross_gumbel(p, q, p.mean, (q.loc / q.scale).exp() * width / (width + 1))


@register_kl(Gamma, Gumbel)
def _gamma_gumbel(p: Gamma, q: Gumbel) -> Any:
    shrunk = (1 + 1 / (p.rate * q.scale)) ** -p.concentration
    return _cross_gumbel(p, q, p.mean, (q.loc / q.scale).exp() * shrunk)


@register_kl(Uniform, Gumbel)
def _uniform_gumbel(p: Uniform, q: Gumbel) -> Any:
    low, high = (((q.loc - x) / q.scale).exp() for x in (p.low, p.high))
    return _cross_gumbel(p, q, p.mean, (low - high) * q.scale / (p.high - p.low))


@register_kl(Laplace, Laplace)
def _laplace(p: Laplace, q: Laplace) -> Any:
    apart, ratio = (p.loc - q.loc).abs(), p.scale / q.scale
    return apart / q.scale + ratio * (-apart / p.scale).exp() - ratio.log() - 1


@register_kl(Normal, Laplace)
def _normal_laplace(p: Normal, q: Laplace) -> Any:
    apart = (p.loc - q.loc) / p.scale
    distance = p.scale * (math.sqrt(2 / math.pi) * (-0.5 * apart.square()).exp()
                          + apart * (apart * math.sqrt(0.5)).erf())           # the mean of |x - q.loc|
    return (q.scale * 2).log() + distance / q.scale - p.entropy()


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Cauchy, q: Cauchy) -> Any:
    return ((p.scale + q.scale).square() + (p.loc - q.loc).square()).log() - (p.scale * q.scale * 4).log()


@register_kl(Pareto, Pareto)
def _pareto(p: Pareto, q: Pareto) -> Any:
    ratio = q.alpha / p.alpha
    result = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return result.masked_fill(p.scale < q.scale, math.inf)


@register_kl(HalfNormal, HalfNormal)
@register_kl(LogNormal, LogNormal)
def _of_bases(p: Any, q: Any) -> Tensor:
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: TransformedDistribution, q: TransformedDistribution) -> Tensor:
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError("the divergence of two TransformedDistributions is known where both have the same "
                                  "transforms, not others like them")
    inner = kl_divergence(p.base_dist, q.base_dist)
    extra = len(p.event_shape) - len(p.base_dist.event_shape)
    result: Tensor = inner.sum(tuple(range(-extra, 0))) if extra else inner
    return result


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normal(p: MultivariateNormal, q: MultivariateNormal) -> Any:
    turned = solve_triangular(q.scale_tril, p.scale_tril, upper=False).square().sum((-2, -1))
    apart = solve_triangular(q.scale_tril, (q.loc - p.loc).unsqueeze(-1), upper=False).square().sum((-2, -1))
    return q._half_log_det() - p._half_log_det() + 0.5 * (turned + apart - p.event_shape[0])


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot(p: OneHotCategorical, q: OneHotCategorical) -> Tensor:
    return kl_divergence(p._categorical, q._categorical)


@register_kl(Geometric, Geometric)
def _geometric(p: Geometric, q: Geometric) -> Any:
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(Poisson, Poisson)
def _poisson(p: Poisson, q: Poisson) -> Any:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Bernoulli, Poisson)
def _bernoulli_poisson(p: Bernoulli, q: Poisson) -> Any:
    return q.rate - p.probs * q.rate.log() - p.entropy()


@register_kl(Binomial, Binomial)
def _binomial(p: Binomial, q: Binomial) -> Any:
    if bool((p.total_count < q.total_count).any()):
        raise NotImplementedError("the divergence of a Binomial of fewer trials from one of more is not known")
    result = p.total_count * (p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p())
    return result.masked_fill(p.total_count > q.total_count, math.inf)


def _infinite(p: Any, q: Any) -> Tensor:
    shape = broadcast_shapes(p.batch_shape, q.batch_shape)
    mean = p.mean
    return full(tuple(shape), math.inf, dtype=mean.dtype, device=mean.device)


# Where p has outcomes that q does not.
for _p, _others in ((Beta, (Pareto,)), (Exponential, (Beta, Pareto, Uniform)), (Gamma, (Beta, Pareto, Uniform)),
                    (Gumbel, (Beta, Exponential, Gamma, Pareto, Uniform)), (Pareto, (Beta, Uniform)),
                    (Laplace, (Beta, Exponential, Gamma, Pareto, Uniform)),
                    (Normal, (Beta, Exponential, Gamma, Pareto, Uniform)), (Poisson, (Bernoulli, Binomial))):
    for _q in _others:
        register_kl(_p, _q)(_infinite)
