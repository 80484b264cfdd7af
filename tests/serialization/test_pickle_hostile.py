"""Pickles written to do harm, in both of PyTorch's forms."""

from __future__ import annotations

import builtins
import encodings.cp437  # noqa: F401 - zipfile needs it; a first import under watch looks like a call
import os
import pickle
import struct
import subprocess

import pytest
from checkpoint_builders import (
    name,
    number,
    pickled,
    refused,
    storage,
    stream_file,
    tensor,
    text,
    tup,
    zip_file,
)

pytestmark = pytest.mark.usefixtures("on_host", "bounded")

TOUCHED = []


def touch(*arguments):
    """What a hostile pickle calls here in the place of os.system."""
    TOUCHED.append(arguments)
    return {}


class Stateful:
    def __setstate__(self, state):
        TOUCHED.append(state)

    def __reduce__(self):
        return touch, ("reduced",)


HERE = __name__
TOUCH = name(HERE, "touch")
ARGUMENT = tup(text("x"))
MAKE = name(HERE, "Stateful")

# Python's own unpickler calls or changes something with each of these; that is checked too.
CALLS = {
    "REDUCE": TOUCH + ARGUMENT + b"R",
    "REDUCE in a dict": b"}" + text("a") + TOUCH + ARGUMENT + b"Rs",
    "REDUCE that is popped": TOUCH + ARGUMENT + b"R0N",
    "STACK_GLOBAL": text(HERE) + text("touch") + b"\x93" + ARGUMENT + b"R",
    "STACK_GLOBAL from the memo": text(HERE) + b"q\x000" + text("touch") + b"q\x010h\x00h\x01\x93" + ARGUMENT + b"R",
    "INST": b"(" + text("x") + f"i{HERE}\ntouch\n".encode(),
    "OBJ": b"(" + TOUCH + text("x") + b"o",
    "BUILD with __setstate__": MAKE + b")\x81" + text("state") + b"b",
    "GLOBAL with dots": text(HERE) + text("touch.__call__") + b"\x93" + ARGUMENT + b"R",
    "after a tensor": b"](" + b"K\x01" + TOUCH + ARGUMENT + b"Re",
}


@pytest.fixture(autouse=True)
def untouched(monkeypatch):
    def called(*arguments, **named):
        TOUCHED.append(arguments)

    for module, attribute in [(os, "system"), (os, "popen"), (subprocess, "Popen"), (builtins, "exec")]:
        monkeypatch.setattr(module, attribute, called)
    TOUCHED.clear()
    yield
    assert not TOUCHED


def everywhere(opcodes, protocol=2):
    """Files with the opcodes in each of the places where a file has a pickle."""
    pickle_bytes = pickled(opcodes, protocol)
    yield zip_file(pickle_bytes)
    yield stream_file(pickle_bytes)
    yield stream_file(pickled(tensor()), magic=pickle_bytes)
    first, rest = stream_file(pickled(tensor())).split(pickled(number(1001)), 1)
    yield first + pickle_bytes + rest


@pytest.mark.parametrize("case", CALLS)
def test_nothing_is_called(case):
    pickle.loads(pickled(CALLS[case], 4))
    assert TOUCHED, "the pickle is harmless: it tests nothing"
    TOUCHED.clear()
    for data in everywhere(CALLS[case], 4):
        refused(data)


GLOBALS = """os.system posix.system subprocess.Popen builtins.exec builtins.eval builtins.getattr builtins.setattr
builtins.open builtins.__import__ builtins.object builtins.type builtins.dict builtins.list builtins.bytearray
__builtin__.eval __builtin__.apply operator.attrgetter functools.partial importlib.import_module pickle.loads
torch.load torch.hub.load torch._utils._import_dotted_name torch.storage._load_from_bytes torch.jit.load
torch.Tensor.__setstate__ torch.nn.modules.linear.Linear torch.FloatStorage.from_file torch._utils.warnings
collections.OrderedDict.fromkeys collections.namedtuple numpy.load numpy.core.multiarray._reconstruct
genesis.load genesis.serialization.load _codecs.decode codecs.encode copyreg._reconstructor copyreg.__newobj__
genesis.tensor.Tensor torch.classes.load_library ctypes.CDLL webbrowser.open sys.exit os.abort"""


@pytest.mark.parametrize("path", GLOBALS.split())
def test_other_globals_are_refused_by_name(path):
    module, _, attribute = path.rpartition(".")
    for opcodes in (name(module, attribute), text(module) + text(attribute) + b"\x93"):
        for data in everywhere(opcodes + ARGUMENT + b"R", 4):
            assert repr(path) in refused(data)
        refused(zip_file(pickled(opcodes)))  # named, and not even called


ORDERED = name("collections", "OrderedDict")
CODECS = name("_codecs", "encode")
FROM_TYPE = name("torch._tensor", "_rebuild_from_type_v2")
REBUILD = name("torch._utils", "_rebuild_tensor_v2")

MISUSES = {
    "call of a class": name("torch", "Tensor") + b")R",
    "call of a storage class": name("torch", "FloatStorage") + tup(number(10**12)) + b"R",
    "call of a dtype": name("torch", "float32") + b")R",
    "call of a string": text("os.system") + ARGUMENT + b"R",
    "call of a tensor": tensor() + b")R",
    "call with no tuple": ORDERED + b"]R",
    "BUILD of a tensor": tensor() + b"}" + text("__class__") + b"Nsb",
    "BUILD of a class": name("torch", "Tensor") + b"}b",
    "BUILD of a function": REBUILD + b"}b",
    "BUILD of a list": b"]}b",
    "NEWOBJ": ORDERED + b")\x81",
    "NEWOBJ_EX": ORDERED + b")}\x92",
    "OBJ": b"(" + ORDERED + b"o",
    "INST": b"(icollections\nOrderedDict\n",
    "EXT1": b"\x82\x01",
    "EXT4": b"\x84\x01\0\0\0",
    "PERSID": b"P0\n",
    "NEXT_BUFFER": b"\x97",
    "BYTEARRAY8": b"\x96\x01\0\0\0\0\0\0\0a",
    "persistent id no tuple": text("storage") + b"Q",
    "persistent id a module": tup(text("module"), name("torch", "Tensor"), text("x.py"), text("code")) + b"Q",
    "persistent id too long": tup(*[text("storage")] * 9) + b"Q",
    "persistent id unhashable": tup(b"]", b"]", b"]", b"]", b"]") + b"Q",
    "storage of a dtype": tup(text("storage"), name("torch", "float32"), text("0"), text("cpu"), number(6)) + b"Q",
    "storage of a function": tup(text("storage"), REBUILD, text("0"), text("cpu"), number(6)) + b"Q",
    "storage with a long key": storage("k" * 300),
    "storage of negative size": storage(count=-1),
    "storage of huge size": storage(count=2**80),
    "storage left in the object": storage(),
    "storage of two types": tup(tensor(), tensor(storage(kind="IntStorage"))),
    "storage of two sizes": tup(tensor(), tensor(storage(count=7))),
    "storage of bytes with a view": storage(kind="UntypedStorage", view=("v", 0, 1)),
    "function left in the object": b"]" + REBUILD + b"a",
    "class left in the object": tup(name("torch", "Tensor")),
    "storage class left in the object": tup(name("torch", "FloatStorage")),
    "dtype that genesis has not": tup(name("torch", "uint16")),
    "tensor for a key": b"}" + tensor() + b"Ns",
    "tuple for a key": b"}" + tup(number(1)) + b"Ns",
    "list for a key": b"}]Ns",
    "long integer for a key": b"}" + number(2**64) + b"Ns",
    "key twice": b"}K\x01NsK\x01Ns",
    "set of lists": name("builtins", "set") + tup(b"](]e") + b"R",
    "set opcode with a list": b"\x8f(]\x90",
    "OrderedDict of no pairs": ORDERED + tup(b"](K\x01e") + b"R",
    "OrderedDict of a tensor": ORDERED + tup(tensor()) + b"R",
    "Size of strings": name("torch", "Size") + tup(tup(text("a"))) + b"R",
    "device of a number": name("torch", "device") + tup(number(1)) + b"R",
    "bytes in another encoding": CODECS + tup(text("a"), text("rot13")) + b"R",
    "bytes of nothing": CODECS + b")R",
    "bytes beyond Latin-1": CODECS + tup(text("\u20ac"), text("latin1")) + b"R",
    "attributes that call": FROM_TYPE + tup(FROM_TYPE, name("torch", "Tensor"), b")", b"}") + b"R",
    "attributes on a dict": FROM_TYPE + tup(ORDERED, name("torch", "Tensor"), b")", b"}") + b"R",
    "attributes without arguments": FROM_TYPE + tup(REBUILD, name("torch", "Tensor"), b"]", b"}") + b"R",
    "parameter of a string": name("torch._utils", "_rebuild_parameter") + tup(text("a"), b"\x88", b"}") + b"R",
    "tensor of no storage": tensor(text("0")),
    "tensor of too few arguments": REBUILD + tup(storage()) + b"R",
    "tensor of negative size": tensor(size=(-2, -3)),
    "tensor of negative stride": tensor(size=(2,), stride=(-1,), offset=3),
    "tensor of negative offset": tensor(offset=-1),
    "tensor of huge offset": tensor(offset=2**64),
    "tensor beyond its storage": tensor(size=(7,), stride=(1,)),
    "tensor beyond its storage by offset": tensor(offset=1),
    "tensor beyond its storage by stride": tensor(size=(2,), stride=(6,)),
    "tensor beyond its storage by far": tensor(size=(2,), stride=(2**61,)),
    "tensor without elements beyond its storage": tensor(offset=7, size=(0,), stride=(1,)),
    "tensor with more strides than sizes": tensor(size=(2,), stride=(1, 1)),
    "tensor of many dimensions": tensor(size=(1,) * 65, stride=(1,) * 65),
    "tensor of one element a million million times": tensor(size=(10**6, 10**6), stride=(0, 0)),
    "tensor that wraps around": tensor(size=(2**32, 2**32), stride=(0, 0)),
    "tensor empty and huge": tensor(size=(0, 2**40, 2**40), stride=(1, 1, 1)),
    "tensor with a size of floats": tensor().replace(number(2) + number(3), b"G" + bytes(8) + number(3)),
    "tensor with a size of bools": tensor().replace(number(2) + number(3), b"\x88" + number(3)),
    "tensor that is conjugate": tensor(more=b"\x89}}" + text("conj") + b"\x88s"),
    "tensor of another dtype": tensor(function="_rebuild_tensor_v3", more=b"\x89}" + name("torch", "int32")),
    "tensor of no dtype": tensor(function="_rebuild_tensor_v3", more=b"\x89}N"),
    "quantized storage": storage(kind="QInt8Storage"),
}


@pytest.mark.parametrize("case", MISUSES)
def test_misuse_of_what_is_allowed_is_refused(case):
    for data in everywhere(MISUSES[case]):
        refused(data)


DAMAGE = {
    "empty": b"",
    "no STOP": b"N",
    "STOP on an empty stack": b".",
    "two objects": b"NN.",
    "mark left over": b"(N.",
    "POP of nothing": b"0.",
    "TUPLE1 below a mark": b"N(\x850.",
    "APPEND to nothing": b"a.",
    "APPEND to a dict": b"}Na.",
    "APPENDS without a mark": b"]e.",
    "SETITEMS of an odd count": b"}(NNNu.",
    "SETITEM on a list": b"]NNs.",
    "TUPLE without a mark": b"t.",
    "TUPLE3 of two": b"NN\x87.",
    "DUP of nothing": b"2.",
    "BINGET of nothing": b"h\x05.",
    "BINPUT of nothing": b"q\x05.",
    "MEMOIZE of nothing": b"\x94.",
    "REDUCE of nothing": b"R.",
    "BUILD of nothing": b"b.",
    "BINPERSID of nothing": b"Q.",
    "STACK_GLOBAL of numbers": b"K\x01K\x02\x93.",
    "STACK_GLOBAL of nothing": b"\x93.",
    "protocol 6": b"\x80\x06N.",
    "opcode unknown": b"\xff.",
    "GLOBAL without lines": b"cos",
    "GLOBAL with an endless line": b"c" + b"a" * 10_000,
    "INT of letters": b"Iabc\n.",
    "INT of many digits": b"I" + b"9" * 200 + b"\n.",
    "INT of other digits": "I１\n.".encode(),
    "UTF-8 broken": b"X\x01\0\0\0\xff.",
    "text length lies": b"X\xff\xff\xff\xffabc.",
    "text length lies by far": b"\x8d" + struct.pack("<Q", 2**63) + b"abc.",
    "bytes length lies": b"\x8e" + struct.pack("<Q", 2**64 - 1) + b"abc.",
    "integer length lies": b"\x8b\xff\xff\xff\x7f\x01.",
    "integer length negative": b"\x8b\xff\xff\xff\xff\x01.",
    "float cut": b"G\0\0.",
    "text opcodes of protocol 0": b"(lp0\n.",
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_pickle_is_refused(case):
    start = b"\x80\x02"
    refused(zip_file(start + DAMAGE[case]))
    refused(stream_file(b"", magic=start + DAMAGE[case]))
