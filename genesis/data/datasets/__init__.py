"""Data sets to learn with: some that are always there, and readers for well-known ones."""

from ._cifar import CIFAR10
from ._digits import digits
from ._files import DatasetError
from ._mnist import MNIST, FashionMNIST, read_idx
from ._text import CharBlocks, CharText, stdlib_text

__all__ = [
    "CIFAR10",
    "MNIST",
    "CharBlocks",
    "CharText",
    "DatasetError",
    "FashionMNIST",
    "digits",
    "read_idx",
    "stdlib_text",
]
