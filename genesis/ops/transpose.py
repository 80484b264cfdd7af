"""Copies between layouts whose innermost dimensions differ: the host half of ``cl/ops/transpose.cl``."""

from __future__ import annotations

import struct
from typing import Any

from ..dtypes import DType
from ..opencl import Device, Kernel

_ELEMENTS = {1: "uchar", 2: "ushort", 4: "uint", 8: "ulong"}
_SMALLEST = 1 << 14      # elements; a copy of fewer takes about as long by any kernel
_BLOCK, _TILES, _SIDE = 256, 4, 16

Plan = tuple[Kernel, tuple[int, ...], tuple[int, ...], int, bytes]


def plan(device: Device, dtype: DType, sizes: list[int], out: list[int], x: list[int]) -> Plan | None:
    """How to copy by tiles, as a launch with the arguments of ``elementwise``; None where that would gain nothing.

    Args:
        dtype: of both arrays.
        sizes: their dimensions, merged.
        out, x: the output's and the input's stride in each.
    """
    element = _ELEMENTS.get(dtype.itemsize)
    if element is None or 1 not in out or 1 not in x:
        return None
    column, row = out.index(1), x.index(1)          # along which the output's and the input's elements lie together
    further = [i for i in range(len(sizes)) if i not in (column, row)]
    matrices = 1
    for i in further:
        matrices *= sizes[i]
    cpu = device.type == "cpu"
    width = min(16, max(4, 4 * device.vector_width // dtype.itemsize)) if cpu else 1
    if column == row or min(sizes[column], sizes[row]) < max(width, 4) or \
            matrices * sizes[row] * sizes[column] < _SMALLEST or device.handle.max_work_group_size < _SIDE * _SIDE:
        return None
    layout = [sizes[row], sizes[column], x[column], out[row]]
    layout += [values[i] for values in (sizes, x, out) for i in further]
    defines: tuple[tuple[str, Any], ...] = (("ELEMENT", element), ("OUTER", len(further)))
    if cpu:
        name, local = "transpose_vectors", (1, 1, 1)
        defines += (("WIDTH", width),)
        columns, rows = _BLOCK, _TILES * width      # of a work-item
        size = (-(-sizes[column] // columns), -(-sizes[row] // rows), matrices)
    else:
        name, local = "transpose_tiles", (_SIDE, _SIDE, 1)
        size = (-(-sizes[column] // _SIDE) * _SIDE, -(-sizes[row] // _SIDE) * _SIDE, matrices)
    kernel = device.programs.kernel("ops/transpose.cl", name, f"PlPll({8 * len(layout)})", defines)
    return kernel, size, local, matrices, struct.pack(f"{len(layout)}q", *layout)
