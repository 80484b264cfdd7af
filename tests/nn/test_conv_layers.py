"""Layers of convolution and pooling: parameters, starting values, repr, state, and a training step beside PyTorch's."""

import math

import numpy as np
import pytest
from helpers import close, f32, leaf, normal

import genesis
from genesis import nn
from genesis.gradients import GradientSlot

torch = pytest.importorskip("torch")

LAYERS = [
    ("Conv1d", (4, 8, 3), {}, (2, 4, 11)),
    ("Conv1d", (4, 8, 4), {"padding": "same", "padding_mode": "circular"}, (2, 4, 11)),
    ("Conv2d", (4, 8, (3, 2)), {"stride": 2, "padding": "valid", "groups": 2, "bias": False}, (2, 4, 11, 9)),
    ("Conv2d", (4, 8, 3), {"padding": 1, "dilation": 2, "padding_mode": "reflect"}, (2, 4, 11, 9)),
    ("Conv2d", (4, 6, 3), {"padding": (2, 1), "stride": 2, "padding_mode": "replicate"}, (2, 4, 11, 9)),
    ("ConvTranspose1d", (4, 8, 3), {"stride": 2, "padding": 1}, (2, 4, 11)),
    ("ConvTranspose2d", (4, 8, 3, 2, 1, 1), {"groups": 4}, (2, 4, 5, 6)),
    ("ConvTranspose2d", (4, 8, 3), {"dilation": 2, "bias": False}, (4, 5, 6)),
    ("ConvTranspose3d", (4, 6, 3, 2, 1, 1), {"groups": 2}, (2, 4, 3, 4, 5)),
    ("ConvTranspose3d", (4, 3, (1, 2, 3)), {"stride": (2, 1, 2), "bias": False}, (4, 3, 4, 5)),
    ("ConvTranspose3d", (2, 3, (3, 2, 1)), {"padding": (2, 1, 0), "dilation": (2, 1, 3), "stride": (3, 2, 1),
                                            "output_padding": (2, 1, 0)}, (2, 2, 4, 3, 5)),
    ("Conv3d", (4, 6, 3), {"padding": "same", "groups": 2}, (2, 4, 4, 5, 6)),
    ("Conv3d", (4, 6, (1, 2, 3)), {"stride": (2, 1, 2), "bias": False}, (4, 4, 5, 6)),
    ("Conv3d", (4, 6, (2, 3, 1)), {"padding": (1, 0, 2), "dilation": (2, 1, 1), "stride": (1, 2, 1)}, (2, 4, 4, 5, 6)),
    ("Conv3d", (4, 6, (4, 2, 2)), {"padding": "same", "padding_mode": "replicate"}, (1, 4, 4, 5, 6)),
    ("Conv3d", (4, 6, (3, 2, 2)), {"stride": 3}, (1, 4, 8, 5, 6)),
    ("MaxPool1d", (3, 2, 1), {"ceil_mode": True}, (2, 4, 11)),
    ("MaxPool2d", (2,), {}, (2, 4, 11, 9)),
    ("MaxPool2d", ((2, 3),), {"stride": 1, "dilation": 2}, (2, 4, 11, 9)),
    ("AvgPool1d", (3, 2), {}, (2, 4, 11)),
    ("AvgPool2d", (2,), {"padding": 1, "count_include_pad": False}, (2, 4, 11, 9)),
    ("AvgPool2d", ((3, 2),), {"divisor_override": 5}, (2, 4, 11, 9)),
    ("MaxPool3d", (2,), {}, (2, 3, 4, 5, 6)),
    ("MaxPool3d", ((3, 2, 1), 1, (1, 1, 0)), {"dilation": (1, 2, 1), "ceil_mode": True}, (3, 5, 5, 6)),
    ("LPPool1d", (2, 3), {"stride": 2, "ceil_mode": True}, (2, 4, 12)),
    ("LPPool2d", (4, (2, 3)), {}, (4, 11, 9)),
    ("LPPool2d", (2.0, 2, 1), {"ceil_mode": True}, (2, 4, 5, 6)),
    ("LPPool3d", (2, 2), {}, (2, 3, 4, 5, 6)),
    ("AvgPool3d", ((2, 3, 2), 2), {"ceil_mode": True}, (2, 3, 4, 5, 7)),
    ("AvgPool3d", (3, 2, 1), {"count_include_pad": False, "ceil_mode": True}, (3, 4, 5, 6)),
    ("AvgPool3d", (2,), {"divisor_override": 3}, (1, 3, 4, 5, 6)),
    ("AdaptiveAvgPool3d", ((2, None, 4),), {}, (2, 3, 4, 5, 6)),
    ("AdaptiveAvgPool3d", (1,), {}, (3, 4, 5, 6)),
    ("AdaptiveMaxPool3d", ((3, 2, 4),), {}, (2, 3, 4, 5, 6)),
    ("AdaptiveAvgPool1d", (2,), {}, (2, 4, 11)),
    ("AdaptiveAvgPool2d", ((None, 3),), {}, (2, 4, 11, 9)),
    ("AdaptiveMaxPool1d", (3,), {}, (2, 4, 11)),
    ("AdaptiveMaxPool2d", ((4, 3),), {}, (2, 4, 11, 9)),
]


@pytest.mark.parametrize(("name", "args", "options", "shape"), LAYERS, ids=str)
def test_layers_match_torch(name, args, options, shape):
    mine, its = getattr(nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options).double()
    assert repr(mine) == repr(its)
    assert {k: tuple(v.shape) for k, v in mine.state_dict().items()} == {
        k: tuple(v.shape) for k, v in its.state_dict().items()}
    its.load_state_dict({k: torch.tensor(v.numpy()) for k, v in mine.state_dict().items()})
    x = normal(*shape)
    a, b = leaf(x), torch.tensor(x, requires_grad=True)
    y, z = mine(a), its(b)
    close(y, z.detach().numpy(), rtol=1e-4, atol=1e-5)
    (y ** 2).sum().backward()
    (z ** 2).sum().backward()
    close(a.grad, b.grad.numpy(), rtol=1e-4, atol=1e-4)
    for p, q in zip(mine.parameters(), its.parameters()):
        close(p.grad, q.grad.numpy(), rtol=1e-4, atol=1e-3)


def test_positions_in_volumes():
    x = normal(2, 3, 5, 6, 7)
    for name, arguments, options in (("max_pool3d", (2,), {}), ("max_pool3d", ((3, 2, 2), 1, 1), {"ceil_mode": True}),
                                     ("adaptive_max_pool3d", ((2, 4, 3),), {})):
        for values in (x, x[0], np.round(x)):                     # rounded: with equal elements
            a, b = leaf(values), torch.tensor(values, requires_grad=True)
            mine = getattr(nn.functional, name)(a, *arguments, return_indices=True, **options)
            its = getattr(torch.nn.functional, name)(b, *arguments, return_indices=True, **options)
            for found, wanted in zip(mine, its):
                close(found, wanted.detach().numpy())
            (mine[0] ** 2).sum().backward()
            (its[0] ** 2).sum().backward()
            close(a.grad, b.grad.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("dtype", "unit"), [(genesis.float16, 2.0 ** -11), (genesis.bfloat16, 2.0 ** -8)])
def test_transposed_convolution_of_volumes_rounds_once(dtype, unit):
    rng = np.random.default_rng(0)
    x, weight, bias = (genesis.tensor(rng.standard_normal(shape), dtype=genesis.float32).to(dtype)
                       for shape in ((1, 4, 3, 3, 3), (4, 2, 3, 2, 2), (2,)))
    mine = nn.functional.conv_transpose3d(x, weight, bias)
    exact = torch.nn.functional.conv_transpose3d(*(torch.tensor(v.float().numpy()).double() for v in (x, weight, bias)))
    assert mine.dtype is dtype
    np.testing.assert_allclose(mine.float().numpy(), exact.numpy(), rtol=1.1 * unit, atol=1e-6)


def test_volumes_that_do_not_fit_are_told():
    f, x = nn.functional, genesis.zeros(2, 3, 4, 4, 4)
    for call, message in ((lambda: f.conv3d(x, genesis.zeros(4, 3, 5, 1, 1)), "conv3d: the filter reaches over"),
                          (lambda: f.conv3d(x[0, 0], genesis.zeros(4, 3, 1, 1, 1)), "conv3d needs an input of 4"),
                          (lambda: f.max_pool3d(x, 5), "max_pool3d: an input of size"),
                          (lambda: f.avg_pool3d(x[0, 0], 2), "avg_pool3d needs an input of 4 or 5"),
                          (lambda: f.avg_pool3d(x.long(), 2), "avg_pool3d of int64"),
                          (lambda: f.adaptive_avg_pool3d(x.long(), 2), "adaptive_avg_pool3d of int64"),
                          (lambda: f.avg_pool3d(x, 2, divisor_override=0), "divisor_override"),
                          (lambda: f.max_pool3d(x, 2, padding=2), "max_pool3d: padding must be at most half"),
                          (lambda: f.adaptive_avg_pool3d(x, (1, 2)), "adaptive_avg_pool3d: output_size"),
                          (lambda: f.adaptive_max_pool3d(x[:, :0], 1), "adaptive_max_pool3d needs an input of 4")):
        with pytest.raises(RuntimeError, match=message):
            call()
    for call in (lambda: f.adaptive_max_pool3d(x[0, 0], 1), lambda: f.adaptive_avg_pool2d(x[0, 0, 0], 1)):
        with pytest.raises(ValueError, match="needs an input of"):
            call()


@pytest.mark.parametrize(("name", "shape", "fan"), [("Conv1d", (40, 30, 5), 150), ("Conv2d", (40, 10, 3, 4), 120),
                                                    ("ConvTranspose2d", (10, 40, 3, 4), 480)])
def test_starting_values_are_uniform_within_torch_bounds(name, shape, fan):
    inputs, outputs = (shape[0], shape[1]) if "Transpose" in name else (shape[1], shape[0])
    layer = getattr(nn, name)(inputs, outputs, shape[2:])
    assert layer.weight.shape == shape
    bound = 1 / math.sqrt(fan)
    for values in (layer.weight.detach().numpy(), layer.bias.detach().numpy()):
        assert np.abs(values).max() <= bound * (1 + 1e-6)
        assert np.abs(values).max() > 0.8 * bound
    assert abs(layer.weight.detach().numpy().std() - bound / math.sqrt(3)) < 0.03 * bound


def test_options_that_do_not_fit_are_told():
    for make, error, message in (
            (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "in_channels must be divisible by groups"),
            (lambda: nn.Conv2d(4, 3, 3, groups=2), ValueError, "out_channels must be divisible by groups"),
            (lambda: nn.Conv2d(4, 3, 3, groups=0), ValueError, "groups must be at least 1"),
            (lambda: nn.Conv2d(4, 3, 3, padding_mode="x"), ValueError, "padding_mode must be one of"),
            (lambda: nn.Conv2d(4, 3, 3, padding="a"), ValueError, "'same', 'valid' or numbers"),
            (lambda: nn.Conv2d(4, 3, 3, stride=2, padding="same"), ValueError, "does not go with a stride"),
            (lambda: nn.ConvTranspose2d(2, 2, 2, padding_mode="reflect"), ValueError, "no padding_mode but 'zeros'"),
            (lambda: nn.ConvTranspose2d(2, 2, 2, padding="same"), TypeError, "as numbers")):
        with pytest.raises(error, match=message):
            make()


def test_output_size_chooses_the_output_padding():
    layer, its = nn.ConvTranspose2d(2, 3, 3, stride=2), torch.nn.ConvTranspose2d(2, 3, 3, stride=2)
    its.load_state_dict({k: torch.tensor(v.numpy()) for k, v in layer.state_dict().items()})
    x = normal(1, 2, 4, 4)
    for size in ((9, 9), (10, 9), (1, 3, 10, 10)):
        expected = its(torch.tensor(x).float(), output_size=size)
        close(layer(f32(x), output_size=size), expected.detach().numpy(), 1e-4, 1e-5)
    with pytest.raises(ValueError, match=r"from \[9, 9\] to \[10, 10\], not \(12, 12\)"):
        layer(f32(x), output_size=(12, 12))
    with pytest.raises(ValueError, match="2 or 4 entries"):
        layer(f32(x), output_size=(9,))


def test_gradients_go_straight_into_the_arena():
    layer = nn.Conv2d(3, 4, 3)
    genesis.optim.SGD(layer.parameters(), lr=0.1)
    layer(f32(normal(2, 3, 8, 8))).sum().backward()
    for p in layer.parameters():
        assert isinstance(p._slot, GradientSlot)
        assert not p._slot.arena.assigned
        assert p._slot.arena.present


def test_a_small_network_trains_as_in_torch():
    def network(lib):
        return lib.Sequential(
            lib.Conv2d(1, 4, 3, padding=1), lib.ReLU(), lib.MaxPool2d(2), lib.Conv2d(4, 8, 3, stride=2), lib.ReLU(),
            lib.AdaptiveAvgPool2d(1), lib.Flatten(), lib.Linear(8, 3))

    mine, its = network(nn), network(torch.nn).double()
    its.load_state_dict({k: torch.tensor(v.numpy()) for k, v in mine.state_dict().items()})
    x, target = normal(6, 1, 12, 12), np.arange(6) % 3
    a, b = genesis.optim.SGD(mine.parameters(), lr=0.1), torch.optim.SGD(its.parameters(), lr=0.1)
    for _ in range(5):
        a.zero_grad()
        b.zero_grad()
        loss = nn.CrossEntropyLoss()(mine(f32(x)), genesis.tensor(target))
        other = torch.nn.CrossEntropyLoss()(its(torch.tensor(x)), torch.tensor(target))
        loss.backward()
        other.backward()
        a.step()
        b.step()
        assert abs(loss.item() - other.item()) < 1e-5
    for p, q in zip(mine.parameters(), its.parameters()):
        close(p, q.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_a_network_of_volumes_trains_as_in_torch():
    def network(lib):
        return lib.Sequential(
            lib.Conv3d(1, 4, 3, padding=1, padding_mode="replicate"), lib.BatchNorm3d(4), lib.RReLU(0.2, 0.2),
            lib.MaxPool3d(2), lib.Dropout3d(0.0), lib.Conv3d(4, 4, 2), lib.Upsample(scale_factor=2, mode="trilinear"),
            lib.AvgPool3d(2), lib.ReflectionPad3d(1), lib.InstanceNorm3d(4, affine=True),
            lib.AdaptiveMaxPool3d((1, 2, 1)), lib.Flatten(), lib.Linear(8, 5))

    mine, its = network(nn), network(torch.nn).double()
    assert repr(mine) == repr(its)
    its.load_state_dict({k: torch.tensor(v.numpy()) for k, v in mine.state_dict().items()})
    x, target = normal(4, 1, 6, 8, 6), np.array([0, 4, 2, 2])
    a, b = genesis.optim.SGD(mine.parameters(), lr=0.1), torch.optim.SGD(its.parameters(), lr=0.1)
    for _ in range(4):
        a.zero_grad()
        b.zero_grad()
        loss = nn.MultiMarginLoss(p=2)(mine(f32(x)), genesis.tensor(target))
        other = torch.nn.MultiMarginLoss(p=2)(its(torch.tensor(x)), torch.tensor(target))
        loss.backward()
        other.backward()
        a.step()
        b.step()
        assert abs(loss.item() - other.item()) < 1e-4
    for p, q in zip(mine.parameters(), its.parameters()):
        close(p, q.detach().numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", [genesis.bfloat16, genesis.float16])
def test_autocast_convolves_in_16_bits_and_gives_float32_gradients(dtype):
    layer = nn.Conv2d(3, 4, 3)
    with genesis.autocast(dtype=dtype):
        y = layer(f32(normal(2, 3, 8, 8)))
    assert y.dtype is dtype
    y.float().sum().backward()
    assert layer.weight.grad.dtype is layer.bias.grad.dtype is genesis.float32
