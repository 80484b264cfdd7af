"""Batches of sequences of different lengths: padded to equal length, or packed without padding.

Lengths are known to the host: lists, or tensors that are read once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...autograd import apply
from ...creation import empty
from ...functions import cat
from ...ops.array import upload
from ...ops.ragged import Ragged, Rearrange
from ...tensor import Tensor, tensor

__all__ = ["PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence",
           "pad_sequence", "unpack_sequence", "unpad_sequence"]


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Fields):
    """Sequences without padding: the first elements of all, then the second of all that have one, and so on.

    Made by `pack_padded_sequence` and `pack_sequence`; recurrent layers take it and return one. To change the elements,
    say by an embedding, give the new ones with the other fields:
    ``PackedSequence(embed(packed.data), *packed[1:])``.

    Attributes:
        data: (N, ...), the elements; N is the sum of the lengths.
        batch_sizes: int64 (T,): how many sequences have a first element, a second, and so on.
        sorted_indices: the sequences in order of falling length; None if they came so.
        unsorted_indices: where each sequence is in that order; None likewise.

    Example:
        >>> packed = genesis.nn.utils.rnn.pack_sequence([genesis.tensor([1, 2, 3]), genesis.tensor([4, 5])])
        >>> packed.data.tolist(), packed.batch_sizes.tolist()
        ([1, 4, 2, 5, 3], [2, 2, 1])
    """

    _rows: Ragged | None
    _order: np.ndarray | None

    def __new__(cls, data: Any, batch_sizes: Any = None, sorted_indices: Tensor | None = None,
                unsorted_indices: Tensor | None = None) -> PackedSequence:
        """Put the fields together; ``unsorted_indices`` follow from ``sorted_indices``."""
        if batch_sizes is None:
            if not (isinstance(data, list | tuple) and len(data) == 2):
                raise TypeError("PackedSequence needs data and batch_sizes; use pack_sequence or pack_padded_sequence")
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        self = super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)
        self._rows = self._order = None
        return self

    def _lay_out(self) -> Ragged:
        """Where the rows are; reads ``batch_sizes`` unless it was made from values of the host."""
        if self._rows is None:
            sizes = tuple(_whole(self.batch_sizes, "batch_sizes").tolist())
            self._rows = Ragged(sizes, sizes[0] if sizes else 0, self.data.device)
            if self._rows.total != self.data.shape[0]:
                raise RuntimeError(f"batch_sizes add up to {self._rows.total}, but data has {self.data.shape[0]} rows")
        return self._rows

    def _places(self) -> np.ndarray:
        """For each sequence its number in order of falling length; reads ``unsorted_indices`` likewise."""
        if self._order is None:
            batch = self._lay_out().batch
            self._order = (np.arange(batch) if self.unsorted_indices is None
                           else _whole(self.unsorted_indices, "unsorted_indices"))
        return self._order

    def _with(self, data: Tensor) -> PackedSequence:
        """The same sequences with other elements."""
        made = type(self)(data, *self[1:])
        made._rows, made._order = self._rows, self._order
        return made

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """With the elements converted as by `Tensor.to`; itself if nothing changes."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        if data.device is self.data.device:
            return self._with(data)
        return type(self)(data, *(None if x is None else x.to(data.device) for x in self[1:]))

    def cpu(self) -> PackedSequence:
        """On the CPU device."""
        return self.to(device="cpu")

    def float(self) -> PackedSequence:
        """With elements as float32."""
        return self._with(self.data.float())

    def double(self) -> PackedSequence:
        """With elements as float64."""
        return self._with(self.data.double())

    def half(self) -> PackedSequence:
        """With elements as float16."""
        return self._with(self.data.half())

    def long(self) -> PackedSequence:
        """With elements as int64."""
        return self._with(self.data.long())

    def int(self) -> PackedSequence:
        """With elements as int32."""
        return self._with(self.data.int())


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes one: int64 (n,); None for None.

    Example:
        >>> genesis.nn.utils.rnn.invert_permutation(genesis.tensor([2, 0, 1])).tolist()
        [1, 2, 0]
    """
    return None if permutation is None else permutation.argsort()


def pack_padded_sequence(input: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False,
                         enforce_sorted: bool = True) -> PackedSequence:
    """Pack a batch of padded sequences.

    Args:
        input: (T, B, ...), or (B, T, ...) if ``batch_first``.
        lengths: the length of each of the B sequences, from 1 to T.
        batch_first: how the input is laid out.
        enforce_sorted: whether the sequences must come in order of falling length; else they are put in order, and
            what undoes the packing restores theirs.

    Raises:
        RuntimeError: lengths that do not fit, or are not in order.

    Example:
        >>> padded = genesis.tensor([[1, 2, 0], [3, 4, 5]])
        >>> packed = genesis.nn.utils.rnn.pack_padded_sequence(padded, [2, 3], batch_first=True, enforce_sorted=False)
        >>> packed.data.tolist(), packed.sorted_indices.tolist()
        ([3, 1, 4, 2, 5], [1, 0])
    """
    if input.ndim < 2:
        raise RuntimeError(f"padded sequences have 2 dimensions or more, not {input.ndim}")
    if not input.numel():
        raise RuntimeError("cannot pack an empty tensor")
    steps, batch = input.shape[:2][::-1] if batch_first else input.shape[:2]
    found = _whole(lengths, "lengths")
    if found.shape != (batch,):
        raise RuntimeError(f"lengths must hold one number for each of {batch} sequences; its shape is {found.shape}")
    if found.max() > steps:
        raise RuntimeError(f"a length of {found.max()} is more than the {steps} elements of a padded sequence")
    by_step, by_sequence = (1, steps) if batch_first else (batch, 1)
    return _pack(input.flatten(0, 1), found, np.arange(batch) * by_sequence, by_step, enforce_sorted)


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences, each (L, ...) with a length L of its own.

    Args:
        sequences: tensors that differ in their first dimension only.
        enforce_sorted: as for `pack_padded_sequence`.

    Raises:
        RuntimeError: there are none, one is empty, or they are not in order.
    """
    sequences = _listed(sequences)
    lengths = np.array([x.shape[0] for x in sequences])
    return _pack(cat(sequences), lengths, np.cumsum(lengths) - lengths, 1, enforce_sorted)


def _pack(flat: Tensor, lengths: np.ndarray, starts: np.ndarray, by_step: int, enforce_sorted: bool) -> PackedSequence:
    """Pack rows, of which step t of sequence s is row ``starts[s] + t * by_step``."""
    if lengths.min() <= 0:
        raise RuntimeError(f"all lengths must be greater than 0, got {lengths.min()}")
    order = None
    if not enforce_sorted:
        order = np.argsort(-lengths, kind="stable")
        lengths, starts = lengths[order], starts[order]
    elif (np.diff(lengths) > 0).any():
        raise RuntimeError("sequences must be in order of falling length; with enforce_sorted=False they are put in it")
    device = flat.device
    sizes = (lengths[:, None] > np.arange(lengths[0])).sum(0)
    rows = Ragged(tuple(sizes.tolist()), len(lengths), device)
    step, sequence = rows.places
    data = _rearrange(flat, starts[sequence] + step * by_step)
    made = PackedSequence(data, tensor(sizes, device=device), None if order is None else tensor(order, device=device),
                          None if order is None else tensor(np.argsort(order), device=device))
    made._rows, made._order = rows, np.arange(len(lengths)) if order is None else np.argsort(order)
    return made


def pad_packed_sequence(sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0,
                        total_length: int | None = None) -> tuple[Tensor, Tensor]:
    """Undo `pack_padded_sequence`.

    Args:
        sequence: packed sequences.
        batch_first: whether the result is (B, T, ...) instead of (T, B, ...).
        padding_value: what fills the rest.
        total_length: T; by default the length of the longest sequence.

    Returns:
        The padded sequences, in the order in which they were packed, and their lengths, int64 (B,).

    Raises:
        ValueError: ``total_length`` is less than the longest sequence.
    """
    rows, places = sequence._lay_out(), sequence._places()
    steps = len(rows.sizes)
    if total_length is not None:
        if total_length < steps:
            raise ValueError(f"total_length must be at least {steps}, the length of the longest sequence, not "
                             f"{total_length}")
        steps = total_length
    lengths = rows.lengths[places]
    index = np.full((rows.batch, steps), rows.total)
    starts = np.asarray(rows.starts)
    for t, size in enumerate(rows.sizes):
        index[:, t] = np.where(places < size, starts[t] + places, rows.total)
    padded = _rearrange(sequence.data, index if batch_first else index.T, padding_value)
    return padded, tensor(lengths, device=sequence.data.device)


def pad_sequence(sequences: Tensor | Iterable[Tensor], batch_first: bool = False, padding_value: float = 0.0,
                 padding_side: str = "right") -> Tensor:
    """A batch of sequences, each (L, ...), padded to the length T of the longest.

    Args:
        sequences: tensors that differ in their first dimension only.
        batch_first: whether the result is (B, T, ...) instead of (T, B, ...).
        padding_value: what fills the rest.
        padding_side: ``"right"``, after the elements, or ``"left"``, before them.

    Raises:
        RuntimeError: there are none, they differ in other dimensions, or an unknown side.

    Example:
        >>> genesis.nn.utils.rnn.pad_sequence([genesis.tensor([1, 2, 3]), genesis.tensor([4])], True).tolist()
        [[1, 2, 3], [4, 0, 0]]
    """
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"padding_side must be 'left' or 'right', not {padding_side!r}")
    listed = _listed(sequences)
    lengths = np.array([x.shape[0] for x in listed])
    steps, ends = int(lengths.max()), np.cumsum(lengths)
    place = np.arange(steps) - (0 if padding_side == "right" else (steps - lengths)[:, None])
    index = np.where((place >= 0) & (place < lengths[:, None]), (ends - lengths)[:, None] + place, ends[-1])
    return _rearrange(cat(listed), index if batch_first else index.T, padding_value)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor | Sequence[int],
                   batch_first: bool = False) -> list[Tensor]:
    """Undo `pad_sequence`: views of the sequences.

    Args:
        padded_sequences: (T, B, ...), or (B, T, ...) if ``batch_first``.
        lengths: the length of each of the B sequences.
        batch_first: how the sequences are laid out.

    Raises:
        ValueError: more or fewer lengths than sequences.
    """
    x = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    wanted = _whole(lengths, "lengths").tolist()
    if len(wanted) != x.shape[0]:
        raise ValueError(f"lengths must hold one number for each of {x.shape[0]} sequences, not {len(wanted)}")
    return [x[i, :length] for i, length in enumerate(wanted)]


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """Undo `pack_sequence`.

    Example:
        >>> rnn = genesis.nn.utils.rnn
        >>> packed = rnn.pack_sequence([genesis.tensor([1, 2]), genesis.tensor([3, 4, 5])], enforce_sorted=False)
        >>> [x.tolist() for x in rnn.unpack_sequence(packed)]
        [[1, 2], [3, 4, 5]]
    """
    rows, places = packed_sequences._lay_out(), packed_sequences._places()
    lengths, starts = rows.lengths[places].tolist(), np.asarray(rows.starts)
    index = np.concatenate([starts[:length] + place for length, place in zip(lengths, places)])
    return list(_rearrange(packed_sequences.data, index).split(lengths))


def _rearrange(x: Tensor, index: np.ndarray, fill: float = 0.0) -> Tensor:
    """Rows of x at the indices, none of which comes twice, except that ``len(x)`` stands for ``fill``."""
    flat, n = index.ravel(), x.shape[0]
    shape = (*index.shape, *x.shape[1:])
    if not x.numel():
        return empty(*shape, dtype=x.dtype, device=x.device).fill_(fill)
    inverse = np.full(n + 1, flat.size)
    inverse[flat] = np.arange(flat.size)
    result: Tensor = apply(Rearrange, x, index=upload(x.device, flat), inverse=upload(x.device, inverse[:n]), fill=fill)
    return result.reshape(shape)


def _listed(sequences: Any) -> list[Tensor]:
    if not isinstance(sequences, Iterable):
        raise RuntimeError(f"sequences must be an iterable of tensors, not {type(sequences).__name__}")
    listed = list(sequences)
    if not listed:
        raise RuntimeError("no sequences were given")
    return listed


def _whole(values: Any, name: str) -> np.ndarray:
    """Whole numbers as an array of the host's."""
    found = values.numpy() if isinstance(values, Tensor) else np.asarray([int(v) for v in values])
    if found.dtype.kind not in "iu" and found.size:
        raise RuntimeError(f"{name} must be whole numbers, not of type {found.dtype}")
    return found.astype(np.int64)
