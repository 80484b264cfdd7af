"""The models of ``training.py`` in tinygrad, a training step captured by TinyJit as its users do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import measure
import numpy as np


def _mlp(nn: Any, Tensor: Any) -> Any:
    layers = [nn.Linear(784, 512), nn.Linear(512, 512), nn.Linear(512, 10)]
    return layers, lambda x: layers[2](layers[1](layers[0](x.flatten(1)).relu()).relu())


def _resnet20(nn: Any, Tensor: Any) -> Any:
    def conv(inside: int, outside: int, size: int, stride: int = 1) -> Any:
        return nn.Conv2d(inside, outside, size, stride=stride, padding=size // 2, bias=False)

    stem, norm, head = conv(3, 16, 3), nn.BatchNorm(16), nn.Linear(64, 10)
    blocks, inside = [], 16
    for outside, stride in ((16, 1), (32, 2), (64, 2)):
        for i in range(3):
            step = stride if i == 0 else 1
            short = [conv(inside, outside, 1, step), nn.BatchNorm(outside)] if step > 1 or inside != outside else []
            blocks.append([conv(inside, outside, 3, step), nn.BatchNorm(outside), conv(outside, outside, 3),
                           nn.BatchNorm(outside), short])
            inside = outside

    def forward(x: Any) -> Any:
        x = norm(stem(x)).relu()
        for conv1, norm1, conv2, norm2, short in blocks:
            y = norm2(conv2(norm1(conv1(x)).relu()))
            for layer in short:
                x = layer(x)
            x = (y + x).relu()
        return head(x.mean((2, 3)))

    return [stem, norm, head, blocks], forward


def _gpt(nn: Any, Tensor: Any) -> Any:
    width, heads = 384, 6
    tokens, positions = nn.Embedding(96, width), nn.Embedding(256, width)
    blocks = [[nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width), nn.LayerNorm(width),
               nn.Linear(width, 4 * width), nn.Linear(4 * width, width)] for _ in range(6)]
    norm, head = nn.LayerNorm(width), nn.Linear(width, 96, bias=False)

    def forward(ids: Any) -> Any:
        b, t = ids.shape
        x = tokens(ids) + positions.weight[:t]
        for ln1, qkv, project, ln2, up, down in blocks:
            q, k, v = (part.reshape(b, t, heads, width // heads).transpose(1, 2)
                       for part in qkv(ln1(x)).chunk(3, dim=-1))
            y = q.scaled_dot_product_attention(k, v, is_causal=True)
            x = x + project(y.transpose(1, 2).reshape(b, t, width))
            x = x + down(up(ln2(x)).gelu())
        return head(norm(x)).flatten(0, 1)

    return [tokens, positions, blocks, norm, head], forward


def training_step(device: Any, name: str, optimizer: tuple[str, dict[str, Any]], inputs: np.ndarray,
                  targets: np.ndarray) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """A function that trains one step on a batch, and one that waits for the device."""
    where = measure.tinygrad_device(device)
    from tinygrad import Context, Device, Tensor, TinyJit, nn  # type: ignore[import-not-found]
    from tinygrad.helpers import DEV  # type: ignore[import-not-found]

    DEV.value = where
    parts, forward = {"mlp": _mlp, "cnn": _resnet20, "gpt": _gpt}[name](nn, Tensor)
    x, y = Tensor(inputs, device=where).realize(), Tensor(targets, device=where).realize()
    kind, options = optimizer
    rule = getattr(nn.optim, kind)(nn.state.get_parameters(parts), **options)

    def train() -> Any:
        rule.zero_grad()
        loss = forward(x).sparse_categorical_crossentropy(y)
        loss.backward()
        return loss.realize(*rule.schedule_step())

    captured = TinyJit(train)

    def step() -> None:
        with Context(TRAINING=1):
            captured()

    for _ in range(3):                     # the first run compiles, the second captures
        step()
    return step, Device[where].synchronize
