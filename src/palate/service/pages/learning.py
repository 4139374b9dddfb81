"""The learning curve of a service: how far from each answer the model was, before it knew it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from palate.arrays import Array
from palate.entities import Answer
from palate.loop.drift import Foretold, foretold
from palate.recommender import Recommender

ROWS, PEOPLE = 10_000, 300  # of the log that are read, from its end; whose answers are foretold again, of those in them
STARTS = (0, 1, 2, 4, 8, 16, 32, 64)  # answers told before, from which on they are put together
FEWEST = 5  # people, below which a mean says nothing
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Point:
    """People who had said so much, and the mean error of what they said next, each person counting once.

    Attributes:
        first, last: Ratings since the fit that were known; last is None for no end.
        error, low, high: Mean absolute error and its 95 % interval over people (Student's t), in the unit of ratings.
        at_start, at_start_low, at_start_high: The same of the same answers, had nothing been said since the fit.
    """

    first: int
    last: int | None
    people: int
    answers: int
    error: float
    low: float
    high: float
    at_start: float
    at_start_low: float
    at_start_high: float


def foretold_lately(recommender: Recommender) -> list[list[Foretold]]:
    """Of the people who answered last, each rating since the fit as it was foretold."""
    rows = list(recommender.log.records(max(0, recommender.last_seq - ROWS)))
    users = dict.fromkeys(row.user_id for row in reversed(rows) if isinstance(row.content, Answer))
    memory = recommender.learner.memory
    found = (foretold(memory, user) for user in list(users)[:PEOPLE])
    return [one for one in found if one]


def curve(people: Sequence[Sequence[Foretold]]) -> list[Point]:
    """Points with at least five people.

    >>> curve([])
    []
    """
    points = []
    for first, after in zip(STARTS, (*STARTS[1:], None), strict=True):
        parts = [part for one in people if (part := one[first:after])]
        if len(parts) >= FEWEST:
            means = np.array([np.mean([(one.error, one.error_at_start) for one in part], axis=0) for part in parts])
            last = None if after is None else after - 1
            points.append(
                Point(first, last, len(parts), sum(map(len, parts)), *_interval(means[:, 0]), *_interval(means[:, 1]))
            )
    return points


def _interval(values: Array) -> tuple[float, float, float]:
    """The mean over people, and between what it is likely to be."""
    mean, deviation = float(values.mean()), float(values.std(ddof=1)) / len(values) ** 0.5
    half = float(student.ppf((1.0 + LEVEL) / 2.0, len(values) - 1)) * deviation
    return mean, max(0.0, mean - half), mean + half
