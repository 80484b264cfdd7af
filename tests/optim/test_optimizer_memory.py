"""Memory: parameters that share theirs, move, change hands between optimizers; what is freed, and when."""

import copy
import gc
import weakref

import numpy as np
import pytest
from support import AROUND, OPTIMIZERS, Reference, flow, give, launches, leaf, torch_class, updates, values

import genesis
from genesis import nn
from genesis.opencl import Alias


def sgd(*params, lr=1.0, **arguments):
    return genesis.optim.SGD(list(params), lr=lr, **arguments)


def arena_of(p):
    return p._slot.arena


def inside(p):
    """Whether a parameter lives in an optimizer's arena."""
    return isinstance(p._array.buffer, Alias)


@pytest.fixture
def no_collector():
    """Reference counts alone must do."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def model_and_data(seed=0):
    genesis.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    return model, genesis.randn(8, 3)


def train(model, optimizer, x, steps=1):
    for _ in range(steps):
        optimizer.zero_grad()
        (model(x) ** 2).sum().backward()
        optimizer.step()


def weights(model):
    return [values(p) for p in model.parameters()]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b))


# Memory shared with others ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", AROUND)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_detached_tensor_sees_the_updates(name, when):
    p, q = leaf([[1.0, 2.0]]), leaf([[1.0, 2.0]])
    held = p.detach() if when == "before" else None
    optimizer, other = OPTIMIZERS[name]([p], lr=0.1), OPTIMIZERS[name]([q], lr=0.1)
    held = p.detach() if held is None else held
    row = held[0]
    for _ in range(3):
        flow((p, [[1.0, -1.0]]), (q, [[1.0, -1.0]]))
        optimizer.step()
        other.step()
        assert np.array_equal(values(held), values(p))
        assert np.array_equal(values(row), values(p)[0])
    assert np.array_equal(values(p), values(q))
    with genesis.no_grad():
        held.fill_(7.0)
    assert values(p).tolist() == [[7.0, 7.0]]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_state_dict_of_the_module_sees_the_updates(when):
    model, x = model_and_data()
    state = model.state_dict() if when == "before" else None
    optimizer = genesis.optim.Adam(model.parameters(), lr=0.1)
    state = state or model.state_dict()
    for _ in range(2):
        train(model, optimizer, x)
        assert same([values(v) for v in state.values()], weights(model))


def test_a_parameter_moves_into_the_arena_once_nobody_shares_its_memory():
    p = leaf([1.0, 2.0])
    held = p.detach()
    optimizer = sgd(p)
    flow((p, [1.0, 1.0]))
    optimizer.step()
    assert not inside(p)
    del held
    optimizer.step()
    assert inside(p)
    with launches() as seen:
        optimizer.step()
    assert len(seen) == 1
    assert values(p).tolist() == [-2.0, -1.0]


def test_a_foreign_buffer_is_updated_where_it_is():
    array = pytest.importorskip("pyopencl.array")
    theirs = array.to_device(genesis.device().queue, np.array([1.0, 2.0], np.float32))
    p = genesis.from_pyopencl(theirs).requires_grad_()
    optimizer = genesis.optim.SGD([p], lr=1.0, momentum=0.5)
    for _ in range(2):
        flow((p, [1.0, 1.0]))
        optimizer.step()
        optimizer.zero_grad()
    assert theirs.get().tolist() == [-1.5, -0.5]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_parameter_lent_to_pyopencl_is_seen_there(when):
    pytest.importorskip("pyopencl.array")
    p = leaf([1.0, 2.0])
    lent = p.detach().to_pyopencl() if when == "before" else None
    optimizer = sgd(p)
    lent = p.detach().to_pyopencl() if lent is None else lent
    flow((p, [1.0, 1.0]))
    optimizer.step()
    assert lent.get().tolist() == [0.0, 1.0]


@pytest.mark.parametrize("name", AROUND)
@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_parameters_tied_by_their_data_get_both_updates(name, when):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    start = rng.standard_normal((4, 5))
    mine = [leaf(x) for x in start]
    theirs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in start]

    def tie():
        for a, b in ((1, 3), (2, 0), (4, 0)) if len(start) > 4 else ((1, 3), (2, 0)):
            mine[a].data = mine[b].data
            theirs[a].data = theirs[b].data

    if when == "before":
        tie()
    optimizer = OPTIMIZERS[name](mine, lr=0.1)
    its = torch_class(torch, name)(theirs, lr=0.1, foreach=False)
    for step in range(6):
        if (when, step) in (("after", 2), ("between", 0)):
            tie()
        for p, q in zip(mine, theirs):
            g = rng.standard_normal(5).astype(np.float32)
            give(p, g if rng.random() < 0.8 else None)
            q.grad = None if p.grad is None else torch.tensor(g.astype(np.float64))
        optimizer.step()
        its.step()
        for p, q in zip(mine, theirs):
            np.testing.assert_allclose(values(p), q.detach().numpy(), rtol=2e-5, atol=2e-6)
    assert np.array_equal(values(mine[1]), values(mine[3]))
    assert np.array_equal(values(mine[2]), values(mine[0]))


def test_parameters_tied_across_groups_types_of_rule_and_optimizers_get_both_updates():
    p, q, r = (leaf([0.0]) for _ in range(3))
    q.data = p.data
    r.data = p.data
    first = genesis.optim.SGD([{"params": [p]}, {"params": [q], "momentum": 0.5}], lr=1.0)
    second = genesis.optim.SGD([r], lr=1.0)
    for k in (1, 2):
        give(p, [1.0])
        give(q, [10.0])
        give(r, [100.0])
        first.step()
        second.step()
        assert p.item() == q.item() == r.item() == (-111.0 if k == 1 else -227.0)


def test_modules_tied_before_and_after_share_one_parameter():
    class Tied(nn.Module):
        def __init__(self, tie):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
            if tie:
                self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(self.a(x))

    genesis.manual_seed(0)
    before, after = Tied(True), Tied(False)
    after.a.weight.data = before.a.weight.detach().clone()
    x = genesis.ones(2, 4)
    assert len(list(before.parameters())) == 1
    first, second = sgd(*before.parameters(), lr=0.01), sgd(*after.parameters(), lr=0.01)
    after.b.weight = after.a.weight
    for _ in range(3):
        train(before, first, x)
        train(after, second, x)
    assert np.array_equal(values(before.a.weight), values(after.b.weight))


# Data replaced ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", AROUND)
@pytest.mark.parametrize("hold", [False, True])
def test_new_data_are_updated_with_the_old_state(name, hold):
    p, q = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    optimizer, other = OPTIMIZERS[name]([p], lr=0.1), OPTIMIZERS[name]([q], lr=0.1)
    for step in range(4):
        if step == 2:
            new = genesis.tensor([5.0, 6.0])
            p.data = new
            with genesis.no_grad():
                q.copy_(genesis.tensor([5.0, 6.0]))
            if not hold:
                del new
        flow((p, [1.0, -2.0]), (q, [1.0, -2.0]))
        optimizer.step()
        other.step()
    assert np.array_equal(values(p), values(q))
    if hold:
        assert np.array_equal(values(new), values(q))
    else:
        assert inside(p)


def test_old_data_that_somebody_holds_stay_as_they_are():
    p, q = leaf([1.0, 2.0]), leaf([5.0])
    optimizer = genesis.optim.Adam([p, q], lr=0.5)
    flow((p, [1.0, 1.0]), (q, [1.0]))
    optimizer.step()
    old = p.data
    kept = values(old)
    p.data = old.clone()
    for step in range(3):
        optimizer.step()
        assert np.array_equal(values(old), kept)
        assert optimizer.state[p]["step"] == step + 2
    assert inside(p)
    np.testing.assert_allclose(values(p), kept - 1.5, atol=1e-6)
    p.data = old                        # and back
    optimizer.step()
    assert np.array_equal(values(old), values(p))
    np.testing.assert_allclose(values(p), kept - 0.5, atol=1e-6)


def test_data_swapped_for_an_evaluation_and_back_change_nothing():
    model, x = model_and_data()
    optimizer = genesis.optim.Adam(model.parameters(), lr=0.1)
    twin, twin_optimizer = copy.deepcopy(model), None
    twin_optimizer = genesis.optim.Adam(twin.parameters(), lr=0.1)
    for _ in range(3):
        train(model, optimizer, x)
        train(twin, twin_optimizer, x)
        backup = [p.data for p in model.parameters()]
        for p in model.parameters():
            p.data = genesis.zeros(p.shape)
        assert (values(model(x)) == 0).all()
        for p, data in zip(model.parameters(), backup):
            p.data = data
        del backup
    assert same(weights(model), weights(twin))
    assert all(inside(p) for p in model.parameters())


@pytest.mark.parametrize("change", [
    pytest.param(lambda d: d.T, id="view"),
    pytest.param(lambda d: d.clone().T, id="copy")])
def test_transposed_data_are_updated(change):
    p = leaf([[1.0, 2.0], [3.0, 4.0]])
    optimizer = sgd(p)
    flow((p, np.ones((2, 2))))
    optimizer.step()
    p.data = change(p.data)
    optimizer.zero_grad()
    flow((p, [[1.0, 2.0], [3.0, 4.0]]))
    optimizer.step()
    assert values(p).tolist() == [[-1.0, 0.0], [-2.0, -1.0]]


def test_data_of_another_shape_are_refused_by_the_step():
    p, q = leaf([1.0, 2.0]), leaf([1.0])
    optimizer = genesis.optim.Adam([p, q], lr=0.1)
    flow((p, [1.0, 1.0]), (q, [1.0]))
    p.data = genesis.zeros(3)
    with pytest.raises(RuntimeError, match="shape"):
        optimizer.step()
    assert q.item() == 1.0


# Modules moved, loaded, copied --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", AROUND)
def test_a_module_converted_to_another_type_is_still_updated(name):
    model, x = model_and_data()
    optimizer = OPTIMIZERS[name](model.parameters(), lr=0.05)
    train(model, optimizer, x, 3)
    (model(x) ** 2).sum().backward()      # a gradient that is converted with the parameters
    model.to(genesis.bfloat16)
    optimizer.step()
    x16 = x.to(genesis.bfloat16)
    reference = Reference(optimizer)
    for state, p in zip(reference.states, model.parameters()):
        state.update({k: v if k == "step" else values(v) for k, v in optimizer.state[p].items()})
    optimizer.zero_grad()
    (model(x16) ** 2).sum().backward()
    optimizer.step()
    reference.step([values(p.grad) for p in model.parameters()])
    for p, expected in zip(model.parameters(), reference.params):
        assert p.dtype is genesis.bfloat16
        assert inside(p)
        np.testing.assert_allclose(values(p), expected, rtol=2.0 ** -7, atol=1e-6)
    if optimizer.counts_steps:
        assert optimizer.state[p]["step"] == 5
    optimizer.zero_grad()
    (model(x16) ** 2).sum().backward()
    assert not arena_of(p).assigned
    with launches() as seen:
        optimizer.step()
    assert len(seen) == 1
    assert len(optimizer._runners) == 1


def test_a_part_of_a_module_converted_keeps_everything_connected():
    model, x = model_and_data()
    optimizer = genesis.optim.Adam(model.parameters(), lr=0.1, max_grad_norm=1.0)
    train(model, optimizer, x, 2)
    model[0].to(genesis.float16)
    for _ in range(2):
        before = weights(model)
        optimizer.zero_grad()
        h = model[0](x.to(genesis.float16)).float()
        (model[2](h.tanh()) ** 2).sum().backward()
        optimizer.step()
        assert not any(np.array_equal(a, b) for a, b in zip(before, weights(model)))
    assert [optimizer.state[p]["step"] for p in model.parameters()] == [4, 4, 4, 4]


def other_device():
    found = [d for d in genesis.devices() if d is not genesis.device() and d.quirks.rank >= 0]
    if not found:
        pytest.skip("there is only one device")
    return found[0]


@pytest.mark.parametrize("name", AROUND)
def test_a_module_moved_to_another_device_is_still_updated(name):
    there = other_device()
    model, x = model_and_data()
    twin = copy.deepcopy(model)
    optimizer, other = (OPTIMIZERS[name](m.parameters(), lr=0.05, max_grad_norm=10.0) for m in (model, twin))
    train(model, optimizer, x, 3)
    train(twin, other, x, 3)
    (model(x) ** 2).sum().backward()
    model.to(there)
    optimizer.step()
    (twin(x) ** 2).sum().backward()
    other.step()
    train(model, optimizer, x.to(there), 3)
    train(twin, other, x, 3)
    for p, q in zip(model.parameters(), twin.parameters()):
        assert p.device is there
        assert p.grad.device is there
        assert inside(p)
        np.testing.assert_allclose(values(p), values(q), rtol=1e-4, atol=1e-5)
    assert not arena_of(p).assigned
    model.to(genesis.device())
    train(model, optimizer, x, 2)
    train(twin, other, x, 2)
    for p, q in zip(model.parameters(), twin.parameters()):
        np.testing.assert_allclose(values(p), values(q), rtol=1e-4, atol=1e-5)
    if optimizer.counts_steps:
        assert optimizer.state[p]["step"] == 9


def test_data_on_another_device_with_a_gradient_here_are_refused():
    there = other_device()
    p = leaf([1.0, 2.0])
    optimizer = sgd(p)
    flow((p, [1.0, 1.0]))
    p.data = p.data.to(there)
    with pytest.raises(RuntimeError, match="gradient"):
        optimizer.step()
    optimizer.zero_grad()
    give(p, [1.0, 1.0])
    optimizer.step()
    assert values(p).tolist() == [0.0, 1.0]


def test_parameters_on_two_devices_are_updated_but_not_clipped_together():
    there = other_device()
    p, q = leaf([1.0]), leaf([1.0], device=there)
    optimizer = sgd(p, q, max_grad_norm=1.0)
    give(p, [1.0])
    give(q, [2.0])
    with pytest.raises(ValueError, match="one device"):
        optimizer.step()
    assert (p.item(), q.item()) == (1.0, 1.0)
    optimizer.max_grad_norm = None
    optimizer.step()
    assert (p.item(), q.item()) == (0.0, -1.0)


def test_load_state_dict_of_the_module_keeps_it_connected():
    model, x = model_and_data()
    other, _ = model_and_data(1)
    optimizer = genesis.optim.Adam(model.parameters(), lr=0.1)
    train(model, optimizer, x)
    model.load_state_dict(other.state_dict())
    assert same(weights(model), weights(other))
    train(model, optimizer, x)
    assert not same(weights(model), weights(other))
    assert all(inside(p) for p in model.parameters())
    assert optimizer.state[next(model.parameters())]["step"] == 2


def test_a_deep_copy_of_the_model_is_independent():
    model, x = model_and_data()
    optimizer = genesis.optim.Adam(model.parameters(), lr=0.1)
    train(model, optimizer, x)
    twin = copy.deepcopy(model)
    before = weights(twin)
    train(model, optimizer, x, 2)
    assert same(weights(twin), before)
    assert all(p.grad is None for p in twin.parameters())
    twin_optimizer = genesis.optim.Adam(twin.parameters(), lr=0.1)
    kept = weights(model)
    train(twin, twin_optimizer, x, 2)
    assert same(weights(model), kept)


# Several optimizers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("set_to_none", [True, False])
def test_two_optimizers_of_the_same_parameters_alternate_as_in_torch(set_to_none):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    start = rng.standard_normal((3, 33)).astype(np.float32)
    mine = [leaf(x) for x in start]
    theirs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in start]
    ours = [genesis.optim.Adam(mine, lr=0.05), genesis.optim.SGD(mine[1:], lr=0.1, momentum=0.9)]
    its = [torch.optim.Adam(theirs, lr=0.05), torch.optim.SGD(theirs[1:], lr=0.1, momentum=0.9)]
    for step in range(12):
        g = rng.standard_normal((3, 33)).astype(np.float32)
        a, b = ours[step % 2], its[step % 2]
        ours[step % 3 % 2].zero_grad(set_to_none)
        its[step % 3 % 2].zero_grad(set_to_none)
        flow(*zip(mine, g))
        for p, x in zip(theirs, g):
            (p * torch.tensor(x)).sum().backward()
        a.step()
        b.step()
        for p, q in zip(mine, theirs):
            np.testing.assert_allclose(values(p), q.detach().numpy(), rtol=2e-5, atol=2e-6)
            np.testing.assert_allclose(values(p.grad), q.grad.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("no_collector")
def test_the_second_optimizer_goes_on_when_the_first_is_dropped():
    p = leaf([0.0])
    first, second = sgd(p), sgd(p)
    flow((p, [1.0]))
    second.step()
    del first
    second.step()
    second.zero_grad()
    assert p.grad is None
    flow((p, [10.0]))
    second.step()
    third = sgd(p)
    second.step()
    third.step()
    assert p.item() == -32.0


@pytest.mark.lengthy
@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("name", AROUND)
def test_a_new_optimizer_takes_the_parameters_over_and_memory_does_not_grow(name):
    model, x = model_and_data()
    model.append(nn.Linear(2, 5000))
    pool = genesis.device().pool
    sizes = []
    for k in range(50):
        optimizer = OPTIMIZERS[name](model.parameters(), lr=0.001)
        train(model, optimizer, x)
        assert all(inside(p) for p in model.parameters())
        assert not arena_of(model[0].weight).assigned
        if k > 2:
            sizes.append(pool.allocated)
    # Not all equal: a request may be served from memory kept for one that was up to an eighth larger.
    assert max(sizes[10:]) <= max(sizes[:10])


@pytest.mark.usefixtures("no_collector")
def test_replacing_an_optimizer_in_one_statement_works_too():
    # The new one is made while the old one lives.
    p = leaf([0.0])
    optimizer = sgd(p)
    for _ in range(5):
        optimizer = sgd(p)
        optimizer.zero_grad()
        flow((p, [1.0]))
        optimizer.step()
    assert p.item() == -5.0
    assert inside(p)
    optimizer.zero_grad()
    flow((p, [1.0]))
    with launches() as seen:
        optimizer.step()
    assert len(seen) == 1


# Freeing ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("max_grad_norm", [None, 1.0])
@pytest.mark.parametrize("name", AROUND)
def test_optimizer_and_model_are_freed_without_the_garbage_collector(name, max_grad_norm):
    pool = genesis.device().pool
    model, x = model_and_data()
    train(model, sgd(*model.parameters(), lr=0.1, max_grad_norm=max_grad_norm), x)      # whatever is made once
    del model, x
    before = pool.allocated
    model, x = model_and_data()
    optimizer = OPTIMIZERS[name](model.parameters(), lr=0.1, max_grad_norm=max_grad_norm)
    train(model, optimizer, x, 3)
    optimizer.load_state_dict(optimizer.state_dict())
    assert len(optimizer.state) == len(optimizer.state)
    train(model, optimizer, x, 2)
    dead = [weakref.ref(optimizer), weakref.ref(arena_of(model[0].weight)), weakref.ref(model[0].weight)]
    del optimizer
    assert dead[0]() is None
    model(x)                                        # the parameters live on
    del model, x
    assert [ref() for ref in dead] == [None, None, None]
    assert pool.allocated == before


@pytest.mark.usefixtures("no_collector")
def test_the_states_of_a_dropped_optimizer_are_freed_while_its_parameters_live():
    pool = genesis.device().pool
    p = leaf(np.zeros(1_000_000))
    optimizer = genesis.optim.Adam([p], lr=0.1)
    flow((p, np.ones(1_000_000)))
    optimizer.step()
    before = pool.allocated
    del optimizer
    assert before - pool.allocated >= 2 * 4_000_000
    assert values(p.grad).sum() == 1_000_000
    np.testing.assert_allclose(values(p), -0.1, rtol=1e-6)


@pytest.mark.usefixtures("no_collector")
def test_the_optimizer_keeps_no_memory_beyond_parameters_gradients_and_states():
    pool = genesis.device().pool
    pool.empty_cache()                # or buffers could be larger ones that were kept
    n = 1_000_000
    before = pool.allocated
    p = leaf(np.zeros(n))
    optimizer = genesis.optim.Adam([p], lr=0.1, max_grad_norm=1.0)
    for _ in range(3):
        optimizer.zero_grad()
        p.sum().backward()
        optimizer.step()
    assert pool.allocated - before <= 4 * 4 * n * 1.01 + 100_000


def test_a_state_held_by_the_user_outlives_the_optimizer():
    p = leaf([1.0])
    optimizer = genesis.optim.Adam([p], lr=0.1)
    flow((p, [2.0]))
    optimizer.step()
    held = optimizer.state[p]["exp_avg"]
    del optimizer
    gc.collect()
    np.testing.assert_allclose(values(held), 0.2, rtol=1e-6)


# Sizes over the limit of one buffer ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", AROUND)
def test_parameters_over_the_limit_of_one_buffer_get_several_arenas(name, monkeypatch):
    device = genesis.device()
    monkeypatch.setattr(device, "max_alloc", 3 * 4096)
    rng = np.random.default_rng(0)
    shapes = [(1000,), (2000,), (5,), (3000,), (1024,), (1,), (3072,)]
    params = [leaf(rng.standard_normal(s)) for s in shapes]
    optimizer = OPTIMIZERS[name](params, lr=0.01, max_grad_norm=1e6)
    assert len(optimizer._runners) >= 4
    reference = Reference(optimizer)
    for _ in range(4):
        gradients = [rng.standard_normal(s).astype(np.float32) for s in shapes]
        optimizer.zero_grad()
        flow(*zip(params, gradients))
        with launches() as seen:
            optimizer.step()
        assert updates(seen) == len(optimizer._runners)
        reference.step(gradients)
    assert reference.error() < 30
    norm = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradients))
    assert abs(optimizer.grad_norm.item() - norm) < 1e-6 * norm
