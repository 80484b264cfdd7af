"""Rule files: a user's own optimizer from an absolute path, and what is said about files that are no rules."""

import re
from typing import ClassVar

import numpy as np
import pytest
from support import OPTIMIZERS, Reference, flow, give, gradient, launches, leaf, values

import genesis
from genesis.errors import KernelError
from genesis.opencl import Reading
from genesis.optim import rule as rules

SIGNED = """
// The sign of an average: a rule of a user's own.
#define WEIGHT_DECAY L2

void signed_average(real *param, real grad, real *average, real *largest, float lr, float keep)
{
    *average = keep * *average + grad;
    *largest = fmax(*largest, fabs(*average));
    *param -= lr * *average / (*largest + 1);
}
"""


def own(path, function="signed_average", **attributes):
    """An optimizer class on a rule file."""

    class Own(genesis.optim.Optimizer):
        source = str(path)

        def __init__(self, params, lr=0.1, keep=0.5, weight_decay=0.0, **arguments):
            super().__init__(params, {"lr": lr, "keep": keep, "weight_decay": weight_decay, "maximize": False},
                             **arguments)

        def rule(self, group):
            return function

        def scalars(self, group, step):
            return {"lr": group["lr"], "keep": group["keep"]}

        @staticmethod
        def reference(param, grad, state, group):
            state["average"] = group["keep"] * state.get("average", 0) + grad
            state["largest"] = np.maximum(state.get("largest", 0), np.abs(state["average"]))
            return param - group["lr"] * state["average"] / (state["largest"] + 1)

    for name, value in attributes.items():
        setattr(Own, name, value)
    return Own


def written(tmp_path, text, name="signed.cl"):
    path = tmp_path / name
    path.write_text(text)
    return path


def step_once(cls, **arguments):
    p = leaf([1.0, -2.0])
    optimizer = cls([p], **arguments)
    give(p, [1.0, 1.0])
    optimizer.step()
    return p, optimizer


@pytest.mark.parametrize("dtype", [genesis.float32, genesis.bfloat16, genesis.float64], ids=lambda d: d.name)
@pytest.mark.parametrize("max_grad_norm", [None, 10.0])
def test_a_rule_by_absolute_path_is_an_optimizer_like_any_other(tmp_path, dtype, max_grad_norm):
    if dtype is genesis.float64 and not genesis.device().fp64:
        pytest.skip("the device has no float64")
    rng = np.random.default_rng(0)
    shapes = [(3,), (1100,), (), (0,)]
    params = [leaf(rng.standard_normal(s), dtype) for s in shapes]
    optimizer = own(written(tmp_path, SIGNED))(params, weight_decay=0.1, max_grad_norm=max_grad_norm)
    reference = Reference(optimizer)
    for _ in range(1 if dtype is genesis.bfloat16 else 20):
        gradients = [gradient(rng, s) for s in shapes]
        for p, g in zip(params, gradients):
            give(p, g)
        gradients = [values(p.grad) for p in params]
        norm = np.sqrt(sum((g ** 2).sum() for g in gradients))
        optimizer.step()
        factor = 1 if max_grad_norm is None else min(1, max_grad_norm / (norm + 1e-6))
        reference.step([g * factor for g in gradients])
    eps = {"float32": 2.0 ** -23, "float64": 2.0 ** -52, "bfloat16": 2.0 ** -8}[dtype.name]
    if max_grad_norm and dtype is genesis.float64:
        eps = 2.0 ** -23      # the coefficient is float32
    assert reference.error(eps) < 30
    saved = optimizer.state_dict()
    assert list(saved["state"][0]) == ["step", "average", "largest"]
    optimizer.load_state_dict(saved)
    assert "Own" in repr(optimizer)


def test_the_rule_file_may_include_others(tmp_path):
    written(tmp_path, "#define HALF(x) ((x) / 2)\n", "half.h")
    path = written(tmp_path, '#include "half.h"\nvoid halved(real *param, real grad, float lr, float keep)\n'
                             "{\n    *param -= lr * HALF(grad);\n}\n")
    p, _ = step_once(own(path, "halved"))
    np.testing.assert_allclose(values(p), [0.95, -2.05], rtol=1e-6)
    path = written(tmp_path, '#include "adam.cl"\n')
    assert rules.parse(str(path), "adam").states == ("exp_avg", "exp_avg_sq")


@pytest.mark.parametrize("text", [
    "void tiny(real *param, real grad){*param-=grad;}",
    "void tiny ( real* param , real grad )\n{\n*param -= grad;\n}",
    "// void tiny(int x) {}\n/* void tiny(real *param,\n real grad) { } */\nvoid tiny(real * param,\n\treal grad)\n"
    "// no\n{\n    *param -= grad;\n}"])
def test_a_rule_may_be_written_in_any_style(tmp_path, text):
    cls = own(written(tmp_path, text), "tiny")
    p, _ = step_once(cls)
    assert values(p).tolist() == [0.0, -3.0]
    assert rules.parse(cls.source, "tiny").states == ()


def counting(tmp_path):
    """An optimizer with a number that follows from all the values a hyperparameter had, and its parameters."""
    text = "void sized(real *param, real grad, float size) { *param -= size * grad; }"

    class Sized(genesis.optim.Optimizer):
        source = str(written(tmp_path, text))
        numbers: ClassVar = {"size": 1.0}

        def __init__(self, params, keep=0.5, max_grad_norm=None):
            super().__init__(params, {"keep": keep, "maximize": False}, max_grad_norm)

        def rule(self, group):
            return "sized"

        def scalars(self, group, step, size=1.0):
            return {"size": size * group["keep"] + 2.0 ** -step}

        @staticmethod
        def reference(param, grad, state, group):
            state["step"] = state.get("step", 0) + 1
            state["size"] = state.get("size", 1.0) * group["keep"] + 2.0 ** -state["step"]
            return param - state["size"] * grad

    params = [leaf([1.0, -2.0]), leaf([3.0])]
    return Sized, params, Sized(params, max_grad_norm=1e6)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("changing", [False, True])
def test_numbers_on_the_host_follow_the_updates_that_were_not_skipped(tmp_path, monkeypatch, changing, late):
    if late:      # the host learns of what was skipped no earlier than it must
        monkeypatch.setattr(Reading, "done", lambda self: False)
    _, params, optimizer = counting(tmp_path)
    reference = Reference(optimizer)
    for step in range(30):
        if changing:
            optimizer.param_groups[0]["keep"] = 0.25 + 0.5 * (step % 2)
        gradients = [None if i == 1 and 10 < step < 14 else gradient(np.random.default_rng(step), p.shape)
                     for i, p in enumerate(params)]
        bad = step in (0, 1, 5, 8, 9, 10, 20, 21, 22)
        for p, g in zip(params, gradients):
            give(p, g if g is None or not bad else g * np.float32(np.inf))
        optimizer.step()
        if not bad:
            reference.step(gradients)
    assert reference.error() < 10
    for p, state in zip(params, reference.states):
        assert dict(optimizer.state[p]) == state


def test_numbers_are_part_of_the_state(tmp_path):
    cls, params, optimizer = counting(tmp_path)
    p = params[0]
    for _ in range(3):
        give(p, [1.0, 1.0])
        optimizer.step()
    assert dict(optimizer.state[p]) == {"step": 3, "size": 0.125 + 3 * 0.125}
    assert params[1] not in optimizer.state
    saved = optimizer.state_dict()
    assert saved["state"] == {0: {"step": 3, "size": 0.5}}
    optimizer.state[p]["size"] = np.float32(0.75)
    q, _ = others = [leaf(values(x)) for x in params]
    new = cls(others)
    new.load_state_dict(optimizer.state_dict())
    for x in (p, q):
        give(x, [1.0, 1.0])
    optimizer.step()
    new.step()
    assert np.array_equal(values(p), values(q))
    assert new.state[q]["size"] == 0.75 / 2 + 2.0 ** -4
    for bad in ("1", np.nan, [1.0], None):
        with pytest.raises(ValueError, match="size"):
            new.load_state_dict({**saved, "state": {0: {"step": 3, "size": bad}}})
        with pytest.raises(ValueError, match="size"):
            new.state[q]["size"] = bad
    assert new.state[q]["size"] == 0.75 / 2 + 2.0 ** -4
    del new.state[q]["size"]
    assert new.state[q]["size"] == 1.0
    new.state.clear()
    new.state[others[1]]["size"] = 0.5
    assert dict(new.state[others[1]]) == {"step": 1, "size": 0.5}
    new.state[others[1]].clear()
    give(others[1], [1.0])
    new.step()
    assert dict(new.state[others[1]]) == {"step": 1, "size": 1.0}


BAD = {
    "void other(real *param, real grad) { }": "no rule 'void signed_average",
    "": "no rule 'void signed_average",
    "int signed_average(real *param, real grad) { }": "no rule",
    "void signed_average(real *param, real grad);": "no rule",
    "void signed_average(real *param) { }": "must start with",
    "void signed_average() { }": "must start with",
    "void signed_average(float *param, real grad) { }": "must start with",
    "void signed_average(real grad, real *param) { }": "must start with",
    "void signed_average(real *param, real grad, int n) { }": "'int n'",
    "void signed_average(real *param, real grad, float lr, real *m) { }": "'real . m'",
    "void signed_average(real *param, real grad, real m) { }": "'real m'",
    "void signed_average(real *param, real grad, real *a, real *b, real *c, real *d, real *e) { }": "5 states",
    "#define WEIGHT_DECAY SOME\nvoid signed_average(real *param, real grad) { }": "SOME",
    "void signed_average(real *param, real grad, float momentum) { }": "momentum",
    "void signed_average(real *param, real grad) { *param -= undeclared; }": "undeclared",
    "void signed_average(real *param, real grad) { *param -= ; }": "does not compile",
    '#include "not there.h"\nvoid signed_average(real *param, real grad) { }': "not there.h",
}


@pytest.mark.parametrize("text", BAD)
def test_a_bad_rule_is_refused_by_file_and_problem(tmp_path, text):
    path = written(tmp_path, text)
    with pytest.raises(KernelError, match=BAD[text]) as caught:
        step_once(own(path))
    assert "signed.cl" in str(caught.value)


@pytest.mark.parametrize("make", [lambda p: p / "missing.cl", lambda p: p])
def test_a_file_that_cannot_be_read_is_named(tmp_path, make):
    with pytest.raises(KernelError, match=re.escape(str(make(tmp_path)))):
        step_once(own(make(tmp_path)))


def test_a_weight_decay_that_the_rule_does_not_have_is_refused(tmp_path):
    path = written(tmp_path, "void plain(real *param, real grad, float lr) { *param -= lr * grad; }")
    p, optimizer = step_once(own(path, "plain"))
    optimizer.param_groups[0]["weight_decay"] = 0.1
    before = values(p)
    with pytest.raises(ValueError, match="WEIGHT_DECAY"):
        optimizer.step()
    assert np.array_equal(values(p), before)
    assert optimizer.state[p]["step"] == 1


def test_groups_choose_the_kind_of_weight_decay(tmp_path):
    class Choosing(own(written(tmp_path, SIGNED))):
        def __init__(self, params, lr=0.5):
            genesis.optim.Optimizer.__init__(self, params, {
                "lr": lr, "keep": 0.5, "weight_decay": 0.1, "decoupled_weight_decay": False, "maximize": False})

    params = [leaf([1.0, -2.0]) for _ in range(2)]
    optimizer = Choosing([{"params": params[:1]}, {"params": params[1:], "decoupled_weight_decay": True}])
    reference = Reference(optimizer)
    for step in range(6):
        if step == 3:
            optimizer.param_groups[0]["decoupled_weight_decay"] = True
        for p in params:
            give(p, [1.0, 1.0])
        optimizer.step()
        reference.step([np.ones(2)] * 2)
        assert reference.error() < 10
        assert not np.array_equal(values(params[0]), values(params[1]))
    others = [leaf(values(p)) for p in params]
    new = Choosing([{"params": others[:1]}, {"params": others[1:]}])
    new.load_state_dict(optimizer.state_dict())
    assert [g["decoupled_weight_decay"] for g in new.param_groups] == [True, True]
    give(params[0], [1.0, 1.0])
    give(others[0], [1.0, 1.0])
    optimizer.step()
    new.step()
    assert np.array_equal(values(params[0]), values(others[0]))


def test_a_changed_file_is_read_by_the_next_optimizer(tmp_path):
    path = written(tmp_path, "void plain(real *param, real grad, float lr) { *param -= lr * grad; }")
    p, first = step_once(own(path, "plain"), lr=1.0)
    assert values(p).tolist() == [0.0, -3.0]
    path.write_text("void plain(real *param, real grad, float lr) { *param -= 2 * lr * grad; }")
    q, _ = step_once(own(path, "plain"), lr=1.0)
    assert values(q).tolist() == [-1.0, -4.0]
    first.step()                      # an optimizer keeps its rule
    assert values(p).tolist() == [-1.0, -4.0]


def test_a_rule_with_the_name_of_another_in_another_file_is_another(tmp_path):
    first = written(tmp_path, "void plain(real *param, real grad, float lr) { *param -= lr * grad; }", "a.cl")
    second = written(tmp_path, "void plain(real *param, real grad, float lr) { *param += lr * grad; }", "b.cl")
    assert values(step_once(own(first, "plain"), lr=1.0)[0]).tolist() == [0.0, -3.0]
    assert values(step_once(own(second, "plain"), lr=1.0)[0]).tolist() == [2.0, -1.0]


@pytest.mark.parametrize("count", range(5))
def test_a_rule_may_have_up_to_four_states(tmp_path, count):
    names = [f"s{i}" for i in range(count)]
    body = "".join(f"    *{n} += {i + 1} * grad;\n    *param += *{n};\n" for i, n in enumerate(names))
    arguments = "".join(f", real *{n}" for n in names)
    text = f"void many(real *param, real grad{arguments})\n{{\n{body}    *param += grad;\n}}"
    cls = own(written(tmp_path, text), "many")
    p = leaf([0.0])
    optimizer = cls([p])
    for _ in range(2):
        flow((p, [1.0]))
        with launches() as seen:
            optimizer.step()
        assert len(seen) == 1
        optimizer.zero_grad()
    assert p.item() == 2 + 3 * sum(range(count + 1))
    for i, n in enumerate(names):
        assert optimizer.state[p][n].item() == 2 * (i + 1)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_rule_says_what_it_needs(name):
    optimizer = OPTIMIZERS[name]([leaf([1.0])], lr=0.1)
    group = optimizer.param_groups[0]
    rule = optimizer._rule(group)
    assert rule.name.startswith(name) or name == "adamw"
    assert set(rule.scalars) <= set(optimizer.scalars(group, 1))
    assert rule.weight_decay in (("L2", "DECOUPLED") if "weight_decay" in optimizer.defaults else ("",))
    assert rule.row <= 16
