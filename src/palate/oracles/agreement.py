"""How far those who label the same things agree, beyond chance too.

All take votes as a table: a row an annotator, a column a unit (what was labelled), NaN where there is no vote. Where a
measure says nothing, since nobody voted twice on a unit or all votes are the same, it is NaN.

References:
    Cohen, A coefficient of agreement for nominal scales, Educational and Psychological Measurement 20, 1960; Fleiss,
    Measuring nominal scale agreement among many raters, Psychological Bulletin 76, 1971; Light, Measures of response
    agreement for qualitative data, Psychological Bulletin 76, 1971 (the mean over pairs); Krippendorff, Content
    analysis, third edition, 2013, chapter 11.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt

from palate.arrays import Array
from palate.errors import OptionError
from palate.errors.checks import one_of

Level = Literal["nominal", "ordinal", "interval"]
LEVELS: tuple[Level, ...] = ("nominal", "ordinal", "interval")


def table_of(votes: Iterable[tuple[Hashable, Hashable, float]]) -> Array:
    """Votes as a table, (annotators, units), in the order of their first votes.

    Args:
        votes: Annotator, unit and value of each; of several of one annotator about one unit the last counts.
    """
    rows, columns, cells = dict[Hashable, int](), dict[Hashable, int](), dict[tuple[int, int], float]()
    for source, unit, value in votes:
        cells[rows.setdefault(source, len(rows)), columns.setdefault(unit, len(columns))] = float(value)
    found = np.full((len(rows), len(columns)), np.nan)
    for place, value in cells.items():
        found[place] = value
    return found


def percent(votes: npt.ArrayLike) -> float:
    """Share of the pairs of votes on one unit that are the same.

    Raises:
        OptionError: As of all of these, if the votes are no table of finite numbers and NaN.
    """
    counts, _ = _counts(_checked(votes))
    n = counts.sum(0)
    pairs = (n * (n - 1)).sum()
    return float((counts * (counts - 1)).sum() / pairs) if pairs else float("nan")


def cohen(votes: npt.ArrayLike) -> float:
    """Cohen's κ of two annotators; of more the mean over the pairs that voted on a unit together (Light)."""
    table = _checked(votes)
    found = [_cohen(table[[one, two]]) for one, two in combinations(range(len(table)), 2)]
    found = [kappa for kappa in found if not np.isnan(kappa)]
    return float(np.mean(found)) if found else float("nan")


def _cohen(table: Array) -> float:
    both = table[:, ~np.isnan(table).any(0)]
    if not both.size:
        return float("nan")
    values = np.unique(both)
    shares = (both[:, :, None] == values).mean(1)
    expected = float(shares.prod(0).sum())
    return float("nan") if expected == 1.0 else float(((both[0] == both[1]).mean() - expected) / (1.0 - expected))


def fleiss(votes: npt.ArrayLike) -> float:
    """Fleiss' κ, of the units on which at least two voted; each unit counts the same, however many did."""
    counts, _ = _counts(_checked(votes))
    if not counts.size:
        return float("nan")
    n = counts.sum(0)
    same = ((counts * (counts - 1)).sum(0) / (n * (n - 1))).mean()
    expected = float(((counts / n).mean(1) ** 2).sum())
    return float("nan") if expected == 1.0 else float((same - expected) / (1.0 - expected))


def krippendorff(votes: npt.ArrayLike, level: Level = "nominal") -> float:
    """Krippendorff's α, of the units on which at least two voted.

    Args:
        level: What a difference of two values is: ``nominal`` other or not, ``ordinal`` how many lie between,
            ``interval`` the difference itself, squared.
    """
    one_of(level, LEVELS, "the level")
    counts, values = _counts(_checked(votes))
    if not counts.size:
        return float("nan")
    weights = counts / (counts.sum(0) - 1)
    together = weights @ counts.T - np.diag(weights.sum(1))
    total = together.sum(1)
    apart = _apart(values, total, level)
    expected = float((np.outer(total, total) * apart).sum() / (total.sum() - 1.0))
    return float(1.0 - (together * apart).sum() / expected) if expected else float("nan")


def _apart(values: Array, total: Array, level: Level) -> Array:
    """Squared difference of each value to each, (V, V)."""
    if level == "nominal":
        return np.asarray(values[:, None] != values, dtype=np.float64)
    if level == "ordinal":
        values = np.cumsum(total) - total / 2.0
    return np.asarray((values[:, None] - values) ** 2)


def _counts(table: Array) -> tuple[Array, Array]:
    """How many gave each value to each unit that at least two voted on, (V, U); the values, ascending."""
    several = table[:, (~np.isnan(table)).sum(0) > 1] if table.size else table
    values = np.unique(several[~np.isnan(several)])
    return np.array([(several == value).sum(0) for value in values], dtype=np.float64), values


def _checked(votes: npt.ArrayLike) -> Array:
    try:
        table = np.asarray(votes, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise OptionError("the votes are no numbers. Give a row an annotator, NaN where there is no vote.") from error
    if table.ndim != 2 or np.isinf(table).any():
        what = f"a table of shape {table.shape}" if table.ndim != 2 else "an infinite vote"
        raise OptionError(f"the votes are {what}. Give finite numbers, a row an annotator, NaN where there is none.")
    return table
