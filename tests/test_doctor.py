"""``genesis doctor``: finds what is wrong, keeps it, and warns; and says nothing of devices that are well."""

import json
import math
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from helpers import run_python

import genesis
from genesis import doctor
from genesis.cli import doctor as command
from genesis.cli import main
from genesis.doctor import CHECKS, Bench, blamed, examine
from genesis.doctor.bench import Outcome
from genesis.opencl import verdict
from genesis.testing.sources import kernels

DEVICE = genesis.device()


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache folder of the test's own, so that no verdict outlives it."""
    monkeypatch.setenv("GENESIS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_passes(name):
    if name == "float64" and not DEVICE.fp64:
        pytest.skip("the device has no float64")
    outcome = doctor.run(name, CHECKS[name], DEVICE)
    assert not outcome.failures
    assert outcome.comparisons
    assert outcome.kernels
    assert 0 <= outcome.worst <= 1


def test_every_optimizer_is_checked():
    assert {f"optimizer {name}" for name in genesis.optim.ALGORITHMS} <= set(CHECKS)


def test_a_check_leaves_random_numbers_and_default_device_alone():
    genesis.manual_seed(3)
    expected = genesis.rand(3).tolist()
    genesis.manual_seed(3)
    doctor.run("random", CHECKS["random"], DEVICE)
    assert genesis.rand(3).tolist() == expected
    assert genesis.device() is DEVICE


def faulty(monkeypatch, kernel):
    """Make launches of a kernel do nothing, as on a runtime that returns early."""
    from genesis.opencl import Kernel

    original = Kernel.__call__
    monkeypatch.setattr(Kernel, "__call__", lambda self, *args: None if self.name == kernel else original(self, *args))


def test_a_kernel_that_does_nothing_is_found_and_named(monkeypatch, own_cache):
    faulty(monkeypatch, "ops/scan.cl:scan")
    report = examine(DEVICE, {name: CHECKS[name] for name in ("elementwise", "scan", "softmax")})
    assert not report["good"]
    assert [check["good"] for check in report["checks"]] == [True, False, True]
    assert "ops/scan.cl:scan" in report["failed_kernels"]
    assert "ops/elementwise.cl:elementwise" not in report["failed_kernels"]
    assert "elements are wrong" in report["failed_kernels"]["ops/scan.cl:scan"]
    assert report["speed"] == {}
    assert verdict.load(DEVICE) == report["failed_kernels"]
    json.dumps(report)


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_an_optimizer_that_does_nothing_is_found(monkeypatch, name):
    faulty(monkeypatch, f"optim/{name}.cl:update")
    outcome = doctor.run(f"optimizer {name}", CHECKS[f"optimizer {name}"], DEVICE)
    assert outcome.failures
    assert "parameter of shape" in outcome.failures[0]


def test_what_a_check_raises_is_a_failure():
    def broken(bench):
        bench.compare("first", np.ones(1), np.ones(1))
        raise genesis.KernelError("no such thing")

    outcome = doctor.run("broken", broken, DEVICE)
    assert not outcome.good
    assert "KernelError: no such thing" in outcome.failures[0]
    assert not doctor.run("empty", lambda bench: None, DEVICE).good


@pytest.mark.parametrize(("actual", "expected", "tolerance", "good"), [
    ([1.0, 2.0], [1.0, 2.0], 0, True),
    ([1.0, 2.0], [1.0, 2.0000002], 0, False),
    ([1.0, 2.0], [1.0, 2.0002], 1e-4, True),
    ([1.0, 2.0], [1.0, 2.0003], 1e-4, False),
    ([math.nan, math.inf], [math.nan, math.inf], 1e-4, True),
    ([math.nan, math.nan], [math.nan, math.nan], 0, True),
    ([math.nan, 1.0], [1.0, 1.0], 1e-4, False),
    ([1.0, 1.0], [math.nan, 1.0], 1e-4, False),
    ([math.inf, 1.0], [1.0, 1.0], 1e-4, False),
    ([math.inf, 1.0], [-math.inf, 1.0], 1e-4, False),
    ([1.0], [1.0, 1.0], 1e-4, False),
    ([], [], 1e-4, True),
])
def test_comparisons(actual, expected, tolerance, good):
    bench = Bench(DEVICE, "test")
    bench.compare("it", np.array(actual), np.array(expected), tolerance)
    assert bench.outcome.good == good


def test_wrong_gradients_are_found():
    bench = Bench(DEVICE, "test")
    bench.gradients("square", lambda x: x.detach() * x, lambda x: x * x, bench.normal(33))
    assert len(bench.outcome.failures) == 1
    assert "gradient of input 0" in bench.outcome.failures[0]


def test_padded_inputs_lie_between_poison():
    bench = Bench(DEVICE, "test")
    x = bench.tensor(np.ones((2, 3)), pad=3)
    assert x.storage_offset() == 3
    assert x.tolist() == [[1.0] * 3] * 2
    around = np.zeros(14, np.float32)
    DEVICE.read(x._array.buffer, 0, around)
    assert np.isnan(around[[0, 1, 2, *range(9, 14)]]).all()


def test_blame_goes_to_kernels_that_no_good_check_used():
    good, bad = Outcome("good", [], 1, 0.0, {"a", "b"}), Outcome("bad", ["x"], 1, 9.0, {"b", "c"})
    assert blamed([good, bad]) == {"c": "bad: x"}
    assert blamed([good, Outcome("bad", ["x"], 1, 9.0, {"b"})]) == {"*": "bad: x"}
    assert blamed([good]) == {}


USE = """
    import warnings
    import genesis
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        x = genesis.ones(3, requires_grad=True)
        for _ in range(3):
            x.cumsum(0).sum().backward()
    print(*(f"{w.category.__name__} {w.message}" for w in seen), sep="\\n")
"""


def test_training_warns_once_of_a_kernel_that_failed(own_cache):
    assert verdict.store(DEVICE, {"ops/scan.cl:scan": "scan: 3 of 5 elements are wrong", "ops/sort.cl:no": "x"})
    lines = run_python(USE, GENESIS_DEVICE=genesis.devices().index(DEVICE)).splitlines()
    assert len(lines) == 1
    for part in ("KernelWarning", "ops/scan.cl:scan", DEVICE.name, DEVICE.driver, "3 of 5", "genesis doctor"):
        assert part in lines[0]
    assert verdict.store(DEVICE, {"*": "training: other bits"})
    lines = run_python(USE, GENESIS_DEVICE=genesis.devices().index(DEVICE)).splitlines()
    assert len(lines) == 1
    assert "training: other bits" in lines[0]
    assert verdict.store(DEVICE, {})
    assert run_python(USE, GENESIS_DEVICE=genesis.devices().index(DEVICE)).strip() == ""


def test_a_verdict_ends_with_the_source_it_was_passed_on(own_cache, monkeypatch):
    assert verdict.load(DEVICE) is None
    verdict.store(DEVICE, {"ops/scan.cl:scan": "wrong", "gone.cl:kernel": "wrong"})
    assert "ops/scan.cl:scan" in verdict.load(DEVICE)
    monkeypatch.setattr(verdict, "_source", lambda kernel: "another")
    assert verdict.load(DEVICE) == {}


@pytest.mark.parametrize("text", ["", "[]", '{"doctor": 3}', '{"doctor": {"failed": 3}}',
                                  '{"doctor": {"failed": {"a": 1}}}'])
def test_a_damaged_verdict_is_none(own_cache, text):
    file = genesis.opencl.tuning.path(DEVICE)
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert not verdict.load(DEVICE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        verdict.Verdict(DEVICE).warn("ops/scan.cl:scan")


def test_the_folder_of_verdicts_may_be_read_only(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GENESIS_CACHE_DIR", str(tmp_path / "file" / "below"))
    assert not verdict.store(DEVICE, {"ops/scan.cl:scan": "wrong"})
    assert verdict.load(DEVICE) is None


@pytest.fixture
def few(monkeypatch):
    """Only two checks, so that the command is quick."""
    table = {name: CHECKS[name] for name in ("scan", "random")}
    monkeypatch.setattr(sys.modules["genesis.doctor.examine"], "CHECKS", table)


def test_the_command_on_a_good_device(few, own_cache, tmp_path, capsys):
    assert main(["doctor", "--json", str(tmp_path / "report.json")]) == 0
    shown = capsys.readouterr().out
    for part in (DEVICE.name, "scan", "random", "good", "all is well", "GFLOP/s", "GB/s"):
        assert part in shown
    report = json.loads((tmp_path / "report.json").read_text())
    found = report["devices"][0]
    assert found["good"]
    assert [check["name"] for check in found["checks"]] == ["scan", "random"]
    assert found["device"] == json.loads(json.dumps(DEVICE.describe()))
    assert all(value > 0 for value in found["speed"].values())
    assert {"system", "python", "genesis", "pyopencl", "numpy", "devices_found"} <= set(report)
    assert verdict.load(DEVICE) == {}


def test_the_command_on_a_bad_device(few, own_cache, monkeypatch, capsys):
    faulty(monkeypatch, "ops/scan.cl:scan")
    assert main(["doctor", "--no-speed", "--fresh", "--device", str(genesis.devices().index(DEVICE))]) == 1
    shown = capsys.readouterr().out
    assert "WRONG" in shown
    assert "suspect: ops/scan.cl:scan" in shown
    assert "SOMETHING IS WRONG: scan" in shown
    assert "ops/scan.cl:scan" in verdict.load(DEVICE)


def test_the_command_without_a_device(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(genesis, "devices", tuple)
    assert main(["doctor", "--json", str(tmp_path / "report.json")]) == 2
    shown = capsys.readouterr().err
    assert "no OpenCL device was found" in shown
    assert genesis.opencl.no_device_message() in shown
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["devices"] == []
    assert report["advice"] == genesis.opencl.no_device_message()


def test_a_runtime_that_ends_the_process_is_a_verdict(own_cache, monkeypatch, capsys):
    monkeypatch.setattr(genesis, "devices", lambda: (DEVICE,))
    monkeypatch.setattr(command.subprocess, "run", lambda *args, **kwargs: subprocess.CompletedProcess(args, -11))
    assert main(["doctor", "--all"]) == 1
    assert "ended with SIGSEGV" in capsys.readouterr().out
    assert "SIGSEGV" in verdict.load(DEVICE)["*"]


def test_all_devices_are_examined_apart(own_cache, monkeypatch, tmp_path, capsys):
    def child(arguments, check):
        file = arguments[arguments.index("--json") + 1]
        assert "--alone" in arguments
        with open(file, "w") as out:
            json.dump({"devices": [{"device": DEVICE.describe(), "good": True, "checks": [], "speed": {}}]}, out)
        return subprocess.CompletedProcess(arguments, 0)

    monkeypatch.setattr(command.subprocess, "run", child)
    assert main(["doctor", "--all", "--no-speed", "--json", str(tmp_path / "all.json")]) == 0
    assert len(json.loads((tmp_path / "all.json").read_text())["devices"]) == len(genesis.devices())
    assert capsys.readouterr().out.count("all is well") == len(genesis.devices())


def test_the_command_in_a_process_of_its_own(tmp_path):
    done = subprocess.run([sys.executable, "-m", "genesis", "doctor", "--device", "no such thing"], text=True,
                          capture_output=True, timeout=120, check=False,
                          env={**os.environ, "GENESIS_CACHE_DIR": str(tmp_path)})
    assert done.returncode == 2
    assert "no OpenCL device fits" in done.stderr


def test_kernels_of_sources(tmp_path):
    (tmp_path / "a.cl").write_text("// kernel void no(\nkernel void one(int x) {}\n#define K kernel void\n"
                                   "TEAM_KERNEL two(int x) {}\nkernel __attribute__((reqd_work_group_size(1, 1, 1)))\n"
                                   "void three(int x) {}\n")
    (tmp_path / "rule.cl").write_text("void rule(real *param, real grad) {}\n")
    assert kernels(tmp_path) == {"a.cl:one", "a.cl:two", "a.cl:three", "rule.cl:update"}
