"""What the recipe notebooks share: one style of interactive charts, and a state that PyTorch has written."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io
from plotly.subplots import make_subplots

plotly.io.renderers.default = "plotly_mimetype"          # figures as data; whoever shows the notebook draws them

# To be told apart on light and dark ground, and by all kinds of colour vision.
COLOURS = ("#1f8fd6", "#e8710a", "#12a37a", "#c05ba5", "#8a8f99", "#b8860b")

Values = Sequence[float] | np.ndarray
Line = Values | tuple[Values, Values]


def chart(panels: Mapping[str, Mapping[str, Line]], *, x: str = "step", y: str = "", log: bool = False,
          height: int = 380, dashes: Mapping[str, str] | None = None, markers: bool = False,
          shared: bool = True) -> go.Figure:
    """Lines in one panel or several side by side. A label has one colour in all of them, and one place in the legend.

    Args:
        panels: title -> label -> heights, or a pair of places and heights; without places, 1, 2, 3, ...
        x: what the horizontal axes mean.
        y: what the left vertical axis means.
        log: make the vertical axes logarithmic.
        height: in pixels.
        dashes: label -> ``"dash"`` or ``"dot"``, for lines that would hide another.
        markers: put a dot on each point.
        shared: whether panels have the same vertical axis.
    """
    titles = list(panels)
    figure = make_subplots(1, len(titles), subplot_titles=titles if any(titles) else None, shared_yaxes=shared,
                           horizontal_spacing=0.05 if shared else 0.1)
    labels = list(dict.fromkeys(label for lines in panels.values() for label in lines))
    shown: set[str] = set()
    for column, lines in enumerate(panels.values(), start=1):
        for label, line in lines.items():
            places, heights = line if isinstance(line, tuple) else (np.arange(1, len(line) + 1), line)
            figure.add_scatter(
                x=list(map(float, places)), y=list(map(float, heights)), name=label, legendgroup=label,
                showlegend=label not in shown, mode="lines+markers" if markers else "lines", row=1, col=column,
                line={"color": COLOURS[labels.index(label) % len(COLOURS)], "width": 2,
                      "dash": (dashes or {}).get(label, "solid")}, marker={"size": 6})
            shown.add(label)
    figure.update_xaxes(title_text=x)
    figure.update_yaxes(title_text=y, col=1)
    if log:
        for column, lines in enumerate(panels.values(), start=1):
            figure.update_yaxes(type="log", row=1, col=column,
                                **_plain_ticks(list(panels.values()) if shared else [lines]))
    figure.update_layout(height=height, template="none", hovermode="x unified",
                         margin={"l": 60, "r": 20, "t": 70, "b": 50},
                         showlegend=any(len(lines) > 1 for lines in panels.values()),
                         legend={"orientation": "h", "y": 1.1, "yanchor": "bottom", "x": 0})
    return figure


def _plain_ticks(panels: Sequence[Mapping[str, Line]]) -> dict[str, Any]:
    """Ticks of a logarithmic axis with numbers as one writes them: 0.05, 2, 10."""
    heights = np.concatenate([np.asarray(line[1] if isinstance(line, tuple) else line, float)
                              for lines in panels for line in lines.values()])
    heights = heights[np.isfinite(heights) & (heights > 0)]
    low, high = np.floor(np.log10(heights.min())), np.ceil(np.log10(heights.max()))
    steps = (1, 2, 5) if heights.max() < 500 * heights.min() else (1,)
    values = [float(f"{step}e{int(power)}") for power in np.arange(low, high + 1) for step in steps]
    return {"tickvals": values, "ticktext": [f"{value:g}" for value in values]}


def smooth(values: Values, memory: float = 0.9) -> np.ndarray:
    """A running average of a noisy curve, corrected for its start as Adam's averages are."""
    average, averages = 0.0, []
    for t, value in enumerate(values, start=1):
        average = memory * average + (1 - memory) * float(value)
        averages.append(average / (1 - memory ** t))
    return np.array(averages)


# The state dict of a Linear(3, 2), as torch.save of PyTorch 2.13 writes it.
PYTORCH_FILE = zlib.decompress(base64.b85decode(
    "c-o~@&ui0A9Dhl=G|RNzrnB3G9Rwl5?2>eCI)`oq$t4GChY-Akw2e(LYxa`Y4TV8LHrP%70LA}8Z~hIthzAdf2l3?9qwh6am!!7S`RMD"
    "T&HMa#-+aEWrZX7;I1UVrX)p_{py{}~_Dah_R&nR4r>QycI5B#3v*~-D-9)b63Hb*>%MR?;eYc5t2yWFOB^WFw+q2!agCN~RKBg?1UF3"
    "QpZw7Xw>v}B{*`3f2%w3s>j35|Uj0o{gt8K$f1mQK$x6oGfCl4nK3hxmiYcP0i?sQ>RXA$Hc>OiM;<`7Qmj7}Xw{>ULNrVzYThnEd}RM"
    "2p(5at}L<7AwOM}m1LtJ4Th_wfgCMyC$oY=pgn;MF>u>+ZvA#w6ZsZrjKr1%ZYB^Lc|*3oh)##lG=fI|y+t;B}n}!?01T=~+$)-@m?rm"
    "B_4(tat$|3@ToH;s@InGEdkvbuLx-lOYlMcRxSBAm<=+H2oq_&gf6dYg(S$?rhr~q^YGpD~unNRbpUc5B{LB1U=Tk4A>YLXgou<Pr{<9"
    ">le{I9iEGjXA=(xcfT!=sIg-`<iNc|s#io!z4IRiBG%pp{@TPJJbQS)-6W0*FTcN<#}DSuakQLtBx$Mu{$9WLf#?%G`s<e#5#Yw^<-z("
    "uZ;&qKq9rKtMEUql`_cLDe+kHE0qh?&v;!9>@VP~957TXFYVjY9h~<hTiPf@Psz_@UMJ&r}tD>SPqEeP+ajjC3S4-8ZQY9{r%&nUO_96"
    "6LQpD`QXS_qFhn%PH!8AJFfQ1Aypunh}PLsr&XfZ)@948s-+%!+T5oQuRbs7veU>Y7zZ7u=-NP|@Gq_Ob?Cb15a!b)juJVW^e_EQWyqI"
    "U6DyOcb02AmVRn$EJzrx9gt50G4HouZ@lS0-99j@<Wv$wt4U+joMEFkF9swD&i-JC~s"))
