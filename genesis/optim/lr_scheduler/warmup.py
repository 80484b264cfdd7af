"""Warm-up, then a line or a cosine: the two schedules that Transformers are mostly trained with.

Names, arguments and values are those of Hugging Face's ``transformers``.
"""

from __future__ import annotations

import math
from functools import partial

from .checks import HasParamGroups, real
from .lambdas import LambdaLR


def _linear_with_warmup(t: int, *, num_warmup_steps: float, num_training_steps: float) -> float:
    if t < num_warmup_steps:
        return t / max(1, num_warmup_steps)
    return max(0.0, (num_training_steps - t) / max(1, num_training_steps - num_warmup_steps))


def _cosine_with_warmup(t: int, *, num_warmup_steps: float, num_training_steps: float, num_cycles: float) -> float:
    if t < num_warmup_steps:
        return t / max(1, num_warmup_steps)
    progress = (t - num_warmup_steps) / max(1, num_training_steps - num_warmup_steps)
    return max(0.0, 0.5 * (1.0 + math.cos(math.pi * num_cycles * 2.0 * progress)))


def get_linear_schedule_with_warmup(
    optimizer: HasParamGroups, num_warmup_steps: int, num_training_steps: int, last_epoch: int = -1
) -> LambdaLR:
    r"""Return a `LambdaLR` that rises from 0 to the initial learning rate, then falls back to 0, in straight lines.

    .. math:: lr_t = lr_0 \, \frac{t}{W} \text{ for } t < W, \qquad lr_0 \max\left(0, \frac{T - t}{T - W}\right)

    Args:
        optimizer: anything with ``param_groups``.
        num_warmup_steps: W, at least 0. If above 0, the first step is taken with a learning rate of 0.
        num_training_steps: T, at least 0; from then on the learning rate is 0.
        last_epoch: the step reached so far; -1 to start.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range.

    A state dict holds the step, not W and T: a resumed run may go on with others.

    Example:
        >>> from types import SimpleNamespace
        >>> optimizer = SimpleNamespace(param_groups=[{"lr": 8.0}])
        >>> scheduler = get_linear_schedule_with_warmup(optimizer, num_warmup_steps=2, num_training_steps=6)
        >>> scheduler.get_last_lr(), [lr for (lr,) in scheduler.preview(7)]
        ([0.0], [4.0, 8.0, 6.0, 4.0, 2.0, 0.0, 0.0])
    """
    fn = partial(
        _linear_with_warmup,
        num_warmup_steps=real("num_warmup_steps", num_warmup_steps, 0),
        num_training_steps=real("num_training_steps", num_training_steps, 0),
    )
    return LambdaLR(optimizer, fn, last_epoch)


def get_cosine_schedule_with_warmup(
    optimizer: HasParamGroups,
    num_warmup_steps: int,
    num_training_steps: int,
    num_cycles: float = 0.5,
    last_epoch: int = -1,
) -> LambdaLR:
    r"""Return a `LambdaLR` that rises in a straight line from 0, then follows a cosine wave.

    .. math:: lr_t = lr_0 \, \frac{t}{W} \text{ for } t < W, \qquad
              \tfrac12 lr_0 \left(1 + \cos\left(2 \pi \, num\_cycles \, \frac{t - W}{T - W}\right)\right)

    Args:
        optimizer: anything with ``param_groups``.
        num_warmup_steps: W, at least 0. If above 0, the first step is taken with a learning rate of 0.
        num_training_steps: T, at least 0. The wave goes on beyond it: stop there.
        num_cycles: waves between W and T, at least 0; with one half, the learning rate ends at 0.
        last_epoch: the step reached so far; -1 to start.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range.

    A state dict holds the step, not W and T: a resumed run may go on with others.

    Example:
        >>> from types import SimpleNamespace
        >>> optimizer = SimpleNamespace(param_groups=[{"lr": 8.0}])
        >>> scheduler = get_cosine_schedule_with_warmup(optimizer, num_warmup_steps=2, num_training_steps=5)
        >>> scheduler.get_last_lr(), [round(lr, 9) for (lr,) in scheduler.preview(5)]
        ([0.0], [4.0, 8.0, 6.0, 2.0, 0.0])
    """
    fn = partial(
        _cosine_with_warmup,
        num_warmup_steps=real("num_warmup_steps", num_warmup_steps, 0),
        num_training_steps=real("num_training_steps", num_training_steps, 0),
        num_cycles=real("num_cycles", num_cycles, 0),
    )
    return LambdaLR(optimizer, fn, last_epoch)
