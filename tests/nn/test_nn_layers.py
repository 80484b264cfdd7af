"""Layers, containers and starting values."""

import math
from collections import OrderedDict

import numpy as np
import pytest
from helpers import check_gradients, close, f32, leaf, normal

import genesis
from genesis import nn
from genesis.gradients import GradientSlot
from genesis.nn import functional as F


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3), (2, 1, 4, 3), (0, 3)], ids=str)
def test_linear_values_and_gradients(shape):
    check_gradients(F.linear, lambda x, w, b: x @ w.T + b, normal(*shape), normal(4, 3, seed=1), normal(4, seed=2))
    check_gradients(F.linear, lambda x, w: x @ w.T, normal(*shape), normal(4, 3, seed=1))


def test_linear_matches_torch():
    torch = pytest.importorskip("torch")
    mine, its = nn.Linear(7, 5), torch.nn.Linear(7, 5, dtype=torch.float64)
    its.load_state_dict({name: torch.tensor(value.numpy()) for name, value in mine.state_dict().items()})
    x = normal(6, 7)
    a, b = leaf(x), torch.tensor(x, requires_grad=True)
    (mine(a) ** 2).sum().backward()
    (its(b) ** 2).sum().backward()
    close(a.grad, b.grad.numpy(), rtol=1e-4, atol=1e-5)
    close(mine.weight.grad, its.weight.grad.numpy(), rtol=1e-4, atol=1e-5)
    close(mine.bias.grad, its.bias.grad.numpy(), rtol=1e-4, atol=1e-5)


def test_linear_options():
    layer = nn.Linear(3, 2, bias=False, dtype=genesis.float16)
    assert layer.bias is None
    assert layer.weight.dtype is genesis.float16
    assert list(layer.state_dict()) == ["weight"]
    assert repr(layer) == "Linear(in_features=3, out_features=2, bias=False)"
    assert nn.Linear(0, 2)(genesis.zeros(4, 0)).shape == (4, 2)
    with pytest.raises(RuntimeError, match=r"columns meet"):
        layer(genesis.zeros(2, 4))


ACTIVATIONS = {
    nn.ReLU: lambda x: np.maximum(x, 0), nn.Tanh: np.tanh, nn.Sigmoid: lambda x: 1 / (1 + np.exp(-x)),
    nn.Identity: lambda x: x, nn.Flatten: lambda x: x.reshape(x.shape[0], -1),
}


@pytest.mark.parametrize("layer", ACTIVATIONS)
def test_layers_without_parameters(layer):
    check_gradients(layer(), ACTIVATIONS[layer], normal(3, 4, 5))
    assert list(layer().parameters()) == []


def test_functions_match_the_methods():
    x = f32(normal(3, 4))
    for name in ("relu", "tanh", "sigmoid"):
        close(getattr(F, name)(x), getattr(x, name)().numpy())
    close(F.softmax(x, 1), x.softmax(1).numpy())
    close(F.log_softmax(x, dim=0), x.log_softmax(0).numpy())


def test_dropout_layer():
    layer = nn.Dropout(0.3)
    x = genesis.ones(10_000)
    dropped = layer(x).numpy()
    assert set(np.unique(dropped)) == {0.0, np.float32(1) / np.float32(0.7)}
    assert abs((dropped == 0).mean() - 0.3) < 0.03
    layer.eval()
    assert layer(x) is x
    assert repr(layer) == "Dropout(p=0.3, inplace=False)"
    with pytest.raises(ValueError, match="probability"):
        nn.Dropout(1.5)


def test_sequential():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    x = f32(normal(5, 3))
    close(model(x), model[2](model[1](model[0](x))).detach().numpy())
    assert len(model) == 3
    assert model[-1] is list(model)[2]
    assert list(model[1:].state_dict()) == ["2.weight", "2.bias"]
    model.append(nn.Tanh())
    assert isinstance(model[3], nn.Tanh)
    named = nn.Sequential(OrderedDict([("first", nn.Linear(3, 1)), ("act", nn.ReLU())]))
    assert list(named.state_dict()) == ["first.weight", "first.bias"]
    assert named.first is named[0]
    assert nn.Sequential()(x) is x
    assert repr(nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh()))) == (
        "Sequential(\n  (0): ReLU()\n  (1): Sequential(\n    (0): Tanh()\n  )\n)")


def test_names_are_those_of_torch():
    torch = pytest.importorskip("torch")

    def build(lib):
        class Block(lib.Module):
            def __init__(self, n):
                super().__init__()
                self.layers = lib.ModuleList([lib.Linear(n, n) for _ in range(2)])
                self.head = lib.Sequential(lib.Linear(n, 3), lib.ReLU(), lib.Dropout(0.1), lib.Linear(3, 1, bias=False))
                self.shared = self.head[0]

        return lib.Sequential(Block(2), lib.Flatten(), lib.CrossEntropyLoss(), Block(3))

    mine, its = build(nn), build(torch.nn)
    assert list(mine.state_dict()) == list(its.state_dict())
    assert [n for n, _ in mine.named_parameters()] == [n for n, _ in its.named_parameters()]
    assert [n for n, _ in mine.named_modules()] == [n for n, _ in its.named_modules()]
    assert [n for n, _ in mine.named_children()] == [n for n, _ in its.named_children()]
    state = {name: value.numpy() for name, value in its.state_dict().items()}
    assert mine.load_state_dict(state) == ([], [])
    for name, value in mine.state_dict().items():
        close(value, state[name])


def test_module_list():
    layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    layers.append(nn.ReLU())
    assert len(layers) == 4
    assert len(list(layers.parameters())) == 6
    layers[0] = nn.Linear(2, 5)
    assert layers[0].out_features == 5
    assert isinstance(layers[1:], nn.ModuleList)
    assert len(layers[1:]) == 3
    with pytest.raises(NotImplementedError):
        layers(1)


def _moments(x):
    values = x.detach().numpy().astype(np.float64)
    return values.min(), values.max(), values.mean(), values.std()


def test_linear_starts_within_its_bound():
    genesis.manual_seed(0)
    layer = nn.Linear(400, 300)
    for parameter in layer.parameters():
        low, high, mean, _ = _moments(parameter)
        assert -1 / 20 <= low < high < 1 / 20
        assert abs(mean) < 0.005
    assert abs(layer.weight.detach().std().item() - 1 / 20 / math.sqrt(3)) < 5e-4
    genesis.manual_seed(0)
    assert genesis.equal(nn.Linear(400, 300).weight, layer.weight)


@pytest.mark.parametrize("name", ["kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "xavier_normal_"])
def test_starting_values_have_the_right_spread(name):
    genesis.manual_seed(0)
    x = genesis.zeros(200, 300)
    assert getattr(nn.init, name)(x) is x
    expected = math.sqrt(2 / 300) if "kaiming" in name else math.sqrt(2 / 500)
    low, high, mean, std = _moments(x)
    assert abs(std / expected - 1) < 0.02
    assert abs(mean) < 0.02 * expected * 3
    if "uniform" in name:
        bound = math.sqrt(3) * expected
        assert -bound <= low < -0.98 * bound
        assert 0.98 * bound < high <= bound


def test_starting_values_options():
    genesis.manual_seed(0)
    x = genesis.zeros(20, 30, 5)
    std = _moments(nn.init.kaiming_normal_(x, mode="fan_out", nonlinearity="relu"))[3]
    assert abs(std / math.sqrt(2 / 100) - 1) < 0.05
    assert nn.init.calculate_gain("tanh") == 5 / 3
    assert nn.init.constant_(x, 2.5).mean().item() == 2.5
    assert nn.init.ones_(x).sum().item() == 3000
    assert nn.init.zeros_(x).sum().item() == 0
    low, high, *_ = _moments(nn.init.uniform_(x, 3, 5))
    assert 3 <= low < 3.1
    assert 4.9 < high < 5
    assert abs(_moments(nn.init.normal_(x, 7, 0.5))[2] - 7) < 0.05
    turned = genesis.zeros(4, 6)
    nn.init.uniform_(turned.T[1:3], 1, 2)
    assert (turned.numpy() > 0).sum() == 8
    for call in (lambda: nn.init.xavier_uniform_(genesis.zeros(3)), lambda: nn.init.kaiming_normal_(x, mode="fan"),
                 lambda: nn.init.calculate_gain("cube")):
        with pytest.raises(ValueError):
            call()


def test_starting_values_may_be_drawn_into_parameters():
    layer = nn.Linear(3, 3)
    nn.init.zeros_(layer.weight)
    nn.init.uniform_(layer.bias)
    assert layer.weight.requires_grad
    assert layer.weight.is_leaf
    layer(genesis.ones(1, 3)).sum().backward()
    close(layer.weight.grad, np.ones((3, 3)))
    y = layer(genesis.ones(1, 3, requires_grad=True)).sum()
    nn.init.ones_(layer.weight)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


@pytest.mark.parametrize("shape", [(5, 7), (2, 3, 7)])
def test_linear_writes_the_gradient_of_its_weight_into_the_optimizers_memory(shape, monkeypatch):
    layer = genesis.nn.Linear(7, 4)
    optimizer = genesis.optim.SGD(layer.parameters(), lr=0.1)
    seen = {}
    accumulate = GradientSlot.accumulate

    def spy(slot, owner, g, written):
        seen[tuple(owner.shape)] = written
        accumulate(slot, owner, g, written)

    monkeypatch.setattr(GradientSlot, "accumulate", spy)
    x = genesis.randn(*shape)
    (layer(x) * 2).sum().backward()
    assert seen[4, 7]
    expected = np.broadcast_to(2 * x.numpy().reshape(-1, 7).sum(0), (4, 7))
    np.testing.assert_allclose(layer.weight.grad.numpy(), expected, rtol=1e-5, atol=1e-5)
    optimizer.step()
