"""Module: the base class of layers and models."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from .. import tracing
from ..hooks import Hooks, RemovableHandle, register
from ..tensor import Tensor
from .backward_hooks import Passage
from .moves import Moves
from .parameter import Buffer, Parameter
from .state import IncompatibleKeys, State

__all__ = ["IncompatibleKeys", "Module"]

T = TypeVar("T", bound="Module")


class _WithKeywords:
    """A hook that also takes keyword arguments."""

    def __init__(self, hook: Callable[..., Any]):
        self.hook = hook

    def __call__(self, *args: Any) -> Any:
        return self.hook(*args)


class Module(Moves, State):
    """Base class of everything with parameters.

    Parameters, buffers and modules assigned as attributes are registered under the attribute's name; ``forward``
    computes.

    Example:
        >>> class Net(genesis.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.fc = genesis.nn.Linear(4, 2)
        ...     def forward(self, x):
        ...         return self.fc(x).relu()
        >>> [name for name, _ in Net().named_parameters()]
        ['fc.weight', 'fc.bias']
    """

    training: bool

    def __init__(self) -> None:
        object.__setattr__(self, "training", True)
        object.__setattr__(self, "_parameters", OrderedDict())
        object.__setattr__(self, "_buffers", OrderedDict())
        object.__setattr__(self, "_modules", OrderedDict())
        object.__setattr__(self, "_transient", set())
        object.__setattr__(self, "_forward_hooks", Hooks())
        object.__setattr__(self, "_forward_pre_hooks", Hooks())
        object.__setattr__(self, "_hooks", {})              # of other kinds, where there are any

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; defined by every subclass."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward()")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the hooks before, compute the output, and call the hooks after it."""
        for hook in list(self._forward_pre_hooks.values()):
            if isinstance(hook, _WithKeywords):
                replaced = hook(self, args, kwargs)
                if replaced is not None:
                    if not isinstance(replaced, tuple) or len(replaced) != 2:
                        raise RuntimeError("a forward pre-hook with with_kwargs must return None or a pair: the "
                                           f"arguments and the keyword arguments, not {replaced!r}")
                    args, kwargs = replaced
                continue
            replaced = hook(self, args)
            if replaced is not None:
                args = replaced if isinstance(replaced, tuple) else (replaced,)
        passage = None
        if self._hooks:
            hooks, pre_hooks = self._registered("backward"), self._registered("before backward")
            if hooks or pre_hooks:
                passage = Passage(self, hooks, pre_hooks)
                args = passage.enter(args)
        try:
            if tracing.recorder is None:
                result = self.forward(*args, **kwargs)
            else:
                result = tracing.recorder.module(self, args, kwargs)
        except (AttributeError, TypeError, ValueError) as error:
            self._refuse_arrays(args, error)
            raise
        for hook in list(self._forward_hooks.values()):
            if isinstance(hook, _WithKeywords):
                changed = hook(self, args, kwargs, result)
            else:
                changed = hook(self, args, result)
            if changed is not None:
                result = changed
        return result if passage is None else passage.leave(result)

    def _refuse_arrays(self, args: tuple[Any, ...], error: Exception) -> None:
        """Raise an error that names the array of another library, or the list, that a layer was given for a tensor.

        Looked for only where ``forward`` has failed, and in this library's layers: others may take what they like.
        """
        if self._modules or not type(self).__module__.startswith("genesis."):
            return
        for i, x in enumerate(args):
            if not isinstance(x, Tensor) and (hasattr(x, "__dlpack__") or (i == 0 and isinstance(x, list))):
                raise TypeError(f"{type(self).__name__}: argument {i + 1} must be a Tensor, not {type(x).__name__}; "
                                "genesis.as_tensor(...) makes one of it") from error

    def register_forward_hook(self, hook: Callable[..., Any], *, prepend: bool = False,
                              with_kwargs: bool = False) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after each forward; what it returns, unless None, replaces the output.

        Args:
            hook: the function.
            prepend: whether it comes before the hooks there are.
            with_kwargs: whether it is called as ``hook(module, args, kwargs, output)``.
        """
        return register(self._forward_hooks, _WithKeywords(hook) if with_kwargs else hook, prepend)

    def register_forward_pre_hook(self, hook: Callable[..., Any], *, prepend: bool = False,
                                  with_kwargs: bool = False) -> RemovableHandle:
        """Call ``hook(module, args)`` before each forward; what it returns, unless None, replaces the arguments.

        Args:
            hook: the function.
            prepend: whether it comes before the hooks there are.
            with_kwargs: whether it is called as ``hook(module, args, kwargs)``, and returns None or both.
        """
        return register(self._forward_pre_hooks, _WithKeywords(hook) if with_kwargs else hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when backward has the gradients of the module's inputs.

        ``grad_input`` has a place for each positional argument, with None for those that are no tensors, and zeros for
        tensors without a gradient; what the hook returns, unless None, takes its place. ``grad_output`` has one for
        each result, with None for those without one. If no input requires a gradient, the hook is called with those of
        the results alone, and a warning.

        Args:
            hook: the function.
            prepend: whether it comes before the hooks there are.

        Example:
            >>> layer = genesis.nn.ReLU()
            >>> handle = layer.register_full_backward_hook(lambda module, grad_input, grad_output: print(grad_input))
            >>> layer(genesis.tensor([-1.0, 1.0], requires_grad=True)).sum().backward()
            (tensor([0., 1.]),)
        """
        return self._register("backward", hook, prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` before backward goes through the module.

        Args:
            hook: the function; what it returns, unless None, takes the place of the results' gradients.
            prepend: whether it comes before the hooks there are.
        """
        return self._register("before backward", hook, prepend)

    # Registration ----------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if "_modules" not in self.__dict__:
            if isinstance(value, Buffer | Parameter | Module):
                raise AttributeError(f"call super().__init__() before assigning {name!r}")
            object.__setattr__(self, name, value)
            return
        stores = (self._parameters, self._modules, self._buffers)
        home: dict[str, Any] | None = None
        if isinstance(value, Parameter):
            home = self._parameters
        elif isinstance(value, Module):
            home = self._modules
        elif isinstance(value, Buffer):
            home = self._buffers
            (self._transient.discard if value.persistent else self._transient.add)(name)
        elif name in self._parameters:
            if value is not None:
                raise TypeError(f"{name!r} is a parameter; it can be replaced by a Parameter or None, not by "
                                f"{type(value).__name__}")
            home = self._parameters
        elif name in self._modules:
            if value is not None:
                raise TypeError(f"{name!r} is a module; it can be replaced by a Module or None, not by "
                                f"{type(value).__name__}")
            home = self._modules
        elif name in self._buffers:
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(f"{name!r} is a buffer; it can be replaced by a Tensor or None, not by "
                                f"{type(value).__name__}")
            home = self._buffers
        for store in stores:
            if store is not home:
                store.pop(name, None)
        if home is None:
            object.__setattr__(self, name, value)
        else:
            self.__dict__.pop(name, None)
            home[name] = value

    def __getattr__(self, name: str) -> Any:
        for store in ("_parameters", "_buffers", "_modules"):
            held = self.__dict__.get(store)
            if held is None:
                raise AttributeError(f"{type(self).__name__} must call super().__init__() before {name!r} is used")
            if name in held:
                return held[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        for store in (self._parameters, self._buffers, self._modules):
            if name in store:
                del store[name]
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._parameters, *self._buffers, *self._modules})

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Register a parameter, or None as a place for one."""
        self._check_name(name, self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"{name!r} must be a Parameter or None, not {type(param).__name__}")
        self._parameters[name] = param

    def register_buffer(self, name: str, value: Tensor | None, persistent: bool = True) -> None:
        """Register a tensor that is part of the state but is not trained, such as a running mean."""
        self._check_name(name, self._buffers)
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(f"{name!r} must be a Tensor or None, not {type(value).__name__}")
        self._buffers[name] = value
        if persistent:
            self._transient.discard(name)
        else:
            self._transient.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Register a module under a name."""
        self._check_name(name, self._modules)
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{name!r} must be a Module or None, not {type(module).__name__}")
        self._modules[name] = module

    register_module = add_module

    def _check_name(self, name: str, home: Mapping[str, Any]) -> None:
        if not name or "." in name:
            raise KeyError(f"a name must not be empty or hold a dot: {name!r}")
        if name not in home and hasattr(self, name):
            raise KeyError(f"{type(self).__name__} already has an attribute {name!r}")

    # Walking ---------------------------------------------------------------------------------------------------

    def named_modules(self, memo: set[int] | None = None, prefix: str = "",
                      remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """This module and all below it with their names; a shared one once, unless ``remove_duplicate=False``."""
        memo = set() if memo is None else memo
        if id(self) in memo:
            return
        if remove_duplicate:
            memo.add(id(self))
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below, with their names."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules directly below."""
        return (module for _, module in self.named_children())

    def _named(self, store: str, prefix: str, recurse: bool, once: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=once) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, value in getattr(module, store).items():
                if value is not None and id(value) not in seen:
                    if once:
                        seen.add(id(value))
                    yield f"{path}.{name}" if path else name, value

    def named_parameters(self, prefix: str = "", recurse: bool = True,
                         remove_duplicate: bool = True) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their names; a shared one once, or with ``remove_duplicate=False`` under each."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True,
                      remove_duplicate: bool = True) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their names; of shared ones as `named_parameters`."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module under a dotted name."""
        module = self
        for name in target.split(".") if target else []:
            found = module._modules.get(name)
            if found is None:
                raise AttributeError(f"{type(module).__name__} has no module {name!r} (looking for {target!r})")
            module = found
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put a module in the place of the one under a dotted name.

        Args:
            target: the name.
            module: what comes there.
            strict: whether there must be one already.

        Raises:
            ValueError: the name is empty, or ``module`` is no Module.
            AttributeError: a module on the way is not there, or something else has the name.
        """
        if not target:
            raise ValueError("a module cannot be put in the place of the whole one: target is empty")
        if not isinstance(module, Module):
            raise ValueError(f"{target!r} must be a Module, not {type(module).__name__}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{type(parent).__name__} has no module {name!r} (looking for {target!r})")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"{name!r} of {type(parent).__name__} is not a module")
        setattr(parent, name, module)

    # Parts and modes -------------------------------------------------------------------------------------------

    def get_parameter(self, target: str) -> Parameter:
        """The parameter under a dotted name such as ``"encoder.0.weight"``."""
        return self._get(target, "_parameters", "parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer under a dotted name such as ``"norm.running_mean"``."""
        return self._get(target, "_buffers", "buffer")

    def _get(self, target: str, store: str, kind: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        held = module.__dict__[store].get(name)
        if held is None:
            raise AttributeError(f"{type(module).__name__} has no {kind} {name!r}")
        return held

    def train(self: T, mode: bool = True) -> T:
        """Set training mode here and below; it matters to layers such as dropout."""
        for module in self.modules():
            object.__setattr__(module, "training", bool(mode))
        return self

    def eval(self: T) -> T:
        """The same as ``train(False)``."""
        return self.train(False)

    def requires_grad_(self: T, requires_grad: bool = True) -> T:
        """Set whether the parameters require gradients."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of all parameters."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.detach().zero_()

    def apply(self: T, fn: Callable[[Module], Any]) -> T:
        """Call a function on every module, those below first."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # Printing --------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What to print between the parentheses."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__         # what the `__repr__` of layers that users write calls

    def __repr__(self) -> str:
        lines = [f"({name}): " + repr(module).replace("\n", "\n  ") for name, module in self._modules.items()]
        extra = self.extra_repr()
        if not lines:
            return f"{type(self).__name__}({extra})"
        return f"{type(self).__name__}(\n  " + "\n  ".join([*extra.split("\n"), *lines] if extra else lines) + "\n)"
