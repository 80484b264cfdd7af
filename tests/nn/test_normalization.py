"""Normalization layers against PyTorch's: options, running statistics, state, errors."""

import numpy as np
import pytest
from helpers import close, f32, leaf, normal

import genesis
from genesis import nn
from genesis.nn import functional as F

torch = pytest.importorskip("torch")

LAYERS = {
    "layer": (lambda n: n.LayerNorm(7), (5, 3, 7)),
    "layer of two dimensions": (lambda n: n.LayerNorm((3, 7), eps=1e-3), (5, 3, 7)),
    "layer without bias": (lambda n: n.LayerNorm(7, bias=False), (5, 7)),
    "layer plain": (lambda n: n.LayerNorm([7], elementwise_affine=False), (5, 7)),
    "rms": (lambda n: n.RMSNorm(7), (5, 7)),
    "rms eps": (lambda n: n.RMSNorm((5, 7), eps=0.1), (5, 7)),
    "rms plain": (lambda n: n.RMSNorm(7, elementwise_affine=False), (5, 7)),
    "group": (lambda n: n.GroupNorm(2, 6), (4, 6, 5)),
    "group plain": (lambda n: n.GroupNorm(3, 6, affine=False), (4, 6)),
    "batch 1d": (lambda n: n.BatchNorm1d(6), (8, 6)),
    "batch 1d positions": (lambda n: n.BatchNorm1d(6, eps=0.1, momentum=0.3), (8, 6, 5)),
    "batch 2d": (lambda n: n.BatchNorm2d(6), (4, 6, 5, 7)),
    "batch 2d average": (lambda n: n.BatchNorm2d(6, momentum=None), (4, 6, 5, 7)),
    "batch 2d untracked": (lambda n: n.BatchNorm2d(6, track_running_stats=False), (4, 6, 5, 7)),
    "batch 2d plain": (lambda n: n.BatchNorm2d(6, affine=False), (4, 6, 5, 7)),
    "batch 3d": (lambda n: n.BatchNorm3d(3), (4, 3, 2, 3, 4)),
    "instance 1d": (lambda n: n.InstanceNorm1d(3), (4, 3, 9)),
    "instance 2d": (lambda n: n.InstanceNorm2d(3, affine=True), (4, 3, 5, 7)),
    "instance 2d tracked": (lambda n: n.InstanceNorm2d(3, affine=True, track_running_stats=True), (4, 3, 5, 7)),
    "instance 2d single": (lambda n: n.InstanceNorm2d(3), (3, 5, 7)),
    "instance 3d": (lambda n: n.InstanceNorm3d(3), (4, 3, 2, 3, 4)),
    "group without bias": (lambda n: n.GroupNorm(2, 6, bias=False), (4, 6, 5)),
    "batch without bias": (lambda n: n.BatchNorm2d(6, bias=False), (4, 6, 5, 7)),
    "instance without bias": (lambda n: n.InstanceNorm1d(3, affine=True, track_running_stats=True, bias=False),
                              (4, 3, 9)),
}


def pair(make):
    """A layer and PyTorch's in float64, with the same random parameters and statistics."""
    mine, its = make(nn), make(torch.nn).double()
    for i, (name, value) in enumerate(its.state_dict().items()):
        if value.is_floating_point():
            value.copy_(torch.tensor(np.abs(normal(*value.shape, seed=i)) + 0.5))
        assert tuple(mine.state_dict()[name].shape) == tuple(value.shape)
    state = {k: v.float().numpy() if v.is_floating_point() else v.numpy() for k, v in its.state_dict().items()}
    mine.load_state_dict(state)
    return mine, its


@pytest.mark.parametrize("name", LAYERS)
def test_layers_match_torch(name):
    make, shape = LAYERS[name]
    mine, its = pair(make)
    assert list(mine.state_dict()) == list(its.state_dict())
    assert [n for n, _ in mine.named_parameters()] == [n for n, _ in its.named_parameters()]
    for step in range(4):
        training = step != 2
        mine.train(training)
        its.train(training)
        x, g = normal(*shape, seed=step) * (step + 1) + step, normal(*shape, seed=9)
        a, b = leaf(x), torch.tensor(x, requires_grad=True)
        y, z = mine(a), its(b)
        close(y, z.detach().numpy(), rtol=1e-4, atol=1e-5)
        mine.zero_grad()
        its.zero_grad()
        y.backward(f32(g))
        z.backward(torch.tensor(g))
        close(a.grad, b.grad.numpy(), rtol=1e-3, atol=2e-5)
        for p, q in zip(mine.parameters(), its.parameters()):
            close(p.grad, q.grad.numpy(), rtol=1e-4, atol=1e-4)
        for key, value in its.state_dict().items():
            close(mine.state_dict()[key], value.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_look_and_reset_like_torch(name):
    mine, its = LAYERS[name][0](nn), LAYERS[name][0](torch.nn)
    fresh = {k: v.numpy() for k, v in its.state_dict().items()}
    for key, value in fresh.items():
        assert mine.state_dict()[key].numpy().tolist() == value.tolist()
        assert mine.state_dict()[key].dtype.name == str(value.dtype)
    mine(f32(normal(*LAYERS[name][1])))
    for value in mine.state_dict().values():
        value.fill_(3)
    mine.reset_parameters()
    for key, value in fresh.items():
        assert mine.state_dict()[key].numpy().tolist() == value.tolist()
    assert repr(mine) == repr(its)


def test_batch_norm_layer_takes_types_and_moves():
    layer = nn.BatchNorm2d(3).to(genesis.float16)
    assert layer.running_mean.dtype is genesis.float16
    assert layer.num_batches_tracked.dtype is genesis.int64
    y = layer(genesis.ones(2, 3, 4, 4).to(genesis.float16))
    assert y.dtype is genesis.float16
    assert layer.num_batches_tracked.item() == 1
    layer = nn.BatchNorm2d(3)                                  # float32 parameters beside 16-bit input
    x = f32(normal(5, 3, 4, 4)).to(genesis.bfloat16)
    assert layer(x).dtype is genesis.bfloat16
    close(layer.running_mean, 0.1 * x.float().numpy().astype(np.float64).mean((0, 2, 3)), atol=1e-5)


def test_running_statistics_belong_to_the_graph_only_as_values():
    layer = nn.BatchNorm1d(4)
    x = leaf(normal(6, 4))
    layer(x)
    y = layer(x)                                               # statistics change; the first graph does not mind
    y.sum().backward()
    assert not layer.running_mean.requires_grad
    with genesis.no_grad():
        before = layer.running_mean.tolist()
        layer.eval()(x)
        assert layer.running_mean.tolist() == before


def test_functional_defaults_match_torch():
    x, w, b = normal(4, 6), np.abs(normal(6, seed=1)), normal(6, seed=2)
    m, v = normal(6, seed=3), np.abs(normal(6, seed=4)) + 0.1
    t = torch.nn.functional
    for mine, its in (
            (F.layer_norm(f32(x), (6,), f32(w), f32(b)), t.layer_norm(torch.tensor(x), (6,), torch.tensor(w),
                                                                      torch.tensor(b))),
            (F.rms_norm(f32(x), (6,), f32(w), eps=1e-6), t.rms_norm(torch.tensor(x), (6,), torch.tensor(w), eps=1e-6)),
            (F.group_norm(f32(x), 3, f32(w), f32(b)), t.group_norm(torch.tensor(x), 3, torch.tensor(w),
                                                                   torch.tensor(b))),
            (F.batch_norm(f32(x), f32(m), f32(v), f32(w), f32(b)),
             t.batch_norm(torch.tensor(x), torch.tensor(m), torch.tensor(v), torch.tensor(w), torch.tensor(b))),
            (F.instance_norm(f32(x[None])), t.instance_norm(torch.tensor(x[None])))):
        close(mine, its.numpy(), rtol=1e-5, atol=1e-5)


def test_rms_norm_default_eps_is_that_of_torch():
    for mine, its in ((genesis.float32, torch.float32), (genesis.float16, torch.float16)):
        values = np.array([[1e-3, 2e-3, -1e-3, 5e-4]])
        y = F.rms_norm(f32(values).to(mine), 4)
        z = torch.nn.functional.rms_norm(torch.tensor(values).to(its), (4,))
        close(y.float(), z.float().numpy(), rtol=2e-3, atol=1e-6)


def test_normalization_errors():
    x = genesis.zeros(2, 6, 4)
    for error, call in (
            (RuntimeError, lambda: F.layer_norm(x, 6)), (RuntimeError, lambda: F.layer_norm(x, 4, genesis.ones(3))),
            (RuntimeError, lambda: F.layer_norm(x.long(), 4)), (RuntimeError, lambda: F.rms_norm(x, ())),
            (RuntimeError, lambda: F.group_norm(x, 4)), (ValueError, lambda: nn.GroupNorm(4, 6)),
            (RuntimeError, lambda: F.group_norm(x, 2, genesis.ones(4))),
            (RuntimeError, lambda: F.batch_norm(x, None, None)),
            (RuntimeError, lambda: F.batch_norm(x, genesis.zeros(6), None, training=True)),
            (RuntimeError, lambda: F.batch_norm(x, genesis.zeros(5), genesis.ones(5))),
            (RuntimeError, lambda: F.batch_norm(x, genesis.zeros(12)[::2], genesis.ones(6))),
            (RuntimeError, lambda: F.batch_norm(genesis.zeros(3), None, None, training=True)),
            (ValueError, lambda: F.batch_norm(genesis.zeros(1, 6), None, None, training=True)),
            (ValueError, lambda: F.batch_norm(x, None, None, training=True, eps=0.0)),
            (ValueError, lambda: F.batch_norm(x, genesis.zeros(6), genesis.ones(6), eps=-1.0)),
            (ValueError, lambda: F.group_norm(genesis.zeros(1, 6), 6)),
            (ValueError, lambda: F.instance_norm(genesis.zeros(2, 6, 1))),
            (ValueError, lambda: nn.BatchNorm1d(6)(genesis.zeros(2, 6, 4, 4))),
            (ValueError, lambda: nn.BatchNorm2d(6)(x)), (RuntimeError, lambda: nn.BatchNorm1d(5)(x))):
        with pytest.raises(error):
            call()


def test_batch_normalization_counts_an_empty_batch():
    mine, its = nn.BatchNorm2d(3), torch.nn.BatchNorm2d(3)
    assert mine(genesis.zeros(0, 3, 2, 2)).shape == its(torch.zeros(0, 3, 2, 2)).shape
    for name, value in its.state_dict().items():
        np.testing.assert_array_equal(mine.state_dict()[name].numpy(), value.numpy())


def test_batch_normalization_of_several_processes_is_that_of_one():
    """Parameters, statistics and modes go over to the new layers, which compute the same."""
    model = genesis.nn.Sequential(genesis.nn.Conv2d(2, 3, 1), genesis.nn.BatchNorm2d(3, momentum=0.3),
                                  genesis.nn.Sequential(genesis.nn.BatchNorm2d(3, affine=False).eval()))
    x = genesis.randn(4, 2, 3, 3)
    expected = model(x).detach().numpy()
    running = model[1].running_mean.clone()
    model[1].reset_running_stats()
    weight, names = model[1].weight, list(model.state_dict())
    converted = genesis.nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert converted is model
    assert [type(converted[1]), type(converted[2][0])] == [genesis.nn.SyncBatchNorm] * 2
    assert converted[1].weight is weight
    assert list(converted.state_dict()) == names
    assert not converted[2][0].training
    np.testing.assert_array_equal(converted(x).detach().numpy(), expected)
    np.testing.assert_array_equal(converted[1].running_mean.numpy(), running.numpy())
    assert genesis.nn.SyncBatchNorm(3)(genesis.ones(2, 3)).shape == (2, 3)
    with pytest.raises(ValueError, match="at least 2"):
        genesis.nn.SyncBatchNorm(3)(genesis.ones(3))
