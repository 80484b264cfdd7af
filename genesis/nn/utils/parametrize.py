"""Parameters computed from others: a module's tensor as what a module makes of the trained one."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from ...autograd import no_grad
from ...tensor import Tensor
from ..container import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter

__all__ = ["ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations",
           "type_before_parametrizations"]

T = TypeVar("T", bound=Module)


class _Cache:
    """What was computed since the outermost `cached` was entered."""

    def __init__(self) -> None:
        self.depth = 0
        self.values: dict[tuple[int, str], Tensor] = {}


_cache = _Cache()


@contextmanager
def cached() -> Iterator[None]:
    """Within this context each parametrized tensor is computed once, at its first use; also a decorator.

    For a forward that uses a tensor several times. A parameter changed meanwhile is not seen.

    Example:
        >>> layer = genesis.nn.utils.parametrizations.weight_norm(genesis.nn.Linear(2, 2))
        >>> with genesis.nn.utils.parametrize.cached():
        ...     layer.weight is layer.weight
        True
    """
    _cache.depth += 1
    try:
        yield
    finally:
        _cache.depth -= 1
        if not _cache.depth:
            _cache.values = {}


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, and what they make it from; made by `register_parametrization`.

    Attributes:
        original: the tensor that the first one gets; or ``original0``, ``original1``, ..., if its ``right_inverse``
            returned several.
        unsafe: whether type and shape may change.

    Args:
        modules: the parametrizations.
        original: the tensor.
        unsafe: whether type and shape may change; nothing is checked then.
    """

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False):
        if not modules:
            raise ValueError("a ParametrizationList needs at least one module")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, dtype = original.shape, original.dtype
        with no_grad():
            new: Any = original
            for module in reversed(list(self)):
                with suppress(NotImplementedError):
                    new = _inverse(module)(new)
        if not isinstance(new, Tensor | Sequence):
            raise ValueError(f"right_inverse must return a tensor or a sequence of them, not {type(new).__name__}")
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if isinstance(new, Tensor) else len(new)
        if isinstance(new, Tensor):
            if new.dtype is not dtype or new.device is not original.device:
                raise ValueError(f"right_inverse may not change type or device of a tensor: {dtype} on "
                                 f"{original.device} became {new.dtype} on {new.device}")
            _set(original, new)
            _enter(self, "original", original)
        else:
            for i, part in enumerate(new):
                if not isinstance(part, Tensor):
                    raise ValueError(f"right_inverse must return a tensor or a sequence of them; element {i} is a "
                                     f"{type(part).__name__}")
                own = part.detach().clone()
                _enter(self, f"original{i}", Parameter(own, original.requires_grad) if isinstance(original, Parameter)
                       else own.requires_grad_(original.requires_grad))
        if not unsafe:
            _check(self(), shape, dtype, "a parametrization")

    def right_inverse(self, value: Tensor) -> None:
        """Let the parametrized tensor have a value, by the ``right_inverse`` of each parametrization.

        Raises:
            RuntimeError: one of them has none.
            ValueError: they return something else than they did at first.
        """
        with no_grad():
            new: Any = value
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"{type(module).__name__} does not define right_inverse(), which is needed to "
                                       "assign to a parametrized tensor")
                new = module.right_inverse(new)
            values = [new] if self.is_tensor else list(new)
            places = self._originals()
            if len(values) != len(places):
                raise ValueError(f"right_inverse must return {len(places)} tensors, not {len(values)}")
            for place, part in zip(places, values):
                if not isinstance(part, Tensor) or part.dtype is not place.dtype:
                    raise ValueError(f"right_inverse must return tensors of type {place.dtype}, as before, not "
                                     f"{part.dtype if isinstance(part, Tensor) else type(part).__name__}")
            for place, part in zip(places, values):
                _set(place, part)

    def _originals(self) -> list[Tensor]:
        names = ["original"] if self.is_tensor else [f"original{i}" for i in range(self.ntensors)]
        return [getattr(self, name) for name in names]

    def forward(self) -> Any:
        """The parametrized tensor."""
        first, *others = list(self)
        x = first(*self._originals())
        for module in others:
            x = module(x)
        return x

    def __repr__(self) -> str:
        return Module.__repr__(self)


def _inverse(module: Module) -> Any:
    return getattr(module, "right_inverse", lambda x: x)


def _enter(module: Module, name: str, x: Tensor) -> None:
    if isinstance(x, Parameter):
        module.register_parameter(name, x)
    else:
        module.register_buffer(name, x)


def _set(x: Tensor, value: Tensor) -> None:
    """Let a tensor, which stays the same object, have a value, of another shape if need be."""
    value = value.detach()
    if value._array is x._array:
        return
    if value.shape == x.shape and value.dtype is x.dtype:
        x._assign(value)
    else:
        x.data = value.clone()


def _check(x: Any, shape: Any, dtype: Any, what: str) -> None:
    if not isinstance(x, Tensor):
        raise ValueError(f"{what} must return a tensor, not {type(x).__name__}")
    if x.dtype is not dtype or x.shape != shape:
        raise ValueError(f"{what} may not change type or shape of the tensor, unless unsafe is True: {dtype} "
                         f"{tuple(shape)} became {x.dtype} {tuple(x.shape)}")


class _Parametrized:
    """What the class of a module gains when one of its tensors is parametrized."""

    _modules: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        made = self.__dict__.get("_modules", {}).get("parametrizations")
        if made is None or name not in made._modules:
            return super().__getattr__(name)  # type: ignore[misc]
        if not _cache.depth:
            return made._modules[name]()
        key = (id(self), name)
        if key not in _cache.values:
            _cache.values[key] = made._modules[name]()
        return _cache.values[key]

    def __setattr__(self, name: str, value: Any) -> None:
        made = self.__dict__.get("_modules", {}).get("parametrizations")
        if made is not None and name in made._modules:
            made._modules[name].right_inverse(value)
        else:
            super().__setattr__(name, value)


@functools.cache
def _parametrized(cls: type) -> type:
    return type(f"Parametrized{cls.__name__}", (_Parametrized, cls), {"__module__": cls.__module__,
                                                                      "__doc__": cls.__doc__})


def register_parametrization(module: T, tensor_name: str, parametrization: Module, *, unsafe: bool = False) -> T:
    """Let a module's parameter or buffer be what another module makes of it.

    ``module.weight``, say, is then computed, with gradients, from ``module.parametrizations.weight.original`` at each
    use; the latter is trained. A further parametrization gets what those before it give. If the parametrization
    defines ``right_inverse(tensor)``, that gives the original from the tensor that there is, or several
    (``original0``, ...), of which ``forward`` then takes as many; and assigning to ``module.weight`` works.

    Args:
        module: changed in place; its class becomes one derived from it.
        tensor_name: the parameter's or buffer's name.
        parametrization: a module from tensors to a tensor.
        unsafe: whether it may change type and shape; nothing is checked then.

    Returns:
        The module.

    Raises:
        ValueError: there is no such tensor, or what the parametrization returns does not fit.

    Example:
        >>> class Symmetric(genesis.nn.Module):
        ...     def forward(self, x):
        ...         return x.triu() + x.triu(1).T
        >>> layer = genesis.nn.Linear(3, 3)
        >>> _ = genesis.nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
        >>> bool((layer.weight == layer.weight.T).all()), list(layer.state_dict())
        (True, ['bias', 'parametrizations.weight.original'])
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            before = getattr(module, tensor_name)
            after = parametrization(before)
            _check(after, before.shape, before.dtype, "a parametrization")
            with suppress(NotImplementedError):
                _check(_inverse(parametrization)(after), before.shape, before.dtype, "right_inverse")
        made = module.parametrizations[tensor_name]
        made.append(parametrization)
        made.unsafe = made.unsafe or unsafe
        return module
    original = module._parameters.get(tensor_name, module._buffers.get(tensor_name))
    if original is None:
        raise ValueError(f"{type(module).__name__} has no parameter or buffer {tensor_name!r}")
    made = ParametrizationList([parametrization], original, unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        cls: Any = type(module)
        module.__class__ = _parametrized(cls)
        module.parametrizations = ModuleDict()
    module.parametrizations._modules[tensor_name] = made     # names that a dict has, such as "values", are no hindrance
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a tensor of a module is parametrized; without a name, whether any is."""
    made = module._modules.get("parametrizations")
    if not isinstance(made, ModuleDict):
        return False
    return len(made) > 0 if tensor_name is None else tensor_name in made


def remove_parametrizations(module: T, tensor_name: str, leave_parametrized: bool = True) -> T:
    """Make a parametrized tensor an ordinary one again.

    Args:
        module: changed in place.
        tensor_name: the tensor's name.
        leave_parametrized: whether it keeps the value computed now; else it is the original.

    Returns:
        The module.

    Raises:
        ValueError: the tensor is not parametrized, or it is made from several and should become the original.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"{tensor_name!r} of this {type(module).__name__} is not parametrized")
    made = module.parametrizations[tensor_name]
    if not (leave_parametrized or made.is_tensor):
        raise ValueError(f"{tensor_name!r} is made from several tensors: leave_parametrized must be True")
    if made.is_tensor:
        original = made.original
    if leave_parametrized:
        value = getattr(module, tensor_name)
        if made.is_tensor:
            _set(original, value)
        else:
            original = Parameter(value.detach()) if value.requires_grad else value
    del module.parametrizations._modules[tensor_name]
    if not len(module.parametrizations):
        del module._modules["parametrizations"]
        module.__class__ = type_before_parametrizations(module)
    _enter(module, tensor_name, original)
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class of a module, or what it was before a tensor was parametrized."""
    cls = type(module)
    return cls.__bases__[1] if issubclass(cls, _Parametrized) else cls
