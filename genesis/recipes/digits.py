"""Handwritten digits: a small network learns to read 8 x 8 pixels. ``genesis train digits`` runs this.

The data are the 1,797 images of the UCI handwritten digits, which are part of the package; 360 of them are held out
and only ever used to measure.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import genesis
from genesis import nn
from genesis.data import DataLoader, TensorDataset
from genesis.data.datasets import digits
from genesis.optim import Optimizer
from genesis.optim.lr_scheduler import CosineAnnealingLR

from .curves import Curves, Panel
from .progress import Progress
from .run import Run, check_count, make_optimizer

HIDDEN, DROPOUT = 128, 0.25
MEAN, STD = 0.305, 0.376      # of the training images' pixels
EPOCHS, BATCH_SIZE = 30, 64

# What an optimizer gets unasked; the learning rate is the first one, from which a cosine leads to 0.
USUAL: dict[str, dict[str, Any]] = {
    "sgd": {"lr": 0.1, "momentum": 0.9},
    "adafactor": {"lr": 0.1},
    "adagrad": {"lr": 0.06},
    "adam": {"lr": 0.01},
    "adamw": {"lr": 0.01},
    "adamax": {"lr": 0.02},
    "nadam": {"lr": 0.01},
    "radam": {"lr": 0.02},
    "asgd": {"lr": 0.6},
    "lion": {"lr": 0.005},
    "rmsprop": {"lr": 0.004},
    "rprop": {"lr": 0.001},
}

PANELS = [
    Panel("cross-entropy loss", {"train_loss": "train", "test_loss": "test"}, log=True),
    Panel("accuracy", {"train_accuracy": "train", "test_accuracy": "test"}, ".4f"),
]


@dataclass(frozen=True)
class Result:
    """What a training run gave.

    Attributes:
        accuracy: share of the 360 held-out images that are read correctly, at the end.
        loss: cross-entropy on the same images.
        curves: losses and accuracies after each epoch.
        images_per_second: training speed, without measuring and, given two epochs or more, without compiling.
        seconds: the whole run.
        compiled, loaded: programs of kernels compiled in this run, and loaded from the cache on disk.
        checkpoint, csv, png: the files written; ``png`` is None without matplotlib.
        model: the trained network.
    """

    accuracy: float
    loss: float
    curves: Curves
    images_per_second: float
    seconds: float
    compiled: int
    loaded: int
    checkpoint: Path
    csv: Path
    png: Path | None
    model: nn.Module


def network() -> nn.Module:
    """The network: images (N, 1, 8, 8) to logits (N, 10).

    Its activation is smooth: rounding, which differs from device to device, then grows slowly over the steps, and
    devices come to the same accuracy.
    """
    return nn.Sequential(nn.Flatten(), nn.Linear(64, HIDDEN), nn.Tanh(), nn.Dropout(DROPOUT), nn.Linear(HIDDEN, 10))


def load_data(train: bool) -> tuple[genesis.Tensor, genesis.Tensor]:
    """Images (N, 1, 8, 8) with mean 0 and deviation 1, and labels (N,)."""
    images, labels = digits(train).tensors
    return (images - MEAN) / STD, labels


def train(optimizer: str = "adam", lr: float | None = None, epochs: int = EPOCHS, batch_size: int = BATCH_SIZE,
          seed: int = 0, device: str | None = None, out: str | os.PathLike[str] = "runs/digits",
          quiet: bool = False) -> Result:
    """Train the network and measure it on the held-out images.

    Args:
        optimizer: a name in `genesis.optim.OPTIMIZERS`.
        lr: the learning rate to begin with; None for one that suits the optimizer.
        epochs: how often to go through the training images.
        batch_size: images a step.
        seed: of everything random. The same seed on the same device gives the same network, bit for bit.
        device: where to train, as `genesis.device` takes it; it becomes the default device.
        out: folder for ``checkpoint.safetensors`` (written after every epoch), ``curves.csv`` and ``curves.png``.
        quiet: print nothing.

    Raises:
        ValueError: a setting out of range.
        genesis.NoDeviceError: there is no such device.
        OSError: ``out`` cannot be written to.
    """
    check_count(epochs=epochs, batch_size=batch_size)
    run = Run({"recipe": "digits", "optimizer": optimizer, "lr": lr, "epochs": epochs, "batch_size": batch_size,
               "seed": seed}, "epoch", device, out, quiet)
    model = network()
    updater = make_optimizer(optimizer, model.parameters(), lr, USUAL)
    scheduler = CosineAnnealingLR(updater, T_max=epochs)
    images, labels = load_data(train=True)
    test_images, test_labels = load_data(train=False)
    loader = DataLoader(TensorDataset(images, labels), batch_size, shuffle=True)
    run.introduce(f"{len(images):,} images to train with, {len(test_images)} held out", model, updater)

    durations = []
    with Progress(epochs * len(loader), "training", quiet) as progress:
        try:
            for epoch in range(1, epochs + 1):
                start = time.perf_counter()
                train_epoch(model, loader, updater, progress)
                durations.append(time.perf_counter() - start)
                scheduler.step()
                train_loss, train_accuracy = evaluate(model, images, labels)
                loss, accuracy = evaluate(model, test_images, test_labels)
                run.curves.add(epoch=epoch, train_loss=train_loss, test_loss=loss, train_accuracy=train_accuracy,
                               test_accuracy=accuracy)
                run.save(model, updater, scheduler)
                progress.note(f"epoch {epoch}/{epochs}", f"loss {train_loss:.4f}, test accuracy {accuracy:.4f}")
        except KeyboardInterrupt:
            run.interrupted()
            raise

    timed = durations[1:] or durations
    speed = len(images) * len(timed) / sum(timed)
    run.finish(f"{speed:,.0f} images a second",
               f"Handwritten digits, {type(updater).__name__}: test accuracy {accuracy:.4f}", PANELS)
    run.say(f"test accuracy {accuracy:.4f}")
    return Result(accuracy, loss, run.curves, speed, run.seconds, run.compiled, run.loaded, run.checkpoint, run.csv,
                  run.png, model)


def train_epoch(model: nn.Module, loader: DataLoader, optimizer: Optimizer, progress: Progress) -> None:
    """Go through the training images once."""
    criterion = nn.CrossEntropyLoss()
    model.train()
    for data, target in loader:
        optimizer.zero_grad()
        output = model(data)
        loss = criterion(output, target)
        loss.backward()
        optimizer.step()
        progress.advance()
    genesis.synchronize(target.device)


@genesis.no_grad()
def evaluate(model: nn.Module, images: genesis.Tensor, labels: genesis.Tensor) -> tuple[float, float]:
    """Loss and accuracy of a model on images."""
    model.eval()
    output = model(images)
    correct = (output.argmax(1) == labels).sum().item()
    return nn.functional.cross_entropy(output, labels).item(), correct / len(labels)
