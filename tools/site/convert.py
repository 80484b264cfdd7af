"""Makes a page from an executed notebook."""

from __future__ import annotations

import ast
import base64
import html
import json
import posixpath
import re
import struct
from pathlib import Path
from typing import Any, NamedTuple

from tools.notebooks import NOTEBOOKS, ROOT

LONG = 12            # lines of code that draws a figure, above which it is folded away
_FIGURES = ("{ .figure", 'class="plotly-figure"', '<div class="figure')      # of images, plotly's, drawn as HTML
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")


class Page(NamedTuple):
    """A page made from a notebook.

    Attributes:
        uri: where it goes, below ``docs/``.
        title: its first heading.
        summary: its first paragraph.
        markdown: the page.
        files: its figures, by path below ``docs/``.
    """

    uri: str
    title: str
    summary: str
    markdown: str
    files: dict[str, bytes]


def read(path: Path) -> dict[str, Any]:
    """A notebook as JSON, texts joined."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    return notebook


def section(path: Path, heading: str) -> str:
    """The text under a heading of a notebook, up to the next heading; empty if there is no such heading."""
    text = "\n\n".join(c["source"] for c in read(path)["cells"] if c["cell_type"] == "markdown")
    found = re.search(rf"^## {re.escape(heading)}\s*\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""


def helpers(path: Path) -> list[Path]:
    """The modules beside a notebook that it imports, and those that they import."""
    found: dict[Path, None] = {}
    waiting = ["\n".join(c["source"] for c in read(path)["cells"] if c["cell_type"] == "code")]
    while waiting:
        for name in re.findall(r"^\s*(?:from|import) (\w+)", waiting.pop(), re.MULTILINE):
            module = path.with_name(f"{name}.py")
            if module.is_file() and module not in found:
                found[module] = None
                waiting.append(module.read_text(encoding="utf-8"))
    return sorted(found)


def fence(text: str, language: str) -> str:
    """A code block that holds whatever the text is."""
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{ticks} {language}\n{text.rstrip()}\n{ticks}"


def folded(title: str, markdown: str) -> str:
    """A part of a page that opens when its title is clicked."""
    return f'??? code "{title}"\n\n' + re.sub(r"^(?=.)", "    ", markdown, flags=re.MULTILINE)


def site_link(target: str, folder: str) -> str:
    """A notebook's link, as it is on the site.

    Args:
        target: as in the notebook: to another notebook, a file of the repository, a page of ``docs/``, or outside.
        folder: the notebook's, below the repository.
    """
    if re.match(r"[a-z]+:|#", target):
        return target
    path, hash_, anchor = target.partition("#")
    path = posixpath.normpath(posixpath.join(folder, path))
    here = folder.removeprefix("notebooks/")
    if path.startswith("notebooks/") and path.endswith(".ipynb"):
        goal = path.removeprefix("notebooks/").removesuffix(".ipynb") + ".md"
    elif path.startswith("cl/"):
        goal = kernel_uri(path)
    elif path.startswith("docs/"):
        goal = path.removeprefix("docs/")
    else:
        raise ValueError(f"a notebook in {folder} links to {target}, which is not on the site")
    return posixpath.relpath(goal, here) + hash_ + anchor


def kernel_uri(path: str) -> str:
    """The page that shows a file of ``cl/``."""
    stem, _, kind = path.removeprefix("cl/").rpartition(".")
    return f"kernels/{stem}{'' if kind == 'cl' else '-' + kind}.md"


def _png(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _plain(text: str) -> str:
    """Markdown, formulas and tags as words, for what is read aloud."""
    text = re.sub(r"<[^>]*>|[*`$\\{}]", "", _LINK.sub(r"\1", text).replace("\n", " "))
    return html.escape(text.replace("[", "(").replace("]", ")").strip())


def _alt(heading: str, prose: str) -> str:
    """What a picture is called for those who do not see it: its heading, and how the text introduces it."""
    said = [part for part in prose.split("\n\n") if not re.match(r"\s*([#|<$]|[-*] |\d+\. |```)", part)]
    sentence = re.match(r".*?[.:?](?=\s|$)", said[-1], re.DOTALL) if said else None
    return _plain(f"Figure: {heading}." + (f" {sentence[0]}" if sentence else ""))


def _chart_alt(figure: dict[str, Any], heading: str) -> str:
    """What a chart of plotly's shows: its panels, axes and curves."""
    layout = figure["layout"]
    parts = {
        "": [note["text"] for note in layout.get("annotations", ()) if note.get("text")],
        "Axes: ": [axis["title"]["text"] for key, axis in layout.items()
                   if re.match("[xy]axis", key) and axis.get("title", {}).get("text")],
        "Shown: ": [trace["name"] for trace in figure["data"]
                    if trace.get("name") and trace.get("showlegend") is not False]}
    return _plain(" ".join([f"Chart: {heading}.", *(f"{name}{', '.join(dict.fromkeys(found))}."
                                                    for name, found in parts.items() if found)]))


def _merged(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The outputs with what was printed in several pieces in one; where it is cut is a matter of chance."""
    found: list[dict[str, Any]] = []
    for output in outputs:
        if found and output["output_type"] == "stream" == found[-1]["output_type"] and \
                output["name"] == found[-1]["name"]:
            found[-1] = {**output, "text": [*found[-1]["text"], *output["text"]]}
        else:
            found.append(output)
    return found


def _output(output: dict[str, Any], name: str, heading: str, prose: str, files: dict[str, bytes], folder: str) -> str:
    """One output of a cell as Markdown; figures go to ``files``."""
    def joined(value: Any) -> str:
        return value if isinstance(value, str) else "".join(value)

    kind = output["output_type"]
    if kind == "error":
        raise ValueError(f"{name} holds an error: {output['ename']}: {output['evalue']}")
    if kind == "stream":
        return fence(_ANSI.sub("", joined(output["text"])), "{ .text .output }")
    data = output["data"]
    if "application/vnd.plotly.v1+json" in data:
        figure = data["application/vnd.plotly.v1+json"]
        text = json.dumps({"data": figure["data"], "layout": figure["layout"]}, separators=(",", ":"))
        height = figure["layout"].get("height", 420)
        return (f'<div class="plotly-figure" role="figure" aria-label="{_chart_alt(figure, heading)}" '
                f'style="min-height:{height}px"><script type="application/json">'
                f'{text.replace("</", "<" + chr(92) + "/")}</script></div>')
    for mime, ending in (("image/svg+xml", "svg"), ("image/png", "png")):
        if mime in data:
            raw = joined(data[mime])
            content = raw.encode() if ending == "svg" else base64.b64decode(raw)
            files[f"{folder}/figures/{name}.{ending}"] = content
            size = "" if ending == "svg" else " width={} height={}".format(*_png(content))
            return f"![{_alt(heading, prose)}](figures/{name}.{ending}){{ .figure loading=lazy{size} }}"
    if "text/markdown" in data:
        return re.sub(r"^```(\w+)\n// (cl/\S+)", r'``` { .\1 title="\2" }', joined(data["text/markdown"]))
    if "text/html" in data:
        return f'<div class="output-html">{joined(data["text/html"])}</div>'
    if "text/latex" in data:
        return joined(data["text/latex"])
    return fence(_ANSI.sub("", joined(data["text/plain"])), "{ .text .output }")


def _code(source: str, figures: int) -> str:
    lines = source.strip().splitlines()
    block = fence("\n".join(lines), "python")
    statements = ast.parse("\n".join("" if line.startswith(("%", "!")) else line for line in lines)).body
    if len(lines) > 3 and 2 * sum(isinstance(x, ast.Import | ast.ImportFrom) for x in statements) > len(statements):
        return folded("Imports", block)
    return folded(f"The code of the figure ({len(lines)} lines)", block) if figures and len(lines) > LONG else block


def page(path: Path, executed: Path, buttons: str = "") -> Page:
    """Make the page of a notebook.

    Args:
        path: the notebook in the repository.
        executed: the same with outputs.
        buttons: Markdown that goes under the title.
    """
    folder = path.parent.relative_to(ROOT).as_posix()
    uri = path.relative_to(NOTEBOOKS).with_suffix(".md").as_posix()
    here = posixpath.dirname(uri)
    files: dict[str, bytes] = {}
    parts, heading, prose = [], "", ""
    for cell in read(executed)["cells"]:
        source = cell["source"].strip()
        if cell["cell_type"] == "markdown":
            headings = re.findall(r"^#+ (.+)", source, re.MULTILINE)
            heading, prose = headings[-1] if headings else heading, source
            parts.append(_LINK.sub(lambda m: f"[{m[1]}]({site_link(m[2], folder)})", source))
        elif cell["cell_type"] == "code":
            outputs = []
            for i, output in enumerate(_merged(cell["outputs"])):
                outputs.append(_output(output, f"{cell['id']}-{i}", heading, prose, files, here))
            shows_source = source.startswith("show_source(")
            figures = sum(any(mark in text for mark in _FIGURES) for text in outputs)
            parts += ([] if shows_source else [_code(source, figures)]) + outputs
    text = "\n\n".join(part for part in parts if part)
    # A list or display formula right under a line of text is one in a notebook; Markdown on the site wants a gap.
    text = _spaced(text)
    title = re.match(r"# (.+)\n+", text)
    if not title:
        raise ValueError(f"{path.relative_to(ROOT)} does not begin with a title")
    rest = text[title.end():]
    summary = rest.split("\n\n")[0].replace("\n", " ")
    return Page(uri, title[1], summary, f"# {title[1]}\n\n{buttons}\n\n{rest}\n", files)


_LIST = re.compile(r"\s*([-*+]|\d+\.)\s")


def _spaced(text: str) -> str:
    """The text with an empty line after headings and before lists, tables and display formulas; code as it is."""
    lines: list[str] = []
    inside = ""
    for line in text.splitlines():
        mark = re.match(r"\s*(`{3,})", line)
        if inside:
            inside = "" if mark and mark[1] == inside and line.strip() == inside else inside
        elif mark:
            inside = mark[1]
        else:
            former = lines[-1] if lines else ""
            starts = ((bool(_LIST.match(line)) and not _LIST.match(former) and not former.startswith((" ", "\t")))
                      or (line.startswith("|") and not former.startswith("|"))
                      or former.startswith("#"))
            if former.strip() and starts and line.strip():
                lines.append("")
        lines.append(line)
    return "\n".join(lines)
