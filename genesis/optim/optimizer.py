"""Optimizer: the base class, which owns parameter groups, states, hooks and the step; subclasses hold the rule."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from ..autograd import enable_grad, no_grad
from ..hooks import Hook, Hooks, RemovableHandle, register
from ..opencl import Device, split_by_limit
from ..ops.loss_scale import LossScale
from ..tensor import Tensor
from . import checks
from . import rule as rules
from .checks import required
from .control import LAG, Control
from .runner import Runner
from .saved import load_state_dict, make_state_dict
from .state import State


class Optimizer:
    """Base class of all optimizers.

    An optimizer with a rule names its file in ``source`` and defines ``rule(group)`` and ``scalars(group, step)``; the
    base class does the rest, in one launch a step. An optimizer without a rule defines ``step`` itself and keeps what
    it likes in ``self.state``.

    Args:
        params: tensors, ``(name, tensor)`` pairs, or dicts that define groups: ``{"params": ..., "lr": ...}``.
        defaults: hyperparameters of groups that do not set them.
        max_grad_norm: clip the gradients of all parameters together to this norm as part of each step. A step whose
            gradients are not all finite is skipped, on the device.

    Attributes:
        param_groups: list of dicts; changing a value changes the next step.
        state: parameter -> its state, such as ``exp_avg``.
        defaults: the hyperparameters given.
        max_grad_norm: as the argument; may be changed between steps.
        grad_norm: with ``max_grad_norm``, the norm before clipping in the last step as a 0-d tensor.

    Raises:
        TypeError: ``params`` is a bare tensor, not iterable, a set, or holds something else than tensors.
        ValueError: it is empty, holds a parameter twice or one that is not a leaf, or a hyperparameter is out of range.
    """

    source: ClassVar[str] = ""             # the rule's file under cl/, or an absolute path
    counts_steps: ClassVar[bool] = True    # whether "step" is part of the state
    _stepping = False
    _loss_scale: LossScale | None = None   # set by a GradScaler for the time of a step

    def __init__(self, params: Any, defaults: dict[str, Any], max_grad_norm: float | None = None):
        self.defaults = checks.hyperparameters(defaults)
        self.max_grad_norm = checks.max_grad_norm(max_grad_norm)
        self.grad_norm: Tensor | None = None
        self.param_groups: list[dict[str, Any]] = []
        self._places: dict[int, tuple[Runner, int]] = {}
        self._runners: list[Runner] = []
        self._controls: dict[Device, Control] = {}
        self._hooks: dict[str, Hooks] = {}
        self._rules: dict[str, rules.Rule] = {}      # its own, so that an optimizer made later reads a changed file
        self._own_state: dict[Tensor, dict[str, Any]] = {}
        groups = self._listed(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        added = [self._checked_group(g, so_far) for so_far, g in self._each_with_former(groups)]
        self.param_groups = added
        self._place(added)

    # The rule, for subclasses ------------------------------------------------------------------------------------

    def rule(self, group: dict[str, Any]) -> str:
        """The name of the C function that updates the parameters of a group."""
        raise NotImplementedError(f"{type(self).__name__} has no rule; define rule(group), or step()")

    def scalars(self, group: dict[str, Any], step: int) -> Mapping[str, float]:
        """The values of the rule's scalars in a parameter's update number ``step`` (the first is 1), by name."""
        raise NotImplementedError(f"{type(self).__name__} has no rule; define scalars(group, step), or step()")

    def _rule(self, group: dict[str, Any]) -> rules.Rule:
        name = self.rule(group)
        found = self._rules.get(name)
        if found is None:
            found = self._rules[name] = rules.parse(self.source, name)
        return found

    # Groups --------------------------------------------------------------------------------------------------------

    @staticmethod
    def _listed(params: Any) -> list[Any]:
        if isinstance(params, Tensor):
            raise TypeError("params must be an iterable of tensors or dicts, not a single tensor: put it into a list")
        if isinstance(params, set | frozenset):
            raise TypeError("params must have an order, which a set has not; use a list")
        try:
            return list(params)
        except TypeError:
            raise TypeError(f"params must be an iterable of tensors or dicts, not {type(params).__name__}") from None

    @staticmethod
    def _each_with_former(groups: list[Any]) -> Iterable[tuple[list[dict[str, Any]], Any]]:
        former: list[Any] = []
        for group in groups:
            yield former, group
            former.append(group)

    def _checked_group(self, given: Any, former: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """A parameter group, complete and checked; nothing of the optimizer is changed."""
        if not isinstance(given, dict):
            raise TypeError(f"a parameter group must be a dict, not {type(given).__name__}")
        if "params" not in given:
            raise ValueError("a parameter group needs a key 'params'")
        listed = [given["params"]] if isinstance(given["params"], Tensor) else self._listed(given["params"])
        given["params"] = listed      # a generator is used up now
        named = [isinstance(x, tuple) for x in listed]
        if any(named) and not all(named):
            raise ValueError("either all parameters of an optimizer have names or none")
        names = [x[0] for x in listed] if any(named) else given.get("param_names")
        for other in former[:1]:
            if (names is not None) != ("param_names" in other or any(isinstance(x, tuple) for x in other["params"])):
                raise ValueError("either all parameters of an optimizer have names or none")
        tensors = [x[1] if isinstance(x, tuple) else x for x in listed]
        for x in tensors:
            if not isinstance(x, Tensor):
                raise TypeError(f"an optimizer updates tensors, not {type(x).__name__}")
            if not x.is_leaf and not x._retains:
                raise ValueError("cannot optimize a tensor that was made by an operation; only leaves, such as those "
                                 "made with requires_grad=True or by detach()")
            if not x.is_floating_point():
                raise TypeError(f"an optimizer updates floating-point tensors, not {x.dtype}")
        unique = {id(x): i for i, x in reversed(list(enumerate(tensors)))}
        if len(unique) < len(tensors):
            warnings.warn("a parameter group holds a parameter more than once; it is updated once a step", stacklevel=4)
            keep = sorted(unique.values())
            tensors = [tensors[i] for i in keep]
            names = [names[i] for i in keep] if names is not None else None
        others = {id(x[1] if isinstance(x, tuple) else x) for g in former for x in self._listed(g["params"])}
        if others & unique.keys():
            raise ValueError("some parameters appear in more than one parameter group")
        group: dict[str, Any] = {"params": tensors}
        if names is not None:
            group["param_names"] = list(names)
        group |= {k: v for k, v in given.items() if k not in ("params", "param_names")}
        for name, value in self.defaults.items():
            group.setdefault(name, value)
            if group[name] is required:
                raise ValueError(f"a parameter group needs a value for {name!r}, which has no default")
        group.update(checks.hyperparameters({k: v for k, v in group.items() if k not in ("params", "param_names")}))
        self.check_group(group)
        return group

    def check_group(self, group: dict[str, Any]) -> None:
        """Raise ``ValueError`` for values that do not fit together; for subclasses."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a parameter group.

        Args:
            param_group: ``{"params": ...}`` and the hyperparameters that differ from the defaults.

        Raises:
            TypeError, ValueError: as for the constructor; the optimizer is then unchanged.
        """
        group = self._checked_group(param_group, self.param_groups)
        self._place([group])
        self.param_groups.append(group)

    def _place(self, groups: Sequence[dict[str, Any]]) -> list[Runner]:
        """Move the parameters of groups into arenas."""
        if not self.source:
            return []
        return self._place_pairs([(x, g) for g in groups for x in g["params"]])

    def _place_pairs(self, pairs: Sequence[tuple[Tensor, dict[str, Any]]]) -> list[Runner]:
        buckets: dict[Any, list[tuple[Tensor, dict[str, Any]]]] = {}
        for x, group in pairs:
            buckets.setdefault((x.device, x.dtype, self._rule(group).name), []).append((x, group))
        added = []
        for (device, dtype, _), members in buckets.items():
            itemsize = rules.state_dtype(dtype).itemsize
            for part in split_by_limit([x.numel() for x, _ in members], itemsize, device.max_alloc):
                runner = Runner(self, [members[i][0] for i in part], [members[i][1] for i in part])
                added.append(runner)
                for slot, i in enumerate(part):
                    self._places[id(members[i][0])] = (runner, slot)
        self._runners += added
        return added

    def _follow(self, runner: Runner) -> None:
        """Give parameters that cannot stay in their arena, such as those moved to another device, another place."""
        self._settle()
        moved = []
        for slot in runner.misplaced():
            x = runner.tensors[slot]
            assert x is not None
            moved.append((slot, x, runner.groups[slot]))
            runner.release(slot)
        self._place_pairs([(x, group) for _, x, group in moved])
        for slot, x, group in moved:
            new, place = self._places[id(x)]
            new.move_state(place, runner, slot, self._rule(group).states)
        if not any(x is not None for x in runner.tensors):
            self._runners.remove(runner)

    # Step ------------------------------------------------------------------------------------------------------------

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:      # a step of the subclass' own calls the hooks too
            cls.step = _with_hooks(cls.__dict__["step"])  # type: ignore[method-assign]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient.

        Args:
            closure: called first, with gradients enabled, to compute the loss (and its gradients) anew.

        Returns:
            What the closure returned, or None.
        """
        loss = None if closure is None else enable_grad(closure)()
        self._step()
        return loss

    @no_grad()
    def _step(self) -> None:
        if not self.source:
            raise NotImplementedError(f"{type(self).__name__} has no rule; define source, rule(group) and "
                                      "scalars(group, step), or step()")
        for runner in list(self._runners):
            if runner.arena.outside and runner.misplaced():
                self._follow(runner)
        scale = self._loss_scale
        control = self._control() if self.max_grad_norm is not None or scale is not None else None
        for runner in self._runners:
            runner.prepare(control)
        if control is not None:
            control.learn(keep=LAG - 1)
        active = [runner for runner in self._runners if runner.mask]
        for runner in active:
            runner.pack()
        if control is not None:
            if scale is not None:
                scale.used = bool(active)
            norm = control.decide([runner.gradients() for runner in active], self.max_grad_norm, scale)
            if self.max_grad_norm is not None:
                self.grad_norm = norm
        for runner in active:
            runner.run(control)
        if control is not None:
            control.ask([cohort for runner in active for cohort in runner.cohorts])

    def _control(self) -> Control:
        devices = {runner.arena.device for runner in self._runners}
        if self._loss_scale is not None:
            devices.add(self._loss_scale.buffer.device)
        if len(devices) > 1:
            raise ValueError("max_grad_norm and loss scaling need all parameters, and the loss, on one device; they are"
                             " on " + ", ".join(sorted(str(d) for d in devices)))
        device = devices.pop()
        found = self._controls.get(device)
        if found is None:
            found = self._controls[device] = Control(device)
        return found

    def _settle(self) -> None:
        """Wait until all step counts are known."""
        for control in self._controls.values():
            control.learn()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of all parameters.

        Args:
            set_to_none: forget the gradients instead of setting them to 0; parameters without a gradient are skipped
                by the next step. The memory stays with the optimizer either way.
        """
        if self._runners:
            for runner in self._runners:
                runner.arena.clear(runner.tensors, set_to_none)  # type: ignore[arg-type]
            return
        for group in self.param_groups:
            for x in group["params"]:
                if set_to_none:
                    x.grad = None
                elif x.grad is not None:
                    x.grad.zero_()

    # State -----------------------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Parameter -> its state; assigning a mapping replaces all states."""
        return State(self, self._own_state)

    @state.setter
    def state(self, value: Mapping[Tensor, Any]) -> None:
        new = dict(value)
        self.state.clear()
        self.state.update(new)

    def state_dict(self) -> dict[str, Any]:
        """A snapshot of states and groups in PyTorch's layout; it shares no memory with the optimizer.

        Returns:
            ``{"state": {index: {name: value}}, "param_groups": [{..., "params": [index, ...]}]}``, parameters numbered
            through all groups.
        """
        for hook in self._called("state_dict_pre"):
            hook(self)
        result = make_state_dict(self)
        for hook in self._called("state_dict_post"):
            changed = hook(self, result)
            result = result if changed is None else changed
        return result

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over groups and states from `state_dict`, ours or PyTorch's.

        Args:
            state_dict: its tensors may be genesis tensors, NumPy arrays or anything with ``__array__``.

        Raises:
            ValueError: the groups or shapes do not fit; nothing is changed then.
        """
        state_dict = dict(state_dict)
        for hook in self._called("load_state_dict_pre"):
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        load_state_dict(self, state_dict)
        for hook in self._called("load_state_dict_post"):
            hook(self)

    # Hooks -----------------------------------------------------------------------------------------------------------

    def _called(self, kind: str) -> list[Hook]:
        return list(self._hooks.get(kind, {}).values())

    def _register(self, kind: str, hook: Hook, prepend: bool = False) -> RemovableHandle:
        return register(self._hooks.setdefault(kind, Hooks()), hook, prepend)

    def register_step_pre_hook(self, hook: Hook) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; it may return new ``(args, kwargs)``.

        Returns a handle whose ``remove()`` unregisters the hook, as all ``register_`` methods do.
        """
        return self._register("step_pre", hook)

    def register_step_post_hook(self, hook: Hook) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        return self._register("step_post", hook)

    def register_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` before `state_dict`."""
        return self._register("state_dict_pre", hook, prepend)

    def register_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` after `state_dict`; it may return another dict."""
        return self._register("state_dict_post", hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` before loading; it may return another dict."""
        return self._register("load_state_dict_pre", hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` after loading."""
        return self._register("load_state_dict_post", hook, prepend)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines += [""] * (i > 0) + [f"Parameter Group {i}"]
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key not in ("params", "param_names")]
        return "\n".join([*lines, ")"])


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step method that calls the optimizer's hooks, unless another step method of its calls it."""

    @functools.wraps(step)
    def wrapped(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if self._stepping:
            return step(self, *args, **kwargs)
        self._stepping = True
        try:
            for hook in self._called("step_pre"):
                changed = hook(self, args, kwargs)
                if changed is not None:
                    args, kwargs = changed
            result = step(self, *args, **kwargs)
            for hook in self._called("step_post"):
                hook(self, args, kwargs)
        finally:
            self._stepping = False
        return result

    return wrapped


Optimizer.step = _with_hooks(Optimizer.step)  # type: ignore[method-assign]
