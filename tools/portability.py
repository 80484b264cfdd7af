"""Runs tests on a device and records what came of it, for the site's page on portability.

    python -m tools.portability [--device NAME] [--record NAME] [TEST...]

The record goes to ``docs/data/portability``; the site shows a row for each. Tests are pytest's arguments, all of
``tests`` by default, and the record says which they were.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime
from pathlib import Path

from tools.notebooks import ROOT


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.portability", description=__doc__.split("\n")[0])
    parser.add_argument("--device", help="as GENESIS_DEVICE takes it; default: the one that genesis chooses")
    parser.add_argument("--record", help="name of the record; default: the platform's")
    parser.add_argument("tests", nargs="*", default=["tests"])
    options = parser.parse_args(arguments)
    if options.device:
        os.environ["GENESIS_DEVICE"] = options.device
    import genesis

    device = genesis.device().describe()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        code = subprocess.run([sys.executable, "-m", "pytest", "-q", f"--junit-xml={report}", *options.tests],
                              cwd=ROOT).returncode
        if not report.is_file():
            return code
        suite = next(ElementTree.parse(report).getroot().iter("testsuite")).attrib
    count, skipped = int(suite["tests"]), int(suite["skipped"])
    failed = int(suite["failures"]) + int(suite["errors"])
    run = {"date": datetime.now(UTC).date().isoformat(), "genesis": genesis.__version__,
           "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
           "device": {"platform": device["platform"], "name": device["name"],
                      "version": f"{' '.join(device['platform_version'].split()[:2])}, driver {device['driver']}"},
           "tests": " ".join(options.tests), "passed": count - skipped - failed, "failed": failed, "skipped": skipped}
    name = options.record or "".join(c if c.isalnum() else "-" for c in device["platform"].lower()).strip("-")
    target = ROOT / "docs" / "data" / "portability" / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(target)
    return code


if __name__ == "__main__":
    sys.exit(main())
