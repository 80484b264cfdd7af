"""PyTorch's files since 1.6: a zip archive of ``data.pkl`` and one record for each storage, none of them compressed."""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import Any

import numpy as np

from .errors import CheckpointError, show
from .source import Source
from .torch_build import build
from .torch_objects import TorchObjects
from .unpickle import MAX_PICKLE, Machine

_LOCAL_HEADER = 30  # bytes, before the name and the extra field


class Archive:
    """The records of a zip file, which lie apart from one another and within the file.

    Python's zipfile reads the directory; the records are read here, so that only bytes that exist are ever set memory
    aside for, and because PyTorch can be told to leave the checksums out.
    """

    def __init__(self, source: Source):
        self.source = source
        try:
            with zipfile.ZipFile(source.file) as archive:
                records = archive.infolist()
                directory = archive.start_dir
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, EOFError, struct.error) as error:
            raise CheckpointError(f"the zip archive is damaged: {error}") from None
        self.records: dict[str, zipfile.ZipInfo] = {}
        self._start: dict[str, int] = {}
        end = 0
        for record in sorted(records, key=lambda record: record.header_offset):
            what = f"record {show(record.filename)}"
            if record.filename in self.records:
                raise CheckpointError(f"{what} appears twice")
            if record.compress_type != zipfile.ZIP_STORED or record.compress_size != record.file_size:
                raise CheckpointError(f"{what} is compressed, which PyTorch never does")
            if record.flag_bits & 1:
                raise CheckpointError(f"{what} is encrypted")
            if record.header_offset < end:
                raise CheckpointError(f"{what} overlaps the record before it")
            start = self._data_start(record, what)
            end = start + record.file_size
            if end > directory:
                raise CheckpointError(f"{what} reaches into the archive's directory")
            self.records[record.filename] = record
            self._start[record.filename] = start

    def _data_start(self, record: zipfile.ZipInfo, what: str) -> int:
        header = self.source.bytes(record.header_offset, _LOCAL_HEADER, f"the header of {what}")
        if header[:4] != b"PK\x03\x04":
            raise CheckpointError(f"{what} has no header at byte {record.header_offset}")
        name, extra = struct.unpack("<HH", header[26:30])
        return record.header_offset + _LOCAL_HEADER + name + extra

    def read(self, name: str) -> np.ndarray:
        """The bytes of a record, compared with their checksum where there is one."""
        record = self.records[name]
        data = self.source.array(self._start[name], record.file_size, f"record {show(name)}")
        if record.CRC and zlib.crc32(data.data) != record.CRC:
            raise CheckpointError(f"record {show(name)} at byte {self._start[name]} does not match its checksum")
        return data


def read_torch_zip(source: Source, device: Any) -> Any:
    """The object in a file of PyTorch's zip form.

    Raises:
        CheckpointError: the archive is damaged or none of PyTorch's, or holds what genesis refuses.
    """
    archive = Archive(source)
    pickles = [name for name in archive.records if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise CheckpointError("the zip archive has no data.pkl, so it is none of PyTorch's")
    prefix = pickles[0].removesuffix("data.pkl")
    if prefix + "constants.pkl" in archive.records:
        raise CheckpointError("the file holds a TorchScript program; save the state_dict() of the model instead")
    order = prefix + "byteorder"
    if order in archive.records and archive.read(order)[:16].tobytes() != b"little":
        raise CheckpointError("the elements are not little-endian; files of big-endian machines are not supported")
    length = archive.records[pickles[0]].file_size
    if length > MAX_PICKLE:
        raise CheckpointError(f"data.pkl takes {length} bytes; at most {MAX_PICKLE} are read")
    objects = TorchObjects(length)
    machine = Machine(archive.read(pickles[0]).tobytes(), 0, objects.lookup, objects.persistent, "data.pkl")
    root = machine.run()
    for key, storage in objects.storages.items():
        name = f"{prefix}data/{key}"
        if name not in archive.records:
            raise CheckpointError(f"data.pkl refers to a storage {show(key)}, which the archive does not hold")
        if archive.records[name].file_size != storage.nbytes:
            raise CheckpointError(
                f"storage {show(key)} should take {storage.nbytes} bytes, "
                f"but its record has {archive.records[name].file_size}"
            )
    return build(root, lambda key: archive.read(f"{prefix}data/{key}"), source.size, device)
