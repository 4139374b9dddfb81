"""The list that each of n users would be shown, out of the whole catalogue: what they may know and would like.

    score of an item = P(the user knows it) P(they like it)

It is judged by what they like of their test items: those are to be on it, and any other item on it is a miss, rated or
not. So it is harsher than ranking the test items alone, and nearer to what somebody sees. How many of the first ten are
hits is what a report says in a sentence.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from palate.arrays import Array, Mask, Positions
from palate.evaluation.judge import DISCOUNTS, IDEAL, K
from palate.evaluation.metrics import places
from palate.evaluation.world import World
from palate.posteriors.belief import Belief

LIST, FOUND, HITS = "list-ndcg@10", "list-recall@20", "list-hits@10"
LONGER = 20


def list_scores(world: World, belief: Belief, exposure: Belief) -> Array:
    """Of every item for each of n users, (n, I). Of events e^strength stands in place of the chance to like."""
    known, items, taste = world.answerability.probability(exposure), world.taste.items, world.taste
    if taste.likelihood.events_only:
        return np.asarray(known * np.exp(items.level + belief.score(items.factors)))
    mean = taste.like_level(world.like_cut) + belief.score(items.factors)
    return np.asarray(known * ndtr(mean / np.sqrt(belief.variance(items.factors) + items.answer_noise)))


def best_list(scores: Array, may: Mask) -> Positions:
    """Positions of the K best of those that may be shown, best first, -1 where there are fewer, (n, K)."""
    scores = np.where(may, scores, -np.inf)
    top = np.argpartition(-scores, min(K, scores.shape[1]) - 1, axis=1)[:, :K]
    values = np.take_along_axis(scores, top, 1)
    order = np.argsort(-values, axis=1, kind="stable")
    top, values = np.take_along_axis(top, order, 1), np.take_along_axis(values, order, 1)
    return np.where(np.isfinite(values), top, -1)


class ListJudge:
    """NDCG@10, hits among ten and recall@20 of the list of each user; nobody without a liked test item has one."""

    def __init__(self, world: World) -> None:
        self._world = world
        held_out, rows = world.held_out, np.arange(len(world.subjects))[:, None]
        self._liked = np.zeros(world.ratings.shape, dtype=bool)
        self._liked[rows, held_out.columns] = held_out.present & (held_out.values >= world.scale.like)
        positives = self._liked.sum(1)
        self.weights = dict.fromkeys((LIST, FOUND, HITS), (positives > 0).astype(np.float64))
        self._ideal = np.maximum(IDEAL[np.minimum(positives, K)], 1e-12)
        self._positives = np.maximum(positives, 1)

    def __call__(self, belief: Belief, exposure: Belief) -> dict[str, Array]:
        """By what is believed: of the half of the catalogue that nothing is asked about."""
        scores = np.where(self._world.askable, -np.inf, list_scores(self._world, belief, exposure))
        hits = places(scores, self._liked, LONGER)[1].chance
        first = hits[:, :K]
        return {
            LIST: first @ DISCOUNTS[: first.shape[1]] / self._ideal,
            FOUND: hits.sum(1) / self._positives,
            HITS: first.sum(1),
        }
