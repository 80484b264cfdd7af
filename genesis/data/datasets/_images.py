"""What image data sets share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from ..dataset import Dataset, Samples


class Images(Dataset[tuple[Any, Any]]):
    """Images in memory with labels.

    Args:
        data: uint8 of shape (N, C, H, W).
        targets: int64 of shape (N,).
        transform: applied to each image, a float32 array of shape (C, H, W) with values in [0, 1].
        target_transform: applied to each label.
    """

    classes: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        data: np.ndarray,
        targets: np.ndarray,
        transform: Callable[[np.ndarray], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self.data = data
        self.targets = targets
        self.transform = transform
        self.target_transform = target_transform

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image: Any = _scaled(self.data[index])
        target: Any = self.targets[index]
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def __getitems__(self, indices: Sequence[int]) -> Sequence[tuple[Any, Any]]:
        if self.transform is not None or self.target_transform is not None:
            return [self[index] for index in indices]
        rows = np.asarray(indices, dtype=np.int64)
        return Samples(_scaled(self.data[rows]), self.targets[rows])


def _scaled(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) / np.float32(255)
