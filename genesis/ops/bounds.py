"""What an index in a tensor may be. Kernels check it (``cl/include/faults.h``); the host does not wait for them."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..opencl import Kernel


class Bounds(NamedTuple):
    """Which indices are in range, and what an error calls the operation.

    Attributes:
        operation: its name.
        negative: whether negative indices count from the end; else none are in range.
    """

    operation: str
    negative: bool = False


ANY = Bounds("indexing", True)


def launch(kernel: Kernel, size: Any, local: Any, *args: Any, bounds: Bounds, n: int) -> None:
    """Enqueue a kernel whose last parameters are FAULTS, for indices in a dimension of size ``n``.

    Raises:
        IndexError: the dimension is empty, so that no index is in range.
    """
    if n <= 0:
        raise IndexError(f"{bounds.operation}: no index is in range for a dimension of size 0")
    low = -n if bounds.negative else 0
    kernel.device.faults.launch(kernel, size, local, *args, operation=bounds.operation, low=low)
