"""Checkpoint files put together by hand, so that tests can put them together wrongly, and their loading."""

from __future__ import annotations

import io
import json
import struct
import zipfile

import numpy as np
import pytest

import genesis

MAGIC = 0x1950A86A20F9469CFC6C


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value):
    size = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def tup(*items):
    return b"(" + b"".join(items) + b"t"


def storage(key="0", count=6, kind="FloatStorage", *, view=None, stream=False):
    """The opcodes of a reference to a storage."""
    items = [text("storage"), name("torch", kind), text(key), text("cpu"), number(count)]
    if view is not None or stream:
        items.append(b"N" if view is None else tup(text(view[0]), number(view[1]), number(view[2])))
    return tup(*items) + b"Q"


def tensor(where=None, offset=0, size=(2, 3), stride=(3, 1), function="_rebuild_tensor_v2", more=None):
    """The opcodes of a tensor."""
    if more is None:
        more = b"" if function == "_rebuild_tensor" else b"\x89" + name("collections", "OrderedDict") + b")R"
    sizes, strides = tup(*map(number, size)), tup(*map(number, stride))
    arguments = tup(where or storage(), number(offset), sizes, strides, more)
    return name("torch._utils", function) + arguments + b"R"


def pickled(opcodes, protocol=2):
    return b"\x80" + bytes([protocol]) + opcodes + b"."


def zip_file(pickle, storages=None, *, prefix="archive", compression=zipfile.ZIP_STORED, more=None):
    """A file of PyTorch's zip form."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        archive.writestr(f"{prefix}/data.pkl", pickle)
        archive.writestr(f"{prefix}/byteorder", b"little")
        for key, data in ({"0": floats(6)} if storages is None else storages).items():
            archive.writestr(f"{prefix}/data/{key}", data)
        for key, data in (more or {}).items():
            archive.writestr(f"{prefix}/{key}", data)
        archive.writestr(f"{prefix}/version", b"3\n")
    return out.getvalue()


def stream_file(pickle, storages=None, *, magic=None, keys=None):
    """A file of PyTorch's older form; ``storages`` are key -> (elements, bytes)."""
    storages = {"0": (6, floats(6))} if storages is None else storages
    start = pickled(number(MAGIC)) if magic is None else magic
    listing = b"]" + b"".join(text(key) + b"a" for key in (storages if keys is None else keys))
    system = pickled(b"}" + text("little_endian") + b"\x88s")
    data = b"".join(struct.pack("<q", count) + data for count, data in storages.values())
    return start + pickled(number(1001)) + system + pickle + pickled(listing) + data


def floats(count):
    return struct.pack(f"<{count}f", *range(count))


def container(header, data=b"", *, length=None):
    """A safetensors file with the header as given."""
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


def load(data):
    """Load from bytes."""
    return genesis.load(io.BytesIO(data))


def refused(data):
    """The message with which bytes are refused."""
    with pytest.raises(genesis.CheckpointError) as caught:
        load(data)
    return str(caught.value)


def saved(obj):
    out = io.BytesIO()
    genesis.save(obj, out)
    return out.getvalue()


def round_trip(obj):
    return load(saved(obj))


def same(a, b):
    """Equal, of equal types all the way down, and NaN equal to NaN."""
    if isinstance(a, genesis.Tensor):
        return (
            type(b) is genesis.Tensor
            and (a.dtype, a.requires_grad) == (b.dtype, b.requires_grad)
            and same(a.detach().numpy(), b.detach().numpy())
        )
    if isinstance(a, dict):
        return list(a) == list(b) and all(type(k) is type(l) and same(a[k], b[l]) for k, l in zip(a, b))
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray | np.generic):
        return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    return a == b or (a != a and b != b)
