"""What users change in ``param_groups`` themselves, and copies of whole optimizers."""

import copy

import numpy as np
import pytest

import genesis
from genesis import nn
from genesis.optim import OPTIMIZERS

try:
    import torch
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
VALUES = [np.linspace(-1, 1, n, dtype=np.float32) for n in (5, 33, 1, 1025)]


def leaf(library, values):
    return library.tensor(values, requires_grad=True)


def delete_group(optimizer, new):
    del optimizer.param_groups[0]


def delete_parameter(optimizer, new):
    del optimizer.param_groups[0]["params"][1]


def replace_parameter(optimizer, new):
    optimizer.param_groups[0]["params"][0] = new


def replace_list(optimizer, new):
    optimizer.param_groups[1]["params"] = [*optimizer.param_groups[1]["params"], new]


def append_parameter(optimizer, new):
    optimizer.param_groups[1]["params"].append(new)


def append_group(optimizer, new):
    optimizer.param_groups.append({**optimizer.param_groups[0], "params": [new], "lr": 0.3})


def move_parameter(optimizer, new):
    first, second = optimizer.param_groups
    second["params"].append(first["params"].pop(0))


def swap_groups(optimizer, new):
    optimizer.param_groups.reverse()


EDITS = [delete_group, delete_parameter, replace_parameter, replace_list, append_parameter, append_group,
         move_parameter, swap_groups]


def run(library, edit):
    """Values of all parameters after steps before and after an edit."""
    params = [leaf(library, values) for values in VALUES]
    new = leaf(library, np.full(7, 0.5, np.float32))
    optimizer = library.optim.Adam([{"params": params[:2]}, {"params": params[2:], "lr": 0.03}], lr=0.1)
    rng = np.random.default_rng(0)
    for i in range(6):
        if i == 3:
            edit(optimizer, new)
        optimizer.zero_grad()
        for x in (*params, new):
            x.grad = library.tensor(rng.standard_normal(x.shape).astype(np.float32))
        optimizer.step()
    return [x.detach().numpy().copy() for x in (*params, new)], optimizer


@needs_torch
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_edited_groups_update_as_in_torch(edit):
    (mine, optimizer), (its, its_optimizer) = run(genesis, edit), run(torch, edit)
    for a, b in zip(mine, its):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=2e-6)
    assert counts(optimizer) == counts(its_optimizer)
    assert [len(g["params"]) for g in optimizer.state_dict()["param_groups"]] == [len(g) for g in counts(optimizer)]


def counts(optimizer):
    return [[int(optimizer.state[x]["step"]) for x in group["params"]] for group in optimizer.param_groups]


def test_a_bad_edit_is_an_error_until_it_is_mended():
    x, y = (leaf(genesis, values) for values in VALUES[:2])
    optimizer = genesis.optim.SGD([x], lr=0.1)
    optimizer.param_groups[0]["params"].append(y * 2)
    for _ in range(2):
        with pytest.raises(ValueError, match="leaves"):
            optimizer.step()
    optimizer.param_groups[0]["params"].pop()
    x.grad = genesis.ones(5)
    optimizer.step()
    assert np.allclose(x.detach().numpy(), VALUES[0] - 0.1)
    optimizer.param_groups.append({"params": [x], "lr": 0.1})
    with pytest.raises(ValueError, match="more than one"):
        optimizer.zero_grad()


def test_names_must_fit_an_edited_group():
    optimizer = genesis.optim.SGD([("x", leaf(genesis, VALUES[0]))], lr=0.1)
    optimizer.param_groups[0]["params"].append(leaf(genesis, VALUES[1]))
    with pytest.raises(ValueError, match="1 names for 2 parameters"):
        optimizer.step()
    optimizer.param_groups[0]["param_names"].append("y")
    optimizer.step()
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["x", "y"]


def test_a_replaced_parameter_takes_a_state_that_is_given_to_it():
    old = leaf(genesis, VALUES[0])
    optimizer = genesis.optim.Adam([old], lr=0.1)
    old.grad = genesis.ones(5)
    optimizer.step()
    state = {name: value.clone() if name != "step" else value for name, value in optimizer.state[old].items()}
    new = leaf(genesis, np.concatenate([VALUES[0], VALUES[0]]))
    optimizer.param_groups[0]["params"][0] = new
    optimizer.state[new] = {name: value if name == "step" else genesis.cat([value, value])
                            for name, value in state.items()}
    assert old not in optimizer.state
    assert dict(optimizer.state[new])["step"] == 1
    assert np.array_equal(optimizer.state[new]["exp_avg"].numpy(), np.tile(state["exp_avg"].numpy(), 2))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_deep_copy_with_its_model_goes_on_alike_and_apart(name):
    genesis.manual_seed(0)
    model = nn.Sequential(nn.Linear(9, 5), nn.Tanh(), nn.Linear(5, 2))
    optimizer = OPTIMIZERS[name](model.named_parameters(), lr=0.01, max_grad_norm=1.0)

    def train(model, optimizer):
        for i in range(3):
            optimizer.zero_grad()
            (model(genesis.full((4, 9), 0.1 * i)) ** 2).sum().backward()
            optimizer.step()
        return genesis.fingerprint(model, optimizer)

    train(model, optimizer)
    before = genesis.fingerprint(model, optimizer)
    twin, twin_optimizer = copy.deepcopy((model, optimizer))
    assert type(twin_optimizer) is type(optimizer)
    assert twin_optimizer.param_groups[0]["params"][0] is twin[0].weight
    assert genesis.fingerprint(twin, twin_optimizer) == before
    after = train(twin, twin_optimizer)
    assert genesis.fingerprint(model, optimizer) == before
    assert train(model, optimizer) == after != before
