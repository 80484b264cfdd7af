"""Arguments of layers and functions: names, order and defaults are PyTorch's."""

import inspect

import pytest

import genesis

torch = pytest.importorskip("torch")
its_prune = pytest.importorskip("torch.nn.utils.prune")

# PyTorch has long advised against the first two, for ``reduction``; the others are not for calls in models, or choose
# among its implementations.
LEFT_OUT = {"size_average", "reduce", "_stacklevel", "out", "foreach"}
DIFFERENT = {
    "an older name of an argument is left out": "Hardtanh",
    "an argument is left out, or made more": "F.interpolate F.batch_norm",
    "another name for what is given by place": "ModuleDict ModuleList ParameterDict ParameterList Sequential "
                                                "RNNCellBase",
    "an argument must be given": "Parameter",
}


def arguments(function):
    """(name, default) of each argument; None where PyTorch only says ``*args``, or nothing."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return [(p.name, p.default) for p in parameters if p.name not in LEFT_OUT]


def layers():
    """Layers that have a ``forward`` of their own, and PyTorch's; a lazy one as what it becomes."""
    for name, mine, its in pairs():
        is_layer = inspect.isclass(mine) and issubclass(mine, genesis.nn.Module)
        if is_layer and its.forward is not torch.nn.Module.forward:
            yield name, getattr(mine, "becomes", mine), its


def test_arguments_of_forward_are_those_of_torch():
    compared = 0
    for name, mine, its in layers():
        assert arguments(mine.forward) == arguments(its.forward), name
        compared += 1
    assert compared > 120
    assert genesis.nn.LazyLinear(2)(input=genesis.ones(1, 3)).shape == (1, 2)


def pairs():
    for prefix, mine, its in (("", genesis.nn, torch.nn), ("F.", genesis.nn.functional, torch.nn.functional),
                              ("init.", genesis.nn.init, torch.nn.init), ("utils.", genesis.nn.utils, torch.nn.utils),
                              ("prune.", genesis.nn.utils.prune, its_prune)):
        for name in mine.__all__:
            if hasattr(its, name) and callable(getattr(its, name)):
                yield prefix + name, getattr(mine, name), getattr(its, name)


def test_arguments_are_those_of_torch():
    different = {name for names in DIFFERENT.values() for name in names.split()}
    compared = 0
    for name, mine, its in pairs():
        wanted = arguments(its)
        if wanted is None or name in different:
            continue
        found = arguments(mine)
        assert [n for n, _ in found] == [n for n, _ in wanted], name
        for (argument, value), (_, default) in zip(found, wanted):
            assert value == default or callable(default), (name, argument)
        compared += 1
    assert compared > 180
    assert different <= {name for name, _, _ in pairs()}
