"""Which of the reasons that are true each item of a list gets, no two the same where that can be avoided."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from palate.loop.reasons.reason import Reason

_TOGETHER = 50  # items of a list among which reasons shall differ
_IMPOSSIBLE = 1e6


@dataclass(frozen=True, slots=True)
class Candidate:
    """A reason that is true of an item.

    Attributes:
        strength: In (0, 1]: how much of what lifts the item it speaks of, against the most that any does.
        evidence: What it tells; two with the same tell the same.
    """

    reason: Reason
    strength: float
    evidence: Hashable


def assigned(candidates: Sequence[Sequence[Candidate]]) -> list[Reason]:
    """A reason for each item: no evidence twice as far as that can be, and then the strongest.

    Args:
        candidates: Of each item, at least one.
    """
    return [
        reason
        for first in range(0, len(candidates), _TOGETHER)
        for reason in _differing([_strongest(some) for some in candidates[first : first + _TOGETHER]])
    ]


def _differing(of_items: Sequence[Mapping[Hashable, Candidate]]) -> list[Reason]:
    """Rounds in which each evidence is told once: in the first as many items get a reason as can."""
    columns = {key: column for column, key in enumerate(dict.fromkeys(key for some in of_items for key in some))}
    cost = np.full((len(of_items), len(columns)), _IMPOSSIBLE)
    for row, some in enumerate(of_items):
        for key, candidate in some.items():
            cost[row, columns[key]] = 1.0 - candidate.strength
    keys, found = list(columns), dict[int, Reason]()
    while len(found) < len(of_items):
        left = np.array([row for row in range(len(of_items)) if row not in found])
        for row, column in zip(*linear_sum_assignment(cost[left]), strict=True):
            if cost[left[row], column] < _IMPOSSIBLE:
                found[int(left[row])] = of_items[left[row]][keys[column]].reason
    return [found[row] for row in range(len(of_items))]


def _strongest(some: Sequence[Candidate]) -> dict[Hashable, Candidate]:
    """Of each evidence the reason that says most."""
    best: dict[Hashable, Candidate] = {}
    for one in some:
        if one.evidence not in best or one.strength > best[one.evidence].strength:
            best[one.evidence] = one
    return best
