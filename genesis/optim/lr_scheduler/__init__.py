"""Learning rate schedulers, with PyTorch's names, arguments and values.

A scheduler sets ``group["lr"]`` of an optimizer: construct it once, call ``scheduler.step()`` after
``optimizer.step()``. ``scheduler.preview(n)`` tells the next n learning rates without touching anything. A run is
resumed exactly, at any step, by constructing everything as before and loading the saved states, in either order.

They work on anything with ``param_groups``, a list of dicts with ``"lr"``, and depend on nothing else.
"""

from .base import LRScheduler
from .base import LRScheduler as _LRScheduler  # noqa: F401 - PyTorch's older name, from which programs derive
from .compose import ChainedScheduler, SequentialLR
from .cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from .cyclic import CyclicLR
from .decay import ExponentialLR, MultiStepLR, StepLR
from .lambdas import LambdaLR, MultiplicativeLR
from .onecycle import OneCycleLR
from .plateau import ReduceLROnPlateau
from .ramp import ConstantLR, LinearLR, PolynomialLR
from .warmup import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
    "get_cosine_schedule_with_warmup",
    "get_linear_schedule_with_warmup",
]
