"""Information about the answers to what may be shown (EPIG)."""

from __future__ import annotations

import numpy as np
from scipy.special import entr

from palate.acquisition.candidates import Candidates
from palate.acquisition.per_user import for_each
from palate.arrays import Array, Positions
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.probit import both_yes, yes_chance

_LARGEST = 1.0 - 1e-12  # correlation of two answers, each of which has its own noise
TARGETS = 64  # drawn from q; the choice of item is stable well before


def epig(belief: Belief, candidates: Candidates, *, rng: np.random.Generator, n_targets: int = TARGETS) -> Array:
    r"""Ask what tells most about the answers to what this user may be shown.

    .. math:: E_{j \sim q}\left[-\tfrac12 \log(1 - \mathrm{cov}_{ij}^2 / (v_i v_j))\right]

    The expected information between the answer and the answers to targets drawn from q, in nats, (I,) or (n, I). Exact
    over the drawn targets: in closed form for ratings, by quadrature for likes.

    Example:
        >>> from palate.evaluation.bill import bill
        >>> print(bill("epig"))
        asks first: Simple Noodle Soup, Northern Heist
        5 questions: 18 seconds, 2.7 answers
        list: 0.52 before, 0.62 after, 0.57 after as many at random
        error: 1.06 before, 0.85 after, 0.96 after as many at random

    References:
        Bickford Smith et al., Prediction-oriented Bayesian active learning, AISTATS 2023. arXiv:2304.08151
    """
    information = _of_likes if candidates.likelihood.is_binary else _of_ratings
    uniform = rng.random(n_targets)
    # one after the other: (n, I, targets) at once would not fit
    return for_each(belief, candidates, lambda one, few: information(one, few, _draw(few.targets, uniform)))


def _draw(probabilities: Array, uniform: Array) -> Positions:
    """Positions drawn by inverting the distribution: users with the same targets get the same draw."""
    cumulative = np.cumsum(probabilities)
    return np.asarray(np.minimum(np.searchsorted(cumulative, uniform * cumulative[-1]), len(cumulative) - 1))


def _of_ratings(belief: Belief, candidates: Candidates, targets: Positions) -> Array:
    factors, shown = candidates.items.factors, candidates.shown.take(targets)
    variance = belief.variance(factors) + candidates.noise
    of_targets = belief.variance(shown.factors) + candidates.likelihood.answer_noise(shown.answer_noise)
    covariance = factors @ (belief.covariance @ shown.factors.T)  # (I, targets)
    squared_correlation = covariance**2 / (variance[:, None] * of_targets)
    # an item is no news about itself beyond what its noise leaves, so that 1 stays out of reach
    return np.asarray(-0.5 * np.log1p(-np.minimum(squared_correlation, 1.0 - 1e-12)).mean(1))


def _of_likes(belief: Belief, candidates: Candidates, targets: Positions) -> Array:
    """Mutual information of two probit answers, both latent values integrated out of the chance that both are yes."""
    factors, mean, variance = _latent(belief, candidates.items, candidates.likelihood)
    shown, of_shown, shown_variance = _latent(belief, candidates.shown.take(targets), candidates.likelihood)
    scale, of_targets = np.sqrt(1.0 + variance)[:, None], np.sqrt(1.0 + shown_variance)
    correlation = factors @ (belief.covariance @ shown.T) / (scale * of_targets)
    both = both_yes(mean[:, None] / scale, of_shown / of_targets, np.clip(correlation, -_LARGEST, _LARGEST))
    first, second = yes_chance(mean, 1.0 + variance), yes_chance(of_shown, 1.0 + shown_variance)
    joint = np.stack([both, first[:, None] - both, second - both, 1.0 - first[:, None] - second + both])
    margins = entr(first)[:, None] + entr(1 - first)[:, None] + entr(second) + entr(1 - second)
    return np.asarray(np.maximum(margins - entr(np.clip(joint, 0.0, 1.0)).sum(0), 0.0).mean(1))


def _latent(belief: Belief, items: Items, likelihood: Likelihood) -> tuple[Array, Array, Array]:
    """Factors (I, D), mean (I,) and variance (I,) of what each answer is about, in units of its noise."""
    unit = np.sqrt(likelihood.answer_noise(items.answer_noise))
    factors = items.factors / unit[:, None]
    return factors, (items.level + belief.score(items.factors)) / unit, belief.variance(factors)
