"""Measures by how much the results of this machine's devices differ, for the site's page on portability.

    python -m tools.differences [--record NAME]

The same operations on the same numbers, and the same small models trained on the same data from the same parameters,
on every device that genesis finds. The record goes to ``docs/data/differences``.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np

import genesis
from genesis import nn
from genesis.data import datasets
from tools.notebooks import ROOT

STEPS = (1, 10, 100)
F = nn.functional


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _layer_norm(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


# name -> (on a tensor, on a float64 array, interval of the arguments, the size that errors are taken by: None for that
# of each result, a number where results near 0 are differences of larger ones)
OPERATIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], tuple[float, float], float | None]] = {
    "exp": (lambda x: x.exp(), np.exp, (-10, 10), None),
    "log": (lambda x: x.log(), np.log, (2, 1000), None),
    "tanh": (lambda x: x.tanh(), np.tanh, (-4, 4), None),
    "sin": (lambda x: x.sin(), np.sin, (-10, 10), 1),
    "sqrt": (lambda x: x.sqrt(), np.sqrt, (0, 1000), None),
    "x / 3": (lambda x: x / 3, lambda x: x / 3, (-10, 10), None),
    "pow": (lambda x: x ** 2.5, lambda x: x ** 2.5, (0.1, 10), None),
    "sum": (lambda x: x.sum(-1), lambda x: x.sum(-1), (0.5, 2), None),
    "cumsum": (lambda x: x.cumsum(-1), lambda x: x.cumsum(-1), (0.5, 2), None),
    "softmax": (lambda x: x.softmax(-1), _softmax, (-5, 5), None),
    "layer_norm": (lambda x: F.layer_norm(x, x.shape[-1:]), _layer_norm, (-3, 3), 1),
    "matmul": (lambda x: x @ x.T, lambda x: x @ x.T, (0.5, 2), None),
}


def ulps(found: np.ndarray, expected: np.ndarray, size: float | None = None) -> float:
    """The largest difference, in units in the last place of float32 at the expected values, or at a size."""
    unit = np.spacing(np.abs(expected if size is None else np.maximum(np.abs(expected), size)).astype(np.float32))
    return float(np.max(np.abs(found.astype(np.float64) - expected) / unit))


def operations(devices: list[genesis.Device]) -> dict[str, Any]:
    """For each operation the error of each device, and the largest difference between two, in ULPs."""
    result = {}
    for name, (function, reference, interval, size) in OPERATIONS.items():
        x = np.random.default_rng(0).uniform(*interval, (257, 1003)).astype(np.float32)
        expected = reference(x.astype(np.float64))
        found = [function(genesis.tensor(x, device=device)).numpy() for device in devices]
        between = [ulps(a, b.astype(np.float64), size) for i, a in enumerate(found) for b in found[:i]]
        result[name] = {"errors": [ulps(y, expected, size) for y in found], "between": max(between, default=0.0)}
    return result


def _perceptron() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 65), nn.GELU(), nn.LayerNorm(65), nn.Linear(65, 10))


def _convolutional() -> nn.Module:
    # Without a bias before the normalization, whose gradient is zero but for rounding.
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(128, 10))


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[Any], Any]]] = {
    "perceptron, SGD": (_perceptron, lambda p: genesis.optim.SGD(p, lr=0.1, momentum=0.9)),
    "perceptron, AdamW": (_perceptron, lambda p: genesis.optim.AdamW(p, lr=1e-3)),
    "convolutional, AdamW": (_convolutional, lambda p: genesis.optim.AdamW(p, lr=1e-3)),
}


def train(device: genesis.Device, build: Callable[[], nn.Module], optimizer_of: Callable[[Any], Any]) -> list[Any]:
    """Loss, and all parameters as one float64 vector, after each of `STEPS` steps on the digits."""
    genesis.manual_seed(0)
    model = build()
    rng = np.random.default_rng(0)
    with genesis.no_grad():                  # from NumPy, so that no device's functions have a part in them
        for p in model.parameters():
            if p.ndim > 1:
                bound = (3 / np.prod(p.shape[1:])) ** 0.5
                p.copy_(genesis.tensor(rng.uniform(-bound, bound, tuple(p.shape)).astype(np.float32)))
    model.to(device)
    optimizer = optimizer_of(model.parameters())
    images, labels = (x.numpy() for x in datasets.digits().tensors)
    marks = []
    for i in range(max(STEPS)):
        chosen = rng.integers(0, len(labels), 64)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(genesis.tensor(images[chosen], device=device)),
                               genesis.tensor(labels[chosen], device=device))
        loss.backward()
        optimizer.step()
        if i + 1 in STEPS:
            vector = np.concatenate([p.detach().numpy().astype(np.float64).reshape(-1) for p in model.parameters()])
            marks.append((loss.item(), vector))
    return marks


def training(devices: list[genesis.Device]) -> dict[str, Any]:
    """For each model and number of steps, how far each device is from the first: in its loss, and its parameters."""
    result = {}
    for name, (build, optimizer_of) in MODELS.items():
        runs = [train(device, build, optimizer_of) for device in devices]
        result[name] = [{"steps": steps, "loss": first[0],
                         "losses": [abs(run[k][0] - first[0]) for run in runs],
                         "parameters": [float(np.linalg.norm(run[k][1] - first[1]) / np.linalg.norm(first[1]))
                                        for run in runs]}
                        for k, (steps, first) in enumerate(zip(STEPS, runs[0]))]
    return result


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.differences", description=__doc__.split("\n")[0])
    parser.add_argument("--record", default="differences", help="name of the record")
    options = parser.parse_args(arguments)
    devices = genesis.devices()
    described = [device.describe() for device in devices]
    record = {"date": datetime.now(UTC).date().isoformat(),
              "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
              "devices": [{"platform": d["platform"], "name": d["name"], "driver": d["driver"]} for d in described],
              "operations": operations(devices), "training": training(devices)}
    target = ROOT / "docs" / "data" / "differences" / f"{options.record}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
