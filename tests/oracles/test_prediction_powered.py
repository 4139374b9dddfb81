import numpy as np
import pytest

from palate.errors import DataError, OptionError
from palate.oracles.prediction_powered import drawn, inclusion, mean_of

N = 1000


def sample(rng, correlation, mean=0.5):
    """Labels and predictions of this correlation, (N,)."""
    f = rng.normal(size=N)
    return mean + correlation * f + np.sqrt(1.0 - correlation**2) * rng.normal(size=N), f


def estimates(correlation, chances, seeds, mean=0.5):
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        y, f = sample(rng, correlation, mean)
        asked = drawn(chances, rng=rng)
        found.append(mean_of(f, np.where(asked, y, np.nan), asked, chances))
    return found


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_nine_intervals_in_ten_hold_the_mean_and_labels_are_multiplied_as_the_correlation_says(correlation):
    chances = np.full(N, 0.1)
    found = estimates(correlation, chances, 400)
    assert np.mean([one.low <= 0.5 <= one.high for one in found]) == pytest.approx(0.9, abs=0.05)
    variance = np.var([one.mean for one in found])
    # of the variance of f the labels see a part 1 + n / N less: PPI++, with n / (n + N) of it left
    expected = (1.0 - correlation**2 * 0.9) / 100.0
    assert variance == pytest.approx(expected, rel=0.25)
    assert np.median([one.multiplier for one in found]) == pytest.approx(1.0 / (1.0 - correlation**2 * 0.9), rel=0.15)


def test_useless_predictions_and_a_mean_far_from_zero_cost_nothing():
    """Without μ the number of labels, which is chance, would be noise: here ten times that of the labels."""
    found = estimates(0.0, np.full(N, 0.1), 300, mean=3.0)
    assert np.var([one.mean for one in found]) < 1.3 / 100.0
    assert np.median([one.multiplier for one in found]) > 0.95


def test_who_is_asked_where_errors_are_expected_needs_fewer_labels():
    """Of a tenth of the items the predictions are wrong half of the time, of the others hardly ever."""
    hard = np.arange(N) < N // 10
    chances = inclusion(np.where(hard, 0.25, 0.0025), 100)
    spread = {}
    for name, of in (("active", chances), ("alike", np.full(N, 0.1))):
        means = []
        for seed in range(200):
            rng = np.random.default_rng(seed)
            f = rng.integers(2, size=N).astype(float)
            wrong = rng.random(N) < np.where(hard, 0.5, 0.01)
            asked = drawn(of, rng=rng)
            means.append(mean_of(f, np.where(wrong, 1.0 - f, f), asked, of).mean - np.where(wrong, 1.0 - f, f).mean())
        spread[name] = np.var(means)
    assert spread["active"] < 0.6 * spread["alike"]


def test_of_labels_of_all_it_is_their_mean_and_the_usual_interval():
    rng = np.random.default_rng(0)
    y, f = sample(rng, 0.5)
    found = mean_of(f, y, np.ones(N, bool), np.ones(N))
    assert found.mean == pytest.approx(y.mean())
    assert found.high - found.low == pytest.approx(2 * 1.645 * y.std() / np.sqrt(N), rel=0.01)


def test_chances_go_with_the_root_of_the_error_add_up_and_have_a_floor():
    chances = inclusion([0.0, 0.01, 0.04, 0.09, 100.0], 2.0)
    assert chances.sum() == pytest.approx(2.0)
    assert chances[0] == pytest.approx(0.1 * 2.0 / 5.0)
    assert chances[4] == 1.0
    assert chances[3] / chances[2] == pytest.approx(1.5)
    assert inclusion(np.zeros(4), 2.0).tolist() == [0.5] * 4


def test_what_bends_a_mean_is_refused():
    f, y, ones = np.zeros(20), np.zeros(20), np.ones(20)
    with pytest.raises(DataError, match="1 items that were drawn have no label"):
        mean_of(f, np.where(np.arange(20) == 3, np.nan, y), ones, ones)
    with pytest.raises(DataError, match="9 labels of 20"):
        mean_of(f, y, np.arange(20) < 9, ones)
    with pytest.raises(OptionError, match="chances from 0"):
        mean_of(f, y, ones, np.zeros(20))
    with pytest.raises(OptionError, match="30 labels of 20"):
        inclusion(np.ones(20), 30)
