"""Factorizations of matrices: the host half of ``cl/ops/linalg.cl`` and ``cl/ops/reflections.cl``.

All take batches of matrices (..., rows, columns) of float32, float64, complex64 or complex128, and leave them as they
are. Transposes of complex matrices are conjugated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from .array import Array, empty, upload
from .elementwise import assign, copy

_ELIMINATION, REFLECTIONS = "ops/linalg.cl", "ops/reflections.cl"
TINY = 16          # up to this size one work-item treats a matrix on processors
_ROWS = 8          # rows that a triangular system takes at a time, as in the kernel


def panel_of(count: int) -> int:
    """Columns, of so many, that LU and QR take at a time."""
    return 4 if count <= 4 else 16


def team(x: Array, width: int = 16) -> int:
    """Work-items that share a matrix or a panel: on processors as many as make one vector, or as it has columns."""
    return 64 if x.device.type == "gpu" or x.device.quirks.max_loop else width


def launch(file: str, name: str, x: Array, arrays: tuple[Array, ...], sizes: tuple[int, ...],
           steps: range | None = None, cost: Callable[[int], float] = lambda _: 1, *, grid: tuple[int, ...] = (),
           local: tuple[int, ...] = (), columns: int = 0, **options: Any) -> None:
    """Run a kernel, or its steps in several launches where the device ends loops early.

    Args:
        file, name: the kernel.
        x: one of the arrays, a batch of matrices.
        arrays, sizes: the kernel's first arguments.
        steps: which steps there are; their first and last are its last two arguments. None if it takes none.
        cost: about how many iterations a step takes.
        grid, local: global and local size, () as the driver likes.
        columns: instead of these, so many columns of each matrix, a work-item each.
        options: macros.
    """
    batch = math.prod(x.shape[:-2])
    if not batch or not x.size or (steps is not None and not steps):
        return
    options = {"TYPE": x.dtype.name, **options}
    if options["TYPE"].startswith("complex"):
        options["COMPLEX"] = 1
    defines: tuple[tuple[str, Any], ...] = tuple(options.items())
    if options["TYPE"] in ("float64", "complex128") or options.get("WIDE_TYPE") == "float64":
        defines = (*defines, ("REAL64", 1))
    numbers = len(sizes) + 2 * (steps is not None)
    kernel = x.device.programs.kernel(file, name, "P" * len(arrays) + "l" * numbers, defines)
    if columns:
        width = min(32 if x.device.type == "cpu" else 64, 1 << (columns - 1).bit_length())
        grid, local = (-(-columns // width) * width, batch), (width, 1)
    handles = [a.buffer.handle for a in arrays]
    if steps is None:
        kernel(grid, local or None, *handles, *sizes)
        return
    limit, first = x.device.quirks.max_loop or math.inf, steps.start
    while first < steps.stop:
        last, spent = first + 1, cost(first)
        while last < steps.stop and spent + cost(last) < limit:
            spent += cost(last)
            last += 1
        kernel(grid, local or None, *handles, *sizes, first, last)
        first = last


def _plain(x: Array) -> Array:
    """As kernels here take it: without gaps from the start of its memory."""
    return x if x.offset == 0 and x.is_contiguous() else copy(x)


def zeros(x: Array, shape: tuple[int, ...], dtype: dtypes.DType) -> Array:
    """Zeros on the device of an array."""
    return assign(empty(x.device, shape, dtype), 0)


def identities(x: Array, rows: int, columns: int) -> Array:
    """A batch as x's of matrices with ones on the diagonal."""
    one = upload(x.device, np.eye(rows, columns, dtype=x.dtype.numpy))
    return copy(one.expand((*x.shape[:-2], rows, columns)))


def _rows(x: Array, width: int, panels: int = 1) -> tuple[dict[str, Any], int]:
    """How kernels are launched whose work-groups treat a panel, and over how many rows of work-items."""
    items = team(x, width if max(x.shape[-2:]) > TINY else 1)
    lanes = min(width, items)
    rows = items // lanes
    return {"grid": (math.prod(x.shape[:-2]) * lanes, panels * rows), "local": (lanes, rows), "ITEMS": items,
            "PANEL": width, "LANES": lanes}, rows


def lu(a: Array) -> tuple[Array, Array]:
    """P A = L U of square matrices: L and U in one matrix, and int32 pivots (..., n): row k was swapped with that."""
    n, out = a.shape[-1], copy(a)
    pivots = empty(a.device, a.shape[:-1], dtypes.int32)
    width = panel_of(n)
    shared, rows = _rows(a, width)
    for start in range(0, n, width):
        stop = min(start + width, n)
        launch(_ELIMINATION, "lu_panel", out, (out, pivots), (n, start), range(start, stop),
               lambda k: 3 * (n - k) / rows + 64, **shared)
        if n > width:
            launch(_ELIMINATION, "lu_update", out, (out, pivots), (n, start, stop), columns=n, PANEL=width)
    return out, pivots


def about_lu(lu: Array, pivots: Array) -> tuple[Array, Array]:
    """What `lu` of matrices (..., n, n) tells: determinant, its sign, the logarithm of its absolute value: (3, ...).

    And int32 (...,): the positions of the first 0 on U's diagonal, counted from 1, or 0.
    """
    batch, n = lu.shape[:-2], lu.shape[-1]
    if n == 0:
        about = zeros(lu, (3, *batch), lu.dtype)
        assign(about.view((2, *batch), about.strides, 0), 1)
        return about, zeros(lu, batch, dtypes.int32)
    lu, pivots = _plain(lu), _plain(pivots)
    about, info = empty(lu.device, (3, *batch), lu.dtype), empty(lu.device, batch, dtypes.int32)
    launch(_ELIMINATION, "lu_about", lu, (lu, pivots, about, info), (n,), range(n), grid=(info.size,))
    return about, info


def solved(lu: Array, pivots: Array, b: Array) -> Array:
    """The X of A X = B, (..., n, m), from A's `lu`."""
    out = swap_rows(b, pivots)
    _substitute(lu, out, True, unit=True)
    return _substitute(lu, out, False)


def swap_rows(x: Array, pivots: Array) -> Array:
    """The rows of matrices (..., n, m) swapped as pivots say."""
    n, m = x.shape[-2:]
    out = copy(x)
    launch(_ELIMINATION, "swap_rows", out, (out, pivots), (n, m), range(n), columns=m)
    return out


def triangular(a: Array, b: Array, lower: bool, transposed: bool = False, unit: bool = False) -> Array:
    """The X of A X = B, of whose square matrices A one triangle counts; (..., n, n), (..., n, m) -> (..., n, m).

    Args:
        a, b: batches of one shape.
        lower: which triangle.
        transposed: solve with A transposed instead.
        unit: take the diagonal for ones.
    """
    return _substitute(_plain(a), copy(b), lower, transposed, unit)


def _substitute(a: Array, out: Array, lower: bool, transposed: bool = False, unit: bool = False) -> Array:
    """`triangular` for arrays without gaps, in the memory of B."""
    n, m = out.shape[-2:]
    launch(_ELIMINATION, "triangular", out, (a, out), (n, m), range(-(-n // _ROWS)),
           lambda block: _ROWS * (block + 1) * 2, columns=m, LOWER=int(lower),
           TRANSPOSED=int(transposed), UNIT=int(unit))
    return out


def cholesky(a: Array) -> tuple[Array, Array]:
    """The L of A = L L^H, and int32 info (...,): 0, or the number of the step that found that there is none."""
    n, out = a.shape[-1], copy(a)
    info = empty(a.device, a.shape[:-2], dtypes.int32) if n else zeros(a, a.shape[:-2], dtypes.int32)
    items = team(a, 1)
    launch(_ELIMINATION, "cholesky", out, (out, info), (n,), range(n), lambda k: k + (1 + (n - k) // items) * (k + 1),
           grid=(info.size * items,), local=(items,))
    return out, info


def householder(a: Array) -> tuple[Array, Array]:
    """Householder's QR of matrices (..., m, n): R, the reflections below it, and what `orthogonal` takes besides."""
    (m, n), out = a.shape[-2:], copy(a)
    count = min(m, n)
    taus = zeros(a, (*a.shape[:-2], count), a.dtype)
    width = panel_of(count)
    factors = no_factors(a, count)
    shared, rows = _rows(a, width)
    for start in range(0, count, width):
        stop = min(start + width, count)
        launch(REFLECTIONS, "qr_panel", out, (out, taus), (m, n, start), range(start, stop),
               lambda k: 5 * (m - k) / rows + 128, **shared)
        block_factors(out, taus, factors, start // width, 1)
        if stop < n:
            _reflect(out, factors, out, start, stop - start, stop, TRANSPOSED=1)
    return out, factors


def no_factors(a: Array, count: int) -> Array:
    """Room for the triangular factors of so many reflections."""
    width = panel_of(count)
    return empty(a.device, (*a.shape[:-2], -(-count // width), width, width), a.dtype)


def block_factors(reflections: Array, taus: Array, factors: Array, first: int, panels: int, shift: int = 0) -> None:
    """The triangular factors of panels of reflections, for `_reflect`."""
    m, n = reflections.shape[-2:]
    shared, _ = _rows(reflections, factors.shape[-1], panels)
    launch(REFLECTIONS, "block_factors", reflections, (reflections, taus, factors), (m, n, taus.shape[-1], first),
           **shared, SHIFT=shift)


def _reflect(reflections: Array, factors: Array, x: Array, start: int, width: int, first: int, **options: Any) -> None:
    """Apply a panel of reflections to the columns of x from ``first`` on, in place."""
    m, n = reflections.shape[-2:]
    columns, panel = x.shape[-1], factors.shape[-1]
    if width < panel:
        options["PARTIAL"] = 1
    launch(REFLECTIONS, "reflect", reflections, (reflections, factors, x),
           (m, n, columns, first, start, width, factors.shape[-3]), columns=columns - first,
           PANEL=panel, **options)


def orthogonal(reflections: Array, factors: Array, columns: int, shift: int = 0) -> Array:
    """The first columns of Q, (..., m, columns), from what `householder` gives."""
    m, n = reflections.shape[-2:]
    out = identities(reflections, m, columns)
    count, width = min(m, n) - shift, factors.shape[-1]
    for start in range((count - 1) // width * width, -1, -width):
        # What lies left of a panel's own columns is still that of the identity, which it leaves as it is.
        _reflect(reflections, factors, out, start, min(width, count - start), min(start + shift, columns - 1),
                 SHIFT=shift)
    return out
