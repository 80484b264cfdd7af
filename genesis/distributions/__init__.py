"""Probability distributions: samples that may carry gradients, log-probabilities, entropies, divergences."""

from .discrete import Bernoulli, Categorical
from .distribution import Distribution
from .divergence import kl_divergence, register_kl
from .independent import Independent
from .real import Exponential, Normal, Uniform

__all__ = ["Bernoulli", "Categorical", "Distribution", "Exponential", "Independent", "Normal", "Uniform",
           "kl_divergence", "register_kl"]
