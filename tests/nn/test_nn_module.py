"""Module: registration, state, modes, moves, hooks."""

import copy

import numpy as np
import pytest
from helpers import close, f32, normal

import genesis
from genesis import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(3, 4)
        self.fc2 = nn.Linear(4, 2)
        self.scale = nn.Parameter(f32([2.0]))
        self.register_buffer("steps", genesis.zeros(1))
        self.register_buffer("cache", genesis.zeros(2), persistent=False)
        self.note = "text"

    def forward(self, x):
        return self.fc2(self.fc1(x).relu()) * self.scale


NAMES = ["scale", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]


def test_registration_by_assignment():
    net = Net()
    assert [n for n, _ in net.named_parameters()] == NAMES
    assert [n for n, _ in net.named_buffers()] == ["steps", "cache"]
    assert [n for n, _ in net.named_modules()] == ["", "fc1", "fc2"]
    assert [n for n, _ in net.named_parameters(recurse=False)] == ["scale"]
    assert next(n for n, _ in net.named_parameters(prefix="net")) == "net.scale"
    assert net.get_submodule("fc1") is net.fc1
    assert net.get_submodule("") is net
    assert {"fc1", "scale", "steps", "note"} <= set(dir(net))
    with pytest.raises(AttributeError, match="missing"):
        net.missing
    with pytest.raises(AttributeError, match="fc3"):
        net.get_submodule("fc3")


def test_replacing_and_deleting():
    net = Net()
    net.fc1 = nn.Linear(3, 4, bias=False)
    assert len(list(net.parameters())) == 4
    assert [n for n, _ in net.named_modules()] == ["", "fc1", "fc2"]
    net.scale = nn.Parameter(f32([5.0]))
    assert net.scale.item() == 5
    net.scale = None
    assert net.scale is None
    assert "scale" not in net.state_dict()
    net.scale = nn.Parameter(f32([1.0]))
    net.steps = f32([7.0])
    assert dict(net.named_buffers())["steps"].item() == 7
    net.fc2 = None
    assert [n for n, _ in net.named_modules()] == ["", "fc1"]
    del net.fc1, net.steps, net.note, net.scale
    assert list(net.state_dict()) == []
    for name in ("fc1", "steps", "note"):
        assert not hasattr(net, name)
        with pytest.raises(AttributeError):
            delattr(net, name)


def test_a_name_belongs_to_one_store():
    net = Net()
    net.note = nn.Linear(1, 1)                # a plain attribute becomes a module
    assert "note.weight" in net.state_dict()
    assert "note" not in vars(net)
    net.fc1 = nn.Parameter(f32([1.0]))        # a module becomes a parameter
    assert [n for n, _ in net.named_modules()] == ["", "fc2", "note"]
    assert "fc1" in net.state_dict()
    net.scale = nn.Linear(1, 1)
    assert [n for n, _ in net.named_parameters(recurse=False)] == ["fc1"]
    net.plain = f32([1.0])                    # a tensor that is no Parameter is not registered
    assert "plain" not in net.state_dict()


@pytest.mark.parametrize(("name", "value"), [("scale", 3.0), ("scale", f32([1.0])), ("fc1", 3), ("fc1", f32([1.0])),
                                             ("steps", 3), ("steps", "text")], ids=str)
def test_registered_names_refuse_other_things(name, value):
    net = Net()
    with pytest.raises(TypeError, match=name):
        setattr(net, name, value)
    assert len(net.state_dict()) == 6


def test_register_functions_check_names_and_values():
    net = Net()
    register = {"p": net.register_parameter, "b": net.register_buffer, "m": net.add_module}
    value = {"p": nn.Parameter(f32([1.0])), "b": f32([1.0]), "m": nn.ReLU()}
    own = {"p": "scale", "b": "steps", "m": "fc1"}
    for kind in register:
        for name in ("", "a.b", "forward", "training", "note", *(own[k] for k in own if k != kind)):
            with pytest.raises(KeyError):
                register[kind](name, value[kind])
        register[kind](own[kind], value[kind])       # the same kind may be replaced
        register[kind](f"new_{kind}", None)
        assert getattr(net, f"new_{kind}") is None
        with pytest.raises(TypeError, match="bad"):
            register[kind]("bad", 3)
    net.register_module("named", nn.ReLU())
    assert isinstance(net.named, nn.ReLU)


def test_persistence_of_a_replaced_buffer():
    net = Net()
    assert "cache" not in net.state_dict()
    net.register_buffer("cache", genesis.ones(1))
    assert "cache" in net.state_dict()
    net.register_buffer("cache", genesis.ones(1), persistent=False)
    assert "cache" not in net.state_dict()
    net.cache = genesis.zeros(3)
    assert "cache" not in net.state_dict()


def test_using_a_module_before_init():
    class Bad(nn.Module):
        def __init__(self, value):
            self.number = 3
            self.value = value
            super().__init__()

    for value in (nn.Linear(1, 1), nn.Parameter(f32([1.0]))):
        with pytest.raises(AttributeError, match=r"super\(\).__init__\(\)"):
            Bad(value)
    assert Bad(5).value == 5

    class Worse(nn.Module):
        def __init__(self):
            self.register_buffer("b", None)

    with pytest.raises(AttributeError, match=r"super\(\).__init__\(\)"):
        Worse()
    with pytest.raises(NotImplementedError, match="forward"):
        nn.Module()(1)


def test_shared_modules_and_tied_weights_count_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(2, 2)
            self.b = nn.Linear(2, 2)
            self.again = self.a
            self.b.weight = self.a.weight

    net = Tied()
    assert [n for n, _ in net.named_parameters()] == ["a.weight", "a.bias", "b.bias"]
    assert len(list(net.modules())) == 3
    assert len(list(net.children())) == 2
    assert list(net.state_dict()) == ["a.weight", "a.bias", "b.weight", "b.bias", "again.weight", "again.bias"]
    (net.a(genesis.ones(1, 2)) + net.b(genesis.ones(1, 2))).sum().backward()
    close(net.a.weight.grad, np.full((2, 2), 2.0))
    assert net.b.weight.grad is net.a.weight.grad
    net.to(genesis.float16)
    assert net.b.weight is net.a.weight
    assert net.b.weight.dtype is genesis.float16
    twin = copy.deepcopy(net)
    assert twin.b.weight is twin.a.weight
    assert twin.b.weight is not net.b.weight


def test_state_dict_holds_parameters_and_persistent_buffers():
    net = Net()
    state = net.state_dict()
    assert list(state) == ["scale", "steps", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    assert not any(value.requires_grad for value in state.values())
    with genesis.no_grad():
        net.scale.fill_(9)
    assert state["scale"].item() == 9             # shares memory, as PyTorch's does


def test_load_state_dict_copies_into_the_parameters():
    net, other = Net(), Net()
    before = {name: (p, p._array.buffer) for name, p in net.named_parameters()}
    state = other.state_dict()
    assert net.load_state_dict(state) == ([], [])
    for name, p in net.named_parameters():
        assert p is before[name][0]
        assert p._array.buffer is before[name][1]
        assert genesis.equal(p, state[name])
    with genesis.no_grad():
        other.scale.fill_(5)
    assert net.scale.item() == 2                  # no memory of the other's is kept
    as_arrays = {name: value.numpy().astype(np.float16) for name, value in state.items()}
    net.load_state_dict(as_arrays)
    assert net.fc1.weight.dtype is genesis.float32
    close(net.fc1.weight, as_arrays["fc1.weight"])


def test_load_state_dict_names_all_that_does_not_fit_and_changes_nothing():
    net = Net()
    before = {name: value.numpy() for name, value in net.state_dict().items()}
    state = Net().state_dict()
    del state["fc1.bias"], state["steps"]
    state.update({"extra": f32([1.0]), "fc2.weight": genesis.zeros(2, 5), "scale": genesis.zeros(3)})
    with pytest.raises(RuntimeError) as error:
        net.load_state_dict(state)
    for part in ("fc1.bias", "steps", "extra", "fc2.weight", "(2, 5)", "(2, 4)", "scale"):
        assert part in str(error.value)
    with pytest.raises(RuntimeError, match=r"fc2\.weight") as error:
        net.load_state_dict(state, strict=False)
    assert "extra" not in str(error.value)
    bad = {**Net().state_dict(), "fc2.bias": np.zeros(2, np.complex64)}
    with pytest.raises(RuntimeError, match=r"type of fc2\.bias: complex64 given, genesis.float32 needed"):
        net.load_state_dict(bad)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


def test_load_state_dict_not_strict():
    net = Net()
    result = net.load_state_dict({"scale": f32([8.0]), "extra": f32([1.0])}, strict=False)
    assert net.scale.item() == 8
    assert result.unexpected_keys == ["extra"]
    assert set(result.missing_keys) == {"steps", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"}
    assert repr(result).endswith("unexpected_keys=['extra'])")
    assert str(net.load_state_dict(net.state_dict())) == "<All keys matched successfully>"


def test_moves_keep_the_parameters_the_same_objects():
    net = Net()
    parameters = list(net.parameters())
    net(genesis.ones(1, 3)).sum().backward()
    net.register_buffer("count", genesis.tensor([3]))
    assert net.to(genesis.float16) is net
    assert all(a is b for a, b in zip(parameters, net.parameters()))
    assert all(p.dtype is genesis.float16 and p.requires_grad and p.is_leaf for p in parameters)
    assert net.scale.grad.dtype is genesis.float16
    assert net.steps.dtype is genesis.float16
    assert net.count.dtype is genesis.int64
    net.float()
    assert net.scale.dtype is genesis.float32
    array = net.scale._array
    net.to(genesis.device())
    net.to(f32([1.0]))
    assert net.scale._array is array
    net.to(f32([1.0]).half())
    assert net.scale.dtype is genesis.float16
    for bad in (genesis.int64, {"dtype": genesis.bool}):
        with pytest.raises(TypeError, match="floating"):
            net.to(**bad) if isinstance(bad, dict) else net.to(bad)
    others = [d for d in genesis.devices() if d is not genesis.device() and d.quirks.rank >= 0]
    if others:
        net.float().to(others[0])
        assert all(a is b for a, b in zip(parameters, net.parameters()))
        assert all(v.device is others[0] for v in (*net.parameters(), *net.buffers(), net.scale.grad))
        net(genesis.ones(1, 3, device=others[0])).sum().backward()


def test_modes():
    net = nn.Sequential(Net(), nn.Dropout())
    assert net.training
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    assert net.train() is net
    assert all(m.training for m in net.modules())
    net[1].eval()
    assert net.training
    assert "training" not in net.state_dict()


def test_gradients_of_all_parameters():
    net = Net()
    net(genesis.ones(1, 3)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad(set_to_none=False)
    assert all(not p.grad.any().item() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.requires_grad_(False)
    assert not net(genesis.ones(1, 3)).requires_grad
    net.requires_grad_()
    assert net(genesis.ones(1, 3)).requires_grad


def test_apply_visits_children_first():
    seen = []
    net = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.ReLU()))
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["Linear", "ReLU", "Sequential", "Sequential"]


def test_forward_hooks():
    layer = nn.Linear(2, 2)
    calls = []
    handle = layer.register_forward_hook(lambda module, args, output: calls.append((module, args)))
    change = layer.register_forward_hook(lambda module, args, output: output * 0 + 7)
    x = genesis.ones(1, 2)
    assert layer(x).tolist() == [[7, 7]]
    assert calls[0][0] is layer
    assert calls[0][1][0] is x
    handle.remove()
    change.remove()
    assert layer(x).tolist() != [[7, 7]]
    assert len(calls) == 1


def test_repr():
    assert repr(nn.Sequential(nn.Linear(2, 3))) == (
        "Sequential(\n  (0): Linear(in_features=2, out_features=3, bias=True)\n)")
    assert repr(nn.Flatten()) == "Flatten(start_dim=1, end_dim=-1)"


REPRS = {
    "lists": lambda n: n.ModuleList([n.Linear(2, 2), n.Linear(2, 2), n.Tanh(), n.Sequential(n.Tanh()),
                                     n.Sequential(n.Tanh())]),
    "empty": lambda n: n.ModuleList(),
    "nested": lambda n: n.Sequential(n.ModuleDict({"a": n.ModuleList([n.Hardshrink(), n.Hardshrink()])}),
                                     n.Softshrink(0.25)),
    "network": lambda n: n.Sequential(n.Conv2d(3, 4, 3, padding=1), n.BatchNorm2d(4), n.ReLU(), n.MaxPool2d(2),
                                      n.Flatten(), n.Dropout(0.3), n.LSTM(3, 4, 2), n.LayerNorm(4), n.GELU("tanh")),
}


@pytest.mark.parametrize("name", REPRS)
def test_networks_look_like_those_of_torch(name):
    torch = pytest.importorskip("torch")
    assert repr(REPRS[name](nn)) == repr(REPRS[name](torch.nn))


def test_options_and_members_have_lines_of_their_own():
    assert repr(nn.MultiheadAttention(8, 2)) == (
        "MultiheadAttention(\n  embed_dim=8, num_heads=2, batch_first=False\n"
        "  (out_proj): Linear(in_features=8, out_features=8, bias=True)\n)")


def test_parameters():
    source = f32([1.0, 2.0])
    p = nn.Parameter(source)
    assert p.requires_grad
    assert p.is_leaf
    assert isinstance(p, genesis.Tensor)
    assert p._array is source._array
    assert not nn.Parameter(source, requires_grad=False).requires_grad
    assert nn.Parameter([1.0]).item() == 1
    assert not isinstance(p * 2, nn.Parameter)
    assert not isinstance(p.detach(), nn.Parameter)
    with pytest.raises(RuntimeError, match="floating-point"):
        nn.Parameter([1])


def test_training_a_small_network_lowers_the_loss():
    genesis.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    x = f32(normal(64, 2))
    y = x[:, :1] * x[:, 1:]
    losses = []
    for _ in range(200):
        loss = nn.functional.mse_loss(net(x), y)
        net.zero_grad()
        loss.backward()
        with genesis.no_grad():
            for p in net.parameters():
                p -= p.grad * 0.1
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_buffers_are_registered_by_assignment():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.kept = nn.Buffer(genesis.ones(2))
            self.lost = nn.Buffer([1.0, 2.0], persistent=False)
            self.late = 3

    net = Net()
    assert dict(net.named_buffers()).keys() == {"kept", "lost"}
    assert list(net.state_dict()) == ["kept"]
    assert list(net.parameters()) == []
    net.late = nn.Buffer()
    net.lost = nn.Buffer(genesis.zeros(3))
    assert list(net.state_dict()) == ["kept", "lost", "late"]
    assert net.late.shape == (0,)
    assert type(net.kept + 1) is genesis.Tensor
    copied = copy.deepcopy(net)
    assert isinstance(copied.kept, nn.Buffer)
    assert copied.kept.persistent
    assert copied.kept is not net.kept
    with pytest.raises(AttributeError, match="super"):
        class Early(nn.Module):
            def __init__(self):
                self.early = nn.Buffer(genesis.ones(2))
        Early()


def test_shared_modules_and_parameters_are_named_once_or_each_time():
    torch = pytest.importorskip("torch")

    def names(nn):
        shared = nn.BatchNorm1d(3)
        model = nn.Sequential(shared, nn.Sequential(shared, nn.Linear(3, 3)))
        model.register_parameter("again", model[1][1].weight)
        return [[name for name, _ in getattr(model, f"named_{kind}")(prefix="top", remove_duplicate=once)]
                for kind in ("modules", "parameters", "buffers") for once in (True, False)]

    assert names(nn) == names(torch.nn)


def test_older_hook_before_loading_gets_no_module():
    layer = nn.Linear(2, 1, bias=False)
    layer._register_load_state_dict_pre_hook(lambda state, *_: state.update(weight=state.pop("w")))
    layer.load_state_dict({"w": genesis.tensor([[3.0, 4.0]])})
    assert layer.weight.tolist() == [[3.0, 4.0]]


@pytest.mark.parametrize(("layer", "given", "wrong"), [
    (nn.Linear(3, 2), lambda: [np.ones((4, 3), np.float32)], "Linear: argument 1 must be a Tensor, not ndarray"),
    (nn.GRU(3, 2), lambda: [np.ones((4, 3), np.float32)], "GRU: argument 1 must be a Tensor, not ndarray"),
    (nn.Embedding(3, 2), lambda: [[1, 2]], "Embedding: argument 1 must be a Tensor, not list"),
    (nn.Sequential(nn.Flatten()), lambda: [np.ones((4, 3), np.float32)], "Flatten: argument 1 must be a Tensor"),
    (nn.MSELoss(), lambda: [genesis.zeros(3), np.zeros(3, np.float32)], "MSELoss: argument 2 must be a Tensor"),
], ids=lambda x: type(x).__name__ if isinstance(x, nn.Module) else "")
def test_arrays_in_place_of_tensors_are_named(layer, given, wrong):
    with pytest.raises(TypeError, match=f"^{wrong}.*; genesis.as_tensor"):
        layer(*given())
    layer(*[genesis.as_tensor(x) for x in given()])                  # what the message proposes


def test_modules_of_programs_take_what_they_like():
    class Half(nn.Module):
        def forward(self, x):
            if isinstance(x, list):
                raise ValueError("no lists here")
            return genesis.as_tensor(x) / 2

    assert Half()(np.array([2.0], np.float32)).tolist() == [1]
    with pytest.raises(ValueError, match=r"^no lists here$"):
        Half()([2.0])
