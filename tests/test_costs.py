"""Prices, reliabilities, budgets, and what to do next."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from palate.acquisition import Candidates
from palate.acquisition.belief.a_optimal import a_optimal
from palate.acquisition.oracle_choice import Action, Channel, Decision, decide, gain, worth
from palate.costs import Budget, Price
from palate.errors import OptionError
from palate.posteriors.belief import Belief
from palate.posteriors.likelihood import Kind
from palate.testing.strategies import make_world


def rng_of(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def world_of(kind: Kind = "gaussian") -> tuple[Belief, Candidates]:
    world = make_world(kind)
    return world.one, world.offered


def spread_of(belief: Belief, candidates: Candidates) -> float:
    return float(candidates.targets @ belief.variance(candidates.items.factors))


# ---- prices ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        (
            0.0,
            "the price is 0, so that every answer would be worth infinitely much. Give what it costs, such as its "
            "seconds; for a source that is free a small price, such as 0.001.",
        ),
        (-2.0, "the price is -2. Give a finite number above 0."),
        (math.inf, "the price is infinite. Leave out the oracle that nobody can pay."),
        (-math.inf, "the price is -inf. Give a finite number above 0."),
        (math.nan, "the price is nan. Give a finite number above 0."),
    ],
)
def test_a_price_that_is_none_is_refused(cost: float, message: str) -> None:
    with pytest.raises(OptionError) as error:
        Price(cost)
    assert str(error.value) == message


@pytest.mark.parametrize("reliability", [0.0, -0.1, 1.01, math.nan, math.inf])
def test_a_reliability_out_of_range_is_refused(reliability: float) -> None:
    with pytest.raises(OptionError, match=r"the reliability is .*\. Give a number above 0 and at most 1\."):
        Price(1.0, reliability)


# ---- gains -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gaussian", "probit", "implicit"])
def test_a_reliable_answer_gains_what_a_optimal_says(kind: Kind) -> None:
    belief, candidates = world_of(kind)
    np.testing.assert_allclose(gain(belief, candidates), a_optimal(belief, candidates, rng=rng_of()), rtol=1e-9)


def test_an_unreliable_rating_is_one_of_more_noise() -> None:
    """By the update itself: the fall of the targets' variance with σ²/ρ."""
    belief, candidates = world_of()
    found = gain(belief, candidates, reliability=0.25)
    for item in range(len(candidates)):
        factors, noise = candidates.items.factors[item], candidates.noise[item] / 0.25
        fall = spread_of(belief, candidates) - spread_of(belief.update(factors, 0.0, noise), candidates)
        assert found[item] == pytest.approx(fall)


def test_an_unreliable_like_is_turned_round_now_and_then() -> None:
    """By sampling: the variance that the posterior mean has over the answers, for each target along the item."""
    belief, candidates = world_of("probit")
    reliability, nodes = 0.6, np.linspace(-10, 10, 20_001)
    found = gain(belief, candidates, reliability=reliability)
    for item in range(len(candidates)):
        factors, unit = candidates.items.factors[item], np.sqrt(candidates.noise[item])
        variance = factors @ belief.covariance @ factors
        score = candidates.items.level[item] + factors @ belief.mean + np.sqrt(variance) * nodes
        truth = norm.cdf(score / unit)
        says = 0.5 * (1 - reliability) + reliability * truth
        weights = norm.pdf(nodes) / norm.pdf(nodes).sum()
        moved = 0.0
        for chance in (says, 1 - says):  # E over answers of the squared move of the score's posterior mean
            total = weights @ chance
            moved += total * ((weights * chance / total) @ nodes) ** 2
        targets = candidates.items.factors @ belief.covariance @ factors  # covariance with each target
        expected = moved * (candidates.targets @ targets**2) / variance
        assert found[item] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", ["gaussian", "probit"])
def test_gains_grow_with_reliability(kind: Kind) -> None:
    belief, candidates = world_of(kind)
    gains = np.array([gain(belief, candidates, reliability=r) for r in (0.05, 0.3, 0.7, 1.0)])
    assert (np.diff(gains, axis=0) > 0).all()


@pytest.mark.parametrize(("kind", "share"), [("gaussian", 0.5), ("probit", 0.25)])
def test_half_the_reliability_where_noise_is_large(kind: Kind, share: float) -> None:
    """Half the gain of a rating, a quarter of that of a like nobody can foretell."""
    belief, candidates = world_of(kind)
    items = replace(candidates.items, noise=np.full(12, 1e8), level=np.zeros(12))
    candidates = replace(candidates, items=items)
    ratio = gain(belief, candidates, reliability=0.5) / gain(belief, candidates)
    np.testing.assert_allclose(ratio, share, rtol=1e-4)


def test_asked_again_is_worth_less_because_the_item_stays_as_unknown() -> None:
    """First answer e + o₁, second e + o₂: by the exact update with both at once."""
    belief, candidates = world_of()
    reliability = 0.5
    for item in range(len(candidates)):
        factors, noise = candidates.items.factors[item], candidates.noise[item]
        own = candidates.items.noise[item]
        shared = noise - own
        second = noise / reliability - shared
        once = belief.update(factors, 0.0, noise)
        both = belief.update(factors, 0.0, shared + 1 / (1 / own + 1 / second))
        fall = spread_of(once, candidates) - spread_of(both, candidates)
        assert gain(once, candidates, reliability=reliability, again=True)[item] == pytest.approx(fall)
        assert fall < gain(once, candidates, reliability=reliability)[item]


def test_an_answer_without_noise_of_its_own_says_the_same_again() -> None:
    belief, candidates = world_of()
    candidates = replace(candidates, items=replace(candidates.items, noise=np.zeros(12)))
    assert gain(belief, candidates, again=True).max() == pytest.approx(0.0, abs=1e-12)


def test_gains_of_several_users_are_those_of_each() -> None:
    world = make_world()
    together = gain(world.several, world.candidates, reliability=0.5)
    np.testing.assert_allclose(together[0], gain(world.one, world.offered, reliability=0.5))


# ---- decisions -------------------------------------------------------------------------------------------------------


def test_worth_is_gain_times_chance_over_cost() -> None:
    belief, candidates = world_of()
    offer = Channel(Action.USER, Price(5.0, 0.8), candidates.known)
    expected = gain(belief, candidates, reliability=0.8) * candidates.known / 5.0
    np.testing.assert_allclose(worth(belief, candidates, offer), expected)


def offers_of(candidates: Candidates, **costs: float) -> list[Channel]:
    rated = np.zeros(len(candidates), dtype=bool)
    rated[candidates.given.rated()[0]] = True
    everything = {
        "user": Channel(Action.USER, Price(costs.get("user", 5.0)), candidates.known, ~rated),
        "annotator": Channel(Action.ANNOTATOR, Price(costs.get("annotator", 20.0), 0.8), 1.0, ~rated),
        "model": Channel(Action.LANGUAGE_MODEL, Price(costs.get("model", 1.0), 0.1), 1.0, ~rated),
        "pseudo": Channel(Action.PSEUDO_LABEL, Price(costs.get("pseudo", 0.1), 0.001), 1.0, ~rated),
        "again": Channel(Action.AGAIN, Price(costs.get("again", 4.0)), 1.0, rated),
    }
    return [everything[name] for name in costs]


@pytest.mark.parametrize(
    ("costs", "action"),
    [
        ({"user": 1.0, "annotator": 1000.0, "model": 1000.0, "pseudo": 1000.0, "again": 1000.0}, Action.USER),
        ({"user": 1000.0, "annotator": 1.0, "model": 1000.0, "pseudo": 1000.0, "again": 1000.0}, Action.ANNOTATOR),
        ({"user": 1000.0, "annotator": 1000.0, "model": 0.1, "pseudo": 1000.0, "again": 1000.0}, Action.LANGUAGE_MODEL),
        ({"user": 1000.0, "annotator": 1000.0, "model": 1000.0, "pseudo": 0.001, "again": 1000.0}, Action.PSEUDO_LABEL),
        ({"user": 1000.0, "annotator": 1000.0, "model": 1000.0, "pseudo": 1000.0, "again": 0.01}, Action.AGAIN),
    ],
)
def test_the_cheapest_by_far_is_taken(costs: dict[str, float], action: Action) -> None:
    belief, candidates = world_of()
    found = decide(belief, candidates, offers_of(candidates, **costs), rng=rng_of())
    assert found.action is action
    assert found.cost == min(costs.values())


def test_the_decision_is_the_largest_worth_of_all() -> None:
    belief, candidates = world_of()
    offers = offers_of(candidates, user=5.0, annotator=20.0, model=1.0)
    found = decide(belief, candidates, offers, rng=rng_of())
    tables = [np.where(offer.allowed, worth(belief, candidates, offer), -np.inf) for offer in offers]
    place = int(np.argmax([table.max() for table in tables]))
    expected = Decision(
        offers[place].action, int(tables[place].argmax()), tables[place].max(), offers[place].price.cost
    )
    assert found == expected


def test_it_stops_where_nothing_is_worth_enough() -> None:
    belief, candidates = world_of()
    offers = offers_of(candidates, user=5.0)
    best = decide(belief, candidates, offers, rng=rng_of()).worth
    found = decide(belief, candidates, offers, least=2 * best, rng=rng_of())
    assert found.action is Action.STOP
    assert found.item == -1
    assert found.reason == f"the best answer is worth {best:.3g}, not more than {2 * best:g}"


def test_it_stops_where_the_taste_is_known() -> None:
    belief, candidates = world_of()
    known = Belief(belief.mean, 0.0 * belief.covariance)
    found = decide(known, candidates, offers_of(candidates, user=5.0), rng=rng_of())
    assert found.reason == "the best answer is worth 0, not more than 0"


def test_it_stops_where_there_is_nothing_to_ask() -> None:
    belief, candidates = world_of()
    nothing = Channel(Action.USER, Price(1.0), 1.0, np.zeros(12, dtype=bool))
    for offers in ([], [nothing]):
        found = decide(belief, candidates, offers, rng=rng_of())
        assert (found.action, found.reason) == (Action.STOP, "there is nothing left to ask")
    empty = candidates.take(np.zeros(0, dtype=np.intp))
    assert decide(belief, empty, [Channel(Action.USER, Price(1.0))], rng=rng_of()).action is Action.STOP


def test_it_takes_what_can_still_be_paid_and_then_stops() -> None:
    belief, candidates = world_of()
    offers = offers_of(candidates, annotator=20.0, pseudo=0.1)
    rich = decide(belief, candidates, offers_of(candidates, annotator=20.0, pseudo=1000.0), rng=rng_of())
    poor = decide(belief, candidates, offers, budget=Budget(total=5.0), user="ann", rng=rng_of())
    assert (rich.action, poor.action) == (Action.ANNOTATOR, Action.PSEUDO_LABEL)
    broke = decide(belief, candidates, offers, budget=Budget(per_user=0.05), user="ann", rng=rng_of())
    assert broke.reason == "the cheapest answer costs 0.1, 0.05 is left"


@pytest.mark.parametrize("least", [-1.0, math.inf, math.nan])
def test_a_least_worth_that_is_none_is_refused(least: float) -> None:
    belief, candidates = world_of()
    with pytest.raises(OptionError, match=r"the least worth is .*\. Give a finite number from 0\."):
        decide(belief, candidates, [], least=least, rng=rng_of())


def test_equal_items_are_drawn_by_the_generator() -> None:
    belief, candidates = world_of()
    twins = candidates.take(np.array([4, 4]))
    offers = [Channel(Action.USER, Price(1.0))]
    assert {decide(belief, twins, offers, rng=rng_of(seed)).item for seed in range(20)} == {0, 1}


# ---- budgets ---------------------------------------------------------------------------------------------------------


def test_a_batch_within_the_budget_is_paid() -> None:
    spent = Budget(total=10.0).spend(["ann", "bob"], [4.0, 6.0])
    assert (spent.paid, spent.note, spent.budget.left("ann")) == ((0, 1), "", 0.0)


def test_a_budget_that_runs_out_in_the_middle_cuts_the_batch_and_says_so() -> None:
    spent = Budget(total=10.0).spend(["ann"] * 4, [4.0, 4.0, 4.0, 1.0])
    assert spent.paid == (0, 1)
    assert spent.note == (
        "the budget paid for 2 of 4 questions: question 3 costs 4 and 2 is left for user 'ann'. Raise it or ask fewer."
    )
    assert spent.budget.left("ann") == 2.0


def test_one_user_who_runs_out_does_not_stop_the_others() -> None:
    spent = Budget(total=100.0, per_user=5.0).spend(["ann", "ann", "bob", "ann"], [3.0, 3.0, 3.0, 1.0])
    assert spent.paid == (0, 2)
    assert spent.note.startswith(
        "the budget paid for 2 of 4 questions: question 2 costs 3 and 2 is left for user 'ann'"
    )
    assert spent.budget.spent == {"ann": 3.0, "bob": 3.0}


def test_once_the_total_runs_out_nothing_further_is_paid() -> None:
    spent = Budget(total=5.0).spend(["ann", "bob", "ann"], [4.0, 3.0, 1.0])
    assert spent.paid == (0,)
    assert spent.note.startswith(
        "the budget paid for 1 of 3 questions: question 2 costs 3 and 1 is left for user 'bob'"
    )


def test_a_budget_is_kept_over_batches_and_the_old_one_still_works() -> None:
    first = Budget(total=10.0, per_user=6.0)
    second = first.spend(["ann"], [5.0]).budget
    assert (first.left("ann"), second.left("ann"), second.left("bob")) == (6.0, 1.0, 5.0)


def test_tenths_add_up() -> None:
    assert Budget(total=0.3).spend(["ann"] * 3, [0.1] * 3).paid == (0, 1, 2)
    assert Budget(per_user=0.3).spend(["ann"] * 4, [0.1] * 4).paid == (0, 1, 2)


def test_a_budget_of_nothing_pays_nothing_and_one_without_limits_everything() -> None:
    assert Budget(total=0.0).spend(["ann"], [1.0]).paid == ()
    assert Budget().spend(["ann"] * 3, [1e300] * 3).paid == (0, 1, 2)


@pytest.mark.parametrize(("limit", "name"), [("total", "total"), ("per_user", "per-user")])
@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_a_budget_that_is_none_is_refused(limit: str, name: str, value: float) -> None:
    with pytest.raises(OptionError) as error:
        Budget(**{limit: value})
    assert str(error.value) == f"the {name} budget is {value:g}. Give 0 or more; leave it out for no limit."


def test_a_batch_with_a_free_question_or_a_missing_cost_is_refused() -> None:
    with pytest.raises(OptionError, match="the price is 0"):
        Budget(total=1.0).spend(["ann"], [0.0])
    with pytest.raises(OptionError, match=r"there are 2 users for 1 costs. Give one of each for a question."):
        Budget().spend(["ann", "bob"], [1.0])
