"""Layers that take the size of their input from the first input."""

import copy

import numpy as np
import pytest
from helpers import f32, normal

import genesis
from genesis import nn

LAYERS = {
    "LazyLinear": ((4,), {}, (2, 3, 5)),
    "LazyConv1d": ((4, 3), {"padding": 1}, (2, 6, 9)),
    "LazyConv2d": ((4, 3), {"groups": 2, "stride": 2}, (2, 6, 9, 8)),
    "LazyConv3d": ((4, 2), {"bias": False}, (2, 3, 4, 4, 4)),
    "LazyConvTranspose1d": ((4, 3), {}, (2, 6, 9)),
    "LazyConvTranspose2d": ((4, 3), {"groups": 2, "stride": 2, "output_padding": 1}, (2, 6, 5, 5)),
    "LazyConvTranspose3d": ((4, 2), {"stride": 2}, (2, 3, 3, 2, 4)),
    "LazyBatchNorm1d": ((), {}, (4, 3)),
    "LazyBatchNorm2d": ((1e-3, 0.2), {}, (4, 3, 5, 5)),
    "LazyBatchNorm3d": ((), {"affine": False}, (2, 3, 3, 3, 3)),
    "LazyInstanceNorm1d": ((), {"track_running_stats": False}, (4, 3, 7)),
    "LazyInstanceNorm2d": ((), {"affine": False}, (4, 3, 5, 5)),
    "LazyInstanceNorm3d": ((), {}, (2, 3, 3, 3, 3)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_first_input_makes_the_layer_of_torch(name):
    torch = pytest.importorskip("torch")
    args, options, shape = LAYERS[name]
    mine, its = (getattr(lib, name)(*args, **options) for lib in (nn, torch.nn))
    assert repr(mine) == repr(its)
    identities = [id(p) for p in mine.parameters()]
    assert all(isinstance(p, nn.UninitializedParameter) for p in mine.parameters())
    x = normal(*shape)
    y, z = mine(f32(x)), its(torch.tensor(x, dtype=torch.float32))
    assert type(mine) is getattr(nn, name.removeprefix("Lazy"))
    assert repr(mine) == repr(its)
    assert y.shape == tuple(z.shape)
    assert [id(p) for p in mine.parameters()] == identities          # who held them holds the parameters
    assert all(type(p) is nn.Parameter for p in mine.parameters())
    ours, theirs = mine.state_dict(), its.state_dict()
    assert {k: tuple(v.shape) for k, v in ours.items()} == {k: tuple(v.shape) for k, v in theirs.items()}
    mine.load_state_dict({k: v.numpy() for k, v in theirs.items()})
    np.testing.assert_allclose(mine(f32(x)).detach().numpy(),
                               its(torch.tensor(x, dtype=torch.float32)).detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in LAYERS if "Linear" in n or "Conv" in n or n == "LazyBatchNorm2d"])
def test_a_state_makes_the_layer(name):
    args, options, shape = LAYERS[name]
    made = getattr(nn, name)(*args, **options)
    made(f32(normal(*shape)))
    fresh = nn.Sequential(getattr(nn, name)(*args, **options))
    fresh.load_state_dict({f"0.{k}": v for k, v in made.state_dict().items()})
    assert type(fresh[0]) is type(made)
    x = f32(normal(*shape, seed=1))
    np.testing.assert_array_equal(fresh.eval()(x).detach().numpy(), made.eval()(x).detach().numpy())


def test_initial_values_are_those_of_the_layer():
    genesis.manual_seed(4)
    lazy = nn.LazyLinear(3)
    lazy(genesis.zeros(2, 5))
    genesis.manual_seed(4)
    plain = nn.Linear(5, 3)
    assert lazy.weight.tolist() == plain.weight.tolist()
    assert lazy.bias.tolist() == plain.bias.tolist()


def test_copies_types_and_frozen_parameters_stay_as_they_were_asked_for():
    layer = nn.LazyLinear(2).half()
    layer.bias.requires_grad_(False)
    other = copy.deepcopy(layer)
    other(genesis.zeros(1, 3, dtype=genesis.float16))
    assert isinstance(layer, nn.LazyLinear)
    assert other.weight.dtype is genesis.float16
    assert [p.requires_grad for p in other.parameters()] == [True, False]
    assert not nn.LazyBatchNorm2d().eval().training


def test_an_optimizer_asks_for_a_first_run():
    net = nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(1))
    with pytest.raises(ValueError, match="run the model once"):
        genesis.optim.Adam(net.parameters())
    net(genesis.zeros(1, 6))
    optimizer = genesis.optim.Adam(net.parameters(), lr=0.05)
    x = f32(normal(64, 6))
    y = x[:, :1]
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


def test_what_comes_next_is_checked_as_in_any_layer():
    layer = nn.LazyLinear(2)
    layer(genesis.zeros(1, 3))
    with pytest.raises(RuntimeError, match="3"):
        layer(genesis.zeros(1, 4))
    with pytest.raises((ValueError, RuntimeError), match="groups"):
        nn.LazyConv2d(4, 1, groups=2)(genesis.zeros(1, 3, 2, 2))
