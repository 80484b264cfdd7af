"""Work: one launch a step, nothing compiled anew, and no work of the host that grows with the number of parameters."""

import sys

import numpy as np
import pytest
from support import OPTIMIZERS, decaying, defaults, everything, extremes, flow, give, launches, leaf, updates, values

import genesis


def programs():
    """How many programs the device has."""
    found = genesis.device().programs
    return len(found.compiled), len(found.loaded), len(found._kernels)


def filled(count, size=3):
    """Parameters with gradients in their slots, made by backward."""
    return [leaf(np.ones(size)) for _ in range(count)]


@pytest.mark.parametrize("max_grad_norm", [None, 1.0])
@pytest.mark.parametrize(("name", "case"), everything(extremes))
def test_nothing_is_compiled_when_hyperparameters_change(name, case, max_grad_norm):
    params = filled(3)
    optimizer = OPTIMIZERS[name](params, lr=0.1, max_grad_norm=max_grad_norm, **case)
    changes = {"lr": [0.2, 0.0, 1e-6], "weight_decay": [0.3, 0.0, 1e-4], "betas": [(0.5, 0.6), (0.0, 0.0)],
               "eps": [1e-3, 0.1], "alpha": [0.5], "etas": [(0.1, 3.0)], "lambd": [0.0, 0.5], "t0": [0.0, 2.0],
               "momentum_decay": [0.0, 0.1], "maximize": [True, False]}
    if case.get("momentum"):
        changes["momentum"] = [0.5, 0.99]
    for p in params:
        give(p, np.ones(3))
    optimizer.step()
    before = programs()
    for key, new in changes.items():
        for value in new if key in optimizer.param_groups[0] else ():
            optimizer.param_groups[0][key] = value
            for p in params:
                give(p, np.ones(3))
            optimizer.max_grad_norm = max_grad_norm and max_grad_norm / 2
            optimizer.step()
            optimizer.zero_grad()
    assert programs() == before


@pytest.mark.parametrize(("name", "case"), everything(extremes))
def test_a_step_is_one_launch_for_all_parameters_and_groups(name, case):
    sizes = [1, 1023, 1024, 1025, 5000, 0, 33, 2]
    params = [leaf(np.ones(n)) for n in sizes]
    groups = [{"params": params[:2]}, {"params": params[2:5], "lr": 0.2},
              {"params": params[5:7], **decaying(name, 0.1)}, {"params": params[7:], "lr": 0.0}]
    optimizer = OPTIMIZERS[name](groups, lr=0.1, **case)
    for _ in range(3):
        optimizer.zero_grad()
        flow(*[(p, np.ones(p.shape)) for p in params])
        with launches() as seen:
            optimizer.step()
        assert updates(seen) == len(seen) == 1


def test_many_groups_need_few_launches():
    params = filled(40)
    optimizer = genesis.optim.SGD([{"params": [p], "lr": 0.1 * i} for i, p in enumerate(params)], lr=1.0)
    flow(*[(p, np.ones(3)) for p in params])
    with launches() as seen:
        optimizer.step()
    assert len(seen) <= 2
    for i, p in enumerate(params):
        np.testing.assert_allclose(values(p), 1 - 0.1 * i, atol=1e-6)


@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad_is_at_most_one_launch(set_to_none):
    params = filled(50)
    optimizer = genesis.optim.SGD(params, lr=0.1)
    flow(*[(p, np.ones(3)) for p in params])
    with launches() as seen:
        optimizer.zero_grad(set_to_none)
    assert len(seen) == (0 if set_to_none else 1)


def calls(function):
    """How many functions, Python's and C's, are called by a call of ``function``."""
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.lengthy
@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("max_grad_norm", [None, 1.0])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_hosts_work_does_not_grow_with_the_number_of_parameters(name, max_grad_norm, partial):
    counts = {}
    for n in (10, 1000):
        params = filled(n)
        optimizer = OPTIMIZERS[name](params, lr=0.1, max_grad_norm=max_grad_norm)
        arena = params[0]._slot.arena
        for _ in range(5):
            # What backward does when it writes gradients into the slots.
            arena.present = (1 << n) - 1 if not partial else (1 << n) - 2
            genesis.synchronize()      # how much of the steps before is known decides what there is to do
            step = calls(optimizer.step)
            zero = calls(optimizer.zero_grad)
        counts[n] = step, zero
    for few, many in zip(counts[10], counts[1000]):
        assert abs(few - many) <= 8          # the memory pool looks a little longer or shorter for a buffer
        assert many < 200


def test_defaults_are_those_of_torch():
    torch = pytest.importorskip("torch")
    for name, cls in OPTIMIZERS.items():
        theirs = getattr(torch.optim, cls.__name__, None)
        if theirs is not None:
            own = theirs([torch.zeros(1, requires_grad=True)]).defaults
            for key, value in defaults(name).items():
                assert own[key] == value, (name, key)
