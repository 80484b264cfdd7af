"""Rules: reads an optimizer's formula from its ``.cl`` file and makes the kernel around it.

A rule is a plain C function. Its signature says everything the host needs: ``real *param, real grad``, then a
``real *`` for each state and a ``float`` for each scalar.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any, NamedTuple

from ..dtypes import DType, float32, float64
from ..errors import KernelError
from ..opencl import CHUNK, Device, Kernel
from ..opencl.program import read
from ..ops.array import Array
from ..ops.elementwise import assign

ROW_BYTES = 512         # bytes of scalars that one launch takes by value


class Rule(NamedTuple):
    """What a rule's file and signature say.

    Attributes:
        file: path below ``cl/``, or an absolute path.
        name: the C function.
        states: names of the states, in order.
        scalars: names of the scalars, in order.
        weight_decay: ``"L2"``, ``"DECOUPLED"`` or ``""``.
        text: source of the file, includes resolved; empty where there is no such function, since an optimizer does
            everything in `Optimizer.between`.
    """

    file: str
    name: str
    states: tuple[str, ...]
    scalars: tuple[str, ...]
    weight_decay: str
    text: str

    @property
    def row(self) -> int:
        """Values in a row of scalars: weight decay, sign, and the rule's own."""
        return 2 + len(self.scalars)


_WEIGHT_DECAY = re.compile(r"^\s*#\s*define\s+WEIGHT_DECAY\s+(\w+)", re.MULTILINE)


def parse(file: str, name: str, decoupled: bool = False) -> Rule:
    """Read the rule ``name`` from a file.

    Args:
        file: path below ``cl/``, such as ``"optim/adam.cl"``, or the absolute path of a file of the user's.
        name: the function's name.
        decoupled: make the weight decay DECOUPLED, if the file defines one, of whichever kind.

    Raises:
        KernelError: there is no such function, or its signature is not a rule's.
    """
    text = read(Path(file))
    if decoupled:
        text = _WEIGHT_DECAY.sub(lambda found: found[0].removesuffix(found[1]) + "DECOUPLED", text)
    plain = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
    found = re.search(rf"\bvoid\s+{re.escape(name)}\s*\(([^)]*)\)\s*\{{", plain)
    if found is None:
        raise KernelError(f"{file} defines no rule 'void {name}(...)'")
    arguments = [" ".join(a.replace("*", " * ").split()) for a in found[1].split(",")]
    if len(arguments) < 2 or arguments[0] != "real * param" or arguments[1] != "real grad":
        raise KernelError(f"{file}: rule {name} must start with (real *param, real grad, ...), not with "
                          f"({found[1].strip()})")
    states: list[str] = []
    scalars: list[str] = []
    for argument in arguments[2:]:
        kind, _, argument_name = argument.rpartition(" ")
        if kind == "real *" and not scalars:
            states.append(argument_name)
        elif kind == "float":
            scalars.append(argument_name)
        else:
            raise KernelError(f"{file}: rule {name} has an argument {argument!r}; after param and grad come states "
                              "(real *name), then scalars (float name)")
    if len(states) > 4:
        raise KernelError(f"{file}: rule {name} has {len(states)} states; the kernel takes at most 4")
    decay = _WEIGHT_DECAY.search(plain)
    if decay and decay[1] not in ("L2", "DECOUPLED"):
        raise KernelError(f"{file}: WEIGHT_DECAY must be L2 or DECOUPLED, not {decay[1]}")
    return Rule(file, name, tuple(states), tuple(scalars), decay[1] if decay else "", text)


def state_dtype(param: DType) -> DType:
    """Element type of the states: float32, also for 16-bit parameters, whose own type is too coarse for averages."""
    return param if param.is_complex else float64 if param is float64 else float32


def begin_with(state: Array, value: float) -> None:
    """Fill a state with a number; that of a complex parameter is a state of two real ones."""
    assign(state.reals(), value)


def row_values(dtype: DType) -> int:
    """How many scalars a launch takes."""
    return ROW_BYTES // (8 if dtype is float64 else 4)


@functools.cache
def source(rule: Rule) -> str:
    """The rule with the kernel around it, ready to compile."""
    # In float64 the rule's scalars must not pass through float.
    return "\n".join([read("include/types.h"), "#ifdef REAL64\n#define float double\n#endif", rule.text,
                      "#undef float", read("optim/update.h")])


def width_of(device: Device, param: DType) -> int:
    """Elements that a work-item updates at once."""
    wide = param is float64 and device.type == "cpu"
    return max(1, device.quirks.rule_width // (2 if wide else 1))


def kernel(rule: Rule, device: Device, param: DType, candidates: int = 0, by_rows: int = 0) -> Kernel:
    """The compiled update kernel of a rule.

    Args:
        rule: from `parse`.
        device: where it runs.
        param: element type of parameters and gradients.
        candidates: rows that a chunk chooses from by the number of skipped steps; 0 for a kernel without control.
        by_rows: 0, or for a kernel that updates some rows of a parameter, the elements that a work-item takes of one.
    """
    states = ", ".join(f"&state{i}" for i in range(len(rule.states)))
    scalars = ", ".join(f"row[{i + 2}]" for i in range(len(rule.scalars)))
    arguments = ", ".join(filter(None, ("&param, grad", states, scalars)))
    wide = param is float64
    width = by_rows or width_of(device, param)
    defines: tuple[tuple[str, Any], ...] = (
        ("PARAM", param.name), ("GRAD", param.name), ("STATE", state_dtype(param).name), ("STATES", len(rule.states)),
        ("CALL", f"{rule.name}({arguments})"), ("ROW", rule.row), ("ROW_VALUES", row_values(param)),
        ("WIDTH", width), ("CHUNK", CHUNK))
    if wide:
        defines += (("REAL64", 1),)
    by_value = device.quirks.indexed_structs
    if not by_value:
        defines += (("ROWS_IN_BUFFER", 1),)
    signature = "PP" + "P" * len(rule.states) + "P" + "llllll" * bool(by_rows) + (f"({ROW_BYTES})" if by_value else "P")
    if by_rows:
        defines += (("BY_ROWS", 1),)
    if candidates:
        defines += (("CONTROL", 1), ("CANDIDATES", candidates))
        signature += "Pf"
    return device.programs.kernel(rule.file, "update", signature, defines, text=source(rule))


def local_size(device: Device, param: DType) -> int:
    """Work-items in a work-group, which handles one chunk."""
    return CHUNK // width_of(device, param)
