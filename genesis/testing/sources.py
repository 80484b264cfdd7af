"""Lists the kernels of source files, so that a test can tell whether it reaches them all."""

from __future__ import annotations

import re
from pathlib import Path

from ..opencl import sources

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_ATTRIBUTE = re.compile(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)")
_KERNEL = re.compile(r"^[ \t]*(?:kernel\b|[A-Z_]*KERNEL\b)\s*(?:void\s+)?(\w+)\s*\(", re.MULTILINE)


def kernels(folder: Path | None = None) -> set[str]:
    """The kernels in the ``.cl`` files of a folder, named as launches are: ``"ops/matmul.cl:matmul_tile"``.

    A file of optimizer rules counts as one: ``"optim/adam.cl:update"``.

    Args:
        folder: where to look; genesis' own sources if None.
    """
    root = folder or sources()
    found = set()
    for file in sorted(root.rglob("*.cl")):
        text = _ATTRIBUTE.sub("", _COMMENT.sub("", file.read_text(encoding="utf-8")))
        text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", "", text, flags=re.MULTILINE)
        name = file.relative_to(root).as_posix()
        functions = _KERNEL.findall(text) or ["update"]           # a rule's kernel is put around it
        found |= {f"{name}:{function}" for function in functions}
    return found
