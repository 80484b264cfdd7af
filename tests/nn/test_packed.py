"""Sequences of different lengths, padded and packed, and recurrent layers that go through them, against PyTorch."""

import numpy as np
import pytest
from helpers import check_like_torch, close, leaf, normal

import genesis
from genesis.nn.utils import rnn

torch = pytest.importorskip("torch", reason="packed sequences are compared with PyTorch's")
its_rnn = torch.nn.utils.rnn

LENGTHS = [3, 6, 1, 6, 4]
SORTED = sorted(LENGTHS, reverse=True)


def same(mine, its):
    """Compare packed sequences, field by field."""
    assert isinstance(mine, rnn.PackedSequence)
    for x, y in zip(mine, its, strict=True):
        assert (x is None) == (y is None)
        if x is not None:
            assert str(x.dtype).split(".")[-1] == str(y.dtype).split(".")[-1]
            close(x, y.detach().numpy(), 0, 0)


@pytest.mark.parametrize(("batch_first", "lengths", "rest"), [
    (False, LENGTHS, (3,)), (True, LENGTHS, (20, 2)), (True, SORTED, (2,)), (False, SORTED, ()), (True, [4, 4], (0,)),
    (False, [2], (5,))])
def test_packing_and_padding(batch_first, lengths, rest):
    shape = (len(lengths), 7) if batch_first else (7, len(lengths))
    x = normal(*shape, *rest).astype(np.float32)
    ordered = lengths == sorted(lengths, reverse=True)
    if 0 in rest:
        with pytest.raises(RuntimeError, match="empty"):
            rnn.pack_padded_sequence(genesis.tensor(x), lengths, batch_first, ordered)
        return

    def run(L, x):
        packed = L.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first, ordered)
        padded, found = L.nn.utils.rnn.pad_packed_sequence(packed, batch_first, padding_value=-2.5, total_length=8)
        assert found.tolist() == lengths
        return (padded * padded, packed.data, packed.batch_sizes)

    check_like_torch(run, x)
    same(rnn.pack_padded_sequence(genesis.tensor(x), genesis.tensor(lengths), batch_first, ordered),
         its_rnn.pack_padded_sequence(torch.tensor(x), torch.tensor(lengths), batch_first, ordered))


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_lists(batch_first, side):
    parts = [normal(n, 3, seed=n).astype(np.float32) for n in (2, 5, 0, 1)]
    check_like_torch(lambda L, *x: L.nn.utils.rnn.pad_sequence(list(x), batch_first, 0.5, side), *parts)
    whole = [np.arange(n) for n in (2, 5, 1)]
    check_like_torch(lambda L, *x: L.nn.utils.rnn.pad_sequence(x, batch_first, -1, side), *whole)


@pytest.mark.parametrize("lengths", [LENGTHS, SORTED])
def test_packing_lists_and_back(lengths):
    ordered = lengths is SORTED
    parts = [normal(n, 2, seed=i).astype(np.float32) for i, n in enumerate(lengths)]
    mine = rnn.pack_sequence([genesis.tensor(x) for x in parts], ordered)
    same(mine, its_rnn.pack_sequence([torch.tensor(x) for x in parts], ordered))
    # As a user puts one together after an embedding: lengths and order are then read from the tensors.
    again = rnn.PackedSequence(mine.data * 2, *mine[1:])
    for x, y, z in zip(rnn.unpack_sequence(mine), rnn.unpack_sequence(again), parts, strict=True):
        close(x, z, 0, 0)
        close(y, 2 * z, 0, 0)
    padded, found = rnn.pad_packed_sequence(again)
    for x, z in zip(rnn.unpad_sequence(padded, found), parts, strict=True):
        close(x, 2 * z, 0, 0)
    check_like_torch(lambda L, *x: sum((i + 1) * (part ** 2).sum() for i, part in enumerate(
        L.nn.utils.rnn.unpack_sequence(L.nn.utils.rnn.pack_sequence(x, ordered)))), *parts)


def test_packed_sequences_convert():
    packed = rnn.pack_sequence([genesis.tensor([1.5, 2.5]), genesis.tensor([3.5])])
    assert packed.to(genesis.float32) is packed
    assert packed.half().data.dtype is genesis.float16
    assert packed.long().data.tolist() == [1, 3, 2]
    assert packed.to(genesis.device()) is packed
    assert rnn.PackedSequence((packed.data, packed.batch_sizes)).batch_sizes is packed.batch_sizes


CELLS = [("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("LSTM", {}), ("GRU", {})]


@pytest.mark.parametrize(("kind", "options"), [*CELLS, ("LSTM", {"proj_size": 2})])
@pytest.mark.parametrize(("lengths", "both", "with_state", "hidden"), [
    (LENGTHS, True, True, 5), (LENGTHS, False, False, 18), (SORTED, True, False, 17), (SORTED, False, True, 20),
    ([5, 5], True, True, 3), ([9, 8, 7, 7, 6, 5, 4, 4, 3, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1], True, True, 33)])
def test_layers_go_through_packed_sequences(kind, options, lengths, both, with_state, hidden):
    its = getattr(torch.nn, kind)(4, hidden, num_layers=2, bidirectional=both, **options).double()
    mine = getattr(genesis.nn, kind)(4, hidden, num_layers=2, bidirectional=both, **options)
    mine.load_state_dict({n: p.detach().float().numpy() for n, p in its.state_dict().items()})
    its.load_state_dict({n: torch.tensor(p.numpy(), dtype=torch.float64) for n, p in mine.state_dict().items()})
    x = normal(max(lengths), len(lengths), 4)
    sizes = [options.get("proj_size", hidden), hidden][:2 if kind == "LSTM" else 1]
    states = [normal(4 if both else 2, len(lengths), size, seed=i) for i, size in enumerate(sizes)]
    my_x, its_x = leaf(x), torch.tensor(x, requires_grad=True)
    my_states = tuple(leaf(s) for s in states)
    its_states = tuple(torch.tensor(s, requires_grad=True) for s in states)

    def run(layer, rnn, x, hx):
        packed = rnn.pack_padded_sequence(x, lengths, enforce_sorted=lengths == sorted(lengths, reverse=True))
        hx = (hx if kind == "LSTM" else hx[0],) if with_state else ()
        y, last = layer(packed, *hx)
        return rnn.pad_packed_sequence(y)[0], *(last if kind == "LSTM" else (last,))

    results, expected = run(mine, rnn, my_x, my_states), run(its, its_rnn, its_x, its_states)
    seeds = [normal(*y.shape, seed=10 + i) for i, y in enumerate(expected)]
    for x, y in zip(results, expected, strict=True):
        close(x, y.detach().numpy(), 1e-5, 1e-5)
    sum((x * genesis.tensor(s.astype(np.float32))).sum() for x, s in zip(results, seeds)).backward()
    sum((y * torch.tensor(s)).sum() for y, s in zip(expected, seeds)).backward()
    pairs = [(my_x, its_x), *(zip(my_states, its_states) if with_state else ()),
             *zip(mine.parameters(), its.parameters(), strict=True)]
    for x, y in pairs:
        close(x.grad, y.grad.numpy(), 1e-4, 1e-4 * max(1.0, float(y.grad.abs().max())))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("which", [0, 1])
def test_losses_of_states_or_of_results_alone(kind, which):
    """The gradient of a padded batch whose padding the loss does not see, and of each sequence by itself."""
    layer = getattr(genesis.nn, kind)(3, 4)
    parts = [normal(n, 3, seed=n) for n in (2, 5, 3)]
    alone = [leaf(x) for x in parts]
    together = [leaf(x) for x in parts]

    def loss(results):
        y, last = results
        y = y.data if isinstance(y, rnn.PackedSequence) else y
        return ((y, last[0] if kind == "LSTM" else last)[which] ** 2).sum()

    sum(loss(layer(x)) for x in alone).backward()
    wanted = layer.weight_hh_l0.grad.numpy()
    layer.zero_grad()
    loss(layer(rnn.pack_sequence(together, enforce_sorted=False))).backward()
    close(layer.weight_hh_l0.grad, wanted, 1e-5, 1e-5)
    for x, y in zip(together, alone):
        close(x.grad, y.grad.numpy(), 1e-5, 1e-5)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_second_derivatives(kind):
    layer = getattr(genesis.nn, kind)(2, 3, bidirectional=True)
    first = genesis.tensor(normal(2, 3, 3).astype(np.float32))

    def run(x):
        hx = (first, first) if kind == "LSTM" else first
        y, last = layer(rnn.pack_padded_sequence(x, [2, 4, 1], enforce_sorted=False), hx)
        h = last[0] if kind == "LSTM" else last
        return (y.data ** 2).sum() + (h ** 3).sum()

    def second(x, forward):
        (g,) = genesis.autograd.grad(forward(x), x, create_graph=True)
        return genesis.autograd.grad((g ** 2).sum(), x)[0]

    def by_sequence(x):
        total = 0
        for i, n in enumerate([2, 4, 1]):
            h = first[:, i:i + 1].contiguous()
            y, last = layer(x[:n, i:i + 1], (h, h) if kind == "LSTM" else h)
            total = total + (y ** 2).sum() + ((last[0] if kind == "LSTM" else last) ** 3).sum()
        return total

    x = normal(4, 3, 2)
    close(second(leaf(x), run), second(leaf(x), by_sequence).numpy(), 1e-4, 1e-5)


def test_refusals():
    x = genesis.zeros(4, 3, 2)
    packed = rnn.pack_padded_sequence(x, [3, 2, 2])
    for call, error, message in [
            (lambda: rnn.pack_padded_sequence(x, [1, 2, 3]), RuntimeError, "enforce_sorted=False"),
            (lambda: rnn.pack_padded_sequence(x, [3, 2]), RuntimeError, "one number for each of 3"),
            (lambda: rnn.pack_padded_sequence(x, [3, 2, 0]), RuntimeError, "greater than 0"),
            (lambda: rnn.pack_padded_sequence(x, [5, 2, 1]), RuntimeError, "more than the 4"),
            (lambda: rnn.pack_padded_sequence(x, genesis.ones(3)), RuntimeError, "whole numbers"),
            (lambda: rnn.pack_padded_sequence(genesis.zeros(3), [3]), RuntimeError, "2 dimensions or more"),
            (lambda: rnn.pack_sequence([]), RuntimeError, "no sequences"),
            (lambda: rnn.pad_sequence(3), RuntimeError, "an iterable of tensors"),
            (lambda: rnn.pad_sequence([x], padding_side="top"), RuntimeError, "'left' or 'right'"),
            (lambda: rnn.pad_packed_sequence(packed, total_length=2), ValueError, "at least 3"),
            (lambda: rnn.unpad_sequence(x, [1, 2]), ValueError, "one number for each of 3"),
            (lambda: rnn.PackedSequence(x), TypeError, "batch_sizes"),
            (lambda: rnn.unpack_sequence(rnn.PackedSequence(x, genesis.tensor([2, 1]))), RuntimeError, "add up to 3"),
            (lambda: genesis.nn.GRU(3, 2)(packed), RuntimeError, r"shape \(N, 3\)"),
            (lambda: genesis.nn.GRU(2, 2)(packed, genesis.zeros(1, 2, 2)), RuntimeError, "hx must have shape"),
            (lambda: genesis.nn.RNNBase("CELL", 1, 1), ValueError, "mode must be")]:
        with pytest.raises(error, match=message):
            call()
