"""Checks that training gives the same bits however its launches are queued, and however often it is run."""

from __future__ import annotations

import contextlib

import numpy as np

import genesis
from genesis import nn
from genesis.opencl.program import waiting

from .bench import Bench, Checks

TRAINING = Checks()


def bits(device: genesis.Device, waits: bool, steps: int, width: int) -> np.ndarray:
    """Train a small network for some steps; returns losses and parameters, one after the other."""
    genesis.manual_seed(1)
    rng = np.random.default_rng(1)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                          nn.Linear(4 * 16, width), nn.GELU(), nn.LayerNorm(width), nn.Dropout(0.2),
                          nn.Linear(width, 10))
    optimizer = genesis.optim.AdamW(model.parameters(), lr=1e-2, max_grad_norm=1.0)
    losses = []
    with waiting() if waits else contextlib.nullcontext():
        for _ in range(steps):
            x = genesis.tensor(rng.standard_normal((17, 1, 8, 8)).astype(np.float32), device=device)
            target = genesis.tensor(rng.integers(0, 10, 17), device=device)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), target)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
    parts = [x.numpy().ravel() for x in (*losses, *(p.detach() for p in model.parameters()))]
    return np.concatenate([part.astype(np.float32) for part in parts]).view(np.uint32)


@TRAINING.add("training, asynchronous and waited")
def training(b: Bench) -> None:
    """The bits after some steps are the same with asynchronous launches, with waited ones, and when repeated."""
    steps, width = (1, 9) if b.small else (12, 65)
    waited = bits(b.device, True, steps, width)
    b.compare("losses and parameters are finite", np.isfinite(waited.view(np.float32)), np.ones(waited.size, bool), 0)
    for turn in range(1 if b.small else 3):
        b.compare(f"asynchronous run {turn + 1} has the bits of the waited one",
                  bits(b.device, False, steps, width), waited, 0)
