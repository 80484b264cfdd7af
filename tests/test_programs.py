"""Whole programs as users write them, on real data; each asserts that it learned."""

import runpy
from pathlib import Path

import pytest

import genesis

FOLDER = Path(__file__).parent / "programs"
PROGRAMS = sorted(path for path in FOLDER.glob("*.py") if path.name != "real.py")


@pytest.fixture(autouse=True)
def as_users_start(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(genesis, "enable_autocast", False)


@pytest.mark.lengthy
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_program_learns(path):
    runpy.run_path(str(path), run_name="__main__")


def test_there_are_programs():
    assert len(PROGRAMS) >= 10
