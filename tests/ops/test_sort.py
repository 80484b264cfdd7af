"""Sorting, the largest elements, medians, distinct elements, counts, searching and drawing."""

import math

import numpy as np
import pytest
from helpers import check_like_torch, f32, leaf, needs_float64, normal

import genesis
from genesis.ops import sort as ops

X = normal(5, 6).astype(np.float32)
TYPES = [genesis.float32, genesis.float16, genesis.bfloat16, genesis.int8, genesis.int16, genesis.int32,
         genesis.int64, genesis.uint8, genesis.bool]


@pytest.mark.parametrize("n", [1, 2, 31, 33, 128, 129, 1003, 4097, 70_001])
def test_sizes(n):
    x = np.random.default_rng(n).integers(0, max(2, n // 3), n).astype(np.float32)      # with equal elements
    values, indices = f32(x).sort()
    order = np.argsort(x, kind="stable")
    assert (indices.numpy() == order).all()
    assert (values.numpy() == x[order]).all()
    falling = f32(x).argsort(descending=True, stable=True).numpy()
    assert (falling == np.argsort(-x, kind="stable")).all()


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_types(dtype):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((3, 300)) * 50).astype(np.float32)
    x = abs(x) if dtype is genesis.uint8 else x > 0 if dtype is genesis.bool else x
    t = genesis.tensor(x).to(dtype)
    held = t.numpy().astype(np.float64)
    values, indices = t.sort(1)
    assert values.dtype is dtype
    assert indices.dtype is genesis.int64
    assert (indices.numpy() == np.argsort(held, 1, kind="stable")).all()
    falling = t.sort(1, descending=True)
    assert (falling.indices.numpy() == np.argsort(-held, 1, kind="stable")).all()
    assert (t.topk(5).indices == falling.indices[:, :5]).all()
    assert (t.topk(5, largest=False).indices == indices[:, :5]).all()
    if dtype is genesis.int64:
        big = genesis.tensor([2**62, -2**63, 2**62 - 1, 5])
        assert big.sort().indices.tolist() == [1, 3, 2, 0]


@needs_float64
def test_float64():
    x = np.array([1.0, 1.0 + 1e-15, -1e300, np.inf, 1.0])
    assert genesis.tensor(x).argsort().tolist() == [2, 0, 4, 1, 3]
    assert genesis.tensor(x).topk(2).indices.tolist() == [3, 1]


def test_special_values():
    x = np.array([np.nan, 1, -np.inf, -0.0, 0.0, np.inf, -1, np.nan, -0.0], np.float32)
    check_like_torch(lambda t, x: tuple(x.sort(stable=True)), x)
    check_like_torch(lambda t, x: tuple(x.sort(descending=True, stable=True)), x)
    big = np.tile(x, 400)
    check_like_torch(lambda t, x: tuple(x.sort(stable=True)), big)
    assert f32(big).topk(1).indices.item() == 0
    assert math.isnan(f32(x).topk(2).values[1].item())
    assert f32(big).topk(3, largest=False).values.tolist() == [-math.inf] * 3


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_like_torch(dim):
    for function in (lambda t, x: x.sort(dim), lambda t, x: x.sort(dim, True), lambda t, x: t.sort(x, dim=dim)[0],
                     lambda t, x: x.topk(3, dim), lambda t, x: t.topk(x, 1, dim, False), lambda t, x: x.msort(),
                     lambda t, x: x.kthvalue(2, dim), lambda t, x: x.kthvalue(5, dim, True), lambda t, x: x.median(dim),
                     lambda t, x: x.median(dim, True), lambda t, x: x.median(), lambda t, x: x.quantile(0.3, dim),
                     lambda t, x: x.quantile(t.tensor([0.1, 0.5, 1.0]), dim, True),
                     lambda t, x: x.T.sort(dim), lambda t, x: x[::2, 1:].topk(2, dim)):
        check_like_torch(function, X)
    for how in ("linear", "lower", "higher", "nearest", "midpoint"):
        check_like_torch(lambda t, x, how=how: x.quantile(0.4, dim, interpolation=how), X)


@pytest.mark.parametrize(("n", "k"), [(5000, 1), (5000, 50), (5000, 200), (70_001, 3), (300, 300), (64, 0)])
def test_topk(n, k):
    x = np.random.default_rng(n).integers(0, n, (3, n)).astype(np.float32)
    values, indices = f32(x).topk(k)
    order = np.argsort(-x, 1, kind="stable")[:, :k]
    assert (indices.numpy() == order).all()
    assert (values.numpy() == np.take_along_axis(x, order, 1)).all()
    rising = f32(np.sort(x, 1)).topk(k)      # every element enters the list
    assert (rising.values == values).all()


def test_medians_with_nan():
    x = np.array([[1, np.nan, 2, np.nan], [4, 3, 2, 1]], np.float32)
    check_like_torch(lambda t, x: tuple(x.median(1)), x)
    assert math.isnan(f32(x).median().item())
    assert math.isnan(f32(x).quantile(0.5, 1)[0].item())
    assert math.isnan(genesis.zeros(0).median().item())
    assert genesis.tensor([3, 1, 2, 4]).median().item() == 2


def test_zero_dimensional_and_empty_tensors():
    x = leaf(2.0)
    values, indices = x.sort()
    assert values.shape == indices.shape == ()
    values.backward()
    assert x.grad.item() == 1
    assert leaf(2.0).topk(1).values.shape == ()
    assert leaf(2.0).kthvalue(1).indices.item() == 0
    assert genesis.zeros(0, 3).sort(0).values.shape == (0, 3)
    assert genesis.zeros(3, 0).argsort().shape == (3, 0)


def test_errors():
    x = genesis.zeros(3, 4)
    for call in (lambda: x.topk(5), lambda: x.topk(-1), lambda: x.kthvalue(0), lambda: x.kthvalue(5),
                 lambda: x.quantile(1.5), lambda: x.histc(0), lambda: x.bincount(),
                 lambda: genesis.tensor([-1]).bincount(), lambda: genesis.tensor([1]).bincount(minlength=-1),
                 lambda: genesis.searchsorted(f32([1, 2]), genesis.tensor([1])),
                 lambda: genesis.searchsorted(x, genesis.zeros(2, 4)),
                 lambda: genesis.searchsorted(f32([1]), f32([1]), right=True, side="left")):
        with pytest.raises(RuntimeError):
            call()
    with pytest.raises(IndexError):
        x.sort(2)
    with pytest.raises(IndexError):
        x.unique(dim=2)


@pytest.mark.parametrize(("shape", "dim"), [((40, 3), 0), ((3, 40), -1), ((4, 5, 2), 1), ((1, 4), 0), ((7,), 0),
                                          ((5, 0), 0)])
@pytest.mark.parametrize("name", ["unique", "unique_consecutive"])
def test_unique_slices_like_torch(name, shape, dim):
    torch = pytest.importorskip("torch")
    for values in (np.random.default_rng(0).integers(0, 2, shape), np.random.default_rng(1).integers(0, 2, shape) > 0):
        if 0 in shape:
            assert getattr(genesis.tensor(values), name)(dim=dim).shape == (1, 0)
            continue
        found = getattr(genesis.tensor(values), name)(return_inverse=True, return_counts=True, dim=dim)
        expected = getattr(torch, name)(torch.tensor(values), return_inverse=True, return_counts=True, dim=dim)
        for a, b in zip(found, expected):
            assert a.shape == tuple(b.shape)
            np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("bits", [1, 5, 16, 17, 32])
@pytest.mark.parametrize("n", [1000, 40_000])
def test_radix_sort_of_keys(bits, n, monkeypatch):
    keys = np.random.default_rng(bits).integers(0, 1 << bits, (2, n), dtype=np.uint64)
    t = genesis.tensor(keys.astype(np.uint32).view(np.int32).copy() if bits <= 32 else keys.astype(np.int64))
    values, order = (genesis.tensor(0)._wrap(x).numpy() for x in ops.sort_keys(t._array, bits))
    expected = np.argsort(keys, 1, kind="stable")
    assert (order == expected).all()
    assert (values.view(np.uint32) == np.take_along_axis(keys, expected, 1)).all()


@pytest.mark.parametrize("n", [1, 5, 1024, 1025, 5000])
def test_unique(n):
    x = np.random.default_rng(n).integers(-n // 4 - 1, n // 4 + 1, n)
    check_like_torch(lambda t, x: t.unique(x, return_inverse=True, return_counts=True), x)
    check_like_torch(lambda t, x: t.unique_consecutive(x, return_inverse=True, return_counts=True), x)
    check_like_torch(lambda t, x: x.unique(return_counts=True), x.reshape(1, n).astype(np.float32) / 7, gradients=[])
    check_like_torch(lambda t, x: x.unique(), x > 0)


def test_unique_of_nothing_and_of_nan():
    values, inverse, counts = genesis.zeros(0).unique(return_inverse=True, return_counts=True)
    assert values.shape == inverse.shape == counts.shape == (0,)
    assert len(f32([np.nan, 1, np.nan]).unique()) == 3


def test_bincount():
    x = np.random.default_rng(0).integers(0, 40, 3000)
    check_like_torch(lambda t, x: x.bincount(), x)
    check_like_torch(lambda t, x: t.bincount(x, minlength=50), x.astype(np.int32))
    check_like_torch(lambda t, x, w: t.bincount(x, w), x, normal(3000).astype(np.float32), gradients=[], atol=1e-4)
    check_like_torch(lambda t, x: x.bincount(minlength=3), np.zeros(0, np.int64))
    check_like_torch(lambda t, x: x[1::2].bincount(), np.arange(20_000)[::-1] // 3)
    check_like_torch(lambda t, x: x.bincount(), np.arange(300).astype(np.uint8))
    if genesis.device().fp64:
        check_like_torch(lambda t, x, w: t.bincount(x, w), x, x)


def test_histc():
    x = normal(1000).astype(np.float32)
    check_like_torch(lambda t, x: t.histc(x, 10, -1, 2), x, gradients=[])
    for bins in (1, 1000, 100_000):
        check_like_torch(lambda t, x, bins=bins: t.histc(x[1:, ::2], bins, -0.3, 0.7),
                         normal(70, 301).astype(np.float32), gradients=[], rtol=0, atol=0)
    odd = np.array([np.nan, np.inf, -1, 2, 0.5, -np.inf, 0.5], np.float32)
    check_like_torch(lambda t, x: x.histc(3, -1, 2), odd, gradients=[])
    assert genesis.tensor(odd).bfloat16().histc(3, -1, 2).tolist() == [1, 2, 1]
    if genesis.device().fp64:
        check_like_torch(lambda t, x: x.histc(9), normal(5000), gradients=[])
    check_like_torch(lambda t, x: x.histc(7), np.array([0, 1, 2, 2, 7], np.float32), gradients=[])
    check_like_torch(lambda t, x: x.histc(5), np.ones(3, np.float32), gradients=[])


def test_searchsorted():
    rows, values = np.sort(normal(3, 50), 1).astype(np.float32), normal(3, 20).astype(np.float32)
    values[:, :5] = rows[:, 10:15]
    for options in ({}, {"right": True}, {"side": "right"}, {"out_int32": True}):
        check_like_torch(lambda t, r, v, o=options: t.searchsorted(r, v, **o), rows, values, gradients=[])
        check_like_torch(lambda t, r, v, o=options: t.searchsorted(r, v, **o), rows[0], values, gradients=[])
    check_like_torch(lambda t, r, v: t.searchsorted(r, v, sorter=r.argsort()), rows[0, ::-1].copy(), values,
                     gradients=[])
    check_like_torch(lambda t, r, v: t.bucketize(v, r, right=True), np.array([1, 3, 5]), np.array([[0, 1], [5, 9]]))
    assert genesis.searchsorted(f32([1, 2, 3]), 2.5).item() == 2
    assert genesis.searchsorted(f32([1, 2]), f32([np.nan])).item() == 2


def test_multinomial_draws_with_the_given_probabilities():
    p = f32([0.1, 0, 0.6, 0.3])
    drawn = p.multinomial(100_000, replacement=True)
    assert drawn.dtype is genesis.int64
    share = drawn.bincount(minlength=4).numpy() / 1e5
    np.testing.assert_allclose(share, [0.1, 0, 0.6, 0.3], atol=0.008)
    rows = (p * 7).expand(20_000, 4).multinomial(2)
    assert rows.shape == (20_000, 2)
    first = np.bincount(rows.numpy()[:, 0], minlength=4) / 2e4
    np.testing.assert_allclose(first, [0.1, 0, 0.6, 0.3], atol=0.018)
    assert (rows[:, 0] != rows[:, 1]).all()
    # without replacement the second follows p without the first
    after = rows.numpy()[rows.numpy()[:, 0] == 2][:, 1]
    np.testing.assert_allclose(np.bincount(after, minlength=4) / len(after), [0.25, 0, 0, 0.75], atol=0.025)


def test_multinomial_is_seeded():
    p = f32(np.ones(50))
    genesis.manual_seed(3)
    a = p.multinomial(10)
    genesis.manual_seed(3)
    assert (p.multinomial(10) == a).all()
    generator = genesis.Generator().manual_seed(3)
    assert (genesis.multinomial(p, 10, generator=generator) == a).all()
    assert sorted(p.multinomial(50).tolist()) == list(range(50))
    assert genesis.tensor([0.0, 1.0], dtype=genesis.bfloat16).multinomial(1).item() == 1


@pytest.mark.parametrize("p", [[-1.0, 1], [math.nan, 1], [math.inf, 1], [0.0, 0], [1], [[[1.0]]]], ids=str)
def test_multinomial_errors(p):
    with pytest.raises(RuntimeError):
        genesis.tensor(p).multinomial(1)


def test_multinomial_needs_enough_to_draw_from():
    with pytest.raises(RuntimeError):
        genesis.ones(3).multinomial(4)
    with pytest.raises(RuntimeError):
        genesis.ones(3).multinomial(0)
    assert genesis.ones(1).multinomial(4, True).tolist() == [0] * 4
