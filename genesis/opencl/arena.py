"""Arena: padded flat storage for many tensors, so that one launch can work on all of them.

Parallel flat buffers (parameters, gradients, each of an optimizer's states) share one layout: every tensor starts on a
chunk boundary, so each chunk, and with it each work-group, belongs to one tensor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from .device import Device
from .memory import Buffer

CHUNK = 1024       # elements a work-group of an optimizer's kernel handles


class Arena:
    """The layout of some tensors in flat buffers, and those buffers by name.

    Args:
        device: where the buffers live.
        sizes: number of elements of each tensor; may be 0.

    Attributes:
        starts: each tensor's first element; a multiple of `CHUNK`.
        chunks: the number of chunks in all.
    """

    def __init__(self, device: Device, sizes: Sequence[int]):
        self.device = device
        self.sizes = list(sizes)
        counts = [-(-n // CHUNK) for n in self.sizes]
        self.chunks = sum(counts)
        firsts = np.cumsum([0, *counts])
        self._first_chunk = firsts[:-1].tolist()
        self._chunk_count = counts
        self.starts = [CHUNK * first for first in self._first_chunk]
        self.buffers: dict[str, Buffer] = {}

    @property
    def elements(self) -> int:
        """Elements of a flat buffer, padding included."""
        return self.chunks * CHUNK

    def buffer(self, name: str, itemsize: int) -> Buffer:
        """The flat buffer called ``name``; made on first use, filled with zeros."""
        found = self.buffers.get(name)
        if found is None:
            nbytes = self.elements * itemsize
            found = self.buffers[name] = self.device.empty(nbytes)
            self.device.fill(found, 0, nbytes, np.zeros(1, np.uint8 if itemsize == 1 else np.uint16))
        return found

    def row_map(self, rows: Iterable[tuple[int, int]]) -> Buffer:
        """A buffer with one int32 a chunk: the row given for the chunk's tensor, -1 for tensors not given.

        Args:
            rows: pairs of tensor and row.
        """
        values = np.full(max(self.chunks, 1), -1, np.int32)
        for tensor, row in rows:
            first = self._first_chunk[tensor]
            values[first:first + self._chunk_count[tensor]] = row
        found = self.device.empty(values.nbytes)
        self.device.write(found, 0, values)
        return found


def split_by_limit(sizes: Sequence[int], itemsize: int, limit: int) -> list[list[int]]:
    """Positions of tensors grouped so that each group's flat buffer has at most ``limit`` bytes.

    A tensor that is over the limit by itself gets a group of its own.
    """
    groups: list[list[int]] = []
    held = 0
    for i, n in enumerate(sizes):
        nbytes = -(-n // CHUNK) * CHUNK * itemsize
        if not groups or held + nbytes > limit:
            groups.append([])
            held = 0
        groups[-1].append(i)
        held += nbytes
    return groups
