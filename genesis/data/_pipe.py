"""Messages between a loader and its workers: pickles whose large arrays travel beside them, uncopied."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable, Sequence
from io import BytesIO
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

from ._host import is_tensor

LARGE = 1 << 14  # bytes from which a buffer travels beside the pickle
SIZES = struct.Struct("<I")


class _Pickler(ForkingPickler):
    """A pickler that asks `on_tensor` what to do with tensors."""

    on_tensor: Callable[[Any], Any]

    def reducer_override(self, obj: Any) -> Any:
        return self.on_tensor(obj) if is_tensor(obj) else NotImplemented


def dumps(value: Any, on_tensor: Callable[[Any], Any], snapshot: bool = False) -> list[Any]:
    """`value` as a list of buffers for `send`.

    Args:
        value: anything that pickles.
        on_tensor: returns what a pickler's `reducer_override` should, for each tensor in `value`.
        snapshot: whether arrays are copied, so that they may change before they are sent.
    """
    buffers: list[memoryview] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if view.nbytes < LARGE:
            return True  # in the pickle
        buffers.append(memoryview(bytes(view)) if snapshot else view)
        return False

    stream = BytesIO()
    pickler = _Pickler(stream, 5, True, keep)
    pickler.on_tensor = on_tensor
    pickler.dump(value)
    sizes = np.array([view.nbytes for view in buffers], dtype="<u8").tobytes()
    return [SIZES.pack(len(buffers)) + sizes + stream.getvalue(), *buffers]


def send(conn: Connection, message: Sequence[Any]) -> None:
    """Write what `dumps` made; OSError if nobody reads."""
    conn.send_bytes(message[0])
    for buffer in message[1:]:
        if os.name == "posix":
            view = memoryview(buffer)
            while view:
                view = view[os.write(conn.fileno(), view) :]
        else:
            conn.send_bytes(buffer)


def receive(conn: Connection) -> list[Any]:
    """Read a message, for `loads`; EOFError or OSError if the other side is gone."""
    head = memoryview(conn.recv_bytes())
    (count,) = SIZES.unpack_from(head)
    start = SIZES.size + 8 * count
    message: list[Any] = [head[start:]]
    for size in np.frombuffer(head[SIZES.size : start], dtype="<u8").tolist():
        buffer = np.empty(size, dtype=np.uint8)  # no zeros first, and no growing
        view = buffer.data
        if os.name == "posix":
            while view:
                got = os.readv(conn.fileno(), [view])
                if got == 0:
                    raise EOFError
                view = view[got:]
        else:
            conn.recv_bytes_into(view)
        message.append(buffer)
    return message


def loads(message: Sequence[Any]) -> Any:
    """The value in a message that `receive` returned."""
    return pickle.loads(message[0], buffers=message[1:])
