"""By how an answer reaches other items: through predictions, raters in common, similarity."""

from __future__ import annotations

import numpy as np

from palate.acquisition.candidates import Candidates
from palate.acquisition.literature.crowd import over_raters
from palate.acquisition.per_user import each_user
from palate.arrays import Array
from palate.posteriors.belief import Belief

_BLOCK = 2**22  # predictions at once


@each_user
def influence(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask what would move the predictions of everything else most.

    .. math:: \sqrt{v_i} \sum_j \left|\hat r_j(r_i = \hat r_i \pm 1) - \hat r_j\right|
        = \sum_j \frac{|w_j^\top S w_i|}{\sqrt{v_i}}, \qquad v_i = w_i^\top S w_i + \sigma_i^2

    By how much predictions move, summed over the items that may be shown, in units of the answers, (I,) or (n, I): the
    change from an answer one unit off, times the uncertainty of the answer: together the standard deviation of the
    prediction's move. For likes likewise, of the latent value. O(J D) a candidate, so of a shortlist.

    References:
        Rubens, Sugiyama, Influence-based collaborative active learning, RecSys 2007.
    """
    moves = (candidates.items.factors @ belief.covariance) * np.sqrt(candidates.gain(belief))[:, None]
    shown = candidates.shown.factors
    rows = max(1, _BLOCK // max(len(shown), 1))
    blocks = [np.abs(moves[start : start + rows] @ shown.T).sum(1) for start in range(0, len(moves), rows)]
    return np.concatenate(blocks)


@each_user
def impact_analysis(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask what makes most predictions possible through raters in common.

    .. math:: \sum_{v \text{ rated } i} \left(n_v - 1 - |\{j \ne i \text{ rated by both}\}|\right)

    New paths user – item – another user – unrated item in the graph of ratings, (I,) or (n, I): neighbourhood methods
    need such a path to predict the item at its end. 0 for an item that the user has rated. The
    identity counts paths without walking them, so the whole catalogue is scored: O(n_i), in one pass over the ratings.

    References:
        Mello, Aufaure, Zimbrão, Active learning driven by rating impact analysis, RecSys 2010.
    """
    population, columns = candidates.population, candidates.columns
    rated, _ = candidates.given.rated()
    shared = np.bincount(population.by_item[rated].indices, minlength=population.n_users)
    ends = np.diff(population.answers.indptr) - 1.0 - shared
    return np.where(np.isin(columns, rated), 0.0, over_raters(population, ends)[columns])


@each_user
def item_item(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask about what was rated by those who rated what this user rated.

    .. math:: \sum_{j \text{ rated}} \frac{n_{ij}}{\sqrt{n_i n_j}}

    The similarity to the items the user has rated, summed over them, (I,) or (n, I): n_ij users rated both, whatever
    their ratings: the aim is an item the user knows. Before the first rating, the share of users who rated the item; 0
    for an item that nobody rated. O(n_i), in one pass over the ratings.

    References:
        Rashid et al., Getting to know you: learning new user preferences in recommender systems, IUI 2002.
    """
    population, columns = candidates.population, candidates.columns
    counts = np.maximum(population.counts, 1.0)
    rated, _ = candidates.given.rated()
    if not len(rated):
        return population.counts[columns] / max(population.n_users, 1)
    theirs = population.by_item[rated]
    weights = np.repeat(1.0 / np.sqrt(counts[rated]), np.diff(theirs.indptr))
    likeness = np.bincount(theirs.indices, weights=weights, minlength=population.n_users)
    return (over_raters(population, likeness) / np.sqrt(counts))[columns]
