"""Python's own pickles of tensors, layers and optimizers, and shallow copies."""

import copy
import pickle

import numpy as np
import pytest

import genesis
from genesis import nn, optim

PROTOCOLS = (0, pickle.HIGHEST_PROTOCOL)


def through_pickle(value, protocol=pickle.HIGHEST_PROTOCOL):
    return pickle.loads(pickle.dumps(value, protocol))


def tensors():
    values = genesis.arange(12).reshape(3, 4)
    yield from (values.to(dtype) for dtype in (genesis.float32, genesis.float16, genesis.bfloat16, genesis.int16,
                                                genesis.uint8, genesis.bool, genesis.complex64))
    yield values.t()
    yield values[::2, 1:]
    yield genesis.tensor(3.0)
    yield genesis.zeros(0, 3)
    yield genesis.ones(2, requires_grad=True)
    yield nn.Parameter(genesis.ones(2), requires_grad=False)
    yield nn.Buffer(genesis.ones(2), persistent=False)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pickled_tensor_is_the_same(protocol):
    for x in tensors():
        y = through_pickle(x, protocol)
        assert type(y) is type(x)
        assert y.dtype is x.dtype
        assert y.device is x.device
        assert y.shape == x.shape
        assert y.requires_grad == x.requires_grad
        assert y.is_leaf
        np.testing.assert_array_equal(y.detach().numpy(), x.detach().numpy())
        assert getattr(y, "persistent", None) == getattr(x, "persistent", None)


def test_pickled_tensor_has_memory_of_its_own_and_no_history():
    x = genesis.ones(2, requires_grad=True)
    y = through_pickle(x * 2)
    assert y.is_leaf
    assert y.requires_grad
    z = through_pickle(x)
    with genesis.no_grad():
        z += 1
    assert x.tolist() == [1, 1]


def test_pickled_parameter_keeps_attributes():
    x = nn.Parameter(genesis.ones(2))
    x.no_weight_decay = True
    assert through_pickle(x).no_weight_decay
    assert copy.copy(x).no_weight_decay


def test_shallow_copy_shares_memory():
    x = nn.Parameter(genesis.ones(2))
    y = copy.copy(x)
    with genesis.no_grad():
        y += 1
    assert type(y) is nn.Parameter
    assert x.tolist() == [2, 2]
    assert copy.copy(nn.Buffer(genesis.ones(2), persistent=False)).persistent is False
    assert copy.copy(x * 2).grad_fn is not None


def test_pickled_device_is_found_again():
    assert through_pickle(genesis.zeros(1).device) is genesis.zeros(1).device


def net():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.LazyLinear(2))


def test_pickled_layers_compute_the_same():
    model = net()
    assert repr(through_pickle(model)) == repr(model)      # before the lazy layer knows its size
    x = genesis.randn(5, 3)
    model(x)
    model.eval()
    copied = through_pickle(model)
    assert not copied.training
    assert genesis.equal(copied(x), model(x))


def test_pickled_layers_keep_tied_parameters():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    copied = through_pickle(model)
    assert copied[1].weight is copied[0].weight


@pytest.mark.parametrize("make", [
    lambda x: optim.SGD(x, lr=0.1, momentum=0.9), lambda x: optim.Adam(x, lr=0.1, amsgrad=True),
    lambda x: optim.Adagrad(x, initial_accumulator_value=0.5), lambda x: optim.NAdam(x),
    lambda x: optim.Adafactor(x)], ids=["SGD", "Adam", "Adagrad", "NAdam", "Adafactor"])
@pytest.mark.parametrize("copied", [through_pickle, copy.deepcopy], ids=["pickle", "deepcopy"])
def test_optimizer_copied_with_its_model_goes_on_alike(make, copied):
    x = genesis.randn(5, 3)

    def step(model, optimizer):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    optimizer = make(model.parameters())
    step(model, optimizer)
    model2, optimizer2 = copied((model, optimizer))
    assert optimizer2.param_groups[0]["params"][0] is model2[0].weight
    for _ in range(2):
        step(model, optimizer)
        step(model2, optimizer2)
    for p, q in zip(model.parameters(), model2.parameters(), strict=True):
        assert p is not q
        assert genesis.equal(p, q)


def test_pickled_schedule_steps_its_own_optimizer():
    x = genesis.ones(2, requires_grad=True)
    optimizer = optim.SGD([x], lr=1.0)
    copied, schedule = through_pickle((optimizer, optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)))
    copied.step()
    schedule.step()
    assert schedule.optimizer is copied
    assert copied.param_groups[0]["lr"] == 0.5
    assert optimizer.param_groups[0]["lr"] == 1
    assert schedule.get_last_lr() == [0.5]
