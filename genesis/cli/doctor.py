"""``genesis doctor``: checks that devices compute what they should."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import genesis
from genesis.opencl import Device, no_device_message, verdict

from . import devices

if TYPE_CHECKING:
    from genesis.doctor import Outcome

WELL, ILL, NONE = 0, 1, 2            # exit status: nothing wrong, something wrong, no device


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor", help="check that a device computes what it should",
        description="Run every kernel and every optimizer at awkward sizes and compare with float64 NumPy; train with "
                    "asynchronous and with waited launches and compare the bits; measure speed. The verdict is kept: "
                    "using a kernel that failed gives a warning. Exit status: 0 all is well, 1 something is wrong, "
                    "2 there is no device.")
    parser.add_argument("--device", metavar="NAME", help="which device, as GENESIS_DEVICE takes it; else the default")
    parser.add_argument("--all", action="store_true", help="every device found, each in a process of its own")
    parser.add_argument("--json", metavar="FILE", help="write the report there, to attach to a bug report")
    parser.add_argument("--fresh", action="store_true", help="compile every kernel anew, whatever the cache has")
    parser.add_argument("--no-speed", action="store_true", help="leave the measurements out")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)      # run by --all
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Examine devices; returns the exit status."""
    found = genesis.devices()
    if not found:
        print("no OpenCL device was found. On this system:\n  " + no_device_message(), file=sys.stderr)
        write(arguments.json, [])
        return NONE
    default, reason, _ = devices.choose()
    if not arguments.alone:
        print(devices.table(found, default), end="\n\n", flush=True)
    if arguments.all:
        reports = [apart(device, arguments) for device in found]
        print(*(f"{r['device']['device']}  {r['device']['name']} ({r['device']['platform']}): {conclusion(r)}"
                for r in reports), sep="\n")
    elif arguments.device or default is not None:
        reports = [examined(genesis.device(arguments.device or default), arguments)]
    else:
        print(reason, file=sys.stderr)
        write(arguments.json, [])
        return NONE
    write(arguments.json, reports)
    return WELL if all(report["good"] for report in reports) else ILL


def examined(device: Device, arguments: argparse.Namespace) -> dict[str, Any]:
    """Examine one device in this process, saying what is found on the way."""
    from genesis.doctor import examine

    print(f"{device}  {device.name} ({device.platform}, driver {device.driver})")
    if device.quirks.warning:
        print(f"  {device.quirks.warning}")
    start = time.perf_counter()

    def watch(event: Outcome | str) -> None:
        if isinstance(event, str):            # first, so that it is seen which check a runtime did not survive
            print(f"  {event:36}", end="", flush=True)
        else:
            print(row(event), flush=True)

    with emptied_cache() if arguments.fresh else contextlib.nullcontext():
        report = examine(device, measured=not arguments.no_speed, keep=False, watch=watch)
    report["verdict_kept"] = verdict.store(device, report["failed_kernels"])
    report["seconds"] = time.perf_counter() - start
    print("\n" + "\n".join(summary(report)), end="\n\n", flush=True)
    return report


def row(outcome: Outcome) -> str:
    """The outcome of a check as the rest of its line."""
    if outcome.good:
        kernels = f"{len(outcome.kernels):2d} kernel{' ' if len(outcome.kernels) == 1 else 's'}"
        return (f"good   {outcome.comparisons:3d} comparisons, at most {100 * outcome.worst:5.1f} % of the error "
                f"allowed, {kernels} {outcome.seconds:6.2f} s")
    more = f"\n      ... and {len(outcome.failures) - 5} more" if len(outcome.failures) > 5 else ""
    lines = outcome.failures[:5] or ["nothing was compared"]
    return f"WRONG  {len(outcome.failures)} of {outcome.comparisons} comparisons" + "".join(
        f"\n      {line}" for line in lines) + more


def summary(report: dict[str, Any]) -> list[str]:
    """The last lines about a device: speed, kernels under suspicion, conclusion."""
    lines, speed = [], report["speed"]
    if speed:
        lines.append(f"copies {speed['copy_gb_s']:.1f} GB/s (read and written), a launch among many "
                     f"{speed['launch_us']:.1f} us and alone {speed['round_us']:.1f} us, compiling a small kernel "
                     f"{1e3 * speed['compile_s']:.0f} ms, matrix product of {speed['matmul_n']} "
                     f"{speed['matmul_gflop_s']:.1f} GFLOP/s")
    for kernel, why in report["failed_kernels"].items():
        lines.append(f"suspect: {'no kernel alone' if kernel == '*' else kernel} ({why})")
    if report["failed_kernels"]:
        lines.append("from now on genesis warns when these are used on this device" if report["verdict_kept"] else
                     "the cache folder cannot be written, so genesis will not warn when these are used")
    checks = report["checks"]
    launched = len(set().union(*(check["kernels"] for check in checks)))
    lines.append(f"{conclusion(report)}; {len(checks)} checks of {launched} kernels in {report['seconds']:.0f} s")
    return lines


def conclusion(report: dict[str, Any]) -> str:
    """What is to be said of a device, in a few words."""
    if "crashed" in report:
        return f"SOMETHING IS WRONG: {report['crashed']}"
    wrong = [check["name"] for check in report["checks"] if not check["good"]]
    return "SOMETHING IS WRONG: " + ", ".join(wrong) if wrong else "all is well"


@contextlib.contextmanager
def emptied_cache() -> Iterator[None]:
    """An empty cache folder in place of the usual one."""
    before = os.environ.get("GENESIS_CACHE_DIR")
    with tempfile.TemporaryDirectory(prefix="genesis-doctor-") as folder:
        os.environ["GENESIS_CACHE_DIR"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["GENESIS_CACHE_DIR"]
            else:
                os.environ["GENESIS_CACHE_DIR"] = before


def apart(device: Device, arguments: argparse.Namespace) -> dict[str, Any]:
    """Examine a device in a process of its own: a runtime that ends the process ends only that one."""
    with tempfile.TemporaryDirectory(prefix="genesis-doctor-") as folder:
        file = Path(folder) / "report.json"
        done = subprocess.run(
            [sys.executable, "-m", "genesis", "doctor", "--alone", "--device", str(genesis.devices().index(device)),
             "--json", str(file), *["--fresh"] * arguments.fresh, *["--no-speed"] * arguments.no_speed], check=False)
        if done.returncode in (WELL, ILL):
            with contextlib.suppress(OSError, ValueError, LookupError):
                found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["devices"][0]
                return found
    status = done.returncode
    how = signal.Signals(-status).name if status < 0 else f"status {status}"
    crashed = f"the process that checked it ended with {how}"
    kept = verdict.store(device, {"*": crashed})
    print(f"\n  {crashed}\n", flush=True)
    return {"device": device.describe(), "good": False, "crashed": crashed, "checks": [], "speed": {},
            "failed_kernels": {"*": crashed}, "verdict_kept": kept}


def write(file: str | None, reports: list[dict[str, Any]]) -> None:
    """Write the report on all devices examined, if a file is named."""
    if file is None:
        return
    system = {"system": platform.platform(), "machine": platform.machine(), "python": platform.python_version(),
              "genesis": genesis.__version__, "pyopencl": version("pyopencl"), "numpy": version("numpy"),
              "devices_found": [device.describe() for device in genesis.devices()]}
    if not genesis.devices():
        system["advice"] = no_device_message()
    Path(file).write_text(json.dumps({**system, "devices": reports}, indent=1) + "\n", encoding="utf-8")
