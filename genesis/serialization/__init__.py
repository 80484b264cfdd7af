"""Saving and loading: one safe file for a whole training run, and a reader for the files of other frameworks."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import Any, BinaryIO

from . import container, hooks
from .atomic import atomic_write
from .errors import CheckpointError, show
from .source import Source
from .torch_stream import read_torch_stream
from .torch_zip import read_torch_zip
from .tree import Decoder, Encoder

__all__ = ["CheckpointError", "load", "save"]

_VERSION = "1"
_VERSION_KEY, _OBJECT_KEY = "genesis.version", "genesis.object"


def save(obj: Any, path: str | os.PathLike[str] | BinaryIO) -> None:
    """Save an object with tensors in it to one file in the safetensors format.

    Tensors are stored under the path by which they are reached in the object, such as ``model.fc.weight``; a flat
    dict of tensors under its own keys. So every program that reads safetensors can use the weights. The rest goes as
    JSON into the file's metadata. The file appears whole or not at all: whatever happens while it is written, ``path``
    is the old file or the new one.

    Tensors are fetched from the device one at a time. A tensor that occurs several times in the object, as tied
    weights in a state dict do, is stored once, under the first of its names, and is one tensor again after loading.
    Different views of the same memory are stored each for itself.

    Args:
        obj: tensors, NumPy arrays and scalars, numbers, strings, bytes and None, in dicts, lists and tuples. Dicts
            may have any of these scalars but NumPy's for keys. Parameters come back as tensors, and subclasses of
            dict, such as ``OrderedDict``, as dicts.
        path: the file, whose folder exists; or a file open for writing, which is then written to as it is.

    Raises:
        TypeError: something in ``obj`` cannot be saved; the message has the path to it and its type.
        ValueError: ``obj`` contains itself, is nested more than 100 levels deep, or has over 100 MB beside tensors.
        OSError: the file cannot be written, for want of space or of permission.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "run.safetensors")
        >>> genesis.save({"model": {"weight": genesis.ones(2)}, "step": 3, "betas": (0.9, 0.999)}, path)
        >>> genesis.load(path)["betas"]
        (0.9, 0.999)
    """
    encoder = Encoder()
    # "format" is for readers that insist on it; "pt" says that rows are laid out as PyTorch's are.
    metadata = {"format": "pt", _VERSION_KEY: _VERSION, _OBJECT_KEY: encoder.encode(obj)}
    header, ordered = container.plan(encoder.entries, metadata)
    if not isinstance(path, str | bytes | os.PathLike):
        container.write(path, header, ordered)
        return
    with atomic_write(path) as file:
        container.write(file, header, ordered)


def load(path: str | os.PathLike[str] | BinaryIO, device: Any = None, *, map_location: Any = None,
         weights_only: bool = True) -> Any:
    """Load what `save` wrote, a safetensors file of any origin, or a ``.pt``/``.pth`` file of PyTorch.

    PyTorch need not be installed, and its files are not run as it would run them: of the instructions in a file only
    those are carried out that make tensors and plain containers. A file that asks for more is refused.

    Tensors have the dtypes of the file, where genesis has them. uint16 becomes int32; uint32 and uint64 become int64;
    float8 becomes float32: all without loss. From PyTorch's files, ``OrderedDict`` and ``Counter`` come
    as dicts, ``torch.Size`` as a tuple, ``torch.device`` as a string; attributes that were set on tensors are dropped;
    views that shared memory are separate tensors, except that identical ones are one.

    Args:
        path: the file; or a file open for reading that can be sought in.
        device: where the tensors shall live; the default device if None.
        map_location: PyTorch's name for the same.
        weights_only: accepted as PyTorch has it; what False would allow there is refused in any case.

    Raises:
        TypeError: both ``device`` and ``map_location`` are given.
        CheckpointError: the file is damaged, of another kind, or holds what genesis does not read. The message says
            what is wrong and where. Nothing was executed and nothing is half loaded.
        OSError: the file cannot be read.

    Example:
        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "weight.safetensors")
        >>> genesis.save({"weight": genesis.arange(3)}, path)
        >>> genesis.load(path)
        {'weight': tensor([0, 1, 2])}
    """
    if device is not None and map_location is not None:
        raise TypeError("load() takes device or map_location, two names for the same, not both")
    with _opened(path) as (file, name):
        try:
            return _read(Source(file), map_location if device is None else device)
        except CheckpointError as error:
            raise CheckpointError(f"cannot load {name}: {error}") from None


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str] | BinaryIO) -> Iterator[tuple[BinaryIO, str]]:
    if not isinstance(path, str | bytes | os.PathLike):
        yield path, "the open file"
        return
    status = os.stat(path)
    # Opening a pipe would wait for its other end. open() itself says what is wrong with a folder.
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise CheckpointError(f"cannot load {os.fspath(path)!r}: it is not a regular file")
    with open(path, "rb") as file:
        yield file, repr(os.fspath(path))


def _read(source: Source, device: Any) -> Any:
    start = source.bytes(0, min(source.size, 512), "the file")
    # First of all, because the length that safetensors starts with may happen to read like another kind's mark.
    if start[8:9] == b"{":
        return _read_container(source, device)
    if start[:4] == b"PK\x03\x04":
        return read_torch_zip(source, device)
    if start[:1] == b"\x80":
        return read_torch_stream(source, device)
    if start[257:262] == b"ustar":
        raise CheckpointError("it is a tar archive, as PyTorch wrote before 0.1.10; save it anew with a later PyTorch")
    if not start:
        raise CheckpointError("it is empty")
    raise CheckpointError(f"it starts with {show(start[:8])}, as neither safetensors nor PyTorch's files do")


def _read_container(source: Source, device: Any) -> Any:
    metadata, stored = container.read_header(source)
    if _OBJECT_KEY not in metadata:
        return {name: hooks.from_host(container.read_array(source, tensor), device) for name, tensor in stored.items()}
    version = metadata.get(_VERSION_KEY)
    if version != _VERSION:
        raise CheckpointError(f"it is of version {show(version)}; this genesis reads version {_VERSION}")
    decoder = Decoder(stored, lambda tensor: container.read_array(source, tensor), device)
    return decoder.decode(metadata[_OBJECT_KEY])
