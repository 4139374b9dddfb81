"""Questions of several forms to new users, by the seconds they take: one play of a world, all users side by side.

Every answer is made of real ratings, of the half of the catalogue that can be asked. What a user has not rated is not
known to them, a preview of it included: what somebody would have said of it nobody knows, so a preview can look worse
here than it is, never better. Somebody with fewer than two ratings in a category has no view of it, and of two equal
ratings neither is preferred. What the questions cost is the clock of :class:`palate.costs.Seconds`. A page
is gone through item by item: what was rated by the end of the time counts, and nothing below it. What is named, picked
or clicked is as :class:`palate.oracles.Simulated` says.

Quality is that of a user's own test ratings, and of the list out of the whole catalogue that they would be shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from palate.acquisition.questions.context import Offers
from palate.acquisition.questions.forms import best_offer, offers
from palate.arrays import Array, Mask, Positions
from palate.costs import Seconds
from palate.entities import Form
from palate.errors import OptionError
from palate.evaluation.judge import Judge
from palate.evaluation.shown_list import ListJudge
from palate.evaluation.talk import Hearing, Talk
from palate.evaluation.world import World
from palate.loop.hear_choices import MOST_NAMINGS
from palate.model.model import Model
from palate.oracles.naming import Naming
from palate.posteriors.belief import Belief

_ROUNDING = 1e-9  # of sums of seconds


@dataclass(frozen=True, slots=True)
class Timed:
    """What is known of each of n users after each of their questions.

    Attributes:
        clock: Seconds spent, (n, rounds + 1), at each answer; it stands still once no question fits into the budget.
            Or the times at which quality was judged, (n, times).
        sums: By metric, summed over the user's test ratings, or its one list, (n, rounds + 1).
        weights: By metric, what to divide by, (n,).
        asked: Questions of each form, (n, forms); a page is one.
        answered: Those that told something of taste, (n, forms); of a page each rating.
        forms: Their order.
    """

    clock: Array
    sums: dict[str, Array]
    weights: dict[str, Array]
    asked: Array
    answered: Array
    forms: tuple[Form, ...]

    def at(self, seconds: Sequence[float]) -> dict[str, Array]:
        """By metric, the sums of each user at the last answer that ended by then, (n, len(seconds))."""
        done = np.stack([(self.clock <= limit + _ROUNDING).sum(1) - 1 for limit in seconds], 1)
        return {name: np.take_along_axis(values, done, 1) for name, values in self.sums.items()}


def play_kinds(
    world: World,
    forms: Sequence[Form],
    *,
    seconds: Seconds,
    budget: float,
    naming: Naming = Naming.FAVOURITE,
    most_namings: int = MOST_NAMINGS,
    stages: Sequence[float] | None = None,
    rng: np.random.Generator,
) -> Timed:
    """Ask each user for so many seconds, each question the one worth most per second of those that still fit.

    To name one comes first, where that is among the forms, as it does in :meth:`palate.Learner.ask`.

    Args:
        naming: What comes to the mind of somebody who is asked to name one.
        most_namings: How often each is asked to at most.
        stages: Seconds after which quality is judged; after every answer if None, which takes longer.
    Raises:
        OptionError: If the sides of the world are exchanged: people are asked, not items.
    """
    rng_of_names = naming if Form.RECALL in forms else None
    talk = Talk.begin(world, _model_of(world), rng, naming=rng_of_names, most_namings=most_namings)
    clock = _Clock.begin(talk, tuple(forms), seconds, budget)
    record = _Record.begin(clock, stages)
    while clock.ask(rng) | clock.turn():
        record.add()
    return record.timed()


def play_rounds(
    world: World,
    forms: Sequence[Form],
    *,
    seconds: Seconds,
    naming: Naming = Naming.FAVOURITE,
    hear: Hearing | None = None,
    rng: np.random.Generator,
) -> Timed:
    """Ask everybody one question of each of these forms, in this order, however long it takes.

    Args:
        forms: A slate, which nobody asks, is the list that each would be shown, of what they were not shown before.
        hear: How answers are heard; as they are if None. For comparing two ways to hear the same.
    """
    namings = sum(form is Form.RECALL for form in forms)
    talk = Talk.begin(world, _model_of(world), rng, naming=naming if namings else None, most_namings=namings)
    talk.hear = dict(hear or {})
    clock = _Clock.begin(talk, tuple(dict.fromkeys(forms)), seconds, np.inf)
    record = _Record.begin(clock, None)
    for form in forms:
        clock.put(form, rng)
        while clock.turn():
            pass
        record.add()
    return record.timed()


def _model_of(world: World) -> Model:
    if world.learner is None:
        raise OptionError("the kinds of question are for new users, this world has new items. Give users_world.")
    return world.learner.model


@dataclass(slots=True)
class _Record:
    """What is known after each question, or at some times, as it goes on."""

    clock: _Clock
    judges: tuple[Judge, ListJudge]
    clocks: list[Array]
    rows: list[dict[str, Array]]
    stages: Sequence[float] | None
    there: list[_Known]  # what is known at each of the stages

    @classmethod
    def begin(cls, clock: _Clock, stages: Sequence[float] | None) -> _Record:
        world, known = clock.talk.world, _Known.of(clock.talk)
        judges = Judge(world.taste, world.held_out, world.scale), ListJudge(world)
        record = cls(clock, judges, [], [], stages, [known for _ in stages or ()])
        record.add()
        return record

    def add(self) -> None:
        known = _Known.of(self.clock.talk)
        if self.stages is None:
            self._judge(known, self.clock.spent.copy())
            return
        for place, stage in enumerate(self.stages):
            self.there[place] = known.where(self.clock.spent <= stage + _ROUNDING, self.there[place])

    def _judge(self, known: _Known, clock: Array) -> None:
        self.clocks.append(clock)
        self.rows.append(self.judges[0](known.belief) | self.judges[1](known.belief, known.exposure))

    def timed(self) -> Timed:
        for known, stage in zip(self.there, self.stages or (), strict=True):
            self._judge(known, np.full(len(self.clock.spent), float(stage)))
        sums = {name: np.stack([row[name] for row in self.rows], 1) for name in self.rows[0]}
        weights = self.judges[0].weights | self.judges[1].weights
        clock = self.clock
        return Timed(np.stack(self.clocks, 1), sums, weights, clock.asked, clock.answered, clock.forms)


@dataclass(frozen=True, slots=True)
class _Known:
    """Of n users at one time."""

    belief: Belief
    exposure: Belief

    @classmethod
    def of(cls, talk: Talk) -> _Known:
        return cls(talk.belief, talk.exposure)

    def where(self, here: Mask, other: _Known) -> _Known:
        """This of some, (n,), and the other of the rest."""
        if here.all():
            return self
        return _Known(self.belief.where(here, other.belief), self.exposure.where(here, other.exposure))


@dataclass(slots=True)
class _Clock:
    """What each of n users was asked, and the time it took; changed by every answer."""

    talk: Talk
    forms: tuple[Form, ...]
    seconds: Seconds
    budget: float
    spent: Array
    asked: Array
    answered: Array

    @classmethod
    def begin(cls, talk: Talk, forms: tuple[Form, ...], seconds: Seconds, budget: float) -> _Clock:
        n = len(talk.allowed)
        return cls(talk, forms, seconds, budget, np.zeros(n), *np.zeros((2, n, len(forms))))

    def ask(self, rng: np.random.Generator) -> bool:
        """Put to everybody who has no page before them the best question that fits; whether any does."""
        rows = np.flatnonzero((self.talk.pages[:, 0] < 0) & (self.spent < self.budget))
        if not len(rows):
            return False
        found = offers(self.talk.setting(self.seconds, rows), self.forms, rng=rng)
        fits = np.stack([self.spent[rows] + self._least(offer) <= self.budget for offer in found], 1)
        if Form.RECALL in self.forms:
            place, may = self.forms.index(Form.RECALL), self.talk.namings[rows] > 0
            fits[:, place] &= may
            fits &= ~fits[:, [place]] | (np.arange(len(self.forms)) == place)
        chosen = best_offer(found, open_to=fits)
        for place, offer in enumerate(found):
            here = chosen == place
            self._put(place, rows[here], offer.items[here], offer.concept[here])
        return bool((chosen >= 0).any())

    def put(self, form: Form, rng: np.random.Generator) -> None:
        """Put a question of one form to everybody of whom one can be asked."""
        rows, place = np.arange(len(self.spent)), self.forms.index(form)
        if form is Form.SLATE:
            self._put(place, rows, self.talk.slate(), np.full(len(rows), -1))
            return
        (offer,) = offers(self.talk.setting(self.seconds, rows), (form,), rng=rng)
        here = np.isfinite(offer.value)
        if form is Form.RECALL:
            here &= self.talk.namings > 0
        self._put(place, rows[here], offer.items[here], offer.concept[here])

    def _least(self, offer: Offers) -> Array:
        """Seconds that there must be for a question to be asked, (n,): of a page, those of its first rating."""
        of_page = np.full_like(offer.seconds, self.seconds.look + self.seconds.tap)
        return of_page if offer.form is Form.PAGE else offer.seconds

    def _put(self, place: int, rows: Positions, items: Positions, concepts: Positions) -> None:
        form, sizes = self.forms[place], (items >= 0).sum(1)
        told, taps = self.talk.ask(form, rows, items, concepts)
        self.asked[rows, place] += 1
        self.answered[rows, place] += told
        if form is not Form.PAGE:
            taken = [self.seconds.of(form, size, tap) for size, tap in zip(sizes, taps, strict=True)]
            self.spent[rows] += np.array(taken)

    def turn(self) -> bool:
        """Everybody with a page before them and time comes to its next item; whether anybody does."""
        rows = np.flatnonzero((self.talk.pages[:, 0] >= 0) & (self.spent < self.budget))
        if len(rows):
            told, ended = self.talk.turn(rows)
            self.answered[rows, self.forms.index(Form.PAGE)] += told
            self.spent[rows] += self.seconds.look + self.seconds.tap * (told.astype(np.float64) + ended)
        return len(rows) > 0
