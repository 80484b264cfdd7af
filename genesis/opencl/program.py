"""Loads kernel sources from ``cl/``, compiles them once for a device, keeps the result, launches.

A program is a source file with ``#define`` lines put before it and its ``#include`` lines replaced by the files they
name. So the whole text is known here: it is the key of the cache, and errors name file and line. Of a file's kernels it
has one, so that nobody waits for the compilation of another.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import os
import re
import sqlite3
import threading
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyopencl as cl

from .. import tracing
from ..errors import KernelError
from . import cache, commands, verdict

if TYPE_CHECKING:
    from .device import Device

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include\s+"([^"]+)".*$', re.MULTILINE)
# A kernel of a file under cl/, from the beginning of its first line to the brace at the beginning of its last.
_ENTRY = re.compile(r"^(?:kernel\b[^;{]*?\bvoid|[A-Z_]*KERNEL(?: void)?) (\w+)\(.*?^\}", re.MULTILINE | re.DOTALL)
_SYNC = os.environ.get("GENESIS_SYNC", "0") not in ("", "0")
_OPTIONS = "-cl-std=CL1.2 -w"      # -w: PoCL prints the number of warnings to the terminal

# The letters of a kernel's signature and what pyopencl calls them; a number n is a struct of n bytes.
_TYPES: dict[str, Any] = {"P": None, "i": np.int32, "u": np.uint32, "l": np.int64, "L": np.uint64,
                          "f": np.float32, "d": np.float64}


@contextlib.contextmanager
def waiting() -> Iterator[None]:
    """Inside, each launch waits until its kernel has run, as with ``GENESIS_SYNC=1``."""
    global _SYNC
    before, _SYNC = _SYNC, True
    try:
        yield
    finally:
        _SYNC = before


def sources() -> Path:
    """The folder of kernel sources: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "cl", package.parent / "cl"):
        if (folder / "include" / "types.h").is_file():
            return folder
    raise KernelError(f"the kernel sources are missing: neither {package / 'cl'} nor {package.parent / 'cl'} has them; "
                      "install genesis-cl again")


def read(path: str | Path) -> str:
    """The text of a source file with each ``#include "..."`` replaced, once, by the file it names.

    Args:
        path: a path below ``cl/``, or the absolute path of a file of the user's. Includes are looked for beside the
            including file, then in ``cl/include``, then in ``cl/optim``.
    """
    root = sources()
    seen: set[Path] = set()

    def expand(file: Path) -> str:
        if file in seen:
            return ""
        seen.add(file)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            own = "" if Path(path).is_absolute() else "; a file of your own needs its absolute path"
            reason = getattr(error, "strerror", error)
            raise KernelError(f"cannot read the kernel source {file}: {reason}{own}") from error

        def include(match: re.Match[str]) -> str:
            line = text.count("\n", 0, match.start()) + 2
            for folder in (file.parent, root / "include", root / "optim"):
                if (folder / match[1]).is_file():
                    return f'{expand((folder / match[1]).resolve())}\n#line {line} "{file.name}"'
            raise KernelError(f"{file}, line {line - 1}: there is no file {match[1]!r} to include")

        return f'#line 1 "{file.name}"\n{_INCLUDE.sub(include, text)}'

    return expand((root / path).resolve())


def only(function: str, text: str) -> str:
    """A source without its kernels of other names; every other line stays where it is."""
    return _ENTRY.sub(lambda entry: entry[0] if entry[1] == function else "\n" * entry[0].count("\n"), text)


@functools.cache
def _load_invoker() -> None:
    """Import what pyopencl launches with, which makes a database in the user's folder and fails where it cannot."""
    try:
        importlib.import_module("pyopencl.invoker")
    except (OSError, sqlite3.Error):
        cl._PYOPENCL_NO_CACHE = True
        importlib.import_module("pyopencl.invoker")


class Kernel:
    """A compiled kernel of one device, called with a global size, a local size and its arguments.

    Calls cost about what a bare pyopencl call costs: the types of scalar arguments are fixed beforehand. They may come
    from several threads. With ``GENESIS_SYNC=1`` each call waits until the kernel has run.
    """

    __slots__ = ("_enqueue", "_lock", "device", "name")

    def __init__(self, device: Device, program: cl.Program, file: str, function: str, signature: str):
        _load_invoker()
        before, cl._PYOPENCL_NO_CACHE = cl._PYOPENCL_NO_CACHE, True      # its database holds pickles; it is not needed
        try:
            kernel = cl.Kernel(program, function)
            types = [_TYPES[t] if t in _TYPES else np.dtype(f"V{t}") for t in re.findall(r"\d+|\w", signature)]
            kernel.set_scalar_arg_dtypes(types)
        except (cl.Error, TypeError) as error:
            raise KernelError(f"kernel {function!r} of {file} does not take the arguments {signature!r}: {error}") \
                from error
        finally:
            cl._PYOPENCL_NO_CACHE = before
        self.name = f"{file}:{function}"
        self.device = device
        self._enqueue = kernel
        self._lock = threading.Lock()

    def __call__(self, global_size: tuple[int, ...], local_size: tuple[int, ...] | None, *args: Any) -> None:
        """Enqueue the kernel.

        Raises:
            KernelError: naming kernel and device, when the launch (or, with ``GENESIS_SYNC=1``, the run) failed.
        """
        try:
            with self._lock:
                if tracing.recorder is None:
                    event = self._enqueue(self.device.queue, global_size, local_size, *args)
                else:
                    event = self._in_sight(global_size, local_size, *args)
            if _SYNC:
                event.wait()
        except cl.Error as error:
            hint = "" if _SYNC else "; an earlier kernel may be the cause: run again with GENESIS_SYNC=1 to find it"
            raise KernelError(f"kernel {self.name} failed on {self.device.name} with global size {global_size} and "
                              f"local size {local_size}: {error}{hint}") from error

    def _in_sight(self, global_size: tuple[int, ...], local_size: tuple[int, ...] | None, *args: Any) -> cl.Event:
        """Enqueue the kernel while a profiler records."""
        about = {"global size": global_size, "local size": local_size}
        return tracing.recorder.command(self.device, commands.KERNEL._replace(name=self.name), about, self._enqueue,
                                        global_size, local_size, *args)


# Files whose kernels take complex numbers; others see pairs.
_OF_COMPLEX = tuple(f"ops/{name}.cl" for name in ("elementwise", "fft", "linalg", "reflections", "spectra"))


class Programs:
    """The programs of one device.

    Attributes:
        compiled: names of the programs that this process compiled from source.
        loaded: names of those that came ready from the cache on disk.
    """

    def __init__(self, device: Device):
        self._device = device
        self._kernels: dict[Any, Kernel] = {}
        self._built: dict[str, cl.Program] = {}
        self._verdict = verdict.Verdict(device)
        self._lock = threading.RLock()
        self.compiled: list[str] = []
        self.loaded: list[str] = []

    def kernel(self, file: str, function: str, signature: str, defines: tuple[tuple[str, Any], ...] = (),
               text: str | None = None) -> Kernel:
        """The kernel ``function`` of ``file`` under ``cl/``, compiled on first use.

        Args:
            file: path below ``cl/``, such as ``"ops/matmul.cl"``.
            function: the kernel's name.
            signature: a letter an argument: ``P`` buffer, ``i l u L`` integers of 32 and 64 bits, ``f d`` floats, or a
                number of bytes for a struct by value (``"PP128i"``).
            defines: name and value of macros defined before the source.
            text: the source when it is not to be read from ``file`` (which then only names it).
        """
        key = (file, function, defines, text)
        kernel = self._kernels.get(key)
        if kernel is None:
            with self._lock:
                kernel = self._kernels.get(key)
                if kernel is None:
                    program = self._program(file, function, dict(defines), text)
                    kernel = self._kernels[key] = Kernel(self._device, program, file, function, signature)
                    self._verdict.warn(kernel.name)
        return kernel

    def _program(self, file: str, function: str, defines: Mapping[str, Any], text: str | None) -> cl.Program:
        device = self._device
        for value in defines.values():
            if value in ("complex64", "complex128") and file not in _OF_COMPLEX:
                raise NotImplementedError(f"{function}() is not defined for {value}; work with view_as_real(), .real, "
                                          ".imag or abs()")
        head = "".join(f"#define {name} {value}\n" for name, value in defines.items())
        if device.fp16 or device.quirks.half_bits:
            head += f"#define FLOAT16 {'BY_TYPE' if device.fp16 else 'BY_BITS'}\n"
        if device.quirks.scalar_erfc:
            head += "#define SCALAR_ERFC\n"
        if device.quirks.prefetch:
            head += f"#define PREFETCH(p) {device.quirks.prefetch}\n"
        source = head + (only(function, read(file)) if text is None else text)
        about = (source, _OPTIONS, device.platform, device.platform_version, device.name, device.driver)
        key = hashlib.sha256("\0".join(about).encode()).hexdigest()
        if key not in self._built:
            label = " ".join([file, *(f"{k}={v}" for k, v in defines.items())])
            self._built[key] = self._load(key, label) or self._compile(key, label, function, source)
        return self._built[key]

    def _load(self, key: str, label: str) -> cl.Program | None:
        binary = cache.load(key)
        if binary is None:
            return None
        try:
            program = cl.Program(self._device.context, [self._device.handle], [binary])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", cl.CompilerWarning)
                commands.wait("clBuildProgram", program.build, _OPTIONS)
        except cl.Error:
            return None     # made by another version of the driver: compile anew
        self.loaded.append(label)
        return program

    def _compile(self, key: str, label: str, function: str, source: str) -> cl.Program:
        program = cl.Program(self._device.context, source)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", cl.CompilerWarning)
                commands.wait("clBuildProgram", program.build, _OPTIONS, cache_dir=False)
        except cl.Error as error:
            raise KernelError(f"kernel {function!r} of {label} does not compile on {self._device.name} "
                              f"({self._device.platform}, {self._device.platform_version}) with options {_OPTIONS!r}:"
                              f"\n{error}") from error
        self.compiled.append(label)
        binaries: Any = program.get_info(cl.program_info.BINARIES)
        if binaries and binaries[0]:
            cache.store(key, bytes(binaries[0]))
        return program
