"""The kernels of ``cl/ops`` under Oclgrind, which interprets them and reports accesses out of bounds and races."""

from pathlib import Path

import pytest
from helpers import run_python

LIBRARY = next((path for pattern in ("lib/oclgrind", "lib/*", "lib/*/oclgrind", "local/lib", "local/lib/oclgrind")
                for path in Path("/usr").glob(f"{pattern}/liboclgrind-rt-icd.so")), None)

pytestmark = pytest.mark.skipif(LIBRARY is None, reason="Oclgrind is not installed")

WORK = """
    import numpy as np
    import genesis
    from genesis.nn import functional as F
    from genesis.opencl import memory

    memory._capacity = lambda nbytes: max(nbytes, 1)           # no padding that would hide an access past the end
    memory.Pool._find = lambda self, capacity: 0
    genesis.set_default_device("oclgrind")
    device = genesis.device()
    rng = np.random.default_rng(0)

    def normal(*shape):
        return genesis.tensor(rng.standard_normal(shape).astype(np.float32), requires_grad=True)

    def check(x, expected):
        np.testing.assert_allclose(x.detach().numpy(), expected, rtol=1e-4, atol=1e-4)

    for kind in ("gpu", "cpu"):
        device.type = kind                                     # the kernels of both classes of devices
        for n in (1, 31, 65):
            a, b = normal(n, 3), normal(3)
            y = (a * b).where(a > 0, a.T.contiguous().T)
            values = a.detach().numpy()
            check(y, np.where(values > 0, values * b.detach().numpy(), values))
            (y.sum() + y[:, 1:].T.sum(0).sum()).backward()
            check(y.amax(0), y.detach().numpy().max(0))
        big = normal(5003).detach()
        check(big.sum(), big.numpy().astype(np.float64).sum())
        assert big.argmax().item() == big.numpy().argmax()
        for m, k, n in ((1, 1, 1), (13, 5, 33), (66, 17, 65)):
            a, b = normal(2, m, k), normal(k, n)
            y = a @ b
            check(y, a.detach().numpy() @ b.detach().numpy())
        y.backward(y.detach())
        check(b.grad, np.einsum("bmk,bmn->kn", a.detach().numpy(), y.detach().numpy()))
    for shape, target in (((5, 3), (5,)), ((3, 4, 7), (3, 7))):
        F.cross_entropy(normal(*shape), genesis.randint(0, 3, target), label_smoothing=0.1).backward()
    x = normal(7, 5)
    at = genesis.tensor([0, -1, 3])
    F.dropout(x[at][:, [1, 2]], 0.5).sum().backward()
    z = x.detach()
    z[at] = 1.0
    genesis.randn(5)
    device.finish()
    print("done", flush=True)

    # What a report looks like: without it, an empty log would prove nothing.
    text = "kernel void bad(global int *out, int n) { out[get_global_id(0) + n] = 1; }"
    out = genesis.zeros(5, dtype=genesis.int32)
    device.programs.kernel("bad.cl", "bad", "Pi", (), text)((1,), None, out._array.buffer.handle, 5)
    device.finish()
"""


def test_no_kernel_reads_or_writes_out_of_bounds_or_races(tmp_path):
    vendors, log = tmp_path / "vendors", tmp_path / "log"
    vendors.mkdir()
    (vendors / "oclgrind.icd").write_text(f"{LIBRARY}\n")
    assert run_python(WORK, OCL_ICD_VENDORS=vendors, OCLGRIND_DATA_RACES=1, OCLGRIND_LOG=log, GENESIS_DEVICE=None,
                      OCLGRIND_MAX_ERRORS=20) == "done\n"
    reports = log.read_text().strip().split("\n\n")
    kernels = [line.split()[1] for line in log.read_text().splitlines() if line.strip().startswith("Kernel:")]
    assert kernels == ["bad"], "\n\n".join(reports)
    assert "Invalid write" in reports[0]
