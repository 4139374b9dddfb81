"""Ask what, once known, is expected to better the order of the list most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palate.acquisition.bandits.slate import DISCOUNTS, best_dcg, contenders, drawn_scores, gains
from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.targets import SLATE, draw_tastes
from palate.acquisition.users import each_user
from palate.posteriors.taste import Belief

TASTES = 128


@each_user
def expected_loss_dcg(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Loss of DCG@10 for not knowing the item's gain g_i, in units of gain, (I,) or (n, I). O(T log J), J = 100.

    .. math:: E_{g_i}\left[\max_\pi \mathrm{DCG}(\pi; g_i, E[g_{-i}])\right] - \max_\pi E[\mathrm{DCG}(\pi)]

    over T = 128 tastes drawn from the belief. This is the source's choice of documents: the other items stay at their
    expected gains, so what the answer says of them is left out, which ``evoi-ndcg`` counts. The source's choice of
    queries is :func:`loss_of_user`.

    References:
        Long, Chapelle, Zhang, Chang, Zheng, Tseng, Active learning for ranking through expected loss optimization,
        SIGIR 2010.
    """
    shown = contenders(belief, candidates)
    tastes = draw_tastes(belief, TASTES, rng=rng)
    expected = _gains(tastes, candidates, shown).mean(0)
    own = gains(drawn_scores(tastes, candidates.items), candidates.noise, candidates)  # (T, I)
    return np.array([_loss(own[:, item], expected[shown != column]) for item, column in enumerate(candidates.columns)])


def loss_of_user(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> float:
    """``E[max_π DCG(π)] − max_π E[DCG(π)]``: what not knowing one user's taste costs the list, in units of gain.

    Whom to ask first, where the users compete for one budget ("queries" in Long et al. 2010).
    """
    tastes = draw_tastes(belief, TASTES, rng=rng)
    gain = _gains(tastes, candidates, contenders(belief, candidates))
    return max(float(best_dcg(gain).mean() - best_dcg(gain.mean(0))), 0.0)


def _gains(tastes: Array, candidates: Candidates, positions: NDArray[np.intp]) -> Array:
    shown = candidates.shown.take(positions)
    return gains(drawn_scores(tastes, shown), candidates.likelihood.answer_noise(shown.answer_noise), candidates)


def _loss(own: Array, others: Array) -> float:
    """Mean best DCG with the item at each of its gains (T,), less that with it at its mean gain."""
    ranked = -np.sort(-others)[:SLATE]
    ahead = np.concatenate([[0.0], np.cumsum(ranked * DISCOUNTS[: len(ranked)])])  # DCG of those before the item
    later = np.append(DISCOUNTS[1:], 0.0)[: len(ranked)] * ranked  # and of those it pushes down by one
    behind = np.append(np.cumsum(later[::-1])[::-1], 0.0)
    weights = np.append(DISCOUNTS, 0.0)

    def dcg(gain: Array) -> Array:
        rank = np.searchsorted(-ranked, -gain, side="left")
        return np.asarray(ahead[rank] + weights[rank] * gain + behind[rank])

    return max(float(dcg(own).mean() - dcg(own.mean(keepdims=True))[0]), 0.0)
