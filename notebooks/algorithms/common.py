"""What the algorithm notebooks share: surfaces to go down, the digits task, kernels' sources and one style of plots.

An optimizer is passed around as a *maker*, a function from parameters to the optimizer, ``lambda p: Adam(p, lr=0.1)``,
since each run needs a new one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

import genesis
from genesis import nn
from genesis.data.datasets import digits
from genesis.optim.lr_scheduler import CosineAnnealingLR

Maker = Callable[[Iterable[genesis.Tensor]], genesis.optim.Optimizer]

# Colours of Okabe and Ito, which all kinds of colour vision tell apart; the styles help in print.
STYLES: dict[str, tuple[str, str]] = {
    "SGD": ("#000000", "-"),
    "momentum": ("#E69F00", "-"),
    "Nesterov": ("#D55E00", (0, (5, 1.5))),
    "Adagrad": ("#D55E00", "-"),
    "RMSprop": ("#009E73", "-"),
    "Adadelta": ("#CC79A7", "-"),
    "Adam": ("#0072B2", "-"),
    "SparseAdam": ("#E69F00", "-"),
    "Adam + L2": ("#56B4E9", (0, (5, 1.5))),
    "AdamW": ("#D55E00", (0, (4, 1, 1, 1))),
    "Adamax": ("#009E73", (0, (5, 1.5))),
    "NAdam": ("#CC79A7", (0, (5, 1.5))),
    "RAdam": ("#D55E00", (0, (3, 1, 1, 1, 1, 1))),
    "Adafactor": ("#E69F00", "-"),
    "Muon": ("#009E73", "-"),
    "Rprop": ("#D55E00", "-"),
    "ASGD": ("#56B4E9", (0, (5, 1.5))),
    "L-BFGS": ("#D55E00", "-"),
    "Lion": ("#CC79A7", "-"),
    "signSGD": ("#000000", (0, (1, 1))),
}
OTHERS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")

plt.rcParams.update({
    "figure.dpi": 110, "figure.figsize": (9, 3.4), "figure.constrained_layout.use": True,
    "font.size": 10, "axes.titlesize": 10.5, "axes.labelsize": 10, "legend.fontsize": 9, "legend.frameon": False,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": "0.9", "grid.linewidth": 0.6, "lines.linewidth": 1.7,
})


def line(label: str, place: int = 0) -> dict[str, Any]:
    """Label, colour and line style for plotting.

    Args:
        label: an optimizer's name in the table; such a name and, after a comma, what is special about it, which gives
            a dotted line; or anything else.
        place: the number of a curve of anything else.
    """
    name, comma, _ = label.partition(",")
    colour, style = STYLES.get(name, (OTHERS[place % len(OTHERS)], "-"))
    style = ":" if comma and name in STYLES else style
    return {"label": label, "color": colour, "linestyle": style}


def shades(count: int) -> np.ndarray:
    """Colours from dark to light for a hyperparameter's values in order."""
    return plt.get_cmap("viridis")(np.linspace(0, 0.88, count))


def show_source(file: str, first: str = "", last: str = "", before: str = "") -> Markdown:
    """A kernel's source as a code block, read from the installed file.

    Args:
        file: path below ``cl/``, such as ``"optim/adam.cl"``.
        first: show from the first line that contains this; the default is the whole file.
        last: show up to the next line that contains this.
        before: show up to the next line that contains this, without it and the empty lines above it.
    """
    lines = (genesis.opencl.sources() / file).read_text(encoding="utf-8").splitlines()
    begin = next(i for i, text in enumerate(lines) if first in text)
    mark = last or before
    end = next((i + bool(last) for i in range(begin, len(lines)) if mark and mark in lines[i]), len(lines))
    return Markdown("```c\n" + "\n".join([f"// cl/{file}", *lines[begin:end]]).rstrip() + "\n```")


def plain_log(axes: Axes) -> None:
    """Make the y axis logarithmic, with numbers as one writes them: 0.05, 2, 10."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    steps = (1, 2, 5) if high < 500 * low else (1,)
    axes.yaxis.set_major_locator(LogLocator(subs=steps))
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def state_bytes(make: Maker) -> float:
    """Bytes of state that an optimizer keeps for each float32 parameter."""
    theta = genesis.zeros(1000, requires_grad=True)
    theta.grad = genesis.ones(1000)
    optimizer = make([theta])
    optimizer.step()
    return sum(x.nbytes for x in optimizer.state[theta].values() if isinstance(x, genesis.Tensor)) / theta.numel()


# Small problems ------------------------------------------------------------------------------------------------------

def follow(make: Maker, gradients: Any, start: Any = 0.0) -> np.ndarray:
    """Give an optimizer one gradient after another, whatever it does.

    Args:
        make: the optimizer's maker.
        gradients: (steps, n).
        start: the parameter's n values before the first step, or one for all.

    Returns:
        The parameter before each step and after the last, (steps + 1, n).
    """
    gradients = np.atleast_2d(np.asarray(gradients, np.float32))
    theta = genesis.tensor(np.broadcast_to(np.float32(start), gradients.shape[1:]).copy(), requires_grad=True)
    optimizer = make([theta])
    path = [theta.detach().numpy()]
    for g in gradients:
        theta.grad = genesis.tensor(g)
        optimizer.step()
        path.append(theta.detach().numpy())
    return np.array(path)


def descend(make: Maker, loss: Callable[[genesis.Tensor], genesis.Tensor], start: Any, steps: int) -> np.ndarray:
    """Minimize a function of one tensor.

    Args:
        make: the optimizer's maker.
        loss: takes the tensor; the sum of what it returns is differentiated. A `Surface` is such a function.
        start: the tensor's values before the first step.
        steps: how many steps to take.

    Returns:
        The tensor before each step and after the last, (steps + 1, *shape*).
    """
    theta = genesis.tensor(np.asarray(start, np.float32), requires_grad=True)
    optimizer = make([theta])
    path = [theta.detach().numpy()]
    for _ in range(steps):
        optimizer.zero_grad()
        loss(theta).sum().backward()
        optimizer.step()
        path.append(theta.detach().numpy())
    return np.array(path)


@dataclass(frozen=True)
class Surface:
    """A function of two variables whose minimum is 0.

    Attributes:
        formula: takes x and y, tensors or arrays alike.
        start: where optimizers begin.
        minimum: where the function is 0.
        window: the part to draw, (left, right, bottom, top).
        corner: where the legend covers nothing.
    """

    formula: Callable[[Any, Any], Any]
    start: tuple[float, float]
    minimum: tuple[float, float]
    window: tuple[float, float, float, float]
    corner: str = "lower right"

    def __call__(self, theta: Any) -> Any:
        """The function's value at (2, ...) or, for a path of `descend`, at the columns of (steps, 2)."""
        return self.formula(theta[0], theta[1])

    def along(self, path: np.ndarray) -> np.ndarray:
        """The values along a path of `descend`, in float64."""
        return self.formula(*path.astype(np.float64).T)


def quadratic(condition: float, angle: float = 0.0) -> Surface:
    """A bowl with curvatures 1 and ``condition`` and its minimum at 0, turned by ``angle`` degrees with the start."""
    c, s = float(np.cos(np.radians(angle))), float(np.sin(np.radians(angle)))

    def formula(x: Any, y: Any) -> Any:
        flat, steep = c * x + s * y, c * y - s * x
        return 0.5 * (flat * flat + condition * (steep * steep))

    x, y = -4 * c - s, c - 4 * s
    return Surface(formula, (x, y), (0.0, 0.0), (x - 0.6, 1.6, min(y, 0) - 2, max(y, 0) + 1))


# The valley's floor is flat and bent, its walls are steep: curvatures at the minimum are about 0.4 and 1000.
ROSENBROCK = Surface(lambda x, y: (1 - x) * (1 - x) + 100 * (y - x * x) * (y - x * x),
                     (-1.2, 1.0), (1.0, 1.0), (-1.7, 1.5, -0.5, 1.8), "lower left")


def draw_paths(axes: Axes, surface: Surface, paths: Mapping[str, np.ndarray], title: str = "",
               markers: bool = True) -> None:
    """Draw optimizers' paths over a surface's contours: a ring at the start, dots at the ends, a star at the minimum.

    Args:
        axes: where to draw.
        surface: what the optimizers went down.
        paths: label -> path of `descend`.
        title: of the picture.
        markers: put a small dot on every step.
    """
    left, right, bottom, top = surface.window
    x, y = np.meshgrid(np.linspace(left, right, 240), np.linspace(bottom, top, 200))
    z = np.log10(surface.formula(x, y) + 0.03)
    axes.contourf(x, y, z, levels=12, cmap="Greys", vmin=z.min(), vmax=z.max() + 2.5 * (z.max() - z.min()))
    axes.contour(x, y, z, levels=12, colors="white", linewidths=0.7, linestyles="solid")
    for place, (label, path) in enumerate(paths.items()):
        width = 1.5 + 0.8 * (len(paths) - 1 - place)          # where paths coincide, all of them can be seen
        axes.plot(path[:, 0], path[:, 1], linewidth=width, marker="." if markers else None, markersize=4 + width,
                  **line(label, place))
        axes.plot(*path[-1], "o", markersize=5, color=line(label, place)["color"])
    axes.plot(*surface.start, "o", markersize=8, markerfacecolor="none", markeredgecolor="black")
    axes.plot(*surface.minimum, "*", markersize=13, color="white", markeredgecolor="black", zorder=5)
    axes.set(xlim=(left, right), ylim=(bottom, top), xlabel="$\\theta_1$", ylabel="$\\theta_2$", title=title)
    axes.grid(False)
    axes.legend(loc=surface.corner, frameon=True, framealpha=0.9, edgecolor="none")


# The digits ----------------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Run:
    """What came of training.

    Attributes:
        losses: mean training loss in each epoch.
        accuracies: share of the 360 held-out images that are read correctly, after each epoch.
        test_loss: cross-entropy on them at the end.
        model: the trained network.
    """

    losses: np.ndarray
    accuracies: np.ndarray
    test_loss: float
    model: nn.Module


@functools.cache
def load_digits(train: bool) -> tuple[genesis.Tensor, genesis.Tensor]:
    """Images (N, 64) with mean 0 and deviation 1, and labels (N,)."""
    images, labels = digits(train).tensors
    return (images.flatten(1) - 0.3) / 0.37, labels


def train(make: Maker, epochs: int = 8, seed: int = 0, images: int = 1437, batch_size: int = 64,
          loss_scale: float = 1.0, cosine: bool = False) -> Run:
    """Train a network of 64 pixels, 32 hidden units and 10 digits.

    Args:
        make: the optimizer's maker.
        epochs: how often to go through the images.
        seed: of the first weights and the order of the images.
        images: how many of the 1,437 to train with.
        batch_size: images a step; what is left of an epoch is dropped.
        loss_scale: what the loss, and so every gradient, is multiplied by.
        cosine: let the learning rate fall to 0 along a cosine.
    """
    genesis.manual_seed(seed)
    order = np.random.default_rng(seed)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    criterion = nn.CrossEntropyLoss()
    optimizer = make(model.parameters())
    schedule = CosineAnnealingLR(optimizer, T_max=epochs * (images // batch_size)) if cosine else None
    x, y = load_digits(True)
    test_x, test_y = load_digits(False)
    losses, accuracies = [], []
    for _ in range(epochs):
        rows = genesis.tensor(order.permutation(images))
        epoch_x, epoch_y, sums = x[rows], y[rows], []
        for i in range(0, images - batch_size + 1, batch_size):
            optimizer.zero_grad()
            loss = criterion(model(epoch_x[i:i + batch_size]), epoch_y[i:i + batch_size])
            (loss * loss_scale if loss_scale != 1 else loss).backward()
            optimizer.step()
            if schedule is not None:
                schedule.step()
            sums.append(loss.detach())
        with genesis.no_grad():
            output = model(test_x)
        losses.append(genesis.stack(sums).mean().item())
        accuracies.append((output.argmax(1) == test_y).sum().item() / len(test_y))
    return Run(np.array(losses), np.array(accuracies), criterion(output, test_y).item(), model)


def train_all(makers: Mapping[str, Maker], seeds: Sequence[int] = (0, 1, 2), **settings: Any) -> dict[str, list[Run]]:
    """Train with several optimizers from several seeds: label -> a run for each seed; see `train`."""
    return {label: [train(make, seed=seed, **settings) for seed in seeds] for label, make in makers.items()}


def losses(runs: Sequence[Run]) -> np.ndarray:
    """Mean loss by epoch of some seeds' runs."""
    return np.mean([run.losses for run in runs], axis=0)


def accuracy(runs: Sequence[Run]) -> float:
    """Mean accuracy, at the end, of some seeds' runs."""
    return float(np.mean([run.accuracies[-1] for run in runs]))


def draw_runs(runs: Mapping[str, Sequence[Run]], title: str = "") -> None:
    """Draw loss and accuracy by epoch: means over seeds, and bands from the least to the greatest."""
    figure, panels = plt.subplots(1, 2)
    figure.suptitle(title, fontsize=10.5)
    for place, (label, several) in enumerate(runs.items()):
        for axes, values in zip(panels, ([r.losses for r in several], [1 - r.accuracies for r in several])):
            values = np.maximum(100 * np.array(values), 0.1) if axes is panels[1] else np.array(values)
            epochs = np.arange(1, values.shape[1] + 1)
            axes.plot(epochs, values.mean(0), **line(label, place))
            if len(values) > 1:
                axes.fill_between(epochs, values.min(0), values.max(0), color=line(label, place)["color"], alpha=0.15,
                                  linewidth=0)
    panels[0].set(xlabel="epoch", ylabel="training loss")
    panels[1].set(xlabel="epoch", ylabel="errors on held-out images, %")
    for axes in panels:
        plain_log(axes)
    panels[1].legend()


def draw_sweep(axes: Axes, sweep: Mapping[str, Mapping[float, float]], ceiling: float, colours: Any = None,
               **labels: str) -> None:
    """Draw a result against a hyperparameter; what is above the ceiling, or not a number, is a cross there.

    Args:
        axes: where to draw.
        sweep: label -> (value of the hyperparameter -> result).
        ceiling: the highest result that matters.
        colours: one for each label, such as `shades`; the default are those of `line`.
        labels: ``title``, ``xlabel``, ``ylabel``.
    """
    for place, (label, results) in enumerate(sweep.items()):
        x, y = np.array(list(results)), np.array(list(results.values()))
        look = line(label, place) if colours is None else {"label": label, "color": colours[place]}
        bad = ~(y < ceiling)
        shown = np.where(bad, ceiling, y)
        square = {"marker": "s", "markersize": 8, "markerfacecolor": "none"}
        axes.plot(x, shown, **(square if look.get("linestyle") == ":" else {"marker": "o", "markersize": 4}), **look)
        axes.plot(x[bad], shown[bad], "X", markersize=9, color=look["color"])
    axes.set(xscale="log", **labels)
    plain_log(axes)
