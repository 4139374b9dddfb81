"""A few curves as a drawing inside a page: in the page's own colours, light and dark, sharp at any width."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

import numpy as np

from palate.arrays import Array
from palate.evaluation.curves import spread
from palate.evaluation.html import Markup

# As wide as a phone shows it, so that its letters have their size there; a wide screen shows it larger.
WIDTH, HEIGHT = 358, 250
LEFT, TOP, BOTTOM = 34, 12, 36
LABEL_GAP = 15  # between the names at the ends
LETTER, MOST_LETTERS = 7.2, 24  # width of one of them
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


class Line(NamedTuple):
    """One curve: what it is called, and its values and band, (Q,) each, NaN where there is none."""

    name: str
    mean: Array
    low: Array
    high: Array


def plot(lines: Sequence[Line], budgets: Sequence[int], *, along: str, says: str, digits: int) -> Markup:
    """The drawing. Each line is named at its right end, with its last value.

    Args:
        lines: The first is drawn strongest.
        budgets: Where the values stand, ascending, (Q,).
        along: What the horizontal axis is.
        says: What a screen reader reads.
        digits: Of the values.
    """
    ticks = _ticks(np.concatenate([part for line in lines for part in (line.low, line.high, line.mean)]))
    ends = [f"{_cut(line.name)} {line.mean[-1]:.{digits}f}" for line in lines]
    right, bottom = WIDTH - 12 - LETTER * max(map(len, ends)), HEIGHT - BOTTOM
    xs = LEFT + (right - LEFT) * _unit(np.array(budgets, dtype=np.float64), budgets[0], budgets[-1])

    def height(values: Array) -> Array:
        return np.asarray(bottom - (bottom - TOP) * _unit(values, ticks[0], ticks[-1]))

    parts = []
    for tick, y in zip(ticks, height(np.array(ticks)), strict=True):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for budget in _marks(budgets):
        x = xs[list(budgets).index(budget)]
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{budget}</text>')
    parts.append(
        f'<text class="tick" x="{(LEFT + right) / 2:.0f}" y="{bottom + 32}" text-anchor="middle">{escape(along)}</text>'
    )
    for place in reversed(range(len(lines))):  # the first one on top
        line = lines[place]
        band = [*zip(xs, height(line.low), strict=True), *reversed([*zip(xs, height(line.high), strict=True)])]
        parts.append(f'<polygon class="band-of s{place}" points="{_points(band)}"/>')
        parts.append(f'<polyline class="line s{place}" points="{_points(zip(xs, height(line.mean), strict=True))}"/>')
    ended = [place for place, line in enumerate(lines) if np.isfinite(line.mean[-1])]
    heights = height(np.array([lines[place].mean[-1] for place in ended]))
    for place, y in zip(ended, spread(heights, LABEL_GAP, bottom), strict=True):
        parts.append(f'<text class="name s{place}" x="{right + 6:.1f}" y="{y + 4:.1f}">{escape(ends[place])}</text>')
    inner = "".join(parts)
    return Markup(f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(says)}">{inner}</svg>')


def _cut(name: str) -> str:
    return name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1] + "…"


def _unit(values: Array, low: float, high: float) -> Array:
    return np.asarray((values - low) / ((high - low) or 1.0))


def _points(pairs: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in pairs if math.isfinite(y))


def _ticks(values: Array) -> list[float]:
    """Three to six round numbers that hold all values."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    size = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(size / 4.0))
    step = next(power * each for each in _STEPS if size / (power * each) <= 4.0)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(step * place, 10) for place in range(first, max(last, first + 1) + 1)]


def _marks(budgets: Sequence[int]) -> list[int]:
    """Up to five of the budgets, evenly, the first among them."""
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if (budgets[-1] - budgets[0]) / step <= 5)
    return [budget for budget in budgets if budget % step == 0]
