"""From belief to list: exact top-k, filters, diversity, and for each item how sure and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from scipy.special import logsumexp

from palate.arrays import TINY, Array, Mask, Positions
from palate.errors import OptionError
from palate.errors.checks import count, flag, number, one_of, several, share
from palate.loop.ask_user import among
from palate.loop.company import done
from palate.loop.explore import drawn, place_chances
from palate.loop.list_order import LARGE, best_items
from palate.loop.list_scores import EVERY, Items, ListScores, content_shift, list_scores
from palate.loop.memory import Memory
from palate.loop.reasons.of_list import reasons_for
from palate.loop.reasons.reason import LANGUAGES
from palate.loop.source import Source
from palate.loop.state import UserState
from palate.model.model import Model
from palate.posteriors.statistics import augmented_moments

_SHORTLIST = 10  # times k, of which a diverse list is made


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One item of a list.

    Attributes:
        title: What it is called: its title, or the start of its text, or its id.
        score: Expected answer: a rating on the data's scale, or P(like), or (implicit) strength of preference. It does
            not decide the order: much that would be rated high is never met.
        std: Standard deviation of that expectation, in the same unit: what more answers could still take away. The
            noise of a single answer is not in it.
        reason: Why it is here, in words.
        chance: That the next thing the user takes up, and likes, is this item, out of all that is new to them.
        propensity: Probability with which the item came to this place, given those above it: 1 where nothing was drawn.
    """

    item_id: str
    title: str
    score: float
    std: float
    reason: str
    chance: float
    propensity: float = 1.0


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


def expectations(model: Model, state: UserState, items: Items = EVERY) -> tuple[Array, Array]:
    """Expected answer of a user to every item, or some, and its standard deviation, (I,) each."""
    known, belief, likelihood = model.taste.items, state.belief, model.taste.likelihood
    factors, noise = known.factors[items], known.noise[items]
    spread = known.spread if isinstance(items, slice) else known.spread.take(items)
    mean = known.level[items] + belief.score(factors) + content_shift(model, state, items)
    moments = augmented_moments(belief.mean, belief.covariance)
    variance = belief.variance(factors) + spread.expected(moments)
    # to first order: how far the expected answer moves with the mean
    expected, slope = (each(mean, variance + noise, noise) for each in (likelihood.expected, likelihood.slope))
    return expected, slope * np.sqrt(variance)


class ListArguments(TypedDict, total=False):
    """What a list may be told (:meth:`palate.Learner.recommend`)."""

    exclude: Sequence[str]
    allow: Sequence[str] | None
    category: str | None
    include_seen: bool
    familiarity: float
    min_certainty: float
    diversity: float
    language: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What may be in a list, and how it is ordered.

    Attributes:
        exclude: Ids never to show. Ids the model does not hold are ignored: a list may outlive an item.
        allow: Ids that may be shown; all if None.
        category: Only items of this category.
        include_seen: Also what the user rated, told of or did: by how likely they do it again, where people do.
        familiarity: In [0, 1]: how much it counts that an item is likely to be met.
        min_certainty: In [0, 1]: only items of which at least this share of the prior variance is resolved.
        diversity: In [0, 1]: 0 ranks by the score alone, 1 by difference from what is above alone.
        language: Of the reasons: ``en`` or ``zh``.
    """

    exclude: Sequence[str] = ()
    allow: Sequence[str] | None = None
    category: str | None = None
    include_seen: bool = False
    familiarity: float = 1.0
    min_certainty: float = 0.0
    diversity: float = 0.0
    language: str = "en"

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Wish:
        """From options by name.

        Raises:
            OptionError: If a name is unknown.
        """
        return cls(
            **{one_of(name, ListArguments.__annotations__, "the option of a list"): given[name] for name in given}
        )

    def check(self) -> None:
        """Raises OptionError where a share is not in [0, 1], or no reason is said in the language."""
        flag(self.include_seen, "include_seen")
        one_of(self.language, LANGUAGES, "language")
        for name in ("familiarity", "min_certainty", "diversity"):
            share(getattr(self, name), name)

    def open_items(self, scores: ListScores, is_new: Mask) -> Mask:
        """Which items may be shown, (I,).

        Args:
            is_new: Which are new to the user, (I,).
        Raises:
            UnknownItem: If an allowed item or the category is not in the model.
        """
        model, catalogue, left_out = scores.model, scores.model.catalogue, several(self.exclude, "exclude")
        if self.allow is None and self.category is None and not (left_out or self.include_seen or self.min_certainty):
            return among(model, None) & is_new if len(model.out_of_lists) else is_new
        is_open = among(model, self.allow, "allow")
        if self.category is not None:
            inside = np.zeros(len(catalogue), dtype=bool)
            inside[catalogue.members(self.category)] = True
            is_open &= inside
        is_open[catalogue.known_positions(left_out)] = False
        if not self.include_seen:
            is_open &= is_new
        if self.min_certainty > 0.0:
            is_open &= _certainty(model, scores.state) >= self.min_certainty
        return is_open


def recommend(
    memory: Memory,
    user_id: str,
    wish: Wish = Wish(),
    *,
    k: int = 10,
    explore: float = 0.0,
    rng: np.random.Generator | None = None,
) -> list[Recommendation]:
    """The k items a user is likeliest to take up next and to like (:meth:`palate.Learner.recommend`)."""
    count(k, "k")
    wish.check()
    temperature = temperature_of(explore, wish)
    scores = list_scores(memory, user_id, again=wish.include_seen)
    model, state, catalogue = scores.model, scores.state, scores.model.catalogue
    is_open, is_next = on_offer(memory.source(user_id), scores, wish)
    wanted = k if wish.diversity == 0.0 else _SHORTLIST * k
    propensities = np.ones(wanted)
    if temperature > 0.0:
        assert rng is not None, "a list is drawn with a generator"
        shown, propensities, log_total = _drawn(scores, k, wish.familiarity, is_open, is_next, temperature, rng)
    else:
        found = best_items(scores, wanted, familiarity=wish.familiarity, is_open=is_open, is_new=is_next)
        shown, values, log_total = found
    if wish.diversity > 0.0 and len(shown):
        shown = _diverse(model, values, shown, k, wish.diversity)
    of = EVERY if len(catalogue) < LARGE else shown
    expected, std = expectations(model, state, of)
    chances = scores.chances(scores.total(items=shown), log_total)
    reasons = reasons_for(memory, user_id, scores, shown, familiarity=wish.familiarity)
    return [
        Recommendation(
            catalogue.ids[item],
            catalogue.names[item],
            float(expected[at]),
            float(std[at]),
            reason.text(wish.language),
            float(chances[place]),
            float(propensities[place]),
        )
        for place, (item, reason) in enumerate(zip(shown.tolist(), reasons, strict=True))
        for at in (item if of is EVERY else place,)
    ]


def temperature_of(explore: object, wish: Wish) -> float:
    """The temperature of a list that is drawn; 0 where none is.

    Raises:
        OptionError: If it is no finite number from 0, or the list is to be diverse: then no place has a probability
            that is known.
    """
    found = number(explore, "explore", least=0.0)
    if found and wish.diversity:
        raise OptionError(f"explore is {found:g} and diversity {wish.diversity:g}. Give one of them.")
    return found


def on_offer(of: Source, scores: ListScores, wish: Wish) -> tuple[Mask, Mask]:
    """Which items may be in a user's list, and which of all are next for them, (I,) each."""
    is_new = np.ones(len(scores.model.catalogue), dtype=bool)
    is_new[list(scores.state.asked)] = is_new[done(of)] = False
    is_open = wish.open_items(scores, is_new)
    return is_open, np.ones_like(is_new) if wish.include_seen else is_new


def _drawn(
    scores: ListScores,
    k: int,
    familiarity: float,
    is_open: Mask,
    is_next: Mask,
    temperature: float,
    rng: np.random.Generator,
) -> tuple[Positions, Array, float]:
    """Positions of the items of a list that is drawn, their probabilities, and what :func:`best_items` gives last."""
    items, total = np.flatnonzero(is_open), scores.total(familiarity)
    places = drawn(total[items], k, temperature=temperature, rng=rng)
    natural = total if familiarity == 1.0 else scores.total()
    log_total = float(logsumexp(natural[is_next])) if is_next.any() else 0.0
    return items[places], place_chances(total[items], places, temperature=temperature), log_total


def _certainty(model: Model, state: UserState) -> Array:
    """Share of the variance of ``w · z`` that the answers have resolved, (I,)."""
    factors = model.taste.items.factors
    before = model.taste.start.variance(factors)
    return 1.0 - state.belief.variance(factors) / np.maximum(before, TINY)


def _diverse(model: Model, score: Array, shortlist: Positions, k: int, diversity: float) -> Positions:
    """Maximal marginal relevance (Carbonell, Goldstein, SIGIR 1998).

    Similarity is the cosine of factors and, where there is content, of encodings.
    """
    factors = _unit(model.taste.items.factors[shortlist])
    similarity = factors @ factors.T
    if model.catalogue.content is not None:
        content = _unit(model.catalogue.content[shortlist].astype(np.float64))
        similarity = (similarity + content @ content.T) / 2
    relevance = (score - score.min()) / (float(np.ptp(score)) or 1.0)
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
