"""Matrix products on processors with AMX: the host half of ``cl/ops/matmul_amx.cl``."""

from __future__ import annotations

import functools
import itertools
import struct
from typing import Any, NamedTuple

import numpy as np

from .. import dtypes
from ..dtypes import DType
from ..errors import GenesisError
from ..opencl import Device, Kernel
from ..opencl.amx import granted
from .array import Array

PRECISIONS = {"highest": 3, "high": 2, "medium": 1}       # parts of a float32 number: see the kernel
_PARTS = {dtypes.bfloat16: 1, dtypes.float16: 2, dtypes.float32: 3}
_SIDE = 32                # rows and columns of C at a time, and steps of k
_STRIP = 384              # steps of k times parts: so much of a strip of A fits into the fastest cache
_MOST_STEPS = 1024        # of k times parts, where C is a 16-bit type and all of k has to be one piece
_CACHE = 1 << 20          # bytes of B's parts in a block
_COLUMNS = 1024           # of a block, at the most
# Cycles of a core, measured on a Xeon with AMX:
_TERM = 1 / 440           # to multiply and add, of each product of parts
_PACK = {1: 0.4, 2: 0.7, 3: 1.0}             # to split a number into so many parts
_MOVE = 0.3               # to fetch and store a sum
_FMA = 1 / 22.6           # to multiply and add without AMX
_COPY = 0.45              # to copy a number there

precision = "highest"     # a key of PRECISIONS
forced = ""               # "amx": this kernel whatever it costs; "emulated": the same with tiles that are OpenCL C


class Launch(NamedTuple):
    """How to multiply.

    Attributes:
        sizes: the kernel's struct.
        wide: whether the kernel's result is float32 and still to be rounded.
    """

    kernel: Kernel
    global_size: tuple[int, int, int]
    local_size: tuple[int, int, int]
    sizes: bytes
    wide: bool


class Blocks(NamedTuple):
    """How C is cut: rows and columns of a block, steps of k at a time, and what it costs, in cycles of one core."""

    mc: int
    nc: int
    kc: int
    cost: float


class Room(NamedTuple):
    """Local memory of a block: so many columns, so many steps of k, and so many pairs of tiles of B."""

    columns: int
    steps: int
    pairs: int

    def most(self, k: int) -> tuple[int, int]:
        """The most columns and steps of k of a block, where there are ``k`` steps."""
        steps = min(_rounded(k), self.steps)
        return min(self.columns, self.pairs // (steps // _SIDE) * _SIDE), steps


def terms_of(a: DType, b: DType) -> tuple[int, int, int]:
    """Parts of a's numbers, of b's, and the largest i + j of the products Ai Bj that count."""
    most = PRECISIONS[precision]
    last = most + 1 if dtypes.float32 in (a, b) else 4
    return min(_PARTS[a], last - 1), min(_PARTS[b], last - 1), last


def unit() -> tuple[tuple[str, Any], ...]:
    """The macro that says whether the processor's tiles are used."""
    return () if forced == "emulated" else (("AMX", 1),)


def count_terms(a_parts: int, b_parts: int, last: int) -> int:
    """How many products of parts count."""
    return sum(i + j <= last for i, j in itertools.product(range(1, a_parts + 1), range(1, b_parts + 1)))


def may(device: Device, *types: DType) -> bool:
    """Whether the device could multiply numbers of these types by AMX, or is to act as if; see `works`."""
    return all(x in _PARTS for x in types) and (forced == "emulated" or (device.quirks.assembly and granted()))


def launch(a: Array, b: Array, out: Array, bias: Array | None, sizes: list[int], count: int) -> Launch | None:
    """The launch for a product; None where another kernel is quicker or the device has no AMX.

    Args:
        a, b: (..., m, k) and (..., k, n).
        out: (..., m, n).
        bias: (n,) without gaps, or None.
        sizes: the first twelve numbers of the kernel's struct.
        count: how many products there are.
    """
    device, emulated = a.device, forced == "emulated"
    if not may(device, a.dtype, b.dtype, out.dtype):
        return None
    m, n, k = sizes[:3]
    a_parts, b_parts, last = terms_of(a.dtype, b.dtype)
    narrow = out.dtype.itemsize == 2
    room = _room(device, a_parts, b_parts, whole=narrow)
    wide = narrow and k > room.steps
    if wide:
        room = _room(device, a_parts, b_parts, whole=False)
    most = room.most(k)
    if most[0] < _SIDE:
        return None
    work = a_parts, b_parts, count_terms(a_parts, b_parts, last)
    blocks = cut((m, n, k, count), device.compute_units, most, work)
    other = count * (m * n * k * _FMA + (m + n) * k * _COPY + m * n * _MOVE) / device.compute_units
    if not forced and blocks.cost > other:
        return None
    if not emulated and not works(device):
        return None
    defines: list[tuple[str, Any]] = [
        ("A", a.dtype.name), ("B", b.dtype.name), ("C", dtypes.float32.name if wide else out.dtype.name),
        ("A_PARTS", a_parts), ("B_PARTS", b_parts), ("LAST", last), ("KC", room.steps), ("NC", room.columns),
        ("PAIRS_OF_TILES", room.pairs),
        ("PACK_A", "BY_STEP" if a.strides[-1] == 1 else "BY_LINE"),
        ("PACK_B", "BY_STEP" if b.strides[-2] == 1 and b.strides[-1] != 1 else "BY_LINE")]
    defines += unit()
    signature = "PlPlPl"
    if bias is not None:
        defines.append(("BIAS", bias.dtype.name))
        signature += "Pl"
    packed = struct.pack("15q", *sizes, blocks.mc, blocks.nc, blocks.kc)
    kernel = device.programs.kernel("ops/matmul_amx.cl", "matmul_amx", f"{signature}({len(packed)})", tuple(defines))
    return Launch(kernel, (-(-n // blocks.nc), -(-m // blocks.mc), count), (1, 1, 1), packed, wide)


def _room(device: Device, a_parts: int, b_parts: int, whole: bool) -> Room:
    """The room on a device, of its local memory; ``whole``: for all steps of k at a time, if that is possible."""
    columns, steps = _COLUMNS, (_MOST_STEPS if whole else _STRIP) // max(a_parts, b_parts) // _SIDE * _SIDE
    if forced == "emulated":               # little, so that small products have several blocks
        columns = steps = _SIDE
    left = device.local_memory - 2 * steps * _SIDE * a_parts - 8 * _SIDE * _SIDE - 4 * columns
    return Room(columns, steps, min(_CACHE, left) // (2 * _SIDE * _SIDE * b_parts))


def cut(shape: tuple[int, int, int, int], units: int, most: tuple[int, int], work: tuple[int, int, int]) -> Blocks:
    """The blocks that take the least time, all cores working side by side.

    Args:
        shape: m, n and k, and how many products there are.
        units: cores.
        most: the most columns and steps of k of a block.
        work: parts of A's numbers and of B's, and how many products of parts count.
    """
    m, n, k, count = shape
    most_n, most_k = most
    a_parts, b_parts, terms = work
    kc = _rounded(-(-k // -(-k // most_k)))
    best = None
    least = -(-n // most_n)
    for across in sorted({min(least * i, -(-n // _SIDE)) for i in _pieces(units)}):
        for down in sorted({min(i, -(-m // _SIDE)) for i in _pieces(units)}):
            mc, nc = _rounded(-(-m // down)), _rounded(-(-n // across))
            groups = count * -(-m // mc) * -(-n // nc)
            one = (_rounded(k) * (mc * nc * terms * _TERM + mc * _PACK[a_parts] + nc * _PACK[b_parts])
                   + -(-k // kc) * mc * nc * _MOVE)
            cost = -(-groups // units) * one
            if best is None or cost < best.cost:
                best = Blocks(mc, nc, kc, cost)
    assert best is not None
    return best


@functools.cache
def _pieces(units: int) -> list[int]:
    """Into how many pieces to try and cut an operand for so many cores."""
    found = {units, 2 * units, *(units // i for i in range(1, 5) if units % i == 0)}
    found |= {i << j for i in (1, 3) for j in range(10) if i << j <= 2 * units}
    return sorted(found)


def _rounded(n: int) -> int:
    return -(-n // _SIDE) * _SIDE


@functools.cache
def works(device: Device) -> bool:
    """Whether the device multiplies by AMX: the process may, and the runtime compiles and runs its instructions."""
    if not device.quirks.assembly or not granted():
        return False
    a, b = (np.random.default_rng(i).standard_normal((_SIDE, _SIDE), np.float32) for i in (0, 1))
    defines = (("AMX", 1), ("KC", _SIDE), ("NC", _SIDE), ("PAIRS_OF_TILES", 1))
    sizes = struct.pack("15q", _SIDE, _SIDE, _SIDE, 1, _SIDE, 1, _SIDE, 1, 0, 0, 0, 0, _SIDE, _SIDE, _SIDE)
    found = np.empty_like(a)
    try:
        kernel = device.programs.kernel("ops/matmul_amx.cl", "matmul_amx", f"PlPlPl({len(sizes)})", defines)
        x, y, z = (device.empty(a.nbytes) for _ in range(3))
        device.write(x, 0, a)
        device.write(y, 0, b)
        kernel((1, 1, 1), (1, 1, 1), x.handle, 0, y.handle, 0, z.handle, 0, sizes)
        device.read(z, 0, found, check=False)
    except GenesisError:               # as from a runtime whose compiler knows a lesser processor
        return False
    return bool(np.allclose(found, a.astype(np.float64) @ b, rtol=0, atol=1e-4))
