"""Makes the pages of ``cl/``: each file as it is, an optimizer's beside its formula."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from genesis.optim import ALGORITHMS, Optimizer
from genesis.optim.rule import Rule, parse
from tools.notebooks import NOTEBOOKS, ROOT

from .convert import fence, kernel_uri, section, site_link

CL = ROOT / "cl"
FORMULA = "The formula"        # the heading in an algorithm's notebook under which its formula stands
_RULE = re.compile(r"^void\s+(\w+)\s*\(\s*real\s*\*\s*param\s*,", re.MULTILINE)


def rules(source: str) -> list[Rule]:
    """The rules that can be called from a file of ``cl/``, those it includes among them."""
    return [parse(source, name) for name in _RULE.findall(_with_includes(CL / source))]


def _with_includes(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return re.sub(r'^\s*#\s*include\s+"([^"]+)".*$',
                  lambda m: _with_includes(path.parent / m[1]) if (path.parent / m[1]).is_file() else "", text,
                  flags=re.MULTILINE)


def source(path: Path, linenums: bool = True) -> str:
    """A file of ``cl/`` as a code block with its name."""
    numbers = ' linenums="1"' if linenums else ""
    name = path.relative_to(ROOT).as_posix()
    return fence(path.read_text(encoding="utf-8"), f'{{ .c title="{name}"{numbers} }}')


def part(argument: str) -> str:
    """A part of a file: ``PATH | FIRST | LAST``, from the line that contains FIRST up to the next that has LAST."""
    name, first, last = (text.strip() for text in argument.split("|"))
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    begin = next((i for i, text in enumerate(lines) if first in text), None)
    if begin is None:
        raise ValueError(f"{name} has no line with {first!r}")
    end = next((i for i in range(begin, len(lines)) if last in lines[i]), None)
    if end is None:
        raise ValueError(f"{name} has no line with {last!r} after {first!r}")
    return fence("\n".join(lines[begin:end + 1]), f'{{ .c title="{name}" linenums="{begin + 1}" }}')


def opening(path: Path) -> str:
    """The first sentence of a file's opening comment, for a narrow table: without addresses, paths can be broken."""
    comment = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("//"):
            break
        comment.append(line.removeprefix("//").strip())
    first = comment[0] if comment and "arXiv" in comment[0] else re.split(r"(?<!et al)\. ", " ".join(comment))[0]
    first = re.sub(r",? https?://[^\s)]+| \(genesis/[\w./]+\)", "", re.sub(r"\s+", " ", first))
    return re.sub(r"genesis/[\w/.]+", lambda path: path[0].replace("/", "/<wbr>"), first).rstrip(".:")


_OF_RULES = """\
genesis reads states and scalars from the function's signature. [`update.h`](update-h.md) is the kernel around it: it
loads and stores, applies weight decay and clipping, and skips steps with bad gradients, for every optimizer alike."""
_OF_KERNELS = """\
This optimizer has kernels of its own. [`choose.cl`](choose.md) hands them the scalars, with the factor by which
gradients are clipped, and the decision to skip a step with bad ones."""


def _host_table(cls: type[Optimizer]) -> str:
    """What the host passes in, and how."""
    if not rules(cls.source):
        return _OF_KERNELS

    def states(rule: Rule) -> str:
        return ", ".join(f"`{name}`" + " (for a step)" * (name in cls.working) for name in rule.states) or "none"

    rows = [f"| `{rule.name}` | {states(rule)} | {', '.join(f'`{s}`' for s in rule.scalars)} |"
            for rule in rules(cls.source)]
    table = "| Function | States, kept for each parameter | Scalars, from the host |\n|---|---|---|\n" + "\n".join(rows)
    return f"{_OF_RULES}\n\n{table}"


def _optimizer_page(stem: str, cls: type[Optimizer]) -> str:
    name, path = cls.__name__, CL / cls.source
    notebook = NOTEBOOKS / "algorithms" / f"{stem}.ipynb"
    formula = section(notebook, FORMULA) if notebook.is_file() else ""
    formula = re.sub(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)", lambda m: f"[{m[1]}](" + _rebased(m[2]) + ")", formula)
    if not formula:
        formula = "See the [reference](../../api/genesis.optim.md#genesis.optim." + name + ")."
    about = (f"[{name}, explained](../../algorithms/{stem}.md) · " if notebook.is_file() else "") + \
        f"[API reference](../../api/genesis.optim.md#genesis.optim.{name})"
    included = [path.parent / m for m in re.findall(r'#\s*include\s+"([^"]+)"', path.read_text(encoding="utf-8"))
                if (path.parent / m).is_file()]
    also = "\n\n".join(f"It includes:\n\n{source(other)}" for other in included)
    host = fence(inspect.cleandoc("\n" + inspect.getsource(cls.scalars)),
                 '{ .python title="the scalars, on the host" }')
    return f"""---
hide: [navigation, toc]
---
# {name}: the kernel

{about}

<div class="beside" markdown>
<div markdown>
## {FORMULA}

{formula}
</div>
<div markdown>
## The file

{source(path)}

{also}
</div>
</div>

## What the host passes in

{_host_table(cls)}

{host}
"""


def _rebased(target: str) -> str:
    """A link of a notebook of ``algorithms/``, for a page of ``kernels/optim/``."""
    linked = site_link(target, "notebooks/algorithms")
    return linked if re.match(r"[a-z]+:|#", linked) else f"../../algorithms/{linked}"


def pages() -> dict[str, str]:
    """A page for each file of ``cl/``, but for those that ``docs/`` has a page of: path below ``docs/`` -> Markdown."""
    made = {}
    owners = {cls.source: (stem, cls) for stem, cls in ALGORITHMS.items()}
    for path in sorted(CL.rglob("*")):
        if path.suffix not in (".cl", ".h"):
            continue
        name = path.relative_to(CL).as_posix()
        uri = kernel_uri(f"cl/{name}")
        if (ROOT / "docs" / uri).is_file():
            continue
        if name in owners:
            made[uri] = _optimizer_page(*owners[name])
        else:
            made[uri] = f"---\nhide: [toc]\nsearch:\n  boost: 0.2\n---\n# {path.name}\n\n{source(path)}\n"
    return made


def listing(_: str = "") -> str:
    """Lists of all files of ``cl/``, with what each begins with."""
    titles = {"optim": "Optimizers", "ops": "Operations", "include": "What they share"}
    parts = []
    for folder, title in titles.items():
        rows = [f"| [`{path.relative_to(CL).as_posix()}`]"
                f"({kernel_uri('cl/' + path.relative_to(CL).as_posix()).removeprefix('kernels/')}) "
                f"| {opening(path).replace('|', chr(92) + '|')} |"
                for path in sorted((CL / folder).iterdir()) if path.suffix in (".cl", ".h")]
        parts.append(f"## {title}\n\n| File | What it holds |\n|---|---|\n" + "\n".join(rows))
    return "\n\n".join(parts)


def algorithms(_: str = "") -> str:
    """The table of optimizers: what each does, what it keeps, where its kernel is."""
    rows = []
    for stem, cls in ALGORITHMS.items():
        text = inspect.getdoc(cls) or ""
        summary = text.split("\n\n")[0].replace("\n", " ").rstrip(".")
        summary = re.sub(rf"^{cls.__name__}: ", "", summary)
        kept = sorted({len(set(rule.states) - cls.working) for rule in rules(cls.source)})
        numbers = " to ".join(str(4 * n) for n in kept[::max(len(kept) - 1, 1)])
        numbers = numbers or "4 a row and column"                   # Adafactor's, which has no rule
        explained = (NOTEBOOKS / "algorithms" / f"{stem}.ipynb").is_file()
        name = f"[{cls.__name__}]({stem}.md)" if explained else cls.__name__
        rows.append(f"| **{name}** | {summary[0].upper() + summary[1:]} | {numbers} | "
                    f"[`{cls.source.rpartition('/')[2]}`](../{kernel_uri('cl/' + cls.source)}) |")
    return "| Optimizer | What it does | Bytes of state per parameter | Kernel |\n|---|---|---|---|\n" + "\n".join(rows)
