"""From belief to list: exact top-k, filters, diversity, and for each item how sure and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from palate.arrays import TINY, Array, Mask, Positions
from palate.errors import OptionError
from palate.errors.checks import count, flag, several, share
from palate.loop.ask_user import among
from palate.loop.memory import Memory
from palate.loop.reasons import companion_reason, pulls, reason
from palate.loop.state import UserState
from palate.model.model import Model
from palate.posteriors.statistics import augmented_moments

_SHORTLIST = 10  # times k, of which a diverse list is made


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One item of a list.

    Attributes:
        title: What it is called: its title, or the start of its text, or its id.
        score: Expected answer: a rating on the data's scale, or P(like), or (implicit) strength of preference.
        std: Standard deviation of that expectation, in the same unit: what more answers could still take away. The
            noise of a single answer is not in it.
        reason: Why it is here, in words.
    """

    item_id: str
    title: str
    score: float
    std: float
    reason: str


@dataclass(frozen=True, slots=True)
class Companion:
    """One item that comes with what a user did.

    Attributes:
        score: How likely it comes, as an unnormalised logarithm; only the order and differences mean something.
        reason: What it comes with, in words.
    """

    item_id: str
    title: str
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class Interest:
    """How much more, or less, than the average person a user likes a category.

    Attributes:
        mean: In units of the answers.
        low, high: Central 95 % interval.
        items: Items of the category.
    """

    category: str
    mean: float
    low: float
    high: float
    items: int


def expectations(model: Model, state: UserState) -> tuple[Array, Array]:
    """Expected answer of a user to every item and its standard deviation, (I,) each."""
    items = model.taste.items
    mean = items.level + state.belief.score(items.factors)
    moments = augmented_moments(state.belief.mean, state.belief.covariance)
    variance = state.belief.variance(items.factors) + items.spread.expected(moments)
    likelihood, of_answer = model.taste.likelihood, variance + items.noise
    # to first order: how far the expected answer moves with the mean
    expected, slope = (each(mean, of_answer, items.noise) for each in (likelihood.expected, likelihood.slope))
    return expected, slope * np.sqrt(variance)


@dataclass(frozen=True, slots=True)
class Filters:
    """What may be in a list.

    Attributes:
        exclude: Ids never to show. Ids the model does not hold are ignored: a list may outlive an item.
        allow: Ids that may be shown; all if None.
        category: Only items of this category.
        include_seen: Also what the user rated or told of.
    """

    exclude: Sequence[str] = ()
    allow: Sequence[str] | None = None
    category: str | None = None
    include_seen: bool = False

    def open_items(self, model: Model, state: UserState) -> Mask:
        """Which items that leaves, (I,).

        Raises:
            UnknownItem: If an allowed item or the category is not in the model.
        """
        catalogue = model.catalogue
        is_open = among(model, self.allow, "allow")
        if self.category is not None:
            inside = np.zeros(len(catalogue), dtype=bool)
            inside[catalogue.members(self.category)] = True
            is_open &= inside
        is_open[catalogue.positions([item for item in several(self.exclude, "exclude") if item in catalogue])] = False
        if not flag(self.include_seen, "include_seen"):
            is_open[list(state.asked)] = False
        return is_open


def recommend(
    memory: Memory,
    user_id: str,
    *,
    k: int = 10,
    filters: Filters = Filters(),
    min_certainty: float = 0.0,
    diversity: float = 0.0,
) -> list[Recommendation]:
    """The k items a user is expected to like most (:meth:`palate.Learner.recommend`)."""
    count(k, "k")
    for name, part in (("min_certainty", min_certainty), ("diversity", diversity)):
        share(part, name)
    model, state = memory.model, memory.state(user_id)
    score, std = expectations(model, state)
    open_items = filters.open_items(model, state)
    if min_certainty > 0.0:
        open_items &= _certainty(model, state) >= min_certainty
    positions = np.flatnonzero(open_items)
    wanted = min(k if diversity == 0.0 else _SHORTLIST * k, len(positions))
    shortlist = positions[_top(score[positions], wanted)]
    if diversity > 0.0 and len(shortlist):
        shortlist = _diverse(model, score, shortlist, k, diversity)
    pulled, catalogue = pulls(memory.view(user_id), state), model.catalogue
    return [
        Recommendation(
            catalogue.ids[item],
            catalogue.names[item],
            float(score[item]),
            float(std[item]),
            reason(model, state, pulled, item),
        )
        for item in shortlist.tolist()
    ]


def companions(
    memory: Memory,
    user_id: str,
    *,
    k: int = 10,
    filters: Filters = Filters(),
) -> list[Companion]:
    """The k items that others most likely met who met what a user did, from counts alone.

    For somebody of whom a few events are known and no answers it is ahead of :func:`recommend`, or level
    (docs/results.md); it holds no belief, so no question is asked by it. What the user did is what they liked: events
    meant well, and ratings from the scale's ``like`` up. Without any, what is popular. What anybody has come to like
    since the fit is counted too.

    Args:
        filters: What the user did is left out too, unless what they have seen is wanted.
    Raises:
        OptionError: If k is negative, or the model was fitted without companions.
        UnknownItem: If an allowed item or the category is not in the model.
    """
    count(k, "k")
    model, state = memory.model, memory.state(user_id)
    if model.companions is None:
        raise OptionError(
            "the model has counted no companions: 0 were fitted. Fit it with companions=True (--companions)."
        )
    met, company = _met(memory, user_id), memory.learnt.company
    counts = model.companions.since(met, company.people, company.pairs, len(model.catalogue))
    counted = len(counts.level)
    met = [item for item in met if item < counted]
    is_open = filters.open_items(model, state)[:counted]
    if not filters.include_seen:
        is_open[met] = False
    row = sparse.csr_array((np.ones(len(met)), ([0] * len(met), met)), shape=(1, counted))
    score, positions = counts.score(row)[0], np.flatnonzero(is_open)
    found = positions[_top(score[positions], min(k, len(positions)))]
    catalogue, shares = model.catalogue, counts.likeness[met].tocsc()
    reasons = [companion_reason(model, met, shares[:, [item]].toarray()[:, 0], item) for item in found.tolist()]
    return [
        Companion(catalogue.ids[item], catalogue.names[item], float(score[item]), reason)
        for item, reason in zip(found.tolist(), reasons, strict=True)
    ]


def _met(memory: Memory, user_id: str) -> list[int]:
    """Positions of what a user did and liked, each once."""
    state, history = memory.state(user_id), memory.history(user_id)
    rated = zip(state.rated, state.values, strict=True)
    liked = [item for item, value in rated if value >= memory.model.scale.like]
    done = [] if history is None else history.items[history.liking > 0].tolist()
    return list(dict.fromkeys([*liked, *done]))


def _certainty(model: Model, state: UserState) -> Array:
    """Share of the variance of ``w · z`` that the answers have resolved, (I,)."""
    factors = model.taste.items.factors
    before = model.taste.start.variance(factors)
    return 1.0 - state.belief.variance(factors) / np.maximum(before, TINY)


def _top(score: Array, k: int) -> Positions:
    """Positions of the k largest, largest first, equal ones in the order of the catalogue."""
    if k == 0:
        return np.zeros(0, dtype=np.intp)
    edge = np.partition(score, len(score) - k)[len(score) - k]
    candidates = np.flatnonzero(score >= edge)
    return candidates[np.argsort(-score[candidates], kind="stable")][:k]


def _diverse(model: Model, score: Array, shortlist: Positions, k: int, diversity: float) -> Positions:
    """Maximal marginal relevance: similarity is the cosine of factors and, where there is content, of encodings."""
    factors = _unit(model.taste.items.factors[shortlist])
    similarity = factors @ factors.T
    if model.catalogue.content is not None:
        content = _unit(model.catalogue.content[shortlist].astype(np.float64))
        similarity = (similarity + content @ content.T) / 2
    spread = float(np.ptp(score[shortlist])) or 1.0
    relevance = (score[shortlist] - score[shortlist].min()) / spread
    chosen: list[int] = []
    nearest = np.zeros(len(shortlist))
    for _ in range(min(k, len(shortlist))):
        marginal = (1.0 - diversity) * relevance - diversity * nearest
        marginal[chosen] = -np.inf
        chosen.append(int(marginal.argmax()))
        nearest = np.maximum(nearest, similarity[:, chosen[-1]])
    return shortlist[chosen]


def _unit(rows: Array) -> Array:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), TINY))


def profile(memory: Memory, user_id: str) -> list[Interest]:
    """Interest in each category against the average person, most first, with 95 % intervals."""
    model, belief = memory.model, memory.state(user_id).belief
    average = model.taste.start.mean
    interests = []
    for name, members in model.catalogue.categories.items():
        direction = model.taste.items.factors[members].mean(0)
        mean = float(direction @ (belief.mean - average))
        reach = 1.959964 * float(np.sqrt(max(direction @ belief.covariance @ direction, 0.0)))
        interests.append(Interest(name, mean, mean - reach, mean + reach, len(members)))
    return sorted(interests, key=lambda interest: -interest.mean)
