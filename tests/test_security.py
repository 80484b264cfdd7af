"""What ``SECURITY.md`` promises and no other test covers: no network, no pickle, bounded dependencies."""

import re
import tomllib

from helpers import ROOT, run_python

TRAIN = """
    import sys

    def refuse(what):
        def refused(*arguments, **options):
            raise AssertionError(f"{what} was used")
        return refused

    import pickle, socket
    for name in ("connect", "connect_ex", "bind", "sendto"):
        setattr(socket.socket, name, refuse(f"socket.{name}"))
    socket.create_connection = socket.getaddrinfo = refuse("socket")

    def audit(event, arguments):
        if event.startswith(("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "urllib.Request",
                             "pickle.find_class")):
            print("used", event, arguments, file=sys.stderr)
            raise AssertionError(event)

    sys.addaudithook(audit)
    for name in ("load", "loads", "dump", "dumps"):
        setattr(pickle, name, refuse(f"pickle.{name}"))

    import os, tempfile
    import numpy as np
    import genesis
    from genesis import nn
    from genesis.data import DataLoader, datasets
    from genesis.recipes import digits

    with tempfile.TemporaryDirectory() as folder:
        digits.train(epochs=1, out=folder)
        found = genesis.load(os.path.join(folder, "checkpoint.safetensors"))
        assert found["epoch"] == 1
    print(len(genesis.devices()) > 0)
"""


def test_importing_training_and_saving_use_no_network_and_no_pickle():
    assert run_python(TRAIN).splitlines()[-1] == "True"


def test_the_guards_of_that_test_would_notice():
    head = TRAIN.split("    import os, tempfile")[0]
    assert "socket" in run_python(head + "\n    socket.create_connection(('127.0.0.1', 9))\n", fails=True)
    assert "socket.connect" in run_python(head + "\n    socket.socket().connect(('127.0.0.1', 9))\n", fails=True)
    assert "pickle.loads" in run_python(head + "\n    pickle.loads(b'')\n", fails=True)


def test_dependencies_have_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for line in project["dependencies"]:
        assert re.fullmatch(r"[\w-]+>=[\d.]+,<\d+", line), f"{line}: give a lower bound and an upper one"
    for extra, lines in project["optional-dependencies"].items():
        for line in lines:
            assert re.search(r">=|genesis-cl\[", line), f"{extra}: {line} has no lower bound"
