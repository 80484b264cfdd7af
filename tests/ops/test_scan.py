"""Running sums and products: values, gradients, accuracy."""

import dataclasses

import numpy as np
import pytest
from helpers import check_gradients, check_like_torch, close, f32, leaf, needs_float64, normal

import genesis


@pytest.mark.parametrize("n", [0, 1, 2, 31, 33, 64, 65, 1003, 2048, 2049, 70_001])
def test_sizes(n):
    x = normal(n)
    close(f32(x).cumsum(0), np.cumsum(x), atol=1e-3)
    close(f32(x.reshape(n, 1) * [1, 2, 3]).cumsum(0), np.cumsum(x.reshape(n, 1) * [1, 2, 3], 0), atol=2e-3)
    close(f32(np.stack([x, x])).cumsum(-1), np.cumsum(np.stack([x, x]), 1), atol=1e-3)


@pytest.mark.parametrize("n", [1, 3, 32, 33])
@pytest.mark.parametrize("rows", [1, 63, 65, 1000])
def test_short_rows(n, rows):
    values = normal(rows, n).astype(np.float32)
    x = leaf(np.pad(values, ((1, 1), (0, 0))))
    y = x[1:-1].cumsum(1)                                    # does not begin at the memory's beginning
    close(y, np.cumsum(values.astype(np.float64), 1), atol=1e-5)
    close(x.detach()[1:-1].cumprod(1), np.cumprod(values.astype(np.float64), 1), rtol=1e-5)
    y.backward(f32(values))
    close(x.grad, np.pad(np.cumsum(values[:, ::-1].astype(np.float64), 1)[:, ::-1], ((1, 1), (0, 0))), atol=1e-5)


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_like_torch(dim):
    x = normal(4, 5, 6).astype(np.float32)
    check_like_torch(lambda t, x: x.cumsum(dim), x)
    check_like_torch(lambda t, x: x.cumprod(dim), x)
    check_like_torch(lambda t, x: t.cumsum(x.transpose(0, 2), dim), x)
    check_like_torch(lambda t, x: t.prod(x, dim), x)
    check_like_torch(lambda t, x: x.prod(dim, keepdim=True), x)
    check_like_torch(lambda t, x: x.cumsum(dim, dtype=t.float32), (x * 10).astype(np.int32))
    check_like_torch(lambda t, x: x.cumsum(dim), x > 0)
    check_like_torch(lambda t, x: x.cumprod(dim), (x * 3).astype(np.int32))


def test_products_with_zeros_have_exact_gradients():
    for zeros in ([], [2], [0], [4], [1, 3], [0, 1, 2, 3, 4]):
        x = normal(5).astype(np.float32)
        x[zeros] = 0
        check_like_torch(lambda t, x: x.cumprod(0), x)
        check_like_torch(lambda t, x: x.prod(0), x)
        check_like_torch(lambda t, x: x.prod(), x.reshape(1, 5))
        check_like_torch(lambda t, x: x.cumprod(0), np.stack([x, x + 1, x], 1))


def test_gradients():
    check_gradients(lambda x: x.cumsum(1), lambda x: np.cumsum(x, 1), normal(3, 2500))
    check_gradients(lambda x: x.cumsum(0)[::2], lambda x: np.cumsum(x, 0)[::2], normal(70, 3))


def test_long_sums_stay_accurate_and_repeat():
    x = np.random.default_rng(0).uniform(0, 1, 1_000_000).astype(np.float32)
    t = f32(x)
    exact = np.cumsum(x.astype(np.float64))
    y = t.cumsum(0)
    assert np.max(np.abs(y.numpy() - exact) / exact) < (1e-7 if genesis.device().fp64 else 5e-6)
    assert (y == t.cumsum(0)).all()


def test_types():
    for dtype in (genesis.uint8, genesis.int32, genesis.int64, genesis.bool):
        y = genesis.ones(3000, dtype=dtype).cumsum(0)
        assert y.dtype is genesis.int64
        assert y[-1].item() == 3000
    for dtype in (genesis.float16, genesis.bfloat16):
        x = genesis.ones(3000, dtype=dtype, requires_grad=True)
        y = x.cumsum(0)
        assert y.dtype is dtype
        assert y[2047].item() == 2048      # added up in more digits than the type has
        assert y[-1].item() == np.float32(3000).astype(dtype.numpy)
    assert genesis.tensor([1.7, 1.7]).cumsum(0, dtype=genesis.int64).tolist() == [1, 2]


@needs_float64
def test_float64():
    x = normal(3, 3000)
    close(genesis.tensor(x).cumsum(1), np.cumsum(x, 1), rtol=1e-12, atol=1e-12)


def test_zero_dimensions_and_errors():
    x = leaf(3.0)
    x.cumsum(0).backward()
    assert x.grad.item() == 1
    assert leaf(3.0).cumprod(-1).item() == 3
    assert genesis.zeros(0, 3).cumsum(1).shape == (0, 3)
    with pytest.raises(IndexError):
        genesis.zeros(3).cumsum(1)


def test_loops_are_split_where_a_device_limits_them(monkeypatch):
    device = genesis.device()
    monkeypatch.setattr(device, "quirks", dataclasses.replace(device.quirks, max_loop=16))
    x = normal(500, 3)
    close(f32(x).cumsum(0), np.cumsum(x, 0), atol=1e-4)


def test_in_place():
    x = f32([1, 2, 3])
    if hasattr(x, "cumsum_"):
        assert x.cumsum_(0) is x
        assert x.tolist() == [1, 3, 6]
