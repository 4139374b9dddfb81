"""One strategy asks every subject of a world, question by question, and is judged after each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from palate.acquisition import Given, Strategy, best, values
from palate.acquisition.targets import KNOWN, aimed_at
from palate.arrays import Array, Mask
from palate.evaluation.metrics import places
from palate.evaluation.world import HeldOut, World
from palate.model.scale import Scale
from palate.posteriors.belief import Belief
from palate.posteriors.taste import Taste

K = 10
DISCOUNTS = 1.0 / np.log2(np.arange(2, K + 2))
IDEAL = np.concatenate([[0.0], np.cumsum(DISCOUNTS)])  # of a list that begins with so many hits
PER_RATING = ("rmse", "accuracy")
PER_LIST = ("ndcg@10", "recall@10", "precision@10", "f1@10")


@dataclass(frozen=True, slots=True)
class Played:
    """What is known of each subject after 0, 1, ... budget questions.

    Attributes:
        sums: By metric, summed over the subject's test ratings (rmse: squared errors) or its one list, (n, budget + 1).
        weights: By metric, what to divide by, (n,).
        answered: Answers got so far, (n, budget + 1).
        plays: How often each subject took part, (n,).
    """

    sums: dict[str, Array]
    weights: dict[str, Array]
    answered: Array
    plays: Array


def play(
    world: World, strategy: Strategy, *, pool: str, budget: int, targets: str = KNOWN, rng: np.random.Generator
) -> Played:
    """Ask ``budget`` questions of each subject, one at a time.

    Args:
        targets: What the strategy aims at (:mod:`palate.acquisition.targets`).
        pool: ``open``: anything may be asked, and what cannot be answered is spent; ``answered``: only what can be.
    """
    n, everyone = len(world.subjects), np.arange(len(world.subjects))
    belief, exposure = world.start, world.answerability.start(n)
    if pool == "answered":  # what can be answered is known, so what else the subject knows can be told from it
        exposure = world.answerability.believe(sparse.csr_matrix(world.answerable))
    allowed = world.answerable.copy() if pool == "answered" else np.ones_like(world.answerable)
    judge = Judge(world.taste, world.held_out, world.scale)
    rows = [judge(belief)]
    answered, given = np.zeros((n, budget + 1)), Given.nothing(n)
    for turn in range(budget):
        candidates = world.candidates.aimed(world.answerability, exposure, given, answerable=pool == "answered")
        candidates = aimed_at(targets, belief, candidates, rng=rng)
        picks, _ = best(values(strategy, belief, candidates, allowed=allowed, rng=rng), allowed, rng=rng)
        asked = picks >= 0
        picks = np.maximum(picks, 0)
        got = asked & world.answerable[everyone, picks]
        allowed[everyone[asked], picks[asked]] = False
        answers = np.where(got, world.ratings[everyone, picks], np.nan)
        given = given.added(np.where(asked, picks, -1), answers)
        belief = world.taste.observe(belief, picks, np.nan_to_num(answers)).where(got, belief)
        if pool == "open":
            exposure = world.answerability.observe(exposure, picks, got).where(asked, exposure)
        answered[:, turn + 1] = answered[:, turn] + got
        rows.append(judge(belief))
    sums = {name: np.stack([row[name] for row in rows], 1) for name in rows[0]}
    return Played(sums, judge.weights, answered, np.ones(n))


def average(plays: Sequence[Played]) -> Played:
    """The mean of several plays by the same subjects."""
    first, share = plays[0], 1.0 / len(plays)
    sums = {name: share * np.sum([play.sums[name] for play in plays], axis=0) for name in first.sums}
    return Played(sums, first.weights, np.mean([play.answered for play in plays], axis=0), first.plays)


def ceiling(world: World, budget: int) -> Played:
    """Everything answerable known from the start."""
    known = np.nonzero(world.answerable)
    matrix = sparse.csr_matrix((world.ratings[known], known), shape=world.ratings.shape)
    judge = Judge(world.taste, world.held_out, world.scale)
    return unmoved(judge, world.taste.believe(matrix, world.start), world.answerable, budget)


def unmoved(judge: Judge, belief: Belief, answerable: Mask, budget: int) -> Played:
    """What a belief is worth that holds all answers from the start, so that no question moves it."""
    sums = {name: np.repeat(value[:, None], budget + 1, 1) for name, value in judge(belief).items()}
    answered = np.repeat(answerable.sum(1)[:, None].astype(np.float64), budget + 1, 1)
    return Played(sums, judge.weights, answered, np.ones(len(answered)))


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
