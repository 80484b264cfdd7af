"""``optimizer.state``: the states of parameters, which live in flat buffers, as the dictionaries PyTorch has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from ..ops import elementwise
from ..tensor import Tensor
from ..tensor import tensor as make_tensor
from . import checks
from .rule import begin_with

if TYPE_CHECKING:
    from .optimizer import Optimizer
    from .runner import Runner


class ParameterState(MutableMapping[str, Any]):
    """The state of one parameter: ``step``, numbers and the rule's states by name.

    It is empty before the first update, unless the optimizer gives first values: then it is there from the start.
    Reading a state gives a tensor on the optimizer's own memory; assigning copies into it. What programs keep here
    beside, by other names, stays as it is.
    """

    def __init__(self, optimizer: Optimizer, runner: Runner, slot: int, parameter: Tensor,
                 others: dict[Tensor, dict[str, Any]]):
        self._parameter = parameter
        self._beside = others
        self._optimizer = optimizer
        self._runner = runner
        self._slot = slot

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(self._optimizer.states(self._runner.groups[self._slot], self._runner.arena.shapes[self._slot]))

    @property
    def _others(self) -> dict[str, Any]:
        return self._beside.get(self._parameter, {})

    @property
    def _first(self) -> Mapping[str, float]:
        return self._optimizer.first_values(self._runner.groups[self._slot])

    @property
    def step_count(self) -> int:
        """How many updates the parameter has had; waits for the device if steps may have been skipped."""
        self._optimizer._settle()
        return self._runner.step_of(self._slot)

    def __getitem__(self, name: str) -> Any:
        if name in self._others:
            return self._others[name]
        if name not in set(self):
            raise KeyError(name)
        if name == "step":
            return self.step_count
        if name in self._optimizer.numbers:
            return self._runner.numbers_of(self._slot)[name]
        return Tensor._wrap(self._runner.state(self._slot, name))

    def __setitem__(self, name: str, value: Any) -> None:
        if name == "step":
            self._optimizer._settle()
            self._runner.set_step(self._slot, int(value))
            return
        if name in self._optimizer.numbers:
            if not self.step_count:
                self._runner.set_step(self._slot, 1)
            self._runner.set_number(self._slot, name, checks.state_number(name, value, self._optimizer.own_checks))
            return
        if name not in self._names:
            self._beside.setdefault(self._parameter, {})[name] = value
            return
        target = self._runner.state(self._slot, name)
        source = value if isinstance(value, Tensor) else make_tensor(value, device=target.device)
        if target.size:
            elementwise.assign(target, source.detach().to(target.device)._array.expand(target.shape))
        if name not in self:
            self._runner.set_step(self._slot, 1)

    def __delitem__(self, name: str) -> None:
        if name in self._others:
            del self._others[name]
        elif name == "step":
            self._runner.set_step(self._slot, 0)
        elif name in self._optimizer.numbers:
            self[name] = self._optimizer.numbers[name]
        else:
            begin_with(self[name]._array, self._first.get(name, 0))

    def clear(self) -> None:
        """Back to the state before the first update."""
        self._beside.pop(self._parameter, None)
        for name in self._names:
            elementwise.assign(self._runner.state(self._slot, name), 0)
        self._runner.begin(self._slot)
        self._optimizer._settle()
        self._runner.set_step(self._slot, 0)

    def __iter__(self) -> Iterator[str]:
        if not self.step_count and not self._first:
            return iter(tuple(self._others))
        return iter((*("step",) * self._optimizer.counts_steps, *self._optimizer.numbers, *self._names,
                     *self._others))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __repr__(self) -> str:
        return repr(dict(self))


class State(MutableMapping[Tensor, Any]):
    """Parameter -> its state. For optimizers without a rule, which keep what they like, plain dictionaries."""

    def __init__(self, optimizer: Optimizer, own: dict[Tensor, dict[str, Any]]):
        self._optimizer = optimizer
        self._own = own

    def _places(self) -> dict[int, tuple[Runner, int]]:
        return self._optimizer._places

    def __getitem__(self, parameter: Tensor) -> Any:
        place = self._places().get(id(parameter))
        if place is not None:
            return ParameterState(self._optimizer, *place, parameter, self._own)
        return self._own.setdefault(parameter, {})

    def __setitem__(self, parameter: Tensor, value: Any) -> None:
        place = self._places().get(id(parameter))
        if place is None:
            self._own[parameter] = value
            return
        state = self[parameter]
        state.clear()
        state.update(value)

    def __delitem__(self, parameter: Tensor) -> None:
        if id(parameter) in self._places():
            self[parameter].clear()
        else:
            del self._own[parameter]

    def clear(self) -> None:
        """Back to the state before the first update, for all parameters."""
        self._optimizer._settle()
        for runner in self._optimizer._runners:
            runner.reset()
        self._own.clear()

    def __contains__(self, parameter: Any) -> bool:
        place = self._places().get(id(parameter))
        return parameter in self._own if place is None else len(self[parameter]) > 0

    def __iter__(self) -> Iterator[Tensor]:
        for group in self._optimizer.param_groups:
            for parameter in group["params"]:
                if parameter in self:
                    yield parameter

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr({f"parameter of shape {tuple(p.shape)}": dict(self[p]) for p in self})
