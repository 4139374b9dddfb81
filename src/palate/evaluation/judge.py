"""How good predictions and lists of a subject's own test items are, after each question of a simulation."""

from __future__ import annotations

import numpy as np

from palate.arrays import Array, Mask
from palate.evaluation.metrics import places
from palate.evaluation.world import HeldOut
from palate.model.scale import Scale
from palate.posteriors.belief import Belief
from palate.posteriors.taste import Taste

K = 10
DISCOUNTS = 1.0 / np.log2(np.arange(2, K + 2))
IDEAL = np.concatenate([[0.0], np.cumsum(DISCOUNTS)])  # of a list that begins with so many hits
PER_RATING = ("rmse", "accuracy")
PER_LIST = ("ndcg@10", "recall@10", "precision@10", "f1@10")


class Judge:
    """Quality on the test ratings of each subject.

    Lists rank a subject's test items by expected answer; relevant is what was rated at or above ``like``. Ranking the
    whole catalogue instead would count an unrated item as disliked. Of events there is little but what was liked, so
    there a list ranks the whole catalogue, less what can be asked, and no figure of single ratings is given. Subjects
    with nothing relevant have no list.
    """

    def __init__(self, taste: Taste, held_out: HeldOut, scale: Scale) -> None:
        self._taste, self._held_out, self._like, self._cut = taste, held_out, scale.like, scale.cut
        present = held_out.present
        self._relevant = present & (held_out.values >= scale.like)
        self._positives = self._relevant.sum(1)
        shown = present if held_out.open is None else held_out.open
        self._length = np.minimum(shown.sum(1), K)
        has_list = (self._positives > 0).astype(np.float64)
        ratings = present.sum(1).astype(np.float64)
        per_rating = PER_RATING if held_out.open is None else ()
        self.weights = dict.fromkeys(per_rating, ratings) | dict.fromkeys(PER_LIST, has_list)
        self._ideal = np.maximum(IDEAL[np.minimum(self._positives, K)], 1e-12)

    def __call__(self, belief: Belief) -> dict[str, Array]:
        if self._held_out.open is not None:
            return self._of_all(belief, self._held_out.open)
        present, expected = self._held_out.present, self._taste.expected(belief, self._held_out.columns)
        squared = np.where(present, (expected - self._held_out.values) ** 2, 0.0).sum(1)
        right = present & ((expected >= self._cut) == (self._held_out.values >= self._like))
        return {"rmse": squared, "accuracy": right.sum(1).astype(np.float64), **self._lists(self._hits(expected))}

    def _of_all(self, belief: Belief, shown: Mask) -> dict[str, Array]:
        """Lists of the whole catalogue."""
        items = self._taste.items
        score = np.where(shown, items.level + belief.mean @ items.factors.T, -np.inf)
        relevant = np.zeros(shown.shape, dtype=bool)
        rows, held = np.nonzero(self._relevant)
        relevant[rows, self._held_out.columns[rows, held]] = True
        return self._lists(places(score, relevant, K)[1].chance)

    def _hits(self, predicted: Array) -> Array:
        """The chance that each place of the list of test items is relevant, (n, K)."""
        return places(np.where(self._held_out.present, predicted, -np.inf), self._relevant, K)[1].chance

    def _lists(self, hits: Array) -> dict[str, Array]:
        found, has_list = hits.sum(1), self._positives > 0
        parts = {
            "ndcg@10": hits @ DISCOUNTS[: hits.shape[1]] / self._ideal,
            "recall@10": found / np.maximum(self._positives, 1),
            "precision@10": found / np.maximum(self._length, 1),
            "f1@10": 2.0 * found / np.maximum(self._positives + self._length, 1),
        }
        return {name: np.where(has_list, value, 0.0) for name, value in parts.items()}
