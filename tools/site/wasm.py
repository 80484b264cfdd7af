"""Compiles the optimizers' kernels to WebAssembly, for the playground.

Each rule in ``cl/optim`` is compiled with the shipped ``update.h`` around it, by clang's OpenCL front end, from the
very text that a device gets; ``runtime.c`` stands for the built-in functions. What the host works out in each step is
translated from the methods ``rule``, ``scalars`` and ``first_values`` of the optimizer's class, so that nothing is
written twice.
"""

from __future__ import annotations

import ast
import base64
import functools
import hashlib
import inspect
import json
import shutil
import subprocess
import tempfile
import textwrap
from pathlib import Path
from typing import Any

from genesis.optim import ALGORITHMS, Optimizer, implementation
from genesis.optim.checks import required
from genesis.optim.rule import Rule, source
from tools.notebooks import ROOT

from . import kernels

RUNTIME = Path(__file__).parent / "runtime.c"
CACHE = ROOT / "build" / "wasm"


class CompileError(RuntimeError):
    """A rule could not be made into WebAssembly."""


def clang() -> tuple[str, str]:
    """The compiler and the linker."""
    def find(name: str) -> str:
        for candidate in (name, *(f"{name}-{version}" for version in range(21, 12, -1))):
            if found := shutil.which(candidate):
                return found
        raise CompileError(f"{name} is needed to compile the playground's kernels; on Debian: apt install clang lld")

    return find("clang"), find("wasm-ld")


def compiled(rule: Rule) -> bytes:
    """The kernel of a rule as a WebAssembly module, from ``build/wasm`` when its text has not changed.

    The module exports ``memory``, ``__heap_base``, ``at(i)``, which sets the element to update, and ``update(params,
    grads, states..., row_of_chunk, rows)``, whose arguments are addresses in the memory.
    """
    states = ", ".join(f"&state{i}" for i in range(len(rule.states)))
    scalars = ", ".join(f"row[{i + 2}]" for i in range(len(rule.scalars)))
    call = f"{rule.name}({', '.join(filter(None, ('&param, grad', states, scalars)))})"
    defines = {"PARAM": "float32", "GRAD": "float32", "STATE": "float32", "STATES": len(rule.states), "CALL": call,
               "ROW": rule.row, "WIDTH": 1, "CHUNK": 1024, "ROWS_IN_BUFFER": 1, "kernel": ""}
    text = source(rule)
    digest = hashlib.sha256(f"{text}{defines}".encode() + RUNTIME.read_bytes()).hexdigest()[:16]
    target = CACHE / f"{rule.name}.{digest}.wasm"
    if target.is_file():
        return target.read_bytes()
    compiler, linker = clang()
    common = ["--target=wasm32", "-Oz", "-nostdlib", "-ffreestanding", "-ffunction-sections", "-ffp-contract=off", "-c"]
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "rule.cl").write_text(text, encoding="utf-8")
        _run([compiler, *common, "-x", "cl", "-cl-std=CL1.2", "-Xclang", "-finclude-default-header",
              *(f"-D{name}={value}" for name, value in defines.items()), str(here / "rule.cl"), "-o",
              str(here / "rule.o")], rule)
        _run([compiler, *common, "-Wno-unknown-attributes", str(RUNTIME), "-o", str(here / "runtime.o")], rule)
        _run([linker, "--no-entry", "--gc-sections", "--strip-all", "--export=update", "--export=__heap_base",
              "-z", "stack-size=1024", str(here / "rule.o"), str(here / "runtime.o"), "-o", str(here / "rule.wasm")],
             rule)
        content = (here / "rule.wasm").read_bytes()
    CACHE.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return content


def _run(command: list[str], rule: Rule) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        hint = f"\n{RUNTIME.name} has to define what is undefined" if "undefined symbol" in done.stderr else ""
        raise CompileError(f"{rule.file}, {rule.name}:\n{done.stderr}{hint}")


# Python to JavaScript -------------------------------------------------------------------------------------------------

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.Eq: "===", ast.NotEq: "!==",
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.And: "&&", ast.Or: "||", ast.USub: "-", ast.Not: "!",
    ast.UAdd: "+"}
_CALLS = {"math.sqrt": "Math.sqrt", "math.exp": "Math.exp", "math.log": "Math.log", "math.pow": "Math.pow",
          "math.expm1": "Math.expm1", "math.log1p": "Math.log1p",
          "math.tanh": "Math.tanh", "max": "Math.max", "min": "Math.min", "abs": "Math.abs", "float": "Number",
          "bool": "Boolean"}


class TranslationError(ValueError):
    """A method uses something that has no counterpart here."""


def _javascript(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=bool(value)):
            return "true" if value else "false"
        case ast.Constant(value=None):
            return "null"
        case ast.Constant(value=int() | float() | str() as value):
            return json.dumps(value)
        case ast.Name(id=name):
            return name
        case ast.UnaryOp(op=op, operand=operand):
            return f"({_OPERATORS[type(op)]}{_javascript(operand)})"
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mult(), right=count):
            return f"{json.dumps(text)}.repeat({_javascript(count)})"
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return f"({_javascript(left)} {_OPERATORS[type(op)]} {_javascript(right)})"
        case ast.BoolOp(op=op, values=values):
            return "(" + f" {_OPERATORS[type(op)]} ".join(map(_javascript, values)) + ")"
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _OPERATORS:
            return f"({_javascript(left)} {_OPERATORS[type(op)]} {_javascript(right)})"
        case ast.Compare(left=left, ops=[ast.Is()], comparators=[right]):
            return f"({_javascript(left)} === {_javascript(right)})"
        case ast.Compare(left=left, ops=[ast.IsNot()], comparators=[right]):
            return f"({_javascript(left)} !== {_javascript(right)})"
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return f"({_javascript(test)} ? {_javascript(body)} : {_javascript(orelse)})"
        case ast.Subscript(value=value, slice=index):
            return f"{_javascript(value)}[{_javascript(index)}]"
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            return "[" + ", ".join(map(_javascript, elements)) + "]"
        case ast.Dict(keys=keys, values=values):
            # A tuple as a key is an array, which becomes a text here and where it is looked up.
            return "({" + ", ".join(f"...{_javascript(v)}" if k is None else f"[{_javascript(k)}]: {_javascript(v)}"
                                    for k, v in zip(keys, values, strict=True)) + "})"
        case ast.Call(func=function, args=arguments, keywords=[]) if ast.unparse(function) in _CALLS:
            return f"{_CALLS[ast.unparse(function)]}({', '.join(map(_javascript, arguments))})"
        case ast.JoinedStr(values=values):
            return " + ".join(['""', *(_javascript(v.value if isinstance(v, ast.FormattedValue) else v)
                                       for v in values)])
    raise TranslationError(ast.unparse(node))


def _statement(node: ast.stmt) -> str:
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return ""                                                       # the docstring
        case ast.Return(value=ast.expr() as value):
            return f"return {_javascript(value)};"
        case ast.Assign(targets=[target], value=value):
            return f"var {_javascript(target)} = {_javascript(value)};"
        case ast.If(test=test, body=body, orelse=orelse):
            text = f"if ({_javascript(test)}) {{ {' '.join(map(_statement, body))} }}"
            return text + (f" else {{ {' '.join(map(_statement, orelse))} }}" if orelse else "")
    raise TranslationError(ast.unparse(node))


def translated(method: Any, arguments: str) -> str:
    """A method without side effects as a JavaScript function of the same arguments.

    Raises:
        TranslationError: it uses more than arithmetic, conditions and dictionaries.
    """
    function = ast.parse(textwrap.dedent(inspect.getsource(method))).body[0]
    assert isinstance(function, ast.FunctionDef)
    return f"function ({arguments}) {{ {' '.join(filter(None, map(_statement, function.body)))} }}"


# All of them ----------------------------------------------------------------------------------------------------------

def defaults(cls: type[Optimizer]) -> dict[str, Any]:
    """A class's hyperparameters and their defaults; a required learning rate is 0.01.

    Left out is what changes the kernel around a rule, of which the playground has one for each rule.
    """
    found = {}
    for parameter in list(inspect.signature(cls.__init__).parameters.values())[2:]:
        if parameter.name not in ("maximize", "max_grad_norm", "decoupled_weight_decay", *implementation.DEFAULTS):
            found[parameter.name] = 0.01 if parameter.default is required else parameter.default
    return found


def one_launch(cls: type[Optimizer]) -> bool:
    """Whether an optimizer's step is the base class's, one launch of one rule."""
    return cls.step is Optimizer.step and cls.second_rule is Optimizer.second_rule


@functools.cache
def racers() -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """What the playground can run, and why it cannot run the others.

    Returns:
        By name, ``{title, source, defaults, numbers, rule, scalars, first, decay, kernels: {rule: {states, scalars,
        wasm}}}``; and by name of an optimizer that is left out, the reason: it is not one launch of one rule, or its
        host's part cannot be translated. A rule that does not compile is an error, not a reason.
    """
    found: dict[str, dict[str, Any]] = {}
    left_out: dict[str, str] = {}
    for stem, cls in ALGORITHMS.items():
        own = kernels.rules(cls.source)
        if not own or not one_launch(cls):
            left_out[stem] = "a step of it takes more than one kernel"
            continue
        if cls.rows_only:
            left_out[stem] = "it is Adam where, as here, all elements have a gradient"
            continue
        try:
            arguments = ["group", "step", *(f"{name} = {value}" for name, value in cls.numbers.items())]
            rule, scalars = translated(cls.rule, "group"), translated(cls.scalars, ", ".join(arguments))
            first = translated(cls.first_values, "group")
        except TranslationError as error:
            left_out[stem] = f"its scalars cannot be translated: {error}"
            continue
        found[stem] = {
            "title": cls.__name__, "source": cls.source, "defaults": defaults(cls), "numbers": cls.numbers,
            "rule": rule, "scalars": scalars, "first": first, "decay": own[0].weight_decay,
            "kernels": {r.name: {"states": list(r.states), "scalars": list(r.scalars), "wasm": compiled(r)}
                        for r in own}}
    return found, left_out


def script() -> str:
    """The file ``rules.js``, which has all of it; modules are in base64, for a file can load no others."""
    entries = []
    for stem, racer in racers()[0].items():
        own = {name: {**k, "wasm": base64.b64encode(k["wasm"]).decode()} for name, k in racer["kernels"].items()}
        plain = {key: racer[key] for key in ("title", "source", "defaults", "numbers", "decay")}
        entries.append(f"{json.dumps(stem)}: {{...{json.dumps(plain)}, rule: {racer['rule']}, "
                       f"scalars: {racer['scalars']}, first: {racer['first']}, kernels: {json.dumps(own)}}}")
    return "// Made from cl/optim and genesis/optim by tools/site/wasm.py.\nexport const RULES = {\n" + \
        ",\n".join(entries) + "\n};\n"
