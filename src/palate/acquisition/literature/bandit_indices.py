"""Indices of bandits: what is expected to be liked, with a bonus or a draw for what is not known."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from palate.acquisition.candidates import Candidates
from palate.acquisition.per_user import each_user, for_everybody
from palate.acquisition.targets import draw_tastes
from palate.arrays import TINY, Array
from palate.posteriors.belief import Belief
from palate.posteriors.population import Population
from palate.posteriors.statistics import augmented_moments


def as_rewards(values: Array, population: Population) -> Array:
    """Ratings on the scale from its lowest level, 0, to its highest, 1; of any shape."""
    low, high = population.level_values[0], population.level_values[-1]
    return np.asarray(np.clip((values - low) / max(high - low, TINY), 0.0, 1.0))


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


EPSILON = 0.1


@each_user
def epsilon_greedy(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask what is rated best, and now and then anything.

    The mean reward of the item, in [0, 1]; with a chance of ε = 0.1 a uniform draw instead, (I,) or (n, I). O(1). The
    reward of a rating is its place on the scale, 0 the lowest and 1 the highest.

    References:
        Sutton, Barto, Reinforcement Learning, 1998, section 2.2; Auer, Cesa-Bianchi, Fischer, Finite-time analysis of
        the multiarmed bandit problem, Machine Learning 47, 2002.
    """
    return rng.random(len(candidates)) if rng.random() < EPSILON else mean_rewards(candidates)


_UNRATED = 0.25  # ratings an item without any counts for: its bonus then exceeds that of one rating by more than 1


def ucb1(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask what may be rated best, for all that its ratings say.

    .. math:: \bar r_i + \sqrt{2 \ln t / n_i}

    Optimism about the mean reward, the same for every user, (I,) or (n, I). O(1). :math:`\bar r_i` in [0, 1] is the
    item's mean reward, n_i its ratings and t all ratings (at least 2). Items without a rating come first, as in the
    original, which plays every arm once.

    References:
        Auer, Cesa-Bianchi, Fischer, Finite-time analysis of the multiarmed bandit problem, Machine Learning 47, 2002.
    """
    total = max(candidates.population.counts.sum(), 2.0)
    bonus = np.sqrt(2.0 * np.log(total) / np.maximum(candidates.counts, _UNRATED))
    return for_everybody(mean_rewards(candidates) + bonus, belief)


ALPHA = 1.0  # standard deviations of optimism


def lin_ucb(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask what this user may like best, for all that is believed of the taste.

    .. math:: b_i + m^\top w_i + \alpha \sqrt{w_i^\top S w_i}, \qquad \alpha = 1

    The upper confidence bound of the expected answer, in units of the answers, (I,) or (n, I). O(D²).

    References:
        Li, Chu, Langford, Schapire, A contextual-bandit approach to personalized news article recommendation, WWW 2010.
    """
    items = candidates.items
    spread = np.sqrt(np.maximum(belief.variance(items.factors), 0.0))
    return items.level + belief.score(items.factors) + ALPHA * spread


@each_user
def thompson(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask what a user of a taste drawn from the belief would like best.

    .. math:: b_i + \tilde z^\top w_i, \qquad \tilde z \sim N(m, S)

    The expected answer for one drawn taste, in units of the answers, (I,) or (n, I). O(D). The particles of Kawale et
    al. (NIPS 2015) are not needed: this belief can be drawn from exactly.

    References:
        Thompson, Biometrika 25, 1933; Chapelle, Li, An empirical evaluation of Thompson sampling, NIPS 2011.
    """
    return np.asarray(candidates.items.level + candidates.items.factors @ draw_tastes(belief, 1, rng=rng)[0])


def icf_ucb(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask what may be liked best, user and item both uncertain.

    .. math:: b_i + m^\top w_i + \alpha \sqrt{w_i^\top S w_i + \mathrm{tr}(C_i \, E[t t^\top])}, \qquad t = (1, z)

    The upper confidence bound of the answer without its noise, in units of the answers, (I,) or (n, I). O(D²). The
    original's probabilistic matrix factorisation takes item factors as known when it bounds a user's rating and
    draws them only for Thompson sampling. Here the covariance C_i of the item counts in both, and both covariances are
    full where the memory budget keeps them so (:class:`palate.posteriors.items.Spread`).

    References:
        Zhao, Zhang, Wang, Interactive collaborative filtering, CIKM 2013.
    """
    items = candidates.items
    of_item = items.spread.expected(augmented_moments(belief.mean, belief.covariance))
    spread = np.sqrt(np.maximum(belief.variance(items.factors) + of_item, 0.0))
    return items.level + belief.score(items.factors) + ALPHA * spread


@each_user
def icf_thompson(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask what is liked best in a draw of both user and items.

    .. math:: \tilde t^\top \tilde w_i, \qquad \tilde t = (1, \tilde z), \; \tilde z \sim N(m, S), \;
        \tilde w_i \sim N((b_i, w_i), C_i)

    The answer without noise for one drawn taste and drawn items, in units of the answers, (I,) or (n, I). O(D²). Given
    the taste the score of an item is Gaussian, so it is drawn in place of the item. As in the original, with
    full covariances on both sides in place of the item's own of a Gibbs sampler.

    References:
        Zhao, Zhang, Wang, Interactive collaborative filtering, CIKM 2013.
    """
    items = candidates.items
    taste = draw_tastes(belief, 1, rng=rng)[0]
    drawn = np.append(1.0, taste)
    spread = np.sqrt(np.maximum(items.spread.expected(np.outer(drawn, drawn)), 0.0))
    return np.asarray(items.level + items.factors @ taste + spread * rng.standard_normal(len(items)))


def max_item_trait(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask about the item with the strongest traits.

    ``‖w_i‖``, the length of the item's factors, in units of the answers, (I,) or (n, I). O(D). The other rules of the
    source are here by their own names: greedy (highest predicted), max variance, UCB (``lin-ucb``), Thompson and
    random.

    References:
        Christakopoulou, Radlinski, Hofmann, Towards conversational recommender systems, KDD 2016 ("max item trait").
    """
    return for_everybody(np.sqrt((candidates.items.factors**2).sum(1)), belief)


def min_item_trait(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask about the item with the weakest traits, which moves predictions least.

    ``−‖w_i‖``, in units of the answers, (I,) or (n, I). O(D). Found twice: as an item that everybody likes alike, and
    as MinNorm, where an item with small factors leaves the taste nearly as it was, for the sake of later questions.
    Where factors of rarely rated items are shrunk, as here, it asks about those first.

    References:
        Christakopoulou, Radlinski, Hofmann, Towards conversational recommender systems, KDD 2016 ("min item trait");
        Karimi, Freudenthaler, Nanopoulos, Schmidt-Thieme, Non-myopic active learning for recommender systems based on
        matrix factorization, IRI 2011 (MinNorm).
    """
    return -max_item_trait(belief, candidates, rng=rng)
