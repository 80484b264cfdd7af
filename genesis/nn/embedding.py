"""Embeddings: a learned vector for each of a number of indices."""

from __future__ import annotations

from typing import Any

from ..autograd import no_grad
from ..creation import empty
from ..tensor import Tensor
from . import functional as F
from . import init
from .functional.embedding import padding_row
from .module import Module
from .parameter import Parameter


class Embedding(Module):
    """A table of ``num_embeddings`` learned vectors, looked up by index.

    Args:
        num_embeddings: number of rows.
        embedding_dim: width of a row.
        padding_idx: a row of zeros that gets no gradient; negative ones count from the end.
        max_norm: rows that are looked up and have a larger norm are first scaled to it, in place.
        norm_type: the p of that norm.
        scale_grad_by_freq: divide each row's gradient by how often the row was looked up.
        sparse: accepted for PyTorch's sake; gradients are dense.
        _weight: the table to start from.
        _freeze: whether the table takes no gradient.

    Attributes:
        weight: (num_embeddings, embedding_dim), drawn from the standard normal distribution.

    Example:
        >>> genesis.nn.Embedding(10, 3)(genesis.tensor([[1, 2], [4, 9]])).shape
        genesis.Size([2, 2, 3])
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None,
                 max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
                 sparse: bool = False, _weight: Tensor | None = None, _freeze: bool = False, device: Any = None,
                 dtype: Any = None):
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = padding_row(padding_idx, num_embeddings)
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        if _weight is None:
            self.weight = Parameter(empty(num_embeddings, embedding_dim, device=device, dtype=dtype),
                                    requires_grad=not _freeze)
            self.reset_parameters()
        else:
            if tuple(_weight.shape) != (num_embeddings, embedding_dim):
                raise ValueError(f"the weight has shape {tuple(_weight.shape)}, not "
                                 f"{(num_embeddings, embedding_dim)}")
            self.weight = Parameter(_weight, requires_grad=not _freeze)

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None,
                        max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
                        sparse: bool = False) -> Embedding:
        """An embedding on a given table (rows, width), which takes no gradient unless ``freeze`` is False."""
        if embeddings.ndim != 2:
            raise ValueError(f"a table of embeddings has two dimensions, not {embeddings.ndim}")
        rows, width = embeddings.shape
        return cls(rows, width, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, embeddings, freeze)

    def reset_parameters(self) -> None:
        """Draw the table anew; the padding row is 0."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0

    def forward(self, input: Tensor) -> Tensor:
        """Indices (...) -> (..., embedding_dim)."""
        return F.embedding(input, self.weight, self.padding_idx, self.max_norm, self.norm_type,
                           self.scale_grad_by_freq, self.sparse)

    def extra_repr(self) -> str:
        """The sizes, and what differs from the defaults."""
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        for name, usual in (("padding_idx", None), ("max_norm", None), ("norm_type", 2.0),
                            ("scale_grad_by_freq", False), ("sparse", False)):
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)}"
        return text
