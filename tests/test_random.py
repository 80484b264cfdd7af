"""Random numbers: the generator itself, its streams, and what is drawn from them."""

import math
import threading

import numpy as np
import pytest
from helpers import close, f32, leaf, needs_float64

import genesis
from genesis.nn import functional as F

KERNEL = """
#include "philox.h"
kernel void words(global uint4 *out, ulong counter, ulong stream, ulong key) { out[0] = philox(counter, stream, key); }
"""

# counter (low, high), stream, key, words: the known answers of Random123 for philox4x32-10
ANSWERS = [
    (0, 0, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    (0xffffffffffffffff, 0xffffffffffffffff, 0xffffffffffffffff, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (0x85a308d3243f6a88, 0x0370734413198a2e, 0x299f31d0a4093822, "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def philox(counter, stream, key):
    """Philox4x32-10 in NumPy, for arrays of counters: (n, 4) words."""
    c = [counter & 0xffffffff, counter >> 32, np.full_like(counter, stream & 0xffffffff),
         np.full_like(counter, stream >> 32)]
    k0, k1 = key & 0xffffffff, key >> 32
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        mask, half = np.uint64(0xffffffff), np.uint64(32)
        c = [(p1 >> half) ^ c[1] ^ np.uint64(k0), p1 & mask, (p0 >> half) ^ c[3] ^ np.uint64(k1), p0 & mask]
        k0, k1 = (k0 + 0x9E3779B9) & 0xffffffff, (k1 + 0xBB67AE85) & 0xffffffff
    return np.stack(c, -1).astype(np.uint32)


@pytest.fixture(autouse=True)
def restore_state():
    state = genesis.get_rng_state()
    yield
    genesis.set_rng_state(state)


@pytest.mark.parametrize(("counter", "stream", "key", "words"), ANSWERS)
def test_philox_known_answers(counter, stream, key, words, tmp_path):
    source = tmp_path / "words.cl"
    source.write_text(KERNEL)
    device = genesis.device()
    kernel = device.programs.kernel(str(source), "words", "PLLL")
    out = genesis.zeros(4, dtype=genesis.int32)
    kernel((1,), None, out._array.buffer.handle, counter, stream, key)
    expected = [int(w, 16) for w in words.split()]
    assert out.numpy().view(np.uint32).tolist() == expected
    assert philox(np.array([counter], np.uint64), stream, key)[0].tolist() == expected


@pytest.mark.parametrize("n", [1, 3, 4, 5, 1003])
def test_uniform_numbers_are_those_of_the_reference(n):
    seed, stream = 0x123456789abcdef0, 7
    genesis.set_rng_state({"seed": seed, "counter": stream - 1})
    words = philox(np.arange(-(-n // 4), dtype=np.uint64), stream, seed).reshape(-1)[:n]
    np.testing.assert_array_equal(genesis.rand(n).numpy(), (words >> 8).astype(np.float32) * np.float32(2 ** -24))


def test_every_device_draws_the_same():
    found = [d for d in genesis.devices() if d.quirks.rank >= 0]
    draws = []
    for device in found:
        genesis.manual_seed(5)
        draws.append([x.numpy() for x in (
            genesis.rand(1003, device=device), genesis.randint(0, 100, (1003,), device=device),
            genesis.randperm(50, device=device), genesis.randn(1003, device=device))])
    for uniform, integers, order, normal in draws[1:]:
        np.testing.assert_array_equal(uniform, draws[0][0])
        np.testing.assert_array_equal(integers, draws[0][1])
        np.testing.assert_array_equal(order, draws[0][2])
        np.testing.assert_allclose(normal, draws[0][3], rtol=1e-4, atol=1e-5)


def _draw():
    return [genesis.rand(9).tolist(), genesis.randn(9).tolist(), genesis.randint(0, 1000, (9,)).tolist(),
            genesis.randperm(9).tolist(), F.dropout(genesis.ones(99), 0.5).tolist()]


def test_the_same_seed_gives_the_same_stream():
    genesis.manual_seed(3)
    first, second = _draw(), _draw()
    assert all(a != b for a, b in zip(first, second))
    genesis.manual_seed(3)
    assert _draw() == first
    assert _draw() == second
    genesis.manual_seed(4)
    assert all(a != b for a, b in zip(first, _draw()))
    generator = genesis.Generator().manual_seed(3)
    assert genesis.rand(9, generator=generator).tolist() == first[0]


def test_states_are_saved_and_restored():
    genesis.manual_seed(1)
    genesis.rand(3)
    state = genesis.get_rng_state()
    first = _draw()
    genesis.set_rng_state(state)
    assert _draw() == first
    assert genesis.initial_seed() == 1
    generator = genesis.Generator()
    copy = genesis.Generator()
    copy.set_state(generator.get_state())
    assert genesis.rand(3, generator=copy).tolist() == genesis.rand(3, generator=generator).tolist()
    for bad in ({}, {"seed": "a", "counter": 1}, None, 5):
        with pytest.raises(ValueError, match="state"):
            genesis.set_rng_state(bad)


def test_seeds():
    for seed in (0, -1, 2**64 - 1, -2**63, np.int64(5)):
        genesis.manual_seed(seed)
        first = genesis.rand(3).tolist()
        genesis.manual_seed(seed)
        assert genesis.rand(3).tolist() == first
    for bad, error in ((2**64, ValueError), (-2**63 - 1, ValueError), (1.5, TypeError), ("1", TypeError),
                       (True, TypeError)):
        with pytest.raises(error):
            genesis.manual_seed(bad)
    assert genesis.seed() == genesis.initial_seed()


def test_streams_of_several_threads_differ():
    generator, drawn = genesis.Generator(), []
    threads = [threading.Thread(target=lambda: drawn.extend(generator.stream() for _ in range(500))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(drawn)) == 2000


def test_uniform_moments():
    genesis.manual_seed(0)
    x = genesis.rand(400_001).numpy().astype(np.float64)
    assert 0 <= x.min() < 1e-5
    assert 1 - 1e-5 < x.max() < 1
    assert abs(x.mean() - 0.5) < 3 / math.sqrt(12 * x.size)
    assert abs(x.var() - 1 / 12) < 1e-3
    counts = np.bincount((x * 100).astype(int), minlength=100)
    assert ((counts - x.size / 100) ** 2).sum() / (x.size / 100) < 150           # chi squared with 99 degrees
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.01


def test_normal_moments():
    genesis.manual_seed(0)
    x = genesis.randn(400_001).numpy().astype(np.float64)
    assert np.isfinite(x).all()
    assert abs(x.mean()) < 0.005
    assert abs(x.std() - 1) < 0.005
    assert abs((x ** 3).mean()) < 0.02
    assert abs((x ** 4).mean() - 3) < 0.06
    assert 4 < np.abs(x).max() < 6.5
    for shift in (1, 2, 3):
        assert abs(np.corrcoef(x[:-shift], x[shift:])[0, 1]) < 0.01


@pytest.mark.parametrize("dtype", [genesis.float16, genesis.bfloat16])
def test_short_floats_stay_below_one(dtype):
    genesis.manual_seed(0)
    x = genesis.rand(300_000, dtype=dtype).float().numpy()
    assert x.max() < 1
    assert x.min() == 0
    assert abs(x.mean() - 0.5) < 0.004
    assert abs(genesis.randn(100_000, dtype=dtype).float().mean().item()) < 0.02


@needs_float64
def test_float64():
    genesis.manual_seed(0)
    x = genesis.rand(100, dtype=genesis.float64)
    genesis.manual_seed(0)
    np.testing.assert_array_equal(x.numpy(), genesis.rand(100).numpy())
    assert genesis.randn(100, dtype=genesis.float64).dtype is genesis.float64
    y = genesis.ones(100, dtype=genesis.float64, requires_grad=True)
    F.dropout(y, 0.5).sum().backward()
    assert set(y.grad.tolist()) == {0.0, 2.0}


def test_integers():
    genesis.manual_seed(0)
    x = genesis.randint(-3, 4, (70_000,)).numpy()
    assert x.dtype == np.int64
    assert set(np.unique(x)) == set(range(-3, 4))
    counts = np.bincount(x + 3)
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 25
    assert genesis.randint(5, (2, 3)).shape == genesis.randint(0, np.int64(5), (2, 3)).shape == (2, 3)
    assert genesis.randint(3, size=(100,)).amax().item() == 2
    assert genesis.randint(0, 2, (5,), dtype=genesis.uint8).dtype is genesis.uint8
    assert genesis.randint(7, 8, (50,)).tolist() == [7] * 50
    wide = genesis.randint(-2**63, 2**63 - 1, (1003,)).numpy()
    assert wide.min() < -2**61
    assert wide.max() > 2**61
    assert len(np.unique(wide)) == 1003
    middle = genesis.randint(0, 2**40, (1003,)).numpy()
    assert 0 <= middle.min() < 2**36 < 2**39 < middle.max() < 2**40
    for low, high in ((5, 5), (5, 4)):
        with pytest.raises(RuntimeError, match="low < high"):
            genesis.randint(low, high, (2,))


def test_permutations():
    genesis.manual_seed(0)
    x = genesis.randperm(1000)
    assert sorted(x.tolist()) == list(range(1000))
    assert x.tolist() != list(range(1000))
    assert genesis.randperm(0).shape == (0,)
    assert genesis.randperm(5, dtype=genesis.int32).dtype is genesis.int32


def test_shapes_and_likes():
    x = genesis.zeros(2, 3, dtype=genesis.float16)
    assert genesis.rand_like(x).shape == genesis.randn_like(x).shape == (2, 3)
    assert genesis.rand_like(x).dtype is genesis.float16
    assert genesis.randn_like(x, requires_grad=True).requires_grad
    for values in (genesis.randint_like(x, 5), genesis.randint_like(x, 2, 4)):
        assert values.shape == (2, 3)
        assert values.dtype is genesis.float16
    draws = genesis.randint_like(genesis.zeros(1000, dtype=genesis.int64), -2, 3)
    assert set(draws.tolist()) == {-2, -1, 0, 1, 2}
    assert set(genesis.randint_like(draws, 3).tolist()) == {0, 1, 2}
    assert genesis.rand(0, 3).shape == (0, 3)
    assert genesis.rand(()).shape == ()


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_drops_the_same_elements_in_backward(p):
    genesis.manual_seed(0)
    values = np.arange(1, 100_001).reshape(100, 1000)
    x = leaf(values)
    y = F.dropout(x, p)
    kept = y.detach().numpy() != 0
    assert abs(kept.mean() - (1 - p)) < 0.01
    close(y, np.where(kept, values / (1 - p), 0))
    y.backward(f32(np.full(y.shape, 2.0)))
    close(x.grad, np.where(kept, 2 / (1 - p), 0))
    again = F.dropout(x, p).detach().numpy() != 0
    assert (again != kept).any()


def test_dropout_of_a_view_and_of_short_floats():
    x = leaf(np.ones((40, 30)))
    y = F.dropout(x.T[:, ::2], 0.5)
    y.sum().backward()
    grad = x.grad.numpy()
    np.testing.assert_array_equal(grad[::2], y.detach().numpy().T)
    assert not grad[1::2].any()
    z = genesis.ones(1000, dtype=genesis.bfloat16, requires_grad=True)
    F.dropout(z, 0.25).sum().backward()
    assert z.grad.dtype is genesis.bfloat16


def test_dropout_at_the_ends():
    x = leaf([1.0, np.inf, np.nan])
    assert F.dropout(x, 0.5, training=False) is x
    assert F.dropout(x, 0) is x
    y = F.dropout(x, 1.0)
    assert y.tolist() == [0, 0, 0]
    y.sum().backward()
    assert x.grad.tolist() == [0, 0, 0]
    assert F.dropout(genesis.zeros(0), 0.5).shape == (0,)
    for p in (-0.1, 1.1):
        with pytest.raises(ValueError, match="probability"):
            F.dropout(x, p)


# Tensors filled and drawn by their own methods ------------------------------------------------------------------------

N = 40_000


def moments(x):
    values = x.numpy().astype(np.float64)
    return values.mean(), values.std()


# What fills a tensor, and the mean and standard deviation that follow from the definition of its distribution.
FILLS = {
    "uniform_": (lambda x, g: x.uniform_(-1, 3, generator=g), 1.0, 4 / math.sqrt(12)),
    "normal_": (lambda x, g: x.normal_(2, 3, generator=g), 2.0, 3.0),
    "log_normal_": (lambda x, g: x.log_normal_(0, 0.5, generator=g), math.exp(0.125),
                    math.sqrt((math.exp(0.25) - 1) * math.exp(0.25))),
    "bernoulli_": (lambda x, g: x.bernoulli_(0.3, generator=g), 0.3, math.sqrt(0.21)),
    "exponential_": (lambda x, g: x.exponential_(2, generator=g), 0.5, 0.5),
    "geometric_": (lambda x, g: x.geometric_(0.25, generator=g), 4.0, math.sqrt(12)),
    "random_": (lambda x, g: x.random_(10, 20, generator=g), 14.5, math.sqrt(99 / 12)),
}


@pytest.mark.parametrize("name", FILLS)
def test_fills_have_their_moments_and_their_stream(name):
    fill, mean, deviation = FILLS[name]
    x = genesis.zeros(N)
    assert fill(x, genesis.Generator().manual_seed(7)) is x
    found = moments(x)
    assert abs(found[0] - mean) < 5 * deviation / math.sqrt(N)
    assert abs(found[1] / deviation - 1) < 0.05
    again = genesis.zeros(2, N // 2).T                       # not contiguous; the stream follows the indices
    fill(again, genesis.Generator().manual_seed(7))
    np.testing.assert_array_equal(again.numpy().reshape(-1), x.numpy())
    genesis.manual_seed(7)
    np.testing.assert_array_equal(fill(genesis.zeros(N), None).numpy(), x.numpy())
    half = fill(genesis.zeros(99, dtype=genesis.bfloat16), genesis.Generator().manual_seed(7))
    assert np.isfinite(half.float().numpy()).all()


def test_cauchy_has_its_quartiles():
    x = genesis.zeros(N).cauchy_(1, 2, generator=genesis.Generator().manual_seed(1))
    np.testing.assert_allclose(np.quantile(x.numpy(), [0.25, 0.5, 0.75]), [-1, 1, 3], atol=0.1)


def test_fills_change_memory_that_views_share_and_nothing_else():
    x = genesis.zeros(6, 6)
    x[1:4, ::2].uniform_(1, 2)
    changed = x.numpy() != 0
    assert changed[1:4, ::2].all()
    assert changed.sum() == 9


def test_a_gradient_ends_where_a_tensor_was_filled():
    w = leaf([1.0, 2.0, 3.0])
    y = w * 2
    y[1:].normal_()
    y.sum().backward()
    assert w.grad.tolist() == [2, 0, 0]
    with pytest.raises(RuntimeError, match="leaf"):
        w.uniform_()
    with genesis.no_grad():
        w.uniform_()
    saved = leaf([1.0, 2.0]).exp()
    z = saved.exp()
    saved.detach().normal_()
    with pytest.raises(RuntimeError, match="changed"):
        z.sum().backward()


def test_random_integers_without_bounds_are_those_that_the_type_holds():
    genesis.manual_seed(0)
    assert set(genesis.zeros(99, dtype=genesis.bool).random_().tolist()) == {True, False}
    assert genesis.zeros(5000, dtype=genesis.uint8).random_().numpy().max() == 255
    assert 2 ** 30 < genesis.zeros(999, dtype=genesis.int32).random_().numpy().max() < 2 ** 31
    wide = genesis.zeros(999, dtype=genesis.int64).random_().numpy()
    assert wide.min() >= 0
    assert wide.max() > 2 ** 62
    assert genesis.zeros(999, dtype=genesis.float16).random_().numpy().max() <= 2048
    assert set(genesis.zeros(99).random_(3).tolist()) == {0, 1, 2}
    assert set(genesis.zeros(99, dtype=genesis.int64).random_(-2, 0).tolist()) == {-2, -1}


def test_bernoulli_follows_each_probability():
    p = f32([[0.0, 1.0], [0.25, 0.75]])
    drawn = p.expand(N // 4, 2, 2).bernoulli(generator=genesis.Generator().manual_seed(1))
    assert drawn.dtype is genesis.float32
    assert set(np.unique(drawn.numpy())) == {0, 1}
    np.testing.assert_allclose(drawn.numpy().mean(0), p.numpy(), atol=5 * 0.5 / math.sqrt(N / 4))
    assert not genesis.bernoulli(leaf([0.5])).requires_grad
    assert genesis.zeros(9, dtype=genesis.int64).bernoulli_(f32(1.0)).tolist() == [1] * 9
    assert genesis.zeros(3).bernoulli(1.0).tolist() == [1, 1, 1]


def test_normal_takes_numbers_or_tensors():
    mean, std = f32([[0.0], [100.0]]), f32([1.0, 2.0, 0.0])
    x = genesis.normal(mean.expand(2, 1), std, generator=genesis.Generator().manual_seed(2))
    assert x.shape == (2, 3)
    assert x[:, 2].tolist() == [0, 100]
    drawn = genesis.normal(mean.expand(2, N), 2.0, generator=genesis.Generator().manual_seed(2)).numpy()
    np.testing.assert_allclose(drawn.mean(1), [0, 100], atol=10 / math.sqrt(N))
    np.testing.assert_allclose(drawn.std(1), 2, rtol=0.03)
    assert genesis.normal(1.0, 0.0, (2, 2)).tolist() == [[1, 1], [1, 1]]
    for bad in ((mean, 1.0, (3,)), (0.0, 1.0)):
        with pytest.raises(TypeError, match="size"):
            genesis.normal(*bad)


@pytest.mark.parametrize(("call", "match"), [
    (lambda x: x.uniform_(2, 1), "from <= to"), (lambda x: x.normal_(0, -1), "deviation"),
    (lambda x: x.log_normal_(0, 0), "deviation"), (lambda x: x.random_(3, 3), "from < to"),
    (lambda x: x.random_(0), "from < to"), (lambda x: x.bernoulli_(1.5), "probability"),
    (lambda x: x.bernoulli(-0.1), "probability"), (lambda x: x.exponential_(0), "rate"),
    (lambda x: x.geometric_(1.0), "probability"), (lambda x: x.cauchy_(0, 0), "width"),
    (lambda x: x.long().normal_(), "floating"), (lambda x: x.long().uniform_(), "floating"),
    (lambda x: x.long().exponential_(), "floating"), (lambda x: x.long().bernoulli(), "floating"),
    (lambda x: genesis.normal(0.0, -1.0, (2,)), "deviation"), (lambda x: x.expand(2, 3).normal_(), "expanded"),
])
def test_what_cannot_be_drawn_is_refused(call, match):
    x = genesis.zeros(3)
    with pytest.raises(RuntimeError, match=match):
        call(x)
    assert x.tolist() == [0, 0, 0]
