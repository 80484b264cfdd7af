"""Thousands of damaged files: each loads, or is refused with CheckpointError. Nothing else ever happens."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from checkpoint_builders import (
    container,
    floats,
    load,
    name,
    number,
    pickled,
    storage,
    stream_file,
    tensor,
    text,
    tup,
    zip_file,
)

import genesis

pytestmark = pytest.mark.usefixtures("on_host", "bounded")

OBJECT = (
    b"}("
    + text("state")
    + (name("collections", "OrderedDict") + b")R(" + text("w") + tensor() + text("b"))
    + (tensor(storage("1", 4, "HalfStorage"), 1, (3,), (1,)) + b"u}" + text("_metadata") + b"}sb")
    + (
        text("tuple")
        + tup(b"K\x01", b"G" + bytes(8), b"N\x88", b"](K\x02q\x05h\x05e", tensor(size=(3, 2), stride=(1, 3)))
    )
    + (text("size") + name("torch", "Size") + tup(tup(number(2), number(300))) + b"R")
    + (text("bytes") + name("_codecs", "encode") + tup(text("abc"), text("latin1")) + b"R")
    + (text("p") + name("torch._utils", "_rebuild_parameter") + tup(tensor(), b"\x88", b"}") + b"R")
    + b"u"
)
DATA = {"0": floats(6), "1": floats(2)}


def ours():
    out = io.BytesIO()
    weights = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(3, np.float16)}
    state = {0: {"step": 3, "avg": np.ones(3)}, "n": [None, float("nan"), 2**70, b"x", np.float32(2), (1, {"$": 2})]}
    genesis.save({"model": weights, "optimizer": state}, out)
    return out.getvalue()


def theirs():
    shape = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    other = {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]}
    return container({"__metadata__": {"format": "pt"}, "weight": shape, "bias": other}, bytes(range(32)))


FILES = {
    "genesis": ours,
    "safetensors": theirs,
    "zip": lambda: zip_file(pickled(OBJECT), DATA),
    "stream": lambda: stream_file(pickled(OBJECT), {"0": (6, DATA["0"]), "1": (4, DATA["1"])}),
}


def outcome(data):
    """Whether the bytes load; any exception but CheckpointError is the test's failure."""
    try:
        load(data)
    except genesis.CheckpointError:
        return False
    return True


def mutated(data, chance):
    """``data`` with one to four random changes of the kinds that find mistakes in readers."""
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(data))
        kind = chance.randrange(6)
        if kind == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        elif kind == 2:
            del data[at : at + chance.choice((1, 2, 8))]
        elif kind == 3:
            data[at:at] = chance.randbytes(chance.choice((1, 2, 8)))
        elif kind == 4:
            size = chance.choice((1, 2, 4, 8))
            data[at : at + size] = chance.choice((0, 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1)).to_bytes(
                size, "little"
            )
        else:
            other = chance.randrange(len(data))
            data[at:at] = data[other : other + chance.choice((1, 4, 20))]
    return bytes(data)


@pytest.mark.parametrize("form", FILES)
def test_truncated_file_is_refused(form):
    data = FILES[form]()
    assert outcome(data)
    assert not any(outcome(data[:length]) for length in range(len(data)))


@pytest.mark.parametrize("form", FILES)
def test_mutated_file_loads_or_is_refused(form):
    data, chance = FILES[form](), random.Random(form)
    loaded = sum(outcome(mutated(data, chance)) for _ in range(6000))
    assert loaded < 5400, "most mutations were without effect: this tests little"


@pytest.mark.parametrize("opcodes", [OBJECT, tensor(), storage()], ids=["object", "tensor", "storage"])
def test_mutated_pickle_loads_or_is_refused(opcodes):
    """The pickle alone, for in a zip file the checksums catch what happens to it."""
    chance = random.Random(5)
    for _ in range(3000):
        outcome(zip_file(mutated(pickled(opcodes), chance), DATA))
        outcome(stream_file(mutated(pickled(opcodes), chance), {"0": (6, DATA["0"]), "1": (4, DATA["1"])}))


def test_random_opcodes_load_or_are_refused():
    """Pickles of whole opcodes in random order, which come further than mutated bytes."""
    parts = [
        tensor(),
        storage(),
        b"K\x01",
        b"N",
        b"]",
        b"}",
        b")",
        b"(",
        b"t",
        b"\x85",
        b"\x86",
        b"a",
        b"e",
        b"s",
        b"u",
    ]
    parts += [b"q\x00", b"h\x00", b"2", b"0", b"1", b"R", b"b", b"Q", b"\x8f", b"\x90", b"\x94", b"\x93", text("a")]
    parts += [
        name("collections", "OrderedDict"),
        name("torch", "Size"),
        name("torch", "float32"),
        name("builtins", "set"),
    ]
    parts += [name("torch._utils", "_rebuild_parameter"), name("torch._tensor", "_rebuild_from_type_v2")]
    chance = random.Random(7)
    loaded = 0
    for _ in range(6000):
        opcodes = b"".join(chance.choices(parts, k=chance.randrange(1, 12)))
        loaded += outcome(stream_file(pickled(opcodes), {"0": (6, DATA["0"])}))
        loaded += outcome(stream_file(pickled(opcodes), {}))
    assert loaded > 50
