"""The examples in docstrings."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import genesis

pytestmark = pytest.mark.skipif(not (genesis.device().fp64 and genesis.device().quirks.host_memory), reason=(
    "examples are written for a device with float64 that shares the host's memory"))

def examples():
    """The docstrings with examples of every module, as doctests."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    names = ["genesis", *(m.name for m in pkgutil.walk_packages(genesis.__path__, "genesis.")
                          if not m.name.endswith("__main__"))]
    for name in names:
        module = importlib.import_module(name)
        yield from (found for found in finder.find(module, extraglobs={"genesis": genesis, "np": np}) if found.examples)


@pytest.mark.parametrize("example", list(examples()), ids=lambda example: example.name)
def test_examples_show_what_happens(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state = genesis.get_rng_state()
    failed, _ = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example)
    genesis.set_rng_state(state)
    assert not failed, "see the output above"


@pytest.mark.parametrize("name", genesis.optim.ALGORITHMS)
def test_every_optimizer_has_an_example(name):
    assert ">>> " in genesis.optim.ALGORITHMS[name].__doc__
