"""Hooks of modules on gradients, calls and states, and moves of whole modules, as PyTorch has them."""

import warnings
from collections import OrderedDict

import numpy as np
import pytest
from helpers import close, normal

import genesis
from genesis import nn

torch = pytest.importorskip("torch", reason="hooks are compared with PyTorch's")


def plain(value):
    return value if value is None else np.asarray(value.detach().numpy())


def both(run):
    """What a program does with each library: lists of tuples of arrays, which must agree."""
    for mine, its in zip(run(genesis), run(torch), strict=True):
        assert len(mine) == len(its)
        for x, y in zip(mine, its):
            assert (x is None) == (y is None)
            if y is not None:
                close(x, y, 1e-5, 1e-6)


X, Y = normal(3, 4).astype(np.float32), normal(3, 2, seed=1).astype(np.float32)


@pytest.mark.parametrize("needs", [(True, True), (True, False), (False, True)])
def test_backward_hooks_see_the_gradients_of_inputs_and_results(needs):
    def run(L):
        seen = []

        class Two(L.nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = L.nn.Parameter(L.ones(4))

            def forward(self, x, number, y):
                return x * self.weight, number, (y * y).sum()

        layer = Two()

        def before(module, grad_output):
            seen.append(tuple(map(plain, grad_output)))
            return tuple(None if g is None else g * 2 for g in grad_output)

        def after(module, grad_input, grad_output):
            assert module is layer
            seen.append(tuple(map(plain, grad_input)))
            seen.append(tuple(map(plain, grad_output)))
            return tuple(None if g is None else g + 1 for g in grad_input)

        layer.register_full_backward_pre_hook(before)
        layer.register_full_backward_hook(after)
        layer.register_full_backward_hook(lambda m, i, o: seen.append(tuple(map(plain, i))))
        x, y = (L.tensor(v, requires_grad=need) for v, need in zip((X, Y), needs))
        a, _, b = layer(x, 3, y)
        ((a * a).sum() + b).backward()
        seen.append((plain(x.grad), plain(y.grad), plain(layer.weight.grad)))
        return seen

    both(run)


def test_backward_hooks_of_a_network():
    def run(L):
        seen = []
        model = L.nn.Sequential(L.nn.Linear(4, 4), L.nn.ReLU(), L.nn.Linear(4, 1))
        for i, p in enumerate(model.parameters()):
            p.data = L.tensor(normal(*p.shape, seed=i).astype(np.float32))
        handles = [m.register_full_backward_hook(lambda m, i, o: seen.append((plain(i[0]), plain(o[0]))))
                   for m in model[1:]]
        model(L.tensor(X)).sum().backward()
        handles[0].remove()
        x = L.tensor(X, requires_grad=True)
        model(x).sum().backward()
        seen.append((plain(x.grad), *map(plain, [p.grad for p in model.parameters()])))
        return seen

    both(run)


def test_gradients_that_a_hook_keeps_stay_as_they_were():
    kept = []
    layer = nn.Linear(4, 4)
    layer.register_full_backward_hook(lambda m, i, o: kept.extend([i[0], o[0]]))
    x = genesis.tensor(X, requires_grad=True)
    (layer(x).sum() + 3 * x.sum()).backward()
    close(kept[0], np.ones((3, 4)) @ layer.weight.detach().numpy())
    close(kept[1], np.ones((3, 4)))
    close(x.grad, kept[0].numpy() + 3)
    with genesis.no_grad():
        assert layer(x).grad_fn is None


def test_backward_hooks_without_a_gradient_of_an_input():
    layer = nn.Linear(4, 2)
    seen = []
    handle = layer.register_full_backward_hook(lambda m, i, o: seen.append((i, o)))
    with pytest.warns(UserWarning, match="none of its inputs requires a gradient"):
        layer(genesis.tensor(X)).sum().backward()
    assert seen[0][0] == (None,)
    close(seen[0][1][0], np.ones((3, 2)))
    handle.remove()
    layer.register_full_backward_hook(lambda m, i, o: (o[0],))
    with warnings.catch_warnings(), pytest.raises(RuntimeError, match="must return None"):
        warnings.simplefilter("ignore")
        layer(genesis.tensor(X)).sum().backward()
    layer = nn.Linear(4, 2)
    layer.register_full_backward_hook(lambda m, i, o: (i[0], i[0]))
    with pytest.raises(RuntimeError, match="None or 1 gradients, not 2"):
        layer(genesis.tensor(X, requires_grad=True)).sum().backward()


def test_gradients_of_gradients_go_through_backward_hooks():
    def run(L):
        layer = L.nn.Tanh()
        layer.register_full_backward_hook(lambda m, i, o: (i[0] * 2,))
        x = L.tensor(X, requires_grad=True)
        (g,) = L.autograd.grad(layer(x).sum(), x, create_graph=True)
        return [(plain(g), plain(L.autograd.grad(g.sum(), x)[0]))]

    both(run)


def test_hooks_of_calls_may_see_keywords_and_come_first():
    class Scale(nn.Module):
        def forward(self, x, by=1):
            return x * by

    layer, order = Scale(), []
    layer.register_forward_pre_hook(lambda m, args, kwargs: (args, {"by": kwargs["by"] + 1}), with_kwargs=True)
    layer.register_forward_hook(lambda m, args, kwargs, result: result + kwargs["by"], with_kwargs=True)
    layer.register_forward_hook(lambda m, args, result: order.append("second"))
    layer.register_forward_hook(lambda m, args, result: order.append("first"), prepend=True)
    assert layer(genesis.tensor(3.0), by=4).item() == 20
    assert order == ["first", "second"]
    layer.register_forward_pre_hook(lambda m, args, kwargs: args, with_kwargs=True)
    with pytest.raises(RuntimeError, match="a pair"):
        layer(genesis.tensor(3.0), by=4)


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(genesis.zeros(1))
        self.count = 0

    def get_extra_state(self):
        return {"count": self.count}

    def set_extra_state(self, state):
        self.count = state["count"]


def test_extra_state_goes_with_the_state(tmp_path):
    model, other = (nn.Sequential(Counter(), nn.Linear(1, 1)) for _ in range(2))
    model[0].count = 5
    assert list(model.state_dict()) == ["0.weight", "0._extra_state", "1.weight", "1.bias"]
    genesis.save(model.state_dict(), tmp_path / "state")
    other.load_state_dict(genesis.load(tmp_path / "state"))
    assert other[0].count == 5
    state = model.state_dict()
    extra = state.pop("0._extra_state")
    with pytest.raises(RuntimeError, match=r"missing: 0\._extra_state"):
        other.load_state_dict(state)
    with pytest.raises(RuntimeError, match=r"unexpected: _extra_state"):
        model[1].load_state_dict({**model[1].state_dict(), "_extra_state": extra})
    with pytest.raises(RuntimeError, match="Linear has no extra state"):
        model[1].get_extra_state()
    with pytest.raises(RuntimeError, match="Linear takes no extra state"):
        model[1].set_extra_state(1)


def test_hooks_around_states():
    def run(L):
        seen = []
        model = L.nn.Sequential(L.nn.Linear(2, 1), L.nn.Linear(1, 1, bias=False))
        for p in model.parameters():
            p.data = L.ones(*p.shape)
        model[0].register_state_dict_pre_hook(lambda m, prefix, keep: seen.append(f"before {prefix} {keep}"))
        model[0].register_state_dict_post_hook(lambda m, state, prefix, meta: state.__setitem__(
            f"{prefix}kernel", state.pop(f"{prefix}weight")))
        model.register_state_dict_post_hook(lambda m, state, prefix, meta: seen.append(list(state)))
        state = model.state_dict(prefix="model.")
        seen.append(list(model.state_dict()))

        def rename(m, state, prefix, meta, strict, missing, unexpected, errors):
            seen.append((prefix, strict))
            state[f"{prefix}weight"] = state.pop(f"{prefix}kernel") * 2

        def forgive(m, keys):
            seen.append((list(keys.missing_keys), list(keys.unexpected_keys)))
            keys.missing_keys.clear()

        model[0].register_load_state_dict_pre_hook(rename)
        model[0].register_load_state_dict_post_hook(lambda m, keys: seen.append("after"))
        model.register_load_state_dict_post_hook(forgive)
        given = OrderedDict((k.removeprefix("model."), v) for k, v in state.items() if "1" not in k)
        seen.append(list(model.load_state_dict(given)))
        seen.append(model[0].weight.tolist())
        seen.append(list(given))
        return seen

    assert run(genesis) == run(torch)
    model = nn.Linear(1, 1)
    handle = model.register_load_state_dict_pre_hook(lambda *args: args[-1].append("no such state"))
    with pytest.raises(RuntimeError, match="no such state"):
        model.load_state_dict(model.state_dict())
    handle.remove()
    model.load_state_dict(model.state_dict())
    model.register_load_state_dict_post_hook(lambda m, keys: None)
    with pytest.raises(RuntimeError, match="missing: bias"):
        model.load_state_dict({"weight": genesis.zeros(1, 1)})


def test_classes_may_save_and_load_their_own_part():
    def run(L):
        class Renamed(L.nn.Linear):
            def _save_to_state_dict(self, destination, prefix, keep_vars):
                super()._save_to_state_dict(destination, prefix, keep_vars)
                destination[prefix + "kernel"] = destination.pop(prefix + "weight").T

            def _load_from_state_dict(self, state_dict, prefix, *args):
                state_dict[prefix + "weight"] = state_dict.pop(prefix + "kernel").T
                super()._load_from_state_dict(state_dict, prefix, *args)

        first, second = (L.nn.Sequential(Renamed(4, 2), L.nn.ReLU()) for _ in range(2))
        with L.no_grad():
            first[0].weight.copy_(L.tensor(X[:2]))
        saved = first.state_dict()
        assert sorted(saved) == ["0.bias", "0.kernel"]
        assert not any(second.load_state_dict(saved))
        assert sorted(saved) == ["0.bias", "0.kernel"]
        yield plain(second[0].weight), plain(saved["0.kernel"])

    both(run)


def test_states_may_take_the_place_of_parameters():
    def run(L):
        model = L.nn.Sequential(L.nn.Linear(4, 2), L.nn.BatchNorm1d(2))
        model[0].bias.requires_grad_(False)
        given = {name: (x + 1).half() if x.is_floating_point() else x + 3 for name, x in model.state_dict().items()}
        before = model[0].weight
        assert not any(model.load_state_dict(given, assign=True))
        assert model[0].weight is not before
        assert isinstance(model[0].weight, L.nn.Parameter)
        assert [x.requires_grad for x in model.parameters()] == [True, False, True, True]
        assert all(x.dtype is L.float16 for x in model.parameters())
        assert "weight" in dict(model[0].named_parameters())
        with L.no_grad():
            given["1.running_mean"].add_(1)             # the memory is shared
        yield plain(model[1].running_mean.float()), plain(model[1].num_batches_tracked)

    both(run)


def test_state_dicts_with_the_parameters_themselves():
    model, held = nn.Sequential(nn.Linear(2, 1)), {}
    assert model.state_dict(destination=held, prefix="a.", keep_vars=True) is held
    assert held["a.0.weight"] is model[0].weight


def test_modules_change_type_and_place():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    weight = model[0].weight
    assert model.type(genesis.float16) is model
    assert model[1].num_batches_tracked.dtype is genesis.float16
    assert model[0].weight is weight
    assert weight.dtype is genesis.float16
    memory = weight._array.buffer
    assert model.to_empty(device=None) is model
    assert model[0].weight is weight
    assert weight._array.buffer is not memory
    assert (weight.shape, weight.dtype) == ((3, 2), genesis.float16)
    second = model[1].weight._array
    model.to_empty(device=genesis.device(), recurse=False)
    assert model[1].weight._array is second
    if genesis.device().type == "cpu":
        assert model.cpu()[0].weight.device.type == "cpu"


def test_submodules_are_replaced_by_name():
    model = nn.Sequential(nn.Sequential(nn.ReLU()))
    new = nn.Tanh()
    model.set_submodule("0.0", new)
    assert model[0][0] is new
    model.set_submodule("extra", new)
    assert model.extra is new
    for call, error, message in [
            (lambda: model.set_submodule("", new), ValueError, "empty"),
            (lambda: model.set_submodule("0", 3), ValueError, "not int"),
            (lambda: model.set_submodule("7.0", new), AttributeError, "'7'"),
            (lambda: model.set_submodule("more", new, strict=True), AttributeError, "'more'"),
            (lambda: model.set_submodule("training", new), AttributeError, "not a module")]:
        with pytest.raises(error, match=message):
            call()
