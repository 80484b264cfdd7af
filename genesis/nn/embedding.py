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

__all__ = ["Embedding", "EmbeddingBag"]


def _check_table(weight: Tensor, rows: int, width: int) -> None:
    if tuple(weight.shape) != (rows, width):
        raise ValueError(f"the weight has shape {tuple(weight.shape)}, not {(rows, width)}")


def _draw(module: Module) -> None:
    init.normal_(module.weight)
    if module.padding_idx is not None:
        with no_grad():
            module.weight[module.padding_idx] = 0


class Embedding(Module):
    """A table of ``num_embeddings`` learned vectors, looked up by index.

    Args:
        num_embeddings: number of rows.
        embedding_dim: width of a row.
        padding_idx: a row of zeros that gets no gradient; negative ones count from the end.
        max_norm: rows that are looked up and have a larger norm are first scaled to it, in place.
        norm_type: the p of that norm.
        scale_grad_by_freq: divide each row's gradient by how often the row was looked up.
        sparse: let the weight's gradient have the rows alone that were looked up; see `functional.embedding`.
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
            _check_table(_weight, num_embeddings, embedding_dim)
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
        _draw(self)

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


class EmbeddingBag(Module):
    """The sum, mean or maximum of the rows of a table that bags of indices name.

    Args:
        num_embeddings: number of rows.
        embedding_dim: width of a row.
        max_norm: rows that are looked up and have a larger norm are first scaled to it, in place.
        norm_type: the p of that norm.
        scale_grad_by_freq: divide each row's gradient by how often the row was looked up; not for the maximum.
        mode: ``"sum"``, ``"mean"`` or ``"max"``.
        sparse: let the weight's gradient have the rows alone that were looked up; see `functional.embedding`. Not for
            the maximum.
        _weight: the table to start from.
        include_last_offset: whether offsets end with the end of the last bag.
        padding_idx: a row of zeros that counts for nothing and gets no gradient; negative ones count from the end.

    Attributes:
        weight: (num_embeddings, embedding_dim), drawn from the standard normal distribution.

    Example:
        >>> bags = genesis.nn.EmbeddingBag(10, 3, mode="sum")
        >>> bags(genesis.tensor([1, 2, 4, 9]), genesis.tensor([0, 3])).shape
        genesis.Size([2, 3])
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, max_norm: float | None = None, norm_type: float = 2.0,
                 scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False,
                 _weight: Tensor | None = None, include_last_offset: bool = False, padding_idx: int | None = None,
                 device: Any = None, dtype: Any = None):
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.max_norm, self.norm_type, self.scale_grad_by_freq = max_norm, norm_type, scale_grad_by_freq
        self.padding_idx = padding_row(padding_idx, num_embeddings)
        self.mode, self.sparse, self.include_last_offset = mode, sparse, include_last_offset
        if _weight is None:
            self.weight = Parameter(empty(num_embeddings, embedding_dim, device=device, dtype=dtype))
            self.reset_parameters()
        else:
            _check_table(_weight, num_embeddings, embedding_dim)
            self.weight = Parameter(_weight)

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, max_norm: float | None = None,
                        norm_type: float = 2.0, scale_grad_by_freq: bool = False, mode: str = "mean",
                        sparse: bool = False, include_last_offset: bool = False,
                        padding_idx: int | None = None) -> EmbeddingBag:
        """One on a given table (rows, width), which takes no gradient unless ``freeze`` is False."""
        if embeddings.ndim != 2:
            raise ValueError(f"a table of embeddings has two dimensions, not {embeddings.ndim}")
        rows, width = embeddings.shape
        made = cls(rows, width, max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings, include_last_offset,
                   padding_idx)
        made.weight.requires_grad_(not freeze)
        return made

    def reset_parameters(self) -> None:
        """Draw the table anew; the padding row is 0."""
        _draw(self)

    def forward(self, input: Tensor, offsets: Tensor | None = None,
                per_sample_weights: Tensor | None = None) -> Tensor:
        """Bags as `genesis.nn.functional.embedding_bag` takes them -> (B, embedding_dim)."""
        return F.embedding_bag(input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq,
                               self.mode, self.sparse, per_sample_weights, self.include_last_offset, self.padding_idx)

    def extra_repr(self) -> str:
        """The sizes, the mode, and what differs from the defaults."""
        parts = [f"{self.num_embeddings}, {self.embedding_dim}"]
        parts += [f"{name}={getattr(self, name)}" for name, usual in (("max_norm", None), ("norm_type", 2.0), (
            "scale_grad_by_freq", False)) if getattr(self, name) != usual]
        parts.append(f"mode={self.mode!r}")
        return ", ".join(parts + ([] if self.padding_idx is None else [f"padding_idx={self.padding_idx}"]))
