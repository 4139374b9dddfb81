"""What somebody said fades: beliefs go back to their start, items are asked about again, replay is online."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from palate import Answer, Dataset, Learner, rate
from palate.datasets import planted_world
from palate.loop.memory import Memory
from palate.model.choose_half_life import half_life
from palate.posteriors.forgetting import Forgetting, faded
from palate.posteriors.likelihoods import Gaussian

DAY = 86_400.0


@pytest.fixture(scope="module")
def plain() -> Learner:
    return Learner.fit(planted_world(users=60, items=40, rng=np.random.default_rng(0)).dataset, encoder="none")


@pytest.fixture(scope="module")
def learner(plain: Learner) -> Learner:
    """Of which answers of the data were given a day apart, and fade within 30 days."""
    model = plain.model
    times = DAY * np.arange(model.answers.nnz, dtype=np.float64)
    return Learner(Memory(replace(model, forgetting=Forgetting(30 * DAY, times))))


def told(learner: Learner, days: tuple[float, ...], user: str = "ann") -> list[Answer]:
    ids = learner.model.catalogue.ids
    return [
        replace(rate(user, ids[place], float(1 + 4 * (place % 2)), key=f"k{place}"), answered_at=DAY * day)
        for place, day in enumerate(days)
    ]


def test_a_world_without_times_forgets_nothing(plain: Learner) -> None:
    assert plain.model.forgetting is None
    after = plain.tell(told(plain, (0.0, 500.0)))
    later, now = after.at(DAY * 9_000).state("ann"), after.state("ann")
    assert later.weights == now.weights
    assert np.array_equal(later.belief.mean, now.belief.mean)
    assert np.array_equal(later.belief.covariance, now.belief.covariance)


def test_one_after_the_other_is_a_batch_with_weights(learner: Learner) -> None:
    days = (0.0, 10.0, 25.0, 31.0, 90.0)
    state = learner.tell(told(learner, days)).state("ann")
    assert state.weights == pytest.approx([2.0 ** -((90.0 - day) / 30.0) for day in days])
    row = learner.model.answers[0].copy()
    row.indices, row.data = np.arange(5, dtype=np.int32), np.array([1.0, 5.0, 1.0, 5.0, 1.0])
    row.indptr = np.array([0, 5], dtype=np.int32)
    batch = learner.model.taste.believe(row, weights=np.array(state.weights)).of(0)
    np.testing.assert_allclose(state.belief.mean, batch.mean, atol=1e-12)
    np.testing.assert_allclose(state.belief.covariance, batch.covariance, atol=1e-12)


def test_online_is_replay_and_undo_leaves_no_trace(learner: Learner, tmp_path: Path) -> None:
    user = learner.model.user_ids[3]
    begun = DAY * 10_000
    answers = [
        replace(one, answered_at=begun + (one.answered_at or 0.0)) for one in told(learner, (0.0, 20.0, 50.0), user)
    ]
    online = learner
    for one in answers:
        online = online.tell(one)
        online.state(user)
    (tmp_path / "model").mkdir()
    online.save(tmp_path / "model")
    undone = online.tell(replace(told(learner, (1.0,) * 7, user)[-1], answered_at=begun + 400 * DAY)).undo(user)
    for other in (learner.tell(answers), Learner.load(tmp_path / "model"), undone):
        assert other.state(user).belief.mean.tobytes() == online.state(user).belief.mean.tobytes()
        assert other.state(user).belief.covariance.tobytes() == online.state(user).belief.covariance.tobytes()
        assert other.state(user).weights == online.state(user).weights


def test_with_time_a_user_is_unknown_again_and_asked_again(learner: Learner) -> None:
    after = learner.tell(told(learner, tuple(map(float, range(30)))))
    answered = {one.item_id for one in after.told["ann"]}
    assert not answered & {one.item_id for one in after.ask("ann", k=40, strategy="variance", random_share=0.0)}
    later = after.at(DAY * 3_000)
    start, state = later.state("nobody").belief, later.state("ann").belief
    np.testing.assert_allclose(state.covariance, start.covariance, atol=1e-6)
    np.testing.assert_allclose(state.mean, start.mean, atol=1e-6)
    assert np.trace(after.state("ann").belief.covariance) < 0.9 * np.trace(start.covariance)
    assert answered < {one.item_id for one in later.ask("ann", k=40, strategy="variance", random_share=0.0)}
    assert not answered & {one.item_id for one in later.recommend("ann", 40)}  # they were seen all the same
    assert later.state("ann").exposure is after.state("ann").exposure


def test_times_that_are_unknown_or_go_back_move_nothing(learner: Learner) -> None:
    first, second = told(learner, (100.0, 40.0))
    state = learner.tell([first, second, replace(second, item_id="i07", key="k7", answered_at=None)]).state("ann")
    assert state.weights == (1.0, 1.0, 1.0)
    assert state.at == 100.0 * DAY


def test_nothing_left_is_the_start_and_all_left_the_belief(learner: Learner) -> None:
    after = learner.tell(told(learner, (0.0, 1.0, 2.0))).state("ann")
    for share, expected in ((0.0, after.start), (1.0, after.belief)):
        found = faded(after.belief, after.start, share)
        np.testing.assert_allclose(found.mean, expected.mean, atol=1e-12)
        np.testing.assert_allclose(found.covariance, expected.covariance, atol=1e-12)


def stream(*, turns: bool) -> Dataset:
    """150 users who rate for a year; in the middle of it everybody's taste turns, or not."""
    rng = np.random.default_rng(5)
    users, items, rows = 150, 80, []
    factors, tastes = rng.normal(size=(items, 2)), rng.normal(size=(2, users, 2))
    for user in range(users):
        for place, item in enumerate(rng.permutation(items)[:24]):
            taste = tastes[int(turns and place >= 12), user]
            value = np.clip(np.rint(3.0 + factors[item] @ taste + 0.5 * rng.normal()), 1, 5)
            rows.append((f"u{user}", f"i{item}", float(value), DAY * (15.0 * place + rng.random())))
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "rating", "timestamp"], orient="row")
    return Dataset.from_tables(table)


def test_a_half_life_is_found_where_tastes_turn_and_none_where_they_stay() -> None:
    found = half_life(stream(turns=True).coded(), Gaussian())
    assert found is not None
    assert found < 120 * DAY
    assert half_life(stream(turns=False).coded(), Gaussian()) is None
    without = replace(stream(turns=True).coded(), timestamps=np.full(3_600, np.nan))
    assert half_life(without, Gaussian()) is None


def test_a_fit_of_tastes_that_turn_forgets_and_tells_what_comes_next_better() -> None:
    data = stream(turns=True)
    learner = Learner.fit(data, encoder="none", likelihood="gaussian", seed=1)
    assert learner.model.forgetting is not None
    assert learner.model.answer_weights is not None
    never = Learner(Memory(replace(learner.model, forgetting=None)))
    assert learner.state("u3").belief.covariance.trace() > never.state("u3").belief.covariance.trace()
