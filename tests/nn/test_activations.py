"""Activation functions and their layers, against PyTorch and finite differences."""

import dataclasses
import math

import numpy as np
import pytest
from helpers import EDGES, check_gradients, close, f32, leaf, needs_float64, normal

import genesis
from genesis import nn
from genesis.nn import functional as F
from genesis.ops import elementwise

torch = pytest.importorskip("torch")

POINTS = np.array([0.0, -0.0, 1, -1, 0.25, 0.5, -0.5, 2, -2, 3, -3, -3.0001, 2.999, 6, -6, 20, 20.5, 21, -20, -30, 1e-6,
                   -1e-6, 100, -100, 1e10, -1e10, 0.3, 4.7, -4.7, -7.5], np.float32)
FUNCTIONS = [(name, {}) for name in (
    "celu elu gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish relu relu6 selu sigmoid silu "
    "softplus softshrink softsign tanh tanhshrink rrelu").split()] + [
    ("gelu", {"approximate": "tanh"}), ("elu", {"alpha": 0.7}), ("celu", {"alpha": 0.7}),
    ("softplus", {"beta": 2.0, "threshold": 5.0}), ("leaky_relu", {"negative_slope": 0.3}),
    ("threshold", {"threshold": 0.4, "value": 9.0}), ("hardtanh", {"min_val": -2.0, "max_val": 0.5}),
    ("softshrink", {"lambd": 0.125})]
NAMED_IN_PLACE = [("relu_", ()), ("leaky_relu_", (0.2,)), ("rrelu_", (0.1, 0.4)), ("elu_", (0.5,)), ("celu_", (0.5,)),
                  ("selu_", ()), ("hardtanh_", (-0.5, 2.0)), ("threshold_", (0.1, 7.0))]
IN_PLACE = "relu relu6 leaky_relu elu celu selu silu mish hardtanh hardsigmoid hardswish".split()
LAYERS = [("ReLU", ()), ("ReLU6", ()), ("GELU", ()), ("GELU", ("tanh",)), ("SiLU", ()), ("Sigmoid", ()), ("Tanh", ()),
          ("LeakyReLU", (0.2,)), ("ELU", (0.5,)), ("CELU", (0.5,)), ("SELU", ()), ("Softplus", (2.0,)), ("Softmax",
                                                                                                         (1,)),
          ("LogSoftmax", (0,)), ("Softmin", (-1,)), ("Hardswish", ()), ("Hardsigmoid", ()), ("Mish", ()),
          ("Hardtanh", (-0.5, 2.0)), ("Softsign", ()), ("LogSigmoid", ()), ("PReLU", ()), ("PReLU", (4, 0.1)),
          ("Tanhshrink", ()), ("Hardshrink", (0.3,)), ("Softshrink", (0.3,)), ("Threshold", (0.1, 7.0)), ("GLU", (1,))]


@pytest.mark.parametrize(("name", "options"), FUNCTIONS, ids=str)
def test_values_and_gradients(name, options):
    x, y = leaf(POINTS), torch.tensor(POINTS.astype(np.float64), requires_grad=True)
    result, expected = getattr(F, name)(x, **options), getattr(torch.nn.functional, name)(y, **options)
    # tanhshrink cancels near 0
    np.testing.assert_allclose(result.detach().numpy(), expected.detach().float().numpy(), rtol=5e-6, atol=1e-12)
    result.sum().backward()
    expected.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), y.grad.float().numpy(), rtol=1e-5, atol=3e-7)


@pytest.mark.parametrize(("name", "options"), FUNCTIONS, ids=str)
def test_special_values(name, options):
    values = [math.nan, math.inf, -math.inf]
    mine = getattr(F, name)(genesis.tensor(values), **options).numpy()
    its = getattr(torch.nn.functional, name)(torch.tensor(values, dtype=torch.float64), **options).numpy()
    np.testing.assert_allclose(mine, its, rtol=1e-6)


def test_threshold_of_integers():
    values = [-3, 1, 7, 9]
    for given in ((6, 9), (2, -7), (2.5, 1)):
        mine = F.threshold(genesis.tensor(values), *given)
        assert mine.tolist() == torch.nn.functional.threshold(torch.tensor(values), *given).tolist()
        assert mine.dtype is genesis.int64


@pytest.mark.parametrize("name", ["gelu", "silu", "mish", "softplus", "logsigmoid"])
def test_tails_are_relatively_exact(name):
    """Far from 0 these functions are tiny on one side: all their digits are right there, too."""
    values = np.linspace(-9, -2, 57).astype(np.float32)
    x, y = leaf(values), torch.tensor(values.astype(np.float64), requires_grad=True)
    exact = 0.5 * y * torch.erfc(-y / math.sqrt(2)) if name == "gelu" else getattr(torch.nn.functional, name)(y)
    np.testing.assert_allclose(getattr(F, name)(x).detach().numpy(), exact.detach().numpy(), rtol=2e-5)


def test_gelu_where_erfc_takes_one_number_at_a_time(monkeypatch):
    """There the kernel has an erfc of its own."""
    device = genesis.device()
    monkeypatch.setattr(device, "quirks", dataclasses.replace(device.quirks, scalar_erfc=True))
    monkeypatch.setattr(device.programs, "_kernels", {})
    monkeypatch.setattr(elementwise, "_plans", {})
    values = np.concatenate([np.linspace(-9, 9, 3001), [0, 1e-30, -1e-30, 1e30, -1e30, math.inf]]).astype(np.float32)
    x, y = leaf(values), torch.tensor(values.astype(np.float64), requires_grad=True)
    mine, exact = F.gelu(x), 0.5 * y * torch.erfc(-y / math.sqrt(2))
    mine.sum().backward()
    exact.sum().backward()
    np.testing.assert_allclose(mine.detach().numpy(), exact.detach().numpy(), rtol=2e-5)
    np.testing.assert_allclose(mine.detach().numpy()[1500:], exact.detach().numpy()[1500:], rtol=6e-7)      # from 0 on
    np.testing.assert_allclose(x.grad.numpy()[:-1], y.grad.numpy()[:-1], rtol=2e-5, atol=2e-7)
    assert device.programs._kernels


@pytest.mark.parametrize("name", ["gelu", "silu", "softplus", "hardswish", "elu"])
@pytest.mark.parametrize("n", EDGES)
def test_sizes_around_work_group_edges(name, n):
    values = normal(n)
    close(getattr(F, name)(f32(values)), getattr(torch.nn.functional, name)(torch.tensor(values)).numpy(), atol=3e-6)


@pytest.mark.parametrize("name", ["gelu", "silu", "leaky_relu", "softplus", "mish"])
def test_views_are_read_by_their_strides(name):
    values = normal(6, 5)
    for view in (lambda x: x.T, lambda x: x[1:, ::2], lambda x: x[:, :1].expand(6, 3), lambda x: x[2, 3]):
        x, y = leaf(values), torch.tensor(values, requires_grad=True)
        result, expected = getattr(F, name)(view(x)), getattr(torch.nn.functional, name)(view(y))
        close(result, expected.detach().numpy(), atol=3e-6)
        result.sum().backward()
        expected.sum().backward()
        close(x.grad, y.grad.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["gelu", "silu", "hardswish", "elu"])
def test_short_floats_round_once(name, dtype):
    x = leaf(normal(65), getattr(genesis, dtype))
    wide = leaf(x.detach().float().numpy())
    y, z = getattr(F, name)(x), getattr(F, name)(wide)
    assert y.dtype is x.dtype
    np.testing.assert_array_equal(y.detach().float().numpy(), z.detach().to(x.dtype).float().numpy())
    y.sum().backward()
    z.sum().backward()
    np.testing.assert_array_equal(x.grad.float().numpy(), wide.grad.to(x.dtype).float().numpy())


@needs_float64
@pytest.mark.parametrize(("name", "options"), FUNCTIONS, ids=str)
def test_float64_is_computed_in_float64(name, options):
    values = np.linspace(-4, 4, 41)
    x, y = leaf(values, genesis.float64), torch.tensor(values, requires_grad=True)
    result, expected = getattr(F, name)(x, **options), getattr(torch.nn.functional, name)(y, **options)
    np.testing.assert_allclose(result.detach().numpy(), expected.detach().numpy(), rtol=1e-12, atol=1e-15)
    result.sum().backward()
    expected.sum().backward()
    short = name in ("celu", "hardsigmoid")         # PyTorch has a factor in float32 here
    np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-6 if short else 1e-11, atol=1e-14)


def test_integers_are_refused():
    for name in ("gelu", "silu", "elu", "softplus", "leaky_relu", "hardswish"):
        with pytest.raises(NotImplementedError, match="int64"):
            getattr(F, name)(genesis.tensor([1, 2]))
    assert F.relu6(genesis.tensor([-1, 3, 9])).tolist() == [0, 3, 6]


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_overwrites_and_is_recorded(name):
    values = normal(33)
    x, y = leaf(values), torch.tensor(values, requires_grad=True)
    a, b = x * 2, y * 2
    result, expected = getattr(F, name)(a, inplace=True), getattr(torch.nn.functional, name)(b, inplace=True)
    assert result is a
    close(a, b.detach().numpy(), atol=3e-6)
    result.sum().backward()
    expected.sum().backward()
    close(x.grad, y.grad.numpy(), rtol=1e-5, atol=1e-5)
    with pytest.raises(RuntimeError):
        getattr(F, name)(x, inplace=True)


@pytest.mark.parametrize(("name", "arguments"), NAMED_IN_PLACE, ids=str)
def test_names_with_an_underscore_overwrite(name, arguments):
    values = normal(33)
    x, y = leaf(values), torch.tensor(values, requires_grad=True)
    a, b = x * 2, y * 2
    assert getattr(F, name)(a, *arguments) is a
    close(a, getattr(torch.nn.functional, name)(b, *arguments).detach().numpy(), atol=3e-6)
    a.sum().backward()
    b.sum().backward()
    close(x.grad, y.grad.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shapes", [((5, 3), ()), ((5, 3), (1,)), ((5, 3), (3,)), ((2, 3, 4), (3,)), ((7,), (1,))])
def test_prelu_learns_a_slope_a_channel(shapes):
    values, weight = (normal(*s, seed=i) for i, s in enumerate(shapes))

    def reference(x, w):
        w = w.reshape((-1,) + (1,) * (x.ndim - 2)) if w.size > 1 else w.reshape(())
        return np.where(x > 0, x, w * x)

    check_gradients(F.prelu, reference, values, weight)
    with pytest.raises(RuntimeError, match="weight"):
        F.prelu(f32(values), genesis.ones(9))


def test_softmax2d_is_over_the_channels():
    for shape in ((2, 3, 4, 5), (3, 4, 5)):
        values = normal(*shape)
        close(nn.Softmax2d()(f32(values)), torch.nn.Softmax2d()(torch.tensor(values)).numpy())
    with pytest.raises(ValueError, match="Softmax2d takes an input"):
        nn.Softmax2d()(genesis.zeros(3, 4))


@pytest.mark.parametrize(("name", "arguments"), LAYERS, ids=str)
def test_layers(name, arguments):
    values = normal(3, 4)
    mine, its = getattr(nn, name)(*arguments), getattr(torch.nn, name)(*arguments)
    x, y = leaf(values), torch.tensor(values.astype(np.float32), requires_grad=True)
    result, expected = mine(x), its(y)
    close(result, expected.detach().numpy(), atol=5e-6)
    result.sum().backward()
    expected.sum().backward()
    close(x.grad, y.grad.numpy(), rtol=1e-4, atol=1e-5)
    assert list(mine.state_dict()) == list(its.state_dict())
    assert repr(mine).startswith(f"{name}(")


def test_layers_check_their_arguments():
    assert repr(nn.ReLU(inplace=True)) == "ReLU(inplace=True)"
    assert repr(nn.ReLU()) == "ReLU()"
    with pytest.raises(ValueError):
        nn.Hardtanh(1.0, -1.0)
    with pytest.raises(RuntimeError):
        F.gelu(genesis.ones(2), approximate="erf")
    with pytest.raises(RuntimeError):
        F.glu(genesis.ones(2, 3))
    with pytest.raises(RuntimeError):
        F.softshrink(genesis.ones(2), -1.0)
    with pytest.warns(UserWarning, match="dim"):
        nn.Softmax()(genesis.ones(2, 3))
