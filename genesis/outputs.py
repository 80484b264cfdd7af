"""Results that go into tensors which are there already: ``out=``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .autograd import is_grad_enabled
from .dtypes import can_cast
from .tensor import Tensor


def into(name: str, out: Any, function: Callable[..., Any], input: Any, args: tuple[Any, ...],
         kwargs: dict[str, Any]) -> Any:
    """Write what a function computes into a tensor, or several results into a tuple of them, and return that.

    Raises:
        RuntimeError: gradients are recorded for one of the tensors, or a result does not fit.
    """
    if out is None:
        return function(input, *args, **kwargs)
    targets = tuple(out) if isinstance(out, tuple | list) else (out,)
    if not all(isinstance(x, Tensor) for x in targets):
        raise TypeError(f"{name}(): out must be a tensor or a tuple of tensors, not {out!r}")
    known = (input, *args, *kwargs.values(), *targets)
    if is_grad_enabled() and any(isinstance(x, Tensor) and x.requires_grad for x in known):
        raise RuntimeError(f"{name}(): out= does not go with gradients; leave it out, or compute within no_grad()")
    found = function(input, *args, **kwargs)
    results = found if isinstance(found, tuple) else (found,)
    if len(results) != len(targets):
        raise RuntimeError(f"{name}(): {len(results)} results need as many tensors as out, not {len(targets)}")
    for target, result in zip(targets, results):
        if not can_cast(result.dtype, target.dtype):
            raise RuntimeError(f"{name}(): a result of {result.dtype} does not go into {target.dtype}")
        if target.numel() == 0:
            target.resize_(result.shape)
        elif target.shape != result.shape:
            raise RuntimeError(f"{name}(): out has shape {tuple(target.shape)}, the result {tuple(result.shape)}")
        target.copy_(result)
    return out
