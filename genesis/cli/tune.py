"""``genesis tune``: measures how a device multiplies matrices fastest and keeps the result."""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import genesis
from genesis.ops import matmul_tiles
from genesis.ops.array import Array
from genesis.ops.matmul import forget_plans, product, transposed
from genesis.ops.matmul_tiles import Tiles

# m, k, n, whether B is transposed: square, a wide layer, attention's and a batch of an image classifier's.
SHAPES = ((512, 512, 512, False), (1024, 1024, 1024, False), (2048, 384, 1152, True), (128, 784, 512, True))
FINALISTS = 4
GAIN = 0.98               # a choice has to be this much quicker than the table's to replace it


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "tune", help="measure how the device multiplies matrices fastest",
        description="Multiply matrices in blocks of several sizes, and use the quickest sizes from now on. It takes "
                    "about a minute, in which nothing else should run. The choice is kept in the cache folder.")
    parser.add_argument("--device", metavar="NAME", help="which device, as GENESIS_DEVICE takes it; else the default")
    parser.add_argument("--rounds", metavar="N", type=int, default=7,
                        help="measurements of each finalist; default: %(default)s")
    parser.add_argument("--reset", action="store_true", help="forget what was measured; use genesis' own sizes again")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Tune, or forget; returns the exit status."""
    device = genesis.device(arguments.device)
    if arguments.reset:
        kept = matmul_tiles.keep(device, None)
        print(f"{device} ({device.name}): genesis' own sizes again, {matmul_tiles.tiles_for(device)}")
        return 0 if kept else 2
    if arguments.rounds < 1:
        raise ValueError(f"--rounds must be at least 1, not {arguments.rounds}")
    choices = matmul_tiles.candidates(device)
    if not choices:
        print(f"{device} ({device.name}): nothing to tune; products do not go by blocks of the cache there")
        return 0
    operands = [_operands(device, *shape) for shape in SHAPES]
    print(f"{device} ({device.name}): {len(choices)} choices of block sizes to try")
    first = {tiles: _seconds(device, tiles, operands, 1) for tiles in choices}
    base = first[choices[0]]
    order = sorted(choices, key=lambda tiles: _relative(first[tiles], base))
    finalists = list(dict.fromkeys([choices[0], *order[:FINALISTS]]))
    ratios: dict[Tiles, list[float]] = {tiles: [] for tiles in finalists}
    for _ in range(arguments.rounds):
        found = {tiles: _seconds(device, tiles, operands, 2) for tiles in finalists}
        for tiles in finalists:
            ratios[tiles].append(_relative(found[tiles], found[choices[0]]))
    medians = {tiles: statistics.median(values) for tiles, values in ratios.items()}
    for tiles in sorted(finalists, key=medians.__getitem__):
        print(f"  {medians[tiles]:.3f} of the time that genesis' own sizes take: {tiles}")
    best = min(finalists, key=medians.__getitem__)
    if medians[best] > GAIN:
        best = choices[0]
    forget_plans()
    if not matmul_tiles.keep(device, best):
        print("the cache folder cannot be written, so the choice is lost")
        return 2
    print("kept: " + ("genesis' own sizes" if best == choices[0] else str(best)))
    return 0


def _operands(device: genesis.Device, m: int, k: int, n: int, turned: bool) -> tuple[Array, Array]:
    a = genesis.rand(m, k, device=device)._array
    b = genesis.rand(*((n, k) if turned else (k, n)), device=device)._array
    return a, transposed(b) if turned else b


def _seconds(device: genesis.Device, tiles: Tiles, operands: list[tuple[Array, Array]], repeat: int) -> list[float]:
    """Seconds of each product, the least of a few."""
    result = []
    with matmul_tiles.using(device, tiles):
        forget_plans()
        for a, b in operands:
            product(a, b)                    # compiles
            device.finish()
            taken = []
            for _ in range(repeat + 1):
                start = time.perf_counter()
                product(a, b)
                device.finish()
                taken.append(time.perf_counter() - start)
            result.append(min(taken))
    forget_plans()
    return result


def _relative(seconds: list[float], base: list[float]) -> float:
    return statistics.geometric_mean(a / b for a, b in zip(seconds, base))
