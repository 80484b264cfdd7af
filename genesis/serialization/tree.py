"""Objects as JSON that refers to tensors by name.

JSON's own kinds stand for themselves. The rest is an object with a single key that starts with ``$``::

    {"$tensor": "fc.weight"}           a tensor                {"$tuple": [1, 2]}
    {"$tensor_grad": "fc.weight"}      one that requires_grad  {"$bytes": "AAEC"}            base64
    {"$ndarray": "mean"}               a NumPy array           {"$int": "0x1fff…"}           beyond 64 bits
    {"$numpy": ["float64", "00…3f"]}   a NumPy scalar          {"$float": "nan"}             also inf, -inf
    {"$dict": [[0, …], ["a", …]]}      keys not all strings    {"$dtype": "float32"}
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..norms import TotalNorm
from . import hooks
from .codes import CODE_OF, SCALAR_TYPES
from .container import METADATA, Entry, Stored, decode_elements, encode_elements, parse_json
from .errors import CheckpointError, is_key, show

MAX_DEPTH = 100  # containers in containers; JSON takes up to three levels for one, and Python reads a thousand
_ARRAY_TAGS = ("$tensor", "$tensor_grad", "$ndarray")
_PLACED = object()


class Encoder:
    """Turns an object into JSON and the list of tensors that the JSON refers to.

    Attributes:
        entries: the tensors in the order in which they were met, each once.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._name_of: dict[tuple[str, int], str] = {}
        self._taken: dict[str, int] = {METADATA: 1}
        self._open: set[int] = set()

    def encode(self, obj: object) -> str:
        """The JSON of ``obj``.

        Raises:
            TypeError: an object inside ``obj`` is of a kind that cannot be saved; the message has the path to it.
            ValueError: ``obj`` contains itself, or is nested too deeply.
        """
        return json.dumps(self._node(obj, (), ()), separators=(",", ":"), allow_nan=False)

    def _node(self, obj: object, where: tuple[object, ...], names: tuple[object, ...]) -> Any:
        """``where`` are the keys from the root, for messages; ``names`` the same, for the tensors' names."""
        described = hooks.describe(obj)
        if described is not None:
            if described.dtype.name not in CODE_OF:
                raise TypeError(f"cannot save {_path(where)}: safetensors has no {described.dtype}; save "
                                "view_as_real() of the tensor")
            tag = "$tensor_grad" if described.requires_grad else "$tensor"
            name = self._place(obj, (tag, described.memory), names, described.shape, described.dtype)
            return {tag: name}
        if isinstance(obj, np.ndarray) and type(obj) in (np.ndarray, np.memmap):  # a masked array is more than that
            if obj.dtype.name not in CODE_OF:
                raise TypeError(f"cannot save {_path(where)}: a NumPy array of dtype {obj.dtype}")
            return {"$ndarray": self._place(obj, ("$ndarray", id(obj)), names, obj.shape, obj.dtype)}
        if isinstance(obj, dict):
            return self._inside(obj, where, self._dict, names)
        if type(obj) is list or (isinstance(obj, tuple) and not hasattr(obj, "_fields")):  # a shape is a tuple too
            return self._inside(obj, where, self._sequence, names)
        return _scalar(obj, where)

    def _inside(self, obj: Any, where: tuple, encode: Callable, names: tuple) -> Any:
        if id(obj) in self._open:
            raise ValueError(f"cannot save {_path(where)}: it contains itself")
        if len(where) >= MAX_DEPTH:
            raise ValueError(f"cannot save {_path(where)}: it is nested more than {MAX_DEPTH} levels deep")
        self._open.add(id(obj))
        try:
            return encode(obj, where, names)
        finally:
            self._open.remove(id(obj))

    def _dict(self, obj: dict, where: tuple, names: tuple) -> Any:
        pairs = []
        for key, value in obj.items():
            if not is_key(key):
                raise TypeError(
                    f"cannot save {_path(where)}: it has the key {key!r:.80} of type {_type_name(key)}; "
                    "keys may be strings, bytes, None and Python numbers within 64 bits"
                )
            pairs.append([key, self._node(value, (*where, key), (*names, key))])
        if all(type(key) is str and not key.startswith("$") for key, _ in pairs):
            return dict(pairs)
        return {"$dict": [[_scalar(key, where), value] for key, value in pairs]}

    def _sequence(self, obj: list | tuple, where: tuple, names: tuple) -> Any:
        items = [self._node(item, (*where, i), (*names, i)) for i, item in enumerate(obj)]
        return items if type(obj) is list else {"$tuple": items}

    def _place(self, obj: Any, identity: tuple[str, int], names: tuple, shape: tuple[int, ...], dtype: np.dtype) -> str:
        """The name of a tensor in the file: the same one each time the same tensor is met."""
        name = self._name_of.get(identity)
        if name is None:
            wanted = ".".join(map(str, names)) if names else "tensor"
            name = self._unused(wanted.encode(errors="replace").decode())  # no lone surrogates in a file
            self._name_of[identity] = name
            fetch = functools.partial(_fetch, obj)
            self.entries.append(Entry(name, dtype, tuple(int(size) for size in shape), fetch))
        return name

    def _unused(self, wanted: str) -> str:
        """``wanted``, or if another tensor has that name (``{"a.b": x, "a": {"b": y}}``) one with a number added."""
        name = wanted
        while name in self._taken:
            self._taken[wanted] += 1
            name = f"{wanted}#{self._taken[wanted]}"
        self._taken[name] = 1
        return name


class Decoder:
    """Turns JSON back into the object.

    Args:
        stored: the tensors of the file, by name.
        read: fetches the elements of one of them.
        device: where tensors shall live.
    """

    def __init__(self, stored: dict[str, Stored], read: Callable[[Stored], np.ndarray], device: Any):
        self.stored = stored
        self.read = read
        self.device = device
        self._tag_of: dict[str, str] = {}
        self._arrays: dict[str, Any] = {}

    def decode(self, text: str) -> Any:
        """The object, after checking that the JSON makes sense to its end; only then are tensors read."""
        root = parse_json(text, "the description of the object")
        self._value(root, (), self._check)
        unused = self.stored.keys() - self._tag_of.keys()
        if unused:
            raise CheckpointError(f"tensor {show(min(unused))} is not part of the object the file describes")
        return self._value(root, (), self._fetch)

    def _check(self, tag: str, name: object, where: tuple) -> Any:
        if not isinstance(name, str) or name not in self.stored:
            raise CheckpointError(f"{_path(where)} refers to a tensor {show(name)}, which the file does not hold")
        if self._tag_of.setdefault(name, tag) != tag:
            raise CheckpointError(f"{_path(where)} refers to tensor {show(name)} as {tag}, elsewhere as another")
        return _PLACED

    def _fetch(self, tag: str, name: str, where: tuple) -> Any:
        if name not in self._arrays:
            array = self.read(self.stored[name])
            made = array if tag == "$ndarray" else hooks.from_host(array, self.device, tag == "$tensor_grad")
            self._arrays[name] = made
        return self._arrays[name]

    def _value(self, node: Any, where: tuple, tensor: Callable[[str, Any, tuple], Any]) -> Any:
        if len(where) > MAX_DEPTH:
            raise CheckpointError(f"the object is nested more than {MAX_DEPTH} levels deep")
        if isinstance(node, list):
            return [self._value(item, (*where, i), tensor) for i, item in enumerate(node)]
        if not isinstance(node, dict):
            return node
        tag = next((key for key in node if key.startswith("$")), None)
        if tag is None:
            return {key: self._value(item, (*where, key), tensor) for key, item in node.items()}
        if len(node) != 1:
            raise CheckpointError(f"{_path(where)} is marked {show(tag)}, but has other keys too")
        value = node[tag]
        if tag in _ARRAY_TAGS:
            return tensor(tag, value, where)
        if tag == "$tuple" and isinstance(value, list):
            return tuple(self._value(item, (*where, i), tensor) for i, item in enumerate(value))
        if tag == "$dict" and isinstance(value, list):
            return self._pairs(value, where, tensor)
        return _unscalar(tag, value, where)

    def _pairs(self, pairs: list, where: tuple, tensor: Callable[[str, Any, tuple], Any]) -> dict:
        result: dict[Any, Any] = {}
        for pair in pairs:
            if not isinstance(pair, list) or len(pair) != 2:
                raise CheckpointError(f"{_path(where)} is a dict with an item that is no pair")
            key = pair[0] if not isinstance(pair[0], dict) else self._value(pair[0], (*where, "key"), tensor)
            if not is_key(key):
                raise CheckpointError(f"{_path(where)} is a dict with {show(key)} for a key")
            if key in result:
                raise CheckpointError(f"{_path(where)} is a dict with the key {show(key)} twice")
            result[key] = self._value(pair[1], (*where, key), tensor)
        return result


def _scalar(obj: Any, where: tuple) -> Any:
    if obj is None or type(obj) in (bool, str):
        return obj
    if type(obj) is int:
        return obj if abs(obj) < 2**63 else {"$int": hex(obj)}
    if type(obj) in (float, TotalNorm):
        obj = float(obj)
        return obj if math.isfinite(obj) else {"$float": repr(obj)}
    if type(obj) is bytes:
        return {"$bytes": base64.b64encode(obj).decode()}
    if isinstance(obj, np.generic) and obj.dtype.name in SCALAR_TYPES:
        return {"$numpy": [obj.dtype.name, encode_elements(np.asarray(obj)).tobytes().hex()]}
    if isinstance(obj, dtypes.DType):
        return {"$dtype": obj.name}
    hint = "; save what its state_dict() returns" if hasattr(obj, "state_dict") else ""
    raise TypeError(f"cannot save {_path(where)}: an object of type {_type_name(obj)}{hint}")


def _unscalar(tag: str, value: Any, where: tuple) -> Any:
    try:
        if tag == "$int":
            return int(value, 16)
        if tag == "$float" and value in ("nan", "inf", "-inf"):
            return float(value)
        if tag == "$bytes":
            return base64.b64decode(value, validate=True)
        if tag == "$numpy":
            name, text = value
            (scalar,) = decode_elements(np.frombuffer(bytes.fromhex(text), np.uint8), SCALAR_TYPES[name])
            return scalar
        if tag == "$dtype":
            return next(dtype for dtype in dtypes.ALL + dtypes.COMPLEX if dtype.name == value)
    except (ValueError, TypeError, KeyError, StopIteration, binascii.Error):
        pass
    raise CheckpointError(f"{_path(where)} is marked {show(tag)} with {show(value)}, which makes no sense")


def _fetch(obj: Any) -> np.ndarray:
    array = hooks.to_host(obj)
    return obj if array is None else array


def _type_name(obj: object) -> str:
    kind = type(obj)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _path(where: tuple[object, ...]) -> str:
    """``obj['optimizer']['fn']``"""
    shown = [f"[{show(key)}]" for key in where]
    return "obj" + "".join(shown if len(shown) <= 20 else [*shown[:10], "…", *shown[-3:]])
