"""Special functions, divisors, running extrema and statistics: what the table of operations does not say."""

import itertools

import numpy as np
import pytest
from helpers import close, f32, leaf

import genesis
from genesis import special

torch = pytest.importorskip("torch")

# Points on both sides of where the kernels change their formulas, and far out.
POINTS = {
    "gammaln": [1e-6, 0.1, 0.499, 0.5, 0.999, 1.001, 1.5, 1.9, 2.1, 2.5, 7.9, 8.0, 100, 1e4, -0.1, -0.5, -2.7, -20.4],
    "digamma": [1e-5, 0.1, 0.5, 1, 5, 9.9, 10, 1e4, -0.3, -1.5, -10.2],
    "erfinv": [-0.999999, -0.7, -1e-6, 0.1, 0.49, 0.51, 0.9, 0.99999],
    "ndtri": [1e-30, 1e-10, 1e-4, 0.019, 0.021, 0.3, 0.7, 0.99, 0.999],
    "log_ndtr": [-100, -20.1, -10.1, -9.9, -5, -1, 0.5, 1.1, 5],
    "ndtr": [-5, -3, -0.1, 0.5, 4],
    "i0": [-19, -3, 0.1, 5, 19.9, 20, 80], "i0e": [-19, -3, 0.1, 5, 19.9, 20, 1000],
    "i1": [-25, -3, 0.1, 5, 19.9, 20, 80], "i1e": [-25, -3, 0.1, 5, 19.9, 20, 1000],
    "entr": [0.0, 0.2, 1.0, 3.0], "expit": [-80, 0.5, 80],
}
EDGES = {
    "gammaln": [0.0, -1.0, np.inf, np.nan], "digamma": [0.0, -0.0, -2.0, np.inf, np.nan],
    "erfinv": [-1.0, 1.0, 1.5, np.nan], "ndtri": [0.0, 1.0, -0.1, 1.1, np.nan],
    "log_ndtr": [np.inf, -1e18, np.nan], "i0": [0.0, np.nan], "i1": [0.0, np.nan], "i0e": [0.0, np.inf],
    "entr": [-1.0, np.nan, np.inf],
}


@pytest.mark.parametrize("name", POINTS)
def test_functions_have_the_accuracy_of_their_type(name):
    x = np.asarray(POINTS[name], np.float32)
    mine, its = leaf(x), torch.tensor(x, dtype=torch.float64, requires_grad=True)
    found, wanted = getattr(special, name)(mine), getattr(torch.special, name)(its)
    close(found, wanted.detach(), rtol=3e-6, atol=1e-7 if name in ("gammaln", "digamma") else 0)
    found.sum().backward()
    wanted.sum().backward()
    finite = np.isfinite(its.grad.numpy()) & (np.abs(its.grad.numpy()) < 3e38)
    np.testing.assert_allclose(mine.grad.numpy()[finite], its.grad.numpy()[finite], rtol=2e-5, atol=3e-9)


@pytest.mark.parametrize("name", EDGES)
def test_functions_end_as_those_of_torch(name):
    x = np.asarray(EDGES[name], np.float32)
    np.testing.assert_allclose(getattr(special, name)(f32(x)).numpy(), getattr(torch.special, name)(torch.tensor(x)),
                               rtol=1e-5)


def test_the_other_names_are_there():
    x = np.linspace(0.1, 0.9, 6, dtype=np.float32).reshape(2, 3)
    for name in ("logit", "psi", "erf", "erfc", "exp2", "expm1", "log1p", "sinc", "round"):
        close(getattr(special, name)(f32(x)), getattr(torch.special, name)(torch.tensor(x)), rtol=1e-5)
    for name, argument in (("logsumexp", 1), ("softmax", 1), ("log_softmax", 0)):
        close(getattr(special, name)(f32(x), argument), getattr(torch.special, name)(torch.tensor(x), argument))
    close(special.multigammaln(f32(x + 3), 2), torch.special.multigammaln(torch.tensor(x + 3), 2), rtol=1e-5)
    for n in range(4):
        close(special.polygamma(n, f32(x)), torch.special.polygamma(n, torch.tensor(x)), rtol=1e-5)
    for name in ("xlogy", "xlog1py"):
        for pair in ((x, x[0]), (2.0, x), (x, 0.5), (x * 0, x * 0 - 1), (x, x * np.float32("nan"))):
            found, wanted = (getattr(lib.special, name)(*(p if isinstance(p, float) else lib.tensor(p) for p in pair))
                             for lib in (genesis, torch))
            close(found, wanted, rtol=1e-5)
    with pytest.raises(TypeError, match="Tensor"):
        special.xlogy(1.0, 2.0)
    with pytest.raises(RuntimeError, match="negative"):
        f32([1.0]).polygamma(-1)


def test_second_derivatives_are_those_of_torch():
    x = np.linspace(0.2, 0.8, 5)
    for name in ("gammaln", "digamma", "erfinv", "ndtri", "log_ndtr", "i0", "i0e", "i1", "i1e"):
        second = []
        for lib, dtype in ((genesis, genesis.float32), (torch, torch.float64)):
            t = lib.tensor(x, dtype=dtype, requires_grad=True)
            g, = lib.autograd.grad(getattr(lib.special, name)(t).sum(), t, create_graph=True)
            second.append(lib.autograd.grad(g.sum(), t)[0].numpy())
        np.testing.assert_allclose(second[0], second[1], rtol=1e-4, atol=1e-5, err_msg=name)


def test_divisors_and_multiples_of_integers():
    numbers = np.array([0, 1, -4, 6, 12, -18, 35, 2 ** 31 - 1, -2 ** 31, 2 ** 40])
    for kind in ("int32", "int64", "uint8"):
        given = numbers[np.abs(numbers) < {"int32": 2 ** 31, "int64": 2 ** 62, "uint8": 256}[kind]]
        given = np.abs(given) if kind == "uint8" else given
        a, b = (np.array(v).astype(kind) for v in zip(*itertools.product(given, given[:7])))
        for name in ("gcd", "lcm"):
            found, wanted = (getattr(lib, name)(lib.tensor(a), lib.tensor(b)) for lib in (genesis, torch))
            assert found.dtype is getattr(genesis, kind)
            assert found.tolist() == wanted.tolist(), f"{name} of {kind}"
    assert genesis.tensor([12, 18]).gcd_(genesis.tensor([8, 27])).tolist() == [4, 9]
    for other in (f32([2.0]), 2.0, genesis.tensor([True])):
        with pytest.raises(NotImplementedError, match="gcd"):
            (f32([1.0]) if other is not None and not hasattr(other, "tolist") else other).gcd(other)


def test_floating_point_numbers_as_such():
    x = np.float32([0.0, -0.0, 1.0, -3.75, 1e-30, 3e38, np.inf, -np.inf, np.nan])
    mantissa, exponent = f32(x).frexp()
    wanted = np.frexp(x)
    np.testing.assert_array_equal(mantissa.numpy(), wanted[0])
    np.testing.assert_array_equal(exponent.numpy(), np.where(np.isfinite(x), wanted[1], 0))
    with pytest.raises(RuntimeError, match="floating"):
        genesis.tensor([1]).frexp()
    to = np.float32([1.0, -1.0, 2.0, 0.0, 1.0, np.inf, 0.0, 0.0, 1.0])
    normal = slice(2, None)                # some devices flush what is below the smallest normal number to 0
    np.testing.assert_array_equal(f32(x).nextafter(f32(to)).numpy()[normal], np.nextafter(x, to)[normal])
    with pytest.raises(NotImplementedError, match="float16"):
        f32([1.0]).half().nextafter(f32([2.0]).half())


def test_running_extrema_keep_the_last_of_equal_ones_and_nan():
    x = np.float32([[2, 1, 2, np.nan, 3, np.nan], [-1, -1, -5, 0, -0.0, 7], [np.nan, 1, 2, 3, 3, 3]])
    for name in ("cummax", "cummin"):
        for values in (x, x.T.copy(), np.array([[3, 1, 3], [2, 2, 1]]), np.array([[True, False], [True, True]])):
            for dim in (0, 1):
                found, wanted = (getattr(lib.tensor(values), name)(dim) for lib in (genesis, torch))
                np.testing.assert_array_equal(found.values.numpy(), wanted.values.numpy())
                assert found.indices.tolist() == wanted.indices.tolist()
    values, indices = f32(3.0).cummax(0)
    assert (values.item(), indices.item()) == (3.0, 0)
    rng = np.random.default_rng(0)
    long = rng.standard_normal(1003).astype(np.float32)
    close(f32(long).cummax(0).values, np.maximum.accumulate(long))
    close(f32(long * 90).logcumsumexp(0), np.logaddexp.accumulate(long.astype(np.float64) * 90), rtol=2e-6)


@pytest.mark.parametrize("order", ["random", "rising", "falling", "NaN"])
def test_running_extrema_of_long_rows(order):
    for n in (47, 5003):
        x = np.round(np.random.default_rng(n).standard_normal((2, n)) * 8).astype(np.float32)
        x = {"rising": np.sort(x), "falling": -np.sort(-x)}.get(order, x)
        if order == "NaN":
            x[0, n // 2] = np.nan
            x[1, [3, n - 1]] = np.nan
        for dtype in ("float32", "float16", "int16") if order == "random" else ("float32",):
            for name in ("cummax", "cummin"):
                found, wanted = (getattr(lib.tensor(x).to(getattr(lib, dtype)), name)(1) for lib in (genesis, torch))
                np.testing.assert_array_equal(found.values.float().numpy(), wanted.values.float().numpy())
                np.testing.assert_array_equal(found.indices.numpy(), wanted.indices.numpy())
    t = leaf(x[1])
    t.cummax(0).values.sum().backward()
    assert t.grad.sum().item() == n


def test_running_logarithms_of_long_rows():
    rng = np.random.default_rng(0)
    for n in (47, 5003):
        x = rng.standard_normal((4, n)).astype(np.float32)
        x[1] *= 500                                  # further apart than exponentials reach
        x[2, ::3] = -np.inf
        x[2, :20] = -np.inf
        x[3, n // 2], x[3, n // 2 + 9] = np.inf, np.nan
        for part in (x, x[:1]):
            mine, its = leaf(part), torch.tensor(part.astype(np.float64), requires_grad=True)
            found, wanted = mine.logcumsumexp(-1), its.logcumsumexp(-1)
            np.testing.assert_allclose(found.detach().numpy(), wanted.detach().numpy(), rtol=2e-6, atol=2e-6)
        g = rng.standard_normal((2, n)).astype(np.float32)
        mine, its = leaf(x[[0, 0]]), torch.tensor(x[[0, 0]].astype(np.float64), requires_grad=True)
        mine.logcumsumexp(1).backward(f32(g))
        its.logcumsumexp(1).backward(torch.tensor(g.astype(np.float64)))
        close(mine.grad, its.grad, rtol=1e-3, atol=1e-4)


def test_running_logarithms_of_nothing_stay_minus_infinity():
    x = np.float32([-np.inf, -np.inf, 1.0, 2.0, -np.inf, 3.0])
    g = np.float32([0.0, 0.0, 1.0, -2.0, 0.5, 0.0])
    mine, its = leaf(x), torch.tensor(x, requires_grad=True)
    found, wanted = mine.logcumsumexp(0), its.logcumsumexp(0)
    close(found, wanted.detach())
    found.backward(f32(g))
    wanted.backward(torch.tensor(g))
    close(mine.grad[2:], its.grad[2:], rtol=1e-4)
    assert mine.grad[:2].tolist() == [0.0, 0.0]           # where PyTorch has NaN
    with pytest.raises(NotImplementedError, match="floating"):
        genesis.tensor([1]).logcumsumexp(0)


def test_mode_is_the_smallest_of_the_most_frequent():
    rng = np.random.default_rng(0)
    for values in (rng.integers(0, 4, (5, 40)), np.float32([[2, 1, 1, 2], [3, np.inf, 0, 0]])):
        for dim in (0, 1):
            values_, indices = genesis.tensor(values).mode(dim)
            wanted = torch.tensor(values).mode(dim)
            np.testing.assert_array_equal(values_.numpy(), wanted.values.numpy())
            taken = np.take_along_axis(values, np.expand_dims(indices.numpy(), dim), dim).squeeze(dim)
            np.testing.assert_array_equal(taken, wanted.values.numpy())
    assert genesis.tensor([7, 3, 3, 7]).mode().indices.item() == 2      # the last 3
    with pytest.raises(IndexError, match="empty"):
        genesis.zeros(2, 0).mode()


def test_quantiles_leave_nan_out():
    x = np.float32([[1, np.nan, 3, 2], [np.nan] * 4, [4, 3, 2, 1]])
    for q in (0.5, [0.0, 0.3, 1.0]):
        for dim in (0, 1, None):
            found, wanted = (lib.tensor(x).nanquantile(q if isinstance(q, float) else lib.tensor(q), dim)
                             for lib in (genesis, torch))
            close(found, wanted)
    with pytest.raises(ValueError, match="interpolation"):
        f32(x).nanquantile(0.5, interpolation="best")


def test_histograms_are_those_of_torch():
    rng = np.random.default_rng(0)
    x, w = rng.uniform(-2, 2, (2, 7, 50)).astype(np.float32)
    edges = np.float32([-1.5, -0.5, 0.25, 1.0])
    calls = [(lambda lib, x, w, e: x.histogram(9)), (lambda lib, x, w, e: x.histogram(4, range=(-1.0, 1.5), weight=w)),
             (lambda lib, x, w, e: x.histogram(e, weight=w)), (lambda lib, x, w, e: x.histogram(e, density=True)),
             (lambda lib, x, w, e: lib.histogram(lib.zeros(3), 2))]
    for call in calls:
        found, wanted = (call(lib, *(lib.tensor(v) for v in (x, w, edges))) for lib in (genesis, torch))
        close(found.hist, wanted.hist, rtol=1e-5, atol=1e-5)
        close(found.bin_edges, wanted.bin_edges)
    for bad in (lambda: genesis.tensor([1]).histogram(2), lambda: f32([1.0]).histogram(0),
                lambda: f32([1.0]).histogram(2, range=(1.0, 0.0)), lambda: f32([1.0]).histogram(2, weight=f32([1, 2]))):
        with pytest.raises(RuntimeError, match="histogram"):
            bad()


def test_looks_at_memory_are_views():
    x = genesis.arange(12.0).requires_grad_()
    whole = x * 1
    windows = whole.as_strided((5, 4), (2, 1))
    close(windows, np.lib.stride_tricks.sliding_window_view(np.arange(12.0), 4)[::2])
    windows.sum().backward(retain_graph=True)
    close(x.grad, [1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1])
    part = whole[2:8].as_strided((2,), (1,), 4)
    assert part.tolist() == [4.0, 5.0]
    part.mul_(10.0)
    assert whole.tolist()[3:7] == [3.0, 40.0, 50.0, 6.0]
    x.grad = None
    whole.sum().backward()
    close(x.grad, [1, 1, 1, 1, 10, 10, 1, 1, 1, 1, 1, 1])
    y = leaf(np.arange(6.0))
    g, = genesis.autograd.grad((y ** 3).as_strided((4, 3), (1, 1)).sum(), y, create_graph=True)
    close(genesis.autograd.grad(g.sum(), y)[0], 6 * np.arange(6.0) * [1, 2, 3, 3, 2, 1])
    for size, stride, offset in (((13,), (1,), 0), ((2,), (1, 1), 0), ((2,), (-1,), 3), ((2, 6), (7, 1), 0)):
        with pytest.raises(RuntimeError, match=r"as_strided|reach"):
            genesis.arange(12).as_strided(size, stride, offset)


def test_what_does_not_fit_is_refused():
    x = f32(np.ones((2, 3)))
    with pytest.raises(RuntimeError, match="knows"):
        x.index_reduce(0, genesis.tensor([0]), f32(np.ones((1, 3))), "sum")
    with pytest.raises(RuntimeError, match="shape"):
        x.index_reduce(0, genesis.tensor([0]), f32(np.ones((2, 3))), "amax")
    with pytest.raises(IndexError, match="as many"):
        x.put(genesis.tensor([0, 1]), f32([1.0]))
    with pytest.raises(RuntimeError, match="type"):
        x.put(genesis.tensor([0]), genesis.tensor([1]))
    with pytest.raises(RuntimeError, match="dimension"):
        x.mvlgamma(0)
    y = x.clone()
    assert y.put_(genesis.tensor([-1]), f32([5.0])) is y
    assert y[1, 2].item() == 5.0
    assert y.index_reduce_(0, genesis.tensor([1, 1]), f32(np.full((2, 3), 3.0)), "prod")[1].tolist() == [9.0, 9.0, 45.0]


@pytest.mark.parametrize("name", ["gammainc", "gammaincc", "zeta"])
def test_functions_of_two_have_the_accuracy_of_their_type(name):
    a = np.float32([[1.2], [2.5], [8], [100], [1e4], [4e6]] if name != "zeta" else [[1.1], [2], [3.5], [10]])
    x = a * np.float32([0.7, 1, 1.05, 1.4]) if name != "zeta" else np.float32([0.1, 1, 2.5, 9.9, 30])
    mine, its = leaf(x), torch.tensor(x, dtype=torch.float64, requires_grad=True)
    found, wanted = getattr(special, name)(f32(a), mine), getattr(torch.special, name)(torch.tensor(a).double(), its)
    close(found, wanted.detach(), rtol=2e-5, atol=2e-6)
    found.sum().backward()
    if name == "zeta":                            # PyTorch has no derivative
        gradient = (-a * torch.special.zeta(torch.tensor(a).double() + 1, its.detach()).numpy()).sum(0)
    else:
        wanted.sum().backward()
        gradient = its.grad
    close(mine.grad, gradient, rtol=2e-4, atol=1e-5)
    if name != "zeta":
        far = leaf([1e20])
        (half := getattr(special, name)(f32([1e20]), far)).sum().backward()
        close(half, [0.5], rtol=1e-6)
        close(far.grad.abs(), [(2e20 * np.pi) ** -0.5], rtol=1e-5)     # where PyTorch has 1
    with pytest.raises(NotImplementedError, match="first"):
        getattr(special, name)(leaf(a), 2.0).sum().backward()
    for one, other in [(0, 1), (0, 0), (1, 0), (np.inf, 1), (1, np.inf), (-1, 1), (1, -1), (2, -0.5), (2.5, -0.5),
                       (np.nan, 1), (1, 2)]:
        if name == "zeta" and other == np.inf:
            continue                              # 0 here, NaN in PyTorch
        wanted = getattr(torch.special, name)(torch.tensor(float(one)), torch.tensor(float(other))).item()
        close(getattr(special, name)(f32(one), float(other)), wanted, rtol=1e-5)
