"""Makes the API reference from the docstrings of every public name.

Public is what can be reached from ``genesis.__all__`` through the ``__all__`` of modules, and what classes found there
have without an underscore. Names are looked up at run time, since many functions are made from methods.
"""

from __future__ import annotations

import builtins
import functools
import importlib.util
import inspect
import logging
import re
import types
from collections.abc import Iterator
from typing import Any

import griffe

import genesis

logging.getLogger("griffe").setLevel(logging.ERROR)
TENSOR = "genesis.Tensor"
# Public by import alone:
BESIDE = ("genesis.amp", "genesis.data.datasets", "genesis.optim.swa_utils", "genesis.serialization")


def modules() -> dict[str, types.ModuleType]:
    """Every public module, by its name: those in the ``__all__`` of a public one."""
    found: dict[str, types.ModuleType] = {}

    def walk(name: str, module: types.ModuleType) -> None:
        found[name] = module
        for child in names(module):
            value = getattr(module, child)
            if isinstance(value, types.ModuleType) and value.__name__.startswith("genesis") and \
                    value not in found.values():
                walk(f"{name}.{child}", value)

    walk("genesis", genesis)
    for name in BESIDE:
        if name not in found and importlib.util.find_spec(name):
            walk(name, importlib.import_module(name))
    return dict(sorted(found.items()))


def names(module: types.ModuleType) -> list[str]:
    """The public names of a module: ``__all__``, or else what it defines without an underscore."""
    listed = getattr(module, "__all__", None)
    if listed is None:
        listed = [name for name, value in vars(module).items() if not name.startswith("_")
                  and getattr(value, "__module__", None) == module.__name__]
    return sorted(set(listed), key=lambda name: (name.lower(), name))


def objects() -> Iterator[tuple[str, str, Any]]:
    """Every public name that is not a module: its module, itself, its value."""
    for module_name, module in modules().items():
        for name in names(module):
            value = getattr(module, name)
            if not isinstance(value, types.ModuleType):
                yield module_name, name, value


@functools.cache
def homes() -> dict[int, str]:
    """Where classes and functions are documented: id -> the first and shortest of their public names."""
    found: dict[int, str] = {}
    for module, name, value in sorted(objects(), key=lambda item: (item[0].count("."), item[0])):
        if inspect.isclass(value) or inspect.isroutine(value):
            found.setdefault(id(value), f"{module}.{name}")
    return found


def home(full: str, value: Any) -> str:
    """The public name under which a value is documented."""
    return homes().get(id(value), full) if inspect.isclass(value) or inspect.isroutine(value) else full


def uri(full: str) -> str:
    """The page, below ``docs/``, that has a documented name."""
    if full == TENSOR or full.startswith(TENSOR + "."):
        return "api/genesis.Tensor.md"
    parts, known = full.split("."), modules()
    while ".".join(parts) not in known:
        parts.pop()
    return f"api/{'.'.join(parts)}.md"


def members(cls: type) -> dict[str, tuple[type, Any]]:
    """The public attributes of a class that are functions or properties: name -> the class that has it, the raw value.

    What a base class brings that is not itself public belongs to the class; what a public one brings does not.
    """
    found: dict[str, tuple[type, Any]] = {}
    public = [base for base in cls.__mro__[1:] if id(base) in homes()]
    for owner in cls.__mro__:
        if not owner.__module__.startswith("genesis") or any(issubclass(base, owner) for base in public):
            continue
        for name, value in vars(owner).items():
            plain = value.__func__ if isinstance(value, classmethod | staticmethod) else value
            documented = inspect.isroutine(plain) or isinstance(value, property | functools.cached_property)
            if not name.startswith("_") and documented and name not in found:
                found[name] = (owner, value)
    return dict(sorted(found.items()))


def _index() -> dict[str, str]:
    """What a name in backticks refers to: dotted name, or last part where it is the only one -> full name."""
    full: dict[str, str] = {}
    last: dict[str, set[str]] = {}
    for module, name, value in objects():
        goal = home(f"{module}.{name}", value)
        full[f"{module}.{name}"] = goal
        last.setdefault(name, set()).add(goal)
        if inspect.isclass(value):
            for member in members(value):
                full[f"{module}.{name}.{member}"] = full.get(f"{goal}.{member}", f"{goal}.{member}")
                last.setdefault(f"{name}.{member}", set()).add(f"{goal}.{member}")
    for name in modules():
        full[name] = name
    for name, goals in last.items():
        if len(goals) == 1:
            full.setdefault(name, next(iter(goals)))
    return {**{name.removeprefix("genesis."): goal for name, goal in full.items()}, **full}


index = functools.cache(_index)

_CODE = re.compile(r"(?<![`\[])(`{1,2})([A-Za-z_][\w.]*)(\(\))?\1(?![`\]])")


def linked(text: str, here: str) -> str:
    """Text whose names in backticks are links to where they are documented.

    Args:
        text: Markdown.
        here: full name of what the text is about; its own module comes first, and it does not link to itself.
    """
    def link(match: re.Match[str]) -> str:
        name = match[2]
        module = uri(here).removeprefix("api/").removesuffix(".md")
        goal = next((index()[full] for full in (f"{here}.{name}", f"{module}.{name}", name) if full in index()), None)
        shown = f"`{name}{match[3] or ''}`"
        if goal is None or goal == here or (name in vars(builtins) and f"{module}.{name}" not in index()):
            return shown
        page = "" if uri(goal) == uri(here) else uri(goal).removeprefix("api/")
        return f"[{shown}]({page}#{goal})" if goal not in modules() else f"[{shown}]({page})" if page else shown

    parts = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else _CODE.sub(link, part) for part in parts)


def _prose(text: str) -> str:
    """Docstring text as Markdown: a block after ``::`` becomes a code block."""
    lines, made, i = text.splitlines(), [], 0
    while i < len(lines):
        line = lines[i]
        made.append(re.sub(r"::$", ":", line))
        i += 1
        if line.endswith("::"):
            block = []
            while i < len(lines) and (not lines[i].strip() or lines[i].startswith("  ")):
                block.append(lines[i])
                i += 1
            made += ["", "``` { .text .formula }", *inspect.cleandoc("\n".join(["", *block])).splitlines(), "```", ""]
    return "\n".join(made)


def _items(title: str, items: list[tuple[str, str]], here: str) -> str:
    rows = []
    for name, description in items:
        text = linked(_prose(description), here).replace("\n", "\n    ")
        rows.append(f"- {f'`{name}`: ' if name else ''}{text}")
    return f"**{title}**\n{{ .section }}\n\n" + "\n".join(rows)


def _with_doctests(text: str, here: str) -> str:
    parts = re.split(r"(^ *>>>.*?)(?:\n\n(?! *>>>)|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return "\n\n".join(f"``` {{ .pycon .doctest }}\n{inspect.cleandoc(part)}\n```" if part.lstrip().startswith(">>>")
                       else linked(_prose(part), here) for part in parts if part.strip())


_TITLES = {"parameters": "Arguments", "other parameters": "Arguments", "attributes": "Attributes", "raises": "Raises",
           "returns": "Returns", "yields": "Yields", "warns": "Warns", "receives": "Receives"}


def docstring(value: Any, here: str) -> str:
    """An object's docstring as Markdown."""
    text = inspect.getdoc(_method_of(value) or value) or ""
    if _method_of(value):
        first, gap, rest = text.partition("\n\n")
        text = f"{first}\n\nThe same as `Tensor.{value.__name__}`.{gap}{rest}"
    parts = []
    for section in griffe.Docstring(text).parse("google", warnings=False):
        kind = section.kind.value
        if kind == "text":
            parts.append(_with_doctests(section.value, here))
        elif kind == "examples":
            for part, content in section.value:
                parts.append(f"``` {{ .pycon .doctest }}\n{content}\n```" if part.value == "examples" else
                             linked(_prose(content), here))
        elif kind == "admonition":
            parts.append(f"**{section.title or section.value.kind}**\n{{ .section }}\n\n"
                         + _with_doctests(section.value.contents, here))
        elif kind in ("raises", "warns"):
            items = [(str(item.annotation or ""), item.description) for item in section.value]
            parts.append(_items(_TITLES[kind], items, here))
        elif kind in ("returns", "yields"):
            parts.append(_items(_TITLES[kind], [
                ("", ": ".join(filter(None, (item.name, str(item.annotation or ""), item.description))))
                for item in section.value], here))
        else:
            parts.append(_items(_TITLES[kind], [(item.name, item.description) for item in section.value], here))
    return "\n\n".join(parts)


def _method_of(value: Any) -> Any:
    """The tensor's method that a function of ``genesis`` calls, where it is made from one."""
    made = getattr(value, "__module__", "") == "genesis.functions" and value.__name__ in genesis.functions.OF_METHODS
    return getattr(genesis.Tensor, value.__name__) if made else None


def _summary(value: Any, here: str = "") -> str:
    first = re.sub(r"::$", ":", (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " "))
    return (linked(first, here) if here else first).replace("|", "\\|")


def signature(value: Any, name: str) -> str:
    """How something is called, without annotations; on several lines when it is long."""
    method = _method_of(value)
    try:
        parameters = list(inspect.signature(method or value).parameters.values())
    except (TypeError, ValueError):
        return name
    if method:
        parameters[0] = parameters[0].replace(name="input")
    if parameters and parameters[0].name in ("self", "cls"):
        parameters = parameters[1:]
    shown, keyword = [], False
    for p in parameters:
        if p.kind is p.KEYWORD_ONLY and not keyword:
            keyword = True
            shown.append("*")
        keyword |= p.kind is p.VAR_POSITIONAL
        stars = "*" if p.kind is p.VAR_POSITIONAL else "**" if p.kind is p.VAR_KEYWORD else ""
        default = "" if p.default is p.empty else f"={_default(p.default)}"
        shown.append(f"{stars}{p.name}{default}")
    line = f"{name}({', '.join(shown)})"
    return line if len(line) <= 88 else f"{name}(\n    " + ",\n    ".join(shown) + ",\n)"


def _default(value: Any) -> str:
    text = repr(value)
    if text.startswith("<"):
        return getattr(value, "__name__", "...")
    return text


def _function(value: Any, full: str, level: int, shown: str) -> str:
    code = f"``` {{ .python .signature }}\n{signature(value, shown)}\n```"
    return f"{'#' * level} {full.rpartition('.')[2]} {{ #{full} }}\n\n{code}\n\n{docstring(value, full)}"


def _class(value: type, full: str, level: int = 2) -> str:
    parts = [_function(value, full, level, full)]
    own = members(value)
    for name, (_, raw) in own.items():
        there = f"{full}.{name}"
        plain = raw.__func__ if isinstance(raw, classmethod | staticmethod) else raw
        if isinstance(raw, property | functools.cached_property):
            kind = "property" if isinstance(raw, property) else "cached property"
            parts.append(f"{'#' * (level + 1)} {name} {{ #{there} }}\n\n*{kind}*\n\n{docstring(raw, there)}")
        else:
            shown = f"{value.__name__}.{name}" if not isinstance(raw, staticmethod | classmethod) else there
            parts.append(_function(plain, there, level + 1, shown))
    bases = [linked(f"`{homes()[id(base)]}`", full) for base in value.__bases__ if id(base) in homes()]
    if bases:
        parts[0] += f"\n\nIt also has everything of {' and '.join(bases)}."
    return "\n\n".join(parts)


def _entries(value: dict[Any, Any]) -> str:
    return ", ".join(f"{key!r}: {getattr(x, '__name__', x)}" for key, x in value.items())


def _value(value: Any, full: str) -> str:
    """A constant: its value, where that is plain, or its type."""
    name, kind = full.rpartition(".")[2], type(value)
    if isinstance(value, dict):
        shown = f"{full} = {{{_entries(value)}}}"
    elif isinstance(value, str | int | float | tuple | genesis.dtypes.DType):
        shown = f"{full} = {value!r}"
    else:
        shown = f"{full}: {kind.__module__}.{kind.__qualname__}"
    return f"## {name} {{ #{full} }}\n\n``` {{ .python .signature }}\n{shown}\n```"


def _module_page(full: str, module: types.ModuleType) -> str:
    rows, parts = [], []
    children = [(name, other) for name, other in modules().items()
                if name.startswith(full + ".") and name.count(".") == full.count(".") + 1]
    for name in names(module):
        value = getattr(module, name)
        if isinstance(value, types.ModuleType):
            continue
        there = f"{full}.{name}"
        goal = home(there, value)
        is_code = inspect.isclass(value) or inspect.isroutine(value)
        link = f"[`{name}`]({'' if uri(goal) == f'api/{full}.md' else uri(goal).removeprefix('api/')}#{goal})"
        rows.append(f"| {link} | {_summary(value, full) if is_code else 'constant'} |")
        if goal != there or goal == TENSOR:
            # A second name has a place of its own, so that it is found, and says where the rest is.
            if goal != there:
                parts.append(f"## {name} {{ #{there} }}\n\nThe same as {linked(f'`{goal}`', full)}.")
            continue
        if inspect.isclass(value):
            parts.append(_class(value, there))
        elif inspect.isroutine(value):
            parts.append(_function(value, there, 2, there))
        else:
            parts.append(_value(value, there))
    top = [f"# {full}", docstring(module, full)]
    if children:
        top.append("Modules: " + ", ".join(f"[`{name}`]({name}.md)" for name, _ in children) + ".")
    if rows:
        top.append("| Name | What it is |\n|---|---|\n" + "\n".join(rows))
    return "\n\n".join(top + parts) + "\n"


def pages() -> dict[str, str]:
    """The reference: page below ``docs/`` -> Markdown."""
    made = {f"api/{name}.md": _module_page(name, module) for name, module in modules().items()}
    made["api/genesis.Tensor.md"] = _class(genesis.Tensor, TENSOR, 1).replace(
        f"# Tensor {{ #{TENSOR} }}", f"# genesis.Tensor {{ #{TENSOR} }}", 1).replace("\n### ", "\n## ") + "\n"
    rows = [f"| [`{name}`]({name}.md) | {_summary(module)} |"
            for name, module in modules().items()]
    rows.insert(1, f"| [`{TENSOR}`](genesis.Tensor.md) | {_summary(genesis.Tensor)} |")
    made["api/index.md"] = ("# API reference\n\nEverything public, from its docstring. Names, argument order and "
                            "defaults are PyTorch's unless a page says otherwise.\n\n"
                            "| Module | What it is for |\n|---|---|\n" + "\n".join(rows) + "\n")
    return made
