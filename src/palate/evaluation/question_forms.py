"""Questions of several forms to new users, by the seconds they take: one play of a world, all users side by side.

Every answer is made of real ratings, of the answerable half only. An item of which a user has no such rating is not
known to them, a preview of it included: what somebody would have said of it nobody knows, so a preview can look worse
here than it is, never better. Somebody with fewer than two ratings in a category has no view of it, and of two equal
ratings neither is preferred. What the questions cost is the clock of :class:`palate.costs.Seconds`. A page
is gone through item by item: what was rated by the end of the time counts, and nothing below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palate.acquisition import Given
from palate.acquisition.questions.context import Offers, QuestionContext
from palate.acquisition.questions.forms import best_offer, offers
from palate.acquisition.questions.groups import LARGEST_GROUP
from palate.arrays import Array
from palate.costs import Seconds
from palate.entities import Form
from palate.errors import OptionError
from palate.evaluation.play import Judge
from palate.evaluation.world import World
from palate.loop.offered import context_of
from palate.model.model import Model
from palate.posteriors.answerability import compared, known_chance, like_chance, not_named
from palate.posteriors.belief import Belief
from palate.posteriors.concepts import RATED

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Timed:
    """What is known of each of n users after each of their questions.

    Attributes:
        clock: Seconds spent, (n, rounds + 1), at each answer; it stands still once no question fits into the budget.
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
        done = np.stack([(self.clock <= limit + 1e-9).sum(1) - 1 for limit in seconds], 1)
        return {name: np.take_along_axis(values, done, 1) for name, values in self.sums.items()}


@dataclass(slots=True)
class _Talk:
    """All users and what they have said so far; changed by every answer."""

    world: World
    model: Model
    belief: Belief
    exposure: Belief
    allowed: NDArray[np.bool_]
    open_concepts: NDArray[np.bool_]
    views: Array  # by how much each user likes each category better, NaN without a view, (n, C)
    pages: Rows  # items still to come on the page that each user looks at, -1 at the end, (n, LARGEST_GROUP)
    rng: np.random.Generator

    @classmethod
    def begin(cls, world: World, model: Model, rng: np.random.Generator) -> _Talk:
        n = len(world.subjects)
        views = user_views(world.ratings, world.answerable, model.concepts.inside.toarray())
        anything = np.ones_like(world.answerable)
        concepts = np.ones((n, len(model.concepts)), dtype=bool)
        pages = np.full((n, LARGEST_GROUP), -1)
        return cls(world, model, world.start, world.answerability.start(n), anything, concepts, views, pages, rng)

    def setting(self, seconds: Seconds, rows: Rows) -> QuestionContext:
        """Of some users."""
        exposure = self.exposure.of(rows)
        candidates = self.world.candidates.aimed(self.world.answerability, exposure, Given.nothing(len(rows)))
        reach = candidates.reach  # of a preview too: see above
        return context_of(
            self.model,
            candidates,
            self.belief.of(rows),
            self.allowed[rows],
            seconds=seconds,
            concepts=self.model.concepts,
            open_concepts=self.open_concepts[rows],
            preview_reach=reach,
        )

    def ask(self, form: Form, rows: Rows, items: Rows, concepts: Rows) -> tuple[NDArray[np.bool_], Array]:
        """Some users are asked, and answer: whether they told anything of taste, and how many taps.

        A page is only put in front of them (:meth:`turn`).
        """
        for column in items.T:
            real = column >= 0
            self.allowed[rows[real], column[real]] = False
        nothing, no_taps = np.zeros(len(rows), dtype=bool), np.zeros(len(rows))
        if form is Form.PAGE:
            self.pages[rows] = items
            return nothing, no_taps
        if form is Form.CONCEPT:
            return self._concept(rows, concepts), no_taps
        if form is Form.GROUP:
            return ~nothing, self._group(rows, items)
        if form is Form.PAIR:
            return self._pair(rows, *items.T), no_taps
        return (self._rate if form is Form.RATE else self._preview)(rows, items[:, 0]), no_taps

    def turn(self, rows: Rows) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Some users come to the next item of their page: who rates it, and for whom it was the last."""
        items = self.pages[rows, 0]
        self.pages[rows] = np.pad(self.pages[rows, 1:], ((0, 0), (0, 1)), constant_values=-1)
        return self._rate(rows, items), self.pages[rows, 0] < 0

    def _of(self, rows: Rows, items: Rows) -> tuple[NDArray[np.bool_], Array]:
        """Who has an answerable rating, and which, 0 for the others."""
        known = self.world.answerable[rows, items]
        return known, np.where(known, self.world.ratings[rows, items], 0.0)

    def _move(self, rows: Rows, moved: Belief) -> None:
        self.belief = self.belief.replaced(rows, moved)

    def _expose(self, rows: Rows, moved: Belief) -> None:
        self.exposure = self.exposure.replaced(rows, moved)

    def _rate(self, rows: Rows, items: Rows) -> NDArray[np.bool_]:
        known, ratings = self._of(rows, items)
        told = rows[known]
        self._move(told, self.world.taste.observe(self.belief.of(told), items[known], ratings[known]))
        self._expose(rows, self.world.answerability.observe(self.exposure.of(rows), items, known))
        return known

    def _preview(self, rows: Rows, items: Rows) -> NDArray[np.bool_]:
        known, ratings = self._of(rows, items)
        noise = self.model.preview_noise
        would = ratings + np.sqrt(noise) * self.rng.normal(size=len(rows)) >= self.world.scale.cut
        told = rows[known]
        moved = self.world.taste.observe_like(
            self.belief.of(told), items[known], would[known].astype(float), cut=self.model.like_cut, noise=noise
        )
        self._move(told, moved)
        return known

    def _pair(self, rows: Rows, first: Rows, second: Rows) -> NDArray[np.bool_]:
        (knows_first, one), (knows_second, two) = self._of(rows, first), self._of(rows, second)
        both = knows_first & knows_second
        told = both & (one != two)
        belief = self.belief.of(rows[told])
        preferred = (one > two)[told].astype(float)
        self._move(rows[told], self.world.taste.observe_pair(belief, first[told], second[told], preferred))
        self._expose(rows, compared(self.world.answerability, self.exposure.of(rows), first, second, both))
        return np.asarray(told)

    def _concept(self, rows: Rows, concepts: Rows) -> NDArray[np.bool_]:
        self.open_concepts[rows, concepts] = False
        views, learnt = self.views[rows, concepts], self.model.concepts
        told = ~np.isnan(views)
        which = concepts[told]
        belief, yes = self.belief.of(rows[told]), (views[told] > 0).astype(float)
        moved = belief.update_probit(learnt.directions[which], learnt.level[which], yes, learnt.noise[which])
        self._move(rows[told], moved)
        return told

    def _group(self, rows: Rows, items: Rows) -> Array:
        known, ratings = self._of(rows[:, None], items)
        tapped = (items >= 0) & known & (ratings >= self.world.scale.like)
        turns = [(np.flatnonzero(column >= 0), place) for place, column in enumerate(items.T)]
        for here, place in turns:
            self._name(rows[here], items[here, place], tapped[here, place])
        for here, place in turns:
            self._tap(rows[here], items[here, place], tapped[here, place])
        return np.asarray(tapped.sum(1), dtype=np.float64)

    def _name(self, rows: Rows, items: Rows, tapped: NDArray[np.bool_]) -> None:
        """What one item of a group says of what the users know."""
        answerability, exposure = self.world.answerability, self.exposure.of(rows)
        liked = like_chance(self.world.taste, self.belief.of(rows), items, self.model.like_cut)
        named = answerability.observe(exposure, items, True)
        silent = not_named(answerability, exposure, items, liked)
        self._expose(rows, named.where(tapped, silent))

    def _tap(self, rows: Rows, items: Rows, tapped: NDArray[np.bool_]) -> None:
        """What it says of taste."""
        taste, cut = self.world.taste, self.model.like_cut
        known = known_chance(self.world.answerability, self.exposure.of(rows), items)
        belief = self.belief.of(rows)
        self._move(rows, taste.observe_like(belief, items, tapped.astype(float), cut=cut, known=known))


def user_views(ratings: Array, answerable: NDArray[np.bool_], inside: Array) -> Array:
    """By how much each user's mean rating in a category lies above their mean over all, NaN below two, (n, C)."""
    known = np.where(answerable, ratings, 0.0)
    here = answerable @ inside
    means = known.sum(1) / np.maximum(answerable.sum(1), 1)
    views = known @ inside / np.maximum(here, 1.0) - means[:, None]
    return np.where(here >= RATED, views, np.nan)


def play_kinds(
    world: World, forms: Sequence[Form], *, seconds: Seconds, budget: float, rng: np.random.Generator
) -> Timed:
    """Ask each user for so many seconds, each question the one worth most per second of those that still fit.

    Raises:
        OptionError: If the sides of the world are exchanged: people are asked, not items.
    """
    if world.learner is None:
        raise OptionError("the kinds of question are for new users, this world has new items. Give users_world.")
    talk, n = _Talk.begin(world, world.learner.model, rng), len(world.subjects)
    judge = Judge(world.taste, world.held_out, world.scale)
    counts = np.zeros((2, n, len(forms)))
    clock = _Clock(talk, tuple(forms), seconds, budget, np.zeros(n), *counts)
    clocks, rows = [clock.spent.copy()], [judge(talk.belief)]
    while clock.ask(rng) | clock.turn():
        clocks.append(clock.spent.copy())
        rows.append(judge(talk.belief))
    sums = {name: np.stack([row[name] for row in rows], 1) for name in rows[0]}
    return Timed(np.stack(clocks, 1), sums, judge.weights, clock.asked, clock.answered, clock.forms)


@dataclass(slots=True)
class _Clock:
    """What each of n users was asked, and the time it took; changed by every answer."""

    talk: _Talk
    forms: tuple[Form, ...]
    seconds: Seconds
    budget: float
    spent: Array
    asked: Array
    answered: Array

    def ask(self, rng: np.random.Generator) -> bool:
        """Put to everybody who has no page before them the best question that fits; whether any does."""
        rows = np.flatnonzero((self.talk.pages[:, 0] < 0) & (self.spent < self.budget))
        if not len(rows):
            return False
        found = offers(self.talk.setting(self.seconds, rows), self.forms, rng=rng)
        fits = np.stack([self.spent[rows] + self._least(offer) <= self.budget for offer in found], 1)
        chosen = best_offer(found, open_to=fits)
        for place, offer in enumerate(found):
            here = chosen == place
            self._put(place, rows[here], offer.items[here], offer.concept[here])
        return bool((chosen >= 0).any())

    def _least(self, offer: Offers) -> Array:
        """Seconds that there must be for a question to be asked, (n,): of a page, those of its first rating."""
        of_page = np.full_like(offer.seconds, self.seconds.look + self.seconds.tap)
        return of_page if offer.form is Form.PAGE else offer.seconds

    def _put(self, place: int, rows: Rows, items: Rows, concepts: Rows) -> None:
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
