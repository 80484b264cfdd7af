"""The error of this package and the checks that every reader shares."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import GenesisError

MAX_DIMS = 32  # the fewest that any supported NumPy allows


class CheckpointError(GenesisError):
    """A file could not be read as a checkpoint: it is damaged, of another kind, or holds what genesis refuses.

    The message says what is wrong and where. Nothing was executed and nothing was half loaded.

    >>> import genesis, io
    >>> try:
    ...     genesis.load(io.BytesIO(b"not a checkpoint"))
    ... except genesis.CheckpointError as error:
    ...     print("refused")
    refused
    """


def show(value: object) -> str:
    """``value`` for an error message: short whatever it is, and never itself a cause of errors."""
    if type(value) is int and value.bit_length() > 128:
        return f"an integer of {value.bit_length()} bits"  # Python refuses to print very long ones
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, str | bytes):
        return repr(value[:80]) + ("…" if len(value) > 80 else "")
    return f"a {type(value).__name__}"


def is_key(value: object) -> bool:
    """Whether ``value`` may be the key of a dict in a file.

    Short scalars may. The hash of a tuple of tuples can take forever, and integers beyond 64 bits can be chosen so
    that they all share one slot of the dict.
    """
    return value is None or type(value) in (str, float, bool, bytes) or (type(value) is int and not abs(value) >> 63)


def check_shape(shape: Sequence[object], itemsize: int, what: str) -> tuple[int, ...]:
    """``shape`` as a tuple, after making sure that NumPy can represent an array of it."""
    if len(shape) > MAX_DIMS:
        raise CheckpointError(f"{what} has {len(shape)} dimensions; at most {MAX_DIMS} are read")
    sizes = tuple(size for size in shape if type(size) is int and 0 <= size < 2**63)
    if len(sizes) != len(shape):
        raise CheckpointError(f"{what} has a shape with {show(_first_bad(shape))} for a size")
    if math.prod(size or 1 for size in sizes) * itemsize >= 2**62:
        raise CheckpointError(f"{what} has an impossibly large shape")
    return sizes


def _first_bad(shape: Sequence[object]) -> object:
    return next(size for size in shape if type(size) is not int or not 0 <= size < 2**63)
