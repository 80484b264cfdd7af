"""Modules that hold modules and parameters: like Python's lists and dictionaries, and registered as PyTorch's."""

from collections import OrderedDict

import numpy as np
import pytest
from helpers import f32, normal

import genesis
from genesis import nn


def linear(n):
    return nn.Linear(n, n)


def test_module_list_is_a_list():
    a, b, c, d = (linear(i) for i in (1, 2, 3, 4))
    held = nn.ModuleList([a, c])
    held.insert(1, b)
    held += [d]
    assert list(held) == [a, b, c, d]
    assert held[-1] is d
    assert list(held[1:3]) == [b, c]
    assert held.pop(1) is b
    del held[0]
    assert list(held) == [c, d]
    assert list(held.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    held[0] = a
    assert list(held) == [a, d]
    with pytest.raises(TypeError):
        held.append(3)


def test_sequential_is_a_list_too():
    """Replaced, added and taken away as in PyTorch's, with the same names after each step."""
    torch = pytest.importorskip("torch")

    def changes(lib):
        held = lib.Sequential(OrderedDict([("first", lib.Linear(2, 3)), ("second", lib.ReLU())]))
        yield held
        held[-1] = lib.Tanh()
        yield held
        del held[0]
        held.append(lib.Linear(3, 4))
        yield held
        held.insert(1, lib.Sigmoid())
        yield held
        held.extend([lib.ReLU(), lib.GELU()])
        yield held
        held += lib.Sequential(lib.Identity())
        yield held
        del held[1:3]
        yield held
        held.pop(0)
        yield held
        yield held[:2]
        yield held + lib.Sequential(lib.Linear(3, 1))
        yield lib.ModuleList([lib.ReLU()]) + lib.ModuleList([lib.Tanh()])

    mine, its = ([[(name, type(module).__name__) for name, module in held.named_children()] for held in changes(lib)]
                 for lib in (nn, torch.nn))
    assert mine == its
    held = nn.Sequential(linear(2), linear(2))
    held[1] = nn.Linear(2, 5)
    assert held(genesis.ones(1, 2)).shape == (1, 5)
    for wrong in (lambda: held.append(3), lambda: held.insert(0, 3), lambda: held.__setitem__(0, 3)):
        with pytest.raises(TypeError):
            wrong()
    assert [type(module) for module in held] == [nn.Linear, nn.Linear]


def test_parameter_list_makes_parameters():
    held = nn.ParameterList([f32(normal(2)), nn.Parameter(f32(normal(3)))])
    held.append(f32(normal(4)))
    assert all(isinstance(p, nn.Parameter) for p in held)
    assert [p.shape[0] for p in held] == [2, 3, 4]
    assert [name for name, _ in held.named_parameters()] == ["0", "1", "2"]
    first = held[0]
    del held[1]
    assert [p.shape[0] for p in held] == [2, 4]
    assert held[0] is first
    held[1] = f32(normal(7))
    assert isinstance(held[1], nn.Parameter)
    assert "(1): Parameter of shape (7,)" in repr(held)
    with pytest.raises(TypeError, match="holds tensors"):
        held.append("weights")


@pytest.mark.parametrize("kind", [nn.ModuleDict, nn.ParameterDict])
def test_dictionaries(kind):
    make = linear if kind is nn.ModuleDict else (lambda n: nn.Parameter(f32(normal(n))))
    a, b, c = make(1), make(2), make(3)
    held = kind({"a": a})
    held["b"] = b
    held.update([("c", c)])
    assert list(held) == list(held.keys()) == ["a", "b", "c"]
    assert held["b"] is b
    assert "c" in held
    assert dict(held.items()) == {"a": a, "b": b, "c": c}
    assert held.pop("a") is a
    del held["b"]
    assert list(held.values()) == [c]
    assert len(held) == 1
    held.clear()
    assert not list(held.parameters())
    with pytest.raises(KeyError):
        held["x.y"] = a


def test_names_are_those_of_torch():
    torch = pytest.importorskip("torch")

    def build(lib):
        made = lib.nn.ModuleDict({"first": lib.nn.ModuleList([lib.nn.Linear(2, 3)]), "second": lib.nn.Linear(3, 1)})
        made.extra = lib.nn.ParameterDict({"scale": lib.nn.Parameter(lib.ones(2))})
        made.more = lib.nn.ParameterList([lib.nn.Parameter(lib.ones(1))])
        return made

    assert list(build(genesis).state_dict()) == list(build(torch).state_dict())


def test_unflatten_undoes_flatten():
    x = f32(normal(2, 3, 4))
    np.testing.assert_array_equal(nn.Unflatten(1, (3, -1))(nn.Flatten()(x)).numpy(), x.numpy())


def test_types_of_all_parameters():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    assert {p.dtype for p in model.half().parameters()} == {genesis.float16}
    assert {p.dtype for p in model.bfloat16().parameters()} == {genesis.bfloat16}
    assert model[1].num_batches_tracked.dtype is genesis.int64
    assert model.get_parameter("0.weight") is model[0].weight
    assert model.get_buffer("1.running_mean") is model[1].running_mean
    with pytest.raises(AttributeError, match="no parameter 'colour'"):
        model.get_parameter("0.colour")
