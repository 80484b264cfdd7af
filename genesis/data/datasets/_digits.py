"""The UCI handwritten digits, which are part of the package."""

from __future__ import annotations

import functools
import gzip
import hashlib
from importlib import resources

import numpy as np

from .._host import to_tensor
from ..dataset import TensorDataset
from ._files import DatasetError

CLASSES = 10
HELD_OUT = 36  # images of each digit


def digits(train: bool = True) -> TensorDataset:
    """Handwritten digits, 1,797 images of 8 x 8 pixels; no download.

    Args:
        train: the 1,437 images to train with, or the 360 held out.

    Returns:
        A `TensorDataset` of images, float32 of shape (N, 1, 8, 8) with pixels k/16 for k = 0..16, and labels, int64
        of shape (N,) with values 0..9; both on the default device.

    **The split** is the same everywhere and for ever: number the images 0..1796 in the order of the file, sort them
    by the SHA-256 of their number written in decimal, and hold out the first 36 of each digit. Both parts are in
    that order, so any stretch of either is a mixture too. As all digits are held out equally often, the accuracy
    is the mean of the accuracies for each digit.

    The file is ordered by writer: 13 people, one after another. The split mixes them, so images of every writer
    are most likely in both parts. It is fair for comparing optimizers and models with each other, and with results
    for random splits of these data, which are the usual ones. It does not measure how well a model does on the
    hand of somebody it has never seen, which is harder.

    Source: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository, doi:10.24432/C50P49, CC BY 4.0.

    Example:
        >>> data = digits(train=False)
        >>> images, labels = data.tensors
        >>> len(data), tuple(images.shape), images.flatten(1).shape[1]
        (360, (360, 1, 8, 8), 64)
    """
    images, labels = split(train)
    return TensorDataset(to_tensor(images), to_tensor(labels))


def split(train: bool) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of one part, as new arrays."""
    pixels, labels = _load()
    order = sorted(range(len(labels)), key=lambda row: hashlib.sha256(str(row).encode()).digest())
    held_out = {row for digit in range(CLASSES) for row in [row for row in order if labels[row] == digit][:HELD_OUT]}
    rows = [row for row in order if (row not in held_out) == train]
    images = (pixels[rows] / np.float32(16)).reshape(-1, 1, 8, 8)
    return images, labels[rows]


@functools.cache
def _load() -> tuple[np.ndarray, np.ndarray]:
    """Pixels (1797, 64), float32 0..16, and labels (1797,), in the order of the file."""
    file = resources.files("genesis.data").joinpath("files", "digits.csv.gz")
    try:
        with file.open("rb") as raw, gzip.open(raw, "rt") as text:
            table = np.loadtxt(text, delimiter=",", dtype=np.int64)
    except FileNotFoundError:
        raise DatasetError(
            f"{file} is missing: this installation of genesis is not complete, install it anew"
        ) from None
    return table[:, :64].astype(np.float32), table[:, 64].copy()
