"""The loop: what is asked, what an answer does, what undo takes back, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from palate import Learner
from palate.datasets import Dataset
from palate.entities import Answer, AnswerKind
from palate.errors import AnswerError, DataError, IdError, OptionError, UnknownItem
from palate.loop.offered import candidates_of
from palate.loop.state import UserState
from palate.records import events
from tests.worlds import data, learner, words, world

KINDS = ("ratings", "likes", "events", "both")
SOME = ["ratings", "events", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("likes", "both"))]


@pytest.fixture(autouse=True)
def _words() -> Iterator[None]:
    with words():
        yield


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def rating(item: str, value: float, user: str = "newcomer", key: str = "") -> Answer:
    return Answer(user, item, AnswerKind.RATING, value, key=key)


def other(item: str, kind: AnswerKind, user: str = "newcomer") -> Answer:
    return Answer(user, item, kind)


def good(kind: str) -> float:
    """A rating that every likelihood takes."""
    return {"ratings": 5.0, "both": 5.0, "likes": 1.0, "events": 1.0}[kind]


def assert_same_state(one: UserState, two: UserState) -> None:
    """To the bit."""
    for name in ("start", "belief", "exposure"):
        assert np.array_equal(getattr(one, name).mean, getattr(two, name).mean), name
        assert np.array_equal(getattr(one, name).covariance, getattr(two, name).covariance), name
    assert (one.rated, one.values, one.asked) == (two.rated, two.values, two.asked)


def replayed(of: Learner, user: str) -> UserState:
    """What a learner that remembers nothing but the log makes of it."""
    return Learner(replace(of.memory, states=None)).state(user)


# ---- tell -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SOME)
@pytest.mark.parametrize("user", ["newcomer", pytest.param("u007", marks=pytest.mark.long)])
def test_telling_leaves_the_old_learner_as_it_was(kind: str, user: str) -> None:
    before = learner(kind)
    held = before.state(user)
    copies = held.belief.mean.copy(), held.belief.covariance.copy(), held.exposure.mean.copy()
    questions, items = before.ask(user, rng=rng()), before.recommend(user)
    item = questions[0].item_id
    after = before.tell(rating(item, good(kind), user))
    assert np.array_equal(held.belief.mean, copies[0]) and np.array_equal(held.belief.covariance, copies[1])
    assert np.array_equal(held.exposure.mean, copies[2])
    assert before.ask(user, rng=rng()) == questions
    assert before.recommend(user) == items
    assert user not in before.told and len(after.told[user]) == 1
    assert not np.array_equal(after.state(user).belief.mean, copies[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("user", ["newcomer", "u007"])
def test_replay_gives_the_same_as_hearing_it_online_to_the_bit(kind: str, user: str) -> None:
    online, draw = learner(kind), rng(1)
    for turn in range(12):
        (question,) = online.ask(user, strategy="random", rng=draw)
        answer = (
            good(kind) if turn % 3 else [AnswerKind.UNKNOWN, AnswerKind.SKIPPED, AnswerKind.NO_OPINION][turn // 3 % 3]
        )
        online = online.tell(question.answer(answer))
        online.state(user)
    assert_same_state(online.state(user), replayed(online, user))
    assert len(online.state(user).asked - learner(kind).state(user).asked) == 12


def test_a_list_is_heard_like_its_answers_one_by_one() -> None:
    answers = [rating("i001", 5.0), rating("i002", 1.0), other("i003", AnswerKind.UNKNOWN), rating("i001", 2.0)]
    one_by_one = learner()
    for answer in answers:
        one_by_one = one_by_one.tell(answer)
        one_by_one.state("newcomer")
    assert_same_state(learner().tell(answers).state("newcomer"), one_by_one.state("newcomer"))


def test_only_a_rating_moves_taste() -> None:
    before = learner().state("newcomer")
    for kind in (AnswerKind.UNKNOWN, AnswerKind.NO_OPINION, AnswerKind.SKIPPED):
        after = learner().tell(other("i001", kind)).state("newcomer")
        assert after.belief is before.belief, kind
        assert after.rated == () and len(after.asked) == 1
    rated = learner().tell(rating("i001", 5.0)).state("newcomer")
    assert not np.array_equal(rated.belief.mean, before.belief.mean)
    assert np.linalg.slogdet(rated.belief.covariance)[1] < np.linalg.slogdet(before.belief.covariance)[1]


def test_unknown_lowers_the_chance_that_similar_items_can_be_answered() -> None:
    answerability = learner().model.answerability
    item = int((answerability.loadings**2).sum(1).argmax())
    of = learner().model.catalogue.ids[item]
    before = answerability.probability(learner().state("newcomer").exposure)
    similar = answerability.loadings @ answerability.loadings[item] > 0.02
    assert similar.sum() > 5
    for kind, sign in ((AnswerKind.UNKNOWN, -1), (AnswerKind.NO_OPINION, 1)):
        after = answerability.probability(learner().tell(other(of, kind)).state("newcomer").exposure)
        assert (sign * (after - before)[similar] > 0).all(), kind
    known = answerability.probability(learner().tell(rating(of, 1.0)).state("newcomer").exposure)
    assert (known[similar] > before[similar]).all()


def test_a_skip_moves_nothing_and_is_not_asked_again() -> None:
    before, after = learner().state("newcomer"), learner().tell(other("i001", AnswerKind.SKIPPED)).state("newcomer")
    assert_same_state(replace(after, asked=before.asked), before)
    asked = learner().tell(other("i001", AnswerKind.SKIPPED)).ask("newcomer", k=200, rng=rng())
    assert "i001" not in {question.item_id for question in asked}


def test_of_two_answers_about_an_item_the_last_counts() -> None:
    first, second = rating("i001", 5.0), rating("i001", 1.0)
    twice = learner().tell(first)
    twice.state("newcomer")
    twice = twice.tell(second)
    assert_same_state(twice.state("newcomer"), learner().tell(second).state("newcomer"))
    assert len(twice.told["newcomer"]) == 2


def test_a_rating_of_the_data_can_be_given_anew() -> None:
    user = "u007"
    state = learner().state(user)
    item = learner().model.catalogue.ids[state.rated[0]]
    old, new = state.values[0], 1.0 if state.values[0] > 3 else 5.0
    after = learner().tell(rating(item, new, user)).state(user)
    assert len(after.rated) == len(state.rated) and after.values[-1] == new
    # as if the old one had never been: believed from the other ratings, then told
    coded = data().interactions.filter(~((pl.col("user_id") == user) & (pl.col("item_id") == item)))
    assert coded.height == data().interactions.height - 1
    same_again = learner().tell(rating(item, old, user)).state(user)
    np.testing.assert_allclose(same_again.belief.mean, state.belief.mean, atol=1e-9)
    np.testing.assert_allclose(same_again.belief.covariance, state.belief.covariance, atol=1e-9)
    moved = (after.belief.mean - state.belief.mean) @ learner().model.taste.items.factors[state.rated[0]]
    assert moved * (new - old) > 0


def test_the_same_key_twice_is_harmless() -> None:
    once = learner().tell(rating("i001", 5.0, key="k1"))
    assert once.tell(rating("i001", 5.0, key="k1")).told == once.told
    assert once.tell([rating("i002", 5.0, key="k1")]).told == once.told
    both = learner().tell([rating("i001", 5.0, key="k1"), rating("i001", 5.0, key="k1")])
    assert len(both.told["newcomer"]) == 1


def test_an_answer_without_a_key_gets_its_own() -> None:
    keys = {answer.key for answer in learner().tell([rating("i001", 5.0), rating("i002", 5.0)]).told["newcomer"]}
    assert len(keys) == 2 and all(keys)


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (rating("i002", 5.5), AnswerError, r"^the rating 5\.5 is off the scale\. Give a number from 1 to 5\.$"),
        (rating("i002", 0.0), AnswerError, r"^the rating 0 is off the scale\. Give a number from 1 to 5\.$"),
        (rating("i02", 4.0), UnknownItem, r"^item 'i02' is not in the model \(120 items\)\. Did you mean 'i\d+'\?$"),
        (
            other("nothing", AnswerKind.SKIPPED),
            UnknownItem,
            r"^item 'nothing' is not in the model \(120 items\)\. Add it",
        ),
    ],
)
def test_of_a_list_with_a_wrong_answer_nothing_is_taken(bad: Answer, error: type[Exception], message: str) -> None:
    before = learner()
    told = dict(before.told)
    with pytest.raises(error, match=message):
        before.tell([rating("i001", 5.0), bad, rating("i003", 5.0)])
    assert dict(before.told) == told and before.state("newcomer").rated == ()


def test_half_stars_on_a_scale_of_whole_ones_are_taken() -> None:
    assert learner().tell(rating("i001", 4.5)).state("newcomer").values == (4.5,)


# ---- undo -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["newcomer", "u007"])
def test_undo_is_as_if_never_told_to_the_bit(user: str) -> None:
    answers = [rating(f"i{n:03d}", 1.0 + n % 5, user, key=f"k{n}") for n in (3, 50, 70, 90)]
    whole = learner().tell(answers)
    for gone in range(4):
        left = [answer for n, answer in enumerate(answers) if n != gone]
        undone = whole.undo(user, f"k{(3, 50, 70, 90)[gone]}")
        assert_same_state(undone.state(user), learner().tell(left).state(user))
        assert undone.recommend(user) == learner().tell(left).recommend(user)
    assert len(whole.told[user]) == 4


def test_undo_without_a_key_takes_the_last_one_back() -> None:
    told = learner().tell([rating("i001", 5.0), rating("i002", 5.0)])
    assert [answer.item_id for answer in told.undo("newcomer").told["newcomer"]] == ["i001"]
    nothing = told.undo("newcomer").undo("newcomer")
    assert "newcomer" not in nothing.told and not nothing.knows("newcomer")
    assert_same_state(nothing.state("newcomer"), learner().state("newcomer"))


def test_undoing_a_second_answer_brings_the_first_back() -> None:
    told = learner().tell([rating("i001", 5.0), rating("i001", 1.0)])
    assert_same_state(told.undo("newcomer").state("newcomer"), learner().tell(rating("i001", 5.0)).state("newcomer"))


def test_a_late_repeat_of_an_undone_answer_changes_nothing() -> None:
    answer = rating("i001", 5.0, key="k1")
    undone = learner().tell(answer).undo("newcomer")
    assert not undone.tell(answer).told
    assert len(undone.tell(rating("i001", 5.0, key="k2")).told["newcomer"]) == 1


def test_undo_of_nothing_is_refused() -> None:
    with pytest.raises(
        AnswerError, match=r"^user 'newcomer' has told nothing that could be undone\. Tell an answer first\.$"
    ):
        learner().undo("newcomer")
    told = learner().tell(rating("i001", 5.0, key="k1"))
    with pytest.raises(
        AnswerError, match=r"^user 'newcomer' has no answer with the key 'k2'\. Undo one of 1 there are\.$"
    ):
        told.undo("newcomer", "k2")


# ---- ask ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["random", "lookahead", "list-value", "epig", "evoi-ndcg", "voting", "badge"])
@pytest.mark.parametrize("kind", KINDS)
def test_asking_reads_only_and_never_asks_twice(strategy: str, kind: str) -> None:
    for user in ("newcomer", "u007"):
        of = learner(kind)
        state = of.state(user)
        questions = of.ask(user, k=130, strategy=strategy, rng=rng())
        assert_same_state(of.state(user), state)
        assert user not in of.told
        asked = [question.item_id for question in questions]
        assert len(asked) == len(set(asked)) == 120 - len(state.asked)
        assert not {of.model.catalogue.position(item) for item in asked} & state.asked
        for question in questions:
            assert question.user_id == user and question.strategy == strategy
            assert 0.0 < question.propensity <= 1.0 and 0.0 <= question.answerable <= 1.0
            assert np.isfinite(question.value) and question.why


def test_the_same_draws_give_the_same_questions() -> None:
    assert learner().ask("newcomer", k=5, strategy="random", rng=rng(3)) == learner().ask(
        "newcomer", k=5, strategy="random", rng=rng(3)
    )


def test_only_candidates_are_asked() -> None:
    questions = learner().ask("newcomer", k=10, candidates=["i005", "i009", "i005"], rng=rng())
    assert sorted(question.item_id for question in questions) == ["i005", "i009"]
    assert learner().ask("newcomer", candidates=[], rng=rng()) == ()
    told = learner().tell(rating("i005", 3.0))
    assert [question.item_id for question in told.ask("newcomer", k=10, candidates=["i005", "i009"], rng=rng())] == [
        "i009"
    ]


def test_asking_for_the_unknown_is_refused() -> None:
    with pytest.raises(UnknownItem, match="item 'zzz' is not in the model"):
        learner().ask("newcomer", candidates=["zzz"], rng=rng())
    with pytest.raises(OptionError, match="strategy 'best' is unknown"):
        learner().ask("newcomer", strategy="best", rng=rng())
    with pytest.raises(OptionError, match=r"k is 0\. Give a whole number from 1"):
        learner().ask("newcomer", k=0, rng=rng())
    with pytest.raises(IdError, match="user_id is empty"):
        learner().ask(" ", rng=rng())


def test_somebody_who_has_answered_everything_is_asked_nothing() -> None:
    everything = [rating(item, 3.0) for item in learner().model.catalogue.ids]
    assert learner().tell(everything).ask("newcomer", k=5, rng=rng()) == ()


def test_a_question_says_what_it_is_worth() -> None:
    (question,) = learner().ask("newcomer", rng=rng())
    assert question.strategy == "list-value"
    assert question.why.startswith("an answer lowers the uncertainty about what you may be shown by ")
    share = float(question.why.split(" by ")[1].split("%")[0]) / 100
    before = learner().state("newcomer").belief
    after = learner().tell(question.answer(3.0)).state("newcomer").belief
    candidates = candidates_of(learner().model, learner().state("newcomer").exposure)
    fall = 1 - (candidates.targets @ after.variance(candidates.items.factors)) / (
        candidates.targets @ before.variance(candidates.items.factors)
    )
    assert share == pytest.approx(fall, abs=0.006)


def test_the_unit_of_the_ratings_moves_no_question() -> None:
    small = data().interactions.with_columns(pl.col("rating") * 1e-6)
    tiny = Learner.fit(replace(data(), interactions=small), encoder="words", dim=6, likelihood="gaussian")
    plain = learner().ask("newcomer", k=3, rng=rng())
    asked = tiny.ask("newcomer", k=3, rng=rng())
    assert [question.item_id for question in asked] == [question.item_id for question in plain]
    assert [question.why for question in asked] == [question.why for question in plain]


def test_questions_teach_more_than_chance() -> None:
    """On tastes that are known: the error on everything, after ten answers each of 40 people nobody has seen."""
    truth, ids = world().expected(), world().item_ids
    shown = learner().model
    errors = dict.fromkeys(("random", "a-optimal"), 0.0)
    for strategy in errors:
        for user in range(40):
            of, draw = learner(), rng(user)
            for _ in range(10):
                (question,) = of.ask("newcomer", strategy=strategy, rng=draw)
                value = float(np.clip(np.rint(truth[user, ids.index(question.item_id)]), 1, 5))
                of = of.tell(question.answer(value))
            items, belief = shown.taste.items, of.state("newcomer").belief
            errors[strategy] += float(np.mean((items.level + belief.score(items.factors) - truth[user]) ** 2))
    assert errors["a-optimal"] < 0.9 * errors["random"], errors


def test_an_answer_to_a_question_carries_what_was_asked() -> None:
    (question,) = learner().ask("newcomer", strategy="random", rng=rng())
    answer = question.answer(4, source="ann")
    assert (answer.user_id, answer.item_id, answer.value, answer.source) == ("newcomer", question.item_id, 4.0, "ann")
    assert (answer.propensity, answer.question) == (question.propensity, "random")
    unknown = question.answer(AnswerKind.UNKNOWN)
    assert unknown.kind is AnswerKind.UNKNOWN and unknown.value is None
    with pytest.raises(AnswerError, match=r"^the rating 'good' is not a finite number\."):
        question.answer("good")  # type: ignore[arg-type]


# ---- histories ------------------------------------------------------------------------------------------------------


def liked_topic(of: Learner, topic: str) -> list[str]:
    return [of.model.catalogue.ids[position] for position in of.model.catalogue.members(topic)]


def test_what_was_seen_moves_where_a_newcomer_starts() -> None:
    of = learner("both")
    assert of.model.history_prior is not None
    jazz = liked_topic(of, "jazz")
    fan, foe = of.see(events("newcomer", jazz[:8])), of.see(events("newcomer", jazz[:8], liking=-1.0))
    assert not of.knows("newcomer") and fan.knows("newcomer")
    rest = of.model.catalogue.positions(jazz[8:])
    factors = of.model.taste.items.factors[rest]
    score = {name: one.state("newcomer").start.score(factors).mean() for name, one in (("fan", fan), ("foe", foe))}
    assert score["fan"] > 0 > score["foe"]
    assert fan.state("newcomer").rated == () and fan.state("newcomer").asked == frozenset()


def test_history_and_answers_work_together_and_in_any_order() -> None:
    of, answers = learner("both"), [rating("i001", 5.0), rating("i002", 1.0)]
    jazz = liked_topic(of, "jazz")[:5]
    first = of.see(events("newcomer", jazz)).tell(answers)
    last = of.tell(answers).see(events("newcomer", jazz))
    assert_same_state(first.state("newcomer"), last.state("newcomer"))
    assert_same_state(first.state("newcomer"), replayed(first, "newcomer"))
    assert not np.array_equal(first.state("newcomer").belief.mean, of.tell(answers).state("newcomer").belief.mean)


def test_what_was_seen_in_two_goes_is_what_was_seen_in_one() -> None:
    of, jazz = learner("both"), liked_topic(learner("both"), "jazz")[:6]
    first, second, later = jazz[0], events("newcomer", jazz[1], liking=-0.5), events("newcomer", jazz[2:])
    twice = of.see(events("newcomer", first)).see([*second, *later])
    once = of.see([*events("newcomer", first), *second, *later])
    assert_same_state(twice.state("newcomer"), once.state("newcomer"))


def test_events_of_the_data_are_the_history_of_its_users() -> None:
    of = learner("both")
    state = of.state("u007")
    assert state.start is not of.model.taste.start
    more = of.see(events("u007", liked_topic(of, "jazz")[:5])).state("u007")
    assert not np.array_equal(more.start.mean, state.start.mean)
    assert (more.rated, more.values) == (state.rated, state.values)


def test_without_a_history_prior_history_is_kept_and_moves_nothing() -> None:
    of = learner("ratings", "none")
    assert of.model.history_prior is None
    seen = of.see(events("newcomer", ["i001"]))
    assert seen.state("newcomer").start is of.model.taste.start
    assert seen.memory.history("newcomer").items.tolist() == [0]


def test_histories_that_cannot_be() -> None:
    of = learner("both")
    with pytest.raises(OptionError, match=r"^liking 2 is out of range\. Give numbers from -1 to 1\.$"):
        of.see(events("newcomer", ["i001", "i002"], liking=2))
    with pytest.raises(OptionError, match=r"^liking nan is out of range"):
        of.see(events("newcomer", ["i001"], liking=float("nan")))
    with pytest.raises(UnknownItem):
        of.see(events("newcomer", ["i001", "zzz"]))
    assert not of.see(events("newcomer", [])).state("newcomer").asked


# ---- new items ------------------------------------------------------------------------------------------------------

NEW = pl.DataFrame(
    {
        "item_id": ["new-jazz", "new-cake", "new-blank"],
        "title": ["Quiet Quartet", "Grand Chocolate Cake", ""],
        "text": [
            "A jazz album with brushed drums and a long piano solo.",
            "A recipe to bake at home with melted butter.",
            "",
        ],
        "category": ["jazz", "baking", ""],
        "year": [2024, 2025, 2026],
    }
)


def test_a_new_item_is_what_its_text_says() -> None:
    more = learner().with_items(NEW)
    items, catalogue = more.model.taste.items, more.model.catalogue
    assert len(catalogue) == 123 and len(learner().model.catalogue) == 120
    jazz = items.factors[catalogue.members("jazz")[:-1]].mean(0)
    assert catalogue.ids[catalogue.members("jazz")[-1]] == "new-jazz"

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    assert cosine(items.factors[120], jazz) > 0.6
    assert cosine(items.factors[120], jazz) > cosine(items.factors[121], jazz)
    # one without any text is the average item
    np.testing.assert_allclose(
        items.factors[122], more.model.prior.predict(catalogue.content[:120].mean(0)[None])[0, 1:], atol=1e-5
    )


def test_a_new_item_is_less_certain_than_any_that_was_rated() -> None:
    more = learner().with_items(NEW)
    items = more.model.taste.items
    assert items.answer_noise[120:].min() - items.noise[120:].max() > 0
    unsure = items.answer_noise - items.noise
    often = learner().model.catalogue.counts >= 30
    assert (unsure[120:, None] > unsure[:120][often]).all()


def test_a_new_item_can_be_asked_recommended_and_rated() -> None:
    more = learner().with_items(NEW)
    (question,) = more.ask("newcomer", candidates=["new-jazz"], rng=rng())
    told = more.tell(question.answer(5.0))
    assert not np.array_equal(told.state("newcomer").belief.mean, more.state("newcomer").belief.mean)
    (shown,) = more.recommend("newcomer", allow=["new-jazz"])
    assert shown.title == "Quiet Quartet" and shown.reason == "new: its text promises well"
    assert more.recommend("newcomer", allow=["new-blank"])[0].title == "new-blank"


def test_new_items_leave_beliefs_and_answers_as_they_were() -> None:
    told = learner().tell(rating("i001", 5.0))
    more = told.with_items(NEW)
    for user in ("newcomer", "u007"):
        one, two = told.state(user), more.state(user)
        assert np.array_equal(one.belief.mean, two.belief.mean) and one.asked == two.asked
    before = {one.item_id: one for one in told.recommend("newcomer", k=200)}
    for after in more.recommend("newcomer", k=200, exclude=NEW["item_id"].to_list()):
        assert (after.score, after.std) == pytest.approx(
            (before[after.item_id].score, before[after.item_id].std), rel=1e-12
        )


@pytest.mark.parametrize("kind", SOME)
@pytest.mark.parametrize("encoder", ["words", pytest.param("none", marks=pytest.mark.long)])
def test_new_items_in_every_kind_of_model(kind: str, encoder: str) -> None:
    more = learner(kind, encoder).with_items(NEW).with_items(pl.DataFrame({"item_id": ["later"]}))
    assert len(more.recommend("newcomer", k=200)) == 124
    assert len(more.ask("newcomer", k=200, rng=rng())) == 124
    assert np.isfinite(more.model.taste.items.answer_noise).all()
    assert len(more.recommend("u007", k=200, include_seen=True)) == 124


def test_new_items_of_the_same_id_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"^item 'i001' is in the model already\. Leave it out, or refit with its new text\.$"
    ):
        learner().with_items(pl.DataFrame({"item_id": ["new", "i001"]}))
    with pytest.raises(DataError, match="'new' has a row already"):
        learner().with_items(pl.DataFrame({"item_id": ["new", "new"]}))
    with pytest.raises(DataError, match="item_id"):
        learner().with_items(pl.DataFrame({"item_id": ["new", ""]}))
    assert len(learner().with_items(NEW[:0]).model.catalogue) == 120


# ---- fit ------------------------------------------------------------------------------------------------------------


def test_the_kind_of_data_chooses_the_likelihood() -> None:
    assert {kind: learner(kind).model.taste.likelihood.kind for kind in KINDS} == {
        "ratings": "gaussian",
        "likes": "probit",
        "events": "implicit",
        "both": "gaussian",
    }
    assert learner("ratings").model.events is None and learner("both").model.events is not None


def test_two_levels_that_are_not_0_and_1_keep_their_unit() -> None:
    of = edge([("a", "x", 4.0), ("b", "x", 2.0), ("a", "y", 2.0)])
    assert of.model.taste.likelihood.kind == "gaussian"
    assert of.tell(rating("x", 4.0)).state("newcomer").values == (4.0,)


def test_labels_count_in_the_fit_and_are_told_again() -> None:
    labels = [rating(item, value, "label-user") for item, value in (("i001", 5.0), ("i002", 1.0), ("i003", 4.0))]
    fitted = Learner.fit(data(), encoder="none", dim=4, labels=labels)
    assert [answer.item_id for answer in fitted.told["label-user"]] == ["i001", "i002", "i003"]
    assert fitted.model.user_ids == learner().model.user_ids, "a user known from labels alone has no row in the data"
    assert fitted.state("label-user").values == (5.0, 1.0, 4.0)
    plain = Learner.fit(data(), encoder="none", dim=4)
    np.testing.assert_array_equal(fitted.model.catalogue.counts - plain.model.catalogue.counts, [1, 1, 1] + [0] * 117)
    assert not np.array_equal(fitted.model.taste.items.level, plain.model.taste.items.level)


def test_a_label_about_a_pair_of_the_data_takes_its_place() -> None:
    user, position = "u007", learner().state("u007").rated[0]
    item = learner().model.catalogue.ids[position]
    fitted = Learner.fit(
        data(), encoder="none", dim=4, labels=[rating(item, 5.0, user), other("i001", AnswerKind.UNKNOWN)]
    )
    plain = Learner.fit(data(), encoder="none", dim=4)
    assert np.array_equal(fitted.model.catalogue.counts, plain.model.catalogue.counts)
    assert fitted.state(user).values[-1] == 5.0 and len(fitted.state(user).rated) == len(plain.state(user).rated)


@pytest.mark.long
def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UnknownItem, match="item 'zzz' is not in the model"):
        Learner.fit(data(), encoder="none", dim=2, labels=[rating("zzz", 4.0)])
    with pytest.raises(AnswerError, match="the rating 9 is off the scale"):
        Learner.fit(data(), encoder="none", dim=2, labels=[rating("i001", 9.0)])


def test_a_fit_with_a_seed_is_one_model_to_the_bit() -> None:
    one, two = (Learner.fit(data(), encoder="words", dim=4, seed=3) for _ in range(2))
    assert one.recommend("u007") == two.recommend("u007")
    assert one.ask("u007", k=3, rng=rng()) == two.ask("u007", k=3, rng=rng())


def test_progress_is_told() -> None:
    said: list[tuple[str, int, int]] = []
    Learner.fit(data(), encoder="words", dim=2, progress=lambda *step: said.append(step))
    assert {what for what, _, _ in said} == {"encoding", "fitting"}
    assert all(0 < done <= of for _, done, of in said)


def test_data_with_nothing_to_learn_from() -> None:
    only_shown = Dataset.from_tables(pl.DataFrame({"user_id": ["a"], "item_id": ["x"], "event": ["impression"]}))
    with pytest.raises(DataError, match=r"has no event to fit: 0 of 1 rows\. Give at least one"):
        Learner.fit(only_shown, encoder="none")
    with pytest.raises(OptionError, match="likelihood 'poisson' is unknown"):
        Learner.fit(data(), encoder="none", likelihood="poisson")
    with pytest.raises(DataError, match=r"has no rating to fit: 0 of \d+ rows"):
        Learner.fit(data("events"), encoder="none", likelihood="gaussian")
    with pytest.raises(OptionError, match="dim is 0"):
        Learner.fit(data(), encoder="none", dim=0)


# ---- cold start and empty edges -------------------------------------------------------------------------------------


def edge(rows: list[tuple[str, str, float]], **options) -> Learner:
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "rating"], orient="row")
    return Learner.fit(Dataset.from_tables(table), encoder="none", dim=4, **options)


@pytest.mark.parametrize(
    "rows",
    [
        [("a", "x", 4.0)],
        [("a", "x", 4.0), ("b", "x", 2.0)],
        [("a", "x", 4.0), ("a", "y", 2.0)],
        [("a", "x", 3.0), ("a", "y", 3.0), ("b", "x", 3.0), ("b", "y", 3.0)],
    ],
    ids=["one answer", "one item", "one user", "one level"],
)
def test_IN_10_the_smallest_data(rows: list[tuple[str, str, float]]) -> None:
    of = edge(rows)
    for user in ("a", "nobody"):
        for include_seen in (False, True):
            shown = of.recommend(user, k=10, include_seen=include_seen)
            assert all(np.isfinite([one.score, one.std]).all() for one in shown)
        assert all(np.isfinite(question.value) for question in of.ask(user, k=10, rng=rng()))
    assert of.recommend("a") == [] or len(rows) == 2
    low, high = min(r[2] for r in rows), max(r[2] for r in rows)
    assert all(low - 0.5 <= one.score <= high + 0.5 for one in of.recommend("nobody"))


def test_IN_10_a_model_of_one_item_serves_the_whole_loop() -> None:
    of = edge([("a", "x", 4.0), ("b", "x", 2.0)])
    (question,) = of.ask("nobody", k=5, rng=rng())
    told = of.tell(question.answer(4.0))
    assert told.ask("nobody", rng=rng()) == () and told.recommend("nobody") == []
    assert told.undo("nobody").recommend("nobody")[0].item_id == "x"
    assert told.profile("nobody") == []


def test_IN_10_an_item_of_the_table_that_nobody_rated_is_in_the_catalogue() -> None:
    rated = pl.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "x"], "rating": [4.0, 2.0]})
    items = pl.DataFrame({"item_id": ["x", "y"], "title": ["X", "Y"]})
    of = Learner.fit(Dataset.from_tables(rated, items), encoder="none", dim=2)
    shown = {one.item_id: one for one in of.recommend("nobody")}
    assert shown["y"].reason == "new: nobody has rated it yet"
    assert shown["y"].std >= shown["x"].std


def test_IN_10_an_unknown_user_and_one_without_answers_start_alike() -> None:
    of = learner()
    assert of.recommend("nobody") == of.recommend("somebody else")
    users = pl.concat(
        [
            data("both").interactions,
            data("both").interactions[:1].with_columns(user_id=pl.lit("quiet"), rating=None, event=None),
        ]
    )
    quiet = Learner.fit(replace(data("both"), interactions=users), encoder="none", dim=4)
    assert "quiet" in quiet.model.user_ids and quiet.knows("quiet")
    for one, two in zip(quiet.recommend("quiet"), quiet.recommend("nobody"), strict=True):
        assert (
            one.item_id == two.item_id and one.score == pytest.approx(two.score) and one.std == pytest.approx(two.std)
        )


def test_ids_are_normalised_everywhere() -> None:
    numbers = edge([("1", "10", 4.0), ("2", "10", 2.0), ("1", "11", 1.0)])
    assert [q.item_id for q in numbers.ask(7, candidates=[10, " 11 "], k=5, rng=rng())] != []  # type: ignore[arg-type,list-item]
    assert [one.item_id for one in numbers.recommend(" 7 ", exclude=[10])] == ["11"]  # type: ignore[list-item]
    assert_same_state(numbers.state(1), numbers.state(" 1"))  # type: ignore[arg-type]
    assert numbers.state(1).rated
