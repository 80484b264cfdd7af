"""State: the mapping ``optimizer.state``, state dicts in PyTorch's layout, loading that changes all or nothing."""

import copy
import json
import math
from collections import defaultdict

import numpy as np
import pytest
from support import AROUND, OPTIMIZERS, everything, extremes, flow, give, gradient, leaf, torch_class, values

import genesis
from genesis import nn

SHAPES = [(), (3,), (65,), (7, 11), (0,)]


def made(name, seed=0, dtype=None, **arguments):
    """Parameters, and an optimizer of two groups of them."""
    rng = np.random.default_rng(seed)
    params = [leaf(rng.standard_normal(shape), dtype) for shape in SHAPES]
    optimizer = OPTIMIZERS[name]([{"params": params[:2]}, {"params": params[2:], "lr": 0.02}],
                                 **{"lr": 0.01, **arguments})
    return params, optimizer


def stepped(params, optimizer, rng, steps=1, skip=()):
    for _ in range(steps):
        for i, p in enumerate(params):
            give(p, None if i in skip else gradient(rng, p.shape))
        optimizer.step()


def plain(state_dict):
    """A state dict with NumPy arrays for tensors."""
    state = {i: {k: values(v) if isinstance(v, genesis.Tensor) else v for k, v in held.items()}
             for i, held in state_dict["state"].items()}
    return {**state_dict, "state": state}


def equal(a, b):
    """Whether two state dicts are the same, bit for bit."""
    a, b = plain(a), plain(b)
    if a["param_groups"] != b["param_groups"] or a["state"].keys() != b["state"].keys():
        return False
    return all(a["state"][i].keys() == b["state"][i].keys() and
               all(np.array_equal(x, b["state"][i][k]) for k, x in a["state"][i].items()) for i in a["state"])


# The mapping --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "case"), everything(extremes, around=True))
def test_the_state_has_the_keys_of_torch(name, case):
    torch = pytest.importorskip("torch")
    params, optimizer = made(name, **case)
    theirs = [torch.tensor(values(p), requires_grad=True) for p in params]
    its = torch_class(torch, name)(theirs, lr=0.01, **case)
    rng = np.random.default_rng(0)
    stepped(params, optimizer, rng, 2, skip=(1,))
    for i, q in enumerate(theirs):
        q.grad = None if i == 1 else torch.zeros_like(q)
    its.step()
    for p, q in zip(params, theirs):
        assert (p in optimizer.state) == (len(its.state.get(q, {})) > 0)
        assert set(optimizer.state[p]) == set(its.state.get(q, {}))
    mine, other = optimizer.state_dict(), its.state_dict()
    assert mine["state"].keys() == other["state"].keys()
    assert [g["params"] for g in mine["param_groups"]] == [[0, 1], [2, 3, 4]]
    for group in mine["param_groups"]:
        assert group.keys() <= other["param_groups"][0].keys()


def test_the_state_is_empty_before_the_first_step():
    params, optimizer = made("adam")
    assert len(optimizer.state) == 0
    assert list(optimizer.state) == []
    assert params[0] not in optimizer.state
    assert dict(optimizer.state[params[0]]) == {}
    assert len(optimizer.state[params[0]]) == 0
    with pytest.raises(KeyError):
        optimizer.state[params[0]]["exp_avg"]
    assert optimizer.state[params[0]].get("step") is None
    assert optimizer.state_dict()["state"] == {}


def test_the_state_is_a_mapping_in_the_order_of_the_parameters():
    params, optimizer = made("adam")
    stepped(params, optimizer, np.random.default_rng(0), skip=(1,))
    assert [id(p) for p in optimizer.state] == [id(p) for i, p in enumerate(params) if i != 1]
    assert len(optimizer.state) == 4
    assert all(p is q for p, (q, _) in zip([params[0], *params[2:]], optimizer.state.items()))
    state = optimizer.state[params[2]]
    assert list(state) == ["step", "exp_avg", "exp_avg_sq"]
    assert len(state) == 3
    assert "exp_avg" in state
    assert "momentum_buffer" not in state
    assert state["step"] == 1
    assert isinstance(state["step"], int)
    assert state["exp_avg"].shape == (65,)
    assert "exp_avg" in repr(state)
    assert "shape (65,)" in repr(optimizer.state)


def test_a_state_is_live_memory():
    params, optimizer = made("adam")
    rng = np.random.default_rng(0)
    stepped(params, optimizer, rng)
    held = optimizer.state[params[3]]["exp_avg"]
    before = values(held)
    stepped(params, optimizer, rng)
    assert not np.array_equal(values(held), before)
    with genesis.no_grad():
        held.zero_()
        optimizer.state[params[3]]["exp_avg_sq"].fill_(4.0)
    give(params[3], np.zeros((7, 11)))
    start = values(params[3])
    optimizer.step()
    assert np.array_equal(values(params[3]), start)      # m is 0


@pytest.mark.parametrize("kind", ["tensor", "array", "number", "list", "expanded"])
def test_assigning_a_state_copies_it(kind):
    p = leaf(np.zeros((2, 3)))
    optimizer = genesis.optim.Adam([p], lr=0.1)
    new = {"tensor": genesis.full((2, 3), 2.0), "array": np.full((2, 3), 2.0, np.float32), "number": 2.0,
           "list": [[2.0] * 3] * 2, "expanded": genesis.tensor([[2.0], [2.0]])}[kind]
    live = optimizer.state[p]
    live["exp_avg"] = new
    live["step"] = 5
    assert live["step"] == 5
    assert (values(live["exp_avg"]) == 2).all()
    assert (values(live["exp_avg_sq"]) == 0).all()
    if kind == "tensor":
        new.fill_(9.0)
        assert (values(live["exp_avg"]) == 2).all()
    with pytest.raises(RuntimeError, match="shape"):
        live["exp_avg"] = genesis.zeros(5)


def test_assigning_and_deleting_a_whole_state():
    params, optimizer = made("adam")
    stepped(params, optimizer, np.random.default_rng(0), 3)
    optimizer.state[params[2]] = {"step": 7, "exp_avg": np.ones(65, np.float32)}
    assert optimizer.state[params[2]]["step"] == 7
    assert (values(optimizer.state[params[2]]["exp_avg"]) == 1).all()
    assert (values(optimizer.state[params[2]]["exp_avg_sq"]) == 0).all()
    del optimizer.state[params[2]]
    assert params[2] not in optimizer.state
    assert len(optimizer.state) == 4
    optimizer.state[params[3]].clear()
    assert len(optimizer.state) == 3
    optimizer.state.clear()
    assert len(optimizer.state) == 0
    assert optimizer.state_dict()["state"] == {}


@pytest.mark.parametrize("name", AROUND)
@pytest.mark.parametrize("how", ["clear", "assign", "delete"])
def test_after_clearing_the_state_the_optimizer_is_as_new(name, how):
    rng = np.random.default_rng(0)
    params, optimizer = made(name)
    stepped(params, optimizer, rng, 3)
    if how == "clear":
        optimizer.state.clear()
    elif how == "assign":
        optimizer.state = {}
    else:
        for p in list(optimizer.state):
            del optimizer.state[p]
    others = [leaf(values(p)) for p in params]
    new = OPTIMIZERS[name]([{"params": others[:2]}, {"params": others[2:], "lr": 0.02}], lr=0.01)
    for seed in (1, 2):
        stepped(params, optimizer, np.random.default_rng(seed))
        stepped(others, new, np.random.default_rng(seed))
    assert all(np.array_equal(values(p), values(q)) for p, q in zip(params, others))


# Saving -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", AROUND)
def test_a_state_dict_is_a_snapshot(name):
    rng = np.random.default_rng(0)
    params, optimizer = made(name)
    stepped(params, optimizer, rng, 2)
    saved = optimizer.state_dict()
    before = copy.deepcopy(plain(saved))
    stepped(params, optimizer, rng, 2)
    optimizer.param_groups[0]["lr"] = 5.0
    assert equal(saved, before)
    kept = optimizer.state_dict()
    for held in saved["state"].values():
        for value in held.values():
            if isinstance(value, genesis.Tensor):
                value.fill_(99.0)
    saved["param_groups"][0]["lr"] = 99.0
    saved["param_groups"][0]["params"].append(99)
    assert equal(optimizer.state_dict(), kept)


@pytest.mark.parametrize(("name", "case"), everything(extremes, around=True))
@pytest.mark.parametrize("max_grad_norm", [None, 5.0])
def test_a_new_optimizer_resumes_bit_for_bit(name, case, max_grad_norm, tmp_path):
    params, optimizer = made(name, max_grad_norm=max_grad_norm, **case)
    stepped(params, optimizer, np.random.default_rng(0), 3)
    stepped(params, optimizer, np.random.default_rng(1), 2, skip=(1, 3))
    genesis.save({"params": [p.detach() for p in params], "optimizer": optimizer.state_dict()}, tmp_path / "x")
    loaded = genesis.load(tmp_path / "x")
    others, new = made(name, seed=1, max_grad_norm=max_grad_norm)
    for p, q in zip(others, loaded["params"]):
        with genesis.no_grad():
            p.copy_(q)
    new.load_state_dict(loaded["optimizer"])
    assert equal(optimizer.state_dict(), new.state_dict())
    for seed in range(2, 7):
        stepped(params, optimizer, np.random.default_rng(seed), skip=(seed % 5,))
        stepped(others, new, np.random.default_rng(seed), skip=(seed % 5,))
    assert all(np.array_equal(values(p), values(q)) for p, q in zip(params, others))
    assert equal(optimizer.state_dict(), new.state_dict())


@pytest.mark.skipif(not genesis.device().fp64, reason="the device has no float64")
def test_states_of_float64_parameters_keep_their_precision():
    params, optimizer = made("adam", dtype=genesis.float64)
    stepped(params, optimizer, np.random.default_rng(0), 3)
    saved = optimizer.state_dict()
    assert saved["state"][2]["exp_avg"].dtype is genesis.float64
    _others, new = made("adam", dtype=genesis.float64)
    for form in (saved, plain(saved)):
        new.load_state_dict(form)
        assert equal(new.state_dict(), saved)


@pytest.mark.parametrize("dtype", [genesis.float16, genesis.bfloat16], ids=lambda d: d.name)
def test_states_of_16_bit_parameters_are_float32(dtype):
    params, optimizer = made("adam", dtype=dtype)
    stepped(params, optimizer, np.random.default_rng(0), 3)
    saved = optimizer.state_dict()
    assert saved["state"][2]["exp_avg"].dtype is genesis.float32
    _others, new = made("adam", dtype=dtype)
    new.load_state_dict(saved)
    assert equal(new.state_dict(), saved)


def test_a_state_dict_that_went_through_json_loads():
    params, optimizer = made("adam")
    stepped(params, optimizer, np.random.default_rng(0), 2)
    saved = optimizer.state_dict()
    text = json.dumps({**plain(saved), "state": {i: {k: np.asarray(v).tolist() for k, v in held.items()}
                                                 for i, held in plain(saved)["state"].items()}})
    _others, new = made("adam")
    new.load_state_dict(json.loads(text))
    assert equal(new.state_dict(), saved)


def test_keys_that_others_put_into_groups_are_saved_and_loaded():
    _params, optimizer = made("sgd")
    optimizer.param_groups[0]["initial_lr"] = 0.5
    optimizer.param_groups[1]["note"] = {"a": [1, 2]}
    others, new = made("sgd")
    new.load_state_dict(optimizer.state_dict())
    assert new.param_groups[0]["initial_lr"] == 0.5
    assert new.param_groups[1]["note"] == {"a": [1, 2]}
    assert new.param_groups[0]["params"][0] is others[0]


def test_groups_keep_their_identity_when_a_state_is_loaded():
    params, optimizer = made("adam")
    groups = optimizer.param_groups
    first = groups[0]
    stepped(params, optimizer, np.random.default_rng(0))
    saved = optimizer.state_dict()
    saved["param_groups"][0]["lr"] = 0.5
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups is groups
    assert groups[0] is first
    assert first["lr"] == 0.5
    before = values(params[0])
    stepped(params, optimizer, np.random.default_rng(1))
    assert abs(values(params[0]) - before) > 0.1


# Names --------------------------------------------------------------------------------------------------------------


def test_names_are_saved_and_parameters_found_by_them():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    optimizer = genesis.optim.Adam(model.named_parameters(), lr=0.1)
    (model(genesis.ones(1, 2)) ** 2).sum().backward()
    optimizer.step()
    saved = optimizer.state_dict()
    names = ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert saved["param_groups"][0]["param_names"] == names
    assert saved["param_groups"][0]["params"] == [0, 1, 2, 3]
    twin = copy.deepcopy(model)
    other = genesis.optim.Adam(list(twin.named_parameters())[::-1], lr=0.3)
    other.load_state_dict(saved)
    assert other.param_groups[0]["param_names"] == names[::-1]
    for p, q in zip(model.parameters(), twin.parameters()):
        assert np.array_equal(values(optimizer.state[p]["exp_avg"]), values(other.state[q]["exp_avg"]))
    unnamed = genesis.optim.Adam(twin.parameters(), lr=0.3)
    unnamed.load_state_dict(saved)
    assert "param_names" not in unnamed.param_groups[0]


def test_names_in_groups():
    p, q = leaf([1.0]), leaf([2.0])
    optimizer = genesis.optim.SGD([{"params": [("a", p)]}, {"params": [("b", q)], "lr": 0.5}], lr=0.1)
    assert [g["param_names"] for g in optimizer.state_dict()["param_groups"]] == [["a"], ["b"]]
    optimizer.add_param_group({"params": [("c", leaf([3.0]))]})
    with pytest.raises(ValueError, match="names"):
        optimizer.add_param_group({"params": [leaf([3.0])]})
    with pytest.raises(ValueError, match="names"):
        genesis.optim.SGD([p], lr=0.1).add_param_group({"params": [("q", q)]})
    assert len(optimizer.param_groups) == 3


# To and from PyTorch ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["numpy", "torch"])
@pytest.mark.parametrize(("name", "case"), everything(extremes, around=True))
def test_a_state_of_torch_loads_and_ten_more_steps_agree(name, case, form):
    torch = pytest.importorskip("torch")
    params, optimizer = made(name, **case)
    theirs = [torch.tensor(values(p), dtype=torch.float32, requires_grad=True) for p in params]
    its = torch_class(torch, name)([{"params": theirs[:2]}, {"params": theirs[2:], "lr": 0.05}], lr=0.03, **case)
    rng = np.random.default_rng(0)

    def both(steps, mine):
        for _ in range(steps):
            for p, q in zip(params, theirs):
                g = gradient(rng, p.shape)
                give(p, g)
                q.grad = torch.tensor(g)
            its.step()
            if mine:
                optimizer.step()

    both(5, False)
    with genesis.no_grad():
        for p, q in zip(params, theirs):
            p.copy_(genesis.tensor(q.detach().numpy()))
    saved = its.state_dict()
    if form == "numpy":
        saved = {**saved, "state": {i: {k: v.numpy() if hasattr(v, "numpy") else v for k, v in held.items()}
                                    for i, held in saved["state"].items()}}
    optimizer.load_state_dict(saved)
    assert [g["lr"] for g in optimizer.param_groups] == [0.03, 0.05]
    both(10, True)
    for p, q in zip(params, theirs):
        np.testing.assert_allclose(values(p), q.detach().numpy(), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(("name", "case"), everything(extremes, around=True))
def test_our_state_loads_into_torch_and_ten_more_steps_agree(name, case):
    torch = pytest.importorskip("torch")
    params, optimizer = made(name, **case)
    rng = np.random.default_rng(0)
    stepped(params, optimizer, rng, 5, skip=(1,))
    theirs = [torch.tensor(values(p), dtype=torch.float32, requires_grad=True) for p in params]
    its = torch_class(torch, name)([{"params": theirs[:2]}, {"params": theirs[2:]}], lr=0.9)
    saved = optimizer.state_dict()
    its.load_state_dict({**saved, "state": {
        i: {k: torch.tensor(values(v), dtype=torch.float32) if isinstance(v, genesis.Tensor) else v
            for k, v in held.items()} for i, held in saved["state"].items()}})
    for _ in range(10):
        for p, q in zip(params, theirs):
            g = gradient(rng, p.shape)
            give(p, g)
            q.grad = torch.tensor(g)
        its.step()
        optimizer.step()
    for p, q in zip(params, theirs):
        np.testing.assert_allclose(values(p), q.detach().numpy(), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("given", [{"fused": True}, {"foreach": True}], ids=str)
def test_a_state_of_torchs_fused_or_foreach_adamw_loads_and_ours_there(given):
    torch = pytest.importorskip("torch")
    p, theirs = leaf([1.0, 2.0]), torch.tensor([1.0, 2.0], requires_grad=True)
    optimizer, its = genesis.optim.AdamW([p], **given), torch.optim.AdamW([theirs], **given)

    def both():
        for _ in range(3):
            give(p, [0.5, -1.0])
            theirs.grad = torch.tensor([0.5, -1.0])
            optimizer.step()
            its.step()

    both()
    optimizer.load_state_dict(its.state_dict())
    both()
    saved = optimizer.state_dict()
    its.load_state_dict({**saved, "state": {0: {k: torch.tensor(values(v)) if isinstance(v, genesis.Tensor) else v
                                                for k, v in saved["state"][0].items()}}})
    both()
    np.testing.assert_allclose(values(p), theirs.detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize("edited", [None, 0.75])
def test_the_product_of_momenta_is_carried_to_torch_and_back(edited):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    p, q = leaf(rng.standard_normal(65)), torch.zeros(65, requires_grad=True)
    optimizer, its = genesis.optim.NAdam([p], lr=0.01), torch.optim.NAdam([q], lr=0.01)

    def both(steps, mine=True, torchs=True):
        for _ in range(steps):
            g = gradient(rng, 65)
            give(p, g)
            q.grad = torch.tensor(g)
            for one in [optimizer] * mine + [its] * torchs:
                one.step()

    both(3, mine=False)
    its.param_groups[0]["momentum_decay"] = 0.5            # the product so far no longer follows from the step count
    both(2, mine=False)
    if edited:
        its.state[q]["mu_product"].fill_(edited)
    with genesis.no_grad():
        p.copy_(genesis.tensor(q.detach().numpy()))
    optimizer.load_state_dict(its.state_dict())
    assert optimizer.state[p]["mu_product"] == its.state[q]["mu_product"].item()
    both(10)
    np.testing.assert_allclose(values(p), q.detach().numpy(), rtol=1e-5, atol=2e-6)

    optimizer.param_groups[0]["momentum_decay"] = 0.0
    optimizer.state[p]["mu_product"] = edited or 0.5
    both(2, torchs=False)
    with torch.no_grad():
        q.copy_(torch.tensor(values(p)))
    saved = optimizer.state_dict()
    assert saved["state"][0]["mu_product"] == pytest.approx((edited or 0.5) * 0.45 ** 2, rel=1e-12)
    its.load_state_dict({**saved, "state": {0: {k: torch.tensor(values(v), dtype=torch.float32)
                                                if isinstance(v, genesis.Tensor) else v
                                                for k, v in saved["state"][0].items()}}})
    both(10)
    np.testing.assert_allclose(values(p), q.detach().numpy(), rtol=1e-5, atol=2e-6)
    for bad in (-0.1, 1.5, math.nan, "small"):
        with pytest.raises(ValueError, match="mu_product"):
            optimizer.load_state_dict({**saved, "state": {0: {**saved["state"][0], "mu_product": bad}}})


def test_a_bfloat16_state_of_torch_loads():
    torch = pytest.importorskip("torch")
    p, q = leaf([1.0, 2.0], genesis.bfloat16), torch.tensor([1.0, 2.0], dtype=torch.bfloat16, requires_grad=True)
    its = torch.optim.Adam([q], lr=0.1)
    q.grad = torch.tensor([0.5, 1.0], dtype=torch.bfloat16)
    its.step()
    optimizer = genesis.optim.Adam([p], lr=0.1)
    optimizer.load_state_dict(its.state_dict())
    np.testing.assert_array_equal(values(optimizer.state[p]["exp_avg"]), its.state[q]["exp_avg"].float().numpy())


def test_a_state_that_torch_has_from_the_start_loads_before_the_first_step():
    torch = pytest.importorskip("torch")
    p, q = leaf([1.0, 2.0]), torch.tensor([1.0, 2.0], requires_grad=True)
    arguments = {"lr": 0.1, "lr_decay": 1.0, "initial_accumulator_value": 3.0}
    optimizer, its = genesis.optim.Adagrad([p], lr=0.5), torch.optim.Adagrad([q], **arguments)
    optimizer.load_state_dict(its.state_dict())
    assert set(optimizer.state[p]) == set(its.state[q])
    assert optimizer.state[p]["step"] == its.state[q]["step"].item() == 0
    for _ in range(2):
        give(p, [1.0, -2.0])
        q.grad = torch.tensor([1.0, -2.0])
        optimizer.step()
        its.step()
        np.testing.assert_allclose(values(p), q.detach().numpy(), rtol=1e-6)


# All or nothing -----------------------------------------------------------------------------------------------------


def broken_states(good):
    """Names and broken copies of a state dict of Adam for `made`."""
    def changed(change):
        state = copy.deepcopy(good)
        change(state)
        return state

    def at(*path, value):
        def change(state):
            for key in path[:-1]:
                state = state[key]
            state[path[-1]] = value
        return changed(change)

    last = max(good["state"])
    yield "no groups", {"state": {}}
    yield "no state", {"param_groups": good["param_groups"]}
    yield "a list", [1, 2]
    yield "fewer groups", {**good, "param_groups": good["param_groups"][:1]}
    yield "more groups", {**good, "param_groups": good["param_groups"] * 2}
    yield "fewer parameters", at("param_groups", 1, "params", value=[2, 3])
    yield "a wrong shape in the last entry", at("state", last, "exp_avg_sq", value=np.ones(3, np.float32))
    yield "a transposed shape", at("state", 3, "exp_avg", value=np.ones((11, 7), np.float32))
    yield "a shape that would broadcast", at("state", 3, "exp_avg", value=np.ones((1, 11), np.float32))
    yield "a negative lr", at("param_groups", 1, "lr", value=-1.0)
    yield "lr not a number", at("param_groups", 1, "lr", value=math.nan)
    yield "betas out of range", at("param_groups", 0, "betas", value=(0.9, 1.0))
    yield "a string", at("param_groups", 0, "eps", value="small")
    for step in (-1, 1.5, math.nan, math.inf, "many"):
        yield f"step {step}", at("state", last, "step", value=step)


@pytest.mark.parametrize("which", range(18))
def test_a_broken_state_dict_changes_nothing(which):
    params, optimizer = made("adam")
    rng = np.random.default_rng(0)
    stepped(params, optimizer, rng, 2)
    good = plain(optimizer.state_dict())
    for held in good["state"].values():
        held.update({k: np.asarray(v, np.float32) for k, v in held.items() if k != "step"})
    stepped(params, optimizer, rng, 2)
    what, state = list(broken_states(good))[which]
    before, start = optimizer.state_dict(), [values(p) for p in params]
    with pytest.raises((ValueError, TypeError)):
        optimizer.load_state_dict(state)
    assert equal(optimizer.state_dict(), before), what
    assert all(np.array_equal(values(p), x) for p, x in zip(params, start))
    stepped(params, optimizer, rng)


def test_every_broken_state_dict_is_tried():
    params, optimizer = made("adam")
    stepped(params, optimizer, np.random.default_rng(0))
    assert len(list(broken_states(plain(optimizer.state_dict())))) == 18


def test_a_group_that_does_not_fit_together_is_refused():
    _params, optimizer = made("sgd", momentum=0.9)
    saved = optimizer.state_dict()
    saved["param_groups"][1].update(nesterov=True, momentum=0.0)
    with pytest.raises(ValueError, match="nesterov"):
        optimizer.load_state_dict(saved)
    assert optimizer.param_groups[1]["momentum"] == 0.9


def test_loading_replaces_states_that_are_not_in_the_state_dict():
    params, optimizer = made("adam")
    rng = np.random.default_rng(0)
    stepped(params, optimizer, rng, 2, skip=(2,))
    saved = optimizer.state_dict()
    stepped(params, optimizer, rng, 2)
    optimizer.load_state_dict(saved)
    assert params[2] not in optimizer.state
    assert equal(optimizer.state_dict(), saved)


def test_a_state_for_a_rule_with_more_states_starts_those_at_0():
    params, optimizer = made("adam")
    stepped(params, optimizer, np.random.default_rng(0), 2)
    saved = optimizer.state_dict()
    for group in saved["param_groups"]:
        group["amsgrad"] = True
    others, new = made("adam")
    new.load_state_dict(saved)
    assert (values(new.state[others[2]]["max_exp_avg_sq"]) == 0).all()
    assert new.state[others[2]]["step"] == 2


def test_states_of_many_parameters_are_saved_and_loaded_quickly():
    import time

    params = [leaf(np.ones(3)) for _ in range(1000)]
    optimizer = genesis.optim.Adam(params, lr=0.1)
    flow(*[(p, np.ones(3)) for p in params])
    optimizer.step()
    start = time.perf_counter()
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.state.clear()
    assert time.perf_counter() - start < 10      # a second; quadratic work would take minutes


# States that do not begin at 0 -------------------------------------------------------------------------------------


class Summing(genesis.optim.Optimizer):
    """Adds gradients to a state that begins with its group's value, and makes the state the parameter."""

    def __init__(self, params, start=0.5):
        super().__init__(params, {"start": start})

    def rule(self, group):
        return "summing"

    def scalars(self, group, step):
        return {"scale": 2.0 if step == 1 else 1.0}

    def first_values(self, group):
        return {"total": group["start"]}


@pytest.fixture
def summing(tmp_path, monkeypatch):
    """The class, with its rule's file."""
    file = tmp_path / "summing.cl"
    file.write_text("void summing(real *param, real grad, real *count, real *total, float scale)"
                    "{ *count += 1; *total += scale * grad; *param = *total; }")
    monkeypatch.setattr(Summing, "source", str(file))
    return Summing


def totals(optimizer):
    return [values(optimizer.state[p]["total"]).tolist() for group in optimizer.param_groups for p in group["params"]]


@pytest.mark.parametrize("dtype", [genesis.float32, genesis.float16, genesis.bfloat16], ids=lambda d: d.name)
def test_a_state_begins_with_its_first_value(summing, dtype):
    p, q, r = (leaf(np.zeros(n), dtype) for n in (3, 1100, 2))
    optimizer = summing([{"params": [p]}, {"params": [q], "start": 0.25}])
    assert totals(optimizer) == [[0.5] * 3, [0.25] * 1100]
    optimizer.param_groups[0]["params"].append(r)                    # parameters that come later
    optimizer.add_param_group({"params": [s := leaf(0.0, dtype)], "start": 4.0})
    assert totals(optimizer) == [[0.5] * 3, [0.5] * 2, [0.25] * 1100, 4.0]
    assert all(dict(optimizer.state[x])["step"] == 0 for x in (p, q, r, s))
    for x in (p, q, s):
        give(x, np.ones(x.shape))
    optimizer.step()
    assert values(p).tolist() == [2.5] * 3
    assert values(q).tolist() == [2.25] * 1100
    assert s.item() == 6.0
    assert values(r).tolist() == [0.0] * 2
    assert totals(optimizer)[1] == [0.5] * 2
    assert values(optimizer.state[q]["count"]).tolist() == [1.0] * 1100


@pytest.mark.parametrize("how", ["clear all", "clear one", "delete one", "delete a name", "assign"])
def test_a_cleared_state_begins_with_its_first_value_again(summing, how):
    p, q = leaf([0.0, 0.0]), leaf([0.0])
    optimizer = summing([p, q])
    for x in (p, q):
        give(x, np.ones(x.shape))
    optimizer.step()
    if how == "clear all":
        optimizer.state.clear()
    elif how == "clear one":
        optimizer.state[p].clear()
    elif how == "delete one":
        del optimizer.state[p]
    elif how == "delete a name":
        del optimizer.state[p]["total"]
    else:
        optimizer.state = {q: {"step": 1, "total": 9.0}}
    assert totals(optimizer) == [[0.5, 0.5], {"clear all": [0.5], "assign": [9.0]}.get(how, [2.5])]
    assert optimizer.state[p]["step"] == int(how == "delete a name")
    assert (values(optimizer.state[p]["count"]) == int(how == "delete a name")).all()
    optimizer.step()
    assert values(p).tolist() == [1.5 if how == "delete a name" else 2.5] * 2


def test_a_first_value_is_saved_loaded_and_copied(summing):
    p, q = leaf([0.0, 0.0]), leaf([0.0])
    optimizer = summing([p, q])
    give(q, [1.0])
    optimizer.step()
    saved = optimizer.state_dict()
    assert saved["state"][0]["step"] == 0
    assert values(saved["state"][0]["total"]).tolist() == [0.5, 0.5]
    saved["state"][0]["total"] = np.full(2, 8.0, np.float32)
    others = [leaf([0.0, 0.0]), leaf([0.0])]
    new = summing(others, start=3.0)
    new.load_state_dict(saved)
    assert totals(new) == [[8.0, 8.0], [2.5]]
    assert new.state[others[0]]["step"] == 0
    twin = copy.deepcopy(new)
    assert totals(twin) == totals(new)
    give(others[0], [1.0, 1.0])
    new.step()                                                       # its first: the step 0 that was saved
    assert values(others[0]).tolist() == [10.0, 10.0]
    assert totals(twin) == [[8.0, 8.0], [2.5]]
    del saved["state"][0]
    new.load_state_dict(saved)                                       # one that has no state begins anew
    assert totals(new) == [[0.5, 0.5], [2.5]]


def test_a_first_value_moves_with_its_parameter(summing):
    p, q = leaf([0.0, 0.0]), leaf([0.0])
    optimizer = summing([p, q])
    optimizer.param_groups[0]["start"] = 3.0                         # too late for these two
    optimizer.state[q]["total"] = 7.0
    assert optimizer.state[q]["step"] == 0
    held = [p.data, q.data]
    p.data, q.data = genesis.tensor([1.0, 1.0]), genesis.tensor([1.0])      # cannot stay where they were
    for x in (p, q):
        give(x, np.ones(x.shape))
    optimizer.step()
    assert (values(p).tolist(), values(q).tolist()) == ([2.5, 2.5], [9.0])
    assert [values(x).tolist() for x in held] == [[0.0, 0.0], [0.0]]


# Optimizers without a rule ------------------------------------------------------------------------------------------


class Plain(genesis.optim.Optimizer):
    """Keeps what it likes in plain dictionaries."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})

    def step(self, closure=None):
        with genesis.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        state = self.state[p]
                        if not state:
                            state["count"] = 0
                            state["sum"] = genesis.zeros_like(p)
                        state["count"] += 1
                        state["sum"].add_(p.grad)
                        p.sub_(state["sum"] * group["lr"])


def test_an_optimizer_without_a_rule_keeps_plain_dictionaries():
    p, q = leaf([1.0, 2.0]), leaf([3.0])
    optimizer = Plain([p, q])
    for _ in range(2):
        flow((p, [1.0, 1.0]))
        optimizer.step()
        optimizer.zero_grad()
        assert p.grad is None
    assert optimizer.state[p]["count"] == 2
    np.testing.assert_allclose(values(p), [0.7, 1.7], rtol=1e-6)
    assert len(optimizer.state) == 1
    saved = optimizer.state_dict()
    assert saved["state"].keys() == {0}
    other = Plain([leaf([0.0, 0.0]), leaf([0.0])])
    other.load_state_dict(saved)
    optimizer.state[p]["sum"].zero_()
    new = other.param_groups[0]["params"][0]
    assert other.state[new]["count"] == 2
    assert values(other.state[new]["sum"]).tolist() == [2.0, 2.0]
    other.add_param_group({"params": [leaf([5.0])], "lr": 1.0})
    other.state.clear()
    assert len(other.state) == 0
    flow((p, [1.0, 1.0]))
    optimizer.zero_grad(set_to_none=False)
    assert values(p.grad).tolist() == [0.0, 0.0]


def test_an_optimizer_without_rule_and_step_says_so():
    optimizer = genesis.optim.Optimizer([leaf([1.0])], {"lr": 0.1})
    with pytest.raises(NotImplementedError, match="step"):
        optimizer.step()


def test_programs_keep_states_of_their_own_beside():
    """As wrappers such as Lookahead and SAM do."""
    torch = pytest.importorskip("torch")

    def run(library):
        p = library.tensor([1.0, -2.0, 3.0], requires_grad=True)
        optimizer = library.optim.Adam([p], lr=0.1)
        for i in range(4):
            optimizer.zero_grad()
            (p ** 2).sum().backward()
            optimizer.step()
            if "slow" not in optimizer.state[p]:
                optimizer.state[p]["slow"] = library.empty_like(p).copy_(p.detach())
            if i % 2:
                slow = optimizer.state[p]["slow"]
                slow.add_(p.detach() - slow, alpha=0.5)
                p.data.copy_(slow)
        saved = optimizer.state_dict()
        assert sorted(saved["state"][0]) == ["exp_avg", "exp_avg_sq", "slow", "step"]
        other = library.optim.Adam([p], lr=0.1)
        other.load_state_dict(saved)
        found = [p, optimizer.state[p]["slow"], other.state[p]["slow"], other.state[p]["exp_avg"]]
        del other.state[p]["slow"]
        assert "slow" not in other.state[p]
        assert "slow" in optimizer.state[p]
        return [x.detach().numpy() for x in found]

    for found, wanted in zip(run(genesis), run(torch)):
        np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_wrappers_that_are_optimizers_themselves():
    """SAM has a method of this name; timm's Lookahead calls no constructor, and sets its state itself."""
    torch = pytest.importorskip("torch")

    def run(library):
        class Sharp(library.optim.Optimizer):
            def __init__(self, params, base, **given):
                super().__init__(params, {"rho": 0.1, **given})
                self.base_optimizer = base(self.param_groups, **given)
                self.param_groups = self.base_optimizer.param_groups

            def _grad_norm(self):
                return library.stack([p.grad.norm() for group in self.param_groups for p in group["params"]]).norm()

            @library.no_grad()
            def step(self, closure):
                closure = library.enable_grad()(closure)
                for p in self.param_groups[0]["params"]:
                    self.state[p]["old"] = p.data.clone()
                    p.add_(p.grad * (self.param_groups[0]["rho"] / self._grad_norm()))
                self.zero_grad()
                closure()
                for p in self.param_groups[0]["params"]:
                    p.data = self.state[p]["old"]
                self.base_optimizer.step()

        class Slow(library.optim.Optimizer):
            def __init__(self, base):
                self.base = base
                self.param_groups = base.param_groups
                self.defaults = base.defaults
                self.state = defaultdict(dict)

            def step(self):
                self.base.step()
                for p in self.param_groups[0]["params"]:
                    self.state[p]["count"] = self.state[p].get("count", 0) + 1
                return self.state

        p = library.tensor([1.0, -2.0, 3.0], requires_grad=True)
        sharp = Sharp([p], library.optim.SGD, lr=0.1, momentum=0.9)
        slow = Slow(library.optim.AdamW([p], lr=0.1))
        for _ in range(3):
            for optimizer, given in ((sharp, [lambda: (p ** 3).sum().backward()]), (slow, [])):
                p.grad = None
                (p ** 3).sum().backward()
                optimizer.step(*given)
        assert slow.state[p]["count"] == 3
        return p.detach().numpy()

    np.testing.assert_allclose(run(genesis), run(torch), rtol=1e-5)
