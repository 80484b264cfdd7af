"""Workers end with the program, however it ends, and say nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")

HEAD = """
import os, sys, time
import data_worker_helpers as helpers
from genesis.data import DataLoader, default_collate

def show(*what):
    print(*what, flush=True)

if __name__ == "__main__":
"""


def start(tmp_path, body, guard=True):
    """Run a script, in a session of its own so that it can be sent what a terminal sends."""
    script = tmp_path / "script.py"
    head = HEAD if guard else HEAD.replace('if __name__ == "__main__":', "if True:")
    script.write_text(head + "".join(f"    {line}\n" for line in body.strip().splitlines()))
    here = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, [here.parents[1], here]))}
    return subprocess.Popen(
        [sys.executable, "-W", "error", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment,
        cwd=tmp_path,
    )


def members(session):
    """The living processes of a session: the script, its workers, and Python's helpers."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def assert_nobody_left(session):
    deadline = time.monotonic() + 10
    while left := members(session):
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.02)


def finish(process, returncode=0):
    output, errors = process.communicate(timeout=60)
    assert process.returncode == returncode, errors
    assert_nobody_left(process.pid)
    return output, errors


@pytest.mark.parametrize("method", ["forkserver", "fork"])
def test_nothing_is_left_or_said_at_exit_in_the_middle_of_an_epoch(tmp_path, method):
    body = f"""
kept = DataLoader(helpers.Squares(50), num_workers=1, persistent_workers=True, multiprocessing_context={method!r})
list(kept)
batches = iter(DataLoader(helpers.Squares(50), num_workers=2, multiprocessing_context={method!r}))
show(next(batches)[1].item())
"""
    if method == "fork":  # the device's threads make forking worth a warning in later Pythons
        body = "import warnings\nwarnings.simplefilter('ignore', DeprecationWarning)\n" + body
    assert finish(start(tmp_path, body)) == ("0\n", "")


def test_error_in_the_loop_leaves_nobody(tmp_path):
    body = """
for batch in DataLoader(helpers.Squares(50), num_workers=1):
    raise LookupError("in the loop")
"""
    _, errors = finish(start(tmp_path, body), returncode=1)
    assert errors.rstrip().endswith("LookupError: in the loop")
    assert errors.count("Traceback") == 1


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_ctrl_c_says_one_traceback_and_leaves_nobody(tmp_path, method):
    body = f"""
for batch in DataLoader(helpers.Slow(0.02), num_workers=2, multiprocessing_context={method!r}):
    show("batch")
    time.sleep(0.01)
"""
    process = start(tmp_path, body)
    assert process.stdout.readline() == "batch\n"
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does: to all of them
    _, errors = finish(process, returncode=-signal.SIGINT)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert errors.count("Traceback") == 1


def test_workers_end_when_the_parent_is_killed(tmp_path):
    process = start(tmp_path, "for batch in DataLoader(helpers.Slow(0.01), num_workers=1):\n    show('batch')")
    assert process.stdout.readline() == "batch\n"
    assert len(members(process.pid)) >= 2
    process.kill()
    process.communicate(timeout=60)
    assert_nobody_left(process.pid)


def test_a_hanging_dataset_does_not_outlive_the_program(tmp_path):
    body = """
import genesis.data.pool
genesis.data.pool.GRACE = 0.2
batches = iter(DataLoader(helpers.Slow(1000), num_workers=1))
show("begun")
"""
    assert finish(start(tmp_path, body)) == ("begun\n", "")


def test_script_without_a_guard_is_told_what_to_do(tmp_path):
    body = "for batch in DataLoader(helpers.Squares(4), num_workers=1, multiprocessing_context='spawn'):\n    pass"
    _, errors = finish(start(tmp_path, body, guard=False), returncode=1)
    assert 'if __name__ == "__main__":' in errors.rpartition("RuntimeError")[2]


def test_import_of_the_package_starts_nothing(tmp_path):
    body = "import multiprocessing, threading\nshow(multiprocessing.active_children(), threading.active_count())"
    assert finish(start(tmp_path, body)) == ("[] 1\n", "")
