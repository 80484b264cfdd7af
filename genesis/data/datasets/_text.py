"""Text by characters, for small language models."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._host import host_rng, is_tensor, to_numpy, to_tensor
from ..dataset import Dataset, Samples
from ._files import DatasetError

if TYPE_CHECKING:
    from genesis.random import Generator
    from genesis.tensor import Tensor


class CharText:
    """A text as numbers, one a character, in a part to train with and a part to validate with.

    Args:
        text: the text, at least 2 characters.
        val_fraction: how much of it, from its end, is for validation; in [0, 1).
        sources: names of the files it comes from.

    Attributes:
        text: the text.
        vocab: its distinct characters, sorted by code point; a character's number is its place here.
        data: the text as numbers, int64 of shape (len(text),).
        train: the beginning of `data`, without the part for validation.
        val: the rest of it.
        sources: as given.

    Raises:
        ValueError: for a text or fraction out of range.

    Example:
        >>> text = CharText("hello world", val_fraction=0.3)
        >>> text.vocab, text.encode("hold").tolist(), text.decode(text.val)
        (' dehlorw', [3, 5, 4, 1], 'rld')
        >>> inputs, targets = text.blocks("train", context=4)[0]
        >>> text.decode(inputs), text.decode(targets)
        ('hell', 'ello')
    """

    def __init__(self, text: str, val_fraction: float = 0.1, sources: Sequence[str] = ()) -> None:
        if len(text) < 2:
            raise ValueError("a text needs at least 2 characters")
        if not 0 <= val_fraction < 1:
            raise ValueError(f"val_fraction must be in [0, 1), got {val_fraction}")
        self.text = text
        self.sources = tuple(sources)
        self._codes, inverse = np.unique(_code_points(text), return_inverse=True)
        self.vocab = "".join(map(chr, self._codes.tolist()))
        self.data = inverse.astype(np.int64)
        end = len(text) - int(len(text) * val_fraction)
        self.train, self.val = self.data[:end], self.data[end:]

    @property
    def vocab_size(self) -> int:
        """How many characters the vocabulary has."""
        return len(self.vocab)

    def encode(self, text: str) -> np.ndarray:
        """The numbers of the characters, int64 of shape (len(text),); ValueError for one not in the vocabulary."""
        codes = _code_points(text)
        numbers = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        unknown = np.flatnonzero(self._codes[numbers] != codes)
        if unknown.size:
            raise ValueError(f"the character {text[unknown[0]]!r} is not in the vocabulary {self.vocab!r}")
        return numbers.astype(np.int64)

    def decode(self, numbers: Any) -> str:
        """The text for an array, tensor or sequence of numbers, shape (N,)."""
        array = np.asarray(to_numpy(numbers) if is_tensor(numbers) else numbers, dtype=np.int64)
        if array.size and not (array.min() >= 0 and array.max() < len(self.vocab)):
            raise ValueError(f"numbers must be in 0..{len(self.vocab) - 1}, got {array.min()}..{array.max()}")
        return "".join(map(chr, self._codes[array].tolist()))

    def blocks(self, split: str = "train", context: int = 64, stride: int | None = None) -> CharBlocks:
        """The text in blocks, as a dataset; see `CharBlocks`.

        Args:
            split: "train" or "val".
            context: the length of a block, >= 1.
            stride: from the start of a block to the start of the next, >= 1; `context` if None, and then the
                blocks do not overlap. With 1 and `DataLoader(..., shuffle=True)` they are random ones.
        """
        return CharBlocks(self._part(split), context, stride)

    def batch(
        self, split: str, batch_size: int, context: int, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Blocks from random places, as tensors.

        Args:
            split: "train" or "val".
            batch_size: how many, >= 1.
            context: their length, >= 1.
            generator: where the places come from; the state of `genesis.manual_seed` if None.

        Returns:
            Inputs and targets, int64 of shape (batch_size, context); targets are one character further on.
        """
        blocks = self.blocks(split, context, stride=1)
        places = host_rng(generator).integers(len(blocks), size=batch_size)
        inputs, targets = blocks.__getitems__(places).columns
        return to_tensor(inputs), to_tensor(targets)

    def _part(self, split: str) -> np.ndarray:
        if split not in ("train", "val"):
            raise ValueError(f"split must be 'train' or 'val', got {split!r}")
        return self.train if split == "train" else self.val


class CharBlocks(Dataset[tuple[np.ndarray, np.ndarray]]):
    """Blocks of a sequence of numbers, each with the block one further on as its target.

    Args:
        data: int64 of shape (N,), N > context.
        context: the length of a block, >= 1.
        stride: from the start of a block to the start of the next, >= 1; `context` if None.

    Raises:
        ValueError: for arguments out of range, and if there is not one whole block.

    Sample i is the pair of int64 arrays `data[i*stride : i*stride+context]` and the same moved on by one. What is
    left at the end, too short for a block, is not used.

    Example:
        >>> blocks = CharBlocks(np.arange(8), context=3)
        >>> len(blocks), [part.tolist() for part in blocks[1]]
        (2, [[3, 4, 5], [4, 5, 6]])
    """

    def __init__(self, data: np.ndarray, context: int, stride: int | None = None) -> None:
        stride = context if stride is None else stride
        if context < 1 or stride < 1:
            raise ValueError(f"context and stride must be >= 1, got {context} and {stride}")
        if len(data) <= context:
            raise ValueError(f"a block of {context} and its target need {context + 1} characters, got {len(data)}")
        self.data = data
        self.context = context
        self.stride = stride

    def __len__(self) -> int:
        return (len(self.data) - self.context - 1) // self.stride + 1

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        inputs, targets = self.__getitems__([index]).columns
        return inputs[0], targets[0]

    def __getitems__(self, indices: Sequence[int] | np.ndarray) -> Samples:
        blocks = np.asarray(indices, dtype=np.int64)
        length = len(self)
        if blocks.size and not (-length <= blocks.min() and blocks.max() < length):
            raise IndexError(f"index out of range for {length} blocks: {blocks.min()}..{blocks.max()}")
        starts = np.where(blocks < 0, blocks + length, blocks) * self.stride
        places = starts[:, None] + np.arange(self.context)  # (batch, context)
        return Samples(self.data[places], self.data[places + 1])


def stdlib_text(max_chars: int = 1_000_000, val_fraction: float = 0.1) -> CharText:
    """Python source code: the beginning of the standard library of the Python that runs this.

    Args:
        max_chars: how many characters to take, >= 2; Python 3.11 has 3.9 million.
        val_fraction: how much of them, from the end, is for validation; in [0, 1).

    Returns:
        A `CharText`. Its `sources` are the names of the files.

    Raises:
        DatasetError: if the standard library is not there as .py files, as where it is a zip archive or frozen into
            an application.

    **Which text.** Modules of the standard library that are a single file, whose name does not begin with `_` (which
    leaves out what depends on the machine) and that are pure ASCII; sorted by name, one after another, line ends as
    a single newline, cut off after `max_chars` characters. The part for validation is the end, and so, but for one
    file, other modules than those to train with. The same Python version gives the same text, as far as a
    distribution did not patch it; between versions results do not compare.

    Example:
        >>> text = stdlib_text(max_chars=10_000)
        >>> len(text.text), len(text.val), text.sources[0]
        (10000, 1000, 'abc.py')
    """
    if max_chars < 2:
        raise ValueError(f"max_chars must be >= 2, got {max_chars}")
    folder = Path(sysconfig.get_path("stdlib"))
    parts: list[str] = []
    sources: list[str] = []
    left = max_chars
    for name in sorted(name for name in sys.stdlib_module_names if not name.startswith("_")):
        path = folder / f"{name}.py"
        if left <= 0 or not path.is_file():
            continue
        text = path.read_bytes()
        if not text.isascii():
            continue
        part = text.decode("ascii").replace("\r\n", "\n").replace("\r", "\n")[:left]
        if part:
            parts.append(part)
            sources.append(path.name)
            left -= len(part)
    if max_chars - left < 2:
        raise DatasetError(
            f"the standard library of this Python is not in {folder} as .py files; use a Python that was installed "
            "with its library, or CharText with a text of your own"
        )
    return CharText("".join(parts), val_fraction, sources)


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
