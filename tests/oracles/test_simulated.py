from __future__ import annotations

import numpy as np
import pytest

from palate.costs import Seconds
from palate.entities import AnswerKind, Form, Question
from palate.errors import OptionError
from palate.oracles import Simulated

RATINGS = {"ann": {"a": 4.0, "b": 2.0, "c": 4.0, "d": 3.0}}
GENRES = {"drama": ["a", "c", "x"], "comedy": ["b", "d"], "western": ["a", "x"]}


def question(item: str, form: Form = Form.RATE, *others: str) -> Question:
    return Question("ann", item, "epig", value=0.2, answerable=0.5, propensity=0.25, form=form, others=others)


def said(item: str, form: Form, *others: str) -> tuple[AnswerKind, float | None, tuple[str, ...]]:
    (answer,) = Simulated(RATINGS, like=4.0, cut=3.5, categories=GENRES).answer([question(item, form, *others)])
    return answer.kind, answer.value, answer.tapped


def test_answers_with_the_rating_it_has_and_says_so_where_it_has_none() -> None:
    answers = Simulated({"ann": {"a": 4.0}}).answer([question("b"), question("a")])
    assert [(answer.item_id, answer.kind, answer.value) for answer in answers] == [
        ("b", AnswerKind.UNKNOWN, None),
        ("a", AnswerKind.RATING, 4.0),
    ]
    assert {answer.source for answer in answers} == {"simulated"}
    assert {(answer.propensity, answer.question) for answer in answers} == {(0.25, "epig")}


def test_a_user_without_ratings_knows_nothing() -> None:
    (answer,) = Simulated({}).answer([question("a")])
    assert answer.kind is AnswerKind.UNKNOWN


RATING, NONE, UNKNOWN = AnswerKind.RATING, AnswerKind.NO_OPINION, AnswerKind.UNKNOWN


@pytest.mark.parametrize(
    ("item", "form", "others", "expected"),
    [
        ("a", Form.PAIR, ["b"], (RATING, 1.0, ())),
        ("b", Form.PAIR, ["d"], (RATING, 0.0, ())),
        ("a", Form.PAIR, ["c"], (NONE, None, ())),  # rated the same
        ("a", Form.PAIR, ["x"], (UNKNOWN, None, ())),
        ("a", Form.GROUP, ["x", "b", "c"], (RATING, 2.0, ("a", "c"))),
        ("x", Form.GROUP, ["b"], (RATING, 0.0, ())),
        ("drama", Form.CONCEPT, [], (RATING, 1.0, ())),  # 4 against 3.25
        ("comedy", Form.CONCEPT, [], (RATING, 0.0, ())),  # 2.5
        ("western", Form.CONCEPT, [], (UNKNOWN, None, ())),  # one rating is no view
        ("space opera", Form.CONCEPT, [], (UNKNOWN, None, ())),  # ratings say nothing of words
        ("a", Form.PREVIEW, [], (RATING, 1.0, ())),
        ("d", Form.PREVIEW, [], (RATING, 0.0, ())),
        ("x", Form.PREVIEW, [], (UNKNOWN, None, ())),  # what they would have said nobody knows
    ],
)
def test_real_ratings_answer_every_form(item: str, form: Form, others: list[str], expected: object) -> None:
    assert said(item, form, *others) == expected


def test_a_page_is_rated_item_by_item_and_what_is_not_known_costs_a_look() -> None:
    seconds = Seconds(look=1.0, tap=2.0)
    answers = Simulated(RATINGS, seconds=seconds).answer([question("x", Form.PAGE, "b", "y"), question("d")])
    assert [(answer.item_id, answer.form, answer.kind, answer.value) for answer in answers] == [
        ("x", Form.RATE, UNKNOWN, None),
        ("b", Form.RATE, RATING, 2.0),
        ("y", Form.RATE, UNKNOWN, None),
        ("d", Form.RATE, RATING, 3.0),
    ]
    assert [(answer.asked_at, answer.answered_at) for answer in answers[:3]] == [(0.0, 1.0), (1.0, 4.0), (4.0, 7.0)]
    assert answers[2].answered_at == seconds.of(Form.PAGE, 3, 1)


def test_a_preview_is_noisier_than_a_rating() -> None:
    oracle = Simulated(RATINGS, like=4.0, cut=3.5, preview_noise=4.0, rng=np.random.default_rng(0))
    would = [answer.value for answer in oracle.answer([question("a", Form.PREVIEW)] * 400)]
    assert np.mean(would) == pytest.approx(0.6, abs=0.07)  # Φ(0.5 / 2)
    with pytest.raises(OptionError, match=r"^preview_noise is 4 and there is no rng to draw it\. Give rng\.$"):
        Simulated(RATINGS, like=4.0, preview_noise=4.0).answer([question("a", Form.PREVIEW)])


def test_what_is_liked_has_to_be_said() -> None:
    with pytest.raises(OptionError, match=r"^the rating from which an item is liked is not given\. Give like"):
        Simulated(RATINGS).answer([question("a", Form.GROUP, "b")])


def test_answers_take_the_seconds_of_their_form() -> None:
    asked = [
        question("a"),
        question("a", Form.PAIR, "b"),
        question("a", Form.GROUP, "b", "c"),
        question("a", Form.PREVIEW),
    ]
    answers = Simulated(RATINGS, like=4.0).answer(asked)
    seconds = Seconds()
    assert [answer.answered_at - answer.asked_at for answer in answers] == [
        seconds.rate,
        seconds.pair,
        seconds.of(Form.GROUP, 3, 2),
        seconds.preview,
    ]


def _choosing(**given: object) -> Simulated:
    return Simulated(RATINGS, like=4.0, rng=np.random.default_rng(0), **given)  # type: ignore[arg-type]


def test_names_each_once_and_nothing_when_nothing_is_left() -> None:
    oracle = _choosing(counts={"a": 9.0, "c": 1.0, "z": 99.0}, naming="popular")
    answers = oracle.answer([question("", Form.RECALL)] * 3)
    assert sorted(answer.item_id for answer in answers) == ["", "a", "c"]
    assert [answer.kind for answer in answers] == [RATING, RATING, AnswerKind.SKIPPED]
    assert sorted(oracle.named["ann"]) == ["a", "c"]


def test_picks_the_best_of_those_it_knows_and_needs_two() -> None:
    (best,) = _choosing().answer([question("x", Form.PICK, "b", "d")])
    assert (best.kind, best.tapped) == (RATING, ("d",))
    (alone,) = _choosing().answer([question("x", Form.PICK, "b", "y")])
    assert (alone.kind, alone.tapped) == (UNKNOWN, ())
    ties = [_choosing().answer([question("a", Form.PICK, "c")] * 40)[place].tapped for place in range(40)]
    assert {*ties} == {("a",), ("c",)}


def test_clicks_what_it_likes_best_or_nothing() -> None:
    (click,) = _choosing().answer([question("b", Form.SLATE, "a", "x")])
    assert (click.value, click.tapped) == (1.0, ("a",))
    (none,) = _choosing().answer([question("b", Form.SLATE, "d", "x")])
    assert (none.kind, none.value, none.tapped) == (RATING, 0.0, ())


def test_equals_and_namings_are_drawn() -> None:
    without = Simulated(RATINGS, like=4.0)
    for asked, what in (("", "what comes to mind is chance"), ("a", "several are rated alike")):
        form, others = (Form.RECALL, ()) if not asked else (Form.PICK, ("c",))
        with pytest.raises(OptionError, match=rf"^{what} and there is no rng to draw it\. Give rng\.$"):
            without.answer([question(asked, form, *others)])
    with pytest.raises(OptionError, match=r"^the naming 'loudest' is unknown\."):
        Simulated(RATINGS, naming="loudest")  # type: ignore[arg-type]
