"""What MkDocs calls: makes the pages that come from elsewhere, and fills in the pages' ``{{ name }}`` lines.

``GENESIS_SITE=draft`` in the environment takes the last result of a notebook, however old, and leaves out those never
executed: for working on the site. Otherwise a notebook that has changed is executed, and one that fails stops the
build.
"""

from __future__ import annotations

import io
import logging
import os
import posixpath
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page as SitePage

ROOT = Path(__file__).resolve().parent.parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from genesis import optim  # noqa: E402
from genesis.optim import ALGORITHMS  # noqa: E402
from tools import notebooks  # noqa: E402
from tools.site import api, assets, convert, kernels, records, wasm  # noqa: E402

log = logging.getLogger("mkdocs.genesis")
DRAFT = os.environ.get("GENESIS_SITE") == "draft"
MODULES = ("rules.js", "surfaces.js", "engine.js", "drawing.js", "state.js", "main.js")     # in order of imports

made: dict[str, str | bytes] = {}                # path below docs/ -> content, of this build
pages: dict[str, list[convert.Page]] = {}        # folder -> the pages made from its notebooks


def _result(path: Path) -> Path | None:
    if not DRAFT:
        return notebooks.execute(path)
    name = notebooks.result_path(path).name.split(".")[0]
    found = sorted(notebooks.cache_folder().glob(f"{name}.*"), key=lambda p: p.stat().st_mtime)
    return found[-1] if found else None


def _download(path: Path) -> tuple[str, bytes]:
    """Name and content of what a notebook's page gives: the notebook, or an archive with the modules it imports."""
    helpers = convert.helpers(path)
    if not helpers:
        return path.name, path.read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in (path, *helpers):
            entry = zipfile.ZipInfo(f"{path.stem}/{file.name}")      # of a fixed date: the archive repeats bit for bit
            entry.external_attr = 0o644 << 16                        # without it, unpacked files cannot be read
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return f"{path.stem}.zip", buffer.getvalue()


def _buttons(path: Path, download: str) -> str:
    """What stands under the title of a notebook's page."""
    kind = Path(download).suffix
    buttons = [f"[Download the notebook ({kind})]({download}){{ .md-button download }}"]
    cls = {name.lower(): value for name, value in vars(optim).items() if name in optim.__all__}.get(path.stem)
    if cls and path.parent.name == "algorithms":
        kernel = convert.kernel_uri(f"cl/{cls.source or f'optim/{path.stem}.cl'}")          # L-BFGS has no rule
        buttons += [f"[The kernel](../{kernel}){{ .md-button }}",
                    f"[Reference](../api/genesis.optim.md#genesis.optim.{cls.__name__}){{ .md-button }}"]
        if path.stem in wasm.racers()[0]:
            lr = {"sgd": 0.001, "asgd": 0.001, "lion": 0.01, "adagrad": 1, "adadelta": 5,
                  "radam": 0.2}.get(path.stem, 0.05)
            surface = "saddle" if path.stem == "radam" else "rosenbrock"      # whose walls RAdam's first steps fly up
            race = f"?on={surface}&r={path.stem}~lr:{lr}"
            buttons.append(f"[Watch it move](../playground.md{race}){{ .md-button .race-link }}")
    return " ".join(buttons) + "\n{ .buttons }"


def _notebook_pages() -> None:
    pages.clear()
    paths = notebooks.every_notebook()
    if not DRAFT and (errors := notebooks.execute_all(paths)):
        raise PluginError("\n\n".join(errors))
    for path in paths:
        executed = _result(path)
        if executed is None:
            log.info("%s was never executed: left out of the draft", path)
            continue
        name, content = _download(path)
        page = convert.page(path, executed, _buttons(path, name))
        front = "---\nsearch:\n  boost: 2\n---\n" if path.parent.name == "algorithms" else ""
        made[page.uri] = front + page.markdown
        made.update(page.files)
        made[posixpath.join(posixpath.dirname(page.uri), name)] = content
        pages.setdefault(path.parent.name, []).append(page)


def _playground() -> str:
    """The playground's modules as one script that also runs from a file, where modules cannot be imported."""
    parts = []
    for name in MODULES:
        text = wasm.script() if name == "rules.js" else (ROOT / "docs/playground" / name).read_text(encoding="utf-8")
        text = re.sub(r"^import .*?;\n", "", text, flags=re.MULTILINE | re.DOTALL)
        parts.append(re.sub(r"^export ", "", text, flags=re.MULTILINE))
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"


def _expanded(entry: Any) -> Any:
    """A part of ``nav``, with ``folder/*`` replaced by the pages made for the folder."""
    if isinstance(entry, dict):
        return {key: _expanded(value) for key, value in entry.items()}
    if not isinstance(entry, list):
        return entry
    found: list[Any] = []
    for item in entry:
        if isinstance(item, str) and item.endswith("/*"):
            folder = item.removesuffix("/*")
            listed = {str(x) for x in entry}
            if folder in ("api", "kernels", "kernels/optim", "kernels/ops", "kernels/include"):
                own = [uri for uri in made if re.fullmatch(rf"{folder}/[^/]+\.md", uri) and uri not in listed]
                own.sort(key=lambda uri: uri.removesuffix(".md").lower())
                found += [{_nav_title(uri): uri} for uri in own]
            else:
                found += [{page.title: page.uri} for page in pages.get(folder, []) if page.uri not in listed]
        else:
            found.append(_expanded(item))
    return found


def _nav_title(uri: str) -> str:
    stem = uri.rpartition("/")[2].removesuffix(".md")
    if uri.startswith("api/"):
        return stem
    return stem.removesuffix("-h") + (".h" if stem.endswith("-h") else ".cl")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make everything."""
    made.clear()
    try:
        wasm_script = _playground()
        vendor = assets.files()
    except (wasm.CompileError, assets.AssetError) as error:
        raise PluginError(str(error)) from None
    made["assets/playground.js"] = wasm_script
    made.update({f"assets/vendor/{path}": content for path, content in vendor.items()})
    _notebook_pages()
    made.update({uri: "---\nsearch:\n  boost: 4\n---\n" + text for uri, text in api.pages().items()})
    made.update(kernels.pages())
    config.nav = _expanded(config.nav)
    if os.environ.get("MIKE_DOCS_VERSION"):
        # Only a site that mike publishes has versions beside it; elsewhere the selector would look for them in vain.
        config.extra["version"] = {"provider": "mike", "default": "latest"}
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what was made."""
    for uri, content in made.items():
        files.append(File.generated(config, uri, content=content))
    return files


# The lines that pages are filled with -------------------------------------------------------------------------------

def _children(folder: str) -> str:
    """The pages made from a folder's notebooks, each with its first paragraph."""
    found = [f"- **[{page.title}]({page.uri.rpartition('/')[2]})**  \n  {page.summary}"
             for page in pages.get(folder, [])]
    return "\n".join(found) or "There are none yet."


def _example(name: str) -> str:
    """A program of ``docs/examples`` and what it prints when it is run."""
    path = ROOT / "docs" / "examples" / name
    result = _result(path)
    output = result.read_text(encoding="utf-8") if result else "(not run in this draft)"
    return (convert.fence(path.read_text(encoding="utf-8"), "{ .py }") + "\n\n"
            + convert.fence(output, "{ .text .output }"))


def _playground_list(_: str) -> str:
    racers, left_out = wasm.racers()
    text = "The optimizers here are " + ", ".join(f"[{racer['title']}](kernels/optim/{Path(racer['source']).stem}.md)"
                                 for racer in racers.values()) + "."
    if left_out:
        names: dict[str, list[str]] = {}
        for name, why in left_out.items():
            names.setdefault(why, []).append(ALGORITHMS[name].__name__)
        reasons = [f"{' and '.join(alike)} ({why})" for why, alike in names.items()]
        text += f" Not here: {', '.join(reasons)}."
    return text


FILLED: dict[str, Callable[[str], str]] = {
    "algorithms": kernels.algorithms, "kernels": kernels.listing, "source": kernels.part, "children": _children,
    "benchmarks": records.benchmarks, "portability": records.portability, "example": _example,
    "differences": records.differences,
    "playground_list": _playground_list, "whole": lambda name: kernels.source(ROOT / name),
    "file": lambda name: (ROOT / name).read_text(encoding="utf-8").split("\n", 1)[1],
}


def on_page_markdown(markdown: str, page: SitePage, config: MkDocsConfig, files: Files) -> str:
    """Replace lines ``{{ name argument }}``."""
    def fill(match: re.Match[str]) -> str:
        if match[1] not in FILLED:
            raise PluginError(f"{page.file.src_uri}: there is no {match[1]}; there are {', '.join(FILLED)}")
        return FILLED[match[1]]((match[2] or "").strip())

    text = re.sub(r"^\{\{ (\w+)(?: (.*))? \}\}$", fill, markdown, flags=re.MULTILINE)
    return text if page.file.src_uri.startswith("api/") else _referring(text, page.file.src_uri)


def _referring(text: str, uri: str) -> str:
    """The page with names such as ``genesis.optim.Adam`` linked to the reference."""
    def link(match: re.Match[str]) -> str:
        goal = api.index().get(match[1])
        if goal is None:
            return match[0]
        page = posixpath.relpath(api.uri(goal), posixpath.dirname(uri) or ".")
        return f"[`{match[1]}`]({page}{'' if goal in api.modules() else f'#{goal}'})"

    parts = re.split(r"(^ *```.*?^ *```$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.lstrip().startswith("```") else
                   re.sub(r"(?<![`\[])`(genesis\.[\w.]+)`(?![`\]])", link, part) for part in parts)
