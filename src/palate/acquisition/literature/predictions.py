"""By what is predicted for the user."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from palate.acquisition.belief.a_optimal import a_optimal
from palate.acquisition.candidates import Candidates
from palate.acquisition.literature.crowd import mean_over_ratings
from palate.acquisition.per_user import each_user, for_everybody
from palate.arrays import Array
from palate.posteriors.belief import Belief
from palate.posteriors.population import Population


def middle(candidates: Candidates) -> float:
    """Half-way between the lowest and the highest rating given; events stand against 0, likes against dislikes."""
    return sum(candidates.likelihood.answers or candidates.population.once("ends", ends)) / 2.0


def ends(population: Population) -> tuple[float, float]:
    """Lowest and highest rating given, or of the levels where there is none."""
    ratings = population.answers.data if population.answers.nnz else population.level_values
    return float(np.min(ratings)), float(np.max(ratings))


def binary_prediction(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask about what this user is most likely to know.

    P(the user can answer), (I,) or (n, I): a factor model of who has rated what, O(1) as it is at hand. It is
    :attr:`Candidates.known`; the model is :class:`palate.posteriors.answerability.Answerability`.

    References:
        Elahi, Ricci, Rubens, Active learning strategies for rating elicitation in collaborative filtering: a
        system-wide perspective, ACM TIST 5(1), 2014.
    """
    return for_everybody(candidates.known, belief)


def highest_predicted(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask about what this user should like best, as most sites do.

    ``r̂_i``, in units of the answers, (I,) or (n, I). O(D). What it collects is biased upwards.

    References:
        Elahi, Ricci, Rubens, Active learning strategies for rating elicitation in collaborative filtering: a
        system-wide perspective, ACM TIST 5(1), 2014.
    """
    return candidates.expected(belief)


def lowest_predicted(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask about what this user should like least.

    ``−r̂_i``, in units of the answers, (I,) or (n, I). O(D). People rarely know what they would dislike. Found twice:
    as a rule of thumb, and as MinRating, which approximates the gain of a later question too.

    References:
        Elahi, Ricci, Rubens, Active learning strategies for rating elicitation in collaborative filtering: a
        system-wide perspective, ACM TIST 5(1), 2014; Karimi, Freudenthaler, Nanopoulos, Schmidt-Thieme, Non-myopic
        active learning for recommender systems based on matrix factorization, IRI 2011 (MinRating).
    """
    return -candidates.expected(belief)


def high_low(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    """Ask about what this user should feel most strongly of.

    The distance of ``r̂_i`` from the middle of the scale, in units of the answers, (I,) or (n, I). O(D).

    References:
        Elahi, Ricci, Rubens, Active learning strategies for rating elicitation in collaborative filtering: a
        system-wide perspective, ACM TIST 5(1), 2014.
    """
    return np.abs(candidates.expected(belief) - middle(candidates))


def mf_optimal(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask what leaves the smallest expected error over all items.

    .. math:: -\frac{1}{J} \sum_j \left(w_j^\top S_i w_j + \sigma_j^2\right), \qquad
        S_i = S - \frac{S w_i w_i^\top S}{w_i^\top S w_i + \sigma_i^2}

    Minus the mean squared error expected once the answer is in, in squared units of the answers, (I,) or (n, I).
    O(D²) a candidate.

    The paper approximates the error after an update by the predicted rating; of a Gaussian belief it is known exactly
    and does not depend on the answer (for likes, whose units are those of the latent value, its expectation is). It is
    ``a-optimal`` for items shown with equal chance, whether or not the user can answer.

    With the sides exchanged, candidates being users and the belief being about a new item, it is the choice of Anava et
    al., ``min tr((Σ_S u uᵀ + λI)⁻¹ W)``, one user at a time, λ being the noise over the prior's variance.

    References:
        Karimi, Freudenthaler, Nanopoulos, Schmidt-Thieme, Towards optimal active learning for matrix factorization in
        recommender systems, ICTAI 2011; Anava et al., Budget-constrained item cold-start handling in collaborative
        filtering recommenders via optimal design, WWW 2015. arXiv:1406.2431
    """
    shown = candidates.shown
    uniform = np.full(len(shown), 1.0 / len(shown))
    moment = shown.factors.T @ shown.factors / len(shown)
    noise = float(candidates.likelihood.answer_noise(shown.answer_noise).mean())
    before = np.einsum("...de,ed->...", belief.covariance, moment) + noise
    return np.asarray(a_optimal(belief, replace(candidates, targets=uniform), rng=rng) - before[..., None])


@each_user
def new_item_attributes(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask about a new item whoever will answer, differs, is objective and tells of the others.

    The sum of four criteria, each in [0, 1], (I,) or (n, I). Candidates are users, the belief is about a new item.

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
    objective = candidates.population.once("objectivity", _objectivity)[candidates.columns]
    return candidates.known + _difference(belief, candidates) + objective + _information(candidates)


def _difference(belief: Belief, candidates: Candidates) -> Array:
    """0 while nobody has answered: all differ alike from nobody."""
    lowest, highest = candidates.population.once("ends", ends)
    _, answers = candidates.given.rated()
    if not len(answers) or highest == lowest:
        return np.zeros(len(candidates))
    gaps = np.abs(candidates.expected(belief)[:, None] - answers).min(1)
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
