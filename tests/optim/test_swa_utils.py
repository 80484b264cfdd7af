"""Averaged models against PyTorch's and float64 means; SWALR; batch statistics."""

import copy
import gc

import numpy as np
import pytest
from support import launches, leaf

import genesis
from genesis import nn
from genesis.optim import SGD, Adam
from genesis.optim.swa_utils import (
    SWALR,
    AveragedModel,
    get_ema_avg_fn,
    get_ema_multi_avg_fn,
    get_swa_avg_fn,
    get_swa_multi_avg_fn,
    update_bn,
)

KINDS = {
    "default": {},
    "swa": {"multi_avg_fn": get_swa_multi_avg_fn()},
    "swa each": {"avg_fn": get_swa_avg_fn()},
    "ema": {"multi_avg_fn": get_ema_multi_avg_fn(0.75)},
    "ema each": {"avg_fn": get_ema_avg_fn(0.75)},
    "user's": {"avg_fn": lambda averaged, current, n: 0.5 * averaged + 0.5 * current},
}


class Net(nn.Module):
    """Parameters of many shapes, and two buffers."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(33, 65), nn.Linear(65, 1)
        self.scale = nn.Parameter(genesis.ones(()))
        self.register_buffer("seen", genesis.zeros(3))
        self.register_buffer("count", genesis.tensor(0))

    def forward(self, x):
        return self.b(self.a(x).relu()) * self.scale


def move(model, rng):
    """Give a model other values; returns them in float64."""
    with genesis.no_grad():
        for p in model.parameters():
            p.copy_(genesis.tensor(rng.standard_normal(p.shape).astype(np.float32)))
        model.seen.copy_(genesis.tensor(rng.standard_normal(3).astype(np.float32)))
        model.count += 2
    return {name: np.asarray(x.detach().numpy(), np.float64) for name, x in model.state_dict().items()}


def expected(kind, history, names, use_buffers):
    result = {}
    for name in names:
        values = [h[name] for h in history]
        if not use_buffers and name in ("seen", "count"):
            result[name] = values[-1]
        elif "ema" in kind or kind == "user's":
            decay = 0.5 if kind == "user's" else 0.75
            average = values[0]
            for v in values[1:]:
                average = decay * average + (1 - decay) * v
            result[name] = average
        else:
            result[name] = np.mean(values, axis=0)
    return result


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("when", ["no optimizer", "before", "after", "between"])
def test_averages_are_those_of_float64(kind, use_buffers, when):
    rng = np.random.default_rng(0)
    model = Net()
    if when == "before":
        optimizer = Adam(model.parameters(), lr=0.1)
    averaged = AveragedModel(model, use_buffers=use_buffers, **KINDS[kind])
    if when == "after":
        optimizer = Adam(model.parameters(), lr=0.1)
    history = []
    for i in range(5):
        history.append(move(model, rng))
        averaged.update_parameters(model)
        if when == "between" and i == 2:
            optimizer = Adam(model.parameters(), lr=0.1)
    assert averaged.n_averaged.item() == 5
    names = [n for n in history[0] if not (use_buffers and n == "count")]       # the mean of integers is truncated
    for name, value in expected(kind, history, names, use_buffers).items():
        actual = averaged.module.state_dict()[name].numpy()
        np.testing.assert_allclose(actual, value, rtol=1e-5, atol=1e-6, err_msg=name)
    for p, q in zip(model.parameters(), averaged.module.parameters()):
        assert p is not q
        np.testing.assert_array_equal(p.detach().numpy(), history[-1][next(
            n for n, x in model.named_parameters() if x is p)].astype(np.float32))
    if when != "no optimizer":
        assert optimizer.param_groups[0]["lr"] == 0.1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("use_buffers", [False, True])
def test_averages_are_torchs(kind, use_buffers):
    torch = pytest.importorskip("torch")
    from torch.optim import swa_utils

    rng = np.random.default_rng(1)
    mine, its = nn.Linear(7, 5), torch.nn.Linear(7, 5)
    options = {
        "swa": {"multi_avg_fn": swa_utils.get_swa_multi_avg_fn()}, "swa each": {"avg_fn": swa_utils.get_swa_avg_fn()},
        "ema": {"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.75)},
        "ema each": {"avg_fn": swa_utils.get_ema_avg_fn(0.75)}}.get(kind, KINDS[kind])
    averaged = AveragedModel(mine, use_buffers=use_buffers, **KINDS[kind])
    other = swa_utils.AveragedModel(its, use_buffers=use_buffers, **options)
    for _ in range(4):
        weight, bias = rng.standard_normal((5, 7)), rng.standard_normal(5)
        mine.load_state_dict({"weight": f32(weight), "bias": f32(bias)})
        its.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
        averaged.update_parameters(mine)
        other.update_parameters(its)
    state, reference = averaged.state_dict(), other.state_dict()
    assert list(state) == list(reference)
    for name, value in reference.items():
        np.testing.assert_allclose(state[name].numpy(), value.numpy(), rtol=1e-5, atol=1e-6)
    back = AveragedModel(mine)
    back.load_state_dict({name: value.numpy() for name, value in reference.items()})
    assert back.n_averaged.item() == 4
    other.load_state_dict({name: torch.tensor(value.numpy()) for name, value in state.items()})


def f32(values):
    return genesis.tensor(np.asarray(values, np.float32))


@pytest.mark.parametrize("dtype", [genesis.float16, genesis.bfloat16, genesis.float64], ids=str)
@pytest.mark.parametrize("kind", ["default", "ema", "ema each"])
def test_other_types(dtype, kind):
    if dtype is genesis.float64 and not genesis.device().fp64:
        pytest.skip("the device has no float64")
    model = nn.Linear(3, 2).to(dtype)
    optimizer = SGD(model.parameters(), lr=0.1)
    averaged = AveragedModel(model, **KINDS[kind])
    for value in (1.0, 2.0, 3.0):
        with genesis.no_grad():
            model.weight.fill_(value)
        averaged.update_parameters(model)
    assert averaged.module.weight.dtype is dtype
    assert averaged.module.weight[0, 0].item() == pytest.approx(2.0 if kind == "default" else 1.6875, rel=1e-2)
    del optimizer


def test_parameters_of_an_optimizer_take_one_launch():
    model = nn.Sequential(*[nn.Linear(10, 10) for _ in range(20)])
    optimizer = Adam(model.parameters(), lr=0.1)
    for function in (get_ema_multi_avg_fn(0.9), get_swa_multi_avg_fn()):
        averaged = AveragedModel(model, multi_avg_fn=function)
        averaged.update_parameters(model)
        with launches() as seen:
            averaged.update_parameters(model)
        assert len(seen) == 2, seen          # the average, and the count
        assert averaged.n_averaged.item() == 2
    del optimizer


def test_joined_averages_follow_a_step():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    optimizer = SGD(model.parameters(), lr=1.0)
    averaged = AveragedModel(model)
    total = [np.zeros(p.shape) for p in model.parameters()]
    for _ in range(3):
        optimizer.zero_grad()
        model(f32(np.ones((5, 3)))).sum().backward()
        optimizer.step()
        averaged.update_parameters(model)
        total = [t + p.detach().numpy() for t, p in zip(total, model.parameters())]
    for t, p in zip(total, averaged.module.parameters()):
        np.testing.assert_allclose(p.detach().numpy(), t / 3, rtol=1e-5, atol=1e-6)
    x = f32(np.ones((5, 3)))
    assert averaged(x).shape == (5, 2)
    assert genesis.equal(averaged(x), averaged.module(x))


def test_a_view_that_somebody_keeps_stays_connected():
    model = nn.Linear(3, 4)
    optimizer = SGD(model.parameters(), lr=1.0)
    averaged = AveragedModel(model)
    kept = averaged.module.weight.detach()
    for value in (1.0, 3.0):
        with genesis.no_grad():
            model.weight.fill_(value)
        averaged.update_parameters(model)
    assert kept[0, 0].item() == 2
    del optimizer


def test_an_optimizer_made_later_takes_the_parameters_in():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    averaged = AveragedModel(model)
    averaged.update_parameters(model)
    optimizer = SGD(model.parameters(), lr=1.0)
    assert not optimizer._runners[0].arena.outside
    averaged.update_parameters(model)
    other = SGD(averaged.module.parameters(), lr=0.5)         # and the averages can be trained in turn
    averaged(f32(np.ones((5, 3)))).sum().backward()
    other.step()
    averaged.update_parameters(model)
    assert averaged.n_averaged.item() == 3


def test_average_survives_saving_and_goes_on_the_same(tmp_path):
    rng = np.random.default_rng(0)
    model = Net()
    averaged = AveragedModel(model)
    for _ in range(3):
        move(model, rng)
        averaged.update_parameters(model)
    genesis.save(averaged.state_dict(), tmp_path / "average")
    other = AveragedModel(Net())
    other.load_state_dict(genesis.load(tmp_path / "average"))
    move(model, rng)
    for each in (averaged, other):
        each.update_parameters(model)
    for name, value in averaged.state_dict().items():
        assert genesis.equal(value, other.state_dict()[name]), name


def test_copies_are_independent():
    model = nn.Linear(3, 2)
    optimizer = SGD(model.parameters(), lr=1.0)
    averaged = AveragedModel(model)
    averaged.update_parameters(model)
    other = copy.deepcopy(averaged)
    with genesis.no_grad():
        model.weight.fill_(5.0)
    before = averaged.module.weight.detach().numpy()
    other.update_parameters(model)
    np.testing.assert_array_equal(averaged.module.weight.detach().numpy(), before)
    np.testing.assert_allclose(other.module.weight.detach().numpy(), (before + 5) / 2, rtol=1e-6)
    assert (averaged.n_averaged.item(), other.n_averaged.item()) == (1, 2)
    del optimizer


def test_errors():
    model = nn.Linear(3, 2)
    with pytest.raises(AssertionError, match="Only one"):
        AveragedModel(model, avg_fn=get_ema_avg_fn(), multi_avg_fn=get_ema_multi_avg_fn())
    for make in (get_ema_avg_fn, get_ema_multi_avg_fn):
        with pytest.raises(ValueError, match="decay"):
            make(1.5)
    with pytest.raises(ValueError, match="shapes"):
        AveragedModel(model).update_parameters(nn.Linear(3, 3))


def test_gradients_are_not_copied_and_memory_is_freed():
    model = nn.Linear(3, 2)
    model(f32(np.ones((1, 3)))).sum().backward()
    averaged = AveragedModel(model)
    assert all(p.grad is None for p in averaged.parameters())
    optimizer = SGD(model.parameters(), lr=1.0)
    averaged.update_parameters(model)
    pool = genesis.device().pool
    gc.collect()
    before = pool.allocated
    del averaged
    gc.collect()
    assert pool.allocated < before
    del optimizer


# SWALR -----------------------------------------------------------------------------------------------------------


def lrs(scheduler, optimizer, steps):
    result = [[g["lr"] for g in optimizer.param_groups]]
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
        result.append([g["lr"] for g in optimizer.param_groups])
    return result


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 1, 4, 10])
def test_swalr_equals_torch(strategy, epochs):
    torch = pytest.importorskip("torch")
    from torch.optim.swa_utils import SWALR as Other

    groups = [(0.1, 0.5), (2.0, 0.05)]
    mine = SGD([{"params": [leaf([1.0])], "lr": lr} for lr, _ in groups])
    its = torch.optim.SGD([{"params": [torch.zeros(1)], "lr": lr} for lr, _ in groups])
    swa_lr = [s for _, s in groups]
    a = lrs(SWALR(mine, swa_lr, epochs, strategy), mine, 14)
    b = lrs(Other(its, swa_lr, epochs, strategy), its, 14)
    np.testing.assert_allclose(a, b, rtol=1e-12)
    assert a[-1] == pytest.approx(swa_lr)


@pytest.mark.parametrize("k", [0, 1, 3, 5, 8])
def test_swalr_resumes_exactly(k):
    def make():
        optimizer = SGD([leaf([1.0])], lr=0.3)
        return optimizer, SWALR(optimizer, 0.05, 5)

    optimizer, scheduler = make()
    whole = lrs(scheduler, optimizer, 10)
    optimizer, scheduler = make()
    first = lrs(scheduler, optimizer, k)
    saved = copy.deepcopy((optimizer.state_dict(), scheduler.state_dict()))
    optimizer, scheduler = make()
    scheduler.load_state_dict(saved[1])
    optimizer.load_state_dict(saved[0])
    assert first[:-1] + lrs(scheduler, optimizer, 10 - k) == whole


def test_swalr_arguments():
    optimizer = SGD([leaf([1.0])], lr=0.3)
    for arguments in ({"swa_lr": -1.0}, {"swa_lr": [0.1, 0.2]}, {"swa_lr": 0.1, "anneal_epochs": -1},
                      {"swa_lr": 0.1, "anneal_strategy": "steps"}):
        with pytest.raises(ValueError):
            SWALR(optimizer, **arguments)
    assert "anneal_strategy='cos'" in repr(SWALR(optimizer, 0.1))


# update_bn -------------------------------------------------------------------------------------------------------


class Statistics(nn.Module):
    """Keeps a running mean as a batch normalization layer does."""

    def __init__(self):
        super().__init__()
        self.momentum = 0.1
        for name in ("running_mean", "running_var"):
            self.register_buffer(name, genesis.zeros(()))
        self.register_buffer("num_batches_tracked", genesis.tensor(0))

    def reset_running_stats(self):
        self.running_mean.zero_()
        self.num_batches_tracked.zero_()

    def forward(self, x):
        if self.training:
            self.num_batches_tracked += 1
            share = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
            self.running_mean += share * (x.mean() - self.running_mean)
        return x


def test_update_bn_averages_over_all_batches():
    layer = Statistics()
    frozen = nn.Dropout(0.5)
    model = nn.Sequential(layer, frozen).train()
    frozen.eval()
    layer.running_mean.fill_(100.0)
    batches = [(f32(np.full(4, v)), "label") for v in (1.0, 2.0, 6.0)]
    update_bn(batches, model)
    assert layer.running_mean.item() == pytest.approx(3.0)
    assert layer.momentum == 0.1
    assert layer.training
    assert not frozen.training
    model.eval()
    update_bn([f32(np.full(4, 5.0))], model, device=genesis.device())
    assert layer.running_mean.item() == pytest.approx(5.0)
    assert not layer.training
    with pytest.raises(AttributeError):
        update_bn(["no tensor"], model)
    assert layer.momentum == 0.1
    assert not layer.training


def test_update_bn_leaves_models_without_such_layers_alone():
    update_bn(iter([1 / 1]), nn.Linear(2, 2))


def test_update_bn_of_batch_norm_equals_torch():
    torch = pytest.importorskip("torch")
    if not hasattr(nn, "BatchNorm1d"):
        pytest.skip("there is no BatchNorm1d")
    rng = np.random.default_rng(0)
    batches = [rng.standard_normal((8, 3)).astype(np.float32) * 2 + 1 for _ in range(4)]
    mine = AveragedModel(nn.Sequential(nn.BatchNorm1d(3)))
    its = torch.optim.swa_utils.AveragedModel(torch.nn.Sequential(torch.nn.BatchNorm1d(3)))
    update_bn([genesis.tensor(b) for b in batches], mine)
    torch.optim.swa_utils.update_bn([torch.tensor(b) for b in batches], its)
    for name, value in its.state_dict().items():
        np.testing.assert_allclose(mine.state_dict()[name].numpy(), value.numpy(), rtol=1e-5, atol=1e-6)
