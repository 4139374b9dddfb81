from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.acquisition import STRATEGIES, Candidates, best, select, values
from palate.acquisition.draw import Draw
from palate.acquisition.registry import Strategy
from palate.acquisition.select import chances
from palate.errors import OptionError
from palate.posteriors.taste import Taste
from palate.testing.strategies import ITEMS, KINDS, make_world, shared_world
from tests.registry import EVERY

WORLD = make_world()


def fixed(scores: list[float] | np.ndarray, **flags: bool) -> Strategy:
    """A strategy with these scores, whatever is believed."""
    return Strategy("fixed", lambda belief, candidates, *, rng: np.array(scores), "", "", "", **flags)


def pick(
    strategy: Strategy,
    k: int = 1,
    *,
    allowed: np.ndarray | None = None,
    seed: int = 0,
    candidates: Candidates | None = None,
):
    return select(
        strategy, WORLD.one, candidates or WORLD.offered, k=k, allowed=allowed, rng=np.random.default_rng(seed)
    )


def certain() -> Candidates:
    return replace(WORLD.offered, reach=np.ones(ITEMS))


@pytest.mark.parametrize("name", EVERY)
def test_no_question_comes_twice_and_each_has_its_chance(name: str) -> None:
    for kind in KINDS:
        world = shared_world(kind)
        chosen = select(STRATEGIES[name], world.one, world.offered, k=ITEMS, rng=np.random.default_rng(0))
        assert sorted(choice.item for choice in chosen) == list(range(ITEMS)), kind
        assert all(0.0 < choice.propensity <= 1.0 + 1e-12 for choice in chosen), kind


def test_more_than_there_are_gives_all_there_are() -> None:
    allowed = np.zeros(ITEMS, dtype=bool)
    allowed[[2, 7, 9]] = True
    chosen = pick(STRATEGIES["a-optimal"], 100, allowed=allowed)
    assert sorted(choice.item for choice in chosen) == [2, 7, 9]
    assert allowed.sum() == 3, "the caller's mask was changed"


def test_nothing_allowed_gives_no_question() -> None:
    assert pick(STRATEGIES["a-optimal"], 3, allowed=np.zeros(ITEMS, dtype=bool)) == []


@pytest.mark.parametrize("k", [0, -1])
def test_fewer_than_one_question_is_refused(k: int) -> None:
    with pytest.raises(OptionError, match=rf"^k is {k}\. Give a whole number from 1\.$"):
        pick(STRATEGIES["random"], k)


@pytest.mark.parametrize("name", ["strategy", "belief", "candidates", "rng"])
def test_a_part_of_another_kind_is_named(name: str) -> None:
    given = {
        "strategy": STRATEGIES["random"],
        "belief": WORLD.one,
        "candidates": WORLD.offered,
        "rng": np.random.default_rng(0),
    }
    with pytest.raises(OptionError, match=rf"^{name} is 3, a int\. Give "):
        select(**{**given, name: 3})  # type: ignore[arg-type]


def test_equal_scores_are_drawn_evenly() -> None:
    counts = np.bincount(
        [pick(fixed(np.ones(ITEMS)), candidates=certain(), seed=s)[0].item for s in range(2_400)], minlength=ITEMS
    )
    # χ² with 11 degrees of freedom; 31.3 is passed by chance once in a thousand times
    assert ((counts - 200.0) ** 2 / 200.0).sum() < 31.3


def test_propensity_is_one_over_the_number_of_equal_best() -> None:
    chosen = pick(fixed([5.0, 1.0, 5.0, 5.0] + [0.0] * 8), 4, candidates=certain())
    assert [choice.propensity for choice in chosen] == pytest.approx([1 / 3, 1 / 2, 1.0, 1.0])
    assert {choice.item for choice in chosen[:3]} == {0, 2, 3}
    assert [choice.value for choice in chosen] == [5.0, 5.0, 5.0, 1.0]


def test_propensity_of_a_random_question_is_that_of_its_draw() -> None:
    allowed = np.arange(ITEMS) < 5
    chosen = pick(STRATEGIES["random"], 3, allowed=allowed)
    assert [choice.propensity for choice in chosen] == pytest.approx([1 / 5, 1 / 4, 1 / 3])
    drawn = np.bincount(
        [pick(STRATEGIES["random"], allowed=allowed, seed=s)[0].item for s in range(1_000)], minlength=ITEMS
    )
    assert ((drawn[:5] - 200.0) ** 2 / 200.0).sum() < 18.5 and drawn[5:].sum() == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_number_is_never_best(bad: float) -> None:
    scores = np.full(ITEMS, bad)
    scores[[3, 8]] = [-5.0, -1e300]
    assert [choice.item for choice in pick(fixed(scores), 2, candidates=certain())] == [3, 8]
    with pytest.raises(OptionError, match=rf"^strategy 'fixed' scores all that may be asked as {bad}\. Return finite"):
        pick(fixed(scores), 3, candidates=certain())


RATED = "a number a candidate, \\(12,\\)\\.$"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros(5), rf"^strategy 'fixed' gives scores of the shape \(5,\)\. Return {RATED}"),
        (np.zeros((ITEMS, 1)), rf"^strategy 'fixed' gives scores of the shape \(12, 1\)\. Return {RATED}"),
        (0.0, rf"^strategy 'fixed' gives scores of the shape \(\)\. Return {RATED}"),
        (None, rf"^strategy 'fixed' gives no array of numbers\. Return {RATED}"),
        (["1"] * ITEMS, rf"^strategy 'fixed' gives no array of numbers\. Return {RATED}"),
        ([[1.0], [1.0, 2.0]], rf"^strategy 'fixed' gives no array of numbers\. Return {RATED}"),
        (np.zeros(ITEMS, dtype=complex), rf"^strategy 'fixed' gives no array of numbers\. Return {RATED}"),
        (np.full(ITEMS, np.nan), r"^strategy 'fixed' scores all that may be asked as nan\. Return finite numbers\.$"),
    ],
)
def test_scores_that_are_none_name_the_strategy(given: object, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        pick(replace(STRATEGIES["random"], name="fixed", score=lambda *_, rng: given, is_random=False))


def test_only_what_may_be_asked_needs_a_score() -> None:
    """Of one user, and of each of several: one of whom nothing may be asked stands in nobody's way."""
    scores = np.full(ITEMS, np.nan)
    scores[4] = 1.0
    for strategy in (fixed(scores), replace(fixed(scores[:4]), shortlist=4)):
        with pytest.raises(OptionError, match=r"^strategy 'fixed' (scores|gives) "):
            pick(strategy, candidates=certain(), allowed=np.arange(ITEMS) < 4)
    world = make_world()
    several = replace(fixed(np.tile(scores, (3, 1))), weighs_answerability=False)
    allowed = np.ones((3, ITEMS), dtype=bool)
    allowed[1] = False
    found = values(several, world.several, world.candidates, allowed=allowed, rng=np.random.default_rng(0))
    assert found[:, 4].tolist() == [1.0, 1.0, 1.0]
    allowed[2, 4] = False
    with pytest.raises(OptionError, match=r"^strategy 'fixed' scores all that may be asked as nan\."):
        values(several, world.several, world.candidates, allowed=allowed, rng=np.random.default_rng(0))


def test_whole_numbers_and_yes_or_no_are_scores() -> None:
    for scores in (np.arange(ITEMS), list(range(ITEMS)), np.arange(ITEMS) == 11):
        assert pick(fixed(scores), candidates=certain())[0].item == 11


def test_answerability_counts_where_the_strategy_weighs_it() -> None:
    reach = np.where(np.arange(ITEMS) == 4, 1.0, 0.1)
    scores = np.where(np.arange(ITEMS) == 0, 5.0, 1.0)
    candidates = replace(WORLD.offered, reach=reach)
    assert pick(fixed(scores), candidates=candidates)[0].item == 4
    assert pick(fixed(scores, weighs_answerability=False), candidates=candidates)[0].item == 0
    rng = np.random.default_rng(0)
    np.testing.assert_allclose(values(fixed(scores), WORLD.one, candidates, rng=rng), scores * reach)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 9))
def test_best_of_each_row(seed: int, users: int, items: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, (users, items)).astype(float)
    scores[rng.random(scores.shape) < 0.2] = np.nan
    allowed = rng.random(scores.shape) < 0.6
    picks, equal = best(scores, allowed, rng=rng)
    for row in range(users):
        open_scores = [s for s, a in zip(scores[row], allowed[row], strict=True) if a]
        if not open_scores:
            assert (picks[row], equal[row]) == (-1, 0)
            continue
        assert allowed[row, picks[row]]
        finite = [s for s in open_scores if np.isfinite(s)]
        if finite:
            assert scores[row, picks[row]] == max(finite)
            assert equal[row] == finite.count(max(finite))
        else:
            assert equal[row] == len(open_scores)


def test_a_batch_is_chosen_as_if_each_answer_were_in() -> None:
    """For ratings the covariance after an answer does not depend on it, so asking one by one chooses the same."""
    candidates, strategy = WORLD.offered, STRATEGIES["a-optimal"]
    batch = [choice.item for choice in pick(strategy, 5)]
    taste = Taste.build(candidates.items, candidates.likelihood)
    belief, free, rng, one_by_one = WORLD.one, np.ones(ITEMS, dtype=bool), np.random.default_rng(1), []
    for _ in range(5):
        (choice,) = select(strategy, belief, candidates, allowed=free, rng=rng)
        one_by_one.append(choice.item)
        free[choice.item] = False
        belief = taste.observe(belief, choice.item, float(rng.normal(0, 10)))
    assert batch == one_by_one


def test_two_items_that_tell_the_same_are_not_asked_together() -> None:
    twin = WORLD.offered.take(np.array([0, 0, 5, 6]))
    scores = values(STRATEGIES["bald"], WORLD.one, replace(twin, reach=np.ones(4)), rng=np.random.default_rng(0))
    assert scores[0] == scores[1]
    first, second = pick(STRATEGIES["bald"], 2, candidates=replace(twin, reach=np.array([1.0, 1.0, 1e-9, 1e-9])))
    assert {first.item, second.item} == {0, 1}
    assert second.value < 0.8 * first.value, "the second of two twins is worth as much as the first"
    others = scores[2:].max() / scores[0]
    reach = np.array(
        [1.0, 1.0, *(np.full(2, 0.9 / others))]
    )  # nearly as good as the first twin, better than the second
    first, second = pick(STRATEGIES["bald"], 2, candidates=replace(twin, reach=reach))
    assert first.item in (0, 1) and second.item in (2, 3)


@pytest.mark.parametrize("share", [0.0, 0.05, 1.0])
def test_a_random_share_is_in_the_propensity(share: float) -> None:
    scores = np.where(np.arange(ITEMS) == 4, 2.0, 1.0)
    drawn = [
        select(fixed(scores), WORLD.one, certain(), random_share=share, rng=np.random.default_rng(seed))[0]
        for seed in range(600)
    ]
    for choice in drawn:
        assert choice.propensity == pytest.approx(share / ITEMS + (1 - share) * (choice.item == 4))
    best_share = (1 - share) + share / ITEMS
    assert np.mean([choice.item == 4 for choice in drawn]) == pytest.approx(best_share, abs=0.06)


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        ("power", [0.0, 1 / 10, 2 / 10, 3 / 10, 4 / 10]),
        ("softmax", np.exp(range(5)) / np.exp(range(5)).sum()),
        ("softrank", np.array([1 / 5, 1 / 4, 1 / 3, 1 / 2, 1.0]) / (1 / 5 + 1 / 4 + 1 / 3 + 1 / 2 + 1.0)),
        ("greedy", [0, 0, 0, 0, 1]),
    ],
)
def test_chances_of_each_form(draw: Draw, expected: list[float]) -> None:
    np.testing.assert_allclose(chances(np.arange(5.0), draw, 1.0), expected)


@pytest.mark.parametrize("draw", ["greedy", "power", "softmax", "softrank"])
@pytest.mark.parametrize("scores", [[0.0, 0.0, 0.0], [np.nan, np.nan, -np.inf], [np.inf, 0.0, np.nan]])
def test_chances_of_degenerate_scores_add_up(draw: Draw, scores: list[float]) -> None:
    found = chances(np.array(scores), draw, 2.0)
    assert found.sum() == pytest.approx(1.0)
    assert found.min() >= 0.0


def test_a_drawn_batch_records_each_draw_given_the_earlier_ones() -> None:
    scores = np.where(np.arange(ITEMS) < 3, [1.0, 2.0, 3.0] * 4, 0.0)
    chosen = select(fixed(scores), WORLD.one, certain(), k=3, draw="power", rng=np.random.default_rng(1))
    left = 6.0
    for choice in chosen:
        assert choice.propensity == pytest.approx(scores[choice.item] / left)
        left -= scores[choice.item]


@pytest.mark.parametrize("share", [-0.1, 1.5, np.nan])
def test_a_random_share_that_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(OptionError, match=r"^random_share is .*\. Give a number from 0 to 1\.$"):
        select(fixed(np.ones(ITEMS)), WORLD.one, certain(), random_share=share, rng=np.random.default_rng(0))


def test_a_negative_inverse_temperature_is_refused() -> None:
    with pytest.raises(OptionError, match=r"^beta is -1\. Give "):
        select(fixed(np.ones(ITEMS)), WORLD.one, certain(), draw="softmax", beta=-1.0, rng=np.random.default_rng(0))


def test_a_shortlist_scores_the_most_promising_only() -> None:
    seen: list[int] = []

    def costly(belief, candidates, *, rng):
        seen.append(len(candidates))
        return np.ones(len(candidates))

    short = Strategy("costly", costly, "", "", "", weighs_answerability=False, shortlist=4)
    allowed = np.arange(ITEMS) != 2
    one = values(short, WORLD.one, WORLD.offered, allowed=allowed, rng=np.random.default_rng(0))
    both = values(short, WORLD.several, WORLD.offered, rng=np.random.default_rng(0))
    assert seen == [4, 4, 4, 4]
    assert np.isfinite(one).sum() == 4 and one[2] == -np.inf
    assert (np.isfinite(both).sum(1) == 4).all()
