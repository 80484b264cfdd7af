"""Convolutions against PyTorch: shapes, geometries, types, layouts, and the kernels of both classes of devices."""

import dataclasses

import numpy as np
import pytest
from helpers import close, f32, leaf, needs_float64, normal
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import genesis
from genesis.nn import functional as F
from genesis.ops import conv_axis, conv_direct, conv_stage, conv_weight, vectors

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")     # PyTorch's

NAMES = {(1, False): "conv1d", (2, False): "conv2d", (1, True): "conv_transpose1d", (2, True): "conv_transpose2d"}


def compare(name, x, w, b=None, dtype=genesis.float32, rtol=1e-5, **options):
    """Values and gradients of a convolution against PyTorch's in float64, within rtol of the largest value."""
    given_ = [v for v in (x, w, b) if v is not None]
    mine = [leaf(v, dtype) for v in given_]
    its = [torch.tensor(np.asarray(m.detach().numpy(), np.float64), requires_grad=True) for m in mine]
    result = getattr(F, name)(*mine, **options)
    expected = getattr(torch.nn.functional, name)(*its, **options)
    assert result.dtype is dtype
    g = np.random.default_rng(7).standard_normal(tuple(expected.shape)).astype(np.float32)
    gradient = genesis.tensor(g).to(dtype)
    result.backward(gradient)
    expected.backward(torch.tensor(np.asarray(gradient.numpy(), np.float64)))
    for actual, wanted in ((result.detach(), expected.detach()), *((m.grad, t.grad) for m, t in zip(mine, its))):
        wanted = wanted.numpy()
        assert actual.dtype is dtype
        close(actual, wanted, rtol=0, atol=rtol * (np.abs(wanted).max(initial=0) + 1e-3))


# (input, weight, options): odd sizes; strides that skip pixels; padding wider than the filter; more dilation than
# stride and less; groups; one pixel; vectors' and tiles' edges; empty batches.
AWKWARD = [
    ((2, 3, 9, 11), (4, 3, 3, 3), {"padding": 1}),
    ((2, 4, 9, 11), (6, 2, 3, 2), {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": 2}),
    ((1, 6, 17, 33), (6, 1, 3, 3), {"padding": 1, "groups": 6}),
    ((2, 4, 10, 10), (8, 1, 3, 3), {"padding": 1, "groups": 4, "stride": 2}),
    ((3, 5, 8, 8), (7, 5, 1, 1), {}),
    ((3, 5, 8, 8), (7, 5, 1, 1), {"stride": 2}),
    ((2, 3, 30, 31), (20, 3, 7, 7), {"stride": 2, "padding": 3}),
    ((2, 3, 13, 12), (5, 3, 4, 4), {"stride": 3, "padding": (2, 3), "dilation": (2, 3)}),
    ((1, 1, 1, 1), (1, 1, 1, 1), {"padding": (3, 2)}),
    ((2, 8, 7, 7), (8, 2, 2, 2), {"stride": 4, "padding": 1, "groups": 4}),
    ((3, 2, 7, 35), (1, 2, 2, 4), {"stride": (1, 2), "padding": (3, 0), "dilation": (1, 2)}),
    ((2, 13, 14, 14), (25, 13, 3, 3), {"padding": 2, "dilation": 2}),
    ((1, 2, 4, 31), (3, 2, 3, 1), {}),
    ((1, 2, 4, 32), (3, 2, 1, 3), {"padding": (0, 1)}),
    ((1, 2, 3, 33), (17, 2, 3, 3), {"padding": 1}),
    ((1, 1, 2, 65), (2, 1, 2, 2), {"padding": 1, "stride": 5}),
    ((1, 2, 1, 1003), (2, 2, 1, 5), {"dilation": (1, 7)}),
    ((0, 3, 5, 5), (2, 3, 3, 3), {}),
    ((2, 3, 6, 7), (4, 3, 2, 4), {"padding": "same"}),
    ((2, 3, 6, 7), (4, 3, 3, 2), {"padding": "same", "dilation": (2, 3)}),
    ((2, 3, 6, 7), (4, 3, 2, 4), {"padding": "valid", "stride": 2}),
    ((3, 6, 7), (4, 3, 3, 3), {"padding": 1}),
]
LINES = [
    ((2, 3, 20), (4, 3, 3), {"padding": 1}), ((2, 3, 1003), (4, 3, 5), {"stride": 2}),
    ((3, 17), (2, 3, 4), {"padding": "same"}),
    ((2, 4, 33), (6, 2, 3), {"groups": 2, "dilation": 3, "padding": 3, "stride": (2,)}), ((2, 3, 16), (4, 3, 1), {}),
    ((1, 1, 1), (1, 1, 1), {}),
]
TRANSPOSED = [
    ((2, 4, 5, 6), (4, 3, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    ((2, 4, 5, 6), (4, 3, 2, 2), {"stride": 2}),
    ((1, 6, 7, 5), (6, 2, 4, 3), {"stride": (3, 1), "padding": (2, 1), "groups": 3, "dilation": (1, 2)}),
    ((1, 2, 3, 3), (2, 1, 1, 1), {"stride": 3}),
    ((1, 2, 3, 3), (2, 3, 1, 1), {}),
    ((1, 2, 3, 3), (2, 3, 2, 2), {"dilation": 3, "output_padding": 2}),
    ((4, 5, 6), (4, 3, 3, 3), {}),
    ((0, 2, 3, 3), (2, 3, 2, 2), {}),
]


@pytest.mark.parametrize(("x", "w", "options"), AWKWARD, ids=str)
@pytest.mark.parametrize("bias", [False, True])
def test_conv2d_matches_torch(x, w, options, bias):
    compare("conv2d", normal(*x), normal(*w, seed=1), normal(w[0], seed=2) if bias else None, **options)


@pytest.mark.parametrize(("x", "w", "options"), LINES, ids=str)
def test_conv1d_matches_torch(x, w, options):
    compare("conv1d", normal(*x), normal(*w, seed=1), normal(w[0], seed=2), **options)


@pytest.mark.parametrize(("x", "w", "options"), TRANSPOSED, ids=str)
def test_conv_transpose2d_matches_torch(x, w, options):
    bias = normal(w[1] * options.get("groups", 1), seed=2)
    compare("conv_transpose2d", normal(*x), normal(*w, seed=1), bias, **options)
    compare("conv_transpose2d", normal(*x), normal(*w, seed=1), **options)


def test_conv_transpose1d_matches_torch():
    compare("conv_transpose1d", normal(2, 4, 9), normal(4, 3, 3, seed=1), normal(3, seed=2), stride=2, output_padding=1)
    compare("conv_transpose1d", normal(4, 9), normal(4, 1, 5, seed=1), padding=2, groups=2, dilation=2)


@st.composite
def convolutions(draw):
    def ints(low, high, n):
        return tuple(draw(st.lists(st.integers(low, high), min_size=n, max_size=n)))

    n = draw(st.sampled_from((1, 2, 2, 2)))
    groups = draw(st.sampled_from((1, 1, 2, 3)))
    filters, stride, dilation, padding = ints(1, 4, n), ints(1, 3, n), ints(1, 3, n), ints(0, 3, n)
    sizes = tuple(max(size, 1 + d * (k - 1) - 2 * p) for size, d, k, p in zip(
        ints(1, 20, n - 1) + ints(1, 40, 1), dilation, filters, padding))
    inputs, outputs = groups * draw(st.integers(1, 5)), groups * draw(st.integers(1, 10))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return n, (draw(st.integers(1, 3)), inputs, *sizes), filters, outputs, options


@given(convolutions(), st.booleans())
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_random_convolutions_match_torch(case, transposed):
    n, x, filters, outputs, options = case
    groups = options["groups"]
    if transposed:
        assume(all((size - 1) * s - 2 * p + d * (k - 1) + 1 > 0 for size, s, p, d, k in zip(
            x[2:], options["stride"], options["padding"], options["dilation"], filters)))
    w = (x[1], outputs // groups, *filters) if transposed else (outputs, x[1] // groups, *filters)
    compare(NAMES[n, transposed], normal(*x), normal(*w, seed=1), normal(outputs, seed=2), **options)


@pytest.fixture
def as_gpu(monkeypatch):
    monkeypatch.setattr(genesis.device(), "type", "gpu")


@pytest.mark.parametrize("at", range(0, len(AWKWARD), 2))
def test_the_gpu_kernel_on_any_device(as_gpu, at):
    x, w, options = AWKWARD[at]
    compare("conv2d", normal(*x), normal(*w, seed=1), normal(w[0], seed=2), **options)


def test_the_gpu_kernel_in_other_cases(as_gpu):
    compare("conv2d", normal(3, 10, 30, 30), normal(70, 10, 3, 3, seed=1), padding=1, rtol=2e-5)      # more than a tile
    compare("conv1d", normal(2, 4, 5000), normal(6, 2, 3, seed=1), groups=2)              # several parts
    for x, w, options in TRANSPOSED[:4]:
        compare("conv_transpose2d", normal(*x), normal(*w, seed=1), normal(w[1] * options.get("groups", 1)), **options)
    compare("conv2d", normal(2, 3, 9, 9), normal(4, 3, 3, 3, seed=1), normal(4), dtype=genesis.float16, rtol=2e-3)


@pytest.fixture(params=["pixels", "channels"])
def forced(request, monkeypatch):
    """Each of the two kinds of CPU kernels in turn, whatever the shapes."""
    other = "_channel_tiles" if request.param == "pixels" else "_pixel_tiles"
    monkeypatch.setattr(conv_direct, other, lambda *shape: {})
    kind = conv_weight.PixelSums if request.param == "pixels" else conv_weight.ChannelSums
    monkeypatch.setattr(conv_weight, "_kind", lambda *what: kind)
    conv_axis._plans.clear()
    yield request.param
    conv_axis._plans.clear()


@pytest.mark.parametrize("at", range(1, len(AWKWARD), 2))
def test_both_cpu_kernels(forced, at):
    x, w, options = AWKWARD[at]
    compare("conv2d", normal(*x), normal(*w, seed=1), normal(w[0], seed=2), **options)


@pytest.mark.parametrize(("size", "side"), [(31, 14), (33, 13), (1, 7), (65, 4), (16, 3), (17, 28), (6, 2)])
def test_both_cpu_kernels_at_the_edges_of_tiles(forced, size, side):
    x = normal(2, size, side, side)
    compare("conv2d", x, normal(size, size, 3, 3, seed=1), normal(size, seed=2), padding=1)
    compare("conv2d", x, normal(33, size, 1, 1, seed=1), normal(33, seed=2))
    compare("conv_transpose2d", x, normal(size, 5, 2, 3, seed=1), normal(5, seed=2), stride=2, padding=(0, 1))


@pytest.mark.parametrize("at", range(0, len(TRANSPOSED), 2))
def test_both_cpu_kernels_transposed(forced, at):
    x, w, options = TRANSPOSED[at]
    compare("conv_transpose2d", normal(*x), normal(*w, seed=1), normal(w[1] * options.get("groups", 1)), **options)


@pytest.mark.parametrize(("dtype", "rtol"), [
    (genesis.float16, 1.1 * 2.0 ** -11), (genesis.bfloat16, 1.1 * 2.0 ** -8),
    pytest.param(genesis.float64, 1e-13, marks=needs_float64)])
def test_both_cpu_kernels_in_other_types(forced, dtype, rtol):
    w = normal(18, 10, 3, 3, seed=1)
    compare("conv2d", normal(2, 20, 9, 15), w, normal(18), dtype=dtype, rtol=rtol, padding=1, groups=2)
    compare("conv2d", normal(2, 20, 9, 15), w, dtype=dtype, rtol=rtol, stride=2, groups=2)


def test_padding_costs_no_sums_and_changes_none(forced):
    """Rows of taps that see padding alone are left out: also where all of them are."""
    x, w = normal(1, 2, 2, 3), normal(20, 2, 3, 3, seed=1)
    compare("conv2d", x, w, normal(20, seed=2), padding=(9, 1))
    compare("conv2d", x, w, padding=(4, 2), dilation=(4, 1))
    x = genesis.tensor(np.full((1, 2, 2, 3), np.inf, np.float32))
    y = F.conv2d(x, genesis.ones(20, 2, 3, 3), genesis.ones(20), padding=(9, 1)).numpy()
    np.testing.assert_array_equal(y[:, :, :7], 1)
    np.testing.assert_array_equal(y[:, :, 8:11], np.inf)


@pytest.fixture(params=[16, 32])
def registers(request, monkeypatch):
    """Tiles for processors with so many vector registers."""
    monkeypatch.setattr(conv_direct, "registers", lambda device, real: request.param)
    return request.param


def test_the_tile_is_chosen_by_what_is_wasted(registers):
    device, real = genesis.device(), genesis.float32
    for outputs, rows, columns in ((256, 14, 14), (64, 32, 32), (3, 32, 32), (128, 7, 7), (64, 1, 3136)):
        pixels = conv_direct._pixel_tiles(device, real, outputs, rows, columns)
        channels = conv_direct._channel_tiles(device, real, outputs)
        chosen = conv_direct._tile(device, real, outputs, rows, columns, 9 * 64)
        times = {tile: time * tile.computed(outputs, rows, columns) for tile, time in (pixels | channels).items()}
        assert times[chosen] <= 1.1 * min(times.values())
        for tile in times:
            lanes, others = (tile.pixels, tile.channels) if tile.axis == "pixels" else (tile.channels, tile.pixels)
            assert lanes // tile.width * others * tile.high < registers       # and room for what is multiplied


def test_parts_of_a_weight_gradient_take_little_memory():
    """As many as keep each near a core, unless the weight is large or there are few work-items."""
    device = genesis.device()
    for images, length, each in ((256, 1024, 9 << 20), (1, 1 << 20, 1000), (1000, 16, 4), (64, 3136, 1 << 17)):
        parts = conv_weight._parts(images, length, 1000, each, 2048, device)
        assert 1 <= parts <= -(-images * length // 2048)
        assert parts == 1 or parts * each <= conv_stage.SCRATCH
    assert conv_weight._parts(64, 1024, 1, 1 << 30, 2048, device) == 4 * device.compute_units


@pytest.mark.parametrize(("x", "w", "options"), [
    ((1, 3, 300, 17), (9, 3, 3, 3), {"padding": 1}), ((1, 2, 67, 129), (16, 2, 2, 2), {"stride": (1, 2)}),
    ((2, 4, 101, 64), (34, 2, 3, 1), {"groups": 2, "padding": (1, 0)}), ((1, 2, 1, 9001), (8, 2, 1, 3), {}),
], ids=str)
def test_parts_of_one_image(forced, x, w, options):
    """An image of many pixels is cut into bands of rows; where there is one row, it stays whole."""
    compare("conv2d", normal(*x), normal(*w, seed=1), **options)


@pytest.fixture
def other_processor(monkeypatch):
    """Tiles for twice or half as many registers as the processor has; its own are used everywhere else."""
    for module in (conv_direct, conv_weight):
        monkeypatch.setattr(module, "registers", lambda device, real: 48 - vectors.registers(device, real))
    conv_axis._plans.clear()
    yield
    conv_axis._plans.clear()


def test_tiles_for_other_processors(other_processor, forced):
    for size, side in ((17, 11), (5, 15), (64, 7)):
        x, w = normal(2, size, side, side), normal(size, size, 3, 3, seed=1)
        compare("conv2d", x, w, normal(size, seed=2), padding=1)


@pytest.mark.parametrize(("x", "w", "options"), [
    ((2, 5, 8, 9), (7, 5, 1, 1), {}), ((2, 6, 8, 9), (8, 3, 1, 1), {"groups": 2}),
    ((2, 5, 9, 12), (7, 5, 1, 1), {"stride": (2, 3)}), ((2, 6, 11, 9), (8, 3, 1, 1), {"groups": 2, "stride": 2}),
    ((3, 5, 3, 3), (7, 5, 1, 1), {}), ((3, 5, 1, 1), (7, 5, 1, 1), {}), ((2, 6, 40), (4, 6, 1), {}),
    ((2, 6, 40), (4, 3, 1), {"stride": 2, "groups": 2}), ((2, 4, 5, 5), (4, 1, 1, 1), {"groups": 4}),
], ids=str)
def test_filters_of_one_tap(x, w, options):
    for bias in (None, normal(w[0], seed=2)):
        compare(NAMES[len(x) - 2, False], normal(*x), normal(*w, seed=1), bias, **options)
    groups = options.get("groups", 1)
    turned = normal(x[1], w[0] // groups, *w[2:], seed=1)
    for bias in (None, normal(w[0], seed=2)):
        compare(NAMES[len(x) - 2, True], normal(*x), turned, bias, **options)


def test_filters_of_one_tap_on_views_and_in_short_floats():
    w = normal(7, 5, 1, 1, seed=1)
    for view in (lambda x: x.permute(0, 3, 1, 2), lambda x: x.permute(0, 3, 2, 1)[:, :, 1:, ::2]):
        mine, its = leaf(normal(2, 8, 9, 5)), torch.tensor(normal(2, 8, 9, 5), requires_grad=True)
        weight, its_weight = leaf(w), torch.tensor(w, requires_grad=True)
        result = F.conv2d(view(mine), weight)
        expected = torch.nn.functional.conv2d(view(its), its_weight)
        close(result.detach(), expected.detach().numpy(), rtol=1e-5, atol=1e-5)
        (result * result).sum().backward()
        (expected * expected).sum().backward()
        close(mine.grad, its.grad.numpy(), rtol=1e-5, atol=1e-4)
        close(weight.grad, its_weight.grad.numpy(), rtol=1e-5, atol=1e-3)
    for dtype, unit in ((genesis.float16, 2.0 ** -11), (genesis.bfloat16, 2.0 ** -8)):
        for stride in (1, 2):
            compare("conv2d", normal(2, 5, 9, 9), w, normal(7), dtype=dtype, rtol=1.1 * unit, stride=stride)


@pytest.mark.parametrize(("dtype", "unit"), [(genesis.float16, 2.0 ** -11), (genesis.bfloat16, 2.0 ** -8)])
def test_short_floats_are_added_up_in_float32(dtype, unit):
    compare("conv2d", normal(2, 20, 9, 11), normal(4, 20, 3, 3, seed=1), normal(4), dtype=dtype, rtol=1.1 * unit,
            padding=1)
    compare("conv2d", normal(2, 20, 8, 8), normal(4, 20, 1, 1, seed=1), dtype=dtype, rtol=1.1 * unit)
    compare("conv_transpose2d", normal(2, 4, 5, 5), normal(4, 3, 3, 3, seed=1), dtype=dtype, rtol=1.1 * unit, stride=2)


@needs_float64
def test_float64_convolutions():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 3, 9, 11)), rng.standard_normal((4, 3, 3, 3))
    for options in ({"padding": 1}, {"stride": 2}):
        compare("conv2d", x, w, normal(4), dtype=genesis.float64, rtol=1e-13, **options)


def test_views_as_operands():
    x, w, g = normal(3, 8, 9, 10), normal(5, 4, 3, 3, seed=1), normal(3, 5, 9, 8, seed=2)
    views = [lambda v: v[:, ::2], lambda v: v.permute(0, 1, 3, 2)[:, 4:], lambda v: v[:, 1:5, 1:, 2:],
             lambda v: v[:1, :4].expand(3, 4, 9, 10), lambda v: v.permute(1, 0, 2, 3)[1:5].permute(1, 0, 2, 3)]
    for view in views:
        a, b = leaf(x), torch.tensor(x, requires_grad=True)
        c, d = leaf(w), torch.tensor(w, requires_grad=True)
        y = F.conv2d(view(a), c.permute(0, 1, 3, 2), padding=1)
        z = torch.nn.functional.conv2d(view(b), d.permute(0, 1, 3, 2), padding=1)
        close(y, z.detach().numpy(), rtol=1e-4, atol=1e-4)
        y.permute(0, 1, 3, 2).backward(f32(np.resize(g, tuple(z.permute(0, 1, 3, 2).shape))))
        z.permute(0, 1, 3, 2).backward(torch.tensor(np.resize(g, tuple(z.permute(0, 1, 3, 2).shape))))
        close(a.grad, b.grad.numpy(), rtol=1e-4, atol=1e-4)
        close(c.grad, d.grad.numpy(), rtol=1e-4, atol=1e-4)


def test_a_summed_gradient_that_is_one_number_expanded():
    for k in (1, 3):
        x, w = leaf(normal(2, 3, 8, 8)), leaf(normal(4, 3, k, k, seed=1))
        a, b = (torch.tensor(v.detach().numpy().astype(np.float64), requires_grad=True) for v in (x, w))
        F.conv2d(x, w).sum().backward()
        torch.nn.functional.conv2d(a, b).sum().backward()
        close(x.grad, a.grad.numpy(), rtol=1e-4, atol=1e-4)
        close(w.grad, b.grad.numpy(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("stride", [1, 2])
def test_large_batches_go_in_parts(forced, monkeypatch, stride):
    monkeypatch.setattr(conv_stage, "SCRATCH", 40_000)
    compare("conv2d", normal(11, 3, 14, 15), normal(4, 3, 3, 3, seed=1), normal(4), padding=1, stride=stride)
    kinds = conv_weight.PixelSums, conv_weight.ChannelSums
    for plan in (plan for plan in conv_axis._plans.values() if isinstance(plan, kinds)):
        assert plan.step < 11


def test_what_an_earlier_buffer_held_does_not_matter():
    x, w = normal(3, 2, 9, 13), normal(3, 2, 3, 3, seed=1)
    for _ in range(3):
        junk = [genesis.full((n,), float("nan")) for n in (300, 1000, 1500, 2000, 3000)]
        genesis.synchronize()
        del junk
        compare("conv2d", x, w, padding=(0, 1))
        compare("conv2d", x, w, padding=1, stride=(1, 2))


def test_sums_stay_short_where_a_device_limits_loops(monkeypatch):
    device = genesis.device()
    monkeypatch.setattr(device, "quirks", dataclasses.replace(device.quirks, max_loop=400))
    compare("conv2d", normal(3, 20, 17, 18), normal(16, 20, 3, 3, seed=1), normal(16), padding=1)
    with pytest.raises(RuntimeError, match="cannot be trusted with sums of 270 products"):
        F.conv2d(genesis.zeros(1, 30, 5, 5), genesis.zeros(2, 30, 3, 3))


def test_convolutions_repeat_bit_for_bit():
    x, w = leaf(normal(5, 3, 33, 31)), leaf(normal(7, 3, 3, 3, seed=1))
    seen = []
    for _ in range(2):
        x.grad = w.grad = None
        y = F.conv2d(x, w, padding=1, stride=2)
        (y * y).sum().backward()
        seen.append([y.detach().numpy(), x.grad.numpy(), w.grad.numpy()])
    for a, b in zip(*seen):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("needs", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1)])
def test_gradients_go_only_where_they_are_asked_for(needs):
    values = normal(2, 3, 6, 6), normal(4, 3, 3, 3, seed=1), normal(4, seed=2)
    mine = [leaf(v) if need else f32(v) for v, need in zip(values, needs)]
    its = [torch.tensor(v, requires_grad=bool(need)) for v, need in zip(values, needs)]
    F.conv2d(*mine).tanh().sum().backward()
    torch.nn.functional.conv2d(*its).tanh().sum().backward()
    for x, y in zip(mine, its):
        assert (x.grad is None) == (y.grad is None)
        if y.grad is not None:
            close(x.grad, y.grad.numpy(), rtol=1e-4, atol=1e-4)


def test_what_does_not_fit_is_told():
    z = genesis.zeros
    cases = [
        (lambda: F.conv2d(z(1, 3, 4, 4), z(2, 4, 3, 3)), "4 channels, not 3"),
        (lambda: F.conv2d(z(3, 4), z(2, 3, 3, 3)), "3 .unbatched. or 4"),
        (lambda: F.conv2d(z(1, 3, 4, 4), z(2, 3, 3)), "4 dimensions"),
        (lambda: F.conv2d(z(1, 3, 2, 2), z(2, 3, 3, 3)), "more than the padded input"),
        (lambda: F.conv2d(z(1, 3, 4, 4), z(2, 3, 3, 3), stride=0), "stride must be at least 1"),
        (lambda: F.conv2d(z(1, 3, 4, 4), z(2, 3, 3, 3), padding=-1), "padding must be at least 0"),
        (lambda: F.conv2d(z(1, 3, 4, 4), z(2, 3, 3, 3), padding="same", stride=2), "does not go with a stride"),
        (lambda: F.conv2d(z(1, 3, 4, 4), z(2, 3, 3, 3), padding="sam"), "'same', 'valid' or numbers, not 'sam'"),
        (lambda: F.conv2d(z(1, 3, 4, 4), z(2, 3, 3, 3), stride=(1, 2, 3)), "an integer or 2 of them"),
        (lambda: F.conv2d(z(1, 3, 4, 4), z(2, 3, 3, 3), z(3)), "bias of shape .2,."),
        (lambda: F.conv2d(z(1, 4, 4, 4), z(3, 2, 3, 3), groups=2), "does not divide the 3 channels"),
        (lambda: F.conv2d(z(1, 4, 4, 4), z(3, 4, 3, 3), groups=0), "groups must be at least 1"),
        (lambda: F.conv2d(z(1, 4, 4, 4), z(3, 4, 3, 3).half()), "must be of one type"),
        (lambda: F.conv2d(z(1, 4, 4, 4).long(), z(3, 4, 3, 3).long()), "convert to float32"),
        (lambda: F.conv_transpose2d(z(1, 3, 4, 4), z(3, 3, 3, 3), stride=2, output_padding=2),
         "output_padding must be smaller"),
        (lambda: F.conv_transpose2d(z(1, 3, 4, 4), z(2, 3, 3, 3)), "2 channels, not 3"),
        (lambda: F.conv_transpose2d(z(1, 3, 1, 1), z(3, 2, 1, 1), padding=1), "too small"),
    ]
    for call, message in cases:
        with pytest.raises(RuntimeError, match=message):
            call()
    with pytest.raises(TypeError, match="dilation must be an integer"):
        F.conv2d(z(1, 3, 4, 4), z(2, 3, 3, 3), dilation=1.5)


def test_staging_keeps_to_its_memory():
    device = genesis.device()
    x, w = f32(normal(64, 4, 32, 32)), f32(normal(4, 4, 3, 3, seed=1))
    genesis.synchronize()
    device.pool.reset_peak()
    before = device.pool.allocated
    y = F.conv2d(x, w, padding=1)
    genesis.synchronize()
    assert device.pool.peak - before < 3 * max(y.nbytes, 1 << 20) + (1 << 17)      # unfolded it would be nine times y
