"""``genesis devices``: what OpenCL offers on this machine."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from typing import Any

import genesis
from genesis.opencl import gpu_message, no_device_message


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "devices", help="show the OpenCL devices", description="Show the OpenCL devices and which one is the default.")
    parser.add_argument("--json", action="store_true", help="everything that is known, as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show the devices; 1 when there is none to work on, 2 when GENESIS_DEVICE names one that is not there."""
    found = genesis.devices()
    default, reason, status = choose()
    if arguments.json:
        listed = [{**device.describe(), "default": device is default} for device in found]
        print(json.dumps({"default": None if default is None else str(default), "reason": reason, "devices": listed},
                         indent=2))
        return status
    if found:
        print(table(found, default))
        print()
    for device in found:
        if device.quirks.warning:
            print(f"{device}: {device.quirks.warning}")
    print(f"default: {default}, {reason}" if default is not None else reason,
          file=sys.stdout if default is not None else sys.stderr)
    if default is not None and all(device.type != "gpu" for device in found):
        print(f"what a GPU needs to be found:\n  {gpu_message()}")
    return status


def choose() -> tuple[genesis.Device | None, str, int]:
    """The default device, why it is that one, and the exit status."""
    wanted = os.environ.get("GENESIS_DEVICE", "").strip()
    if not genesis.devices():
        return None, "no OpenCL device was found:\n  " + no_device_message(), 1
    try:
        default = genesis.device()
    except genesis.NoDeviceError as error:
        return None, str(error), 2 if wanted else 1
    if wanted:
        return default, f"because GENESIS_DEVICE is {wanted!r}", 0
    others = [d for d in genesis.devices() if d is not default and d.quirks.rank >= 0]
    if not others:
        alone = len(genesis.devices()) == 1
        return default, "the only device found" if alone else "the only device that can be trusted", 0
    if default.type == "gpu":
        kind = "an integrated GPU; there is no discrete one" if default.unified else "a discrete GPU"
        rivals = [d for d in others if d.quirks.rank == default.quirks.rank]
        return default, kind + (", the one with the most compute units" if rivals else ""), 0
    return default, "the best of the CPU's runtimes; no GPU has an OpenCL driver here", 0


def table(found: tuple[genesis.Device, ...], default: genesis.Device | None) -> str:
    """The devices as text, a line each; the default is marked by an asterisk."""
    rows: list[tuple[str, ...]] = [("", "device", "name", "platform", "OpenCL", "units", "memory", "fp16", "fp64",
                                    "subgroups")]
    rows += [("*" if d is default else "", str(d), d.name, d.platform, version(d), str(d.compute_units),
              f"{d.memory / 2**30:.1f} GiB", *("yes" if has else "no" for has in (d.fp16, d.fp64, d.subgroups)))
             for d in found]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def version(device: genesis.Device) -> str:
    """The number of the device's OpenCL version, and of the runtime where it tells: ``3.0 (PoCL 3.1+debian)``."""
    number = re.search(r"\d+\.\d+", device.version)
    runtime = re.search(r"PoCL \S+", device.platform_version)
    return (number[0] if number else "?") + (f" ({runtime[0]})" if runtime else "")
