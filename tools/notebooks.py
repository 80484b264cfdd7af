"""Executes the notebooks, each once for a given state of itself and of the library, and keeps the results.

    python -m tools.notebooks execute [--all | NAME...]     NAME: part of a path, such as algorithms/adam

A result lies in the cache folder (``GENESIS_NOTEBOOKS``, by default ``build/notebooks``) under a key made from the
notebook, the Python files beside it, ``genesis/`` and ``cl/``; a change of any of them executes it again. The site is
built from these results, so what it shows is what continuous integration has checked. A notebook that fails or takes
too long fails the command, which then shows its error.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
LIMIT = 240          # seconds for one; each takes less than 60 on two idle cores, and two run side by side


class ExecutionError(RuntimeError):
    """A notebook or an example did not run to its end."""


def cache_folder() -> Path:
    """Where results are kept."""
    return Path(os.environ.get("GENESIS_NOTEBOOKS") or ROOT / "build" / "notebooks")


def every_notebook() -> list[Path]:
    """All notebooks, in order of their paths."""
    return sorted(path for path in NOTEBOOKS.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)


@functools.cache
def _library() -> bytes:
    """A digest of the library: every file of ``genesis/`` and ``cl/``."""
    digest = hashlib.sha256()
    for folder in (ROOT / "genesis", ROOT / "cl"):
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.digest()


def key(path: Path) -> str:
    """What a result belongs to: the file, the Python files beside it, the library, and the device that is set."""
    digest = hashlib.sha256(_library())
    digest.update(os.environ.get("GENESIS_DEVICE", "").encode())
    for file in [path, *sorted(path.parent.glob("*.py"))]:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:24]


def result_path(path: Path) -> Path:
    """Where the result for the file's present state is, or would be."""
    name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "--")
    return cache_folder() / f"{name}.{key(path)}{path.suffix if path.suffix == '.ipynb' else '.txt'}"


def _run(path: Path, target: Path) -> None:
    """Execute a notebook with nbclient, or a script, and put the result at ``target``."""
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(path.parent)}},
                            kernel_name="python3").execute()
    nbformat.write(notebook, target)


def execute(path: Path, limit: float = LIMIT) -> Path:
    """The executed form of a notebook or script: from the cache, or else executed now.

    Args:
        path: an ``.ipynb`` file, or a ``.py`` file, whose result is what it prints.
        limit: seconds it may take.

    Raises:
        ExecutionError: it failed, or took longer.
    """
    target = result_path(path)
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / target.name
        notebook = path.suffix == ".ipynb"
        command = [sys.executable, "-m", "tools.notebooks", "run", str(path), str(made)] if notebook else \
            [sys.executable, str(path)]
        paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        try:
            done = subprocess.run(command, cwd=ROOT if notebook else folder, capture_output=True, text=True,
                                  timeout=limit, env={**os.environ, "PYTHONPATH": paths})
        except subprocess.TimeoutExpired:
            raise ExecutionError(f"{path.relative_to(ROOT)} took longer than {limit:g} s") from None
        if done.returncode:
            raise ExecutionError(f"{path.relative_to(ROOT)} failed:\n{done.stdout[-2000:]}{done.stderr[-6000:]}")
        if not notebook:
            made.write_text(done.stdout, encoding="utf-8")
        for old in target.parent.glob(f"{target.name.split('.')[0]}.*"):
            old.unlink()                     # results of former states
        made.replace(target)
    return target


def execute_all(paths: Iterable[Path], limit: float = LIMIT, jobs: int = 2) -> list[str]:
    """Execute several, some at a time, and say how long each took.

    Returns:
        What went wrong, one text for each that failed.
    """
    def one(path: Path) -> str:
        start, name = time.monotonic(), path.relative_to(ROOT)
        fresh = result_path(path).is_file()
        try:
            execute(path, limit)
        except ExecutionError as error:
            print(f"{name}: FAILED after {time.monotonic() - start:.0f} s", flush=True)
            return str(error)
        print(f"{name}: {'unchanged' if fresh else f'{time.monotonic() - start:.0f} s'}", flush=True)
        return ""

    with ThreadPoolExecutor(jobs) as pool:
        return [text for text in pool.map(one, paths) if text]


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.notebooks", description="Execute the notebooks.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("execute", help="execute what has changed")
    command.add_argument("names", nargs="*", help="parts of paths; all notebooks if none is given")
    command.add_argument("--all", action="store_true", help="also what has not changed")
    command.add_argument("--limit", type=float, default=LIMIT, help="seconds for each (%(default)s)")
    command.add_argument("--jobs", type=int, default=2, help="how many at a time (%(default)s)")
    run = commands.add_parser("run", help="execute one notebook into a file, without the cache")
    run.add_argument("path", type=Path)
    run.add_argument("target", type=Path)
    options = parser.parse_args(arguments)
    if options.command == "run":
        _run(options.path, options.target)
        return 0
    found = [path for path in every_notebook()
             if not options.names or any(name in path.as_posix() for name in options.names)]
    if not found:
        parser.error(f"no notebook matches {' '.join(options.names)}")
    if options.all:
        for path in found:
            result_path(path).unlink(missing_ok=True)
    errors = execute_all(found, options.limit, options.jobs)
    print(*errors, sep="\n\n", file=sys.stderr)
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
