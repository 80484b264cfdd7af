"""Matrix products: the host half of ``cl/ops/matmul.cl`` and ``cl/ops/matmul_block.cl``.

The kernels for vectors and for AMX have modules of their own.
"""

from __future__ import annotations

import contextlib
import math
import struct
from collections.abc import Iterator
from typing import Any

from .. import dtypes
from ..dtypes import DType
from ..opencl import Device
from . import matmul_amx, matmul_tiles, matvec
from .array import Array, Shape, broadcast_shapes, empty
from .elementwise import assign, cast, contiguous, copy, full, reshaped, run, sum_to
from .matmul_tiles import Tiles, tiles_for
from .operation import Context, Operation
from .reduce import reduce

_SIDE, _PER = 16, 4         # a GPU group's tile: 64 by 64
_PAGE = 4096                # rows this many bytes apart, or a multiple, fall into the same place of a CPU's cache
_MAX_PLANS = 10_000
_COLUMNS = 128              # of a CPU's block, or a multiple
_FEW_ROWS, _MANY_ROWS, _AMPLE_ROWS = 32, 256, 768
_MOST_STEPS = 256           # of k: more, and a panel of B is too large for the fastest cache
_NEAR = 1 << 19             # elements of an operand that a core's cache may hold until they are used again
_plans: dict[Any, tuple[Any, ...]] = {}


def product(a: Array, b: Array, out: Array | None = None, *, bias: Array | None = None,
            dtype: DType | None = None) -> Array:
    """``a @ b (+ bias)`` for arrays of two or more dimensions; leading dimensions broadcast.

    No operand is copied, whatever its strides, unless its leading dimensions do not merge into two.

    Args:
        a: (..., m, k).
        b: (..., k, n).
        out: a contiguous array (..., m, n) to write into.
        bias: (n,), added to every row.
        dtype: element type of the result; by default ``out``'s, else what a and b promote to. float16 and bfloat16 are
            added up in float32 and rounded once.
    """
    if a.shape[-1] != b.shape[-2]:
        raise RuntimeError(f"cannot multiply matrices of shapes {a.shape} and {b.shape}: "
                           f"{a.shape[-1]} columns meet {b.shape[-2]} rows")
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    (m, k), n = a.shape[-2:], b.shape[-1]
    if out is None:
        out = empty(a.device, (*batch, m, n), dtype or dtypes.promote(a.dtype, b.dtype))
    if out.size == 0:
        return out
    if k == 0:
        return assign(out, 0 if bias is None else bias)
    if k == 1 and bias is None and a.dtype.is_floating_point:
        return run("mul", [a, b], out.dtype, out=out)
    key = (a.shape, a.strides, a.dtype, b.shape, b.strides, b.dtype, out.dtype, bias and bias.dtype,
           bias and bias.strides, a.buffer.device)
    plan = _plans.get(key)
    if plan is None:
        prepared = _prepare(a, b, out, bias, batch)
        if prepared is not None:
            return product(*prepared, out, bias=bias)
        limit = a.device.quirks.max_loop
        if 0 < limit < k:
            return _in_parts(a, b, out, bias, limit)
        if len(_plans) >= _MAX_PLANS:
            _plans.clear()
        plan = _plans[key] = _plan(a, b, out, bias, batch)
    kernel, global_size, local_size, sizes, sums = plan
    to = out
    if sums:
        wide = dtypes.float64 if out.dtype is dtypes.float64 else dtypes.float32
        to = empty(a.device, out.shape if sums == 1 else (sums, *out.shape), wide)
    args = [a.buffer.handle, a.offset, b.buffer.handle, b.offset, to.buffer.handle, to.offset]
    if bias is not None:
        args += (bias.buffer.handle, bias.offset)
    kernel(global_size, local_size, *args, sizes)
    if sums == 0:
        return out
    return assign(out, to) if sums == 1 else reduce("sum", to, (0,), out=out)


@contextlib.contextmanager
def by_amx(emulated: bool = False) -> Iterator[None]:
    """Multiply and convolve by the kernels for AMX for a while, whatever it costs.

    Emulated: with tiles that are OpenCL C, on any CPU device, for tests.
    """
    matmul_amx.forced = "emulated" if emulated else "amx"
    forget_plans()
    try:
        yield
    finally:
        matmul_amx.forced = ""
        forget_plans()


def forget_plans() -> None:
    """Work everything out anew: another choice of blocks applies from now on."""
    _plans.clear()


def _prepare(a: Array, b: Array, out: Array, bias: Array | None, batch: Shape) -> tuple[Array, Array] | None:
    """The operands as the kernels can take them, where that needs copies; None when they can stay as they are."""
    if not out.dtype.is_floating_point and bias is not None:
        raise RuntimeError("products of integers take no bias")
    x, y = a, b
    if dtypes.float64 in (a.dtype, b.dtype, out.dtype):
        wide = out.dtype if out.dtype is dtypes.float64 else dtypes.float32
        x, y = cast(a, wide), cast(b, wide)
    if len(_leading(batch, x, y)) > 2:
        x, y = _evenly(x, batch), _evenly(y, batch)
    if _is_vector(a, b):
        x, y = (z if z.strides[axis] == 1 or z.shape[axis] == 1 or z.shape[-3 - axis] != 1 else contiguous(z)
                for z, axis in ((x, -1), (y, -2)))
    if _way(a) == "matmul_tile" and y.strides[-1] != 1 and y.shape[-1] > 1 and not (
            _is_vector(a, b) and y.strides[-2] == 1):
        y = contiguous(y)
    return None if x is a and y is b else (x, y)


def _evenly(x: Array, batch: Shape) -> Array:
    """The array, copied unless its leading dimensions, broadcast to ``batch``, merge into one."""
    return x if len(_leading(batch, x)) < 2 else copy(x.expand((*batch, *x.shape[-2:])))


def _in_parts(a: Array, b: Array, out: Array, bias: Array | None, limit: int) -> Array:
    """For devices whose work-items may only loop so often: the sum of products of parts."""
    k = a.shape[-1]
    wide = out if out.dtype.itemsize > 2 else None
    for first in range(0, k, limit):
        last = min(first + limit, k)
        part = product(a.view((*a.shape[:-1], last - first), a.strides, a.offset + first * a.strides[-1]),
                       b.view((*b.shape[:-2], last - first, b.shape[-1]), b.strides, b.offset + first * b.strides[-2]),
                       bias=bias if first == 0 else None, dtype=out.dtype if wide is out else dtypes.float32)
        if first == 0:
            wide = part if wide is None else assign(wide, part)
        else:
            assert wide is not None
            run("add", [wide, part], wide.dtype, out=wide)
    assert wide is not None
    return out if wide is out else assign(out, wide)


def by_blocks(device: Device) -> bool:
    """Whether a device multiplies in blocks of its cache, as processors do."""
    return device.type != "gpu" and tiles_for(device) is not None and not device.quirks.max_loop


def _way(a: Array) -> str:
    """The kernel for the device and type."""
    device = a.device
    if not a.dtype.is_floating_point:
        return "matmul_integer"
    if device.type == "gpu":
        return "matmul_local"
    return "matmul_block" if by_blocks(device) else "matmul_tile"


def _leading(batch: Shape, *operands: Array) -> list[list[int]]:
    """The leading dimensions, merged where all operands step evenly: size, and the step of each operand."""
    steps = [x.expand((*batch, *x.shape[-2:])).strides for x in operands]
    merged: list[list[int]] = []
    for axis, size in enumerate(batch):
        if size == 1:
            continue
        here = [s[axis] for s in steps]
        if merged and all(before == step * size for before, step in zip(merged[-1][1:], here)):
            merged[-1] = [merged[-1][0] * size, *here]
        else:
            merged.append([size, *here])
    return merged


def _is_vector(a: Array, b: Array) -> bool:
    """Whether one of the operands of a product of floating-point numbers is a vector."""
    return (a.shape[-2] == 1 or b.shape[-1] == 1) and a.dtype.is_floating_point


def _plan(a: Array, b: Array, out: Array, bias: Array | None, batch: Shape) -> tuple[Any, ...]:
    """Kernel, work sizes, the struct of sizes, and what the kernel writes, for these layouts.

    It writes 0: the result; 1: the result in float32, to be rounded; more: so many sums, to be added up.
    """
    (m, k), n, count = a.shape[-2:], b.shape[-1], math.prod(batch)
    (_, a_outer, b_outer), (inner, a_inner, b_inner) = [[1, 0, 0], [1, 0, 0], *_leading(batch, a, b)][-2:]
    device, way = a.device, _way(a)
    if bias is not None and (bias.shape != (n,) or (n > 1 and bias.strides[0] != 1)):
        raise RuntimeError(f"the bias needs shape {(n,)} without gaps, not {bias.shape}")
    if _is_vector(a, b):
        matrix, swap = (a, 0) if n == 1 else (b, 1)
        found = matvec.launch(device, matvec.Layout(
            (a.dtype, b.dtype, out.dtype), None if bias is None else bias.dtype, 1 - swap, max(m, n), k,
            matrix.strides[-2 + swap], matrix.strides[-1 - swap], (count, inner), (a_outer, a_inner, b_outer, b_inner)))
        if found is not None:
            return *found[:-1], 0 if found.parts == 1 else found.parts
    defines: list[tuple[str, Any]] = [("A", a.dtype.name), ("B", b.dtype.name), ("C", out.dtype.name)]
    signature = "PlPlPl"
    if bias is not None:
        defines.append(("BIAS", bias.dtype.name))
        signature += "Pl"
    if out.dtype is dtypes.float64:
        defines.append(("REAL64", 1))
    sizes = [m, n, k, inner, a.strides[-2], a.strides[-1], b.strides[-2], b.strides[-1],
             a_outer, a_inner, b_outer, b_inner]
    if way == "matmul_block" and not matmul_tiles.on_trial(device):
        quick = matmul_amx.launch(a, b, out, bias, sizes, count)
        if quick is not None:
            return *quick[:-1], int(quick.wide)
    file = "ops/matmul.cl"
    local_size: tuple[int, int, int] | None = (1, 1, 1)
    if way == "matmul_integer":
        defines.append(("KERNEL", 2))
        global_size, local_size = (n, m, count), None
    elif way == "matmul_local":
        defines += (("KERNEL", 1), ("SIDE", _SIDE), ("PER", _PER), ("A_BY_COLUMN", int(a.strides[-2] == 1)),
                    ("B_BY_COLUMN", int(b.strides[-2] == 1 and b.strides[-1] != 1)))
        tile = _SIDE * _PER
        global_size, local_size = (-(-n // tile) * _SIDE, -(-m // tile) * _SIDE, count), (_SIDE, _SIDE, 1)
    elif way == "matmul_tile":
        rows = 4 if m > 1 else 1
        defines += (("KERNEL", 0), ("ROWS", rows), ("WIDTH", 4))
        global_size = (-(-n // 8), -(-m // rows), count)
    else:
        file = "ops/matmul_block.cl"
        tiles = tiles_for(device, out.dtype)
        assert tiles is not None
        pack_b = _packing(b.strides[-1], b.strides[-2])
        pack_a = _pack_a(tiles, a, n, pack_b)
        most = _most(tiles, m, n, pack_a, pack_b, out.dtype)
        mc, nc, kc, options = _blocks(tiles, most, pack_a, device.compute_units, m, n, k, count)
        defines += (*options, ("PACK_B", pack_b))
        if (n * k if pack_a else count * m * k) > _NEAR:
            defines.append(("FAR", 1))
        global_size = (-(-n // nc), -(-m // mc), count)
        sizes += (mc, nc, kc)
    packed = struct.pack(f"{len(sizes)}q", *sizes)
    kernel = device.programs.kernel(file, way, f"{signature}({len(packed)})", tuple(defines))
    return kernel, global_size, local_size, packed, 0


def _packing(along: int, across: int) -> int:
    """How a block is copied: 1 where neighbours along the tile lie without gaps, 2 where steps of k do."""
    return 1 if along == 1 else 2 if across == 1 else 3


def _pack_a(tiles: Tiles, a: Array, n: int, pack_b: int) -> int:
    """How A is copied for a product with ``n`` columns; 0: it is read where it is.

    Rows without gaps are worth a copy where there are many columns to use it, and one of these: its rows would drive
    each other out of the cache; they are so few that B, whose columns lie without gaps, is best copied in small pieces;
    a copy lets more of them be in registers at a time, and they are many and long. But not where B's parts are large.
    """
    way = _packing(a.strides[-2], a.strides[-1])
    if a.dtype.itemsize == 2 or a.strides[-1] != 1:
        return way
    m, k = a.shape[-2:]
    worth = ((m > 1 and a.strides[-2] * a.dtype.itemsize % _PAGE == 0) or (m <= _FEW_ROWS and pack_b == 2)
             or (tiles.rows > tiles.rows_in_place and m >= _MANY_ROWS and k > _MOST_STEPS)) and not _in_large(tiles, m)
    return way if worth and n >= 2 * _COLUMNS else 0


def _most(tiles: Tiles, m: int, n: int, pack_a: int, pack_b: int, dtype: DType) -> tuple[int, int, int]:
    """The most rows, columns and steps of k that a block may have."""
    narrow = dtype.itemsize == 2            # then the sums lie in local memory, too
    if pack_a:
        if narrow:
            return tiles.mc, _COLUMNS, tiles.kc
        if tiles.mc < m <= tiles.mc * 4 // 3:        # one block instead of two, in which B would be copied again
            return tiles.mc * 4 // 3, tiles.nc, tiles.kc * 3 // 4
        return tiles.mc, tiles.nc, tiles.kc
    if _in_large(tiles, m) and not narrow:
        mc, nc, kc = tiles.large_mc, tiles.large_nc, tiles.large_kc
    else:
        long_pieces = pack_b == 1 and n > _COLUMNS and not narrow         # of B's rows
        nc = 2 * _COLUMNS if long_pieces else _COLUMNS
        mc, kc = tiles.mc if narrow else 40 * tiles.rows, min(_MOST_STEPS, tiles.b_part // nc)
    return mc, nc, kc * 4 // max(dtype.itemsize, 4)


def _in_large(tiles: Tiles, m: int) -> bool:
    """Whether, where A is read in place, B's part of a block is large: so many rows make up for copying it."""
    return tiles.large_mc > 0 and m >= _AMPLE_ROWS


def _blocks(tiles: Tiles, most: tuple[int, int, int], pack_a: int, units: int, m: int, n: int, k: int,
            count: int) -> tuple[int, int, int, list[tuple[str, Any]]]:
    """Rows, columns and steps of k of a block, and the macros of its tile."""
    width = tiles.width if tiles.width < n else max(4, tiles.width // 4)
    rows, panel = tiles.rows_for(m, not pack_a), 2 * width
    most_rows = most[0] // rows * rows
    mc, nc = min(most_rows, _rounded(m, rows)), min(most[1], _rounded(n, panel))
    # Blocks enough for every core, as long as each is worth a launch of its own; few where each copies much.
    few = bool(pack_a) or _in_large(tiles, m)
    wanted = (tiles.blocks if few else 4) * units
    while count * -(-m // mc) * -(-n // nc) < wanted and mc * nc * k > 1 << 18:
        if nc > panel and (nc >= mc // 2 or mc <= 4 * rows):
            nc = _rounded(nc // 2, panel)
        elif mc > 4 * rows:
            mc = _rounded(mc // 2, rows)
        else:
            break
    kc = min(most[2], k)
    # Blocks of about the same size; where they are few, as many for each core.
    down, across = -(-m // mc), -(-n // nc)
    if few and count * down * across < 16 * units:
        more = next((i for i in range(units) if count * (down + i) * across % units == 0), 0)
        if m // (down + more) >= 4 * rows:
            down += more
    mc, nc, kc = _rounded(-(-m // down), rows), _rounded(-(-n // across), panel), -(-k // -(-k // kc))
    options: list[tuple[str, Any]] = [("WIDTH", width), ("ROWS", rows), ("KC", most[2]), ("NC", most[1]),
                                      ("MC", rows if m <= min(rows, 4) else most_rows), ("PACK_A", pack_a)]
    return mc, nc, kc, options


def _rounded(n: int, step: int) -> int:
    """The least multiple of a step that is not under ``n``, nor 0."""
    return max(step, -(-n // step) * step)


def transposed(x: Array) -> Array:
    """The last two dimensions swapped, without copying."""
    return x.permute((*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


class MatMul(Operation):
    """``a @ b`` of arrays of two or more dimensions."""

    @classmethod
    def forward(cls, ctx: Context, a: Array, b: Array) -> Array:
        """Multiply."""
        ctx.save(a, b)
        return product(a, b)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None]:
        """``g @ b.T`` and ``a.T @ g``."""
        a, b = ctx.saved
        ga = gb = None
        if ctx.needs[0]:
            ga = _fit(_into(ctx, 0, g, transposed(b), a), a)
        if ctx.needs[1]:
            gb = _fit(_into(ctx, 1, transposed(a), g, b), b)
        return ga, gb


class AddProduct(Operation):
    """``beta * x + alpha * (a @ b)``, rounded once; x broadcasts to the product, and does not count where beta is 0."""

    @classmethod
    def forward(cls, ctx: Context, a: Array, b: Array, x: Array, *, beta: float, alpha: float) -> Array:
        """Multiply and add."""
        ctx.save(a, b)
        ctx.x, ctx.beta, ctx.alpha = (x.shape, x.dtype), beta, alpha
        dtype = dtypes.promote(dtypes.promote(a.dtype, b.dtype), x.dtype)
        if beta == alpha == 1 and x.shape == b.shape[-1:]:
            return product(a, b, bias=contiguous(x), dtype=dtype)
        if beta == 0 and alpha == 1:
            return product(a, b, dtype=dtype)
        y = product(a, b, dtype=_unrounded(dtype))
        out = y if y.dtype is dtype else None
        if beta == 0:
            return run("mul", [y, alpha], dtype, out=out)
        return run("scaled_sum", [x, y, beta, alpha], dtype, out=out)

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None, Array | None]:
        """Those of `MatMul` times alpha, and the gradient times beta."""
        a, b = ctx.saved
        shape, dtype = ctx.x
        ga = gb = gx = None
        if ctx.needs[0] or ctx.needs[1]:
            scaled = g if ctx.alpha == 1 else run("mul", [g, ctx.alpha], _unrounded(g.dtype))
            ga = _fit(_into(ctx, 0, scaled, transposed(b), a), a) if ctx.needs[0] else None
            gb = _fit(_into(ctx, 1, transposed(a), scaled, b), b) if ctx.needs[1] else None
        if ctx.needs[2]:
            gx = cast(sum_to(g, shape), dtype)
            if ctx.beta != 1:
                gx = full(g.device, shape, 0.0, dtype) if ctx.beta == 0 else run("mul", [gx, ctx.beta], dtype)
        return ga, gb, gx


def _unrounded(dtype: DType) -> DType:
    """The type that a sum has before it is rounded to 16 bits; a wider type itself."""
    return dtypes.float32 if dtype.itemsize == 2 else dtype


class Linear(Operation):
    """``x @ weight.T + bias``: x (..., in), weight (out, in), bias (out,) or None.

    One operation instead of three, so that the weight's gradient, in the weight's own layout, goes straight into its
    slot.
    """

    @classmethod
    def forward(cls, ctx: Context, x: Array, weight: Array, bias: Array | None) -> Array:
        """Multiply and add."""
        ctx.save(x, weight)
        ctx.bias = None if bias is None else (bias.shape, bias.dtype)
        dtype = dtypes.promote(x.dtype, weight.dtype)
        if bias is None or bias.shape != weight.shape[:1]:
            y = product(x, transposed(weight))
            return y if bias is None else run("add", [y, bias], dtypes.promote(dtype, bias.dtype))
        return product(x, transposed(weight), bias=contiguous(bias), dtype=dtypes.promote(dtype, bias.dtype))

    @classmethod
    def backward(cls, ctx: Context, g: Array) -> tuple[Array | None, Array | None, Array | None]:
        """``g @ weight``, ``g.T @ x`` over all rows, and the sum of g's rows."""
        x, weight = ctx.saved
        gx = product(g, weight, dtype=x.dtype) if ctx.needs[0] else None
        gw = gb = None
        if ctx.needs[1]:
            left, right, target = transposed(_rows_of(g)), _rows_of(x), ctx.targets[1]
            gw = product(left, right, out=target, dtype=weight.dtype)
        if ctx.needs[2]:
            shape, dtype = ctx.bias
            gb = _sum_rows(g, shape, dtype, ctx.targets[2])
        return gx, gw, gb


def _sum_rows(g: Array, shape: Shape, dtype: DType, target: Array | None) -> Array:
    """A bias's gradient, written into its own memory where there is some; rounded once."""
    if shape != g.shape[-1:] or g.ndim < 2:
        return cast(sum_to(g, shape), dtype)
    into = target if target is not None and target.is_contiguous() and target.shape == shape else None
    return reduce("sum", g, tuple(range(g.ndim - 1)), dtype=dtype, out=into)


def _rows_of(x: Array) -> Array:
    """All leading dimensions merged into one: a matrix."""
    return reshaped(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def _into(ctx: Context, i: int, left: Array, right: Array, like: Array) -> Array:
    """The product, written into the input's own gradient memory where shapes and types allow it."""
    if like.ndim == 2 and max(left.ndim, right.ndim) > 2 and i == 1:
        # A batch of rows times one matrix: one product over all rows together.
        rows = left.permute((left.ndim - 2, *range(left.ndim - 2), left.ndim - 1))
        count = math.prod(right.shape[:-1])
        left, right = reshaped(rows, (rows.shape[0], count)), reshaped(right, (count, right.shape[-1]))
    target = ctx.targets[i]
    if target is not None:
        batch = broadcast_shapes(left.shape[:-2], right.shape[:-2])
        if (*batch, left.shape[-2], right.shape[-1]) == like.shape:
            return product(left, right, out=target)
    return product(left, right, dtype=like.dtype)


def _fit(g: Array, like: Array) -> Array:
    return cast(sum_to(g, like.shape), like.dtype)
