"""Making pip-installed runtimes visible to the OpenCL loader."""

import sys
from pathlib import Path

import pytest
from helpers import run_python

from genesis.opencl import icd

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="vendor folders are Linux's")

needs_intel = pytest.mark.skipif(icd.intel_library() is None, reason="Intel's runtime is not installed by pip")

LIST = """
    import os, sys
    import genesis
    import pyopencl as cl
    print(os.environ.get("OCL_ICD_VENDORS", ""))
    for platform in cl.get_platforms():
        print(platform.name)
"""


@needs_intel
def test_the_vendor_folder_holds_the_systems_files_and_intels_real_path(tmp_path):
    folder, *platforms = run_python(LIST, OCL_ICD_VENDORS=None, GENESIS_CACHE_DIR=tmp_path).splitlines()
    assert Path(folder).parent == tmp_path
    assert any("Intel" in name for name in platforms)
    written = {p.name: p.read_text().strip() for p in Path(folder).iterdir()}
    assert Path(written.pop("intel-cpu.icd")) == icd.intel_library()
    assert icd.intel_library().is_absolute()
    for path in Path("/etc/OpenCL/vendors").glob("*.icd"):
        assert written[path.name] == path.read_text().strip()


@needs_intel
def test_the_folder_is_kept_and_found_again(tmp_path):
    first = run_python(LIST, OCL_ICD_VENDORS=None, GENESIS_CACHE_DIR=tmp_path)
    folder = Path(first.splitlines()[0])
    times = {p: p.stat().st_mtime_ns for p in folder.iterdir()}
    assert run_python(LIST, OCL_ICD_VENDORS=None, GENESIS_CACHE_DIR=tmp_path) == first
    assert {p: p.stat().st_mtime_ns for p in folder.iterdir()} == times
    damaged = next(iter(folder.iterdir()))
    damaged.write_text("nonsense")
    assert run_python(LIST, OCL_ICD_VENDORS=None, GENESIS_CACHE_DIR=tmp_path) == first
    assert damaged.read_text() != "nonsense"


@needs_intel
def test_a_folder_named_by_the_user_is_respected(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.icd").write_text("/nowhere/libmine.so\n")
    (own / "broken.icd").symlink_to(tmp_path / "missing")
    folder, *platforms = run_python(LIST, OCL_ICD_VENDORS=own, GENESIS_CACHE_DIR=tmp_path).splitlines()
    names = {p.name for p in Path(folder).iterdir()}
    assert {"mine.icd", "intel-cpu.icd"} <= names
    assert "broken.icd" not in names
    assert not names & {p.name for p in Path("/etc/OpenCL/vendors").glob("*.icd")}
    assert any("Intel" in name for name in platforms)
    # A process started by this one inherits the folder, and with it what the user named.
    again = run_python(LIST, OCL_ICD_VENDORS=folder, GENESIS_CACHE_DIR=tmp_path).splitlines()
    assert again[0] == folder
    single = run_python(LIST, OCL_ICD_VENDORS=own / "mine.icd", GENESIS_CACHE_DIR=tmp_path).splitlines()
    assert {"mine.icd", "intel-cpu.icd"} <= {p.name for p in Path(single[0]).iterdir()}


@needs_intel
def test_an_unwritable_cache_falls_back_to_a_folder_that_goes_with_the_process(tmp_path):
    (tmp_path / "file").write_text("in the way")
    folder, *platforms = run_python(LIST, OCL_ICD_VENDORS=None, GENESIS_CACHE_DIR=tmp_path / "file" / "x").splitlines()
    assert any("Intel" in name for name in platforms)
    assert not Path(folder).exists()
    orphan = run_python(LIST, OCL_ICD_VENDORS=folder, GENESIS_CACHE_DIR=tmp_path).splitlines()
    assert set(orphan[1:]) == set(platforms)


def test_without_intels_runtime_nothing_is_changed(monkeypatch):
    monkeypatch.setattr(icd, "_prepared", False)
    monkeypatch.setattr(icd, "intel_library", lambda: None)
    monkeypatch.setenv("OCL_ICD_VENDORS", "as it was")
    icd.prepare()
    assert icd.os.environ["OCL_ICD_VENDORS"] == "as it was"


def test_prepare_runs_once(monkeypatch):
    calls = []
    monkeypatch.setattr(icd, "_prepared", False)
    monkeypatch.setattr(icd, "intel_library", lambda: calls.append(1))
    icd.prepare()
    icd.prepare()
    assert calls == [1]


def test_a_missing_library_is_no_error(monkeypatch):
    def missing(*args, **kwargs):
        raise OSError("cannot open shared object file")

    monkeypatch.setattr(icd.ctypes, "CDLL", missing)
    assert icd.intel_library() is None


def test_numpy_keeps_functions_of_its_own():
    """Bound to those of Intel's libsvml, powers of negative numbers would warn of invalid values."""
    assert run_python("""
        import genesis, numpy, warnings
        warnings.simplefilter("error")
        print((numpy.array([2.0, -1.0]) ** 4).tolist())
    """).strip() == "[16.0, 1.0]"
