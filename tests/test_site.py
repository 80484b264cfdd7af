"""The tools that make the site: what they make of notebooks, docstrings and kernels."""

import inspect
import json
import re
import types
from pathlib import Path

import pytest

import genesis
from genesis.optim import ALGORITHMS

ROOT = Path(__file__).resolve().parent.parent
pytest.importorskip("tools.notebooks", reason="not in a checkout")
from tools import notebooks
from tools.site import convert, kernels, records

NOTATION = (ROOT / "docs/notation.md").read_text(encoding="utf-8")


# The reference ------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def reference():
    pytest.importorskip("griffe", reason="griffe, which reads docstrings, is not installed")
    from tools.site import api

    return api.pages()


def public(module, name, seen):
    """Every public name below a module, with its module."""
    seen.add(module)
    for child in module.__all__:
        value = getattr(module, child)
        if isinstance(value, types.ModuleType):
            if value not in seen and hasattr(value, "__all__"):
                yield from public(value, f"{name}.{child}", seen)
        else:
            yield name, child


def test_every_public_name_is_in_the_reference(reference):
    found = list(public(genesis, "genesis", set()))
    assert len(found) > 200
    for module, name in found:
        page = "api/genesis.Tensor.md" if (module, name) == ("genesis", "Tensor") else f"api/{module}.md"
        assert f"{{ #{module}.{name} }}" in reference[page], f"{module}.{name}"
    for method in ("backward", "sum", "to", "item"):
        assert f"{{ #genesis.Tensor.{method} }}" in reference["api/genesis.Tensor.md"]


def test_reference_has_arguments_and_no_docstring_syntax(reference):
    page = reference["api/genesis.optim.md"]
    assert "- `betas`: (β₁, β₂)" in page
    assert "**Arguments**" in page
    for name, text in reference.items():
        plain = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        assert not re.search(r"^ *(Args|Returns|Raises|Example):$|:(class|func|meth):`", plain, re.MULTILINE), name
        assert not re.search(r"::$", plain, re.MULTILINE), name
        assert ">>>" not in plain, name


def test_reference_links_exist(reference):
    anchors = {uri: set(re.findall(r"\{ #(\S+) \}", text)) for uri, text in reference.items()}
    for uri, text in reference.items():
        for page, anchor in re.findall(r"\]\(([\w.]*)#([\w.]+)\)", text):
            assert anchor in anchors[f"api/{page}" if page else uri], f"{uri}: {page}#{anchor}"


# Notebooks ----------------------------------------------------------------------------------------------------------

def cell(kind, source, outputs=()):
    found = {"cell_type": kind, "id": "x-00", "metadata": {}, "source": source}
    return {**found, "outputs": list(outputs), "execution_count": 1} if kind == "code" else found


def page_of(tmp_path, *cells):
    path = notebooks.NOTEBOOKS / "algorithms" / "adam.ipynb"
    executed = tmp_path / "executed.ipynb"
    executed.write_text(json.dumps({"cells": list(cells)}), encoding="utf-8")
    return convert.page(path, executed)


def test_page_has_title_links_and_outputs(tmp_path):
    page = page_of(
        tmp_path,
        cell("markdown", "# Title\nFirst [Lion](lion.ipynb#a), [it](../../cl/optim/sgd.cl).\n- item"),
        cell("code", "print(1)", [{"output_type": "stream", "name": "stdout", "text": ["\x1b[31m1\x1b[0m\n"]}]))
    assert page.title == "Title"
    assert "[Lion](lion.md#a)" in page.markdown
    assert "[it](../kernels/optim/sgd.md)" in page.markdown
    assert ".\n\n- item" in page.markdown
    assert "```python" in page.markdown.replace("``` python", "```python")
    assert "{ .text .output }\n1\n```" in page.markdown


def test_helpers_are_what_is_imported_from_beside(tmp_path):
    path = tmp_path / "own.ipynb"
    cells = [cell("code", "import numpy\nfrom first import x"), cell("markdown", "import no")]
    path.write_text(json.dumps({"cells": cells}))
    (tmp_path / "first.py").write_text("from second import y\nimport first\n")
    for name in ("second", "third", "no"):
        (tmp_path / f"{name}.py").write_text("")
    assert [file.name for file in convert.helpers(path)] == ["first.py", "second.py"]


def test_page_keeps_interactive_figures(tmp_path):
    figure = {"data": [{"y": [1, 2]}], "layout": {"title": {"text": "</script>"}}}
    page = page_of(tmp_path, cell("markdown", "# Title\n\nText."), cell("code", "figure", [
        {"output_type": "display_data", "metadata": {}, "data": {"application/vnd.plotly.v1+json": figure}}]))
    text = re.search(r'<script type="application/json">(.*?)</script>', page.markdown)[1]
    assert json.loads(text) == figure


@pytest.mark.parametrize("data", [
    {"application/vnd.plotly.v1+json": {"data": [], "layout": {}}}, {"image/svg+xml": "<svg/>"},
    {"text/html": '<div class="figure"></div>'}, {"text/html": "<p>no figure</p>"}])
def test_page_folds_long_code_of_figures(tmp_path, data):
    code = "\n".join(f"x = {i}" for i in range(convert.LONG + 1))
    page = page_of(tmp_path, cell("markdown", "# Title\n\nText."), cell("code", code, [
        {"output_type": "display_data", "metadata": {}, "data": data}]))
    assert ("The code of the figure" in page.markdown) == ("<p>no figure</p>" not in data.values())


def test_page_refuses_errors_and_foreign_links(tmp_path):
    with pytest.raises(ValueError, match="ZeroDivisionError"):
        page_of(tmp_path, cell("markdown", "# T\n\nx"), cell("code", "1/0", [
            {"output_type": "error", "ename": "ZeroDivisionError", "evalue": "", "traceback": []}]))
    with pytest.raises(ValueError, match="not on the site"):
        page_of(tmp_path, cell("markdown", "# T\n\n[x](../../genesis/tensor.py)"))


def test_notebook_is_executed_once_for_a_state(tmp_path, monkeypatch):
    monkeypatch.setenv("GENESIS_NOTEBOOKS", str(tmp_path / "cache"))
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(notebooks, "_library", lambda: b"library")
    path, log = tmp_path / "example.py", tmp_path / "log"
    path.write_text(f"open({str(log)!r}, 'a').write('x'); print('first')", encoding="utf-8")
    for _ in range(2):
        assert notebooks.execute(path).read_text(encoding="utf-8") == "first\n"
    assert log.read_text() == "x"
    monkeypatch.setattr(notebooks, "_library", lambda: b"another")
    notebooks.execute(path)
    assert log.read_text() == "xx"
    path.write_text("raise SystemExit('broken')", encoding="utf-8")
    with pytest.raises(notebooks.ExecutionError, match="broken"):
        notebooks.execute(path)
    path.write_text("import time; time.sleep(60)", encoding="utf-8")
    with pytest.raises(notebooks.ExecutionError, match=r"longer than 0\.5 s"):
        notebooks.execute(path, limit=0.5)


# Kernels and measurements -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("stem", list(ALGORITHMS))
def test_kernel_page_has_file_and_formula(stem):
    cls = ALGORITHMS[stem]
    page = kernels.pages()[convert.kernel_uri(f"cl/{cls.source}")]
    assert (ROOT / "cl" / cls.source).read_text(encoding="utf-8").strip() in page
    assert "$" in page.split("## The file")[0]
    for rule in kernels.rules(cls.source):
        assert f"| `{rule.name}` |" in page
    assert f"{stem}.md" in kernels.algorithms()


def test_every_algorithm_has_buttons_to_kernel_and_reference():
    pytest.importorskip("mkdocs", reason="mkdocs, which makes the site, is not installed")
    from tools.site import hooks

    for path in (ROOT / "notebooks/algorithms").glob("*.ipynb"):
        buttons = hooks._buttons(path, path.name)
        assert f"[The kernel](../{convert.kernel_uri(f'cl/optim/{path.stem}.cl')})" in buttons
        (name,) = re.findall(r"\[Reference\]\(\S+#genesis\.optim\.(\w+)\)", buttons)
        assert (name.lower(), hasattr(genesis.optim, name)) == (path.stem, True)
    assert "[The kernel]" not in hooks._buttons(ROOT / "notebooks/guides/adam.ipynb", "adam.ipynb")


def test_every_file_of_cl_has_a_page():
    made = kernels.pages()
    for path in (ROOT / "cl").rglob("*.*"):
        uri = convert.kernel_uri(path.relative_to(ROOT).as_posix())
        assert uri in made or (ROOT / "docs" / uri).is_file(), path.name


def test_summary_of_a_kernel_file_is_a_whole_sentence(tmp_path):
    file = tmp_path / "x.cl"
    file.write_text("// A rule (Somebody et al. 1951), and\n// the same with momentum. More of it.\nint x;\n")
    assert kernels.opening(file) == "A rule (Somebody et al. 1951), and the same with momentum"
    file.write_text("// A rule (Somebody 1951, https://example.org/a/) of a host (genesis/ops/x.py).\nint x;\n")
    assert kernels.opening(file) == "A rule (Somebody 1951) of a host"
    file.write_text("// A rule; genesis/optim/x.py has the host's half, with 1/2.\nint x;\n")
    assert kernels.opening(file) == "A rule; genesis/<wbr>optim/<wbr>x.py has the host's half, with 1/2"
    summaries = {path.name: kernels.opening(path) for path in (ROOT / "cl").rglob("*.*")}
    assert {name for name, text in summaries.items() if text.count("(") != text.count(")")} == set()


def test_part_of_a_file_is_found_or_an_error():
    text = kernels.part("cl/optim/sgd.cl | void sgd( | }")
    assert "*param -= lr * grad;" in text
    assert "momentum" not in text
    with pytest.raises(ValueError, match="no line with"):
        kernels.part("cl/optim/sgd.cl | nothing of the kind | }")


@pytest.mark.parametrize("make", [records.benchmarks, records.portability, records.differences])
def test_measurements_are_shown_or_missed(make, tmp_path, monkeypatch):
    assert make()                                            # what is published
    monkeypatch.setattr(records, "DATA", tmp_path)
    assert "No " in make()


def test_operations_and_training_are_published_with_their_ratios(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "DATA", tmp_path / "data")
    machine = {"cpu": "a processor", "cores": 2, "system": "Linux", "date": "2026-01-02T03:04:05", "load": 0.1,
               "versions": {"torch": "2"}, "opencl": {"platform": "a runtime", "driver": "1"}}

    def peers(genesis, torch):
        return {name: {"seconds": dict.fromkeys(("low", "median", "high"), value), "each": [value],
                       "ratio": dict.fromkeys(("low", "median", "high"), genesis / value)}
                for name, value in (("genesis", genesis), ("PyTorch", torch))}

    case = {"group": "matmul", "title": "2×3 by 3×4", "forward": {"peers": peers(0.001, 0.002)},
            "backward": {"peers": peers(0.003, 0.002)}}
    goal = {"goal": "matmul, forward", "limit": 1.05, "value": 0.5, "reached": True}
    task = {"title": "a small model", "peers": peers(0.004, 0.005), "losses": [[1.0, 1.0], [0.5, 0.5]], "drift": 1e-7,
            "drift_of_torch_itself": 2e-7, "memory": {"genesis": 8e6, "PyTorch": 9e6}}
    for name, results in (("operations", {"cases": [case], "goals": [goal]}), ("training", {"tasks": [task]})):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps({"machine": machine, "rounds": 3, **results}), encoding="utf-8")
        assert '"each"' not in records.publish(path).read_text(encoding="utf-8")
    page = records.benchmarks()
    assert "| 2×3 by 3×4 | forward | 1 (1 to 1) | 2 (2 to 2) | 0.50 (0.50 to 0.50) |" in page
    assert "| 2×3 by 3×4 | backward | 3 (3 to 3) | 2 (2 to 2) | 1.50 (1.50 to 1.50) |" in page
    assert "| matmul, forward | at most 1.05" in page
    assert "| PyTorch | 5 (5 to 5) | 0.80 (0.80 to 0.80) | 9 |" in page
    assert "by at most 1e-07 of the first" in page


@pytest.mark.parametrize("path", notebooks.every_notebook(), ids=lambda path: path.stem)
def test_symbols_of_formulas_are_in_the_notation(path):
    """The symbols that a notebook's table explains are those of the one table, or are explained there alone."""
    table = re.findall(r"^\| (\$.*?\$.*?) \|", convert.section(path, kernels.FORMULA), re.MULTILINE)
    known = set(re.findall(r"\\[a-z]+|[a-zA-Z]'?", " ".join(re.findall(r"\$(.*?)\$", NOTATION))))
    for entry in table:
        for formula in re.findall(r"\$(.*?)\$", entry):
            plain = re.sub(r"\\(frac|sqrt|hat|bar|tilde|left|right|cdot|odot|text|mathrm|operatorname|sum|max|min)\b",
                           " ", formula)
            found = set(re.findall(r"\\[a-z]+|(?<![a-z\\])[a-zA-Z](?![a-z])'?", plain))
            assert found <= known, f"{formula} has {found - known}, which docs/notation.md does not have"


def test_pages_fill_only_known_lines():
    known = set(re.findall(r'^    "(\w+)":|, "(\w+)": ', inspect.cleandoc(
        (ROOT / "tools/site/hooks.py").read_text(encoding="utf-8")), re.MULTILINE))
    names = {name for pair in known for name in pair if name}
    for page in (ROOT / "docs").rglob("*.md"):
        for name in re.findall(r"^\{\{ (\w+)", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert name in names, f"{page.name}: {name}"
