"""Times operations, forward and backward, in genesis, PyTorch and tinygrad.

python benchmarks/operations.py                     # everything; about half an hour
python benchmarks/operations.py --only matmul conv  # cases whose name contains one of these
python benchmarks/operations.py --quick             # 5 rounds of everything, no tinygrad
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measure
import numpy as np
from measure import Bar, Quartiles, Rounds, duration, stopwatch, table
from operation_cases import CASES, LIMITS, OWN_LIMITS, Case

import genesis

NAME, TORCH, TINYGRAD = "genesis", "PyTorch", "tinygrad OpenCL"
COLOURS = {NAME: "#d1495b", TORCH: "#1d5c88", TINYGRAD: "#7a9e3f"}
PASSES = ("forward", "backward")
TURN = 0.01              # seconds of a turn at the least
AGREED = 2e-3            # largest difference of results and gradients, relative to the largest value

class Peer:
    """A library that computes a case.

    Attributes:
        forward: computes the result, without recording.
        backward: computes all inputs' gradients from a result that was recorded before.
        finish: waits until everything has run.
        values: the result and the gradients, in NumPy.
    """

    def __init__(self, forward: Callable[[], Any], backward: Callable[[], Any] | None, finish: Callable[[], Any],
                 values: Callable[[], list[np.ndarray]]):
        self.forward, self.backward, self.finish, self.values = forward, backward, finish, values


def inputs_of(case: Case) -> list[np.ndarray]:
    """The inputs, the same for every peer, then the gradient of the result."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape, dtype=np.float32) for shape in case.shapes]
    if case.targets is not None:
        arrays.append(rng.integers(0, case.targets[1], case.targets[0]))
    return arrays


def eager(case: Case, lib: Any, functional: Any, make: Callable[[np.ndarray], Any], finish: Callable[[], Any],
          arrays: list[np.ndarray]) -> Peer:
    """A peer for a library with PyTorch's interface."""
    tensors = [make(a) for a in arrays]
    for x in tensors[:len(case.shapes)]:
        x.requires_grad_()

    def forward() -> Any:
        with lib.no_grad():
            return case.compute(lib, functional, *tensors)

    recorded = case.compute(lib, functional, *tensors)
    g = make(np.random.default_rng(1).standard_normal(tuple(recorded.shape), dtype=np.float32))

    def backward() -> None:
        for x in tensors:
            x.grad = None
        recorded.backward(g, retain_graph=True)

    def values() -> list[np.ndarray]:
        backward()
        return [recorded.detach().numpy(), *(x.grad.numpy() for x in tensors[:len(case.shapes)])]

    return Peer(forward, backward, finish, values)


def genesis_peer(case: Case, device: Any, arrays: list[np.ndarray]) -> Peer:
    """Genesis on the device."""
    return eager(case, genesis, genesis.nn.functional, lambda a: genesis.tensor(a, device=device), device.finish,
                 arrays)


def torch_peer(case: Case, device: Any, arrays: list[np.ndarray]) -> Peer:
    """PyTorch on the CPU."""
    import torch

    return eager(case, torch, torch.nn.functional, lambda a: torch.from_numpy(np.array(a)), lambda: None, arrays)


def tinygrad_peer(case: Case, device: Any, arrays: list[np.ndarray]) -> Peer:
    """Tinygrad on the same OpenCL device, captured by TinyJit; its backward cannot be timed on its own."""
    if case.tinygrad is None:
        raise NotImplementedError("no such operation")
    name = measure.tinygrad_device(device)
    from tinygrad import Device, Tensor, TinyJit  # type: ignore[import-not-found]

    tensors = [Tensor(a, device=name).realize() for a in arrays]
    compute = case.tinygrad
    jitted = TinyJit(lambda: compute(*tensors).realize())
    for _ in range(3):
        jitted()
    return Peer(jitted, None, Device[name].synchronize, lambda: [jitted().numpy()])


BUILDERS = {NAME: genesis_peer, TORCH: torch_peer, TINYGRAD: tinygrad_peer}


def burst(runs: dict[str, Callable[[], float]]) -> int:
    """How often to run the peers in a turn."""
    longest = max(min(run() for _ in range(3)) for run in runs.values())
    return int(np.clip(TURN / longest, 3, 25))


def compare(device: Any, case: Case, rounds: int, names: list[str]) -> dict[str, Any]:
    """One case, all peers in turns; each pass on its own."""
    arrays = inputs_of(case)
    peers: dict[str, Peer] = {}
    skipped: dict[str, str] = {}
    for name in names:
        try:
            peers[name] = BUILDERS[name](case, device, arrays)
        except Exception as error:
            if name == NAME:
                raise
            skipped[name] = f"{type(error).__name__}: {error}"
    ours = [np.asarray(v, dtype=np.float64) for v in peers[NAME].values()]
    differences = {name: max(float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30))
                             for a, b in zip(ours, peer.values())) for name, peer in peers.items() if name != NAME}
    found: dict[str, Any] = {"group": case.group, "title": case.title, "flops": case.flops, "skipped": skipped,
                             "differences": differences}
    for which in PASSES:
        runs = {name: stopwatch(getattr(peer, which), peer.finish) for name, peer in peers.items()
                      if getattr(peer, which) is not None}
        measured = Rounds()
        measured.run(runs, rounds, burst(runs))
        found[which] = measured.report(NAME)
    del peers
    measure.release(device)
    rows = [[which, *(duration(found[which]["peers"][n]["seconds"]["median"]) if n in found[which]["peers"] else ""
                      for n in names),
             *("{median:.3f} ({low:.3f} – {high:.3f})".format(**found[which]["peers"][n]["ratio"])
               if n in found[which]["peers"] else "" for n in names if n != NAME)] for which in PASSES]
    print(f"\n{case.name}" + (f": {case.flops / 1e9:.2f} GFLOP" if case.flops else ""))
    print(table(["", *names, *(f"genesis / {n}" for n in names if n != NAME)], rows))
    for name, reason in skipped.items():
        print(f"  {name} left out: {reason}")
    for name, difference in differences.items():
        if not difference < AGREED:
            print(f"  {name} differs by {difference:.1e}")
    return found


def goals(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Limits of the time relative to PyTorch's, and whether they were reached."""
    found = []
    for case in results:
        name = f"{case['group']}, {case['title']}"
        for which in PASSES:
            peers = case[which]["peers"]
            if TORCH in peers:
                limit, value = OWN_LIMITS.get(name, LIMITS[case["group"]]), peers[TORCH]["ratio"]["median"]
                found.append({"goal": f"{name}, {which}", "limit": limit, "value": value, "reached": value <= limit})
    print("\nGoals: time by PyTorch's")
    print(table(["", "limit", "measured", ""], [
        [g["goal"], f"≤ {g['limit']:g}", f"{g['value']:.3f}", "reached" if g["reached"] else "NOT REACHED"]
        for g in found]))
    print(f"{sum(g['reached'] for g in found)} of {len(found)} reached")
    return found


def draw(folder: Path, results: dict[str, Any]) -> Path:
    """The chart: a panel for each pass of each group."""
    bars = [Bar(f"{case['group']}, {which}", case["title"], name, Quartiles(**peer["seconds"]))
            for case in results["cases"] for which in PASSES for name, peer in case[which]["peers"].items()]
    return measure.chart(folder / "operations.png", "Operations", measure.headline(results["machine"]), bars, COLOURS)


def main() -> None:
    """Measure, print, write JSON and PNG."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="cases whose name contains one of these")
    parser.add_argument("--peers", nargs="+", choices=list(BUILDERS)[1:], help="beside genesis; all unless --quick")
    parser.add_argument("--repeat", type=int, help="rounds; 15, with --quick 5")
    parser.add_argument("--device", help="as for genesis.device()")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="folder for JSON and PNG")
    parser.add_argument("--quick", action="store_true", help="5 rounds, no tinygrad")
    chosen = parser.parse_args()
    device = genesis.device(chosen.device)
    names = [NAME, *(chosen.peers or ([TORCH] if chosen.quick else list(BUILDERS)[1:]))]
    rounds = chosen.repeat or (5 if chosen.quick else 15)
    results: dict[str, Any] = {"machine": measure.machine(device), "rounds": rounds}
    print(measure.headline(results["machine"]))
    if (measure.load_average() or 0) > 0.5:
        print(f"Other work runs on this machine (load {measure.load_average()}): times are too long and vary.")
    results["cases"] = [compare(device, case, rounds, names) for case in CASES
                        if not chosen.only or any(text in case.name for text in chosen.only)]
    results["goals"] = goals(results["cases"])
    results["load_at_end"] = measure.load_average()
    print(measure.save(chosen.out, "operations", results))
    print(draw(chosen.out, results))


if __name__ == "__main__":
    main()
