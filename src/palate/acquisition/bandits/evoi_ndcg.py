"""Ask what is expected to better the list that is shown most, by NDCG."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from palate.acquisition.bandits.slate import best_dcg, drawn_scores, gains
from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.targets import draw_tastes, slate_targets
from palate.acquisition.users import each_user
from palate.posteriors.taste import Belief

TASTES = 128
CONTENDERS = 64
_ANSWERS = 6  # equally likely answers a rating is rounded to; rounding loses information, so the value is a lower bound


@each_user
def evoi_ndcg(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Expected rise of the NDCG@10 of the best list, in [0, 1], (I,) or (n, I). O(T (D + J)) for T = 128, J = 64.

    .. math:: E_y\left[\max_\pi E[\mathrm{NDCG}(\pi) \mid y]\right] - \max_\pi E[\mathrm{NDCG}(\pi)]

    over T tastes drawn from the belief, each with its own ideal list, and lists of the 64 items that most often enter
    the slates of Thompson draws (:func:`palate.acquisition.targets.slate_targets`). The best list sorts the expected
    gains over their ideal. An answer weighs the drawn tastes by its likelihood; a rating counts by which of 6 equally
    likely ranges it falls in, so that the chances of the answers add to one and the value is never below zero.

    References:
        Järvelin, Kekäläinen, Cumulated gain-based evaluation of IR techniques, ACM TOIS 20(4), 2002 (NDCG); Boutilier,
        A POMDP formulation of preference elicitation problems, AAAI 2002 (the value of a question); Long et al., Active
        learning for ranking through expected loss optimization, SIGIR 2010 (DCG as that value).
    """
    entered = slate_targets(belief, candidates, rng=rng, draws=TASTES)
    shown = candidates.shown.take(np.argsort(-entered, kind="stable")[: min(CONTENDERS, np.count_nonzero(entered))])
    tastes = draw_tastes(belief, TASTES, rng=rng)
    gain = gains(drawn_scores(tastes, shown), candidates.likelihood.answer_noise(shown.answer_noise), candidates)
    share = gain / np.maximum(best_dcg(gain), _TINY)[:, None]  # of the ideal list, (T, J)
    chances = answer_chances(tastes, belief, candidates)  # (T, I, answers)
    joint = np.einsum("tia,tj->iaj", chances, share, optimize=True) / TASTES
    return np.asarray(np.maximum(best_dcg(joint).sum(1) - best_dcg(share.mean(0)), 0.0))


def answer_chances(tastes: Array, belief: Belief, candidates: Candidates) -> Array:
    """P(answer | taste), (T, I, answers), answers in ascending order and their chances adding to one."""
    items, noise = candidates.items, candidates.noise
    scores, unit = drawn_scores(tastes, items), np.sqrt(np.maximum(noise, _TINY))
    if candidates.likelihood.kind == "probit":
        yes = ndtr(scores / unit)
        return np.stack([1.0 - yes, yes], -1)
    spread = np.sqrt(np.maximum(belief.variance(items.factors), 0.0) + noise)
    edges = (items.level + belief.score(items.factors))[:, None] + spread[:, None] * ndtri(
        np.arange(1, _ANSWERS) / _ANSWERS
    )
    below = ndtr((edges - scores[:, :, None]) / unit[:, None])
    return np.diff(below, axis=-1, prepend=0.0, append=1.0)


_TINY = 1e-12
