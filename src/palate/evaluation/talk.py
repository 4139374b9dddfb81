"""Everybody of a world is asked side by side, and what they say is made of their real ratings.

An item of which a user has no answerable rating is not known to them: see :mod:`palate.evaluation.question_forms`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from palate.acquisition import Given
from palate.acquisition.questions.context import QuestionContext
from palate.acquisition.questions.groups import LARGEST_GROUP
from palate.arrays import Array, Mask, Positions
from palate.costs import Seconds
from palate.entities import Form
from palate.evaluation.shown_list import best_list, list_scores
from palate.evaluation.world import World
from palate.loop.hear_choices import MOST_NAMINGS
from palate.loop.offered import context_of
from palate.model.model import Model
from palate.oracles.naming import Naming, naming_order
from palate.posteriors.answerability import compared, known_chance, like_chance, not_named
from palate.posteriors.belief import Belief
from palate.posteriors.choices import Options
from palate.posteriors.concepts import RATED
from palate.posteriors.taps import observe_taps

Hear = Callable[["Talk", Positions, Positions, Mask], None]  # of whom, what was shown, what of it was chosen
Hearing = Mapping[Form, Hear]


@dataclass(slots=True)
class Talk:
    """All users and what they have said so far; changed by every answer."""

    world: World
    model: Model
    belief: Belief
    exposure: Belief
    allowed: Mask
    open_concepts: Mask
    views: Array  # by how much each user likes each category better, NaN without a view, (n, C)
    pages: Positions  # items still to come on the page that each user looks at, -1 at the end, (n, LARGEST_GROUP)
    names: Positions  # what comes to the mind of each user, in order, -1 after the last, (n, m)
    namings: Positions  # how often each may still be asked to name one, (n,)
    rng: np.random.Generator
    hear: Hearing = field(default_factory=dict)  # of groups, picks and slates, where not as they are

    @classmethod
    def begin(
        cls,
        world: World,
        model: Model,
        rng: np.random.Generator,
        *,
        naming: Naming | None = None,
        most_namings: int = MOST_NAMINGS,
    ) -> Talk:
        """Nothing was said.

        Args:
            naming: What comes to mind; nobody is asked for it if None.
            most_namings: How often each is asked to name one at most.
        """
        n = len(world.subjects)
        views = user_views(world.ratings, world.answerable, model.concepts.inside.toarray())
        concepts = np.ones((n, len(model.concepts)), dtype=bool)
        pages = np.full((n, LARGEST_GROUP), -1)
        names, namings = np.full((n, 1), -1), np.full(n, 0 if naming is None else most_namings)
        if naming is not None:
            known, counts = np.where(world.answerable, world.ratings, np.nan), model.catalogue.counts
            names = naming_order(naming, known, like=world.scale.like, counts=counts, times=world.times, rng=rng)
        exposure = world.answerability.start(n)
        return cls(
            world, model, world.start, exposure, world.askable.copy(), concepts, views, pages, names, namings, rng
        )

    def setting(self, seconds: Seconds, rows: Positions) -> QuestionContext:
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
            recall=bool(self.namings.any()),
        )

    def ask(self, form: Form, rows: Positions, items: Positions, concepts: Positions) -> tuple[Mask, Array]:
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
        if form in _CHOICES:
            return _CHOICES[form](self, rows, items), no_taps
        return (self._rate if form is Form.RATE else self._preview)(rows, items[:, 0]), no_taps

    def turn(self, rows: Positions) -> tuple[Mask, Mask]:
        """Some users come to the next item of their page: who rates it, and for whom it was the last."""
        items = self.pages[rows, 0]
        self.pages[rows] = np.pad(self.pages[rows, 1:], ((0, 0), (0, 1)), constant_values=-1)
        return self._rate(rows, items), self.pages[rows, 0] < 0

    def _of(self, rows: Positions, items: Positions) -> tuple[Mask, Array]:
        """Who has an answerable rating, and which, 0 for the others."""
        known = self.world.answerable[rows, items]
        return known, np.where(known, self.world.ratings[rows, items], 0.0)

    def _move(self, rows: Positions, moved: Belief) -> None:
        self.belief = self.belief.replaced(rows, moved)

    def _expose(self, rows: Positions, moved: Belief) -> None:
        self.exposure = self.exposure.replaced(rows, moved)

    def _rate(self, rows: Positions, items: Positions) -> Mask:
        known, ratings = self._of(rows, items)
        told = rows[known]
        self._move(told, self.world.taste.observe(self.belief.of(told), items[known], ratings[known]))
        self._expose(rows, self.world.answerability.observe(self.exposure.of(rows), items, known))
        return known

    def _preview(self, rows: Positions, items: Positions) -> Mask:
        known, ratings = self._of(rows, items)
        noise = self.model.preview_noise
        would = ratings + np.sqrt(noise) * self.rng.normal(size=len(rows)) >= self.world.scale.cut
        told = rows[known]
        moved = self.world.taste.observe_like(
            self.belief.of(told), items[known], would[known].astype(float), cut=self.model.like_cut, noise=noise
        )
        self._move(told, moved)
        return known

    def _pair(self, rows: Positions, first: Positions, second: Positions) -> Mask:
        (knows_first, one), (knows_second, two) = self._of(rows, first), self._of(rows, second)
        both = knows_first & knows_second
        told = both & (one != two)
        belief = self.belief.of(rows[told])
        preferred = (one > two)[told].astype(float)
        self._move(rows[told], self.world.taste.observe_pair(belief, first[told], second[told], preferred))
        self._expose(rows, compared(self.world.answerability, self.exposure.of(rows), first, second, both))
        return np.asarray(told)

    def _concept(self, rows: Positions, concepts: Positions) -> Mask:
        self.open_concepts[rows, concepts] = False
        views, learnt = self.views[rows, concepts], self.model.concepts
        told = ~np.isnan(views)
        which = concepts[told]
        belief, yes = self.belief.of(rows[told]), (views[told] > 0).astype(float)
        moved = belief.update_probit(learnt.directions[which], learnt.level[which], yes, learnt.noise[which])
        self._move(rows[told], moved)
        return told

    def _group(self, rows: Positions, items: Positions) -> Array:
        known, ratings = self._of(rows[:, None], items)
        tapped = (items >= 0) & known & (ratings >= self.world.scale.like)
        self.hear.get(Form.GROUP, hear_group)(self, rows, items, tapped)
        return np.asarray(tapped.sum(1), dtype=np.float64)

    def expose_to(self, rows: Positions, items: Positions, tapped: Mask) -> None:
        """What one item of a group, tapped or not, says of what some users know."""
        answerability, exposure = self.world.answerability, self.exposure.of(rows)
        liked = like_chance(self.world.taste, self.belief.of(rows), items, self.model.like_cut)
        named = answerability.observe(exposure, items, True)
        silent = not_named(answerability, exposure, items, liked)
        self._expose(rows, named.where(tapped, silent))

    def _recall(self, rows: Positions, _items: Positions) -> Mask:
        """Each names what comes to mind first of what nobody asked about; who names nothing is not asked again."""
        names = self.names[rows]
        there = (names >= 0) & self.allowed[rows[:, None], names]
        told = np.asarray(there.any(1))
        self.namings[rows] = np.where(told, self.namings[rows] - 1, 0)
        here, items = rows[told], names[np.arange(len(rows)), there.argmax(1)][told]
        self.choose(here, self.model.recall_options, items)
        self.allowed[here, items] = False
        return told

    def _pick(self, rows: Positions, items: Positions) -> Mask:
        known, ratings = self._of(rows[:, None], items)
        known &= items >= 0
        told = known.sum(1) > 1
        for column in items.T:  # who picks nothing is taken to know none of them
            real = ~told & (column >= 0)
            unknown = self.world.answerability.observe(self.exposure.of(rows[real]), column[real], False)
            self._expose(rows[real], unknown)
        here, shown = rows[told], items[told]
        best = self._best(shown, known[told], ratings[told])
        for column, chosen in zip(shown.T, best.T, strict=True):  # the others may be asked about again
            again = (column >= 0) & ~chosen
            self.allowed[here[again], column[again]] = True
        self.hear.get(Form.PICK, _hear_pick)(self, here, shown, best)
        return np.asarray(told)

    def _slate(self, rows: Positions, items: Positions) -> Mask:
        known, ratings = self._of(rows[:, None], items)
        liked = known & (items >= 0) & (ratings >= self.world.scale.like)
        told = liked.any(1)
        best = self._best(items[told], liked[told], ratings[told])
        self.hear.get(Form.SLATE, _hear_slate)(self, rows[told], items[told], best)
        return np.asarray(told)

    def slate(self) -> Positions:
        """The list that each user would be shown, of what they were not asked about or shown before, (n, 10)."""
        return best_list(list_scores(self.world, self.belief, self.exposure), self.allowed)

    def _best(self, items: Positions, may: Mask, ratings: Array) -> Mask:
        """Which of some of each user's items, (n, m), is rated highest, of equal ones any."""
        ratings = np.where(may, ratings, -np.inf)
        highest = ratings == ratings.max(1, keepdims=True, initial=-np.inf)
        place = np.where(highest, self.rng.random(items.shape), -1.0).argmax(1)
        return np.asarray(np.arange(items.shape[1]) == place[:, None])

    def choose(self, rows: Positions, options: Options, items: Positions) -> None:
        """Some users chose an item each, which they know then."""
        if len(rows):
            self._move(rows, self.world.taste.observe_choice(self.belief.of(rows), options, items))
            self._expose(rows, self.world.answerability.observe(self.exposure.of(rows), items, True))


def hear_group(talk: Talk, rows: Positions, items: Positions, tapped: Mask) -> None:
    """Taps of some users, (n, g), are likes, and what they did not tap is disliked or not known."""
    world, belief, exposure = talk.world, talk.belief.of(rows), talk.exposure.of(rows)
    moved = observe_taps(world.taste, world.answerability, belief, exposure, items, tapped, cut=talk.model.like_cut)
    for here, place in [(np.flatnonzero(column >= 0), place) for place, column in enumerate(items.T)]:
        talk.expose_to(rows[here], items[here, place], tapped[here, place])
    talk.belief = talk.belief.replaced(rows, moved)


def _hear_pick(talk: Talk, rows: Positions, shown: Positions, chosen: Mask) -> None:
    talk.choose(rows, talk.world.taste.shown_options(shown), shown[chosen])


def _hear_slate(talk: Talk, rows: Positions, shown: Positions, chosen: Mask) -> None:
    exposure = talk.exposure.of(np.repeat(rows, shown.shape[1]))
    known = known_chance(talk.world.answerability, exposure, shown.ravel()).reshape(shown.shape)
    talk.choose(rows, talk.world.taste.shown_options(shown, known=known), shown[chosen])


_CHOICES = {Form.RECALL: Talk._recall, Form.PICK: Talk._pick, Form.SLATE: Talk._slate}


def user_views(ratings: Array, answerable: Mask, inside: Array) -> Array:
    """By how much each user's mean rating in a category lies above their mean over all, NaN below two, (n, C)."""
    known = np.where(answerable, ratings, 0.0)
    here = answerable @ inside
    means = known.sum(1) / np.maximum(answerable.sum(1), 1)
    views = known @ inside / np.maximum(here, 1.0) - means[:, None]
    return np.where(here >= RATED, views, np.nan)
