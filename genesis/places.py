"""Modules in the places where PyTorch keeps what genesis keeps elsewhere, for programs that import them from there.

``from genesis.distributions.normal import Normal`` and ``isinstance(layer, nn.modules.batchnorm._BatchNorm)`` work with
the word ``torch`` replaced, and need no files of their own.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

__all__ = ["PLACES"]

# Place -> the module that is found there, both below `genesis`.
PLACES = {
    **{f"distributions.{place}": f"distributions.{module}" for module, places in {
        "counts": "binomial geometric multinomial negative_binomial poisson",
        "discrete": "bernoulli categorical",
        "gamma": "beta chi2 dirichlet",
        "location": "cauchy gumbel half_cauchy half_normal laplace studentT",
        "mixture": "mixture_same_family",
        "multivariate": "multivariate_normal",
        "onehot": "one_hot_categorical relaxed_bernoulli relaxed_categorical",
        "positive": "log_normal pareto weibull",
        "real": "exponential normal uniform",
        "transformed": "transformed_distribution",
        "divergence": "kl",
    }.items() for place in places.split()},
    **{f"nn.modules.{place}": f"nn.{module}" for module, places in {
        "embedding": "sparse",
        "normalization": "batchnorm instancenorm normalization",
        "recurrent": "rnn",
        "tuples": "utils",
        **{name: name for name in "activation container conv distance dropout fold linear loss module padding pooling "
                                  "transformer upsampling".split()},
    }.items() for place in places.split()},
    "autograd.profiler": "profiler.legacy",
    "autograd.profiler_util": "profiler.events",
    "nn.utils.convert_parameters": "nn.utils.convert",
    "utils.hooks": "hooks",
    "utils.data.dataloader": "data",
    "utils.data.dataset": "data.dataset",
    "utils.data.distributed": "data.distributed",
    "utils.data.sampler": "data.sampler",
}

class Place(ModuleType):
    """A module that finds its names in others: the one that is there, then the package that has the public ones."""

    def __init__(self, name: str, *sources: ModuleType):
        super().__init__(name, f"{sources[0].__name__} in the place where PyTorch has it.")
        self._sources = sources

    def __getattr__(self, name: str) -> Any:
        for source in self._sources:
            if not name.startswith("__") and hasattr(source, name):
                return getattr(source, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


def _fill() -> None:
    for place, module in PLACES.items():
        found = importlib.import_module(f"genesis.{module}")
        package = importlib.import_module(f"genesis.{module.split('.')[0]}")
        parent, _, name = f"genesis.{place}".rpartition(".")
        sys.modules[f"{parent}.{name}"] = made = Place(f"{parent}.{name}", found, package)
        setattr(importlib.import_module(parent), name, made)


_fill()
