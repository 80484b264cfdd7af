"""The peers of ``optimizer_step.py``: what they update, and how genesis, PyTorch, tinygrad and a plain stream do it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from measure import tinygrad_device

import genesis
from genesis.opencl.program import read

Shapes = list[tuple[int, ...]]
FLOAT = 4                        # bytes
NAME, FUSED, TINYGRAD = "genesis", "PyTorch fused", "tinygrad OpenCL"
STREAM, STREAM_SAME = "stream (limit)", "stream, genesis' memory"
STREAM_READ = "stream after a read of the gradients (limit)"


def gpt2_small() -> Shapes:
    """Parameters of GPT-2 small: 12 layers of width 768, vocabulary 50257, context 1024, head tied to the embedding."""
    n = 768
    layer: Shapes = [(n,), (n,), (n, 3 * n), (3 * n,), (n, n), (n,), (n,), (n,), (n, 4 * n), (4 * n,), (4 * n, n), (n,)]
    return [(50257, n), (1024, n), *(12 * layer), (n,), (n,)]


def resnet50() -> Shapes:
    """Parameters of ResNet-50: a stem, stages of 3, 4, 6 and 3 bottlenecks, each convolution with its norm, a head."""
    convolutions: Shapes = [(64, 3, 7, 7)]
    channels = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            convolutions += [(width, channels, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1)]
            convolutions += [(4 * width, channels, 1, 1)] if block == 0 else []
            channels = 4 * width
    return [shape for c in convolutions for shape in (c, c[:1], c[:1])] + [(1000, channels), (1000,)]


class Size(NamedTuple):
    """Shapes of parameters and what they are called."""

    title: str
    shapes: Shapes

    @property
    def elements(self) -> int:
        """Number of parameters."""
        return sum(int(np.prod(s)) for s in self.shapes)


SIZES = {"one": Size("one tensor of 16.8 M", [(2**24,)]), "many": Size("1000 tensors of 1000", [(1000,)] * 1000),
         "resnet50": Size("ResNet-50, 161 tensors, 25.6 M", resnet50()),
         "gpt2": Size("GPT-2 small, 148 tensors, 124 M", gpt2_small())}


class Recipe(NamedTuple):
    """An optimizer: its class in genesis and PyTorch, number of states, arguments, class in tinygrad."""

    name: str
    states: int
    arguments: dict[str, Any]
    tinygrad: str = ""

    @property
    def bytes_moved(self) -> int:
        """Bytes read and written for a parameter: parameter, gradient and states in; parameter and states out."""
        return FLOAT * (3 + 2 * self.states)


RECIPES = {"adamw": Recipe("AdamW", 2, {"lr": 1e-3, "weight_decay": 1e-2}, "AdamW"),
           "adam": Recipe("Adam", 2, {"lr": 1e-3}, "Adam"),
           "sgd": Recipe("SGD", 1, {"lr": 1e-3, "momentum": 0.9}, "SGD"),
           "rmsprop": Recipe("RMSprop", 1, {"lr": 1e-3})}


class Peer(NamedTuple):
    """One peer: its step, how to wait for it, and its first parameter after three steps."""

    step: Callable[[], Any]
    finish: Callable[[], Any]
    head: np.ndarray | None = None


_NUMBERS = np.random.default_rng(0).standard_normal(2**20, np.float32)


def values(shape: tuple[int, ...], shift: int) -> np.ndarray:
    """Normal numbers, the same for every peer; ``shift`` tells parameters from gradients."""
    length = int(np.prod(shape))
    return np.resize(_NUMBERS[shift:shift + length], shape).copy()      # alone: resize leaves a view of more


def genesis_optimizer(device: Any, shapes: Shapes, recipe: Recipe, **extra: Any) -> tuple[Any, list[Any]]:
    """An optimizer of genesis and its parameters, whose gradients a backward pass has left in their slots."""
    params = [genesis.tensor(values(s, 0), device=device, requires_grad=True) for s in shapes]
    optimizer = getattr(genesis.optim, recipe.name)(params, **recipe.arguments, **extra)
    for p in params:
        (p * genesis.tensor(values(tuple(p.shape), 1), device=device)).sum().backward()
    for runner in optimizer._runners:
        arena = runner.arena
        if arena.assigned or arena.outside or arena.present != (1 << len(arena.shapes)) - 1:
            raise RuntimeError("the gradients do not lie in their slots")
    device.finish()
    device.pool.empty_cache()
    return optimizer, params


def genesis_peers(device: Any, shapes: Shapes, recipe: Recipe) -> dict[str, Peer]:
    optimizer, params = genesis_optimizer(device, shapes, recipe)
    for _ in range(3):
        optimizer.step()
    peers = {NAME: Peer(optimizer.step, device.finish, params[0].detach().numpy().ravel()[:1000].copy())}
    for name, step in streams_of(device, shapes, recipe, optimizer).items():
        if name == STREAM_SAME:
            peers[name] = Peer(step, device.finish)
    return peers


def torch_optimizers(shapes: Shapes, recipe: Recipe) -> tuple[dict[str, Any], list[Any], np.ndarray]:
    """PyTorch's ways to step over the same parameters and states, the parameters, and the first of them."""
    import torch

    params = [torch.from_numpy(values(s, 0)).requires_grad_() for s in shapes]
    for p in params:
        p.grad = torch.from_numpy(values(tuple(p.shape), 1))
    cls = getattr(torch.optim, recipe.name)
    known = inspect.signature(cls).parameters
    modes = {"PyTorch plain": {"foreach": False, "fused": False}, "PyTorch foreach": {"foreach": True},
             FUSED: {"fused": True}}
    made = {name: cls(params, **recipe.arguments, **{k: v for k, v in mode.items() if k in known})
            for name, mode in modes.items() if name != FUSED or "fused" in known}
    first, *others = made.values()
    for _ in range(3):
        first.step()
    for other in others:
        other.state = first.state          # one set of states, so that three peers need the memory of one
    return made, params, params[0].detach().numpy().ravel()[:1000].copy()


def torch_peers(device: Any, shapes: Shapes, recipe: Recipe) -> dict[str, Peer]:
    made, _, head = torch_optimizers(shapes, recipe)
    return {name: Peer(optimizer.step, lambda: None, head) for name, optimizer in made.items()}


def torch_clipped_step(shapes: Shapes, recipe: Recipe) -> Callable[[], None]:
    """PyTorch's fused step after ``clip_grad_norm_``."""
    import torch

    made, params, _ = torch_optimizers(shapes, recipe)
    optimizer = made[FUSED]

    def step() -> None:
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()

    return step


def tinygrad_peers(device: Any, shapes: Shapes, recipe: Recipe) -> dict[str, Peer]:
    """The optimizer of tinygrad on the same OpenCL device, its step captured by TinyJit as its users do."""
    if not recipe.tinygrad:
        raise NotImplementedError(f"tinygrad has no {recipe.name}")
    tinygrad_device(device)
    from tinygrad import Context, Device, Tensor, TinyJit
    from tinygrad.nn import optim

    params = [Tensor(values(s, 0), device="CL").realize() for s in shapes]
    for p in params:
        p.grad = Tensor(values(p.shape, 1), device="CL").realize()
    Device["CL"].synchronize()
    captured = TinyJit(getattr(optim, recipe.tinygrad)(params, **recipe.arguments).step)

    def step() -> None:
        with Context(TRAINING=1):
            captured()

    for _ in range(3):                     # the first run compiles, the second captures
        step()
    return {TINYGRAD: Peer(step, Device["CL"].synchronize, params[0].flatten()[:1000].numpy())}


def stream(device: Any, shapes: Shapes, recipe: Recipe, buffers: list[Any] | None = None,
           reading: bool = False) -> Callable[[], None]:
    """A kernel with the reads and writes of the update, as far ahead of them, and next to no arithmetic.

    Args:
        device: where it runs.
        shapes: of the parameters.
        recipe: says how many states there are.
        buffers: gradient, parameter and states, as many elements each; buffers of its own when None.
        reading: a kernel that reads the gradients comes before it, as a norm has to.
    """
    chunk, width = genesis.opencl.CHUNK, device.quirks.rule_width
    length = -(-Size("", shapes).elements // chunk) * chunk
    names = ["param", *(f"state{i}" for i in range(recipe.states))]
    lines = ["VECTOR_KERNEL stream(" + ", ".join(f"global float *restrict {name}" for name in ["grad", *names]) + ")",
             "{", "const size_t i = get_global_id(0), ahead = i * WIDTH + 512;",
             *(f"PREFETCH({name} + ahead);" for name in ["grad", *names]),
             "const real g = LOAD(float32, grad, i);",
             *(f"STORE(float32, {name}, i, 0.5f * LOAD(float32, {name}, i) + g * g);" for name in names), "}",
             f"#define EACH ({chunk} / WIDTH)",
             "VECTOR_KERNEL read(global const float *restrict grad, global float *restrict out)",
             "{", "const size_t first = get_global_id(0) * EACH;", "real sum = 0;",
             "for (int i = 0; i < EACH; i++) {", f"PREFETCH(grad + (first + i) * WIDTH + 4 * {chunk});",
             "sum += LOAD(float32, grad, first + i);", "}", "STORE(float32, out, get_global_id(0), sum);", "}"]
    text = "\n".join([read("include/types.h"), *lines])
    kernel = functools.partial(device.programs.kernel, "benchmarks/stream", defines=(("WIDTH", width),), text=text)
    update, before = kernel("stream", "P" * (1 + len(names))), kernel("read", "PP")
    if buffers is None:
        buffers = [device.empty(length * FLOAT) for _ in range(1 + len(names))]
        for buffer in buffers:
            device.fill(buffer, 0, length * FLOAT, np.ones(1, np.float32))
    sums = device.empty(length // chunk * width * FLOAT)

    def step(held: list[Any] = buffers) -> None:
        if reading:
            before((length // chunk,), None, held[0].handle, sums.handle)
        update((length // width,), (chunk // width,), *(buffer.handle for buffer in held))

    return step


def streams_of(device: Any, shapes: Shapes, recipe: Recipe, optimizer: Any) -> dict[str, Callable[[], None]]:
    """Streams over the memory of an optimizer of genesis that has made a step; none where it is in several pieces."""
    if len(optimizer._runners) != 1:
        return {}
    held = optimizer._runners[0].arena.arena.buffers
    buffers = [held[name] for name in ("grad", "param", *optimizer._rule(optimizer.param_groups[0]).states)]
    return {STREAM_SAME: stream(device, shapes, recipe, buffers),
            STREAM_READ: stream(device, shapes, recipe, buffers, reading=True)}


def stream_peers(device: Any, shapes: Shapes, recipe: Recipe) -> dict[str, Peer]:
    return {STREAM: Peer(stream(device, shapes, recipe), device.finish)}


BUILDERS = {"genesis": genesis_peers, "torch": torch_peers, "tinygrad": tinygrad_peers, "stream": stream_peers}
