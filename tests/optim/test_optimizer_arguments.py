"""Arguments, groups, closures, hooks, printing; every bad argument is refused by its name and changes nothing."""

import inspect
import io
import math
import tokenize
from types import MappingProxyType

import numpy as np
import pytest
from support import OPTIMIZERS, decaying, defaults, flow, give, leaf, torch_class, updates, values
from support import launches as counted

import genesis
from genesis import nn
from genesis.opencl import Alias

NOT_NUMBERS = ["0.1", None, [0.1], (0.1, 0.2), object(), True, 1j, np.ones(2)]
NOT_FINITE = [math.nan, math.inf, -math.inf]
BAD = {
    "lr": [-1e-9, -1, *NOT_FINITE, *NOT_NUMBERS],
    "lr_decay": [-1e-9, *NOT_FINITE, *NOT_NUMBERS],
    "initial_accumulator_value": [-1e-9, 3.5e38, *NOT_FINITE, *NOT_NUMBERS],
    "eps": [-1e-9, *NOT_FINITE, *NOT_NUMBERS],
    "weight_decay": [-1e-9, *NOT_FINITE, *NOT_NUMBERS],
    "momentum_decay": [-1e-9, *NOT_FINITE, *NOT_NUMBERS],
    "momentum": [-0.1, *NOT_FINITE, *NOT_NUMBERS],
    "dampening": [*NOT_FINITE, *NOT_NUMBERS],
    "alpha": [-0.1, *NOT_FINITE, *NOT_NUMBERS],
    "etas": [(0, 1.2), (1, 1.2), (0.5, 1), (1.2, 0.5), (0.5, math.inf), (-0.5, 1.2), (0.5,), 0.5, None, "ab",
             (None, 1.2), (0.5, math.nan)],
    "step_sizes": [(-1e-6, 50), (50, 1e-6), (math.inf, math.inf), (0, math.nan), (0,), 50, None, "ab", (None, 1)],
    "lambd": [-1e-9, *NOT_FINITE, *NOT_NUMBERS],
    "t0": [math.nan, -math.inf, *NOT_NUMBERS],
    "rho": [-0.1, 1.1, *NOT_FINITE, *NOT_NUMBERS],
    "betas": [(1.0, 0.9), (0.9, 1.0), (-0.1, 0.9), (0.9, -0.1), (0.9,), (0.9, 0.9, 0.9), 0.9, None, "ab", ("a", 0.9),
              (math.nan, 0.9), (0.9, math.inf), (None, 0.9), (True, 0.9), ()],
    "nesterov": ["yes", None, 2, [True]],
    "amsgrad": ["yes", None, 2],
    "centered": ["yes", None, 2],
    "decoupled_weight_decay": ["yes", None, 2],
    "maximize": ["yes", None, 2],
    "max_grad_norm": [0, -1.0, math.nan, -math.inf, "1", [1.0], True],
}


def table():
    for name in OPTIMIZERS:
        for key in [*defaults(name), "lr", "max_grad_norm"]:
            for value in BAD.get(key, []):
                text = "object" if type(value) is object else repr(value)       # an object's repr holds its address
                yield pytest.param(name, key, value, id=f"{name}-{key}-{text}"[:60])


@pytest.mark.parametrize(("name", "key", "value"), list(table()))
def test_a_bad_argument_is_refused_by_name(name, key, value):
    p = leaf([1.0, 2.0])
    with pytest.raises(ValueError, match=key):
        OPTIMIZERS[name]([p], **{"lr": 0.1, key: value})
    if key != "max_grad_norm":
        with pytest.raises(ValueError, match=key):
            OPTIMIZERS[name]([{"params": [p], key: value}], lr=0.1)
    untouched(p, [1.0, 2.0])


def test_a_decay_rate_above_1_is_refused():
    with pytest.raises(ValueError, match="alpha"):
        genesis.optim.RMSprop([leaf([1.0])], alpha=1.1)
    genesis.optim.ASGD([leaf([1.0])], alpha=1.1)       # which is a power


def untouched(p, expected):
    """The parameter is in no arena, and has its values and gradients."""
    assert p._slot is None
    assert not isinstance(p._array.buffer, Alias)
    assert values(p).tolist() == expected


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_argument_has_bad_values_to_be_tried(name):
    assert set(defaults(name)) <= set(BAD)


@pytest.mark.parametrize(("key", "value"), [
    ("lr", 0), ("lr", 1), ("lr", np.float32(0.5)), ("lr", np.array(0.5)), ("lr", genesis.tensor(0.5)), ("eps", 0),
    ("betas", [0.5, 0.5]), ("betas", (0, 0)), ("betas", np.array([0.5, 0.5])), ("amsgrad", 1), ("maximize", np.True_),
    ("weight_decay", np.int64(1)), ("max_grad_norm", 1), ("max_grad_norm", math.inf), ("max_grad_norm", None)])
def test_values_of_other_types_and_at_the_limits_are_taken(key, value):
    p = leaf([1.0, 2.0])
    optimizer = genesis.optim.Adam([p], **{"lr": 0.1, key: value})
    give(p, [1.0, 1.0])
    optimizer.step()
    assert np.isfinite(values(p)).all()
    if key == "betas":
        assert isinstance(optimizer.param_groups[0]["betas"], tuple)
        assert all(type(x) is float for x in optimizer.param_groups[0]["betas"])


def test_nesterov_needs_momentum_and_no_dampening():
    for bad in ({"momentum": 0}, {"momentum": 0.9, "dampening": 0.1}, {}):
        with pytest.raises(ValueError, match="nesterov"):
            genesis.optim.SGD([leaf([1.0])], lr=0.1, nesterov=True, **bad)
    optimizer = genesis.optim.SGD([leaf([1.0])], lr=0.1)
    with pytest.raises(ValueError, match="nesterov"):
        optimizer.add_param_group({"params": [leaf([1.0])], "nesterov": True})
    assert len(optimizer.param_groups) == 1


# How PyTorch is to compute ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, cls in genesis.optim.ALGORITHMS.items() if not cls.rows_only])
def test_arguments_that_choose_an_implementation_are_taken_and_change_nothing(name):
    cls = genesis.optim.ALGORITHMS[name]
    results = []
    for given in ({}, {"fused": True}, {"foreach": True, "capturable": True, "differentiable": False}, {"fused": None}):
        p = leaf([[1.0, -2.0], [3.0, 0.5]])
        optimizer = cls([p], lr=0.1, **given)
        assert not given.keys() & optimizer.state_dict()["param_groups"][0].keys()
        give(p, [[0.5, -1.0], [2.0, 1.0]])
        optimizer.step()
        results.append(values(p).tolist())
    assert all(result == results[0] for result in results)
    arguments = inspect.signature(cls).parameters
    assert all(arguments[key].kind is inspect.Parameter.KEYWORD_ONLY for key in ("foreach", "fused", "capturable"))
    with pytest.raises(TypeError, match="fusd"):
        cls([leaf([[1.0]])], lr=0.1, fusd=True)


@pytest.mark.parametrize("place", ["argument", "group"])
@pytest.mark.parametrize(("given", "error", "match"), [
    ({"foreach": True, "fused": True}, RuntimeError, "foreach and fused"),
    ({"differentiable": True}, NotImplementedError, "functional_call"),
    ({"fused": "yes"}, ValueError, "fused"), ({"capturable": 1}, ValueError, "capturable")])
def test_choices_of_an_implementation_that_there_are_not_are_refused(given, error, match, place):
    p = leaf([1.0])
    members, arguments = ([p], given) if place == "argument" else ([{"params": [p], **given}], {})
    with pytest.raises(error, match=match):
        genesis.optim.AdamW(members, **arguments)
    untouched(p, [1.0])


@pytest.mark.parametrize("name", genesis.optim.ALGORITHMS)
def test_every_argument_of_torch_is_taken(name):
    theirs = inspect.signature(torch_class(pytest.importorskip("torch"), name)).parameters
    mine = inspect.signature(genesis.optim.ALGORITHMS[name]).parameters
    assert theirs.keys() - {"decoupled_weight_decay"} <= mine.keys()      # which Adam has there, as another AdamW


def test_an_optimizer_of_ones_own_may_have_such_arguments():
    class Mine(genesis.optim.Optimizer):
        def __init__(self, params, lr=0.1, differentiable=False):
            super().__init__(params, {"lr": lr, "differentiable": differentiable})

    assert Mine([leaf([1.0])], differentiable=True).param_groups[0]["differentiable"]
    assert list(inspect.signature(Mine).parameters) == ["params", "lr", "differentiable"]


# Parameters ---------------------------------------------------------------------------------------------------------


def node():
    return leaf([1.0]) * 2


@pytest.mark.parametrize(("params", "error", "match"), [
    (list, ValueError, "empty"), (lambda: iter(()), ValueError, "empty"),
    (lambda: leaf([1.0]), TypeError, "list"), (lambda: nn.Parameter(genesis.ones(2)), TypeError, "list"),
    (lambda: {leaf([1.0])}, TypeError, "order"), (lambda: frozenset([leaf([1.0])]), TypeError, "order"),
    (lambda: 3, TypeError, "iterable"), (lambda: None, TypeError, "iterable"),
    (lambda: nn.Linear(2, 2), TypeError, "iterable"),
    (lambda: [1.0], TypeError, "float"), (lambda: [np.ones(2)], TypeError, "ndarray"),
    (lambda: [leaf([1.0]), "x"], TypeError, "str"), (lambda: [leaf([1.0]), None], TypeError, "NoneType"),
    (lambda: [node()], ValueError, "leaves"),
    (lambda: [genesis.tensor([1, 2])], TypeError, "int64"),
    (lambda: [("a", leaf([1.0])), leaf([2.0])], ValueError, "names"),
    (lambda: [leaf([1.0]), ("a", leaf([2.0]))], ValueError, "names"),
    (lambda: [{"params": [("a", leaf([1.0]))]}, {"params": [leaf([2.0])]}], ValueError, "names"),
    (lambda: [{"params": [leaf([1.0])]}, {"params": [("a", leaf([2.0]))]}], ValueError, "names"),
    (lambda: [{"lr": 0.1}], ValueError, "params"), (lambda: [{}], ValueError, "params"),
    (lambda: [{"params": [leaf([1.0])]}, leaf([2.0])], TypeError, "dict"),
    (lambda: [{"params": {leaf([1.0])}}], TypeError, "order"),
    (lambda: [{"params": 5}], TypeError, "iterable"),
    (lambda: [leaf([1.0]), {"params": [leaf([2.0])]}], TypeError, "dict"),
    (lambda: {"params": [leaf([1.0])]}, TypeError, "str")])
def test_bad_parameters_are_refused(params, error, match):
    with pytest.raises(error, match=match):
        genesis.optim.Adam(params())


def test_a_parameter_in_two_groups_is_refused():
    p, q = leaf([1.0]), leaf([2.0])
    with pytest.raises(ValueError, match="more than one"):
        genesis.optim.Adam([{"params": [p]}, {"params": [q, p]}])
    untouched(p, [1.0])
    optimizer = genesis.optim.Adam([{"params": [p]}])
    with pytest.raises(ValueError, match="more than one"):
        optimizer.add_param_group({"params": [q, p]})
    assert len(optimizer.param_groups) == 1
    untouched(q, [2.0])


def test_a_duplicate_in_a_group_warns_and_counts_once():
    p, q = leaf([1.0]), leaf([2.0])
    with pytest.warns(UserWarning, match="more than once"):
        optimizer = genesis.optim.SGD([p, q, p], lr=1.0)
    flow((p, [1.0]), (q, [1.0]))
    optimizer.step()
    assert (p.item(), q.item()) == (0.0, 1.0)
    with pytest.warns(UserWarning, match="more than once"):
        optimizer.add_param_group({"params": [x := leaf([1.0]), x]})
    with pytest.warns(UserWarning, match="more than once"):
        named = genesis.optim.SGD([("a", p), ("b", q), ("a", p)], lr=1.0)
    assert named.param_groups[0]["param_names"] == ["a", "b"]


def test_a_missing_learning_rate_is_named():
    with pytest.raises(ValueError, match="'lr'"):
        genesis.optim.SGD([leaf([1.0])])
    with pytest.raises(ValueError, match="'lr'"):
        genesis.optim.SGD([{"params": [leaf([1.0])], "lr": 0.1}, {"params": [leaf([1.0])]}])
    optimizer = genesis.optim.SGD([{"params": [leaf([1.0])], "lr": 0.1}])
    with pytest.raises(ValueError, match="'lr'"):
        optimizer.add_param_group({"params": [leaf([1.0])]})


def test_a_generator_is_read_once():
    model = nn.Linear(2, 2)
    optimizer = genesis.optim.SGD((p for p in model.parameters()), lr=0.1)
    for _ in range(2):
        model(genesis.ones(1, 2)).sum().backward()
        assert all(p.grad is not None for p in model.parameters())
        optimizer.zero_grad()
        assert all(p.grad is None for p in model.parameters())
    groups = genesis.optim.SGD([{"params": (p for p in model.parameters())}], lr=0.1)
    assert len(groups.param_groups[0]["params"]) == 2
    assert len(genesis.optim.SGD(iter([{"params": model.parameters()}]), lr=0.1).param_groups) == 1


def test_a_frozen_parameter_is_accepted_and_skipped():
    p, q = genesis.ones(2), leaf([1.0, 1.0])
    optimizer = genesis.optim.SGD([p, q], lr=1.0, weight_decay=1.0)
    flow((q, [1.0, 1.0]))
    optimizer.step()
    assert values(p).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("bad", [
    {"params": [leaf([5.0])], "lr": -1.0}, {"params": []}, {"params": [node()]}, {"lr": 0.1}, [leaf([5.0])], None,
    {"params": [leaf([5.0]), 3]}, {"params": [leaf([5.0])], "betas": (2, 3)}, {"params": [("a", leaf([5.0]))]}])
def test_a_group_that_is_refused_changes_nothing(bad):
    p = leaf([1.0])
    optimizer = genesis.optim.Adam([p], lr=0.1)
    flow((p, [1.0]))
    optimizer.step()
    if isinstance(bad, dict) and bad.get("params") == []:
        optimizer.add_param_group(dict(bad))            # a group may be empty, as in PyTorch
        assert len(optimizer.param_groups) == 2
    else:
        with pytest.raises((ValueError, TypeError)):
            optimizer.add_param_group(bad)
        assert len(optimizer.param_groups) == 1
        for x in bad.get("params", []) if isinstance(bad, dict) else bad or []:
            if isinstance(x, genesis.Tensor) and x.is_leaf:
                untouched(x, [5.0])
    optimizer.step()
    assert optimizer.state[p]["step"] == 2


def test_a_rule_that_cannot_be_read_leaves_the_optimizer_as_it_was():
    class Sometimes(genesis.optim.SGD):
        def rule(self, group):
            return "sgd" if group["lr"] < 1 else "missing"

    p, q = leaf([1.0]), leaf([2.0])
    optimizer = Sometimes([p], lr=0.1)
    with pytest.raises(genesis.errors.KernelError, match="missing"):
        optimizer.add_param_group({"params": [q], "lr": 2.0})
    assert len(optimizer.param_groups) == 1
    untouched(q, [2.0])
    with pytest.raises(genesis.errors.KernelError, match="missing"):
        Sometimes([{"params": [q]}, {"params": [leaf([3.0])], "lr": 2.0}], lr=0.1)
    untouched(q, [2.0])


def test_a_hyperparameter_too_large_for_the_device_changes_nothing():
    p = leaf([1.0, 2.0])
    optimizer = genesis.optim.Adam([p], lr=0.1)
    give(p, [1.0, 1.0])
    optimizer.step()
    before = values(p)
    for bad in (1e39, -1e300):
        optimizer.param_groups[0]["lr"] = bad
        with pytest.raises(ValueError, match="too large"):
            optimizer.step()
    assert np.array_equal(values(p), before)
    assert optimizer.state[p]["step"] == 1
    optimizer.param_groups[0]["lr"] = 0.1
    optimizer.step()
    assert optimizer.state[p]["step"] == 2
    np.testing.assert_allclose(values(p), [0.8, 1.8], rtol=1e-6)


def test_a_failed_step_of_one_group_changes_no_other():
    params = [leaf([1.0]) for _ in range(3)]
    optimizer = genesis.optim.Adam([{"params": [p]} for p in params], lr=0.1)
    flow(*[(p, [1.0]) for p in params])
    optimizer.param_groups[2]["betas"] = "ab"
    for _ in range(2):
        with pytest.raises((ValueError, TypeError)):
            optimizer.step()
    assert [p.item() for p in params] == [1.0] * 3
    assert len(optimizer.state) == 0


# Printing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_repr_has_the_form_of_torch(name):
    torch = pytest.importorskip("torch")
    p, q = leaf([1.0]), leaf([1.0])
    optimizer = OPTIMIZERS[name]([{"params": [p]}, {"params": [q], "lr": 0.5}], lr=0.25, **decaying(name, 0.125))
    theirs = [torch.zeros(1, requires_grad=True) for _ in range(2)]
    its = torch_class(torch, name)([{"params": theirs[:1]}, {"params": theirs[1:], "lr": 0.5}], lr=0.25,
                                   **decaying(name, 0.125))
    extra = {"foreach", "fused", "capturable", "differentiable", "decoupled_weight_decay"} - optimizer.defaults.keys()
    lines = [line for line in repr(its).splitlines() if not line.strip().startswith(tuple(extra))]

    def numbers(line):      # 0 and 0.0 are the same
        key, colon, value = line.partition(": ")
        return key, colon, eval(value, {}) if colon else value

    assert [numbers(line) for line in repr(optimizer).splitlines()] == [numbers(line) for line in lines]


def test_the_repr_can_be_read_by_a_tokenizer():
    optimizer = genesis.optim.SGD([("a", leaf([1.0]))], lr=0.1)
    assert "params" not in repr(optimizer)
    assert list(tokenize.generate_tokens(io.StringIO(repr(optimizer)).readline))


# Closures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_closure_runs_with_gradients_enabled_and_its_result_is_returned(name):
    p = leaf([1.0, 2.0])
    optimizer = OPTIMIZERS[name]([p], lr=0.1)
    seen = []

    def closure():
        assert genesis.is_grad_enabled()
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        seen.append(loss)
        return loss

    with genesis.no_grad():
        result = optimizer.step(closure)
        assert not genesis.is_grad_enabled()
    assert result is seen[0]
    assert result.item() == 5.0
    assert len(seen) == 1
    assert values(p)[0] < 1
    assert optimizer.step(closure=closure) is seen[1]
    assert optimizer.step() is None
    assert optimizer.step(lambda: 3.5) == 3.5


def test_an_error_in_the_closure_leaves_everything_as_it_was():
    p = leaf([1.0])
    optimizer = genesis.optim.Adam([p], lr=0.1)
    give(p, [1.0])

    def closure():
        raise ZeroDivisionError

    calls = []
    optimizer.register_step_post_hook(lambda *a: calls.append(1))
    with pytest.raises(ZeroDivisionError):
        optimizer.step(closure)
    assert genesis.is_grad_enabled()
    assert p.item() == 1.0
    assert not calls
    optimizer.step()
    assert calls == [1]
    assert optimizer.state[p]["step"] == 1


# Hooks --------------------------------------------------------------------------------------------------------------


def test_step_hooks_are_called_in_order_and_can_be_removed():
    p = leaf([1.0])
    optimizer = genesis.optim.SGD([p], lr=0.5)
    calls = []
    first = optimizer.register_step_pre_hook(lambda o, args, kwargs: calls.append(("pre 1", o, args, kwargs)))
    optimizer.register_step_pre_hook(lambda o, args, kwargs: calls.append(("pre 2", p.item())))
    last = optimizer.register_step_post_hook(lambda o, args, kwargs: calls.append(("post", p.item())))
    give(p, [1.0])
    optimizer.step()
    assert calls == [("pre 1", optimizer, (), {}), ("pre 2", 1.0), ("post", 0.5)]
    first.remove()
    first.remove()
    calls.clear()
    closure = lambda: 1  # noqa: E731
    optimizer.step(closure=closure)
    assert calls == [("pre 2", 0.5), ("post", 0.0)]
    last.remove()
    calls.clear()
    optimizer.step()
    assert calls == [("pre 2", 0.0)]


def test_a_step_pre_hook_may_change_the_arguments():
    optimizer = genesis.optim.SGD([leaf([1.0])], lr=0.5)
    optimizer.register_step_pre_hook(lambda o, args, kwargs: ((lambda: 7,), {}))
    assert optimizer.step(lambda: 5) == 7


def test_step_hooks_of_a_subclass_with_its_own_step_are_called_once():
    class Twice(genesis.optim.SGD):
        def step(self, closure=None):
            super().step(closure)
            return super().step()

    class Bare(genesis.optim.Optimizer):
        def step(self, closure=None):
            return "done"

    p = leaf([1.0])
    for optimizer, end in ((Twice([p], lr=0.25), 0.5), (Bare([p], {}), 0.5)):
        calls = []
        optimizer.register_step_pre_hook(lambda *a, calls=calls: calls.append("pre"))
        optimizer.register_step_post_hook(lambda *a, calls=calls: calls.append("post"))
        give(p, [1.0])
        optimizer.step()
        assert calls == ["pre", "post"]
        assert p.item() == end


def test_an_error_in_a_hook_does_not_silence_later_hooks():
    optimizer = genesis.optim.SGD([leaf([1.0])], lr=0.5)

    def fail(*_):
        raise KeyError("x")

    handle = optimizer.register_step_pre_hook(fail)
    with pytest.raises(KeyError):
        optimizer.step()
    handle.remove()
    calls = []
    optimizer.register_step_pre_hook(lambda *a: calls.append(1))
    optimizer.step()
    assert calls == [1]


def test_state_dict_hooks_run_in_order_and_may_replace_the_state():
    p = leaf([1.0])
    optimizer = genesis.optim.Adam([p], lr=0.1)
    calls = []
    optimizer.register_state_dict_pre_hook(lambda o: calls.append("pre 1"))
    optimizer.register_state_dict_pre_hook(lambda o: calls.append("pre 0"), prepend=True)
    optimizer.register_state_dict_post_hook(lambda o, s: calls.append("post 1"))
    optimizer.register_state_dict_post_hook(lambda o, s: {**s, "extra": 5})
    handle = optimizer.register_state_dict_post_hook(lambda o, s: calls.append("post 0"), prepend=True)
    assert optimizer.state_dict()["extra"] == 5
    assert calls == ["pre 0", "pre 1", "post 0", "post 1"]
    handle.remove()
    calls.clear()
    optimizer.state_dict()
    assert calls == ["pre 0", "pre 1", "post 1"]


def test_load_state_dict_hooks_run_in_order_and_may_replace_the_state():
    p = leaf([1.0])
    optimizer = genesis.optim.Adam([p], lr=0.1)
    saved = optimizer.state_dict()
    calls = []

    def slower(o, state):
        groups = [{**group, "lr": group["lr"] / 2} for group in state["param_groups"]]
        return {**state, "param_groups": groups}

    optimizer.register_load_state_dict_pre_hook(lambda o, s: calls.append("pre"))
    optimizer.register_load_state_dict_pre_hook(slower)
    optimizer.register_load_state_dict_pre_hook(lambda o, s: calls.append("first"), prepend=True)
    optimizer.register_load_state_dict_post_hook(lambda o: calls.append(("post", o.param_groups[0]["lr"])))
    optimizer.register_load_state_dict_post_hook(lambda o: calls.append("post first"), prepend=True)
    optimizer.load_state_dict(saved)
    assert calls == ["first", "pre", "post first", ("post", 0.05)]
    assert saved["param_groups"][0]["lr"] == 0.1


def test_a_handle_works_in_a_with_block():
    optimizer = genesis.optim.SGD([leaf([1.0])], lr=0.5)
    calls = []
    with optimizer.register_step_pre_hook(lambda *a: calls.append(1)):
        optimizer.step()
    optimizer.step()
    assert calls == [1]


# Subclasses ---------------------------------------------------------------------------------------------------------


def test_a_subclass_may_change_scalars_only():
    class Warm(genesis.optim.Adam):
        """Scales the learning rate of the first ten steps of each parameter."""

        def scalars(self, group, step):
            return super().scalars({**group, "lr": group["lr"] * min(1, step / 10)}, step)

    p, q = leaf([1.0]), leaf([1.0])
    optimizer, other = Warm([p], lr=0.1), genesis.optim.Adam([q], lr=0.1)
    for step in range(1, 15):
        other.param_groups[0]["lr"] = 0.1 * min(1, step / 10)
        flow((p, [1.0]), (q, [1.0]))
        with counted() as seen:
            optimizer.step()
        assert updates(seen) == 1
        other.step()
        optimizer.zero_grad()
        other.zero_grad()
    np.testing.assert_allclose(values(p), values(q), rtol=1e-6)


def test_optimizers_of_users_give_hyperparameters_a_meaning_of_their_own():
    class Averaged(genesis.optim.Optimizer):
        """Three decay rates, as Adan's, and a first guess of a distance, as Prodigy's."""

        def __init__(self, params, lr=1.0, betas=(0.98, 0.92, 0.99), d=1e-6, momentum=-0.5):
            super().__init__(params, {"lr": lr, "betas": betas, "d": d, "momentum": momentum})

        @genesis.no_grad()
        def step(self):
            for group in self.param_groups:
                for p in group["params"]:
                    p.sub_(p.grad, alpha=group["lr"] * group["d"])
                group["d"] *= 2

    w = nn.Parameter(genesis.ones(2))
    optimizer = Averaged([{"params": [w], "betas": (0.5, 0.5, 0.5)}], d=0.25)
    w.grad = genesis.ones(2)
    optimizer.step()
    assert w.tolist() == [0.75, 0.75]
    again = Averaged([w])
    again.load_state_dict(optimizer.state_dict())
    assert again.param_groups[0]["betas"] == (0.5, 0.5, 0.5)
    assert again.param_groups[0]["d"] == 0.5
    with pytest.raises(ValueError, match="betas"):
        genesis.optim.Adam([w], betas=(0.5, 0.5, 0.5))


def test_own_checks_go_before_those_that_optimizers_share(tmp_path):
    def three(name, value):
        if len(value) != 3:
            raise ValueError(f"{name} must be three numbers, got {value!r}")
        return tuple(value)

    file = tmp_path / "plain.cl"
    file.write_text("void plain(real *param, real grad, float lr) { *param -= lr * grad; }")

    class Plain(genesis.optim.Optimizer):
        source = str(file)
        own_checks = MappingProxyType({"betas": three})

        def __init__(self, params, betas, d):
            super().__init__(params, {"lr": 0.5, "betas": betas, "d": d, "alpha": "any"})

        def rule(self, group):
            return "plain"

        def scalars(self, group, step):
            return {"lr": group["lr"]}

    x = genesis.ones(1, requires_grad=True)
    optimizer = Plain([x], [0.1, 0.2, 0.3], d=0.5)         # Adafactor's d is at least 1, ASGD's alpha a number
    assert optimizer.param_groups[0]["betas"] == (0.1, 0.2, 0.3)
    with pytest.raises(ValueError, match="betas must be three numbers"):
        Plain([x], (0.9, 0.99), d=1)
    x.sum().backward()
    optimizer.step()
    assert x.tolist() == [0.5]


def test_a_rule_of_ones_own_needs_its_absolute_path():
    with pytest.raises(genesis.KernelError, match=r"nowhere\.cl: .*a file of your own needs its absolute path"):
        type("Lost", (genesis.optim.Optimizer,), {"source": "nowhere.cl", "rule": lambda self, group: "nowhere"})(
            [genesis.ones(1, requires_grad=True)], {"lr": 0.1})
