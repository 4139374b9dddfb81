"""Whom to ask, at what price, or to stop: through the learner, as a user calls it."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest

from palate import Learner
from palate.acquisition.oracle_choice import Action
from palate.costs import Budget, Price
from palate.datasets import Dataset, planted_world
from palate.entities import RATING, Answer, AnswerKind
from palate.entities.provenance import Provenance
from palate.errors import OptionError, UnknownItem
from palate.loop.next_step import worth_asking
from palate.loop.offered import candidates_of
from palate.oracles.pseudo_labels import counts
from palate.oracles.source_reliability import Gold, Reliabilities, Reliability
from palate.records import Calibration


@cache
def data() -> Dataset:
    return planted_world(users=80, items=30, rng=np.random.default_rng(0)).dataset


@cache
def learner() -> Learner:
    return Learner.fit(data(), encoder="none")


@cache
def likes() -> Learner:
    liked = data().interactions.with_columns((pl.col(RATING) >= 4).cast(pl.Float64))
    return Learner.fit(replace(data(), interactions=liked), encoder="none")


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def spread(before: Learner, now: Learner, user: str = "newcomer") -> float:
    """Variance of what the user may be shown, as was thought before."""
    targets = candidates_of(before.model, before.state(user).exposure).targets
    return float(targets @ now.state(user).belief.variance(before.model.taste.items.factors))


def rated(value: float = 4, user: str = "newcomer") -> Learner:
    (question,) = learner().ask(user, random_share=0, rng=rng())
    return learner().tell(question.answer(value))


def label(item: str, weight: float = 0.25, user: str = "newcomer") -> Answer:
    return Answer(user, item, AnswerKind.RATING, 4.0, source=f"pseudo:graph@{weight}")


def test_the_cheaper_of_two_equal_oracles_is_asked_and_its_question_can_be_answered() -> None:
    prices = {Action.ANNOTATOR: Price(3.0), Action.LANGUAGE_MODEL: Price(2.0)}
    step = learner().decide("newcomer", prices, rng=rng())
    assert step.action is Action.LANGUAGE_MODEL and step.cost == 2.0 and step.worth > 0 and step.reason == ""
    assert step.question is not None and step.question.answerable == 1.0
    after = learner().tell(step.question.answer(4, source="language model"))
    assert len(after.told["newcomer"]) == 1
    again = after.decide("newcomer", prices, rng=rng())
    assert again.question is not None and again.question.item_id != step.question.item_id


def test_an_unreliable_oracle_must_be_much_cheaper() -> None:
    def chosen(cost: float) -> Action:
        prices = {Action.ANNOTATOR: Price(1.0), Action.LANGUAGE_MODEL: Price(cost, reliability=0.05)}
        return learner().decide("newcomer", prices, rng=rng()).action

    assert chosen(0.9) is Action.ANNOTATOR
    assert chosen(0.001) is Action.LANGUAGE_MODEL


def test_what_the_user_may_not_know_is_worth_less_from_the_user() -> None:
    step = learner().decide("newcomer", {Action.USER: Price(1.0), Action.ANNOTATOR: Price(1.0)}, rng=rng())
    assert step.action is Action.ANNOTATOR  # who always answers


def test_asking_again_is_for_what_was_rated() -> None:
    prices = {Action.AGAIN: Price(1.0)}
    nothing = learner().decide("newcomer", prices, rng=rng())
    assert (nothing.action, nothing.question, nothing.reason) == (Action.STOP, None, "there is nothing left to ask")
    (question,) = learner().ask("newcomer", random_share=0, rng=rng())
    after = learner().tell(question.answer(4))
    step = after.decide("newcomer", prices, rng=rng())
    assert step.action is Action.AGAIN and step.question is not None and step.question.item_id == question.item_id


@pytest.mark.parametrize("reliability", [1.0, 0.3])
@pytest.mark.parametrize("action", [Action.ANNOTATOR, Action.LANGUAGE_MODEL])
def test_an_answer_does_to_the_belief_what_it_was_worth(action: Action, reliability: float) -> None:
    step = learner().decide("newcomer", {action: Price(5.0, reliability)}, rng=rng())
    assert step.question is not None
    after = learner().tell(step.question.answer(2, source=step.source))
    fall = spread(learner(), learner()) - spread(learner(), after)
    assert fall == pytest.approx(5.0 * step.worth)
    assert counts(after.told["newcomer"]) == ((1, 0) if reliability == 1.0 else (0, 1))


def test_half_a_reliability_of_likes_weighs_a_quarter() -> None:
    ours = likes()
    for reliability, weight in ((0.5, "0.25"), (0.1, "0.01")):
        step = ours.decide("newcomer", {Action.ANNOTATOR: Price(5.0, reliability)}, rng=rng())
        assert step.source.startswith(f"pseudo:annotator@{weight}")
        assert step.question is not None
        answers = [step.question.answer(value, source=step.source) for value in (0, 1)]
        falls = [spread(ours, ours) - spread(ours, ours.tell(answer)) for answer in answers]
        assert np.mean(falls) == pytest.approx(5.0 * step.worth, rel=0.3)  # in the two models of a bad answer


def test_an_answer_in_the_users_place_is_not_asked_for_twice_and_leaves_the_user_to_be_asked() -> None:
    (item,) = [question.item_id for question in learner().ask("newcomer", random_share=0, rng=rng())]
    prices = {Action.ANNOTATOR: Price(1.0, 0.5)}
    step = learner().decide("newcomer", prices, candidates=[item], rng=rng())
    assert step.question is not None and step.question.item_id == item
    after = learner().tell(step.question.answer(4, source=step.source))
    assert after.decide("newcomer", prices, candidates=[item], rng=rng()).reason == "there is nothing left to ask"
    user = after.decide("newcomer", {Action.USER: Price(1.0)}, candidates=[item], rng=rng())
    assert (user.action, user.source) == (Action.USER, "person")


def test_asked_again_both_ratings_count_and_do_what_the_second_was_worth() -> None:
    once = rated(4)
    step = once.decide("newcomer", {Action.AGAIN: Price(2.0)}, rng=rng())
    assert step.question is not None
    twice = once.tell(step.question.answer(2, source=step.source))
    assert twice.state("newcomer").values == (3.0,)
    fall = spread(once, once) - spread(once, twice)
    assert fall == pytest.approx(2.0 * step.worth, rel=0.01)  # the first rating has taught the item since
    assert twice.decide("newcomer", {Action.AGAIN: Price(2.0)}, rng=rng()).reason == "there is nothing left to ask"
    back = twice.undo("newcomer")
    np.testing.assert_array_equal(back.state("newcomer").belief.mean, once.state("newcomer").belief.mean)


def test_a_rating_of_the_data_counts_beside_the_one_asked_for_again() -> None:
    user = learner().model.user_ids[7]
    step = learner().decide(user, {Action.AGAIN: Price(1.0)}, rng=rng())
    assert step.question is not None
    before, item = learner().state(user), learner().model.catalogue.position(step.question.item_id)
    first = dict(zip(before.rated, before.values, strict=True))[item]
    after = learner().tell(step.question.answer(1))
    assert after.state(user).values[-1] == (first + 1) / 2
    assert spread(learner(), learner(), user) - spread(learner(), after, user) == pytest.approx(step.worth, rel=0.05)


def test_who_does_not_answer_again_has_answered_once() -> None:
    once = rated(4)
    step = once.decide("newcomer", {Action.AGAIN: Price(2.0)}, rng=rng())
    assert step.question is not None
    after = once.tell(step.question.answer(AnswerKind.SKIPPED))
    np.testing.assert_array_equal(after.state("newcomer").belief.mean, once.state("newcomer").belief.mean)


def test_a_rating_that_is_told_unasked_still_replaces_the_first() -> None:
    once = rated(4)
    step = once.decide("newcomer", {Action.AGAIN: Price(2.0)}, rng=rng())
    assert step.question is not None
    again = once.tell(step.question.answer(2))
    item = step.question.item_id
    corrected = again.tell(Answer("newcomer", item, AnswerKind.RATING, 5.0))
    straight = learner().tell(Answer("newcomer", item, AnswerKind.RATING, 5.0))
    np.testing.assert_allclose(corrected.state("newcomer").belief.mean, straight.state("newcomer").belief.mean)


def test_likes_asked_for_again_are_two_likes() -> None:
    ours = likes()
    (question,) = ours.ask("newcomer", random_share=0, rng=rng())
    once = ours.tell(question.answer(1))
    step = once.decide("newcomer", {Action.AGAIN: Price(1.0)}, rng=rng())
    assert step.question is not None
    twice = once.tell(step.question.answer(1))
    item = ours.model.catalogue.position(question.item_id)
    by_hand = ours.model.taste.observe(once.state("newcomer").belief, item, 1.0)
    np.testing.assert_allclose(twice.state("newcomer").belief.mean, by_hand.mean)


def test_a_pseudo_label_is_accepted_where_it_is_worth_its_price() -> None:
    first, second = (
        question.item_id for question in learner().ask("newcomer", k=2, strategy="lookahead", random_share=0, rng=rng())
    )
    labels = [label(first, 0.1), label(first, 0.25), label(second, 0.001)]
    prices = {Action.USER: Price(4.0), Action.PSEUDO_LABEL: Price(0.1)}
    step = learner().decide("newcomer", prices, labels=labels, rng=rng())
    assert step.action is Action.PSEUDO_LABEL and step.label == labels[1] and step.source == labels[1].source
    assert step.question is not None and step.question.item_id == first
    after = learner().tell(step.label)
    assert spread(learner(), learner()) - spread(learner(), after) == pytest.approx(0.1 * step.worth)
    dear = learner().decide("newcomer", {**prices, Action.PSEUDO_LABEL: Price(400.0)}, labels=labels, rng=rng())
    assert dear.action is Action.USER and dear.label is None
    assert learner().decide("newcomer", {Action.PSEUDO_LABEL: Price(0.1)}, rng=rng()).action is Action.STOP


@pytest.mark.parametrize(
    ("prices", "labels", "message"),
    [
        (
            {Action.USER: Price(1.0, 0.8)},
            [],
            "the user's own answers have the reliability 0.8. Leave it out: the model knows their noise.",
        ),
        ({Action.USER: Price(1.0)}, [label("i001")], "1 pseudo-labels have no price. Give one, such as 0.1."),
        (
            {Action.PSEUDO_LABEL: Price(1.0)},
            [label("i001", user="ann")],
            "the answer about 'i001' is no pseudo-label of user 'newcomer'. Propose labels for them.",
        ),
        (3, [], "prices is 3, a int. Give a mapping such as {Action.USER: Price(3.65)}."),
        (
            {"user": Price(1.0)},
            [],
            "what has a price is 'user', a str. Give one of palate.acquisition.oracle_choice.Action.",
        ),
        ({Action.USER: 1.0}, [], "the price to ask the user is 1, a float. Give palate.costs.Price(...)."),
    ],
)
def test_what_does_not_fit_is_refused(prices: dict[Action, Price], labels: list[Answer], message: str) -> None:
    with pytest.raises(OptionError) as error:
        learner().decide("newcomer", prices, labels=labels, rng=rng())
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"budget": Budget(total=1.5)}, "the cheapest answer costs 2, 1.5 is left"),
        ({"budget": Budget(per_user=3, spent={"newcomer": 2.0})}, "the cheapest answer costs 2, 1 is left"),
        ({"least": 1e9}, r"the best answer is worth .*, not more than 1e\+09"),
        ({"candidates": []}, "there is nothing left to ask"),
    ],
)
def test_it_stops_and_says_why(options: dict[str, object], reason: str) -> None:
    step = learner().decide("newcomer", {Action.USER: Price(2.0)}, rng=rng(), **options)  # type: ignore[arg-type]
    assert step.action is Action.STOP and step.question is None
    assert re.fullmatch(reason, step.reason)


def test_a_budget_that_runs_out_in_the_middle_of_a_batch_pays_for_its_beginning() -> None:
    budget, paid = Budget(total=5.0), []
    now = learner()
    while (step := now.decide("newcomer", {Action.USER: Price(2.0)}, budget=budget, rng=rng())).question is not None:
        spent = budget.spend([step.question.user_id], [step.cost])
        budget = spent.budget
        paid.append(step.question.item_id)
        now = now.tell(step.question.answer(4))
    assert len(paid) == len(set(paid)) == 2
    assert step.reason == "the cheapest answer costs 2, 1 is left"


def test_a_batch_over_the_whole_system_is_paid_as_far_as_the_budget_goes() -> None:
    questions = learner().ask_pairs(8, per_user=2, rng=rng())
    spent = Budget(total=7 * 3.65).spend([question.user_id for question in questions], [q.seconds for q in questions])
    assert spent.paid == tuple(range(7))
    assert spent.note.startswith("the budget paid for 7 of 8 questions: question 8 costs 3.65 and ")


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(OptionError, match=r"^the total budget is -1\. Give 0 or more"):
        learner().decide("newcomer", {Action.USER: Price(1.0)}, budget=Budget(total=-1), rng=rng())
    nothing = learner().decide("newcomer", {Action.USER: Price(1.0)}, budget=Budget(total=0), rng=rng())
    assert (nothing.action, nothing.reason) == (Action.STOP, "the cheapest answer costs 1, 0 is left")


@pytest.mark.parametrize(
    ("cost", "message"),
    [(0, "the price is 0"), (-1, "the price is -1"), (float("inf"), "the price is infinite"), (float("nan"), "nan")],
)
def test_a_price_that_is_none_is_refused(cost: float, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        learner().decide("newcomer", {Action.USER: Price(cost)}, rng=rng())


def test_no_prices_a_price_of_stopping_and_unknown_candidates_are_refused() -> None:
    for prices in ({}, {Action.STOP: Price(1.0)}):
        with pytest.raises(OptionError, match=r"^to stop costs nothing\. Give the prices of what can be asked"):
            learner().decide("newcomer", prices, rng=rng())
    with pytest.raises(UnknownItem):
        learner().decide("newcomer", {Action.USER: Price(1.0)}, candidates=["nothing"], rng=rng())


def test_asking_is_worth_a_small_price_and_not_a_large_one() -> None:
    assert worth_asking(learner().memory, "newcomer", 1e-6, rng=rng())
    assert not worth_asking(learner().memory, "newcomer", 100.0, rng=rng())
    many = learner().tell([Answer("much", item, AnswerKind.RATING, 4.0) for item in learner().model.catalogue.ids])
    assert not worth_asking(many, "much", 1e-6, rng=rng())
    with pytest.raises(OptionError, match="the price is 0"):
        worth_asking(learner().memory, "newcomer", 0.0, rng=rng())


@pytest.mark.parametrize("targets", ["known", "slate", "popularity", "uniform"])
def test_targets_by_name(targets: str) -> None:
    first = learner().ask("newcomer", k=3, targets=targets, random_share=0, rng=rng())
    again = learner().ask("newcomer", k=3, targets=targets, random_share=0, rng=rng())
    assert first == again and len({question.item_id for question in first}) == 3


def test_other_targets_value_questions_otherwise() -> None:
    user = learner().model.user_ids[2]  # of a newcomer what they know is what is popular
    worth = {
        targets: learner().ask(user, strategy="a-optimal", targets=targets, random_share=0, rng=rng())[0].value
        for targets in ("known", "slate", "popularity", "uniform")
    }
    assert len(set(worth.values())) == 4


def test_targets_that_are_unknown_or_do_not_fit_are_refused() -> None:
    with pytest.raises(OptionError, match=r"^targets 'all' are unknown\. Use known, slate, popularity or uniform\.$"):
        learner().ask("newcomer", targets="all", rng=rng())
    with pytest.raises(OptionError, match=r"^targets 'slate' are for questions that rate items\."):
        learner().ask("newcomer", forms=["rate", "pair"], targets="slate", rng=rng())


def bob(agreed: int, of: int = 40, family: str = "") -> Reliability:
    """What is believed of bob, who stands in for users: of likes, since these are easily counted."""
    gold = [Gold("bob", 1.0, float(place < agreed)) for place in range(of)]
    return Reliabilities(families={"bob": family} if family else {}).told(gold).of("bob")


def test_who_has_little_gold_or_is_worth_nothing_is_not_asked() -> None:
    prices = {Action.USER: Price(100.0), Action.ANNOTATOR: Price(0.01)}
    for few in (bob(19, 19), bob(20, 40)):
        for seed in range(40):  # also where reliability is drawn
            step = learner().decide("newcomer", prices, learnt={Action.ANNOTATOR: few}, rng=np.random.default_rng(seed))
            assert step.action is Action.USER
    step = learner().decide("newcomer", prices, learnt={Action.ANNOTATOR: bob(20, 20)}, rng=rng())
    assert (step.action, step.source) == (Action.ANNOTATOR, "bob")


def test_learnt_reliability_takes_the_place_of_what_was_typed() -> None:
    def worth(learnt: Reliability | None, typed: float) -> float:
        of = None if learnt is None else {Action.ANNOTATOR: learnt}
        return learner().decide("newcomer", {Action.ANNOTATOR: Price(1.0, typed)}, learnt=of, rng=rng()).worth

    assert worth(bob(36), 0.01) == worth(bob(36), 1.0) == pytest.approx(worth(None, bob(36).low))


def test_the_same_family_again_has_nothing_to_gain() -> None:
    prices = {Action.ANNOTATOR: Price(1.0)}
    learnt = {Action.ANNOTATOR: bob(40, family="gpt")}
    item = learner().decide("newcomer", prices, learnt=learnt, rng=rng()).question.item_id  # type: ignore[union-attr]
    again = [item]
    said = Answer("newcomer", item, AnswerKind.RATING, 4.0, "alice", provenance=Provenance(family="gpt"))
    after = learner().tell(said)
    after = replace(after, memory=after.memory.calibrated([Calibration("alice", 0.5)]))
    step = after.decide("newcomer", prices, learnt=learnt, candidates=again, rng=rng())
    assert (step.action, step.worth) == (Action.STOP, 0.0)
    other = after.decide("newcomer", prices, learnt={Action.ANNOTATOR: bob(40)}, candidates=again, rng=rng())
    assert other.worth > 0.0


def test_what_is_learnt_of_nobody_is_refused() -> None:
    for learnt in ({Action.USER: bob(40)}, {Action.LANGUAGE_MODEL: bob(40)}):
        with pytest.raises(OptionError, match="nothing to learn of"):
            learner().decide("newcomer", {Action.USER: Price(1.0)}, learnt=learnt)
