"""Who may import whom: read from the source, so that imports inside functions count too."""

import ast
from pathlib import Path

import pytest

from genesis.opencl import sources

PACKAGE = Path(__file__).resolve().parent.parent / "genesis"

# What a part may import beside itself. A part is a subpackage, or modules at the top that belong together.
BASE = {"dtypes", "errors", "layouts", "norms", "random", "tracing"}     # plain Python and NumPy, for everybody
TENSOR = {"autograd", "creation", "derivatives", "dlpack", "functions", "gradients", "hooks", "indexing", "tensor",
          "methods", "joining", "combining", "contraction", "foreach", "linalg", "special", "complex_numbers", "fft",
          "halving", "accelerator", "cuda", "sparse", "windows", "outputs", "coo", "sizes"}
BELOW_TENSOR = {"opencl", "ops", *BASE}
BELOW_NN = {*BELOW_TENSOR, *TENSOR}
TOP = {"recipes", "cli", "__main__"}
ALLOWED = {
    **dict.fromkeys(BASE, frozenset({"errors"})),
    "opencl": BASE,
    "ops": {"opencl", *BASE},
    **dict.fromkeys(TENSOR, BELOW_NN),
    **dict.fromkeys(("nn", "optim", "amp", "data", "serialization", "utils"), BELOW_NN),
    "cuda": {*BELOW_NN, "amp"},                           # cuda.amp, where PyTorch had it first
    **dict.fromkeys(("backends", "compiler", "distributed", "jit"), frozenset()),
    "settings": {"ops"},
    "places": None,                                       # it says where each module is found, too
    **dict.fromkeys(("distributions", "forms", "spectrograms"), frozenset({*BELOW_NN, "nn"})),
    # An averaged model is a module, and optim.swa_utils, where PyTorch has it, hands it on: the one way from optim
    # to nn.
    "averaging": {*BELOW_NN, "nn"},
    "utils": {*BELOW_NN, "data"},                         # utils.data, where PyTorch has it
    "func": {*BELOW_NN, "nn"},
    "optim": {*BELOW_NN, "averaging"},
    "profiler": {"opencl", *BASE},
    "fingerprint": {*BELOW_NN, "nn", "optim"},
    "testing": {*BELOW_NN, "optim"},
    "doctor": {*BELOW_NN, "nn", "optim", "amp", "testing"},
    "recipes": None,                                      # everything but cli
    "cli": None,
    "__main__": None,
    "__init__": None,
}


def files(folder=PACKAGE):
    return sorted(path for path in folder.rglob("*.py") if "cl" not in path.relative_to(PACKAGE).parts[:1])


def part_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path):
    """Dotted names of the modules that a file imports when it runs; what only type checkers see does not count."""
    package = ("genesis", *path.relative_to(PACKAGE).parent.parts)
    waiting = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[:len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            yield module
            if module == "genesis":
                yield from (f"genesis.{name.name}" for name in node.names)
        waiting += ast.iter_child_nodes(node)


def parts_imported(path):
    """Parts of genesis that a file imports; ``""`` stands for the package itself."""
    for name in imports(path):
        first, _, rest = name.partition(".")
        if first == "genesis":
            yield rest.split(".")[0]


def is_part(name):
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()


def test_every_part_is_known():
    assert {part_of(path) for path in files()} <= set(ALLOWED)


@pytest.mark.parametrize("part", sorted(part for part in ALLOWED if ALLOWED[part] is not None))
def test_imports_point_downward(part):
    wrong = {}
    for path in files():
        if part_of(path) != part:
            continue
        for name in set(parts_imported(path)):
            if name and is_part(name) and name != part and name not in ALLOWED[part]:
                wrong.setdefault(str(path.relative_to(PACKAGE)), set()).add(name)
    assert not wrong


def test_only_recipes_and_cli_know_the_top():
    for path in files():
        if part_of(path) not in TOP:
            assert not TOP & set(parts_imported(path)), path
        if part_of(path) == "recipes":
            assert "cli" not in set(parts_imported(path)), path


def test_nn_and_optim_do_not_know_each_other():
    for mine, other in (("nn", "optim"), ("optim", "nn")):
        for path in files(PACKAGE / mine):
            assert other not in set(parts_imported(path)), path


def test_only_opencl_imports_pyopencl():
    users = {part_of(path) for path in files() if any(n.split(".")[0] == "pyopencl" for n in imports(path))}
    assert users == {"opencl"}


def test_kernel_folder_holds_no_python():
    assert [path.name for path in sources().rglob("*.py")] == []


def test_reader_of_imports_sees_every_form(tmp_path, monkeypatch):
    source = tmp_path / "nn" / "layers.py"
    source.parent.mkdir()
    source.write_text("from typing import TYPE_CHECKING\nimport numpy.linalg\nfrom ..optim import SGD\n"
                      "from . import init\nimport genesis\nfrom genesis import cli\nif TYPE_CHECKING:\n"
                      "    from ..data import DataLoader\ndef late():\n    from .. import amp\n")
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    assert set(imports(source)) == {"typing", "numpy.linalg", "genesis.optim", "genesis.nn", "genesis", "genesis.cli",
                                    "genesis.amp"}
    assert set(parts_imported(source)) == {"", "optim", "nn", "cli", "amp"}
