"""gather, scatter and their relatives: values, gradients, equal indices, errors."""

import itertools

import numpy as np
import pytest
from helpers import check_like_torch, close, f32, leaf, needs_float64, normal

import genesis
from genesis.ops import index as ops

RNG = np.random.default_rng(0)
X = RNG.standard_normal((5, 6)).astype(np.float32)
INDEX = RNG.integers(0, 5, (7, 6))
SRC = RNG.standard_normal((7, 6)).astype(np.float32)
ROWS = RNG.integers(0, 5, 9)
SOURCE = RNG.standard_normal((9, 6)).astype(np.float32)
MASK = RNG.random((5, 6)) > 0.5
PLACES = np.argsort(SRC[:5], 1)      # each place of a row once

CASES = {
    "gather": (lambda t, x, i: x.gather(0, i), X, INDEX),
    "gather_smaller": (lambda t, x, i: t.gather(x, 1, i), X, INDEX[:3, :4]),
    "gather_int32": (lambda t, x, i: x.gather(-1, i), X, INDEX[:5].astype(np.int32)),
    "take": (lambda t, x, i: x.take(i), X, np.array([[3, -1], [29, 0]])),
    "take_along_dim": (lambda t, x, i: t.take_along_dim(x, i, 1), X, np.array([[3], [1], [0], [-1], [2]])),
    "take_along_dim_broadcast": (lambda t, x, i: x.take_along_dim(i, 0), X, np.array([[3, 0, 1, 4, 4, 0]])),
    "take_along_dim_flat": (lambda t, x, i: x.take_along_dim(i), X, np.array([3, 29, 3])),
    "scatter": (lambda t, x, i, s: x.scatter(1, i, s), X, PLACES, SRC[:5]),
    "scatter_number": (lambda t, x, i: x.scatter(0, i, 2.5), X, INDEX),
    "scatter_add": (lambda t, x, i, s: x.scatter_add(0, i, s), X, INDEX, SRC),
    "scatter_add_smaller": (lambda t, x, i, s: t.scatter_add(x, 0, i, s), X, INDEX[:3, :4], SRC[:3, :4]),
    "scatter_add_last": (lambda t, x, i, s: x.scatter_add(-1, i, s), X, INDEX[:5], SRC[:5]),
    "index_select": (lambda t, x, i: x.index_select(1, i), X, ROWS[:4]),
    "index_select_0d": (lambda t, x, i: x.index_select(0, i), X, np.array(2)),
    "index_add": (lambda t, x, i, s: x.index_add(0, i, s, alpha=2), X, ROWS, SOURCE),
    "index_add_last": (lambda t, x, i, s: t.index_add(x, 1, i, s), X, ROWS[:4], SRC[:5, :4]),
    "index_copy": (lambda t, x, i, s: x.index_copy(0, i, s), X, np.array([3, 1]), SOURCE[:2]),
    "index_fill": (lambda t, x, i: x.index_fill(0, i, 2), X, np.array([3, -1])),
    "index_fill_tensor": (lambda t, x, v, i: x.index_fill(1, i, v), X, np.float32(3), np.array([0, 2])),
    "masked_select": (lambda t, x, m: x.masked_select(m), X, MASK),
    "masked_select_broadcast": (lambda t, x, m: t.masked_select(x, m), X, MASK[0]),
    "masked_scatter": (lambda t, x, m, s: x.masked_scatter(m, s), X, MASK, SOURCE),
    "nonzero": (lambda t, m: m.nonzero(), MASK),
    "nonzero_tuple": (lambda t, m: m.nonzero(as_tuple=True), MASK),
    "nonzero_floats": (lambda t, x: t.nonzero(x), np.array([[0.5, 0, -0.0], [0, 0, np.inf]])),
    "argwhere": (lambda t, m: t.argwhere(m), MASK),
    **{f"scatter_reduce_{how}_{own}": (
        lambda t, x, i, s, how=how, own=own: x.scatter_reduce(0, i, s, how, include_self=own), X, INDEX, SRC)
       for how, own in itertools.product(("sum", "mean", "amax", "amin", "prod"), (True, False))},
    "scatter_reduce_ties": (lambda t, x, i, s: x.scatter_reduce(0, i, s, "amax"), X.round(), INDEX, SRC.round()),
    "scatter_reduce_integers": (lambda t, x, i, s: x.scatter_reduce(0, i, s, "amin", include_self=True),
                                (X * 10).astype(np.int64), INDEX, (SRC * 10).astype(np.int64)),
}


@pytest.mark.parametrize("name", CASES)
def test_like_torch(name):
    function, *inputs = CASES[name]
    if name == "nonzero_floats" and not genesis.device().fp64:
        inputs = [inputs[0].astype(np.float32)]
    check_like_torch(function, *inputs)


@pytest.mark.parametrize("name", ["gather", "scatter", "scatter_add", "index_add", "index_copy"])
def test_each_input_alone_may_need_a_gradient(name):
    function, *inputs = CASES[name]
    floats = [i for i, x in enumerate(inputs) if x.dtype.kind == "f"]
    for chosen in floats:
        check_like_torch(function, *inputs, gradients=[chosen])


@pytest.fixture(params=["columns", "sorted"])
def way(request, monkeypatch):
    """Both ways to join equal indices, whichever the device would take."""
    monkeypatch.setattr(ops, "by_columns", lambda *_: request.param == "columns")
    return request.param


@pytest.mark.parametrize("n", [1, 31, 64, 65, 1003])
@pytest.mark.parametrize("rows", [1, 3, 700])
def test_equal_indices_add_up(way, n, rows):
    rng = np.random.default_rng(n)
    index, value = rng.integers(0, rows, n), normal(n, 3)
    expected = np.zeros((rows, 3))
    np.add.at(expected, index, value)
    x = leaf(np.zeros((rows, 3)))
    x[genesis.tensor(index)].backward(f32(value))
    close(x.grad, expected, atol=1e-4)
    close(genesis.zeros(rows).scatter_add(0, genesis.tensor(index), f32(value[:, 0])), expected[:, 0], atol=1e-4)
    close(genesis.zeros(3, rows).scatter_add(1, genesis.tensor(np.stack([index] * 3)), f32(value.T)), expected.T,
          atol=1e-4)
    again = genesis.zeros(rows, 3).index_add(0, genesis.tensor(index), f32(value))
    assert (again == x.grad).all()


@pytest.mark.parametrize("name", ["scatter_add", "scatter_reduce_amax_True", "scatter_reduce_amin_False", "index_add",
                                  "index_copy", "scatter"])
def test_both_ways_give_torchs_results(way, name):
    function, *inputs = CASES[name]
    check_like_torch(function, *inputs)


def test_the_last_of_equal_indices_is_written(way):
    index = np.random.default_rng(0).integers(0, 3, 500)
    y = genesis.zeros(3).scatter(0, genesis.tensor(index), f32(np.arange(500)))
    assert y.tolist() == [np.flatnonzero(index == i)[-1] for i in range(3)]


def test_one_index_many_times(way):
    index = genesis.zeros(5000, dtype=genesis.int64)
    y = genesis.zeros(2, 4).index_add(0, index, genesis.ones(5000, 4))
    assert y.tolist() == [[5000] * 4, [0] * 4]


@pytest.mark.parametrize("dtype", [genesis.float16, genesis.bfloat16])
def test_short_floats_are_added_in_float32(way, dtype):
    ones = genesis.ones(5000, dtype=dtype)
    y = genesis.zeros(2, dtype=dtype).scatter_add(0, genesis.zeros(5000, dtype=genesis.int64), ones)
    assert y[0].item() == np.float32(5000).astype(dtype.numpy)
    x = genesis.tensor([1.0, 2.0], dtype=dtype, requires_grad=True)
    x.gather(0, genesis.tensor([1, 1, 0])).sum().backward()
    assert x.grad.dtype is dtype
    assert x.grad.tolist() == [1, 2]


@pytest.mark.parametrize("dtype", [genesis.int32, genesis.int64, genesis.uint8])
def test_integers(way, dtype):
    x = genesis.tensor([1, 2, 3], dtype=dtype)
    y = x.scatter_add(0, genesis.tensor([0, 2, 0] * 30), genesis.ones(90, dtype=dtype))
    assert y.dtype is dtype
    assert y.tolist() == [61, 2, 33]
    assert genesis.tensor([True, False]).gather(0, genesis.tensor([1, 0])).tolist() == [False, True]


@needs_float64
def test_float64(way):
    x = genesis.tensor(np.array([0.1, 0.2]), requires_grad=True)
    x.gather(0, genesis.tensor([1, 1, 0])).sum().backward()
    assert x.grad.tolist() == [1, 2]
    y = x.detach().scatter_add(0, genesis.tensor([0, 0]), genesis.tensor(np.array([1e-12, 1e-12])))
    assert abs(y[0].item() - 0.1 - 2e-12) < 1e-16


def test_a_source_may_be_larger_than_the_index():
    x, index, source = leaf(X), genesis.tensor(INDEX[:3, :4]), leaf(SRC)
    y = x.scatter_add(0, index, source)
    expected = X.astype(np.float64)
    np.add.at(expected, (INDEX[:3, :4], np.arange(4)), SRC[:3, :4])
    close(y, expected)
    y.sum().backward()
    assert source.grad.sum().item() == 12
    assert source.grad[:3, :4].sum().item() == 12
    z = f32(X).scatter(0, index, f32(SRC), reduce="add")
    close(z, expected)
    assert f32([2, 3]).scatter(0, genesis.tensor([1, 1]), 2, reduce="multiply").tolist() == [2, 12]


def test_views_and_empty_tensors():
    x, index = f32(normal(6, 5)).T[:, ::2], genesis.tensor(INDEX[:5, :3] % 3)
    close(x.gather(1, index), np.take_along_axis(normal(6, 5).T[:, ::2], INDEX[:5, :3] % 3, 1))
    none = genesis.zeros(0, dtype=genesis.int64)
    assert genesis.zeros(3).gather(0, none).shape == (0,)
    assert genesis.zeros(3, 2).index_select(0, none).shape == (0, 2)
    assert genesis.ones(3).scatter_add(0, none, genesis.zeros(0)).tolist() == [1, 1, 1]
    assert genesis.ones(3, 2).index_add(0, none, genesis.zeros(0, 2)).sum().item() == 6
    assert genesis.zeros(0, 4).nonzero().shape == (0, 2)
    assert genesis.zeros(3).masked_select(genesis.zeros(3) > 1).shape == (0,)


def test_zero_dimensional_tensors():
    x = leaf(2.0)
    y = x.gather(0, genesis.tensor(0))
    assert y.shape == ()
    y.backward()
    assert x.grad.item() == 1
    assert genesis.tensor(2.0).scatter(0, genesis.tensor(0), 3.0).item() == 3
    assert genesis.tensor(2.0).index_select(0, genesis.tensor(0)).shape == ()
    assert genesis.tensor(3).nonzero().shape == (1, 0)
    assert genesis.tensor(0).nonzero().shape == (0, 0)


@pytest.mark.parametrize("bad", [-1, 5])
def test_indices_out_of_range(bad):
    x, vector = genesis.zeros(5, 6), genesis.tensor([bad])
    square = genesis.tensor([[bad]])
    one = genesis.ones(1, 6)
    for call in (lambda: x.gather(0, square), lambda: x.scatter(0, square, 1.0),
                 lambda: x.scatter_add(0, square, one), lambda: x.index_add(0, vector, one),
                 lambda: x.scatter_reduce(0, square, one, "sum")):
        with pytest.raises(RuntimeError, match="out of range"):
            call()
            genesis.synchronize()
    for call in (lambda: x.index_select(0, vector), lambda: x.index_copy(0, vector, one)):
        with pytest.raises(IndexError, match="out of range"):
            call()
            genesis.synchronize()
    for call in (lambda: x.index_fill(0, genesis.tensor([-6]), 1), lambda: x.take(genesis.tensor([30])),
                 lambda: x.take_along_dim(genesis.tensor([[-6]]), 0), lambda: x.index_fill(0, genesis.tensor([5]), 1)):
        with pytest.raises(IndexError, match="out of range"):
            call()
            genesis.synchronize()
    many = genesis.tensor(np.full(5000, bad))
    with pytest.raises(IndexError, match="out of range"):
        x.index_select(0, many)
        genesis.synchronize()


def test_wrong_arguments():
    x, index = genesis.zeros(3, 4), genesis.tensor([[0]])
    for call in (lambda: x.gather(0, f32([[0]])), lambda: x.gather(0, genesis.tensor([0])),
                 lambda: x.gather(0, genesis.zeros(2, 5, dtype=genesis.int64)),
                 lambda: x.scatter_add(0, index, genesis.ones(1, 1, dtype=genesis.float16)),
                 lambda: x.scatter_add(0, genesis.zeros(2, 2, dtype=genesis.int64), genesis.ones(1, 1)),
                 lambda: x.index_add(0, genesis.tensor([0]), genesis.ones(2, 4)),
                 lambda: x.scatter(0, index, 1.0, reduce="max"), lambda: x.scatter_reduce(0, index, x, "median"),
                 lambda: x.masked_select(genesis.tensor([1])), lambda: x.masked_scatter(x == 0, genesis.ones(3))):
        with pytest.raises(RuntimeError):
            call()
    with pytest.raises(IndexError):
        x.index_select(0, index)
    with pytest.raises(IndexError):
        x.gather(2, index)


@pytest.mark.parametrize("n", [1, 1023, 1024, 1025, 5000])
def test_nonzero_of_many(n):
    mask = np.random.default_rng(n).random(n) > 0.7
    assert genesis.tensor(mask).nonzero()[:, 0].tolist() == np.flatnonzero(mask).tolist()
