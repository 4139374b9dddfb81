"""By how many users know an item."""

from __future__ import annotations

import numpy as np
from scipy.special import entr

from palate.acquisition.candidates import Candidates
from palate.acquisition.literature.crowd import over_raters
from palate.acquisition.per_user import for_everybody
from palate.arrays import Array
from palate.posteriors.belief import Belief
from palate.posteriors.population import Population

NEVER = 0.5  # ratings that an item without any is taken to have: rarer than one
UNRATED = 0.5  # weight of "not rated" against 1 of a rating level, as in the paper


def co_coverage(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask about what people rated together with much else.

    .. math:: \sum_{j \ne i} n_{ij} = \sum_{u \text{ rated } i} (n_u - 1)

    Pairs of ratings by one user of which this item is one, (I,) or (n, I): n_ij users rated both, n_u is how many items
    a user rated. Called coverage in the paper. O(1) after one pass over the ratings.

    References:
        Golbandi, Koren, Lempel, On bootstrapping recommender systems, CIKM 2010.
    """
    of_items = candidates.population.once("co-coverage", co_ratings)
    return for_everybody(of_items[candidates.columns], belief)


def co_ratings(population: Population) -> Array:
    """Of each item, (I,): by the identity, so that the table of items by items is never made."""
    return over_raters(population, np.diff(population.answers.indptr) - 1.0)


def rarity(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask about what hardly anybody rated.

    ``1 / n_i``, and 2 for an item that nobody rated, the rarest, (I,) or (n, I). O(1).

    References:
        Elahi, Ricci, Rubens, A survey of active learning in collaborative filtering recommender systems, Computer
        Science Review 20, 2016 (attention-based strategies).
    """
    return for_everybody(1.0 / np.maximum(candidates.counts, NEVER), belief)


def entropy0(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask about what people disagree on, where not having rated counts as an opinion.

    .. math:: -\frac{1}{\sum_r w_r} \sum_{r=0}^{R} w_r \, p_{ir} \log p_{ir}, \qquad w_0 = \tfrac12, \; w_{r>0} = 1

    in nats, (I,) or (n, I). O(R). p is a share of all users, level 0 those who did not rate the item, and 0 log 0 = 0:
    an item that lacks a level has a finite score, and one that nobody rated has 0, the lowest.

    References:
        Rashid, Karypis, Riedl, Learning preferences of new users in recommender systems: an information theoretic
        approach, SIGKDD Explorations 10(2), 2008.
    """
    share = candidates.counts / np.maximum(candidates.counts, max(candidates.population.n_users, 1))
    of_levels = entr(candidates.levels * share[:, None]).sum(1)
    weights = UNRATED + candidates.levels.shape[1]
    return for_everybody((UNRATED * entr(1.0 - share) + of_levels) / weights, belief)
