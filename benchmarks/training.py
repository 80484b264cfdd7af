"""Times whole training steps in genesis, PyTorch and tinygrad; compares the losses and the memory with PyTorch's.

python benchmarks/training.py                    # everything; about half an hour, most of it tinygrad's compiling
python benchmarks/training.py --tasks mlp cnn    # some models
python benchmarks/training.py --quick            # 7 rounds, no tinygrad
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measure
import numpy as np
import training_tinygrad
from measure import Bar, Quartiles, Rounds, duration, stopwatch, table
from training_models import TASKS, Task

import genesis

NAME, TORCH, TINYGRAD = "genesis", "PyTorch", "tinygrad OpenCL"
SHORT, TORCH_SHORT = "genesis, bfloat16", "PyTorch, bfloat16"           # under autocast
COLOURS = {NAME: "#d1495b", SHORT: "#e58a95", TORCH: "#1d5c88", TORCH_SHORT: "#a3cbe6", TINYGRAD: "#7a9e3f"}
PEERS = [SHORT, TORCH, TORCH_SHORT, TINYGRAD]
MEMORY, FASTER = 1.1, 5.0            # limits: peak memory by PyTorch's; how many times faster than tinygrad
STEPS_COMPARED = 50
DRIFT = 1e-5                         # largest difference of the losses in those steps, by the first loss; or
CHAOS = 3.0                          # so many times what PyTorch's own differ by, after one rounding of its weights


class Trainer:
    """A model, its optimizer and batches in a library with PyTorch's interface."""

    def __init__(self, lib: Any, task: Task, tensor: Callable[[np.ndarray], Any], state: dict[str, np.ndarray] | None,
                 batches: int = 1, precision: Callable[[], Any] = contextlib.nullcontext, **optimizer: Any):
        lib.manual_seed(0)
        self.precision = precision
        self.model = task.build(lib)
        if state is not None:
            self.model.load_state_dict({name: tensor(value) for name, value in state.items()})
        kind, options = task.optimizer
        self.optimizer = getattr(lib.optim, kind)(self.model.parameters(), **options, **optimizer)
        self.loss = lib.nn.CrossEntropyLoss()
        rng = np.random.default_rng(1)
        self.batches = [tuple(tensor(a) for a in task.batch(rng)) for _ in range(batches)]
        self.step = 0

    def train(self) -> Any:
        """One step; returns the loss, a tensor."""
        inputs, targets = self.batches[self.step % len(self.batches)]
        self.step += 1
        self.optimizer.zero_grad()
        with self.precision():
            loss = self.loss(self.model(inputs), targets)
        loss.backward()
        self.optimizer.step()
        return loss


def torch_trainer(task: Task, batches: int = 1, short: bool = False) -> Trainer:
    """PyTorch on the CPU, with its fused optimizer; in bfloat16 under autocast if ``short``."""
    import torch

    precision = (lambda: torch.autocast("cpu", torch.bfloat16)) if short else contextlib.nullcontext
    return Trainer(torch, task, lambda a: torch.from_numpy(np.array(a)), None, batches, precision, fused=True)


def genesis_trainer(device: Any, task: Task, state: dict[str, np.ndarray] | None, batches: int = 1,
                    short: bool = False) -> Trainer:
    """Genesis on the device; in bfloat16 under autocast if ``short``."""
    genesis.set_default_device(device)
    return Trainer(genesis, task, lambda a: genesis.tensor(a, device=device), state, batches,
                   genesis.autocast if short else contextlib.nullcontext)


def initial_state(task: Task) -> dict[str, np.ndarray]:
    """The weights with which PyTorch starts."""
    return {name: value.numpy().copy() for name, value in torch_trainer(task).model.state_dict().items()}


def nudge(model: Any) -> None:
    """Change PyTorch's weights by about one rounding."""
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1 + 2.0 ** -24 * torch.randn(p.shape, generator=generator))


def compare_losses(device: Any, task: Task) -> dict[str, Any]:
    """The losses of some steps from the same weights on the same batches."""
    batches, state = min(STEPS_COMPARED, 10), initial_state(task)
    ours, theirs = genesis_trainer(device, task, state, batches), torch_trainer(task, batches)
    pairs = [(ours.train().item(), theirs.train().item()) for _ in range(STEPS_COMPARED)]
    short = genesis_trainer(device, task, state, batches, short=True)
    in_short = [short.train().item() for _ in range(STEPS_COMPARED)]
    drift = max(abs(a - b) for a, b in pairs) / pairs[0][1]
    nudged = torch_trainer(task, batches)
    nudge(nudged.model)
    own = max(abs(nudged.train().item() - b) for _, b in pairs) / pairs[0][1]
    print(f"losses of {STEPS_COMPARED} steps: {pairs[0][1]:.4f} to {pairs[-1][1]:.4f}; they differ by at most "
          f"{drift:.1e} of the first, PyTorch's after one rounding of its weights by {own:.1e}")
    last = slice(-batches, None)
    means = [float(np.mean([a for a, _ in pairs][last])), float(np.mean(in_short[last]))]
    print(f"mean of the last {batches}: {means[0]:.4f}, in bfloat16 {means[1]:.4f}")
    return {"losses": pairs, "drift": drift, "drift_of_torch_itself": own, "losses_in_bfloat16": in_short}


def peak_growth(library: str, key: str, device: Any) -> int:
    """Bytes by which a process' memory grows at the most while it builds a model and trains a few steps."""
    out = subprocess.run([sys.executable, __file__, "--memory-of", library, "--tasks", key, "--device", str(device)],
                         capture_output=True, text=True, check=True).stdout
    return int(json.loads(out.splitlines()[-1]))


def _resident(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}")


def measure_own_memory(library: str, key: str, device: Any) -> None:
    """Print the growth of this process; what `peak_growth` asks another process to do."""
    task = TASKS[key]
    if library in (TORCH, TORCH_SHORT):
        import torch

        (torch.ones(8, 8) @ torch.ones(8, 8)).sum().item()
    else:
        (genesis.ones(8, 8, device=device) @ genesis.ones(8, 8, device=device)).sum().item()
    Path("/proc/self/clear_refs").write_text("5")              # forgets the highest value so far
    before = _resident("VmRSS")
    short = library in (SHORT, TORCH_SHORT)
    trainer = torch_trainer(task, short=short) if library in (TORCH, TORCH_SHORT) else genesis_trainer(
        device, task, None, short=short)
    for _ in range(5):
        trainer.train().item()
    print(_resident("VmHWM") - before)


def compare(device: Any, key: str, rounds: int, names: list[str]) -> dict[str, Any]:
    """One model, all peers in turns."""
    task = TASKS[key]
    print(f"\n{task.title}")
    found: dict[str, Any] = {"task": key, "title": task.title, "skipped": {}}
    steps: dict[str, Callable[[], float]] = {}
    for name in names:
        try:
            if name in (NAME, SHORT):
                steps[name] = stopwatch(genesis_trainer(device, task, None, short=name == SHORT).train, device.finish)
            elif name in (TORCH, TORCH_SHORT):
                steps[name] = stopwatch(torch_trainer(task, short=name == TORCH_SHORT).train, lambda: None)
            else:
                inputs, targets = task.batch(np.random.default_rng(1))
                steps[name] = stopwatch(*training_tinygrad.training_step(device, key, task.optimizer, inputs, targets))
        except Exception as error:
            if name == NAME:
                raise
            found["skipped"][name] = f"{type(error).__name__}: {error}"
    for run in steps.values():
        run()
        run()
    measured = Rounds()
    measured.run(steps, rounds, burst=3)
    found |= measured.report(NAME)
    steps.clear()
    measure.release(device)
    print(table(["", "a step", "genesis / it"], [
        [name, duration(peer["seconds"]["median"]), "{median:.3f} ({low:.3f} – {high:.3f})".format(**peer["ratio"])]
        for name, peer in found["peers"].items()]))
    for name, reason in found["skipped"].items():
        print(f"  {name} left out: {reason}")
    if TORCH in found["peers"]:
        found |= compare_losses(device, task)
        if Path("/proc/self/clear_refs").exists():
            found["memory"] = {name: peak_growth(name, key, device) for name in names if name != TINYGRAD}
            print("memory: " + ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in found["memory"].items()))
    return found


def goals(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What has to be reached, and whether it was."""
    found = []

    def goal(text: str, limit: float, value: float, at_least: bool = False) -> None:
        found.append({"goal": text, "limit": limit, "value": value, "at_least": at_least,
                      "reached": value >= limit if at_least else value <= limit})

    for result in results:
        task, peers = TASKS[result["task"]], result["peers"]
        if TORCH in peers:
            goal(f"{task.title}: a step by PyTorch's", task.limit, peers[TORCH]["ratio"]["median"])
            goal("the same: largest difference of the losses, by the first", max(
                DRIFT, CHAOS * result["drift_of_torch_itself"]), result["drift"])
        if "memory" in result:
            goal("the same: peak memory by PyTorch's", MEMORY, result["memory"][NAME] / result["memory"][TORCH])
        if TINYGRAD in peers:
            goal("the same: tinygrad's time by genesis'", FASTER, 1 / peers[TINYGRAD]["ratio"]["median"], True)
    print("\nGoals")
    print(table(["", "limit", "measured", ""], [
        [g["goal"], f"{'≥' if g['at_least'] else '≤'} {g['limit']:g}", f"{g['value']:.3g}",
         "reached" if g["reached"] else "NOT REACHED"] for g in found]))
    return found


def main() -> None:
    """Measure, print, write JSON and PNG."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--peers", nargs="+", choices=PEERS, help="beside genesis; all unless --quick")
    parser.add_argument("--repeat", type=int, help="rounds; 15, with --quick 7")
    parser.add_argument("--device", help="as for genesis.device()")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="folder for JSON and PNG")
    parser.add_argument("--quick", action="store_true", help="7 rounds, no tinygrad")
    parser.add_argument("--memory-of", choices=[NAME, *PEERS], help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    device = genesis.device(chosen.device)
    if chosen.memory_of:
        measure_own_memory(chosen.memory_of, chosen.tasks[0], device)
        return
    names = [NAME, *(chosen.peers or [name for name in PEERS if name != TINYGRAD or not chosen.quick])]
    rounds = chosen.repeat or (7 if chosen.quick else 15)
    results: dict[str, Any] = {"machine": measure.machine(device), "rounds": rounds}
    print(measure.headline(results["machine"]))
    if (measure.load_average() or 0) > 0.5:
        print(f"Other work runs on this machine (load {measure.load_average()}): times are too long and vary.")
    results["tasks"] = [compare(device, key, rounds, names) for key in chosen.tasks]
    results["goals"] = goals(results["tasks"])
    results["load_at_end"] = measure.load_average()
    print(measure.save(chosen.out, "training", results))
    bars = [Bar("a training step", result["title"], name, Quartiles(**peer["seconds"]))
            for result in results["tasks"] for name, peer in result["peers"].items()]
    print(measure.chart(chosen.out / "training.png", "Training steps", measure.headline(results["machine"]), bars,
                        COLOURS))


if __name__ == "__main__":
    main()
