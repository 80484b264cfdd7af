"""Sums, means, extrema, norms: values, gradients, special cases."""

import itertools
import math

import numpy as np
import pytest
from helpers import (
    EDGES,
    check_against_torch,
    check_gradients,
    check_like_torch,
    close,
    f32,
    leaf,
    needs_float64,
    normal,
)

import genesis
from genesis.ops.reduce import reduce

# name -> (tensor, dims, keepdim) -> tensor; the same on arrays
REDUCTIONS = {
    "sum": (lambda x, d, k: x.sum(d, k), lambda x, d, k: x.sum(axis=d, keepdims=k)),
    "mean": (lambda x, d, k: x.mean(d, k), lambda x, d, k: x.mean(axis=d, keepdims=k)),
    "amax": (lambda x, d, k: x.amax(d, k), lambda x, d, k: x.max(axis=d, keepdims=k)),
    "amin": (lambda x, d, k: x.amin(d, k), lambda x, d, k: x.min(axis=d, keepdims=k)),
    "var": (lambda x, d, k: x.var(d, keepdim=k), lambda x, d, k: x.var(axis=d, keepdims=k, ddof=1)),
    "std": (lambda x, d, k: x.std(d, keepdim=k, correction=0), lambda x, d, k: x.std(axis=d, keepdims=k)),
    "norm": (lambda x, d, k: x.norm(dim=d, keepdim=k), lambda x, d, k: np.sqrt((x * x).sum(axis=d, keepdims=k))),
    "norm3": (lambda x, d, k: x.norm(3, d, k), lambda x, d, k: (np.abs(x) ** 3).sum(axis=d, keepdims=k) ** (1 / 3)),
    "norm_inf": (lambda x, d, k: x.norm(math.inf, d, k), lambda x, d, k: np.abs(x).max(axis=d, keepdims=k)),
    "logsumexp": (lambda x, d, k: x.logsumexp(d, k), lambda x, d, k: np.log(np.exp(x).sum(axis=d, keepdims=k))),
}
SUBSETS = [None, *(s for n in (1, 2, 3) for s in itertools.combinations(range(3), n))]


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "var"])
@pytest.mark.parametrize("dims", SUBSETS, ids=str)
def test_every_subset_of_dimensions(name, dims):
    function, reference = REDUCTIONS[name]
    x = normal(3, 4, 5)
    for keepdim in (False, True):
        close(function(f32(x), dims, keepdim), reference(x, dims, keepdim), rtol=1e-5)
    y = x.transpose(2, 0, 1)
    close(function(f32(x).permute(2, 0, 1), dims, False), reference(y, dims, False), rtol=1e-5)
    z = x[:, ::2, 1:]
    close(function(f32(x)[:, ::2, 1:], dims, False), reference(z, dims, False), rtol=1e-5)


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("dims", [(0, 1, 2), (0,), (2,), (0, 2)], ids=str)
def test_gradients(name, dims):
    function, reference = REDUCTIONS[name]
    keepdim = dims == (2,)
    check_gradients(lambda x: function(x, dims, keepdim), lambda x: reference(x, dims, keepdim), normal(3, 4, 5))


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "var", "norm"])
def test_reducing_a_view_and_negative_dimensions(name):
    function, reference = REDUCTIONS[name]
    check_gradients(lambda x: function(x.T[1:, ::2], -1, False), lambda x: reference(x.T[1:, ::2], -1, False),
                    normal(7, 6))


def test_against_torch():
    x = normal(4, 5, 6)
    for function in (lambda x: x.var((0, 2)), lambda x: x.std(1), lambda x: x.logsumexp((0, 1)), lambda x: x.norm(),
                     lambda x: x.softmax(-1), lambda x: x.log_softmax(1), lambda x: x.max(), lambda x: x.min(),
                     lambda x: x.max(1).values, lambda x: x.min(2, keepdim=True)[0], lambda x: x.norm(1, 0)):
        check_against_torch(function, x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n", [*EDGES, 4096, 4097, 8193, 300_007])
def test_sizes_around_block_edges(n):
    x = normal(n)
    t = f32(x)
    scale = np.abs(x).sum() * 1e-6
    close(t.sum(), x.sum(), atol=scale)
    assert t.amax().item() == x.max()
    assert t.amin().item() == x.min()
    assert t.argmax().item() == x.argmax()
    columns = t.reshape(n, 1) * genesis.ones(3)
    close(columns.sum(0), np.full(3, x.sum()), atol=scale)
    assert columns.amin(0).tolist() == [x.min()] * 3


def test_big_reductions_stay_accurate_and_repeat_bit_for_bit():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, 1_000_000).astype(np.float32)
    t = f32(x)
    exact = x.astype(np.float64).sum()
    total = t.sum().item()
    assert abs(total - exact) <= 1e-6 * exact
    assert abs(t.mean().item() - exact / x.size) <= 1e-6 * exact / x.size
    assert t.sum().item() == total
    assert (t.reshape(1000, 1000).sum(0).numpy() == t.reshape(1000, 1000).sum(0).numpy()).all()
    close(t.reshape(1000, 1000).sum(0), x.astype(np.float64).reshape(1000, 1000).sum(0), rtol=3e-6)
    close(t.reshape(1000, 1000).sum(1), x.astype(np.float64).reshape(1000, 1000).sum(1), rtol=1e-6)
    close(t.reshape(10, 10_000, 10).sum(1), x.astype(np.float64).reshape(10, 10_000, 10).sum(1), rtol=3e-6)
    assert genesis.ones(20_000_000).sum().item() == 20_000_000


@pytest.mark.parametrize("dtype", [genesis.float16, genesis.bfloat16])
def test_short_floats_add_up_in_float32(dtype):
    assert genesis.ones(5000, dtype=dtype).sum().item() == np.float32(5000).astype(dtype.numpy)
    assert genesis.ones(5000, dtype=dtype).mean().item() == 1
    assert genesis.full((70_000,), 2.0, dtype=dtype).mean().item() == 2      # the sum is beyond float16
    x = genesis.full((100,), 300.0, dtype=dtype)
    assert x.norm().item() == np.float32(3000).astype(dtype.numpy)           # the squares are beyond float16
    assert x.norm().dtype is x.var().dtype is x.softmax(0).dtype is dtype
    y = genesis.tensor([2.0, 1.0, 0.0], dtype=dtype, requires_grad=True)
    y.softmax(0)[0].backward()
    assert y.grad.dtype is dtype
    close(y.grad.float(), [0.2227, -0.1628, -0.0599], rtol=2e-2)


def test_sums_of_integers_and_booleans_are_int64():
    for dtype in (genesis.uint8, genesis.int32, genesis.int64, genesis.bool):
        x = genesis.ones(1000, dtype=dtype)
        assert x.sum().dtype is genesis.int64
        assert x.sum().item() == 1000
        assert x.reshape(10, 100).sum(1).tolist() == [100] * 10
    big = genesis.tensor([2**62, 1, -2**62, 2**53 + 1])
    assert big.sum().item() == 2**53 + 2
    assert big.amax().item() == 2**62
    assert big.amin().item() == -2**62
    assert genesis.full((300,), 200, dtype=genesis.uint8).sum().item() == 60_000
    assert genesis.full((3,), 2**31 - 1, dtype=genesis.int32).sum().item() == 3 * (2**31 - 1)


def test_sum_converts_to_the_type_asked_for():
    assert genesis.ones(3, dtype=genesis.float16).sum(dtype=genesis.float32).dtype is genesis.float32
    assert genesis.tensor([1, 2]).sum(dtype=genesis.float32).item() == 3
    x = genesis.ones(3, dtype=genesis.float16, requires_grad=True)
    x.sum(dtype=genesis.float32).backward()
    assert x.grad.dtype is genesis.float16


@needs_float64
def test_float64_reductions():
    x = genesis.tensor(np.array([1e16, 1.0, -1e16, 0.5]))
    assert genesis.tensor([1, 2]).sum(dtype=genesis.float64).item() == 3
    assert genesis.ones(100_000, dtype=genesis.int32).sum(dtype=genesis.float64).item() == 100_000
    assert genesis.full((3,), 0.1).sum(dtype=genesis.float64).item() == 3 * float(np.float32(0.1))
    assert x.amax().item() == 1e16
    assert x.argmin().item() == 2
    check = np.random.default_rng(0).standard_normal((7, 1001))
    for dims in ((0,), (1,), None):
        close(genesis.tensor(check).sum(dims), check.sum(axis=dims), rtol=1e-12)


def test_extremes_of_integers():
    for dtype in (genesis.uint8, genesis.int32, genesis.int64):
        x = genesis.tensor([[3, 200, 7], [9, 1, 200]], dtype=dtype)
        assert x.amax().item() == 200
        assert x.amin(0).tolist() == [3, 1, 7]
        assert x.amax(1).dtype is dtype
    assert genesis.tensor([[False, True], [False, False]]).amax(1).tolist() == [True, False]
    assert genesis.tensor([-2**63, 2**63 - 1]).amin().item() == -2**63


@pytest.mark.parametrize("n", [3, 40, 5000])
def test_nan_passes_through_extremes(n):
    for position in {0, n // 2, n - 1}:
        x = normal(n)
        x[position] = np.nan
        for t in (f32(x), f32(x).half().float()):
            assert math.isnan(t.amax().item())
            assert math.isnan(t.amin().item())
            assert math.isnan(t.max().item())
            assert math.isnan(t.sum().item())
        assert f32(x).argmax().item() == position
        assert f32(x).argmin().item() == position
        columns = np.stack([x, normal(n, seed=1)], 1)
        low = f32(columns).amin(0).tolist()
        assert math.isnan(low[0])
        assert low[1] == columns[:, 1].min()


def test_extremes_at_the_ends_of_the_range():
    x = f32([[-np.inf, -np.inf], [np.inf, 1]])
    assert x.amax(1).tolist() == [-np.inf, np.inf]
    assert x.amin(1).tolist() == [-np.inf, 1]
    assert f32([-3e38] * 40).amax().item() == np.float32(-3e38)


def test_positions_of_extremes():
    x = np.array([[1, 5, 5, 0], [7, 7, 2, 2], [0, 0, 0, 0]], np.float32)
    t = f32(x)
    for dim in (None, 0, 1, -1):
        for name in ("argmax", "argmin"):
            expected = getattr(x, name)(axis=dim)
            assert getattr(t, name)(dim).dtype is genesis.int64
            np.testing.assert_array_equal(getattr(t, name)(dim).numpy(), expected)
            np.testing.assert_array_equal(getattr(t.T.contiguous().T, name)(dim).numpy(), expected)
    assert t.argmax(1, keepdim=True).shape == (3, 1)
    assert t.argmax(keepdim=True).shape == (1, 1)
    assert genesis.tensor(3.0).argmax().item() == 0
    for dtype in (genesis.int64, genesis.int32, genesis.uint8, genesis.float16, genesis.bool):
        whole = genesis.tensor([0, 1, 1, 0, 1], dtype=dtype)
        assert whole.argmax().item() == 1
        assert whole[1:].argmin().item() == 2
    values, indices = t.max(1)
    assert values.tolist() == [5, 7, 0]
    assert indices.tolist() == [1, 0, 0]
    assert t.min(0).indices.tolist() == [2, 2, 2, 0]
    long = normal(70_001)
    assert f32(long).argmax().item() == long.argmax()
    assert f32(long).argmin().item() == long.argmin()


def test_equal_extremes_share_the_gradient():
    x = leaf([[1, 5, 5, 0], [7, 2, 2, 2]])
    x.amax(1).sum().backward()
    assert x.grad.tolist() == [[0, 0.5, 0.5, 0], [1, 0, 0, 0]]
    y = leaf([3, 3, 3, 1])
    y.max().backward()
    close(y.grad, [1 / 3, 1 / 3, 1 / 3, 0])


def test_empty_reductions():
    x = genesis.zeros(0, 3)
    assert x.sum().item() == 0
    assert x.sum(0).tolist() == [0, 0, 0]
    assert x.sum(1).shape == (0,)
    assert x.amax(1).shape == x.argmax(1).shape == (0,)
    assert math.isnan(x.mean().item())
    assert np.isnan(x.mean(0).numpy()).all()
    assert x.mean(1).shape == (0,)
    assert x.all().item() is True
    assert x.any().item() is False
    assert x.all(0).tolist() == [True] * 3
    for name in ("amax", "amin", "argmax", "argmin"):
        with pytest.raises(IndexError, match="empty"):
            getattr(x, name)(0)
    assert math.isnan(genesis.ones(1).var().item())
    y = leaf(np.zeros((0, 2)))
    y.sum().backward()
    assert y.grad.shape == (0, 2)


def test_zero_dimensional_tensors_reduce_to_themselves():
    for name in ("sum", "mean", "amax", "amin", "max", "norm"):
        x = leaf(2.5)
        y = getattr(x, name)()
        assert y.shape == ()
        assert y.item() == 2.5
        y.backward()
        assert x.grad.item() == 1
    assert leaf(2.5).sum(0).item() == leaf(2.5).sum(-1).item() == 2.5


def test_wrong_dimensions_are_an_error():
    x = genesis.zeros(2, 3)
    for dims in (2, -3, (0, 5)):
        with pytest.raises(IndexError):
            x.sum(dims)
    with pytest.raises(RuntimeError, match="twice"):
        x.sum((0, -2))
    with pytest.raises(RuntimeError, match="mean"):
        genesis.tensor([1, 2]).mean()


def test_all_and_any():
    values = np.array([[1, 0, 2], [3, 4, np.nan]], np.float32)
    x = f32(values)
    assert x.all().item() is False
    assert x.any().item() is True
    assert x.all(1).tolist() == [False, True]
    assert x.any(0).tolist() == [True, True, True]
    assert genesis.tensor([[0, 0], [0, 5]]).any(1).tolist() == [False, True]
    assert (x > 9).any().dtype is genesis.bool
    for dtype in (genesis.uint8, genesis.int32, genesis.float16):         # as PyTorch has it
        kind = dtype if dtype is genesis.uint8 else genesis.bool
        assert x.to(dtype).any().dtype is x.to(dtype).all(0).dtype is kind


def test_norm_of_zeros_has_no_gradient():
    for p in (2, 3):
        x = leaf(np.zeros(4))
        x.norm(p).backward()
        assert x.grad.tolist() == [0] * 4


def test_logsumexp_and_softmax_do_not_overflow():
    x = f32([[1000.0, 1000.0], [-1000.0, -1001.0], [-np.inf, 0.0], [-np.inf, -np.inf], [np.inf, 0.0]])
    close(x.logsumexp(1), [1000 + math.log(2), -1000 + math.log1p(math.exp(-1)), 0, -np.inf, np.inf])
    close(x[:3].softmax(1), [[0.5, 0.5], [0.7310586, 0.2689414], [0, 1]])
    close(x[:3].log_softmax(1)[:2], [[-math.log(2)] * 2, [-0.3132617, -1.3132617]])


def test_products_and_sums_of_squares():
    x = normal(3, 40, 2)
    t = f32(x)._array
    close(genesis.tensor(0.0)._wrap(reduce("sumsq", t)), (x * x).sum(), rtol=1e-5)
    close(genesis.tensor(0.0)._wrap(reduce("sumsq", t, (1,))), (x * x).sum(1), rtol=1e-5)
    close(genesis.tensor(0.0)._wrap(reduce("prod", t, (1,))), x.prod(1), rtol=1e-4, atol=1e-30)
    out = f32(np.zeros(()))._array
    assert reduce("sum", f32(7.0)._array, None, out=out) is out
    close(genesis.tensor(0.0)._wrap(out), 7.0)


LIKE_TORCH = {
    "prod": lambda t, x: x.prod(1),
    "prod_all": lambda t, x: t.prod(x),
    "max_dim": lambda t, x: x.max(1),
    "min_dim": lambda t, x: t.min(x, -1, keepdim=True),
    "max_other": lambda t, x: x.max(x.detach() * 2),
    "min_other": lambda t, x: t.min(x, x.detach() * 2),
    "aminmax": lambda t, x: x.aminmax(dim=0),
    "var": lambda t, x: x.var(0),
    "var_biased": lambda t, x: x.var(1, False),
    "var_two": lambda t, x: x.var((0, 2), keepdim=True, correction=2),
    "var_all": lambda t, x: x.var(unbiased=False),
    "var_bool": lambda t, x: x.var(False),
    "std": lambda t, x: x.std(-1, True, True),
    "var_mean": lambda t, x: t.var_mean(x, (1, 2)),
    "std_mean": lambda t, x: t.std_mean(x, 2),
    "count_nonzero": lambda t, x: t.count_nonzero(x.detach().round(), (0, 1)),
    "count_nonzero_all": lambda t, x: x.detach().round().count_nonzero(),
    "nansum": lambda t, x: t.where(x > 0.5, math.nan, x).nansum(1),
    "nanmean": lambda t, x: t.where(x > 0.5, math.nan, x).nanmean((0, 1)),
    "logsumexp": lambda t, x: x.logsumexp((0, 2)),
    "any": lambda t, x: (x.detach() > 1).any((0, 2)),
    "all": lambda t, x: t.all(x.detach() > -1, 1),
    "norm_fro": lambda t, x: x.norm("fro", (0, 1)),
    "norm_out": lambda t, x: t.norm(x, 3, 1, True),
    **{f"norm_{p}": (lambda t, x, p=p: x.norm(p, 1)) for p in (0, 0.5, 1, 1.5, 2, 4, -1, -2, math.inf, -math.inf)},
    **{f"norm_all_{p}": (lambda t, x, p=p: x.norm(p)) for p in (0, 1, 2, 2.5, math.inf)},
}


@pytest.mark.parametrize("name", LIKE_TORCH)
@pytest.mark.parametrize("layout", ["plain", "turned", "part"])
def test_like_torch(name, layout):
    look = {"plain": lambda x: x, "turned": lambda x: x.permute(2, 0, 1), "part": lambda x: x[:, 1::2]}[layout]
    x = normal(4, 5, 6).astype(np.float32)
    if name.endswith("_0"):      # PyTorch gives the 0-norm no gradient, or zeros, by version
        check_like_torch(lambda t, x: LIKE_TORCH[name](t, look(x)), x, gradients=[])
        return
    check_like_torch(lambda t, x: LIKE_TORCH[name](t, look(x)), x, rtol=2e-5)


def test_the_gradient_of_an_extreme_along_a_dimension_goes_to_its_position():
    x = leaf([[1, 5, 5, 0], [7, 2, 2, 7]])
    values, indices = x.max(1)
    values.backward(f32([2, 3]))
    assert indices.tolist() == [1, 0]
    assert x.grad.tolist() == [[0, 2, 0, 0], [3, 0, 0, 0]]
    y = leaf([[1, np.nan, np.nan], [3, 0, 0]])
    values, indices = y.min(1)
    values.sum().backward()
    assert indices.tolist() == [1, 1]
    assert math.isnan(values[0].item())
    assert y.grad.tolist() == [[0, 1, 0], [0, 1, 0]]


@pytest.mark.parametrize("n", [1, 15, 16, 17, 33, 4096, 4097, 70_001])
def test_extremes_and_their_positions_around_block_edges(n):
    x = np.random.default_rng(n).integers(0, max(2, n // 2), n).astype(np.float32)
    for values in (x, np.repeat(x[:, None], 3, 1), np.stack([x, -x])):
        axis = int(values.shape[0] == 2 and values.ndim == 2 and n != 2)
        for name in ("max", "min"):
            found = getattr(f32(values), name)(axis)
            assert (found.values.numpy() == getattr(values, name)(axis)).all()
            assert (found.indices.numpy() == getattr(values, "arg" + name)(axis)).all()
    x[-1] = np.nan
    assert f32(x).argmax().item() == f32(x).argmin().item() == n - 1


@pytest.mark.parametrize("inner", [1, 15, 16, 17, 255, 256, 257, 300])
@pytest.mark.parametrize("n", [1, 7, 8, 9, 200, 5000])
def test_columns_of_every_width(inner, n):
    x = normal(n, inner)
    t = f32(x)
    close(t.sum(0), x.sum(0), atol=1e-6 * n)
    close(t.mean(0), x.mean(0), atol=1e-6)
    assert (t.amax(0).numpy() == x.max(0)).all()
    close(t.norm(1, 0), abs(x).sum(0))
    close(t.var(0), x.var(0, ddof=1) if n > 1 else np.full(inner, np.nan), rtol=1e-5)


def test_variance_does_not_suffer_from_a_large_mean():
    x = (normal(3, 20_000) + 10_000).astype(np.float32)
    for axis in (0, 1, None):
        for values in (x, x.T):
            expected = values.astype(np.float64).var(axis, ddof=1)
            close(f32(values).var(axis), expected, rtol=1e-4)
    assert genesis.full((100_000,), 3.7).var().item() == 0
    assert math.isnan(genesis.ones(1).var().item())
    with pytest.raises(RuntimeError, match="variance"):
        genesis.tensor([1, 2]).var()


def test_deviation_0_has_no_gradient():
    x = leaf([2.0, 2.0, 2.0])
    x.std().backward()
    assert x.grad.tolist() == [0, 0, 0]


def test_sums_go_into_a_part_of_a_larger_array():
    for shape, axes in (((40, 33), (0,)), ((40, 33), (1,)), ((5, 6, 7), (1,)), ((5, 6, 7), None), ((7,), ())):
        x = normal(*shape)
        expected = x.sum(axes if axes is None else tuple(axes))
        whole = genesis.full((expected.size + 7,), -1.0)
        out = whole._array.view(expected.shape, genesis.ops.array.contiguous_strides(expected.shape), 3)
        assert reduce("sum", f32(x)._array, axes, out=out) is out
        close(whole[3:3 + expected.size].reshape(expected.shape), expected, atol=1e-5)
        assert whole[:3].tolist() == [-1] * 3
        assert whole[3 + expected.size:].tolist() == [-1] * 4


def test_truth_of_fractions():
    x = f32([0.25, 0.0, -0.5])
    assert x.any().item() is True
    assert x[:1].all().item() is True
    assert x.all().item() is False
    assert x.count_nonzero().item() == 2
    assert genesis.full((100_003,), 0.3).count_nonzero().item() == 100_003
    assert genesis.tensor([0.3], dtype=genesis.bfloat16).all().item() is True


def test_allclose():
    x = f32([1.0, 2.0, np.nan])
    assert genesis.allclose(x, x * (1 + 1e-6), equal_nan=True)
    assert not genesis.allclose(x, x)
    assert not genesis.allclose(x[:2], x[:2] + 1e-3)
    assert genesis.allclose(x[:2], x[:2] + 1e-3, atol=1e-2)


@pytest.mark.parametrize("axes", [(0, 2), (0, 2, 3), (1, 3), (0, 1, 3), (0, 3)])
@pytest.mark.parametrize("dtype", [genesis.float32, genesis.bfloat16, genesis.int32, genesis.bool],
                         ids=lambda d: d.name)
def test_dimensions_apart_are_reduced_one_after_the_other(axes, dtype):
    values = np.random.default_rng(0).integers(0, 2 if dtype is genesis.bool else 9, (3, 5, 4, 7))
    x = genesis.tensor(values).to(dtype)
    for keepdim in (False, True):
        exact = values.sum(axes, keepdims=keepdim)               # rounded once, at the end
        np.testing.assert_array_equal(x.sum(axes, keepdim).numpy(), exact.astype(dtype.numpy) if
                                      dtype.is_floating_point else exact)
        np.testing.assert_array_equal(x.count_nonzero(axes).numpy(), np.count_nonzero(values, axes))
        np.testing.assert_array_equal(x.amax(axes, keepdim).float().numpy(), values.max(axes, keepdims=keepdim))
        np.testing.assert_array_equal(x.all(axes, keepdim).numpy(), values.all(axes, keepdims=keepdim))
    if dtype.is_floating_point:
        close(x.float().mean(axes), values.mean(axes), rtol=1e-6)
        close(x.norm(3, axes).float(), (values.astype(float) ** 3).sum(axes) ** (1 / 3),
              rtol=1e-2 if dtype is genesis.bfloat16 else 1e-5)


@pytest.mark.parametrize("n", [1, 2, 3, 31, 32, 33])
@pytest.mark.parametrize("rows", [1, 255, 257, 1000])
def test_short_rows(n, rows):
    values = np.random.default_rng(n).standard_normal((rows, n)).astype(np.float32)
    x = genesis.tensor(np.pad(values, ((1, 1), (0, 0))))[1:-1]           # does not begin at the memory's beginning
    close(x.sum(1), values.astype(np.float64).sum(1), atol=1e-5)
    close(x.mean(1), values.astype(np.float64).mean(1))
    close(x.amin(1), values.min(1), rtol=0, atol=0)
    found = x.round().max(1)                                             # with equal elements: the first of them
    np.testing.assert_array_equal(found.indices.numpy(), np.round(values).argmax(1))
    np.testing.assert_array_equal(found.values.numpy(), np.round(values).max(1))
    np.testing.assert_array_equal(x.argmin(1).numpy(), values.argmin(1))
    values[rows // 2, -1] = np.nan
    assert genesis.tensor(values).argmax(1)[rows // 2].item() == n - 1
    assert np.isnan(genesis.tensor(values).amax(1).numpy()).nonzero()[0].tolist() == [rows // 2]


@pytest.mark.parametrize("shape", [(9001,), (3, 40), (700, 300)])
def test_nansum_leaves_out_nan_only(shape):
    x = normal(*shape)
    x.flat[::5] = np.nan
    for axis in (None, 0, -1):
        close(f32(x).nansum(axis), np.nansum(x.astype(np.float64), axis), atol=1e-2)
    close(f32(x).half().nansum(0).float(), np.nansum(x, 0), rtol=2e-3, atol=0.1)
    assert f32([np.inf, np.nan, -1]).nansum().item() == np.inf
    assert math.isnan(f32([np.inf, np.nan, -np.inf]).nansum().item())
    assert f32([np.nan]).nansum().item() == 0
    assert f32([1.7, np.nan, 1.7]).nansum(dtype=genesis.int64).item() == 2
