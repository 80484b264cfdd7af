"""Small pickles that would fill memory, the stack or all time, if the reader let them."""

from __future__ import annotations

import struct

import pytest
from checkpoint_builders import load, name, pickled, refused, stream_file, tensor, text, tup, zip_file

pytestmark = pytest.mark.usefixtures("on_host", "bounded")

CODECS = name("_codecs", "encode")

BOMBS = {
    "nested lists": b"]" * 200_000 + b"a" * 199_999,
    "nested tuples": b")" + b"\x85" * 200_000,
    "nested tuples with a tensor": tensor() + b"\x85" * 900,
    "nested dicts": (b"}K\x01" * 100_000) + b"N" + b"s" * 100_000,
    "tuples of tuples for a key": b"}" + b"K\x01" + b"2\x86" * 64 + b"Ns",
    "copies of a list": b"]("
    + b"N" * 5000
    + b"eq\x010"
    + b"("
    + (name("builtins", "set") + b"h\x01\x85R") * 3000
    + b"t",
    "copies of a string": text("a" * 10**6)
    + b"q\x010("
    + (CODECS + b"h\x01" + text("latin1") + b"\x86R") * 1000
    + b"t",
    "copies of a storage": b"("
    + b"".join(tensor(offset=i % 6, size=(10**6, i + 1), stride=(0, 0)) for i in range(2000))
    + b"t",
    "marks": b"(" * 500_000,
    "frames": b"\x95\xff\xff\xff\xff\xff\xff\xff\xff" * 1000,
}


@pytest.mark.parametrize("case", BOMBS)
def test_bombs_are_refused(case):
    data = pickled(BOMBS[case], 4)
    refused(zip_file(data))
    refused(stream_file(data))


def test_shared_tuples_take_no_time():
    """Ten levels more make a thousand times more paths, but only ten more tuples."""
    laughs = pickled(tup(tensor()) + b"2\x86" * 200)
    loaded = load(zip_file(laughs))
    for _ in range(200):
        assert loaded[0] is loaded[1]
        loaded = loaded[0]
    lists = b"](K\x01eq\x00" + b"0](h\x00h\x00eq\x00" * 500
    loaded = load(zip_file(pickled(lists), {}))
    for _ in range(500):
        assert loaded[0] is loaded[1]
        loaded = loaded[0]


def test_memo_takes_no_more_than_it_holds():
    assert load(zip_file(pickled(b"K\x05r\xff\xff\xff\xff0j\xff\xff\xff\xffr\xfe\xff\xff\xff"), {})) == 5


def test_big_integer_is_only_a_number():
    loaded = load(zip_file(pickled(b"\x8b" + struct.pack("<I", 10**5) + b"\x01" * 10**5), {}))
    assert loaded.bit_length() == 8 * 10**5 - 7
    assert "bits" in refused(zip_file(pickled(b"\x8b" + struct.pack("<I", 10**5) + b"\x01" * 10**5 + b")R")))
