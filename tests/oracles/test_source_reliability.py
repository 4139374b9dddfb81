import numpy as np
import pytest

from palate.entities import Answer, AnswerKind
from palate.errors import DataError, OptionError
from palate.oracles.protocol import Terms
from palate.oracles.source_reliability import GOLD, GOLD_SHARE, LEAST_GOLD, Gold, Reliabilities, gold_in

NOISE = 0.5


def ratings(rho, n, rng, source="bob", subject="taste"):
    """Gold of a source whose noise is σ²/ρ, beside the user's own of σ²."""
    own = 3.0 + np.sqrt(NOISE) * rng.normal(size=n)
    said = 3.0 + np.sqrt(NOISE / rho) * rng.normal(size=n)
    return [Gold(source, one, two, subject=subject) for one, two in zip(said, own, strict=True)]


def likes(rho, n, rng, source="bob", subject="taste"):
    own = rng.integers(2, size=n)
    said = np.where(rng.random(n) < (1.0 - rho) / 2.0, 1 - own, own)
    return [Gold(source, float(one), float(two), subject=subject) for one, two in zip(said, own, strict=True)]


@pytest.mark.parametrize(("draw", "noise"), [(ratings, {"taste": NOISE}), (likes, {})])
@pytest.mark.parametrize("rho", [0.3, 0.8])
def test_the_lower_end_is_above_the_truth_about_one_time_in_ten(draw, noise, rho):
    rng = np.random.default_rng(0)
    found = [Reliabilities(noise).told(draw(rho, 40, rng)).of("bob") for _ in range(300)]
    above = np.mean([one.low > rho for one in found])
    assert 0.03 < above < 0.18
    assert np.mean([one.middle for one in found]) == pytest.approx(rho, abs=0.07)
    draws = [found[0].draw(rng) for _ in range(2000)]
    assert np.mean(np.array(draws) < found[0].low) == pytest.approx(0.1, abs=0.03)


def test_before_twenty_gold_answers_it_is_asked_for_gold_alone():
    rng = np.random.default_rng(0)
    gold = likes(1.0, LEAST_GOLD, rng)
    few, enough = Reliabilities().told(gold[:-1]), Reliabilities().told(gold)
    assert not few.of("bob").is_known
    assert few.gold_chance("bob") == 1.0
    assert few.of("bob").calibration().reliability == 0.0
    assert enough.of("bob").is_known
    assert enough.gold_chance("bob") == GOLD_SHARE
    assert enough.of("bob").calibration(power=2).reliability == pytest.approx(enough.of("bob").middle ** 2)


def test_one_who_answers_at_random_is_never_spent_upon():
    found = Reliabilities().told(likes(0.0, 200, np.random.default_rng(0)))
    assert not found.of("bob").is_known


def test_what_a_source_did_elsewhere_is_a_prior_and_what_others_did_is_none():
    rng = np.random.default_rng(0)
    found = Reliabilities().told([*likes(0.9, 200, rng, subject="kids"), *likes(0.0, 200, rng, source="eve")])
    assert found.of("bob", "funny").middle > found.of("carl", "funny").middle + 0.3
    assert found.of("bob", "funny").gold == 0.0
    assert not found.of("bob", "funny").is_known
    much = found.told(likes(0.1, 400, rng, subject="funny"))
    assert much.of("bob", "funny").middle == pytest.approx(0.1, abs=0.12)


def test_gold_that_was_drawn_seldom_counts_for_more_and_for_fewer():
    """Half of the items are easy, and were drawn ten times as often: weighted, the two halves count alike."""
    easy, hard = [Gold("bob", 1.0, 1.0, 1.0)] * 300, [Gold("bob", 0.0, 1.0, 0.1)] * 30
    found = Reliabilities().told([*easy, *hard]).of("bob")
    assert found.quantile(0.5) == pytest.approx(0.0, abs=0.05)
    assert found.gold == pytest.approx(600**2 / (300 + 3000))


def test_gold_is_what_was_asked_by_chance_of_what_the_user_has_rated():
    def said(source, item, value, question="", propensity=None):
        return Answer("ann", item, AnswerKind.RATING, value, source, propensity, question=question)

    answers = [
        said("person", "i1", 4.0),
        said("bob", "i1", 3.0, GOLD, 0.1),
        said("bob", "i2", 3.0, GOLD, 0.1),  # not rated
        said("person", "i3", 1.0),
        said("bob", "i3", 5.0, "a-optimal", 1.0),  # chosen, not drawn
    ]
    assert gold_in(answers) == [Gold("bob", 3.0, 4.0, 0.1)]


@pytest.mark.parametrize(
    ("gold", "error", "match"),
    [
        (Gold("bob", 1.0, 1.0, 0.0), OptionError, "propensity of gold is 0"),
        (Gold("bob", 1.0, 1.0, float("nan")), OptionError, "propensity of gold is nan"),
        (Gold("bob", 3.0, 1.0), DataError, "Give 0 or 1"),
    ],
)
def test_what_is_no_gold_is_refused(gold, error, match):
    with pytest.raises(error, match=match):
        Reliabilities().told(gold)


def test_a_cost_is_price_tokens_time_and_gold_in_one_unit():
    terms = Terms(price=0.02, unit="USD", seconds=2.0)
    worth = {"USD": 100.0, "s": 0.5, "token": 0.001}
    assert terms.cost(worth) == pytest.approx(2.0 + 1.0)
    assert terms.cost(worth, tokens=300, gold_share=0.1) == pytest.approx((2.0 + 1.0 + 0.3) * 1.1)
    with pytest.raises(OptionError, match=r"0\.02 USD have no price"):
        terms.cost({"s": 1.0})
