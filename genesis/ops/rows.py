"""How the kernels that work row by row (``cl/include/row.h``) are laid out on a device."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..dtypes import DType
from ..opencl import Device
from .array import Array

_ITEM = 8192          # elements that keep a CPU's work-item busy for some microseconds
_SPAN = 4             # groups of columns that a CPU's work-item takes at once: 256 bytes of a row
_GPU_WIDTH, _GPU_COLUMNS = 4, 64


class Rows(NamedTuple):
    """A launch over rows, or over groups of columns.

    Attributes:
        defines: WIDTH, TEAM and what else the sizes decide.
        block: rows (or groups of columns) that a team takes one after the other.
        teams: number of teams.
        size, local: global and local size.
    """

    defines: tuple[tuple[str, Any], ...]
    block: int
    teams: int
    size: tuple[int, ...]
    local: tuple[int, ...] | None


def width_of(device: Device, n: int, double: bool, columns: bool = False) -> int:
    """Elements that a work-item handles at once in rows of ``n`` elements, or of ``n`` neighbouring columns.

    Padding a last group costs about what some full groups cost, so rows that would be padded much get narrower ones.
    """
    width = _GPU_WIDTH if device.type == "gpu" else device.quirks.rule_width
    width = min(width, 8) if double else width
    while width > 1 and (width >= 2 * n or (not columns and width > 4 and 4 * (-n % width) > n)):
        width //= 2
    return width


def too_long(device: Device, n: int, passes: int, double: bool = False, columns: bool = False, run: int = 0) -> bool:
    """Whether a work-item of this device cannot be trusted with so many passes over a row, or a column, of ``n``."""
    limit = device.quirks.max_loop
    return 0 < limit < passes * (_SPAN * (n + 1) if columns else groups_of(device, n, double, run) + 16)


def groups_of(device: Device, n: int, double: bool, run: int = 0) -> int:
    """Groups of elements in a row of ``n``, which may consist of several runs without gaps."""
    width = width_of(device, run or n, double)
    return max(1, -(-n // run) * -(-run // width) if run else -(-n // width))


def rows_launch(device: Device, rows: int, n: int, passes: int, double: bool = False, most: int = 0,
                run: int = 0) -> Rows:
    """A launch with a team to each row.

    Args:
        rows: number of rows, at least 1.
        n: elements of a row.
        passes: loops over a row that the kernel runs.
        double: whether it computes in float64.
        most: most teams, where each leaves a partial result; 0: any number.
        run: elements without gaps that vectors are taken from, where a row consists of several such runs.
    """
    width = width_of(device, run or n, double)
    groups = groups_of(device, n, double, run)
    if device.type == "gpu":
        most_items = min(256, device.handle.max_work_group_size)
        team = min(max(32, 1 << (groups - 1).bit_length()), most_items)
        block = 1
    else:
        team = 1
        block = _shared_out(device, rows, n)
    if most:
        block = max(block, -(-rows // most))
    block = _within(device, block, passes * (groups + 16))
    teams = -(-rows // block)
    exact = int((run or n) % width == 0)
    return Rows((("WIDTH", width), ("TEAM", team), ("EXACT", exact), *_real(double)), block, teams, (teams * team,),
                (team,))


def columns_launch(device: Device, outer: int, n: int, inner: int, passes: int, double: bool = False,
                   most: int = 0, span: int = _SPAN, block: int = 0) -> Rows:
    """A launch with a work-item to each group of neighbouring columns of (outer, n, inner).

    Args:
        outer, n, inner: sizes.
        passes: loops over a column that the kernel runs.
        double: whether it computes in float64.
        most: most work-items, where each leaves a partial result; 0: any number.
        span: groups that a work-item takes at once where there are enough; 1 for a kernel that cannot.
        block: spans that a work-item takes one after the other; 0 to choose.
    """
    gpu = device.type == "gpu"
    width = 1 if gpu else width_of(device, inner, double, True)
    groups = -(-inner // width)
    span = span if not gpu and groups >= span and outer * groups >= span * 4 * device.compute_units else 1
    tasks = outer * -(-groups // span)
    block = block or (1 if gpu else _shared_out(device, tasks, n * width * span))
    if most:
        block = max(block, -(-tasks // most))
    block = _within(device, block, span * passes * (n + 1))
    items = -(-tasks // block)
    local = min(_GPU_COLUMNS, device.handle.max_work_group_size) if gpu else 1
    exact = int(inner % (width * span) == 0)
    return Rows((("WIDTH", width), ("TEAM", local), ("COLUMNS", local), ("SPAN", span), ("EXACT", exact),
                 *_real(double)), block, items, (-(-items // local) * local,), (local,))


def _shared_out(device: Device, tasks: int, size: int) -> int:
    """Tasks of so many elements for one work-item: enough to be worth it, and few enough to keep all units busy."""
    busy = device.compute_units * device.quirks.parallel
    return max(1, min(_ITEM // max(size, 1), -(-tasks // busy)))


def _within(device: Device, block: int, steps: int) -> int:
    limit = device.quirks.max_loop
    return max(1, min(block, limit // steps)) if limit else block


def _real(double: bool) -> tuple[tuple[str, Any], ...]:
    return (("REAL64", 1),) if double else ()


def as_middle(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """A shape seen as (outer, n, inner), n being one dimension."""
    outer = inner = 1
    for size in shape[:axis]:
        outer *= size
    for size in shape[axis + 1:]:
        inner *= size
    return outer, shape[axis] if shape else 1, inner


def is_double(*items: Array | DType) -> bool:
    """Whether any array or type computes in float64."""
    return "double" in [(x.dtype if isinstance(x, Array) else x).compute for x in items]
