"""Sizes of the blocks in which CPUs multiply matrices: from a table by vector width, or as tuned for the device."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator
from dataclasses import dataclass

from .. import dtypes
from ..dtypes import DType
from ..opencl import Device, tuning


@dataclass(frozen=True)
class Tiles:
    """A way to cut a product; see ``cl/ops/matmul_block.cl``.

    Attributes:
        width: lanes of a vector.
        rows: rows of C in registers, unless fewer leave less of a tile empty.
        rows_in_place: where A is not copied: each row then has an address, too, for which x86 has 16 registers.
        kc, mc, nc: steps of k at a time, and rows and columns of a block, where A is copied.
        blocks: for each core at the least, where A is copied.
        b_part: elements of B's part of a block where B is copied as a whole.
        large_mc, large_nc, large_kc: rows, columns and steps of a block whose part of B is so large that many rows of
            A, read where they are, cost less than copies of them; 0: there is no room for such a part.
    """

    width: int = 16
    rows: int = 14
    rows_in_place: int = 10
    kc: int = 256
    mc: int = 210
    nc: int = 1024
    blocks: int = 1
    b_part: int = 3 << 14
    large_mc: int = 0
    large_nc: int = 0
    large_kc: int = 0

    @property
    def fewer(self) -> int:
        """Rows in registers where ``rows`` would leave more of a tile empty."""
        return self.rows - 2 if self.rows >= 14 else self.rows

    def rows_for(self, m: int, in_place: bool) -> int:
        """Rows in registers for a product with ``m`` rows."""
        few = next((r for r in (1, 4) if m <= r), 0)
        if few or in_place:
            return few or self.rows_in_place
        return min(self.rows, self.fewer, key=lambda r: -(-m // r) * (r + 1))

    @property
    def local_memory(self) -> int:
        """Bytes that a block takes: A's part, as tiles with gaps, and a panel of B, or B's part; both in float32."""
        tiles = self.mc // self.fewer
        a = self.mc * self.kc + tiles * self.width + 2 * self.width * self.kc
        return 4 * max(a, self.b_part, self.large_nc * self.large_kc)


# Cores with a cache of their own of that size hold more of A in it, or 1 MiB of B and what passes by.
_LARGE_CACHE = 2 << 20
_LARGER = {"mc": 350, "large_mc": 2048, "large_nc": 512, "large_kc": 512}
TABLE = {16: Tiles(), **{width: Tiles(width, rows=6, rows_in_place=6, kc=256, mc=228, nc=512, blocks=2, b_part=1 << 15)
                         for width in (8, 4)}}


def candidates(device: Device) -> list[Tiles]:
    """What a tuner should try on a device: the table's choice first."""
    first = _from_table(device)
    if first is None:
        return []
    found = [first]
    for rows in {8: (4, 6), 16: (8, 12, 14)}.get(first.width, (4, 6)):
        for kc, mc in ((128, 444), (192, 300), (256, 210), (256, 228), (256, 350), (320, 168), (384, 144)):
            tiles = dataclasses.replace(first, rows=rows, rows_in_place=min(rows, first.rows_in_place), kc=kc,
                                        mc=mc // rows * rows)
            if tiles not in found and tiles.local_memory <= device.local_memory:
                found.append(tiles)
    return found


def _from_table(device: Device) -> Tiles | None:
    tiles = TABLE[min(max(device.vector_width, 4), 16)]
    choices = [tiles]
    if tiles.width == 16 and device.cache >= _LARGE_CACHE:
        choices = [dataclasses.replace(tiles, **_LARGER), dataclasses.replace(tiles, mc=_LARGER["mc"]), tiles]
    fitting = (x for x in choices if device.type == "cpu" and x.local_memory <= device.local_memory)
    return next(fitting, None)


_trial: dict[Device, Tiles] = {}


def on_trial(device: Device) -> bool:
    """Whether a choice is being tried on a device; see `using`."""
    return device in _trial


@functools.cache
def _chosen(device: Device) -> Tiles | None:
    saved = tuning.load(device, "matmul")
    known = [tiles for tiles in candidates(device) if dataclasses.asdict(tiles) == saved]
    return known[0] if known else _from_table(device)


def tiles_for(device: Device, dtype: DType = dtypes.float32) -> Tiles | None:
    """The blocks for products whose result has a type; None where the device has no room for them."""
    tiles = _trial.get(device) or _chosen(device)
    if tiles is None:
        return None
    if dtype.itemsize == 8:
        return dataclasses.replace(tiles, width=max(tiles.width // 2, 4), kc=tiles.kc // 2)
    if dtype.itemsize == 2:          # local memory also holds the sums
        return dataclasses.replace(tiles, kc=min(tiles.kc, 256), mc=min(tiles.mc, 120 // tiles.rows * tiles.rows))
    return tiles


@contextlib.contextmanager
def using(device: Device, tiles: Tiles) -> Iterator[None]:
    """Multiply with these blocks for a while, on one device."""
    _trial[device] = tiles
    try:
        yield
    finally:
        del _trial[device]


def keep(device: Device, tiles: Tiles | None) -> bool:
    """Use these blocks on the device from now on, in later processes too; None: those of the table.

    Returns:
        False when the choice could not be written.
    """
    done = tuning.store(device, "matmul", None if tiles is None else dataclasses.asdict(tiles))
    _chosen.cache_clear()
    return done
