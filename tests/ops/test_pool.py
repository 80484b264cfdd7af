"""Pooling against PyTorch."""

import numpy as np
import pytest
from helpers import close, f32, leaf, needs_float64, normal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import genesis
from genesis.nn import functional as F
from genesis.ops import pool

torch = pytest.importorskip("torch")
TF = torch.nn.functional


def compare(name, x, *args, rtol=1e-6, **options):
    """Values, positions and gradients against PyTorch's in float64."""
    a, b = leaf(x), torch.tensor(x, requires_grad=True)
    y, z = getattr(F, name)(a, *args, **options), getattr(TF, name)(b, *args, **options)
    if options.get("return_indices"):
        (y, index), (z, its) = y, z
        assert index.dtype is genesis.int64
        np.testing.assert_array_equal(index.numpy(), its.numpy())
    close(y, z.detach().numpy(), rtol=rtol)
    g = np.random.default_rng(7).standard_normal(tuple(z.shape)).astype(np.float32)
    y.backward(genesis.tensor(g))
    z.backward(torch.tensor(g.astype(np.float64)))
    close(a.grad, b.grad.numpy(), rtol=1e-5)


WINDOWS = [
    ((2, 3, 8, 8), (2,), {}), ((2, 3, 9, 7), (3,), {"stride": 2, "padding": 1}),
    ((1, 2, 5, 5), ((2, 3),), {"stride": (1, 2)}),
    ((1, 2, 7, 7), (3,), {"stride": 2, "ceil_mode": True}),
    ((1, 1, 7, 8), (3,), {"stride": 3, "padding": 1, "ceil_mode": True}),
    ((2, 31, 33), (2,), {}), ((1, 1, 1, 1), (1,), {}), ((0, 2, 4, 4), (2,), {}),
    ((1, 1, 65, 63), (5,), {"stride": 1, "padding": 2}),
    ((1, 3, 4, 1003), ((2, 3),), {}), ((70, 3, 4, 4), (2,), {}), ((1, 1, 10, 10), (2,), {"stride": 4}),
]


@pytest.fixture(params=["gathered", "scattered"])
def gradients(request, monkeypatch):
    """A work-item to each element of a gradient, or, on CPUs, to each plane."""
    monkeypatch.setattr(pool, "_PLANES", 0 if request.param == "scattered" else 1 << 60)


@pytest.mark.parametrize(("x", "args", "options"), WINDOWS, ids=str)
def test_windows_match_torch(x, args, options, gradients):
    compare("max_pool2d", normal(*x), *args, **options, return_indices=True)
    compare("max_pool2d", normal(*x), *args, **options)
    compare("avg_pool2d", normal(*x), *args, **options)
    compare("avg_pool2d", normal(*x), *args, **options, count_include_pad=False)
    compare("avg_pool2d", normal(*x), *args, **options, divisor_override=3)


def test_windows_along_one_dimension_match_torch():
    for x in ((2, 3, 17), (3, 64), (2, 1, 1003)):
        for options in ({}, {"stride": 1}, {"padding": 1, "stride": 2}, {"ceil_mode": True}):
            compare("max_pool1d", normal(*x), 3, **options, return_indices=True)
            compare("avg_pool1d", normal(*x), 3, **options)
            compare("avg_pool1d", normal(*x), (3,), **options, count_include_pad=False)
        compare("max_pool1d", normal(*x), 3, dilation=2)
        compare("adaptive_avg_pool1d", normal(*x), 5)
        compare("adaptive_max_pool1d", normal(*x), 5, return_indices=True)


@st.composite
def windows(draw):
    kernel, stride, dilation = (tuple(draw(st.integers(1, high)) for _ in range(2)) for high in (4, 3, 2))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    sizes = tuple(max(draw(st.integers(1, 20)), 1 + d * (k - 1)) for k, d in zip(kernel, dilation))
    return ((draw(st.integers(1, 3)), draw(st.integers(1, 3)), *sizes), kernel, stride, padding, dilation,
            draw(st.booleans()), draw(st.booleans()))


@given(windows())
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_random_windows_match_torch(case):
    x, kernel, stride, padding, dilation, ceil_mode, include = case
    compare("max_pool2d", normal(*x), kernel, stride, padding, dilation, ceil_mode, return_indices=True)
    compare("avg_pool2d", normal(*x), kernel, stride, padding, ceil_mode, include)


@pytest.mark.parametrize("size", [(4, 5), 1, (None, 3), (1, None), 3, (20, 2)], ids=str)
@pytest.mark.parametrize("x", [(2, 3, 9, 11), (3, 8, 8), (1, 1, 1, 1), (0, 2, 5, 5)], ids=str)
def test_adaptive_windows_match_torch(x, size, gradients):
    compare("adaptive_avg_pool2d", normal(*x), size)
    compare("adaptive_max_pool2d", normal(*x), size, return_indices=True)


def test_no_adaptive_windows():
    assert F.adaptive_avg_pool2d(genesis.ones(1, 2, 4, 4), (0, 2)).shape == (1, 2, 0, 2)


def test_ties_infinities_and_nans():
    values = np.zeros((1, 1, 4, 6), np.float32)
    values[..., 2:] = -np.inf
    compare("max_pool2d", values, 2, return_indices=True)
    values[0, 0, 1, 1] = values[0, 0, 3, 4] = np.nan
    y, index = F.max_pool2d(f32(values), 2, return_indices=True)
    z, its = TF.max_pool2d(torch.tensor(values), 2, return_indices=True)
    np.testing.assert_array_equal(y.numpy(), z.numpy())
    np.testing.assert_array_equal(index.numpy(), its.numpy())


@pytest.mark.parametrize("dtype", [genesis.uint8, genesis.int32, genesis.int64])
def test_largest_integers(dtype):
    values = np.random.default_rng(0).integers(0, 200, (2, 5, 6)).astype(dtype.numpy)
    if dtype is not genesis.uint8:
        values = values - np.iinfo(dtype.numpy).max
    y = F.max_pool2d(genesis.tensor(values), 2, padding=1)
    assert y.dtype is dtype
    np.testing.assert_array_equal(y.numpy(), TF.max_pool2d(torch.tensor(values), 2, padding=1).numpy())


@pytest.mark.parametrize("dtype", [genesis.float16, genesis.bfloat16])
def test_short_floats_are_rounded_once(dtype):
    x = leaf(normal(2, 3, 9, 9), dtype)
    its = torch.tensor(x.detach().numpy().astype(np.float64), requires_grad=True)
    for name in ("max_pool2d", "avg_pool2d"):
        x.grad = its.grad = None
        y, z = getattr(F, name)(x, 3, 2), getattr(TF, name)(its, 3, 2)
        close(y, z.detach().numpy(), rtol=2.0 ** -8)
        y.sum().backward()
        z.sum().backward()
        assert x.grad.dtype is dtype
        close(x.grad, its.grad.numpy(), rtol=2.0 ** -8)


@needs_float64
def test_float64_pooling():
    x = np.random.default_rng(0).standard_normal((2, 7, 7))
    for name in ("max_pool2d", "avg_pool2d"):
        a, b = leaf(x, genesis.float64), torch.tensor(x, requires_grad=True)
        y, z = getattr(F, name)(a, 3, 2), getattr(TF, name)(b, 3, 2)
        close(y, z.detach().numpy(), rtol=1e-14)
        y.sum().backward()
        z.sum().backward()
        close(a.grad, b.grad.numpy(), rtol=1e-14, atol=1e-14)


def test_views_as_input():
    x = normal(2, 4, 9, 10)
    for view in (lambda v: v.permute(0, 1, 3, 2), lambda v: v[:, ::2, 1:, ::2], lambda v: v[0]):
        a, b = leaf(x), torch.tensor(x, requires_grad=True)
        y, z = F.max_pool2d(view(a), 2), TF.max_pool2d(view(b), 2)
        close(y, z.detach().numpy())
        (y.mT * 2).sum().backward()
        (z.mT * 2).sum().backward()
        close(a.grad, b.grad.numpy())


def test_gradients_repeat_bit_for_bit():
    x = leaf(normal(3, 4, 17, 19))
    seen = []
    for _ in range(2):
        x.grad = None
        (F.max_pool2d(x, 3, 1) ** 3).sum().backward()
        seen.append(x.grad.numpy())
    np.testing.assert_array_equal(*seen)


def test_what_does_not_fit_is_told():
    z = genesis.zeros
    cases = [
        (lambda: F.max_pool2d(z(1, 1, 4, 4), 2, padding=2), "at most half"),
        (lambda: F.max_pool2d(z(1, 1, 4, 4), 5), "too small"),
        (lambda: F.max_pool2d(z(4, 4), 2), "3 or 4 dimensions"),
        (lambda: F.max_pool2d(z(1, 3, 0, 4), 2), "only the batch may be empty"),
        (lambda: F.max_pool2d(z(1, 1, 4, 4), 2, stride=0), "stride must be at least 1"),
        (lambda: F.max_pool2d(z(1, 1, 4, 4), (2, 2, 2)), "an integer or 2 of them"),
        (lambda: F.avg_pool2d(z(1, 1, 4, 4), 2, divisor_override=0), "must not be 0"),
        (lambda: F.avg_pool2d(z(1, 1, 4, 4).long(), 2), "convert to float32"),
        (lambda: F.adaptive_avg_pool2d(z(1, 1, 4, 4), -1), "must not be negative"),
        (lambda: F.adaptive_avg_pool1d(z(3, 4, 5), (2, 2)), "a number or 1 of them"),
    ]
    for call, message in cases:
        with pytest.raises(RuntimeError, match=message):
            call()


def test_padding_is_at_most_half_of_the_kernel():
    x, its = genesis.ones(1, 1, 9), torch.ones(1, 1, 9)
    for kernel, padding, dilation in ((2, 2, 3), (3, 2, 2), (5, 4, 2)):
        for lib, values in ((F, x), (TF, its)):
            with pytest.raises(RuntimeError, match="half of"):
                lib.max_pool1d(values, kernel, stride=1, padding=padding, dilation=dilation)


def test_a_window_with_nothing_of_the_input_gets_no_gradient(gradients):
    x = genesis.ones(4, 4, 2, requires_grad=True)
    F.max_pool1d(x, 3, stride=4, padding=1, dilation=3, ceil_mode=True).backward(genesis.ones(4, 4, 1))
    assert not x.grad.any()
