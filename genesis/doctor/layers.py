"""Checks of the operations of neural networks: convolution, pooling, normalization, losses, attention, recurrence."""

from __future__ import annotations

from itertools import product

import numpy as np

import genesis
from genesis import nn
from genesis.nn import functional as F
from genesis.ops import matmul_amx
from genesis.ops.matmul import by_amx, by_blocks
from genesis.sparse import SparseTensor

from .bench import Bench, Checks

LAYERS = Checks()


def convolved(x: np.ndarray, w: np.ndarray, stride: int = 1, padding: int = 0, dilation: int = 1,
              groups: int = 1) -> np.ndarray:
    """Two-dimensional convolution as in PyTorch, one tap of the kernel at a time."""
    x = np.pad(x, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2))
    kh, kw = w.shape[2:]
    oh = (x.shape[2] - dilation * (kh - 1) - 1) // stride + 1
    ow = (x.shape[3] - dilation * (kw - 1) - 1) // stride + 1
    parts = []
    for xs, ws in zip(np.split(x, groups, 1), np.split(w, groups, 0)):
        y = np.zeros((x.shape[0], ws.shape[0], oh, ow))
        for i, j in product(range(kh), range(kw)):
            top, left = i * dilation, j * dilation
            piece = xs[:, :, top:top + (oh - 1) * stride + 1:stride, left:left + (ow - 1) * stride + 1:stride]
            y += np.einsum("nchw,oc->nohw", piece, ws[:, :, i, j])
        parts.append(y)
    return np.concatenate(parts, 1)


@LAYERS.add("conv")
def conv(b: Bench) -> None:
    """Convolutions: stride, padding, dilation, groups, depthwise, pointwise, transposed."""
    cases = [((1, 4, 5, 6), (outputs, 2, 3, 2), {"groups": 2, "padding": 1}) for outputs in (6, 4)]
    if not b.small:
        cases += [((1, 5, 7, 5), (5, 1, 3, 3), {"groups": 5, "stride": 2, "padding": 1}),
                  ((2, 3, 9, 8), (5, 3, 3, 3), {}), ((1, 4, 7, 11), (6, 2, 3, 2), {"groups": 2, "padding": 1}),
                  ((3, 17, 13, 15), (33, 17, 3, 3), {"padding": 1}), ((2, 16, 12, 12), (32, 16, 1, 1), {}),
                  ((2, 3, 33, 31), (16, 3, 5, 5), {"stride": 2, "padding": 2}),
                  ((1, 2, 17, 19), (3, 2, 3, 3), {"dilation": 3}), ((1, 1, 65, 3), (1, 1, 1, 3), {"stride": 3})]
    for shape, kernel, options in cases:
        b.gradients(f"conv2d of {shape} by {kernel}, {options or 'plain'}",
                    lambda x, w, o=options: F.conv2d(x, w, **o), lambda x, w, o=options: convolved(x, w, **o),
                    b.normal(*shape), b.normal(*kernel), tolerance=3e-4)
    b.gradients("conv1d", lambda x, w: F.conv1d(x, w, padding=1),
                lambda x, w: convolved(np.pad(x, ((0, 0), (0, 0), (1, 1)))[:, :, None], w[:, :, None])[:, :, 0],
                b.normal(2, 3, 17), b.normal(4, 3, 3))

    def turned(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        spread = np.zeros((*x.shape[:2], 2 * x.shape[2] - 1, 2 * x.shape[3] - 1))
        spread[:, :, ::2, ::2] = x
        return convolved(np.pad(spread, ((0, 0), (0, 0), (2, 2), (2, 2))), w.swapaxes(0, 1)[:, :, ::-1, ::-1])

    b.gradients("conv_transpose2d", lambda x, w: F.conv_transpose2d(x, w, stride=2), turned, b.normal(1, 3, 4, 3),
                b.normal(3, 4, 3, 3))
    b.gradients("the bias", lambda x, w, c: F.conv2d(x, w, c), lambda x, w, c: convolved(x, w) + c[:, None, None],
                b.normal(1, 3, 5, 4), b.normal(4, 3, 3, 3), b.normal(4))
    if by_blocks(b.device):
        for emulated in (True, False) if matmul_amx.works(b.device) else (True,):
            with by_amx(emulated):
                for stride in (1,) if b.small else (1, 2):
                    x = b.normal(*((1, 3, 3, 4) if b.small else (2, 5, 7, 9))) * 1e20
                    w = b.normal(*((2, 3, 2, 3) if b.small else (34, 5, 3, 3)))
                    b.gradients(f"conv2d of stride {stride} by AMX",
                                lambda x, w, s=stride: F.conv2d(x, w, stride=s, padding=1) * 1e-20,
                                lambda x, w, s=stride: convolved(x, w, stride=s, padding=1) * 1e-20, x, w,
                                tolerance=3e-4)


@LAYERS.add("pool")
def pool(b: Bench) -> None:
    """Largest and mean of windows."""
    def windows(x: np.ndarray, size: int, stride: int, padding: int, fill: float) -> np.ndarray:
        x = np.pad(x, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2), constant_values=fill)
        return np.lib.stride_tricks.sliding_window_view(x, (size, size), (2, 3))[:, :, ::stride, ::stride]

    for shape, size, stride, padding in (((2, 3, 9, 8), 2, 2, 0), ((1, 5, 17, 13), 3, 2, 1), ((3, 1, 7, 33), 3, 1, 1),
                                         ((4, b.size(64, 1), 5, 4), 2, 2, 0)):
        x, of = b.distinct(*shape), f"{shape} by {size}, stride {stride}, padding {padding}"
        b.gradients(f"max_pool2d of {of}", lambda x, s=(size, stride, padding): F.max_pool2d(x, *s),
                    lambda x, s=(size, stride, padding): windows(x, s[0], s[1], s[2], -np.inf).max((-1, -2)), x)
        b.gradients(f"avg_pool2d of {of}", lambda x, s=(size, stride, padding): F.avg_pool2d(x, *s),
                    lambda x, s=(size, stride, padding): windows(x, s[0], s[1], s[2], 0).mean((-1, -2)), x)
    x = b.normal(2, 3, 9, 13)
    b.gradients("unfold", lambda x: F.unfold(x, 3, stride=2), lambda x: windows(x, 3, 2, 0, 0).transpose(
        0, 1, 4, 5, 2, 3).reshape(2, 27, 24), x)
    times = [1, 2, 2, 2, 1]
    b.compare("fold", F.fold(b.tensor(np.ones((1, 4, 16))), 5, 2), [[np.outer(times, times)]], 0)
    b.gradients("adaptive_avg_pool2d", lambda x: F.adaptive_avg_pool2d(x, 1), lambda x: x.mean((2, 3), keepdims=True),
                b.normal(2, 3, 9, 7))


@LAYERS.add("resize")
def resize(b: Bench) -> None:
    """Interpolation to another size."""
    x = b.normal(2, 3, 5, 7)
    b.gradients("nearest, doubled", lambda x: F.interpolate(x, scale_factor=2, mode="nearest"),
                lambda x: x.repeat(2, 2).repeat(2, 3), x)

    def between(x: np.ndarray, n: int) -> np.ndarray:
        at = np.linspace(0, x.shape[-1] - 1, n)
        low = np.minimum(at.astype(int), x.shape[-1] - 2)
        return x[..., low] * (1 - (at - low)) + x[..., low + 1] * (at - low)

    b.gradients("bilinear, corners kept", lambda x: F.interpolate(x, size=(9, 4), mode="bilinear", align_corners=True),
                lambda x: between(between(x, 4).swapaxes(2, 3), 9).swapaxes(2, 3), x)


@LAYERS.add("grid")
def grid(b: Bench) -> None:
    """Images read at positions of a grid."""
    def sampled(x: np.ndarray, grid: np.ndarray) -> np.ndarray:
        n, _, height, width = x.shape
        x = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
        at = ((grid + 1) * (width, height) - 1) / 2
        low = np.floor(at).astype(int)
        y = np.zeros((n, *grid.shape[1:3], x.shape[1]))
        for i, j in product((0, 1), (0, 1)):
            column, row = np.clip(low[..., 0] + i, -2, width + 1) + 2, np.clip(low[..., 1] + j, -2, height + 1) + 2
            part = np.abs(at - low - (1 - i, 1 - j)).prod(-1)
            y += part[..., None] * x[np.arange(n)[:, None, None], :, row, column]
        return np.moveaxis(y, -1, 1)

    b.gradients("bilinear", lambda x, at: F.grid_sample(x, at, align_corners=False), sampled, b.normal(2, 3, 5, 7),
                b.normal(2, 4, 9, 2))


def log_softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """The logarithm of softmax."""
    x = x - x.max(axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis, keepdims=True))


@LAYERS.add("softmax")
def softmax(b: Bench) -> None:
    """Softmax and its logarithm, along rows and columns, also of large values."""
    for shape in ((5, 1), (33, 65), (3, b.size(1003, 130)), (2, b.size(9001, 300))):
        for axis in (0, -1):
            x, of = 3 * b.normal(*shape), f"{shape} along {axis}"
            b.gradients(f"softmax of {of}", lambda x, a=axis: x.softmax(a), lambda x, a=axis: np.exp(log_softmax(x, a)),
                        x)
            b.gradients(f"log_softmax of {of}", lambda x, a=axis: x.log_softmax(a),
                        lambda x, a=axis: log_softmax(x, a), x)
    for axis in (0, -1):
        b.gradients(f"logsumexp along {axis}", lambda x, a=axis: x.logsumexp(a),
                    lambda x, a=axis: np.logaddexp.reduce(x, a), b.normal(33, 65))
    b.compare("of values near 1e4", b.tensor(1e4 + b.normal(3, 33), pad=3).softmax(-1).sum(-1), np.ones(3))


@LAYERS.add("norm")
def norm(b: Bench) -> None:
    """Layer, RMS, group and batch normalization."""
    for rows, n in ((5, 1), (33, 65), (3, b.size(1003, 130))):
        x, w, c = b.normal(rows, n), 1 + 0.1 * b.normal(n), b.normal(n)
        if n > 1:
            b.gradients(f"layer_norm of {rows} rows of {n}", lambda x, w, c, n=n: F.layer_norm(x, (n,), w, c),
                        lambda x, w, c: (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * w
                        + c, x, w, c)
        b.gradients(f"rms_norm of {rows} rows of {n}", lambda x, w, n=n: F.rms_norm(x, (n,), w, eps=1e-5),
                    lambda x, w: x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * w, x, w)

    def group(x: np.ndarray, w: np.ndarray, c: np.ndarray) -> np.ndarray:
        y = x.reshape(x.shape[0], 3, -1)
        y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + 1e-5)
        return y.reshape(x.shape) * w[:, None, None] + c[:, None, None]

    def batch(x: np.ndarray, w: np.ndarray, c: np.ndarray) -> np.ndarray:
        axes = (0, *range(2, x.ndim))
        wide = (1, -1) + (1,) * (x.ndim - 2)
        y = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
        return y * w.reshape(wide) + c.reshape(wide)

    w, c = 1 + 0.1 * b.normal(6), b.normal(6)
    b.gradients("group_norm", lambda x, w, c: F.group_norm(x, 3, w, c), group, b.normal(2, 6, 7, 5), w, c)
    for shape in ((4, 6, 7, 5), (65, 6), (1, 6, 3, 43)):
        b.gradients(f"batch_norm of {shape}", lambda x, w, c: F.batch_norm(x, None, None, w, c, training=True), batch,
                    b.normal(*shape), w, c)
    layer, x = nn.BatchNorm2d(6), b.normal(4, 6, 7, 5)
    layer(b.tensor(x))
    b.compare("batch_norm's running mean", layer.running_mean, 0.1 * x.mean((0, 2, 3)))
    b.compare("batch_norm in evaluation", layer.eval()(b.tensor(x, pad=3)),
              (x - 0.1 * x.mean((0, 2, 3))[:, None, None]) / np.sqrt(
                  0.9 + 0.1 * x.var((0, 2, 3), ddof=1)[:, None, None] + 1e-5))


@LAYERS.add("loss")
def loss(b: Bench) -> None:
    """Cross-entropy in its forms, negative log-likelihood, and the losses of pairs."""
    for rows, classes in ((1, 2), (33, 65), (5, b.size(5003, 200))):
        at = b.rng.integers(0, classes, rows)
        t = b.tensor(at, pad=1)
        of = f"of {rows} rows of {classes}"
        b.gradients(f"cross_entropy {of}", lambda x, t=t: F.cross_entropy(x, t),
                    lambda x, at=at: -log_softmax(x)[range(len(at)), at].mean(), 2 * b.normal(rows, classes))
        b.gradients(f"nll_loss {of}", lambda x, t=t: F.nll_loss(x, t),
                    lambda x, at=at: -x[range(len(at)), at].mean(), b.normal(rows, classes))
    at = b.rng.integers(0, 5, (3, 7))
    t = b.tensor(at, pad=1)

    def smooth(x: np.ndarray) -> np.ndarray:
        y = log_softmax(x, 1)
        return -(0.9 * np.take_along_axis(y, at[:, None], 1)[:, 0] + 0.1 * y.mean(1)).mean()

    b.gradients("cross_entropy of columns, smoothed", lambda x: F.cross_entropy(x, t, label_smoothing=0.1), smooth,
                b.normal(3, 5, 7))
    x, y = b.normal(33, 7), b.normal(33, 7)
    b.gradients("mse_loss", F.mse_loss, lambda x, y: np.mean((x - y) ** 2), x, y)
    b.gradients("huber_loss", lambda x, y: F.huber_loss(x, y, reduction="sum"),
                lambda x, y: np.where(abs(x - y) < 1, 0.5 * (x - y) ** 2, abs(x - y) - 0.5).sum(), x, y)
    chance = b.rng.uniform(0.05, 0.95, (33, 7)).astype(np.float32).astype(np.float64)
    t = b.tensor(chance)
    b.gradients("binary_cross_entropy_with_logits", lambda x: F.binary_cross_entropy_with_logits(x, t),
                lambda x: np.mean(np.logaddexp(0, x) - chance * x), 3 * x)


@LAYERS.add("ctc")
def ctc(b: Bench) -> None:
    """Connectionist temporal classification, of labels that repeat and of several lengths."""
    labels, lengths, counts = np.array([[1, 2, 2], [3, 1, 0], [4, 4, 1]]), (9, 7, 8), (3, 2, 0)

    def reference(x: np.ndarray) -> np.ndarray:
        losses = []
        for n, (length, count) in enumerate(zip(lengths, counts)):
            states = [0] + [c for label in labels[n, :count] for c in (label, 0)]
            ways = np.where(np.arange(len(states)) < 2, x[0, n, states], -np.inf)
            for t in range(1, length):
                last = np.concatenate([[-np.inf, -np.inf], ways])
                skips = [s > 1 and c != 0 and c != states[s - 2] for s, c in enumerate(states)]
                ways = np.logaddexp(np.logaddexp(ways, last[1:-1]), np.where(skips, last[:-2], -np.inf))
                ways = ways + x[t, n, states]
            losses.append(-np.logaddexp.reduce(ways[-2:] if count else ways[-1:]))
        return np.array(losses)

    t = b.tensor(labels, pad=3)
    b.gradients("ctc", lambda x: F.ctc_loss(x, t, lengths, counts, reduction="none"), reference,
                log_softmax(b.normal(9, 3, 5)))


@LAYERS.add("attention")
def attention(b: Bench) -> None:
    """Scaled dot-product attention with and without a mask, causal and packed; rotary embedding."""
    def attend(q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
        if mask is not None:
            scores = np.where(mask, scores, -np.inf)
        return np.exp(log_softmax(scores)) @ v

    for heads, rows, keys, width in ((1, 1, 1, 4), (2, 33, 17, 8), (3, b.size(130, 20), b.size(130, 20), 16)):
        q, k, v = b.normal(2, heads, rows, width), b.normal(2, heads, keys, width), b.normal(2, heads, keys, width)
        of = f"{rows} queries, {keys} keys of {width}"
        b.gradients(f"attention, {of}", F.scaled_dot_product_attention, attend, q, k, v)
        if rows == keys:
            below = np.tril(np.ones((rows, keys), bool))
            b.gradients(f"causal attention, {of}", lambda q, k, v: F.scaled_dot_product_attention(q, k, v,
                                                                                                  is_causal=True),
                        lambda q, k, v, m=below: attend(q, k, v, m), q, k, v)
    mask = b.rng.random((33, 17)) < 0.7
    mask[:, 0] = True
    t = b.tensor(mask, pad=3)
    b.gradients("attention with a mask", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, t),
                lambda q, k, v: attend(q, k, v, mask), b.normal(1, 2, 33, 8), b.normal(1, 2, 17, 8),
                b.normal(1, 2, 17, 8))
    turn = nn.RotaryEmbedding(8)

    def rotated(x: np.ndarray) -> np.ndarray:
        angle = np.arange(x.shape[-2])[:, None] * 10000.0 ** (-2 * np.arange(4) / 8)
        low, high = x[..., :4], x[..., 4:]
        return np.concatenate([low * np.cos(angle) - high * np.sin(angle), high * np.cos(angle) + low * np.sin(angle)],
                              -1)

    b.gradients("rotary embedding", turn, rotated, b.normal(1, 2, 33, 8))


@LAYERS.add("recurrent")
def recurrent(b: Bench) -> None:
    """RNN, LSTM and GRU over a sequence."""
    def logistic(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    def over(kind: str, x: np.ndarray, wi: np.ndarray, wh: np.ndarray, bi: np.ndarray, bh: np.ndarray) -> np.ndarray:
        h = c = np.zeros((x.shape[1], wh.shape[1]))
        result = []
        for row in x:
            u, r = row @ wi.T + bi, h @ wh.T + bh
            if kind == "RNN":
                h = np.tanh(u + r)
            elif kind == "LSTM":
                i, f, g, o = np.split(u + r, 4, 1)
                c = logistic(f) * c + logistic(i) * np.tanh(g)
                h = logistic(o) * np.tanh(c)
            else:
                (ur, uz, un), (rr, rz, rn) = np.split(u, 3, 1), np.split(r, 3, 1)
                z = logistic(uz + rz)
                h = (1 - z) * np.tanh(un + logistic(ur + rr) * rn) + z * h
            result.append(h)
        return np.stack(result)

    sizes = [(3, 2, 3, 5)] if b.small else [(7, 3, 5, 17), (5, 2, 3, 33)]
    for (steps, batch, width, hidden), kind in product(sizes, ("RNN", "LSTM", "GRU")):
        layer = getattr(nn, kind)(width, hidden)
        weights = [p.detach().numpy().astype(np.float64) for p in layer.parameters()]
        x = b.normal(steps, batch, width)
        b.gradients(f"{kind} of {hidden}", lambda x, layer=layer: layer(x)[0],
                    lambda x, kind=kind, w=weights: over(kind, x, *w), x)


@LAYERS.add("pad")
def pad(b: Bench) -> None:
    """Images with elements of their own around them, or with a number."""
    b.gradients("constant", lambda x: F.pad(x, (2, 1, 0, 2), value=3.5),
                lambda x: np.pad(x, ((0, 0), (0, 0), (0, 2), (2, 1)), constant_values=3.5), b.normal(2, 3, 4, 19))
    for mode, theirs in (("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")):
        b.gradients(mode, lambda x, mode=mode: F.pad(x, (2, 1, 0, 2), mode),
                    lambda x, theirs=theirs: np.pad(x, ((0, 0), (0, 0), (0, 2), (2, 1)), theirs), b.normal(2, 3, 4, 19))
    x = b.rng.integers(-9, 9, (2, 3, 19))
    b.compare("of whole numbers", F.pad(b.tensor(x, pad=1), (3, 5), "reflect"), np.pad(x, ((0, 0), (0, 0), (3, 5)),
                                                                                       "reflect"), 0)


@LAYERS.add("embedding bag")
def embedding_bag(b: Bench) -> None:
    """Sums and means of rows of a table."""
    at, starts = b.rng.integers(0, 9, (5, 7)), [0, 3, 3, 30]
    t, s = b.tensor(at, pad=1), b.tensor(starts, pad=3)
    for width in (3, 16):
        b.gradients(f"means of rows of {width}", lambda w: F.embedding_bag(t, w), lambda w: w[at].mean(1),
                    b.normal(9, width))
        b.gradients(f"sums of rows of {width}", lambda w: F.embedding_bag(t.view(-1), w, s, mode="sum"),
                    lambda w: np.stack([part.sum(0) for part in np.split(w[at.ravel()], starts[1:])]),
                    b.normal(9, width))


@LAYERS.add("embedding")
def embedding(b: Bench) -> None:
    """Rows of a table, and the sums of their gradients."""
    for rows, width, count in ((3, 1, 41), (33, 65, 130), (b.size(1003, 50), 16, b.size(5003, 130))):
        at = b.rng.integers(0, rows, count)
        t = b.tensor(at, pad=1)
        b.gradients(f"{count} of {rows} rows of {width}", lambda w, t=t: F.embedding(t, w), lambda w, at=at: w[at],
                    b.normal(rows, width))
        table, g = b.tensor(b.normal(rows, width), pad=1, grad=True), b.normal(count, width)
        F.embedding(t, table, sparse=True).backward(b.tensor(g, pad=3))
        assert isinstance(table.grad, SparseTensor)
        expected = np.zeros((rows, width))
        np.add.at(expected, at, g)
        b.compare(f"the sparse gradient of {rows} rows of {width}", table.grad.to_dense(), expected, 1e-5)
        found = table.grad.coalesce()
        b.compare("the rows that it has", found.indices(), np.unique(at)[None], 0)
        b.compare("their values", found.values(), expected[np.unique(at)], 1e-5)
    b.compare("one_hot", F.one_hot(b.tensor(np.arange(5)), 7), np.eye(5, 7, dtype=np.int64), 0)
    x = genesis.zeros(3, device=b.device)
    b.compare("zeros", x, np.zeros(3), 0)
