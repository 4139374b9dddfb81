"""Ask about a new item whoever will answer, differs from those asked, is objective and tells of the others."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.classic.tables import mean_over_ratings
from palate.acquisition.personal.predicted import ends, expected_answer
from palate.acquisition.population import Population
from palate.acquisition.users import for_each
from palate.posteriors.taste import Belief


def new_item_attributes(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Sum of four criteria, each in [0, 1], (I,) or (n, I). Candidates are users, the belief is about a new item.

    - will rate: P(can answer);
    - differs: gap between the expected rating and the nearest one of those already answered, as a share of the scale;
    - objective: ``1 / (1 + d / s²)``, d the mean squared gap between a user's ratings and the means of what was rated,
      s² the variance of all ratings; ½ for a user without ratings;
    - informative: mean cosine between the user's factors and those of all users, moved to [0, 1].

    What is expected of the item comes from its attributes through the belief, as in the paper; the criteria have equal
    weights, where the paper tunes them and picks all users in one quadratic programme. O(D + asked) a candidate.

    References:
        Zhu, Lin, He, Wang, Guan, Liu, Cai, Addressing the item cold-start problem by attribute-driven active learning,
        IEEE TKDE 32(4), 2020. arXiv:1805.09023
    """
    return for_each(belief, candidates, _of_one)


def _of_one(belief: Belief, candidates: Candidates) -> Array:
    objective = candidates.population.once("objectivity", _objectivity)[candidates.columns]
    return candidates.known + _difference(belief, candidates) + objective + _information(candidates)


def _difference(belief: Belief, candidates: Candidates) -> Array:
    """0 while nobody has answered: all differ alike from nobody."""
    lowest, highest = candidates.population.once("ends", ends)
    _, answers = candidates.given.rated()
    if not len(answers) or highest == lowest:
        return np.zeros(len(candidates))
    gaps = np.abs(expected_answer(belief, candidates)[:, None] - answers).min(1)
    return np.asarray(np.minimum(gaps / (highest - lowest), 1.0))


def _objectivity(population: Population) -> Array:
    """Of each candidate, (I,): rows of the population are what candidates rated."""
    answers = population.answers
    sizes = np.diff(answers.indptr)
    means = np.asarray(answers.sum(1)).ravel() / np.maximum(sizes, 1)
    apart = mean_over_ratings(population, (answers.data - np.repeat(means, sizes)) ** 2)
    spread = float(answers.data.var()) if answers.nnz else 0.0
    apart = np.where(population.counts > 0, apart, spread)
    return spread / (spread + apart) if spread > 0 else np.full(population.n_items, 0.5)


def _information(candidates: Candidates) -> Array:
    own, all_ = _directions(candidates.items.factors), _directions(candidates.shown.factors)
    return np.asarray((1.0 + own @ all_.mean(0)) / 2.0)


def _directions(factors: Array) -> Array:
    norms = np.linalg.norm(factors, axis=1, keepdims=True)
    return factors / np.where(norms > 0, norms, 1.0)
