"""What an answer does to the list: to the ten that are shown next, and to all that may be shown later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from palate.acquisition.belief.lookahead import lookahead
from palate.acquisition.candidates import Candidates
from palate.acquisition.per_user import for_each
from palate.acquisition.targets import SLATE
from palate.arrays import TINY, Array, Mask, Positions
from palate.errors import OptionError
from palate.posteriors.answerability import Answerability
from palate.posteriors.belief import Belief

CONTENDERS = 50  # items that may come onto the list: the best now
LATER = 0.5  # λ, chosen by ``benchmarks.list_questions`` on users held back inside the training part
_DISCOUNTS = 1.0 / np.log2(np.arange(2, SLATE + 2))


def list_value(belief: Belief, candidates: Candidates, *, rng: np.random.Generator) -> Array:
    r"""Ask what is expected to better the list that is shown most, now and later.

    .. math:: \frac{E_y[V(y)] - V}{V} + \lambda\,\overline{\rho^2_{ij}}, \qquad
              V = \sum_{r \le 10} \frac{u_{(r)}}{\log_2(r + 1)}, \quad
              u_j = P(\text{knows } j)\,P(\text{likes } j)

    Each item of the list is worth the chance that it is one the user meets and likes. The first part is by what share
    the list of the ten best is expected to gain at once. That is next to nothing where only later answers bring a
    question to bear, so the second is the share of what is not known of the 50 best items that it resolves: the mean
    squared correlation with the ratings of them, times P(can answer), plus that of whether the one is known with
    whether the others are. λ is 0.5. The score is (I,) or (n, I).

    There are three answers: "don't know it", with the chance 1 − P(can answer), and a rating above or below what is
    expected. "Don't know it" moves what the user is believed to know, a rating that and the taste. What is asked is not
    shown any more, so that an item counts for nothing in its own question. Of events there is no chance to like: there
    this is ``lookahead``.

    O(J (D + E)) for J = 50 items, D dimensions of taste and E of what people know, after one pass over the catalogue:
    for a shortlist, of what the user most likely knows.

    Example:
        >>> from palate.evaluation.bill import bill
        >>> print(bill("list-value"))
        asks first: Simple Noodle Soup, Northern Heist
        5 questions: 18 seconds, 2.7 answers
        list: 0.52 before, 0.61 after, 0.57 after as many at random
        error: 1.06 before, 0.86 after, 0.96 after as many at random

    References:
        The value of information for the next decision: Howard, Information value theory, IEEE Transactions on Systems
        Science and Cybernetics 2(1), 1966. Of a list: Boutilier, A POMDP formulation of preference elicitation
        problems, AAAI 2002; with the discounts of Järvelin, Kekäläinen, Cumulated gain-based evaluation of IR
        techniques, ACM TOIS 20(4), 2002. The second part is EPIG to first order, aimed at the list: Bickford Smith et
        al., Prediction-oriented Bayesian active learning, AISTATS 2023.
    """
    if candidates.likelihood.events_only:
        return lookahead(belief, candidates, rng=rng)
    return for_each(belief, candidates, _value)


def list_gain(belief: Belief, candidates: Candidates) -> Array:
    """Expected rise of the list's NDCG@10 by a question about each candidate, (I,) or (n, I).

    ``E V(after) − V``, over the V of ten items that are certainly met and liked. Below 0 by rounding, or where a chance
    that is cut off at its ends loses by it.

    Raises:
        OptionError: Of events, which have no chance to like.
    """
    if candidates.likelihood.events_only:
        raise OptionError("events have no chance to like, which a gain of the list is made of. Take lookahead.")

    def of_one(one: Belief, few: Candidates) -> Array:
        now, then = _values(one, few, _Shown.of(one, few))
        return np.asarray((then - now) / _DISCOUNTS.sum())

    return for_each(belief, candidates, of_one)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What may come onto the list of one user: the J best items now.

    Attributes:
        top: Their positions among ``shown``, (J,).
        likes: How far the expected answer lies above where liking begins, (J,).
        deviation: Of an answer, (J,).
        counts: Whether each counts for a candidate, which it does if it is another item, (M, J).
    """

    top: Positions
    likes: Array
    deviation: Array
    counts: Mask

    @classmethod
    def of(cls, belief: Belief, candidates: Candidates) -> _Shown:
        shown = candidates.shown
        likes = shown.level - candidates.like_cut + belief.score(shown.factors)
        deviation = np.sqrt(np.maximum(candidates.variance_of_shown(belief), TINY))
        worths = candidates.shown_known * ndtr(likes / deviation)
        open_ = np.ones(len(worths), dtype=bool)
        open_[candidates.given.rated()[0]] = False
        if not open_.any():
            open_[:] = True
        most = min(CONTENDERS, int(open_.sum()))
        top = np.argpartition(np.where(open_, -worths, np.inf), most - 1)[:most]
        return cls(top, likes[top], deviation[top], candidates.columns[:, None] != top)


def _value(belief: Belief, candidates: Candidates) -> Array:
    shown = _Shown.of(belief, candidates)
    now, then = _values(belief, candidates, shown)
    return then / np.maximum(now, TINY) - 1.0 + LATER * _resolved(belief, candidates, shown)


def _values(belief: Belief, candidates: Candidates, shown: _Shown) -> tuple[Array, Array]:
    """The value of the ten best now, and as expected after a question about each candidate, (M,) each."""
    liked_up, liked_down = _after_rating(belief, candidates, shown)
    known_yes, known_no = _after_asking(candidates, shown.top)
    liked, known = ndtr(shown.likes / shown.deviation), candidates.known
    now = value_of_list(np.where(shown.counts, candidates.shown_known[shown.top] * liked, 0.0))
    worths = np.where(shown.counts, np.stack([known_no * liked, known_yes * liked_up, known_yes * liked_down]), 0.0)
    then = value_of_list(worths)
    return now, np.asarray((1.0 - known) * then[0] + 0.5 * known * (then[1] + then[2]))


def _resolved(belief: Belief, candidates: Candidates, shown: _Shown) -> Array:
    """Mean squared correlation of an answer about each candidate with what is not known of the list's items, (M,)."""
    along = candidates.items.factors @ belief.covariance @ candidates.shown.factors[shown.top].T
    of_taste = np.square(along / shown.deviation) * candidates.gain(belief)[:, None]
    found = candidates.known[:, None] * of_taste + _resolved_of_known(candidates, shown.top)
    return np.asarray(np.where(shown.counts, found, 0.0).sum(1) / np.maximum(shown.counts.sum(1), 1))


def value_of_list(worths: Array) -> Array:
    """``Σ_r u_(r) / log2(r + 1)`` of the ten best, (..., J) to (...)."""
    k = min(SLATE, worths.shape[-1])
    best = np.partition(worths, worths.shape[-1] - k, axis=-1)[..., -k:]
    return np.asarray(np.sort(best, axis=-1)[..., ::-1] @ _DISCOUNTS[:k])


def _after_rating(belief: Belief, candidates: Candidates, shown: _Shown) -> tuple[Array, Array]:
    """P(like) of each contender after a rating above and below what is expected, (M, J) each."""
    along = candidates.items.factors @ belief.covariance @ candidates.shown.factors[shown.top].T
    gain = candidates.gain(belief)[:, None]  # 1 / variance of a rating: what it moves is what it takes off
    left = np.sqrt(np.maximum(np.square(shown.deviation) - np.square(along) * gain, TINY))
    step = along * np.sqrt(gain)
    return ndtr((shown.likes + step) / left), ndtr((shown.likes - step) / left)


def _after_asking(candidates: Candidates, top: Positions) -> tuple[Array, Array]:
    """P(knows) of each contender once a candidate was rated, and once it was not, (M, J) each."""
    answerability, exposure, asked = candidates.answerability, candidates.exposure, candidates.columns
    if answerability is None or exposure is None:
        same = np.broadcast_to(candidates.shown_known[top], (len(asked), len(top)))
        return same, same
    covariance, own = _covariance_of_known(answerability, exposure, asked, top)
    slope = covariance / own[:, None]
    score = answerability.rate[top] + answerability.loadings[top] @ exposure.mean
    expected = (answerability.rate[asked] + answerability.loadings[asked] @ exposure.mean)[:, None]
    floor = answerability.floor[top]
    yes, no = score + slope * (1.0 - expected), score - slope * expected
    return np.clip(yes, floor, 1.0), np.clip(no, floor, 1.0)


def _resolved_of_known(candidates: Candidates, top: Positions) -> Array | float:
    """Squared correlation of whether a candidate is known with whether each contender is, (M, J)."""
    answerability, exposure = candidates.answerability, candidates.exposure
    if answerability is None or exposure is None:
        return 0.0
    covariance, own = _covariance_of_known(answerability, exposure, candidates.columns, top)
    loadings = answerability.loadings[top]
    variance = np.einsum("je,ef,jf->j", loadings, exposure.covariance, loadings, optimize=True)
    return np.asarray(np.square(covariance) / (own[:, None] * (variance + answerability.noise[top])))


def _covariance_of_known(
    answerability: Answerability, exposure: Belief, asked: Positions, top: Positions
) -> tuple[Array, Array]:
    """Of whether each candidate is known with whether each contender is, (M, J), and its own variance, (M,)."""
    loadings = answerability.loadings
    spread = loadings[asked] @ exposure.covariance
    own = np.einsum("me,me->m", spread, loadings[asked]) + answerability.noise[asked]
    return spread @ loadings[top].T, own
