"""Ask what, with the best question after it, is expected to better the best item most."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from palate.acquisition.bandits.evoi import value_of_answers
from palate.acquisition.bandits.slate import contenders
from palate.acquisition.candidates import Array, Candidates
from palate.acquisition.users import each_user
from palate.posteriors.taste import Belief, Items

SHORTLIST = 12
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(5)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@each_user
def evoi_lookahead(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Value of two questions, the second chosen by the answer to the first, in units of the answers, (I,) or (n, I).

    .. math:: E_y\left[\max_{l \ne i} E_{y'}\left[\max_j E[u_j \mid y, y']\right]\right] - \max_j E[u_j]

    Expectimax by a tree of depth 2 over the candidates themselves, so behind a short shortlist: O(M² D J)
    for M candidates and J = 100 items. The first answer, if a rating, is taken at 5 Gauss-Hermite nodes, the second
    exactly. The source searches deeper with Monte Carlo tree search.

    References:
        Martin, Boutilier, Meshi, Sandholm, Model-free preference elicitation, IJCAI 2024 (multi-step questions).
    """
    shown = candidates.shown.take(contenders(belief, candidates))
    now = (shown.level + belief.score(shown.factors)).max()
    best = [_best_after(belief, candidates, item, shown) for item in range(len(candidates))]
    return np.asarray(np.maximum(np.array(best) - now, 0.0))


def _best_after(belief: Belief, candidates: Candidates, item: int, shown: Items) -> float:
    """Expected best item after this question and the best one that follows."""
    others = candidates.take(np.delete(np.arange(len(candidates)), item))
    total = 0.0
    for chance, after in _outcomes(belief, candidates, item):
        following = value_of_answers(after, others, shown).max(initial=0.0)
        total += chance * float((shown.level + after.score(shown.factors)).max() + following)
    return total


def _outcomes(belief: Belief, candidates: Candidates, item: int) -> list[tuple[float, Belief]]:
    """The answers to one question: the chance of each and the belief after it."""
    factors, level = candidates.items.factors[item], candidates.items.level[item]
    noise = candidates.noise[item]
    spread = np.sqrt(max(float(factors @ belief.covariance @ factors), 0.0) + noise)
    if candidates.likelihood.kind != "probit":
        return [
            (float(weight), belief.update(factors, node * spread, noise))
            for node, weight in zip(_NODES, _WEIGHTS, strict=True)
        ]
    yes = float(ndtr((level + factors @ belief.mean) / spread))
    chances = ((1.0, yes), (0.0, 1.0 - yes))
    return [(chance, belief.update_probit(factors, level, np.array(liked), noise)) for liked, chance in chances]
