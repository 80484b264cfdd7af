"""Draws the picture in README.md from runs on this machine's device.

    python -m tools.picture [TARGET]          the default is docs/assets/readme.png

To the left, optimizers in Rosenbrock's valley; to the right, the digits learned with each, with the learning rate that
did best on the training loss of a short run, as the notebooks do it.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tools.notebooks import NOTEBOOKS, ROOT

sys.path.insert(0, str(NOTEBOOKS / "algorithms"))
import common  # type: ignore[import-not-found]

import genesis
from genesis.optim import SGD, Adam, Lion, RMSprop


def main() -> None:
    """Draw it, and print what it shows."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "assets" / "readme.png"
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.7), width_ratios=(5, 4), dpi=150)
    kinds: dict[str, Callable[..., genesis.optim.Optimizer]] = {
        "SGD": SGD, "momentum": partial(SGD, momentum=0.9), "RMSprop": RMSprop, "Adam": Adam}
    rates = {"SGD": 1e-3, "momentum": 1e-3, "RMSprop": 0.02, "Adam": 0.3}
    valley = common.ROSENBROCK
    paths = {name: common.descend(partial(kind, lr=rates[name]), valley, valley.start, 500)
             for name, kind in kinds.items()}
    common.draw_paths(left, valley, paths, "500 steps in Rosenbrock's valley", markers=False)

    kinds["Lion"] = Lion
    grid = np.logspace(-4, 0, 9)
    for name, kind in kinds.items():
        best = min(grid, key=lambda lr: common.train(partial(kind, lr=lr), epochs=3).losses[-1])
        runs = [common.train(partial(kind, lr=best), epochs=12, seed=seed) for seed in range(5)]
        errors = 100 * (1 - np.mean([run.accuracies for run in runs], axis=0))
        right.plot(range(1, 13), errors, **common.line(name))
        print(f"{name}: learning rate {best:.3g}, {errors[-1]:.2f} % of the held-out digits wrong at the end")
    right.set(xlabel="epoch", ylabel="errors on held-out digits, %", title="Handwritten digits, mean of five seeds")
    common.plain_log(right)
    right.legend()
    drawn = io.BytesIO()
    figure.savefig(drawn)
    note = PngInfo()
    note.add_text("Description", f"genesis {genesis.__version__} on {genesis.device().name}")
    Image.open(drawn).convert("RGB").quantize(96, dither=Image.Dither.NONE).save(target, optimize=True, pnginfo=note)
    print(f"{target}: {target.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
