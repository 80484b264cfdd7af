"""Makes tables from what was measured: benchmarks, test runs and differences, each a JSON file under ``docs/data``.

``python -m tools.site.records benchmarks/results/optimizer_step.json`` publishes a result, without its raw figures.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tools.notebooks import ROOT

DATA = ROOT / "docs" / "data"


def _read(folder: str) -> list[tuple[Path, dict[str, Any]]]:
    return [(path, json.loads(path.read_text(encoding="utf-8"))) for path in sorted((DATA / folder).glob("*.json"))]


def table(header: list[str], rows: list[list[Any]]) -> str:
    """A Markdown table."""
    def line(cells: list[Any]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(header), "|" + "---|" * len(header), *map(line, rows)])


def _milliseconds(found: dict[str, float]) -> str:
    return f"{1e3 * found['median']:.3g} ({1e3 * found['low']:.3g} to {1e3 * found['high']:.3g})"


def _ratio(found: dict[str, float] | None) -> str:
    if not found:
        return ""
    return f"{found['median']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


def _machine(machine: dict[str, Any], results: dict[str, Any]) -> str:
    cl = machine["opencl"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    busy = "" if machine["load"] <= 0.5 else \
        f" Other programs ran meanwhile (load {machine['load']} when it began): take ratios, not times, from it."
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}"
    return (f"Measured on {machine['date'][:10]} on {where}, with {cl['platform']} ({cl['driver']}) and "
            f"{versions}; {results['rounds']} rounds.{busy}")


def _bars(peers: dict[str, Any], title: str) -> str:
    """The times as bars, genesis' own in a colour of their own."""
    times = {name: {key: 1e3 * value for key, value in peer["seconds"].items()} for name, peer in peers.items()}
    bars = {"type": "bar", "orientation": "h", "y": list(times), "x": [t["median"] for t in times.values()],
            "marker": {"color": ["#1f8fd6" if name.startswith("genesis") else "#8a8f99" for name in times]},
            "error_x": {"type": "data", "symmetric": False, "thickness": 1, "width": 3, "color": "#b45309",
                        "array": [t["high"] - t["median"] for t in times.values()],
                        "arrayminus": [t["median"] - t["low"] for t in times.values()]}}
    layout = {"height": 90 + 34 * len(times), "margin": {"l": 10, "r": 20, "t": 10, "b": 50}, "bargap": 0.35,
              "xaxis": {"title": {"text": "milliseconds a step; shorter is better"}},
              "yaxis": {"autorange": "reversed"}}
    figure = json.dumps({"data": [bars], "layout": layout}, separators=(",", ":"))
    return (f'<div class="plotly-figure" role="figure" aria-label="Bars: {title}. The table has the numbers." '
            f'style="min-height:{layout["height"]}px"><script type="application/json">{figure}</script></div>')


def _steps(results: dict[str, Any]) -> str:
    parts = []
    for kind, lists in (("", results.get("steps", [])),
                        (", clipped by the gradients' norm", results.get("clipping", []))):
        for found in lists:
            rows = [[name, _milliseconds(peer["seconds"]), _ratio(peer.get("ratio"))]
                    for name, peer in found["peers"].items()]
            title = f"{found['optimizer']}{kind}"
            what: dict[str, Any] = next((s for s in results["steps"] if s["size"] == found["size"]), {})
            size = found["size"]
            if what:
                size = f"{what['tensors']:,} tensor{'s' * (what['tensors'] > 1)}, {what['parameters']:,} parameters"
            parts.append(f"### {title}: {size}\n\n{_bars(found['peers'], f'{title}: {size}')}\n\n"
                         + table(["Implementation", "Time of a step, ms", "Genesis' time divided by this one"], rows))
    if parts:
        parts.insert(0, "A time is the median of the rounds; in parentheses and as thin lines, the quartiles. A ratio "
                        "is the median of the rounds' ratios; it is below 1 where genesis takes less time. *stream* is "
                        "a kernel that does nothing but move the bytes that an update has to move: the limit; for a "
                        "step that clips, after another that reads the gradients. Beside a goal stands what it would "
                        "have been for such a plain stream, where it is one of time.")
    return "\n\n".join(parts)


_GROUPS = {"matmul": "Matrix products", "conv2d": "Convolutions", "attention": "Attention", "fused": "Fused operations",
           "elementwise": "Elementwise operations and sums"}


def _operations(results: dict[str, Any]) -> str:
    cases = results.get("cases", [])
    others = list(dict.fromkeys(name for case in cases for which in ("forward", "backward")
                                for name in case[which]["peers"] if name != "genesis"))
    parts = []
    for group in dict.fromkeys(case["group"] for case in cases):
        rows = []
        for case in cases:
            for which in ("forward", "backward") if case["group"] == group else ():
                peers = case[which]["peers"]
                rows.append([case["title"], which, _milliseconds(peers["genesis"]["seconds"]),
                             *(_milliseconds(peers[name]["seconds"]) if name in peers else "" for name in others),
                             *(_ratio(peers[name]["ratio"]) if name in peers else "" for name in others)])
        parts.append(f"### {_GROUPS.get(group, group)}\n\n" + table(
            ["Operation", "Pass", *(f"{name}, ms" for name in ("genesis", *others)),
             *(f"Genesis' time divided by that of {name}" for name in others)], rows))
    return "\n\n".join(parts)


def _training(results: dict[str, Any]) -> str:
    parts = []
    for task in results.get("tasks", []):
        memory = task.get("memory", {})
        rows = [[name, _milliseconds(peer["seconds"]), _ratio(peer["ratio"]),
                 f"{memory[name] / 1e6:.0f}" if name in memory else ""] for name, peer in task["peers"].items()]
        parts.append(f"### {task['title']}\n\n{_bars(task['peers'], task['title'])}\n\n" + table(
            ["Implementation", "Time of a step, ms", "Genesis' time divided by this one", "Peak memory, MB"], rows))
        if "losses" in task:
            first, last = task["losses"][0], task["losses"][-1]
            parts.append(f"From the same weights and on the same batches, the losses of {len(task['losses'])} steps "
                         f"(PyTorch's: {first[1]:.4f} to {last[1]:.4f}) differ from PyTorch's by at most "
                         f"{_small(task['drift'])} of the first; PyTorch's own, after one rounding of its weights, by "
                         f"{_small(task['drift_of_torch_itself'])}.")
    return "\n\n".join(parts)


def _goals(results: dict[str, Any]) -> str:
    rows = [[g["goal"], f"{'at least' if g.get('at_least') else 'at most'} {g['limit']:g} {g.get('unit', '')}",
             "" if g["value"] is None else f"{g['value']:.3g} {g.get('unit', '')}",
             {True: "reached", False: "**not reached**", None: "not measured"}[g["reached"]],
             f"{g['by_stream']:.3g}" if g.get("by_stream") else ""] for g in results.get("goals", [])]
    headings = ["Goal", "Limit", "Measured", "Result", "A plain stream"]
    if not any(row[-1] for row in rows):
        headings, rows = headings[:-1], [row[:-1] for row in rows]
    return "### Goals\n\n" + table(headings, rows) if rows else ""


def benchmarks(_: str = "") -> str:
    """All published benchmark results; says so when there are none."""
    parts = []
    for path, results in _read("benchmarks"):
        title = results.get("title", path.stem.replace("_", " "))
        parts += [f"## {title[0].upper() + title[1:]}", _machine(results["machine"], results), _steps(results),
                  _operations(results), _training(results), _goals(results),
                  f"[The figures as JSON](data/benchmarks/{path.name})"]
    if not parts:
        return ('!!! note "No figures here yet"\n\n    No benchmark has been published with this version. '
                "The programs below measure on your own machine.")
    return "\n\n".join(part for part in parts if part)


def portability(_: str = "") -> str:
    """A table of test runs, one row a device; says so when there are none."""
    runs = _read("portability")
    if not runs:
        return '!!! note "No runs here yet"\n\n    No test run has been recorded with this version.'
    rows, tests = [], {}
    for _path, run in runs:
        device = run["device"]
        rows.append([f"{device['platform']}, {device['version']}", device["name"], run["system"],
                     run["passed"], run["failed"], run["skipped"], run["date"].replace("-", "\u2011")])
        tests.setdefault(run["tests"], []).append(device["platform"])
    which = "\n\n".join(f"The tests run{'' if len(tests) == 1 else ' on ' + ', '.join(on)} are those of "
                        + ", ".join(f"`{name}`" for name in names.split()) + "." for names, on in tests.items())
    return table(["Runtime", "Device", "System", "Passed", "Failed", "Skipped", "Date"], rows) + "\n\n" + which


def _count(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _small(value: float) -> str:
    return f"{value:.0e}" if value else "0"


def differences(_: str = "") -> str:
    """By how much devices differ, in single operations and in training; says so when nothing has been measured."""
    parts = []
    for _path, record in _read("differences"):
        names = [device["platform"] for device in record["devices"]]
        which = "; ".join(f"{d['platform']} ({d['name']}, driver {d['driver']})" for d in record["devices"])
        rows = [[f"`{name}`", *map(_count, found["errors"]), _count(found["between"])]
                for name, found in record["operations"].items()]
        far = max(record["operations"].items(), key=lambda item: item[1]["between"])
        same = [f"`{name}`" for name, found in record["operations"].items() if found["between"] == 0]
        parts += [f"Measured on {record['date']} on {record['system']}, with {which}.",
                  "A number is the largest error of 258 thousand results (of a row, where it is summed), in units in "
                  "the last place of float32; the last column is the largest difference between two of the devices. "
                  f"They differ most in `{far[0]}`, by {_count(far[1]['between'])} units"
                  + (f", and not at all in {', '.join(same)}." if same else "."),
                  table(["Operation", *names, "Between two"], rows)]
        rows = [[name, mark["steps"], f"{mark['loss']:.4f}",
                 *(f"{_small(loss)} / {_small(parameters)}"
                   for loss, parameters in list(zip(mark["losses"], mark["parameters"]))[1:])]
                for name, marks in record["training"].items() for mark in marks]
        parts += [f"In training, small differences grow with the steps. Compared with {names[0]}, from the same "
                  "parameters and on the same batches: the difference of the loss / that of all parameters, as a part "
                  "of their norm.",
                  table(["Model", "Steps", f"Loss, {names[0]}", *names[1:]], rows)]
    if not parts:
        return '!!! note "No figures here yet"\n\n    No differences have been measured with this version.'
    return "\n\n".join(parts)


def publish(path: Path) -> Path:
    """Copy a benchmark's result to where the site takes it from, without each round's figure."""
    def slim(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: slim(item) for key, item in value.items() if key != "each"}
        return [slim(item) for item in value] if isinstance(value, list) else value

    target = DATA / "benchmarks" / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    found = slim(json.loads(path.read_text(encoding="utf-8")))
    target.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return target


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(publish(Path(argument)))
