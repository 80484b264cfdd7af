"""The folder where compiled kernels are kept between processes."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path

_MAGIC = b"genesis kernel 1\n"


def folder() -> Path:
    """The cache folder: ``GENESIS_CACHE_DIR``, else ``genesis`` in the system's folder for caches."""
    if chosen := os.environ.get("GENESIS_CACHE_DIR"):
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "genesis"


def write(path: Path, data: bytes) -> bool:
    """Write a file whole or not at all. A folder that cannot be written is no error: returns False."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    except OSError:
        return False
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        return False
    return True


def load(key: str) -> bytes | None:
    """The compiled program kept under ``key``, or None when there is none or the file was damaged."""
    try:
        data = (folder() / "kernels" / key).read_bytes()
    except OSError:
        return None
    header = len(_MAGIC) + 32
    if not data.startswith(_MAGIC) or hashlib.sha256(data[header:]).digest() != data[len(_MAGIC) : header]:
        return None
    return data[header:]


def store(key: str, binary: bytes) -> bool:
    """Keep a compiled program under ``key``; False when the folder cannot be written."""
    return write(folder() / "kernels" / key, _MAGIC + hashlib.sha256(binary).digest() + binary)
