"""Runs code under Oclgrind, an interpreter of kernels that reports what hardware hides.

Accesses out of bounds, data races, and barriers that not all work-items of a group reach. Oclgrind's check for
uninitialised values is not used: it reports the ``freeze`` instruction of LLVM, which compilers put into correct code.
Interpreting is a thousand times slower than running: keep sizes small.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import NamedTuple

from ..errors import GenesisError

_PLACES = ("lib/oclgrind", "lib/*", "lib/*/oclgrind", "local/lib", "local/lib/oclgrind")

# Put before the code: buffers get exactly the bytes asked for, so that nothing hides an access past the end, and each
# is a new one, so that nobody works in another's memory.
_HEAD = """
import genesis as _genesis
from genesis.opencl import memory as _memory
_memory._capacity = lambda nbytes: max(nbytes, 1)
_memory.Pool._find = lambda self, capacity: 0
_genesis.set_default_device("oclgrind")
"""


class OclgrindError(GenesisError, AssertionError):
    """Oclgrind found faults in kernels."""


class Report(NamedTuple):
    """One fault that Oclgrind found.

    Attributes:
        kernel: the kernel's name; empty where the report has none.
        what: the first line, such as ``"Invalid write of size 4 at global memory address 0x1000000000014"``.
        text: the whole report, with work-item, source line and more.
    """

    kernel: str
    what: str
    text: str


def library() -> Path | None:
    """The library of Oclgrind; None where it is not installed (Debian: ``apt install oclgrind``)."""
    named = os.environ.get("OCLGRIND_LIBRARY")
    if named:
        return Path(named) if Path(named).is_file() else None
    return next((path for pattern in _PLACES for path in Path("/usr").glob(f"{pattern}/liboclgrind-rt-icd.so")), None)


def parse(log: str) -> list[Report]:
    """The reports of a log of Oclgrind's."""
    found = []
    for block in re.split(r"\n\s*\n", log.strip()):
        if block.strip():
            kernel = re.search(r"^\s*Kernel:\s*(\S+)", block, re.MULTILINE)
            found.append(Report(kernel[1] if kernel else "", block.strip().splitlines()[0].strip(), block.strip()))
    return found


def run(code: str, *, path: Path | str | None = None, timeout: float = 600, races: bool = True,
        most: int = 20, local_memory: int = 32768) -> tuple[str, list[Report]]:
    """Run Python code in a process of its own whose default device is Oclgrind.

    Args:
        code: Python; may be indented as a whole.
        path: a folder to import from, besides those of this process.
        timeout: seconds after which the process is ended.
        races: look for data races, too.
        most: stop reporting after so many faults.
        local_memory: bytes of local memory that the device says it has.

    Returns:
        What the code printed, and the faults found.

    Raises:
        OclgrindError: Oclgrind is not installed, or the code itself failed; holds what it wrote.
    """
    found = library()
    if found is None:
        raise OclgrindError("Oclgrind is not installed; on Debian: apt install oclgrind")
    with tempfile.TemporaryDirectory(prefix="genesis-oclgrind-") as folder:
        vendors, log = Path(folder) / "vendors", Path(folder) / "log"
        vendors.mkdir()
        (vendors / "oclgrind.icd").write_text(f"{found}\n")
        paths = [str(path)] if path else []
        environment = {**os.environ, "OCL_ICD_VENDORS": str(vendors), "OCLGRIND_LOG": str(log),
                       "OCLGRIND_MAX_ERRORS": str(most), "OCLGRIND_LOCAL_MEM_SIZE": str(local_memory),
                       "PYTHONPATH": os.pathsep.join([*paths, *filter(None, sys.path)])}
        environment.pop("GENESIS_DEVICE", None)
        if races:
            environment["OCLGRIND_DATA_RACES"] = "1"
        done = subprocess.run([sys.executable, "-c", _HEAD + textwrap.dedent(code)], env=environment, text=True,
                              capture_output=True, timeout=timeout, check=False)
        text = log.read_text(errors="replace") if log.exists() else ""
    if done.returncode:
        raise OclgrindError(f"the code failed under Oclgrind, with status {done.returncode}:\n{done.stdout}"
                            f"{done.stderr}\n{text}")
    return done.stdout, parse(text)


def check(code: str, **options: object) -> str:
    """As `run`, for tests: any fault is an error.

    Returns:
        What the code printed.

    Raises:
        OclgrindError: naming kernel and fault.
    """
    printed, reports = run(code, **options)  # type: ignore[arg-type]
    if reports:
        raise OclgrindError(f"Oclgrind found {len(reports)} faults:\n\n" + "\n\n".join(r.text for r in reports))
    return printed


def check_rule(path: str | Path, scalars: dict[str, float], name: str | None = None) -> None:
    """Run an optimizer's rule under Oclgrind at odd sizes and offsets.

    Args:
        path: the rule's file, as for `genesis.testing.check_rule`.
        scalars: a value for each ``float`` of the rule's signature.
        name: the C function; by default that named like the file.

    Raises:
        OclgrindError: the rule reads or writes out of bounds, races, or does not run.
    """
    check(f"""
        from genesis.testing import check_rule
        # The values are for the user's reference to judge; here the kernel only has to run.
        check_rule({str(Path(path).resolve())!r}, lambda p, g, state, scalars: p, {dict(scalars)!r}, name={name!r},
                   shapes=((), (1,), (33,), (65,), (1025,)), steps=2, bound=float("inf"))
    """)
