"""Products and running results along a dimension, put together from operations on parts of it.

They are what derivatives of those operations that have kernels of their own are derived from, and the operations
themselves where the elements are complex: some launches more, and derivatives of all orders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .autograd import apply
from .ops.views import Cat


def product(x: Any, axis: int) -> Any:
    """The product along a dimension, which stays with size 1; of at least one element. Memory of its own.

    Halves are multiplied until one element is left.
    """
    if x._array.shape[axis] == 1:
        return x.clone()
    while (n := x._array.shape[axis]) > 1:
        half = n // 2
        joined = x.narrow(axis, 0, half) * x.narrow(axis, half, half)
        x = apply(Cat, joined, x.narrow(axis, n - 1, 1), axis=axis) if n % 2 else joined
    return x


def running(x: Any, axis: int, join: Callable[[Any, Any], Any]) -> Any:
    """What an associative operation makes of the elements up to each one. Memory of its own.

    By doubling: each step joins what stands so many places before, so that elements may be 0.

    Args:
        x: tensor.
        axis: dimension.
        join: takes an element and what comes before it.
    """
    n, step = x._array.shape[axis] if x.ndim else 1, 1
    if n <= 1:
        return x.clone()
    while step < n:
        later = join(x.narrow(axis, step, n - step), x.narrow(axis, 0, n - step))
        x, step = apply(Cat, x.narrow(axis, 0, step), later, axis=axis), 2 * step
    return x
