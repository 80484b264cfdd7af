"""``genesis.testing``: rules of users against references and under Oclgrind, guard bands, and the pytest plugin."""

import gc
import importlib.metadata
import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import ROOT

import genesis
from genesis.testing import GuardError, OclgrindError, check_optimizer, check_rule, guarded, oclgrind
from genesis.testing.guard import GuardPool
from genesis.testing.rules import variants

DEVICE = genesis.device()
needs_oclgrind = pytest.mark.skipif(oclgrind.library() is None, reason="Oclgrind is not installed")

RULE = """// A heavy ball.
#define WEIGHT_DECAY DECOUPLED
void ball(real *param, real grad, real *speed, float lr, float friction)
{
    *speed = friction * *speed + grad;
    *param -= lr * *speed;
}
"""
SCALARS = {"lr": 0.1, "friction": 0.5}


def ball(param, grad, state, scalars):
    state["speed"] = scalars["friction"] * state.get("speed", 0) + grad
    return param - scalars["lr"] * state["speed"]


@pytest.fixture
def rule(tmp_path):
    path = tmp_path / "ball.cl"
    path.write_text(RULE)
    return path


def test_a_rule_that_equals_its_reference(rule):
    assert 0 < check_rule(rule, ball, SCALARS) < 20
    assert check_rule(rule, ball, SCALARS, weight_decay=0.1) < 20
    assert check_rule(str(rule), ball, SCALARS, name="ball", shapes=[(5,)], steps=1) < 20


def test_a_rule_that_differs_says_where(rule):
    with pytest.raises(AssertionError, match=r"rule ball of .*ball\.cl.*(?s:.*)shape \(70001,\).* instead of"):
        check_rule(rule, lambda p, g, state, scalars: p - scalars["lr"] * g, SCALARS)
    rule.write_text(RULE.replace("friction * *speed", "friction * *speed * (get_local_id(0) == 3 ? 2 : 1)"))
    with pytest.raises(AssertionError, match="differs"):
        check_rule(rule, ball, SCALARS)


def test_what_is_no_rule(rule):
    with pytest.raises(ValueError, match="friction"):
        check_rule(rule, ball, {"lr": 0.1})
    with pytest.raises(genesis.KernelError, match="defines no rule 'void other"):
        check_rule(rule, ball, SCALARS, name="other")
    rule.write_text(RULE.replace("friction *", "undefined_name *"))
    with pytest.raises(genesis.KernelError, match="undefined_name"):
        check_rule(rule, ball, SCALARS)


@pytest.mark.parametrize("name", genesis.optim.ALGORITHMS)
def test_optimizers_equal_their_references(name):
    assert check_optimizer(genesis.optim.ALGORITHMS[name]) < 40


def test_an_optimizer_that_differs():
    with pytest.raises(AssertionError, match=r"SGD\(\{'lr': 0\.1\}\) differs"):
        check_optimizer(genesis.optim.SGD, lambda p, g, state, group: p - 0.1 * g - 1e-5, lr=0.1)


def test_variants_switch_on_what_goes_together():
    cases = list(variants(genesis.optim.SGD))
    assert cases[0] == {"lr": 0.01}
    assert cases[1]["momentum"] == 0.9
    assert cases[1]["nesterov"]
    assert list(variants(genesis.optim.AdamW))[1]["weight_decay"] == 0.1


def writer(at):
    text = "kernel void writer(global int *out, int at) { out[at] = 1; }"
    out = genesis.zeros(5, dtype=genesis.int32)
    DEVICE.programs.kernel("writer.cl", "writer", "Pi", (), text)((1,), None, out._array.buffer.handle, at)
    return out


def test_guard_bands_find_writes_beside_a_buffer():
    with guarded():
        assert writer(4).tolist() == [0, 0, 0, 0, 1]
    for at, message in ((5, "after a buffer of 20 bytes, 1 bytes from its end"),
                        (-1, "before a buffer of 20 bytes, 1 bytes from its start"),
                        (900, "after a buffer of 20 bytes")):
        with pytest.raises(GuardError, match=message), guarded():
            writer(at)


def test_guard_bands_keep_the_pools_accounts():
    gc.collect()
    pool = DEVICE.pool
    before = pool.allocated
    outer = genesis.ones(1000)
    with guarded() as inside:
        assert isinstance(DEVICE.pool, GuardPool)
        assert isinstance(inside, GuardPool)
        x = genesis.ones(1003)
        y = (x * 2).sum()
        del outer, x
        assert y.item() == 2006
    assert DEVICE.pool is pool
    del y, inside
    gc.collect()
    assert pool.allocated == before


def test_new_memory_is_filled_with_the_byte():
    with guarded():
        assert np.isnan(genesis.empty(33).numpy()).all()
    with guarded(fill=0):
        assert not genesis.empty(33).numpy().any()


def test_an_error_inside_restores_the_pool():
    pool = DEVICE.pool
    with pytest.raises(ZeroDivisionError), guarded():
        1 / 0
    assert DEVICE.pool is pool


def step(fill):
    """A training step in memory filled with a byte: its bits."""
    genesis.manual_seed(0)
    with guarded(fill=fill):
        model = genesis.nn.Sequential(genesis.nn.Conv2d(3, 5, 3), genesis.nn.BatchNorm2d(5), genesis.nn.GELU(),
                                      genesis.nn.MaxPool2d(2), genesis.nn.Flatten(), genesis.nn.Linear(20, 7),
                                      genesis.nn.LayerNorm(7), genesis.nn.Dropout(0.3))
        optimizer = genesis.optim.AdamW(model.parameters(), max_grad_norm=1.0)
        x, target = genesis.randn(5, 3, 7, 7), genesis.randint(0, 7, (5,))
        for _ in range(2):
            optimizer.zero_grad()
            genesis.nn.functional.cross_entropy(model(x), target).backward()
            optimizer.step()
        return genesis.fingerprint(model, optimizer)


def test_training_writes_beside_no_buffer_and_reads_nothing_unwritten():
    assert step(0xFF) == step(0) == step(0x3C)


@needs_oclgrind
def test_a_users_rule_under_oclgrind(rule):
    oclgrind.check_rule(rule, SCALARS)
    # Rules see values, not buffers; a macro of the kernel around them can be abused all the same.
    rule.write_text(RULE.replace("*param -=", "((global float *)0)[7] = 1; *param -="))
    with pytest.raises(OclgrindError, match="Invalid write of size 4"):
        oclgrind.check_rule(rule, SCALARS)


def test_reports_are_read_from_the_log():
    log = ("Invalid write of size 4 at global memory address 0x14\n\tKernel: bad\n\tEntity: Global(3,0,0)\n\n"
           "Work-group divergence detected (barrier):\n\tKernel: worse\n\n")
    found = oclgrind.parse(log)
    assert [report.kernel for report in found] == ["bad", "worse"]
    assert found[1].what == "Work-group divergence detected (barrier):"
    assert oclgrind.parse("") == []


def test_oclgrind_that_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("OCLGRIND_LIBRARY", str(tmp_path / "none.so"))
    assert oclgrind.library() is None
    with pytest.raises(OclgrindError, match="not installed"):
        oclgrind.run("pass")


TESTS = """
import genesis

def test_inside(genesis_guarded):
    assert (genesis.ones(33) * 2).sum().item() == 66

def test_beside(genesis_guarded):
    text = "kernel void beside(global int *out) { out[5] = 1; }"
    out = genesis.zeros(5, dtype=genesis.int32)
    out.device.programs.kernel("beside.cl", "beside", "P", (), text)((1,), None, out._array.buffer.handle)

def test_oclgrind(genesis_oclgrind):
    assert genesis_oclgrind.check("import genesis; print((genesis.ones(3) + 1).tolist())") == "[2.0, 2.0, 2.0]\\n"
"""


def test_the_plugin_offers_fixtures(tmp_path):
    (tmp_path / "test_it.py").write_text(TESTS)
    installed = importlib.metadata.entry_points(group="pytest11", name="genesis")
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "genesis" if installed else "pytest_genesis",
                           str(tmp_path)], capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path,
                          env={**os.environ, "PYTHONPATH": paths})
    passed = "3 passed" if oclgrind.library() else "2 passed, 1 skipped"
    assert f"{passed}, 1 error" in done.stdout, done.stdout + done.stderr
    assert "after a buffer of 20 bytes" in done.stdout


def test_the_plugin_imports_no_genesis():
    done = subprocess.run([sys.executable, "-c", "import sys, pytest_genesis; assert 'genesis' not in sys.modules"],
                          capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr


def test_assert_close_judges_like_torch():
    torch = pytest.importorskip("torch")

    def run(library):
        one, whole, nan = library.ones(2), library.tensor([1, 2]), library.tensor([float("nan")])
        cases = [
            (one, one + 1e-8, {}), (one, one + 1, {}), (one, library.ones(3), {}), (one, one.half(), {}),
            (one, one.half(), {"check_dtype": False}), ([one, 2], [one, 2], {}), ({"a": one}, {"a": one * 2}, {}),
            ({"a": one}, {"b": one}, {}), (nan, nan, {}), (nan, nan, {"equal_nan": True}), (1.0, 1.0 + 1e-9, {}),
            (1, 2, {}), (whole, whole + 1, {}), (whole, whole + 1, {"rtol": 0, "atol": 1}), (one > 0, one > 0, {}),
            (np.ones(2), np.ones(2), {}), ([1], [1, 2], {}), (one, [1.0, 1.0], {}), (one, one * 2, {"msg": "mine"}),
            (one, one, {"rtol": 1.0}), (library.tensor(2.0), library.tensor(1.0), {}), (one[:0], one[:0], {}),
            (one, one.expand(3, 2)[0], {"check_stride": True}), (one + 1j, one + 1j, {}),
            (one > 0, one < 0, {}), (one, one * 3, {"msg": lambda text: "mine of " + str(len(text) > 99)})]
        return [judged(library.testing.assert_close, *case) for case in cases]

    def judged(check, actual, expected, given):
        try:
            check(actual, expected, **given)
        except Exception as error:
            return type(error), str(error) if "mine" in str(error) else ""
        return None

    assert run(genesis) == run(torch)
    with pytest.raises(AssertionError, match=r"1 / 2 \(50.0%\)[\s\S]*at index \(1,\)[\s\S]*item \['a'\]\[0\]"):
        genesis.testing.assert_close({"a": [genesis.tensor([1, 2])]}, {"a": [genesis.tensor([1, 5])]})
