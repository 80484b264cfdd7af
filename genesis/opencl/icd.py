"""Makes OpenCL runtimes that pip installed visible to the OpenCL loader.

The loader inside pyopencl's wheels reads the folder that ``OCL_ICD_VENDORS`` names (``/etc/OpenCL/vendors`` when it
is unset): each ``.icd`` file there holds the path of one runtime's library. Intel's CPU runtime from PyPI ships a
file whose path is a placeholder, and its library needs four others to be in memory already. So, before the first
platform query, this module loads those four and points the loader at a folder of its own, which holds the system's
files and one with the library's real path. It also asks that runtime for more local memory than its default, room for
the blocks of matrix products on cores with large caches; whoever has set the variable keeps what they set.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy  # noqa: F401  before libsvml.so is: else it takes that library's functions for its own of the same names

from . import cache

_SYSTEM_VENDORS = Path("/etc/OpenCL/vendors")
_INTEL_NEEDS = ("libintlc.so.5", "libirng.so", "libimf.so", "libsvml.so")  # in this order: each needs the one before
_INTEL_LOCAL_MEMORY = ("CL_CONFIG_CPU_FORCE_LOCAL_MEM_SIZE", "1280KB")     # local memory is memory: 256 KB were too few
_OWN_FOLDER = "genesis-icd-"

_prepared = False


def _file_of(distribution: str, name: str) -> Path | None:
    """Where the installed distribution has the file called ``name``; None when it is not installed."""
    try:
        files = importlib.metadata.distribution(distribution).files or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name == name:
            path = Path(str(file.locate())).resolve()
            return path if path.is_file() else None
    return None


def intel_library() -> Path | None:
    """The library of Intel's CPU runtime installed by pip; None when there is none or a library it needs is missing."""
    library = _file_of("intel-opencl-rt", "intelocl64.dll" if sys.platform == "win32" else "libintelocl.so")
    if library is None or sys.platform == "win32":
        return library
    try:
        for name in _INTEL_NEEDS:
            needed = _file_of("intel-cmplr-lib-rt", name)
            ctypes.CDLL(str(needed) if needed else name, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return None
    return library


def _icd_files() -> dict[str, str]:
    """File name -> contents of the vendor folder: the system's runtimes and those installed by pip."""
    named = os.environ.get("OCL_ICD_VENDORS", "")
    system = Path(named) if named else _SYSTEM_VENDORS
    if _OWN_FOLDER in named and not system.is_dir():      # inherited from a process that has removed it since
        system = _SYSTEM_VENDORS
    files = {}
    for path in sorted(system.glob("*.icd")) if system.is_dir() else [system]:
        with contextlib.suppress(OSError, UnicodeError):      # a broken link is no reason to stop
            files[path.name] = path.read_text().strip()
    spec = importlib.util.find_spec("pyopencl")
    if spec and spec.origin:      # runtimes that pyopencl's extras put beside it, with paths relative to their folder
        for path in sorted((Path(spec.origin).parent / ".libs").glob("*.icd")):
            library = Path(path.read_text().strip())
            beside = path.parent / library
            files[f"pip-{path.name}"] = str(beside if beside.is_file() else library)
    return files


def _vendor_folder(files: dict[str, str]) -> Path:
    """A folder that holds ``files``, made once for given contents and kept in the cache."""
    digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:16]
    folder = cache.folder() / f"{_OWN_FOLDER}{digest}"
    if all(cache.write(folder / name, text.encode() + b"\n") for name, text in files.items()
           if not _holds(folder / name, text)):
        return folder
    folder = Path(tempfile.mkdtemp(prefix=_OWN_FOLDER))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name, text in files.items():
        (folder / name).write_text(text + "\n")
    return folder


def _holds(path: Path, text: str) -> bool:
    try:
        return path.read_text() == text + "\n"
    except OSError:
        return False


def prepare() -> None:
    """Register the pip-installed runtimes. Runs once; has no effect after the loader's first platform query."""
    global _prepared
    if _prepared:
        return
    _prepared = True
    library = intel_library()
    if library is None:
        return
    os.environ.setdefault(*_INTEL_LOCAL_MEMORY)
    if sys.platform == "win32":   # the Khronos loader of pyopencl's Windows wheels
        os.add_dll_directory(str(library.parent))
        listed = os.environ.get("OCL_ICD_FILENAMES", "")
        if str(library) not in listed.split(os.pathsep):
            os.environ["OCL_ICD_FILENAMES"] = os.pathsep.join(filter(None, (listed, str(library))))
        return
    files = _icd_files()
    files["intel-cpu.icd"] = str(library)
    os.environ["OCL_ICD_VENDORS"] = str(_vendor_folder(files))
