"""Questions whose answer is a choice: name one out of everything, or pick the best of a few that are shown."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from palate.acquisition.draw import best
from palate.acquisition.questions.context import Offers, QuestionContext, nothing, top
from palate.arrays import Array, Mask, Positions
from palate.entities import Form
from palate.posteriors.choices import Options, expected_fall, sharpness_of

LARGEST_PICK = 4  # items
PICK_SHORTLIST = 24  # items, the best when asked alone, of which the best pair is found and added to


def recall(setting: QuestionContext, *, rng: np.random.Generator) -> Offers:
    """To name one that is liked, out of everything. It is about no item, so there is nothing to draw."""
    if setting.recall is None or not len(setting.candidates):
        return nothing(setting, Form.RECALL)
    gain, after = expected_fall(setting.belief, setting.recall, setting.moment)
    n = len(gain)
    nobody, one = np.full(n, -1), np.ones(n)
    seconds = np.full(n, setting.seconds.of(Form.RECALL))
    return Offers(Form.RECALL, nobody[:, None], nobody, gain, one, seconds, one, after)


def pick(setting: QuestionContext, *, rng: np.random.Generator) -> Offers:
    """The few items worth most when the best of them is picked: the best pair, and more while their seconds pay.

    Who knows fewer than two of them has nothing to pick from.
    """
    candidates, n = setting.candidates, len(setting.allowed)
    alone = setting.fall * setting.of_rating * candidates.reach
    columns = top(np.where(setting.allowed, alone, -np.inf), PICK_SHORTLIST)
    if columns.shape[1] < 2:
        return nothing(setting, Form.PICK)
    sets = _Sets.of(setting, columns)
    pairs = np.stack(np.triu_indices(columns.shape[1], 1), 1)
    picks, gain, equal = _best(sets, np.broadcast_to(pairs, (n, *pairs.shape)), rng)
    chosen, growing, propensity = pairs[np.maximum(picks, 0)], picks >= 0, 1.0 / np.maximum(equal, 1)
    places = np.where(growing[:, None], chosen, -1)
    for size in range(2, min(LARGEST_PICK, columns.shape[1])):
        wider = _each_added(chosen, columns.shape[1])
        picks, more, equal = _best(sets, wider, rng)
        pays = more / setting.seconds.pick(size + 1) > gain / setting.seconds.pick(size)
        growing = growing & (picks >= 0) & pays
        chosen = np.take_along_axis(wider, np.maximum(picks, 0)[:, None, None], 1)[:, 0]
        places = np.concatenate([places, np.where(growing, chosen[:, -1], -1)[:, None]], 1)
        gain = np.where(growing, more, gain)
        propensity = np.where(growing, propensity / np.maximum(equal, 1), propensity)
    return _offer(setting, sets, places, gain, propensity)


@dataclass(frozen=True, slots=True)
class _Sets:
    """m items of each of n users, of which sets are made.

    Attributes:
        columns: Their positions, (n, m).
        score: ``β u`` of each at the mean, (n, m).
        inside: ``β² W S Wᵀ``, (n, m, m).
        fall: ``β² W S Q S Wᵀ``, (n, m, m).
        known, worth: Of each, (n, m).
        is_open: (n, m).
    """

    columns: Positions
    score: Array
    inside: Array
    fall: Array
    known: Array
    worth: Array
    is_open: Mask

    @classmethod
    def of(cls, setting: QuestionContext, columns: Positions) -> _Sets:
        candidates, users = setting.candidates, np.arange(len(columns))[:, None]
        sharp = sharpness_of(candidates.items, candidates.likelihood)
        slopes = sharp * candidates.items.factors[columns]
        turned = np.swapaxes(slopes, 1, 2)
        return cls(
            columns,
            sharp * candidates.items.level[columns] + np.einsum("nd,nmd->nm", setting.belief.mean, slopes),
            slopes @ setting.belief.covariance @ turned,
            slopes @ setting.moved @ turned,
            candidates.known[users, columns],
            setting.worth[users, columns],
            np.take_along_axis(setting.allowed, columns, 1),
        )

    def gain(self, sets: Positions) -> Array:
        r"""Expected fall of the uncertainty of c sets of s places for each user, (n, c, s) to (n, c).

        With M the covariance of what is picked and K, G of the items in the set as above, it is the chance of an answer
        times :math:`\operatorname{tr}(M (I + K M)^{-1} G)`.
        """
        users = np.arange(len(sets))[:, None, None]
        score = self.score[users, sets]
        shares = np.exp(score - score.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        spread = shares[..., None] * np.eye(sets.shape[-1]) - shares[..., :, None] * shares[..., None, :]
        users, rows, across = users[..., None], sets[..., :, None], sets[..., None, :]
        inside, fall = self.inside[users, rows, across], self.fall[users, rows, across]
        told = np.linalg.solve(np.eye(sets.shape[-1]) + inside @ spread, fall)
        worth = self.worth[users[..., 0], sets].mean(-1)
        return np.asarray(np.einsum("ncst,ncts->nc", spread, told) * self.chance(sets) * worth)

    def chance(self, sets: Positions) -> Array:
        """P(at least two of a set are known), one apart from the other, (n, c)."""
        known = self.known[np.arange(len(sets))[:, None, None], sets]
        unknown = 1.0 - known
        others = [np.delete(unknown, place, axis=-1).prod(-1) for place in range(sets.shape[-1])]
        just_one = sum(known[..., place] * rest for place, rest in enumerate(others))
        return np.asarray(np.clip(1.0 - unknown.prod(-1) - just_one, 0.0, 1.0))

    def may(self, sets: Positions) -> Mask:
        """Which consist of different items that may be asked, (n, c)."""
        ordered = np.sort(sets, -1)
        different = (np.diff(ordered, axis=-1) > 0).all(-1)
        return np.asarray(different & self.is_open[np.arange(len(sets))[:, None, None], sets].all(-1))


def _best(sets: _Sets, among: Positions, rng: np.random.Generator) -> tuple[Positions, Array, Positions]:
    """The best of c sets of each user, -1 where none may be asked, its gain, and how many are equal, (n,) each."""
    gain = sets.gain(among)
    picks, equal = best(gain, sets.may(among), rng=rng)
    found = np.take_along_axis(gain, np.maximum(picks, 0)[:, None], 1)[:, 0]
    return picks, np.where(picks >= 0, found, -np.inf), equal


def _each_added(chosen: Positions, m: int) -> Positions:
    """A set of each user with each of the m places more, (n, s) to (n, m, s + 1)."""
    before = np.broadcast_to(chosen[:, None, :], (len(chosen), m, chosen.shape[1]))
    added = np.broadcast_to(np.arange(m)[None, :, None], (len(chosen), m, 1))
    return np.concatenate([before, added], -1)


def _offer(setting: QuestionContext, sets: _Sets, places: Positions, gain: Array, propensity: Array) -> Offers:
    there = places >= 0
    items = np.where(there, np.take_along_axis(sets.columns, np.maximum(places, 0), 1), -1)
    sharp = sharpness_of(setting.candidates.items, setting.candidates.likelihood)
    known = np.where(there, np.take_along_axis(sets.known, np.maximum(places, 0), 1), 0.0)
    scores = np.where(there, sharp * setting.candidates.items.level[items], -np.inf)
    scores[:, 0] = np.where(there[:, 0], scores[:, 0], 0.0)  # of nothing at all there is no softmax
    options = Options(np.where(there[..., None], sharp * setting.candidates.items.factors[items], 0.0), scores)
    return Offers(
        Form.PICK,
        items,
        np.full(len(items), -1),
        gain,
        replace(sets, known=known).chance(
            np.broadcast_to(np.arange(places.shape[1]), (len(items), 1, places.shape[1]))
        )[:, 0],
        setting.seconds.look * there.sum(1) + setting.seconds.tap,
        propensity,
        expected_fall(setting.belief, options, setting.moment)[1],
    )
