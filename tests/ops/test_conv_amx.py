"""Convolutions by ``conv_amx.cl`` and ``conv_weight_amx.cl``: on the processor's tiles, and everywhere in OpenCL C."""

import math

import numpy as np
import pytest
from helpers import f32, normal
from numpy.lib.stride_tricks import sliding_window_view

import genesis
from genesis.nn.functional import conv1d, conv2d, conv_transpose2d
from genesis.ops import conv_amx, conv_axis, conv_weight_amx, matmul, matmul_amx
from genesis.ops.conv_axis import Geometry

device = genesis.device()
needs_blocks = pytest.mark.skipif(not matmul.by_blocks(device), reason="convolutions go another way here")
needs_amx = pytest.mark.skipif(not matmul_amx.works(device), reason="the processor or the runtime has no AMX")
WAYS = [pytest.param(True, id="emulated", marks=needs_blocks), pytest.param(False, id="amx", marks=needs_amx)]
ROUNDING = {genesis.float32: 1e-6, genesis.float16: 2.0 ** -11, genesis.bfloat16: 2.0 ** -8}


def exact(t):
    return t.detach().float().numpy().astype(np.float64)


def convolved(x, w, stride=1, padding=0, dilation=1):
    """The convolution of NumPy arrays (N, C, H, W) and (O, C, kh, kw)."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    reach = [(k - 1) * dilation + 1 for k in w.shape[2:]]
    windows = sliding_window_view(x, reach, axis=(2, 3))[:, :, ::stride, ::stride, ::dilation, ::dilation]
    return np.einsum("nchwij,ocij->nohw", windows, w, optimize=True)


def off(result, x, w, **options):
    """The most that an element is off by, in sums of the absolute products."""
    x, w = exact(x), exact(w)
    size = convolved(np.abs(x), np.abs(w), **options)
    return (np.abs(exact(result) - convolved(x, w, **options)) / np.maximum(size, 1e-30)).max()


def weights_gradient(x, g, shape, stride=1, padding=0, dilation=1):
    """The gradient of a weight of that shape, from NumPy arrays: input (N, C, H, W), and the result's gradient."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    reach = [(k - 1) * dilation + 1 for k in shape[2:]]
    windows = sliding_window_view(x, reach, axis=(2, 3))[:, :, ::stride, ::stride, ::dilation, ::dilation]
    return np.einsum("nchwij,nohw->ocij", windows, g, optimize=True)


@pytest.fixture
def used(monkeypatch):
    """How many convolutions went this way."""
    calls = []

    def counted(*args, sum_up=conv_amx.tap_sum):
        calls.append(args)
        sum_up(*args)

    monkeypatch.setattr(conv_amx, "tap_sum", counted)
    return calls


@pytest.fixture
def gradients(monkeypatch):
    """Whether each of the weights' gradients was written this way."""
    calls = []

    def told(*args, sum_up=conv_weight_amx.weight_gradient):
        calls.append(sum_up(*args))
        return calls[-1]

    monkeypatch.setattr(conv_weight_amx, "weight_gradient", told)
    return calls


# Images, channels in and out, sizes, filter: rows shorter than a tile, as long and longer, more than one block of
# channels.
SHAPES = [(2, 3, 5, (7, 5), (3, 3)), (1, 33, 34, (6, 16), (3, 2)), (3, 5, 2, (3, 37), (2, 3)),
          (2, 2, 3, (1, 40), (1, 6))]
OPTIONS = [{}, {"padding": 1}, {"stride": 2, "padding": 2}, {"padding": 2, "dilation": 2}]


@pytest.mark.parametrize("emulated", WAYS)
@pytest.mark.parametrize("dtype", ROUNDING, ids=lambda d: d.name)
def test_sizes_strides_and_paddings(emulated, dtype, used, gradients):
    with matmul.by_amx(emulated):
        for n, channels, outputs, size, filters in SHAPES if dtype is genesis.float32 else SHAPES[:2]:
            x, w = f32(normal(n, channels, *size)).to(dtype), f32(normal(outputs, channels, *filters, seed=1)).to(dtype)
            for options in OPTIONS:
                pad, spread = options.get("padding", 0), options.get("dilation", 1)
                if any(length + 2 * pad <= (taps - 1) * spread for length, taps in zip(size, filters)):
                    continue                            # the filter is larger than the image
                w.requires_grad_().grad = None
                result = conv2d(x, w, **options)
                assert result.dtype is dtype
                assert off(result, x, w, **options) < 1.01 * ROUNDING[dtype]
                g = f32(normal(*result.shape, seed=2)).to(dtype)
                result.backward(g)
                wanted, scale = (weights_gradient(s(exact(x)), s(exact(g)), w.shape, **options)
                                for s in (np.asarray, np.abs))
                difference = np.abs(exact(w.grad) - wanted) / np.maximum(scale, 1e-30)
                assert difference.max() < 1.01 * ROUNDING[dtype]
    assert len(used) >= 8
    assert len(gradients) >= 8
    assert all(gradients)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("emulated", WAYS)
def test_filters_of_many_taps_wherever_they_lie(emulated, transposed):
    """The last ones lie at the end of what may be read, before numbers that are none."""
    x, held = f32(normal(1, 2, 6, 9)), f32(normal(4, 19, 5, 5, seed=1))
    held[:, 18] = math.nan
    geometry = Geometry((1, 1), (2, 2), (1, 1), 1)
    with matmul.by_amx(emulated):
        assert emulated or matmul_amx.works(genesis.device())
        for w in (held[:, 1:3], held[2:, 16:18], held[:2, :3].transpose(0, 1), held[:1, :2].expand(18, 2, 5, 5),
                  held[3:, 16:18]):
            w = w.transpose(0, 1) if transposed else w
            out = genesis.full((1, w.shape[1] if transposed else w.shape[0], 6, 9), math.nan)
            conv_amx.tap_sum(x._array, w._array, None, out._array, geometry, transposed)
            v = exact(w).swapaxes(0, 1)[:, :, ::-1, ::-1] if transposed else exact(w)
            wanted, scale = (convolved(s(exact(x)), s(v), padding=2) for s in (np.asarray, np.abs))
            assert (np.abs(exact(out) - wanted) / scale).max() < 1.01 * ROUNDING[genesis.float32]


@pytest.mark.parametrize("emulated", WAYS)
def test_gradients_biases_and_layouts(emulated, used):
    x = f32(normal(2, 9, 11, 3)).permute(0, 3, 1, 2)                    # channels last
    w, b = f32(normal(5, 3, 3, 3, seed=1)), f32(normal(5, seed=2))
    g = f32(normal(2, 5, 9, 11, seed=3))
    parts = [t.detach().requires_grad_() for t in (x, w, b)]
    with matmul.by_amx(emulated):
        result = conv2d(*parts, padding=1)
        result.backward(g)
    assert len(used) == 2
    assert off(result - b[:, None, None], x, w, padding=1) < 2e-6
    turned = exact(w).transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
    np.testing.assert_allclose(exact(parts[0].grad), convolved(exact(g), turned, padding=1), atol=2e-5)
    wanted = weights_gradient(exact(x), exact(g), w.shape, padding=1)
    np.testing.assert_allclose(exact(parts[1].grad), wanted, atol=5e-5)
    wide = genesis.zeros(2, 3, 20, 30)
    wide[:, :, 4:13, 5:27:2] = x
    with matmul.by_amx(emulated):
        assert genesis.equal(conv2d(wide[:, :, 4:13, 5:27:2], w, b, padding=1), result)
        line = conv1d(x[:, :, 0], w[:, :, 0], padding=2)
    assert len(used) == 4
    one_row = convolved(np.pad(exact(x[:, :, :1]), ((0, 0), (0, 0), (0, 0), (2, 2))), exact(w[:, :, :1]))
    np.testing.assert_allclose(exact(line), one_row[:, :, 0], atol=2e-5)


@pytest.mark.parametrize("emulated", WAYS)
def test_what_is_infinite_or_no_number_stays_where_it_belongs(emulated):
    x, w = normal(2, 4, 6, 9), normal(3, 4, 3, 3, seed=1)
    x[0, 1, 2, 3], x[1, 0, 3, 6], x[1, 3, 0, 0] = np.inf, np.nan, 3.4e38
    w[2, 0, 0, 0] = 0
    with np.errstate(all="ignore"):
        wanted = convolved(x, w, padding=1).astype(np.float32)
    with matmul.by_amx(emulated):
        result = conv2d(f32(x), f32(w), padding=1).numpy()
    np.testing.assert_array_equal(np.isnan(result), np.isnan(wanted))
    np.testing.assert_array_equal(result[np.isinf(wanted)], wanted[np.isinf(wanted)])
    np.testing.assert_allclose(result[np.isfinite(wanted)], wanted[np.isfinite(wanted)], rtol=1e-4, atol=1e-5)

    g = np.where(np.isfinite(wanted), normal(*wanted.shape, seed=2), 1e30)
    given, weight = f32(x), f32(w).requires_grad_()
    with matmul.by_amx(emulated):
        conv2d(given, weight, padding=1).backward(f32(g))
    found = weight.grad.numpy()
    with np.errstate(all="ignore"):
        wanted = weights_gradient(x, g, w.shape, padding=1).astype(np.float32)
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(wanted))


@pytest.mark.parametrize("emulated", WAYS)
def test_small_numbers_do_not_disturb_others(emulated):
    x, w = np.ones((1, 32, 8, 8)), np.ones((8, 32, 3, 3))
    x[0, 16:] *= np.exp(-np.linspace(70, 103, 64)).reshape(8, 8)
    w[:, 17:, 1] *= 1e-41
    given, weight = f32(x).requires_grad_(), f32(w).requires_grad_()
    g = np.abs(normal(1, 8, 6, 6))
    g[:, :, 3:] *= 1e-40
    with matmul.by_amx(emulated):
        result = conv2d(given, weight)
        result.backward(f32(g))
    np.testing.assert_allclose(exact(result), convolved(x, w), rtol=1e-6)
    turned = w.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
    np.testing.assert_allclose(exact(given.grad), convolved(g, turned, padding=2), rtol=1e-5, atol=1e-30)
    np.testing.assert_allclose(exact(weight.grad), weights_gradient(x, g, w.shape), rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("emulated", WAYS)
def test_pixels_that_no_filter_reads_do_not_count(emulated):
    x, w = normal(2, 3, 8, 8), f32(normal(4, 3, 3, 3, seed=1)).requires_grad_()
    used_part = x.copy()
    used_part[:, :, 7:] = 0
    x[:, :, 7:] = np.nan
    with matmul.by_amx(emulated):
        result = conv2d(f32(x), w, stride=2)
        g = f32(normal(*result.shape, seed=2))
        result.backward(g)
    np.testing.assert_allclose(exact(result), convolved(used_part, exact(w), stride=2), atol=1e-5)
    np.testing.assert_allclose(exact(w.grad), weights_gradient(used_part, exact(g), w.shape, stride=2), atol=1e-4)


@pytest.mark.parametrize("emulated", WAYS)
def test_transposed_convolutions_with_more_padding_than_the_filter_reaches(emulated, used):
    x, w, b = f32(normal(2, 5, 9, 8)), f32(normal(5, 4, 2, 3, seed=1)), f32(normal(4, seed=2))
    with matmul.by_amx(emulated):
        result = conv_transpose2d(x, w, b, padding=(2, 2))
    turned = exact(w).transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
    whole = convolved(np.pad(exact(x), ((0, 0), (0, 0), (1, 1), (2, 2))), turned)
    np.testing.assert_allclose(exact(result), whole[:, :, 2:-2, 2:-2] + exact(b)[:, None, None], atol=2e-5)
    assert len(used) == 1


@pytest.mark.parametrize("emulated", WAYS)
def test_gradients_of_weights_in_several_steps(emulated, gradients, monkeypatch):
    monkeypatch.setattr(conv_axis, "_plans", {})
    monkeypatch.setattr(conv_weight_amx, "SCRATCH", 1 << 16)
    x, g, w = normal(7, 3, 9, 8), normal(7, 4, 7, 6, seed=1), f32(normal(4, 3, 3, 3)).requires_grad_()
    with matmul.by_amx(emulated):
        conv2d(f32(x), w).backward(f32(g))
        plan = next(p[0] for p in conv_axis._plans.values() if isinstance(p, tuple))
    assert plan.step < 7
    assert gradients == [True]
    np.testing.assert_allclose(exact(w.grad), weights_gradient(x, g, w.shape), atol=1e-4)


@needs_amx
def test_batches_in_parts_and_precisions(used, monkeypatch):
    x, w = f32(normal(5, 32, 14, 14)), f32(normal(40, 32, 3, 3, seed=1))
    before = genesis.get_float32_matmul_precision()
    with matmul.by_amx():
        whole = conv2d(x, w, padding=1)
        monkeypatch.setattr(conv_amx, "_SCRATCH", 1)
        monkeypatch.setattr(conv_axis, "_plans", {})
        assert genesis.equal(conv2d(x, w, padding=1), whole)
        found = {}
        try:
            for name in matmul_amx.PRECISIONS:
                genesis.set_float32_matmul_precision(name)
                found[name] = off(conv2d(x, w, padding=1), x, w, padding=1)
        finally:
            genesis.set_float32_matmul_precision(before)
    assert found["highest"] < 1e-6 < found["high"] < 3e-5 < found["medium"] < 4e-3
    assert len(used) == 5


@needs_amx
def test_only_what_is_quicker_goes_this_way():
    def way(n, channels, outputs, size, dtype=genesis.float32, **options):
        x, w = genesis.empty(n, channels, size, size, dtype=dtype), genesis.empty(outputs, channels, 3, 3, dtype=dtype)
        geometry = Geometry(padding=(1, 1), **options)
        return conv_amx.applies(x._array, w._array, (n, outputs, size, size), geometry, False)

    assert way(8, 64, 64, 56)
    assert way(8, 256, 256, 14)
    assert way(64, 32, 32, 16, genesis.bfloat16)
    assert not way(64, 3, 16, 32)
    assert not way(8, 64, 64, 56, groups=2)
