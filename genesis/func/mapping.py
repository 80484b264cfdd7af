"""Functions of one example, for a batch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from ..functions import stack
from ..random import default_generator
from ..tensor import Tensor


def vmap(func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *,
         chunk_size: int | None = None) -> Callable[..., Any]:
    """The function that takes a batch of what ``func`` takes one of.

    It calls ``func`` once for each and stacks the results: any function will do, and it costs what so many calls cost.
    Operations that take batches themselves are quicker.

    Args:
        func: takes and returns tensors, alone or in dicts, lists and tuples.
        in_dims: the batch's dimension in each positional argument: a number for all, or a tuple, in which numbers, None
            (for all alike) or dicts, lists and tuples of them stand for arguments. Keyword arguments have it in front.
        out_dims: where it goes in the result; likewise.
        randomness: ``"error"``: random numbers are an error; ``"different"`` ones for each, or the ``"same"`` for all.
        chunk_size: accepted as PyTorch has it.

    Raises:
        ValueError: another ``randomness``; from that function, if there is no batch, or it is empty, or sizes differ.
        RuntimeError: from it, if ``func`` draws random numbers where ``randomness`` is ``"error"``.
        TypeError: from it, if ``func`` returns something else.

    Example:
        >>> slopes = genesis.func.vmap(genesis.func.grad(lambda x: x ** 2))
        >>> slopes(genesis.tensor([1.0, 2.0, 3.0]))
        tensor([2., 4., 6.])
    """
    if randomness not in ("error", "different", "same"):
        raise ValueError(f"randomness must be 'error', 'different' or 'same', not {randomness!r}")

    @functools.wraps(func)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        dims = tuple(in_dims) if isinstance(in_dims, tuple | list) else (in_dims,) * len(args)
        if len(dims) != len(args):
            raise ValueError(f"in_dims has {len(dims)} entries for {len(args)} positional arguments")
        sizes: set[int] = set()

        def measure(x: Tensor, dim: int) -> Tensor:
            if not -x.ndim <= dim < x.ndim:
                raise ValueError(f"vmap: there is no dimension {dim} in a tensor of shape {tuple(x.shape)}")
            sizes.add(x.shape[dim])
            return x

        _along(measure, args, dims)
        _along(measure, kwargs, 0)
        if len(sizes) != 1:
            raise ValueError(f"vmap: all tensors need one size in the mapped dimension, got {sorted(sizes)}" if sizes
                             else "vmap: no tensor among the arguments has a dimension to map over")
        (size,) = sizes
        if size == 0:
            raise ValueError("vmap: the mapped dimension is empty, and nothing tells the shape of the result")
        results, state = [], default_generator.get_state()
        for i in range(size):
            if randomness == "same":
                default_generator.set_state(state)
            pick = functools.partial(_pick, i)
            results.append(func(*_along(pick, args, dims), **_along(pick, kwargs, 0)))
            if randomness == "error" and default_generator.get_state() != state:
                raise RuntimeError("vmap: the function draws random numbers; say randomness='different' or 'same'")
        return _stacked(results, out_dims)

    return mapped


def _pick(i: int, x: Tensor, dim: int) -> Any:
    return x.select(dim, i)


def _along(function: Callable[[Tensor, int], Any], tree: Any, dims: Any) -> Any:
    """Dicts, lists and tuples with ``function(tensor, dim)`` for each tensor that a dimension stands for."""
    if dims is None:
        return tree
    if isinstance(tree, Tensor):
        return function(tree, dims)
    if isinstance(tree, Mapping):
        return {key: _along(function, value, dims[key] if isinstance(dims, Mapping) else dims)
                for key, value in tree.items()}
    if not isinstance(tree, list | tuple):
        return tree
    each = dims if isinstance(dims, list | tuple) else [dims] * len(tree)
    if len(each) != len(tree):
        raise ValueError(f"vmap: {len(each)} dimensions stand for {len(tree)} parts of an argument")
    parts = [_along(function, part, dim) for part, dim in zip(tree, each)]
    return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)


def _stacked(results: list[Any], dims: Any) -> Any:
    first = results[0]
    if dims is None:
        return first
    if isinstance(first, Tensor):
        return stack(results, dims)
    if isinstance(first, Mapping):
        return {key: _stacked([result[key] for result in results], dims[key] if isinstance(dims, Mapping) else dims)
                for key in first}
    if not isinstance(first, list | tuple):
        raise TypeError(f"vmap: the function must return tensors, not {type(first).__name__}")
    each = dims if isinstance(dims, list | tuple) else [dims] * len(first)
    if len(each) != len(first):
        raise ValueError(f"vmap: out_dims has {len(each)} entries for {len(first)} results")
    parts = [_stacked(list(some), dim) for some, dim in zip(zip(*results), each)]
    return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
