"""Learning curves: kept row by row, written as CSV and drawn as PNG."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Panel:
    """One of the pictures side by side.

    Attributes:
        title: what the panel shows; also the label of its y axis.
        lines: column of the curves -> label in the legend.
        digits: how figures in the legend are written, a format such as ``".4f"``.
        log: whether the y axis is logarithmic.
        levels: label -> height of a dashed horizontal line.
    """

    title: str
    lines: dict[str, str]
    digits: str = ".3g"
    log: bool = False
    levels: dict[str, float] = field(default_factory=dict)


class Curves:
    """Figures taken during a job, one row each time.

    Example:
        >>> from genesis.recipes.curves import Curves
        >>> curves = Curves("epoch")
        >>> curves.add(epoch=1, loss=0.5)
        >>> curves.add(epoch=2, loss=0.25)
        >>> curves["loss"]
        [0.5, 0.25]
    """

    def __init__(self, along: str):
        self.along = along
        self.rows: list[dict[str, float]] = []

    def add(self, **figures: float) -> None:
        """Add a row; every row has the same names, among them that of the x axis."""
        self.rows.append(figures)

    def __getitem__(self, name: str) -> list[float]:
        return [row[name] for row in self.rows]

    def write_csv(self, path: Path) -> None:
        """Write a line of names and a line a row."""
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(self.rows[0]) if self.rows else [self.along])
            writer.writeheader()
            writer.writerows(self.rows)

    def draw(self, path: Path, heading: str, panels: list[Panel]) -> bool:
        """Draw the panels side by side into a PNG; False when matplotlib is not installed."""
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        except ImportError:
            return False
        figure = Figure(figsize=(1.6 + 4 * len(panels), 3.8), dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(heading, fontsize=11)
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels):
            self._draw(axes, panel)
        figure.savefig(path)
        return True

    def _draw(self, axes: Any, panel: Panel) -> None:
        from matplotlib.ticker import MaxNLocator

        x = self[self.along]
        for (name, label), colour, style in zip(panel.lines.items(), _COLOURS, _STYLES):
            y = self[name]
            label = f"{label} ({y[-1]:{panel.digits}} at the end)"
            axes.plot(x, y, style, color=colour, label=label, linewidth=1.6, markersize=3)
        for label, height in panel.levels.items():
            axes.axhline(height, linestyle="--", linewidth=1, color="0.4", label=f"{label} ({height:{panel.digits}})")
        if panel.log:
            axes.set_yscale("log")
        axes.set_xlabel(self.along)
        axes.set_ylabel(panel.title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.grid(True, which="major", linewidth=0.5, color="0.88")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)


_COLOURS = ("#0072b2", "#d55e00", "#009e73")      # told apart with every kind of colour vision
_STYLES = ("o-", "s-", "^-")
