"""What the functions of linear algebra share."""

from __future__ import annotations

from typing import Any

from ..ops.array import broadcast_shapes
from ..tensor import Tensor


class LinAlgError(RuntimeError):
    """A matrix has not what was asked for: it is singular, or not positive definite."""


def matrices(name: str, *tensors: Any, square: bool = False) -> None:
    """``RuntimeError`` unless tensors are batches of (square) matrices of one type that has factorizations."""
    for x in tensors:
        if x.ndim < 2:
            raise RuntimeError(f"{name}() needs matrices, at least two dimensions, not shape {tuple(x.shape)}")
        if not x.dtype.has_gradients or x.dtype.itemsize < 4:
            raise RuntimeError(f"{name}() needs float32 or float64, or complex numbers of these, not {x.dtype}; "
                               "convert to float32")
        if x.dtype is not tensors[0].dtype:
            raise RuntimeError(f"{name}() needs matrices of one type, not {tensors[0].dtype} and {x.dtype}")
    if square and tensors[0].shape[-1] != tensors[0].shape[-2]:
        raise RuntimeError(f"{name}() needs square matrices, not shape {tuple(tensors[0].shape)}")


def batched(a: Any, b: Any) -> tuple[Any, Any]:
    """Two batches of matrices broadcast to one batch."""
    shape = broadcast_shapes(tuple(a.shape[:-2]), tuple(b.shape[:-2]))
    return a.expand(*shape, *a.shape[-2:]), b.expand(*shape, *b.shape[-2:])


def diagonal_of(x: Any) -> Any:
    """The diagonals of the last two dimensions."""
    return x.diagonal(0, -2, -1)


def hermitian(x: Any, upper: bool = False) -> Any:
    """The symmetric matrices, or Hermitian ones of complex numbers, with a triangle of others."""
    part = x.triu(1) if upper else x.tril(-1)
    return part + part.mH + diagonal_of(x).real.diag_embed()


def part_type(x: Any) -> Any:
    """The type of an element, or of a complex one's real part."""
    return x.dtype.to_real() if x.dtype.is_complex else x.dtype


def wrap(array: Any) -> Any:
    """A tensor without history on an array."""
    return Tensor._wrap(array)
