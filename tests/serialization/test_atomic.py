"""A save leaves the old file or the new one, whatever happens."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import stat
import subprocess
import sys

import numpy as np
import pytest

import genesis
from genesis.serialization import atomic

posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system")
HERE = pathlib.Path(__file__).parent
NEW = {"a": np.ones(100_000, np.float32)}


@pytest.fixture
def old(tmp_path):
    """A file with an old checkpoint, which must outlive every error."""
    path = tmp_path / "run.safetensors"
    genesis.save({"step": 1}, path)
    return path


def still_old(path):
    return genesis.load(path) == {"step": 1} and os.listdir(path.parent) == [path.name]


@posix
@pytest.mark.parametrize("mode", ["random", "steps"])
def test_kill_leaves_old_or_new_file(tmp_path, mode):
    command = [sys.executable, str(HERE / "crash_loop.py"), str(pathlib.Path(genesis.__file__).parents[1])]
    done = subprocess.run(
        [*command, str(tmp_path / "run.safetensors"), mode],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # a process with one thread can fork
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["broken"] == 0
    assert result["interrupted"] >= 2, "no save was under way when its process was killed: this test proved nothing"


@pytest.mark.parametrize("function", ["fsync", "replace", "open"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_failed_system_call_leaves_old_file(old, monkeypatch, function, number):
    def fails(*arguments):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, function, fails)
        with pytest.raises(OSError) as caught:
            genesis.save(NEW, old)
    assert caught.value.errno == number
    assert caught.value.filename == str(old)
    assert str(old) in str(caught.value)
    assert still_old(old)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("size", [10, 100_000])
def test_full_disk_leaves_old_file(old, monkeypatch, size):
    with monkeypatch.context() as patch:
        real = os.open
        patch.setattr(atomic.os, "open", lambda path, *rest: real("/dev/full", os.O_WRONLY))
        with pytest.raises(OSError, match="No space left") as caught:
            genesis.save({"a": np.ones(size)}, old)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(old)
    assert still_old(old)


@posix
def test_file_size_limit_leaves_old_file(old):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OSError) as caught:
            genesis.save(NEW, old)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(old)
    assert still_old(old)


def test_bytes_reach_the_disk_before_the_name_does(old, monkeypatch):
    calls = []
    for function in ("fsync", "replace"):
        real = getattr(os, function)

        def recorded(*arguments, function=function, real=real):
            kind = "folder" if function == "fsync" and stat.S_ISDIR(os.fstat(arguments[0]).st_mode) else "file"
            calls.append((function, kind))
            return real(*arguments)

        monkeypatch.setattr(atomic.os, function, recorded)
    genesis.save(NEW, old)
    assert calls[:2] == [("fsync", "file"), ("replace", "file")]
    assert calls[2:] == [("fsync", "folder")] or os.name != "posix"


def test_any_exception_removes_the_temporary_file(old):
    def interrupted():
        with atomic.atomic_write(old) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert still_old(old)


def test_unsupported_object_is_found_before_anything_is_written(old):
    with pytest.raises(TypeError):
        genesis.save({"a": np.ones(3), "b": object()}, old)
    assert still_old(old)


def test_missing_folder_is_named(tmp_path):
    path = tmp_path / "missing" / "run.safetensors"
    with pytest.raises(FileNotFoundError, match="missing"):
        genesis.save({}, path)


@posix
def test_read_only_folder_is_named(old):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    os.chmod(old.parent, 0o500)
    try:
        with pytest.raises(PermissionError, match=r"run\.safetensors"):
            genesis.save(NEW, old)
    finally:
        os.chmod(old.parent, 0o700)
    assert still_old(old)


@posix
def test_write_protected_file_is_respected(old, monkeypatch):
    os.chmod(old, 0o400)
    monkeypatch.setattr(atomic.os, "access", lambda path, mode: False)  # root would be allowed
    with pytest.raises(PermissionError, match=r"run\.safetensors"):
        genesis.save(NEW, old)
    assert still_old(old)


@posix
def test_special_files_are_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="not a regular file"):
        genesis.save(NEW, pipe)
    assert stat.S_ISFIFO(os.stat(pipe).st_mode)
    with pytest.raises(genesis.CheckpointError, match="not a regular file"):
        genesis.load(pipe)
    with pytest.raises(IsADirectoryError):
        genesis.save(NEW, tmp_path)
    with pytest.raises(IsADirectoryError):
        genesis.load(tmp_path)


@posix
def test_permissions_and_links_are_kept(old, tmp_path):
    os.chmod(old, 0o640)
    link = tmp_path / "latest"
    link.symlink_to(old.name)
    genesis.save(NEW, link)
    assert link.is_symlink()
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert genesis.load(old).keys() == NEW.keys()
    umask = os.umask(0o027)
    try:
        genesis.save({}, tmp_path / "fresh")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o640


@pytest.mark.parametrize("name", ["ä" * 100, "x" * 240, "run", ".hidden"])
def test_any_file_name_serves(tmp_path, name):
    genesis.save({"step": 1}, tmp_path / name)
    assert genesis.load(tmp_path / name) == {"step": 1}


def test_relative_path_serves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    genesis.save({"step": 1}, "run.safetensors")
    assert genesis.load("run.safetensors") == {"step": 1}
