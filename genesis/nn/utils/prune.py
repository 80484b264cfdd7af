"""Pruning: parameters of which a mask keeps some elements, with PyTorch's classes and functions.

A pruned parameter ``name`` is trained as ``name_orig``; the buffer ``name_mask`` holds 1 where an element is kept and 0
where it is pruned, and ``name`` is their product, made again before each forward. Pruning once more works on what is
left. Elements that are pruned get no gradient, but an optimizer with weight decay or momentum may still move them in
``name_orig``; ``name`` stays 0 there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from ...creation import ones_like
from ...tensor import Tensor
from ..module import Module
from .convert import parameters_to_vector
from .pruning import (
    BasePruningMethod,
    CustomFromMask,
    Identity,
    L1Unstructured,
    LnStructured,
    PruningContainer,
    RandomStructured,
    RandomUnstructured,
)

__all__ = ["BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured", "PruningContainer",
           "RandomStructured", "RandomUnstructured", "custom_from_mask", "global_unstructured", "identity", "is_pruned",
           "l1_unstructured", "ln_structured", "random_structured", "random_unstructured", "remove"]

T = TypeVar("T", bound=Module)


def identity(module: T, name: str) -> T:
    """Let a parameter be a pruned one of which nothing is pruned, with a mask of ones; returns the module."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: T, name: str, amount: float) -> T:
    """Prune drawn elements of a parameter; see `RandomUnstructured`.

    Args:
        module: changed in place.
        name: its parameter.
        amount: how many of the elements left: a number as int, a fraction from 0 to 1 as float.

    Returns:
        The module.
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: T, name: str, amount: float, importance_scores: Tensor | None = None) -> T:
    """Prune the elements of a parameter with the smallest absolute values; see `L1Unstructured`.

    Args:
        module: changed in place.
        name: its parameter.
        amount: how many of the elements left: a number as int, a fraction from 0 to 1 as float.
        importance_scores: values to choose by instead of the parameter's, in its shape.

    Returns:
        The module.

    Example:
        >>> prune = genesis.nn.utils.prune
        >>> layer = prune.l1_unstructured(genesis.nn.Linear(3, 2), "weight", amount=0.5)
        >>> list(layer.state_dict())
        ['bias', 'weight_orig', 'weight_mask']
        >>> int((layer.weight == 0).sum())
        3
        >>> list(prune.remove(layer, "weight").state_dict())
        ['bias', 'weight']
    """
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module: T, name: str, amount: float, dim: int) -> T:
    """Prune drawn slices of a parameter; see `RandomStructured`.

    Args:
        module: changed in place.
        name: its parameter.
        amount: how many of the slices left: a number as int, a fraction from 0 to 1 as float.
        dim: the dimension along which the slices follow each other.

    Returns:
        The module.
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(module: T, name: str, amount: float, n: float | str, dim: int,
                  importance_scores: Tensor | None = None) -> T:
    """Prune the slices of a parameter with the smallest norms; see `LnStructured`.

    Args:
        module: changed in place.
        name: its parameter.
        amount: how many of the slices left: a number as int, a fraction from 0 to 1 as float.
        n: the norm.
        dim: the dimension along which the slices follow each other.
        importance_scores: values to choose by instead of the parameter's, in its shape.

    Returns:
        The module.

    Example:
        >>> layer = genesis.nn.utils.prune.ln_structured(genesis.nn.Conv2d(4, 8, 3), "weight", amount=0.25, n=2, dim=0)
        >>> int((layer.weight_mask.sum(dim=(1, 2, 3)) == 0).sum())
        2
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def global_unstructured(parameters: Iterable[tuple[Module, str]], pruning_method: type[BasePruningMethod],
                        importance_scores: dict[tuple[Module, str], Tensor] | None = None, **kwargs: Any) -> None:
    """Prune several parameters as if they were one: the least elements of all of them.

    Args:
        parameters: pairs of a module and its parameter's name.
        pruning_method: a class with ``PRUNING_TYPE = "unstructured"``.
        importance_scores: tensors to choose by instead of the parameters, for some of the pairs.
        kwargs: arguments of the class, such as ``amount``: a number of elements or a fraction of all.

    Raises:
        TypeError: the parameters cannot be iterated over, the scores are no dict, or the method is of another type.

    Example:
        >>> net = genesis.nn.Sequential(genesis.nn.Linear(10, 4), genesis.nn.Linear(4, 1))
        >>> prune = genesis.nn.utils.prune
        >>> prune.global_unstructured([(layer, "weight") for layer in net], prune.L1Unstructured, amount=10)
        >>> sum(int((mask == 0).sum()) for mask in net.buffers())
        10
    """
    if not isinstance(parameters, Iterable):
        raise TypeError(f"global_unstructured() needs pairs of a module and a name, not {type(parameters).__name__}")
    if not isinstance(importance_scores, dict | None):
        raise TypeError("importance_scores must be a dict with pairs of a module and a name as its keys, not "
                        f"{type(importance_scores).__name__}")
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError("global_unstructured() prunes with methods of PRUNING_TYPE 'unstructured', and "
                        f"{pruning_method.__name__} has {method.PRUNING_TYPE!r}")
    pairs, given = list(parameters), importance_scores or {}
    tensors = [getattr(module, name) for module, name in pairs]
    scores = parameters_to_vector([given.get(pair, tensor) for pair, tensor in zip(pairs, tensors)])
    masks = parameters_to_vector([getattr(module, name + "_mask") if hasattr(module, name + "_mask")
                                  else ones_like(tensor) for (module, name), tensor in zip(pairs, tensors)])
    parts = PruningContainer(method).compute_mask(scores, masks).split([tensor.numel() for tensor in tensors])
    for (module, name), tensor, part in zip(pairs, tensors, parts):
        custom_from_mask(module, name, part.reshape(tensor.shape))


def custom_from_mask(module: T, name: str, mask: Tensor) -> T:
    """Prune a parameter by a mask; see `CustomFromMask`.

    Args:
        module: changed in place.
        name: its parameter.
        mask: 1 where an element is kept, 0 where it is pruned, in the parameter's shape.

    Returns:
        The module.

    Raises:
        AssertionError: the mask has another shape.

    Example:
        >>> layer = genesis.nn.utils.prune.custom_from_mask(genesis.nn.Linear(5, 3), "bias", genesis.tensor([0, 1, 0]))
        >>> layer.bias_mask
        tensor([0., 1., 0.])
    """
    CustomFromMask.apply(module, name, mask)
    return module


def remove(module: T, name: str) -> T:
    """Make the pruning of a parameter final: it is trained itself again, with zeros where it was pruned.

    Args:
        module: changed in place.
        name: its parameter.

    Returns:
        The module.

    Raises:
        ValueError: the parameter is not pruned.
    """
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"{name!r} of this {type(module).__name__} is not pruned")


def is_pruned(module: Module) -> bool:
    """Whether anything of a module, or of those below it, is pruned.

    Example:
        >>> layer = genesis.nn.Linear(5, 7)
        >>> prune = genesis.nn.utils.prune
        >>> prune.is_pruned(layer), prune.is_pruned(prune.random_unstructured(layer, "weight", amount=0.2))
        (False, True)
    """
    return any(isinstance(hook, BasePruningMethod)
               for below in module.modules() for hook in below._forward_pre_hooks.values())
