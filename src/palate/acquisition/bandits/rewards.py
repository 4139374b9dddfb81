"""What a bandit earns: ratings as rewards in [0, 1], and who liked what."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.population import Population


def as_rewards(values: Array, population: Population) -> Array:
    """Ratings on the scale from its lowest level, 0, to its highest, 1; of any shape."""
    low, high = population.level_values[0], population.level_values[-1]
    return np.asarray(np.clip((values - low) / max(high - low, np.finfo(np.float64).tiny), 0.0, 1.0))


def liked(population: Population) -> sparse.csr_matrix:
    """1 where a fitted user rated an item at least as high as ratings are on average, (U, I)."""
    return population.once(("bandits", "liked"), _liked)


def _liked(population: Population) -> sparse.csr_matrix:
    answers = population.answers
    ones = (answers.data >= population.mean).astype(np.float64)
    # a copy: what is eliminated below would otherwise be lost from the answers, whose indices it shares
    matrix = sparse.csr_matrix((ones, answers.indices, answers.indptr), shape=answers.shape, copy=True)
    matrix.eliminate_zeros()
    return matrix


def mean_rewards(candidates: Candidates) -> Array:
    """Mean rating of each candidate as a reward, (I,); that of all ratings where it has none."""
    return as_rewards(candidates.population.means[candidates.columns], candidates.population)
