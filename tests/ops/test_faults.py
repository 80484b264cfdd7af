"""Indices out of range: found on the device without waiting for it, and raised where the host waits anyway."""

import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import f32, leaf, normal

import genesis
from genesis import nn
from genesis.errors import DeviceIndexError
from genesis.nn import functional as F
from genesis.opencl import Device
from genesis.ops import matmul_amx

TABLE = np.arange(20, dtype=np.float32).reshape(5, 4)

CALLS = {
    "embedding": (lambda x, i: F.embedding(i, x), 7, 5),
    "index_select": (lambda x, i: x.index_select(1, i), 4, 4),
    "gather": (lambda x, i: x.gather(0, i.reshape(1, -1)), -1, 5),
    "gather rows": (lambda x, i: x.gather(1, i.reshape(-1, 1)), 4, 4),
    "take": (lambda x, i: x.take(i), -21, 20),
    "take_along_dim": (lambda x, i: x.take_along_dim(i.reshape(-1, 1), 0), -6, 5),
    "indexing": (lambda x, i: x[i], -6, 5),
    "indexing twice": (lambda x, i: x[0:2, :][[0, 1, 1], i], 4, 4),
    "scatter": (lambda x, i: x.scatter(0, i.reshape(1, -1), 9.0), 5, 5),
    "scatter_add": (lambda x, i: x.scatter_add(0, i.reshape(1, -1), x[:1, :3]), -1, 5),
    "index_add": (lambda x, i: x.index_add(0, i, x[:3]), 5, 5),
    "index_copy": (lambda x, i: x.index_copy(0, i, x[:3]), 5, 5),
    "index_fill": (lambda x, i: x.index_fill(0, i, 9.0), -6, 5),
    "one_hot": (lambda x, i: F.one_hot(i, 5), 5, 5),
    "cross_entropy": (lambda x, i: F.cross_entropy(x[:3], i), 4, 4),
}


@pytest.fixture
def reads(monkeypatch):
    """How often the host has waited for the device."""
    found = []
    for name in ("read", "finish", "synchronize"):
        original = getattr(Device, name)
        monkeypatch.setattr(Device, name, lambda self, *a, _o=original, _n=name, **k: (found.append(_n),
                                                                                       _o(self, *a, **k))[1])
    return found


@pytest.mark.parametrize("name", CALLS)
def test_indices_out_of_range_are_raised_at_the_next_wait(name, reads):
    call, bad, size = CALLS[name]
    x, index = f32(TABLE), genesis.tensor([1, bad, 0])
    call(x, index)
    assert not reads
    with pytest.raises(DeviceIndexError, match=rf"{name.split()[0]}: index {bad} is out of range .* size {size}$"):
        genesis.synchronize()
    genesis.synchronize()                 # raised only once
    np.testing.assert_array_equal(x.numpy(), TABLE)
    call(x, genesis.tensor([1, 2, 0]))
    genesis.synchronize()


def test_results_at_indices_out_of_range_are_zero_and_nothing_else_is_touched():
    big = f32(np.ones((6, 40)))
    x = big[1:5]
    for index, shape in (([0, 9, -9, 3], (4, 40)), ([[0, 4]], (1, 2, 40))):
        y = x[genesis.tensor(index)]
        with pytest.raises(IndexError):
            y.numpy()
        assert y.numpy().reshape(-1, 40).sum(1).tolist() == [40 if -4 <= i < 4 else 0 for i in np.ravel(index)]
        assert y.shape == shape
    x[genesis.tensor([2, 4, -5])] = 7.0
    with pytest.raises(IndexError, match=r"index (4|-5) "):
        x.tolist()
    assert big.numpy()[:, 0].tolist() == [1, 1, 1, 7, 1, 1]
    for n in (1, 40):                     # with gradients, also those of a table larger than its indices
        weight = leaf(normal(5, n))
        F.embedding(genesis.tensor([0, 5, -1, 2, 0]), weight).sum().backward()
        with pytest.raises(IndexError, match="embedding"):
            genesis.synchronize()
        assert weight.grad.numpy()[:, 0].tolist() == [2, 0, 1, 0, 0]


@pytest.mark.parametrize("join", ["sum", "amax", "prod"])
@pytest.mark.parametrize("count", [70, 1003])
def test_scattering_passes_over_indices_out_of_range(join, count, monkeypatch):
    from genesis.ops import index as ops

    at = np.random.default_rng(0).integers(-3, 9, count)
    good, value = (at >= 0) & (at < 6), normal(count) + 2
    expected = f32(np.ones(6)).scatter_reduce(0, genesis.tensor(at[good]), f32(value[good]), join).numpy()
    for by_columns in (True, False):
        monkeypatch.setattr(ops, "by_columns", lambda *_, _by=by_columns: _by)
        found = f32(np.ones(6)).scatter_reduce(0, genesis.tensor(at), f32(value), join)
        with pytest.raises(IndexError, match="scatter_reduce"):
            genesis.synchronize()
        np.testing.assert_allclose(found.numpy(), expected, rtol=2e-4)


def test_every_wait_raises():
    def wrong():
        return f32(TABLE)[genesis.tensor([1, 99])]

    for wait in (lambda y: y.sum().item(), lambda y: y.numpy(), lambda y: y.tolist(), lambda y: repr(y),
                 lambda y: genesis.synchronize(), lambda y: bool((y == y).all())):
        with pytest.raises(DeviceIndexError, match="index 99"):
            wait(wrong())
    genesis.synchronize()


def test_indices_from_the_host_are_checked_at_once(reads):
    x = f32(TABLE)
    for index in (5, [0, 5], np.array([-6]), (0, [4])):
        with pytest.raises(IndexError, match="out of range"):
            x[index]
    with pytest.raises(IndexError, match="size 0"):
        genesis.zeros(0, 3)[genesis.tensor([0])]
    assert not reads


def test_an_optimizer_that_polls_raises():
    weight = nn.Parameter(f32(TABLE))
    optimizer = genesis.optim.AdamW([weight], max_grad_norm=1.0)

    def train(steps, index):
        for _ in range(steps):
            optimizer.zero_grad()
            F.embedding(genesis.tensor([0, index]), weight).sum().backward()
            optimizer.step()

    with pytest.raises(DeviceIndexError, match="embedding: index 5"):
        train(8, 5)
    train(1, 4)
    assert np.isfinite(weight.detach().numpy()).all()
    assert optimizer.state_dict()["state"][0]["step"] >= 1


def test_sync_mode_raises_at_once():
    code = ("import genesis\nx = genesis.ones(3)\ni = genesis.tensor([3])\n"
            "try:\n    x[i]\nexcept IndexError as error:\n    print(error)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120,
                          env={**os.environ, "GENESIS_SYNC": "1",
                               "GENESIS_DEVICE": genesis.device().platform})
    assert "index 3 is out of range" in done.stdout


def test_training_a_gpt_never_waits(reads):
    from genesis.recipes.gpt import GPT, Config

    matmul_amx.works(genesis.device())        # tries it out once in a process
    reads.clear()
    model = GPT(Config(vocab_size=50, context=16, layers=2, width=32, heads=4))
    optimizer = genesis.optim.AdamW(model.groups(), lr=1e-3, max_grad_norm=1.0)
    tokens = genesis.tensor(np.random.default_rng(0).integers(0, 50, (4, 17)))
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        logits = model(tokens[:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, 50), tokens[:, 1:].reshape(-1))
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    assert reads == []
    assert losses[-1].item() < losses[0].item()
    assert reads
