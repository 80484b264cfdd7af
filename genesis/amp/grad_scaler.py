"""GradScaler: a loss scale that adapts itself, with every decision taken on the device."""

from __future__ import annotations

import contextlib
import enum
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..dtypes import float16
from ..gradients import pieces
from ..opencl import Buffer, Device, find_device
from ..ops import elementwise, grad_norm, loss_scale
from ..ops.array import Array, empty
from ..ops.grad_norm import Gradients
from ..ops.loss_scale import LossScale
from ..tensor import Tensor

_NO_SCALE = ("Attempted {} but there is no scale yet: scaler.scale(loss or outputs) comes earlier in an iteration, and "
             "makes it")


class _Stage(enum.Enum):
    READY = 0
    UNSCALED = 1
    STEPPED = 2


class _Progress:
    """How far an optimizer has come since the last update."""

    def __init__(self, optimizer: Any):
        self.optimizer = optimizer                 # held, so that its id stays its own
        self.stage = _Stage.READY
        self.checked: Buffer | None = None         # after unscale_: the gradients' factor, and 1 to skip the step


class GradScaler:
    """Scales a loss so that float16 gradients neither vanish nor overflow, and adapts the scale as training goes on.

    `scale` multiplies the loss; `step` divides the gradients as it updates the parameters, and skips the update where
    one of them is not finite; `update` then makes the scale smaller, or larger after ``growth_interval`` iterations
    without such a skip. With the optimizers of `genesis.optim` none of this waits for the device: the division is part
    of the update's kernel, the decision is taken on the device, and the scale lives there. A skipped step leaves
    states and bias corrections as they were.

    bfloat16 has the range of float32 and needs no scaler.

    Args:
        device: where the scale is kept; by default with the first loss. Loss and parameters must be there too.
        init_scale: the first scale, above 0.
        growth_factor: by which the scale grows, above 1.
        backoff_factor: by which it shrinks, between 0 and 1.
        growth_interval: iterations in a row without a skipped step after which it grows; at most 2**24.
        enabled: if False, `scale` returns what it is given, `step` is the optimizer's and `update` does nothing.

    Raises:
        ValueError: a value out of range.

    References:
        Micikevicius et al. 2018, "Mixed precision training", section 3.2, arXiv:1710.03740.

    Example:
        >>> x = genesis.tensor([1.0], requires_grad=True)
        >>> optimizer = genesis.optim.SGD([x], lr=0.5)
        >>> scaler = genesis.amp.GradScaler(init_scale=1024.0)
        >>> scaler.scale((3 * x).sum()).backward()
        >>> scaler.step(optimizer)          # the gradient is 3072; the step is taken with 3
        >>> scaler.update()
        >>> x.item(), scaler.get_scale()
        (-0.5, 1024.0)
    """

    def __init__(self, device: Device | str | None = None, init_scale: float = 2.0 ** 16, growth_factor: float = 2.0,
                 backoff_factor: float = 0.5, growth_interval: int = 2000, enabled: bool = True):
        if isinstance(device, int | float):
            raise TypeError(f"the first argument of a GradScaler is a device, as PyTorch's; write init_scale={device}")
        self._enabled = bool(enabled)
        self._device = device
        self._init_scale = _positive("init_scale", init_scale)
        self._init_steps = 0
        self._state: Array | None = None           # scale, steps since it changed, 1 if a gradient was not finite
        self._progress: dict[int, _Progress] = {}
        self.set_growth_factor(growth_factor)
        self.set_backoff_factor(backoff_factor)
        self.set_growth_interval(growth_interval)

    # One iteration -------------------------------------------------------------------------------------------------

    def scale(self, outputs: Any) -> Any:
        """The loss, or each tensor of an iterable (lists and tuples may be nested), times the scale.

        Raises:
            ValueError: something that is neither a tensor nor an iterable of tensors.
            RuntimeError: a tensor on another device than the scale.
        """
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            state = self._ready(outputs.device)
            if outputs.device is not state.device:
                raise RuntimeError(f"the loss is on {outputs.device}, the scale on {state.device}; use one scaler for "
                                   "each device")
            return outputs * Tensor._wrap(state.view((), (), 0))
        if isinstance(outputs, list | tuple):
            scaled = [self.scale(x) for x in outputs]
            return type(outputs)(*scaled) if hasattr(outputs, "_fields") else type(outputs)(scaled)
        if isinstance(outputs, Iterable) and not isinstance(outputs, str | bytes | Mapping | np.ndarray):
            return map(self.scale, outputs)
        raise ValueError(f"outputs must be a Tensor or an iterable of Tensors, not {type(outputs).__name__}")

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of an optimizer by the scale now, to look at them or to clip them before `step`.

        Raises:
            RuntimeError: it was called before, or `step` was, since the last `update`.
            ValueError: a gradient is float16, which would lose small values; `step` alone does not need to store them.
            AssertionError: nothing has been scaled yet.
        """
        if not self._enabled:
            return
        state = self._scale_for("unscale_")
        progress = self._of(optimizer)
        if progress.stage is _Stage.UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update()")
        if progress.stage is _Stage.STEPPED:
            raise RuntimeError("unscale_() is being called after step()")
        self._unscale(optimizer, progress, state)
        progress.stage = _Stage.UNSCALED

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """Update the parameters with the gradients divided by the scale, unless one of these is not finite.

        The gradients themselves stay scaled, unless `unscale_` was called. An optimizer of another kind than those of
        `genesis.optim` has its gradients divided and waits for the decision.

        Args:
            optimizer: whose step to take.
            args, kwargs: handed to ``optimizer.step``; a closure is refused.

        Returns:
            What ``optimizer.step`` returns; None when such another optimizer's step is skipped.

        Raises:
            RuntimeError: with a closure, or when called twice for an optimizer between two `update`.
            AssertionError: nothing has been scaled yet, or no parameter has a gradient.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs or any(callable(x) for x in args):
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        state = self._scale_for("step")
        progress = self._of(optimizer)
        if progress.stage is _Stage.STEPPED:
            raise RuntimeError("step() has already been called since the last update()")
        if getattr(optimizer, "source", "") and hasattr(optimizer, "_loss_scale"):
            scale = LossScale(state.buffer, progress.checked)
            with _handed_over(optimizer, scale):
                result = optimizer.step(*args, **kwargs)
            if not scale.used:
                raise AssertionError("No inf checks were recorded for this optimizer: none of its parameters has a "
                                     "gradient")
        else:
            if progress.checked is None:
                self._unscale(optimizer, progress, state, allow_float16=True)
            assert progress.checked is not None
            decision = np.zeros(2, np.float32)
            state.device.read(progress.checked, 0, decision)
            result = None if decision[1] else optimizer.step(*args, **kwargs)
        progress.stage = _Stage.STEPPED
        return result

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Adapt the scale, at the end of an iteration, after the steps of all its optimizers.

        Args:
            new_scale: the scale from now on, a number or a tensor of one element; None to adapt the present one.

        Raises:
            AssertionError: nothing was scaled, or no optimizer's gradients were checked since the last update.
        """
        if not self._enabled:
            return
        state = self._scale_for("update")
        if new_scale is not None:
            if isinstance(new_scale, Tensor):
                if new_scale.numel() != 1 or new_scale.requires_grad or new_scale.device is not state.device:
                    raise AssertionError("new_scale should be a float or a tensor of one element on the scale's "
                                         f"device, {state.device}, with requires_grad=False")
                value: Any = new_scale._array.view((), ())
            else:
                value = _positive("new_scale", new_scale)
            elementwise.assign(state.view((), (), 0), value)
            elementwise.assign(state.view((), (), 2), 0.0)
            state.version.count += 1
        else:
            if all(progress.stage is _Stage.READY for progress in self._progress.values()):
                raise AssertionError("No inf checks were recorded prior to update.")
            loss_scale.update(state, self._growth_factor, self._backoff_factor, self._growth_interval)
        self._progress = {}

    @no_grad()
    def _unscale(self, optimizer: Any, progress: _Progress, state: Array, allow_float16: bool = False) -> None:
        """Divide gradients in place; what is found goes into ``progress.checked``."""
        parameters = [x for group in optimizer.param_groups for x in group["params"]]
        parts, others = pieces(parameters)
        if not parts and not others:
            raise AssertionError("No inf checks were recorded for this optimizer: none of its parameters has a "
                                 "gradient")
        if not allow_float16 and float16 in {*(part.array.dtype for part in parts), *(g.dtype for g in others)}:
            raise ValueError("Attempting to unscale FP16 gradients.")
        for where in {part.array.device for part in parts} | {g.device for g in others}:
            if where is not state.device:
                raise RuntimeError(f"gradients on {where}, the scale on {state.device}; use one scaler for each device")
        arrays = [elementwise.contiguous(g._array) for g in others]
        dense = [*parts, *(Gradients(array.reals(), None) for array in arrays)]
        checked = state.device.empty(16)
        norm = empty(state.device, (), state.dtype)
        partial = grad_norm.PartialNorms(dense, math.inf).run()
        grad_norm.Finish(partial, checked, norm.buffer, math.inf).run(math.inf, LossScale(state.buffer))
        for part in dense:
            loss_scale.unscale(part.array, part.rows, checked)
        for g, array in zip(others, arrays):
            if array is not g._array:
                g._assign(Tensor._wrap(array))
        progress.checked = checked

    def _of(self, optimizer: Any) -> _Progress:
        found = self._progress.get(id(optimizer))
        if found is None:
            found = self._progress[id(optimizer)] = _Progress(optimizer)
        return found

    def _ready(self, device: Device) -> Array:
        if self._state is None:
            where = device if self._device is None else find_device(self._device)
            self._state = loss_scale.make(where, self._init_scale, self._init_steps)
        return self._state

    def _scale_for(self, call: str) -> Array:
        if self._state is None:
            raise AssertionError(_NO_SCALE.format(call))
        return self._state

    # Values --------------------------------------------------------------------------------------------------------

    def get_scale(self) -> float:
        """The scale; waits for the device. 1 if scaling is disabled."""
        return self._values()[0] if self._enabled else 1.0

    def _get_growth_tracker(self) -> int:
        return int(self._values()[1]) if self._enabled else 0

    def _values(self) -> tuple[float, float]:
        if self._state is None:
            return self._init_scale, self._init_steps
        values = np.zeros(2, np.float32)
        self._state.device.read(self._state.buffer, 0, values)
        return float(values[0]), float(values[1])

    def get_growth_factor(self) -> float:
        """By which the scale grows."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set the factor by which the scale grows, above 1."""
        self._growth_factor = _positive("growth_factor", new_factor)
        if self._growth_factor <= 1:
            raise ValueError(f"growth_factor must be above 1, got {new_factor}")

    def get_backoff_factor(self) -> float:
        """By which the scale shrinks."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set the factor by which the scale shrinks, between 0 and 1."""
        self._backoff_factor = _positive("backoff_factor", new_factor)
        if self._backoff_factor >= 1:
            raise ValueError(f"backoff_factor must be below 1, got {new_factor}")

    def get_growth_interval(self) -> int:
        """Iterations in a row without a skipped step after which the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set the number of iterations after which the scale grows, from 1 to 2**24."""
        if int(new_interval) != new_interval or not 1 <= new_interval <= 1 << 24:
            raise ValueError(f"growth_interval must be a whole number from 1 to 2**24, got {new_interval}")
        self._growth_interval = int(new_interval)

    def is_enabled(self) -> bool:
        """Whether scaling is enabled."""
        return self._enabled

    # State ---------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Scale, factors, interval and progress towards the next growth, with PyTorch's keys; empty if disabled.

        Call it after `update`, not within an iteration. Waits for the device.
        """
        if not self._enabled:
            return {}
        return {"scale": self.get_scale(), "growth_factor": self._growth_factor,
                "backoff_factor": self._backoff_factor, "growth_interval": self._growth_interval,
                "_growth_tracker": self._get_growth_tracker()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take up a state from `state_dict`, ours or PyTorch's; a disabled scaler ignores it.

        Raises:
            RuntimeError: the state is empty: it is that of a disabled scaler.
            KeyError, ValueError: it lacks a value, or one is out of range; nothing is changed then.
        """
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError("the state dict is empty: it may have been saved by a disabled GradScaler")
        other = GradScaler(None, float(state_dict["scale"]), float(state_dict["growth_factor"]),
                           float(state_dict["backoff_factor"]), state_dict["growth_interval"])
        steps = int(state_dict["_growth_tracker"])
        self._init_scale, self._init_steps = other._init_scale, steps
        self._growth_factor, self._backoff_factor = other._growth_factor, other._backoff_factor
        self._growth_interval = other._growth_interval
        if self._state is not None:
            self._state = loss_scale.make(self._state.device, self._init_scale, steps)


@contextlib.contextmanager
def _handed_over(optimizer: Any, scale: LossScale) -> Iterator[None]:
    """Within the block, the optimizer's steps know the scale of its gradients."""
    optimizer._loss_scale = scale
    try:
        yield
    finally:
        del optimizer._loss_scale


def _positive(name: str, value: float) -> float:
    value = float(value)
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be above 0 and finite, got {value}")
    return value
