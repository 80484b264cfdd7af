"""Starting values: distributions, and the matrices that pass things on."""

import math

import numpy as np
import pytest
from helpers import close

import genesis
from genesis import nn


def probability(z):
    """The normal distribution's, exact in its lower tail."""
    return 0.5 * np.vectorize(math.erfc)(-z / math.sqrt(2))


@pytest.mark.parametrize(("mean", "std", "a", "b"), [
    (0, 1, -2, 2), (1, 0.5, -math.inf, 1.25), (0, 1, -0.5, 1), (2, 1, -5, -1.5), (0, 0.125, 0.5, math.inf),
    (0, 1, 9, 9.0625)])
def test_truncated_normal_numbers_have_their_distribution(mean, std, a, b):
    """By Kolmogorov's test, which 1 in 1600 correct streams would fail; this one is always the same."""
    x = genesis.full((4, 2501), 7.0)
    assert nn.init.trunc_normal_(x.T[1:], mean, std, a, b).shape == (2500, 4)
    assert (x[:, 0] == 7).all()
    values = x.numpy()[:, 1:].ravel().astype(np.float64)
    assert values.min() >= a
    assert values.max() <= b
    z, low, high = (values - mean) / std, (a - mean) / std, (b - mean) / std
    if low > 0:
        z, low, high = -z, -high, -low
    place = np.sort((probability(z) - probability(low)) / (probability(high) - probability(low)))
    assert np.abs(place - (np.arange(10000) + 0.5) / 10000).max() < 2 / math.sqrt(10000)


@pytest.mark.parametrize("dtype", [genesis.float16, genesis.bfloat16])
def test_truncated_normal_numbers_stay_between_the_bounds_in_short_types(dtype):
    x = nn.init.trunc_normal_(genesis.empty(20000, dtype=dtype), std=100).float()
    assert (x.min().item(), x.max().item()) == (-2, 2)


def test_truncated_normal_numbers_between_equal_bounds():
    assert (nn.init.trunc_normal_(genesis.empty(5), 0, 1, 3, 3) == 3).all()


@pytest.mark.parametrize(("fill", "args"), [(nn.init.trunc_normal_, ()), (nn.init.orthogonal_, ()),
                                            (nn.init.sparse_, (0.5,))])
def test_generators_repeat(fill, args):
    first, second = (fill(genesis.empty(6, 4), *args, generator=genesis.Generator().manual_seed(3)) for _ in range(2))
    assert (first == second).all()
    assert (fill(genesis.empty(6, 4), *args) != first).any()


@pytest.mark.parametrize("shape", [(3, 7), (7, 3), (4, 4), (2, 3, 5), (1, 1)])
def test_orthogonal_matrices(shape):
    x = nn.init.orthogonal_(nn.Parameter(genesis.empty(*shape)), gain=2)
    assert x.is_leaf
    w = x.detach().numpy().reshape(shape[0], -1).astype(np.float64)
    w = w if w.shape[0] <= w.shape[1] else w.T
    close(w @ w.T, 4 * np.eye(len(w)), atol=1e-5)


def test_orthogonal_matrices_are_as_likely_as_their_reflections():
    drawn = np.stack([nn.init.orthogonal_(genesis.empty(2, 2)).numpy() for _ in range(200)])
    assert (np.abs(drawn.mean(0)) < 0.2).all()
    assert abs(np.linalg.det(drawn).mean()) < 0.3       # a QR decomposition alone gives reflections only
    assert nn.init.orthogonal_(genesis.empty(0, 3)).shape == (0, 3)


def test_sparse_matrices():
    x = nn.init.sparse_(genesis.empty(1001, 6), 0.3, std=2).numpy()
    assert ((x == 0).sum(0) == 301).all()
    assert len({tuple(column) for column in (x == 0).T}) == 6
    assert abs(x[x != 0].std() / 2 - 1) < 0.05
    assert (nn.init.sparse_(genesis.empty(4, 3), 1) == 0).all()


@pytest.mark.parametrize(("shape", "groups"), [((3, 5, 3), 1), ((4, 2, 3, 4), 2), ((6, 2, 1, 2, 3), 3), ((5, 2, 3), 1)])
def test_identities_are_those_of_torch(shape, groups):
    torch = pytest.importorskip("torch")
    close(nn.init.dirac_(genesis.ones(*shape), groups), torch.nn.init.dirac_(torch.ones(*shape), groups).numpy(), 0, 0)
    close(nn.init.eye_(genesis.ones(*shape[:2])), torch.nn.init.eye_(torch.ones(*shape[:2])).numpy(), 0, 0)


def test_starting_values_refuse_what_does_not_fit():
    x, matrix, cube = genesis.empty(3), genesis.empty(3, 3), genesis.empty(3, 3, 3)
    for call, message in [
            (lambda: nn.init.trunc_normal_(x, std=0), "std must be a positive number"),
            (lambda: nn.init.trunc_normal_(x, a=2, b=1), "a must be at most b"),
            (lambda: nn.init.trunc_normal_(x, a=math.nan), "a must be at most b"),
            (lambda: nn.init.eye_(cube), "2 dimensions, not 3"),
            (lambda: nn.init.sparse_(x, 0.5), "2 dimensions, not 1"),
            (lambda: nn.init.sparse_(matrix, 1.5), "sparsity must be between 0 and 1"),
            (lambda: nn.init.orthogonal_(x), "at least 2 dimensions, not 1"),
            (lambda: nn.init.dirac_(matrix), "3, 4 or 5 dimensions, not 2"),
            (lambda: nn.init.dirac_(cube, 2), "groups must divide the 3 output channels")]:
        with pytest.raises(ValueError, match=message):
            call()


def test_gains_and_fans_are_those_of_torch():
    torch = pytest.importorskip("torch")
    for name in ("linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu", "conv3d", "conv_transpose1d"):
        assert nn.init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))
    weight = np.zeros((4, 3, 2, 5), np.float32)
    for mode in ("fan_in", "FAN_OUT"):
        found = nn.init._calculate_correct_fan(genesis.tensor(weight), mode)
        assert found == torch.nn.init._calculate_correct_fan(torch.tensor(weight), mode)
    with pytest.raises(ValueError, match="mode"):
        nn.init._calculate_correct_fan(genesis.tensor(weight), "fan")
