"""Functions of several tensors: joining them, broadcasting them together, outer products."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from .autograd import apply
from .methods.support import numpy_names
from .ops import array
from .ops.array import normalize_axis
from .ops.views import Cat
from .tensor import Tensor


def _listed(name: str, tensors: Any) -> list[Tensor]:
    listed = list(tensors)
    for i, x in enumerate(listed):
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}() joins Tensors, but number {i} is {type(x).__name__}")
    if not listed:
        raise RuntimeError(f"{name}() needs at least one tensor")
    return listed


@numpy_names
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along a dimension.

    Args:
        tensors: of equal sizes in the other dimensions; types are promoted. Empty vectors, (0,), are skipped.
        dim: the dimension.

    Raises:
        RuntimeError: no tensors, or sizes that do not fit.
    """
    tensors = _listed("cat", tensors)
    solid = [x for x in tensors if x._array.shape != (0,)] or tensors[:1]
    first = solid[0].shape
    axis = normalize_axis(dim, len(first))
    for i, x in enumerate(solid):
        if not x.ndim or x.ndim != len(first) or (*x.shape[:axis], *x.shape[axis + 1:]) != (
                *first[:axis], *first[axis + 1:]):
            raise RuntimeError(f"cat() along dimension {axis}: tensor {i} has shape {tuple(x.shape)}, "
                               f"which does not fit {tuple(first)}")
    if len(solid) != len(tensors):
        if len(first) > 1:
            none: tuple[int, ...] = (*first[:axis], 0, *first[axis + 1:])
            solid += [x.reshape(none) for x in tensors if x._array.shape == (0,)
                      and math.prod(none[:axis] + none[axis + 1:]) > 0]
        else:
            solid = tensors
    result: Tensor = apply(Cat, *solid, axis=axis)
    return result


concat = concatenate = cat


@numpy_names
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension."""
    tensors = _listed("stack", tensors)
    shapes = {tuple(x.shape) for x in tensors}
    if len(shapes) != 1:
        raise RuntimeError(f"stack() needs tensors of one shape, got {sorted(shapes)}")
    axis = normalize_axis(dim, tensors[0].ndim + 1)
    return apply(Cat, *[x.unsqueeze(axis) for x in tensors], axis=axis)


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined side by side: along dimension 1, vectors along dimension 0."""
    tensors = [x if x.ndim else x.reshape(1) for x in _listed("hstack", tensors)]
    return cat(tensors, 0 if tensors[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined one below the other: along dimension 0, vectors as rows."""
    return cat([x if x.ndim > 1 else x.reshape(1, -1) for x in _listed("vstack", tensors)], 0)


row_stack = vstack


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined along dimension 2, matrices (m, n) as (m, n, 1), vectors (n,) as (1, n, 1)."""
    shaped = [x if x.ndim > 2 else x.reshape((1,) * (2 - x.ndim) * (x.ndim > 0) + (tuple(x.shape) or (1, 1)) + (1,))
              for x in _listed("dstack", tensors)]
    return cat(shaped, 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined along dimension 1, vectors as columns."""
    return cat([x if x.ndim > 1 else x.reshape(-1, 1) for x in _listed("column_stack", tensors)], 1)


@numpy_names
def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Parts of a dimension, of one size or of the sizes in a list; views."""
    result: tuple[Tensor, ...] = tensor.split(split_size_or_sections, dim)
    return result


def broadcast_shapes(*shapes: Any) -> Any:
    """The shape that all shapes broadcast to."""
    from .tensor import Size

    return Size(array.broadcast_shapes(*((s,) if isinstance(s, int) else tuple(s) for s in shapes)) if shapes else ())


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """Tensors expanded to the shape that all broadcast to; views."""
    listed = list(tensors[0]) if len(tensors) == 1 and not isinstance(tensors[0], Tensor) else list(tensors)
    shape = array.broadcast_shapes(*(x._array.shape for x in listed)) if listed else ()
    return tuple(x if x._array.shape == shape else x.expand(shape) for x in listed)


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Coordinates of a grid: tensor i varies along dimension i only; views.

    Args:
        tensors: vectors or 0-d tensors, one by one or in a list.
        indexing: ``"ij"``, or ``"xy"`` with the first two dimensions swapped. Without it, ``"ij"`` and a warning.
    """
    if indexing is None:
        warnings.warn("meshgrid() without indexing takes 'ij', NumPy's takes 'xy'; name it", stacklevel=2)
        indexing = "ij"
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f"indexing must be 'ij' or 'xy', not {indexing!r}")
    listed = list(tensors[0]) if len(tensors) == 1 and not isinstance(tensors[0], Tensor) else list(tensors)
    if not listed or any(x.ndim > 1 for x in listed):
        raise RuntimeError("meshgrid() needs at least one tensor, and vectors only")
    swap = indexing == "xy" and len(listed) > 1
    if swap:
        listed[:2] = listed[1::-1]
    sizes = tuple(x.numel() for x in listed)
    grids = [x.reshape((1,) * i + (-1,) + (1,) * (len(sizes) - 1 - i) if x.numel() else sizes).expand(sizes)
             for i, x in enumerate(listed)]
    if swap:
        grids[:2] = grids[1::-1]
    return tuple(grids)


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Rows and columns, (2, n), of the elements on and below a diagonal of a matrix."""
    import numpy as np

    from .tensor import tensor

    return tensor(np.stack(np.tril_indices(row, offset, col)).astype(np.int64), dtype=dtype, device=device)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Rows and columns, (2, n), of the elements on and above a diagonal of a matrix."""
    import numpy as np

    from .tensor import tensor

    return tensor(np.stack(np.triu_indices(row, offset, col)).astype(np.int64), dtype=dtype, device=device)


__all__ = ["broadcast_shapes", "broadcast_tensors", "cat", "column_stack", "concat", "concatenate", "dstack",
           "hstack", "meshgrid", "row_stack", "split", "stack", "tril_indices", "triu_indices",
           "vstack"]
