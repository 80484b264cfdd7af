"""`autograd.Function`s in autocast: which precision their forward and backward see."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..autograd import casting
from ..dtypes import DType, as_dtype, float64
from ..tensor import Tensor
from .autocast_mode import autocast


def custom_fwd(fwd: Callable[..., Any] | None = None, *, device_type: Any = None,
               cast_inputs: DType | None = None) -> Callable[..., Any]:
    """Decorate ``forward`` of a `genesis.autograd.Function` for use in autocast; `custom_bwd` its ``backward``.

    Args:
        fwd: the function; without it, a decorator is returned.
        device_type: accepted as PyTorch has it; all devices are treated alike.
        cast_inputs: in autocast, floating-point tensors among the arguments (in lists, tuples and dicts, too) are
            converted to this type, but for float64, and the body runs without autocast. If None, the body runs as its
            surroundings do.

    Example:
        >>> class Product(genesis.autograd.Function):
        ...     @staticmethod
        ...     @genesis.amp.custom_fwd(cast_inputs=genesis.float32)
        ...     def forward(ctx, a, b):
        ...         ctx.save_for_backward(a, b)
        ...         return a @ b
        ...     @staticmethod
        ...     @genesis.amp.custom_bwd
        ...     def backward(ctx, g):
        ...         a, b = ctx.saved_tensors
        ...         return g @ b.T, a.T @ g
        >>> with genesis.autocast():
        ...     print(Product.apply(genesis.ones(2, 2), genesis.eye(2).half()).dtype)
        genesis.float32
    """
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)
    function, wanted = fwd, None if cast_inputs is None else as_dtype(cast_inputs)

    @functools.wraps(function)
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        on = casting.enabled()
        ctx._region = on and wanted is None, casting.state.dtype
        if wanted is None or not on:
            return function(ctx, *args, **kwargs)
        with autocast(enabled=False):
            return function(ctx, *_converted(args, wanted), **_converted(kwargs, wanted))

    return forward


def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: Any = None) -> Callable[..., Any]:
    """Decorate ``backward`` of a `genesis.autograd.Function`: autocast is on or off there as it was for forward's body.

    Args:
        bwd: the function; without it, a decorator is returned.
        device_type: accepted as PyTorch has it; all devices are treated alike.
    """
    if bwd is None:
        return custom_bwd
    function = bwd

    @functools.wraps(function)
    def backward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        enabled, dtype = ctx._region
        with autocast(enabled=enabled, dtype=dtype):
            return function(ctx, *args, **kwargs)

    return backward


def _converted(value: Any, dtype: DType) -> Any:
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() and value.dtype is not float64 else value
    if isinstance(value, dict):
        return {key: _converted(item, dtype) for key, item in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(_converted(item, dtype) for item in value)
    return value
