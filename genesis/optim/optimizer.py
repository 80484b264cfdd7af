"""Optimizer: the base class, which owns parameter groups, states, hooks and the step; subclasses hold the rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Unpack

from .. import tracing
from ..autograd import enable_grad, modes
from ..opencl import Device, split_by_limit
from ..ops.loss_scale import LossScale
from ..tensor import Tensor
from . import checks, groups
from . import implementation as implementations
from . import rule as rules
from .batch import Batch
from .control import Control
from .hooked import Hooked
from .implementation import Implementation
from .runner import Runner
from .saved import load_state_dict, make_state_dict
from .state import State


class Optimizer(Hooked):
    """Base class of all optimizers.

    An optimizer with a rule names its file in ``source`` and defines ``rule(group)`` and ``scalars(group, step)``; the
    base class does the rest, in one launch a step. States begin at 0, unless ``first_values(group)`` says otherwise.
    Where an element's update depends on other elements, ``second_rule(group)`` names the rule of a second launch, and
    ``between(group, batch)`` does what comes between the two. Whether it takes sparse gradients, ``by_rows(group)``
    says. What a hyperparameter may be, ``own_checks`` says by its name: a function of name and value, which returns the
    value to use or raises ValueError. Names without one may be anything, but for a few that optimizers share: ``lr``,
    ``eps``, ``weight_decay`` and ``momentum`` are at least 0, ``betas`` are two decay rates below 1.

    An optimizer without a rule defines ``step`` itself and keeps what it likes in ``self.state``.

    Args:
        params: tensors, ``(name, tensor)`` pairs, or dicts that define groups: ``{"params": ..., "lr": ...}``.
        defaults: hyperparameters of groups that do not set them.
        max_grad_norm: clip the gradients of all parameters together to this norm as part of each step. A step whose
            gradients are not all finite is skipped, on the device.
        foreach, capturable, fused: None, True or False, which all mean the same. By these PyTorch's optimizers are told
            which of their implementations to use; here each has one, which is fused and waits for nothing. State dicts
            do without them, and load from PyTorch's that have them.
        differentiable: None or False; True does not exist here.

    Attributes:
        param_groups: list of dicts; changing a value changes the next step, and so do groups and parameters that are
            added, removed or replaced in these lists.
        state: parameter -> its state, such as ``exp_avg``.
        defaults: the hyperparameters given.
        max_grad_norm: as the argument; may be changed between steps.

    Raises:
        TypeError: ``params`` is a bare tensor, not iterable, a set, or holds something else than tensors.
        ValueError: it is empty, holds a parameter twice or one that is not a leaf, or a hyperparameter is out of range.
        RuntimeError: ``foreach`` and ``fused`` are both True.
        NotImplementedError: ``differentiable`` is True.
    """

    source: ClassVar[str] = ""             # the rule's file under cl/, or an absolute path
    counts_steps: ClassVar[bool] = True    # whether "step" is part of the state
    numbers: ClassVar[dict[str, float]] = {}      # kept on the host for each parameter: name -> at the start
    working: ClassVar[frozenset[str]] = frozenset()    # those of the rules' states that only last for a step
    own_checks: ClassVar[checks.Checks] = {}      # before those that optimizers share
    matrices_only: ClassVar[bool] = False         # whether all parameters must have two dimensions
    rows_only: ClassVar[bool] = False             # whether all gradients must be sparse
    _loss_scale: LossScale | None = None   # set by a GradScaler for the time of a step
    _norm_of_step: Tensor | None = None    # what grad_norm is, unless a Control still has it

    def __init__(self, params: Any, defaults: dict[str, Any], max_grad_norm: float | None = None,
                 **implementation: Unpack[Implementation]):
        for name in implementation.keys() - implementations.DEFAULTS:
            raise TypeError(f"{type(self).__name__} got an unexpected keyword argument {name!r}")
        implementations.check(implementation)
        self.defaults = checks.hyperparameters(defaults, self._checks())
        self.max_grad_norm = checks.max_grad_norm(max_grad_norm)
        self._hooks = {}
        self._own_state: dict[Tensor, dict[str, Any]] = {}
        self._set_up()
        given = groups.listed(params)
        if not given:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(given[0], dict):
            given = [{"params": given}]
        self.param_groups = self._checked(given)
        self._place(self.param_groups)
        self._seen = groups.Seen(self.param_groups)

    def _checks(self) -> checks.Checks | None:
        """What hyperparameters may be; None where a user's class has a ``step`` of its own, and gives them meaning."""
        return self.own_checks if self.source or type(self).__module__.startswith(__package__) else None

    def _set_up(self) -> None:
        self._places: dict[int, tuple[Runner, int]] = {}
        self._runners: list[Runner] = []
        self._controls: dict[Device, Control] = {}
        self._norm_of: Control | None = None         # which still has the last step's norm
        self._rules: dict[Any, rules.Rule] = {}      # its own, so that an optimizer made later reads a changed file

    # Pickles, and deep copies, which are made from the same: what there is beside the arenas. Copied together with a
    # model, an optimizer has the copied model's parameters.

    def __getstate__(self) -> tuple[dict[str, Any], list[tuple[Tensor, dict[str, Any]]]]:
        self._follow_edits()
        self._take_norm()
        new = type(self).__new__(type(self))
        new._set_up()
        kept = self.__dict__.keys() - new.__dict__.keys() - {"_seen", "_loss_scale"}
        return ({name: self.__dict__[name] for name in sorted(kept)},
                [(x, dict(self.state[x])) for x in self.state] if self.source else [])

    def __setstate__(self, state: tuple[dict[str, Any], list[tuple[Tensor, dict[str, Any]]]]) -> None:
        kept, states = state
        self._set_up()
        self.__dict__.update(kept)
        self._place(self.param_groups)
        self._seen = groups.Seen(self.param_groups)
        for x, held in states:
            self.state[x] = held

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            implementations.show(cls.__dict__["__init__"])

    # The rule, for subclasses ------------------------------------------------------------------------------------

    def rule(self, group: dict[str, Any]) -> str:
        """The name of the C function that updates the parameters of a group."""
        raise NotImplementedError(f"{type(self).__name__} has no rule; define rule(group), or step()")

    def scalars(self, group: dict[str, Any], step: int) -> Mapping[str, float]:
        """The values of the rule's scalars in a parameter's update number ``step`` (the first is 1), by name.

        With ``numbers``, which are part of the state as the step count is, it takes their values before this update as
        further arguments, whose defaults are those at the start, and adds to its answer those after it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no rule; define scalars(group, step), or step()")

    def first_values(self, group: dict[str, Any]) -> Mapping[str, float]:
        """The values that the rule's states have before a parameter's first update, by name; 0 for those not named.

        Where it names any, parameters have their state from the start, not from their first update on.
        """
        return {}

    def by_rows(self, group: dict[str, Any]) -> bool:
        """Whether a sparse gradient updates only the rows that it has; False: it counts as the dense one it stands for.

        Raises:
            RuntimeError: the optimizer does not take sparse gradients; so, unless a subclass says otherwise.
        """
        raise RuntimeError(f"{type(self).__name__} does not support sparse gradients, please consider SparseAdam "
                           "instead, or sparse=False in the layer")

    def second_rule(self, group: dict[str, Any]) -> str:
        """The name of the C function of a second pass, after `between`; empty if there is none.

        It sees the same gradients as the first, and what that and `between` have written; the weight decay was done.
        """
        return ""

    def between(self, group: dict[str, Any], batch: Batch) -> None:
        """Do what comes between the passes, for parameters of one group that have one shape.

        Where the step is skipped on the device, the passes did and will do nothing: only those of the rules' states
        may be written that are named in ``working``.
        """

    def _rule(self, group: dict[str, Any]) -> rules.Rule:
        return self._parsed(group, self.rule(group))

    def _second_rule(self, group: dict[str, Any]) -> rules.Rule | None:
        name = self.second_rule(group)
        return self._parsed(group, name) if name else None

    @property
    def crosses(self) -> bool:
        """Whether an element's update depends on other elements."""
        return type(self).between is not Optimizer.between

    def states(self, group: dict[str, Any], shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """The states that a parameter of a group keeps from step to step: names and shapes.

        Those that the rule does not name lie apart, and may have other shapes than the parameter.
        """
        return dict.fromkeys((name for name in self._rule(group).states if name not in self.working), shape)

    def _parsed(self, group: dict[str, Any], name: str) -> rules.Rule:
        decoupled = "decoupled_weight_decay" in self.defaults and bool(group["decoupled_weight_decay"])
        found = self._rules.get((name, decoupled))
        if found is None:
            found = self._rules[name, decoupled] = rules.parse(self.source, name, decoupled)
        return found

    # Groups --------------------------------------------------------------------------------------------------------

    def _checked(self, given: Sequence[Any], former: Sequence[dict[str, Any]] = ()) -> list[dict[str, Any]]:
        """Parameter groups, complete and checked; nothing of the optimizer is changed."""
        added: list[dict[str, Any]] = []
        for one in given:
            added.append(groups.checked(one, [*former, *added], self.defaults, self._checks()))
            if self.source:
                implementations.check(added[-1])
            self.check_group(added[-1])
            if self.crosses and any(x.is_complex() for x in added[-1]["params"]):
                raise RuntimeError(f"{type(self).__name__} does not take complex parameters; give it view_as_real() of "
                                   "them, or use an optimizer that works element by element")
        return added

    def check_group(self, group: dict[str, Any]) -> None:
        """Raise ``ValueError`` for values that do not fit together; for subclasses."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a parameter group.

        Args:
            param_group: ``{"params": ...}`` and the hyperparameters that differ from the defaults.

        Raises:
            TypeError, ValueError: as for the constructor; the optimizer is then unchanged.
        """
        self._follow_edits()
        added = self._checked([param_group], self.param_groups)
        self._place(added)
        self.param_groups += added
        self._seen = groups.Seen(self.param_groups)

    def _follow_edits(self) -> None:
        """Find out what the user has changed in ``param_groups``: groups and parameters added, removed or replaced."""
        if self._seen.still(self.param_groups):
            return
        edited = self.param_groups
        for group, new in zip(edited, self._checked(edited)):
            group.update(new)
        if self.source:
            self._settle()
            group_of = {id(x): group for group in edited for x in group["params"]}
            for runner in list(self._runners):
                for slot, x in enumerate(runner.tensors):
                    if x is not None and id(x) not in group_of:
                        del self._places[id(x)]
                        runner.release(slot)
                runner.regroup(group_of)
                self._drop_if_empty(runner)
            self._place_pairs([(x, g) for g in edited for x in g["params"] if id(x) not in self._places])
        self._seen = groups.Seen(edited)

    def _drop_if_empty(self, runner: Runner) -> None:
        if not any(x is not None for x in runner.tensors):
            self._runners.remove(runner)

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
            new.move_state(place, runner, slot, list(self.states(group, x._array.shape)))
        self._drop_if_empty(runner)

    # Step ------------------------------------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient.

        Args:
            closure: called first, with gradients enabled, to compute the loss (and its gradients) anew.

        Returns:
            What the closure returned, or None.
        """
        loss = None if closure is None else enable_grad(closure)()
        modes.call(False, self._step)
        return loss

    # After a large update the host's caches are empty, and each line and each call here costs some tenths of a
    # microsecond: what a step does over and over is written out.

    def _step(self) -> None:
        if not self.source:
            raise NotImplementedError(f"{type(self).__name__} has no rule; define source, rule(group) and "
                                      "scalars(group, step), or step()")
        if not self._seen.still(self.param_groups):
            self._follow_edits()
        for runner in list(self._runners):
            if runner.arena.outside and runner.misplaced():
                self._follow(runner)
        scale = self._loss_scale
        control = self._control() if (self.max_grad_norm is not None and self._runners) or scale is not None else None
        active = []
        for runner in self._runners:
            if runner.prepare(self, control):
                active.append(runner)
        unknown = 0
        if control is not None:      # first, so that the device is at work while the host works out the scalars
            unknown = control.keep_up()
            control.sum_up([part for runner in active for part in runner.gradients()], self.max_grad_norm, scale)
        for runner in active:
            if not runner.pack(self, unknown):
                self._settle()
                for each in active:
                    each.pack(self, 0)
                break
        if control is not None:
            if scale is not None:
                scale.used = bool(active)
            if self.max_grad_norm is None:
                self._take_norm()            # of an earlier step; this one decides by another
            control.decide(self.max_grad_norm, scale)
            if self.max_grad_norm is not None:
                self._norm_of = control
        for runner in active:
            runner.run(control)
        if control is not None:
            control.stepped([cohort for runner in active for cohort in runner.cohorts])

    @property
    def grad_norm(self) -> Tensor | None:
        """With ``max_grad_norm``, the norm before clipping in the last step as a 0-d tensor; None before the first."""
        self._take_norm()
        return self._norm_of_step

    @grad_norm.setter
    def grad_norm(self, value: Tensor | None) -> None:
        self._norm_of_step, self._norm_of = value, None

    def _take_norm(self) -> None:
        # Only who asks for the norm has a tensor made of it.
        if self._norm_of is not None:
            self._norm_of_step, self._norm_of = self._norm_of.norm(), None

    def _control(self) -> Control:
        device = self._runners[0].arena.device if self._loss_scale is None else self._loss_scale.buffer.device
        for runner in self._runners:
            if runner.arena.device is not device:
                devices = {device, *(runner.arena.device for runner in self._runners)}
                raise ValueError("max_grad_norm and loss scaling need all parameters, and the loss, on one device; "
                                 "they are on " + ", ".join(sorted(str(d) for d in devices)))
        found = self._controls.get(device)
        if found is None:
            found = self._controls[device] = Control(device)
        return found

    def _settle(self) -> None:
        """Wait until all step counts are known."""
        for control in self._controls.values():
            control.learn()

    @tracing.annotated("Optimizer.zero_grad#{}.zero_grad")
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of all parameters.

        Args:
            set_to_none: forget the gradients instead of setting them to 0; parameters without a gradient are skipped
                by the next step. The memory stays with the optimizer either way.
        """
        self._follow_edits()
        if self._runners:
            for runner in self._runners:
                runner.arena.clear(runner.tensors, set_to_none)  # type: ignore[arg-type]
            return
        for group in self.param_groups:
            for x in group["params"]:
                if set_to_none:
                    x.grad = None
                elif x.grad is not None:
                    x.grad.detach().zero_()

    # State -----------------------------------------------------------------------------------------------------------

    @property
    def state(self) -> Any:
        """Parameter -> its state; assigning a mapping replaces all states."""
        if "_wrapped_state" in vars(self):
            return self._wrapped_state
        self._follow_edits()
        return State(self, self._own_state)

    @state.setter
    def state(self, value: Mapping[Tensor, Any]) -> None:
        if "_seen" not in vars(self):          # a wrapper of another optimizer, which does not call __init__()
            self._wrapped_state = value
            return
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
        self._follow_edits()
        state_dict = dict(state_dict)
        for hook in self._called("load_state_dict_pre"):
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        load_state_dict(self, state_dict)
        for hook in self._called("load_state_dict_post"):
            hook(self)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines += [""] * (i > 0) + [f"Parameter Group {i}"]
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key not in ("params", "param_names")]
        return "\n".join([*lines, ")"])
