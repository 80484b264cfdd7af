"""Guard bands: on any device, finds kernels that write beside their buffers, and results that hang on old memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from ..errors import GenesisError
from ..opencl import Buffer, Device, device
from ..opencl.memory import Pool, carve

BAND = 4096                # bytes before and after each buffer; every device aligns buffers to less
_MARK = 0xA5


class GuardError(GenesisError, AssertionError):
    """A kernel wrote beside a buffer."""


class GuardPool(Pool):
    """A pool whose buffers lie, each in memory of its own, between bands of known bytes.

    Args:
        device: the device.
        fill: the byte that new buffers are filled with; 0xFF makes NaN of floats.
    """

    def __init__(self, device: Device, fill: int = 0xFF):
        super().__init__(device)
        self._fill = np.array([fill], np.uint8)
        self._mark = np.array([_MARK], np.uint8)
        self._held: list[tuple[Buffer, int]] = []     # so that late writes are seen, too

    def take(self, nbytes: int) -> Buffer:
        """A buffer of exactly ``nbytes`` bytes between its bands."""
        inside = max(nbytes, 1)
        whole = super().take(inside + 2 * BAND)
        self._device.fill(whole, 0, BAND, self._mark)
        self._device.fill(whole, BAND, inside, self._fill)
        self._device.fill(whole, BAND + inside, BAND, self._mark)
        self._held.append((whole, inside))
        return Buffer(self._device, nbytes, carve(whole, BAND, inside), foreign=False)

    def damage(self) -> list[str]:
        """A line for each buffer beside which something was written."""
        found = []
        for whole, inside in self._held:
            for side, start in (("before", 0), ("after", BAND + inside)):
                band = np.empty(BAND, np.uint8)
                self._device.read(whole, start, band)
                wrong = np.flatnonzero(band != _MARK)
                if wrong.size:
                    away = BAND - int(wrong[-1]) if side == "before" else int(wrong[0]) + 1
                    found.append(f"{wrong.size} bytes {side} a buffer of {inside} bytes, {away} bytes from its "
                                 f"{'start' if side == 'before' else 'end'}")
        return found


@contextlib.contextmanager
def guarded(on: Device | str | None = None, fill: int = 0xFF) -> Iterator[GuardPool]:
    """Give each buffer made inside the block guard bands, and look at them at its end.

    Memory that nobody has written yet is filled with a byte, by default one that makes NaN of floats. Run a
    computation twice with different bytes: where the results differ, something was read before it was written, or
    beside a buffer. Nothing is freed before the block ends, so keep it short.

    Args:
        on: the device.
        fill: the byte.

    Yields:
        The pool.

    Raises:
        GuardError: something wrote beside a buffer; says on which side and how far away.

    Example:
        >>> with genesis.testing.guarded():
        ...     x = genesis.ones(1003) * 2
    """
    where = device(on)
    before, pool = where.pool, GuardPool(where, fill)
    vars(where)["pool"] = pool
    try:
        yield pool
    finally:
        vars(where)["pool"] = before
    where.finish()
    damage = pool.damage()
    if damage:
        raise GuardError(f"on {where.name}, something wrote\n  " + "\n  ".join(damage))
