"""Text by characters: a small transformer learns to write Python. ``genesis train text`` runs this.

The text is the source of the standard library of the Python that runs it. What is measured is bits per character: how
many yes-or-no questions a reader with the model's expectations needs on average to learn the next character.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import genesis
from genesis import nn
from genesis.data import DataLoader, Subset
from genesis.data.datasets import CharText, stdlib_text
from genesis.optim.lr_scheduler import get_cosine_schedule_with_warmup

from .curves import Curves, Panel
from .gpt import GPT, Config
from .progress import Progress
from .run import Run, check_count, make_optimizer

WIDTH, HEADS, LAYERS, CONTEXT = 96, 3, 3, 64
CHARACTERS = 1_000_000
EPOCHS, BATCH_SIZE = 1, 8
INTERVAL = 100                # steps from one measurement to the next
GLANCE = 128                  # blocks of the validation text that these use

# What an optimizer gets unasked; the learning rate is the highest, after the warm-up.
USUAL: dict[str, dict[str, Any]] = {
    "sgd": {"lr": 0.2, "momentum": 0.9, "max_grad_norm": 1.0},
    "adadelta": {"max_grad_norm": 1.0},
    "adagrad": {"lr": 0.05, "max_grad_norm": 1.0},
    "adam": {"lr": 0.004, "betas": (0.9, 0.95), "max_grad_norm": 1.0},
    "adamw": {"lr": 0.004, "betas": (0.9, 0.95), "weight_decay": 0.1, "max_grad_norm": 1.0},
    "asgd": {"lr": 1.0, "max_grad_norm": 1.0},
    "adamax": {"lr": 0.008, "betas": (0.9, 0.99), "max_grad_norm": 1.0},
    "nadam": {"lr": 0.004, "betas": (0.9, 0.95), "max_grad_norm": 1.0},
    "radam": {"lr": 0.004, "betas": (0.9, 0.95), "max_grad_norm": 1.0},
    "lion": {"lr": 0.0008, "weight_decay": 0.1, "max_grad_norm": 1.0},
    "rmsprop": {"lr": 0.002, "max_grad_norm": 1.0},
}


@dataclass(frozen=True)
class Result:
    """What a training run gave.

    Attributes:
        bits: bits per character of the whole validation text, at the end.
        unigram: the same for a reader who knows only how frequent each character is: the text's unigram entropy.
        sample: text that the model wrote.
        curves: bits per character along the steps.
        characters_per_second: training speed, without measuring.
        seconds: the whole run.
        compiled, loaded: programs of kernels compiled in this run, and loaded from the cache on disk.
        checkpoint, csv, png: the files written; ``png`` is None without matplotlib.
        model: the trained model.
    """

    bits: float
    unigram: float
    sample: str
    curves: Curves
    characters_per_second: float
    seconds: float
    compiled: int
    loaded: int
    checkpoint: Path
    csv: Path
    png: Path | None
    model: nn.Module


def network(vocab_size: int) -> GPT:
    """The model: characters (N, T), T at most `CONTEXT`, to logits (N, T, vocab_size)."""
    return GPT(Config(vocab_size, CONTEXT, LAYERS, WIDTH, HEADS))


def unigram_entropy(text: CharText) -> float:
    """Bits per character of a text when only the frequencies of its characters are known."""
    share = np.bincount(text.data) / len(text.data)
    return float(-(share[share > 0] * np.log2(share[share > 0])).sum())


def train(optimizer: str = "adamw", lr: float | None = None, epochs: int = EPOCHS, batch_size: int = BATCH_SIZE,
          seed: int = 0, device: str | None = None, out: str | os.PathLike[str] = "runs/text", quiet: bool = False,
          characters: int = CHARACTERS) -> Result:
    """Train the model, measure it on text that it has not seen, and let it write.

    Args:
        optimizer: a name in `genesis.optim.OPTIMIZERS`.
        lr: the highest learning rate; None for one that suits the optimizer.
        epochs: how often to go through the text.
        batch_size: blocks of 64 characters a step.
        seed: of everything random. The same seed on the same device gives the same model, bit for bit.
        device: where to train, as `genesis.device` takes it; it becomes the default device.
        out: folder for ``checkpoint.safetensors`` (written at every measurement), ``curves.csv`` and ``curves.png``.
        quiet: print nothing.
        characters: how much text to use, the tenth for validation included.

    Raises:
        ValueError: a setting out of range.
        genesis.NoDeviceError: there is no such device.
        OSError: ``out`` cannot be written to.
    """
    check_count(epochs=epochs, batch_size=batch_size, characters=characters)
    run = Run({"recipe": "text", "optimizer": optimizer, "lr": lr, "epochs": epochs, "batch_size": batch_size,
               "seed": seed, "characters": characters}, "step", device, out, quiet)
    text = stdlib_text(characters)
    unigram = unigram_entropy(text)
    model = network(text.vocab_size)
    updater = make_optimizer(optimizer, model.groups(), lr, USUAL)
    loader = DataLoader(text.blocks("train", CONTEXT), batch_size, shuffle=True)
    steps = epochs * len(loader)
    scheduler = get_cosine_schedule_with_warmup(updater, steps // 20, steps)
    run.introduce(f"{len(text.train):,} characters of Python to train with, {len(text.val):,} held out; "
                  f"{text.vocab_size} different ones", model, updater)

    criterion = nn.CrossEntropyLoss()
    step, spent, recent = 0, 0.0, []
    with Progress(steps, "training", quiet) as progress:
        try:
            for _ in range(epochs):
                start = time.perf_counter()
                for data, target in loader:
                    model.train()
                    updater.zero_grad()
                    output = model(data)
                    loss = criterion(output.flatten(0, 1), target.flatten())
                    loss.backward()
                    updater.step()
                    scheduler.step()

                    step += 1
                    recent.append(loss.detach())
                    progress.advance()
                    if step % INTERVAL == 0 or step == steps:
                        training = genesis.stack(recent).mean().item() / math.log(2)
                        recent.clear()
                        spent += time.perf_counter() - start
                        held_out = measure(model, text, GLANCE)
                        run.curves.add(step=step, train_bits=training, validation_bits=held_out)
                        run.save(model, updater, scheduler)
                        progress.note(f"step {step}/{steps}", f"bits {training:.3f}, "
                                                              f"held out {held_out:.3f}")
                        start = time.perf_counter()
                spent += time.perf_counter() - start
        except KeyboardInterrupt:
            run.interrupted()
            raise

    bits = measure(model, text)
    sample = write(model, text, "def " if set("def ") <= set(text.vocab) else text.vocab[0], 400, seed)
    speed = epochs * len(loader.dataset) * CONTEXT / spent
    panel = Panel("bits per character", {"train_bits": "train", "validation_bits": "held out"}, ".3f",
                  levels={"unigram entropy": unigram})
    run.finish(f"{speed:,.0f} characters a second", f"Python source, {type(updater).__name__}: {bits:.3f} bits per "
                                                    "character", [panel])
    run.say("sample:\n  | " + sample.replace("\n", "\n  | "))
    run.say(f"bits per character {bits:.4f} (unigram entropy {unigram:.4f})")
    return Result(bits, unigram, sample, run.curves, speed, run.seconds, run.compiled, run.loaded, run.checkpoint,
                  run.csv, run.png, model)


@genesis.no_grad()
def measure(model: nn.Module, text: CharText, blocks: int | None = None) -> float:
    """Bits per character of a model on the validation text, or on about so many of its blocks, spread evenly."""
    model.eval()
    held_out = text.blocks("val", CONTEXT)
    some: Subset = Subset(held_out, range(0, len(held_out), 1 if blocks is None else max(1, len(held_out) // blocks)))
    total = 0.0
    for data, target in DataLoader(some, batch_size=64):
        logits = model(data).flatten(0, 1)
        total += nn.functional.cross_entropy(logits, target.flatten(), reduction="sum").item()
    return total / (len(some) * CONTEXT) / math.log(2)


@genesis.no_grad()
def write(model: GPT, text: CharText, start: str, length: int, seed: int, temperature: float = 0.7) -> str:
    """Text that the model writes after ``start``: each character is drawn from what the model expects.

    Args:
        model: the model.
        text: the text it was trained with, for its vocabulary.
        start: the first characters, at least one.
        length: how many to add.
        seed: of the draws.
        temperature: above 0; below 1 makes likely characters likelier.
    """
    model.eval()
    draw = np.random.default_rng(seed)
    written = text.encode(start).tolist()
    for _ in range(length):
        logits = model(genesis.tensor([written[-model.context:]]))[0, -1].numpy() / temperature
        chances = np.exp(logits - logits.max(), dtype=np.float64)
        written.append(int(draw.choice(len(chances), p=chances / chances.sum())))
    return text.decode(written)
