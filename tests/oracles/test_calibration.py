import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from palate.errors import OptionError
from palate.oracles.calibration import Isotonic, Platt, certain_from, upper_limit


@given(n=st.integers(1, 300), share=st.floats(0, 1), doubt=st.floats(0.01, 0.5))
def test_the_limit_is_where_so_few_wrong_ones_become_that_unlikely(n, share, doubt):
    wrong = int(share * n)
    limit = upper_limit(wrong, n, doubt)
    if wrong == n:
        assert limit == 1.0
    else:
        assert binom.cdf(wrong, n, limit) == pytest.approx(doubt, abs=1e-6)
        assert limit > wrong / n or wrong == 0


@pytest.mark.parametrize(
    ("n", "wrong_at", "expected"),
    [
        (22, (), 0.0),  # 1 - 0.1^(1/22) = 0.0994
        (21, (), math.inf),  # 1 - 0.1^(1/21) = 0.1038
        (60, range(30, 60), 30.0),  # the surer half: 1 - 0.05^(1/30) = 0.0950
        (60, range(29, 60), math.inf),  # one of the surer half is wrong: 0.149
        (60, (), 0.0),  # all: 1 - 0.05^(1/60) = 0.0487
    ],
)
def test_from_where_an_error_of_a_tenth_is_shown(n, wrong_at, expected):
    right = np.ones(n)
    right[list(wrong_at)] = 0.0  # places from the surest
    assert certain_from(np.arange(n)[::-1], right, error=0.1) == expected


def test_equal_certainties_go_together():
    certainty, right = np.zeros(60), np.ones(60)
    right[30:] = 0.0
    assert certain_from(certainty, right, error=0.1) == math.inf


def test_what_a_view_says_nothing_of_shows_nothing():
    certainty = np.concatenate([np.full(100, -np.inf), np.ones(22)])
    right = np.concatenate([np.zeros(100), np.ones(22)])
    assert certain_from(certainty, right, error=0.1) == 1.0
    assert certain_from(certainty[:100], right[:100], error=0.1) == math.inf


def test_the_stated_error_is_kept_in_nine_worlds_of_ten_and_something_is_accepted():
    """P(wrong) = 0.3 (1 - u) at certainty u: among those from t on 0.15 (1 - t) are wrong, a tenth from t = 1/3."""
    thresholds = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        certainty = rng.random(2000)
        thresholds.append(certain_from(certainty, rng.random(2000) < 0.7 + 0.3 * certainty, error=0.1))
    assert np.mean(np.array(thresholds) < 1 / 3) <= 0.1
    assert np.median(thresholds) < 0.6


@pytest.mark.parametrize(
    ("certainty", "right", "options", "message"),
    [
        ([1.0], [1.0], {"error": 0.0}, "error is 0.0. Give a share between 0 and 1."),
        ([1.0], [1.0], {"error": 0.1, "doubt": 1.0}, "doubt is 1.0. Give a share between 0 and 1."),
        (
            [1.0],
            [1.0, 0.0],
            {"error": 0.1},
            "shapes (1,) and (2,): give one certainty, a number, and one truth a held-out answer.",
        ),
        (
            [math.nan],
            [1.0],
            {"error": 0.1},
            "shapes (1,) and (1,): give one certainty, a number, and one truth a held-out answer.",
        ),
    ],
)
def test_bad_input(certainty, right, options, message):
    with pytest.raises(OptionError) as caught:
        certain_from(certainty, right, **options)
    assert str(caught.value) == message


def test_a_rising_curve_pools_what_is_out_of_order():
    curve = Isotonic.fit([1, 2, 3, 4], [0, 1, 0, 1])
    np.testing.assert_allclose(curve([0, 1, 2, 2.5, 3, 3.5, 4, 9]), [0, 0, 0.5, 0.5, 0.5, 0.75, 1, 1])


def test_equal_scores_are_one_knot():
    curve = Isotonic.fit([1, 1, 2], [0, 1, 1])
    np.testing.assert_allclose(curve([1, 2]), [0.5, 1.0])


def test_few_answers_do_not_make_certain():
    """22 right of 22: the target is 23/24, whatever the certainty."""
    np.testing.assert_allclose(Platt.fit(np.ones(22), np.ones(22))([1.0]), 23 / 24, atol=1e-4)


def test_a_certainty_that_misleads_is_not_listened_to():
    platt = Platt.fit([0.0, 1.0, 2.0, 3.0], [1, 1, 0, 0])
    assert platt.slope == 0.0
    np.testing.assert_allclose(platt([0.0, 3.0]), 0.5, atol=1e-6)


def test_the_curve_that_made_the_answers_is_found():
    rng = np.random.default_rng(0)
    certainty = rng.normal(size=20_000)
    right = rng.random(20_000) < 1 / (1 + np.exp(-(0.5 + 2.0 * certainty)))
    platt = Platt.fit(certainty, right)
    assert (platt.offset, platt.slope) == (pytest.approx(0.5, abs=0.1), pytest.approx(2.0, abs=0.1))


def test_nothing_said_is_never_right():
    assert Platt(3.0, 0.0)([-np.inf, 1.0]).tolist() == [0.0, pytest.approx(0.9526, abs=1e-4)]
