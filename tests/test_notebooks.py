"""The notebooks as files: present, valid, stripped, in order. They are executed elsewhere, since that takes minutes."""

import importlib
import json
import re
import sys
import types
from pathlib import Path

import pytest

import genesis
from genesis.opencl.program import read
from genesis.optim import ALGORITHMS

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.rglob("*.ipynb"))
PAGES = FOLDER / "algorithms"
SECTIONS = ["What it is and when to use it", "The formula", "The kernel", "One step by hand", "On simple surfaces",
            "On a real task", "How each hyperparameter fails", "References"]

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.relative_to(FOLDER).as_posix())
each_algorithm = pytest.mark.parametrize("stem", list(ALGORITHMS))


def cells(path, kind=None):
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if kind in (None, cell["cell_type"])]


def source(path, kind):
    return "\n\n".join("".join(cell["source"]) for cell in cells(path, kind))


@each_algorithm
def test_optimizer_has_notebook(stem):
    assert (PAGES / f"{stem}.ipynb").is_file(), f"{ALGORITHMS[stem].__name__} needs a notebook"


@each_notebook
def test_notebook_is_valid(path):
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    nbformat.validate(nbformat.read(path, as_version=nbformat.NO_CONVERT))


@each_notebook
def test_notebook_is_stripped(path):
    for cell in cells(path):
        assert cell["metadata"] == {}, cell["id"]
        assert not cell.get("outputs"), cell["id"]
        assert cell.get("execution_count") is None, cell["id"]
    metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    assert metadata == {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                        "language_info": {"name": "python"}}


@each_notebook
def test_notebook_ids_are_stem_and_number(path):
    found = [cell["id"] for cell in cells(path)]
    assert found == [f"{path.stem}-{i:02d}" for i in range(len(found))]


@each_notebook
def test_notebook_code_compiles(path):
    for cell in cells(path, "code"):
        code = "".join(cell["source"])
        plain = "\n".join(line for line in code.splitlines() if not line.startswith(("%", "!")))
        compile(plain, f"{path.name}, cell {cell['id']}", "exec")


@each_notebook
def test_notebook_asserts(path):
    assert re.search(r"^ *(assert |np\.testing\.assert_)", source(path, "code"), re.MULTILINE)


@each_notebook
def test_notebook_links_exist(path):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", source(path, "markdown")):
        assert re.match(r"https?://", target) or (path.parent / target).exists(), target


@each_algorithm
def test_algorithm_sections_in_order(stem):
    text = source(PAGES / f"{stem}.ipynb", "markdown")
    assert re.findall(r"^# (.+)", text, re.MULTILINE) == [ALGORITHMS[stem].__name__]
    assert re.findall(r"^## (.+)", text, re.MULTILINE) == SECTIONS


def test_parts_of_kernels_end_where_the_next_ones_begin(monkeypatch):
    text = types.SimpleNamespace(Markdown=lambda data: types.SimpleNamespace(data=data))  # Jupyter need not be here
    monkeypatch.setitem(sys.modules, "IPython.display", text)
    monkeypatch.syspath_prepend(str(PAGES))
    names = {"show_source": importlib.import_module("common").show_source}
    monkeypatch.delitem(sys.modules, "common")
    calls = [call for path in PAGES.glob("*.ipynb")
             for call in re.findall(r"^show_source\(.+,.+\)$", source(path, "code"), re.MULTILINE)]
    assert len(calls) > 4
    for call in calls:
        assert re.search(r"\n(}|#endif)\n```$", eval(call, names).data), call


@each_algorithm
def test_algorithm_kernel_is_read_not_pasted(stem):
    path = PAGES / f"{stem}.ipynb"
    assert f'show_source("{ALGORITHMS[stem].source}")' in source(path, "code")
    text = source(path, "code") + source(path, "markdown")
    for file in (genesis.opencl.sources() / "optim").iterdir():
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.rstrip().endswith(";") and len(line.strip()) > 12:
                assert line.strip() not in text, f"{file.name}: {line.strip()}"


@each_algorithm
def test_algorithm_symbols_are_in_kernel(stem):
    kernel = read(ALGORITHMS[stem].source) + read("optim/update.h")
    rows = re.findall(r"^\| \$.*\|(.*)\|$", source(PAGES / f"{stem}.ipynb", "markdown"), re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`([a-z]\w*)`", row)]
    assert len(names) > 3
    for name in names:
        assert re.search(rf"\b{name}\b", kernel), f"the table names {name}, which the kernel does not have"
