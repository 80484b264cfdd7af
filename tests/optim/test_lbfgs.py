"""LBFGS: whole trajectories against PyTorch, its state in both directions, and what it refuses.

L-BFGS amplifies rounding: on these problems PyTorch in float32 leaves PyTorch in float64 by up to 0.3 and comes back at
the minimum. So trajectories are compared in float64 where the device has it, and in float32 for as long as they agree.
"""

import copy
import math

import numpy as np
import pytest
from support import leaf, values

import genesis
from genesis import nn
from genesis.optim import LBFGS
from genesis.optim.line_search import Point, strong_wolfe

SEARCHES = [None, "strong_wolfe"]
START = np.array([-1.2, 1.0, -0.5, 0.8, 1.3, -1.0])
PRECISE = pytest.mark.skipif(not genesis.device().fp64, reason="the device has no float64")


def rosenbrock(x):
    return ((1 - x[:-1]) ** 2 + 100 * (x[1:] - x[:-1] ** 2) ** 2).sum()


def closure(optimizer, loss):
    """The function that `step` takes."""
    def run():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    return run


def valley(dtype=None, **arguments):
    """A point in Rosenbrock's valley, an optimizer for it and its closure."""
    x = leaf(START, dtype)
    optimizer = LBFGS([x], **arguments)
    return x, optimizer, closure(optimizer, lambda: rosenbrock(x))


def torch_valley(dtype, **arguments):
    torch = pytest.importorskip("torch")
    x = torch.tensor(START, dtype=getattr(torch, dtype.name), requires_grad=True)
    optimizer = torch.optim.LBFGS([x], **arguments)
    return x, optimizer, closure(optimizer, lambda: rosenbrock(x))


def counts(state):
    return state["func_evals"], state["n_iter"]


@PRECISE
@pytest.mark.parametrize("history_size", [1, 3, 100])
@pytest.mark.parametrize("search", SEARCHES)
def test_a_trajectory_is_that_of_torch(search, history_size):
    arguments = {"lr": 1 if search else 0.2, "line_search_fn": search, "history_size": history_size, "max_iter": 7}
    x, optimizer, run = valley(genesis.float64, **arguments)
    y, its, its_run = torch_valley(genesis.float64, **arguments)
    for _ in range(6):
        assert math.isclose(optimizer.step(run).item(), its.step(its_run).item(), rel_tol=1e-5)
        np.testing.assert_allclose(values(x), y.detach().numpy(), rtol=1e-5, atol=1e-5)
        mine, theirs = optimizer.state[x], its.state[y]
        assert counts(mine) == counts(theirs)
        assert len(mine["old_dirs"]) == len(theirs["old_dirs"]) <= history_size
    for s, its_s in zip(mine["old_stps"], theirs["old_stps"]):
        np.testing.assert_allclose(values(s), its_s.numpy(), atol=1e-4)
    assert math.isclose(mine["H_diag"], theirs["H_diag"].item(), rel_tol=1e-4)


@pytest.mark.parametrize("search", SEARCHES)
def test_in_float32_it_begins_like_torch_and_ends_in_the_minimum(search):
    arguments = {"lr": 1 if search else 0.2, "line_search_fn": search, "max_iter": 8}
    x, optimizer, run = valley(**arguments)
    y, its, its_run = torch_valley(genesis.float32, **arguments)
    for _ in range(2 if search else 5):
        optimizer.step(run)
        its.step(its_run)
        np.testing.assert_allclose(values(x), y.detach().numpy(), atol=5e-3)
        assert counts(optimizer.state[x]) == counts(its.state[y])
    for _ in range(20):
        optimizer.step(run)
    gradient = 2 * (values(x)[:-1] - 1) - 400 * values(x)[:-1] * (values(x)[1:] - values(x)[:-1] ** 2)
    gradient[1:] += 200 * (values(x)[1:-1] - values(x)[:-2] ** 2)
    assert np.abs(gradient).max() < 0.1


def networks(dtype):
    """The same small network, data and loss here and in PyTorch; (parameters, loss) of each."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    inputs, labels = rng.standard_normal((40, 33)), rng.integers(0, 3, 40)
    model = nn.Sequential(nn.Linear(33, 40), nn.Tanh(), nn.Linear(40, 3)).to(dtype=dtype)      # over a chunk of 1024
    other = torch.nn.Sequential(torch.nn.Linear(33, 40), torch.nn.Tanh(), torch.nn.Linear(40, 3)).to(
        getattr(torch, dtype.name))
    other.load_state_dict({k: torch.tensor(values(v), dtype=getattr(torch, dtype.name))
                           for k, v in model.state_dict().items()})
    mine = genesis.tensor(inputs, dtype=dtype), genesis.tensor(labels)
    theirs = torch.tensor(inputs, dtype=getattr(torch, dtype.name)), torch.tensor(labels)
    return ((list(model.parameters()), lambda: nn.functional.cross_entropy(model(mine[0]), mine[1])),
            (list(other.parameters()), lambda: torch.nn.functional.cross_entropy(other(theirs[0]), theirs[1])))


@pytest.mark.parametrize("search", SEARCHES)
def test_a_network_learns_as_in_torch(search):
    torch = pytest.importorskip("torch")
    dtype = genesis.float64 if genesis.device().fp64 else genesis.float32
    (params, loss), (theirs, its_loss) = networks(dtype)
    arguments = {"lr": 1 if search else 0.5, "line_search_fn": search, "max_iter": 5, "history_size": 4}
    optimizer, its = LBFGS(params, **arguments), torch.optim.LBFGS(theirs, **arguments)
    for p in (params, theirs):
        p[1].requires_grad_(False)                     # without a gradient: it stays, and counts as 0
    fixed = values(params[1])
    for _ in range(4):
        first = optimizer.step(closure(optimizer, loss))
        its.step(closure(its, its_loss))
    assert first.item() < 0.1
    for p, q in zip(params, theirs):
        np.testing.assert_allclose(values(p), q.detach().numpy(), atol=1e-5 if dtype is genesis.float64 else 0.05)
    assert np.array_equal(values(params[1]), fixed)


@PRECISE
@pytest.mark.parametrize("search", SEARCHES)
def test_a_state_goes_to_torch_and_back(search):
    torch = pytest.importorskip("torch")
    arguments = {"lr": 1 if search else 0.2, "line_search_fn": search, "max_iter": 5, "history_size": 4}
    x, optimizer, run = valley(genesis.float64, **arguments)
    y, its, its_run = torch_valley(genesis.float64, **arguments)

    def plain(value):
        if isinstance(value, list):
            return [plain(v) for v in value]
        return torch.tensor(values(value)) if isinstance(value, genesis.Tensor) else value

    for step in range(4):
        optimizer.step(run)
        its.step(its_run)
        saved = optimizer.state_dict()
        if step % 2:
            its = torch.optim.LBFGS([y])
            its.load_state_dict({"state": {0: {k: plain(v) for k, v in saved["state"][0].items()}},
                                 "param_groups": saved["param_groups"]})
            its_run = closure(its, lambda: rosenbrock(y))
        else:
            optimizer = LBFGS([x])
            optimizer.load_state_dict(its.state_dict())
            run = closure(optimizer, lambda: rosenbrock(x))
        np.testing.assert_allclose(values(x), y.detach().numpy(), rtol=1e-6, atol=1e-6)
    assert counts(optimizer.state[x]) == counts(its.state[y])


@pytest.mark.parametrize("search", SEARCHES)
def test_saving_copying_and_going_on_is_exact(search):
    x, optimizer, run = valley(lr=0.2, line_search_fn=search, max_iter=6, history_size=3)
    optimizer.step(run)
    saved = optimizer.state_dict()
    both = copy.deepcopy((x, optimizer))
    other = leaf(values(x))
    resumed = LBFGS([other])
    resumed.load_state_dict(saved)
    for _ in range(2):
        optimizer.step(run)
        resumed.step(closure(resumed, lambda: rosenbrock(other)))
        both[1].step(closure(both[1], lambda: rosenbrock(both[0])))
    assert np.array_equal(values(x), values(other))
    assert np.array_equal(values(x), values(both[0]))
    assert not np.array_equal(values(x), START)
    assert [values(s).tolist() for s in saved["state"][0]["old_stps"]] != [
        values(s).tolist() for s in optimizer.state[x]["old_stps"]]        # what was saved has memory of its own


@pytest.mark.parametrize("dtype", [genesis.float16, genesis.bfloat16], ids=lambda d: d.name)
@pytest.mark.parametrize("search", SEARCHES)
def test_16_bit_parameters_reach_the_minimum_as_far_as_they_can_tell(search, dtype):
    target = genesis.tensor([0.5, -1.25, 3.0, 1.0], dtype=dtype)
    p, q = leaf([[2.0], [1.0]], dtype), leaf([-1.0, 4.0], dtype)
    optimizer = LBFGS([p, q], line_search_fn=search)

    def loss():
        off = genesis.cat([p[:, 0], q]) - target
        return (off * off * genesis.tensor([1.0, 2.0, 4.0, 0.5], dtype=dtype)).sum()

    optimizer.step(closure(optimizer, loss))
    np.testing.assert_allclose([*values(p)[:, 0], *values(q)], values(target), atol=0.05)
    assert optimizer.state[p]["d"].dtype is genesis.float32
    assert optimizer.state[p]["d"].shape == (4,)


def test_parameters_whose_memory_is_elsewhere_are_moved_too():
    whole = genesis.zeros(4)
    x = whole[1:3].requires_grad_()
    optimizer = LBFGS([x], line_search_fn="strong_wolfe")
    optimizer.step(closure(optimizer, lambda: ((x - genesis.tensor([3.0, -2.0])) ** 2).sum()))
    np.testing.assert_allclose(values(whole), [0, 3, -2, 0], atol=1e-5)
    other = genesis.optim.SGD([x], lr=0.5)              # has the same parameter
    other.step()
    optimizer.state.clear()                             # the next loss is another function
    optimizer.step(closure(optimizer, lambda: ((x + 1) ** 2).sum()))
    np.testing.assert_allclose(values(whole), [0, -1, -1, 0], atol=1e-5)


def test_other_parameters_begin_anew():
    x, optimizer, run = valley(max_iter=3)
    optimizer.step(run)
    y = leaf([5.0, 6.0, 7.0])
    optimizer.param_groups[0]["params"] = [y]
    optimizer.step(closure(optimizer, lambda: (y * y).sum()))
    assert counts(optimizer.state[y])[1] >= 2
    np.testing.assert_allclose(values(y), 0, atol=1e-4)
    with pytest.raises(ValueError, match="group"):
        optimizer.param_groups.append({**optimizer.param_groups[0], "params": [x]})
        optimizer.step(run)


def test_it_stops_where_the_tolerances_say():
    x, optimizer, run = valley(tolerance_grad=1e9)
    optimizer.step(run)
    assert counts(optimizer.state[x]) == (1, 0)
    x, optimizer, run = valley(lr=1e-3, tolerance_change=1e3)       # the first direction descends by less
    optimizer.step(run)
    assert counts(optimizer.state[x]) == (2, 1)
    x, optimizer, run = valley(max_iter=50, max_eval=4, line_search_fn="strong_wolfe")
    optimizer.step(run)
    assert 4 <= counts(optimizer.state[x])[0] <= 5


def test_the_search_satisfies_the_strong_wolfe_conditions():
    def point(t):
        return Point(t, math.cos(3 * t) + 0.1 * (t - 4) ** 2, None, -3 * math.sin(3 * t) + 0.2 * (t - 4))

    for first in (1e-3, 0.3, 1.0, 2.0, 30.0):
        found, count = strong_wolfe(point, point(0), first, 1.0, 25, 1e-9)
        assert found.loss <= point(0).loss + 1e-4 * found.t * point(0).slope
        assert abs(found.slope) <= -0.9 * point(0).slope
        assert 1 <= count <= 26
    found, count = strong_wolfe(lambda t: point(t) if t < 0.1 else Point(t, math.nan, None, math.nan), point(0), 1.0,
                                1.0, 3, 1e-9)
    assert count <= 4


@pytest.mark.parametrize(("key", "bad"), [
    ("lr", -1.0), ("max_iter", 0), ("max_iter", 2.5), ("max_eval", -1), ("history_size", 0), ("history_size", True),
    ("tolerance_grad", math.nan), ("tolerance_change", "1"), ("line_search_fn", "armijo")])
def test_a_bad_argument_is_refused_by_name(key, bad):
    x = leaf([1.0])
    with pytest.raises(ValueError, match=key):
        LBFGS([x], **{key: bad})
    assert x._slot is None


def test_what_is_not_one_group_of_one_kind_is_refused():
    x, y = leaf([1.0]), leaf([1.0])
    with pytest.raises(ValueError, match="one parameter group"):
        LBFGS([{"params": [x]}, {"params": [y]}])
    with pytest.raises(ValueError, match="one parameter group"):
        LBFGS([x]).add_param_group({"params": [y]})
    with pytest.raises(ValueError, match="element type"):
        LBFGS([x, leaf([1.0], genesis.float16)])
    with pytest.raises(TypeError, match="closure"):
        LBFGS([x]).step(None)
    with pytest.raises(TypeError, match="closure"):
        LBFGS([x]).step()


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing():
    x, optimizer, run = valley(max_iter=3)
    optimizer.step(run)
    before, saved = counts(optimizer.state[x]), optimizer.state_dict()
    for name, bad in (("d", genesis.ones(5)), ("old_dirs", [genesis.ones(5)] * 2), ("old_stps", [])):
        broken = {**saved, "state": {0: {**saved["state"][0], name: bad}}}
        with pytest.raises(ValueError, match="the state has"):
            optimizer.load_state_dict(broken)
    assert counts(optimizer.state[x]) == before
    assert np.array_equal(values(optimizer.state[x]["d"]), values(saved["state"][0]["d"]))
