from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from palate.entities import AnswerKind
from palate.entities.item_attributes import AttributeQuestion, ItemAttribute
from palate.errors import AnswerError, OptionError, UnknownItem
from palate.oracles.honest_labels import ALL, DRAWN, LEAST_SURE, SHOWN, SPENT, Labelling, honest_labels
from palate.oracles.pool_pseudo_labels import logistic
from palate.oracles.recorded import Recorded

KIND = ItemAttribute("kind", "Which?", ("a", "b", "c"))


def pool(n):
    return [AttributeQuestion(KIND, f"i{row}") for row in range(n)]


def known(truth, **more):
    return Recorded({f"i{row}": int(option) for row, option in enumerate(truth)}, **more)


def stubborn(said, certainty):
    """A machine that learns nothing."""
    return lambda rows, options: (np.asarray(said), np.asarray(certainty, dtype=float))


def of(labels):
    return np.array([label.value for label in labels])


def world(rng, n=200, wrong=0.25, fooled=0.0):
    """Truth, and a machine that is wrong that often, surer where it is right; of ``fooled`` it is surest and wrong."""
    truth = rng.integers(3, size=n)
    is_wrong = rng.random(n) < wrong
    sure = rng.normal(size=n) - 1.5 * is_wrong
    trap = rng.random(n) < fooled
    said = np.where(is_wrong | trap, (truth + 1) % 3, truth)
    return truth, stubborn(said, np.where(trap, 9.0, sure))


@pytest.mark.parametrize(("wrong", "fooled"), [(0.25, 0.0), (0.05, 0.2)])
def test_the_target_is_missed_as_seldom_as_is_promised_with_fewer_labels(wrong, fooled):
    n, missed, shares = 30, 0, []
    for seed in range(n):
        rng = np.random.default_rng(seed)
        truth, machine = world(rng, wrong=wrong, fooled=fooled)
        found = honest_labels(pool(200), known(truth), machine, target=0.9, doubt=0.2, rng=rng)
        missed += (of(found.labels) == truth).mean() < 0.9 - 1e-9
        shares.append(found.human_share)
        assert found.is_shown
        assert found.error <= 0.1 + 1e-9
    assert missed <= binom.ppf(0.999, n, 0.2)
    assert np.mean(shares) < (0.8 if not fooled else 0.91)


def test_a_sure_and_wrong_machine_is_not_believed():
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=100)
    found = honest_labels(pool(100), known(truth), stubborn((truth + 1) % 3, np.ones(100)), rng=rng)
    assert found.human_share >= 0.9
    assert (of(found.labels) == truth).mean() >= 0.9


def test_who_gave_each_label_and_what_was_paid():
    rng = np.random.default_rng(0)
    truth, machine = world(rng, wrong=0.02)
    found = honest_labels(pool(200), known(truth, source="ann", cost=0.5), machine, rng=rng)
    by = {label.source for label in found.labels}
    people = sum(label.source == "ann" for label in found.labels)
    assert by == {"ann", "machine"}
    assert found.cost == 0.5 * people
    assert found.human_share == people / 200
    assert [label.item_id for label in found.labels] == [f"i{row}" for row in range(200)]
    assert {label.provenance.subject for label in found.labels} == {"kind"}


def test_a_round_is_three_quarters_least_sure_and_a_quarter_drawn_from_the_rest():
    certainty = np.arange(200.0)
    truth = np.zeros(200, int)
    labelling = Labelling.start(pool(200), stubborn(truth, certainty), rng=np.random.default_rng(0))
    assert [one.strategy for one in labelling.open] == [DRAWN] * 20
    assert labelling.open[0].propensity == pytest.approx(20 / 200)
    first = {one.item_id for one in labelling.open}
    labelling = labelling.tell(known(truth).answer(labelling.open))
    least = sorted(int(item[1:]) for item in {f"i{row}" for row in range(200)} - first)[:8]
    chosen = [one for one in labelling.open if one.strategy == LEAST_SURE]
    drawn = [one for one in labelling.open if one.strategy == DRAWN]
    assert [int(one.item_id[1:]) for one in chosen] == least
    assert len(drawn) == 2
    assert {one.propensity for one in drawn} == {2 / 172}


def test_a_drawn_one_that_would_have_been_chosen_since_no_longer_speaks_for_the_rest():
    certainty = np.arange(100.0)
    labelling = Labelling.start(pool(100), stubborn(np.zeros(100, int), certainty), rng=np.random.default_rng(3))
    while labelling.open:
        labelling = labelling.tell(known(np.zeros(100, int)).answer(labelling.open))
        for turn, one in enumerate(labelling.rounds[1:], 1):
            limit = max(int(item[1:]) for item in one.chosen)
            before = {item for early in labelling.rounds[:turn] for item in early.drawn}
            assert set(one.fallen) <= before
            assert all(int(item[1:]) < limit for item in one.fallen)
    assert any(one.fallen for one in labelling.rounds)


def test_the_machine_is_judged_by_labels_that_it_did_not_learn_from():
    """One that knows by heart what it was told and nothing else is found out."""

    def parrot(rows, options):
        said, sure = np.full(100, 2), np.ones(100)
        said[rows] = options
        return said, sure

    truth = np.random.default_rng(1).integers(2, size=100)
    found = honest_labels(pool(100), known(truth), parrot, rng=np.random.default_rng(0))
    assert found.human_share >= 0.9


def test_what_people_skip_counts_as_wrong():
    truth = np.zeros(100, int)
    some = Recorded({f"i{row}": 0 for row in range(100) if row % 4})
    found = honest_labels(pool(100), some, stubborn(truth, np.ones(100)), rng=np.random.default_rng(0))
    assert not found.is_shown
    assert found.ended == ALL
    assert found.error == pytest.approx(0.25)


def test_a_budget_ends_it_and_a_larger_one_goes_on():
    rng = np.random.default_rng(0)
    truth, machine = world(rng)
    labelling, people = Labelling.start(pool(200), machine, budget=33, rng=rng), known(truth)
    while labelling.open:
        labelling = labelling.tell(people.answer(labelling.open))
    assert (labelling.ended, len(labelling.answers)) == (SPENT, 33)
    assert labelling.result().error > 0.1
    with pytest.raises(OptionError, match="asked 33 times"):
        labelling.extended(32)
    more = labelling.extended(None)
    while more.open:
        more = more.tell(people.answer(more.open))
    assert more.ended == SHOWN


def test_a_pool_smaller_than_the_start_is_labelled_by_people():
    found = honest_labels(pool(7), known([0] * 7), stubborn([0] * 7, [1.0] * 7), rng=np.random.default_rng(0))
    assert (found.human_share, found.error, found.ended) == (1.0, 0.0, ALL)


def test_a_softmax_of_features_learns_as_it_goes():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 3))
    truth = features.argmax(1)
    found = honest_labels(pool(200), known(truth), logistic(features, options=3), rng=np.random.default_rng(1))
    assert found.human_share < 0.6
    assert (of(found.labels) == truth).mean() >= 0.9


def test_the_same_seed_gives_the_same_labels():
    truth, machine = world(np.random.default_rng(0))
    one, two = (honest_labels(pool(200), known(truth), machine, rng=np.random.default_rng(5)) for _ in range(2))
    assert one == two


@pytest.mark.parametrize(
    ("questions", "more", "match"),
    [
        ([], {}, "0 attributes"),
        ([*pool(2), AttributeQuestion(replace(KIND, name="other"), "x")], {}, "2 attributes"),
        ([*pool(2), *pool(1)], {}, "2 questions are about item 'i0'"),
        (pool(3), {"target": 1.0}, "target is 1"),
        (pool(3), {"doubt": 0.0}, "doubt is 0"),
        (pool(3), {"budget": -1}, "budget is -1"),
        (pool(3), {"rng": None}, "rng is None"),
        (pool(3), {"machine": 3}, "machine is 3"),
    ],
)
def test_what_cannot_be_labelled_is_refused(questions, more, match):
    given = {"machine": stubborn([0] * 3, [1.0] * 3), "rng": np.random.default_rng(0)} | more
    with pytest.raises(OptionError, match=match):
        honest_labels(questions, known([0] * 3), **given)


def test_answers_to_what_was_not_asked_are_refused():
    labelling = Labelling.start(pool(50), stubborn([0] * 50, [1.0] * 50), rng=np.random.default_rng(0))
    first = labelling.open[0]
    stranger = AttributeQuestion(KIND, "nobody").answer(0, source="ann")
    with pytest.raises(UnknownItem, match="'nobody' is not among the 50"):
        labelling.tell(stranger)
    unasked = next(one for one in pool(50) if one.item_id not in {asked.item_id for asked in labelling.open})
    with pytest.raises(AnswerError, match="nobody was asked"):
        labelling.tell(unasked.answer(0, source="ann"))
    other = replace(first, attribute=replace(KIND, name="other")).answer(0, source="ann")
    with pytest.raises(AnswerError, match="about 'other'"):
        labelling.tell(other)
    with pytest.raises(AnswerError, match="no option"):
        labelling.tell(replace(first.answer(0, source="ann"), value=3.0))
    skipped = labelling.tell(first.answer(AnswerKind.SKIPPED, source="ann"))
    assert len(skipped.open) == len(labelling.open) - 1
    corrected = skipped.tell(first.answer(1, source="ann"))
    assert corrected.answers[first.item_id].value == 1.0
