"""The contract passes on a good oracle, and each of its rules is broken by the oracle that breaks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from palate.entities import Answer, AnswerKind, Form, Question
from palate.testing import OracleContract

KNOWN = {"i0", "i1", "i2"}


class Coin:
    """Rates what it knows with what it draws, and skips all else: a whole oracle in a few lines."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def answer(self, questions: Sequence[Question]) -> tuple[Answer, ...]:
        return tuple(self.one(part) for question in questions for part in question.parts)

    def one(self, part: Question) -> Answer:
        knows = part.form is Form.RATE and part.item_id in KNOWN
        return replace(part.answer(self.rng.normal() if knows else AnswerKind.SKIPPED), asked_at=1.0, answered_at=2.0)


class CoinContract(OracleContract):
    forms = frozenset({Form.RATE, Form.PAGE})


class TestCoin(CoinContract):
    def make(self, seed: int) -> Coin:
        return Coin(seed)


class Backwards(Coin):
    def answer(self, questions: Sequence[Question]) -> tuple[Answer, ...]:
        return super().answer(questions)[::-1]


class FirstOfThePage(Coin):
    def answer(self, questions: Sequence[Question]) -> tuple[Answer, ...]:
        return tuple(self.one(question.parts[0]) for question in questions)


class Forgetful(Coin):
    def one(self, part: Question) -> Answer:
        return replace(super().one(part), question="")


class Certain(Coin):
    def one(self, part: Question) -> Answer:
        return replace(super().one(part), propensity=1.0)


class Shy(Coin):
    def one(self, part: Question) -> Answer:
        return part.answer(AnswerKind.SKIPPED)


class Opinionated(Coin):
    def one(self, part: Question) -> Answer:
        return part.answer(1.0) if part.form is Form.CONCEPT else super().one(part)


class Chatty(Coin):
    def answer(self, questions: Sequence[Question]) -> tuple[Answer, ...]:
        return super().answer(questions) or (Answer("ann", "i0", AnswerKind.SKIPPED),)


class Unseeded(Coin):
    def __init__(self, seed: int) -> None:
        super().__init__(np.random.SeedSequence().entropy)  # type: ignore[arg-type]


class Inventive(Coin):
    def one(self, part: Question) -> Answer:
        return part.answer(3.0) if part.form is Form.RATE else super().one(part)


class Silent(Coin):
    def answer(self, questions: Sequence[Question]) -> tuple[Answer, ...]:
        return super().answer([question for question in questions if question.user_id != "nobody"])


class LookAlike(Coin):
    def one(self, part: Question) -> Answer:
        answer = super().one(part)
        return SimpleNamespace(**{name: getattr(answer, name) for name in Answer.__slots__})  # type: ignore[return-value]


class Hasty(Coin):
    def one(self, part: Question) -> Answer:
        return replace(super().one(part), answered_at=0.0)


class OneKey(Coin):
    def one(self, part: Question) -> Answer:
        return replace(super().one(part), key="mine")


class Greedy(Coin):
    def answer(self, questions: Sequence[Question]) -> tuple[Answer, ...]:
        answers = super().answer(questions)
        questions.clear()  # type: ignore[attr-defined]
        return answers


BROKEN = [
    (Backwards, "test_each_question_is_answered_in_its_place"),
    (FirstOfThePage, "test_each_question_is_answered_in_its_place"),
    (Forgetful, "test_an_answer_names_who_asked_and_how_likely_that_was"),
    (Certain, "test_an_answer_names_who_asked_and_how_likely_that_was"),
    (Shy, "test_it_answers_the_forms_that_it_says_and_skips_others"),
    (Opinionated, "test_it_answers_the_forms_that_it_says_and_skips_others"),
    (Chatty, "test_nothing_asked_is_nothing_answered"),
    (Unseeded, "test_the_same_seed_gives_the_same_answers"),
    (Inventive, "test_of_what_nobody_knows_it_gives_no_rating"),
    (Silent, "test_of_what_nobody_knows_it_gives_no_rating"),
    (LookAlike, "test_every_answer_can_be_kept"),
    (Hasty, "test_it_is_answered_after_it_is_asked"),
    (OneKey, "test_keys_are_empty_or_each_its_own"),
    (Greedy, "test_the_questions_are_left_as_they_were"),
]


@pytest.mark.parametrize(("broken", "rule"), BROKEN, ids=lambda part: getattr(part, "__name__", part))
def test_a_broken_oracle_fails(broken: type[Coin], rule: str) -> None:
    class Contract(CoinContract):
        def make(self, seed: int) -> Coin:
            return broken(seed)

    with pytest.raises(AssertionError):
        getattr(Contract(), rule)()


def test_every_rule_has_an_oracle_that_breaks_it() -> None:
    assert {rule for _, rule in BROKEN} == {name for name in dir(OracleContract) if name.startswith("test_")}
