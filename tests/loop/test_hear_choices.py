"""Choices through the learner: something named, the best of a few, clicks on a shown list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from palate import Learner, slate
from palate.entities import Answer, AnswerKind, Form
from palate.errors import AnswerError, OptionError, UnknownItem
from palate.loop.hear_choices import MOST_NAMINGS
from palate.loop.memory import Memory
from palate.model.slates import learn_none_logit
from palate.posteriors.answerability import known_chance
from palate.posteriors.belief import Belief
from palate.posteriors.items import Items, Spread
from palate.posteriors.taste import Taste
from tests.test_learner import assert_same_state, rating, replayed, rng
from tests.worlds import data, learner, words

SHOWN = ("i001", "i002", "i003", "i004")


@pytest.fixture(autouse=True)
def _words() -> Iterator[None]:
    with words():
        yield


def named(item: str, key: str = "", question: str = "") -> Answer:
    return Answer("newcomer", item, AnswerKind.RATING, key=key, form=Form.RECALL, question=question)


def chosen(form: Form, *tapped: str, shown: tuple[str, ...] = SHOWN, key: str = "") -> Answer:
    return Answer("newcomer", shown[0], AnswerKind.RATING, key=key, form=form, others=shown[1:], tapped=tapped)


def score(of: Learner, item: str) -> float:
    return float(of.state("newcomer").belief.mean @ of.model.taste.items.factors[of.model.catalogue.position(item)])


def known(of: Learner, item: str) -> float:
    position = of.model.catalogue.position(item)
    return float(known_chance(of.model.answerability, of.state("newcomer").exposure, position))


def assert_same(one: Learner, two: Learner) -> None:
    """To the bit, and so is a replay."""
    states = one.state("newcomer"), two.state("newcomer")
    assert_same_state(*states)
    assert [(state.posed, state.named, state.namings) for state in states[:1]] == [
        (state.posed, state.named, state.namings) for state in states[1:]
    ]
    assert_same_state(states[0], replayed(one, "newcomer"))


TOLD = [
    named("i010", "n"),
    chosen(Form.PICK, "i003", key="p"),
    rating("i007", 1.0, key="r"),
    chosen(Form.SLATE, "i022", "i020", shown=("i020", "i021", "i022"), key="s"),
    chosen(Form.SLATE, shown=("i030", "i031"), key="none"),
    Answer("newcomer", "", AnswerKind.SKIPPED, key="k", form=Form.RECALL),
    Answer("newcomer", "i041", AnswerKind.UNKNOWN, key="u", form=Form.PICK, others=("i042",)),
]


@pytest.mark.parametrize("kind", ["ratings", "likes", "events"])
def test_choices_move_the_belief_to_what_was_chosen(kind: str) -> None:
    of = learner(kind)
    for answer, item in (
        (named("i010"), "i010"),
        (chosen(Form.PICK, "i003"), "i003"),
        (chosen(Form.SLATE, "i003"), "i003"),
    ):
        after = of.tell(answer)
        assert score(after, item) > score(of, item), answer.form
        assert known(after, item) > known(of, item), answer.form
        before, now = of.state("newcomer").belief.covariance, after.state("newcomer").belief.covariance
        assert np.linalg.slogdet(now)[1] < np.linalg.slogdet(before)[1]
        assert np.array_equal(now, now.T)


def test_a_naming_is_a_choice_out_of_everything() -> None:
    of = learner()
    model, state = of.model, of.state("newcomer")
    options = model.taste.recall_options(model.catalogue.counts)
    expected = model.taste.observe_choice(state.belief, options, model.catalogue.position("i010"))
    np.testing.assert_array_equal(of.tell(named("i010")).state("newcomer").belief.mean, expected.mean)


def test_each_click_is_a_choice_of_what_was_left_and_may_be_known() -> None:
    of = learner()
    model, state = of.model, of.state("newcomer")
    left, belief = model.catalogue.positions(SHOWN), state.belief
    for item in map(model.catalogue.position, ("i003", "i001")):
        options = model.taste.shown_options(left, known=known_chance(model.answerability, state.exposure, left))
        belief, left = model.taste.observe_choice(belief, options, item), left[left != item]
    after = of.tell(chosen(Form.SLATE, "i003", "i001")).state("newcomer")
    np.testing.assert_allclose(after.belief.mean, belief.mean, rtol=1e-12)


def test_no_click_tells_of_taste_where_it_is_known_how_often_that_is() -> None:
    of = learner()
    nothing = chosen(Form.SLATE)
    assert np.array_equal(of.tell(nothing).state("newcomer").belief.mean, of.state("newcomer").belief.mean)
    knows = Learner(replace(of.memory.under(replace(of.model, none_logit=4.0))))
    passed = knows.tell(nothing)
    assert sum(score(passed, item) for item in SHOWN) < sum(score(knows, item) for item in SHOWN)
    assert score(knows.tell(chosen(Form.SLATE, "i001", shown=("i001",))), "i001") > score(knows, "i001")
    one = of.tell(chosen(Form.SLATE, "i001", shown=("i001",)))  # without, a click on the only one is no choice
    np.testing.assert_allclose(one.state("newcomer").belief.mean, of.state("newcomer").belief.mean, atol=1e-12)
    assert known(one, "i001") > known(of, "i001")


@pytest.mark.long
def test_a_refit_learns_how_often_nothing_is_clicked(tmp_path: Path) -> None:
    ids, draw = learner().model.catalogue.ids, np.random.default_rng(0)
    slates = []
    for row in range(60):
        user, shown = f"u{row % 45:03d}", draw.choice(ids, draw.integers(1, 6), replace=False).tolist()
        slates.append(slate(user, shown, shown[0] if row % 3 == 0 else (), key=f"s{row}"))
    few, one_way = slates[:19], [answer for answer in slates if answer.tapped]
    for labels in (few, one_way * 2, slates[:1] * 30):
        assert learn_none_logit(learner().model, labels) is None
    of = Learner.fit(data(), dim=4, labels=slates)
    assert of.model.none_logit is not None
    chances = []
    for answer in slates:
        state = learner_of_data(of).state(answer.user_id)
        shown = of.model.catalogue.positions(answer.items)
        known = known_chance(of.model.answerability, state.exposure, shown)
        scores = of.model.taste.shown_options(shown, known=known, none=of.model.none_logit).scores(state.belief.mean)
        chances.append(np.exp(scores[-1]) / np.exp(scores).sum())
    assert np.mean(chances) == pytest.approx(2 / 3, abs=1e-3)
    of.save(tmp_path / "model")
    assert Learner.load(tmp_path / "model").model.none_logit == of.model.none_logit


def learner_of_data(of: Learner) -> Learner:
    """The same model, that was told nothing since."""
    return Learner(Memory(of.model))


def test_what_was_named_or_picked_is_not_asked_again_and_the_others_are() -> None:
    of = learner().tell([named("i010"), chosen(Form.PICK, "i003")])
    asked = {question.item_id for question in of.ask("newcomer", k=500, random_share=0.0, rng=rng())}
    assert not {"i010", "i003"} & asked and {"i001", "i002", "i004"} <= asked
    shown = {item.item_id for item in of.recommend("newcomer", k=500)}
    assert "i010" not in shown and set(SHOWN) <= shown
    none = learner().tell(Answer("newcomer", "i001", AnswerKind.UNKNOWN, form=Form.PICK, others=SHOWN[1:]))
    assert not set(SHOWN) & {question.item_id for question in none.ask("newcomer", k=500, random_share=0.0, rng=rng())}
    assert all(known(none, item) < known(learner(), item) for item in SHOWN)


def test_a_reason_names_what_was_named() -> None:
    of = learner().tell(named("i010"))
    names = dict(zip(of.model.catalogue.ids, of.model.catalogue.names, strict=True))
    reasons = [item.reason for item in of.recommend("newcomer", k=200)]
    assert f"you named “{names['i010']}”" in reasons
    both = [item.reason for item in of.tell(rating("i007", 5.0)).recommend("newcomer", k=200)]
    assert any(f"you gave 5 to “{names['i007']}”" in reason for reason in both)


def test_contradictory_choices_are_all_heard_and_of_one_question_the_last() -> None:
    of = learner()
    both = of.tell([chosen(Form.PICK, "i001", key="a"), chosen(Form.PICK, "i002", key="b")])
    assert_same(both, of.tell(chosen(Form.PICK, "i002", key="b")))
    turned = of.tell([chosen(Form.PICK, "i001", shown=SHOWN[:2]), chosen(Form.PICK, "i002", shown=SHOWN[:3])])
    once = of.tell(chosen(Form.PICK, "i001", shown=SHOWN[:2]))
    assert score(turned, "i001") - score(turned, "i002") < score(once, "i001") - score(once, "i002")
    loved_and_hated = of.tell([named("i010"), rating("i010", 1.0)])
    assert score(loved_and_hated, "i010") < score(of.tell(named("i010")), "i010")
    assert_same(loved_and_hated, loved_and_hated)
    twice = of.tell([named("i010", "x"), named("i010", "y")])
    assert_same(twice, of.tell(named("i010", "y")))


def test_many_namings_of_one_direction_stay_finite() -> None:
    of = learner()
    order = np.argsort(of.model.taste.items.factors[:, 0])[:40]
    after = of.tell([named(of.model.catalogue.ids[item]) for item in order]).state("newcomer").belief
    assert np.isfinite(after.mean).all() and (np.linalg.eigvalsh(after.covariance) > 0).all()


@pytest.mark.parametrize("kind", ["ratings", "likes", "events"])
def test_an_undo_is_exact_and_so_is_a_replay(kind: str) -> None:
    of = learner(kind)
    after = of.tell(TOLD)
    for answer in TOLD:
        rest = [other for other in TOLD if other is not answer]
        assert_same(after.undo("newcomer", answer.key), of.tell(rest))


def test_choices_are_kept_and_outlive_a_refit(tmp_path: Path) -> None:
    after = learner().tell(TOLD)
    after.save(tmp_path / "model")
    back = Learner.load(tmp_path / "model")
    assert back.told["newcomer"] == after.told["newcomer"]
    assert_same(after, back)
    refitted = Learner.fit(data(), dim=4, labels=after.told["newcomer"])
    assert refitted.told["newcomer"] == after.told["newcomer"]
    plain = Learner.fit(data(), dim=4, labels=[answer for answer in TOLD if answer.form is Form.RATE])
    np.testing.assert_array_equal(refitted.model.taste.items.factors, plain.model.taste.items.factors)
    assert score(refitted, "i010") != score(plain, "i010")  # heard after the fit, and not in it


# ---- ask ------------------------------------------------------------------------------------------------------------


def test_one_is_asked_for_first_and_three_times_at_most() -> None:
    of, forms = learner(), ["rate", "recall"]
    for turn in range(MOST_NAMINGS):
        first, *rest = of.ask("newcomer", forms=forms, k=3, rng=rng())
        assert (first.form, first.item_id, first.titles) == (Form.RECALL, "", ())
        assert first.text == first.title == "Name one you like."
        assert first.seconds == 8.05 and first.value > 0 and first.answerable == 1.0
        assert [question.form for question in rest] == [Form.RATE] * 2
        of = of.tell(first.answer(f"i0{10 + turn}"))
    assert [question.form for question in of.ask("newcomer", forms=forms, k=2, rng=rng())] == [Form.RATE] * 2
    assert of.ask("newcomer", forms=["recall"], rng=rng()) == ()


def test_who_names_nothing_is_not_asked_again() -> None:
    of = learner()
    (question,) = of.ask("newcomer", forms=["recall"], k=5, rng=rng())
    after = of.tell(question.answer(AnswerKind.SKIPPED))
    assert after.ask("newcomer", forms=["recall"], rng=rng()) == ()
    assert np.array_equal(after.state("newcomer").belief.mean, of.state("newcomer").belief.mean)


def test_it_is_asked_only_where_it_is_wanted() -> None:
    assert all(question.form is not Form.RECALL for question in learner().ask("newcomer", k=9, rng=rng()))
    message = r"^a slate is heard when it has been shown, it cannot be asked\. Leave slate out, or give pick\.$"
    with pytest.raises(OptionError, match=message):
        learner().ask("newcomer", forms=["slate"], rng=rng())


def test_a_pick_is_of_two_to_four_open_items() -> None:
    of = learner().tell(rating("i001", 4.0))
    questions = of.ask("newcomer", forms=["pick"], k=5, rng=rng())
    assert len(questions) == 5
    items = [item for question in questions for item in question.items]
    assert len(items) == len(set(items)) and "i001" not in items
    for question in questions:
        assert 2 <= len(question.items) <= 4
        assert question.seconds == pytest.approx(len(question.items) + 2.65)
        assert question.text.startswith("Which of these do you like best: ")
        assert "you know two of them with a chance of" in question.why or question.answerable >= 0.995
        after = of.tell(question.answer(question.items[-1]))
        assert score(after, question.items[-1]) > score(of, question.items[-1])


def test_where_there_is_no_taste_choices_say_what_is_known() -> None:
    model = learner().model
    items = model.taste.items
    flat = Items(items.level, items.factors[:, :0], Spread("diagonal", np.zeros((len(items), 1))), items.noise)
    taste = Taste(flat, model.taste.likelihood, Belief(np.zeros(0), np.zeros((0, 0))))
    of = Learner(Memory(replace(model, taste=taste)))
    for form in ("recall", "pick"):
        (question,) = of.ask("newcomer", forms=[form], concepts=[], rng=rng())
        assert question.value == 0.0 and " by less than 1% in " in question.why
        of = of.tell(question.answer("i010" if form == "recall" else question.items[0]))
    after = of.tell(chosen(Form.SLATE, "i003"))
    assert after.state("newcomer").belief.mean.shape == (0,) and known(after, "i010") > known(learner(), "i010")


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (named("nosuch"), UnknownItem, r"^item 'nosuch' is not in the model"),
        (chosen(Form.PICK, "i001", shown=("i001", "nosuch")), UnknownItem, r"^item 'nosuch' is not in the model"),
        (chosen(Form.SLATE, shown=("i001", "nosuch")), UnknownItem, r"^item 'nosuch' is not in the model"),
    ],
)
def test_choices_among_what_the_model_does_not_hold(answer: Answer, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        learner().tell(answer)


def test_a_click_outside_its_slate() -> None:
    with pytest.raises(AnswerError, match=r"^item 'i120' was clicked and not offered\. Give items of the slate\.$"):
        chosen(Form.SLATE, "i120")
