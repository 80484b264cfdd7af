"""Trains hundreds of small networks at once, as layers of the same tensors: optimizers x learning rates x seeds.

One small network leaves a device idle: a step of it costs some forty launches and little arithmetic. Here every weight
gets two dimensions in front, G for the optimizer with its setting and S for the seed, and the same launches serve all.
Each network has its own loss, and nothing passes from one to another. Each optimizer is the shipped class, with a
parameter group for each setting.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import genesis
from genesis.data.datasets import digits, stdlib_text
from genesis.nn import functional as F

Tensor = genesis.Tensor


@dataclass(frozen=True)
class Entry:
    """An optimizer with the settings to try.

    Attributes:
        make: takes parameter groups; the class, or a partial of it.
        settings: hyperparameters of each parameter group: ``{"lr": 0.1}``.
    """

    make: Callable[[Iterable[Any]], genesis.optim.Optimizer]
    settings: Sequence[dict[str, float]]


@dataclass(frozen=True)
class Task:
    """Something to learn, for many networks at once.

    Attributes:
        weights: a generator of random numbers -> the first weights of one network.
        batches: a generator, steps -> that many batches for one network; a batch is a tuple of arrays.
        loss: weights (G, S, ...) and a batch (S, ...) -> losses (G, S).
        test: weights -> a measure on held-out data, (G, S).
    """

    weights: Callable[[np.random.Generator], list[np.ndarray]]
    batches: Callable[[np.random.Generator, int], Iterable[tuple[np.ndarray, ...]]]
    loss: Callable[[list[Tensor], tuple[Tensor, ...]], Tensor]
    test: Callable[[list[Tensor]], Tensor]


@dataclass(frozen=True)
class Outcome:
    """What one optimizer did.

    Attributes:
        settings: those tried, M of them.
        losses: before each step, (M, S, steps); on the batch of the step.
        test: held-out measure at the end, (M, S).
    """

    settings: Sequence[dict[str, float]]
    losses: np.ndarray
    test: np.ndarray

    @property
    def rates(self) -> np.ndarray:
        """The learning rates, (M,)."""
        return np.array([setting["lr"] for setting in self.settings])

    def score(self, moving: bool = False) -> np.ndarray:
        """Mean loss of the last 20 steps, or, where the target moves, of all: (M, S); infinite if there was none."""
        mean = (self.losses if moving else self.losses[..., -20:]).astype(np.float64).mean(-1)
        return np.where(np.isfinite(mean), mean, np.inf)

    def best(self, moving: bool = False) -> int:
        """The place of the setting with the least mean score."""
        return int(self.score(moving).mean(1).argmin())

    def range(self, moving: bool = False, part: float = 0.1) -> float:
        """How wide the range of good learning rates is, in decades: those that lose at most ``part`` of the progress.

        Progress is what the best learning rate makes of the first loss; between those tried, the score is taken to be
        linear in the learning rate's logarithm.
        """
        score, first = self.score(moving).mean(1), self.losses[..., 0].mean()
        limit = score.min() + part * (first - score.min())
        fine = np.linspace(*np.log10(self.rates[[0, -1]]), 2000)
        between = np.interp(fine, np.log10(self.rates), np.minimum(score, 10 * first))
        return float((between <= limit).mean() * (fine[-1] - fine[0]))


def run(task: Task, entries: dict[str, Entry], steps: int, seeds: Sequence[int] = (0, 1, 2)) -> dict[str, Outcome]:
    """Train with every optimizer, setting and seed.

    Networks of one seed begin with the same weights and see the same batches, whatever their optimizer.

    Args:
        task: what to learn.
        entries: name -> optimizer and settings.
        steps: how many, for all.
        seeds: one network for each.
    """
    genesis.manual_seed(0)
    first = [np.stack(arrays).astype(np.float32) for arrays in
             zip(*(task.weights(np.random.default_rng([seed, 0])) for seed in seeds), strict=True)]
    leaves, optimizers = [], []
    for entry in entries.values():
        groups = [{"params": [genesis.tensor(a, requires_grad=True) for a in first], **setting}
                  for setting in entry.settings]
        leaves += [group["params"] for group in groups]
        optimizers.append(entry.make(groups))
    streams = [iter(task.batches(np.random.default_rng([seed, 1]), steps)) for seed in seeds]
    history = []
    for _ in range(steps):
        parts = [np.stack(arrays) for arrays in zip(*(next(stream) for stream in streams), strict=True)]
        batch = tuple(genesis.tensor(part) for part in parts)
        for optimizer in optimizers:
            optimizer.zero_grad()
        losses = task.loss([genesis.stack(same) for same in zip(*leaves, strict=True)], batch)
        losses.sum().backward()
        for optimizer in optimizers:
            optimizer.step()
        history.append(losses.detach())
    with genesis.no_grad():
        tested = task.test([genesis.stack(same) for same in zip(*leaves, strict=True)]).numpy()
    losses = genesis.stack(history, -1).numpy()
    outcomes, begin = {}, 0
    for name, entry in entries.items():
        end = begin + len(entry.settings)
        outcomes[name] = Outcome(entry.settings, losses[begin:end], tested[begin:end])
        begin = end
    return outcomes


# Parts of networks ---------------------------------------------------------------------------------------------------

def dense(rng: np.random.Generator, inputs: int, outputs: int) -> list[np.ndarray]:
    """Weight (inputs, outputs) and bias (1, outputs), drawn as `nn.Linear` does."""
    bound = inputs ** -0.5
    return [rng.uniform(-bound, bound, (inputs, outputs)), rng.uniform(-bound, bound, (1, outputs))]


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Logits (G, S, N, C) and targets (S, N) -> mean cross-entropy of each network, (G, S)."""
    g, s, n, c = logits.shape
    labels = target.reshape(1, s, n).expand(g, s, n).reshape(-1)
    return F.cross_entropy(logits.reshape(-1, c), labels, reduction="none").reshape(g, s, n).mean(-1)


def error_rate(logits: Tensor, target: Tensor) -> Tensor:
    """Share of wrong answers: logits (G, S, N, C) and targets (N,) -> (G, S)."""
    return (logits.argmax(-1) != target).to(genesis.float32).mean(-1)


@functools.cache
def digit_arrays(train: bool) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 8, 8) with mean 0 and deviation 1, and labels (N,)."""
    images, labels = (x.numpy() for x in digits(train).tensors)
    return ((images.reshape(-1, 8, 8) - 0.3) / 0.37).astype(np.float32), labels


def shuffled(rng: np.random.Generator, size: int, batch_size: int, steps: int) -> Iterable[np.ndarray]:
    """Rows of each batch: epoch after epoch in random order, what is left of an epoch dropped."""
    whole = size // batch_size
    for step in range(steps):
        if step % whole == 0:
            order = rng.permutation(size)
        yield order[step % whole * batch_size:][:batch_size]


# Tasks ---------------------------------------------------------------------------------------------------------------

def image_task(channels: int = 12, batch_size: int = 32) -> Task:
    """Read digits with a convolution of 3 x 3, a mean over 2 x 2 and a dense layer."""
    def patches(x: np.ndarray) -> np.ndarray:
        """(N, 8, 8) -> the 3 x 3 neighbourhoods, (N * 36, 9): a convolution is a product with them."""
        return np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2)).reshape(-1, 9).copy()

    def batches(rng: np.random.Generator, steps: int) -> Iterable[tuple[np.ndarray, ...]]:
        x, y = digit_arrays(True)
        for rows in shuffled(rng, len(y), batch_size, steps):
            yield patches(x[rows]), y[rows]

    def network(w: list[Tensor], x: Tensor) -> Tensor:
        h = (x @ w[0] + w[1]).relu()                                             # (G, S, N * 36, channels)
        g, s, _, c = h.shape
        h = h.reshape(g, s, -1, 3, 2, 3, 2, c).mean((4, 6)).reshape(g, s, -1, 9 * c)
        return h @ w[2] + w[3]                                                   # (G, S, N, 10)

    def test(w: list[Tensor]) -> Tensor:
        x, y = digit_arrays(False)
        return error_rate(network(w, genesis.tensor(patches(x))), genesis.tensor(y))

    return Task(lambda rng: dense(rng, 9, channels) + dense(rng, 9 * channels, 10), batches,
                lambda w, batch: cross_entropy(network(w, batch[0]), batch[1]), test)


def perceptron(w: list[Tensor], x: Tensor) -> Tensor:
    """64 pixels, hidden units, 10 digits: (S, N, 64) -> (G, S, N, 10)."""
    return (x @ w[0] + w[1]).relu() @ w[2] + w[3]


def digits_task(hidden: int = 32, batch_size: int = 32, images: int = 1437, false_labels: float = 0.0) -> Task:
    """Read digits with one hidden layer.

    Args:
        hidden: its units.
        batch_size: images a step.
        images: how many of the 1,437 to train with.
        false_labels: share of these that have a label drawn at random; the held-out images' labels are right.
    """
    def batches(rng: np.random.Generator, steps: int) -> Iterable[tuple[np.ndarray, ...]]:
        x, y = digit_arrays(True)
        some = rng.permutation(len(y))[:images]
        labels = np.where(rng.random(images) < false_labels, rng.integers(0, 10, images), y[some])
        for rows in shuffled(rng, images, batch_size, steps):
            yield x[some[rows]].reshape(-1, 64), labels[rows]

    def test(w: list[Tensor]) -> Tensor:
        x, y = digit_arrays(False)
        return error_rate(perceptron(w, genesis.tensor(x.reshape(-1, 64))), genesis.tensor(y))

    return Task(lambda rng: dense(rng, 64, hidden) + dense(rng, hidden, 10), batches,
                lambda w, batch: cross_entropy(perceptron(w, batch[0]), batch[1]), test)


def drifting_task(period: int, batch_size: int = 32, hidden: int = 32) -> Task:
    """Read digits whose names are exchanged at random every ``period`` steps; otherwise as `digits_task`."""
    task = digits_task(hidden, batch_size)

    def batches(rng: np.random.Generator, steps: int) -> Iterable[tuple[np.ndarray, ...]]:
        for step, (x, y) in enumerate(task.batches(rng, steps)):
            if step % period == 0:
                names = rng.permutation(10)
            yield x, names[y]

    return Task(task.weights, batches, task.loss, task.test)


def bandit_task(batch_size: int = 32, hidden: int = 32) -> Task:
    """Learn to read digits by guessing: the network draws an answer and is told only whether it was right.

    The gradient is that of REINFORCE (Williams 1992) with the batch's mean reward as the baseline. The "loss" that is
    recorded is the share of wrong guesses.
    """
    task = digits_task(hidden, batch_size)

    def batches(rng: np.random.Generator, steps: int) -> Iterable[tuple[np.ndarray, ...]]:
        for x, y in task.batches(rng, steps):
            yield x, y, -np.log(-np.log(rng.uniform(1e-6, 1 - 1e-6, (batch_size, 10)))).astype(np.float32)

    def loss(w: list[Tensor], batch: tuple[Tensor, ...]) -> Tensor:
        x, y, noise = batch
        score = F.log_softmax(perceptron(w, x), -1)                              # (G, S, N, 10)
        guess = (score.detach() + noise).argmax(-1)                              # drawn from the softmax (Gumbel)
        right = (guess == y).to(genesis.float32)
        advantage = right - right.mean(-1, keepdim=True)
        chosen = score.gather(-1, guess.unsqueeze(-1)).squeeze(-1)
        surrogate = -(advantage * chosen).mean(-1)
        wrong = 1 - right.mean(-1)
        return wrong + (surrogate - surrogate.detach())            # the value of the one, the gradient of the other

    return Task(task.weights, batches, loss, task.test)


def character_task(width: int = 32, heads: int = 2, context: int = 16, batch_size: int = 8) -> Task:
    """Foresee the next character of Python's standard library: a transformer of one block. The test is in bits."""
    text = stdlib_text(200_000)
    size = text.vocab_size

    def weights(rng: np.random.Generator) -> list[np.ndarray]:
        def matrix(*shape: int) -> np.ndarray:
            return rng.standard_normal(shape) * shape[0] ** -0.5

        return [rng.standard_normal((size, width)) * 0.5, rng.standard_normal((context, width)) * 0.5,
                np.ones((1, width)), np.zeros((1, width)), matrix(width, 3 * width), np.zeros((1, 3 * width)),
                matrix(width, width), np.zeros((1, width)), np.ones((1, width)), np.zeros((1, width)),
                matrix(width, 4 * width), np.zeros((1, 4 * width)), matrix(4 * width, width), np.zeros((1, width)),
                matrix(width, size) * 0.3, np.zeros((1, size))]

    def batches(rng: np.random.Generator, steps: int) -> Iterable[tuple[np.ndarray, ...]]:
        for _ in range(steps):
            places = rng.integers(0, len(text.train) - context - 1, batch_size)[:, None] + np.arange(context)
            yield text.train[places], text.train[places + 1].reshape(-1)

    def network(w: list[Tensor], tokens: Tensor) -> Tensor:
        """(S, B, T) -> (G, S, B * T, size)"""
        g, s = w[0].shape[:2]
        rows = genesis.arange(g * s).reshape(g, s, 1, 1) * size + tokens
        b, t = tokens.shape[-2:]
        h = F.embedding(rows, w[0].reshape(-1, width)) + w[1].unsqueeze(2)       # (G, S, B, T, width)
        h = h.reshape(g, s, b * t, width)
        qkv = (F.layer_norm(h, (width,)) * w[2] + w[3]) @ w[4] + w[5]
        q, k, v = (part.reshape(g * s * b, t, heads, width // heads).transpose(1, 2) for part in qkv.chunk(3, -1))
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(g, s, b * t, width)
        h = h + seen @ w[6] + w[7]
        h = h + F.gelu((F.layer_norm(h, (width,)) * w[8] + w[9]) @ w[10] + w[11]) @ w[12] + w[13]
        return F.layer_norm(h, (width,)) @ w[14] + w[15]

    def loss(w: list[Tensor], batch: tuple[Tensor, ...]) -> Tensor:
        return cross_entropy(network(w, batch[0]), batch[1]) / np.log(2)

    def test(w: list[Tensor]) -> Tensor:
        s = w[0].shape[1]
        places = np.linspace(0, len(text.val) - context - 2, 32).astype(int)[:, None] + np.arange(context)
        tokens, target = text.val[places], text.val[places + 1].reshape(-1)
        return loss(w, (genesis.tensor(np.stack([tokens] * s)), genesis.tensor(np.stack([target] * s))))

    return Task(weights, batches, loss, test)


MODULES = ("argparse", "asyncio.events", "_pydecimal", "doctest", "inspect", "logging", "subprocess", "tarfile")


@functools.cache
def lines_of_code(words: int = 1000, length: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lines of eight modules of the standard library as bags of words.

    Returns:
        Numbers of words (N, length), filled up with ``words``; the modules' numbers (N,); how often each word occurs
        (words,), the most frequent first.
    """
    lines, labels = [], []
    for number, module in enumerate(MODULES):
        for text in inspect.getsource(importlib.import_module(module)).splitlines():
            found = re.findall(r"[A-Za-z]{2,}", text)[:length]
            if len(found) >= 2:
                lines.append(found)
                labels.append(number)
    names, counts = np.unique([word for line in lines for word in line], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:words]
    number_of = {names[i]: place for place, i in enumerate(order)}
    known = [[number_of[word] for word in line if word in number_of] for line in lines]
    rows = np.array([line + [words] * (length - len(line)) for line in known])
    return rows, np.array(labels), counts[order]


def words_task(words: int = 1000, width: int = 16, batch_size: int = 16) -> Task:
    """Tell which module a line of code is from, by the mean of its words' vectors.

    A word's vector has a gradient only in steps whose lines have the word: for most words, once in hundreds of steps.
    """
    rows, labels, _ = lines_of_code(words)
    order = np.random.default_rng(0).permutation(len(labels))
    held_out, training = order[:1000], order[1000:]

    def batches(rng: np.random.Generator, steps: int) -> Iterable[tuple[np.ndarray, ...]]:
        for some in shuffled(rng, len(training), batch_size, steps):
            yield rows[training[some]], labels[training[some]]

    def network(w: list[Tensor], lines: Tensor) -> Tensor:
        """(S, N, length) -> (G, S, N, 8)"""
        g, s = w[0].shape[:2]
        places = genesis.arange(g * s).reshape(g, s, 1, 1) * (words + 1) + lines
        known = (lines < words).to(genesis.float32).unsqueeze(-1)                # (S, N, length, 1)
        vectors = F.embedding(places, w[0].reshape(-1, width)) * known
        return vectors.sum(-2) / known.sum(-2).clamp(min=1) @ w[1] + w[2]

    def test(w: list[Tensor]) -> Tensor:
        x = genesis.tensor(np.stack([rows[held_out]] * w[0].shape[1]))
        return error_rate(network(w, x), genesis.tensor(labels[held_out]))

    return Task(lambda rng: [rng.standard_normal((words + 1, width)), *dense(rng, width, len(MODULES))], batches,
                lambda w, batch: cross_entropy(network(w, batch[0]), batch[1]), test)
