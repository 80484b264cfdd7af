"""Times one step of genesis' optimizers against PyTorch, tinygrad and the memory limit of the same device.

    python benchmarks/optimizer_step.py            # everything; about an hour
    python benchmarks/optimizer_step.py --quick    # AdamW on two sizes; a minute

Every peer holds float32 parameters of the same shapes, with the same gradients. The limit is a kernel that reads and
writes as many buffers of the same size as the update and computes next to nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import measure
import numpy as np
import optimizer_peers as all_peers
from measure import Quartiles, Rounds, duration, stopwatch, table
from optimizer_peers import FUSED, NAME, RECIPES, SIZES, STREAM, STREAM_SAME, TINYGRAD, Peer, Recipe, Size
from optimizer_report import BY_HAND, CLIPPED, HOST_CASES, draw, goals

import genesis

ROUNDS_A_BUILD = 3               # rounds before all peers get fresh memory
ORDER = [NAME, STREAM, STREAM_SAME, FUSED, "PyTorch foreach", "PyTorch plain", TINYGRAD]
AGREED = 2e-6                    # largest difference of parameters of size 1 after three steps


def allotments(rounds: int) -> list[int]:
    """Rounds, in parts; for each part the peers get fresh memory."""
    return [min(ROUNDS_A_BUILD, rounds - done) for done in range(0, rounds, ROUNDS_A_BUILD)]


def burst(size: Size) -> int:
    """Timed steps in a turn: more for short ones."""
    return 5 if size.elements < 2**22 else 1


def compare(device: Any, key: str, recipe: Recipe, rounds: int, builders: Sequence[str]) -> dict[str, Any]:
    """One optimizer on one size, all peers in turns."""
    size = SIZES[key]
    skipped: dict[str, str] = {}
    differences: dict[str, float] = {}
    lasting: dict[str, Peer] = {}
    measured = Rounds()
    for part in allotments(rounds):
        built = dict(lasting)
        for name in measured.random.permutation([b for b in builders if b not in skipped]).tolist():
            if name == "tinygrad" and lasting:
                continue
            try:
                found = all_peers.BUILDERS[name](device, size.shapes, recipe)
            except Exception as error:
                if name == "genesis":
                    raise
                skipped[name] = f"{type(error).__name__}: {error}"
                continue
            lasting |= found if name == "tinygrad" else {}      # it takes too long to build
            built |= found
        for name, peer in built.items():
            if peer.head is not None:
                differences[name] = float(np.abs(peer.head - built[NAME].head).max())
        measured.run({name: stopwatch(peer.step, peer.finish) for name, peer in built.items()}, part, burst(size))
        built.clear()
        del found, peer
        measure.release(device)
    lasting.clear()
    measure.release(device)
    moved = recipe.bytes_moved * size.elements
    found = {"size": key, "optimizer": recipe.name, "tensors": len(size.shapes), "parameters": size.elements,
             "bytes_moved": moved, "skipped": skipped, "difference_after_3_steps": differences,
             **measured.report(NAME)}
    print(f"\n{recipe.name}, {size.title}: {moved / 1e6:,.0f} MB moved, {rounds} rounds")
    rows = []
    for name, peer in sorted(found["peers"].items(), key=lambda item: ORDER.index(item[0])):
        low, median, high = peer["seconds"].values()
        peer["gb_per_s"] = moved / median / 1e9
        if STREAM in found["peers"]:
            peer["of_stream"] = measured.ratio(STREAM, name).median
        if STREAM_SAME in found["peers"] and name == NAME:
            peer["of_stream_same"] = measured.ratio(STREAM_SAME, name).median
        rows.append([name, duration(median), f"{duration(low)} – {duration(high)}",
                     "{median:.3f} ({low:.3f} – {high:.3f})".format(**peer["ratio"]), f"{peer['gb_per_s']:.1f}",
                     f"{peer['of_stream']:.0%}" if "of_stream" in peer else ""])
    print(table(["", "median", "quartiles", "genesis / it", "GB/s", "of stream"], rows))
    for name, reason in skipped.items():
        print(f"  {name} skipped: {reason}")
    for name, difference in differences.items():
        if not difference < AGREED:
            print(f"  {name} differs from genesis by {difference:.1e} after three steps")
    print(f"  time by place in the order: {found['by_position']}")
    print(f"  genesis' time by who came before: {found['reference_by_predecessor']}")
    return found


def clipping(device: Any, key: str, recipe: Recipe, rounds: int) -> dict[str, Any]:
    """A step that clips the gradients' norm to 1, the bare step, PyTorch's clipping and fused one, and streams."""
    size = SIZES[key]
    measured = Rounds()
    for part in allotments(rounds):
        optimizer, params = all_peers.genesis_optimizer(device, size.shapes, recipe)

        def bare(optimizer: Any = optimizer) -> None:      # all of genesis on the same memory; the untimed step plans
            optimizer.max_grad_norm = None
            optimizer.step()

        def clipped(optimizer: Any = optimizer) -> None:
            optimizer.max_grad_norm = 1.0
            optimizer.step()

        def by_hand(optimizer: Any = optimizer, params: Any = params) -> None:
            optimizer.max_grad_norm = None
            genesis.nn.utils.clip_grad_norm_(params, 1.0)
            optimizer.step()

        bare()
        runs = {NAME: bare, CLIPPED: clipped, BY_HAND: by_hand,
                **all_peers.streams_of(device, size.shapes, recipe, optimizer)}
        with contextlib.suppress(ImportError):
            runs[FUSED] = all_peers.torch_clipped_step(size.shapes, recipe)
        measured.run({name: stopwatch(run, device.finish) for name, run in runs.items()}, part, burst(size))
        del optimizer, params, bare, clipped, by_hand, runs
        measure.release(device)
    found = {"size": key, "optimizer": recipe.name, **measured.report(CLIPPED)}
    print(f"\n{recipe.name} with the norm of the gradients clipped to 1, {size.title}")
    print(table(["", "median", "max_grad_norm / it"], [
        [name + (" (not clipped)" if name == NAME else ", clip_grad_norm_" if name == FUSED else ""),
         duration(peer["seconds"]["median"]), "{median:.3f} ({low:.3f} – {high:.3f})".format(**peer["ratio"])]
        for name, peer in found["peers"].items()]))
    return found


def host_cost(device: Any, rounds: int) -> dict[str, Any]:
    """What ``step()`` costs the host until it returns, with nothing enqueued before: wall and thread time."""
    held: list[Any] = []
    runs: dict[str, Callable[[], float]] = {}
    thread: dict[str, list[float]] = {}

    def run_of(name: str, step: Callable[[], Any]) -> Callable[[], float]:
        def run() -> float:
            device.finish()
            start, start_thread = time.perf_counter(), time.thread_time()
            step()
            took_thread, took = time.thread_time() - start_thread, time.perf_counter() - start
            thread[name].append(took_thread)
            return took

        return run

    for name, shapes in HOST_CASES.items():
        for label, extra in ((name, {}), (f"{name}, clipped", {"max_grad_norm": 1.0})):
            optimizer, params = all_peers.genesis_optimizer(device, shapes, RECIPES["adamw"], **extra)
            held.append((optimizer, params))
            thread[label] = []
            runs[label] = run_of(label, optimizer.step)
    measured = Rounds()
    measured.run(runs, rounds, burst=20)
    found = {name: {"until_it_returns": measured.quartiles(name)._asdict(),
                    "thread_time": Quartiles.of(thread[name])._asdict()} for name in runs}
    print("\nHost's cost of AdamW's step(), queue empty before")
    print(table(["", "until it returns", "quartiles", "thread time"], [
        [name, duration(c["until_it_returns"]["median"]),
         f"{duration(c['until_it_returns']['low'])} – {duration(c['until_it_returns']['high'])}",
         duration(c["thread_time"]["median"])] for name, c in found.items()]))
    return found


def state_memory(device: Any, key: str, recipe: Recipe) -> dict[str, Any]:
    """Device memory that the first step takes for states, against the states' own size."""
    size = SIZES[key]
    optimizer, _ = all_peers.genesis_optimizer(device, size.shapes, recipe)
    before = device.pool.allocated
    optimizer.step()
    device.finish()
    taken, theory = device.pool.allocated - before, recipe.states * all_peers.FLOAT * size.elements
    asked = sum(buffer.nbytes for runner in optimizer._runners
                for name, buffer in runner.arena.arena.buffers.items()
                if name in optimizer._rule(optimizer.param_groups[0]).states)
    found = {"size": key, "optimizer": recipe.name, "parameters": size.elements, "bytes": taken, "theory": theory,
             "bytes_per_parameter": taken / size.elements, "padding": taken / theory - 1,
             "padding_of_layout": asked / theory - 1}
    print(f"\nState of {recipe.name}, {size.title}: {taken:,} bytes, {taken / size.elements:.3f} a parameter; "
          f"{found['padding']:.2%} over their own {theory:,} ({found['padding_of_layout']:.2%} without the pool's)")
    return found


def compilations(device: Any) -> dict[str, int]:
    """Kernels compiled or loaded while hyperparameters change, for each optimizer."""
    changes = {"lr": (0.01, 0.1), "betas": ((0.8, 0.9), (0.5, 0.99)), "eps": (1e-6, 1e-3), "weight_decay": (0.1, 0.0),
               "momentum": (0.5, 0.8), "alpha": (0.9, 0.5)}
    found = {}
    for recipe in RECIPES.values():
        for extra in ({}, {"max_grad_norm": 1.0}):
            optimizer, _ = all_peers.genesis_optimizer(device, [(1000,), (70, 3)], recipe, **extra)
            optimizer.step()
            before = len(device.programs.compiled) + len(device.programs.loaded)
            group = optimizer.param_groups[0]
            for name, choices in changes.items():
                for choice in choices if name in group else ():
                    if group[name] != 0 or name == "weight_decay":
                        group[name] = choice
                    optimizer.step()
            if extra:
                optimizer.max_grad_norm = 0.5
                optimizer.step()
            device.finish()
            found[recipe.name + ", clipped" * bool(extra)] = (
                len(device.programs.compiled) + len(device.programs.loaded) - before)
    print(f"\nKernels compiled while lr, betas, eps, weight decay, momentum, alpha change: {found}")
    return found


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, help="all unless --quick")
    parser.add_argument("--optimizers", nargs="+", choices=RECIPES, help="all unless --quick")
    parser.add_argument("--peers", nargs="+", choices=all_peers.BUILDERS, help="beside genesis; all unless --quick")
    parser.add_argument("--repeat", type=int, help="rounds; 21 unless --quick")
    parser.add_argument("--device", help="as for genesis.device()")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="folder for JSON and PNG")
    parser.add_argument("--quick", action="store_true", help="6 rounds of AdamW on one and many tensors, no tinygrad")
    chosen = parser.parse_args()
    chosen.sizes = chosen.sizes or (["one", "many"] if chosen.quick else list(SIZES))
    chosen.optimizers = chosen.optimizers or (["adamw"] if chosen.quick else list(RECIPES))
    chosen.repeat = chosen.repeat or (6 if chosen.quick else 21)
    peers = chosen.peers or [p for p in all_peers.BUILDERS if not (chosen.quick and p == "tinygrad")]
    chosen.peers = ["genesis", *(p for p in peers if p != "genesis")]
    return chosen


def main() -> None:
    """Measure, print, write JSON and PNG."""
    chosen = arguments()
    device = genesis.device(chosen.device)
    results: dict[str, Any] = {"machine": measure.machine(device), "rounds": chosen.repeat, "steps": [], "clipping": []}
    print(measure.headline(results["machine"]))
    if (measure.load_average() or 0) > 0.5:
        print(f"Other work runs on this machine (load {measure.load_average()}): times are too long and vary.")
    for key in chosen.sizes:
        for name in chosen.optimizers:
            results["steps"].append(compare(device, key, RECIPES[name], chosen.repeat, chosen.peers))
    for key in ("one", "many"):
        if key in chosen.sizes and "adamw" in chosen.optimizers:
            results["clipping"].append(clipping(device, key, RECIPES["adamw"], chosen.repeat))
    results["host"] = host_cost(device, chosen.repeat)
    results["memory"] = state_memory(device, "gpt2", RECIPES["adamw"]) if "gpt2" in chosen.sizes else None
    results["compilations"] = compilations(device)
    results["goals"] = goals(results)
    results["peak_memory_gb"], results["load_at_end"] = measure.peak_memory(), measure.load_average()
    print(f"\nPeak memory {results['peak_memory_gb']} GB")
    print(measure.save(chosen.out, "optimizer_step", results))
    print(draw(chosen.out, results))


if __name__ == "__main__":
    main()
