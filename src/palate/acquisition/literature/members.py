"""The strategies that the combined ones choose among."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palate.acquisition.belief.a_optimal import a_optimal
from palate.acquisition.belief.popularity import popularity
from palate.acquisition.belief.variance import variance
from palate.acquisition.candidates import Candidates
from palate.acquisition.literature.predictions import binary_prediction, highest_predicted
from palate.acquisition.literature.products import log_popularity_entropy
from palate.arrays import Array
from palate.posteriors.belief import Belief

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


def open_to(candidates: Candidates) -> NDArray[np.bool_]:
    """Candidates that one user was not asked yet, (I,); all of them if everything was."""
    left = ~np.isin(candidates.columns, candidates.given.columns)
    return left if left.any() else np.ones(len(candidates), dtype=bool)
