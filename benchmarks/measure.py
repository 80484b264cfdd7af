"""What every benchmark needs: measurements that alternate between peers, the machine's description, JSON, bar charts.

Peers are measured in turns within each round, because the memory bandwidth of a machine may drift twofold within an
hour; what two peers took is therefore compared round by round, and the median of those ratios is the result.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib.metadata
import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

REST = 0.01        # seconds before each turn: the OpenMP threads of PyTorch spin for about 4 ms after their work
WARM = 0.01        # seconds of untimed work at the least, then: a processor that rested takes as long to full clock


class Quartiles(NamedTuple):
    """Median and the quartiles around it."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Quartiles:
        """The quartiles of some values."""
        return cls(*(float(x) for x in np.percentile(list(values), (25, 50, 75))))


def stopwatch(step: Callable[[], Any], finish: Callable[[], Any]) -> Callable[[], float]:
    """A function that runs a step until the device has finished it, and returns the seconds that took."""

    def run() -> float:
        start = time.perf_counter()
        step()
        finish()
        return time.perf_counter() - start

    return run


class Rounds:
    """Measurements of several peers, taken in turns.

    Where the system puts a peer's memory changes its speed by a tenth or more, for as long as it keeps that memory. So
    call `run` several times, with peers that were built anew, in another order.

    Attributes:
        seconds: name -> seconds, one value a round.
        position: name -> place of the peer's turn in each round.
        before: name -> whose turn came just before, in each round.
    """

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.seconds: dict[str, list[float]] = {}
        self.position: dict[str, list[int]] = {}
        self.before: dict[str, list[str]] = {}

    def run(self, peers: dict[str, Callable[[], float]], rounds: int, burst: int = 1, rest: float = REST) -> None:
        """Measure some rounds.

        Args:
            peers: name -> function that does the work once and returns the seconds it took.
            rounds: in each, every peer has one turn, in a random order.
            burst: timed runs in a turn, of which the median counts; untimed ones come before them, one at the least and
                for WARM seconds.
            rest: seconds of rest before a turn.
        """
        order = list(peers)
        for held in (self.seconds, self.position, self.before):
            for name in peers:
                held.setdefault(name, [])  # type: ignore[attr-defined]
        last = ""
        gc.collect()
        gc.disable()
        try:
            for _ in range(rounds):
                self.random.shuffle(order)
                for place, name in enumerate(order):
                    time.sleep(rest)
                    run = peers[name]
                    warm = time.perf_counter() + WARM
                    run()
                    while time.perf_counter() < warm:
                        run()
                    self.seconds[name].append(statistics.median(run() for _ in range(burst)))
                    self.position[name].append(place)
                    self.before[name].append(last)
                    last = name
        finally:
            gc.enable()

    def quartiles(self, name: str) -> Quartiles:
        """What a peer took."""
        return Quartiles.of(self.seconds[name])

    def ratio(self, name: str, other: str) -> Quartiles:
        """What a peer took, by what another took in the same round."""
        return Quartiles.of(a / b for a, b in zip(self.seconds[name], self.seconds[other]))

    def effect(self, of: str, subject: str | None = None) -> dict[str, float]:
        """Median of time by the peer's own median, grouped by ``"position"`` or ``"before"``; 1: no influence."""
        groups: dict[str, list[float]] = {}
        for name, seconds in self.seconds.items():
            if subject in (None, name):
                middle = statistics.median(seconds)
                for key, value in zip(getattr(self, of)[name], seconds):
                    groups.setdefault(str(key), []).append(value / middle)
        return {key: round(statistics.median(values), 4) for key, values in sorted(groups.items()) if key}

    def report(self, reference: str) -> dict[str, Any]:
        """Everything measured, as plain values; ratios are the reference's time by the peer's."""
        peers = {name: {"seconds": self.quartiles(name)._asdict(), "ratio": self.ratio(reference, name)._asdict(),
                        "each": seconds} for name, seconds in self.seconds.items()}
        return {"peers": peers, "by_position": self.effect("position"),
                "reference_by_predecessor": self.effect("before", reference)}


def tinygrad_device(device: Any) -> str:
    """Make tinygrad use an OpenCL device; returns what tinygrad calls it.

    tinygrad takes the first platform of the loader that it finds, so it gets pyopencl's loader and our device.

    Raises:
        ImportError: tinygrad is not installed.
    """
    import pyopencl

    for library in Path(pyopencl.__file__).parent.glob(".libs/libOpenCL*"):
        os.environ.setdefault("OPENCL_PATH", str(library))
    from tinygrad.runtime.ops_cl import CLDevice  # type: ignore[import-not-found]
    from tinygrad.runtime.ops_cl import cl as binding

    handle = ctypes.cast(device.handle.int_ptr, binding.cl_device_id)
    CLDevice.device_ids = (binding.cl_device_id * 1)(handle)
    return "CL"


def release(device: Any) -> None:
    """Give the memory of earlier peers back to the system."""
    gc.collect()
    device.finish()
    device.pool.empty_cache()
    with contextlib.suppress(ImportError, AttributeError):
        from tinygrad import Device

        if "CL" in Device._opened_devices:
            Device["CL"].allocator.free_cache()


def _cpu_model() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def load_average() -> float | None:
    """Processes that were running in the last minute, this one included; None where that is unknown."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def machine(device: Any) -> dict[str, Any]:
    """The machine, the OpenCL device and the versions of all that takes part."""
    packages = ("genesis-cl", "numpy", "pyopencl", "torch", "tinygrad", "intel-opencl-rt", "pocl-binary-distribution")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(), "cores": os.cpu_count(), "load": load_average(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}", "python": platform.python_version(),
        "versions": {name: found for name in packages if (found := _version(name))},
        "opencl": device.describe(),
    }


def headline(about: dict[str, Any]) -> str:
    """The machine in a line."""
    cl, versions = about["opencl"], about["versions"]
    peers = ", ".join(f"{name} {versions[name]}" for name in ("torch", "tinygrad") if name in versions)
    return (f"{about['cpu']}, {about['cores']} cores; {cl['platform']}, driver {cl['driver']}; {peers}; "
            f"{about['date'][:10]}")


def peak_memory() -> float | None:
    """The most memory that this process has held, in GB; None where that is unknown."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if platform.system() == "Darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9, 2)


def duration(seconds: float) -> str:
    """Seconds to three digits, in the unit that fits."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1 or unit == "µs":
            value = seconds * factor
            return f"{value:.{max(0, 2 - len(str(int(value))) + 1)}f} {unit}"
    raise AssertionError("unreachable")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows in columns, the first aligned to the left and the others to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    text = ["  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths)))
            for line in lines]
    return "\n".join([text[0], "-" * len(text[0]), *text[1:]])


def save(folder: Path, name: str, results: dict[str, Any]) -> Path:
    """Write the results as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


class Bar(NamedTuple):
    """One bar of a chart, in seconds, with a remark beside it."""

    panel: str
    group: str
    name: str
    seconds: Quartiles
    remark: str = ""


def chart(path: Path, title: str, subtitle: str, bars: Sequence[Bar], colours: dict[str, str]) -> Path:
    """Draw bars in panels, grouped, on a logarithmic axis of milliseconds; whiskers show the quartiles.

    Args:
        path: the PNG to write.
        title: above everything.
        subtitle: below the title, smaller.
        bars: in the order in which they are drawn, from the top.
        colours: name -> colour; also the order of the legend.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.patches import Patch

    panels = list(dict.fromkeys(bar.panel for bar in bars))
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    deepest = max(sum(b.panel == p for b in bars) + len({b.group for b in bars if b.panel == p}) for p in panels)
    height = 0.24 * deepest + 0.9
    figure, axes = pyplot.subplots(rows, columns, figsize=(8.2 * columns, height * rows + 1.5), squeeze=False)
    for axis in axes.flat[len(panels):]:
        axis.set_visible(False)
    for axis, panel in zip(axes.flat, panels):
        y, marks = 0.0, []
        mine = [bar for bar in bars if bar.panel == panel]
        for group in dict.fromkeys(bar.group for bar in mine):
            first = y
            for bar in (b for b in mine if b.group == group):
                low, middle, high = (1e3 * x for x in bar.seconds)
                axis.barh(y, middle, 0.86, color=colours[bar.name], xerr=[[middle - low], [high - middle]],
                          error_kw={"elinewidth": 0.9, "ecolor": "#333333"})
                axis.annotate(f"{duration(bar.seconds.median)}{bar.remark and '  ' + bar.remark}", (high, y),
                              xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
                y += 1
            marks.append(((first + y - 1) / 2, group))
            y += 1
        axis.set_xscale("log")
        low, high = min(b.seconds.low for b in mine) * 1e3, max(b.seconds.high for b in mine) * 1e3
        axis.set_xlim(low / 2, high * (2 * high / low) ** 0.4)      # room for the remarks
        axis.set_ylim(deepest - 1, -1)
        axis.set_yticks([m[0] for m in marks], [m[1] for m in marks])
        axis.tick_params(axis="y", length=0)
        axis.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        axis.grid(axis="x", alpha=0.25)
        axis.set_axisbelow(True)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.set_title(panel, loc="left", fontsize=11, fontweight="bold")
        axis.set_xlabel("milliseconds a step (logarithmic; shorter is better)", fontsize=9)
    inches = figure.get_figheight()
    figure.suptitle(title, x=0.01, ha="left", y=1 - 0.1 / inches, va="top", fontsize=14, fontweight="bold")
    figure.text(0.01, 1 - 0.4 / inches, subtitle, fontsize=9, color="#444444", va="top", linespacing=1.4)
    below = 0.45 + 0.18 * (1 + subtitle.count("\n"))
    used = [name for name in colours if any(bar.name == name for bar in bars)]
    figure.legend([Patch(color=colours[name]) for name in used], used, ncols=min(len(used), 5 * columns),
                  loc="upper left", bbox_to_anchor=(0.003, 1 - below / inches), frameon=False, fontsize=9)
    figure.tight_layout(rect=(0, 0, 1, 1 - (below + 0.3) / inches))
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
    return path
