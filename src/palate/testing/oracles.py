"""What every oracle must keep, runnable on an oracle of your own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from palate.entities import Answer, AnswerKind, Form, Question
from palate.errors import PalateError
from palate.store.rows import checked

if TYPE_CHECKING:
    from palate.oracles.protocol import Oracle


class OracleContract(ABC):
    """Subclass it in a test file under a name that starts with ``Test`` and say how to make the oracle.

    Attributes:
        users: Whom it answers for.
        items: Five or more that it can be asked about; of some it has a view.
        concepts: One or more of which it has a view, where it takes questions of that form.
        forms: Those that it answers; to any other it says that it skips.

    Example:
        >>> class TestMine(OracleContract):
        ...     forms = frozenset({Form.RATE})
        ...
        ...     def make(self, seed):
        ...         return MyOracle(rng=np.random.default_rng(seed))
    """

    users: Sequence[str] = ("ann", "bob")
    items: Sequence[str] = ("i0", "i1", "i2", "i3", "i4", "i5")
    concepts: Sequence[str] = ("comedy",)
    forms: frozenset[Form] = frozenset(Form)

    @abstractmethod
    def make(self, seed: int) -> Oracle:
        """The oracle under test; what it draws, it draws by this seed."""

    def questions(self, *forms: Form) -> list[Question]:
        """Questions of these forms, of all where none is given, to each user; about each item, pair, group, concept."""
        return [
            Question(user, asked[0], f"by {form.value}", 0.5, 0.7, (1 + place) / 64, form=form, others=tuple(asked[1:]))
            for user in self.users
            for form in forms or Form
            for place, asked in enumerate(self._asked(form))
        ]

    def _asked(self, form: Form) -> list[Sequence[str]]:
        if form is Form.CONCEPT:
            return [[concept] for concept in self.concepts]
        if form is Form.RECALL:
            return [[""]]
        width = {Form.PAIR: 2, Form.GROUP: 4, Form.PAGE: 3, Form.PICK: 4, Form.SLATE: 4}.get(form, 1)
        return [self.items[place : place + width] for place in range(len(self.items) - width + 1)]

    def test_each_question_is_answered_in_its_place(self) -> None:
        questions = self.questions()
        answers = self.make(0).answer(questions)
        parts = _parts(questions)
        assert len(answers) == len(parts), (
            f"{len(parts)} questions, a page's items one by one, had {len(answers)} answers"
        )
        for part, answer in zip(parts, answers, strict=True):
            named = answer.item_id if part.form is Form.RECALL else part.item_id  # the answer says which it is
            asked = (part.user_id, part.form, named, part.others)
            said = (answer.user_id, answer.form, answer.item_id, answer.others)
            assert said == asked, f"asked about {asked}, it answered about {said}"

    def test_an_answer_names_who_asked_and_how_likely_that_was(self) -> None:
        questions = self.questions()
        for part, answer in zip(_parts(questions), self.make(0).answer(questions), strict=True):
            assert answer.question == part.strategy, f"question is {answer.question!r}, asked by {part.strategy!r}"
            assert answer.propensity == part.propensity, f"propensity is {answer.propensity}, not {part.propensity}"

    def test_it_answers_the_forms_that_it_says_and_skips_others(self) -> None:
        for form in Form:
            kinds = {answer.kind for answer in self.make(0).answer(self.questions(form))}
            if form in self.forms:
                assert AnswerKind.RATING in kinds, f"it says that it answers a {form.value}, and says only {kinds}"
            else:
                assert kinds == {AnswerKind.SKIPPED}, (
                    f"it does not say that it answers a {form.value}, and says {kinds}"
                )

    def test_nothing_asked_is_nothing_answered(self) -> None:
        answers = self.make(0).answer([])
        assert answers == (), f"to no question it answered {answers}"

    def test_the_same_seed_gives_the_same_answers(self) -> None:
        first, second = (self.make(0).answer(self.questions()) for _ in range(2))
        differ = [pair for pair in zip(first, second, strict=True) if pair[0] != pair[1]]
        assert not differ, f"made twice with one seed, it answers {differ[0][0]} and {differ[0][1]}"

    def test_of_what_nobody_knows_it_gives_no_rating(self) -> None:
        questions = [
            Question(user, item, "random", 0.0, 1.0, 0.5)
            for user, item in ((self.users[0], "no such item"), ("nobody", self.items[0]))
        ]
        answers = self.make(0).answer(questions)
        assert len(answers) == 2, f"to 2 questions about an item or a user that it does not know came {len(answers)}"
        assert not answers[0].is_rating, f"it rates an item that it does not know: {answers[0]}"

    def test_every_answer_can_be_kept(self) -> None:
        for answer in self.make(0).answer(self.questions()):
            assert _can_be_kept(answer), f"no log keeps {answer}"

    def test_it_is_answered_after_it_is_asked(self) -> None:
        for answer in self.make(0).answer(self.questions()):
            if answer.asked_at is not None and answer.answered_at is not None:
                assert answer.asked_at <= answer.answered_at, f"answered before it was asked: {answer}"

    def test_keys_are_empty_or_each_its_own(self) -> None:
        keys = [answer.key for answer in self.make(0).answer(self.questions()) if answer.key]
        twice = [key for key in keys if keys.count(key) > 1]
        assert not twice, (
            f"the key {twice[0]!r} comes {twice.count(twice[0])} times: a log would keep one answer of them"
        )

    def test_the_questions_are_left_as_they_were(self) -> None:
        questions = self.questions()
        self.make(0).answer(questions)
        assert questions == self.questions(), "answer changed the list that it was given"


def _parts(questions: Sequence[Question]) -> list[Question]:
    return [part for question in questions for part in question.parts]


def _can_be_kept(answer: Answer) -> bool:
    try:
        return len(checked([answer])) == 1
    except PalateError:
        return False
