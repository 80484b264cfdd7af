"""Examines a device: runs every check, draws up the verdict, and keeps it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import genesis
from genesis.errors import KernelWarning
from genesis.opencl import Device, verdict

from .arrays import ARRAYS
from .bench import Check, Outcome, run
from .layers import LAYERS
from .measure import measure
from .optimizers import AROUND, OPTIMIZER_CHECKS
from .training import TRAINING

CHECKS: dict[str, Check] = {**ARRAYS, **LAYERS, **OPTIMIZER_CHECKS, **AROUND, **TRAINING}


def blamed(outcomes: Iterable[Outcome]) -> dict[str, str]:
    """The kernels that failed checks are laid to, and why.

    They are those launched in a check that failed and in none that passed; where there is no such kernel, the name is
    ``"*"``: the device as a whole.
    """
    outcomes = list(outcomes)
    trusted: set[str] = set().union(*(o.kernels for o in outcomes if o.good)) if outcomes else set()
    failed: dict[str, str] = {}
    for outcome in outcomes:
        if not outcome.good:
            why = f"{outcome.name}: {outcome.failures[0] if outcome.failures else 'nothing was compared'}"
            for kernel in sorted(outcome.kernels - trusted) or ["*"]:
                failed.setdefault(kernel, why)
    return failed


def examine(device: Device, checks: dict[str, Check] | None = None, measured: bool = True, keep: bool = True,
            watch: Callable[[Outcome | str], None] | None = None) -> dict[str, Any]:
    """Check a device and report.

    Args:
        device: the device.
        checks: name -> check; all of `CHECKS` if None.
        measured: measure its speed, too.
        keep: keep the verdict in the cache folder, for warnings when kernels that failed are used.
        watch: called with the name of each check before it runs and with its outcome afterwards.

    Returns:
        What can be written as JSON: ``device`` (its description), ``genesis`` (the version), ``good``, ``checks`` (a
        dict each: ``name good comparisons worst seconds failures kernels``), ``failed_kernels`` and ``speed``.
    """
    outcomes = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KernelWarning)
        for name, check in (CHECKS if checks is None else checks).items():
            if watch:
                watch(name)
            outcomes.append(run(name, check, device))
            if watch:
                watch(outcomes[-1])
        failed = blamed(outcomes)
        kept = verdict.store(device, failed) if keep else False
        good = all(outcome.good for outcome in outcomes)
        speed = measure(device) if measured and good else {}
    return {"device": device.describe(), "genesis": genesis.__version__, "good": good, "checks": [
        {"name": o.name, "good": o.good, "comparisons": o.comparisons, "worst": o.worst, "seconds": o.seconds,
         "failures": o.failures, "kernels": sorted(o.kernels)} for o in outcomes],
            "failed_kernels": failed, "verdict_kept": kept, "speed": speed}
