"""Embeddings and one-hot vectors."""

from __future__ import annotations

from ... import dtypes
from ...autograd import apply, no_grad, same_device
from ...complex_numbers import view_as_complex, view_as_real
from ...creation import arange
from ...joining import stack
from ...ops.bounds import Bounds
from ...ops.embedding import Embedding, SparseEmbedding
from ...ops.index import joined_indices
from ...tensor import Tensor


def padding_row(padding_idx: int | None, rows: int) -> int | None:
    """The padding row counted from the front.

    Raises:
        ValueError: there is no such row.
    """
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise ValueError(f"padding_idx must lie within the {rows} embeddings, got {padding_idx}")
    return padding_idx % rows


def prepare(input: Tensor, weight: Tensor, max_norm: float | None, norm_type: float) -> None:
    """Check the arguments of `embedding`, and scale the rows that are looked up and have a larger norm to it."""
    if weight.ndim != 2:
        raise RuntimeError(f"an embedding's weight is (rows, width), not of shape {tuple(weight.shape)}")
    if input.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(f"embedding() needs int64 or int32 indices, not {input.dtype}")
    same_device(input, weight)
    if max_norm is not None and input.numel():
        with no_grad():
            used = input.unique()
            part = weight[used]
            norms = part.norm(norm_type, 1, True)
            weight[used] = (part * (max_norm / (norms + 1e-7))).where(norms > max_norm, part)


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
              norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False) -> Tensor:
    """Rows of a table at indices.

    Args:
        input: int64 or int32 indices in [0, rows), any shape.
        weight: (rows, width), of a floating-point or complex type.
        padding_idx: a row that gets no gradient; negative ones count from the end.
        max_norm: rows that are looked up and have a larger norm are first scaled to it, in place.
        norm_type: the p of that norm.
        scale_grad_by_freq: divide each row's gradient by how often the row was looked up.
        sparse: let the gradient of a table that is a leaf consist of the rows that were looked up, so that neither it
            nor the step of an optimizer that takes it (`SparseAdam`, `SGD`, `Adagrad`) costs more with a longer table;
            see `genesis.sparse.SparseTensor`. Backward with ``create_graph`` gives a dense one.

    Returns:
        (..., width) for an input of shape (...); 0 where an index is out of range.

    Raises:
        DeviceIndexError: an index is out of range; see there for when.
        RuntimeError: the input holds no integers, the weight is no matrix; in backward, ``scale_grad_by_freq`` with
            ``sparse``.
        ValueError: ``padding_idx`` names no row.

    Example:
        >>> weight = genesis.tensor([[0.0, 1.0], [2.0, 3.0]])
        >>> genesis.nn.functional.embedding(genesis.tensor([1, 1, 0]), weight).tolist()
        [[2.0, 3.0], [2.0, 3.0], [0.0, 1.0]]
    """
    prepare(input, weight, max_norm, norm_type)
    padding = padding_row(padding_idx, weight.shape[0])
    if weight.is_complex():          # rows of twice as many real numbers
        table = view_as_real(weight).flatten(1)
        found = embedding(input, table, padding_idx, scale_grad_by_freq=scale_grad_by_freq)
        return view_as_complex(found.unflatten(-1, (-1, 2)))
    kind = SparseEmbedding if sparse and weight.is_leaf else Embedding
    result: Tensor = apply(kind, weight, index=input._array, padding=padding, by_frequency=scale_grad_by_freq)
    return result


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Vectors of zeros with a one at each index: int64, (..., num_classes).

    Args:
        tensor: int64 indices, any shape.
        num_classes: number of classes; -1: one more than the largest index, which waits for the device.

    Returns:
        A vector of zeros for an index out of range.

    Raises:
        RuntimeError: ``num_classes`` is not positive, or an index is negative and it is -1.
        DeviceIndexError: an index is negative or not smaller than ``num_classes``; see there for when.

    Example:
        >>> genesis.nn.functional.one_hot(genesis.tensor([2, 0])).tolist()
        [[0, 0, 1], [1, 0, 0]]
    """
    if tensor.dtype is not dtypes.int64:
        raise RuntimeError(f"one_hot() needs int64 indices, not {tensor.dtype}")
    if num_classes == -1:
        if not tensor.numel():
            raise RuntimeError("one_hot() of no indices needs num_classes")
        least, most = (int(x) for x in stack(list(tensor.aminmax())).tolist())
        if least < 0:
            raise RuntimeError(f"one_hot() needs indices that are not negative, got {least}")
        num_classes = most + 1
    if num_classes < 1:
        raise RuntimeError(f"one_hot() needs at least one class, not {num_classes}")
    index = Tensor._wrap(joined_indices([tensor._array], [num_classes], Bounds("one_hot")))
    hot: Tensor = index.unsqueeze(-1).eq(arange(num_classes, device=tensor.device)).long()
    return hot
