"""One posterior an item and attribute: what moves it and what does not, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate import rate
from palate.entities import Answer, AnswerKind
from palate.entities.item_attributes import AttributeQuestion, ItemAttribute
from palate.entities.provenance import Provenance
from palate.oracles.item_labels import ItemLabels, labels_of
from palate.records import Calibration, Event

TOPIC = ItemAttribute("topic", "What is it about?", ("sports", "food", "cars"))
ITEMS, SOURCES = [f"i{n}" for n in range(5)], [f"w{n}" for n in range(4)]


def vote(item: str, source: str, option: int | AnswerKind, family: str = "", of: ItemAttribute = TOPIC) -> Answer:
    return AttributeQuestion(of, item).answer(option, source=source, of=Provenance(family=family))


def same(one: ItemLabels, other: ItemLabels) -> bool:
    return one.items == other.items and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("probabilities", "lower", "votes", "known")
    )


votes = st.builds(vote, st.sampled_from(ITEMS), st.sampled_from(SOURCES), st.integers(0, 2), st.sampled_from(["", "m"]))
QUALITY = ItemAttribute("quality", "How good?", ("bad", "fair", "good"))
others = st.one_of(
    st.builds(rate, st.sampled_from(SOURCES), st.sampled_from(ITEMS), st.sampled_from([0.0, 1.0, 2.0, 5.0])),
    st.builds(vote, st.sampled_from(ITEMS), st.sampled_from(SOURCES), st.integers(0, 2), of=st.just(QUALITY)),
    st.builds(Event, st.sampled_from(SOURCES), st.sampled_from(ITEMS), st.just("click")),
    st.builds(Calibration, st.sampled_from(SOURCES), st.just(0.3), st.sampled_from(["taste", "quality"])),
)


@given(said=st.lists(votes, max_size=15), more=st.lists(others, max_size=15), draw=st.randoms(use_true_random=False))
def test_tastes_and_other_attributes_leave_a_posterior_equal_to_the_bit(said, more, draw):
    """Also where a user has the name of an annotator, rates what they labelled and gives the place of an option."""
    mixed = [(0, one) for one in said] + [(1, one) for one in more]
    order = sorted(range(len(mixed)), key=lambda _: draw.random())
    together, next_vote = [], iter(said)
    for place in order:
        together.append(next(next_vote) if mixed[place][0] == 0 else mixed[place][1])
    calibrations = [one for one in together if isinstance(one, Calibration)]
    assert same(labels_of(TOPIC, together, calibrations, {}), labels_of(TOPIC, said, [], {}))
    assert labels_of(TOPIC, more, calibrations, {}).items == (), "nobody's taste is a vote"


@given(said=st.lists(votes, max_size=20), draw=st.randoms(use_true_random=False))
def test_the_order_in_which_sources_spoke_does_not_move_a_bit(said, draw):
    last = list({(one.item_id, one.source): one for one in said}.values())
    draw.shuffle(last)
    found = labels_of(TOPIC, said, [], {})
    assert same(found, labels_of(TOPIC, last, [], {}))
    taken_back = [*said, *(vote(one.item_id, one.source, AnswerKind.UNKNOWN) for one in last[:3])]
    assert same(labels_of(TOPIC, taken_back, [], {}), labels_of(TOPIC, last[3:], [], {}))
    assert np.allclose(found.probabilities.sum(1), 1.0) and (found.lower <= found.probabilities).all()


def agreeing(n_items: int = 12, n_sources: int = 4) -> list[Answer]:
    return [vote(f"j{item}", f"w{source}", item % 3) for item in range(n_items) for source in range(n_sources)]


def test_a_source_counts_by_its_last_calibration_about_the_attribute() -> None:
    said = [*agreeing(), vote("x", "w0", 0), vote("x", "w1", 1)]

    def of_x(*calibrations: Calibration) -> np.ndarray:
        found = labels_of(TOPIC, said, calibrations, {})
        return found.probabilities[found.items.index("x")]

    level, lower, back = of_x(), Calibration("w0", 0.4, "topic"), Calibration("w0", 1.0, "topic")
    assert level[0] == pytest.approx(level[1], abs=1e-6) and of_x(lower)[0] < of_x(lower)[1]
    assert np.array_equal(of_x(lower, back), level), "the last one counts"
    assert np.array_equal(of_x(Calibration("w0", 0.0, "taste")), level), "another subject is another matter"
    silent = labels_of(TOPIC, said, [Calibration("w0", 0.0, "topic")], {})
    assert same(silent, labels_of(TOPIC, [one for one in said if one.source != "w0"], [], {}))
    assert labels_of(TOPIC, said, [lower], {}).votes.sum() == pytest.approx(len(said) - 13 * 0.6)


def test_a_language_model_has_no_vote_until_it_is_calibrated() -> None:
    said = agreeing()
    model = [vote(item, "lm:tiny@0123456789ab", 2, family="lm:tiny") for item in sorted({one.item_id for one in said})]
    assert same(labels_of(TOPIC, [*said, *model], [], {}), labels_of(TOPIC, said, [], {}))
    calibrated = [Calibration("lm:tiny@0123456789ab", 0.8, "topic")]
    assert not same(labels_of(TOPIC, [*said, *model], calibrated, {}), labels_of(TOPIC, said, [], {}))


def test_those_of_one_family_have_one_vote() -> None:
    clones = [vote("x", f"m{n}", 1, "model") for n in range(4)]
    many, one = (labels_of(TOPIC, [*agreeing(), vote("x", "w0", 0), *some], [], {}) for some in (clones, clones[:1]))
    place = many.items.index("x")
    assert many.votes[place] == one.votes[place] == 2.0
    assert many.probabilities[place] == pytest.approx(one.probabilities[place], abs=1e-9)


def test_what_is_known_is_certain_and_calibrates_the_rest() -> None:
    said, gold = agreeing(30), {f"j{item}": item % 3 for item in range(25)}
    guessed, found = labels_of(TOPIC, said, [], {}), labels_of(TOPIC, said, [], {**gold, "never-voted": 2})
    assert (guessed.is_calibrated, found.is_calibrated, found.gold) == (False, True, 25)
    place = found.items.index("never-voted")
    assert found.votes[place] == 0.0 and found.lower[place].tolist() == [0.0, 0.0, 1.0]
    rest = found.items.index("j29"), guessed.items.index("j29")
    assert found.lower[rest[0], 2] > guessed.lower[rest[1], 2], "a guessed temperature leaves a wider interval"


def test_the_lower_bound_rises_with_votes_and_stays_below_the_probability() -> None:
    said = [*agreeing(60, 8), *(vote(f"few{n}", f"w{s}", 0) for n in range(1, 9) for s in range(n))]
    found = labels_of(TOPIC, said, [], {})
    places = [found.items.index(f"few{n}") for n in range(1, 9)]
    lower = found.lower[places, 0]
    assert (
        (np.diff(lower) > 0.0).all() and (lower < found.probabilities[places, 0]).all() and lower[0] < 0.5 < lower[-1]
    )


def test_that_an_option_is_common_does_not_help_the_lower_bound() -> None:
    common = [vote(f"j{n}", f"w{s}", 0) for n in range(60) for s in range(8)]
    found = labels_of(TOPIC, [*common, vote("one", "new", 0)], [], {})
    place = found.items.index("one")
    assert found.probabilities[place, 0] > 0.8 and found.lower[place, 0] < 0.4  # by one vote alone .37


def test_a_label_that_is_no_option_is_left_out_and_said() -> None:
    strange = Answer("w0", "i0", AnswerKind.RATING, 7.0, "w0", provenance=Provenance(subject="topic"))
    half = Answer("w0", "i0", AnswerKind.RATING, 0.5, "w0", provenance=Provenance(subject="topic"))
    with pytest.warns(UserWarning, match="2 labels about 'topic' name none of its 3 options"):
        assert labels_of(TOPIC, [strange, half], [], {}).items == ()


def test_a_filter_keeps_what_is_sure() -> None:
    safe = ItemAttribute("safe", "Is it?", ("no", "yes"), only="yes", at_least=0.8)
    said = [vote(f"j{n}", f"w{s}", n % 2, of=safe) for n in range(40) for s in range(8)]
    found = labels_of(safe, [*said, vote("new", "w0", 1, of=safe)], [], {"known": 1, "bad": 0})
    assert set(found.kept) == {f"j{n}" for n in range(1, 40, 2)} | {"known"}
