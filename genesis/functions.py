"""Functions on tensors at the top level of genesis: those of the methods, and those that take several tensors."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from .autograd import apply, same_device
from .combining import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    block_diag,
    cartesian_prod,
    cdist,
    combinations,
    cumulative_trapezoid,
    gradient,
    isin,
    trapezoid,
    trapz,
    vander,
)
from .contraction import einsum, tensordot
from .dtypes import int32, int64
from .joining import (
    broadcast_shapes,
    broadcast_tensors,
    cat,
    column_stack,
    concat,
    concatenate,
    dstack,
    hstack,
    meshgrid,
    row_stack,
    split,
    stack,
    tril_indices,
    triu_indices,
    vstack,
)
from .methods import FAMILIES, TensorMethods
from .ops.binary import FloorDivide, TruncDivide, Xlogy
from .ops.embedding import Embedding
from .ops.search import belongs
from .ops.ternary import Where
from .outputs import into
from .tensor import Tensor, tensor


def _divided(x: Any, y: Tensor, *, rounding_mode: str | None = None) -> Any:
    if rounding_mode == "trunc":
        return apply(TruncDivide, x, y)
    if rounding_mode not in (None, "floor"):
        raise RuntimeError(f"rounding_mode must be None, 'floor' or 'trunc', not {rounding_mode!r}")
    return x / y if rounding_mode is None else apply(FloorDivide, x, y)


# Functions of two operands of which the first may be a number while the second is a tensor.
NUMBER_FIRST: dict[str, Callable[..., Any]] = {
    "add": lambda x, y, *, alpha=1: x + (y if alpha == 1 else y * alpha), "mul": operator.mul, "multiply": operator.mul,
    "sub": lambda x, y, *, alpha=1: x - (y if alpha == 1 else y * alpha),
    "div": _divided, "divide": _divided, "true_divide": operator.truediv, "floor_divide": operator.floordiv,
    "pow": operator.pow, "remainder": operator.mod, "bitwise_and": operator.and_, "bitwise_or": operator.or_,
    "bitwise_xor": operator.xor, "bitwise_left_shift": operator.lshift, "bitwise_right_shift": operator.rshift,
    "xlogy": lambda x, y: apply(Xlogy, x, y), "float_power": lambda x, y: tensor(x, device=y.device).float_power(y)}
NUMBER_FIRST["subtract"] = NUMBER_FIRST["sub"]


def _of_method(name: str) -> Callable[..., Any]:
    method = getattr(TensorMethods, name)

    def function(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        if kwargs and "out" in kwargs:
            return into(name, kwargs.pop("out"), function, input, args, kwargs)
        if not isinstance(input, Tensor):
            return _of_number(name, input, args, kwargs)
        return getattr(input, name)(*args, **kwargs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (f"{method.__doc__ or name}\n\n    The same as ``input.{name}(...)``; ``out`` takes a tensor "
                        "for the result.\n    ")
    return function


def _of_number(name: str, number: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What PyTorch has of a number and a tensor, too: ``pow(10000, x)``."""
    given = dict(kwargs)
    other = args[0] if args else given.pop("exponent", given.pop("other", None))
    if name in NUMBER_FIRST and isinstance(number, bool | int | float | complex) and isinstance(other, Tensor):
        return NUMBER_FIRST[name](number, other, *args[1:], **given)
    if name in ("isfinite", "isinf", "isnan") and isinstance(number, float):     # the norm that clipping returns
        return getattr(tensor(number), name)()
    raise TypeError(f"{name}() works on a Tensor, not on {type(number).__name__}")


OF_METHODS = sorted(name for family in FAMILIES for name in family.FUNCTIONS.split())
globals().update({name: _of_method(name) for name in OF_METHODS})


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """``input`` where the condition holds, ``other`` elsewhere; both may be numbers.

    Without them, the places where the condition holds: ``condition.nonzero(as_tuple=True)``.

    Raises:
        TypeError: only one of them is given.

    Example:
        >>> genesis.where(genesis.tensor([True, False, True]))
        (tensor([0, 2]),)
    """
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if input is None or other is None:
        raise TypeError("where() takes both input and other, or neither")
    return apply(Where, condition, *(tensor(x, device=condition.device) if isinstance(x, complex) else x
                                     for x in (input, other)))


def embedding(weight: Tensor, indices: Tensor, padding_idx: int = -1, scale_grad_by_freq: bool = False,
              sparse: bool = False) -> Tensor:
    """Rows of a table at indices: `genesis.nn.functional.embedding` with PyTorch's other order of arguments.

    Args:
        weight: (rows, width).
        indices: int64 or int32 in [0, rows), any shape.
        padding_idx: a row that gets no gradient; a negative number: none.
        scale_grad_by_freq: divide each row's gradient by how often the row was looked up.
        sparse: let the weight's gradient have the rows alone that were looked up; see `nn.functional.embedding`.

    Raises:
        RuntimeError: the weight is no matrix, or the indices are no integers.
        DeviceIndexError: an index is out of range; see there for when.
    """
    if weight.ndim != 2:
        raise RuntimeError(f"embedding() needs a weight (rows, width), not of shape {tuple(weight.shape)}")
    if indices.dtype not in (int64, int32):
        raise RuntimeError(f"embedding() needs int64 or int32 indices, not {indices.dtype}")
    same_device(weight, indices)
    padding = None if padding_idx < 0 else padding_idx
    if padding is not None and padding >= weight.shape[0]:
        raise RuntimeError(f"padding_idx must lie within the {weight.shape[0]} rows, got {padding}")
    result: Tensor = apply(Embedding, weight, index=indices._array, padding=padding, by_frequency=scale_grad_by_freq)
    return result


def searchsorted(sorted_sequence: Tensor, input: Any, *, out_int32: bool = False, right: bool = False,
                 side: str | None = None, sorter: Tensor | None = None) -> Tensor:
    """Where values belong in sorted rows: how many elements come before each.

    Args:
        sorted_sequence: rising vector (n,), or (..., n) with the leading dimensions of the values.
        input: values, any shape for a vector, else (..., m); or a number.
        out_int32: give int32 instead of int64.
        right: count equal elements too.
        side: ``"left"`` or ``"right"``, the same choice by name.
        sorter: int64 indices that sort the sequence, if it is not sorted.

    Raises:
        RuntimeError: shapes or types do not fit, or ``right`` and ``side`` contradict each other.

    Example:
        >>> genesis.searchsorted(genesis.tensor([1, 3, 5]), genesis.tensor([3, 6]))
        tensor([1, 3])
    """
    if side not in (None, "left", "right") or (side == "left" and right):
        raise RuntimeError(f"searchsorted() takes side 'left' or 'right', not contradicting right; got {side!r}")
    if sorter is not None:
        sorted_sequence = sorted_sequence.gather(-1, sorter)
    if not isinstance(input, Tensor):
        input = tensor(input, dtype=sorted_sequence.dtype, device=sorted_sequence.device)
    same_device(sorted_sequence, input)
    if sorted_sequence.dtype is not input.dtype:
        raise RuntimeError(f"searchsorted() needs one type, not {sorted_sequence.dtype} and {input.dtype}")
    if not sorted_sequence.ndim or (sorted_sequence.ndim > 1 and sorted_sequence.shape[:-1] != input.shape[:-1]):
        raise RuntimeError(f"searchsorted(): a sequence of shape {tuple(sorted_sequence.shape)} does not fit values of "
                           f"shape {tuple(input.shape)}")
    found = Tensor._wrap(belongs(sorted_sequence._array, input._array, right or side == "right"))
    return found.int() if out_int32 else found


def polygamma(n: int, input: Tensor) -> Tensor:
    """The ``n``-th derivative of `digamma`, the same as ``input.polygamma(n)``."""
    return input.polygamma(n)


def is_tensor(obj: Any) -> bool:
    """Whether an object is a Tensor."""
    return isinstance(obj, Tensor)


__all__ = [*OF_METHODS, "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_shapes",
           "broadcast_tensors", "cartesian_prod", "cat", "cdist", "column_stack", "combinations", "concat",
           "concatenate", "cumulative_trapezoid", "dstack", "einsum", "embedding", "gradient", "hstack", "is_tensor",
           "isin", "meshgrid", "polygamma", "row_stack", "searchsorted", "split", "stack", "tensordot", "trapezoid",
           "trapz", "tril_indices", "triu_indices", "vander", "vstack", "where"]
