"""Rules of recurrent layers: by way of one step after the other."""

from __future__ import annotations

from typing import Any

from ..autograd import apply
from ..joining import cat
from ..ops import ragged, recurrent
from ..tensor import Tensor
from .rules import rule, vjp


def _step(cell: str, inputs: Any, h: Any, c: Any, w_hh: Any, b_hh: Any) -> tuple[Any, Any]:
    """The states after a step, from the products with its input (B, gates * H) and the states before, (B, H)."""
    sums = h @ w_hh.mT if b_hh is None else h @ w_hh.mT + b_hh
    if cell == "GRU":
        (x_r, x_z, x_n), (h_r, h_z, h_n) = inputs.chunk(3, 1), sums.chunk(3, 1)
        z = (x_z + h_z).sigmoid()
        n = (x_n + (x_r + h_r).sigmoid() * h_n).tanh()
        return (1 - z) * n + z * h, c
    sums = inputs + sums
    if cell != "LSTM":
        return sums.tanh() if cell == "TANH" else sums.relu(), c
    i, f, g, o = sums.chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


@rule(recurrent.Rnn, recurrent.Lstm, recurrent.Gru)
def _recurrent(ctx: Any, *gradients: Tensor | None) -> Any:
    x, states, cells, _, *weights = ctx.plain.saved
    rows: ragged.Ragged = ctx.rows
    if not (x.size and weights[1].size):
        return NotImplemented
    first = (None if history is None else rows.first(history, ctx.reverse) for history in (states, cells))
    given = [None if array is None else ctx.input(i, array, ctx.dtypes[i])
             for i, array in enumerate([x, *first, *weights])]

    def run(x: Any, h0: Any, c0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> tuple[Any, ...]:
        inputs = (x @ w_ih.mT if b_ih is None else x @ w_ih.mT + b_ih).reshape(rows.total, -1)
        steps: list[Any] = [None] * len(rows.sizes)
        h, c, ended = (h0[:0], None if c0 is None else c0[:0], []) if ctx.reverse else (h0, c0, [])
        for t in rows.order(ctx.reverse):
            n = rows.sizes[t]
            if n > h.shape[0]:               # sequences that begin here, from their ends
                h, c = cat([h, h0[h.shape[0]:n]]), None if c is None else cat([c, c0[c.shape[0]:n]])
            elif n < h.shape[0]:             # or have ended
                ended.append((h[n:], None if c is None else c[n:]))
                h, c = h[:n], None if c is None else c[:n]
            h, c = _step(ctx.cell, inputs[rows.starts[t]:rows.starts[t + 1]], h, c, w_hh, b_hh)
            steps[t] = h
        lasts = [(h, c), *reversed(ended)]
        y = cat(steps).reshape(*x.shape[:-1], -1)
        return y, cat([h for h, _ in lasts]), *(() if c is None else (cat([c for _, c in lasts]),))

    found = vjp(run, given, gradients)
    return tuple([None if g is None else g.to(dtype) for g, dtype in zip(found, ctx.dtypes)])


@rule(ragged.Rearrange)
def _rearrange(ctx: Any, g: Tensor) -> Tensor:
    result: Tensor = apply(ragged.Rearrange, g, index=ctx.inverse, inverse=ctx.index)
    return result
