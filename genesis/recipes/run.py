"""What surrounds every recipe's training loop: settings checked, files written, figures said and kept."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import genesis
from genesis import nn
from genesis.optim import OPTIMIZERS, Optimizer
from genesis.optim.lr_scheduler import LRScheduler

from .curves import Curves, Panel


def check_count(**values: Any) -> None:
    """``ValueError`` unless each value is a whole number of at least 1."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")


def make_optimizer(name: str, params: Iterable[Any], lr: float | None,
                   usual: dict[str, dict[str, Any]]) -> Optimizer:
    """The optimizer of a name in `genesis.optim.OPTIMIZERS`.

    Args:
        name: such as ``"adamw"``.
        params: what it is to update: parameters, or groups of them.
        lr: the learning rate; if None the recipe's usual one, else the optimizer's own.
        usual: name -> arguments that the recipe gives unasked.

    Raises:
        ValueError: there is no such optimizer, or the learning rate is out of range.
    """
    if name not in OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {name!r}")
    arguments = dict(usual.get(name, {}))
    if lr is not None:
        arguments["lr"] = lr
    return OPTIMIZERS[name](params, **arguments)


class Run:
    """One run of a recipe: its device, its folder, its learning curves and what it says.

    Making one seeds the random numbers and makes the folder.

    Args:
        config: the recipe's settings, ``seed`` among them; they go into the checkpoint.
        along: what the curves run along, ``"epoch"``.
        device: as `genesis.device` takes it; becomes the default device. None: the default device.
        out: the folder for the files.
        quiet: say nothing.

    Attributes:
        curves: the learning curves, to which the recipe adds rows.
        checkpoint, csv, png: where the files go; ``png`` is None when it could not be drawn.
        seconds: how long the run has taken so far.

    Raises:
        genesis.NoDeviceError: there is no such device.
        OSError: the folder cannot be made or written to.
    """

    def __init__(self, config: dict[str, Any], along: str, device: str | None, out: str | os.PathLike[str],
                 quiet: bool):
        lr = config["lr"]
        if lr is not None and not (math.isfinite(lr) and lr >= 0):
            raise ValueError(f"lr must be finite and not negative, got {lr!r}")
        self._began = time.perf_counter()
        self._config, self._quiet = config, quiet
        if device is not None:
            genesis.set_default_device(device)
        self.device = genesis.device()
        self._programs = self.device.programs
        self._before = len(self._programs.compiled), len(self._programs.loaded)
        genesis.manual_seed(config["seed"])
        self.curves = Curves(along)
        folder = Path(out)
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(20, "this is not a folder", str(folder))
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "the folder cannot be written to", str(folder))
        self.checkpoint, self.csv = folder / "checkpoint.safetensors", folder / "curves.csv"
        self.png: Path | None = folder / "curves.png"
        self._earlier = self._identity()                # of a checkpoint that another run left here

    def say(self, text: str) -> None:
        """Print a line, unless the run is quiet."""
        if not self._quiet:
            print(text, flush=True)

    def introduce(self, data: str, model: nn.Module, optimizer: Optimizer) -> None:
        """Say where, on what and with what the run trains."""
        device = self.device
        self.say(f"device: {device}, {device.name} ({device.platform}), {device.compute_units} compute units")
        self.say(f"data: {data}")
        self.say(f"model: {sum(p.numel() for p in model.parameters()):,} parameters; {type(optimizer).__name__}, "
                 f"learning rate {optimizer.param_groups[0].get('initial_lr', optimizer.param_groups[0]['lr']):g}")

    def save(self, model: nn.Module, optimizer: Optimizer, scheduler: LRScheduler) -> None:
        """Write the checkpoint: all that is needed to go on, or to use the model."""
        place = {self.curves.along: self.curves.rows[-1][self.curves.along]}
        genesis.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(),
                      "scheduler": scheduler.state_dict(), "rng": genesis.get_rng_state(), "config": self._config,
                      "curves": self.curves.rows, **place}, self.checkpoint)

    def interrupted(self) -> None:
        """Say what is left of a run that was broken off.

        The file itself is asked: the run may have been broken off right after it appeared.
        """
        if self.curves.rows:
            self.curves.write_csv(self.csv)
        if self._identity() == self._earlier:
            self.say("\ninterrupted before the first checkpoint")
            return
        along = self.curves.along
        place = genesis.load(self.checkpoint)[along]
        self.say(f"\ninterrupted; the checkpoint of {along} {place} is kept: {self.checkpoint}")

    def _identity(self) -> tuple[int, int] | None:
        """Which file the checkpoint is; None without one."""
        try:
            found = self.checkpoint.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self._began

    @property
    def compiled(self) -> int:
        """How many programs of kernels the run compiled from source."""
        return len(self._programs.compiled) - self._before[0]

    @property
    def loaded(self) -> int:
        """How many it loaded ready from the cache on disk."""
        return len(self._programs.loaded) - self._before[1]

    def finish(self, speed: str, heading: str, panels: list[Panel]) -> None:
        """Write the curves, and say how fast it was and where everything is."""
        self.curves.write_csv(self.csv)
        if self.png is not None and not self.curves.draw(self.png, heading, panels):
            self.png = None
        self.say(f"speed: {speed} in training; {self.seconds:.1f} s in all")
        self.say(f"kernels: {self.compiled} compiled, {self.loaded} loaded from the cache")
        self.say(f"checkpoint: {self.checkpoint}")
        self.say(f"learning curves: {self.png}, {self.csv}" if self.png else
                 f'learning curves: {self.csv} (to draw them too: pip install "genesis-cl[recipes]")')
