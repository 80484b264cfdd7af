"""Files of data sets: finding, downloading and checking them."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import secrets
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from genesis.errors import GenesisError

TIMEOUT = 30.0  # seconds without a byte after which a server counts as not reachable
CHUNK = 1 << 20


class DatasetError(GenesisError):
    """Files of a data set are missing, damaged, or could not be downloaded."""


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """A new file that becomes `target` when the block ends well, and vanishes otherwise.

    Whoever looks sees the old file or the whole new one, also if the process is killed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def md5_of(path: Path) -> str:
    """The MD5 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def download(urls: list[str], target: Path, md5: str) -> None:
    """Download a file over HTTPS from the first of `urls` that has it.

    Args:
        urls: where the file is.
        target: where it goes, once it is complete and its checksum right.
        md5: its checksum, in hexadecimal digits. It tells a damaged file; against a forged one there is TLS.

    Raises:
        DatasetError: if no URL worked, with the reason for each and what to do.
    """
    problems = []
    for url in urls:
        try:
            _fetch(url, target, md5)
            return
        except (OSError, http.client.HTTPException, ValueError) as error:
            problems.append(f"  {url}: {error}")
    raise DatasetError(
        f"could not download {target.name}:\n"
        + "\n".join(problems)
        + f"\nWithout a connection, get the file elsewhere and put it into {target.parent}"
    )


def _fetch(url: str, target: Path, md5: str) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "genesis-cl"})
    digest = hashlib.md5(usedforsecurity=False)
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response, replacing(target) as file:
        if not response.geturl().startswith("https://"):
            raise ValueError(f"redirected to {response.geturl()}, which is not HTTPS")
        while chunk := response.read(CHUNK):
            digest.update(chunk)
            file.write(chunk)
        if digest.hexdigest() != md5:
            raise ValueError(f"checksum is {digest.hexdigest()}, not {md5}: the file is damaged or another one")
