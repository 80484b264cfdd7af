"""Pruning against PyTorch's."""

import copy
import inspect
import pickle

import numpy as np
import pytest
from helpers import close, f32, normal

import genesis
from genesis import nn
from genesis.nn.utils import prune

torch = pytest.importorskip("torch", reason="pruning is compared with PyTorch's")
its_prune = pytest.importorskip("torch.nn.utils.prune")
INF = float("inf")


def pair(make):
    """A module and PyTorch's with the same state, each with its ``prune``."""
    genesis.manual_seed(0)
    mine, its = make(nn), make(torch.nn)
    its.load_state_dict({k: torch.tensor(v.numpy()) for k, v in mine.state_dict().items()})
    return (mine, prune), (its, its_prune)


def linear(n):
    return n.Linear(6, 4)


def conv(n):
    return n.Conv2d(3, 4, 3)


def agree(mine, its, *shape, steps=2):
    """The same names, states, results and gradients, while optimizers train what they see."""
    assert [n for n, _ in mine.named_parameters()] == [n for n, _ in its.named_parameters()]
    optimizers = (genesis.optim.SGD(mine.parameters(), lr=0.1, weight_decay=0.1),
                  torch.optim.SGD(its.parameters(), lr=0.1, weight_decay=0.1))
    x = normal(*shape).astype(np.float32)
    for _ in range(steps):
        results = mine(f32(x)), its(torch.tensor(x))
        close(results[0], results[1].detach().numpy(), 1e-4, 1e-5)
        for optimizer, result in zip(optimizers, results):
            optimizer.zero_grad()
            (result ** 2).sum().backward()
        for p, q in zip(mine.parameters(), its.parameters(), strict=True):
            close(p.grad, q.grad.numpy(), 1e-4, 1e-5)
        for optimizer in optimizers:
            optimizer.step()
    same_states(mine, its)


def same_states(mine, its):
    assert list(mine.state_dict()) == list(its.state_dict())
    for value, wanted in zip(mine.state_dict().values(), its.state_dict().values()):
        close(value, wanted.numpy(), 1e-4, 1e-5)


@pytest.mark.parametrize(("make", "calls"), [
    (linear, [("identity", "weight"), ("l1_unstructured", "weight", 5), ("l1_unstructured", "bias", 0.5)]),
    (linear, [("l1_unstructured", "weight", 0.3), ("l1_unstructured", "weight", 0.5), ("identity", "weight"),
              ("ln_structured", "weight", 1, 2, 0), ("ln_structured", "weight", 0.25, INF, -2)]),
    (conv, [("ln_structured", "weight", 2, 1, 0), ("ln_structured", "weight", 1, -INF, 1),
            ("l1_unstructured", "weight", 0.4), ("l1_unstructured", "weight", 0)]),
], ids=["elements", "several times", "convolution"])
def test_masks_results_and_gradients(make, calls):
    (mine, own), (its, theirs) = pair(make)
    for function, *args in calls:
        for module, form in ((mine, own), (its, theirs)):
            assert getattr(form, function)(module, *args) is module
        same_states(mine, its)
        close(mine.weight, its.weight.detach().numpy())
    assert [[type(m).__name__ for m in hook] if isinstance(hook, prune.PruningContainer) else type(hook).__name__
            for hook in mine._forward_pre_hooks.values()] == [
        [type(m).__name__ for m in hook] if isinstance(hook, its_prune.PruningContainer)
        else type(hook).__name__ for hook in its._forward_pre_hooks.values()]
    shape = (5, 6) if make is linear else (2, 3, 5, 5)
    agree(mine, its, *shape)
    before = mine.weight_orig
    for module, form in ((mine, own), (its, theirs)):
        assert form.is_pruned(nn.Sequential(module) if module is mine else module)
        assert form.remove(module, "weight") is module
    assert mine.weight is before               # optimizers go on with it
    assert "weight" in mine._parameters
    agree(mine, its, *shape, steps=1)


def test_importance_scores_and_masks_decide():
    scores = normal(4, 6, seed=3).astype(np.float32)
    half = np.arange(24).reshape(4, 6) % 2
    (mine, own), (its, theirs) = pair(linear)
    for module, form, wrap in ((mine, own, genesis.tensor), (its, theirs, torch.tensor)):
        form.l1_unstructured(module, "weight", 6, importance_scores=wrap(scores))
        form.custom_from_mask(module, name="weight", mask=wrap(half))
        form.ln_structured(module, "weight", 1, n=2, dim=0, importance_scores=wrap(scores))
    agree(mine, its, 5, 6)
    t, mask = normal(3, 4).astype(np.float32), np.ones((3, 4), np.float32)
    close(own.LnStructured(1, 2, 0).prune(f32(t), f32(mask), importance_scores=f32(-t * t)),
          theirs.LnStructured(1, 2, 0).prune(*map(torch.tensor, (t, mask)), torch.tensor(-t * t)).numpy())


def test_global_pruning():
    def make(n):
        return n.Sequential(n.Linear(6, 4), n.Tanh(), n.Linear(4, 3))

    scores = normal(3, 4, seed=1).astype(np.float32)
    (mine, own), (its, theirs) = pair(make)
    for net, form, wrap in ((mine, own, genesis.tensor), (its, theirs, torch.tensor)):
        names = [(net[0], "weight"), (net[2], "weight"), (net[2], "bias")]
        form.l1_unstructured(net[0], "weight", 3)
        form.global_unstructured(names, form.L1Unstructured, amount=10)
        form.global_unstructured(names, form.L1Unstructured, {names[1]: wrap(scores)}, amount=0.2)
        with pytest.raises(TypeError):
            form.global_unstructured(names, form.LnStructured, amount=1, n=2)
        with pytest.raises(TypeError):
            form.global_unstructured(names, form.L1Unstructured, [scores], amount=1)
        with pytest.raises(TypeError):
            form.global_unstructured(7, form.L1Unstructured, amount=1)
    agree(mine, its, 5, 6)


def test_drawn_elements_and_slices():
    layer = nn.Conv2d(4, 6, 3)
    prune.random_unstructured(layer, "weight", amount=0.25)
    assert layer.weight_mask.sum().item() == 162
    prune.random_unstructured(layer, "weight", amount=12)
    assert layer.weight_mask.sum().item() == 150
    first = layer.weight_mask.clone()
    for left in (5, 4):
        prune.random_structured(layer, "weight", amount=1, dim=0)
        assert (layer.weight_mask.sum(dim=(1, 2, 3)) != 0).sum().item() == left
    assert (layer.weight_mask <= first).all().item()
    genesis.manual_seed(1)
    drawn = [prune.RandomStructured(2).prune(genesis.ones(2, 8)).tolist() for _ in range(4)]
    assert all(row.count(0) == 2 and row == other for row, other in drawn)
    assert len({tuple(row) for row, _ in drawn}) > 1
    prune.random_structured(layer, "weight", amount=1.0, dim=0)
    assert not layer(genesis.ones(1, 4, 3, 3)).sub(layer.bias.reshape(1, 6, 1, 1)).any().item()


def test_copies_pickles_and_states():
    (mine, own), (its, theirs) = pair(linear)
    for module, form in ((mine, own), (its, theirs)):
        form.l1_unstructured(module, "weight", 6)
        form.custom_from_mask(module, "weight", module.weight_mask)
        with pytest.raises(RuntimeError):      # the weight has a history
            copy.deepcopy(module)
    x = f32(normal(5, 6))
    with genesis.no_grad():
        wanted = mine(x)
        copied = copy.deepcopy(mine)
    for other in (copied, pickle.loads(pickle.dumps(mine))):
        assert isinstance(other, nn.Linear)
        assert other.weight_orig is not mine.weight_orig
        close(other(x), wanted.numpy())
        assert prune.is_pruned(other)
        assert not prune.is_pruned(prune.remove(other, "weight"))
        close(other(x), wanted.numpy())
    fresh = prune.identity(nn.Linear(6, 4), "weight")
    fresh.load_state_dict(mine.state_dict())
    close(fresh(x), wanted.numpy())
    same_states(fresh, its)


def test_recurrent_layers_use_the_pruned_weights():
    (mine, own), (its, theirs) = pair(lambda n: n.GRU(3, 4))
    for module, form in ((mine, own), (its, theirs)):
        form.l1_unstructured(module, "weight_hh_l0", 0.5)
    x = normal(5, 2, 3).astype(np.float32)
    close(mine(f32(x))[0], its(torch.tensor(x))[0].detach().numpy(), 1e-4, 1e-5)


class Halving(prune.BasePruningMethod):
    """A structured method without ``dim``, whose first mask has a wrong shape."""

    PRUNING_TYPE = "structured"

    def compute_mask(self, t, default_mask):
        return default_mask[..., :-1] * 0.5


def test_errors():
    layer = prune.l1_unstructured(nn.Linear(6, 4), "weight", 2)
    state, hooks = layer.state_dict(), list(layer._forward_pre_hooks.values())
    for error, call in [
            (ValueError, lambda: prune.l1_unstructured(layer, "weight", 1.5)),
            (ValueError, lambda: prune.random_unstructured(layer, "weight", -1)),
            (TypeError, lambda: prune.l1_unstructured(layer, "weight", "2")),
            (ValueError, lambda: prune.l1_unstructured(layer, "weight", 23)),
            (ValueError, lambda: prune.l1_unstructured(layer, "bias", 5)),
            (ValueError, lambda: prune.ln_structured(layer, "weight", 5, 2, 0)),
            (ValueError, lambda: prune.random_structured(layer, "bias", 1, 0)),
            (IndexError, lambda: prune.ln_structured(layer, "weight", 1, 2, 2)),
            (IndexError, lambda: prune.LnStructured(1, 2, 2).prune(layer.weight)),
            (AssertionError, lambda: prune.custom_from_mask(layer, "weight", genesis.ones(6))),
            (AssertionError, lambda: prune.custom_from_mask(layer, "bias", genesis.ones(6))),
            (AssertionError, lambda: prune.l1_unstructured(layer, "bias", 1, genesis.ones(6))),
            (AttributeError, lambda: prune.identity(layer, "wight")),
            (AttributeError, lambda: Halving.apply(layer, "weight")),
            (TypeError, lambda: prune.identity(prune.identity(nn.BatchNorm1d(2), "weight"), "running_mean")),
            (ValueError, lambda: prune.remove(layer, "bias")),
            (TypeError, lambda: prune.PruningContainer().add_pruning_method(layer)),
            (ValueError, lambda: hooks[0] and prune.PruningContainer(hooks[0], prune.Identity())),
            (AssertionError, lambda: prune.Identity().apply_mask(layer)),
            (AssertionError, lambda: prune.Identity().remove(layer))]:
        with pytest.raises(error):
            call()
        assert list(layer.state_dict()) == list(state)       # nothing was changed
        assert list(layer._forward_pre_hooks.values()) == hooks
    close(layer.weight_mask, state["weight_mask"].numpy())
    fresh = nn.Linear(6, 4)
    with pytest.raises(Exception, match="shape"):
        Halving.apply(fresh, "bias")
    assert list(fresh.state_dict()) == ["weight", "bias"]
    assert not prune.is_pruned(fresh)
    strange = prune.Identity()
    strange.PRUNING_TYPE = "odd"
    with pytest.raises(ValueError, match="PRUNING_TYPE"):
        prune.PruningContainer(strange).compute_mask(genesis.ones(2), genesis.ones(2))
    layer.register_forward_pre_hook(hooks[0])
    with pytest.raises(AssertionError, match="PruningContainer"):
        prune.identity(layer, "weight")


def test_arguments_of_apply_are_those_of_torch():
    for name in prune.__all__:
        if inspect.isclass(getattr(prune, name)):
            mine, its = (inspect.signature(getattr(form, name).apply) for form in (prune, its_prune))
            assert [(p.name, p.default) for p in mine.parameters.values()] == [
                (p.name, p.default) for p in its.parameters.values()], name
