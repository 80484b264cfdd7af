"""Normalizing kernels against float64: sizes at edges, groups, means far from 0, both layouts, parts, types."""

import dataclasses

import numpy as np
import pytest
from helpers import EDGES, check_gradients, close, f32, leaf, needs_float64, normal

import genesis
from genesis.nn import functional as F
from genesis.ops import batch_norm as bn
from genesis.ops import norm as ops

EPS = 1e-3


def layer(x, axes, eps=EPS, center=True):
    """Normalized in NumPy."""
    x = x - x.mean(axes, keepdims=True) if center else x
    return x / np.sqrt((x * x).mean(axes, keepdims=True) + eps)


def sides(p, x):
    """A parameter a channel beside (N, C, ...)."""
    return p.reshape(-1, *[1] * (x.ndim - 2))


def group(x, groups, weight, bias):
    """Group normalization in NumPy."""
    split = x.reshape(x.shape[0], groups, -1)
    return layer(split, 2).reshape(x.shape) * sides(weight, x) + sides(bias, x)


def batch(x, weight, bias):
    """Batch normalization in NumPy."""
    return layer(x, (0, *range(2, x.ndim))) * sides(weight, x) + sides(bias, x)


@pytest.fixture
def gpu_path(monkeypatch):
    """Lay kernels out as on a GPU."""
    monkeypatch.setattr(genesis.device(), "type", "gpu")


def check_layer(rows, n):
    """Layer and RMS normalization of (rows, n), with their gradients."""
    x, w, b = normal(rows, n), normal(n, seed=1), normal(n, seed=2)
    check_gradients(lambda x, w, b: F.layer_norm(x, n, w, b, EPS), lambda x, w, b: layer(x, 1) * w + b, x, w, b,
                    atol=1e-3)
    check_gradients(lambda x, w: F.rms_norm(x, n, w, EPS), lambda x, w: layer(x, 1, center=False) * w, x, w,
                    atol=1e-3)


@pytest.mark.parametrize("n", EDGES)
def test_layer_norm_of_rows_of_any_length(n):
    check_layer(3, n)


@pytest.mark.parametrize("rows", [1, 33, 1003])
def test_layer_norm_of_any_number_of_rows(rows):
    check_layer(rows, 20)


@pytest.mark.parametrize("n", [33, 1003])
def test_layer_norm_with_a_group_to_a_row(n, gpu_path):
    check_layer(70, n)


@pytest.mark.parametrize("shape", [(1, 6, 5), (4, 6), (3, 6, 33), (2, 6, 7, 9), (33, 6, 2, 2, 2)], ids=str)
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_group_norm(shape, groups):
    check_group(shape, groups)


def test_group_norm_with_a_group_to_a_row(gpu_path):
    check_group((3, 6, 33), 2)


def check_group(shape, groups):
    """Group normalization with its gradients."""
    check_gradients(lambda x, w, b: F.group_norm(x, groups, w, b, EPS), lambda x, w, b: group(x, groups, w, b),
                    normal(*shape), normal(6, seed=1), normal(6, seed=2), atol=1e-3)


@pytest.mark.parametrize("shape", [(2, 1), (65, 33), (1003, 5), (2, 70), (3, 4, 33), (40, 3, 64), (70, 5, 31, 33),
                                   (5, 2, 3, 2, 3)], ids=str)
def test_batch_norm(shape):
    check_batch(shape)


@pytest.mark.parametrize("shape", [(65, 33), (40, 3, 33)], ids=str)
def test_batch_norm_with_a_group_to_a_channel(shape, gpu_path):
    check_batch(shape)


def check_batch(shape):
    """Batch normalization with its gradients, in training and not."""
    c = shape[1]
    check_gradients(lambda x, w, b: F.batch_norm(x, None, None, w, b, True, eps=EPS), batch, normal(*shape),
                    normal(c, seed=1), normal(c, seed=2), rtol=2e-3, atol=2e-3)
    mean, var = normal(c, seed=3), normal(c, seed=4) ** 2 + 0.5
    check_gradients(lambda x, w, b: F.batch_norm(x, f32(mean), f32(var), w, b, False, eps=EPS),
                    lambda x, w, b: (x - sides(mean, x)) / np.sqrt(sides(var, x) + EPS) * sides(w, x) + sides(b, x),
                    normal(*shape), normal(c, seed=1), normal(c, seed=2), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(("function", "reference"), [
    (lambda x: F.layer_norm(x, 1003), lambda x: layer(x, 1, 1e-5)),
    (lambda x: F.group_norm(x.reshape(4, 17, 59), 1).reshape(4, 1003), lambda x: layer(x, 1, 1e-5)),
    (lambda x: F.batch_norm(x.T, None, None, training=True).T, lambda x: layer(x, 1, 1e-5)),
    (lambda x: F.batch_norm(x.reshape(1, 4, 1003), None, None, training=True).reshape(4, 1003),
     lambda x: layer(x, 1, 1e-5))], ids=["layer", "group", "batch", "batch runs"])
def test_normalizing_is_exact_far_from_zero(function, reference):
    x = (1e4 + normal(4, 1003)).astype(np.float32)
    x[0, 0] = 2e4                                             # the first element is no guide to the mean
    # What is left is the rounding of the mean, whose last digit is 1e-3 here.
    close(function(genesis.tensor(x)), reference(x.astype(np.float64)), rtol=1e-4, atol=3e-3)


def test_running_statistics_far_from_zero():
    x = (1e4 + normal(70, 3, 33)).astype(np.float32)
    mean, var = genesis.zeros(3), genesis.zeros(3)
    F.batch_norm(genesis.tensor(x), mean, var, training=True, momentum=1.0)
    close(mean, x.astype(np.float64).mean((0, 2)), rtol=3e-7)      # some last digits
    close(var, x.astype(np.float64).var((0, 2), ddof=1), rtol=1e-4)


@pytest.mark.parametrize("needs", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1)], ids=str)
@pytest.mark.parametrize("function", [
    lambda x, w, b: F.layer_norm(x, 6, w, b), lambda x, w, b: F.group_norm(x, 2, w, b),
    lambda x, w, b: F.batch_norm(x, None, None, w, b, True),
    lambda x, w, b: F.batch_norm(x, x.detach().mean(0), x.detach().var(0), w, b, False)],
    ids=["layer", "group", "batch", "running"])
def test_only_gradients_asked_for_are_computed(function, needs):
    values, g = (normal(9, 6), normal(6, seed=1), normal(6, seed=2)), f32(normal(9, 6, seed=3))
    every = [leaf(v) for v in values]
    function(*every).backward(g)
    some = [f32(v).requires_grad_(bool(need)) for v, need in zip(values, needs)]
    function(*some).backward(g)
    for a, b, need in zip(every, some, needs):
        if need:
            close(b.grad, a.grad.numpy())
        else:
            assert b.grad is None


def test_parameter_gradients_land_in_their_slots():
    w, b = genesis.nn.Parameter(f32(normal(6))), genesis.nn.Parameter(f32(normal(6, seed=1)))
    genesis.optim.SGD([w, b], lr=0.0)
    x, g = f32(normal(9, 6, seed=2)), normal(9, 6, seed=3)
    for function in (lambda: F.layer_norm(x, 6, w, b, EPS), lambda: F.batch_norm(x, None, None, w, b, True, eps=EPS)):
        w.grad = b.grad = None
        for times in (1, 2):                                  # the second time adds
            function().backward(f32(g))
            close(b.grad, times * g.sum(0))
    w.grad = None
    F.layer_norm(x, 6, w, b, EPS).backward(f32(g))
    close(w.grad, (g * layer(x.numpy().astype(np.float64), 1)).sum(0), atol=1e-5)


@pytest.mark.parametrize(("dtype", "params"), [("float16", "same"), ("bfloat16", "float32")])
def test_normalizing_16_bits(dtype, params):
    kind = getattr(genesis, dtype)
    ulp = 2.0 ** -10 if dtype == "float16" else 2.0 ** -7
    p_kind = kind if params == "same" else genesis.float32
    for function in (lambda x, w, b: F.layer_norm(x, 8, w, b), lambda x, w, b: F.group_norm(x, 2, w, b),
                     lambda x, w, b: F.batch_norm(x, None, None, w, b, True)):
        narrow = [leaf(normal(5, 8), kind), leaf(normal(8, seed=1), p_kind), leaf(normal(8, seed=2), p_kind)]
        wide = [leaf(x.detach().float().numpy()) for x in narrow]
        y, z = function(*narrow), function(*wide)
        assert y.dtype is kind
        close(y.float(), z.detach().numpy(), rtol=ulp, atol=1e-5)
        g = f32(normal(5, 8, seed=3)).to(kind)
        y.backward(g)
        z.backward(g.float())
        for a, b in zip(narrow, wide):
            assert a.grad.dtype is a.dtype
            close(a.grad.float(), b.grad.numpy(), rtol=ulp, atol=2e-3)


@needs_float64
def test_normalizing_in_float64():
    x, w, b = normal(9, 6, 4), normal(6, seed=1), normal(6, seed=2)
    args = [leaf(v, genesis.float64) for v in (x, w, b)]
    close(F.batch_norm(args[0], None, None, *args[1:], True, eps=EPS), batch(x, w, b), rtol=1e-12, atol=1e-13)
    close(F.group_norm(args[0], 3, *args[1:], EPS), group(x, 3, w, b), rtol=1e-12, atol=1e-13)
    close(F.layer_norm(args[0], 4, eps=EPS), layer(x, 2), rtol=1e-12, atol=1e-13)


def test_normalizing_views():
    x = normal(10, 12)
    a = leaf(x)
    y = F.layer_norm(a.T[::2, 1::3], 3, eps=EPS)
    part = x.T[::2, 1::3]
    close(y, layer(part, 1))
    y.sum().backward()
    assert tuple(a.grad.shape) == (10, 12)
    close(F.layer_norm(f32(part), 3, f32(normal(6))[::2], eps=EPS), layer(part, 1) * normal(6)[::2])
    close(F.batch_norm(a.T[::2, 1::3], None, None, training=True, eps=EPS), layer(part, 0))


def test_normalizing_nothing():
    w, b = leaf(np.ones(3)), leaf(np.ones(3))
    for function in (lambda x: F.layer_norm(x, 3, w, b), lambda x: F.group_norm(x, 3, w, b),
                     lambda x: F.batch_norm(x, None, None, w, b, True)):
        x = genesis.zeros(0, 3, requires_grad=True)
        y = function(x)
        assert tuple(y.shape) == (0, 3)
        y.sum().backward()
        assert tuple(x.grad.shape) == (0, 3)
        assert w.grad.tolist() == b.grad.tolist() == [0, 0, 0]
    assert tuple(F.layer_norm(genesis.zeros(3, 0), 0).shape) == (3, 0)


def test_normalizing_repeats_bit_for_bit():
    for function in (lambda x, w: F.layer_norm(x, 33, w), lambda x, w: F.batch_norm(x, None, None, w, training=True)):
        results = []
        for _ in range(2):
            x, w = leaf(normal(1003, 33)), leaf(normal(33, seed=1))
            y = function(x, w)
            y.backward(f32(normal(1003, 33, seed=2)))
            results.append((y.tolist(), x.grad.tolist(), w.grad.tolist()))
        assert results[0] == results[1]


def test_normalizing_where_a_work_item_may_not_loop_long(monkeypatch):
    device = genesis.device()
    monkeypatch.setattr(device, "quirks", dataclasses.replace(device.quirks, max_loop=150))
    monkeypatch.setattr(ops, "_plans", {})
    monkeypatch.setattr(bn, "_plans", {})
    check_layer(300, 30)
    x = normal(300, 3, 20)
    close(F.batch_norm(f32(x), None, None, training=True, eps=EPS), batch(x, np.ones(3), np.zeros(3)))
    with pytest.raises(RuntimeError, match="9000 elements"):
        F.layer_norm(genesis.zeros(2, 9000), 9000)
    with pytest.raises(RuntimeError, match="9000 positions"):
        F.batch_norm(genesis.zeros(2, 3, 9000), None, None, training=True)
