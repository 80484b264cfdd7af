"""Eigenvalues of symmetric matrices, and Jacobi's method: the host half of ``cl/ops/spectra.cl``."""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes
from .array import Array, download, empty
from .elementwise import assign, copy
from .linalg import REFLECTIONS, TINY, block_factors, launch, no_factors, orthogonal, team, zeros

_SPECTRA = "ops/spectra.cl"
# Of Jacobi's method, which converges quadratically.
_SWEEPS = {dtypes.float32: 12, dtypes.float64: 16, dtypes.complex64: 12, dtypes.complex128: 16}
_LARGE = 512               # from this size on, one matrix is worth launches in which several work-groups treat it
_ROTATIONS = 1 << 22       # most rotations of a batch that are kept at a time, unless one sweep has more


def _front(x: Array, n: int) -> Array:
    """The first n columns."""
    return x.view((*x.shape[:-1], n), x.strides)


def _apart(x: Array) -> Array:
    """A copy of matrices with unused columns behind the others.

    Their rows are an odd number of cache lines apart: what walks down columns, a power of two apart, would use a small
    part of a cache only.
    """
    n = x.shape[-1]
    line = 64 // x.dtype.itemsize
    stride = n if n < 64 else (-(-n // line) | 1) * line
    out = empty(x.device, (*x.shape[:-1], stride), x.dtype)
    assign(_front(out, n), x)
    return out


def symmetric_eigen(a: Array, vectors: bool = True) -> tuple[Array, Array | None, bool]:
    """Eigenvalues (..., n) of symmetric matrices, and eigenvectors as rows, in no order; whether some were not found.

    The same for Hermitian matrices, whose rotations are real after they have been made tridiagonal.

    Made tridiagonal by reflections, then diagonal by the implicit QL algorithm, in float64 where the device has it.
    Waits for the device. Eigenvalues are not found if infinity or NaN is among the elements.
    """
    n, batch, device = a.shape[-1], math.prod(a.shape[:-2]), a.device
    real = a.dtype.to_real() if a.dtype.is_complex else a.dtype
    wide = dtypes.float64 if device.fp64 else real
    d, e = (empty(device, a.shape[:-1], wide) for _ in range(2))
    if not a.size:
        return d, copy(a), False
    out, taus = _apart(a), zeros(a, (*a.shape[:-2], max(n - 1, 1)), a.dtype)
    work = zeros(a, (*a.shape[:-2], 4, n), a.dtype)
    items = team(a, 1) if n <= TINY else min(4 * team(a), max(4, 1 << (n - 1).bit_length()))
    launch(REFLECTIONS, "tridiagonal", out, (out, d, e, taus, work), (n, out.shape[-1]), range(n),
           lambda k: (-(-n // items)) * (n - k + 4) + 4 * items, grid=(batch * items,), local=(items,), ITEMS=items,
           WIDE_TYPE=wide.name)
    rows = None
    options: dict[str, Any] = {"WIDE_TYPE": wide.name, "TYPE": real.name}
    if vectors:
        options["VECTORS"] = 1
        factors = no_factors(a, taus.shape[-1])
        block_factors(out, taus, factors, 0, factors.shape[-3], 1)
        q = _front(orthogonal(out, factors, out.shape[-1], 1), n)
        rows = _apart(q.permute((*range(q.ndim - 2), q.ndim - 1, q.ndim - 2)))
    limit = device.quirks.max_loop or 1 << 30
    most = max(4 * n, min(2 * n * n, _ROTATIONS // batch, limit - n)) if vectors else limit - n
    most_sweeps, kept = 4 * n, batch * vectors      # nothing is kept for values alone
    state = zeros(a, (batch, 4), dtypes.int32)
    sweeps = empty(device, (max(1, kept * most_sweeps), 2), dtypes.int32)
    turns = empty(device, (max(1, kept * most), 2), real)
    parts = 2 if a.dtype.is_complex else 1
    while True:
        launch(_SPECTRA, "ql", out, (d, e, state, sweeps, turns), (n, most, most_sweeps), grid=(batch,), local=(1,),
               **options)
        if rows is not None:
            launch(_SPECTRA, "turn", rows, (state, sweeps, turns, rows), (n, parts * n, parts * rows.shape[-1], most,
                                                                        most_sweeps), columns=parts * n, **options)
        found, *_, failed = download(state).T
        if (found == n).all():
            return d, None if rows is None else _front(rows, n), bool(failed.any())


def orthogonal_rows(a: Array, turned: Array) -> None:
    """One-sided Jacobi's method, in place: V A of orthogonal rows, and V times ``turned``, for A (..., n, m)."""
    n, m = a.shape[-2:]
    batch, pairs, sweeps = math.prod(a.shape[:-2]), (n + 1) // 2, _SWEEPS[a.dtype]
    rounds, items = 2 * pairs - 1, team(a, 1)
    state = zeros(a, (batch, sweeps), dtypes.int32)
    units = a.device.compute_units
    parts = min(units, pairs // (4 * items)) if batch < units and n >= _LARGE else 1
    shared: dict[str, Any] = {"grid": (batch, items * max(1, parts)), "local": (1, items)}
    arguments = _SPECTRA, "jacobi_rows", a, (a, turned, state), (m, n, sweeps)
    if parts <= 1:
        cost = -(-pairs // items) * (2 * m + n)
        launch(*arguments, range(sweeps * rounds), lambda _: cost, **shared)
        return
    for sweep in range(sweeps):      # each round in a launch of its own, at which all of a device works
        launch(*arguments, range(sweep * rounds, (sweep + 1) * rounds), lambda _: math.inf, **shared)
        if not download(state)[:, sweep].any():
            break
