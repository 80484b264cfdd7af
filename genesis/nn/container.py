"""Modules that hold modules."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from ..tensor import Tensor
from .module import Module
from .parameter import Parameter

L = TypeVar("L", bound="_Listed")


class _Listed(Module):
    """What lists of modules and of parameters share: entries are registered under their positions, "0", "1", ..."""

    def _held(self) -> OrderedDict[str, Any]:
        raise NotImplementedError

    def _replace(self, values: Iterable[Any]) -> None:
        held = self._held()
        kept = list(values)
        held.clear()
        for value in kept:
            self.append(value)

    def append(self: L, value: Any) -> L:
        """Add an entry at the end."""
        setattr(self, str(len(self)), value)
        return self

    def extend(self: L, values: Iterable[Any]) -> L:
        """Add several entries at the end."""
        for value in list(values):
            self.append(value)
        return self

    def insert(self, index: int, value: Any) -> None:
        """Add an entry before the one at a position."""
        self.append(value)                # which refuses what does not belong here
        values = list(self)
        values.insert(index, values.pop())
        self._replace(values)

    def pop(self, index: int = -1) -> Any:
        """Remove and return an entry; those after it move up."""
        value = self[index]
        del self[index]
        return value

    def __len__(self) -> int:
        return len(self._held())

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._held().values()))

    def __getitem__(self, index: int | slice) -> Any:
        values = list(self._held().values())
        return type(self)(values[index]) if isinstance(index, slice) else values[index]  # type: ignore[call-arg]

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, list(self._held())[index], value)

    def __delitem__(self, index: int | slice) -> None:
        values = list(self)
        del values[index]
        self._replace(values)

    def __iadd__(self: L, values: Iterable[Any]) -> L:
        return self.extend(values)


class Sequential(_Listed):
    """Modules applied one after the other, and a list of them.

    Where modules are put in between or taken away, all are named by their positions.

    Args:
        modules: modules in order, or one OrderedDict of names and modules.

    Example:
        >>> model = genesis.nn.Sequential(genesis.nn.Linear(4, 8), genesis.nn.ReLU(), genesis.nn.Linear(8, 1000))
        >>> model[-1] = genesis.nn.Linear(8, 3)                 # another head
        >>> model.pop(1)
        ReLU()
        >>> list(model.state_dict())
        ['0.weight', '0.bias', '1.weight', '1.bias']
    """

    def __init__(self, *modules: Any):
        super().__init__()
        named = modules[0].items() if len(modules) == 1 and isinstance(modules[0], OrderedDict) else (
            (str(i), m) for i, m in enumerate(modules))
        for name, module in named:
            self.add_module(name, module)

    def forward(self, input: Any) -> Any:
        """Apply all modules."""
        for module in self._modules.values():
            input = module(input)
        return input

    def _held(self) -> OrderedDict[str, Any]:
        return self._modules

    def append(self, module: Module) -> Sequential:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def __add__(self, other: Iterable[Module]) -> Sequential:
        return Sequential(*self, *other)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Sequential(OrderedDict(list(self._modules.items())[index]))
        return list(self._modules.values())[index]


class ModuleList(_Listed):
    """A list of modules: they are found by ``parameters()``, ``state_dict()``, ``to()``, ...

    Args:
        modules: what it holds at first.
    """

    def __init__(self, modules: Iterable[Module] = ()):
        super().__init__()
        self.extend(modules)

    def _held(self) -> OrderedDict[str, Any]:
        return self._modules

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __repr__(self) -> str:
        """Modules that look alike and follow one another take one line."""
        lines, first = [], 0
        for look, alike in itertools.groupby(map(repr, self)):
            last = first + len(list(alike)) - 1
            name = f"({first}): " if first == last else f"({first}-{last}): {last - first + 1} x "
            lines.append(name + look.replace("\n", "\n  "))
            first = last + 1
        return "ModuleList(" + "".join(f"\n  {line}" for line in lines) + "\n" * bool(lines) + ")"

    def append(self, value: Module) -> ModuleList:
        """Add a module at the end."""
        self.add_module(str(len(self)), value)
        return self


class ParameterList(_Listed):
    """A list of parameters; tensors in it become parameters.

    Args:
        values: what it holds at first.
    """

    def __init__(self, values: Iterable[Tensor] = ()):
        super().__init__()
        self.extend(values)

    def _held(self) -> OrderedDict[str, Any]:
        return self._parameters

    def append(self, value: Tensor) -> ParameterList:
        """Add a parameter at the end."""
        self.register_parameter(str(len(self)), _as_parameter(value))
        return self

    def __setitem__(self, index: int, value: Tensor) -> None:
        self._parameters[list(self._parameters)[index]] = _as_parameter(value)

    def extra_repr(self) -> str:
        """A line a parameter."""
        return _described(self._parameters)


class _Named(Module):
    """What dictionaries of modules and of parameters share."""

    def _held(self) -> OrderedDict[str, Any]:
        raise NotImplementedError

    def update(self, entries: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Add entries, or replace those of the same names."""
        for name, value in dict(entries).items():
            self[name] = value

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._held().keys()

    def values(self) -> Iterable[Any]:
        """The entries."""
        return self._held().values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """Names and entries."""
        return self._held().items()

    def pop(self, name: str) -> Any:
        """Remove and return an entry."""
        return self._held().pop(name)

    def clear(self) -> None:
        """Remove all entries."""
        self._held().clear()

    def __len__(self) -> int:
        return len(self._held())

    def __iter__(self) -> Iterator[str]:
        return iter(self._held())

    def __contains__(self, name: object) -> bool:
        return name in self._held()

    def __getitem__(self, name: str) -> Any:
        return self._held()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        raise NotImplementedError

    def __delitem__(self, name: str) -> None:
        del self._held()[name]


class ModuleDict(_Named):
    """A dictionary of modules: they are found by ``parameters()``, ``state_dict()``, ``to()``, ...

    Args:
        modules: names and modules that it holds at first.
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()):
        super().__init__()
        self.update(modules)

    def _held(self) -> OrderedDict[str, Any]:
        return self._modules

    def __setitem__(self, name: str, value: Module) -> None:
        self.add_module(name, value)


class ParameterDict(_Named):
    """A dictionary of parameters; tensors in it become parameters.

    Args:
        values: names and tensors that it holds at first.
    """

    def __init__(self, values: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]] = ()):
        super().__init__()
        self.update(values)

    def _held(self) -> OrderedDict[str, Any]:
        return self._parameters

    def __setitem__(self, name: str, value: Tensor) -> None:
        self.register_parameter(name, _as_parameter(value))

    def extra_repr(self) -> str:
        """A line a parameter."""
        return _described(self._parameters)


def _as_parameter(value: Any) -> Parameter:
    if not isinstance(value, Tensor):
        raise TypeError(f"a list or dictionary of parameters holds tensors, not {type(value).__name__}")
    return value if isinstance(value, Parameter) else Parameter(value)


def _described(parameters: Mapping[str, Any]) -> str:
    return "\n".join(f"({name}): Parameter of shape {tuple(p.shape)}, {p.dtype}" for name, p in parameters.items())


class Identity(Module):
    """Returns its input; arguments are accepted and ignored."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__()

    def forward(self, input: Any) -> Any:
        """Return ``input``."""
        return input


class Flatten(Module):
    """Dimensions from ``start_dim`` to ``end_dim`` merged: (N, C, H, W) -> (N, C*H*W) by default."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Any) -> Any:
        """Merge."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The dimensions."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """One dimension cut into several.

    Args:
        dim: the dimension.
        unflattened_size: the sizes it is cut into; one may be -1.
    """

    def __init__(self, dim: int, unflattened_size: tuple[int, ...]):
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Any) -> Any:
        """Cut."""
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        """The dimension and sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
