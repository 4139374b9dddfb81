"""Pictures of a simulation: quality against questions, one line a strategy, with 95 % bands.

The proposed strategy is drawn strongest; references are grey and dashed. Each line is named at its right end, in its
own colour. What is drawn is the dictionary that ``palate simulate --json`` prints.
"""

from __future__ import annotations

import io
import itertools
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from palate.evaluation.shown_list import FOUND, LIST

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]
Style = dict[str, Any]  # what Matplotlib takes for a line

PROPOSED_COLOUR = "#0072B2"
# Okabe and Ito's palette without the blue above and without yellow, which is too pale for a line on white.
COLOURS = ("#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C510A")
DASHES = ("-", "-.")  # a second round of the colours is told apart by these
REFERENCES = {  # and their dashes: an offset, then lengths of ink and gap
    "random": (0, (5, 2)),
    "popularity": (0, (1, 1.5)),
    "answerable-random": (0, (3, 1, 1, 1)),
    "ceiling": (0, (8, 3)),
}
GREY = "#6B6B6B"
TITLES = {  # of the picture and of its vertical axis
    "list.png": ("Quality of the list after each question", "NDCG@10, whole catalogue (higher is better)"),
    "found.png": ("What the list finds after each question", "Recall@20, whole catalogue (higher is better)"),
    "rmse.png": ("Error after each question", "RMSE (rating points, lower is better)"),
    "share-of-gain.png": ("Share of the possible gain after each question", "% of what all answers would give"),
}
DOTS_PER_INCH = 150
LABEL_HEIGHT = 0.052  # of the axes: what a name at the end of a line takes


@dataclass(frozen=True)
class Curve:
    """One strategy's line: values and band at each budget, all of shape (Q,), NaN where there is none."""

    strategy: str
    mean: FloatArray
    low: FloatArray
    high: FloatArray


def draw_curves(simulation: Mapping[str, Any], *, proposed: str) -> dict[str, bytes]:
    """All pictures of a simulation as PNG, by file name.

    Args:
        simulation: As ``palate simulate --json`` prints it. A strategy named ``ceiling`` holds what is reached when
            every answerable rating is known, the same at each budget.
        proposed: The strategy to emphasise.
    Returns:
        ``list.png``, ``found.png``, ``rmse.png`` and ``share-of-gain.png``; a picture whose figures are not there is
        left out. The last is of what strategies are compared by.
    """
    curves = {
        "list.png": _curves(simulation, LIST),
        "found.png": _curves(simulation, FOUND),
        "rmse.png": _curves(simulation, "rmse"),
        "share-of-gain.png": list(_share_of_gain(_curves(simulation, simulation.get("metric", "rmse")))),
    }
    return {name: _png(_figure(simulation, drawn, proposed, *TITLES[name])) for name, drawn in curves.items() if drawn}


def _curves(simulation: Mapping[str, Any], metric: str) -> list[Curve]:
    return [
        Curve(name, *(np.array(figures[metric][part], dtype=np.float64) for part in ("mean", "low", "high")))
        for name, figures in simulation["strategies"].items()
        if metric in figures
    ]


def _share_of_gain(curves: list[Curve]) -> Iterator[Curve]:
    """Each curve in percent of the way from no answer to the ceiling; nothing where no ceiling is known."""
    by_name = {curve.strategy: curve for curve in curves}
    if "random" not in by_name or "ceiling" not in by_name:
        return
    start, end = by_name["random"].mean[0], by_name["ceiling"].mean[-1]
    if start == end:
        return
    for curve in curves:
        if curve.strategy != "ceiling":
            mean, *ends = (100.0 * (start - part) / (start - end) for part in (curve.mean, curve.low, curve.high))
            yield Curve(curve.strategy, mean, *np.sort(ends, axis=0))


def _figure(simulation: Mapping[str, Any], curves: list[Curve], proposed: str, title: str, unit: str) -> Figure:
    import seaborn
    from matplotlib.figure import Figure

    with seaborn.axes_style("whitegrid", {"grid.color": "#E6E6E6", "axes.edgecolor": "#B0B0B0"}):
        figure = Figure(figsize=(9.0, 5.4), facecolor="white")
        axes = figure.add_axes((0.09, 0.11, 0.69, 0.73))
    budgets = np.array(simulation["budgets"], dtype=np.float64)
    styles = _styles([curve.strategy for curve in curves], proposed)
    for curve in curves:
        _line(axes, budgets, curve, styles[curve.strategy])
    _frame(axes, title, _subtitle(simulation), unit)
    _name_lines(axes, budgets, curves, styles)
    return figure


def _styles(names: list[str], proposed: str) -> dict[str, Style]:
    rounds = iter(itertools.product(DASHES, COLOURS))
    styles: dict[str, Style] = {}
    for name in names:
        if name == proposed:
            styles[name] = {"color": PROPOSED_COLOUR, "linestyle": "-", "linewidth": 2.8, "zorder": 5}
        elif name in REFERENCES:
            styles[name] = {"color": GREY, "linestyle": REFERENCES[name], "linewidth": 1.5, "zorder": 3}
        else:
            dash, colour = next(rounds, ("-", GREY))
            styles[name] = {"color": colour, "linestyle": dash, "linewidth": 1.5, "zorder": 4}
    return styles


def _line(axes: Axes, budgets: FloatArray, curve: Curve, style: Style) -> None:
    marker = "o" if len(budgets) <= 12 else ""
    axes.plot(budgets, curve.mean, marker=marker, markersize=3.5, **style)
    depth = 0.2 if style["color"] == PROPOSED_COLOUR else 0.08  # many bands of one depth turn to mud
    axes.fill_between(budgets, curve.low, curve.high, color=style["color"], alpha=depth, linewidth=0, zorder=2)


def _frame(axes: Axes, title: str, subtitle: str, unit: str) -> None:
    """Titles and axes; free text is drawn as it is, since a dollar sign would start a formula."""
    from matplotlib.ticker import MaxNLocator

    axes.text(0.0, 1.12, title, transform=axes.transAxes, fontsize=14, fontweight="bold", parse_math=False)
    axes.text(0.0, 1.045, subtitle, transform=axes.transAxes, fontsize=9.5, color="#555555", parse_math=False)
    axes.set_xlabel("Questions asked")
    axes.set_ylabel(unit)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.01)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _subtitle(simulation: Mapping[str, Any]) -> str:
    protocol = simulation["protocol"]
    seeds = len(protocol["seeds"])
    return (
        f"{simulation['dataset']['name']} · {protocol['name']}, pool {protocol['pool']} · "
        f"{protocol['test_users']:,} test users · {seeds} {'seed' if seeds == 1 else 'seeds'} · bands: 95 % over users"
    )


def _name_lines(axes: Axes, budgets: FloatArray, curves: list[Curve], styles: Mapping[str, Style]) -> None:
    """Each name beside the end of its line, moved apart where they would touch."""
    ended = [curve for curve in curves if np.isfinite(curve.mean).any()]
    last = [np.flatnonzero(np.isfinite(curve.mean))[-1] for curve in ended]
    ends = np.array([(budgets[at], curve.mean[at]) for curve, at in zip(ended, last, strict=True)]).reshape(-1, 2)
    axes.autoscale_view()  # until then the place of a value is not known
    ends = axes.transAxes.inverted().transform(axes.transData.transform(ends))
    gap = min(LABEL_HEIGHT, 1.0 / max(len(ended), 1))
    for curve, end, place in zip(ended, ends, spread(ends[:, 1], gap, 1.0), strict=True):
        _name_line(axes, curve.strategy, end, place, styles[curve.strategy])


def _name_line(axes: Axes, name: str, end: FloatArray, place: float, style: Style) -> None:
    """A name at the right edge and a thin lead from the end of its line, in units of the axes."""
    anchor = {"transform": axes.transAxes, "color": style["color"]}
    lead = [end[1], place, place]
    axes.plot([end[0], 1.02, 1.035], lead, linewidth=0.7, alpha=0.7, clip_on=False, **anchor)
    weight = "bold" if style["linewidth"] > 2 else "normal"
    axes.text(1.042, place, name, fontsize=10, fontweight=weight, va="center", parse_math=False, **anchor)


def spread(heights: FloatArray, gap: float, most: float) -> FloatArray:
    """Places as near to the heights as may be, at least a gap apart and none above ``most``, in the same order."""
    order = np.argsort(heights, kind="stable")
    steps = gap * np.arange(len(heights))
    # Least squares under a minimal gap: what is left after the gaps are taken out must not fall.
    places = np.empty(len(heights))
    places[order] = _rising(heights[order] - steps) + steps
    return places - max(0.0, float(places.max(initial=most)) - most)


def _rising(values: FloatArray) -> FloatArray:
    """The non-falling sequence nearest to the values (pool adjacent violators)."""
    pools: list[tuple[float, int]] = []
    for value in values.tolist():
        pools.append((value, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, n), (b, m) = pools[-2:]
            pools[-2:] = [((a * n + b * m) / (n + m), n + m)]
    return np.repeat([mean for mean, _ in pools], [count for _, count in pools])


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a name in a script the font lacks: boxes
        figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return buffer.getvalue()
