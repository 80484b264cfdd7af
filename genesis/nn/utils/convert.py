"""Parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from ...functions import cat
from ...tensor import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters, flattened and joined: shape (total number of elements,)."""
    return cat([x.reshape(-1) for x in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy a vector's parts into parameters, in the order of `parameters_to_vector`.

    Raises:
        TypeError: ``vec`` is not a tensor.
        ValueError: it has not as many elements as the parameters together; nothing is changed then.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected a Tensor, got {type(vec).__name__}")
    listed = list(parameters)
    total = sum(x.numel() for x in listed)
    if tuple(vec.shape) != (total,):
        raise ValueError(f"the parameters need a vector of {total} elements, got shape {tuple(vec.shape)}")
    start = 0
    for x in listed:
        x._assign(vec.detach()[start:start + x.numel()].reshape(x.shape).to(x.device))
        start += x.numel()
