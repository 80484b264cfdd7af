"""MNIST and Fashion-MNIST, and the IDX format of their files."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ._files import DatasetError, download, md5_of
from ._images import Images

# The third byte of an IDX file. Numbers are stored with the most significant byte first.
IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an array from an IDX file, compressed with gzip or not.

    Args:
        path: the file; its first bytes tell whether it is compressed, its name does not matter.

    Returns:
        An array of the file's shape and type, in the machine's byte order.

    Raises:
        FileNotFoundError: if there is no such file.
        DatasetError: if it is not an IDX file, or too short or too long.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "numbers")
        ...     _ = Path(path).write_bytes(bytes([0, 0, 8, 1]) + bytes([0, 0, 0, 3]) + bytes([5, 6, 7]))
        ...     read_idx(path).tolist()
        [5, 6, 7]
    """
    with open(path, "rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if compressed else open(path, "rb") as file:
            magic = file.read(4)
            if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in IDX_DTYPES:
                raise DatasetError(f"{path} is not an IDX file: it begins with the bytes {magic.hex(' ')}")
            header = file.read(4 * magic[3])
            if len(header) < 4 * magic[3]:
                raise DatasetError(f"{path} is truncated: it ends within the header")
            shape = tuple(np.frombuffer(header, dtype=">u4").tolist())
            dtype = np.dtype(IDX_DTYPES[magic[2]])
            size = math.prod(shape) * dtype.itemsize
            body = file.read(size + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DatasetError(f"{path} is damaged: {error}; delete it and get it again") from error
    except (OverflowError, MemoryError) as error:
        raise DatasetError(f"{path} is damaged: its header speaks of {size} bytes") from error
    if len(body) != size:
        found = f"only {len(body)}" if len(body) < size else "more"
        raise DatasetError(f"{path} is damaged: shape {shape} needs {size} bytes after the header, there are {found}")
    return np.frombuffer(body, dtype=dtype).astype(dtype.newbyteorder("=")).reshape(shape)


class MNIST(Images):
    """Handwritten digits, 60,000 to train with and 10,000 to test, 28 x 28 pixels.

    Args:
        root: the folder of data sets. The files are looked for in `root/MNIST/raw`, where torchvision has them too,
            and in `root` itself, with and without `.gz`.
        train: which of the two parts.
        transform: applied to each image, a float32 array of shape (1, 28, 28) with values in [0, 1].
        target_transform: applied to each label, an int64 from 0 to 9.
        download: whether to download files that are missing to `root/MNIST/raw`, over HTTPS, about 11 MB.

    Attributes:
        data: the pixels, a uint8 array of shape (N, 1, 28, 28).
        targets: the labels, an int64 array of shape (N,).
        classes: the names of the classes.

    Raises:
        DatasetError: if files are missing, damaged, or could not be downloaded.

    A sample is (image, label). Without transforms a batch is made by one indexing operation.

    Source: Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten digits.
    """

    mirrors: ClassVar[tuple[str, ...]] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    checksums: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    }
    classes = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

    def __init__(
        self,
        root: str | os.PathLike[str],
        train: bool = True,
        transform: Callable[[np.ndarray], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        part = "train" if train else "t10k"
        names = [f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz"]
        images, labels = (read_idx(path) for path in self._find(Path(root), names, download))
        if images.dtype != np.uint8 or images.ndim != 3:
            raise DatasetError(f"{names[0]} holds {images.dtype} of shape {images.shape}, not images")
        if labels.dtype != np.uint8 or labels.shape != images.shape[:1]:
            raise DatasetError(
                f"{names[1]} holds {labels.dtype} of shape {labels.shape}, not a label for each of {len(images)} images"
            )
        if labels.size and labels.max() >= len(self.classes):
            raise DatasetError(f"{names[1]} holds the label {labels.max()}; there are {len(self.classes)} classes")
        super().__init__(images[:, None], labels.astype(np.int64), transform, target_transform)
        self.train = train

    @classmethod
    def _find(cls, root: Path, names: list[str], fetch: bool) -> list[Path]:
        folder = root / cls.__name__ / "raw"
        paths, missing = [], []
        for name in names:
            plain = name.removesuffix(".gz")
            found = [path for base in (folder, root) for path in (base / name, base / plain) if path.is_file()]
            if fetch and found and found[0] == folder / name and md5_of(found[0]) != cls.checksums[name]:
                found = []  # an earlier download by other means that went wrong
            if not found and fetch:
                download([mirror + name for mirror in cls.mirrors], folder / name, cls.checksums[name])
                found = [folder / name]
            paths.extend(found[:1])
            missing.extend([] if found else [name])
        if missing:
            raise DatasetError(
                f"{cls.__name__} is not in {root}: put {' and '.join(missing)}, or the same unpacked, into {folder} "
                f"(they are at {cls.mirrors[0]}), or pass download=True"
            )
        return paths


class FashionMNIST(MNIST):
    """Pictures of clothes, 60,000 to train with and 10,000 to test, 28 x 28 pixels; as `MNIST`, and harder.

    Args:
        root: the folder of data sets; the files are looked for in `root/FashionMNIST/raw` and in `root` itself.
        train: which of the two parts.
        transform: applied to each image, a float32 array of shape (1, 28, 28) with values in [0, 1].
        target_transform: applied to each label, an int64 from 0 to 9.
        download: whether to download files that are missing, over HTTPS, about 30 MB.

    Raises:
        DatasetError: if files are missing, damaged, or could not be downloaded.

    Source: H. Xiao, K. Rasul and R. Vollgraf (2017), Fashion-MNIST, arXiv:1708.07747, MIT licence.
    """

    mirrors = ("https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",)
    checksums: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    }
    classes = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
