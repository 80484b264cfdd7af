"""Gradients of several micro-batches against those of one batch, and that they add up in place."""

import numpy as np
import pytest
from helpers import f32

import genesis
from genesis import nn
from genesis.nn import functional as F
from genesis.nn.utils import clip_grad_norm_
from genesis.optim import OPTIMIZERS, Adam

PARTS = 4


def network():
    genesis.manual_seed(3)
    return nn.Sequential(nn.Linear(33, 65), nn.Tanh(), nn.Linear(65, 7))


def batch(seed=0, n=64):
    rng = np.random.default_rng(seed)
    return f32(rng.standard_normal((n, 33))), genesis.tensor(rng.integers(0, 7, n))


def parts(x, y):
    step = len(x) // PARTS
    return [(x[i:i + step], y[i:i + step]) for i in range(0, len(x), step)]


@pytest.mark.parametrize("name", [None, *OPTIMIZERS])
def test_four_micro_batches_give_the_gradients_of_one_batch(name):
    x, y = batch()
    gradients = []
    for pieces in ([(x, y)], parts(x, y)):
        model = network()
        optimizer = OPTIMIZERS[name](model.parameters(), lr=0.1) if name else None
        for a, b in pieces:
            (F.cross_entropy(model(a), b) / len(pieces)).backward()
        gradients.append([p.grad.numpy() for p in model.parameters()])
        del optimizer
    for whole, added in zip(*gradients):
        np.testing.assert_allclose(added, whole, rtol=1e-5, atol=1e-6 * np.abs(whole).max())


@pytest.mark.parametrize("clip", ["no", "clip_grad_norm_", "max_grad_norm"])
@pytest.mark.parametrize("mixed", [None, genesis.bfloat16, genesis.float16], ids=str)
def test_training_by_micro_batches_equals_training_by_batches(clip, mixed):
    results = []
    for accumulate in (False, True):
        model = network()
        optimizer = Adam(model.parameters(), lr=0.01, eps=1e-3, max_grad_norm=0.1 if clip == "max_grad_norm" else None)
        scaler = genesis.amp.GradScaler(init_scale=256.0, enabled=mixed is genesis.float16)
        for step in range(5):
            x, y = batch(step)
            optimizer.zero_grad()
            pieces = parts(x, y) if accumulate else [(x, y)]
            for a, b in pieces:
                with genesis.autocast(enabled=mixed is not None, dtype=mixed or genesis.bfloat16):
                    loss = F.cross_entropy(model(a), b) / len(pieces)
                scaler.scale(loss).backward()
            if clip == "clip_grad_norm_":
                scaler.unscale_(optimizer)
                assert clip_grad_norm_(model.parameters(), 0.1) > 0.1
            scaler.step(optimizer)
            scaler.update()
        results.append([p.detach().numpy() for p in model.parameters()])
    tolerance = 1e-5 if mixed is None else 2e-3
    for whole, added in zip(*results):
        np.testing.assert_allclose(added, whole, rtol=0, atol=tolerance)


@pytest.mark.parametrize("mixed", [False, True])
def test_gradients_add_up_in_their_slots(mixed):
    model = network()
    optimizer = Adam(model.parameters(), lr=0.01)
    arena = optimizer._runners[0].arena
    pool = genesis.device().pool
    x, y = batch()

    def micro_batch():
        with genesis.autocast(enabled=mixed):
            loss = F.cross_entropy(model(x), y) / PARTS
        loss.backward()

    for _ in range(2):
        micro_batch()
    seen = [p.grad for p in model.parameters()]
    places = [(g._array.buffer.handle, g._array.offset) for g in seen]
    before = pool.allocated
    for _ in range(3):
        micro_batch()
        assert pool.allocated == before                       # nothing new was kept
    assert not arena.assigned                                 # no gradient has memory of its own
    flat = arena.arena.buffers["grad"].handle
    for p, g, (handle, offset) in zip(model.parameters(), seen, places):
        assert p.grad is g
        assert (g._array.buffer.handle, g._array.offset) == (handle, offset)
        assert handle is flat


def test_a_nan_in_one_micro_batch_skips_the_step_of_all():
    model = network()
    optimizer = Adam(model.parameters(), lr=0.01)
    scaler = genesis.amp.GradScaler(init_scale=8.0)
    x, y = batch()
    before = [p.detach().numpy() for p in model.parameters()]
    for i, (a, b) in enumerate(parts(x, y)):
        scaler.scale(F.cross_entropy(model(a), b) * (np.inf if i == 1 else 1.0)).backward()
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 4
    for p, b in zip(model.parameters(), before):
        np.testing.assert_array_equal(p.detach().numpy(), b)
