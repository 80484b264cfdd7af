"""Parameter groups: checking those that are given, and noticing what a user changes in those of an optimizer."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from ..tensor import Tensor
from . import checks
from .checks import required


class Members(list[Tensor]):
    """The parameters of a group: a list that counts its changes, so that they are noticed without comparing."""

    changes = 0


def _counted(name: str) -> Callable[..., Any]:
    change = getattr(list, name)

    def method(self: Members, *args: Any, **kwargs: Any) -> Any:
        self.changes += 1
        return change(self, *args, **kwargs)

    method.__name__ = name
    method.__doc__ = change.__doc__
    return method


for _name in ("append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse", "__setitem__", "__delitem__",
              "__iadd__", "__imul__"):
    setattr(Members, _name, _counted(_name))


class Seen:
    """The groups of an optimizer as it saw them last, to notice when they were edited."""

    def __init__(self, groups: Sequence[dict[str, Any]]):
        self._groups = [(group, group["params"], group["params"].changes) for group in groups]

    def still(self, groups: Sequence[dict[str, Any]]) -> bool:
        """Whether the groups, and the lists of their parameters, are the same and unchanged."""
        if len(groups) != len(self._groups):
            return False
        for group, (known, members, changes) in zip(groups, self._groups):
            if group is not known or group["params"] is not members or members.changes != changes:
                return False
        return True


def listed(params: Any) -> list[Any]:
    """What an optimizer was given as its parameters, as a list.

    Raises:
        TypeError: it is a single tensor, has no order, or cannot be iterated over.
    """
    if isinstance(params, Tensor):
        raise TypeError("params must be an iterable of tensors or dicts, not a single tensor: put it into a list")
    if isinstance(params, set | frozenset):
        raise TypeError("params must have an order, which a set has not; use a list")
    try:
        return list(params)
    except TypeError:
        raise TypeError(f"params must be an iterable of tensors or dicts, not {type(params).__name__}") from None


def checked(given: Any, former: Sequence[dict[str, Any]], defaults: dict[str, Any],
            own: checks.Checks | None) -> dict[str, Any]:
    """A parameter group, complete and checked, as a new dict.

    Args:
        given: what the user wrote; an iterator in it is replaced by a list.
        former: the groups before it, checked.
        defaults: hyperparameters that it does not name.
        own: checks of the optimizer's own; None for no checks of hyperparameters.

    Raises:
        TypeError, ValueError: as `Optimizer` says.
    """
    if not isinstance(given, dict):
        raise TypeError(f"a parameter group must be a dict, not {type(given).__name__}")
    if "params" not in given:
        raise ValueError("a parameter group needs a key 'params'")
    members = [given["params"]] if isinstance(given["params"], Tensor) else listed(given["params"])
    given["params"] = members      # a generator is used up now
    tensors, names = _named(members, given.get("param_names"), former)
    for x in tensors:
        _check_parameter(x)
    unique = {id(x): i for i, x in reversed(list(enumerate(tensors)))}
    if len(unique) < len(tensors):
        warnings.warn("a parameter group holds a parameter more than once; it is updated once a step", stacklevel=5)
        keep = sorted(unique.values())
        tensors = [tensors[i] for i in keep]
        names = [names[i] for i in keep] if names is not None else None
    others = {id(x) for other in former for x in other["params"]}
    if others & unique.keys():
        raise ValueError("some parameters appear in more than one parameter group")
    group: dict[str, Any] = {"params": Members(tensors)}
    if names is not None:
        group["param_names"] = list(names)
    group |= {k: v for k, v in given.items() if k not in ("params", "param_names")}
    for name, value in defaults.items():
        group.setdefault(name, value)
        if group[name] is required:
            raise ValueError(f"a parameter group needs a value for {name!r}, which has no default")
    group.update(checks.hyperparameters({k: v for k, v in group.items() if k not in ("params", "param_names")}, own))
    return group


def _check_parameter(x: Any) -> None:
    """Raise unless an optimizer can update it."""
    if not isinstance(x, Tensor):
        raise TypeError(f"an optimizer updates tensors, not {type(x).__name__}")
    if getattr(x, "uninitialized", False):
        raise ValueError("a parameter of a lazy layer has no size yet; run the model once before making the optimizer")
    if not x.is_leaf and not x._retains:
        raise ValueError("cannot optimize a tensor that was made by an operation; only leaves, such as those made with "
                         "requires_grad=True or by detach()")
    mask = type(x) is not Tensor and not x.requires_grad      # a Parameter that never has a gradient
    if not x.dtype.has_gradients and not mask:
        raise TypeError(f"an optimizer updates floating-point and complex tensors, not {x.dtype}")


def _named(members: list[Any], names: Any, former: Sequence[dict[str, Any]]) -> tuple[list[Any], Any]:
    """The tensors among members that may be pairs with names, and the names; None where there are none."""
    pairs = [isinstance(x, tuple) for x in members]
    if any(pairs) and not all(pairs):
        raise ValueError("either all parameters of an optimizer have names or none")
    if any(pairs):
        names = [x[0] for x in members]
    for other in former[:1]:
        if (names is not None) != ("param_names" in other):
            raise ValueError("either all parameters of an optimizer have names or none")
    if names is not None and len(names) != len(members):
        raise ValueError(f"param_names has {len(names)} names for {len(members)} parameters")
    return [x[1] if isinstance(x, tuple) else x for x in members], names
