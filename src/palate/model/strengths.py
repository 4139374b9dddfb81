"""How much each kind of event counts, learnt from the data: one number a word.

Some events of a sample, of users and of the items they have most to do with, are held out. A small model is fitted on
the rest with every strength of a grid in turn, one word after the other, and the strength stays with which what is held
out is likeliest: that it was this item and no other that somebody is for, by a softmax of the scores over the sample;
and that they are for an item or against it, by a logistic of its score. Slopes and offset are fitted too, so that the
scale of the scores says nothing. An event held out counts by its documented strength: a purchase more than a view.

The strongest word for is the unit, 1: the weights of an event (:class:`palate.posteriors.likelihoods.Implicit`) are of
that one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logsumexp

from palate.arrays import Array, Mask
from palate.datasets.coding import Coded
from palate.posteriors.answers import Answers
from palate.posteriors.fit import fit
from palate.posteriors.items import Items
from palate.posteriors.likelihood import Likelihood
from palate.posteriors.sweeps import FitOptions
from palate.posteriors.taste import Taste
from palate.random import derive_rng
from palate.vocabulary import Vocabulary

GRID = (0.02, 0.1, 0.3, 1.0)
USERS, ITEMS = 1_000, 300  # of the sample: users by chance, items by their number of events
HELD_OUT = 0.25  # share of their events
LEAST = 30  # events for that are held out; fewer teach nothing
STEEPNESS = (-4.0, 4.0)  # logarithm of the least and the most
_OPTIONS = FitOptions(dim=8, sweeps=6)


def learn_strengths(coded: Coded, vocabulary: Vocabulary, likelihood: Likelihood, *, seed: int) -> Vocabulary:
    """The vocabulary with the strengths that the data teaches; a strength that was given stays.

    Where one word is used, or too little is held out, the documented strengths stay, in units of the strongest word for
    that is used.

    Args:
        coded: Events (:func:`palate.datasets.coding.code`).
        likelihood: Of events.
    """
    used = _used(coded, vocabulary)
    unit = next((name for name in used if vocabulary.word(name).sign > 0), "")
    found = _in_units(vocabulary, used, unit)
    free = [name for name in used if name != unit and not vocabulary.word(name).given]
    held = _HeldOut.draw(coded, vocabulary, derive_rng(seed, "strengths")) if free else None
    for name in free if held is not None else ():
        assert held is not None
        tried = [replace(found, learnt={**found.learnt, name: strength}) for strength in GRID]
        found = max(tried, key=lambda one: held.likely(one, likelihood, seed))
    return found


def _used(coded: Coded, vocabulary: Vocabulary) -> list[str]:
    """The words there are that say something, the strongest first, of equally strong ones the most frequent."""
    assert coded.words is not None
    counts = np.bincount(coded.words, minlength=len(coded.names))
    frequent = dict(zip(coded.names, counts.tolist(), strict=True))
    used = [name for name, count in frequent.items() if count and vocabulary.word(name).sign]
    return sorted(used, key=lambda name: (-vocabulary.word(name).strength, -frequent[name], name))


def _in_units(vocabulary: Vocabulary, used: list[str], unit: str) -> Vocabulary:
    """The documented strengths, those for in units of one of them; what is given stays."""
    top = 1.0 if not unit or vocabulary.word(unit).given else vocabulary.word(unit).strength
    words = {name: vocabulary.word(name) for name in used}
    learnt = {
        name: min(1.0, word.strength / (top if word.sign > 0 else 1.0))
        for name, word in words.items()
        if not word.given
    }
    return replace(vocabulary, learnt=learnt)


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """Events of a sample of U users and I items, some of them held out; users and items are positions in it.

    Attributes:
        left: The events that are not.
        out: Those that are, N.
        counts: How much each of them counts, (N,).
        met: Whether a user has an event with an item, held out or not, (U, I).
    """

    left: Coded
    out: Coded
    counts: Array
    met: Mask

    @classmethod
    def draw(cls, coded: Coded, vocabulary: Vocabulary, rng: np.random.Generator) -> _HeldOut | None:
        """None where too little can be held out."""
        items = _place(np.argsort(-np.bincount(coded.items), kind="stable")[:ITEMS], len(coded.item_ids))
        good = (coded.values > 0) & (items[coded.items] >= 0)
        several = np.flatnonzero(np.bincount(coded.users[good], minlength=len(coded.user_ids)) > 1)
        users = _place(np.sort(rng.permutation(several)[:USERS]), len(coded.user_ids))
        mine = (users[coded.users] >= 0) & (items[coded.items] >= 0)
        held = mine & (rng.random(len(mine)) < HELD_OUT)
        if (held & good).sum() < LEAST or not (mine & ~held & good).any():
            return None
        out, whole = _rows(coded, users, items, held), _rows(coded, users, items, mine)
        met = np.zeros((users.max() + 1, items.max() + 1), dtype=bool)
        met[whole.users, whole.items] = True
        return cls(_rows(coded, users, items, mine & ~held), out, np.abs(out.strengths(vocabulary)), met)

    def likely(self, vocabulary: Vocabulary, likelihood: Likelihood, seed: int) -> float:
        """Log probability of what is held out, in nats."""
        score = self._scores(vocabulary, likelihood, seed)
        own, good = score[self.out.users, self.out.items], self.out.values > 0
        others = np.where(self.met, -np.inf, score)
        return _chosen(own[good], self.out.users[good], others, self.counts[good]) + _for(own, good, self.counts)

    def _scores(self, vocabulary: Vocabulary, likelihood: Likelihood, seed: int) -> Array:
        """Expected answers by a fit to the rest, (U, I)."""
        left = Answers.build(self.left.users, self.left.items, self.left.strengths(vocabulary), self.met.shape)
        values, weights = likelihood.observed(left.values.data)
        rng = derive_rng(seed, "strengths", "fit")
        found = fit(Answers(left.matrix(values), weights), likelihood=likelihood, options=_OPTIONS, rng=rng)
        taste = Taste.build(Items.of_packed(found.factors, found.covariances, found.noise), likelihood)
        return taste.items.level + taste.believe(left.values).mean @ taste.items.factors.T


def _place(kept: NDArray[np.intp], size: int) -> NDArray[np.int32]:
    """Position among those kept, -1 of the others, (size,)."""
    place = np.full(size, -1, dtype=np.int32)
    place[kept] = np.arange(len(kept))
    return place


def _rows(coded: Coded, users: NDArray[np.int32], items: NDArray[np.int32], rows: Mask) -> Coded:
    assert coded.words is not None
    return replace(
        coded,
        users=users[coded.users[rows]],
        items=items[coded.items[rows]],
        values=coded.values[rows],
        timestamps=coded.timestamps[rows],
        words=coded.words[rows],
    )


def _chosen(own: Array, users: NDArray[np.int32], others: Array, counts: Array) -> float:
    """Log probability that it was these items, of the best slope: scores (N,), and those of others, (U, I)."""

    def cost(steepness: float) -> float:
        slope = np.exp(steepness)
        rest = logsumexp(slope * others, axis=1)[users]
        return float(counts @ (np.logaddexp(slope * own, rest) - slope * own))

    return -float(minimize_scalar(cost, bounds=STEEPNESS, method="bounded", options={"xatol": 0.05}).fun)


def _for(own: Array, good: Mask, counts: Array) -> float:
    """Log probability of being for or against, of the best slope and offset; 0 where all are one."""
    if good.all():
        return 0.0
    sign = np.where(good, 1.0, -1.0)

    def cost(parts: Array) -> tuple[float, Array]:
        margin = sign * (parts[0] + parts[1] * own)
        pull = -counts * sign * expit(-margin)
        return float(counts @ np.logaddexp(0.0, -margin)), np.array([pull.sum(), pull @ own])

    start, bounds = np.array([0.0, 1.0]), [(None, None), (0.0, np.exp(STEEPNESS[1]))]
    return -float(minimize(cost, start, jac=True, method="L-BFGS-B", bounds=bounds).fun)
