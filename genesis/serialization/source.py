"""Reading a file whose every length may be a lie."""

from __future__ import annotations

import os
from typing import BinaryIO

import numpy as np

from .errors import CheckpointError


class Source:
    """A seekable binary file of known size.

    Lengths found in a file are compared with what the file holds before memory is set aside for them, so a few
    bytes can never ask for gigabytes.

    Args:
        file: open for reading in binary mode.
    """

    def __init__(self, file: BinaryIO):
        self.file = file
        self.size = file.seek(0, os.SEEK_END)

    def bytes(self, offset: int, length: int, what: str) -> bytes:
        """``length`` bytes from ``offset``; ``what`` names them in the error that a short file raises."""
        return self.array(offset, length, what).tobytes()

    def array(self, offset: int, length: int, what: str) -> np.ndarray:
        """The same as an array of uint8 that owns its memory."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise CheckpointError(
                f"{what} should take {length} bytes from byte {offset} on, but the file ends at byte {self.size}"
            )
        out = np.empty(length, np.uint8)
        view = out.data
        self.file.seek(offset)
        done = 0
        while done < length:
            count = self.file.readinto(view[done:])  # type: ignore[attr-defined]
            if not count:
                raise CheckpointError(f"the file shrank while {what} was being read")
            done += count
        return out
