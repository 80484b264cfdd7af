"""The methods of `genesis.nn.utils.prune`: what each takes away, and the hook that keeps it away."""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from ...creation import ones_like, rand, rand_like, zeros_like
from ...tensor import Tensor
from ..module import Module


class BasePruningMethod(ABC):
    """A way to prune: a subclass has a `compute_mask`, and says in ``PRUNING_TYPE`` what it is given.

    ``PRUNING_TYPE`` matters where a parameter is pruned again: with ``"unstructured"``, `compute_mask` sees a vector of
    the elements that are left; with ``"structured"``, the tensor without the slices along ``self.dim`` that are pruned
    whole; with ``"global"``, the tensor as it is.

    Example:
        >>> class EverySecond(genesis.nn.utils.prune.BasePruningMethod):
        ...     PRUNING_TYPE = "unstructured"
        ...     def compute_mask(self, t, default_mask):
        ...         mask = default_mask.clone()
        ...         mask.view(-1)[::2] = 0
        ...         return mask
        >>> layer = genesis.nn.Linear(4, 1)
        >>> EverySecond.apply(layer, "weight")._tensor_name
        'weight'
        >>> layer.weight_mask
        tensor([[0., 1., 0., 1.]])
    """

    PRUNING_TYPE: str
    _tensor_name: str | None = None

    def __call__(self, module: Module, inputs: Any) -> None:
        """The hook: make the parameter from its original and the mask."""
        setattr(module, self._named(module), self.apply_mask(module))

    def _named(self, module: Module) -> str:
        if self._tensor_name is None:
            raise AssertionError(f"{type(self).__name__} prunes nothing of this {type(module).__name__} yet: "
                                 "call its apply() first")
        return self._tensor_name

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """A mask with more zeros.

        Args:
            t: how important each element is: the parameter itself, if no scores are given.
            default_mask: the mask until now, of the same shape; what it prunes must stay pruned.

        Returns:
            The mask, of the same shape.
        """

    def apply_mask(self, module: Module) -> Tensor:
        """The module's parameter as it is pruned: its original times the mask.

        Raises:
            AssertionError: the method was not applied to a module before.
        """
        name = self._named(module)
        orig = getattr(module, name + "_orig")
        pruned: Tensor = getattr(module, name + "_mask").to(dtype=orig.dtype) * orig
        return pruned

    @classmethod
    def apply(cls, module: Module, name: str, *args: Any, importance_scores: Tensor | None = None,
              **kwargs: Any) -> BasePruningMethod:
        """Prune a parameter; if that fails, the module is left as it was.

        Args:
            module: changed in place.
            name: its parameter.
            args: arguments of the class.
            importance_scores: how important each element is, in the parameter's shape; by default the parameter.
            kwargs: arguments of the class.

        Returns:
            The method, or the `PruningContainer` of all that pruned this parameter.

        Raises:
            AssertionError: the scores have another shape.
            AttributeError: the module has nothing of this name.
            TypeError: ``name`` is not a parameter.
        """
        found = [key for key, hook in module._forward_pre_hooks.items() if _prunes(hook, name)]
        if len(found) > 1:
            raise AssertionError(f"{name!r} of this {type(module).__name__} is pruned by {len(found)} hooks: "
                                 "put the methods into one PruningContainer")
        method = cls(*args, **kwargs)
        method._tensor_name = name
        tensor = getattr(module, name)
        scores = _scores(importance_scores, tensor, name)
        before = module._buffers.get(name + "_mask")
        if found:
            hook = module._forward_pre_hooks[found[0]]
            mask = PruningContainer(method).compute_mask(scores, getattr(module, name + "_mask").detach().clone())
        else:
            hook = method
            mask = method.compute_mask(scores, default_mask=ones_like(tensor))
            module.register_parameter(name + "_orig", tensor)
            del module._parameters[name]
        try:
            module.register_buffer(name + "_mask", mask)
            setattr(module, name, method.apply_mask(module))
        except Exception:
            module._buffers.pop(name + "_mask", None)
            if before is not None:
                module._buffers[name + "_mask"] = before
            if not found:
                module.register_parameter(name, module._parameters.pop(name + "_orig"))
            raise
        if found:
            hook = hook if isinstance(hook, PruningContainer) else PruningContainer(hook)
            hook.add_pruning_method(method)
            del module._forward_pre_hooks[found[0]]
        module.register_forward_pre_hook(hook)
        return hook

    def prune(self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Tensor | None = None) -> Tensor:
        """A tensor times the mask computed for it; no module is changed.

        Args:
            t: the tensor.
            default_mask: the mask until now; by default ones.
            importance_scores: how important each element is; by default ``t``.

        Raises:
            AssertionError: the scores have another shape.

        Example:
            >>> genesis.nn.utils.prune.L1Unstructured(amount=2).prune(genesis.tensor([3.0, -1.0, 0.5, -2.0]))
            tensor([ 3., -0.,  0., -2.])
        """
        return t * self.compute_mask(_scores(importance_scores, t, "t"),
                                     default_mask=ones_like(t) if default_mask is None else default_mask)

    def remove(self, module: Module) -> None:
        """Let the parameter, as it is pruned now, be trained itself; the hook is left to `remove`.

        It is the same object as ``name_orig`` was, so an optimizer goes on with it.

        Raises:
            AssertionError: the method was not applied to a module before.
        """
        name = self._named(module)
        pruned = self.apply_mask(module)
        if hasattr(module, name):
            delattr(module, name)
        orig = module._parameters.pop(name + "_orig")
        orig.data = pruned.data
        del module._buffers[name + "_mask"]
        setattr(module, name, orig)


def _prunes(hook: Any, name: str) -> bool:
    return isinstance(hook, BasePruningMethod) and hook._tensor_name == name


def _scores(given: Tensor | None, tensor: Tensor, name: str) -> Tensor:
    if given is None:
        return tensor
    if given.shape != tensor.shape:
        raise AssertionError(f"importance_scores must have the shape of {name}, {tuple(tensor.shape)}, "
                             f"not {tuple(given.shape)}")
    return given


class PruningContainer(BasePruningMethod):
    """The methods that pruned one parameter, in their order.

    Args:
        args: methods that were applied to a parameter of the same name.
    """

    def __init__(self, *args: BasePruningMethod):
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        if args:
            self._tensor_name = getattr(args[0], "_tensor_name", None)
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod) -> None:
        """Add a method at the end.

        Raises:
            TypeError: it is no `BasePruningMethod`.
            ValueError: it prunes a parameter of another name.
        """
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"a PruningContainer holds pruning methods, not {type(method).__name__}")
        if method._tensor_name != self._tensor_name:
            raise ValueError(f"this PruningContainer is for the parameter {self._tensor_name!r}, and the method for "
                             f"{method._tensor_name!r}")
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._pruning_methods)

    def __getitem__(self, idx: Any) -> Any:
        return self._pruning_methods[idx]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask that the last method makes of what ``default_mask`` leaves, combined with it.

        Raises:
            AttributeError: a structured method has no ``dim``.
            IndexError: its ``dim`` is out of range.
            ValueError: the method's ``PRUNING_TYPE`` is none of the three.
        """
        method = self._pruning_methods[-1]
        index: Any
        if method.PRUNING_TYPE == "unstructured":
            index = default_mask == 1
        elif method.PRUNING_TYPE == "structured":
            if not hasattr(method, "dim"):
                raise AttributeError(f"{type(method).__name__} prunes slices: it needs an attribute dim")
            dim = _counted(method.dim, t.ndim)
            left = default_mask.sum(dim=[d for d in range(t.ndim) if d != dim]) != 0
            index = (slice(None),) * dim + (left.nonzero().reshape(-1),)
        elif method.PRUNING_TYPE == "global":
            index = ...
        else:
            raise ValueError("PRUNING_TYPE must be 'unstructured', 'structured' or 'global', "
                             f"not {method.PRUNING_TYPE!r}")
        mask = default_mask.clone().to(dtype=t.dtype)
        mask[index] = method.compute_mask(t[index], default_mask=default_mask[index]).to(dtype=mask.dtype)
        return mask


def _checked(amount: Any) -> Any:
    """An amount, if it is a number of elements or a fraction of them."""
    if not isinstance(amount, numbers.Real):
        raise TypeError(f"amount must be an int or a float, not {amount!r}")
    number: Any = amount
    if number < 0 or (number > 1 and not isinstance(amount, numbers.Integral)):
        raise ValueError(f"amount must be a float from 0 to 1 or an int that is not negative, not {amount}")
    return amount


def _number(amount: Any, size: int) -> int:
    """How many of ``size`` elements or slices an amount is."""
    number = int(amount) if isinstance(amount, numbers.Integral) else round(amount * size)
    if number > size:
        raise ValueError(f"amount must be at most {size}, the number of what could be pruned, not {amount}")
    return number


def _counted(dim: int, ndim: int) -> int:
    """A dimension counted from the front."""
    if not -ndim <= dim < ndim:
        raise IndexError(f"dim must be from {-ndim} to {ndim - 1}, not {dim}")
    return dim % ndim


class Identity(BasePruningMethod):
    """Prunes nothing: the mask stays as it is."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The same mask."""
        return default_mask

    @classmethod
    def apply(cls, module: Module, name: str) -> BasePruningMethod:  # type: ignore[override]
        """See `BasePruningMethod.apply`."""
        return super().apply(module, name)


class _Elements(BasePruningMethod):
    """Prunes the elements that matter least."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: float):
        self.amount = _checked(amount)

    def _importance(self, t: Tensor) -> Tensor:
        raise NotImplementedError

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """A mask with so many zeros more.

        Raises:
            ValueError: there are fewer elements.
        """
        number = _number(self.amount, t.numel())
        mask = default_mask.clone().reshape(-1)
        if number:
            mask[self._importance(t.detach()).reshape(-1).topk(number, largest=False)[1]] = 0
        return mask.reshape(default_mask.shape)


class RandomUnstructured(_Elements):
    """Prunes elements that are drawn.

    Args:
        amount: how many of those left: a number as int, a fraction from 0 to 1 as float.

    Raises:
        TypeError: the amount is no number.
        ValueError: it is negative, or a fraction above 1.
    """

    def _importance(self, t: Tensor) -> Tensor:
        return rand_like(t)

    @classmethod
    def apply(cls, module: Module, name: str, amount: float) -> BasePruningMethod:  # type: ignore[override]
        """See `BasePruningMethod.apply`."""
        return super().apply(module, name, amount=amount)


class L1Unstructured(_Elements):
    """Prunes the elements with the smallest absolute values.

    Args:
        amount: how many of those left: a number as int, a fraction from 0 to 1 as float.

    Raises:
        TypeError: the amount is no number.
        ValueError: it is negative, or a fraction above 1.
    """

    def _importance(self, t: Tensor) -> Tensor:
        return t.abs()

    @classmethod
    def apply(cls, module: Module, name: str, amount: float,  # type: ignore[override]
              importance_scores: Tensor | None = None) -> BasePruningMethod:
        """See `BasePruningMethod.apply`."""
        return super().apply(module, name, amount=amount, importance_scores=importance_scores)


class _Slices(BasePruningMethod):
    """Prunes the slices that matter least."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, dim: int = -1):
        self.amount, self.dim = _checked(amount), dim

    def _importance(self, t: Tensor, dim: int) -> Tensor:
        """A number for each slice along a dimension, which is not negative."""
        raise NotImplementedError

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """A mask with so many slices of zeros more.

        Raises:
            IndexError: ``dim`` is out of range.
            ValueError: there are fewer slices, or the tensor has less than two dimensions.
        """
        if t.ndim < 2:
            raise ValueError("slices can be pruned of tensors with two dimensions or more, not of shape "
                             f"{tuple(t.shape)}")
        dim = _counted(self.dim, t.ndim)
        size = t.shape[dim]
        kept = self._importance(t.detach(), dim).topk(size - _number(self.amount, size))[1]
        mask = zeros_like(default_mask)
        mask[(slice(None),) * dim + (kept,)] = 1
        return mask * default_mask


class RandomStructured(_Slices):
    """Prunes slices that are drawn.

    Args:
        amount: how many of those left: a number as int, a fraction from 0 to 1 as float.
        dim: the dimension along which the slices follow each other.

    Raises:
        TypeError: the amount is no number.
        ValueError: it is negative, or a fraction above 1.
    """

    def _importance(self, t: Tensor, dim: int) -> Tensor:
        return rand(t.shape[dim], device=t.device)

    @classmethod
    def apply(cls, module: Module, name: str, amount: float,  # type: ignore[override]
              dim: int = -1) -> BasePruningMethod:
        """See `BasePruningMethod.apply`."""
        return super().apply(module, name, amount=amount, dim=dim)


class LnStructured(_Slices):
    """Prunes the slices with the smallest norms.

    Args:
        amount: how many of those left: a number as int, a fraction from 0 to 1 as float.
        n: the norm, as `genesis.norm` takes it: a number, infinite ones too, ``"fro"`` or ``"nuc"``.
        dim: the dimension along which the slices follow each other.

    Raises:
        TypeError: the amount is no number.
        ValueError: it is negative, or a fraction above 1.
    """

    def __init__(self, amount: float, n: float | str, dim: int = -1):
        super().__init__(amount, dim)
        self.n = n

    def _importance(self, t: Tensor, dim: int) -> Tensor:
        return t.norm(self.n, dim=[d for d in range(t.ndim) if d != dim])

    @classmethod
    def apply(cls, module: Module, name: str, amount: float, n: float | str, dim: int,  # type: ignore[override]
              importance_scores: Tensor | None = None) -> BasePruningMethod:
        """See `BasePruningMethod.apply`."""
        return super().apply(module, name, amount=amount, n=n, dim=dim, importance_scores=importance_scores)


class CustomFromMask(BasePruningMethod):
    """Prunes by a mask that is given.

    Args:
        mask: 1 where an element is kept, 0 where it is pruned; of any type.
    """

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor):
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The product of both masks.

        Raises:
            AssertionError: they have different shapes.
        """
        if default_mask.shape != self.mask.shape:
            raise AssertionError(f"the mask must have the parameter's shape, {tuple(default_mask.shape)}, "
                                 f"not {tuple(self.mask.shape)}")
        return default_mask * self.mask.to(dtype=default_mask.dtype)

    @classmethod
    def apply(cls, module: Module, name: str, mask: Tensor) -> BasePruningMethod:  # type: ignore[override]
        """See `BasePruningMethod.apply`."""
        return super().apply(module, name, mask=mask)
