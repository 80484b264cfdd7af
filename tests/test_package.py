"""The package as a whole: what importing it does, that its kernels are used, that its README is true."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import genesis
from genesis.opencl import sources

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page, wanted=None):
    """The code blocks of a page, as pairs of language and text, or the texts of one language."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return found if wanted is None else [text for language, text in found if language == wanted]


def python(code):
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)


def test_import_is_light():
    result = python("""
import sys, pyopencl
def asked(*_):
    raise SystemExit("importing genesis asked for platforms")
pyopencl.get_platforms = pyopencl.create_some_context = asked
import genesis, genesis.cli, genesis.recipes.digits, genesis.recipes.text
heavy = {"torch", "matplotlib", "tqdm", "scipy", "jax"} & set(sys.modules)
raise SystemExit(f"imported {heavy}" if heavy else 0)
""")
    assert result.returncode == 0, result.stderr


def test_everything_exported_exists():
    assert [name for name in genesis.__all__ if not hasattr(genesis, name)] == []
    assert sorted(set(genesis.__all__)) == sorted(genesis.__all__)


def test_every_kernel_file_is_used():
    folder = sources()
    package = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "genesis").rglob("*.py"))
    kernels = "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file())
    for path in sorted(folder.rglob("*.cl")):
        name = path.relative_to(folder).as_posix()
        assert f'"{name}"' in package, f"nothing loads {name}"
    for path in sorted(folder.rglob("*.h")):
        assert re.search(rf"[\"/]{re.escape(path.name)}\"", kernels + package), f"nothing includes {path.name}"


def test_readme_begins_with_two_lines_to_run():
    language, text = blocks(README)[0]
    setup = 'python3 -m venv .venv && .venv/bin/pip install -e ".[cpu,{}]" && '
    assert language == "sh"
    assert text.splitlines() == [setup.format("recipes") + ".venv/bin/genesis train digits",
                                 setup.format("test") + ".venv/bin/python -m pytest -n 2"]


@pytest.mark.parametrize("page", [pytest.param(page, marks=[pytest.mark.lengthy] if page == README else [])
                                  for page in PAGES if blocks(page, "python")], ids=lambda page: page.stem)
def test_code_of_the_pages_runs(page, tmp_path, monkeypatch, capsys, request):
    monkeypatch.chdir(tmp_path)
    default = genesis.device()
    request.addfinalizer(lambda: genesis.set_default_device(default))
    names = {"__name__": "__main__"}
    for text in blocks(page, "python"):
        exec(compile(text, page.name, "exec"), names)
    if page == README:
        assert int(re.search(r"(\d+) of 360", capsys.readouterr().out)[1]) > 340


@pytest.mark.parametrize("text", blocks(README, "c"))
def test_readme_kernels_are_those_of_the_files(text):
    assert any(text in path.read_text(encoding="utf-8") for path in (sources() / "optim").glob("*.cl"))


# Many pages of docs/ link to pages that are made when the site is built; `mkdocs build --strict` checks their links.
@pytest.mark.parametrize("page", [README, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.stem)
def test_links_of_the_pages_lead_somewhere(page):
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link
