"""An interpreter for the part of the pickle language that tensors and plain containers are written in.

Python's own unpickler calls whatever a file names, and its hooks leave gaps: BUILD updates the attributes of any
object, REDUCE calls any object that came to lie on the stack. This one has no gap to leave, because it has no
operation that imports a name, sets an attribute, or calls anything but a `Constructor` from the caller's list.
It has no recursion either; it takes time and memory in proportion to the length of the pickle.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .errors import CheckpointError, is_key, show

MAX_PICKLE = 64 * 2**20  # bytes of pickle in a file, tensors' elements not counted
_MAX_LINE = 256


@dataclass(frozen=True)
class Constructor:
    """A global that a pickle may call. ``build`` gets the arguments as they stand in the file, and checks them."""

    name: str
    build: Callable[[tuple[Any, ...]], Any]


def refuse_global(module: str, name: str) -> Any:
    """The list of globals of a pickle that needs none."""
    raise CheckpointError(
        f"the pickle names {show(f'{module}.{name}')}, which genesis does not read: a checkpoint may hold tensors, "
        "numbers, strings and plain containers. If it holds a whole model, save the state_dict() instead"
    )


def refuse_persistent(pid: Any) -> Any:
    """The persistent objects of a pickle that has none."""
    raise CheckpointError("the pickle refers to an object outside itself where there can be none")


class Machine:
    """Runs one pickle.

    Args:
        data: bytes that hold the pickle.
        position: where in ``data`` it starts. After `run` the attribute is where it ended.
        lookup: gives what a global stands for, or raises ``CheckpointError``.
        persistent: gives what a persistent id stands for, or raises ``CheckpointError``.
        what: names ``data`` in error messages.
    """

    def __init__(
        self,
        data: bytes,
        position: int = 0,
        lookup: Callable[[str, str], Any] = refuse_global,
        persistent: Callable[[Any], Any] = refuse_persistent,
        what: str = "the pickle",
    ):
        self.data = data
        self.position = position
        self.lookup = lookup
        self.persistent = persistent
        self.what = what
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The object that the pickle describes.

        Raises:
            CheckpointError: the pickle is damaged, or asks for what is not on the list.
        """
        start = self.position
        try:
            while True:
                start = self.position
                code = self._take(1)[0]
                if code == 0x2E:  # STOP
                    return self._result()
                operation = _OPERATIONS.get(code)
                if operation is None:
                    raise CheckpointError(f"the opcode 0x{code:02x} is not one that checkpoints are written with")
                operation(self)
        except CheckpointError as error:
            raise CheckpointError(f"{self.what}, byte {start}: {error}") from None

    def _result(self) -> Any:
        result = self._pop()
        if self._stack or self._marks:
            raise CheckpointError("the pickle stops with more than one object")
        return result

    # reading

    def _take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self.data):
            raise CheckpointError(f"{count} bytes should follow, but only {len(self.data) - self.position} do")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def _integer(self, size: int, signed: bool = False) -> int:
        return int.from_bytes(self._take(size), "little", signed=signed)

    def _line(self) -> str:
        end = self.data.find(b"\n", self.position, self.position + _MAX_LINE)
        if end < 0:
            raise CheckpointError(f"a line should end within {_MAX_LINE} bytes")
        line = self._text(end - self.position)
        self.position += 1
        return line

    def _text(self, count: int) -> str:
        try:
            return self._take(count).decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise CheckpointError(f"a string is not UTF-8: {error.reason}") from None

    # the stack

    def _pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise CheckpointError("an object is taken from the stack where there is none")
        return self._stack.pop()

    def _top(self) -> Any:
        """The object on top, left in place."""
        self._push(value := self._pop())
        return value

    def _target(self, kind: type, doing: str) -> Any:
        """The object on top, for an operation that only ``kind`` has."""
        if type(self._top()) is not kind:
            raise CheckpointError(f"{doing} {show(self._top())}")
        return self._top()

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop_mark(self) -> list[Any]:
        if not self._marks:
            raise CheckpointError("objects are taken down to a mark where there is none")
        mark = self._marks.pop()
        items = self._stack[mark:]
        del self._stack[mark:]
        return items

    def _mark(self) -> None:
        self._marks.append(len(self._stack))

    def _discard(self) -> None:
        # As in Python's unpickler, POP right after MARK takes the mark away.
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._pop()

    def _tuple(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self._push(tuple(reversed(items)))

    # memory

    def _put(self, index: int) -> None:
        self._memo[index] = self._top()

    def _get(self, index: int) -> None:
        if index not in self._memo:
            raise CheckpointError(f"object {index} is used before it is made")
        self._push(self._memo[index])

    # containers

    def _append(self, items: list[Any]) -> None:
        self._target(list, "items are appended to").extend(items)

    def _set_items(self, items: list[Any]) -> None:
        target = self._target(dict, "items are set in")
        if len(items) % 2:
            raise CheckpointError("a dict gets a key without a value")
        add_items(target, zip(items[::2], items[1::2]))

    def _add(self, items: list[Any]) -> None:
        target = self._target(set, "members are added to")
        target.update(check_key(item) for item in items)

    # globals

    def _global(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise CheckpointError(f"a global is named by {show(module)} and {show(name)}")
        self._push(self.lookup(module, name))

    def _stack_global(self) -> None:
        name = self._pop()
        self._global(self._pop(), name)

    def _reduce(self) -> None:
        arguments = self._pop()
        function = self._pop()
        if type(function) is not Constructor or type(arguments) is not tuple:
            raise CheckpointError(f"{show(function)} is called with {show(arguments)}")
        self._push(function.build(arguments))

    def _build(self) -> None:
        # The one state known to occur is the _metadata of a module's OrderedDict, which genesis has no use for.
        self._pop()
        self._target(dict, "attributes are set on")

    def _text_integer(self) -> None:
        # Python 2 wrote integers beyond 32 bits so, in the binary protocols too; 00 and 01 are False and True.
        line = self._line()
        if not re.fullmatch("-?[0-9]{1,20}", line):
            raise CheckpointError(f"{show(line)} is not an integer")
        self._push(line == "01" if line in ("00", "01") else int(line))


def check_key(key: Any) -> Any:
    """``key``, if it may be one of a dict or set."""
    if is_key(key):
        return key
    raise CheckpointError(f"{show(key)} is the key of a dict or in a set; strings, numbers, bytes and None may be")


def add_items(target: dict[Any, Any], pairs: Any) -> None:
    """Add pairs to a dict that has none of their keys."""
    for key, value in pairs:
        if check_key(key) in target:
            raise CheckpointError(f"a dict gets the key {show(key)} twice")
        target[key] = value


_OPERATIONS: dict[int, Callable[[Machine], Any]] = {
    0x80: lambda m: _check_protocol(m._integer(1)),  # PROTO
    0x95: lambda m: m._integer(8),  # FRAME: how much to read ahead; nothing to do with data that is in memory
    ord("("): Machine._mark,
    ord("0"): Machine._discard,
    ord("1"): Machine._pop_mark,
    ord("2"): lambda m: m._push(m._top()),
    ord("N"): lambda m: m._push(None),
    0x88: lambda m: m._push(True),
    0x89: lambda m: m._push(False),
    ord("I"): Machine._text_integer,
    ord("J"): lambda m: m._push(m._integer(4, signed=True)),
    ord("K"): lambda m: m._push(m._integer(1)),
    ord("M"): lambda m: m._push(m._integer(2)),
    0x8A: lambda m: m._push(m._integer(m._integer(1), signed=True)),  # LONG1
    0x8B: lambda m: m._push(m._integer(m._integer(4), signed=True)),  # LONG4
    ord("G"): lambda m: m._push(struct.unpack(">d", m._take(8))[0]),
    ord("U"): lambda m: m._push(m._text(m._integer(1))),  # SHORT_BINSTRING: a string of Python 2
    ord("T"): lambda m: m._push(m._text(m._integer(4))),  # BINSTRING
    0x8C: lambda m: m._push(m._text(m._integer(1))),  # SHORT_BINUNICODE
    ord("X"): lambda m: m._push(m._text(m._integer(4))),
    0x8D: lambda m: m._push(m._text(m._integer(8))),  # BINUNICODE8
    ord("C"): lambda m: m._push(m._take(m._integer(1))),  # SHORT_BINBYTES
    ord("B"): lambda m: m._push(m._take(m._integer(4))),
    0x8E: lambda m: m._push(m._take(m._integer(8))),  # BINBYTES8
    ord("]"): lambda m: m._push([]),
    ord("a"): lambda m: m._append([m._pop()]),
    ord("e"): lambda m: m._append(m._pop_mark()),
    ord(")"): lambda m: m._push(()),
    ord("t"): lambda m: m._push(tuple(m._pop_mark())),
    0x85: lambda m: m._tuple(1),
    0x86: lambda m: m._tuple(2),
    0x87: lambda m: m._tuple(3),
    ord("}"): lambda m: m._push({}),
    ord("s"): lambda m: m._set_items([m._pop(), m._pop()][::-1]),
    ord("u"): lambda m: m._set_items(m._pop_mark()),
    0x8F: lambda m: m._push(set()),
    0x90: lambda m: m._add(m._pop_mark()),  # ADDITEMS
    ord("q"): lambda m: m._put(m._integer(1)),
    ord("r"): lambda m: m._put(m._integer(4)),
    0x94: lambda m: m._put(len(m._memo)),  # MEMOIZE
    ord("h"): lambda m: m._get(m._integer(1)),
    ord("j"): lambda m: m._get(m._integer(4)),
    ord("c"): lambda m: m._global(m._line(), m._line()),
    0x93: Machine._stack_global,
    ord("R"): Machine._reduce,
    ord("b"): Machine._build,
    ord("Q"): lambda m: m._push(m.persistent(m._pop())),
}


def _check_protocol(version: int) -> None:
    if version > 5:
        raise CheckpointError(f"the pickle is of protocol {version}; up to 5 are known")
