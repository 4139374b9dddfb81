"""Questions of several kinds through the learner: asked, told, undone, kept; and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from palate import Learner
from palate.costs import Seconds
from palate.entities import Answer, AnswerKind, Form, Question
from palate.errors import AnswerError, OptionError, UnknownItem
from palate.oracles import Simulated
from tests.test_learner import assert_same_state, other, rating, replayed, rng
from tests.worlds import data, learner, words

ALL = tuple(form for form in Form if form not in (Form.RECALL, Form.SLATE))


@pytest.fixture(autouse=True)
def _words() -> Iterator[None]:
    with words():
        yield


def pair(first: str, second: str, value: float | None = 1.0, key: str = "") -> Answer:
    kind = AnswerKind.UNKNOWN if value is None else AnswerKind.RATING
    return Answer("newcomer", first, kind, value, key=key, form=Form.PAIR, others=(second,))


def group(items: list[str], tapped: list[str], key: str = "") -> Answer:
    others = tuple(items[1:])
    return Answer(
        "newcomer", items[0], AnswerKind.RATING, key=key, form=Form.GROUP, others=others, tapped=tuple(tapped)
    )


def yes(name: str, form: Form, value: float = 1.0, key: str = "") -> Answer:
    return Answer("newcomer", name, AnswerKind.RATING, value, key=key, form=form)


def some(kind: str = "ratings") -> list[Answer]:
    """An answer of each form that the model takes, and some that are no ratings."""
    told = [
        group(["i001", "i002", "i003"], ["i002"], "g"),
        rating("i007", 1.0, key="r"),
        other("i010", AnswerKind.UNKNOWN),
    ]
    if kind == "events":
        return told
    return [
        *told,
        pair("i004", "i005", 0.0, "p"),
        yes("crime", Form.CONCEPT, 0.0, "c"),
        yes("a tale of two robots", Form.CONCEPT, 1.0, "w"),
        yes("i006", Form.PREVIEW, 1.0, "v"),
        pair("i011", "i012", None, "u"),
        Answer("newcomer", "jazz", AnswerKind.SKIPPED, key="s", form=Form.CONCEPT),
    ]


def item_score(of: Learner, item: str) -> float:
    belief, items = of.state("newcomer").belief, of.model.taste.items
    return float(items.factors[of.model.catalogue.position(item)] @ belief.mean)


def known(of: Learner, item: str) -> float:
    exposure = of.state("newcomer").exposure
    return float(of.model.answerability.probability(exposure)[of.model.catalogue.position(item)])


# ---- ask ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ratings", "likes", "both"])
def test_kinds_are_mixed_by_what_they_tell_per_second(kind: str) -> None:
    of = learner(kind)
    questions = of.ask("newcomer", forms=ALL, k=12, rng=rng())
    values = [question.value for question in questions]
    assert values == sorted(values, reverse=True)
    items = [item for question in questions for item in question.items]
    assert len(items) == len(set(items))
    concepts = [question.item_id for question in questions if question.form is Form.CONCEPT]
    assert len(concepts) == len(set(concepts))
    for question in questions:
        assert question.strategy == "gain-per-second"
        assert question.seconds > 0 and 0 < question.answerable <= 1 and 0 < question.propensity <= 1
        assert question.why.startswith("an answer lowers the uncertainty about what you may be shown by ")


def test_cheaper_kinds_are_asked_more() -> None:
    def forms(seconds: Seconds) -> set[Form]:
        return {question.form for question in learner().ask("newcomer", forms=ALL, k=5, seconds=seconds, rng=rng())}

    assert forms(Seconds(concept=0.01)) == {Form.CONCEPT}
    assert forms(Seconds(preview=0.01)) == {Form.PREVIEW}
    assert forms(Seconds(look=0.01, tap=0.01)) == {Form.PAGE}  # as a group, and says more
    assert forms(Seconds(pair=1e-4)) == {Form.PAIR}


def test_to_rate_alone_stays_the_default() -> None:
    plain = learner().ask("newcomer", k=3, rng=rng())
    assert learner().ask("newcomer", forms=["rate"], k=3, rng=rng()) == plain
    assert {(question.form, question.seconds) for question in plain} == {(Form.RATE, Seconds().rate)}
    assert Question("ann", "i001", "random", 0.0, 1.0, 1.0).seconds == Seconds().rate


def test_a_page_is_answered_item_by_item() -> None:
    of = learner()
    (page,) = of.ask("newcomer", forms=["page"], rng=rng())
    first, second, *others = page.items
    assert page.why.endswith(f" in {page.seconds:.0f} s") and page.answerable > 0.995  # they know one of so many
    assert [part.item_id for part in page.parts] == list(page.items)
    assert {part.form for part in page.parts} == {Form.RATE}
    assert sum(part.seconds for part in page.parts) == pytest.approx(page.seconds)
    answers = page.answers({second: 5.0, others[0]: AnswerKind.SKIPPED})
    kinds = [AnswerKind.UNKNOWN, AnswerKind.RATING, AnswerKind.SKIPPED, *[AnswerKind.UNKNOWN] * (len(others) - 1)]
    assert [answer.kind for answer in answers] == kinds
    one_by_one = of
    for item, kind in zip(page.items, kinds, strict=True):
        value = 5.0 if kind is AnswerKind.RATING else None
        one_by_one = one_by_one.tell(Answer("newcomer", item, kind, value))
    together = of.tell(answers)
    np.testing.assert_array_equal(together.state("newcomer").belief.mean, one_by_one.state("newcomer").belief.mean)
    np.testing.assert_array_equal(together.state("newcomer").exposure.mean, one_by_one.state("newcomer").exposure.mean)
    assert not {first, second} & {item for more in together.ask("newcomer", k=99, rng=rng()) for item in more.items}


def test_an_answered_page_is_taken_back_exactly() -> None:
    of = learner().tell(some("ratings"))
    (page,) = of.ask("newcomer", forms=["page"], rng=rng())
    now = of.tell(page.answers(dict.fromkeys(page.items[:3], 4.0)))
    assert not np.array_equal(now.state("newcomer").belief.mean, of.state("newcomer").belief.mean)
    for answer in now.told["newcomer"][len(of.told["newcomer"]) :]:
        now = now.undo("newcomer", answer.key)
    np.testing.assert_array_equal(now.state("newcomer").belief.mean, of.state("newcomer").belief.mean)
    np.testing.assert_array_equal(now.state("newcomer").exposure.mean, of.state("newcomer").exposure.mean)


def test_only_the_items_of_a_page_are_rated_on_it() -> None:
    of = learner()
    (page,), (plain,) = of.ask("newcomer", forms=["page"], rng=rng()), of.ask("newcomer", rng=rng())
    with pytest.raises(
        AnswerError, match=r"^item 'elsewhere' is not on the page\. Give ratings of the items of a page\."
    ):
        page.answers({"elsewhere": 5.0})
    with pytest.raises(AnswerError, match=r"^a rate question is no page\. Give ratings of the items of a page\."):
        plain.answers({plain.item_id: 5.0})
    with pytest.raises(
        AnswerError, match=r"^a page is answered item by item\. Give an answer of the form rate for each"
    ):
        page.answer(5.0)


@pytest.mark.parametrize("kinds", [("group",), ("page",), ("pair",), ("concept",), ("preview",), ALL])
def test_more_than_there_is_gives_what_there_is(kinds: tuple[str, ...]) -> None:
    of = learner()
    candidates = of.model.catalogue.ids[:7]
    questions = of.ask("newcomer", forms=kinds, k=500, candidates=candidates, rng=rng())
    assert 0 < len(questions) < 40
    assert {item for question in questions for item in question.items} <= set(candidates)


@pytest.mark.parametrize("kind", ["ratings", "events"])
def test_nothing_is_asked_twice_whatever_the_kind(kind: str) -> None:
    of = learner(kind).tell(some(kind))
    forms = ALL if kind == "ratings" else (Form.RATE, Form.GROUP, Form.PAGE)
    questions = of.ask("newcomer", forms=forms, k=500, rng=rng())
    answered = {item for answer in some(kind) for item in answer.items}
    assert not answered & {item for question in questions for item in question.items}
    assert not {"crime", "jazz"} & {question.item_id for question in questions}
    assert not answered & {question.item_id for question in of.ask("newcomer", k=500, rng=rng())}


def test_what_was_tapped_is_not_recommended_and_what_was_only_shown_is() -> None:
    of = learner().tell([group(["i001", "i002"], ["i002"]), yes("i006", Form.PREVIEW)])
    shown = {item.item_id for item in of.recommend("newcomer", k=200)}
    assert {"i001", "i006"} <= shown and "i002" not in shown


def test_words_can_be_asked_about() -> None:
    named = ["crime", "a tale of two robots"]
    questions = learner().ask("newcomer", forms=["concept"], concepts=named, k=9, rng=rng())
    assert sorted(question.item_id for question in questions) == sorted(named)
    assert learner().ask("newcomer", forms=["concept"], concepts=[], k=9, rng=rng()) == ()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"forms": ["essay"]},
            OptionError,
            r"^the form of question 'essay' is unknown\. Use rate, pair, group,",
        ),
        ({"forms": []}, OptionError, r"^no form of question is given\. Give one or several of rate, pair,"),
        ({"forms": ["pair"], "k": 0}, OptionError, r"^k is 0\. Give a whole number from 1\.$"),
        ({"forms": ["pair"], "strategy": "epig"}, OptionError, r"^strategy 'epig' ranks items\. Several forms of"),
        ({"forms": ["pair"], "candidates": ["zzz"]}, UnknownItem, "^item 'zzz' is not in the model"),
    ],
)
def test_what_cannot_be_asked_is_refused(options: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        learner().ask("newcomer", rng=rng(), **options)  # type: ignore[arg-type]


def test_without_an_encoder_only_categories_are_concepts() -> None:
    of = learner(encoder="none")
    message = r"^concept 'opera' is unknown: the model has no encoder to read it\. The categories are: .*crime"
    with pytest.raises(UnknownItem, match=message):
        of.ask("newcomer", forms=["concept"], concepts=["opera"], rng=rng())
    with pytest.raises(UnknownItem, match=message):
        of.tell(yes("opera", Form.CONCEPT))
    assert of.tell(yes("crime", Form.CONCEPT)).told


# ---- tell -----------------------------------------------------------------------------------------------------------


def test_answers_move_taste_the_way_they_say() -> None:
    of = learner()
    before = item_score(of, "i004") - item_score(of, "i005")
    for value, sign in ((1.0, 1), (0.0, -1)):
        after = of.tell(pair("i004", "i005", value))
        assert sign * (item_score(after, "i004") - item_score(after, "i005") - before) > 0
    tapped = of.tell(group(["i001", "i002"], ["i002"]))
    both = of.tell(group(["i001", "i002"], ["i001", "i002"]))
    assert item_score(tapped, "i002") > item_score(of, "i002")
    assert item_score(tapped, "i001") < item_score(both, "i001")
    crime = of.model.concept("crime").direction
    for value, sign in ((1.0, 1), (0.0, -1)):
        moved = of.tell(yes("crime", Form.CONCEPT, value)).state("newcomer").belief.mean
        assert sign * (crime @ (moved - of.state("newcomer").belief.mean)) > 0
        assert sign * (item_score(of.tell(yes("i006", Form.PREVIEW, value)), "i006") - item_score(of, "i006")) > 0


@pytest.mark.parametrize("kind", [AnswerKind.UNKNOWN, AnswerKind.NO_OPINION, AnswerKind.SKIPPED])
def test_no_other_answer_moves_taste(kind: AnswerKind) -> None:
    of = learner()
    for question in (
        pair("i004", "i005"),
        group(["i001", "i002"], []),
        yes("crime", Form.CONCEPT),
        yes("i006", Form.PREVIEW),
    ):
        after, before = of.tell(replace(question, kind=kind, value=None)).state("newcomer"), of.state("newcomer")
        assert np.array_equal(after.belief.mean, before.belief.mean)
        assert np.array_equal(after.belief.covariance, before.belief.covariance)
        if kind is AnswerKind.SKIPPED or question.form in (Form.CONCEPT, Form.PREVIEW):
            assert np.array_equal(after.exposure.mean, before.exposure.mean)


def test_what_is_known_moves_with_what_is_named() -> None:
    of = learner()
    taste = of.model.answerability
    strong = np.argsort(-(taste.loadings**2).sum(1))[:3]
    first, second, third = (of.model.catalogue.ids[place] for place in strong)
    assert known(of.tell(pair(first, second)), first) > known(of, first)
    assert known(of.tell(pair(first, second, None)), first) < known(of, first)
    assert known(of.tell(group([first, second, third], [first])), first) > known(of, first)
    nobody = of.tell(group([first, second, third], []))
    none = of.tell(replace(group([first, second, third], []), kind=AnswerKind.UNKNOWN, value=None))
    assert known(none, first) < known(nobody, first) < known(of, first)


@pytest.mark.parametrize("kind", ["ratings", "likes", "both", "events"])
@pytest.mark.parametrize("user", ["newcomer", "u007"])
def test_replay_undo_and_a_saved_log_give_the_same_belief_to_the_bit(kind: str, user: str, tmp_path: Path) -> None:
    answers = [replace(answer, user_id=user) for answer in some(kind)]
    online = learner(kind)
    for answer in answers:
        before = online
        online = online.tell(answer)
        online.state(user)
        assert_same_state(online.undo(user).state(user), before.state(user))
    assert_same_state(online.state(user), replayed(online, user))
    assert_same_state(online.undo(user, "g").state(user), learner(kind).tell(answers[1:]).state(user))
    online.save(tmp_path)
    assert_same_state(Learner.load(tmp_path).state(user), online.state(user))


def test_the_same_question_again_counts_once_however_it_was_put() -> None:
    again = learner().tell(pair("i004", "i005", 1.0))
    again.state("newcomer")
    again = again.tell(pair("i005", "i004", 1.0))  # the contrary, with the items exchanged
    assert_same_state(again.state("newcomer"), learner().tell(pair("i005", "i004", 1.0)).state("newcomer"))
    twice = learner().tell([group(["i001", "i002"], ["i001"]), group(["i002", "i001"], ["i002"])])
    assert_same_state(twice.state("newcomer"), learner().tell(group(["i002", "i001"], ["i002"])).state("newcomer"))


def test_contradictory_answers_of_two_kinds_are_weighed() -> None:
    liked = learner().tell(group(["i001", "i002"], ["i002"]))
    liked.state("newcomer")
    both = liked.tell(rating("i002", 1.0))
    assert (
        item_score(learner().tell(rating("i002", 1.0)), "i002") < item_score(both, "i002") < item_score(liked, "i002")
    )
    assert_same_state(both.state("newcomer"), replayed(both, "newcomer"))


def test_an_answer_to_a_question_never_asked_is_taken_and_says_so() -> None:
    (answer,) = learner().tell(pair("i004", "i005")).told["newcomer"]
    assert (answer.question, answer.propensity) == ("", None)


@pytest.mark.long
def test_an_answer_that_is_no_rating_stays_out_of_the_next_fit() -> None:
    told = [replace(answer, user_id="u007") for answer in some()]
    with_all = Learner.fit(data(), encoder="words", dim=2, labels=told)
    only = Learner.fit(data(), encoder="words", dim=2, labels=[a for a in told if a.form is Form.RATE])
    assert np.array_equal(with_all.model.taste.items.factors, only.model.taste.items.factors)


def test_undoing_twice_is_refused() -> None:
    undone = learner().tell([pair("i004", "i005", key="p"), rating("i001", 4.0)]).undo("newcomer", "p")
    with pytest.raises(
        AnswerError, match=r"^the answer 'p' has already been undone\. There is nothing left to undo\.$"
    ):
        undone.undo("newcomer", "p")


def test_an_answer_is_made_of_a_question() -> None:
    of = learner()
    cheap = Seconds(look=0.01, tap=0.01)
    (question,) = of.ask("newcomer", forms=["rate", "group"], seconds=cheap, rng=rng())
    answer = question.answer([question.others[0]])
    assert (answer.form, answer.others, answer.tapped, answer.value) == (
        Form.GROUP,
        question.others,
        question.others[:1],
        1.0,
    )
    assert question.answer([]).value == 0.0
    assert question.answer(AnswerKind.UNKNOWN).value is None
    with pytest.raises(AnswerError, match=r"^the answer to a group is 3\. Give the ids that were tapped, in a list\.$"):
        question.answer(3.0)
    with pytest.raises(AnswerError, match=r"^item 'i120' was tapped and not offered\. Give items of the group\.$"):
        replace(question, others=("i002",), item_id="i001").answer(["i120"])


@pytest.mark.parametrize("form", [Form.PAIR, Form.CONCEPT, Form.PREVIEW])
def test_a_model_of_events_takes_no_answer_about_dislikes(form: Form) -> None:
    told = pair("i004", "i005") if form is Form.PAIR else yes("crime" if form is Form.CONCEPT else "i001", form)
    with pytest.raises(AnswerError, match=rf"^a model of events has no level of liking: a {form.value} cannot"):
        learner("events").tell(told)
    with pytest.raises(OptionError, match=rf"^a model of events has no level of liking: a {form.value} cannot"):
        learner("events").ask("newcomer", forms=[form], rng=rng())


def test_a_tap_is_an_event_where_events_are_known() -> None:
    of = learner("events")
    tapped = of.tell(group(["i001", "i002"], ["i002"])).state("newcomer")
    event = of.tell(rating("i002", 1.0)).state("newcomer")
    assert np.array_equal(tapped.belief.mean, event.belief.mean)


# ---- with the oracle ------------------------------------------------------------------------------------------------


def test_a_talk_of_all_kinds_teaches() -> None:
    """Ten questions of any kind to people nobody has seen: nearer to their tastes than the start."""
    from tests.worlds import world

    of, truth = learner(), world().expected()
    errors = []
    for user in range(20):
        ratings = dict(zip(world().item_ids, np.clip(np.round(truth[user]), 1, 5), strict=True))
        members = {
            name: [of.model.catalogue.ids[i] for i in rows] for name, rows in of.model.catalogue.categories.items()
        }
        scale = of.model.scale
        oracle = Simulated({"newcomer": ratings}, like=scale.like, cut=scale.cut, categories=members)
        now = of
        for turn in range(10):
            kinds = [("group",), ("concept",), ("pair",), ("preview",), ALL][turn % 5]
            now = now.tell(oracle.answer(now.ask("newcomer", forms=kinds, rng=rng())))
        items = of.model.taste.items
        means = [items.level + at.state("newcomer").belief.score(items.factors) for at in (of, now)]
        errors.append([float(np.mean((mean - truth[user]) ** 2)) for mean in means])
    start, end = np.mean(errors, axis=0)
    assert end < 0.7 * start
