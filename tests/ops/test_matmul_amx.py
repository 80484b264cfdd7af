"""Products by ``matmul_amx.cl``: on the processor's tiles where it has them, and everywhere with tiles in OpenCL C."""

import numpy as np
import pytest
from helpers import f32, normal, run_python

import genesis
from genesis.opencl import amx
from genesis.ops import matmul, matmul_amx

device = genesis.device()
needs_blocks = pytest.mark.skipif(not matmul.by_blocks(device),
                                  reason="products do not go by blocks of the cache here")
needs_amx = pytest.mark.skipif(not matmul_amx.works(device), reason="the processor or the runtime has no AMX")
WAYS = [pytest.param(True, id="emulated", marks=needs_blocks), pytest.param(False, id="amx", marks=needs_amx)]
ROUNDING = {genesis.float32: 2.0 ** -24, genesis.float16: 2.0 ** -11, genesis.bfloat16: 2.0 ** -8}
KERNEL = {"ops/matmul_amx.cl:matmul_amx"}


def exact(t):
    return t.detach().float().numpy().astype(np.float64)


def error(result, a, b, bias=0):
    """The most that an element is off by, in sums of the absolute products."""
    x, y = exact(a), exact(b)
    return (np.abs(exact(result) - x @ y - bias) / (np.abs(x) @ np.abs(y) + np.abs(bias))).max()


def laid(x, dtype, layout):
    """A tensor of x's values whose rows, columns or neither lie without gaps."""
    t = f32(x).to(dtype)
    if layout == "columns":
        return t.mT.contiguous().mT
    if layout == "steps":
        wide = genesis.zeros(x.shape[0], 2 * x.shape[1], dtype=dtype)
        wide[:, ::2] = t
        return wide[:, ::2]
    return t


def used():
    """The kernels that products were multiplied with."""
    return {plan[0].name for plan in matmul._plans.values()}


@pytest.mark.parametrize("emulated", WAYS)
@pytest.mark.parametrize("dtype", ROUNDING, ids=lambda d: d.name)
def test_sizes_and_layouts(emulated, dtype):
    layouts = [("rows", "rows"), ("columns", "columns")]
    if dtype is genesis.float32:
        layouts += [("rows", "columns"), ("columns", "rows"), ("steps", "steps"), ("rows", "steps")]
    with matmul.by_amx(emulated):
        for m, k, n in ((2, 2, 3), (31, 33, 65), (32, 32, 32), (70, 97, 33)):
            for left, right in layouts:
                a, b = laid(normal(m, k), dtype, left), laid(normal(k, n, seed=1), dtype, right)
                result = a @ b
                assert result.dtype is dtype
                assert error(result, a, b) < ROUNDING[dtype] * (12 if dtype is genesis.float32 else 1.01)
        assert used() == KERNEL


@pytest.mark.parametrize("emulated", WAYS)
def test_batches_biases_and_mixed_types(emulated):
    bias = f32(normal(50, seed=2))
    with matmul.by_amx(emulated):
        x, y = f32(normal(3, 2, 40, 33)), f32(normal(2, 33, 50, seed=1))
        assert error(x @ y, x, y) < 1e-6
        turned = x.permute(1, 0, 2, 3)
        assert error(turned @ y[:, None], turned, y[:, None]) < 1e-6
        for dtype in ROUNDING:
            result = genesis.nn.functional.linear(x, y[0].mT, bias.to(dtype))
            assert error(result, x, y[0], exact(bias.to(dtype))) < 1e-6
        for low in (genesis.float16, genesis.bfloat16):
            for a, b in ((x, y.to(low)), (x.to(low), y)):
                result = a @ b
                assert result.dtype is genesis.float32
                assert error(result, a, b) < 1e-6
        assert used() == KERNEL


@pytest.mark.parametrize("emulated", WAYS)
def test_what_is_infinite_or_no_number_stays_where_it_belongs(emulated):
    inf, nan, top = np.inf, np.nan, float(np.finfo(np.float32).max)
    a, b = normal(40, 50), normal(50, 60, seed=1)
    a[3, 4], a[5, 6], a[7, 8] = inf, nan, -inf
    a[:, 10], a[9, 10], b[10] = 0, top, 0.25                         # near the largest number
    a[:, 12], a[11, 12], b[12, :14] = 0, 1e30, 1e30                  # beyond it
    b[4, 7], b[13, 14], a[:, 13] = 0, inf, -1                        # inf * 0; a column of -inf
    a[15] *= 1e-20                                                   # small beside large
    with np.errstate(all="ignore"):
        expected = a.astype(np.float32).astype(np.float64) @ b.astype(np.float32).astype(np.float64)
        expected = expected.astype(np.float32)
    with matmul.by_amx(emulated):
        for x, y, wanted in ((a, b, expected), (b.T, a.T, expected.T)):
            result = (f32(x) @ f32(y)).numpy()
            assert np.array_equal(np.isnan(result), np.isnan(wanted))
            assert np.array_equal(np.isinf(result), np.isinf(wanted))
            finite = np.isfinite(wanted)
            assert (np.sign(result) == np.sign(wanted))[np.isinf(wanted)].all()
            np.testing.assert_allclose(result[finite], wanted[finite], rtol=1e-4, atol=1e-4)
        assert used() == KERNEL


@pytest.mark.parametrize("emulated", WAYS)
def test_small_numbers_keep_what_bfloat16_can_hold_of_them(emulated):
    signs = np.sign(normal(40, 48))
    with matmul.by_amx(emulated):
        for size, bound in ((1e-30, 1e-6), (1e-33, 1e-5), (1e-36, 1e-2), (1e-42, 1)):
            a = np.abs(normal(40, 48)) * size
            assert error(f32(a) @ f32(signs.T), f32(a), f32(signs.T)) <= bound
            a[:, :16] = 1                              # beside ordinary ones, they do not count
            for x, y in ((a, signs.T), (signs, a.T)):
                assert error(f32(x) @ f32(y), f32(x), f32(y)) < 1e-6
        tails = np.exp(-np.random.default_rng(0).uniform(0, 104, (64, 64))).astype(np.float32)
        assert error(f32(tails) @ f32(normal(64, 64)), f32(tails), f32(normal(64, 64))) < 1e-6


@pytest.mark.parametrize("emulated", WAYS)
@pytest.mark.parametrize("precision", matmul_amx.PRECISIONS)
def test_no_number_is_lost_whatever_its_bits_are(emulated, precision):
    x = np.ones((40, 40), np.float32)
    x.view(np.uint32)[[3, 5, 7, 9], [20, 4, 33, 12]] = 0x7fffffff, 0xffffffff, 0x7f800001, 0x7f7fffff
    before = genesis.get_float32_matmul_precision()
    genesis.set_float32_matmul_precision(precision)
    try:
        with matmul.by_amx(emulated):
            results = [f32(x) @ f32(np.eye(40)), (f32(np.eye(40)) @ f32(x.T)).mT]
    finally:
        genesis.set_float32_matmul_precision(before)
    for result in results:
        assert np.isnan(result.numpy()[[3, 5, 7], [20, 4, 33]]).all()
        assert np.isfinite(result.numpy()[[0, 9]]).all()


@pytest.mark.parametrize("emulated", WAYS)
def test_precisions_of_float32(emulated):
    a, b = f32(normal(40, 50)), f32(normal(50, 60, seed=1))
    before = genesis.get_float32_matmul_precision()
    off = {}
    try:
        with matmul.by_amx(emulated):
            for name in matmul_amx.PRECISIONS:
                genesis.set_float32_matmul_precision(name)
                off[name] = error(a @ b, a, b)
                half = a.half() @ b.half()
                assert error(half, a.half(), b.half()) < 1.01 * ROUNDING[genesis.float16]
    finally:
        genesis.set_float32_matmul_precision(before)
    assert off["highest"] < 1e-6 < off["high"] < 3e-5 < off["medium"] < 4e-3


@pytest.mark.parametrize("emulated", WAYS)
def test_gradients(emulated):
    x, w = (f32(normal(*s)).requires_grad_() for s in ((3, 40, 33), (50, 33)))
    g = f32(normal(3, 40, 50, seed=3))
    with matmul.by_amx(emulated):
        genesis.nn.functional.linear(x, w).backward(g)
        assert used() == KERNEL
    assert error(x.grad, g, w) < 1e-6
    assert error(w.grad, g.reshape(-1, 50).mT, x.reshape(-1, 33)) < 1e-6


@needs_amx
def test_large_products_are_as_precise_as_without_amx():
    for m, k, n in ((300, 2100, 600), (513, 700, 1100)):
        a, b = f32(normal(m, k)), f32(normal(k, n, seed=1))
        matmul.forget_plans()
        quick = a @ b
        assert used() == KERNEL
        with matmul.matmul_tiles.using(device, matmul.tiles_for(device)):
            matmul.forget_plans()
            other = a @ b
            assert used() == {"ops/matmul_block.cl:matmul_block"}
        matmul.forget_plans()
        reference = exact(a) @ exact(b)
        rms = [np.sqrt(((exact(x) - reference) ** 2).mean()) for x in (quick, other)]
        assert rms[0] < rms[1]
        assert error(quick, a, b) < 1e-6


@needs_amx
def test_16_bit_sums_over_more_steps_than_fit_are_rounded_once():
    for dtype in (genesis.float16, genesis.bfloat16):
        a, b = f32(normal(100, 3000)).to(dtype), f32(normal(3000, 90, seed=1)).to(dtype)
        with matmul.by_amx():
            assert error(a @ b, a, b) < 1.01 * ROUNDING[dtype]


@needs_amx
def test_small_products_go_another_way():
    matmul.forget_plans()
    for m, k, n in ((16, 16, 16), (4, 4000, 100), (64, 64, 64)):
        genesis.ones(m, k) @ genesis.ones(k, n)
    assert used() == {"ops/matmul_block.cl:matmul_block"}


@pytest.mark.parametrize("units", [1, 2, 16, 60])
def test_blocks_cover_the_product_and_keep_the_cores_busy(units):
    work = (3, 3, 6)
    for m, k, n, count in ((2048, 2048, 2048, 1), (4096, 768, 3072, 1), (33, 33, 33, 1), (2048, 50, 100, 1),
                           (256, 64, 256, 48)):
        blocks = matmul_amx.cut((m, n, k, count), units, (1024, 128), work)
        assert blocks.mc % 32 == blocks.nc % 32 == blocks.kc % 32 == 0
        assert 0 < blocks.nc <= 1024
        assert 0 < blocks.kc <= 128
        groups = count * -(-m // blocks.mc) * -(-n // blocks.nc)
        assert groups > min(units, (m // 128) * (n // 128)) // 2
        fewer = matmul_amx.cut((m, n, k, count), 1, (1024, 128), work)
        assert blocks.cost <= fewer.cost


def test_amx_is_asked_for_only_where_it_is(monkeypatch):
    class Library:
        asked = 0
        answer = 0

        def __init__(self, name):
            pass

        def syscall(self, *numbers):
            Library.asked += 1
            return Library.answer

    with_amx = "flags\t\t: fpu amx_bf16 amx_tile\n"
    monkeypatch.setattr(amx.platform, "system", lambda: "Linux")
    monkeypatch.setattr(amx.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(amx.ctypes, "CDLL", Library)

    def granted(text, switch="1", answer=0):
        amx.granted.cache_clear()
        Library.asked, Library.answer = 0, answer
        monkeypatch.setenv("GENESIS_AMX", switch)
        with monkeypatch.context() as patch:
            patch.setattr(amx.Path, "read_text", lambda self, **kwargs: text)
            return amx.granted(), Library.asked

    try:
        assert granted(with_amx) == (True, 1)
        assert granted(with_amx, answer=-1) == (False, 1)
        assert granted("flags\t\t: fpu amx_tile\n") == (False, 0)
        assert granted("") == (False, 0)
        assert granted(with_amx, switch="0") == (False, 0)
    finally:
        amx.granted.cache_clear()


@needs_amx
def test_without_amx_products_go_by_blocks():
    names = run_python("""
        import genesis
        from genesis.ops import matmul
        genesis.ones(512, 512) @ genesis.ones(512, 512)
        print({plan[0].name for plan in matmul._plans.values()})
    """, GENESIS_AMX="0")
    assert names.strip() == "{'ops/matmul_block.cl:matmul_block'}"
