"""How reliable sources are: the odds of a false flag, what is compared with what, and what is never averaged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.errors import DataError, OptionError
from palate.oracles.reliability import DOUBT, Judged, Vote, judged, shares
from palate.oracles.sequential import evidence, fell_at

Columns = tuple[tuple[str, float], ...]


def of(found: tuple[Judged, ...], source: str) -> Judged:
    return next(one for one in found if one.source == source)


def team(rng: np.random.Generator, skills: dict[str, float], units: int = 60, options: int = 3) -> list[Vote]:
    """Everybody votes on every unit; the truth of a third of them is known."""
    truth = rng.integers(0, options, units)
    votes = []
    for unit in range(units):
        for source, skill in skills.items():
            wrong = (truth[unit] + rng.integers(1, options)) % options
            value = truth[unit] if rng.random() < skill else wrong
            votes.append(Vote(source, f"i{unit}", float(value), 2.0, float(truth[unit]) if unit % 3 == 0 else None))
    return votes


def test_whoever_is_just_good_enough_is_ever_flagged_with_the_chance_that_is_said() -> None:
    rng, runs, alpha = np.random.default_rng(0), 400, 0.1
    ever = sum(evidence(rng.random(300) < 0.6, 0.6).max() >= 1.0 / alpha for _ in range(runs))
    assert ever / runs <= alpha
    graded = sum(evidence(rng.beta(3, 2, 300), 0.6).max() >= 1.0 / alpha for _ in range(runs))
    assert graded / runs <= alpha
    late = [evidence(np.r_[rng.random(200) < 0.8, rng.random(60) < 0.2], 0.6) for _ in range(50)]
    assert np.mean([one[-1] >= 1.0 / alpha for one in late]) > 0.95
    assert max(one[:200].max() for one in late) < 1.0 / alpha
    assert fell_at([1.0] * 30 + [0.0] * 10, 0.6) == 30 and fell_at([], 0.6) == 0


def test_answers_that_are_not_right_are_found_by_the_truth_and_by_the_others() -> None:
    rng, good = np.random.default_rng(0), {f"a{number}": 0.9 for number in range(5)}
    found = judged(team(rng, good | {"bad": 0.2}))
    assert {one.source: one.flags for one in found} == dict.fromkeys(good, ()) | {"bad": ("gold", "agreement")}
    bad, one = of(found, "bad"), of(found, "a0")
    assert bad.weight == 0.0 and one.weight == 1.0 and one.basis == "gold" and one.gold[1] == 20
    assert bad.low < 0.2 < bad.high < one.low < one.reliability < one.high
    right = one.gold[0]
    assert one.reliability == pytest.approx((1 + right) / 22)  # a Beta from a uniform one


def test_whoever_labels_well_again_is_no_longer_flagged() -> None:
    rng, good = np.random.default_rng(1), {f"a{number}": 0.95 for number in range(5)}
    first = team(rng, good | {"turned": 0.1})
    second = [replace_unit(vote) for vote in team(rng, good | {"turned": 0.95}, units=400)]
    assert of(judged(first), "turned").flags and not of(judged([*first, *second]), "turned").flags


def replace_unit(vote: Vote) -> Vote:
    return vote._replace(unit=f"later {vote.unit}")


def test_what_nobody_can_have_read_counts_what_it_is_shown_to_be_worth() -> None:
    votes = team(np.random.default_rng(2), {f"a{number}": 0.9 for number in range(5)})
    quick = [vote._replace(seconds=0.2) if vote.source == "a3" else vote for vote in votes]
    found = judged(quick)
    assert of(found, "a3").flags == ("speed",) and 0.4 < of(found, "a3").weight < 0.9  # right, so far as is known
    same = [vote._replace(value=1.0) if vote.source == "a3" else vote for vote in quick]
    assert "speed" in of(judged(same), "a3").flags and of(judged(same), "a3").weight == 0.0
    alone = [vote._replace(truth=None) for vote in quick if vote.source == "a3"]
    assert of(judged(alone), "a3").weight == 0.0
    assert of(found, "a3").median_seconds == 0.2 and not of(found, "a2").flags
    unknown = [vote._replace(seconds=None) if vote.source == "a3" else vote for vote in votes]
    assert not of(judged(unknown), "a3").flags and np.isnan(of(judged(unknown), "a3").median_seconds)
    twice = [vote._replace(seconds=0.2) if vote.unit in ("i7", "i40") else vote for vote in votes]
    assert not any(one.flags for one in judged(twice))


def test_two_who_err_alike_are_flagged_and_two_who_are_right_alike_are_not() -> None:
    rng = np.random.default_rng(3)
    skills = {f"a{number}": 0.8 for number in range(8)}
    votes = team(rng, skills, units=120)
    said = {vote.unit: vote.value for vote in votes if vote.source == "a1"}
    copied = [vote._replace(value=said[vote.unit]) if vote.source == "a2" else vote for vote in votes]
    found = judged(copied)
    assert {one.source for one in found if "collusion" in one.flags} == {"a1", "a2"}
    assert of(found, "a1").weight == 0.5  # two who say the same are one
    assert not any(one.flags for one in judged(votes))
    experts = team(rng, {f"a{number}": 1.0 for number in range(8)}, units=120)
    assert not any(one.flags for one in judged(experts))


def test_a_family_has_one_vote() -> None:
    clones = [Vote(f"model-{number}", "i1", 1.0, family="model") for number in range(4)]
    people = [Vote("ann", "i1", 0.0), Vote("bob", "i1", 0.0)]
    assert shares([*clones, *people]) == {1.0: pytest.approx(1 / 3), 0.0: pytest.approx(2 / 3)}
    assert shares([*clones, *people], without={"model"}) == {0.0: 1.0}
    assert shares(clones, without={"model"}) == {}


def test_of_taste_answers_that_repeat_are_compared_with_themselves() -> None:
    rng, votes = np.random.default_rng(4), list[Vote]()
    for source in ("a0", "a1", "a2", "a3", "a4"):
        for unit in range(80):
            liking = float(rng.integers(1, 6))
            again = float(rng.integers(1, 6)) if source == "a4" else np.clip(liking + rng.integers(-1, 2), 1.0, 5.0)
            votes += [Vote(source, f"{source} {unit}", liking), Vote(source, f"{source} {unit}", float(again))]
    found = judged(votes, span=(1.0, 5.0))
    assert {one.source: one.flags for one in found} == {f"a{n}": () for n in range(4)} | {"a4": ("repeats",)}
    steady, random = of(found, "a0"), of(found, "a4")
    assert steady.basis == "repeats" and steady.repeats[1] == 80 and steady.mean_difference < 1.0
    assert random.weight < 0.3 < steady.low and random.mean_difference > 1.0


@given(drawn=st.data())
@settings(max_examples=60, deadline=None)
def test_two_users_tastes_are_never_averaged(drawn: st.DataObject) -> None:
    """What is said of one user is compared with nothing that is said of another one."""
    value = st.integers(1, 5).map(float)
    sources, items = ("a0", "a1", "a2"), ("i1", "i2")
    mine = [Vote(source, f"ann {item}", drawn.draw(value)) for item in items for source in sources]
    others = [Vote(source, f"bob {item}", drawn.draw(value)) for item in items for source in sources]
    votes = drawn.draw(st.permutations([*mine, *others]))
    for unit in ("ann i1", "ann i2"):
        alone = shares(vote for vote in mine if vote.unit == unit)
        assert shares(vote for vote in votes if vote.unit == unit) == alone
    opposite = [
        Vote(source, f"{user} {n}", 5.0 if user == "ann" else 1.0)
        for user in ("ann", "bob")
        for n in range(9)
        for source in sources
    ]
    found = judged(drawn.draw(st.permutations(opposite)), span=(1.0, 5.0))
    assert not any(one.flags for one in found) and {one.reliability for one in found} == {found[0].reliability}
    assert found[0].basis == "agreement" and found[0].reliability == pytest.approx(19 / 20)  # nobody disagrees


def test_nothing_is_known_of_nothing_and_what_is_out_of_range_is_refused() -> None:
    assert judged([]) == ()
    (only,) = judged([Vote("ann", "i1", 0.0)])
    assert (only.basis, only.reliability, only.low, only.high, only.weight, only.flags) == ("", 0.5, 0.0, 1.0, 1.0, ())
    assert replace(only, flags=("drift",)).weight == 1.0 and 0.0 < DOUBT < 0.1
    for doubt in (0.0, 1.0, float("nan")):
        with pytest.raises(OptionError, match=r"^doubt is "):
            judged([], doubt=doubt)
    with pytest.raises(OptionError, match=r"^the span"):
        judged([], span=(5.0, 1.0))
    for value in (float("nan"), float("inf"), 6.0):
        with pytest.raises(DataError, match=r"^a vote is "):
            judged([Vote("ann", "i1", value)], span=(1.0, 5.0))
