"""Probability distributions: samples that may carry gradients, log-probabilities, entropies, divergences."""

from . import constraints, transforms, utils
from . import divergences as _divergences  # noqa: F401 - it enters its formulas
from .constraint_registry import ConstraintRegistry, biject_to, transform_to
from .counts import Binomial, Geometric, Multinomial, NegativeBinomial, Poisson
from .discrete import Bernoulli, Categorical
from .distribution import Distribution
from .divergence import kl_divergence, register_kl
from .gamma import Beta, Chi2, Dirichlet, Gamma
from .independent import Independent
from .location import Cauchy, Gumbel, HalfCauchy, HalfNormal, Laplace, StudentT
from .mixture import MixtureSameFamily
from .multivariate import MultivariateNormal
from .onehot import OneHotCategorical, OneHotCategoricalStraightThrough, RelaxedBernoulli, RelaxedOneHotCategorical
from .positive import LogNormal, Pareto, Weibull
from .real import Exponential, Normal, Uniform
from .transformed import TransformedDistribution
from .transforms import (
    AbsTransform,
    AffineTransform,
    ComposeTransform,
    ExpTransform,
    IndependentTransform,
    PowerTransform,
    SigmoidTransform,
    SoftmaxTransform,
    SoftplusTransform,
    StickBreakingTransform,
    TanhTransform,
    Transform,
    identity_transform,
)

__all__ = ["AbsTransform", "AffineTransform", "Bernoulli", "Beta", "Binomial", "Categorical", "Cauchy", "Chi2",
           "ComposeTransform", "ConstraintRegistry", "Dirichlet", "Distribution", "ExpTransform", "Exponential",
           "Gamma", "Geometric", "Gumbel", "HalfCauchy", "HalfNormal", "Independent", "IndependentTransform",
           "Laplace", "LogNormal", "MixtureSameFamily", "Multinomial", "MultivariateNormal",
           "NegativeBinomial", "Normal", "OneHotCategorical", "OneHotCategoricalStraightThrough", "Pareto",
           "Poisson", "PowerTransform", "RelaxedBernoulli", "RelaxedOneHotCategorical", "SigmoidTransform",
           "SoftmaxTransform", "SoftplusTransform", "StickBreakingTransform", "StudentT", "TanhTransform",
           "Transform", "TransformedDistribution", "Uniform", "Weibull", "biject_to", "constraints",
           "identity_transform", "kl_divergence", "register_kl", "transform_to", "transforms", "utils"]
