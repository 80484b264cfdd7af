"""The cache of compiled kernels on disk, seen from new processes."""

import subprocess
import sys

import pytest
from helpers import ROOT, run_python

import genesis
from genesis.opencl import cache

WORK = """
    import genesis
    x = genesis.rand(33, 5, requires_grad=True)
    (x @ x.T).relu().sum().backward()
    programs = x.device.programs
    print(len(programs.compiled), len(programs.loaded))
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A cache that one process filled, and how many programs that took."""
    folder = tmp_path_factory.mktemp("cache")
    compiled, loaded = map(int, run_python(WORK, GENESIS_CACHE_DIR=folder).split())
    assert loaded == 0
    assert compiled > 3
    if not list((folder / "kernels").glob("*")):
        pytest.skip("the runtime gives no binaries")
    return folder, compiled


def test_a_second_process_compiles_nothing(filled):
    folder, count = filled
    assert run_python(WORK, GENESIS_CACHE_DIR=folder) == f"0 {count}\n"


@pytest.mark.lengthy
@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "garbage", "other file"])
def test_a_damaged_file_is_compiled_again(filled, damage):
    folder, count = filled
    files = sorted((folder / "kernels").iterdir())
    victim, whole = files[0], files[0].read_bytes()
    middle = len(whole) // 2
    victim.write_bytes({"empty": b"", "cut": whole[:middle], "garbage": b"\0" * 100,
                        "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1:],
                        "other file": b"genesis kernel 1\n" + b"x" * 32}[damage])
    assert run_python(WORK, GENESIS_CACHE_DIR=folder) == f"1 {count - 1}\n"
    assert run_python(WORK, GENESIS_CACHE_DIR=folder) == f"0 {count}\n"


@pytest.mark.skipif(genesis.device().platform == "rusticl", reason="rusticl stops the process on a foreign binary")
def test_a_binary_that_the_driver_refuses_is_compiled_again(filled, monkeypatch):
    folder, count = filled
    monkeypatch.setenv("GENESIS_CACHE_DIR", str(folder))
    victim = sorted((folder / "kernels").iterdir())[-1]
    cache.store(victim.name, b"not a program")
    assert run_python(WORK, GENESIS_CACHE_DIR=folder) == f"1 {count - 1}\n"
    assert run_python(WORK, GENESIS_CACHE_DIR=folder) == f"0 {count}\n"


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    compiled, loaded = map(int, run_python(WORK, GENESIS_CACHE_DIR=tmp_path / "file" / "cache").split())
    assert compiled > 3
    assert loaded == 0


def test_two_processes_fill_the_cache_at_once(tmp_path, monkeypatch):
    import os
    import textwrap

    environment = {**os.environ, "GENESIS_CACHE_DIR": str(tmp_path),
                   "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))}
    running = [subprocess.Popen([sys.executable, "-c", textwrap.dedent(WORK)], env=environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for process in running:
        out, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        assert len(out.split()) == 2
    names = sorted(p.name for p in (tmp_path / "kernels").iterdir())
    assert all(len(name) == 64 for name in names)         # whole files only, no temporary ones
    assert run_python(WORK, GENESIS_CACHE_DIR=tmp_path).split()[0] == "0"


def test_files_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.setenv("GENESIS_CACHE_DIR", str(tmp_path))
    assert cache.load("0" * 64) is None
    assert cache.store("0" * 64, b"binary")
    assert cache.load("0" * 64) == b"binary"

    def broken(*args):
        raise OSError("disk full")

    monkeypatch.setattr(cache.os, "replace", broken)
    assert not cache.store("1" * 64, b"binary")
    assert [p.name for p in (tmp_path / "kernels").iterdir()] == ["0" * 64]


def test_the_folder_is_that_of_the_system(monkeypatch, tmp_path):
    monkeypatch.delenv("GENESIS_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cache.sys, "platform", "linux")
    assert cache.folder() == tmp_path / "genesis"
    monkeypatch.setattr(cache.sys, "platform", "darwin")
    assert cache.folder().parts[-3:] == ("Library", "Caches", "genesis")
    monkeypatch.setattr(cache.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert cache.folder() == tmp_path / "genesis"
    monkeypatch.setenv("GENESIS_CACHE_DIR", str(tmp_path / "own"))
    assert cache.folder() == tmp_path / "own"


def test_programs_say_what_they_compiled():
    programs = genesis.device().programs
    genesis.ones(3) + genesis.ones(3)
    assert any("elementwise.cl" in label and "OP=OP_add" in label for label in programs.compiled + programs.loaded)
