"""The logarithm of the sum of exponentials: one launch each way."""

import numpy as np
import pytest
from helpers import close, f32, leaf, normal

import genesis
from genesis.opencl.program import Kernel
from genesis.ops import logsumexp


def reference(x, dims):
    top = x.max(axis=dims, keepdims=True)
    return np.squeeze(np.log(np.exp(x - top).sum(axis=dims, keepdims=True)) + top, axis=dims)


@pytest.mark.parametrize(("shape", "dims"), [((1,), 0), ((33,), -1), ((5, 65), 1), ((65, 5), 0), ((3, 31, 17), 1),
                                         ((2, 3, 4, 33), (1, 2)), ((2, 3, 64), (0, 2)), ((1003, 3), (0, 1))])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_logsumexp_like_numpy(shape, dims, dtype):
    x = leaf(normal(*shape) * 3, getattr(genesis, dtype))
    values = x.detach().float().numpy().astype(np.float64)
    tolerance = {"float32": 1e-5, "float16": 2e-3, "bfloat16": 1e-2}[dtype]
    y = x.logsumexp(dims)
    expected = reference(values, dims)
    assert y.dtype is x.dtype
    close(y.float(), expected, tolerance, tolerance)
    g = f32(normal(*expected.shape, seed=1)).to(x.dtype)
    y.backward(g)
    wide = np.expand_dims(expected, dims)
    close(x.grad.float(), np.exp(values - wide) * np.expand_dims(g.float().numpy(), dims), 2 * tolerance, 2 * tolerance)
    assert x.logsumexp(dims, keepdim=True).shape == wide.shape


def test_logsumexp_of_views_scalars_and_nothing():
    x = normal(7, 12)
    close(f32(x).T[::2].logsumexp(1), reference(x.T[::2], 1))
    close(f32(x)[:, 3:9].logsumexp(0), reference(x[:, 3:9], 0))
    close(f32(2.5).logsumexp(0), 2.5)
    assert genesis.zeros(2, 0).logsumexp(1).tolist() == [-np.inf, -np.inf]
    assert genesis.zeros(0, 2).logsumexp(1).shape == (0,)
    close(genesis.tensor([0, 0, 0]).logsumexp(0), np.log(3))


def test_logsumexp_of_infinite_values():
    inf, nan = np.inf, np.nan
    rows = [[inf, inf], [inf, -inf], [-inf, -inf], [-inf, 1], [nan, inf], [nan, 0], [1e30, 1e30], [-1e30, -1e30]]
    expected = [inf, inf, -inf, 1, nan, nan, np.float32(1e30), -np.float32(1e30)]
    np.testing.assert_array_equal(f32(rows).logsumexp(1).numpy(), np.float32(expected))
    np.testing.assert_array_equal(f32(np.transpose(rows)).logsumexp(0).numpy(), np.float32(expected))


@pytest.mark.parametrize("dim", [0, 1])
def test_logsumexp_takes_one_launch_each_way(dim, monkeypatch):
    x = leaf(normal(40, 50))
    y = x.logsumexp(dim)
    g = genesis.ones(*y.shape)
    y.backward(g, retain_graph=True)
    names, call = [], Kernel.__call__
    monkeypatch.setattr(Kernel, "__call__", lambda self, *a: (names.append(self.name), call(self, *a))[1])
    x.grad = None
    x.logsumexp(dim).backward(g)
    assert len([name for name in names if "softmax.cl" in name]) == 2
    assert len(names) <= 3                # one may put the gradient into its place


@pytest.mark.parametrize(("shape", "dims"), [((3, 37), 1), ((37, 3), 0), ((5, 37, 2), (0, 1))])
def test_rows_longer_than_a_work_item_may_loop_over(shape, dims, monkeypatch):
    """As on runtimes that end long loops early: in several launches, with the same values."""
    monkeypatch.setattr(logsumexp, "too_long", lambda *_: True)
    monkeypatch.setattr(logsumexp, "_plans", {})
    values = normal(*shape) * 3
    x = leaf(values)
    y = x.logsumexp(dims)
    close(y, reference(values, dims), 1e-5, 1e-5)
    y.sum().backward()
    close(x.grad, np.exp(values - np.expand_dims(reference(values, dims), dims)), 1e-5, 1e-6)
    assert leaf(np.full((2, 37), -np.inf)).logsumexp(1).tolist() == [-np.inf, -np.inf]
