"""Every kernel of ``cl/`` under Oclgrind, which interprets them and reports accesses out of bounds and races.

The checks of ``genesis doctor`` run at small sizes, with inputs that begin at odd offsets between poison and buffers of
exactly the bytes asked for. Two processes, one with the kernels for CPUs and one with those for GPUs. What training
puts together takes long and launches no other kernel: it is left to ``pytest -m slow``.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest

from genesis.testing import OclgrindError, oclgrind
from genesis.testing.sources import kernels

pytestmark = pytest.mark.skipif(oclgrind.library() is None, reason="Oclgrind is not installed")

WORK = """
    import genesis
    from genesis.doctor import CHECKS, run
    from genesis.ops import matmul, matmul_tiles

    device = genesis.device()
    device.type = {kind!r}                             # the kernels of that class of devices
    for name, check in CHECKS.items():
        if name.startswith("training") == {training}:
            outcome = run(name, check, device, small=True)
            print(name, outcome.comparisons, outcome.failures, sorted(outcome.kernels), sep="\\t", flush=True)
    if not {training} and device.type == "cpu":         # products where there is little local memory
        device.local_memory = 1 << 15
        matmul_tiles._chosen.cache_clear()
        matmul.forget_plans()
        outcome = run("products by tiles", CHECKS["matmul"], device, small=True)
        print(outcome.name, outcome.comparisons, outcome.failures, sorted(outcome.kernels), sep="\\t", flush=True)
"""
LOCAL = {"cpu": 1 << 20, "gpu": 1 << 15}               # products by blocks of a CPU's cache ask for more


def results(kind, training=False):
    """What the checks found, and the reports: name -> (comparisons, failures, kernels), reports."""
    printed, reports = oclgrind.run(WORK.format(kind=kind, training=training), local_memory=LOCAL[kind])
    rows = [line.split("\t") for line in printed.splitlines()]
    return {name: (int(count), eval(failures), set(eval(names))) for name, count, failures, names in rows}, reports


def test_no_kernel_reads_or_writes_out_of_bounds_or_races_and_none_is_left_out():
    with ThreadPoolExecutor() as both:
        everything = dict(zip(LOCAL, both.map(results, LOCAL)))
    launched = set()
    for kind, (found, reports) in everything.items():
        assert not reports, "\n\n".join(report.text for report in reports)
        for name, (comparisons, failures, names) in found.items():
            assert comparisons, f"{name} on a {kind}"
            assert not failures, f"{name} on a {kind}"
            launched |= names
    missing = sorted(kernels() - launched)
    assert not missing, f"no check of genesis/doctor launches {', '.join(missing)}: add one that does"


@pytest.mark.slow
@pytest.mark.parametrize("kind", LOCAL)
def test_training_neither_leaves_its_bounds_nor_races(kind):
    found, reports = results(kind, training=True)
    assert not reports
    assert [failures for _, failures, _ in found.values()] == [[]]


FAULTY = """
    import genesis
    device, out = genesis.device(), genesis.zeros(5, dtype=genesis.int32)
    text = {text!r}
    device.programs.kernel("faulty.cl", "faulty", "P", (), text)({size}, {local}, out._array.buffer.handle)
    device.finish()
"""


@pytest.mark.parametrize(("body", "size", "local", "what"), [
    ("out[get_global_id(0) + 5] = 1;", (1,), None, "Invalid write of size 4"),
    ("out[0] = out[get_global_id(0) - 1];", (1,), None, "Invalid read of size 4"),
    ("out[0] = get_global_id(0);", (4,), (1,), "race"),
    ("if (get_local_id(0)) barrier(CLK_LOCAL_MEM_FENCE);", (4,), (4,), "divergence"),
])
def test_a_fault_is_reported_with_its_kernel(body, size, local, what):
    code = FAULTY.format(text=f"kernel void faulty(global int *out) {{ {body} }}", size=size, local=local)
    _, reports = oclgrind.run(code)
    assert reports
    assert what in reports[0].text
    assert {report.kernel for report in reports} <= {"faulty", ""}
    with pytest.raises(OclgrindError, match="faults"):
        oclgrind.check(code)


def test_code_that_fails_says_so():
    with pytest.raises(OclgrindError, match="ZeroDivisionError"):
        oclgrind.run("1 / 0")
