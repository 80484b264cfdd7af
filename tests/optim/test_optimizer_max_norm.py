"""``max_grad_norm``: clipping as part of the step, and steps that are skipped because a gradient is not finite."""

import copy
import math

import numpy as np
import pytest
from support import (
    AROUND,
    EPS,
    OPTIMIZERS,
    Reference,
    combinations,
    decaying,
    everything,
    extremes,
    flow,
    give,
    gradient,
    launches,
    leaf,
    torch_class,
    updates,
    values,
)

import genesis
from genesis.opencl import Device

SHAPES = [(), (0,), (3,), (65,), (7, 11), (1100,), (5000,)]
BAD = [math.nan, math.inf, -math.inf]


def made(shapes=SHAPES, seed=0, dtype=None):
    rng = np.random.default_rng(seed)
    return [leaf(rng.standard_normal(shape), dtype) for shape in shapes], rng


def norm_of(gradients):
    return math.sqrt(sum((np.asarray(g, np.float64) ** 2).sum() for g in gradients if g is not None))


def clipped(gradients, limit):
    """What a step with ``max_grad_norm`` uses: clipped gradients, or None for all when one is not finite."""
    norm = norm_of(gradients)
    if not math.isfinite(norm):
        return [None] * len(gradients)
    factor = min(1.0, limit / (norm + 1e-6))
    return [None if g is None else np.asarray(g, np.float64) * factor for g in gradients]


def spoil(gradients, rng, value):
    """The gradients with one element that is not finite."""
    gradients = [None if g is None else np.array(g) for g in gradients]
    found = [i for i, g in enumerate(gradients) if g is not None and g.size]
    g = gradients[found[rng.integers(len(found))]]
    g[np.unravel_index(rng.integers(g.size), g.shape)] = value
    return gradients


def run(optimizer, reference, params, gradients, limit, backward=True):
    optimizer.zero_grad()
    pairs = [(p, g) for p, g in zip(params, gradients) if g is not None]
    if backward:
        for p, g in pairs:
            p.backward(genesis.tensor(g, dtype=p.dtype))
    else:
        for p, g in pairs:
            give(p, g)
    optimizer.step()
    reference.step(clipped(gradients, limit))


@pytest.mark.parametrize(("name", "case"), everything(combinations, around=True))
def test_clipped_steps_equal_the_reference(name, case):
    params, rng = made(SHAPES[:-1])
    optimizer = OPTIMIZERS[name](params, lr=0.01, max_grad_norm=20.0, **case)
    reference = Reference(optimizer)
    for step in range(20):
        gradients = [gradient(rng, p.shape) * (1 + step % 3) / 2 for p in params]
        run(optimizer, reference, params, gradients, 20.0, backward=step % 2)
        assert abs(optimizer.grad_norm.item() - norm_of(gradients)) < 4 * EPS * norm_of(gradients)
    assert reference.error() < 60


@pytest.mark.parametrize("name", AROUND)
@pytest.mark.parametrize("limit", [1e-3, 1.0, 1e6, math.inf])
def test_a_clipped_step_equals_torch_clip_grad_norm_and_step(name, limit):
    torch = pytest.importorskip("torch")
    params, rng = made()
    theirs = [torch.tensor(values(p), requires_grad=True) for p in params]
    optimizer = OPTIMIZERS[name](params, lr=0.01, max_grad_norm=limit, **decaying(name, 0.01))
    its = torch_class(torch, name)(theirs, lr=0.01, **decaying(name, 0.01))
    for _ in range(10):
        gradients = [gradient(rng, p.shape) for p in params]
        for p, q, g in zip(params, theirs, gradients):
            give(p, g)
            q.grad = torch.tensor(g.astype(np.float64))
        optimizer.step()
        norm = torch.nn.utils.clip_grad_norm_(theirs, limit)
        its.step()
        assert abs(optimizer.grad_norm.item() - norm.item()) < 4 * EPS * norm.item()
    for p, q in zip(params, theirs):
        np.testing.assert_allclose(values(p), q.detach().numpy(), rtol=2e-5, atol=2e-6)


def test_the_norm_is_a_0d_tensor_of_its_own_each_step():
    p = leaf([0.0, 0.0])
    optimizer = genesis.optim.SGD([p], lr=0.1, max_grad_norm=1.0)
    assert optimizer.grad_norm is None
    seen = []
    for k in (1, 2):
        give(p, [3.0 * k, 4.0 * k])
        optimizer.step()
        seen.append(optimizer.grad_norm)
    assert [x.item() for x in seen] == [5.0, 10.0]
    assert seen[0].shape == ()
    assert seen[0].dtype is genesis.float32
    assert not seen[0].requires_grad
    assert values(p.grad).tolist() == [6.0, 8.0]      # the gradients themselves stay as they are


def test_the_norm_stays_where_a_later_step_has_another_or_none():
    p = leaf([0.0, 0.0])
    scaler = genesis.amp.GradScaler(init_scale=4.0)
    optimizer = genesis.optim.SGD([p], lr=0.1, max_grad_norm=1.0)
    give(p, [3.0, 4.0])
    optimizer.step()
    two = copy.deepcopy(optimizer)
    optimizer.max_grad_norm = None
    optimizer.step()
    assert optimizer.grad_norm.item() == two.grad_norm.item() == 5.0
    two.param_groups[0]["params"][0].grad = genesis.tensor([5.0, 12.0])
    two.step()
    two.max_grad_norm = None
    scaler.scale((two.param_groups[0]["params"][0] * 100.0).sum()).backward()
    scaler.step(two)                      # this one asks for the largest absolute value alone
    assert two.grad_norm.item() == 13.0
    assert two.grad_norm is two.grad_norm
    two.grad_norm = None                  # as an attribute, which others may set
    assert two.grad_norm is None


@pytest.mark.parametrize("without", [(), (0,), (1, 6), (2, 3, 4, 5), range(8)], ids=str)
def test_the_norm_counts_the_gradients_that_are_there_and_no_others(without):
    shapes = [(1024,), (3000,), (1,), (4096,), (1025,), (5,), (2048,), (9000,), (700,)]      # in chunks of 1024
    params, rng = made(shapes)
    optimizer = genesis.optim.SGD(params, lr=0.1, max_grad_norm=1.0)
    for p in params:
        p.backward(genesis.full(p.shape, 1e3))
    optimizer.step()
    optimizer.zero_grad()                             # what the others leave in memory must not count
    gradients = [None if i in without else gradient(rng, shape) for i, shape in enumerate(shapes)]
    for p, g in zip(params, gradients):
        if g is not None:
            p.backward(genesis.tensor(g))
    optimizer.step()
    np.testing.assert_allclose(optimizer.grad_norm.item(), norm_of(gradients), rtol=2 * EPS)


@pytest.mark.parametrize("dtype", [genesis.float16, genesis.bfloat16], ids=lambda d: d.name)
def test_16_bit_gradients_are_clipped_by_their_norm_in_float32(dtype):
    p = leaf(np.zeros(5000), dtype)
    optimizer = genesis.optim.SGD([p], lr=1.0, max_grad_norm=1.0)
    give(p, np.full(5000, 1024.0))
    optimizer.step()
    norm = 1024 * math.sqrt(5000)                     # over float16's largest number
    assert abs(optimizer.grad_norm.item() - norm) < 1e-5 * norm
    np.testing.assert_allclose(values(p), -1024 / norm, rtol=2.0 ** -8)


@pytest.mark.skipif(not genesis.device().fp64, reason="the device has no float64")
def test_float64_parameters_are_clipped_and_skipped():
    p = leaf([0.0, 0.0], genesis.float64)
    optimizer = genesis.optim.SGD([p], lr=1.0, max_grad_norm=1.0)
    give(p, [3e30, 4e30])                             # the squares are over float32's largest number
    optimizer.step()
    np.testing.assert_allclose(values(p), [-0.6, -0.8], rtol=1e-6)
    give(p, [math.nan, 1.0])
    optimizer.step()
    np.testing.assert_allclose(values(p), [-0.6, -0.8], rtol=1e-6)


@pytest.mark.skipif(not genesis.device().fp64, reason="the device has no float64")
@pytest.mark.parametrize("wide_first", [True, False])
def test_parameters_of_float64_and_other_types_are_clipped_together(wide_first):
    dtypes = [genesis.float64, genesis.float32, genesis.bfloat16]
    params = [leaf(np.zeros(n), dtype) for n in (5, 3000) for dtype in (dtypes if wide_first else dtypes[::-1])]
    optimizer = genesis.optim.SGD(params, lr=1.0, max_grad_norm=1.0)
    for p in params:
        give(p, np.full(p.shape, 2.0))
    optimizer.step()
    norm = 2 * math.sqrt(3 * 3005)
    assert abs(optimizer.grad_norm.item() - norm) < 2 * EPS * norm
    for p in params:
        np.testing.assert_allclose(values(p), -2 / norm, rtol=2.0 ** -8)
    give(params[0], [math.nan] * 5)
    optimizer.step()
    for p in params:
        np.testing.assert_allclose(values(p), -2 / norm, rtol=2.0 ** -8)


def test_the_norm_of_very_many_equal_gradients_is_exact():
    # A sum in order would add small numbers to a large one thousands of times, with the same rounding each time.
    n = 6_000_000
    p = leaf(np.zeros(n))
    optimizer = genesis.optim.SGD([p], lr=0.0, max_grad_norm=1.0)
    for value in (0.1, 0.33, 0.7):
        p.grad = genesis.full((n,), value)
        optimizer.step()
        expected = float(np.float32(value)) * math.sqrt(n)
        assert abs(optimizer.grad_norm.item() - expected) < 4 * EPS * expected


@pytest.mark.parametrize("name", AROUND)
@pytest.mark.parametrize("value", BAD)
def test_a_gradient_that_is_not_finite_skips_the_step_entirely(name, value):
    params, rng = made()
    optimizer = OPTIMIZERS[name](params, lr=0.1, max_grad_norm=1.0, **decaying(name, 0.1))
    for p in params:
        give(p, gradient(rng, p.shape))
    optimizer.step()
    before = [values(p) for p in params]
    state = optimizer.state_dict()["state"]
    for position in (0, 1, -1):
        gradients = [gradient(rng, p.shape) for p in params]
        g = gradients[(position + 2) % len(gradients) if position >= 0 else -1]
        g.reshape(-1)[position] = value
        for p, g in zip(params, gradients):
            give(p, g)
        optimizer.step()
        assert not math.isfinite(optimizer.grad_norm.item())
    assert all(np.array_equal(values(p), b) for p, b in zip(params, before))
    after = optimizer.state_dict()["state"]
    assert after.keys() == state.keys()
    for i in state:
        for key, x in state[i].items():
            assert x == after[i][key] if key == "step" else np.array_equal(values(x), values(after[i][key])), key


PATTERNS = {
    "first": "xxxxxxx" + "." * 12,
    "one": "x" + "." * 12,
    "alternating": "x." * 10,
    "other half": ".x" * 10,
    "runs": "..xxxx....xxx.xx..xxxxxxxx...",
    "pairs": "xx..xx..xx..xx..",
    "last": "......xxxxx",
}


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(("name", "case"), everything(extremes, around=True))
def test_steps_after_skipped_ones_are_as_if_these_had_not_been(name, case, pattern):
    params, rng = made()
    optimizer = OPTIMIZERS[name](params, lr=0.1, max_grad_norm=100.0, **case)
    reference = Reference(optimizer)
    for mark in PATTERNS[pattern]:
        gradients = [gradient(rng, p.shape) for p in params]
        if mark == "x":
            gradients = spoil(gradients, rng, BAD[rng.integers(3)])
        run(optimizer, reference, params, gradients, 100.0, backward=rng.random() < 0.5)
    assert reference.error() < 60
    steps = PATTERNS[pattern].count(".")
    for p in params:
        if optimizer.counts_steps:
            assert optimizer.state[p]["step"] == steps


@pytest.mark.parametrize("name", AROUND)
@pytest.mark.parametrize("seed", range(4))
def test_skips_are_right_while_the_presence_of_gradients_changes(name, seed):
    params, rng = made(seed=seed)
    groups = [{"params": params[::2]}, {"params": params[1::2], "lr": 0.02}]
    optimizer = OPTIMIZERS[name](groups, lr=0.01, max_grad_norm=100.0)
    reference = Reference(optimizer)
    ordered = [p for g in groups for p in g["params"]]
    counts = np.zeros(len(ordered), int)
    present = np.ones(len(ordered), bool)
    for _ in range(40):
        if rng.random() < 0.4:
            present = rng.random(len(ordered)) < 0.7
        gradients = [gradient(rng, p.shape) if there else None for p, there in zip(ordered, present)]
        bad = rng.random() < 0.4 and norm_of(gradients) > 0
        if bad:
            gradients = spoil(gradients, rng, BAD[rng.integers(3)])
        counts += 0 if bad else present
        run(optimizer, reference, ordered, gradients, 100.0)
    assert reference.error() < 60
    if optimizer.counts_steps:
        assert [optimizer.state[p]["step"] if p in optimizer.state else 0 for p in ordered] == counts.tolist()


@pytest.mark.parametrize("name", AROUND)
def test_more_groups_than_fit_one_launch_are_clipped_together(name):
    rng = np.random.default_rng(0)
    params = [leaf(rng.standard_normal(1 + 40 * i % 90)) for i in range(40)]
    optimizer = OPTIMIZERS[name]([{"params": [p], "lr": 0.01 * (i + 1) / 40} for i, p in enumerate(params)],
                                 lr=1.0, max_grad_norm=5.0)
    reference = Reference(optimizer)
    for mark in "x..xx.x...":
        gradients = [gradient(rng, p.shape) for p in params]
        if mark == "x":
            gradients = spoil(gradients, rng, math.nan)
        run(optimizer, reference, params, gradients, 5.0)
    assert reference.error() < 60
    with launches() as seen:
        optimizer.step()
    assert len(seen) - updates(seen) == 2
    assert updates(seen) <= 20


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_bias_correction_after_skips_equals_torch(name):
    torch = pytest.importorskip("torch")
    p = leaf([1.0, -2.0])
    q = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    case = {"momentum": 0.9, "dampening": 0.5} if name == "sgd" else {}
    optimizer = OPTIMIZERS[name]([p], lr=0.1, max_grad_norm=1e9, **case)
    its = torch_class(torch, name)([q], lr=0.1, **case)
    rng = np.random.default_rng(0)
    for mark in "xxxxx.x..xxx.....x":
        g = gradient(rng, 2)
        if mark == "x":
            give(p, [math.inf, g[1]])
        else:
            give(p, g)
            q.grad = torch.tensor(g.astype(np.float64))
            its.step()
        optimizer.step()
        np.testing.assert_allclose(values(p), q.detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", AROUND)
def test_clipping_may_be_switched_on_and_off_between_steps(name):
    params, rng = made()
    optimizer = OPTIMIZERS[name](params, lr=0.01, max_grad_norm=10.0)
    reference = Reference(optimizer)
    for limit, marks in ((10.0, "x.xx"), (None, ".."), (1.0, "x.x"), (None, "."), (math.inf, "xx..x"), (2.0, ".xx.")):
        optimizer.max_grad_norm = limit
        for mark in marks:
            gradients = [gradient(rng, p.shape) for p in params]
            if mark == "x":
                gradients = spoil(gradients, rng, math.nan)
            run(optimizer, reference, params, gradients, math.inf if limit is None else limit)
    assert reference.error() < 60
    if optimizer.counts_steps:
        assert {optimizer.state[p]["step"] for p in params} == {9}


@pytest.mark.parametrize("name", AROUND)
def test_step_counts_read_or_saved_between_steps_are_right(name):
    params, rng = made()
    optimizer = OPTIMIZERS[name](params, lr=0.01, max_grad_norm=10.0)
    reference = Reference(optimizer)
    count = 0
    for k, mark in enumerate("x.x..xx.x...xx.."):
        gradients = [gradient(rng, p.shape) for p in params]
        if mark == "x":
            gradients = spoil(gradients, rng, math.inf)
        run(optimizer, reference, params, gradients, 10.0)
        count += mark == "."
        if optimizer.counts_steps and k % 3 == 0:
            assert {optimizer.state[p].get("step", 0) for p in params} == {count}
        if k % 5 == 4:
            optimizer.load_state_dict(optimizer.state_dict())
    assert reference.error() < 60


def test_without_gradients_the_norm_is_0():
    p, q = leaf([1.0]), leaf(np.zeros(0))
    optimizer = genesis.optim.Adam([p, q], lr=0.1, max_grad_norm=1.0)
    give(p, [3.0])
    optimizer.step()
    p.grad = None
    optimizer.step()
    assert optimizer.grad_norm.item() == 0
    assert optimizer.state[p]["step"] == 1
    give(q, np.zeros(0))
    optimizer.step()
    assert optimizer.grad_norm.item() == 0
    assert optimizer.state[q]["step"] == 1
    give(p, [math.nan])
    optimizer.step()
    assert optimizer.state[q]["step"] == 1
    optimizer.zero_grad()
    give(q, np.zeros(0))
    optimizer.step()
    assert optimizer.state[q]["step"] == 2


def test_gradients_of_zero_are_not_scaled():
    p = leaf([1.0, 2.0])
    optimizer = genesis.optim.SGD([p], lr=0.1, weight_decay=0.5, max_grad_norm=1.0)
    give(p, [0.0, 0.0])
    optimizer.step()
    assert optimizer.grad_norm.item() == 0
    np.testing.assert_allclose(values(p), [0.95, 1.9], rtol=1e-6)


def test_nan_in_a_gradient_does_not_outlive_it():
    p, q = leaf([1.0, 2.0]), leaf([1.0])
    optimizer = genesis.optim.Adam([p, q], lr=0.1, max_grad_norm=1.0)
    for value in (math.nan, 1.0):
        optimizer.zero_grad()
        flow((p, [value, 1.0]), (q, [1.0]))
        optimizer.step()
    assert abs(optimizer.grad_norm.item() - math.sqrt(3)) < 1e-6
    optimizer.zero_grad()
    flow((p, [math.nan, 1.0]))
    optimizer.step()
    optimizer.zero_grad()
    flow((q, [2.0]))                      # p's slot still holds the NaN, but no gradient
    optimizer.step()
    assert optimizer.grad_norm.item() == 2.0


@pytest.mark.parametrize("name", AROUND)
def test_a_step_never_waits_for_the_device(name, monkeypatch):
    params, rng = made()
    optimizer = OPTIMIZERS[name](params, lr=0.01, max_grad_norm=1.0)
    forbidden = []
    for step in range(12):
        optimizer.zero_grad()
        flow(*[(p, gradient(rng, p.shape) * (math.nan if step in (2, 3, 7) else 1)) for p in params])
        if step == 1:
            for method in ("read", "finish", "write"):
                if method != "write" or genesis.device().quirks.indexed_structs:
                    monkeypatch.setattr(Device, method, lambda *a, method=method: forbidden.append(method))
            with launches() as seen:
                optimizer.step()
            assert len(seen) == 3         # norms of chunks, their joining, update
            monkeypatch.undo()
            monkeypatch.setattr(Device, "read", lambda *a: forbidden.append("read"))
            monkeypatch.setattr(Device, "finish", lambda *a: forbidden.append("finish"))
        else:
            optimizer.step()
    monkeypatch.undo()
    assert not forbidden
    assert optimizer.grad_norm.item() > 0
