"""The cases of ``operations.py``: what is computed, on which shapes, in genesis, PyTorch and tinygrad."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    """One operation on some shapes.

    Attributes:
        group: which goal it counts for.
        title: what it is called in the report.
        shapes: of the inputs, each float32 and normally distributed, all needing gradients.
        compute: ``compute(lib, F, *inputs)`` in genesis and in PyTorch alike: lib is the package, F its functionals.
        tinygrad: ``tinygrad(*inputs)``; None when it has nothing of the kind.
        flops: floating-point operations of the forward pass; 0 where bytes say more.
        targets: shape and number of classes of integer targets, passed last.
    """

    group: str
    title: str
    shapes: tuple[tuple[int, ...], ...]
    compute: Callable[..., Any]
    tinygrad: Callable[..., Any] | None = None
    flops: float = 0
    targets: tuple[tuple[int, ...], int] | None = None

    @property
    def name(self) -> str:
        """The group and the title."""
        return f"{self.group}, {self.title}"


def _matmul(m: int, k: int, n: int, batch: tuple[int, ...] = (), turned: bool = False) -> Case:
    title = "×".join(map(str, (*batch, m, k))) + " by " + f"{k}×{n}" + (", transposed" if turned else "")
    right = (*batch, n, k) if turned else (*batch, k, n)

    def compute(lib: Any, F: Any, a: Any, b: Any) -> Any:
        return a @ (b.transpose(-1, -2) if turned else b)

    return Case("matmul", title, ((*batch, m, k), right), compute,
                lambda a, b: a @ (b.transpose(-1, -2) if turned else b), 2.0 * m * k * n * int(np.prod(batch or (1,))))


def _linear(rows: int, inside: int, outside: int) -> Case:
    return Case("matmul", f"linear {rows}×{inside} to {outside}", ((rows, inside), (outside, inside), (outside,)),
                lambda lib, F, x, w, b: F.linear(x, w, b), lambda x, w, b: x.linear(w.transpose(), b),
                2.0 * rows * inside * outside)


def _conv(batch: int, channels: int, out: int, side: int, kernel: int, stride: int = 1) -> Case:
    pad = kernel // 2
    after = (side + 2 * pad - kernel) // stride + 1
    title = f"{kernel}×{kernel}, {channels} to {out}, {side}×{side}, batch {batch}" + (
        f", stride {stride}" if stride > 1 else "")
    return Case("conv2d", title, ((batch, channels, side, side), (out, channels, kernel, kernel)),
                lambda lib, F, x, w: F.conv2d(x, w, stride=stride, padding=pad),
                lambda x, w: x.conv2d(w, stride=stride, padding=pad),
                2.0 * batch * out * after * after * channels * kernel * kernel)


def _attention(batch: int, heads: int, length: int, size: int) -> Case:
    return Case("attention", f"causal, {batch}×{heads}×{length}×{size}", ((batch, heads, length, size),) * 3,
                lambda lib, F, q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
                lambda q, k, v: q.scaled_dot_product_attention(k, v, is_causal=True),
                2.0 * batch * heads * length * length * size)


def _rows(title: str, shape: tuple[int, ...], compute: Callable[..., Any], tinygrad: Callable[..., Any] | None = None,
          more: tuple[tuple[int, ...], ...] = (), group: str = "fused") -> Case:
    return Case(group, f"{title} {'×'.join(map(str, shape))}", (shape, *more), compute, tinygrad)


MANY = (16 * 2**20,)         # elements

CASES: list[Case] = [
    _matmul(512, 512, 512), _matmul(1024, 1024, 1024), _matmul(2048, 2048, 2048), _matmul(1003, 1003, 1003),
    _matmul(4096, 768, 3072), _linear(4096, 768, 3072), _linear(128, 784, 512),
    _matmul(256, 64, 256, (8, 6), turned=True), _matmul(256, 256, 64, (8, 6)),
    _conv(64, 3, 16, 32, 3), _conv(64, 16, 16, 32, 3), _conv(64, 16, 32, 32, 3, 2), _conv(64, 32, 32, 16, 3),
    _conv(64, 64, 64, 8, 3), _conv(8, 64, 64, 56, 3), _conv(8, 128, 128, 28, 3), _conv(8, 256, 256, 14, 3),
    _conv(8, 64, 256, 56, 1), _conv(8, 256, 64, 56, 1), _conv(8, 3, 64, 224, 7, 2),
    _attention(8, 6, 256, 64), _attention(1, 12, 1024, 64),
    _rows("softmax", (16384, 1024), lambda lib, F, x: F.softmax(x, dim=-1), lambda x: x.softmax(-1)),
    _rows("log_softmax", (4096, 4096), lambda lib, F, x: F.log_softmax(x, dim=-1), lambda x: x.log_softmax(-1)),
    _rows("layer_norm", (16384, 1024), lambda lib, F, x, w, b: F.layer_norm(x, (1024,), w, b),
          lambda x, w, b: x.layernorm() * w + b, more=((1024,), (1024,))),
    _rows("layer_norm", (2048, 384), lambda lib, F, x, w, b: F.layer_norm(x, (384,), w, b),
          lambda x, w, b: x.layernorm() * w + b, more=((384,), (384,))),
    Case("fused", "cross_entropy 2048×50257", ((2048, 50257),), lambda lib, F, x, t: F.cross_entropy(x, t),
         lambda x, t: x.sparse_categorical_crossentropy(t), targets=((2048,), 50257)),
    Case("fused", "cross_entropy 8192×96", ((8192, 96),), lambda lib, F, x, t: F.cross_entropy(x, t),
         lambda x, t: x.sparse_categorical_crossentropy(t), targets=((8192,), 96)),
    _rows("gelu", MANY, lambda lib, F, x: F.gelu(x), None),
    _rows("gelu, tanh form,", MANY, lambda lib, F, x: F.gelu(x, approximate="tanh"), lambda x: x.gelu()),
    _rows("silu", MANY, lambda lib, F, x: F.silu(x), lambda x: x.silu(), group="elementwise"),
    _rows("exp", MANY, lambda lib, F, x: x.exp(), lambda x: x.exp(), group="elementwise"),
    _rows("a * b + c", MANY, lambda lib, F, a, b, c: a * b + c, lambda a, b, c: a * b + c, (MANY, MANY), "elementwise"),
    _rows("sum", (4096, 4096), lambda lib, F, x: x.sum(-1), lambda x: x.sum(-1), group="elementwise"),
]

# group -> the highest ratio of genesis' time to PyTorch's, forward and backward; a shape may have a limit of its own
LIMITS = {"matmul": 1.05, "conv2d": 1.25, "attention": 1.05, "fused": 1.0, "elementwise": 1.0}
OWN_LIMITS = {"matmul, 512×512 by 512×512": 1.2}
