"""Somebody whose answers are known already: real ratings stand in for a person.

What the ratings do not say is not made up. Of an item without a rating nobody knows what this user would have said, be
it shown to them or not: the answer is "don't know it", to a preview too. So a preview can look worse here than it is,
and never better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from palate.costs import Seconds
from palate.entities import Answer, AnswerKind, Form, Question
from palate.errors import OptionError
from palate.errors.checks import one_of
from palate.oracles.naming import Naming, naming_order
from palate.posteriors.concepts import RATED


@dataclass(frozen=True, slots=True)
class Simulated:
    """Answers with the rating it has, and "don't know it" where it has none.

    - A or B: the one rated higher; of equal ones "no opinion"; "don't know it" where either has no rating.
    - A group: those rated at or above ``like`` are tapped.
    - A page: one answer an item, its rating or "don't know it", one after the other.
    - A concept: yes where the mean rating in the category is above the mean of all; "don't know it" with fewer than two
      ratings there, and for words that are no category.
    - A preview: yes where the rating, with noise, is at or above ``cut``.
    - To name one: the next by ``naming`` that was not named before; skipped once there is none.
    - The best of several: the one rated highest, of equal ones any; "don't know it" with fewer than two ratings.
    - A slate: a click on the one rated highest, if at or above ``like``; otherwise on none.

    Attributes:
        ratings: By user, then item; only those that may be answered.
        like: Rating from which an item is tapped.
        cut: Expected rating from which somebody would; ``like`` if None.
        categories: Ids of the items of each.
        preview_noise: Variance of what somebody makes of a preview, on top of a rating's.
        naming: What comes to mind (:class:`palate.oracles.naming.Naming`).
        counts: Answers that each item has, where naming goes by popularity.
        times: When each user met each item, where naming goes by that.
        named: What each user has named so far; every naming adds to it.
        seconds: What an answer takes: ``answered_at`` less ``asked_at``, which starts at 0.
        rng: Draws that noise, what is named, and among equals.
    """

    ratings: Mapping[str, Mapping[str, float]] = field(repr=False)
    like: float | None = None
    cut: float | None = None
    categories: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    preview_noise: float = 0.0
    seconds: Seconds = field(default_factory=Seconds)
    rng: np.random.Generator | None = None
    naming: Naming = Naming.FAVOURITE
    counts: Mapping[str, float] | None = field(default=None, repr=False)
    times: Mapping[str, Mapping[str, float]] | None = field(default=None, repr=False)
    named: dict[str, list[str]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "naming", Naming(one_of(self.naming, Naming, "the naming")))

    def answer(self, questions: Sequence[Question]) -> tuple[Answer, ...]:
        """One answer a question, in the same order; to a page one an item of it.

        Raises:
            OptionError: If the form of a question needs ``like`` and it is not given, something is to be drawn without
                ``rng``, or the naming hangs on what is not given.
        """
        return tuple(answer for question in questions for answer in self._all(question))

    def _all(self, question: Question) -> tuple[Answer, ...]:
        if question.form is not Form.PAGE:
            return (self._one(question),)
        answers, clock = [], 0.0
        for part in question.parts:
            answer, begun = self._one(part), clock
            clock += self.seconds.look + self.seconds.tap * answer.is_rating
            clock += self.seconds.tap * (part.item_id == question.items[-1])  # says that it is done
            answers.append(replace(answer, asked_at=begun, answered_at=clock))
        return tuple(answers)

    def _one(self, question: Question) -> Answer:
        known = self.ratings.get(question.user_id, {})
        item = self._named(question.user_id, known) if question.form is Form.RECALL else question.item_id
        tapped = _TAPPED[question.form](self, question, known) if question.form in _TAPPED else ()
        said = self._said(question, known, item, tapped)
        kind = said if isinstance(said, AnswerKind) else AnswerKind.RATING
        seconds = self.seconds.of(question.form, len(question.items), float(len(tapped)))
        return Answer(
            user_id=question.user_id,
            item_id=item,
            kind=kind,
            value=None if isinstance(said, AnswerKind) else said,
            source="simulated",
            propensity=question.propensity,
            question=question.strategy,
            asked_at=0.0,
            answered_at=seconds,
            form=question.form,
            others=question.others,
            tapped=tapped,
        )

    def _said(
        self, question: Question, known: Mapping[str, float], item: str, tapped: tuple[str, ...]
    ) -> float | AnswerKind | None:
        if question.form is Form.RECALL:
            return None if item else AnswerKind.SKIPPED
        if question.form is Form.PICK and not tapped:
            return AnswerKind.UNKNOWN
        if question.form in _TAPPED:
            return None  # the answer counts its taps
        if question.form is Form.CONCEPT:
            return self._view(question.item_id, known)
        ratings = [known.get(item) for item in question.items]
        if None in ratings:
            return AnswerKind.UNKNOWN
        values = [float(rating) for rating in ratings if rating is not None]
        if question.form is Form.PAIR:
            return AnswerKind.NO_OPINION if values[0] == values[1] else float(values[0] > values[1])
        return self._would(values[0]) if question.form is Form.PREVIEW else values[0]

    def _liked(self, question: Question, known: Mapping[str, float]) -> tuple[str, ...]:
        like = self._given(self.like)
        return tuple(item for item in question.items if item in known and known[item] >= like)

    def _clicked(self, question: Question, known: Mapping[str, float]) -> tuple[str, ...]:
        return self._best(self._liked(question, known), known)

    def _picked(self, question: Question, known: Mapping[str, float]) -> tuple[str, ...]:
        found = [item for item in question.items if item in known]
        return self._best(found, known) if len(found) > 1 else ()

    def _best(self, items: Sequence[str], known: Mapping[str, float]) -> tuple[str, ...]:
        """The item rated highest, where there is any."""
        highest = [item for item in items if known[item] == max(known[other] for other in items)]
        if len(highest) > 1:
            highest = [str(self._drawing("several are rated alike").choice(highest))]
        return tuple(highest)

    def _named(self, user: str, known: Mapping[str, float]) -> str:
        """What a user names, empty where nothing is left."""
        before, items = self.named.setdefault(user, []), list(dict.fromkeys([*known, *(self.counts or ())]))
        times = None if self.times is None else self.times.get(user, {})
        order = naming_order(
            self.naming,
            np.array([[known.get(item, np.nan) for item in items]]),
            like=self._given(self.like),
            counts=None if self.counts is None else np.array([self.counts.get(item, 0.0) for item in items]),
            times=None if times is None else np.array([[times.get(item, np.nan) for item in items]]),
            rng=self._drawing("what comes to mind is chance"),
        )[0]
        left = [items[place] for place in order if place >= 0 and items[place] not in before]
        before.extend(left[:1])
        return left[0] if left else ""

    def _view(self, concept: str, known: Mapping[str, float]) -> float | AnswerKind:
        inside = [known[item] for item in self.categories.get(concept, ()) if item in known]
        if len(inside) < RATED:
            return AnswerKind.UNKNOWN
        return float(np.mean(inside) > np.mean(list(known.values())))

    def _would(self, rating: float) -> float:
        cut = self._given(self.like if self.cut is None else self.cut)
        if self.preview_noise == 0.0:
            return float(rating >= cut)
        rng = self._drawing(f"preview_noise is {self.preview_noise:g}")
        return float(rating + np.sqrt(self.preview_noise) * rng.normal() >= cut)

    def _drawing(self, what: str) -> np.random.Generator:
        if self.rng is None:
            raise OptionError(f"{what} and there is no rng to draw it. Give rng.")
        return self.rng

    def _given(self, like: float | None) -> float:
        if like is None:
            raise OptionError(
                "the rating from which an item is liked is not given. Give like, as of the model's scale."
            )
        return like


_TAPPED = {
    Form.GROUP: Simulated._liked,
    Form.PICK: Simulated._picked,
    Form.SLATE: Simulated._clicked,
}
