"""Measures a device: copies, launches, compiling, matrix products."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable

import genesis
from genesis.opencl import Device

_SECONDS = 0.25            # spent on each measurement, about


def _least(device: Device, work: Callable[[], object], most: int = 30) -> float:
    """The least seconds that some work takes, run until the time is up."""
    work()
    device.finish()
    taken: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(taken) < 3 or (len(taken) < most and time.perf_counter() < end):
        start = time.perf_counter()
        work()
        device.finish()
        taken.append(time.perf_counter() - start)
    return min(taken)


def _bandwidth(device: Device) -> float:
    nbytes = min(1 << 26, device.max_alloc // 4)
    source, target = device.empty(nbytes), device.empty(nbytes)
    return 2 * nbytes / _least(device, lambda: device.copy(source, 0, target, 0, nbytes)) / 1e9


def _launch(device: Device) -> tuple[float, float]:
    x = genesis.zeros(1, device=device)

    def many() -> None:
        for _ in range(100):
            x.add_(1.0)

    def one() -> None:
        x.add_(1.0)

    return _least(device, many) / 100 * 1e6, _least(device, one) * 1e6


def _compile(device: Device) -> float:
    """Seconds to compile a kernel of middling size that no cache has seen."""
    from genesis.opencl.program import read

    taken = []
    before = os.environ.get("GENESIS_CACHE_DIR")
    with tempfile.TemporaryDirectory(prefix="genesis-doctor-") as folder:
        os.environ["GENESIS_CACHE_DIR"] = folder
        try:
            for turn in range(3):
                new = f"// {time.time_ns()}\n#define DOCTOR_{time.time_ns()} {turn}\n"
                text = f"kernel void doctor_{time.time_ns()}(global int *x) {{ x[0] = {turn}; }}\n"
                name = text.split("(")[0].split()[-1]
                start = time.perf_counter()
                device.programs.kernel(f"doctor-{name}.cl", name, "P", (), new + read("ops/triangle.cl") + text)
                taken.append(time.perf_counter() - start)
        finally:
            if before is None:
                del os.environ["GENESIS_CACHE_DIR"]
            else:
                os.environ["GENESIS_CACHE_DIR"] = before
    return statistics.median(taken)


def _matmul(device: Device) -> tuple[int, float]:
    """The size of the largest square product that the time allows, and its rate in GFLOP/s."""
    n, rate = 128, 0.0
    while True:
        a, b = genesis.rand(n, n, device=device), genesis.rand(n, n, device=device)
        seconds = _least(device, lambda a=a, b=b: a @ b, 5)  # type: ignore[misc]
        rate = 2 * n ** 3 / seconds / 1e9
        if n >= 4096 or seconds * 8 * 4 > 4 * _SECONDS:
            return n, rate
        n *= 2


def measure(device: Device) -> dict[str, float]:
    """Measure a device; takes a few seconds.

    Returns:
        ``copy_gb_s`` (read and written bytes), ``launch_us`` (a launch among many), ``round_us`` (a launch and waiting
        for it), ``compile_s`` (a small kernel), ``matmul_n`` and ``matmul_gflop_s``.
    """
    launch, whole = _launch(device)
    n, rate = _matmul(device)
    return {"copy_gb_s": _bandwidth(device), "launch_us": launch, "round_us": whole, "compile_s": _compile(device),
            "matmul_n": n, "matmul_gflop_s": rate}
