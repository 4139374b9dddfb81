"""The strategies that the combined ones choose among, and a user's answers played again: their only state."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from palate.acquisition.belief.a_optimal import a_optimal
from palate.acquisition.belief.popularity import popularity
from palate.acquisition.belief.variance import variance
from palate.acquisition.candidates import Candidates
from palate.acquisition.literature.predictions import binary_prediction, highest_predicted
from palate.acquisition.literature.products import log_popularity_entropy
from palate.arrays import Array, Mask, Positions
from palate.posteriors.belief import Belief
from palate.posteriors.population import Given
from palate.posteriors.taste import Taste

# One of each family: information, uncertainty, attention, balance, answerability, prediction (Elahi, Ricci, Rubens,
# Computer Science Review 20, 2016); the one to start with first. The first two are weighed by the chance of an answer.
WEIGHED = (a_optimal, variance)
MEMBERS = (*WEIGHED, popularity, log_popularity_entropy, binary_prediction, highest_predicted)


def member_scores(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Of every member, (S, I) for one user or (S, n, I) for n."""
    shape = (*belief.mean.shape[:-1], len(candidates))
    scores = [np.broadcast_to(member(belief, candidates, rng=rng), shape) for member in MEMBERS]
    weighed = len(WEIGHED)
    return np.stack([*(score * candidates.reach for score in scores[:weighed]), *scores[weighed:]])


def open_to(candidates: Candidates) -> Mask:
    """Candidates that one user was not asked yet, (I,); all of them if everything was."""
    left = ~np.isin(candidates.columns, candidates.given.columns)
    return left if left.any() else np.ones(len(candidates), dtype=bool)


@dataclass(frozen=True, slots=True)
class Transcript:
    """T questions to one user.

    Attributes:
        beliefs: Before the first, after the first, ..., after the last: means (T + 1, D), covariances (T + 1, D, D).
        given: The questions and answers.
    """

    beliefs: Belief
    given: Given

    @classmethod
    def replay(cls, candidates: Candidates) -> Transcript:
        """From the population's belief: what a user's history said before the first answer is not in the answers."""
        taste, given = candidates.population.taste, candidates.given
        beliefs = [taste.start]
        for column, value in zip(given.columns, given.values, strict=True):
            last = beliefs[-1]
            beliefs.append(last if np.isnan(value) else taste.observe(last, int(column), float(value)))
        means, covariances = (np.stack([getattr(b, part) for b in beliefs]) for part in ("mean", "covariance"))
        return cls(Belief(means, covariances), given)

    def predictions(self, taste: Taste) -> tuple[Array, Array]:
        """Expected answer to each rated question under each belief, (T + 1, A), and the answers, (A,)."""
        columns, values = self.given.rated()
        items = taste.items.take(columns)
        mean = items.level + self.beliefs.score(items.factors)
        variance = self.beliefs.variance(items.factors) + items.answer_noise
        return taste.likelihood.expected(mean, variance, items.noise), values

    def scores(self, candidates: Candidates, *, rng: np.random.Generator) -> tuple[Array, Positions]:
        """What every member gave every candidate before each question, (S, T, I), and what was asked, (T,).

        -inf is what had been asked already; -1 a question about none of these candidates.
        """
        turns = len(self.given.columns)
        before = self.beliefs.of(slice(-1))
        as_users = replace(candidates, given=Given.nothing(turns))
        scores = member_scores(before, as_users, rng=rng)
        asked = _position(candidates, self.given.columns)
        for turn, item in enumerate(asked[:-1]):
            if item >= 0:
                scores[:, turn + 1 :, item] = -np.inf
        return scores, asked


def _position(candidates: Candidates, columns: Positions) -> Positions:
    place = np.full(candidates.population.n_items, -1, dtype=np.intp)
    place[candidates.columns] = np.arange(len(candidates))
    return place[columns]
