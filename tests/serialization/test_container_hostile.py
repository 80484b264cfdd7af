"""Safetensors files that lie."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from checkpoint_builders import container, load, refused

import genesis

pytestmark = pytest.mark.usefixtures("on_host", "bounded")

F4 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def described(tree, tensors=(), version="1"):
    """A file of ours with ``tree`` for its description; every tensor of eight bytes."""
    text = tree if isinstance(tree, str) else json.dumps(tree)
    header = {"__metadata__": {"genesis.version": version, "genesis.object": text}}
    for i, name in enumerate(tensors):
        header[name] = {**F4, "data_offsets": [8 * i, 8 * i + 8]}
    return container(header, bytes(8 * len(tensors)))


def test_helpers_make_files_that_load():
    assert load(container({"a": F4}, bytes(8)))["a"].tolist() == [0, 0]
    assert load(described({"x": {"$tensor": "t"}}, ["t"]))["x"].tolist() == [0, 0]


HEADERS = {
    "header length over the file": (container({"a": F4}, bytes(8), length=10**6), "the file ends"),
    "header length beyond all bounds": (container({"a": F4}, length=2**64 - 1), "at most"),
    "header length of the limit": (container({"a": F4}, length=100_000_000), "the file ends"),
    "header length too short": (container({"a": F4}, bytes(8), length=20), "not valid JSON"),
    "no header at all": (b"\x02\0\0\0\0\0\0\0{", "the file ends"),
    "a list": (b"\x02\0\0\0\0\0\0\0[]", "neither safetensors nor"),
    "not JSON": (container(b"{nonsense}"), "not valid JSON"),
    "not UTF-8": (container(b'{"\xff": 1}'), "not valid JSON"),
    "NaN": (container(b'{"a": NaN}'), "NaN"),
    "duplicate tensor": (container(b'{"a": %s, "a": %s}' % ((json.dumps(F4).encode(),) * 2), bytes(8)), "twice"),
    "duplicate field": (container(b'{"a": {"dtype": "F32", "dtype": "I32"}}'), "twice"),
    "metadata no object": (container({"__metadata__": [1]}), "__metadata__"),
    "metadata no strings": (container({"__metadata__": {"a": 1}}), "__metadata__"),
    "tensor no object": (container({"a": 7}), "described"),
    "dtype unknown": (container({"a": {**F4, "dtype": "F7"}}, bytes(8)), "dtype 'F7'"),
    "dtype no string": (container({"a": {**F4, "dtype": ["F32"]}}, bytes(8)), "dtype"),
    "shape missing": (container({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, bytes(8)), "shape"),
    "shape negative": (container({"a": {**F4, "shape": [-2]}}, bytes(8)), "shape"),
    "shape of negative product": (container({"a": {**F4, "shape": [-2, -1]}}, bytes(8)), "shape"),
    "shape no integers": (container({"a": {**F4, "shape": [2.0]}}, bytes(8)), "shape"),
    "shape boolean": (container({"a": {**F4, "shape": [2, True]}}, bytes(8)), "shape"),
    "shape huge": (container({"a": {**F4, "shape": [2**62]}}, bytes(8)), "large"),
    "shape that wraps around": (container({"a": {**F4, "shape": [2**32, 2**32]}}, bytes(8)), "large"),
    "shape huge and empty": (
        container({"a": {**F4, "shape": [0, 2**40, 2**40], "data_offsets": [0, 0]}}),
        "large",
    ),
    "shape of many dimensions": (container({"a": {**F4, "shape": [1] * 40 + [2]}}, bytes(8)), "dimensions"),
    "shape of many digits": (container(b'{"a": {"dtype": "F32", "shape": [%s]}}' % (b"9" * 10_000)), "not valid JSON"),
    "size not that of the shape": (container({"a": {**F4, "shape": [3]}}, bytes(8)), "need 12"),
    "offsets missing": (container({"a": {"dtype": "F32", "shape": [2]}}, bytes(8)), "data_offsets"),
    "offsets three": (container({"a": {**F4, "data_offsets": [0, 8, 8]}}, bytes(8)), "data_offsets"),
    "offsets reversed": (container({"a": {**F4, "data_offsets": [8, 0]}}, bytes(8)), "should lie"),
    "offsets negative": (container({"a": {**F4, "data_offsets": [-8, 0]}}, bytes(8)), "should lie"),
    "offsets over the end": (container({"a": {**F4, "data_offsets": [8, 16]}}, bytes(8)), "should lie"),
    "offsets huge": (container({"a": {**F4, "data_offsets": [0, 10**4000]}}, bytes(8)), "should lie"),
    "gap": (container({"a": F4, "b": {**F4, "data_offsets": [12, 20]}}, bytes(20)), "gap"),
    "overlap": (container({"a": F4, "b": {**F4, "data_offsets": [4, 12]}}, bytes(12)), "overlaps"),
    "same place twice": (container({"a": F4, "b": F4}, bytes(8)), "overlaps"),
    "bytes left over": (container({"a": F4}, bytes(9)), "the tensors end at byte"),
    "truncated": (container({"a": F4}, bytes(7)), "should lie"),
    "nested deeply": (container(b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "nested too deeply"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_header_that_lies_is_refused(case):
    data, message = HEADERS[case]
    assert message in refused(data)


TREES = {
    "not JSON": ("{", "not valid JSON"),
    "duplicate key": ('{"a": 1, "a": 2}', "twice"),
    "constant": ("NaN", "NaN"),
    "long integer": ("9" * 5000, "not valid JSON"),
    "nested deeply": ("[" * 100_000 + "]" * 100_000, "nested"),
    "nested a little too deeply": ("[" * 102 + "]" * 102, "nested more than 100"),
    "unknown mark": ({"$call": "os.system"}, "'$call'"),
    "mark among keys": ({"a": 1, "$int": "1"}, "other keys too"),
    "tensor missing": ({"$tensor": "u"}, "does not hold"),
    "tensor no name": ({"$tensor": ["t"]}, "does not hold"),
    "tuple no list": ({"$tuple": "ab"}, "makes no sense"),
    "dict no list": ({"$dict": {}}, "makes no sense"),
    "dict of triples": ({"$dict": [[1, 2, 3]]}, "no pair"),
    "dict with key twice": ({"$dict": [[1, 2], [1, 3]]}, "twice"),
    "dict with equal keys": ({"$dict": [[1, 2], [True, 3]]}, "twice"),
    "dict with a list for a key": ({"$dict": [[[1], 2]]}, "for a key"),
    "dict with a dict for a key": ({"$dict": [[{}, 2]]}, "for a key"),
    "dict with a tensor for a key": ({"$dict": [[{"$tensor": "t"}, 2]]}, "for a key"),
    "dict with a tuple for a key": ({"$dict": [[{"$tuple": [1]}, 2]]}, "for a key"),
    "dict with a long integer for a key": ({"$dict": [[{"$int": "0x" + "f" * 40}, 2]]}, "for a key"),
    "int no text": ({"$int": 5}, "makes no sense"),
    "int no number": ({"$int": "0xzz"}, "makes no sense"),
    "float no name": ({"$float": "1.5"}, "makes no sense"),
    "bytes no base64": ({"$bytes": "a"}, "makes no sense"),
    "bytes no ASCII": ({"$bytes": "é"}, "makes no sense"),
    "bytes no text": ({"$bytes": [1]}, "makes no sense"),
    "scalar of objects": ({"$numpy": ["object", "00" * 8]}, "makes no sense"),
    "scalar too short": ({"$numpy": ["float32", "00"]}, "makes no sense"),
    "scalar too long": ({"$numpy": ["float32", "00" * 8]}, "makes no sense"),
    "scalar of an unhashable type": ({"$numpy": [[], "00"]}, "makes no sense"),
    "scalar no pair": ({"$numpy": 3}, "makes no sense"),
    "dtype unknown": ({"$dtype": "float7"}, "makes no sense"),
}


@pytest.mark.parametrize("case", TREES)
def test_description_that_makes_no_sense_is_refused(case):
    tree, message = TREES[case]
    # beside a proper use of the tensor, so that the fault is the tree's and not that a tensor is left over
    wrapped = tree if isinstance(tree, str) else [{"$tensor": "t"}, tree]
    assert message in refused(described(wrapped, ["t"]))


def test_description_and_tensors_must_agree():
    assert "'u' is not part" in refused(described([{"$tensor": "t"}], ["t", "u"]))
    assert "elsewhere as another" in refused(described([{"$tensor": "t"}, {"$ndarray": "t"}], ["t"]))
    assert "version '2'" in refused(described([], version="2"))
    header = {"__metadata__": {"genesis.object": "[]"}}
    assert "version None" in refused(container(header))


def test_nothing_is_read_before_all_was_checked(monkeypatch):
    def never(*arguments, **named):
        raise AssertionError("a tensor was made from a file that is refused")

    monkeypatch.setattr("genesis.serialization.hooks.from_host", never)
    refused(described([{"$tensor": "t"}, {"$bytes": "!"}], ["t"]))
    header = {"a": F4, "b": {"dtype": "C128", "shape": [1], "data_offsets": [8, 24]}}
    refused(container(header, bytes(24)))


def test_marks_in_the_users_own_keys_are_data():
    obj = {"$tensor": "t", "x": {"$call": 1}, "y": {"$tuple": [1]}}
    out = io.BytesIO()
    genesis.save(obj, out)
    assert load(out.getvalue()) == obj


def test_bool_bytes_other_than_one_are_true():
    header = {"a": {"dtype": "BOOL", "shape": [3], "data_offsets": [0, 3]}}
    loaded = load(container(header, b"\x00\x02\xff"))["a"]
    assert loaded.view(np.uint8).tolist() == [0, 1, 1]


def test_file_that_shrinks_while_it_is_read_is_refused():
    class Shrinking(io.BytesIO):
        def readinto(self, buffer):
            return 0 if self.tell() > 8 else super().readinto(buffer)

    with pytest.raises(genesis.CheckpointError, match="shrank"):
        genesis.load(Shrinking(container({"a": F4}, bytes(8))))


def test_long_names_do_not_fill_the_message():
    name = base64.b64encode(bytes(10**6)).decode()
    assert len(refused(container({name: 5}))) < 300
