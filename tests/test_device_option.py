"""``pytest --device``: the suite on devices by name, several in one command."""

import os
import re
import subprocess
import sys

from helpers import ROOT

import genesis

USABLE = [str(d) for d in genesis.devices() if d.quirks.rank >= 0]


def run(*arguments):
    arguments = [*arguments, "--collect-only", "tests/test_architecture.py"]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "GENESIS_DEVICE"))}
    done = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments], cwd=ROOT, env=env,
                          text=True, capture_output=True, check=False)
    return done.returncode, re.findall(r"^device: (\S+),", done.stdout, re.MULTILINE), done.stdout + done.stderr


def test_one_device_is_used():
    code, devices, output = run("--device", USABLE[-1])
    assert code == 0, output
    assert devices == USABLE[-1:]


def test_several_devices_are_tested_one_after_the_other_and_any_may_fail():
    code, devices, output = run("--device", "all", f"--device={USABLE[0]}", "--device", "no such thing")
    assert code == 4, output
    assert devices == USABLE
    assert all(f"{name}: passed" in output for name in USABLE)
    assert "no such thing: FAILED" in output
