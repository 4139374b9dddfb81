from __future__ import annotations

import json

import numpy as np
import pytest

from palate.errors import OptionError
from palate.evaluation.intervals import (
    Interval,
    bootstrap_mean,
    paired_bootstrap,
    paired_rmse,
    ratio_interval,
    rmse_interval,
)


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_interval_of_a_mean_agrees_with_the_normal_one():
    values = np.random.default_rng(1).normal(2.0, 1.0, size=2000)
    mean, low, high = bootstrap_mean(values, rng=generator())
    half = 1.96 * values.std() / np.sqrt(2000)
    assert mean == pytest.approx(values.mean())
    assert [low, high] == pytest.approx([mean - half, mean + half], abs=0.1 * half)


@pytest.mark.parametrize("n", [8, 20, 80])
@pytest.mark.parametrize(
    ("draw", "truth"),
    [
        (lambda rng, n: rng.exponential(1.0, n), 1.0),
        (lambda rng, n: np.where(rng.random(n) < 0.6, 0.0, rng.beta(2, 3, n)), 0.16),  # NDCG: most have no hit
        (lambda rng, n: np.where(rng.random(n) < 0.5, 0.0, rng.beta(2, 3, n) - rng.beta(2, 4, n)), 1 / 30),  # paired
    ],
)
def test_intervals_hold_the_truth_about_as_often_as_they_say(n, draw, truth):
    """By percentiles alone in .86, .90 and .86 of the samples of ten users."""
    rng = np.random.default_rng(2)
    found = [bootstrap_mean(draw(rng, n), rng=rng, draws=400) for _ in range(300)]
    inside = np.mean([interval.low <= truth <= interval.high for interval in found])
    assert 0.89 <= inside <= 0.99


def test_a_difference_of_errors_of_few_people_is_covered_too():
    """By percentiles alone in .85 of the draws."""
    rng, inside = np.random.default_rng(3), 0
    for _ in range(300):
        counts, spread = rng.integers(1, 30, 8), rng.gamma(4, 0.25, 8)
        a, b = (
            [(rng.normal(0, part * size, n) ** 2).sum() for size, n in zip(spread, counts, strict=True)]
            for part in (1.0, 0.9)
        )
        interval = paired_rmse(a, b, counts, rng=rng, draws=400)
        inside += interval.low <= 0.1 * np.sqrt(1.25) <= interval.high
    assert inside / 300 >= 0.91


def test_one_user_and_users_without_a_difference_have_a_point():
    for values in ([0.5], [0.5, 0.5, 0.5]):
        assert set(map(float, bootstrap_mean(values, rng=generator()))) == {0.5}


def test_an_end_stays_where_the_figure_can_be():
    interval = bootstrap_mean([1.0, 0.0, 1.0], rng=generator(), within=(0.0, 1.0))
    assert (interval.low, interval.high) == (0.0, 1.0)
    assert rmse_interval([8.0, 0.1], [2, 7], rng=generator()).low == 0.0


def test_columns_are_stages():
    values = np.arange(12.0).reshape(4, 3)
    interval = bootstrap_mean(values, rng=generator())
    assert interval.mean.tolist() == [4.5, 5.5, 6.5]
    assert np.all(interval.low <= interval.mean)
    assert np.all(interval.mean <= interval.high)
    assert interval.high - interval.low == pytest.approx(np.full(3, interval.high[0] - interval.low[0]))


def test_users_without_a_figure_are_left_out():
    assert bootstrap_mean([1.0, np.nan, 3.0], rng=generator()).mean == 2.0
    assert np.isfinite(bootstrap_mean([1.0, np.nan], rng=generator())).all()
    assert bootstrap_mean([1.0, 9.0, 3.0], [1.0, 0.0, 3.0], rng=generator()).mean == 2.5


def test_pairs_are_kept():
    rng = np.random.default_rng(3)
    base = rng.normal(0.0, 10.0, size=500)
    difference = paired_bootstrap(base + 0.1, base, rng=generator())
    assert [difference.mean, difference.low, difference.high] == pytest.approx([0.1, 0.1, 0.1])


def test_unlike_shapes_cannot_be_paired():
    message = r"^shapes \(2,\) and \(3,\) cannot be paired. Give one row a user, the same users in both.$"
    with pytest.raises(OptionError, match=message):
        paired_bootstrap(np.zeros(2), np.zeros(3), rng=generator())


def test_nobody_has_no_interval():
    with pytest.raises(OptionError, match=r"^the tables have \[0\] rows. Give one row a user, the same in all"):
        bootstrap_mean(np.zeros(0), rng=generator())


def test_rmse_is_over_ratings_not_over_users():
    squared, counts = np.array([[8.0, 2.0], [1.0, 0.0]]), np.array([2, 7])
    interval = rmse_interval(squared, counts, rng=generator())
    assert interval.mean == pytest.approx(np.sqrt([9 / 9, 2 / 9]))
    many = rmse_interval(np.repeat(squared, 40, 0), np.repeat(counts, 40), rng=generator())
    assert many.mean == pytest.approx(interval.mean)
    assert np.sqrt(1 / 7) < many.low[0] < 1.0 < many.high[0] < 2.0


def test_paired_rmse_is_the_difference_of_both():
    rng = np.random.default_rng(4)
    a, b, counts = rng.random((50, 3)), rng.random((50, 3)), rng.integers(1, 9, size=50)
    difference = paired_rmse(a, b, counts, rng=generator())
    apart = rmse_interval(a, counts, rng=generator()).mean - rmse_interval(b, counts, rng=generator()).mean
    assert difference.mean == pytest.approx(apart)
    same = paired_rmse(a, a, counts, rng=generator())
    assert same.low.tolist() == same.high.tolist() == [0.0, 0.0, 0.0]


def test_blocks_draw_the_same_as_one(monkeypatch):
    values = np.random.default_rng(5).normal(size=30)
    whole = bootstrap_mean(values, rng=generator(), draws=100)
    monkeypatch.setattr("palate.evaluation.intervals._CELLS", 7 * 30)
    assert np.array(bootstrap_mean(values, rng=generator(), draws=100)) == pytest.approx(np.array(whole))


def test_never_is_kept_as_infinite():
    reached = ratio_interval(
        [np.array([1.0, 0.0, 0.0])],
        lambda hits: np.where(hits > 0, 1.0 / np.maximum(hits, 1.0), np.inf),
        rng=generator(),
    )
    assert reached.high == np.inf
    assert np.isfinite(reached.low)


def test_json_has_numbers_lists_and_null():
    interval = Interval(np.array([1.0, np.nan]), np.array([0.5, 0.0]), np.array([2.0, np.inf]))
    assert json.dumps(interval.as_dict()) == '{"mean": [1.0, null], "low": [0.5, 0.0], "high": [2.0, null]}'
    one = Interval(np.array(1.0), np.array(0.5), np.array(2.0))
    assert one.as_dict() == {"mean": 1.0, "low": 0.5, "high": 2.0}
