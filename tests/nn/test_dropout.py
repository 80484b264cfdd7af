"""Layers that draw random numbers: what they draw, by its properties."""

import numpy as np
import pytest
from helpers import close, f32, leaf, normal

import genesis
from genesis import nn
from genesis.nn import functional as F

torch = pytest.importorskip("torch")

CHANNELS = [("dropout1d", (200, 64, 3)), ("dropout1d", (5000, 2)), ("dropout2d", (200, 64, 2, 2)),
            ("dropout3d", (200, 64, 2, 1, 2)), ("dropout3d", (5000, 2, 1, 2))]
LAYERS = [("Dropout", (64,)), ("Dropout1d", (8, 4)), ("Dropout2d", (2, 8, 3, 3)), ("Dropout3d", (8, 2, 2, 2)),
          ("AlphaDropout", (64,)), ("FeatureAlphaDropout", (2, 8, 3))]


@pytest.mark.parametrize(("name", "shape"), CHANNELS, ids=str)
def test_channels_are_dropped_whole(name, shape):
    x = leaf(1 + np.abs(normal(*shape)))
    y = getattr(F, name)(x, 0.3)
    y.sum().backward()
    factors = x.grad.numpy()
    close(y, x.detach().numpy() * factors)
    batched = {"dropout1d": 3, "dropout2d": 4, "dropout3d": 5}[name] == len(shape)
    rows = factors.reshape(-1, int(np.prod(shape[2:])) if batched else int(np.prod(shape[1:])))
    assert (rows == rows[:, :1]).all()
    dropped = rows[:, 0] == 0
    assert abs(dropped.mean() - 0.3) < 0.03
    np.testing.assert_allclose(rows[~dropped], 1 / 0.7, rtol=1e-6)


@pytest.mark.parametrize(("name", "shape"), LAYERS, ids=str)
def test_layers_draw_in_training_only(name, shape):
    layer, x = getattr(nn, name)(0.4), f32(normal(*shape))
    assert repr(layer) == repr(getattr(torch.nn, name)(0.4))
    genesis.manual_seed(5)
    first, second = layer(x), layer(x)
    genesis.manual_seed(5)
    close(layer(x), first.numpy(), rtol=0, atol=0)
    assert (first != second).any()
    in_place, y = getattr(nn, name)(0.4, inplace=True), x.clone()
    genesis.manual_seed(5)
    assert in_place(y) is y
    close(y, first.numpy(), rtol=0, atol=0)
    assert layer.eval()(x) is x
    assert getattr(nn, name)(0.0)(x) is x
    assert not getattr(nn, name)(1.0)(x).any()
    with pytest.raises(ValueError, match="probability"):
        getattr(nn, name)(1.5)


@pytest.mark.parametrize(("name", "shape"), [("alpha_dropout", (200_000,)), ("feature_alpha_dropout", (100_000, 2, 1))])
def test_alpha_dropout_keeps_mean_and_variance(name, shape):
    x = leaf(np.random.default_rng(0).standard_normal(shape))
    y = getattr(F, name)(x, 0.2, training=True)
    values = y.detach().numpy()
    assert abs(values.mean()) < 0.02
    assert abs(values.std() - 1) < 0.02
    scale = ((1.7580993408473766 ** 2 * 0.2 + 1) * 0.8) ** -0.5
    y.sum().backward()
    factors = x.grad.numpy()
    assert abs((factors == 0).mean() - 0.2) < 0.01
    np.testing.assert_allclose(factors[factors != 0], scale, rtol=1e-6)
    np.testing.assert_allclose(values[factors == 0], 1.7580993408473766 * scale * (0.2 - 1), rtol=1e-5)
    assert getattr(F, name)(x, 0.2) is x


def test_unusual_shapes_are_told():
    with pytest.raises(RuntimeError, match="dropout1d needs an input"):
        F.dropout1d(genesis.zeros(3))
    for name, shape in (("dropout2d", (2, 3, 4)), ("dropout2d", (2, 3)), ("dropout3d", (2, 3, 4))):
        with pytest.warns(UserWarning, match=name):
            getattr(F, name)(genesis.zeros(shape))
    with pytest.raises(RuntimeError, match="channels"), pytest.warns(UserWarning, match="dropout2d"):
        F.dropout2d(genesis.zeros(3))
    with pytest.raises(RuntimeError, match="channels"):
        F.feature_alpha_dropout(genesis.zeros(3), training=True)


def test_rrelu_draws_a_slope_for_every_element():
    layer = nn.RReLU(0.1, 0.4)
    assert repr(layer) == repr(torch.nn.RReLU(0.1, 0.4))
    x = leaf(normal(20_000))
    y = layer(x)
    y.sum().backward()
    slopes, negative = x.grad.numpy(), x.detach().numpy() <= 0
    close(y, x.detach().numpy() * slopes)
    assert (slopes[~negative] == 1).all()
    assert slopes[negative].min() >= np.float32(0.1)
    assert slopes[negative].max() <= np.float32(0.4)
    assert abs(slopes[negative].mean() - 0.25) < 0.005
    close(layer.eval()(x), F.leaky_relu(x, 0.25).detach().numpy())
    z = x.detach().clone()
    assert F.rrelu(z, 0.1, 0.4, training=True, inplace=True) is z
    with pytest.raises(RuntimeError, match="lower must not be above upper"):
        F.rrelu(x, 0.4, 0.1)


def test_gumbel_softmax_draws_categories_with_their_probabilities():
    chances = np.array([0.1, 0.2, 0.7])
    logits = leaf(np.log(np.tile(chances, (20_000, 1))))
    drawn = F.gumbel_softmax(logits, tau=0.5, hard=True)
    values = drawn.detach().numpy()
    np.testing.assert_allclose(values.sum(1), 1, rtol=1e-6)
    assert np.isin(values.round(5), (0.0, 1.0)).all()
    np.testing.assert_allclose(values.mean(0), chances, atol=0.02)
    genesis.manual_seed(1)
    soft = F.gumbel_softmax(logits, tau=0.5)
    np.testing.assert_allclose(soft.detach().numpy().sum(1), 1, rtol=1e-5)
    g = f32(normal(20_000, 3, seed=1))
    soft.backward(g)
    straight, logits.grad = logits.grad, None
    genesis.manual_seed(1)
    hard = F.gumbel_softmax(logits, tau=0.5, hard=True)
    close(hard.argmax(1), soft.argmax(1).numpy())
    hard.backward(g)
    close(logits.grad, straight.numpy())


def test_gumbel_softmax_along_a_dimension_and_in_16_bits():
    x = genesis.zeros(4, 5, 6, dtype=genesis.bfloat16)
    y = F.gumbel_softmax(x, dim=1)
    assert y.dtype is genesis.bfloat16
    np.testing.assert_allclose(y.float().sum(1).numpy(), 1, rtol=0.02)
