"""Recurrent layers: RNN, LSTM and GRU over sequences, and their cells for single steps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ..autograd import apply, casting
from ..creation import empty, zeros, zeros_like
from ..functions import cat, stack
from ..ops.ragged import Ragged
from ..ops.recurrent import Gru, Lstm, Rnn
from ..tensor import Tensor, tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter
from .utils.rnn import PackedSequence

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell", "RNNCellBase"]

_GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}


def _run(kind: str, nonlinearity: str, reverse: bool, x: Tensor, state: tuple[Tensor, ...],
         weights: tuple[Any, ...], packed: Ragged | None = None) -> tuple[Tensor, ...]:
    """One direction of one layer: x (T, B, I), or packed (N, I), and states (B, H) to y and the last states."""
    if kind == "LSTM":
        return apply(Lstm, x, *state, *weights, reverse=reverse, packed=packed)
    if kind == "GRU":
        return apply(Gru, x, state[0], None, *weights, reverse=reverse, packed=packed)
    return apply(Rnn, x, state[0], None, *weights, reverse=reverse, cell=nonlinearity.upper(), packed=packed)


class _Parameters(Module):
    """What layers and cells share: sets of weights and biases, drawn from U(-1/sqrt(H), 1/sqrt(H))."""

    _kind = "RNN"
    _projections: tuple[str, ...] = ()
    hidden_size: int

    def _add(self, suffix: str, input_size: int, bias: bool, device: Any, dtype: Any, proj_size: int = 0) -> None:
        rows = _GATES[self._kind] * self.hidden_size
        shapes = {"weight_ih": (rows, input_size), "weight_hh": (rows, proj_size or self.hidden_size),
                  "bias_ih": (rows,), "bias_hh": (rows,)}
        if proj_size:
            shapes["weight_hr"] = (proj_size, self.hidden_size)
        for name, shape in shapes.items():
            held = Parameter(empty(*shape, device=device, dtype=dtype)) if bias or "weight" in name else None
            self.register_parameter(name + suffix, held)

    def _set(self, suffix: str) -> tuple[Any, ...]:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", *self._projections)
        return tuple(getattr(self, name + suffix) for name in names)

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)


class RNNBase(_Parameters):
    """Base of `RNN`, `LSTM` and `GRU`: layers over a sequence, in one direction or both.

    Args:
        mode: ``"RNN_TANH"``, ``"RNN_RELU"``, ``"LSTM"`` or ``"GRU"``; the other arguments are those of the layers.

    Raises:
        TypeError: sizes that are not whole numbers, a ``bias`` or ``batch_first`` that is not True or False.
        ValueError: an unknown mode, sizes below 1, a dropout outside [0, 1], or projections that are not smaller than
            ``hidden_size``, or of something else than an LSTM.
    """

    def __init__(self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
                 device: Any = None, dtype: Any = None):
        super().__init__()
        if mode not in ("RNN_TANH", "RNN_RELU", "LSTM", "GRU"):
            raise ValueError(f"mode must be 'RNN_TANH', 'RNN_RELU', 'LSTM' or 'GRU', not {mode!r}")
        self.mode, self._kind = mode, mode.partition("_")[0]
        self.nonlinearity = "relu" if mode == "RNN_RELU" else "tanh"
        for name, flag in (("bias", bias), ("batch_first", batch_first)):
            if not isinstance(flag, bool):
                raise TypeError(f"{name} must be True or False, not {flag!r}")
        for name, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} must be a whole number, not {value!r}")
            if value <= 0:
                raise ValueError(f"{name} must be greater than zero, not {value}")
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(f"dropout must be a number between 0 and 1, not {dropout!r}")
        if not 0 <= proj_size < hidden_size:
            raise ValueError(f"proj_size must be smaller than hidden_size, {hidden_size}, and 0 for no projections, "
                             f"not {proj_size}")
        if proj_size and mode != "LSTM":
            raise ValueError(f"only an LSTM has projections: proj_size must be 0, not {proj_size}")
        self.input_size, self.hidden_size, self.num_layers, self.proj_size = (
            input_size, hidden_size, num_layers, proj_size)
        self._projections = ("weight_hr",) if proj_size else ()
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, float(dropout), bidirectional
        for layer in range(num_layers):
            for suffix in self._suffixes(layer):
                width = input_size if layer == 0 else (proj_size or hidden_size) * (2 if bidirectional else 1)
                self._add(suffix, width, bias, device, dtype, proj_size)
        self.reset_parameters()

    def _suffixes(self, layer: int) -> Iterator[str]:
        yield f"_l{layer}"
        if self.bidirectional:
            yield f"_l{layer}_reverse"

    @property
    def all_weights(self) -> list[list[Any]]:
        """The parameters of each layer and direction."""
        suffixes = [suffix for layer in range(self.num_layers) for suffix in self._suffixes(layer)]
        return [[p for name, p in self._parameters.items() if name.endswith(suffix)] for suffix in suffixes]

    def flatten_parameters(self) -> None:
        """Does nothing; for programs that call it."""

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Go through sequences.

        Args:
            input: (T, B, I), (B, T, I) if ``batch_first``, or (T, I) for one sequence; or a
                `genesis.nn.utils.rnn.PackedSequence` of sequences of different lengths.
            hx: the first state, zeros by default: h (D * num_layers, B, H), without B for one sequence, D being 2 if
                bidirectional else 1; for an LSTM the pair (h, c), and h of size ``proj_size`` if it has projections.

        Returns:
            The last layer's h at every step, (T, B, D * H) or as the input is laid out, packed if it is; and the last
            state, shaped as ``hx``, of packed sequences that at the end of each.

        Raises:
            RuntimeError: shapes that do not fit.
            ValueError: an input of another number of dimensions, or, outside autocast, of another type than the
                weights.
        """
        held, given = self.weight_ih_l0.dtype, (input.data if isinstance(input, PackedSequence) else input).dtype
        if given is not held and not casting.enabled():
            raise ValueError(f"{type(self).__name__}: the input is {given} and the weights {held}; convert one with "
                             "to(), or use autocast")
        if isinstance(input, PackedSequence):
            return self._packed(input, hx)
        if input.ndim not in (2, 3):
            raise ValueError(f"{type(self).__name__} needs an input of 2 or 3 dimensions, not of shape "
                             f"{tuple(input.shape)}")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(f"the input's last dimension must be input_size, {self.input_size}; its shape is "
                               f"{tuple(input.shape)}")
        batched = input.ndim == 3
        x = input.unsqueeze(1) if not batched else input.transpose(0, 1) if self.batch_first else input
        x, last = self._through(x, self._states(x, hx, x.shape[1], batched))
        if not batched:
            x, last = x.squeeze(1), [s.squeeze(1) for s in last]
        elif self.batch_first:
            x = x.transpose(0, 1)
        return x, tuple(last) if self._kind == "LSTM" else last[0]

    def _packed(self, input: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        """The same for packed sequences; states are in the order in which the sequences were before."""
        x, rows = input.data, input._lay_out()
        if x.ndim != 2 or x.shape[-1] != self.input_size:
            raise RuntimeError(f"packed data must have shape (N, {self.input_size}), not {tuple(x.shape)}")
        states = self._states(x, hx, rows.batch, True)
        if input.sorted_indices is not None and hx is not None:
            states = [state.index_select(1, input.sorted_indices) for state in states]
        x, last = self._through(x, states, rows)
        if input.unsorted_indices is not None:
            last = [state.index_select(1, input.unsorted_indices) for state in last]
        return input._with(x), tuple(last) if self._kind == "LSTM" else last[0]

    def _through(self, x: Tensor, states: list[Tensor], packed: Ragged | None = None) -> tuple[Tensor, list[Tensor]]:
        """All layers: x (T, B, I), or packed (N, I), and the first states to the last layer's h and the last states."""
        ends: list[tuple[Tensor, ...]] = []
        for layer in range(self.num_layers):
            results = []
            for direction, suffix in enumerate(self._suffixes(layer)):
                place = len(ends)
                run = self._projected if self.proj_size else _run
                y, *end = run(self._kind, self.nonlinearity, bool(direction), x, tuple(s[place] for s in states),
                              self._set(suffix), packed)
                results.append(y)
                ends.append(tuple(end))
            x = results[0] if len(results) == 1 else cat(results, -1)
            if self.dropout and layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        return x, [stack(list(parts)) for parts in zip(*ends)]

    def _projected(self, kind: str, nonlinearity: str, reverse: bool, x: Tensor, state: tuple[Tensor, ...],
                   weights: tuple[Any, ...], packed: Ragged | None = None) -> tuple[Tensor, ...]:
        """An LSTM whose ``h = W_hr k``, as `_run`: ``W_hh h`` is ``(W_hh W_hr) k``, so k is that of an ordinary LSTM.

        Only the first h need not be ``W_hr`` times anything. It comes in beside the first input instead, at zeros in
        the other steps.
        """
        weight_ih, weight_hh, *biases, weight_hr = weights
        h, c = state
        if not x.shape[0]:
            return zeros(*x.shape[:-1], h.shape[1], device=x.device, dtype=x.dtype), h, c
        if packed is None:
            others = zeros(x.shape[0] - 1, *h.shape, device=h.device, dtype=h.dtype)
            first = cat([others, h.unsqueeze(0)] if reverse else [h.unsqueeze(0), others])
        else:
            first = zeros(x.shape[0], h.shape[1], device=h.device, dtype=h.dtype)
            first = first.index_copy(0, tensor(packed.begins(reverse), device=h.device), h)
        y, k, c = _run(kind, nonlinearity, reverse, cat([x, first], -1), (zeros_like(c), c),
                       (cat([weight_ih, weight_hh], 1), weight_hh @ weight_hr, *biases), packed)
        return F.linear(y, weight_hr), F.linear(k, weight_hr), c

    def _states(self, x: Tensor, hx: Any, batch: int, batched: bool) -> list[Tensor]:
        """The first states, (D * num_layers, B, H) each."""
        count = self.num_layers * (2 if self.bidirectional else 1)
        sizes = [self.proj_size or self.hidden_size, self.hidden_size][:2 if self._kind == "LSTM" else 1]
        if hx is None:
            return [zeros(count, batch, size, device=x.device, dtype=x.dtype) for size in sizes]
        given = list(hx) if self._kind == "LSTM" else [hx]
        if len(given) != len(sizes):
            raise RuntimeError(f"hx of an LSTM is the pair (h, c), not {len(given)} tensors")
        for state, size in zip(given, sizes):
            expected = (count, batch, size) if batched else (count, size)
            if tuple(state.shape) != expected:
                raise RuntimeError(f"hx must have shape {expected}, not {tuple(state.shape)}")
        return given if batched else [state.unsqueeze(1) for state in given]

    def extra_repr(self) -> str:
        """The sizes, and what differs from the defaults."""
        parts = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0,
                    "bidirectional": False}
        return ", ".join(parts + [f"{name}={getattr(self, name)}" for name, usual in defaults.items()
                                  if getattr(self, name) != usual])


class RNN(RNNBase):
    """A simple recurrent network (Elman 1990): ``h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)``.

    Args:
        input_size: I.
        hidden_size: H.
        num_layers: layers, each of which reads the h of the one below.
        nonlinearity: ``"tanh"``, or ``"relu"`` for ``max(., 0)``.
        bias: whether to add biases.
        batch_first: whether sequences come as (B, T, I) instead of (T, B, I); states do not change.
        dropout: in training, the probability with which an h between two layers is dropped.
        bidirectional: whether each layer also goes through the sequence from its end; its h are joined.

    Attributes:
        weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0: the first layer's (H, ...) input weights, recurrent
            weights and biases; ``_l1`` and so on the next layers', ``_l0_reverse`` those of the other direction. Drawn
            from U(-1/sqrt(H), 1/sqrt(H)).
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh",
                 bias: bool = True, batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
                 device: Any = None, dtype: Any = None):
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity must be 'tanh' or 'relu', not {nonlinearity!r}")
        super().__init__(f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, bias, batch_first, dropout,
                         bidirectional, 0, device, dtype)


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000).

    With the sums ``W_ih x_t + b_ih + W_hh h_{t-1} + b_hh`` in four parts: ``i, f, o = sigmoid(...)``,
    ``g = tanh(...)``, ``c_t = f c_{t-1} + i g``, ``h_t = o tanh(c_t)``; or, with projections (Sak, Senior & Beaufays
    2014, arXiv:1402.1128), ``h_t = W_hr (o tanh(c_t))``.

    Example:
        >>> lstm = genesis.nn.LSTM(8, 16, num_layers=2)
        >>> y, (h, c) = lstm(genesis.zeros(5, 3, 8))
        >>> tuple(y.shape), tuple(h.shape)
        ((5, 3, 16), (2, 3, 16))

    Args:
        input_size: I.
        hidden_size: H.
        num_layers: layers, each of which reads the h of the one below.
        bias: whether to add biases.
        batch_first: whether sequences come as (B, T, I) instead of (T, B, I); states do not change.
        dropout: in training, the probability with which an h between two layers is dropped.
        bidirectional: whether each layer also goes through the sequence from its end; its h are joined.
        proj_size: P, the size of h, if it is to be smaller than H; 0 for no projections. The recurrence then runs with
            the product ``W_hh W_hr``, of (4 * H, H).

    Attributes:
        weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0: the first layer's (4 * H, ...) input weights, recurrent
            weights and biases; ``_l1`` and so on the next layers', ``_l0_reverse`` those of the other direction. Drawn
            from U(-1/sqrt(H), 1/sqrt(H)). With projections ``weight_hh_l0`` is (4 * H, P), and ``weight_hr_l0`` (P, H).
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
                 device: Any = None, dtype: Any = None):
        super().__init__("LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
                         proj_size, device, dtype)


class GRU(RNNBase):
    """Gated recurrent units (Cho et al. 2014, arXiv:1406.1078).

    ``r, z = sigmoid(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)``,
    ``n = tanh(W_in x_t + b_in + r (W_hn h_{t-1} + b_hn))``, ``h_t = (1 - z) n + z h_{t-1}``.

    Args:
        input_size: I.
        hidden_size: H.
        num_layers: layers, each of which reads the h of the one below.
        bias: whether to add biases.
        batch_first: whether sequences come as (B, T, I) instead of (T, B, I); states do not change.
        dropout: in training, the probability with which an h between two layers is dropped.
        bidirectional: whether each layer also goes through the sequence from its end; its h are joined.

    Attributes:
        weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0: the first layer's (3 * H, ...) input weights, recurrent
            weights and biases; ``_l1`` and so on the next layers', ``_l0_reverse`` those of the other direction. Drawn
            from U(-1/sqrt(H), 1/sqrt(H)).
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, device: Any = None,
                 dtype: Any = None):
        super().__init__("GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0,
                         device, dtype)


class RNNCellBase(_Parameters):
    """A single step; base of the cells."""

    nonlinearity = "tanh"

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None):
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        self._add("", input_size, bias, device, dtype)
        self.reset_parameters()

    def _step(self, input: Tensor, states: Any) -> tuple[Tensor, ...]:
        """(B, I) or (I,) and states to the next states."""
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            error = RuntimeError if input.ndim in (1, 2) else ValueError
            raise error(f"{type(self).__name__} needs an input (B, {self.input_size}) or ({self.input_size},), "
                        f"not of shape {tuple(input.shape)}")
        shape = (*input.shape[:-1], self.hidden_size)
        number = 2 if self._kind == "LSTM" else 1
        given = [zeros(*shape, device=input.device, dtype=input.dtype)] * number if states is None else list(states)
        for state in given:
            if tuple(state.shape) != shape:
                error = RuntimeError if state.ndim in (1, 2) else ValueError
                raise error(f"hx must have shape {shape}, not {tuple(state.shape)}")
        if input.ndim == 1:
            input, given = input.unsqueeze(0), [state.unsqueeze(0) for state in given]
        _, *result = _run(self._kind, self.nonlinearity, False, input.unsqueeze(0), tuple(given), self._set(""))
        return tuple(state.reshape(*shape) for state in result)

    def extra_repr(self) -> str:
        """The sizes, and what differs from the defaults."""
        return (f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")
                + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}"))


class RNNCell(RNNCellBase):
    """One step of a simple recurrent network: (B, I) and h (B, H) to the next h.

    Args:
        input_size: I.
        hidden_size: H.
        bias: whether to add biases.
        nonlinearity: ``"tanh"`` or ``"relu"``.
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
                 device: Any = None, dtype: Any = None):
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity must be 'tanh' or 'relu', not {nonlinearity!r}")
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next h; the first one is zeros by default. Shapes without B go too."""
        return self._step(input, None if hx is None else (hx,))[0]


class GRUCell(RNNCellBase):
    """One step of a gated recurrent unit: (B, I) and h (B, H) to the next h.

    Args:
        input_size: I.
        hidden_size: H.
        bias: whether to add biases.
    """

    _kind = "GRU"

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next h; the first one is zeros by default. Shapes without B go too."""
        return self._step(input, None if hx is None else (hx,))[0]


class LSTMCell(RNNCellBase):
    """One step of long short-term memory: (B, I) and the pair h, c (B, H) to the next pair.

    Args:
        input_size: I.
        hidden_size: H.
        bias: whether to add biases.
    """

    _kind = "LSTM"

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, ...]:
        """The next h and c; the first ones are zeros by default. Shapes without B go too."""
        return self._step(input, hx)
