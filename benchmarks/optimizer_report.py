"""The report of ``optimizer_step.py``: the goals and whether they were reached, and the chart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import measure
from measure import Bar, Quartiles, table
from optimizer_peers import FUSED, NAME, SIZES, STREAM, STREAM_READ, STREAM_SAME, TINYGRAD, Shapes

CLIPPED, BY_HAND = "genesis, clipped", "genesis, clip_grad_norm_"
COLOURS = {NAME: "#d1495b", CLIPPED: "#e58a95", BY_HAND: "#f2c4ca", STREAM: "#8d99ae", FUSED: "#1d5c88",
           "PyTorch foreach": "#4f95c4", "PyTorch plain": "#a3cbe6", TINYGRAD: "#7a9e3f"}
GROUPS = {"SGD": "SGD with\nmomentum"}
HOST_CASES: dict[str, Shapes] = {
    "1 tensor of 1000": [(1000,)], "1 tensor of 1,000,000": [(10**6,)], "1000 tensors of 1000": [(1000,)] * 1000}


def goals(results: dict[str, Any]) -> list[dict[str, Any]]:
    """What the optimizers have to reach: the goal, its limit, what was measured, and whether it was reached.

    Where a stream shows what this machine's memory allows, ``by_stream`` is what would be measured of it.
    """
    steps = {(r["size"], r["optimizer"]): r["peers"] for r in results["steps"]}
    clips = {r["size"]: r["peers"] for r in results["clipping"]}
    host, memory = results["host"], results["memory"]
    found = []

    def goal(text: str, limit: float, value: float | None, at_least: bool = False, unit: str = "",
             by_stream: float | None = None) -> None:
        reached = None if value is None else value >= limit if at_least else value <= limit
        found.append({"goal": text, "limit": limit, "at_least": at_least, "unit": unit, "value": value,
                      "reached": reached, "by_stream": by_stream})

    def ratio(peers: dict[str, Any] | None, name: str, scale: str = "ratio") -> float | None:
        if not peers or name not in peers:
            return None
        return peers[name]["ratio"]["median"] if scale == "ratio" else peers[name].get(scale)

    def quotient(peers: dict[str, Any] | None, name: str, other: str) -> float | None:
        a, b = ratio(peers, other), ratio(peers, name)
        return a / b if a and b else None

    one, many = steps.get(("one", "AdamW")), steps.get(("many", "AdamW"))
    goal("AdamW, one tensor: part of the stream's bandwidth", 0.95, ratio(one, NAME, "of_stream"), at_least=True)
    goal("the same, the stream running over genesis' memory", 0.95, ratio(one, NAME, "of_stream_same"), at_least=True)
    goal("AdamW, one tensor: time by PyTorch's fused", 0.85, ratio(one, FUSED),
         by_stream=quotient(one, STREAM, FUSED))
    goal("AdamW, 1000 tensors: time by PyTorch's fused", 0.05, ratio(many, FUSED),
         by_stream=quotient(many, STREAM, FUSED))
    small, few, lots = (1e6 * host[name]["until_it_returns"]["median"] for name in HOST_CASES)
    goal("host's cost of step(), 1 tensor of 1000", 60, small, unit="µs")
    goal("host's cost of step(), 1 tensor of 1,000,000", 60, few, unit="µs")
    goal("host's cost of step(), 1000 tensors of 1000", 60, lots, unit="µs")
    goal("host's cost, 1000 tensors by 1 tensor of as many elements", 1.1, lots / few)
    for key, title, limit in (("one", "one tensor", 0.7), ("many", "1000 tensors", 0.05)):
        peers = clips.get(key)
        goal(f"max_grad_norm, {title}: time by the bare step", 1.25, ratio(peers, NAME),
             by_stream=quotient(peers, STREAM_READ, STREAM_SAME))
        goal(f"max_grad_norm, {title}: time by PyTorch's clipping and fused step", limit, ratio(peers, FUSED),
             by_stream=quotient(peers, STREAM_READ, FUSED))
    goal("GPT-2 small: padding of AdamW's state", 1, memory and 100 * memory["padding"], unit="%")
    goal("kernels compiled while hyperparameters change", 0, sum(results["compilations"].values()))
    print("\nGoals")
    print(table(["", "limit", "measured", "", "of the stream"], [
        [g["goal"], f"{'≥' if g['at_least'] else '≤'} {g['limit']:g} {g['unit']}",
         "" if g["value"] is None else f"{g['value']:.3g} {g['unit']}",
         {True: "reached", False: "NOT REACHED", None: "not measured"}[g["reached"]],
         f"{g['by_stream']:.3g}" if g["by_stream"] else ""] for g in found]))
    return found


def draw(folder: Path, results: dict[str, Any]) -> Path:
    """The bar chart of all steps."""
    bars = []
    for found in results["steps"]:
        panel = SIZES[found["size"]].title
        for name in [n for n in COLOURS if n in found["peers"]]:
            peer = found["peers"][name]
            remark = f"({1 / peer['ratio']['median']:.3g}×)" if name != NAME else f"{peer['gb_per_s']:.3g} GB/s"
            group = GROUPS.get(found["optimizer"], found["optimizer"])
            bars.append(Bar(panel, group, name, Quartiles(**peer["seconds"]), remark))
    for found in results["clipping"]:
        for name in (CLIPPED, FUSED):
            if name in found["peers"]:
                peer = found["peers"][name]
                remark = f"({1 / peer['ratio']['median']:.3g}×)" if name != CLIPPED else ""
                bars.append(Bar(SIZES[found["size"]].title, "AdamW,\nnorm clipped", name,
                                Quartiles(**peer["seconds"]), remark))
    subtitle = (measure.headline(results["machine"])
                + "\nIn brackets: time divided by that of genesis, median over the rounds.")
    return measure.chart(folder / "optimizer_step.png", "One optimizer step, float32", subtitle, bars, COLOURS)
