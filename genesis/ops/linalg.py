"""Factorizations of matrices: the host half of ``cl/ops/linalg.cl``.

All take batches of matrices (..., rows, columns) of float32 or float64, and leave them as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from .array import Array, empty, upload
from .elementwise import assign, copy

_SWEEPS = {dtypes.float32: 12, dtypes.float64: 16}         # of Jacobi's method, which converges quadratically


def _group(x: Array) -> int:
    """Work-items that share a matrix: on processors one, whose loops compilers make vectors of."""
    return 64 if x.device.type == "gpu" or x.device.quirks.max_loop else 1


def _launch(name: str, x: Array, arrays: tuple[Array, ...], sizes: tuple[int, ...], steps: int,
            cost: Callable[[int], float], columns: int = 0, **options: int) -> None:
    """Run a kernel's steps, in several launches where the device ends loops early.

    Args:
        name: the kernel.
        x: one of the arrays, a batch of matrices.
        arrays, sizes: the kernel's first arguments.
        steps: how many steps there are.
        cost: about how many iterations a step takes.
        columns: columns that work-items treat each by itself; 0 for work-groups that treat a matrix each.
        options: macros.
    """
    batch = math.prod(x.shape[:-2])
    if not batch or not x.size or not steps:
        return
    defines: tuple[tuple[str, Any], ...] = (("TYPE", x.dtype.name), *options.items())
    if x.dtype is dtypes.float64:
        defines = (*defines, ("REAL64", 1))
    kernel = x.device.programs.kernel("ops/linalg.cl", name, f"{'P' * len(arrays)}{'l' * len(sizes)}ll", defines)
    if columns:
        local = min(64, 1 << (columns - 1).bit_length())
        grid, group = (-(-columns // local) * local, batch), (local, 1)
    else:
        local = _group(x)
        grid, group = (batch * local,), (local,)  # type: ignore[assignment]
    limit, first = x.device.quirks.max_loop or math.inf, 0
    while first < steps:
        last, spent = first + 1, cost(first)
        while last < steps and spent + cost(last) < limit:
            spent += cost(last)
            last += 1
        kernel(grid, group, *[a.buffer.handle for a in arrays], *sizes, first, last)
        first = last


def _zeros(x: Array, shape: tuple[int, ...], dtype: dtypes.DType) -> Array:
    return assign(empty(x.device, shape, dtype), 0)


def identities(x: Array, rows: int, columns: int) -> Array:
    """A batch as x's of matrices with ones on the diagonal."""
    one = upload(x.device, np.eye(rows, columns, dtype=x.dtype.numpy))
    return copy(one.expand((*x.shape[:-2], rows, columns)))


def lu(a: Array) -> tuple[Array, Array]:
    """P A = L U of square matrices: L and U in one matrix, and int32 pivots (..., n): row k was swapped with that."""
    n, out = a.shape[-1], copy(a)
    pivots = _zeros(a, a.shape[:-1], dtypes.int32)
    _launch("lu", out, (out, pivots), (n,), n, lambda k: 3 * n + (n - k) * (1 + (n - k) // _group(a)))
    return out, pivots


def swap_rows(x: Array, pivots: Array) -> Array:
    """The rows of matrices (..., n, m) swapped as pivots say."""
    n, m = x.shape[-2:]
    out = copy(x)
    _launch("swap_rows", out, (out, pivots), (n, m), n, lambda k: 1, m)
    return out


def triangular(a: Array, b: Array, lower: bool, transposed: bool = False, unit: bool = False) -> Array:
    """The X of A X = B, of whose square matrices A one triangle counts; (..., n, n), (..., n, m) -> (..., n, m).

    Args:
        a, b: batches of one shape.
        lower: which triangle.
        transposed: solve with A transposed instead.
        unit: take the diagonal for ones.
    """
    n, m = b.shape[-2:]
    a, out = copy(a), copy(b)
    _launch("triangular", out, (a, out), (n, m), n, lambda step: 1 + step, m, LOWER=int(lower),
            TRANSPOSED=int(transposed), UNIT=int(unit))
    return out


def cholesky(a: Array) -> tuple[Array, Array]:
    """The L of A = L L^T, with what was above its diagonal there still, and int32 info (...,), 0 where it exists."""
    n, out = a.shape[-1], copy(a)
    info = _zeros(a, a.shape[:-2], dtypes.int32)
    _launch("cholesky", out, (out, info), (n,), n, lambda k: k + (1 + (n - k) // _group(a)) * (k + 1))
    return out, info


def householder(a: Array) -> tuple[Array, Array]:
    """Householder's QR of matrices (..., m, n): R and the reflections, transposed (..., n, m), and their factors."""
    m, n = a.shape[-2:]
    out = copy(a.permute((*range(a.ndim - 2), a.ndim - 1, a.ndim - 2)))
    taus = _zeros(a, (*a.shape[:-2], min(m, n)), a.dtype)
    _launch("householder", out, (out, taus), (m, n), min(m, n), lambda k: 3 * m + (1 + (n - k) // _group(a)) * 2 * m)
    return out, taus


def orthogonal(reflections: Array, taus: Array, count: int) -> Array:
    """The first columns of Q, from what `householder` gives; transposed, (..., count, m)."""
    n, m = reflections.shape[-2:]
    out = identities(reflections, count, m)
    _launch("reflect", out, (reflections, taus, out), (m, n, count), min(m, n), lambda step: 2 * m, count)
    return out


def symmetric_eigen(a: Array) -> tuple[Array, Array]:
    """Jacobi's method for symmetric matrices: a diagonal matrix, and eigenvectors as rows, in no order."""
    n, out = a.shape[-1], copy(a)
    vectors = identities(a, n, n)
    pairs, items = (n + 1) // 2, _group(a)
    turns = _zeros(a, (*a.shape[:-2], 2 * pairs), a.dtype)
    cost = -(-pairs // items) * (1 + 2 * n) + -(-n // items) * pairs
    _launch("jacobi_symmetric", out, (out, vectors, turns), (n,), _SWEEPS[a.dtype] * (2 * pairs - 1), lambda _: cost)
    return out, vectors


def orthogonal_rows(a: Array) -> tuple[Array, Array]:
    """One-sided Jacobi's method: V A of orthogonal rows, and V, for matrices A (..., n, m)."""
    n, m = a.shape[-2:]
    out, turned = copy(a), identities(a, n, n)
    pairs = (n + 1) // 2
    cost = -(-pairs // _group(a)) * (2 * m + n)
    _launch("jacobi_rows", out, (out, turned), (m, n), _SWEEPS[a.dtype] * (2 * pairs - 1), lambda _: cost)
    return out, turned
