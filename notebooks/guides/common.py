"""What the guides share: one style of interactive figures, and the decision chart."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io
from IPython.display import HTML
from plotly.subplots import make_subplots
from stacked import Outcome

import genesis

plotly.io.renderers.default = "plotly_mimetype"
plotly.io.templates.default = "none"

# Colours that all kinds of colour vision tell apart, on white and on black; after Okabe and Ito.
COLOURS = {"SGD": "#8a8a8a", "momentum": "#E69F00", "Adam": "#0072B2", "AdamW": "#D55E00", "RMSprop": "#009E73",
           "Lion": "#CC79A7", "Adam + L2": "#56B4E9"}
DASHES = {"SGD": "solid", "momentum": "solid", "Adam": "solid", "AdamW": "dot", "RMSprop": "dash", "Lion": "dashdot",
          "Adam + L2": "dash"}
OTHERS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8a8a8a")
SHADES = ("#f0b400", "#e8710a", "#cf4b7f", "#9a62d0")          # of one hyperparameter's values, in their order


def panels(*titles: str, height: int = 380, **axes: Any) -> go.Figure:
    """A figure with a panel for each title, the legend below.

    Args:
        titles: of the panels, from left to right.
        height: in pixels.
        axes: passed on, such as ``shared_yaxes``.
    """
    figure = make_subplots(1, len(titles), subplot_titles=titles, horizontal_spacing=0.11, **axes)
    figure.update_layout(height=height, margin={"l": 60, "r": 15, "t": 45, "b": 95}, hovermode="closest",
                         legend={"orientation": "h", "y": -60 / (height - 140), "x": 0.5, "xanchor": "center"})
    figure.update_annotations(font_size=14)
    return figure


def look(name: str, place: int = 0) -> dict[str, Any]:
    """Line and name of a curve; the name's first part, up to a comma, decides if it is an optimizer's."""
    kind = name.partition(",")[0]
    return {"name": name, "legendgroup": name,
            "line": {"color": COLOURS.get(kind, OTHERS[place % len(OTHERS)]), "width": 2,
                     "dash": DASHES.get(kind, "solid") if name == kind else "longdash"}}


def faint(colour: str) -> str:
    """The colour, nearly transparent."""
    r, g, b = (int(colour[i:i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},0.16)"


def curve(figure: go.Figure, column: int, name: str, x: Any, y: Any, place: int = 0, legend: bool = True,
          markers: bool = False, ceiling: float = np.inf, **line: Any) -> None:
    """Draw means, and a band from the least to the greatest.

    Args:
        figure: of `panels`.
        column: the panel, from 1.
        name: of the curve.
        x: (N,).
        y: (N,), or (seeds, N).
        place: the number of a curve that is no optimizer's.
        legend: put it into the legend.
        markers: dots on the points.
        ceiling: what is above it, or not a number, is drawn as a cross there.
        line: plotly's settings of the line, in place of those that belong to the name.
    """
    x, y = np.asarray(x, float), np.atleast_2d(np.asarray(y, float))
    y = np.where(y < ceiling, y, ceiling)
    style, mean = look(name, place), y.mean(0)
    style["line"] |= line
    if len(y) > 1:
        figure.add_scatter(x=[*x, *x[::-1]], y=_short([*y.max(0), *y.min(0)[::-1]]), fill="toself", mode="lines",
                           line_width=0, fillcolor=faint(style["line"]["color"]), hoverinfo="skip", showlegend=False,
                           legendgroup=name, row=1, col=column)
    bad = mean >= ceiling
    figure.add_scatter(x=_short(x), y=_short(mean), mode="lines+markers" if markers else "lines", showlegend=legend,
                       marker={"size": [9 if b else 5 for b in bad], "symbol": ["x" if b else "circle" for b in bad]}
                       if markers else None, row=1, col=column, **style)


def _short(values: Any) -> list[float]:
    """Four digits are enough to draw, and make pages small."""
    return [float(f"{value:.4g}") for value in values]


def log_axis(figure: go.Figure, column: int, axis: str, **settings: Any) -> None:
    """Make an axis of a panel logarithmic, with numbers as one writes them: along x only powers of ten."""
    if axis == "x":
        powers = range(-9, 10)
        ticktext = [f"{10.0 ** e:,g}" if -5 < e < 6 else f"10<sup>{e}</sup>" for e in powers]
        figure.update_xaxes(type="log", tickvals=[10.0 ** e for e in powers], ticktext=ticktext, row=1, col=column,
                            **settings)
        return
    shown = np.concatenate([trace.y for trace in figure.data]).astype(float)
    shown = shown[np.isfinite(shown) & (shown > 0)]
    steps = (1, 1.5, 2, 3, 4, 5, 6, 8) if shown.max() < 8 * shown.min() else (1, 2, 5)
    steps = steps if shown.max() < 3000 * shown.min() else (1,)
    ticks = [step * 10.0 ** e for e in range(-9, 10) for step in steps]
    figure.update_yaxes(type="log", tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks], row=1, col=column,
                        **settings)


def draw_task(outcomes: Mapping[str, Outcome], what: str, moving: bool = False, every: int = 10) -> go.Figure:
    """Learning curves at each optimizer's best learning rate, and results by learning rate.

    Args:
        outcomes: name -> what came of it.
        what: the measure's name.
        moving: as in `Outcome.score`.
        every: steps that a point of a curve is the mean of.
    """
    figure = panels("at each one's best learning rate", "by learning rate", shared_yaxes=not moving)
    start = np.mean([outcome.losses[..., 0].mean() for outcome in outcomes.values()])
    ceiling = 1.15 * start
    for name, outcome in outcomes.items():
        found = outcome.losses[outcome.best(moving)]
        steps = found.shape[-1] // every * every
        smooth = found[:, :steps].reshape(len(found), -1, every).mean(-1)
        curve(figure, 1, name, np.arange(steps // every) * every + every / 2, smooth, ceiling=ceiling)
        curve(figure, 2, name, outcome.rates, outcome.score(moving).T, legend=False, markers=True, ceiling=ceiling)
    log_axis(figure, 1, "y", title=what)
    log_axis(figure, 2, "y")
    log_axis(figure, 2, "x", title="learning rate α")
    return figure.update_xaxes(title="step", row=1, col=1)


def heat(figure: go.Figure, column: int, x: Sequence[Any], y: Sequence[Any], z: Any, low: float, high: float,
         title: str) -> None:
    """Draw a table of results as colours: dark is good, and the best has a star.

    Args:
        figure: of `panels`.
        column: the panel, from 1.
        x, y: what columns and rows are called.
        z: results (rows, columns).
        low: the result with the darkest colour.
        high: that with the brightest; all above, and what is no number, has it too.
        title: of the colours.
    """
    z = np.where(np.asarray(z, float) < high, z, high)
    names_x, names_y = [f"{v:.2g}" for v in x], [f"{v:.4g}" for v in y]
    figure.add_heatmap(x=names_x, y=names_y, z=[_short(row) for row in z], zmin=low, zmax=high, colorscale="Viridis",
                       showscale=column == 1, colorbar={"title": title, "thickness": 12}, row=1, col=column)
    row, place = np.unravel_index(np.argmin(z), z.shape)
    figure.add_scatter(x=[names_x[place]], y=[names_y[row]], mode="markers", showlegend=False, hoverinfo="skip",
                       marker={"symbol": "star", "size": 13, "color": "white"}, row=1, col=column)
    figure.update_xaxes(type="category", row=1, col=column)
    figure.update_yaxes(type="category", row=1, col=column)


def state_bytes(make: Callable[..., genesis.optim.Optimizer], dtype: Any = None) -> float:
    """Bytes of state that an optimizer keeps for each parameter; of the numbers, not of padding."""
    theta = genesis.zeros(1000, dtype=dtype or genesis.float32, requires_grad=True)
    theta.grad = genesis.ones_like(theta)
    optimizer = make([theta])
    optimizer.step()
    return sum(x.nbytes for x in optimizer.state[theta].values() if isinstance(x, genesis.Tensor)) / theta.numel()


def table(rows: Sequence[Sequence[Any]], head: Sequence[str]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


# The decision chart --------------------------------------------------------------------------------------------------

# In a notebook as on the site: it takes the page's colours, and on a narrow screen answers move below their questions.
CHART_STYLE = """<style>
.chooser { max-width: 47rem; margin: 1rem 0; }
.chooser-row { display: grid; grid-template-columns: minmax(0, 19rem) 4rem minmax(0, 1fr); align-items: center; }
.chooser-ask, .chooser-answer { border: 1.5px solid #2b7bd6; padding: .6rem 1rem; line-height: 1.35; }
.chooser-ask { border-color: #8a8f99; border-radius: 2rem; text-align: center; }
.chooser-answer { display: block; border-radius: .5rem; background: rgba(43, 123, 214, .14); }
.chooser .chooser-answer { color: inherit; text-decoration: none; }
.chooser .chooser-answer:hover, .chooser .chooser-answer:focus-visible { background: rgba(43, 123, 214, .3); }
.chooser-answer small { display: block; font-size: .85em; opacity: .85; }
.chooser-yes, .chooser-no { text-align: center; font-size: .85em; }
.chooser-no { max-width: 19rem; margin: .15rem 0; }
.chooser-otherwise { max-width: 19rem; }
@media (max-width: 44rem) {
  .chooser-row { grid-template-columns: 4rem minmax(0, 1fr); }
  .chooser-ask { grid-column: 1 / 3; margin-bottom: .4rem; }
  .chooser-no, .chooser-otherwise { max-width: none; }
}
</style>"""


def decision_chart(questions: Sequence[tuple[str, str, str, str]], otherwise: tuple[str, str, str]) -> HTML:
    """Questions from top to bottom, with an answer to the right of each for "yes".

    Args:
        questions: the question, the answer's title, what is said below it, and the link to its evidence.
        otherwise: the answer at the end: title, text, link.

    Returns:
        A drawing in which each answer is a link.
    """
    def answer(title: str, text: str, link: str) -> str:
        return (f'<a class="chooser-answer" href="{link}"><b>{html.escape(title)}</b>'
                f"<small>{html.escape(text)}</small></a>")

    rows = [f'<div class="chooser-row"><div class="chooser-ask">{html.escape(question)}</div>'
            f'<div class="chooser-yes">yes →</div>{answer(*found)}</div><div class="chooser-no">no ↓</div>'
            for question, *found in questions]
    end = f'<div class="chooser-otherwise">{answer(*otherwise)}</div>'
    return HTML(f'{CHART_STYLE}\n<div class="figure chooser">{"".join(rows)}{end}</div>')
