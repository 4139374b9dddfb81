"""Strategies made of strategies: transcripts worked out by hand, and the contract."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palate.acquisition import Candidates, Given
from palate.acquisition.belief.popularity import popularity
from palate.acquisition.literature import combined
from palate.acquisition.literature.combined import (
    EXPERTS,
    active_learning_by_learning,
    advice,
    expert_chances,
    falls,
    log_popularity_entropy_item_item,
    switching,
    utilities,
    voting,
    weights,
)
from palate.acquisition.literature.influence import item_item
from palate.acquisition.literature.products import log_popularity_entropy
from palate.acquisition.literature.transcript import MEMBERS, Transcript, member_scores, open_to
from palate.posteriors.belief import Belief
from palate.testing.strategies import World, make_world

# Its scores hang on draws that fall otherwise for candidates in another order.


def rng_of(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def after(columns: list[int], values: list[float], world: World | None = None) -> Candidates:
    """What is offered to the first user once so much was asked."""
    return replace((world or make_world()).offered, given=Given(np.array(columns, dtype=np.intp), np.array(values)))


# ---- members ---------------------------------------------------------------------------------------------------------


def test_members_are_scored_as_alone_and_the_first_two_weighed() -> None:
    world = make_world()
    found = member_scores(world.one, world.offered, rng=rng_of())
    assert found.shape == (len(MEMBERS), 12)
    for place, (member, row) in enumerate(zip(MEMBERS, found, strict=True)):
        alone = member(world.one, world.offered, rng=rng_of())
        np.testing.assert_allclose(row, alone * world.offered.reach if place < 2 else alone)


def test_what_was_asked_is_not_open_unless_everything_was() -> None:
    assert np.flatnonzero(~open_to(after([3, 7], [1.0, np.nan]))).tolist() == [3, 7]
    assert open_to(after(list(range(12)), [1.0] * 12)).all()


# ---- voting ----------------------------------------------------------------------------------------------------------


def test_votes_are_counted_over_the_ten_best_of_each() -> None:
    world = make_world()
    candidates = after([], [], world)
    found = voting(world.one, candidates, rng=rng_of())
    scores = member_scores(world.one, candidates, rng=rng_of())
    expected = np.zeros(12)
    for row in scores:
        tenth = np.sort(row)[-10]
        expected[row >= tenth] += 1
    assert found.tolist() == expected.tolist()
    assert len(set(found)) > 1


def test_what_was_asked_has_no_votes_and_makes_room() -> None:
    found = voting(make_world().one, after([3, 7], [1.0, np.nan]), rng=rng_of())
    assert found[[3, 7]].tolist() == [0, 0]
    assert np.delete(found, [3, 7]).tolist() == [len(MEMBERS)] * 10


# ---- transcripts -----------------------------------------------------------------------------------------------------


def test_a_transcript_is_the_beliefs_after_each_question() -> None:
    candidates = after([3, 7, 9], [4.0, np.nan, 1.0])
    taste, beliefs = candidates.population.taste, Transcript.replay(candidates).beliefs
    first = taste.observe(taste.start, 3, 4.0)
    second = taste.observe(first, 9, 1.0)
    for place, expected in enumerate([taste.start, first, first, second]):
        np.testing.assert_allclose(beliefs.mean[place], expected.mean)
        np.testing.assert_allclose(beliefs.covariance[place], expected.covariance)


def test_past_scores_are_those_of_the_belief_then_and_leave_out_what_was_asked() -> None:
    candidates = after([3, 7], [4.0, 0.0])
    transcript = Transcript.replay(candidates)
    scores, asked = transcript.scores(candidates, rng=rng_of())
    assert asked.tolist() == [3, 7]
    then = Belief(transcript.beliefs.mean[1], transcript.beliefs.covariance[1])
    expected = member_scores(then, candidates, rng=rng_of())
    np.testing.assert_allclose(np.delete(scores[:, 1], 3, axis=1), np.delete(expected, 3, axis=1))
    assert (scores[:, 1, 3] == -np.inf).all()
    assert np.isfinite(scores[:, 0]).all()


def test_a_question_about_something_else_has_no_position() -> None:
    candidates = after([3, 7], [4.0, 0.0]).take(np.array([7, 5]))
    _, asked = Transcript.replay(candidates).scores(candidates, rng=rng_of())
    assert asked.tolist() == [-1, 0]


# ---- switching -------------------------------------------------------------------------------------------------------


def test_the_fall_is_of_the_error_on_the_other_answers() -> None:
    candidates = after([3, 7, 9], [4.0, np.nan, 1.0])
    taste, beliefs = candidates.population.taste, Transcript.replay(candidates).beliefs
    items = taste.items.take(np.array([3, 9]))
    squared = (items.level + beliefs.mean @ items.factors.T - np.array([4.0, 1.0])) ** 2
    expected = [squared[0, 1] - squared[1, 1], 0.0, squared[2, 0] - squared[3, 0]]
    np.testing.assert_allclose(falls(Transcript.replay(candidates), candidates), expected)


def test_one_answer_says_nothing_of_any_strategy() -> None:
    candidates = after([3, 7], [4.0, np.nan])
    assert utilities(candidates, rng=rng_of()).tolist() == [0.0] * len(MEMBERS)
    assert utilities(after([], []), rng=rng_of()).tolist() == [0.0] * len(MEMBERS)


def test_a_utility_is_the_mean_fall_at_questions_the_member_would_have_asked() -> None:
    candidates = after([11, 0, 5], [4.0, 3.0, 0.0])
    fall = falls(Transcript.replay(candidates), candidates)
    found = utilities(candidates, rng=rng_of())
    # popularity: item 11 is among the ten most rated, item 0 (nobody rated it) is not, item 5 is in any ten of ten
    counts = popularity(make_world().one, candidates, rng=rng_of())
    ranks = [np.sum(counts > counts[11]), np.sum(np.delete(counts, 11) > counts[0])]
    assert ranks[0] < 10 <= ranks[1]
    assert found[2] == pytest.approx((fall[0] + fall[2]) / 3)


def test_switching_asks_by_the_best_and_now_and_then_by_any(monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world()
    candidates = after([11, 0, 5], [4.0, 3.0, 0.0])
    useful = utilities(candidates, rng=rng_of())
    best = int(useful.argmax())
    scores = member_scores(world.one, candidates, rng=rng_of())
    monkeypatch.setattr(combined, "utilities", lambda asked, *, rng: useful)  # the same each time, and slow to replay
    rng = rng_of()
    chosen = [
        int(np.flatnonzero([np.array_equal(row, found) for row in scores])[0])
        for found in (switching(world.one, candidates, rng=rng) for _ in range(1_000))
    ]
    shares = np.bincount(chosen, minlength=len(MEMBERS)) / 1_000
    assert shares[best] == pytest.approx(0.9 + 0.1 / len(MEMBERS), abs=0.03)
    assert (np.delete(shares, best) > 0).all()


def test_switching_starts_with_the_first_member() -> None:
    world = make_world()
    candidates = after([], [])
    found = np.array([switching(world.one, candidates, rng=rng_of(seed)) for seed in range(30)])
    first = member_scores(world.one, candidates, rng=rng_of())[0]
    assert np.mean([np.array_equal(row, first) for row in found]) > 0.7


# ---- active learning by learning -------------------------------------------------------------------------------------


def test_advice_is_shared_among_equals_and_one_expert_asks_anything() -> None:
    scores = np.array([[1.0, 3.0, 3.0, -np.inf], [2.0, 1.0, 0.0, -np.inf]])
    assert advice(scores).tolist() == [[0, 0.5, 0.5, 0], [1, 0, 0, 0], [1 / 3, 1 / 3, 1 / 3, 0]]


def test_chances_of_experts_add_to_one_and_have_a_floor() -> None:
    found = expert_chances(np.array([1.0] + [0.0] * (EXPERTS - 1)))
    least = np.sqrt(np.log(EXPERTS) / (EXPERTS * 40))
    assert found.sum() == pytest.approx(1.0)
    assert found[1:].tolist() == pytest.approx([least] * (EXPERTS - 1))


def test_weights_after_one_answer_by_hand() -> None:
    """The bonus moves all alike; the reward moves those who would have asked, by what they said over q."""
    candidates = after([5], [4.0])
    transcript = Transcript.replay(candidates)
    scores, _ = transcript.scores(candidates, rng=rng_of())
    phi = advice(scores)[:, 0, 5]
    items = candidates.population.taste.items.take(np.array([5]))
    error = abs(items.level[0] + items.factors[0] @ transcript.beliefs.mean[1] - 4.0)
    reward = max(1 - error / 4, 0)
    least = np.sqrt(np.log(EXPERTS) / (EXPERTS * 40))
    expected = np.exp(0.5 * least * reward * phi / phi.mean())
    assert reward > 0
    np.testing.assert_allclose(weights(candidates, rng=rng_of()), expected / expected.max())


def test_no_answer_is_no_reward() -> None:
    assert weights(after([5], [np.nan]), rng=rng_of()).tolist() == [1.0] * EXPERTS
    assert weights(after([], []), rng=rng_of()).tolist() == [1.0] * EXPERTS


def test_the_highest_score_is_a_draw_from_the_mixture(monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world()
    candidates = after([5], [4.0])
    omega = weights(candidates, rng=rng_of())
    scores = np.where(open_to(candidates), member_scores(world.one, candidates, rng=rng_of()), -np.inf)
    q = expert_chances(omega) @ advice(scores)
    monkeypatch.setattr(combined, "weights", lambda asked, *, rng: omega)  # the same each time, and slow to replay
    monkeypatch.setattr(combined, "member_scores", lambda belief, asked, *, rng: scores)
    rng = rng_of()
    picks = [int(active_learning_by_learning(world.one, candidates, rng=rng).argmax()) for _ in range(3_000)]
    np.testing.assert_allclose(np.bincount(picks, minlength=12) / 3_000, q, atol=0.03)
    assert q[5] == 0.0


# ---- mixtures --------------------------------------------------------------------------------------------------------


def test_the_mixture_is_the_product() -> None:
    world = make_world()
    parts = [one(world.one, world.offered, rng=rng_of()) for one in (log_popularity_entropy, item_item)]
    found = log_popularity_entropy_item_item(world.one, world.offered, rng=rng_of())
    np.testing.assert_allclose(found, parts[0] * parts[1])
    assert found.max() > 0
