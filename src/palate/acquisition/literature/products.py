"""Popularity and disagreement combined."""

from __future__ import annotations

import numpy as np

from palate.acquisition.belief.entropy import entropy
from palate.acquisition.candidates import Candidates
from palate.acquisition.literature.disagreement import error, gini, rating_variance
from palate.arrays import Array
from palate.posteriors.belief import Belief


def log_popularity_entropy(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask about what many know and people disagree on.

    ``log n_i · H(i)``, in squared nats, (I,) or (n, I); 0 for an item with one rating or none. O(R). The logarithm
    because popularity falls off exponentially: n_i · H(i) would be popularity.

    References:
        Rashid et al., Getting to know you: learning new user preferences in recommender systems, IUI 2002.
    """
    return np.log(np.maximum(candidates.counts, 1.0)) * entropy(belief, candidates, rng=rng)


def popularity_times_entropy(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask about what very many know and people disagree on.

    ``n_i · H(i)``: nats that all its ratings hold, (I,) or (n, I). O(R).

    References:
        Rashid et al., Getting to know you: learning new user preferences in recommender systems, IUI 2002.
    """
    return candidates.counts * entropy(belief, candidates, rng=rng)


def popularity_plus_entropy(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask about what many know or people disagree on.

    .. math:: n_i / \max_j n_j + H(i) / \log R

    Popularity and entropy, each as a share of the most there can be: in [0, 2], (I,) or (n, I). O(R).

    References:
        Rashid et al., Getting to know you: learning new user preferences in recommender systems, IUI 2002.
    """
    most = max(float(candidates.population.counts.max()), 1.0)
    levels = max(candidates.levels.shape[1], 2)
    return np.asarray(candidates.counts / most + entropy(belief, candidates, rng=rng) / np.log(levels))


def popularity_times_error(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask about what many know and the model has wrong.

    ``n_i · error_i``: the squared error summed over an item's ratings, (I,) or (n, I). O(1) after one pass.

    References:
        Geurts, Frasincar, Addressing the cold user problem for model-based recommender systems, WI 2017.
    """
    return candidates.counts * error(belief, candidates, rng=rng)


def popularity_times_gini(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask about what many know and two people would rate differently.

    ``n_i · (1 − Σ_r p_ir²)``, (I,) or (n, I). O(R).

    References:
        Geurts, Frasincar, Addressing the cold user problem for model-based recommender systems, WI 2017.
    """
    return candidates.counts * gini(belief, candidates, rng=rng)


def sqrt_popularity_variance(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask about what many know and ratings differ on.

    ``√n_i · s_i²``, (I,) or (n, I). O(1) after one pass over the ratings.

    References:
        Golbandi, Koren, Lempel, On bootstrapping recommender systems, CIKM 2010.
    """
    return np.sqrt(candidates.counts) * rating_variance(belief, candidates, rng=rng)


def helf(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask about what is both well known and disagreed on, neither making up for the other.

    .. math:: \frac{2 L_i H'_i}{L_i + H'_i}, \qquad L_i = \frac{\log n_i}{\log U}, \quad H'_i = \frac{H(i)}{\log R}

    The harmonic mean of entropy and logarithm of frequency, both as shares: in [0, 1], (I,) or (n, I); 0 where either
    is 0, so for an item with one rating or none. O(R).

    References:
        Rashid, Karypis, Riedl, Learning preferences of new users in recommender systems: an information theoretic
        approach, SIGKDD Explorations 10(2), 2008.
    """
    users, levels = max(candidates.population.n_users, 2), max(candidates.levels.shape[1], 2)
    known = np.log(np.maximum(candidates.counts, 1.0)) / np.log(users)
    disagreed = entropy(belief, candidates, rng=rng) / np.log(levels)
    both = known + disagreed
    return np.asarray(2.0 * known * disagreed / np.where(both > 0, both, 1.0))
