"""Recurrent layers and cells against PyTorch, with its weights."""

import itertools

import numpy as np
import pytest
from helpers import close, leaf, needs_float64, normal

import genesis
from genesis import nn
from genesis.ops import recurrent, vectors

torch = pytest.importorskip("torch", reason="recurrent layers are compared with PyTorch's")


def pair(kind, *args, **options):
    """A layer and PyTorch's in float64, with the same weights."""
    its = getattr(torch.nn, kind)(*args, **options).double()
    mine = getattr(nn, kind)(*args, **options)
    assert [(n, tuple(p.shape)) for n, p in mine.named_parameters()] == [
        (n, tuple(p.shape)) for n, p in its.named_parameters()]
    mine.load_state_dict({n: p.detach().float().numpy() for n, p in its.state_dict().items()})
    its.load_state_dict({n: torch.tensor(p.numpy(), dtype=torch.float64) for n, p in mine.state_dict().items()})
    return mine, its


def flat(results):
    for x in results if isinstance(results, tuple) else (results,):
        if isinstance(x, tuple):
            yield from flat(x)
        else:
            yield x


def check(mine, its, *inputs, which=None, tolerance=1e-5):
    """Compare results and all gradients; ``which`` says which results the loss depends on."""
    def nest(make):
        return [tuple(make(y) for y in x) if isinstance(x, tuple) else make(x) for x in inputs]

    my_inputs, its_inputs = nest(leaf), nest(lambda x: torch.tensor(x, requires_grad=True))
    results, expected = list(flat(mine(*my_inputs))), list(flat(its(*its_inputs)))
    assert len(results) == len(expected)
    for x, y in zip(results, expected):
        close(x, y.detach().numpy(), tolerance, tolerance)
    chosen = range(len(results)) if which is None else which
    seeds = [normal(*y.shape, seed=20 + i) for i, y in enumerate(expected)]
    sum((results[i] * genesis.tensor(seeds[i].astype(np.float32))).sum() for i in chosen).backward()
    sum((expected[i] * torch.tensor(seeds[i])).sum() for i in chosen).backward()
    for x, y in zip(flat(tuple(my_inputs)), flat(tuple(its_inputs))):
        close(x.grad, np.zeros(y.shape) if y.grad is None else y.grad.numpy(), 10 * tolerance, 10 * tolerance)
    for (name, x), (_, y) in zip(mine.named_parameters(), its.named_parameters()):
        scale = max(1.0, float(y.grad.abs().max()))
        close(x.grad, y.grad.numpy(), 10 * tolerance, 10 * tolerance * scale)
        assert x.grad.shape == x.shape, name


KINDS = [("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("LSTM", {}), ("GRU", {})]


def state_of(kind, count, batch, hidden):
    shape = (count, hidden) if batch is None else (count, batch, hidden)
    h = normal(*shape, seed=7)
    return (h, normal(*shape, seed=8)) if kind == "LSTM" else h


@pytest.mark.parametrize(("kind", "options"), KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_layers(kind, options, bidirectional, batch_first):
    mine, its = pair(kind, 6, 20, num_layers=2, bidirectional=bidirectional, batch_first=batch_first, **options)
    check(mine, its, normal(5, 3, 6), state_of(kind, 4 if bidirectional else 2, 5 if batch_first else 3, 20))


@pytest.mark.parametrize(("kind", "options"), KINDS)
@pytest.mark.parametrize(("batch", "hidden"), [(1, 1), (5, 15), (7, 16), (13, 17), (32, 33), (25, 64)])
def test_sizes(kind, options, batch, hidden):
    mine, its = pair(kind, 3, hidden, **options)
    check(mine, its, normal(4, batch, 3), state_of(kind, 1, batch, hidden))


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_blocks_for_other_processors(kind, options, monkeypatch):
    """Those for twice or half as many registers as the processor has; its own are used everywhere else."""
    monkeypatch.setattr(recurrent, "registers", lambda device, real: 48 - vectors.registers(device, real))
    mine, its = pair(kind, 6, 37, **options)
    check(mine, its, normal(3, 13, 6), state_of(kind, 1, 13, 37))


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_the_form_for_gpus_on_any_device(kind, options, monkeypatch):
    monkeypatch.setattr(genesis.device(), "type", "gpu")
    mine, its = pair(kind, 6, 20, bidirectional=True, **options)
    check(mine, its, normal(5, 13, 6), state_of(kind, 2, 13, 20))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_without_bias_or_first_state(kind):
    mine, its = pair(kind, 6, 20, bias=False, bidirectional=True)
    check(mine, its, normal(5, 3, 6))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_one_sequence_without_a_batch(kind):
    mine, its = pair(kind, 6, 9, num_layers=2, batch_first=True)
    check(mine, its, normal(5, 6), state_of(kind, 2, None, 9))
    mine, its = pair(kind, 6, 9)
    check(mine, its, normal(1, 6))


@pytest.mark.parametrize(("kind", "which"), [(kind, which) for kind in ("RNN", "LSTM", "GRU") for n in (1, 2)
                                             for which in itertools.combinations(range(3 if kind == "LSTM" else 2), n)])
def test_losses_of_some_of_the_results(kind, which):
    mine, its = pair(kind, 6, 9)
    check(mine, its, normal(5, 3, 6), state_of(kind, 1, 3, 9), which=which)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_gradients_go_only_where_they_are_asked_for(kind):
    mine, its = pair(kind, 6, 9)
    for wanted in mine.state_dict():
        for model in (mine, its):
            model.zero_grad()
            for name, p in model.named_parameters():
                p.requires_grad_(name == wanted)
        mine(genesis.tensor(normal(5, 3, 6).astype(np.float32)))[0].cos().sum().backward()
        its(torch.tensor(normal(5, 3, 6)))[0].cos().sum().backward()
        for (name, x), (_, y) in zip(mine.named_parameters(), its.named_parameters()):
            assert (x.grad is not None) == (name == wanted)
            if name == wanted:
                close(x.grad, y.grad.numpy(), 1e-4, 1e-4)


def test_gradients_of_the_result_as_a_view():
    mine, its = pair("GRU", 4, 9)
    x, y = leaf(normal(5, 3, 4)), torch.tensor(normal(5, 3, 4), requires_grad=True)
    mine(x)[0].permute(2, 1, 0)[1:, ::2].sin().sum().backward()
    its(y)[0].permute(2, 1, 0)[1:, ::2].sin().sum().backward()
    close(x.grad, y.grad.numpy(), 1e-4, 1e-5)


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cells(kind):
    mine, its = pair(kind, 6, 9)
    state = state_of(kind[:-4], 3, None, 9)
    check(mine, its, normal(3, 6), state)
    mine, its = pair(kind, 6, 9, bias=False)
    check(mine, its, normal(6))
    check(*pair("RNNCell", 6, 9, nonlinearity="relu"), normal(3, 6), normal(3, 9))


def test_dropout_between_layers():
    mine, _ = pair("LSTM", 4, 8, num_layers=2, dropout=0.5)
    x = genesis.randn(5, 3, 4)
    assert not genesis.equal(mine(x)[0], mine(x)[0])
    mine.eval()
    assert genesis.equal(mine(x)[0], mine(x)[0])
    single = nn.LSTM(4, 8, dropout=0.5)      # there is nothing between layers
    assert genesis.equal(single(x)[0], single(x)[0])


@pytest.mark.parametrize("dtype", [genesis.float16, genesis.bfloat16])
def test_short_floats(dtype):
    mine, its = pair("LSTM", 4, 9)
    mine.to(dtype)
    x = genesis.tensor(normal(5, 3, 4).astype(np.float32)).to(dtype)
    y, (h, c) = mine(x)
    assert y.dtype is h.dtype is c.dtype is dtype
    unit = 2.0 ** -11 if dtype is genesis.float16 else 2.0 ** -8
    close(y.float(), its(torch.tensor(normal(5, 3, 4)))[0].detach().numpy(), 4 * unit, 4 * unit)
    y.sum().backward()
    assert mine.weight_hh_l0.grad.dtype is dtype


@needs_float64
def test_float64():
    mine, its = pair("GRU", 10, 12)
    mine.to(genesis.float64)
    its.load_state_dict({n: torch.tensor(p.numpy()) for n, p in mine.state_dict().items()})
    x, y = leaf(normal(5, 3, 10), genesis.float64), torch.tensor(normal(5, 3, 10), requires_grad=True)
    mine(x)[0].cos().sum().backward()
    its(y)[0].cos().sum().backward()
    close(x.grad, y.grad.numpy(), 1e-12, 1e-12)
    close(mine.weight_hh_l0.grad, its.weight_hh_l0.grad.numpy(), 1e-12, 1e-12)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_projections(bidirectional):
    mine, its = pair("LSTM", 4, 9, num_layers=2, proj_size=3, bidirectional=bidirectional)
    x, state = normal(5, 2, 4), tuple(normal(4 if bidirectional else 2, 2, n, seed=n) for n in (3, 9))
    check(mine, its, x, state)
    mine.zero_grad()
    its.zero_grad()
    check(mine, its, x)
    assert [tuple(s.shape) for s in mine(genesis.ones(5, 4))[1]] == [(s.shape[0], s.shape[2]) for s in state]
    y, (h, c) = mine(genesis.ones(0, 2, 4), tuple(map(leaf, state)))
    assert y.shape == (0, 2, 6 if bidirectional else 3)
    close(h, state[0])
    close(c, state[1])
    assert repr(mine).startswith("LSTM(4, 9, proj_size=3, num_layers=2")


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("shape", [(0, 3, 4), (5, 0, 4)])
def test_empty_sequences_and_batches(kind, shape):
    mine = getattr(nn, kind)(4, 9)
    h = leaf(normal(1, shape[1], 9))
    y, end = mine(genesis.zeros(*shape), (h, h) if kind == "LSTM" else h)
    close(y, np.zeros((*shape[:2], 9)))
    end = end[0] if kind == "LSTM" else end
    if shape[0] == 0:
        close(end, h.detach().numpy())
    (y.sum() + (end * 2).sum()).backward()
    if shape[0] == 0:
        close(h.grad, np.full(h.shape, 2.0))
    close(mine.weight_hh_l0.grad, np.zeros(mine.weight_hh_l0.shape))


def test_results_repeat_bit_for_bit():
    mine = nn.LSTM(4, 20)
    x = leaf(normal(9, 5, 4))
    first, second = (genesis.autograd.grad(mine(x)[0].sin().sum(), [x, *mine.parameters()]) for _ in range(2))
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_what_does_not_fit():
    lstm, gru, cell = nn.LSTM(4, 8), nn.GRU(4, 8), nn.GRUCell(4, 8)
    for call, message in (
            (lambda: lstm(genesis.zeros(5, 3, 5)), "input_size"), (lambda: lstm(genesis.zeros(3, 5)), "input_size"),
            (lambda: gru(genesis.zeros(5, 3, 4), genesis.zeros(1, 2, 8)), "hx must have shape"),
            (lambda: lstm(genesis.zeros(5, 3, 4), (genesis.zeros(1, 3, 8),)), "pair"),
            (lambda: cell(genesis.zeros(3, 5)), "input"),
            (lambda: cell(genesis.zeros(3, 4), genesis.zeros(2, 8)), "hx")):
        with pytest.raises(RuntimeError, match=message):
            call()
    for call, message in (
            (lambda: lstm(genesis.zeros(4)), "dimensions"), (lambda: cell(genesis.zeros(1, 2, 4)), "input"),
            (lambda: cell(genesis.zeros(3, 4), genesis.zeros(1, 3, 8)), "hx"),
            (lambda: gru(genesis.zeros(5, 3, 4).half()), "float16 and the weights genesis.float32")):
        with pytest.raises(ValueError, match=message):
            call()
    for options in ({"input_size": 4.0}, {"bias": 1}, {"batch_first": "False"}):
        with pytest.raises(TypeError, match=next(iter(options))):
            nn.LSTM(**{"input_size": 4, "hidden_size": 8, **options})
    for options in ({"input_size": 0}, {"hidden_size": 0}, {"num_layers": 0}, {"dropout": 1.5}, {"proj_size": 8}):
        with pytest.raises(ValueError):
            nn.LSTM(**{"input_size": 4, "hidden_size": 8, **options})
    with pytest.raises(ValueError, match="only an LSTM"):
        nn.RNNBase("GRU", 4, 8, proj_size=3)
    with pytest.raises(ValueError, match="gelu"):
        nn.RNN(4, 8, nonlinearity="gelu")
    assert repr(nn.RNNCell(4, 8, nonlinearity="relu")) == "RNNCell(4, 8, nonlinearity=relu)"
    assert repr(nn.LSTM(4, 8, num_layers=2, batch_first=True)) == "LSTM(4, 8, num_layers=2, batch_first=True)"


def test_all_weights_by_layer_and_direction():
    layer = nn.LSTM(2, 3, 11, bidirectional=True, proj_size=2)
    assert [len(weights) for weights in layer.all_weights] == [5] * 22
    assert sum(layer.all_weights, []) == list(layer.parameters())                  # noqa: RUF017
    assert layer.all_weights[3][1] is layer.weight_hh_l1_reverse
