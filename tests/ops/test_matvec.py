"""Products of a matrix and a vector, in both orders, laid out for CPUs and for GPUs, and in parts."""

import numpy as np
import pytest
from helpers import check_gradients, close, f32, needs_float64, normal

import genesis
from genesis.ops import matmul, matvec


@pytest.fixture(params=["cpu", "gpu"])
def kind(request, monkeypatch):
    """Launches as devices of this type get them."""
    monkeypatch.setattr(genesis.device(), "type", request.param)
    monkeypatch.setattr(matmul, "_plans", {})
    return request.param


def layouts(x):
    """The same values by rows, by columns, and with gaps."""
    return f32(x), f32(x.swapaxes(-1, -2).copy()).mT, genesis.cat([f32(x), f32(x)], -1)[..., :x.shape[-1]]


@pytest.mark.parametrize(("rows", "k"), [(1, 7), (5, 33), (33, 5), (300, 70), (17, 1000), (3000, 3), (1, 70_001)])
def test_in_both_orders(kind, rows, k):
    a, x, bias = normal(rows, k), normal(k, seed=1), normal(rows, seed=2)
    exact = a @ x
    for matrix in layouts(a):
        for vector in (f32(x), f32(np.repeat(x, 2))[::2]):
            close(matrix @ vector, exact, rtol=2e-5, atol=3e-6 * k ** 0.5)
            close(vector @ matrix.T, exact, rtol=2e-5, atol=3e-6 * k ** 0.5)
        close(genesis.nn.functional.linear(f32(x), matrix, f32(bias)), exact + bias, rtol=2e-5, atol=3e-6 * k ** 0.5)
        close(genesis.nn.functional.linear(matrix, f32(x[None]), f32(bias[:1])), (exact + bias[0])[:, None], rtol=2e-5,
              atol=3e-6 * k ** 0.5)


def test_batches(kind):
    a, x = normal(2, 3, 5, 33), normal(3, 33, 1, seed=1)
    for matrix in layouts(a):
        close(matrix @ f32(x), a @ x, rtol=2e-5, atol=2e-5)
        close(f32(x).mT @ matrix.mT, (a @ x).swapaxes(-1, -2), rtol=2e-5, atol=2e-5)


def test_gradients(kind):
    check_gradients(lambda a, x: a @ x, np.matmul, normal(9, 33), normal(33, seed=1))
    check_gradients(lambda x, a: x @ a, np.matmul, normal(33), normal(33, 9, seed=1))
    check_gradients(lambda x, y: x @ y, np.matmul, normal(33), normal(33, seed=1))


@pytest.mark.parametrize("dtype", [genesis.float16, genesis.bfloat16])
def test_short_floats_are_added_up_in_float32_and_rounded_once(kind, dtype):
    for rows, k in ((7, 300), (1, 70_001)):
        a, x = (f32(normal(*s, seed=len(s)) / k ** 0.5).to(dtype) for s in ((rows, k), (k,)))
        exact = a.float().numpy().astype(float) @ x.float().numpy().astype(float)
        unit = 2.0 ** -11 if dtype is genesis.float16 else 2.0 ** -8
        for result in (a @ x, x @ a.T.contiguous()):
            assert result.dtype is dtype
            close(result.float(), exact, rtol=1.01 * unit, atol=1e-6)


@needs_float64
def test_float64(kind):
    a, x = np.random.default_rng(0).standard_normal((2, 37, 37))
    close(genesis.tensor(a) @ genesis.tensor(x[0]), a @ x[0], rtol=1e-12, atol=1e-12)
    close(genesis.tensor(x[0]) @ genesis.tensor(a), x[0] @ a, rtol=1e-12, atol=1e-12)


def test_long_sums_come_in_parts_and_the_same_each_time(kind, monkeypatch):
    found = []
    launch = matvec.launch
    monkeypatch.setattr(matvec, "launch", lambda *x: found.append(launch(*x)) or found[-1])
    x, y = normal(200_003), normal(200_003, seed=1)
    first = f32(x) @ f32(y)
    assert found[0].parts > 1
    assert abs(first.item() - x @ y) < 1e-6 * (abs(x) @ abs(y))
    assert (f32(x) @ f32(y)).item() == first.item()


def test_rows_times_matrices_with_gaps_in_both_directions(monkeypatch):
    monkeypatch.setattr(matmul, "tiles_for", lambda *_: None)          # a CPU without room for blocks
    monkeypatch.setattr(matmul, "_plans", {})
    a, b = normal(1, 6), normal(6, 20, seed=1)
    close(f32(a) @ f32(b)[:, ::2], a @ b[:, ::2], rtol=1e-5, atol=1e-5)
    close(f32(b).T[::2] @ f32(a)[0], b.T[::2] @ a[0], rtol=1e-5, atol=1e-5)


def test_a_bias_of_one_element_may_have_any_stride():
    a, x = normal(3, 4), normal(4, 1, seed=1)
    close(genesis.addmm(genesis.ones(10)[::5][:1], f32(a), f32(x)), 1 + a @ x, rtol=1e-5, atol=1e-5)
