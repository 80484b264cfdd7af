"""A module's state: what it hands out by name and takes back, and the hooks around that."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ..hooks import Hooks, RemovableHandle, register
from ..tensor import Tensor, tensor

EXTRA = "_extra_state"


class IncompatibleKeys(NamedTuple):
    """What `Module.load_state_dict` did not find, and what it had no use for."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not any(self):
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


class State:
    """State dicts: the part of `Module` that reads and writes them."""

    _parameters: OrderedDict[str, Any]
    _buffers: OrderedDict[str, Any]
    _modules: OrderedDict[str, Any]
    _transient: set[str]
    _hooks: dict[str, Hooks]

    def _register(self, kind: str, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        return register(self._hooks.setdefault(kind, Hooks()), hook, prepend)

    def _registered(self, kind: str) -> list[Callable[..., Any]]:
        return list(self._hooks[kind].values()) if kind in self._hooks else []

    def register_state_dict_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before the module's part of a state dict is made."""
        return self._register("state", hook)

    def register_state_dict_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` after it; the hook may change ``state_dict``.

        The module's own names in it, and those of the modules below, begin with ``prefix``.
        """
        return self._register("after state", hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call a hook before `load_state_dict` looks at the module's part of a state.

        ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)`` may
        change ``state_dict``, a copy of what was given, and append to the three lists.

        Example:
            >>> def rename(module, state_dict, prefix, *rest):
            ...     state_dict[prefix + "weight"] = state_dict.pop(prefix + "kernel")
            >>> layer = genesis.nn.Linear(2, 1, bias=False)
            >>> handle = layer.register_load_state_dict_pre_hook(rename)
            >>> layer.load_state_dict({"kernel": genesis.ones(1, 2)})
            <All keys matched successfully>
        """
        return self._register("load", hook)

    def _register_load_state_dict_pre_hook(self, hook: Callable[..., None],
                                           with_module: bool = False) -> RemovableHandle:
        # PyTorch's older name, which published models use; the hook is not given the module
        return self._register("load", hook if with_module else lambda module, *given: hook(*given))

    def register_load_state_dict_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` after the state of this module and of those below was loaded.

        The hook may change the two lists; missing and unexpected names that it takes out are no errors.
        """
        return self._register("after load", hook)

    def get_extra_state(self) -> Any:
        """What else belongs in the state dict, as ``_extra_state``; a subclass defines it with `set_extra_state`."""
        raise RuntimeError(f"{type(self).__name__} has no extra state: define get_extra_state() and set_extra_state()")

    def set_extra_state(self, state: Any) -> None:
        """Take back what `get_extra_state` returned."""
        raise RuntimeError(f"{type(self).__name__} takes no extra state: define set_extra_state()")

    def _defines(self, method: str) -> bool:
        return getattr(type(self), method) is not getattr(State, method)

    def _own(self, prefix: str) -> Iterator[tuple[str, Tensor]]:
        """The module's own parameters and persistent buffers."""
        for name, value in self._parameters.items():
            if value is not None:
                yield prefix + name, value
        for name, value in self._buffers.items():
            if value is not None and name not in self._transient:
                yield prefix + name, value

    def _paths(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """This module and all below it with what their names begin with; a shared one once for each of its names."""
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module._paths(f"{prefix}{name}.")

    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """All parameters and persistent buffers by name, sharing their memory (as PyTorch's).

        Args:
            destination: a dict to put them into; a new one by default.
            prefix: what the names begin with.
            keep_vars: whether to give the parameters themselves, instead of tensors without history.
        """
        destination = OrderedDict() if destination is None else destination
        for hook in self._registered("state"):
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        if self._defines("get_extra_state"):
            destination[prefix + EXTRA] = self.get_extra_state()
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._registered("after state"):
            hook(self, destination, prefix, {})
        return destination

    # Two methods that classes written for PyTorch override, calling these: the first with a state dict to complete; the
    # second, before values are copied, with a copy of the one given, in which it renames what older versions called
    # otherwise. Its arguments are those of register_load_state_dict_pre_hook.

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        destination.update((name, value if keep_vars else value.detach()) for name, value in self._own(prefix))

    def _load_from_state_dict(self, state_dict: Any, prefix: str, local_metadata: Any, strict: bool,
                              missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str]) -> None:
        self._expect(state_dict, prefix)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True,
                        assign: bool = False) -> IncompatibleKeys:
        """Copy values into the existing parameters and buffers; lazy layers take their sizes from them first.

        Args:
            state_dict: name -> tensor or NumPy array.
            strict: whether missing and unexpected names are errors.
            assign: let the tensors given take the place of parameters and buffers, with their own types and devices;
                an optimizer is to be made afterwards.

        Raises:
            RuntimeError: listing every missing and unexpected name, every wrong shape, and complex values for real
                parameters; nothing is changed then.
                Where there are hooks for after loading, names are judged after these, and only shapes before.
        """
        given = OrderedDict(state_dict)
        metadata = getattr(state_dict, "_metadata", None) or {}
        keys = IncompatibleKeys([], [])
        problems: list[str] = []
        for prefix, module in self._paths():
            for hook in module._registered("load"):
                hook(module, given, prefix, metadata.get(prefix[:-1], {}), strict, *keys, problems)
            module._load_from_state_dict(given, prefix, metadata.get(prefix[:-1], {}), strict, *keys, problems)
        own = {name: value for prefix, module in self._paths() for name, value in module._own(prefix)}
        extra = {prefix + EXTRA: module for prefix, module in self._paths() if module._defines("set_extra_state")}
        keys.missing_keys.extend(name for name in (*own, *extra) if name not in given)
        keys.unexpected_keys.extend(name for name in given if name not in own and name not in extra)
        problems += [f"shape of {name}: {tuple(given[name].shape)} given, {tuple(value.shape)} needed"
                     for name, value in own.items()
                     if name in given and tuple(given[name].shape) != tuple(value.shape)]
        problems += [f"type of {name}: {given[name].dtype} given, {value.dtype} needed" for name, value in own.items()
                     if name in given and not assign and not value.is_complex() and "complex" in str(given[name].dtype)]
        later = any(module._registered("after load") for _, module in self._paths())
        self._refuse(problems + ([] if later or not strict else _named(keys)))
        sources = {}
        for name, value in own.items():
            if name in given:
                source = given[name] if isinstance(given[name], Tensor) else tensor(given[name], device=value.device)
                sources[name] = source.detach() if assign else source.detach().to(value.device)
        if assign:
            for prefix, module in self._paths():
                module._adopt(prefix, sources)
        else:
            for name, source in sources.items():
                own[name]._assign(source)
        for name, module in extra.items():
            if name in given:
                module.set_extra_state(given[name])
        if later:
            for _, module in reversed(list(self._paths())):
                for hook in module._registered("after load"):
                    hook(module, keys)
            self._refuse(_named(keys) if strict else [])
        return keys

    def _refuse(self, problems: list[str]) -> None:
        if problems:
            raise RuntimeError(f"the state does not fit {type(self).__name__}:\n  " + "\n  ".join(problems))

    def _adopt(self, prefix: str, sources: Mapping[str, Tensor]) -> None:
        """Put tensors in the place of the module's own."""
        for name, value in self._parameters.items():
            if value is not None and prefix + name in sources:
                new = type(value)(sources[prefix + name])
                self._parameters[name] = new.requires_grad_(value.requires_grad)
        for name, value in self._buffers.items():
            if value is not None and prefix + name in sources:
                self._buffers[name] = sources[prefix + name]

    def _expect(self, state_dict: Mapping[str, Any], prefix: str) -> None:
        """Prepare for a state that is about to be loaded; names in it begin with the prefix."""


def _named(keys: IncompatibleKeys) -> list[str]:
    return [f"missing: {name}" for name in keys.missing_keys] + [f"unexpected: {name}" for name in keys.unexpected_keys]
