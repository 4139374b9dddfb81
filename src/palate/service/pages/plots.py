"""Plots of the operator's page as SVG, drawn by Matplotlib: numbers alone, since words are of the page's language.

What the colours and axes mean stands beside the picture, in the page, with the same numbers as a table.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from palate.service.pages.learning import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by people who see few colours, and lighter ones of it on dark; staff.css has the
# same for the legends.
_COLOURS = {
    False: ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9"),
    True: ("#56B4E9", "#E69F00", "#2FC79C", "#CC79A7", "#FF8A4C", "#8FA8FF"),
}
N_COLOURS = 6
_SIZE = (4.4, 2.2)  # inches: as wide as a phone, where a letter has then about its own size
_INK = {False: "#55626a", True: "#a9b6bb"}  # of the axes, on light and on dark
_drawing = threading.Lock()  # Matplotlib is not safe to share


def bars(days: Sequence[date], counts: Mapping[str, Sequence[int]], *, dark: bool) -> str:
    """Counts of each day, one on top of the other, in the order of the colours; one day or more."""
    from matplotlib.ticker import MaxNLocator

    with _drawing:
        figure, axes = _empty(dark)
        under, places = np.zeros(len(days)), np.arange(len(days))
        for place, values in enumerate(counts.values()):
            axes.bar(places, values, bottom=under, color=_COLOURS[dark][place % N_COLOURS], width=0.8)
            under += np.asarray(values)
        ticks = np.unique(np.linspace(0, len(days) - 1, 5).astype(int))
        axes.set_xticks(ticks, [f"{days[tick]:%m-%d}" for tick in ticks])
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        return _svg(figure)


def lines(points: Sequence[Point], *, dark: bool) -> str:
    """Errors with their intervals: with what was known, and had nothing been known (dashed)."""
    with _drawing:
        figure, axes = _empty(dark)
        places = np.arange(len(points))
        parts: list[tuple[str, dict[str, Any]]] = [("at_start", {"linestyle": "--"}), ("error", {"marker": "o"})]
        for name, style in parts:
            means = [getattr(point, name) for point in points]
            ends = ("at_start_low", "at_start_high") if name == "at_start" else ("low", "high")
            low, high = ([getattr(point, end) for point in points] for end in ends)
            colour = _COLOURS[dark][name == "at_start"]
            axes.fill_between(places, low, high, color=colour, alpha=0.2, linewidth=0)
            axes.plot(places, means, color=colour, markersize=4, **style)
        axes.set_xticks(places, [said(point) for point in points])
        axes.set_ylim(bottom=0.0)
        return _svg(figure)


def said(point: Point) -> str:
    """How many answers were known.

    >>> said(Point(4, 7, *(0,) * 8)), said(Point(64, None, *(0,) * 8))
    ('4–7', '64+')
    """
    if point.last is None:
        return f"{point.first}+"
    return f"{point.first}" if point.first == point.last else f"{point.first}–{point.last}"


def _empty(dark: bool) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_INK[dark])
    axes.tick_params(colors=_INK[dark], labelsize=8)
    axes.grid(axis="y", color=_INK[dark], alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _svg(figure: Figure) -> str:
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    return drawn.getvalue()
