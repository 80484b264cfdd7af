"""Run by test_atomic.py in a process of its own: saves that are killed, and the files they leave.

Prints, as JSON, how many kills there were, how many files were neither old nor new, and how many saves were under way.
"""

import glob
import json
import os
import random
import signal
import sys
import time
import types

ROOT, PATH, MODE = sys.argv[1:4]
package = types.ModuleType("genesis")  # the package without its __init__, which would start OpenCL
package.__path__ = [os.path.join(ROOT, "genesis")]
sys.modules["genesis"] = package

import numpy as np  # noqa: E402

from genesis import serialization  # noqa: E402

STEPS = ["os.open", "os.fsync", "os.replace", "after os.replace", "os.close"]


def save(step):
    content = {name: np.full(40_000, step, np.float32) for name in "abc"}
    serialization.save({"step": step, **content}, PATH)


def saved():
    """The step in the file, or None if the file is not whole."""
    loaded = serialization.load(PATH)
    whole = all((loaded[name] == loaded["step"]).all() and loaded[name].size == 40_000 for name in "abc")
    return loaded["step"] if whole else None


def die_at(place):
    """Make the process end, as if killed, at a call of one system function."""
    function = getattr(os, place.split(".")[1])

    def dying(*arguments):
        if place.startswith("after"):
            function(*arguments)
        os._exit(9)

    setattr(os, place.split(".")[1], dying)


def random_kills(count):
    chance = random.Random(1)
    last, broken = 0, 0
    save(0)
    for _ in range(count):
        child = os.fork()
        if child == 0:
            for step in range(last + 1, last + 10_000):
                save(step)
            os._exit(0)
        time.sleep(chance.uniform(0.001, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        step = saved()
        broken += step is None or step < last
        last = step or last
    return {"kills": count, "broken": broken, "saves": last}


def kills_at_steps():
    broken = 0
    for old, place in enumerate(STEPS):
        save(old)
        child = os.fork()
        if child == 0:
            die_at(place)
            save(100)
            os._exit(0)
        os.waitpid(child, 0)
        broken += saved() != (100 if place in ("after os.replace", "os.close") else old)
    return {"kills": len(STEPS), "broken": broken, "saves": len(STEPS)}


result = random_kills(100) if MODE == "random" else kills_at_steps()
result["interrupted"] = len(glob.glob(os.path.join(glob.escape(os.path.dirname(PATH)), ".*.tmp")))
assert "pyopencl" not in sys.modules
print(json.dumps(result))
