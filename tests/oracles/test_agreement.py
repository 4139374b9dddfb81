"""Agreement: as the kept libraries say it, as the books say it, and what holds of any votes."""

from __future__ import annotations

import krippendorff as kept
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from palate.errors import OptionError
from palate.oracles.agreement import LEVELS, cohen, fleiss, krippendorff, percent, table_of

NONE = np.nan
# Krippendorff, Computing Krippendorff's alpha-reliability, 2011, section D: four observers, twelve units
OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
        [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
    ]
)
# the fourteen raters of ten subjects by which Fleiss' κ is usually explained: how many gave each of five categories
SUBJECTS = """0 0 0 0 14|0 2 6 4 2|0 0 3 5 6|0 3 9 2 0|2 2 8 1 1|7 7 0 0 0|3 2 6 3 0|2 5 3 2 2|6 5 2 1 0|0 2 2 3 7"""


def drawn(seed: int, annotators: int = 5, units: int = 30, missing: float = 0.3) -> np.ndarray:
    """Votes that agree somewhat, with gaps."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, 5, units)
    votes = np.where(rng.random((annotators, units)) < 0.6, truth, rng.integers(1, 5, (annotators, units)))
    return np.where(rng.random(votes.shape) < missing, np.nan, votes.astype(float))


def of_counts(text: str) -> np.ndarray:
    rows = [[int(n) for n in row.split()] for row in text.split("|")]
    return np.array([np.repeat(np.arange(len(row)), row) for row in rows], dtype=float).T


def test_the_examples_of_the_books() -> None:
    for level, alpha in zip(LEVELS, (0.743, 0.815, 0.849), strict=True):
        assert krippendorff(OBSERVERS, level) == pytest.approx(alpha, abs=5e-4)
    assert fleiss(of_counts(SUBJECTS)) == pytest.approx(0.20993, abs=5e-6)
    assert percent([[0, 1, 1], [0, 1, 0]]) == pytest.approx(2 / 3)
    assert percent([[0, 1], [0, 0], [1, 0]]) == pytest.approx(2 / 6)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_what_the_libraries_say(seed: int) -> None:
    votes = drawn(seed)
    for level in LEVELS:
        expected = kept.alpha(reliability_data=votes, level_of_measurement=level)
        assert krippendorff(votes, level) == pytest.approx(expected, abs=1e-12)
    two = votes[:2]
    both = two[:, ~np.isnan(two).any(0)].astype(int)
    assert cohen(two) == pytest.approx(cohen_kappa_score(*both), abs=1e-12)
    pairs = [cohen(votes[[one, two]]) for one in range(5) for two in range(one)]
    assert cohen(votes) == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize(
    ("seed", "expected"), [(0, 0.2767062314540058), (1, 0.3374558303886925), (2, 0.28630902819079324)]
)
def test_fleiss_is_what_statsmodels_says(seed: int, expected: float) -> None:
    """Of statsmodels 0.15.0, which is too large to be installed for one number."""
    assert fleiss(drawn(seed, missing=0.0)) == pytest.approx(expected, abs=1e-12)


def test_what_says_nothing_is_not_a_number() -> None:
    for votes in (np.empty((0, 0)), [[1.0, NONE], [NONE, 2.0]], [[1.0, 1.0], [1.0, 1.0]]):
        for measure in (cohen, fleiss, krippendorff):
            assert np.isnan(measure(votes)), (measure, votes)
    assert np.isnan(percent([[1.0, NONE], [NONE, 2.0]])) and percent([[1.0], [1.0]]) == 1.0


def test_the_last_vote_of_an_annotator_counts_and_order_does_not() -> None:
    votes = [("ann", "i1", 0), ("bob", "i1", 1), ("ann", "i2", 1), ("ann", "i1", 1), ("bob", "i2", 1), ("cem", "i2", 0)]
    np.testing.assert_array_equal(table_of(votes), [[1, 1], [1, 1], [NONE, 0]])
    found, shuffled = drawn(7), np.random.default_rng(0).permutation(30)
    for measure in (percent, cohen, fleiss, krippendorff):
        assert measure(found[::-1, shuffled]) == pytest.approx(measure(found))


@pytest.mark.parametrize("votes", [[1.0, 2.0], [["a"]], [[np.inf, 1.0]], None, [[[1.0]]]])
def test_what_is_no_table_of_votes_is_refused(votes: object) -> None:
    for measure in (percent, cohen, fleiss, krippendorff):
        with pytest.raises(OptionError, match=r"^the votes are "):
            measure(votes)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"^the level"):
        krippendorff([[1.0], [1.0]], "ratio")  # type: ignore[arg-type]
