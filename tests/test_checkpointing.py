"""Activation checkpointing: the same gradients, less memory."""

import contextlib
import gc

import numpy as np
import pytest
from helpers import close, f32, leaf, normal

import genesis
from genesis import autograd
from genesis.nn import functional as F
from genesis.utils.checkpoint import RecomputationError, checkpoint, checkpoint_sequential


def body(x, w):
    h = (x @ w).tanh()
    h = F.dropout(h, 0.5)
    return (h * x).exp() @ w, h.sum()


def gradients(function, *inputs, seed=1):
    genesis.manual_seed(seed)
    tensors = [leaf(x) for x in inputs]
    results = function(*tensors)
    total = sum((r * r).sum() for r in results)
    after = F.dropout(f32(np.ones(100)), 0.5).tolist()
    total.backward()
    return [total.item(), after, *(t.grad.numpy() for t in tensors)], genesis.get_rng_state()


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_a_checkpoint_changes_no_number(use_reentrant):
    inputs = normal(5, 5) / 3, normal(5, 5, seed=1) / 3
    plain, state = gradients(body, *inputs)
    again, state2 = gradients(lambda *a: checkpoint(body, *a, use_reentrant=use_reentrant), *inputs)
    for a, b in zip(plain, again):
        np.testing.assert_array_equal(a, b)
    assert state == state2

    def nested(x, w):
        def inner(x):
            return checkpoint(lambda x: (F.dropout(x @ w, 0.5) * x).tanh(), x) * w

        return checkpoint(lambda x: inner(x).sin() + checkpoint(inner, x), x), x * 1

    def flat(x, w):
        def inner(x):
            return (F.dropout(x @ w, 0.5) * x).tanh() * w

        return inner(x).sin() + inner(x), x * 1

    for a, b in zip(gradients(flat, *inputs)[0], gradients(nested, *inputs)[0]):
        np.testing.assert_array_equal(a, b)


def test_random_numbers_are_new_where_the_state_is_not_preserved():
    x = leaf(np.ones(1000))
    genesis.manual_seed(0)
    y = checkpoint(lambda x: F.dropout(x, 0.5), x, preserve_rng_state=False)
    y.sum().backward()
    assert not np.array_equal(x.grad.numpy(), y.detach().numpy())
    x.grad = None
    y = checkpoint(lambda x: F.dropout(x, 0.5), x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())


def test_what_is_not_an_argument_gets_its_gradient_too():
    layer = genesis.nn.Linear(4, 4)
    x, z = leaf(normal(2, 4)), leaf(normal(2, 4, seed=3))
    middle = z * 2
    results = []
    for run in (lambda f, *a: f(*a), checkpoint):
        layer.zero_grad()
        y = run(lambda x: (layer(x) * middle).tanh(), x.detach())
        y.sum().backward(retain_graph=True)
        results.append([layer.weight.grad.numpy(), layer.bias.grad.numpy(), z.grad.numpy()])
        z.grad = None
    for a, b in zip(*results):
        np.testing.assert_array_equal(a, b)
    (g,) = autograd.grad(checkpoint(lambda x: (x * x).exp(), x).sum(), x)
    close(g, 2 * normal(2, 4) * np.exp(normal(2, 4) ** 2), rtol=1e-4)


def test_arguments_of_any_kind():
    x = leaf([1.0, 2.0])

    def function(pair, *, scale, name):
        assert name == "n"
        return {"a": pair[0] * scale, "b": [pair[1]]}

    result = checkpoint(function, (x, 3), scale=4, name="n")
    assert result["b"] == [3]
    result["a"].sum().backward()
    assert x.grad.tolist() == [4, 4]
    with genesis.no_grad():
        assert not checkpoint(lambda x: x * 2, x).requires_grad
    assert not checkpoint(lambda x: x * 2, x.detach()).requires_grad
    with pytest.warns(UserWarning, match="requires a gradient"):
        checkpoint(lambda x: x * 2, x.detach(), use_reentrant=True)
    with pytest.raises(ValueError, match="determinism_check"):
        checkpoint(lambda x: x, x, determinism_check="maybe")


def test_backward_twice():
    x = leaf([1.0, 2.0])
    calls = []

    def function(x):
        calls.append(1)
        return (x * x).exp()

    y = checkpoint(function, x).sum()
    y.backward(retain_graph=True)
    first = x.grad.numpy()
    y.backward()
    assert len(calls) == 2
    np.testing.assert_array_equal(x.grad.numpy(), 2 * first)
    with pytest.raises(RuntimeError, match="retain_graph"):
        y.backward()


def test_functions_that_differ_the_second_time_are_an_error():
    x = leaf([1.0, 2.0])
    times = []

    def longer(x):
        times.append(1)
        return (x * 2).exp() if len(times) == 1 else (x * 2).exp().sin()

    with pytest.raises(RecomputationError, match="2 operations the first time and 3"):
        checkpoint(longer, x).sum().backward()

    def other(x):
        times.append(1)
        return (x * 2).exp() if len(times) % 2 else (x * 2).sin()

    times.clear()
    with pytest.raises(RecomputationError, match="operation 1"):
        checkpoint(other, x).sum().backward()
    y = x * 1
    z = checkpoint(lambda y: y.exp(), y)
    with genesis.no_grad():
        y.add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        z.sum().backward()

    def fails(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        checkpoint(fails, x)
    (x * x).sum().backward()                # the region was left
    assert x.grad.tolist() == [2, 4]


def test_contexts_of_the_two_runs():
    seen = []

    @contextlib.contextmanager
    def note(name):
        seen.append(name)
        yield
        seen.append(f"/{name}")

    x = leaf([1.0])
    y = checkpoint(lambda x: x.exp(), x, context_fn=lambda: (note("first"), note("second")))
    assert seen == ["first", "/first"]
    y.backward()
    assert seen == ["first", "/first", "second", "/second"]


def test_autocast_is_on_again_in_the_second_run():
    layer = genesis.nn.Linear(8, 8)
    x = f32(normal(4, 8))
    grads = []
    for run in (lambda f, *a: f(*a), checkpoint):
        layer.zero_grad()
        with genesis.autocast():
            y = run(lambda x: layer(x).tanh(), x)
        y.float().sum().backward()
        grads.append(layer.weight.grad.numpy())
    np.testing.assert_array_equal(*grads)


def test_changes_in_place_inside():
    def function(x):
        y = x * 2
        y[0] += 1
        y.mul_(x)
        y[1].exp_()
        return y

    x, w = leaf(normal(3, 4)), leaf(normal(3, 4))
    function(x).sum().backward()
    checkpoint(function, w).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), w.grad.numpy())


def deep(n, width):
    return genesis.nn.Sequential(*[genesis.nn.Sequential(genesis.nn.Linear(width, width), genesis.nn.Tanh(),
                                                         genesis.nn.Dropout(0.1)) for _ in range(n)])


def peak_of(run, model, x):
    pool = genesis.device().pool
    gc.collect()
    pool.reset_peak()
    base = pool.allocated
    genesis.manual_seed(3)
    run(x).square().mean().backward()
    grads = [p.grad.numpy() for p in model.parameters()]
    peak = pool.peak - base
    model.zero_grad()
    return peak, grads


@pytest.mark.lengthy
def test_memory_is_smaller():
    model = deep(16, 16)
    x = f32(normal(4096, 16))
    peak_of(model, model, x)
    plain, expected = peak_of(model, model, x)
    for segments in (4, 8):
        peak, grads = peak_of(lambda x, n=segments: checkpoint_sequential(model, n, x), model, x)
        for a, b in zip(expected, grads):
            np.testing.assert_array_equal(a, b)
        assert peak < 0.6 * plain


@pytest.mark.parametrize("segments", [1, 2, 3, 5])
def test_sequential_in_any_number_of_segments(segments):
    model = deep(5, 3)
    x = f32(normal(2, 3))
    expected = peak_of(model, model, x)[1]
    for modules in (model, list(model.children())):
        grads = peak_of(lambda x, m=modules: checkpoint_sequential(m, segments, x), model, x)[1]
        for a, b in zip(expected, grads):
            np.testing.assert_array_equal(a, b)


def test_sequential_checks_its_arguments():
    model = deep(2, 3)
    for segments in (0, 3):
        with pytest.raises(ValueError, match="segments"):
            checkpoint_sequential(model, segments, genesis.ones(1, 3))
    with pytest.raises(ValueError, match="wrong"):
        checkpoint_sequential(model, 1, genesis.ones(1, 3), wrong=1)


def test_nothing_is_kept_after_backward():
    pool = genesis.device().pool
    x = leaf(normal(64, 64))
    (x * x).sum().item()
    gc.collect()
    gc.disable()
    try:
        base = pool.allocated
        y = checkpoint(lambda x: checkpoint(lambda x: (x @ x).tanh(), x) * x, x)
        loss = y.sum()
        del y
        loss.backward()
        x.grad = None
        del loss
        assert pool.allocated == base
        y = checkpoint(lambda x: (x @ x).tanh(), x)
        del y
        assert pool.allocated == base
    finally:
        gc.enable()
