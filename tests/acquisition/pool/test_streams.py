"""Rules for streams: decisions by hand, and budgets kept."""

from __future__ import annotations

import numpy as np
import pytest

from palate.acquisition.pool.streams import QuantileStream, UncertaintyStream
from palate.errors import OptionError


def test_fixed_threshold_by_hand() -> None:
    rule = UncertaintyStream(budget=0.1, kind="fixed", threshold=0.7, window=10)
    rng = np.random.default_rng(0)
    asked = []
    for confidence in (0.9, 0.6, 0.6, 0.7, 0.5):
        asks, rule = rule.decide(confidence, rng=rng)
        asked.append(asks)
    # after one label 1 / 10 is spent, which is the budget; then .9 of it, and .7 is not below .7
    assert asked == [False, True, False, False, True]
    assert rule.threshold == 0.7
    assert rule.spent == pytest.approx(0.9**3 + 1.0)


def test_variable_threshold_falls_with_each_label_and_rises_otherwise() -> None:
    rule = UncertaintyStream(budget=1.0, threshold=0.8, step=0.1)
    asks, after = rule.decide(0.5, rng=np.random.default_rng(0))
    assert asks
    assert after.threshold == pytest.approx(0.72)
    passes, later = after.decide(0.75, rng=np.random.default_rng(0))
    assert not passes
    assert later.threshold == pytest.approx(0.792)
    assert rule.threshold == 0.8  # the old rule is as it was


def test_a_randomised_threshold_asks_even_for_what_is_certain() -> None:
    rng = np.random.default_rng(0)
    fixed, drawn = (UncertaintyStream(budget=1.0, kind=kind, threshold=0.6) for kind in ("fixed", "randomised"))
    assert not any(fixed.decide(0.99, rng=rng)[0] for _ in range(200))
    assert 0 < sum(drawn.decide(0.99, rng=rng)[0] for _ in range(200)) < 150


@pytest.mark.parametrize("kind", ["fixed", "variable", "randomised"])
@pytest.mark.parametrize("budget", [0.05, 0.3])
def test_uncertainty_keeps_to_the_budget(kind: str, budget: float) -> None:
    rng = np.random.default_rng(0)
    rule, asked = UncertaintyStream(budget=budget, kind=kind), 0
    for confidence in rng.uniform(0.5, 1.0, 3000):
        asks, rule = rule.decide(confidence, rng=rng)
        asked += asks
    assert asked / 3000 == pytest.approx(budget, abs=0.02)


def test_quantile_by_hand() -> None:
    rule = QuantileStream(budget=0.5, window=3, tolerance=2)
    asked = []
    for score in (1.0, 0.0, 2.0, 0.0):
        asks, rule = rule.decide(score)
        asked.append(asks)
    # 1 ≥ 1;  0 ≥ .5 − ½·0 fails (spent as planned);  2 ≥ 1 − 1·½;  0 ≥ 0 − 1·0
    assert asked == [True, False, True, True]
    assert (rule.seen, rule.asked, rule.recent) == (4, 3, (0.0, 2.0, 0.0))


@pytest.mark.parametrize("budget", [0.05, 0.3])
def test_quantile_keeps_to_the_budget_though_scores_fade(budget: float) -> None:
    rng = np.random.default_rng(0)
    rule = QuantileStream(budget=budget)
    for turn in range(2000):
        _, rule = rule.decide(rng.random() * 0.999**turn)
    assert rule.asked / 2000 == pytest.approx(budget, abs=0.02)


def test_bad_input() -> None:
    for make in (UncertaintyStream, QuantileStream):
        with pytest.raises(OptionError, match=r"^budget is 0\. Give the share to ask for, above 0 and at most 1\.$"):
            make(budget=0)
    with pytest.raises(OptionError, match=r"^kind 'odd' is unknown\. Use fixed, variable or randomised\.$"):
        UncertaintyStream(budget=0.1, kind="odd")
    with pytest.raises(OptionError, match=r"^a score of the stream is nan\. A score must be finite\.$"):
        QuantileStream(budget=0.1).decide(float("nan"))
