"""Recurrent layers over whole sequences: the host half of ``cl/ops/recurrent.cl``.

The products of all inputs with the input weights are one matrix product; each step is then one launch, forward and
backward; the weights' gradients are one product each over the whole sequence. Sequences of different lengths are
packed (`genesis.ops.ragged`), and each step works on those that are long enough.
"""

from __future__ import annotations

import struct
from typing import Any

from .. import dtypes
from .array import Array, empty
from .elementwise import assign, cast, contiguous, copy, full, run
from .matmul import product, transposed
from .operation import Context, Operation
from .ragged import Ragged, part
from .reduce import reduce
from .vectors import lanes_of, registers

_GATES = {"TANH": 1, "RELU": 1, "LSTM": 4, "GRU": 3}
# Registers of a CPU -> columns -> rows of so many vectors that fit into them.
_MOST_ROWS = {32: {1: 12, 2: 12, 3: 8, 4: 6}, 16: {1: 10, 2: 6, 3: 4, 4: 3}}


class _Steps:
    """Sizes and kernels of one direction of one layer.

    Args:
        cell: ``"TANH"``, ``"RELU"``, ``"LSTM"`` or ``"GRU"``.
        like: an array of the device and element type to work in.
        hidden, batch: sizes; a step may have fewer samples than the batch.
        columns: vectors of packed weights that belong together.
    """

    def __init__(self, cell: str, like: Array, hidden: int, batch: int, columns: int):
        self.device, self.dtype = like.device, like.dtype
        self.hidden, self.batch, self.columns, self.gates = hidden, batch, columns, _GATES[cell]
        gpu, limit = self.device.type == "gpu", self.device.quirks.max_loop
        if 0 < limit < 8 * _GATES[cell] * hidden:
            raise RuntimeError(f"{self.device.name} ends loops early and cannot be trusted with {hidden} hidden units")
        self.width = 1 if gpu else lanes_of(self.device, self.dtype)
        most = 1 if limit else _MOST_ROWS[registers(self.device, self.dtype)][columns]
        rows = range(most, most // 2, -1)
        self.rows = min(rows, key=lambda n: -(-batch // n) * n)      # the fewest rows of padding
        tiles, panels = -(-batch // self.rows), -(-hidden // (self.width * (1 if columns == self.gates else columns)))
        self.blocks = 1
        while not gpu and not limit and self.blocks < 8 and tiles > self.blocks and (
                panels * tiles >= 8 * self.device.compute_units * self.blocks):
            self.blocks *= 2
        self.macros: tuple[tuple[str, Any], ...] = (
            ("CELL", cell), ("ROWS", self.rows), ("BLOCKS", self.blocks), ("COLUMNS", columns), ("WIDTH", self.width))
        if self.dtype is dtypes.float64:
            self.macros += (("REAL64", 1),)

    def kernel(self, name: str, signature: str) -> Any:
        """A kernel compiled for the sizes."""
        return self.device.programs.kernel("ops/recurrent.cl", name, signature, self.macros)

    def pack(self, weight: Array, transpose: bool) -> Array:
        """The recurrent weights (gates * hidden, hidden) in the order in which a step reads them."""
        weight = contiguous(weight)
        hidden, width = self.hidden, self.width
        units = width if transpose else width * self.columns
        panels, depth = -(-hidden // units), hidden if transpose else self.gates * hidden
        if self.device.type == "gpu":         # neighbouring work-items read neighbouring elements
            strides = (self.columns * panels, panels, 1)
        else:
            strides = (self.columns, 1, depth * self.columns)
        self.panels, self.strides = panels, strides
        out = empty(self.device, (panels * depth * self.columns * width,), self.dtype)
        by = (1, hidden * hidden, hidden) if transpose else (hidden, 0, 1)
        self.kernel("pack", "PlPlllll(40)")((panels, depth), None, weight.buffer.handle, weight.offset,
                                            out.buffer.handle, *by, units, 0 if transpose else width,
                                            self.sizes(self.batch))
        return out

    def sizes(self, batch: int) -> bytes:
        """The kernels' sizes for a step of so many samples."""
        return struct.pack("5q", self.hidden, batch, *self.strides)

    def size(self, batch: int) -> tuple[int, int]:
        """Global size of such a step."""
        return self.panels, -(-batch // (self.rows * self.blocks))


class _Recurrent(Operation):
    """One direction of one layer.

    The inputs are x (T, B, I), or (N, I) of packed sequences, h0 (B, H), c0 (B, H) or None, weight_ih (gates * H, I),
    weight_hh (gates * H, H), and bias_ih and bias_hh (gates * H,) or None; the results y (T, B, H) or (N, H), the last
    h (B, H) and, for an LSTM, the last c.
    """

    cell = ""

    @classmethod
    def forward(cls, ctx: Context, x: Array, h0: Array, c0: Array | None, w_ih: Array, w_hh: Array,
                b_ih: Array | None, b_hh: Array | None, *, reverse: bool = False, cell: str = "",
                packed: Ragged | None = None) -> Any:
        """Go through the sequences, from their ends if ``reverse``; ``packed`` says how x is, if it is packed."""
        cell = cell or cls.cell
        ctx.dtypes = [None if a is None else a.dtype for a in (x, h0, c0, w_ih, w_hh, b_ih, b_hh)]
        x, h0, c0, w_ih, w_hh, b_ih, b_hh = (_wide(a) for a in (x, h0, c0, w_ih, w_hh, b_ih, b_hh))
        rows = packed or Ragged((x.shape[1],) * x.shape[0], x.shape[1], x.device)
        batch, hidden, gates, device = rows.batch, w_hh.shape[1], _GATES[cell], x.device
        states = rows.history(h0, reverse)
        cells = None if c0 is None else rows.history(c0, reverse)
        kept = empty(device, (rows.total, 4 * hidden if gates > 1 else 0), x.dtype)
        if rows.total and hidden:
            inputs = product(x, transposed(w_ih), bias=b_ih)                # (N, gates * H)
            work = _Steps(cell, x, hidden, batch, gates)
            weights = work.pack(w_hh, transpose=True)
            step = work.kernel("recur", "PlPPliPlPlPlPlPl(40)")
            bias, some = weights if b_hh is None else contiguous(b_hh), cells or states
            for t in rows.order(reverse):
                n, start = rows.sizes[t], rows.starts[t] * hidden
                before, after = rows.before(t, reverse) * hidden, rows.after(t, reverse) * hidden
                step(work.size(n), None, inputs.buffer.handle, inputs.offset + start * gates, weights.buffer.handle,
                     bias.buffer.handle, bias.offset, int(b_hh is not None), states.buffer.handle, before,
                     states.buffer.handle, after, some.buffer.handle, before, some.buffer.handle, after,
                     kept.buffer.handle, 4 * start, work.sizes(n))
        ctx.reverse, ctx.cell, ctx.biased, ctx.rows, ctx.packed = reverse, cell, b_ih is not None, rows, packed
        if True in ctx.needs:
            ctx.save(x, states, cells, kept, w_ih, w_hh, b_ih, b_hh)
        y = _like(rows.afters(states, reverse), x)
        results = [cast(y, ctx.dtypes[0]), copy(rows.last(states, reverse), ctx.dtypes[1])]
        if cells is not None:
            results.append(copy(rows.last(cells, reverse), ctx.dtypes[2]))
        return tuple(results)

    @classmethod
    def backward(cls, ctx: Context, dy: Array | None, dh: Array | None, dc: Array | None = None) -> Any:
        """Go back through the sequences, then multiply."""
        x, states, cells, kept, w_ih, w_hh, _, _ = ctx.saved
        rows: Ragged = ctx.rows
        batch, hidden, gates = rows.batch, w_hh.shape[1], _GATES[ctx.cell]
        device, reverse = x.device, ctx.reverse
        if not (rows.total and hidden):
            return cls._empty(ctx, x, w_ih, w_hh, dh, dc)
        dy, dh, dc = (None if g is None else cast(g, x.dtype) for g in (dy, dh, dc))
        if not (dh is None or reverse or rows.even):         # sequences end at different steps
            total = full(device, (rows.total, hidden), 0, x.dtype) if dy is None else copy(dy)
            rows.add_to_ends(total, dh)
            dy, dh = total, None
        if dy is not None and dy.strides[-1] != 1:
            dy = contiguous(dy)
        dh = None if dh is None else contiguous(dh)
        carry = empty(device, (batch, hidden), x.dtype)
        assign(carry, 0 if dc is None else dc)
        gates_x = empty(device, (rows.total, gates * hidden), x.dtype)
        gates_h = empty(device, gates_x.shape, x.dtype) if ctx.cell == "GRU" else gates_x
        work = _Steps(ctx.cell, x, hidden, batch, 1 if device.type == "gpu" or hidden <= 16 else 2)
        weights = work.pack(w_hh, transpose=False)
        step = work.kernel("recur_backward", "PllPPlliPliPPlPlPlPlPlPPl(40)")
        some, one_dy = cells or states, dy or carry
        for i, t in enumerate(rows.order(not reverse)):
            n, place = rows.sizes[t], rows.starts[t] * hidden
            before, after = rows.before(t, reverse) * hidden, rows.after(t, reverse) * hidden
            start = dh if i == 0 else None
            next_ = t - 1 if reverse else t + 1
            at = 0 if dy is None else t * dy.strides[0] if dy.ndim == 3 else rows.starts[t] * dy.strides[0]
            step(work.size(n), None, gates_h.buffer.handle, rows.starts[next_] * gates * hidden if i else 0,
                 min(n, rows.sizes[next_]) if i else 0, weights.buffer.handle, one_dy.buffer.handle, one_dy.offset + at,
                 0 if dy is None else dy.strides[-2], int(dy is not None), (start or carry).buffer.handle,
                 0 if start is None else start.offset, int(start is not None), carry.buffer.handle,
                 states.buffer.handle, before, states.buffer.handle, after, some.buffer.handle, before,
                 some.buffer.handle, after, kept.buffer.handle, 4 * place, gates_x.buffer.handle,
                 gates_h.buffer.handle, gates * place, work.sizes(n))
        return cls._gradients(ctx, x, states, w_ih, w_hh, gates_x, gates_h, carry)

    @classmethod
    def _gradients(cls, ctx: Context, x: Array, states: Array, w_ih: Array, w_hh: Array, gates_x: Array,
                   gates_h: Array, carry: Array) -> tuple[Array | None, ...]:
        """The inputs' gradients, from those of the gates of all steps."""
        need, rows = ctx.needs, ctx.rows
        grads: list[Array | None] = [None] * 7
        if need[0]:
            grads[0] = _like(product(gates_x, w_ih), x)
        if need[1]:
            g = product(rows.ends(gates_h) if ctx.reverse else part(gates_h, 0, rows.batch), w_hh)
            grads[1] = run("add", [g, carry], g.dtype, out=g) if ctx.cell == "GRU" else g
        if need[2]:
            grads[2] = carry
        if need[3]:
            flat = contiguous(x).view((rows.total, x.shape[-1]), (x.shape[-1], 1))
            grads[3] = _into(ctx, 3, transposed(gates_x), flat)
        if need[4]:
            grads[4] = _into(ctx, 4, transposed(gates_h), rows.befores(states, ctx.reverse))
        if need[5]:
            grads[5] = reduce("sum", gates_x, (0,))
        if need[6]:
            grads[6] = reduce("sum", gates_h, (0,))
        return tuple(None if g is None else cast(g, dtype) for g, dtype in zip(grads, ctx.dtypes))

    @classmethod
    def _empty(cls, ctx: Context, x: Array, w_ih: Array, w_hh: Array, dh: Array | None,
               dc: Array | None) -> tuple[Array | None, ...]:
        """Gradients where nothing was computed: the last state is the first one."""
        hidden = w_hh.shape[1]
        shapes = (x.shape, (ctx.rows.batch, hidden), (ctx.rows.batch, hidden), w_ih.shape, w_hh.shape, w_hh.shape[:1],
                  w_hh.shape[:1])
        given = (None, dh, dc)
        return tuple(None if not need else given[i] if i < 3 and given[i] is not None
                     else assign(empty(x.device, shape, dtype), 0)
                     for i, (shape, dtype, need) in enumerate(zip(shapes, ctx.dtypes, ctx.needs)))


class Rnn(_Recurrent):
    """A layer of simple cells; ``cell`` is ``"TANH"`` or ``"RELU"``."""

    cell = "TANH"


class Lstm(_Recurrent):
    """A layer of long short-term memory cells (Hochreiter & Schmidhuber 1997)."""

    cell = "LSTM"


class Gru(_Recurrent):
    """A layer of gated recurrent units (Cho et al. 2014)."""

    cell = "GRU"


def _wide(x: Array | None) -> Any:
    """16-bit floats as float32."""
    return x if x is None or x.dtype.itemsize > 2 else cast(x, dtypes.float32)


def _like(rows: Array, x: Array) -> Array:
    """Rows (N, n) with the leading dimensions of x."""
    n = rows.shape[-1]
    return rows if x.ndim == 2 else rows.view((*x.shape[:2], n), (x.shape[1] * n, n, 1))


def _into(ctx: Context, i: int, left: Array, right: Array) -> Array:
    """The product, written into the input's own gradient memory where types allow it."""
    target = ctx.targets[i]
    return product(left, right, out=target if target is not None and target.dtype is left.dtype else None)
