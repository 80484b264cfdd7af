"""Softmax and log_softmax: every dimension, edges, infinities, types, both kernels of rows, devices of short loops."""

import dataclasses

import numpy as np
import pytest
from helpers import EDGES, check_against_torch, close, f32, leaf, needs_float64, normal

import genesis
from genesis.ops import softmax as ops

NAMES = ["softmax", "log_softmax"]


def reference(name, x, dim):
    """In NumPy, by the definition."""
    shifted = x - x.max(dim, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(dim, keepdims=True))
    return log_p if name == "log_softmax" else np.exp(log_p)


def backward(name, x, g, dim):
    """The gradient in NumPy."""
    p = reference("softmax", x, dim)
    if name == "log_softmax":
        return g - p * g.sum(dim, keepdims=True)
    return p * (g - (g * p).sum(dim, keepdims=True))


def check(name, x, dim, rtol=1e-5, atol=2e-6):
    """Values and gradient against the reference."""
    a, g = leaf(x), normal(*x.shape, seed=1)
    y = getattr(a, name)(dim)
    close(y, reference(name, x, dim), rtol, atol)
    y.backward(f32(g))
    close(a.grad, backward(name, x, g, dim), rtol, atol)


@pytest.fixture
def gpu_path(monkeypatch):
    """Lay kernels out as on a GPU: a work-group to a row, local memory."""
    monkeypatch.setattr(genesis.device(), "type", "gpu")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", EDGES)
def test_softmax_of_rows_and_columns_of_any_length(name, n):
    check(name, normal(3, n), 1, atol=1e-5)
    check(name, normal(n, 3), 0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [31, 1003])
def test_softmax_with_a_group_to_a_row(name, n, gpu_path):
    check(name, normal(7, n), -1)
    check(name, normal(2, n, 5), 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dim", [-4, -3, -2, -1, 0, 1, 2, 3])
def test_softmax_over_each_dimension(name, dim):
    check(name, normal(3, 5, 4, 33), dim)
    check_against_torch(lambda x: getattr(x, name)(dim), normal(2, 6, 3, 17))


@pytest.mark.parametrize("name", NAMES)
def test_softmax_over_many_columns(name):
    check(name, normal(3, 70, 257), 1)


@pytest.mark.parametrize("name", NAMES)
def test_softmax_of_views_and_expanded_gradients(name):
    x = normal(6, 40)
    a = leaf(x)
    y = getattr(a.T[1::3, ::2], name)(0)
    close(y, reference(name, x.T[1::3, ::2], 0))
    y.sum().backward()
    full = np.zeros_like(x)
    full.T[1::3, ::2] = backward(name, x.T[1::3, ::2], np.ones((13, 3)), 0)
    close(a.grad, full, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_softmax_of_nothing_and_of_a_number(name):
    for shape, dim in (((0, 3), 1), ((3, 0), 1), ((3, 0), 0), ((2, 0, 4), 2)):
        a = genesis.zeros(*shape, requires_grad=True)
        y = getattr(a, name)(dim)
        assert tuple(y.shape) == shape
        y.sum().backward()
        assert tuple(a.grad.shape) == shape
    for dim in (0, -1):
        assert getattr(genesis.tensor(3.0), name)(dim).item() == (1 if name == "softmax" else 0)
    with pytest.raises(IndexError):
        getattr(genesis.tensor(3.0), name)(1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("n", "path"), [(3, "cpu"), (40, "cpu"), (40, "gpu")])
def test_softmax_of_infinities_is_that_of_torch(name, n, path, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(genesis.device(), "type", path)
    x = np.zeros((9, n), np.float32)
    x[0, 1:] = -np.inf
    x[1] = -np.inf
    x[2, 1] = np.inf
    x[3, :2] = np.inf
    x[4, 2] = np.nan
    x[5, 0] = -np.inf
    x[6] = 3e38
    x[7] = np.linspace(-1e4, 1e4, n)
    x[8] = -3e38
    for dim, values in ((1, x), (0, x.T.copy())):
        a, b = leaf(values), torch.tensor(values, requires_grad=True)
        y, z = getattr(a, name)(dim), getattr(b, name)(dim)
        close(y, z.detach().numpy(), atol=1e-5)
        g = normal(*values.shape).astype(np.float32)
        y.backward(genesis.tensor(g))
        z.backward(torch.tensor(g))
        close(a.grad, b.grad.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_softmax_of_16_bits_rounds_once(name, dtype):
    kind = getattr(genesis, dtype)
    half_ulp = 2.0 ** -11 if dtype == "float16" else 2.0 ** -8
    for shape, dim in (((5, 100), 1), ((5, 17, 33), 1)):
        a = leaf(normal(*shape), kind)
        x, g = a.detach().float().numpy().astype(np.float64), normal(*shape, seed=1)
        y = getattr(a, name)(dim)
        assert y.dtype is kind
        close(y.float(), reference(name, x, dim), rtol=1.02 * half_ulp, atol=6e-8)
        y.backward(f32(g).to(kind))
        assert a.grad.dtype is kind
        close(a.grad.float(), backward(name, x, g, dim), rtol=4 * half_ulp, atol=8 * half_ulp)


@needs_float64
@pytest.mark.parametrize("name", NAMES)
def test_softmax_in_float64(name):
    x = np.random.default_rng(0).standard_normal((4, 21, 19))
    for dim in (1, 2):
        a, g = leaf(x, genesis.float64), np.random.default_rng(1).standard_normal(x.shape)
        y = getattr(a, name)(dim)
        close(y, reference(name, x, dim), rtol=1e-13, atol=1e-14)
        y.backward(genesis.tensor(g))
        close(a.grad, backward(name, x, g, dim), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_softmax_to_another_type(name):
    x = normal(4, 9)
    a = leaf(x, genesis.float16)
    y = getattr(a, name)(1, dtype=genesis.float32)
    assert y.dtype is genesis.float32
    y.backward(f32(normal(4, 9, seed=1)))
    assert a.grad.dtype is genesis.float16
    rounded = a.detach().float().numpy().astype(np.float64)
    close(y, reference(name, rounded, 1))
    close(a.grad.float(), backward(name, rounded, normal(4, 9, seed=1), 1), rtol=1e-3, atol=1e-5)
    counts = genesis.tensor([[1, 2, 3]])
    close(getattr(counts, name)(1, dtype=genesis.float32), reference(name, np.array([[1.0, 2, 3]]), 1))
    close(getattr(genesis, name)(counts, 1, dtype=genesis.float32), reference(name, np.array([[1.0, 2, 3]]), 1))
    with pytest.raises(RuntimeError, match="int64"):
        getattr(counts, name)(1)


@pytest.mark.parametrize("name", NAMES)
def test_softmax_where_a_work_item_may_not_loop_long(name, monkeypatch):
    device = genesis.device()
    monkeypatch.setattr(device, "quirks", dataclasses.replace(device.quirks, max_loop=60))
    monkeypatch.setattr(ops, "_plans", {})
    check(name, normal(3, 500), 1)
    check(name, normal(3, 500, 2), 1)
    check(name, normal(300, 3), 1)
    assert None in ops._plans.values()


def test_softmax_repeats_bit_for_bit():
    x = f32(normal(33, 1003))
    assert x.softmax(1).tolist() == x.softmax(1).tolist()
    assert x.log_softmax(0).tolist() == x.log_softmax(0).tolist()


def test_softmax_needs_its_result_unchanged():
    x = leaf(normal(3, 4))
    y = x.softmax(1)
    y.detach().zero_()
    with pytest.raises(genesis.GenesisError, match="in place"):
        y.sum().backward()
