"""Adafactor: its values, its states of other shapes than the parameters', and what is around its kernels."""

import copy
import math

import numpy as np
import pytest
from support import Reference, give, launches, leaf, values

import genesis
from genesis.optim import Adafactor

SHAPES = [(7,), (), (17, 59), (59, 17), (1, 9), (9, 1), (2, 5, 6), (2, 3, 4, 5), (0,), (3, 0), (1500,), (2, 1500)]
CASES = [{}, {"beta2_decay": -0.3, "eps": (1e-2, 0.5), "d": 2.0, "weight_decay": 0.1, "maximize": True, "lr": 0.3}]


def made(rng, shapes=SHAPES, dtype=None):
    return [leaf(rng.standard_normal(shape).astype(np.float32), dtype) for shape in shapes]


@pytest.mark.parametrize("case", CASES)
def test_adafactor_values_equal_float64_reference_and_pytorch(case):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    params = made(rng)
    optimizer = Adafactor([{"params": params[:3]}, {"params": params[3:], "weight_decay": 0.01}], **case)
    kept = [i for i, p in enumerate(params) if p.numel()]         # PyTorch divides by the number of elements
    its = {i: torch.tensor(values(params[i]).astype(np.float32), requires_grad=True) for i in kept}
    other = torch.optim.Adafactor([{"params": [its[i] for i in kept if i < 3]},
                                   {"params": [its[i] for i in kept if i >= 3], "weight_decay": 0.01}], **case)
    reference = Reference(optimizer)
    for step in range(100):
        gradients = [None if step == 3 and i in (0, 4) else rng.standard_normal(p.shape).astype(np.float32)
                     for i, p in enumerate(params)]
        for i, (p, g) in enumerate(zip(params, gradients)):
            give(p, g)
            if i in its:
                its[i].grad = None if g is None else torch.tensor(g)
        reference.step(gradients)
        optimizer.step()
        other.step()
    assert reference.error() < 20
    for i in kept:
        np.testing.assert_allclose(values(params[i]), its[i].detach().numpy(), rtol=2e-5, atol=2e-6)
        for name, held in other.state[its[i]].items():
            got = optimizer.state[params[i]][name]
            np.testing.assert_allclose(got if name == "step" else values(got), held.numpy(), rtol=2e-5)
    assert set(optimizer.state[params[0]]) == {"step", "variance"}
    assert optimizer.state[params[0]]["step"] == 99


def test_adafactor_average_keeps_much_smaller_squares():
    """With a share of the latest squares of 1, or nearly, as in early steps, the old ones do not hide them."""
    x, gradients = leaf(np.ones(3, np.float32)), np.array([[1e3, 1e2, -1e3], [1e-3, 3e-3, -7e-2]], np.float32)
    optimizer = Adafactor([x], beta2_decay=0.0)
    for gradient in gradients:
        give(x, gradient)
        optimizer.step()
    np.testing.assert_allclose(optimizer.state[x]["variance"].numpy(), gradients[1].astype(float) ** 2, rtol=1e-6)


@pytest.mark.parametrize("dtype", [genesis.float64, genesis.bfloat16, genesis.float16], ids=str)
def test_adafactor_takes_all_types(dtype):
    if dtype is genesis.float64 and not genesis.device().fp64:
        pytest.skip("the device has no float64")
    rng = np.random.default_rng(1)
    params = made(rng, [(6, 8), (5,)], dtype)
    begun, used = [values(p) for p in params], []
    for p in params:
        give(p, rng.standard_normal(p.shape))
        used.append(values(p.grad))
    optimizer = Adafactor(params, lr=0.1)
    optimizer.step()
    tolerance = {genesis.float64: 1e-12, genesis.bfloat16: 2.0 ** -8, genesis.float16: 2.0 ** -11}[dtype]
    group = {**optimizer.param_groups[0], "eps": (genesis.finfo(dtype).eps, 1e-3)}
    for p, old, g in zip(params, begun, used):
        np.testing.assert_allclose(values(p), Adafactor.reference(old, g, {}, group), rtol=tolerance, atol=tolerance)
        assert all(x.dtype is (dtype if dtype is genesis.float64 else genesis.float32)
                   for name, x in optimizer.state[p].items() if name != "step")


def test_adafactor_keeps_rows_and_columns_only():
    (p,) = made(np.random.default_rng(2), [(3, 40, 50)])
    give(p, np.ones(p.shape))
    optimizer = Adafactor([p])
    optimizer.step()
    assert {k: x.shape for k, x in optimizer.state[p].items() if k != "step"} == {
        "row_var": (3, 40, 1), "col_var": (3, 1, 50)}
    (runner,) = optimizer._runners
    assert set(runner.arena.arena.buffers) == {"param", "grad"}          # nothing of the parameter's size


def test_adafactor_without_gradients_stays():
    p = leaf(np.ones((3, 4)))
    give(p, np.zeros((3, 4)))
    Adafactor([p], lr=0.5).step()
    np.testing.assert_array_equal(values(p), 1.0)


@pytest.mark.parametrize(("name", "value"), [
    ("lr", -1), ("beta2_decay", 0.1), ("beta2_decay", -math.inf), ("eps", 1e-8), ("eps", (1e-8,)), ("eps", (-1, 1e-3)),
    ("eps", (None, None)), ("eps", (None, -1)), ("eps", ("a", 1)), ("d", 0.9), ("d", math.nan), ("weight_decay", -0.1),
    ("maximize", 2)])
def test_adafactor_refuses_values(name, value):
    p = leaf(np.zeros((2, 2)))
    with pytest.raises(ValueError, match=name):
        Adafactor([p], **{name: value})
    with pytest.raises(ValueError, match=name):
        Adafactor([{"params": [p], name: value}])


# State --------------------------------------------------------------------------------------------------------------

def stepped(params, optimizer, rng, steps):
    for _ in range(steps):
        for p in params:
            give(p, rng.standard_normal(p.shape))
        optimizer.step()


def test_adafactor_state_dict_goes_to_pytorch_and_back():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    params = made(rng, [(4, 6), (5,)])
    optimizer = Adafactor(params, lr=0.1, eps=(1e-4, 0.01))
    stepped(params, optimizer, rng, 3)
    saved = optimizer.state_dict()
    its = [torch.tensor(values(p).astype(np.float32), requires_grad=True) for p in params]
    other = torch.optim.Adafactor(its)
    state = {i: {k: torch.tensor(x if k == "step" else x.numpy(), dtype=torch.float32) for k, x in held.items()}
             for i, held in saved["state"].items()}
    other.load_state_dict({"state": state, "param_groups": [{**saved["param_groups"][0], "foreach": None}]})
    for p, q in zip(params, its):
        g = rng.standard_normal(p.shape).astype(np.float32)
        give(p, g)
        q.grad = torch.tensor(g)
    optimizer.step()
    other.step()
    again = Adafactor(params)
    again.load_state_dict(other.state_dict())
    assert again.param_groups[0]["eps"] == (1e-4, 0.01)
    for p, q in zip(params, its):
        np.testing.assert_allclose(values(p), q.detach().numpy(), rtol=1e-5, atol=1e-6)
        assert again.state[p]["step"] == 4
        for name in set(again.state[p]) - {"step"}:
            np.testing.assert_allclose(values(again.state[p][name]), values(optimizer.state[p][name]), rtol=1e-5)


def test_adafactor_resumes_bit_for_bit():
    rng = np.random.default_rng(4)
    params = made(rng)
    optimizer = Adafactor(params, lr=0.1)
    stepped(params, optimizer, rng, 3)
    others = [leaf(values(p)) for p in params]
    other = Adafactor(others)
    other.load_state_dict(optimizer.state_dict())
    doubles, double = copy.deepcopy((params, optimizer))
    for each, one in ((params, optimizer), (others, other), (doubles, double)):
        stepped(each, one, np.random.default_rng(5), 3)
    for p, q, r in zip(params, others, doubles):
        assert np.array_equal(values(p), values(q))
        assert np.array_equal(values(p), values(r))


def test_adafactor_refuses_states_of_other_shapes():
    rng = np.random.default_rng(6)
    params = made(rng, [(4, 6)])
    optimizer = Adafactor(params)
    stepped(params, optimizer, rng, 1)
    saved = optimizer.state_dict()
    saved["state"][0]["row_var"] = saved["state"][0]["row_var"].reshape(1, 4)
    with pytest.raises(ValueError, match=r"'row_var' has shape \(1, 4\)"):
        optimizer.load_state_dict(saved)


def test_adafactor_state_can_be_cleared_and_set():
    rng = np.random.default_rng(7)
    params = made(rng, [(4, 6), (5,)])
    optimizer = Adafactor(params)
    stepped(params, optimizer, rng, 2)
    optimizer.state[params[0]]["col_var"] = np.full((1, 6), 2.0, np.float32)
    assert values(optimizer.state[params[0]]["col_var"]).tolist() == [[2.0] * 6]
    optimizer.state.clear()
    assert len(optimizer.state) == 0
    optimizer.state[params[0]]["row_var"] = np.full((4, 1), 3.0, np.float32)
    assert values(optimizer.state[params[0]]["row_var"]).sum() == 12
    assert values(optimizer.state[params[0]]["col_var"]).sum() == 0


# Around it ----------------------------------------------------------------------------------------------------------

def test_adafactor_clips_by_the_norm_of_all_gradients():
    rng = np.random.default_rng(8)
    params = made(rng, [(4, 6), (3,)])
    gradients = [rng.standard_normal(p.shape) for p in params]
    for p, g in zip(params, gradients):
        give(p, g)
    optimizer = Adafactor(params, max_grad_norm=0.5)
    optimizer.step()
    norm = np.sqrt(sum((g ** 2).sum() for g in gradients))
    assert optimizer.grad_norm.item() == pytest.approx(norm, rel=1e-5)
    clipped = [g * 0.5 / norm for g in gradients]
    np.testing.assert_allclose(values(optimizer.state[params[0]]["row_var"]), (clipped[0] ** 2).mean(1, keepdims=True),
                               rtol=1e-4)
    np.testing.assert_allclose(values(optimizer.state[params[1]]["variance"]), clipped[1] ** 2, rtol=1e-4)


def test_adafactor_skips_on_the_device_what_is_not_finite():
    rng = np.random.default_rng(9)
    mine, others = made(rng, [(4, 6), (7,)]), made(rng, [(4, 6), (7,)])
    for p, q in zip(mine, others):
        q.data.copy_(p.data)
    optimizer, plain = Adafactor(mine, lr=0.5), Adafactor(others, lr=0.5)
    scaler = genesis.amp.GradScaler(init_scale=8.0)
    for step in range(10):
        bad = step in (0, 3, 4)
        factors = [genesis.tensor(rng.standard_normal(p.shape).astype(np.float32)) for p in mine]
        optimizer.zero_grad()
        scaler.scale(sum((p * f).sum() for p, f in zip(mine, factors)) * (math.inf if bad else 1.0)).backward()
        scaler.step(optimizer)
        scaler.update()
        if not bad:
            for q, f in zip(others, factors):
                q.grad = f
            plain.step()
    for p, q in zip(mine, others):
        np.testing.assert_allclose(values(p), values(q), rtol=1e-5, atol=1e-6)
        assert optimizer.state[p]["step"] == 7


def test_adafactor_never_waits_for_the_device(monkeypatch):
    rng = np.random.default_rng(10)
    params = made(rng, [(4, 6), (7,)])
    optimizer = Adafactor(params, max_grad_norm=1.0)
    stepped(params, optimizer, rng, 1)
    monkeypatch.setattr(type(genesis.device()), "read", lambda *_: pytest.fail("a step reads from the device"))
    for p in params:
        p.grad = genesis.ones(*p.shape)
    optimizer.step()


def test_adafactor_compiles_nothing_when_hyperparameters_change(monkeypatch):
    rng = np.random.default_rng(11)
    params = made(rng, [(4, 6), (7,)])
    optimizer = Adafactor(params)
    stepped(params, optimizer, rng, 1)
    with launches() as first:
        stepped(params, optimizer, rng, 1)
    known = len(genesis.device().programs._kernels)
    optimizer.param_groups[0].update(lr=0.3, d=2.0, weight_decay=0.1, eps=(1e-3, 1e-2), beta2_decay=-0.5)
    with launches() as second:
        stepped(params, optimizer, rng, 1)
    assert first == second
    assert len(genesis.device().programs._kernels) == known
