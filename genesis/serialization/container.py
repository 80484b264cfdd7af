"""The safetensors container: eight bytes of header length, a JSON header, the tensors' bytes without gaps.

The format is read and written here, and not with the safetensors library, for three reasons. The library takes all
tensors at once, so a model on a device would need a second copy of itself in host memory; here one tensor at a time
is fetched and written. It writes by path and leaves fsync out. And its NumPy side has no bfloat16. The tests read our
files with the library and the library's files with this module.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from .codes import CODE_OF, DTYPE_OF
from .errors import CheckpointError, check_shape, show
from .source import Source

MAX_HEADER = 100_000_000  # bytes; readers of the format refuse longer headers
METADATA = "__metadata__"


@dataclass(frozen=True)
class Entry:
    """A tensor to be written: all that the header says of it, and how to get its elements when their turn comes."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    fetch: Callable[[], np.ndarray]

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Stored:
    """A tensor found in a file; ``offset`` counts from the start of the file."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int
    nbytes: int


def plan(entries: Iterable[Entry], metadata: Mapping[str, str]) -> tuple[bytes, list[Entry]]:
    """The header, with its length in front, and the entries in the order in which their bytes follow.

    Raises:
        ValueError: the header would be longer than readers accept.
    """
    entries = list(entries)
    # Wide elements first: then every tensor starts at a multiple of its element size and can be mapped into memory.
    ordered = sorted(entries, key=lambda entry: -entry.dtype.itemsize)
    offsets, end = {}, 0
    for entry in ordered:
        offsets[entry.name] = [end, end + entry.nbytes]
        end += entry.nbytes
    header: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    for entry in entries:
        code = CODE_OF[entry.dtype.name]
        header[entry.name] = {"dtype": code, "shape": list(entry.shape), "data_offsets": offsets[entry.name]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER:
        raise ValueError(
            f"what is to be saved beside the tensors takes {len(text)} bytes as JSON; the format allows {MAX_HEADER}. "
            "Turn long lists of numbers into arrays"
        )
    return len(text).to_bytes(8, "little") + text, ordered


def write(file: BinaryIO, header: bytes, ordered: Iterable[Entry]) -> None:
    """Write what `plan` returned, holding the elements of one tensor at a time."""
    file.write(header)
    for entry in ordered:
        array = entry.fetch()
        if tuple(array.shape) != entry.shape or array.dtype.name != entry.dtype.name:
            raise RuntimeError(f"tensor {entry.name!r} changed its shape or dtype while it was being saved")
        file.write(encode_elements(array).data)


def read_header(source: Source) -> tuple[dict[str, str], dict[str, Stored]]:
    """The metadata and the tensors of a container, in the header's order.

    Raises:
        CheckpointError: the header is no header, or the tensors do not tile the rest of the file exactly.
    """
    length = int.from_bytes(source.bytes(0, 8, "the header's length"), "little")
    if length > MAX_HEADER:
        raise CheckpointError(f"the header's length is given as {length} bytes; at most {MAX_HEADER} are read")
    header = parse_json(source.bytes(8, length, "the header"), "the header")
    if not isinstance(header, dict):
        raise CheckpointError("the header is not a JSON object")
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CheckpointError(f"{METADATA} in the header does not map strings to strings")
    stored = {name: _stored(name, record, 8 + length, source.size) for name, record in header.items()}
    end = 8 + length
    for tensor in sorted(stored.values(), key=lambda tensor: (tensor.offset, tensor.nbytes)):
        if tensor.offset != end:
            fault = "overlaps the tensor before it" if tensor.offset < end else "leaves a gap before it"
            raise CheckpointError(f"tensor {show(tensor.name)} at byte {tensor.offset} {fault}")
        end += tensor.nbytes
    if end != source.size:
        raise CheckpointError(f"the tensors end at byte {end}, but the file at byte {source.size}")
    return metadata, stored


def read_array(source: Source, tensor: Stored) -> np.ndarray:
    """The elements of one tensor, in memory of their own."""
    raw = source.array(tensor.offset, tensor.nbytes, f"tensor {show(tensor.name)}")
    return decode_elements(raw, tensor.dtype).reshape(tensor.shape)


def encode_elements(array: np.ndarray) -> np.ndarray:
    """The elements of an array, row by row, as little-endian bytes; a view of the array where possible."""
    if array.dtype.byteorder == ">" or (sys.byteorder == "big" and array.dtype.byteorder == "="):
        array = array.byteswap()
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def decode_elements(raw: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Little-endian bytes as elements of ``dtype``; any byte but zero is True."""
    if dtype == np.bool_:
        return raw != 0  # a NumPy bool that is neither 0 nor 1 makes later code misbehave
    array = raw.view(dtype)
    return array.byteswap() if sys.byteorder == "big" else array


def parse_json(data: bytes | str, what: str) -> Any:
    """JSON as Python reads it, less its leniency about duplicate keys and NaN."""
    try:
        text = data if isinstance(data, str) else data.decode()
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except RecursionError:
        raise CheckpointError(f"{what} is nested too deeply") from None
    except ValueError as error:  # JSON's, Unicode's, and the one about integers of more than 4300 digits
        raise CheckpointError(f"{what} is not valid JSON: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {show(key)} appears twice")
            seen.add(key)
    return result


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _stored(name: str, record: object, start: int, size: int) -> Stored:
    what = f"tensor {show(name)}"
    if not isinstance(record, dict):
        raise CheckpointError(f"the header has {show(record)} where {what} should be described")
    code, shape, offsets = record.get("dtype"), record.get("shape"), record.get("data_offsets")
    dtype = DTYPE_OF.get(code) if isinstance(code, str) else None
    if dtype is None:
        raise CheckpointError(f"{what} has the dtype {show(code)}, which genesis does not read")
    if not isinstance(shape, list):
        raise CheckpointError(f"{what} has {show(shape)} for a shape")
    sizes = check_shape(shape, dtype.itemsize, what)
    if not isinstance(offsets, list) or len(offsets) != 2 or any(type(offset) is not int for offset in offsets):
        raise CheckpointError(f"{what} has no pair of integers for its data_offsets")
    begin, end = offsets
    if not 0 <= begin <= end <= size - start:
        raise CheckpointError(f"{what} should lie at {show(begin)} to {show(end)} of {size - start} bytes of data")
    nbytes = math.prod(sizes) * dtype.itemsize
    if end - begin != nbytes:
        raise CheckpointError(f"{what} takes {end - begin} bytes, but its shape and dtype need {nbytes}")
    return Stored(name, dtype, sizes, start + begin, nbytes)
