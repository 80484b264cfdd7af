"""CIFAR-10, in the binary form of its files."""

from __future__ import annotations

import os
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ._files import DatasetError, download, md5_of, replacing
from ._images import Images

SHAPE = (3, 32, 32)  # of an image: the red, green and blue planes, row by row
RECORD = 1 + 3 * 32 * 32  # bytes: the label, then the image
LARGEST = 10_000 * RECORD  # bytes of a file: what it has in the archive that the authors publish


class CIFAR10(Images):
    """Colour photographs of ten kinds of things, 50,000 to train with and 10,000 to test, 32 x 32 pixels.

    Args:
        root: the folder of data sets. The files are looked for in `root/cifar-10-batches-bin`, and failing that in
            the archive `root/cifar-10-binary.tar.gz`, which is then unpacked. It is the binary version: the Python
            version is made of pickles, which can run any code, and is not read.
        train: which of the two parts.
        transform: applied to each image, a float32 array of shape (3, 32, 32) with values in [0, 1].
        target_transform: applied to each label, an int64 from 0 to 9.
        download: whether to download the archive if files are missing, over HTTPS, 170 MB.

    Attributes:
        data: the pixels, a uint8 array of shape (N, 3, 32, 32).
        targets: the labels, an int64 array of shape (N,).
        classes: the names of the classes.

    Raises:
        DatasetError: if files are missing, damaged, or could not be downloaded.

    Source: A. Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images.
    """

    url = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    md5 = "c32a1d4ab5d03f1284b67883e8d87530"
    folder = "cifar-10-batches-bin"
    classes: ClassVar[tuple[str, ...]] = (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )

    def __init__(
        self,
        root: str | os.PathLike[str],
        train: bool = True,
        transform: Callable[[np.ndarray], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        names = [f"data_batch_{i}.bin" for i in range(1, 6)] if train else ["test_batch.bin"]
        self._provide(Path(root), names, download)
        records = np.concatenate([_read(Path(root) / self.folder / name) for name in names])
        data = records[:, 1:].reshape(-1, *SHAPE)
        super().__init__(data, records[:, 0].astype(np.int64), transform, target_transform)
        self.train = train

    @classmethod
    def _provide(cls, root: Path, names: list[str], fetch: bool) -> None:
        folder, archive = root / cls.folder, root / cls.url.rpartition("/")[2]
        missing = [name for name in names if not (folder / name).is_file()]
        if not missing:
            return
        if fetch and not (archive.is_file() and md5_of(archive) == cls.md5):
            download([cls.url], archive, cls.md5)
        if not archive.is_file():
            raise DatasetError(
                f"CIFAR-10 is not in {root}: put {', '.join(missing)} into {folder}, or the archive {archive.name} "
                f"from {cls.url} into {root}, or pass download=True"
            )
        missing = _unpack(archive, folder, missing)
        if missing:
            raise DatasetError(f"{archive} does not have {', '.join(missing)}; is it the binary version of CIFAR-10?")


def _unpack(archive: Path, folder: Path, names: list[str]) -> list[str]:
    """Write the files `names` of the archive to `folder`; returns those that it does not have."""
    missing = list(names)
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = member.name.rpartition("/")[2]
                # Only known names, and written by us: no path or link in the archive is followed.
                if name in missing and member.isfile() and member.size <= LARGEST:
                    source = tar.extractfile(member)
                    assert source is not None  # it is a file
                    with replacing(folder / name) as target:
                        target.write(source.read())
                    missing.remove(name)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DatasetError(f"{archive} is damaged: {error}; delete it and get it again") from error
    return missing


def _read(path: Path) -> np.ndarray:
    """The records of a file, uint8 of shape (N, RECORD)."""
    records = np.fromfile(path, dtype=np.uint8)
    if records.size == 0 or records.size % RECORD:
        raise DatasetError(
            f"{path} is damaged: {records.size} bytes are not a whole number of records of {RECORD}; delete it and "
            "unpack or get it again"
        )
    records = records.reshape(-1, RECORD)
    if records[:, 0].max() >= len(CIFAR10.classes):
        raise DatasetError(f"{path} is not of CIFAR-10 in its binary version: it has a label {records[:, 0].max()}")
    return records
