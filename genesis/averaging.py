"""Averages of a model's parameters along training: `genesis.optim.swa_utils` has the public names.

The averaged model is a module and updating it is the optimizer's business; `nn` and `optim` do not know each other, so
it lives beside them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any

from .autograd import no_grad
from .nn import Module
from .opencl import Alias, Device
from .ops import elementwise
from .ops.array import Array
from .ops.ownership import is_shared
from .tensor import Tensor, tensor

AverageFunction = Callable[[Tensor, Tensor, Any], Tensor]
MultiAverageFunction = Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]
Pairs = Sequence[tuple[Tensor, Tensor]]


def _move_towards(averaged: Tensor, current: Tensor, share: float) -> None:
    """``averaged += share * (current - averaged)``, in one launch; integers are truncated."""
    a, b = averaged._array, current._array
    compute = None if a.dtype.is_floating_point else "float"
    elementwise.run("lerp", [a, b, share], a.dtype, out=a, compute=compute)
    a.version.count += 1


def _of_elements(function: Any) -> Any:
    """Mark an averaging function as working on each element by itself, so that tensors may be joined before it."""
    function.of_elements = True
    return function


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverageFunction:
    """An exponential moving average: ``average = decay * average + (1 - decay) * current``.

    Args:
        decay: from 0 to 1.

    Returns:
        A function for `AveragedModel`'s ``multi_avg_fn``; all parameters in an optimizer's arena take one launch.
    """
    _check_decay(decay)

    @_of_elements
    @no_grad()
    def ema_update(ema_param_list: Sequence[Tensor], current_param_list: Sequence[Tensor], _: Any) -> None:
        for averaged, current in zip(ema_param_list, current_param_list):
            _move_towards(averaged, current, 1 - decay)

    return ema_update


def get_swa_multi_avg_fn() -> MultiAverageFunction:
    """The mean of all models so far, each with the same weight.

    Returns:
        A function for `AveragedModel`'s ``multi_avg_fn``; all parameters in an optimizer's arena take one launch.
    """
    @_of_elements
    @no_grad()
    def swa_update(averaged_param_list: Sequence[Tensor], current_param_list: Sequence[Tensor],
                   num_averaged: Any) -> None:
        share = 1 / (float(num_averaged) + 1)
        for averaged, current in zip(averaged_param_list, current_param_list):
            _move_towards(averaged, current, share)

    return swa_update


def get_ema_avg_fn(decay: float = 0.999) -> AverageFunction:
    """An exponential moving average as a function of one parameter, for `AveragedModel`'s ``avg_fn``.

    Args:
        decay: from 0 to 1.
    """
    _check_decay(decay)

    @_of_elements
    @no_grad()
    def ema_update(ema_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        average: Any = ema_param * decay + current_param * (1 - decay)
        return average

    return ema_update


def get_swa_avg_fn() -> AverageFunction:
    """The mean of all models so far as a function of one parameter, for `AveragedModel`'s ``avg_fn``."""
    @_of_elements
    @no_grad()
    def swa_update(averaged_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def _check_decay(decay: float) -> None:
    if not 0 <= decay <= 1:
        raise ValueError(f"decay must be from 0 to 1, got {decay}")


class AveragedModel(Module):
    """A copy of a model whose parameters are the average of the model's at several moments of training.

    Without an averaging function it is the plain mean (stochastic weight averaging); an exponential moving average is
    ``AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.999))``. Call `update_parameters` after the optimizer's
    step, use the averaged model like the model itself, and finish with `update_bn` if it has batch normalization.

    Args:
        model: what to average; it is copied.
        device: where to keep the average; by default with the model.
        avg_fn: ``avg_fn(averaged, current, num_averaged)`` returns a parameter's new average.
        multi_avg_fn: ``multi_avg_fn(averaged_list, current_list, num_averaged)`` changes the averages in place.
        use_buffers: average the buffers too, instead of copying the model's at each update.

    Attributes:
        module: the averaged copy.
        n_averaged: number of models averaged, a 0-d int64 buffer.

    Raises:
        AssertionError: both functions are given.

    References:
        Izmailov et al. 2018, "Averaging weights leads to wider optima and better generalization", arXiv:1803.05407.
        Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging".

    Example:
        >>> model = genesis.nn.Linear(1, 1)
        >>> averaged = genesis.optim.swa_utils.AveragedModel(model)
        >>> for value in (1.0, 2.0, 6.0):
        ...     _ = model.weight.data.fill_(value)
        ...     averaged.update_parameters(model)
        >>> averaged.module.weight.item(), averaged.n_averaged.item()
        (3.0, 3)
    """

    n_averaged: Tensor

    def __init__(self, model: Module, device: Device | str | None = None, avg_fn: AverageFunction | None = None,
                 multi_avg_fn: MultiAverageFunction | None = None, use_buffers: bool = False):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        self.module.zero_grad()
        if device is not None:
            self.module.to(device)
        first = next(itertools.chain(self.module.parameters(), self.module.buffers()), None)
        where = first.device if device is None and first is not None else device
        self.register_buffer("n_averaged", tensor(0, device=where))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers
        self._known: tuple[Any, int, int] | None = None
        self._joined = _Joined()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the averaged copy computes."""
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Take the model's present parameters into the average.

        Raises:
            ValueError: the model has other parameters than the one that was copied.
        """
        number = self._number()
        pairs = _paired(self.module.parameters(), model.parameters())
        buffers = _paired(self.module.buffers(), model.buffers())
        rest = buffers if self.use_buffers else []
        joined, single = self._joined.find(pairs)
        if number == 0:
            for averaged, current in (*joined, *single, *rest):
                averaged.copy_(current)
        else:
            self._average([*joined, *single, *rest], [*pairs, *rest], number)
        if not self.use_buffers:
            for averaged, current in buffers:
                averaged.copy_(current)
        self.n_averaged.add_(1)
        version = self.n_averaged._array.version
        self._known = version, version.now, number + 1

    def _average(self, joined: Pairs, apart: Pairs, number: int) -> None:
        """Move the averages, given with what lies together joined, and each by itself, on to the model's values."""
        function: Any = self.multi_avg_fn or self.avg_fn or get_swa_multi_avg_fn()
        each = self.avg_fn is not None
        ours = getattr(function, "of_elements", False)      # a user's function gets each parameter as it is
        pairs = [(a.detach(), b.detach().to(a.device)) for a, b in (joined if ours else apart)]
        count: Any = number if ours else self.n_averaged
        if each:
            for averaged, current in pairs:
                averaged.copy_(function(averaged, current, count))
            return
        groups: dict[Any, list[tuple[Tensor, Tensor]]] = {}
        for pair in pairs:
            groups.setdefault((pair[0].device, pair[0].dtype), []).append(pair)
        for members in groups.values():
            function([a for a, _ in members], [b for _, b in members], count)

    def _number(self) -> int:
        """``n_averaged``, read from the device only when somebody else wrote to it."""
        version = self.n_averaged._array.version
        if self._known is None or self._known[0] is not version or self._known[1] != version.now:
            self._known = version, version.now, int(self.n_averaged.item())
        return self._known[2]

    def __deepcopy__(self, memo: dict[int, Any]) -> AveragedModel:
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        new.__dict__.update({name: deepcopy(value, memo) for name, value in self.__dict__.items()
                             if name not in ("_known", "_joined")})
        new.__dict__.update(_known=None, _joined=_Joined())
        return new


def _paired(averaged: Iterable[Tensor], current: Iterable[Tensor]) -> list[tuple[Tensor, Tensor]]:
    mine, its = list(averaged), list(current)
    if [tuple(x.shape) for x in mine] != [tuple(x.shape) for x in its]:
        raise ValueError("the model's parameters or buffers have other shapes than those of the averaged one")
    return list(zip(mine, its))


class _Joined:
    """Parameters that lie in one piece of memory, as in an optimizer's arena, and their averages in a like piece."""

    def __init__(self) -> None:
        self._places: list[Any] = []
        self._joined: list[tuple[Tensor, Tensor]] = []
        self._single: list[int] = []

    def find(self, pairs: Pairs) -> tuple[list[tuple[Tensor, Tensor]], list[tuple[Tensor, Tensor]]]:
        """Pairs of joined tensors, and the pairs that could not be joined."""
        places = [_place(x) for pair in pairs for x in pair]
        if places != self._places:
            self._join(pairs)
            self._places = [_place(x) for pair in pairs for x in pair]
        return self._joined, [pairs[i] for i in self._single]

    def _join(self, pairs: Pairs) -> None:
        groups: dict[Any, list[int]] = {}
        self._joined, self._single = [], []
        for i, pair in enumerate(pairs):
            groups.setdefault(_piece(*pair) or i, []).append(i)
        for indices in groups.values():
            joined = self._together([pairs[i] for i in indices]) if len(indices) > 1 else None
            if joined is None:
                self._single += indices
            else:
                self._joined.append(joined)
        self._single.sort()

    @staticmethod
    def _together(pairs: Pairs) -> tuple[Tensor, Tensor] | None:
        """One pair for several; None where the averages' memory has other users or gaps would be most of it."""
        arrays = [current._array for _, current in pairs]
        start = min(x.offset for x in arrays)
        span = max(x.offset + x.size for x in arrays) - start
        if span > 2 * sum(x.size for x in arrays) + 2048 * len(arrays) or any(is_shared(a) for a, _ in pairs):
            return None
        buffer = arrays[0].buffer
        whole = Array(buffer.buffer if isinstance(buffer, Alias) else buffer, arrays[0].dtype, (span,), offset=start)
        home = elementwise.full(whole.device, (span,), 0, whole.dtype)
        for (averaged, _), x in zip(pairs, arrays):
            place = home.view(x.shape, x.strides, x.offset - start)
            place.buffer = Alias(home.buffer)
            elementwise.assign(place, averaged._array)
            averaged._rebind(place)
        return Tensor._wrap(home), Tensor._wrap(whole)


def _piece(averaged: Tensor, current: Tensor) -> Any:
    """Which piece of memory a parameter belongs to; None for one by itself."""
    a, b = averaged._array, current._array
    alike = a.dtype is b.dtype and a.device is b.device and a.size and b.is_contiguous()
    return (id(b.buffer.handle), b.dtype) if alike and isinstance(b.buffer, Alias) else None   # an Alias: in an arena


def _place(x: Tensor) -> Any:
    array = x._array
    return id(array.buffer.handle), array.offset, array.shape, array.strides, array.dtype
