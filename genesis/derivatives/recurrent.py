"""Rules of recurrent layers: by way of one step after the other."""

from __future__ import annotations

from typing import Any

from ..joining import stack
from ..ops import recurrent
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
    steps = x.shape[0]
    if not (x.size and weights[1].size):
        return NotImplemented
    first = (None if history is None else recurrent.first_state(history, ctx.reverse) for history in (states, cells))
    given = [None if array is None else ctx.input(i, array, ctx.dtypes[i])
             for i, array in enumerate([x, *first, *weights])]

    def run(x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> tuple[Any, ...]:
        inputs = x @ w_ih.mT if b_ih is None else x @ w_ih.mT + b_ih
        rows: list[Any] = [None] * steps
        for t in range(steps - 1, -1, -1) if ctx.reverse else range(steps):
            h, c = _step(ctx.cell, inputs[t], h, c, w_hh, b_hh)
            rows[t] = h
        return stack(rows), h, *(() if c is None else (c,))

    found = vjp(run, given, gradients)
    return tuple([None if g is None else g.to(dtype) for g, dtype in zip(found, ctx.dtypes)])
