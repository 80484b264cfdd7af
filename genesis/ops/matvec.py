"""Products of a matrix and a vector: the host half of ``cl/ops/matvec.cl``."""

from __future__ import annotations

import math
import struct
from typing import Any, NamedTuple

from .. import dtypes
from ..dtypes import DType
from ..opencl import Device, Kernel
from .rows import width_of

_ROWS = 4                  # that a work-item of a CPU goes along at a time
_LONGEST = 1 << 15         # steps of k whose products are added up one after the other, for the sake of rounding
_BLOCK = 1024              # sums that it has side by side
_ITEM = 1 << 14            # elements that are worth a work-item of a CPU
_GPU_TEAM = 128


class Launch(NamedTuple):
    """How to multiply.

    Attributes:
        sizes: the kernel's struct.
        parts: how many sums there are for each element of the result; more than one are still to be added up.
    """

    kernel: Kernel
    global_size: tuple[int, int, int]
    local_size: tuple[int, int, int]
    sizes: bytes
    parts: int


class Layout(NamedTuple):
    """The operands of a product with one row or one column.

    Attributes:
        types: element types of a, b and the result.
        bias: the bias's element type; None without one.
        vector: which of a and b is the vector, whose elements lie without gaps: 0 or 1.
        rows, k: sizes of the matrix, seen so that each of its rows is multiplied by the vector.
        row_step, k_step: its strides.
        batch: how many products there are, and the size of the second batch dimension.
        batch_steps: strides of a and of b in the first batch dimension and in the second.
    """

    types: tuple[DType, DType, DType]
    bias: DType | None
    vector: int
    rows: int
    k: int
    row_step: int
    k_step: int
    batch: tuple[int, int]
    batch_steps: tuple[int, int, int, int]


def launch(device: Device, x: Layout) -> Launch | None:
    """The launch for a product; None where neither the rows nor the columns of the matrix lie without gaps."""
    by_rows = x.k_step == 1 or x.k == 1
    if not by_rows and x.row_step != 1:
        return None
    gpu, double, limit = device.type == "gpu", x.types[2] is dtypes.float64, device.quirks.max_loop
    batch, inner = x.batch
    width = 1 if gpu else width_of(device, x.k if by_rows else x.rows, double)
    busy = device.compute_units * device.quirks.parallel        # items that keep all cores busy
    rows, block, team = 1, width, 1
    if gpu:
        team = 1 << min(_GPU_TEAM, device.handle.max_work_group_size).bit_length() - 1
        take, least = (1, 16 * team) if by_rows else (team, 64)
        busy = -(-busy // team)
    elif by_rows:
        take = max(1, min(_ITEM // x.k, x.rows * batch // busy))
        rows, least = _ROWS if take >= _ROWS else 1, -(-_ITEM // take)
    else:
        take = block = min(_BLOCK if not limit else 4 * width, -(-x.rows // width) * width)
        least = -(-_ITEM // block)
    # So many parts of k that there are items for every core, but none that are not worth it or loop too often.
    parts = max(1, min(-(-busy // (-(-x.rows // take) * batch)), x.k // least), x.k // _LONGEST)
    if limit:
        parts = max(parts, -(-x.k * (-(-take // rows) if by_rows else block // width) // (limit // 2)))
    part = math.ceil(x.k / parts / width) * width
    parts = -(-x.k // part)
    a, b, c = x.types
    total = c if parts == 1 else dtypes.float64 if double else dtypes.float32
    defines: list[tuple[str, Any]] = [("A", a.name), ("B", b.name), ("C", total.name), ("VECTOR", x.vector),
                                      ("WIDTH", width)]
    signature = "PlPlPl"
    if x.bias is not None:
        defines.append(("BIAS", x.bias.name))
        signature += "Pl"
    if double:
        defines.append(("REAL64", 1))
    sizes = (x.rows, x.k, inner, x.row_step, x.k_step, int(x.vector == 0), *x.batch_steps, take, part)
    if by_rows:
        name = "matvec_rows"
        defines += (("TEAM", team), ("ROWS", rows))
    else:
        name = "matvec_columns"
        defines += (("TEAM", team), ("COLUMNS", team), ("BLOCK", block))
    packed = struct.pack(f"{len(sizes)}q", *sizes)
    kernel = device.programs.kernel("ops/matvec.cl", name, f"{signature}({len(packed)})", tuple(defines))
    return Launch(kernel, (-(-x.rows // take) * team, parts, batch), (team, 1, 1), packed, parts)
