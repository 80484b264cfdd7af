"""State dicts of optimizers: PyTorch's layout, snapshots, and loading that checks everything first."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import DType
from ..tensor import Tensor
from ..tensor import tensor as make_tensor
from . import checks, implementation
from .rule import state_dtype

if TYPE_CHECKING:
    from .optimizer import Optimizer


# Keys of a saved group that are not hyperparameters here: what identifies parameters, and how PyTorch is to compute.
_NOT_OURS = ("params", "param_names", *implementation.DEFAULTS, "decoupled_weight_decay")


def _snapshot(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else copy.deepcopy(value)


def make_state_dict(optimizer: Optimizer) -> dict[str, Any]:
    """A snapshot of an optimizer; see `Optimizer.state_dict`."""
    groups = []
    state: dict[int, dict[str, Any]] = {}
    index = 0
    for group in optimizer.param_groups:
        packed = {k: copy.copy(v) for k, v in group.items() if k != "params"}
        packed["params"] = list(range(index, index + len(group["params"])))
        groups.append(packed)
        for parameter in group["params"]:
            if parameter in optimizer.state:
                state[index] = {k: _snapshot(v) for k, v in dict(optimizer.state[parameter]).items()}
            index += 1
    return {"state": state, "param_groups": groups}


def load_state_dict(optimizer: Optimizer, state_dict: Mapping[str, Any]) -> None:
    """Load a snapshot, all or nothing; see `Optimizer.load_state_dict`."""
    try:
        saved_groups, saved_state = state_dict["param_groups"], state_dict["state"]
    except (KeyError, TypeError):
        raise ValueError("not the state of an optimizer: it needs the keys 'state' and 'param_groups'") from None
    groups = optimizer.param_groups
    if len(saved_groups) != len(groups):
        raise ValueError(f"the state has {len(saved_groups)} parameter groups, the optimizer {len(groups)}")
    new_values: list[dict[str, Any]] = []
    entries: list[tuple[Tensor, Mapping[str, Any]]] = []
    for i, (group, saved) in enumerate(zip(groups, saved_groups)):
        if len(saved["params"]) != len(group["params"]):
            raise ValueError(f"parameter group {i} of the state has {len(saved['params'])} parameters, "
                             f"that of the optimizer {len(group['params'])}")
        values = checks.hyperparameters({k: _plain(v) for k, v in saved.items()
                                         if k not in _NOT_OURS or k in optimizer.defaults}, optimizer._checks())
        optimizer.check_group({**group, **values})
        new_values.append(values)
        for parameter, index in zip(_in_saved_order(group, saved), saved["params"]):
            held = saved_state.get(index, saved_state.get(str(index)))
            if held is not None:
                entries.append((parameter, held))
    prepared = [(parameter, _checked(optimizer, parameter, group_of(optimizer, parameter, new_values), held))
                for parameter, held in entries]

    optimizer._settle()
    for group, values in zip(groups, new_values):
        group.update(values)
    optimizer.state.clear()
    for parameter, held in prepared:
        optimizer.state[parameter] = held


def group_of(optimizer: Optimizer, parameter: Tensor, new_values: list[dict[str, Any]]) -> dict[str, Any]:
    """The group of a parameter as it will be once loading is done."""
    for group, values in zip(optimizer.param_groups, new_values):
        if any(parameter is x for x in group["params"]):
            return {**group, **values}
    raise AssertionError("a parameter without a group")


def _in_saved_order(group: dict[str, Any], saved: Mapping[str, Any]) -> list[Tensor]:
    """The group's parameters in the order of the saved ones: by name when both sides know the same names."""
    names, saved_names = group.get("param_names"), saved.get("param_names")
    if names and saved_names and names != list(saved_names) and set(names) == set(saved_names):
        by_name = dict(zip(names, group["params"]))
        return [by_name[name] for name in saved_names]
    return list(group["params"])


def _plain(value: Any) -> Any:
    """A hyperparameter as a plain value, also from a 0-d tensor or array."""
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        return value.item()
    return list(value) if isinstance(value, np.ndarray) else copy.copy(value)


def _checked(optimizer: Optimizer, parameter: Tensor, group: dict[str, Any], held: Mapping[str, Any]) -> dict[str, Any]:
    """The saved state of one parameter, shapes checked and ready to be assigned."""
    if id(parameter) not in optimizer._places:
        return {k: _snapshot(v) for k, v in held.items()}
    result: dict[str, Any] = {}
    step = held.get("step")
    if step is not None:
        number = checks.number("step", step, 0.0)
        if not number.is_integer():
            raise ValueError(f"step must be a whole number, got {number}")
        result["step"] = int(number)
    result.update({name: checks.state_number(name, held[name], optimizer.own_checks) for name in optimizer.numbers
                   if name in held})
    for name, shape in optimizer.states(group, tuple(parameter.shape)).items():
        value = held.get(name)
        if value is None:
            continue
        source = value if isinstance(value, Tensor) else make_tensor(
            _host(value, state_dtype(parameter.dtype)), device=parameter.device)
        if tuple(source.shape) != shape:
            where = "its parameter" if shape == tuple(parameter.shape) else "the optimizer"
            raise ValueError(f"{name!r} has shape {tuple(source.shape)} in the state, {where} {shape}")
        result[name] = source
    if not optimizer.counts_steps:
        result.pop("step", None)
    known = {"step", *optimizer.numbers, *optimizer.states(group, tuple(parameter.shape))}
    result.update({name: _snapshot(value) for name, value in held.items() if name not in known and value is not None})
    return result


def _host(value: Any, dtype: DType) -> np.ndarray:
    """A saved state, such as a tensor of PyTorch's, as an array of the type that states have here."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.to_dense() if getattr(value, "is_sparse", False) else value    # momentum of sparse gradients
        value = value.float() if "bfloat16" in str(value.dtype) else value      # NumPy has no bfloat16
    return np.asarray(value).astype(dtype.numpy, copy=False)
