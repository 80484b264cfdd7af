"""Replacing a file whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from typing import BinaryIO

try:
    from fcntl import F_FULLFSYNC, fcntl  # type: ignore[attr-defined]
except ImportError:
    F_FULLFSYNC = None


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing that takes ``path``'s place when the block ends without an error.

    The bytes go to a hidden file in the same folder, reach the disk (fsync) and only then get the name ``path``, in
    one step. Whenever the process or the machine stops, ``path`` is the old file or the new one. What an error
    interrupts is removed; what a kill interrupts stays behind as ``.<name>.<random>.tmp`` and can be deleted.

    Args:
        path: where the file shall be. A symbolic link keeps pointing where it did; its target is replaced.

    Raises:
        OSError: the folder is missing or cannot be written, the disk is full, or ``path`` is no regular file. The
            error carries ``path``, and the old file is as it was.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "log.txt"
    >>> with atomic_write(path) as file:
    ...     _ = file.write(b"whole")
    >>> path.read_text()
    'whole'
    """
    target = os.path.realpath(os.fspath(path))
    folder, name = os.path.split(target)
    # Forty characters stay below the 255 bytes a file name may have, however many bytes a character takes.
    temporary = os.path.join(folder, f".{name[:40]}.{secrets.token_hex(6)}.tmp")
    created = False
    try:
        mode = _mode_of(target)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(temporary, flags, 0o666)
        created = True
        with open(descriptor, "wb") as file:
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(descriptor, mode)
            yield file
            file.flush()
            _to_disk(descriptor)
        os.replace(temporary, target)
        created = False
        _folder_to_disk(folder)
    except OSError as error:
        if error.errno is None:
            raise
        # OSError chooses PermissionError and the like by the number; a failed write alone knows no path.
        raise OSError(error.errno, f"cannot save: {error.strerror}", os.fspath(path)) from error
    finally:
        if created:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _mode_of(target: str) -> int | None:
    """The permissions the new file inherits, after making sure that the old one may be replaced."""
    try:
        status = os.stat(target)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        # A rename would put a plain file where a device or a pipe was.
        raise OSError(errno.EINVAL, "not a regular file")
    if not os.access(target, os.W_OK):
        # A rename needs no right to write the old file, but a user who took that right away meant it.
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    return stat.S_IMODE(status.st_mode)


def _to_disk(descriptor: int) -> None:
    if F_FULLFSYNC is not None:
        # On macOS fsync leaves the data in the drive's cache. Not every file system has the stronger call.
        with contextlib.suppress(OSError):
            fcntl(descriptor, F_FULLFSYNC)
            return
    os.fsync(descriptor)


def _folder_to_disk(folder: str) -> None:
    """Make the rename itself durable, where folders can be synchronized: not on Windows, nor on every network disk."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
