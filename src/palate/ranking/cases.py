"""Held-back people as candidates with features: what weights are made on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from palate.arrays import Array, Mask, Positions
from palate.ranking.held_back import Task
from palate.ranking.histories import Expert, Histories
from palate.ranking.kernels import list_quality, loss_and_gradient

K, LENGTH = 10, 20  # places that NDCG and recall look at
LATER = 50  # relevant items of a case at most
TOP = 20  # candidates of each expert
PLAIN = 60  # of the plain sum
OTHERS = 50  # of the rest, drawn
_CELLS = 4_000_000  # people times items at once
DISCOUNT = 1.0 / np.log2(np.arange(2, K + 2))
_PLACES = np.append(DISCOUNT, np.zeros(LENGTH - K))

_Candidates = tuple[
    NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], Mask, Mask, NDArray[np.intp]
]  # features, offsets, extra, relevant, next, counts
Offset = Callable[[Histories], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """C people's candidates, R in all.

    Attributes:
        features: What each expert says of each, (R, K).
        offset: What is added, (R,).
        extra: Logarithm of how many items each stands for, (R,).
        relevant: Whether it is liked later, (R,).
        next: Whether it is what they like next, (R,).
        start: Where each case begins, and the end, (C + 1,).
        sizes: How much was known, (C,).
        weights: (C,), 1 altogether.
        ideal: Best discounted gain of ten, (C,).
        most: Relevant items that a list of twenty has room for, (C,).
    """

    features: NDArray[np.float32]
    offset: NDArray[np.float32]
    extra: NDArray[np.float32]
    relevant: Mask
    next: Mask
    start: NDArray[np.intp]
    sizes: NDArray[np.intp]
    weights: Array
    ideal: Array
    most: NDArray[np.intp]

    @classmethod
    def of(cls, task: Task, experts: Sequence[Expert], offset: Offset | None, rng: np.random.Generator) -> Cases:
        """Of a task, its experts fitted on what is counted for it."""
        n_items, known = task.histories.n_items, task.known
        parts: list[_Candidates] = []
        for some, histories in task.histories.blocks(_CELLS // (len(experts) + 1)):
            said = [expert.evidence(histories) for expert in experts]
            added = np.zeros((len(histories), n_items), np.float32) if offset is None else offset(histories)
            hidden = np.broadcast_to(~known, added.shape).copy()
            hidden[histories.matrix().nonzero()] = True
            later = task.later.take(some)
            parts.append(_candidates(said, added, hidden, later, rng))
        features, offsets, extra, relevant, soon, counts = (np.concatenate(part) for part in zip(*parts, strict=True))
        most = np.minimum(task.later.sizes, K)
        start = np.concatenate([[0], np.cumsum(counts)])
        return cls(
            features,
            offsets,
            extra,
            relevant,
            soon,
            start,
            task.histories.sizes,
            task.weights,
            DISCOUNT.cumsum()[most - 1],
            np.minimum(task.later.sizes, LENGTH),
        )

    def __len__(self) -> int:
        return len(self.weights)

    def loss(self, at: Array, knots: Array) -> tuple[float, Array]:
        """Loss of weights (J, K) and its gradient; ``at`` is how much each knot counts for a case, (C, J)."""
        value, gradient = loss_and_gradient(
            self.features, self.offset, self.extra, self.relevant, self.start, at, self.weights, knots
        )
        return float(value), gradient

    def shown(self, at: Array, knots: Array) -> tuple[Array, Array]:
        """Of the list of each case, each item's share of the softmax and whether it came next, (C, 10); NaN of none."""
        shares, taken = np.full((len(self), K), np.nan), np.zeros((len(self), K))
        weights = at @ knots
        for case, (first, last) in enumerate(pairwise(self.start.tolist())):
            scores = self.offset[first:last] + self.features[first:last] @ weights[case]
            chance = np.exp(scores + self.extra[first:last] - scores.max())
            best = np.argsort(-scores, kind="stable")[:K]
            shares[case, : len(best)] = np.exp(scores[best] - scores.max()) / chance.sum()
            taken[case, : len(best)] = self.next[first:last][best]
        return shares, taken

    def quality(self, at: Array, knots: Array, cases: Positions) -> Array:
        """Mean of NDCG@10 and recall@20 of some cases, (n,)."""
        found: Array = list_quality(
            self.features, self.offset, self.relevant, self.start, at, knots, self.ideal, self.most, _PLACES, cases
        )
        return found


def _candidates(
    said: list[NDArray[np.float32]],
    offset: NDArray[np.float32],
    hidden: Mask,
    later: Histories,
    rng: np.random.Generator,
) -> _Candidates:
    n, n_items = hidden.shape
    relevant, soon = later.matrix().toarray() > 0, np.zeros_like(hidden)
    soon[np.arange(n), later.items[later.start[:-1]]] = True
    chosen = np.zeros_like(hidden)
    rows = np.repeat(np.arange(n), later.sizes)
    first = np.arange(len(later.items)) - np.repeat(later.start[:-1], later.sizes) < LATER
    chosen[rows[first], later.items[first]] = True
    for scores, most in [*((one, TOP) for one in said), (np.sum(said, axis=0) + offset, PLAIN)]:
        most = min(most, n_items)
        shown = np.where(hidden, -np.inf, scores + offset)
        np.put_along_axis(chosen, np.argpartition(-shown, most - 1, axis=1)[:, :most], True, 1)
    chosen &= ~hidden
    rest = np.zeros_like(hidden)
    rest[:, rng.choice(n_items, min(OTHERS, n_items), replace=False)] = True
    rest &= ~chosen & ~hidden
    left = (~hidden).sum(1) - chosen.sum(1)
    stands_for = np.log(np.maximum(left / np.maximum(rest.sum(1), 1), 1.0)).astype(np.float32)
    users, items = np.nonzero(chosen | rest)
    features = np.stack([one[users, items] for one in said], 1)
    extra = np.where(rest[users, items], stands_for[users], np.float32(0.0))
    offsets = offset[users, items].astype(np.float32)
    counts = np.bincount(users, minlength=n)
    return features, offsets, extra, relevant[users, items], soon[users, items], counts
