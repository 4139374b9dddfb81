"""What a list is ordered by: what a user is likely to meet next, and to like.

    S_i = familiarity · M_i  +  log P(like i | known, answers)

``M`` is the logarithm, up to a constant, of how likely an item is met next. Of somebody who did something it is what
the experts make of it (:mod:`palate.ranking.list_model`). Of somebody of whom answers alone are known it is
``log P(know i | answers)``, so the list is P(know) · P(like) without a weight. Of somebody of whom nothing is known it
is popularity alone, of late where that tells more.

A model of events knows no liking apart from meeting: there ``S = M``, and familiarity weighs popularity within it.

Where what was done before may be in the list and people do things again (:mod:`palate.ranking.repeats`), each such item
has the score at which something new would be as likely next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.special import log_ndtr, logsumexp

from palate.arrays import Array, Positions
from palate.loop.company import met
from palate.loop.friends import met_by_friends_of
from palate.loop.memory import Memory
from palate.loop.source import Source
from palate.loop.state import UserState
from palate.model.model import Model
from palate.posteriors.answerability import known_chance
from palate.posteriors.belief import Belief
from palate.ranking.experts.content import NEW_ITEMS
from palate.ranking.histories import Histories, evidence
from palate.ranking.list_model import LEVELS
from palate.ranking.terms import Term
from palate.records import Event

Items = Positions | slice
EVERY = slice(None)
AGAINST, AGAIN = "turned down", "done before"
_NEVER = -50.0  # of what came back: nats


@dataclass(frozen=True, slots=True, eq=False)
class Again:
    """What a user may do again, against anything new.

    Attributes:
        items: Positions, ascending, (m,).
        days: On how many days they did each, (m,).
        odds: Of all of it together.
        new: The logarithm of the sum of exp M over what is new.
        line: Offset and slope of the logarithm of an item's odds by that of its share of the new.
    """

    items: Positions
    days: NDArray[np.intp]
    odds: float
    new: float
    line: tuple[float, float]

    def chances(self, scores: Array) -> Array:
        """That each of some scores is what comes next."""
        offset, slope = self.line
        return np.asarray(np.minimum(np.exp(offset + slope * (scores - self.new)) / (1.0 + self.odds), 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class ListScores:
    """What the list of one user is made of.

    Attributes:
        model: With the items as all answers have taught them.
        state: Of the user.
        history: Positions of what they met, oldest first, (n,).
        terms: What each expert says of it.
        known: Whether log P(know | answers) counts.
        is_fitted: Whether the user is in the fit.
        friends: What each of those whom the user follows met, as far as they allow that it counts.
        shift: By how much the content of what they answered moves what is expected of each item, (I,).
        again: What of the history may be done again; None where nothing may.
    """

    model: Model
    state: UserState
    history: Positions
    terms: tuple[Term, ...]
    known: bool
    is_fitted: bool
    shift: Array
    friends: tuple[Positions, ...] = ()
    again: Again | None = None

    def share_of(self, term: Term | None, familiarity: float) -> float:
        """By what a term of M is multiplied, or P(know) where there is none."""
        is_level = term is not None and term.name in LEVELS
        if self.model.list_model is not None and self.model.taste.likelihood.events_only:
            return familiarity if is_level and len(self.history) else 1.0
        return familiarity

    def met(self, familiarity: float = 1.0, items: Items = EVERY) -> Array:
        """M of all items, (I,), or of some, each of its parts times its share."""
        n_items = len(self.model.catalogue)
        total = np.zeros(n_items if isinstance(items, slice) else len(items))
        for term in self.terms:
            total += self.share_of(term, familiarity) * (
                term.dense(n_items) if isinstance(items, slice) else term.at(items)
            )
        if self.known:
            total += self.share_of(None, familiarity) * log_know(self.model, self.state.exposure, items)
        return total

    def total(self, familiarity: float = 1.0, items: Items = EVERY) -> Array:
        """S of all items, (I,), or of some: at familiarity 0 the order is that of P(like)."""
        met = self.met(familiarity, items)
        if not self.model.taste.likelihood.events_only:
            return met + log_like(self.model, self.state, items, self.shift[items])
        return met if self.model.list_model is not None else met + preference(self.model, self.state, items)

    def chances(self, scores: Array, total: float) -> Array:
        """That what the user takes up next, and likes, is each of some items.

        Args:
            scores: S of them at familiarity 1.
            total: The logarithm of the sum of exp S over all that is new to the user.
        """
        if self.again is not None:
            return self.again.chances(scores)
        shares = np.exp(np.minimum(scores - total, 0.0))
        if self.model.list_model is None:
            return shares
        n = len(self.history) or len(self.state.rated)
        return self.model.list_model.chance_of(shares, n, known=self.is_fitted)


def list_scores(memory: Memory, user_id: str, *, again: bool = False) -> ListScores:
    """Of a user.

    Args:
        again: Whether what they did may be in the list.
    """
    model, state = memory.model, memory.state(user_id)
    of = memory.source(user_id)
    history, is_fitted, n_items = met(model, of), of.row is not None, len(model.catalogue)
    friends = met_by_friends_of(memory, user_id)

    def made(terms: tuple[Term, ...], known: bool) -> ListScores:
        return ListScores(model, state, history, terms, known, is_fitted, content_shift(model, state), friends)

    lists = model.list_model
    if lists is None:
        return made((), True)
    if not len(history) and state.exposure.mean.any():
        of_friends = lists.of_friends(friends, lists.weight_of_friends, n_items)
        return made((*of_friends, *_against(model, state)), True)
    terms = lists.terms(history, known=is_fitted, since=memory.learnt.since, n_items=n_items, friends=friends)
    scores = made((*terms, *_of_new_items(model, history), *_against(model, state)), False)
    return _with_again(scores, of, memory.time) if again else scores


def _with_again(scores: ListScores, of: Source, time: float | None) -> ListScores:
    """With what may be done again, at a time or when the last was done."""
    model, found = scores.model, scores.model.list_model
    repeats = None if found is None else found.repeats
    if repeats is None or found is None or not len(scores.history):
        return scores
    strong = [one for one in of.seen if abs(one.liking or 0.0) * _documented(model, one) >= repeats.least]
    since = [one for one in strong if (one.liking or 0.0) > 0.0]
    times = np.array([np.nan if one.at is None else one.at for one in since], dtype=np.float64)
    today = max([repeats.until, *times[np.isfinite(times)].tolist()]) if time is None else time
    done = model.catalogue.positions([one.item_id for one in since])
    items, log_odds, days = repeats.log_odds(of.row, done, times, today)
    back = _came_back(scores, strong)
    kept = np.isin(items, scores.history) & ~np.isin(items, back)
    items, log_odds, days = items[kept], log_odds[kept], days[kept]
    if not len(items) and not len(back):
        return scores
    met = scores.met()
    is_new = np.ones(len(met), dtype=bool)
    is_new[items] = is_new[back] = False
    offset, slope = line = found.chances(len(scores.history), known=scores.is_fitted).line(len(scores.history))
    new = float(logsumexp(met[is_new])) if is_new.any() else 0.0
    again = Again(items, days, float(np.exp(log_odds).sum()), new, line)
    values = (again.new + (log_odds - offset) / slope - met[items]).astype(np.float32)
    places, last = np.concatenate([items, back]), np.full(len(back), _NEVER, np.float32)
    order = np.argsort(places)
    term = Term(AGAIN, 1.0, np.concatenate([values, last])[order], places=places[order])
    return replace(scores, terms=(*scores.terms, term), again=again)


def _documented(model: Model, event: Event) -> float:
    """Strength of an event before anything is learnt."""
    return model.vocabulary.words[event.kind].strength


def _came_back(scores: ListScores, since: Sequence[Event]) -> Positions:
    """Positions of what was turned down last, in the data or since, ascending, (m,)."""
    state, position = scores.state, scores.model.catalogue.position
    found = {item for item, value in zip(state.rated, state.values, strict=True) if value < 0.0}
    for event in since:
        (found.add if (event.liking or 0.0) < 0.0 else found.discard)(position(event.item_id))
    return np.array(sorted(found), dtype=np.intp)


def _against(model: Model, state: UserState) -> tuple[Term, ...]:
    """What events against items take from those like them, of a model that knows events only: a lift, none without."""
    values, rated = np.array(state.values), np.array(state.rated, dtype=np.intp)
    if not model.taste.likelihood.events_only or not (values < 0.0).any():
        return ()
    good = values > 0.0
    row = sparse.csr_matrix(
        (values[good], rated[good], np.array([0, good.sum()])), shape=(1, len(model.catalogue)), dtype=np.float64
    )
    without = model.taste.believe(row, state.start).of(0)
    found = model.taste.items
    said, plain = (evidence(found.level + belief.score(found.factors)) for belief in (state.belief, without))
    return (Term(AGAINST, 1.0, np.minimum(said - plain, np.float32(0.0))),)


def _of_new_items(model: Model, history: Positions) -> tuple[Term, ...]:
    """What the content of items that nobody has met says to somebody who met these."""
    expert = model.new_items
    if expert is None or not len(history) or not expert.is_new.any():
        return ()
    said = expert.evidence(Histories.of([history], len(model.catalogue)))[0]
    places = np.flatnonzero(expert.is_new)
    return (Term(NEW_ITEMS, 1.0, said[places], places=places),)


def content_shift(model: Model, state: UserState, items: Items = EVERY) -> Array:
    """By how much the content of what a user answered moves what is expected of every item, (I,), or of some."""
    part = model.content_part
    if part is None:
        return np.zeros(len(model.catalogue))[items]
    return part.shift(model.taste, state.start, state.belief, state.rated, state.values, state.noise, state.weights)[
        items
    ]


def log_know(model: Model, exposure: Belief, items: Items = EVERY) -> Array:
    """The logarithm of P(a user knows an item), of all, (I,), or of some."""
    return np.asarray(np.log(known_chance(model.answerability, exposure, items)))


def log_like(model: Model, state: UserState, items: Items, shift: Array) -> Array:
    """The logarithm of P(a user likes an item that they know), ``shift`` being what its content adds to its mean."""
    taste, belief = model.taste, state.belief
    factors = taste.items.factors[items]
    mean = taste.like_level(model.like_cut, items) + belief.score(factors) + shift
    return np.asarray(log_ndtr(mean / np.sqrt(belief.variance(factors) + taste.items.answer_noise[items])))


def preference(model: Model, state: UserState, items: Items = EVERY) -> Array:
    """How much a user prefers an item, of a model that knows events only."""
    found = model.taste.items
    return np.asarray(found.level[items] + state.belief.score(found.factors[items]))
