"""Discrete Fourier transforms: the host half of ``cl/ops/fft.cl``.

Rows whose length is a product of primes up to 13 go through local memory in one launch. Longer ones are cut into
columns and rows (Bailey 1990, "FFTs in external or hierarchical memory"); other lengths become a convolution (Bluestein
1970, "A linear filtering approach to the computation of discrete Fourier transform").
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..dtypes import DType
from ..opencl import Device
from .array import Array, Shape, contiguous_strides, empty, upload
from .complex import allow
from .elementwise import assign, contiguous, copy, fitting, full, run
from .operation import Context, Operation
from .vectors import lanes_of

_MOST = 4096          # elements of a work-group's rows together, at the most
_USUAL = 1024         # the same of short rows, which share a work-group of a GPU
_MOST_ROWS = 64       # of a work-group
_ROW_BYTES = 24       # of local memory that the kernel keeps for a row beside its elements
_BUNDLES = 256        # elements of a CPU's work-group of short rows, those of a bundle counted as one
_BUNDLE_BYTES = 1 << 18      # of local memory, at the most, that rows beside one another may take
_PRIMES = (13, 11, 7, 5, 3, 2)


@functools.lru_cache(4096)
def radices(n: int) -> tuple[int, ...] | None:
    """The radices of the passes that transform ``n`` elements; None where a prime factor is above 13."""
    found = []
    for r in _PRIMES:
        while n % r == 0:
            found.append(r)
            n //= r
    twos = found.count(2)
    fours = min(twos // 2, -twos % 3)              # as few passes as eights, fours and a two make
    eights = (twos - 2 * fours) // 3
    passes = (8,) * eights + (4,) * fours + (2,) * (twos - 2 * fours - 3 * eights)
    return (*passes, *(r for r in found if r != 2)) if n == 1 else None


@functools.lru_cache(256)
def twiddles(device: Device, n: int, dtype: DType) -> Array:
    """``exp(-2 pi i t / n)`` for t < n, computed in double precision."""
    return upload(device, np.exp(-2j * np.pi * (np.arange(n) / n)).astype(dtype.numpy))


@functools.lru_cache(256)
def _chirp(device: Device, n: int, m: int, inverse: bool, dtype: DType) -> tuple[Array, Array]:
    """Bluestein's factors ``exp(-pi i j^2 / n)`` and the transform, of length m, of what they are convolved with."""
    j = np.arange(n, dtype=np.int64)
    chirp = np.exp((1j if inverse else -1j) * np.pi * (j * j % (2 * n)) / n)
    around = np.zeros(m, np.complex128)
    around[:n] = chirp.conj()
    around[m - n + 1:] = chirp[:0:-1].conj()
    return upload(device, chirp.astype(dtype.numpy)), upload(device, np.fft.fft(around).astype(dtype.numpy))


def _capacity(device: Device, dtype: DType) -> int:
    """How many complex numbers half of a work-group's local memory holds."""
    return min(_MOST, (device.local_memory - _ROW_BYTES * _MOST_ROWS) // (2 * dtype.itemsize))


def transform(x: Array, axis: int, n: int, *, kind: str, inverse: bool, scale: float) -> Array:
    """A transform of length ``n`` along a dimension.

    Args:
        x: ``n`` elements along the dimension.
        axis: the dimension, counted from the front.
        kind: ``"complex"``; ``"half"``, of a real x to the first ``n // 2 + 1`` elements, the others being conjugates;
            ``"real"``, of such a half to the real result.
        inverse: with the conjugate twiddles.
        scale: what the result is multiplied by.
    """
    dtype = x.dtype if x.dtype.is_complex else x.dtype.to_complex()
    kept = n // 2 + 1 if kind == "half" else n
    shape = (*x.shape[:axis], kept, *x.shape[axis + 1:])
    whole = n // 2 if kind != "complex" and n % 2 == 0 else n       # what real numbers in pairs make
    passes = radices(n)
    if passes is not None and whole <= _capacity(x.device, dtype):
        out = empty(x.device, shape, dtype.to_real() if kind == "real" else dtype)
        if out.size:
            x = contiguous(x)
            inner, size = math.prod(x.shape[axis + 1:]), x.shape[axis]
            _launch(x, (size * inner, 1, inner), out, (kept * inner, 1, inner), n, out.size // kept, inner,
                    inverse, scale, kind)
        return out
    last = x.ndim - 1
    turned = (*(a for a in range(x.ndim) if a != axis), axis)
    rows = contiguous(x.permute(turned))
    if whole < n:
        rows = _in_pairs(rows, n, kind, inverse, scale, dtype)
    else:
        rows = _far(_completed(rows, n) if kind == "real" else rows, n, inverse, scale, dtype)
        rows = rows.view((*rows.shape[:-1], kept), rows.strides)
        rows = rows.part(0) if kind == "real" else rows
    result = rows.permute(tuple(turned.index(a) for a in range(last + 1)))
    return result if result.is_contiguous() else copy(result)


def _in_pairs(x: Array, n: int, kind: str, inverse: bool, scale: float, dtype: DType) -> Array:
    """Rows (..., n) of real numbers, n even, to halves or the converse, by complex transforms of half the length."""
    half, options = n // 2, (("CONJUGATE", 1),)
    if kind == "half":
        shape = (*x.shape[:-1], half, 2)
        pairs = (copy(x) if x.offset % 2 else x).view(shape, contiguous_strides(shape)).as_complex()
        assert pairs is not None
        there = _far(pairs, half, False, 1.0, dtype)
        return _folded("fold", there, half + 1, half, scale, options if inverse else ())
    there = _folded("unfold", x, half, half, 1.0, () if inverse else options)
    shape = (*x.shape[:-1], n)
    return _far(there, half, True, scale, dtype).as_real().view(shape, contiguous_strides(shape))


def _folded(name: str, x: Array, kept: int, n: int, scale: float, options: tuple[tuple[str, Any], ...]) -> Array:
    """What of rows of pairs becomes a half, or the converse; see the kernel."""
    out = empty(x.device, (*x.shape[:-1], kept), x.dtype)
    double = x.dtype.compute == "double2"
    kernel = x.device.programs.kernel("ops/fft.cl", name, f"PlPlP{'d' if double else 'f'}l",
                                      (*options, *((("REAL64", 1),) if double else ())))
    if out.size:
        kernel((kept, out.size // kept), None, x.buffer.handle, x.offset, out.buffer.handle, out.offset,
               twiddles(x.device, 2 * n, x.dtype).buffer.handle, scale, n)
    return out


def _far(x: Array, n: int, inverse: bool, scale: float, dtype: DType) -> Array:
    """Rows (..., n) that do not fit into local memory, or of any length."""
    return (_bluestein if radices(n) is None else _long)(x, n, inverse, scale, dtype)


def _launch(x: Array, steps: tuple[int, int, int], out: Array, out_steps: tuple[int, int, int], n: int, rows: int,
            inner: int, inverse: bool, scale: float, kind: str = "complex", turns: Array | None = None) -> None:
    """Transform rows that fit into local memory; see the kernel for how they are addressed."""
    device = x.device
    dtype = x.dtype if x.dtype.is_complex else x.dtype.to_complex()
    packed, double = kind != "complex" and n % 2 == 0, dtype.compute == "double2"
    if packed:
        turns, n = twiddles(device, n, dtype), n // 2
    passes = radices(n)
    assert passes is not None
    half = n + 1 if packed else n // 2 + 1
    stored, kept = half if kind == "real" else n, half if kind == "half" else n
    held, room = max(n, stored), _capacity(device, dtype)
    width = _width(device, held, dtype, rows)
    by_row = steps[2] == 1
    if width > 1:
        group, local = max(1, min(_MOST_ROWS // width, _BUNDLES // n, -(-rows // width), room // (held * width))), 1
    else:
        together = (_USUAL if by_row and device.type == "gpu" else room) // held
        group = max(1, min(_MOST_ROWS, 1 << max(0, together.bit_length() - 1), 1 << (rows - 1).bit_length()))
        most = min(64 if device.type == "cpu" else 256, device.handle.max_work_group_size)
        local = min(most, 1 << max(0, (group * n // 4).bit_length() - 1)) if group * n >= 4 else 1
    defines: tuple[tuple[str, Any], ...] = (
        *_passes(n, passes, "ba" if kind == "real" else "ab"), ("WIDTH", width), ("GROUP", group),
        ("IN", x.dtype.name), ("OUT", out.dtype.name), ("STORED", stored), ("KEPT", kept), ("IN_BY_ROW", int(by_row)),
        ("OUT_BY_ROW", int(out_steps[2] == 1)))
    # Of numbers in pairs, forward transforms give a half, and inverse ones real numbers; the others are conjugates.
    turned = kind == "real" if packed else inverse
    for name, wanted in (("PACKED", packed), ("HALF", kind == "real"), ("INVERSE", turned),
                         ("CONJUGATE", packed and inverse != turned), ("TURN", turns is not None and not packed),
                         ("REAL64", double)):
        if wanted:
            defines += ((name, 1),)
    kernel = device.programs.kernel("ops/fft.cl", "fft", f"PlPlPP{'d' if double else 'f'}llllllll", defines)
    table = twiddles(device, n, dtype)
    kernel((-(-rows // (group * width)) * local,), (local,), x.buffer.handle, x.offset, out.buffer.handle, out.offset,
           table.buffer.handle, (table if turns is None else turns).buffer.handle, scale, rows, inner, *steps,
           *out_steps)


def _width(device: Device, held: int, dtype: DType, rows: int) -> int:
    """How many rows lie side by side: as many as make a processor's vector, if there are so many; elsewhere one.

    Args:
        device: where.
        held: elements of a row in each half of local memory.
        dtype: their type.
        rows: how many there are.
    """
    if device.type != "cpu" or device.quirks.max_loop:
        return 1
    width = lanes_of(device, dtype.to_real()) // 2
    room = min(_BUNDLE_BYTES, device.local_memory - _ROW_BYTES * _MOST_ROWS)
    while width > 1 and (rows < width or 2 * width * held * dtype.itemsize > room):
        width //= 2
    return width


@functools.lru_cache(1024)
def _passes(n: int, passes: tuple[int, ...], halves: str) -> tuple[tuple[str, Any], ...]:
    """The macros that say what the passes are."""
    done, text = 1, ""
    for radix in passes:
        text += f"PASS({radix}, {halves[0]}, {halves[1]}, {done}) "
        halves, done = halves[::-1], done * radix
    return ("N", n), ("PASSES", text), ("LAST", halves[0])


def _long(x: Array, n: int, inverse: bool, scale: float, dtype: DType) -> Array:
    """Rows (..., n) that do not fit into local memory: their columns, turned, then their rows."""
    device, most = x.device, _capacity(x.device, dtype)
    first = max(d for d in _divisors(n) if d <= min(most, math.isqrt(n)))
    second = n // first
    if second > most:
        first = max(d for d in _divisors(n) if d <= most)
        second = n // first
    outer = x.size // n
    between, out = empty(device, (*x.shape[:-1], n), dtype), empty(device, (*x.shape[:-1], n), dtype)
    _launch(x, (n, 1, second), between, (n, 1, second), first, outer * second, second, inverse, 1.0,
            turns=twiddles(device, n, dtype))
    if second <= most:
        _launch(between, (n, second, 1), out, (n, 1, first), second, outer * first, first, inverse, scale)
        return out
    parts = between.view((outer, first, second), (n, second, 1))
    done = _long(parts, second, inverse, scale, dtype)
    assign(out.view((outer, second, first), (n, first, 1)), done.permute((0, 2, 1)))
    return out


@functools.lru_cache(256)
def _divisors(n: int) -> tuple[int, ...]:
    small = [d for d in range(1, math.isqrt(n) + 1) if n % d == 0]
    return (*small, *(n // d for d in small))


def _bluestein(x: Array, n: int, inverse: bool, scale: float, dtype: DType) -> Array:
    """Rows (..., n) of any length: ``jk = (j^2 + k^2 - (k - j)^2) / 2`` makes the sum a convolution."""
    m = next(m for m in range(2 * n - 1, 4 * n) if radices(m) is not None)
    chirp, filter_ = _chirp(x.device, n, m, inverse, dtype)
    padded = full(x.device, (*x.shape[:-1], m), 0, dtype)
    run("mul", [x, chirp], dtype, out=padded.view(x.shape, padded.strides))
    axis = x.ndim - 1
    there = transform(padded, axis, m, kind="complex", inverse=False, scale=1.0)
    run("mul", [there, filter_], dtype, out=there)
    back = transform(there, axis, m, kind="complex", inverse=True, scale=scale / m)
    return run("mul", [back.view(x.shape, back.strides), chirp], dtype)


def _completed(x: Array, n: int) -> Array:
    """Whole rows (..., n) from their first halves; the imaginary parts of what is its own conjugate are left out."""
    out = empty(x.device, (*x.shape[:-1], n), x.dtype)
    first = n // 2 + 1

    def piece(a: Array, start: int, count: int, step: int = 1) -> Array:
        return a.view((*a.shape[:-1], count), (*a.strides[:-1], step * a.strides[-1]), a.offset + start * a.strides[-1])

    assign(piece(out, 0, first), x)
    for alone in (0, *((n // 2,) if n % 2 == 0 else ())):
        assign(piece(out, alone, 1).part(1), 0)
    if n > first:
        run("conj", [piece(x, n - first, n - first, -1)], x.dtype, out=piece(out, first, n - first))
    return out


def doubling(n: int) -> np.ndarray:
    """How often each of the first ``n // 2 + 1`` elements of a row stands in it, once or as its conjugate too."""
    weights = np.full(n // 2 + 1, 2.0)
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    return weights


@functools.lru_cache(256)
def _doubling(device: Device, n: int, dtype: DType) -> Array:
    return upload(device, doubling(n).astype(dtype.numpy))


@allow
class Transform(Operation):
    """A discrete Fourier transform along a dimension.

    Options: ``n`` the length; ``kind``: ``"complex"``; ``"half"``, of real numbers to the first half of the result,
    whose other half are conjugates; or ``"real"``, of such a half to real numbers; ``inverse`` the sign of the
    exponent; ``scale`` a factor.
    """

    @classmethod
    def forward(cls, ctx: Context, x: Array, *, axis: int, n: int, kind: str, inverse: bool, scale: float) -> Array:
        """Transform."""
        ctx.options = axis, n, kind, inverse, scale
        ctx.kind = x.dtype
        return transform(x, axis, n, kind=kind, inverse=inverse, scale=scale)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> Array:
        """The conjugate transform: the other sign. Elements of a half that stand for two count twice."""
        axis, n, kind, inverse, scale = ctx.options
        if kind == "complex":
            return contiguous(fitting(transform(g, axis, n, kind=kind, inverse=not inverse, scale=scale), ctx.kind))
        weights = _doubling(g.device, n, g.dtype.to_real())
        column: Shape = (weights.size, *(1,) * (g.ndim - 1 - axis))
        weights = weights.view(column, contiguous_strides(column))
        if kind == "half":
            return transform(run("div", [g, weights], g.dtype), axis, n, kind="real", inverse=not inverse, scale=scale)
        half = transform(g, axis, n, kind="half", inverse=not inverse, scale=scale)
        return run("mul", [half, weights], half.dtype, out=half)
