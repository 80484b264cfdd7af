"""The models of ``training.py``, written once for every library with PyTorch's interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


def mlp(lib: Any) -> Any:
    """784-512-512-10."""
    nn = lib.nn
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(),
                         nn.Linear(512, 10))


def resnet20(lib: Any) -> Any:
    """The ResNet-20 for 32×32 images of He et al. 2016, section 4.2, with 1×1 convolutions where sizes change."""
    nn = lib.nn

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, inside: int, outside: int, stride: int):
            super().__init__()
            self.conv1 = nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False)
            self.norm1 = nn.BatchNorm2d(outside)
            self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
            self.norm2 = nn.BatchNorm2d(outside)
            self.relu = nn.ReLU()
            self.short = nn.Identity() if stride == 1 and inside == outside else nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride=stride, bias=False), nn.BatchNorm2d(outside))

        def forward(self, x: Any) -> Any:
            y = self.relu(self.norm1(self.conv1(x)))
            return self.relu(self.norm2(self.conv2(y)) + self.short(x))

    blocks, inside = [], 16
    for outside, stride in ((16, 1), (32, 2), (64, 2)):
        for i in range(3):
            blocks.append(Block(inside, outside, stride if i == 0 else 1))
            inside = outside
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), *blocks,
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def gpt(lib: Any, vocabulary: int = 96, context: int = 256, width: int = 384, layers: int = 6, heads: int = 6) -> Any:
    """A GPT-2-like decoder: norms first, GELU, learned positions, causal attention."""
    nn, F = lib.nn, lib.nn.functional

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x: Any) -> Any:
            b, t, _ = x.shape
            q, k, v = (part.reshape(b, t, heads, width // heads).transpose(1, 2)      # (B, heads, T, size)
                       for part in self.qkv(self.ln1(x)).chunk(3, dim=-1))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.project(y.transpose(1, 2).reshape(b, t, width))
            return x + self.down(F.gelu(self.up(self.ln2(x))))

    class Model(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
            self.blocks = nn.ModuleList([Block() for _ in range(layers)])
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

        def forward(self, ids: Any) -> Any:
            x = self.tokens(ids) + self.positions.weight[:ids.shape[1]]
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x)).flatten(0, 1)

    return Model()


class Task(NamedTuple):
    """A model and a batch.

    Attributes:
        title: what it is called.
        build: makes the model in a library.
        optimizer: class name and arguments of the optimizer.
        batch: makes inputs and integer targets with a random generator.
        limit: the highest ratio of genesis' time of a training step to PyTorch's.
    """

    title: str
    build: Callable[[Any], Any]
    optimizer: tuple[str, dict[str, Any]]
    batch: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]
    limit: float


def _images(*shape: int) -> Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]:
    """Noise around one pattern a class: something that can be learned."""
    def batch(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        patterns = np.random.default_rng(0).standard_normal((10, *shape[1:]), dtype=np.float32)
        labels = rng.integers(0, 10, shape[0])
        return patterns[labels] * 0.5 + rng.standard_normal(shape, dtype=np.float32), labels

    return batch


def _text(batch: int, length: int) -> Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]:
    """Counting up from a random character in random steps, with noise."""
    def make(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        ids = (rng.integers(0, 96, (batch, 1)) + np.arange(length + 1) * rng.integers(1, 5, (batch, 1))) % 96
        ids = np.where(rng.random(ids.shape) < 0.05, rng.integers(0, 96, ids.shape), ids)
        return ids[:, :-1].copy(), ids[:, 1:].reshape(-1).copy()

    return make


TASKS = {
    "mlp": Task("MLP 784-512-512-10, batch 128", mlp, ("AdamW", {"lr": 1e-3}), _images(128, 1, 28, 28), 1.2),
    "cnn": Task("ResNet-20, 32×32 images, batch 64", resnet20, ("SGD", {"lr": 0.05, "momentum": 0.9}),
                _images(64, 3, 32, 32), 1.2),
    "gpt": Task("GPT, 6 layers, width 384, context 256, batch 8", gpt, ("AdamW", {"lr": 3e-4, "weight_decay": 0.1}),
                _text(8, 256), 1.0),
}
