"""What an answer does to the list: to the ten that are shown now, and to all that may be shown soon."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from palate.acquisition.belief.lookahead import lookahead
from palate.acquisition.candidates import Candidates
from palate.acquisition.per_user import for_each
from palate.acquisition.targets import SLATE
from palate.arrays import TINY, Array, Positions
from palate.posteriors.belief import Belief

CONTENDERS = 50  # items that may come onto the list: the best now
_DISCOUNTS = 1.0 / np.log2(np.arange(2, SLATE + 2))


def list_value(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask what is expected to better the list that is shown most.

    .. math:: \frac{E_y[V(y)] - V}{\max_i} + \frac{\sum_j E_y[(u_j(y) - u_j)^2]}{\max_i}, \qquad
              u_j = P(\text{knows } j)\,P(\text{likes } j), \quad V = \sum_{r \le 10} \frac{u_{(r)}}{\log_2(r + 1)}

    Each item of the list is worth the chance that it is one the user meets and likes. What an answer is expected to add
    to the value V of the best ten, and by how much it is expected to move the 50 best items at all, each as a share of
    what the best question brings, (I,) or (n, I). The first part is the value of information for the list as it is
    shown next; alone it sees nothing in a question that only later ones bring to bear. The second is the fall of the
    variance of u, on which those build.

    There are three answers: "don't know it", with the chance 1 − P(can answer), and a rating above or below what is
    expected. "Don't know it" moves what the user is believed to know, a rating that and the taste. What is asked is not
    shown any more, so that an item counts for nothing in its own question. Of events there is no chance to like: there
    this is ``lookahead``.

    O(J (D + E)) for J = 50 items, D dimensions of taste and E of what people know, after one pass over the catalogue:
    for a shortlist, of what the user most likely knows.

    Example:
        >>> from palate.evaluation.bill import bill
        >>> print(bill("list-value"))
        asks first: Simple Murder, Lost Galaxy
        5 questions: 18 seconds, 2.2 answers
        list: 0.52 before, 0.61 after, 0.57 after as many at random
        error: 1.06 before, 0.88 after, 0.96 after as many at random

    References:
        The value of information for the next decision: Howard, Information value theory, IEEE Transactions on Systems
        Science and Cybernetics 2(1), 1966. Of a list: Boutilier, A POMDP formulation of preference elicitation
        problems, AAAI 2002; with the discounts of Järvelin, Kekäläinen, Cumulated gain-based evaluation of IR
        techniques, ACM TOIS 20(4), 2002.
    """
    if candidates.likelihood.events_only:
        return lookahead(belief, candidates, rng=rng)
    return for_each(belief, candidates, _of_one)


def _of_one(belief: Belief, candidates: Candidates) -> Array:
    likes, deviation = _likes(belief, candidates)
    now = candidates.shown_known * ndtr(likes / deviation)
    top = _contenders(now, candidates)
    liked_up, liked_down = _after_rating(belief, candidates, likes[top], deviation[top], top)
    known_yes, known_no = _after_asking(candidates, top)
    worths = np.stack([known_no * ndtr(likes[top] / deviation[top]), known_yes * liked_up, known_yes * liked_down])
    known = candidates.known
    chances = np.stack([1.0 - known, 0.5 * known, 0.5 * known])
    others = candidates.columns[:, None] != top
    before = np.where(others, now[top], 0.0)  # (M, J)
    worths = np.where(others, worths, 0.0)
    added = (chances * value_of_list(worths)).sum(0) - value_of_list(before)
    moved = (chances * np.square(worths - before).sum(-1)).sum(0)
    return _share(np.maximum(added, 0.0)) + _share(moved)


def value_of_list(worths: Array) -> Array:
    """``Σ_r u_(r) / log2(r + 1)`` of the ten best, (..., J) to (...)."""
    k = min(SLATE, worths.shape[-1])
    best = np.partition(worths, worths.shape[-1] - k, axis=-1)[..., -k:]
    return np.asarray(np.sort(best, axis=-1)[..., ::-1] @ _DISCOUNTS[:k])


def _likes(belief: Belief, candidates: Candidates) -> tuple[Array, Array]:
    """How far the expected answer about each shown item lies above where liking begins, and its deviation, (J,)."""
    shown = candidates.shown
    mean = shown.level - candidates.like_cut + belief.score(shown.factors)
    return mean, np.sqrt(np.maximum(candidates.variance_of_shown(belief), TINY))


def _contenders(worths: Array, candidates: Candidates) -> Positions:
    """Positions of the best of what may be shown, at most CONTENDERS."""
    open_ = np.ones(len(worths), dtype=bool)
    open_[candidates.given.rated()[0]] = False
    if not open_.any():
        open_[:] = True
    count = min(CONTENDERS, int(open_.sum()))
    return np.argpartition(np.where(open_, -worths, np.inf), count - 1)[:count]


def _after_rating(
    belief: Belief, candidates: Candidates, likes: Array, deviation: Array, top: Positions
) -> tuple[Array, Array]:
    """P(like) of each contender after a rating above and below what is expected, (M, J) each."""
    along = candidates.items.factors @ belief.covariance @ candidates.shown.factors[top].T
    gain = candidates.gain(belief)[:, None]  # 1 / variance of a rating: what it moves is what it takes off
    left = np.sqrt(np.maximum(np.square(deviation) - np.square(along) * gain, TINY))
    step = along * np.sqrt(gain)
    return ndtr((likes + step) / left), ndtr((likes - step) / left)


def _after_asking(candidates: Candidates, top: Positions) -> tuple[Array, Array]:
    """P(knows) of each contender once a candidate was rated, and once it was not, (M, J) each."""
    answerability, exposure, asked = candidates.answerability, candidates.exposure, candidates.columns
    if answerability is None or exposure is None:
        same = np.broadcast_to(candidates.shown_known[top], (len(asked), len(top)))
        return same, same
    loadings = answerability.loadings
    spread = loadings[asked] @ exposure.covariance
    own = np.einsum("me,me->m", spread, loadings[asked]) + answerability.noise[asked]
    slope = spread @ loadings[top].T / own[:, None]
    score = answerability.rate[top] + loadings[top] @ exposure.mean
    expected = (answerability.rate[asked] + loadings[asked] @ exposure.mean)[:, None]
    floor = answerability.floor[top]
    yes, no = score + slope * (1.0 - expected), score - slope * expected
    return np.clip(yes, floor, 1.0), np.clip(no, floor, 1.0)


def _share(values: Array) -> Array:
    """Of the largest; 0 where all are."""
    return np.asarray(values / max(float(values.max(initial=0.0)), TINY))
