from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from sklearn import metrics as sk

from palate.errors import OptionError
from palate.evaluation import metrics


def csr(rows: list[list[float]]) -> sparse.csr_array:
    return sparse.csr_array(np.array(rows, dtype=np.float64))


ratings = hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(1, 5))


@given(ratings, st.integers(0, 2**31))
def test_rating_errors_equal_scikit_learn(observed, seed):
    predicted = observed + np.random.default_rng(seed).normal(size=observed.shape)
    assert metrics.rmse(predicted, observed) == pytest.approx(sk.root_mean_squared_error(observed, predicted))
    assert metrics.mae(predicted, observed) == pytest.approx(sk.mean_absolute_error(observed, predicted))


@given(ratings, st.integers(0, 2**31))
def test_will_like_equals_scikit_learn(observed, seed):
    predicted = observed + np.random.default_rng(seed).normal(size=observed.shape)
    truth, said = observed >= 3.5, predicted >= 3.5
    assert metrics.will_like(predicted, observed, threshold=3.5) == pytest.approx(
        {
            "accuracy": sk.accuracy_score(truth, said),
            "precision": sk.precision_score(truth, said, zero_division=0),
            "recall": sk.recall_score(truth, said, zero_division=0),
            "f1": sk.f1_score(truth, said, zero_division=0),
        }
    )


def test_a_rating_at_the_threshold_is_liked():
    assert metrics.will_like([4.0, 3.9], [4.0, 3.9], threshold=4.0) == {
        "accuracy": 1.0,
        "precision": 1.0,
        "recall": 1.0,
        "f1": 1.0,
    }


def test_unequal_lengths_are_refused():
    with pytest.raises(
        OptionError, match=r"^shapes \(2,\) and \(3,\) do not match. Give as many of each, at least one.$"
    ):
        metrics.rmse([1.0, 2.0], [1.0, 2.0, 3.0])


def test_calibration_error_known_by_hand():
    # 0.1 lies in bin 2 and 0.9 in bin 14: |2 x 0.1 - 1| and |2 x 0.9 - 1| over 4
    assert metrics.expected_calibration_error([0.1, 0.1, 0.9, 0.9], [1, 0, 1, 0]) == pytest.approx((0.8 + 0.8) / 4)


def test_certainty_that_is_right_has_no_calibration_error():
    assert metrics.expected_calibration_error([0.0, 1.0, 1.0], [0, 1, 1]) == 0.0


def test_calibration_error_agrees_with_scikit_learns_curve():
    rng = np.random.default_rng(0)
    stated = rng.random(2000)
    happened = rng.random(2000) < stated**2
    share, mean = sk_curve(happened, stated)
    size = np.histogram(stated, bins=15, range=(0, 1))[0]
    expected = np.sum(size * np.abs(share - mean)) / 2000
    assert metrics.expected_calibration_error(stated, happened) == pytest.approx(expected)


def sk_curve(happened, stated):
    from sklearn.calibration import calibration_curve

    return calibration_curve(happened, stated, n_bins=15, strategy="uniform")


def test_a_probability_above_one_is_refused():
    with pytest.raises(OptionError, match=r"^a stated probability is 1.2. Probabilities lie between 0 and 1.$"):
        metrics.expected_calibration_error([0.5, 1.2], [0, 1])


def test_honest_intervals_cover_what_they_state():
    rng = np.random.default_rng(0)
    std = rng.uniform(0.5, 2.0, 50_000)
    observed = rng.normal(3.0, std)
    mean = np.full(50_000, 3.0)
    assert metrics.interval_coverage(mean, std, observed) == pytest.approx(0.95, abs=0.005)
    assert metrics.interval_coverage(mean, std, observed, level=0.5) == pytest.approx(0.5, abs=0.01)
    assert metrics.interval_coverage(mean, std / 2, observed) < 0.7


def test_interval_width_is_in_units_of_the_rating():
    assert metrics.mean_interval_width([1.0, 2.0]) == pytest.approx(2 * 1.959964 * 1.5)
    with pytest.raises(
        OptionError, match=r"^the level of an interval is 95. Give a share between 0 and 1, such as 0.95.$"
    ):
        metrics.mean_interval_width([1.0], level=95)


def test_negative_log_likelihood_known_by_hand():
    assert metrics.gaussian_negative_log_likelihood([0.0], [1.0], [0.0]) == pytest.approx(0.5 * np.log(2 * np.pi))
    assert metrics.gaussian_negative_log_likelihood([0.0], [2.0], [2.0]) == pytest.approx(
        0.5 * np.log(2 * np.pi) + np.log(2.0) + 0.5
    )


def test_equal_scores_come_in_item_order():
    assert metrics.top_k([[1.0, 2.0, 2.0, 2.0, 1.0]], None, 2).tolist() == [[1, 2]]
    assert metrics.top_k(np.zeros((2, 4)), csr([[1, 0, 0, 0], [0, 0, 0, 0]]), 3).tolist() == [[1, 2, 3], [0, 1, 2]]


def test_short_lists_end_in_no_item():
    assert metrics.top_k([[3.0, 1.0, 2.0]], csr([[1, 0, 0]]), 4).tolist() == [[2, 1, -1, -1]]
    assert metrics.top_k([[-np.inf, 1.0]], None, 2).tolist() == [[1, -1]]


@given(st.integers(0, 2**31), st.integers(1, 12))
def test_top_k_is_a_stable_full_sort_without_the_seen(seed, k):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, size=(5, 9)).astype(float)
    seen = rng.random((5, 9)) < 0.3
    before = scores.copy()
    ranked = metrics.top_k(scores, sparse.csr_array(seen.astype(float)), k)
    for row, out in enumerate(ranked.tolist()):
        order = sorted((i for i in range(9) if not seen[row, i]), key=lambda i: -scores[row, i])
        assert out == (order + [-1] * k)[:k]
    assert np.array_equal(scores, before)


def test_scores_that_are_no_number_are_refused():
    with pytest.raises(OptionError, match=r"^1 of 2 scores are NaN. A score is a number or -inf.$"):
        metrics.top_k([[np.nan, 1.0]], None, 1)
    with pytest.raises(OptionError, match=r"^k is 0. Ask for lists of at least 1 item.$"):
        metrics.top_k([[1.0]], None, 0)


def test_list_metrics_known_by_hand():
    ranked = np.array([[0, 1, 2], [3, 4, 0], [0, 1, 2]])
    relevant = csr([[0, 1, 1, 1, 1], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]])
    found = metrics.list_metrics(ranked, relevant)
    discounts = 1 / np.log2([2, 3, 4])
    expected = {
        "ndcg": (discounts[1] + discounts[2]) / discounts.sum(),  # four positives, room for three
        "precision": 2 / 3,
        "recall": 2 / 4,
        "f1": 2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4),
        "hit_rate": 1.0,
        "mrr": 1 / 2,
        "map": (1 / 2 + 2 / 3) / 3,
    }
    assert {name: values[0] for name, values in found.items()} == pytest.approx(expected)
    assert {name: values[1] for name, values in found.items()} == dict.fromkeys(expected, 0.0)
    assert all(np.isnan(values[2]) for values in found.values())  # no positives: in no mean


def test_a_perfect_list_has_all_ones():
    found = metrics.list_metrics(np.array([[2, 0]]), csr([[1, 0, 1]]))
    assert {name: values[0] for name, values in found.items()} == dict.fromkeys(found, 1.0)


@given(st.integers(0, 2**31), st.integers(1, 8))
def test_ndcg_equals_scikit_learn_with_ties_too(seed, k):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, size=8).astype(float)
    gains = rng.integers(0, 4, size=8).astype(float)
    gains[0] += 1.0
    liked = gains[None] > 0
    found = metrics.expected_metrics(metrics.places(scores[None], liked, k)[1], liked.sum(1))["ndcg"][0]
    assert found == pytest.approx(sk.ndcg_score(liked, scores[None], k=k))
    # two lists, each among entries of the other
    rows = np.array([0, 1] * 8)
    graded = metrics.graded_ndcg(np.repeat(scores, 2), np.repeat(gains, 2), rows, n_rows=3, k=k)
    assert graded[:2] == pytest.approx(sk.ndcg_score(gains[None], scores[None], k=k))
    assert np.isnan(graded[2])


@given(st.integers(0, 2**31), st.integers(1, 7))
def test_equal_scores_count_by_what_all_their_orders_give_on_average(seed, k):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 3, size=5).astype(float)
    scores[rng.random(5) < 0.1] = -np.inf
    liked, seen = rng.random(5) < 0.5, rng.random(5) < 0.2
    liked[0] = True
    kept = np.where(seen, -np.inf, scores)
    sums: dict[str, list[float]] = {}
    for order in itertools.permutations(range(5)):
        ranked = [item for item in sorted(order, key=lambda item: -kept[item]) if kept[item] > -np.inf]
        row = np.array([(ranked + [-1] * k)[:k]])
        for name, value in metrics.list_metrics(row, csr([liked.astype(float)])).items():
            sums.setdefault(name, []).append(value[0])
    mean = {name: np.mean(values) for name, values in sums.items()}
    of_seen = csr([seen.astype(float)])
    for relevant in (liked[None], csr([liked.astype(float)])):
        ranked, found = metrics.places(scores[None], relevant, k, seen=of_seen)
        one = metrics.expected_metrics(found, [liked.sum()])
        assert {name: values[0] for name, values in one.items()} == pytest.approx(mean)
        assert np.array_equal(ranked, metrics.top_k(scores[None], of_seen, k))


def test_a_model_that_says_nothing_has_the_quality_of_chance():
    liked = csr([[1.0, 1.0, *[0.0] * 998]])  # first in the table
    _, found = metrics.places(np.zeros((1, 1000)), liked, 10)
    got = metrics.expected_metrics(found, [2])
    assert got["recall"][0] == pytest.approx(0.01)
    assert got["hit_rate"][0] == pytest.approx(1 - (990 / 1000) * (989 / 999))


@given(st.integers(0, 2**31))
def test_every_user_is_judged_alone(seed):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(6, 10))
    relevant = sparse.csr_array((rng.random((6, 10)) < 0.3) * rng.integers(1, 5, size=(6, 10)).astype(float))
    scores[:, :5] = scores[0, 0]

    def of(rows):
        found = metrics.places(scores[rows], relevant[rows], 4)[1]
        return metrics.expected_metrics(found, np.diff(relevant[rows].indptr))

    together = of(np.arange(6))
    for user in range(6):
        alone = of([user])
        for name, values in alone.items():
            assert values[0] == pytest.approx(together[name][user], nan_ok=True)


def test_the_order_of_stored_positives_does_not_matter():
    shuffled = sparse.csr_array((np.ones(4), np.array([3, 0, 0, 2]), np.array([0, 4])), shape=(1, 5))  # 0 twice
    found = metrics.list_metrics(np.array([[0, 2, 3]]), shuffled)
    assert found["recall"][0] == found["ndcg"][0] == 1.0
    assert shuffled.indices.tolist() == [3, 0, 0, 2]  # the caller's matrix stays as it is


def test_a_negative_gain_is_refused():
    with pytest.raises(OptionError, match=r"^a gain is -1. Gains are at least 0: shift the ratings first.$"):
        metrics.graded_ndcg([0.0, 0.0], [-1.0, 1.0], [0, 0], n_rows=1, k=2)


def test_coverage_counts_each_item_once():
    assert metrics.catalogue_coverage(np.array([[0, 1], [1, -1]]), 4) == 0.5
