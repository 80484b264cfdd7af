"""AMX, the matrix unit of Intel's processors: whether this process may use it."""

from __future__ import annotations

import ctypes
import functools
import os
import platform
from pathlib import Path

NEEDED = {"amx_tile", "amx_bf16"}
_ARCH_PRCTL = 158                    # the number of the system call on x86-64
_ASK = 0x1023                        # ARCH_REQ_XCOMP_PERM: Linux gives a thread room for its tiles only on request
_TILES = 18                          # XFEATURE_XTILEDATA


@functools.cache
def granted() -> bool:
    """Whether the processor has AMX for bfloat16 numbers and Linux lets this process use it, which is asked for here.

    The permission is the whole process's, and is inherited by forks. ``GENESIS_AMX=0`` in the environment: it is not
    asked for.
    """
    if os.environ.get("GENESIS_AMX", "1") == "0" or (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return False
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return set(flags) >= NEEDED and ctypes.CDLL(None).syscall(_ARCH_PRCTL, _ASK, _TILES) == 0
