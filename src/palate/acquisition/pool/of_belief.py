"""The general strategies on a recommender's belief: the belief as a pool, and each of them as a strategy on it."""

from __future__ import annotations

from functools import wraps

import numpy as np
from scipy.special import ndtr

from palate.acquisition.candidates import Candidates
from palate.acquisition.per_user import for_each
from palate.acquisition.pool.pool import Pool, PoolScore, PoolStrategy
from palate.acquisition.pool.registry import POOL_STRATEGIES
from palate.acquisition.strategy import Score, Strategy
from palate.acquisition.targets import draw_tastes
from palate.arrays import Array
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items

DRAWS = 64  # of the taste
TARGETS = 64  # items drawn from those that may be shown


def pool_of(belief: Belief, candidates: Candidates, *, rng: np.random.Generator, n_samples: int = DRAWS) -> Pool:
    r"""What one user may answer to each candidate, under draws of the taste.

    .. math:: p_t(r) = \Phi\Big(\tfrac{b_r - \ell_i - w_t^\top z_i}{\sigma_i}\Big)
        - \Phi\Big(\tfrac{b_{r-1} - \ell_i - w_t^\top z_i}{\sigma_i}\Big)

    with ``b`` half-way between neighbouring rating levels for ratings; dislike and like for likes; not used and used,
    apart at one half, for events. Features are factors over the noise ``σ_i``, so that a unit of each says as much;
    labelled is what the user has rated; targets are drawn from the items that may be shown.

    Args:
        belief: About one user, (D,) and (D, D).
    """
    tastes = draw_tastes(belief, n_samples, rng=rng)
    shown = np.minimum(
        np.searchsorted(np.cumsum(candidates.targets), rng.random(TARGETS) * candidates.targets.sum()),
        len(candidates.shown) - 1,
    )
    columns, values = candidates.given.rated()
    rated = candidates.population.taste.items.take(columns)
    edges = _edges(candidates)
    return Pool(
        samples=_probabilities(tastes, candidates.items, candidates, edges),
        features=_features(candidates.items, candidates),
        labelled=_features(rated, candidates),
        labels=np.searchsorted(edges, values, side="right").astype(np.intp),
        labelled_samples=_probabilities(tastes, rated, candidates, edges),
        targets=_probabilities(tastes, candidates.shown.take(shown), candidates, edges),
    )


def on_pool(score: PoolScore, n_samples: int = DRAWS) -> Score:
    """The score as a strategy of a recommender: (I,) for one user, (n, I) for several, one after the other.

    Every user sees the same draws, so that one among others is scored as alone.
    """

    @wraps(score)
    def scored(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
        seed = int(rng.integers(2**63))

        def of(one: Belief, offered: Candidates) -> Array:
            own = np.random.default_rng(seed)
            return score(pool_of(one, offered, rng=own, n_samples=n_samples), rng=own)

        return for_each(belief, candidates, of)

    return scored


def _edges(candidates: Candidates) -> Array:
    """What lies between neighbouring answers, (C − 1,)."""
    levels = np.array(candidates.likelihood.answers or candidates.population.level_values)
    return np.asarray((levels[1:] + levels[:-1]) / 2.0)


def _noise(items: Items, candidates: Candidates) -> Array:
    return np.sqrt(candidates.likelihood.answer_noise(items.answer_noise))


def _features(items: Items, candidates: Candidates) -> Array:
    return np.asarray(items.factors / _noise(items, candidates)[:, None])


def _probabilities(tastes: Array, items: Items, candidates: Candidates, edges: Array) -> Array:
    """Of each class, (T, n, C)."""
    latent = items.level + tastes @ items.factors.T
    below = ndtr((candidates.likelihood.threshold(edges) - latent[:, :, None]) / _noise(items, candidates)[:, None])
    ends = np.zeros((*latent.shape, 1))
    return np.diff(np.concatenate([ends, below, ends + 1.0], axis=2), axis=2)


SHORTLIST = 200  # a pool holds draws × candidates × rating levels
_OWN = ("random", "bald", "epig")  # of the belief itself, in closed form


def _entry(general: PoolStrategy) -> Strategy:
    return Strategy(
        general.name,
        on_pool(general.score or _first_pick(general)),
        general.cost,
        general.source,
        general.unit,
        weighs_answerability=False,
        shortlist=SHORTLIST,
        pool=general,
        idea="Any model: a score each" if general.choose is None else "Any model: batches",
        status=general.status,
    )


def _first_pick(general: PoolStrategy) -> PoolScore:
    """1 for what a batch would start with, 0 for all else."""
    assert general.choose is not None

    @wraps(general.choose)
    def score(pool: Pool, *, rng: np.random.Generator) -> Array:
        scores = np.zeros(len(pool))
        scores[general.pick(pool, 1, rng=rng).items] = 1.0
        return scores

    return score


ENTRIES: tuple[Strategy, ...] = tuple(_entry(one) for name, one in POOL_STRATEGIES.items() if name not in _OWN)
